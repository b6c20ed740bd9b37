//! A bounded run of every target, from fixed random numbers: the same inputs every time.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use annulus_base::rng::Rng;
use annulus_base::{Epoch, Incarnation, NamespaceId, NodeId, Timestamp};
use annulus_replica::record::Record;
use annulus_ring::{Basis, ClusterId, Member, Namespace, TopologyRecord};
use bytes::Bytes;

use super::{TARGETS, disk};
use crate::config;
use crate::net::codec;
use crate::net::handshake::{Opening, VERSIONS};
use crate::server::resp::value::Value;
use crate::storage::log::group::{GroupBuffer, GroupKind};
use crate::storage::{meta, records};

/// Inputs for each target.
const ROUNDS: u64 = 2_000;
/// Longest input, bytes.
const LONGEST: usize = 16 * 1024;

/// Inputs that are right, to be made wrong.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "peer_frames" => frames(),
        "resp" => [
            "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*1\r\n$4\r\nPING\r\n",
            "SET k \"a \\x41 b\"\r\nGET 'k'\r\n",
            "*2\r\n$3\r\nGET\r\n$300\r\n",
            "*99\r\n$1\r\nx\r\n",
            "+OK\r\n:12\r\n$3\r\nabc\r\n$-1\r\n*2\r\n:1\r\n+x\r\n%1\r\n+k\r\n,1.5\r\n=7\r\ntxt:abc\r\n#t\r\n_\r\n>1\r\n+x\r\n",
        ]
        .map(|text| text.as_bytes().to_vec())
        .into(),
        "pg_messages" => vec![
            b"\0\0\0\x2a\0\x03\0\0user\0me\0options\0-c a=b\\ c --d=e\0\0".to_vec(),
            b"Q\0\0\0\x0dSELECT 1\0S\0\0\0\x04X\0\0\0\x04".to_vec(),
            b"P\0\0\0\x12s\0SELECT $1\0\0\x01\0\0\0\x17B\0\0\0\x15p\0s\0\0\x01\0\0\0\x01\0\0\0\x011\0\0".to_vec(),
            b"D\0\0\0\x07Sp\0E\0\0\0\x0ap\0\0\0\0\x05C\0\0\0\x07Pp\0H\0\0\0\x04d\0\0\0\x07abcc\0\0\0\x04".to_vec(),
        ],
        "stored_records" => stored(),
        "config_files" => vec![
            config::default_file().into_bytes(),
            b"zone = \"a\"\nhistory = '1 h'\ninitial_members = [\"a:1\", \"b:2\"]\n[[namespace]]\nname = \"x\"\nby = \"name\"\n"
                .to_vec(),
        ],
        "topology_records" => vec![topology().encode(), vec![0; 64]],
        other => panic!("{other} has no seeds"),
    }
}

/// One frame of each kind, as released versions send them.
fn frames() -> Vec<Vec<u8>> {
    let golden = include_str!("../net/codec/golden/v1.txt");
    let lines = golden.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut frames: Vec<Vec<u8>> = lines
        .map(|hex| {
            let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            let bytes: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
            [(bytes.len() as u32).to_be_bytes().to_vec(), bytes].concat()
        })
        .collect();
    let mut opening = Vec::new();
    codec::encode(&Opening::Bootstrap { versions: VERSIONS }, &mut opening).unwrap();
    frames.push(opening);
    // Gossip that says nothing about nobody.
    frames.push(vec![0x53, 0xb0, 0, 2, 0]);
    frames
}

fn stored() -> Vec<Vec<u8>> {
    let mut fence = Vec::new();
    records::encode(&Record::Fence(Timestamp(9)), &mut fence).unwrap();
    let mut group = GroupBuffer::default();
    group.push(6, records::VERSION, &fence);
    let sealed = group.seal(1, GroupKind::Records, disk::PLACE).to_vec();
    let own = meta::encode(&[("node".to_owned(), vec![7])].into());
    let value = Value { payload: Bytes::from_static(b"value"), expires: Some(5) };
    vec![fence, sealed, own, value.encode().to_vec()]
}

fn topology() -> TopologyRecord {
    let member =
        |id| Member { id: NodeId(id), weight: 100, zone: format!("zone{id}"), peer_address: format!("node{id}:7400") };
    let by_key = Namespace::new(NamespaceId(1), "db0", Basis::ByKey { slots: 16 });
    let by_name = Namespace::new(NamespaceId(2), "other", Basis::ByName);
    TopologyRecord {
        epoch: Epoch(u64::from(Incarnation(1).0)),
        cluster: ClusterId(7),
        members: (1..=3).map(member).collect(),
        namespaces: vec![by_key, by_name],
    }
}

/// An input: a seed with some of it changed, doubled, cut out or replaced by that of another one; or noise.
fn input(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = rng.pick(seeds).cloned().unwrap_or_default();
    for _ in 0..rng.below(5) {
        let len = input.len() as u64;
        let at = rng.below(len + 1) as usize;
        let end = at + rng.below((len - at as u64).min(64) + 1) as usize;
        match rng.below(6) {
            0 => input.extend((0..rng.below(32)).map(|_| rng.bits() as u8)),
            1 if at < input.len() => input[at] ^= 1 << rng.below(8),
            2 if at < input.len() => input[at] = *rng.pick(&[0, 1, 0x7f, 0x80, 0xff, b'\r', b'9', b'-']).unwrap(),
            3 => drop(input.drain(at..end)),
            4 => {
                let copy = input[at..end].to_vec();
                drop(input.splice(at..at, copy));
            }
            _ => {
                let other = rng.pick(seeds).cloned().unwrap_or_default();
                let from = rng.below(other.len() as u64 + 1) as usize;
                drop(input.splice(at..end, other[from..].iter().copied()));
            }
        }
    }
    input.truncate(LONGEST);
    input
}

#[test]
fn no_target_fails() {
    for target in TARGETS {
        let seeds = seeds(target.name);
        let mut rng = Rng::new(1);
        seeds.iter().for_each(|seed| (target.run)(seed));
        for round in 0..ROUNDS {
            let input = input(&mut rng, &seeds);
            let outcome = std::panic::catch_unwind(|| (target.run)(&input));
            assert!(outcome.is_ok(), "{}, round {round}: {}", target.name, input.escape_ascii());
        }
    }
}

/// What libFuzzer is given is what is tested here.
#[test]
fn every_target_is_one_of_fuzz() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let files = fs::read_dir(fuzz.join("fuzz_targets")).unwrap().map(|file| file.unwrap().file_name());
    let files: BTreeSet<String> = files.map(|name| name.to_string_lossy().replace(".rs", "")).collect();
    assert_eq!(files, TARGETS.iter().map(|target| target.name.to_owned()).collect());
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for target in TARGETS {
        let source = fs::read_to_string(fuzz.join(format!("fuzz_targets/{}.rs", target.name))).unwrap();
        assert!(source.contains(&format!("annulus::fuzzing::{}", target.name)), "{source}");
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
    }
}
