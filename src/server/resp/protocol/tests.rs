use annulus_base::rng::Rng;
use bytes::{Bytes, BytesMut};

use super::{Decoder, Limits, ProtocolError, Reply, Request, Version};

const LIMITS: Limits = Limits { arguments: 5, argument: 20, request: 60 };

/// Everything that a stream of bytes decodes to, arriving in pieces of one size.
fn decode_in_pieces(stream: &[u8], size: usize) -> Result<Vec<Request>, ProtocolError> {
    let (mut decoder, mut buffer) = (Decoder::new(LIMITS), BytesMut::new());
    let mut found = Vec::new();
    for piece in stream.chunks(size) {
        buffer.extend_from_slice(piece);
        while let Some(request) = decoder.next(&mut buffer)? {
            found.push(request);
        }
    }
    Ok(found)
}

/// The same, whatever the pieces.
fn decode(stream: &[u8]) -> Result<Vec<Request>, ProtocolError> {
    let whole = decode_in_pieces(stream, stream.len().max(1));
    for size in 1..8 {
        assert_eq!(decode_in_pieces(stream, size), whole, "in pieces of {size}: {}", stream.escape_ascii());
    }
    whole
}

fn command(words: &[&'static str]) -> Request {
    Request::Command(words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect())
}

#[test]
fn requests_are_decoded_however_they_arrive() {
    let stream = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n*0\r\n\r\nPING\r\n*-1\r\nset 'a b' \"\\x41\\n\"\n*1\r\n$0\r\n\r\n";
    let expected = [
        command(&["GET", "a"]),
        command(&["PING"]),
        command(&["PING"]),
        command(&["set", "a b", "A\n"]),
        command(&[""]),
    ];
    assert_eq!(decode(stream).unwrap(), expected);
}

#[test]
fn what_is_too_large_is_skipped_and_the_next_request_served() {
    for too_large in [
        "*2\r\n$3\r\nGET\r\n$21\r\nxxxxxxxxxxxxxxxxxxxxx\r\n",
        "*6\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n",
        "*4\r\n$20\r\nxxxxxxxxxxxxxxxxxxxx\r\n$20\r\nxxxxxxxxxxxxxxxxxxxx\r\n$20\r\nxxxxxxxxxxxxxxxxxxxx\r\n$1\r\nx\r\n",
    ] {
        let found = decode(format!("{too_large}*1\r\n$4\r\nPING\r\n").as_bytes()).unwrap();
        assert!(
            matches!(&found[..], [Request::TooLarge(why), ping] if why.starts_with("LIMIT ") && *ping == command(&["PING"])),
            "{found:?}"
        );
    }
}

#[test]
fn what_is_no_request_ends_the_stream() {
    for (stream, error) in [
        ("*a\r\n", "invalid multibulk length"),
        ("*1048577\r\n", "invalid multibulk length"),
        ("*1\r\n:1\r\n", "expected '$', got ':'"),
        ("*1\r\n\r\n", "expected '$', got '\\r'"),
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$536870913\r\n", "invalid bulk length"),
        ("*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        ("GET \"a\n", "unbalanced quotes in request"),
        ("GET 'a'b\n", "unbalanced quotes in request"),
    ] {
        assert_eq!(decode(stream.as_bytes()), Err(ProtocolError(error.to_owned())), "{stream:?}");
    }
    for (first, error) in [("*", "mbulk count string"), ("x", "inline request")] {
        let endless = first.to_owned() + &"1".repeat(64 * 1024);
        let found = decode_in_pieces(endless.as_bytes(), 4096);
        assert_eq!(found, Err(ProtocolError(format!("too big {error}"))));
    }
}

/// Random bytes, and valid requests with a few bytes changed: never a panic, and never more kept than the
/// limits allow.
#[test]
fn hostile_bytes_do_no_harm() {
    let valid = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n*1\r\n$4\r\nPING\r\nGET \"quoted\" 'x'\r\n";
    for seed in 0..3_000 {
        let mut rng = Rng::new(seed);
        let mut stream = valid.repeat(3);
        for _ in 0..rng.below(12) {
            let at = rng.below(stream.len() as u64) as usize;
            let bytes = b"*$\r\n0123456789-+:\"'\\x\0\xff";
            stream[at] = if rng.one_in(4) { rng.bits() as u8 } else { *rng.pick(bytes).unwrap() };
        }
        let (mut decoder, mut buffer) = (Decoder::new(LIMITS), BytesMut::new());
        let mut rest = &stream[..];
        'stream: while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rng.between(1, rest.len() as u64) as usize);
            rest = behind;
            buffer.extend_from_slice(piece);
            loop {
                match decoder.next(&mut buffer) {
                    Ok(Some(Request::Command(arguments))) => {
                        assert!(!arguments.is_empty() && arguments.len() <= 5 * 20)
                    }
                    Ok(Some(Request::TooLarge(_))) => {}
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
        }
    }
}

#[test]
fn replies_are_written_in_both_versions() {
    let reply = Reply::Array(vec![
        Reply::OK,
        Reply::Error("ERR with\r\nline end".into()),
        Reply::Integer(-7),
        Reply::text("b"),
        Reply::Null,
        Reply::NullArray,
        Reply::Verbatim("v".to_owned()),
        Reply::Map(vec![(Reply::text("k"), Reply::Integer(1))]),
        Reply::Set(vec![Reply::Integer(2)]),
    ]);
    for (version, expected) in [
        (
            Version::Resp2,
            "*9\r\n+OK\r\n-ERR with  line end\r\n:-7\r\n$1\r\nb\r\n$-1\r\n*-1\r\n$1\r\nv\r\n*2\r\n$1\r\nk\r\n:1\r\n*1\r\n:2\r\n",
        ),
        (
            Version::Resp3,
            "*9\r\n+OK\r\n-ERR with  line end\r\n:-7\r\n$1\r\nb\r\n_\r\n_\r\n=5\r\ntxt:v\r\n%1\r\n$1\r\nk\r\n:1\r\n~1\r\n:2\r\n",
        ),
    ] {
        let mut out = BytesMut::new();
        reply.write(version, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
