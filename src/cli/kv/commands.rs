//! What one line does: the client's own commands, and the node's.

use std::io::{self, Write};

use super::client::{Client, ClientError};
use super::print;
use super::reply::Reply;

/// How to go on after a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Flow {
    /// It succeeded.
    Done,
    /// It was answered with this error.
    Failed(String),
    /// The user wants to leave.
    Exit,
}

/// Why there was no reply to print.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Nothing came from the node.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The output cannot be written.
    #[error("cannot write the reply: {0}")]
    Output(#[from] io::Error),
    /// The node answered a `SCAN` with something else than a page of keys.
    #[error("the node's answer to SCAN is not a page of keys")]
    NotAPage,
}

/// Runs a command and writes its reply to `out`; an error reply is left to the caller to show.
///
/// # Errors
/// [`CommandError`]; an error reply of the node is [`Flow::Failed`].
pub fn run(
    client: &mut Client,
    words: &[Vec<u8>],
    for_people: bool,
    out: &mut impl Write,
) -> Result<Flow, CommandError> {
    let Some(name) = words.first() else { return Ok(Flow::Done) };
    match name.to_ascii_uppercase().as_slice() {
        b"EXIT" | b"QUIT" => Ok(Flow::Exit),
        b"HELP" => help(out).map(|()| Flow::Done),
        b"LIST" => list(client, words.get(1).map_or(&[][..], Vec::as_slice), for_people, out),
        _ => match client.command(words)? {
            Reply::Error(error) => Ok(Flow::Failed(error)),
            reply => print_reply(&reply, for_people, out).map(|()| Flow::Done),
        },
    }
}

fn print_reply(reply: &Reply, for_people: bool, out: &mut impl Write) -> Result<(), CommandError> {
    if for_people {
        print::explained(reply, out)?
    } else {
        print::bare(reply, out)?
    }
    Ok(())
}

/// Keys that a page of a list asks for.
const PAGE: &[u8] = b"1000";

/// Prints the keys with a prefix, or those that match a pattern with `*`, `?` or `[`.
fn list(client: &mut Client, what: &[u8], for_people: bool, out: &mut impl Write) -> Result<Flow, CommandError> {
    let is_pattern = what.iter().any(|byte| b"*?[".contains(byte));
    let pattern = if is_pattern { what.to_vec() } else { [what, b"*"].concat() };
    let mut cursor = b"0".to_vec();
    loop {
        let page = client.command(&[&b"SCAN"[..], &cursor, b"MATCH", &pattern, b"COUNT", PAGE])?;
        let (next, keys) = match page {
            Reply::Error(error) => return Ok(Flow::Failed(error)),
            Reply::Array(parts) => page_of(parts).ok_or(CommandError::NotAPage)?,
            _ => return Err(CommandError::NotAPage),
        };
        for key in keys {
            print_reply(&key, for_people, out)?;
        }
        if next == b"0" {
            return Ok(Flow::Done);
        }
        cursor = next;
    }
}

fn page_of(parts: Vec<Reply>) -> Option<(Vec<u8>, Vec<Reply>)> {
    match <[Reply; 2]>::try_from(parts).ok()? {
        [Reply::Bulk(cursor), Reply::Array(keys)] => Some((cursor, keys)),
        _ => None,
    }
}

const OWN_COMMANDS: [(&str, &str); 6] = [
    ("SET key value", "stores a value"),
    ("GET key", "prints a value"),
    ("DEL key [key ...]", "removes keys"),
    ("LIST [prefix or pattern]", "prints keys: those with a prefix, or those that match a pattern such as user:*:name"),
    ("HELP", "prints this"),
    ("EXIT", "leaves"),
];

