//! Random commands, sent to a real Redis and to us: the answers must be the same.

use annulus_base::rng::Rng;

use super::redis::RedisServer;
use super::transcripts::Target;
use super::wire::Client;
use super::with_server;
use crate::server::resp::Config;

const SEEDS: u64 = 20;
const COMMANDS: usize = 600;

const KEYS: [&str; 6] = ["a", "b", "c", "{t}1", "{t}2", ""];
const VALUES: [&str; 16] = [
    "",
    "0",
    "1",
    "-1",
    "10",
    "abc",
    " 1",
    "1.5",
    "9223372036854775807",
    "-9223372036854775808",
    "1e3",
    "0.1",
    "nan",
    "33177117420",
    "99999999999",
    "x y",
];
const OPTIONS: [&str; 14] =
    ["NX", "XX", "GET", "KEEPTTL", "EX", "PX", "EXAT", "PXAT", "PERSIST", "GT", "LT", "COUNT", "MATCH", "nonsense"];
/// Commands with their usual arguments: k key, v value, o option, f a time far
/// ahead, t that or one long ago.
const FORMS: [&str; 58] = [
    "GET k",
    "GET k",
    "SET k v",
    "SET k v",
    "SET k v",
    "SET k v o",
    "SET k v o o",
    "SET k v EXAT f",
    "SET k v PXAT f000 NX",
    "SET k v GET EXAT f",
    "SET k v XX KEEPTTL",
    "MGET k k k",
    "MSET k v k v",
    "MSETNX k v k v",
    "GETDEL k",
    "GETSET k v",
    "GETEX k",
    "GETEX k EXAT t",
    "GETEX k PERSIST",
    "GETEX k o v",
    "SETNX k v",
    "APPEND k v",
    "STRLEN k",
    "SETRANGE k n v",
    "GETRANGE k n n",
    "EXISTS k k",
    "DEL k",
    "DEL k k k",
    "UNLINK k",
    "TOUCH k k",
    "RENAME k k",
    "TYPE k",
    "INCR k",
    "INCRBY k v",
    "INCRBYFLOAT k v",
    "DECR k",
    "DECRBY k v",
    "EXPIREAT k t",
    "PEXPIREAT k t",
    "EXPIREAT k t o",
    "EXPIREAT k t o o",
    "EXPIRETIME k",
    "PEXPIRETIME k",
    "PERSIST k",
    "DBSIZE",
    "KEYS *",
    "SELECT n",
    "SELECT 0",
    "SELECT 1",
    "FLUSHDB",
    "MULTI",
    "EXEC",
    "EXEC",
    "DISCARD",
    "WATCH k k",
    "UNWATCH",
    "ECHO v",
    "nonsense v",
];

/// Whether the answers to come depend on how fast the test is: a key expires soon, or has when it is set
/// (which Redis goes on to count, we do not).
fn depends_on_time(words: &[Vec<u8>]) -> bool {
    let soon = |pair: &[Vec<u8>]| {
        let number = std::str::from_utf8(&pair[1]).ok().and_then(|text| text.parse::<i64>().ok());
        let last = match pair[0].as_slice() {
            b"EX" | b"PX" => i64::MAX,
            b"EXAT" if words[0] == b"SET" => 1_700_000_000,
            b"PXAT" if words[0] == b"SET" => 1_700_000_000_000,
            _ => return false,
        };
        number.is_some_and(|number| number < last)
    };
    words.windows(2).any(soon)
}

/// A command of a random form; sometimes an argument too few or too many.
fn command(rng: &mut Rng, without: &str) -> Vec<Vec<u8>> {
    let form = rng.pick(&FORMS).filter(|form| !form.starts_with(without)).unwrap_or(&"PING");
    let mut words: Vec<String> = form.split(' ').map(|word| argument(word, rng)).collect();
    if rng.one_in(40) {
        words.pop();
    }
    if words.is_empty() || rng.one_in(40) {
        words.push(argument("v", rng));
    }
    words.into_iter().map(String::into_bytes).collect()
}

fn argument(kind: &str, rng: &mut Rng) -> String {
    match kind {
        "k" => (*rng.pick(&KEYS).unwrap()).to_owned(),
        "v" => (*rng.pick(&VALUES).unwrap()).to_owned(),
        "o" => (*rng.pick(&OPTIONS).unwrap()).to_owned(),
        "t" => if rng.one_in(4) { "1" } else { "33177117420" }.to_owned(),
        "f" => "33177117420".to_owned(),
        "f000" => "33177117420000".to_owned(),
        "n" => (rng.below(12) as i64 - 4).to_string(),
        word => word.to_owned(),
    }
}

/// The clients of one side.
struct Side(Vec<Client>);

impl Side {
    async fn new(target: &Target<'_>) -> Self {
        Self(vec![target.connect().await, target.connect().await])
    }

    async fn ask(&mut self, client: usize, words: &[Vec<u8>]) -> String {
        let reply = self.0[client].ask_words(words).await;
        // The order of keys is not the same, and has no meaning.
        let has_order = words[0] != b"KEYS" && words[0] != b"EXEC";
        if has_order { reply.to_string() } else { reply.sorted().to_string() }
    }
}

#[test]
fn random_commands_are_answered_as_by_redis() {
    let Some(redis) = RedisServer::start() else { return };
    for seed in 0..SEEDS {
        // Locks of watched keys must not hold up the only other client.
        let config = Config { watch_lease: std::time::Duration::ZERO, ..Config::default() };
        with_server(config, async |fixture| {
            let (theirs, ours) = (Target::Redis(&redis), Target::Ours(&fixture));
            theirs.connect().await.ask("FLUSHALL").await;
            let (mut theirs, mut ours) = (Side::new(&theirs).await, Side::new(&ours).await);
            let mut rng = Rng::new(seed);
            // A flush lets any WATCH of ours fail, but not one of Redis if the key was absent.
            let without = if seed % 2 == 0 { "FLUSHDB" } else { "WATCH" };
            for number in 0..COMMANDS {
                let (client, words) = (rng.below(2) as usize, command(&mut rng, without));
                if depends_on_time(&words) {
                    continue;
                }
                let expected = theirs.ask(client, &words).await;
                let found = ours.ask(client, &words).await;
                let text: Vec<String> = words.iter().map(|word| word.escape_ascii().to_string()).collect();
                println!("{client}> {} = {found}", text.join(" "));
                assert_eq!(expected, found, "seed {seed}, command {number}, client {client}: {}", text.join(" "));
            }
        });
    }
}
