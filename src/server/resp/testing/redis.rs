//! A real Redis server to compare with, if there is one; and a real client.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ::redis::{self, Commands as _};

use super::wire::{Client, Shown};
use super::with_server;
use crate::server::resp::Config;
use crate::server::resp::commands::{self, Run};

/// A `redis-server` that ends with this value.
pub struct RedisServer {
    pub port: u16,
    process: Child,
}

impl RedisServer {
    /// Starts one on a free port; `None`, and a word about it, if there is no Redis 7 on the path.
    pub fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port", &port.to_string()]);
        let process = match command.stdout(Stdio::null()).spawn() {
            Ok(process) => process,
            Err(error) => {
                println!("SKIPPED: no comparison with Redis, redis-server cannot be started: {error}");
                return None;
            }
        };
        let server = Self { port, process };
        let give_up = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < give_up, "redis-server does not answer on port {port}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(server)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `COMMAND INFO` says of a command: name, arity, flags, first, last and step of its keys.
fn signature(shown: &Shown) -> Vec<String> {
    let Shown::Many(_, columns) = shown else { return vec![shown.to_string()] };
    columns.iter().take(7).map(|column| column.clone().sorted().to_string()).collect()
}

#[test]
fn drivers_are_told_the_same_about_our_commands() {
    let Some(redis) = RedisServer::start() else { return };
    with_server(Config::default(), async |fixture| {
        let (mut theirs, mut ours) = (Client::connect(redis.port).await, fixture.client().await);
        let supported = commands::all().filter(|(group, _)| *group != "annulus");
        let parts = supported.flat_map(|(_, command)| match command.run {
            Run::Container(parts) => [std::slice::from_ref(command), parts].concat(),
            _ => vec![*command],
        });
        // It is of Redis 7.2, but drivers use it with any version.
        for command in parts.filter(|command| command.name != "client|setinfo") {
            let words = ["COMMAND", "INFO", command.name].map(|word| word.as_bytes().to_vec());
            let (theirs, ours) = (theirs.ask_words(&words).await, ours.ask_words(&words).await);
            let (Shown::Many(_, theirs), Shown::Many(_, ours)) = (theirs, ours) else { panic!("no lists") };
            assert_eq!(signature(&theirs[0]), signature(&ours[0]), "{}", command.name);
        }
        // And of those that are not supported at least the name is known.
        for name in theirs.ask_words(&["COMMAND", "LIST"].map(|word| word.as_bytes().to_vec())).await.items() {
            let name = name.to_string().trim_matches('"').to_owned();
            let unknown = ours.ask(name.split('|').next().unwrap()).await.starts_with("(error) ERR unknown command");
            assert!(!unknown, "{name} is neither supported nor known");
            if name == "quit" {
                ours = fixture.client().await;
            }
        }
    });
}

/// What programs do with a client library, over both versions of the protocol.
fn use_client_library(port: u16, protocol: &str) -> redis::RedisResult<()> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/?protocol={protocol}"))?;
    let mut connection = client.get_connection()?;
    let () = connection.set("k", "v")?;
    assert_eq!(connection.get::<_, String>("k")?, "v");
    assert_eq!(connection.get::<_, Option<String>>("nokey")?, None);
    let () = connection.set_ex("ending", 1, 100)?;
    assert_eq!(connection.ttl::<_, i64>("ending")?, 100);
    assert_eq!(connection.incr::<_, _, i64>("n", 5)?, 5);
    let () = connection.mset(&[("a", 1), ("b", 2)])?;
    assert_eq!(connection.mget::<_, Vec<i64>>(&["a", "b"])?, [1, 2]);
    let piped: (i64, i64) = redis::pipe().atomic().incr("n", 1).incr("n", 1).query(&mut connection)?;
    assert_eq!(piped, (6, 7));
    let sum: (i64,) = redis::transaction(&mut connection, &["n"], |connection, pipe| {
        let old: i64 = connection.get("n")?;
        pipe.set("n", old + 1).ignore().get("n").query(connection)
    })?;
    assert_eq!(sum, (8,));
    let mut keys: Vec<String> = connection.scan()?.collect::<redis::RedisResult<_>>()?;
    keys.sort();
    assert_eq!(keys, ["a", "b", "ending", "k", "n"]);
    assert_eq!(connection.del::<_, i64>(&keys)?, 5);
    let unsupported = connection.lpush::<_, _, i64>("l", 1).expect_err("lists are not supported");
    assert!(unsupported.to_string().contains("not supported yet"), "{unsupported}");
    let info: redis::InfoDict = redis::cmd("INFO").query(&mut connection)?;
    assert_eq!(info.get::<String>("redis_mode"), Some("standalone".to_owned()));
    Ok(())
}

#[test]
fn a_client_library_works() {
    with_server(Config::default(), async |fixture| {
        for protocol in ["resp2", "resp3"] {
            let port = fixture.port;
            let used = tokio::task::spawn_blocking(move || use_client_library(port, protocol));
            used.await.unwrap().unwrap_or_else(|error| panic!("{protocol}: {error}"));
        }
    });
}