/// Further commands of the node, offered for completion.
const NODE_COMMANDS: &str = "ANNULUS.OUTCOME ANNULUS.TOKEN APPEND CLIENT COMMAND CONFIG DBSIZE DECR DECRBY DISCARD ECHO \
    EXEC EXISTS EXPIRE EXPIREAT EXPIRETIME FLUSHDB GETDEL GETEX GETRANGE GETSET HELLO INCR INCRBY INCRBYFLOAT INFO KEYS \
    MGET MSET MSETNX MULTI PERSIST PEXPIRE PEXPIREAT PEXPIRETIME PING PSETEX PTTL RANDOMKEY RENAME RESET SCAN SELECT \
    SETEX SETNX SETRANGE SLOWLOG STRLEN TIME TOUCH TTL TYPE UNLINK UNWATCH WAIT WATCH";

/// The names of all commands, for completion.
pub fn names() -> impl Iterator<Item = &'static str> {
    let own = OWN_COMMANDS.iter().filter_map(|(usage, _)| usage.split(' ').next());
    own.chain(NODE_COMMANDS.split_ascii_whitespace())
}

fn help(out: &mut impl Write) -> Result<(), CommandError> {
    for (usage, meaning) in OWN_COMMANDS {
        writeln!(out, "{usage:<26} {meaning}")?;
    }
    writeln!(out, "\nEvery other Redis command goes to the node as it is:\n{}", NODE_COMMANDS)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;

    /// A node that expects these requests and answers each as said, then closes the connection.
    fn node(script: &'static [(&[&str], &str)]) -> (Client, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::new(&listener.local_addr().unwrap().to_string());
        let served = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for (request, answer) in script {
                let words = request.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect::<String>();
                let expected = format!("*{}\r\n{words}", request.len());
                let mut received = vec![0; expected.len()];
                stream.read_exact(&mut received).unwrap();
                assert_eq!(String::from_utf8_lossy(&received), expected);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        (client, served)
    }

    fn typed(client: &mut Client, line: &str) -> (Result<Flow, CommandError>, String) {
        let words = super::super::words::split(line).unwrap();
        let mut out = Vec::new();
        let flow = run(client, &words, true, &mut out);
        (flow, String::from_utf8(out).unwrap())
    }

    #[test]
    fn commands_go_to_the_node_and_replies_come_back() {
        let (mut client, served) = node(&[
            (&["set", "a b", ""], "+OK\r\n"),
            (&["GET", "a b"], ">2\r\n+invalidate\r\n_\r\n$0\r\n\r\n"),
            (&["INCR", "a b"], "-ERR not a number\r\n"),
        ]);
        assert_eq!(typed(&mut client, "set 'a b' ''").1, "OK\n");
        assert_eq!(typed(&mut client, "GET 'a b'").1, "\"\"\n");
        let (flow, printed) = typed(&mut client, "INCR 'a b'");
        assert_eq!((flow.unwrap(), printed.as_str()), (Flow::Failed("ERR not a number".to_owned()), ""));
        served.join().unwrap();
        let broken = typed(&mut client, "GET a").0.unwrap_err().to_string();
        assert!(broken.contains("whether the command was executed is not known"), "{broken}");
    }

    #[test]
    fn a_list_follows_the_cursor_to_its_end() {
        let (mut client, served) = node(&[
            (&["SCAN", "0", "MATCH", "u:*", "COUNT", "1000"], "*2\r\n$2\r\n17\r\n*1\r\n$3\r\nu:1\r\n"),
            (&["SCAN", "17", "MATCH", "u:*", "COUNT", "1000"], "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nu:2\r\n"),
            (&["SCAN", "0", "MATCH", "?", "COUNT", "1000"], "+OK\r\n"),
        ]);
        assert_eq!(typed(&mut client, "list u:").1, "\"u:1\"\n\"u:2\"\n");
        assert!(matches!(typed(&mut client, "LIST ?").0, Err(CommandError::NotAPage)));
        served.join().unwrap();
    }

    #[test]
    fn own_commands_need_no_node() {
        let mut client = Client::new("127.0.0.1:1");
        assert_eq!(typed(&mut client, "exit").0.unwrap(), Flow::Exit);
        assert!(typed(&mut client, "help").1.contains("LIST [prefix or pattern]"));
        assert!(matches!(typed(&mut client, "GET a").0, Err(CommandError::Client(ClientError::Connect { .. }))));
    }
}
