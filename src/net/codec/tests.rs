use std::fmt::Write as _;

use annulus_base::Key;
use annulus_base::rng::Rng;
use annulus_replica::message::{Check, Message, Part, RangeFound};
use annulus_replica::store::{Placed, Version, Write};
use bytes::Bytes;

use super::*;

mod samples;

const GOLDEN: &str = include_str!("golden/v1.txt");

fn frame(envelope: &Envelope) -> Vec<u8> {
    let mut out = Vec::new();
    encode(envelope, &mut out).unwrap();
    out.split_off(PREFIX_LEN)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// What the golden file should hold: per sample a comment with the message and a line with its bytes.
fn golden() -> String {
    let mut text = String::new();
    for sample in samples::all() {
        writeln!(text, "# {sample:?}\n{}", hex(&frame(&sample))).unwrap();
    }
    text
}

/// With `ANNULUS_BLESS` set the file is written anew, for messages that no release has spoken yet.
#[test]
fn frames_of_version_1_stay_as_they_are() {
    if std::env::var_os("ANNULUS_BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/net/codec/golden/v1.txt"), golden()).unwrap();
        return;
    }
    for (line, (now, kept)) in golden().lines().zip(GOLDEN.lines()).enumerate() {
        assert!(now == kept, "line {}: version 1 said\n{kept}\nand now says\n{now}", line + 1);
    }
    assert_eq!(golden().len(), GOLDEN.len());
}

#[test]
fn golden_frames_stay_readable() {
    let frames = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    for (line, sample) in frames.zip(samples::all()) {
        assert_eq!(decode(&unhex(line)).unwrap(), sample);
    }
}

#[test]
fn truncated_and_extended_frames_are_refused() {
    for sample in samples::all() {
        let bytes = frame(&sample);
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{sample:?} cut to {len} bytes");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(decode(&longer), Err(CodecError::Malformed { .. })), "{sample:?}");
    }
}

#[test]
fn mutated_frames_never_panic_and_what_decodes_encodes_again() {
    let mut rng = Rng::new(1);
    let samples = samples::all();
    let mut accepted = 0;
    for _ in 0..200_000 {
        let mut bytes = frame(rng.pick(&samples).unwrap());
        for _ in 0..rng.between(1, 4) {
            mutate(&mut bytes, &mut rng);
        }
        if let Ok(envelope) = decode(&bytes) {
            assert_eq!(frame(&envelope), bytes);
            accepted += 1;
        }
    }
    assert!(accepted > 1_000, "mutations are too coarse to reach deep: {accepted}");
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(bytes.len() as u64) as usize;
    match rng.below(4) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.bits() as u8,
        2 => bytes.truncate(at.max(1)),
        _ => {
            // A length field's favourites.
            let lengths = [0, 1, u64::from(u32::MAX), 1 << 20, u64::MAX, i64::MAX as u64];
            let length = rng.pick(&lengths).unwrap().to_le_bytes();
            let end = bytes.len().min(at + length.len());
            bytes[at..end].copy_from_slice(&length[..end - at]);
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut rng = Rng::new(2);
    for _ in 0..200_000 {
        let len = rng.below(300) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| rng.bits() as u8).collect();
        // Half of them start like a message about transactions.
        if len >= 8 && rng.one_in(2) {
            bytes[..8].copy_from_slice(&[0, 0, 0, 0, rng.below(20) as u8, 0, 0, 0]);
        }
        let _ = decode(&bytes);
    }
}

#[test]
fn a_claimed_length_beyond_the_frame_allocates_nothing_large() {
    // Fetch with a list that claims more entries than the frame could hold.
    let Envelope::Transaction(Message::Fetch(..)) = &samples::all()[11] else { panic!("sample moved") };
    let mut bytes = frame(&samples::all()[11]);
    for claimed in [1_u64 << 10, 1 << 20, 1 << 40, u64::MAX] {
        bytes[26..34].copy_from_slice(&claimed.to_le_bytes());
        let Err(CodecError::Malformed { source, .. }) = decode(&bytes) else { panic!("{claimed} accepted") };
        assert!(matches!(source, ReadError::PreallocationSizeLimit { limit, .. } if limit == DENSITY * SMALL));
    }
}

