//! What strangers can send.

use std::io::Cursor;

use annulus_ring::bootstrap::Message;
use bytes::BytesMut;

use crate::cli::kv::reply;
use crate::net::codec::{self, Frames, PREFIX_LEN};
use crate::net::gossip::screen;
use crate::net::handshake::{Opening, Reply};
use crate::net::wire::Envelope;
use crate::server::pg::protocol::{frontend, startup};
use crate::server::resp::protocol::{Decoder, Limits, ProtocolError, Request};

/// A stream of frames as it arrives at the peer port: handshakes, the founding of a cluster, and messages, gossip
/// included. A message that is understood must survive being sent on.
pub fn peer_frames(bytes: &[u8]) {
    let (mut short, mut long) = (Frames::short(), Frames::short());
    long.allow_large();
    for frames in [&mut short, &mut long] {
        let mut buffer = BytesMut::from(bytes);
        while let Ok(Some(frame)) = frames.next(&mut buffer) {
            // A frame is understood or refused, whichever phase it arrives in.
            let _ = codec::decode_short::<Opening>(&frame);
            let _ = codec::decode_short::<Reply>(&frame);
            let _ = codec::decode_short::<Message>(&frame);
            if let Ok(message) = codec::decode(&frame) {
                envelope(&message);
            }
        }
    }
    let _ = screen::try_message(bytes);
}

fn envelope(message: &Envelope) {
    if let Envelope::Gossip(bytes) = message {
        let _ = screen::try_message(bytes);
    }
    let mut again = Vec::new();
    codec::encode(message, &mut again).expect("what was read can be written");
    assert_eq!(&codec::decode(&again[PREFIX_LEN..]).expect("what was written can be read"), message);
}

/// Small limits: inputs of a fuzzer are small, too.
const LIMITS: Limits = Limits { arguments: 16, argument: 256, request: 1_024 };

/// A client's requests, and a node's replies as the command line reads them. In whichever pieces requests arrive, they
/// are the same.
pub fn resp(bytes: &[u8]) {
    let whole = requests(bytes, bytes.len());
    for piece in [1, 7] {
        assert_eq!(requests(bytes, piece), whole, "in pieces of {piece}");
    }
    let mut replies = Cursor::new(bytes);
    while reply::read(&mut replies).is_ok() {}
}

fn requests(bytes: &[u8], piece: usize) -> Vec<Result<Request, ProtocolError>> {
    let (mut decoder, mut buffer, mut found) = (Decoder::new(LIMITS), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next(&mut buffer) {
                Ok(Some(request)) => found.push(Ok(request)),
                Ok(None) => break,
                Err(error) => {
                    found.push(Err(error));
                    return found;
                }
            }
        }
        assert!(decoder.held_bytes() <= LIMITS.arguments * size_of::<std::ops::Range<usize>>());
    }
    found
}

/// Messages of the PostgreSQL protocol, the first one of a connection included. In whichever pieces they arrive, they
/// are the same.
pub fn pg_messages(bytes: &[u8]) {
    if let Ok(Some(startup::First::Startup { parameters, .. })) = startup::take(&mut BytesMut::from(bytes)) {
        for (_, value) in parameters {
            let _ = startup::options(&value);
        }
    }
    let whole = messages(bytes, bytes.len());
    assert_eq!(messages(bytes, 1), whole);
    let _ = frontend::sync_follows(bytes);
}

/// The messages, each understood or refused, until nobody knows where the next one begins.
fn messages(bytes: &[u8], piece: usize) -> Vec<Result<frontend::Message, String>> {
    let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            match frontend::take(&mut buffer, LIMITS.request) {
                Ok(Some(frame)) => found.push(frontend::understand(frame).map_err(|error| error.to_string())),
                Ok(None) => break,
                Err(error) => {
                    found.push(Err(error.to_string()));
                    return found;
                }
            }
        }
    }
    found
}
