//! A real Redis server to compare with, if there is one; and a real client.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