/// Holds what [`DENSITY`] promises for every list element of the wire.
#[test]
fn list_elements_take_little_more_memory_than_their_encoding() {
    fn check<T: SchemaWrite<Wire, Src = T>>(smallest: &T) {
        let mut out = Vec::new();
        encode(smallest, &mut out).unwrap();
        let (memory, encoded) = (size_of::<T>(), out.len() - PREFIX_LEN);
        assert!(memory <= DENSITY * encoded, "{}: {memory} bytes from {encoded}", std::any::type_name::<T>());
    }
    let none = || Key(Bytes::new());
    let range = || annulus_base::KeyRange { start: none(), end: none() };
    let stamp = annulus_replica::store::Stamp::NONE;
    check(&0_u8);
    check(&none());
    check(&(range(), 0_u32));
    check(&samples::partition());
    check::<Write>(&(none(), None));
    check(&(none(), stamp));
    check(&Check::Key(none(), stamp));
    check(&Part { partition: samples::partition(), checks: Vec::new(), writes: Vec::new() });
    check(&Placed { partition: samples::partition(), key: none(), version: Version { stamp, value: None } });
    check(&annulus_replica::message::Found { key: none(), stamp, absent: true, value: None });
    check(&RangeFound { range: range(), found: Vec::new() });
}

#[test]
fn a_message_above_the_limit_is_an_error_at_the_sender_and_leaves_no_trace() {
    let mut out = vec![1, 2, 3];
    let fits = Envelope::Gossip(Bytes::from(vec![7; MAX_FRAME_LEN - 12]));
    encode(&fits, &mut out).unwrap();
    assert_eq!(decode(&out[3 + PREFIX_LEN..]).unwrap(), fits);
    out.truncate(3);
    for len in [MAX_FRAME_LEN - 11, 9 * MAX_FRAME_LEN] {
        let error = encode(&Envelope::Gossip(Bytes::from(vec![7; len])), &mut out).unwrap_err();
        assert!(matches!(error, CodecError::TooLarge { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::Limit);
        assert_eq!(out, [1, 2, 3]);
    }
}

#[test]
fn many_small_values_fill_a_large_frame() {
    let writes = vec![(Key::new(0, 0, 0, b"k"), None); 100_000];
    let mut prepare = samples::prepare();
    prepare.parts[0].writes = writes;
    let envelope = Envelope::Transaction(Message::Prepare(prepare.into()));
    assert_eq!(decode(&frame(&envelope)).unwrap(), envelope);
}

#[test]
fn frames_are_cut_from_a_stream_and_large_ones_need_permission() {
    let mut stream = BytesMut::new();
    let (mut out, payload) = (Vec::new(), Envelope::Gossip(Bytes::from(vec![1; 5_000])));
    encode(&Envelope::Ping(1), &mut out).unwrap();
    encode(&payload, &mut out).unwrap();
    let mut frames = Frames::short();
    for byte in &out[..16] {
        assert!(frames.next(&mut stream).unwrap().is_none());
        stream.extend_from_slice(&[*byte]);
    }
    assert_eq!(decode(&frames.next(&mut stream).unwrap().unwrap()).unwrap(), Envelope::Ping(1));
    stream.extend_from_slice(&out[16..]);
    let error = frames.next(&mut stream).unwrap_err();
    assert!(matches!(error, CodecError::FrameTooLarge { len: 5_012, max: SMALL }), "{error}");
    frames.allow_large();
    assert_eq!(decode(&frames.next(&mut stream).unwrap().unwrap()).unwrap(), payload);
    assert!(frames.next(&mut stream).unwrap().is_none());
}
