//! What nodes tell about themselves, as text by key.
//!
//! Text, because that is what gossip libraries carry and operators read. A fact that cannot be read is
//! passed over, so that nodes of different versions understand what they have in common.

use std::fmt::Display;
use std::str::FromStr;

use annulus_base::{Epoch, Incarnation, Timestamp};
use annulus_ring::MAX_NAME_LEN;

const PEER_ADDRESS: &str = "peer_address";
const KV_ADDRESS: &str = "kv_address";
const SQL_ADDRESS: &str = "sql_address";
const HTTP_ADDRESS: &str = "http_address";
const INCARNATION: &str = "incarnation";
const ZONE: &str = "zone";
const EPOCH: &str = "epoch";
const LOAD: &str = "load";
const LOW_WATER: &str = "low_water";
const VERSION: &str = "version";
const SNAPSHOT: &str = "snapshot";

/// A node's low-water mark: nothing undecided of it lies at or below. Carries the epoch in which it was set,
/// which must be adopted before the mark is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The node's epoch.
    pub epoch: Epoch,
    /// The mark.
    pub low_water: Timestamp,
}

/// What a node tells about itself. What it has not told (yet, or legibly) is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Which life of the node this is about.
    pub incarnation: Incarnation,
    /// Where other nodes reach it, `host:port`.
    pub peer_address: Option<String>,
    /// Where key-value clients reach it.
    pub kv_address: Option<String>,
    /// Where SQL clients reach it.
    pub sql_address: Option<String>,
    /// Where HTTP clients reach it.
    pub http_address: Option<String>,
    /// Where it stands.
    pub zone: Option<String>,
    /// The topology that it works with.
    pub epoch: Option<Epoch>,
    /// How busy it is, in percent; above 100 requests queue up.
    pub load: Option<u32>,
    /// Its low-water mark.
    pub mark: Option<Mark>,
    /// The oldest snapshot that it is reading, from which on history is kept; [`Timestamp::MAX`] for none.
    pub snapshot: Option<Timestamp>,
    /// The version of its program.
    pub version: Option<String>,
}

/// A fact that was passed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFact {
    /// The text does not fit the key.
    #[error("the gossiped fact '{key}' cannot be read and is ignored; the sender may run another version")]
    Illegible {
        /// Which fact.
        key: &'static str,
    },
    /// Without an incarnation nobody knows which life of the node the facts are about.
    #[error("gossiped facts without an incarnation are ignored; they are used once it arrives")]
    NoIncarnation,
}

impl Facts {
    /// As text by key.
    #[must_use]
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        let text = |text: &Option<String>| text.clone();
        let mark = |mark: Mark| format!("{}:{:x}", mark.epoch.0, mark.low_water.0);
        let pairs = [
            (INCARNATION, Some(self.incarnation.0.to_string())),
            (PEER_ADDRESS, text(&self.peer_address)),
            (KV_ADDRESS, text(&self.kv_address)),
            (SQL_ADDRESS, text(&self.sql_address)),
            (HTTP_ADDRESS, text(&self.http_address)),
            (ZONE, text(&self.zone)),
            (EPOCH, self.epoch.map(|epoch| epoch.0.to_string())),
            (LOAD, self.load.as_ref().map(ToString::to_string)),
            (LOW_WATER, self.mark.map(mark)),
            (SNAPSHOT, self.snapshot.map(|at| format!("{:x}", at.0))),
            (VERSION, text(&self.version)),
        ];
        pairs.into_iter().filter_map(|(key, text)| Some((key, text?))).collect()
    }

    /// The facts of some text by key, and those that were passed over. Unknown keys are those of later
    /// versions, so they are no fault.
    ///
    /// # Errors
    /// [`BadFact`] if the incarnation is missing or illegible: then none of them can be used.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(Self, Vec<BadFact>), BadFact> {
        let (mut facts, mut bad, mut incarnation) = (Self::default(), Vec::new(), None);
        for (key, text) in pairs {
            let read = match key {
                INCARNATION => fill(&mut incarnation, INCARNATION, number(text)),
                PEER_ADDRESS => fill(&mut facts.peer_address, PEER_ADDRESS, short(text)),
                KV_ADDRESS => fill(&mut facts.kv_address, KV_ADDRESS, short(text)),
                SQL_ADDRESS => fill(&mut facts.sql_address, SQL_ADDRESS, short(text)),
                HTTP_ADDRESS => fill(&mut facts.http_address, HTTP_ADDRESS, short(text)),
                ZONE => fill(&mut facts.zone, ZONE, short(text)),
                EPOCH => fill(&mut facts.epoch, EPOCH, number(text).map(Epoch)),
                LOAD => fill(&mut facts.load, LOAD, number(text)),
                LOW_WATER => fill(&mut facts.mark, LOW_WATER, mark(text)),
                SNAPSHOT => fill(&mut facts.snapshot, SNAPSHOT, timestamp(text)),
                VERSION => fill(&mut facts.version, VERSION, short(text)),
                _ => Ok(()),
            };
            bad.extend(read.err());
        }
        facts.incarnation = incarnation.map(Incarnation).ok_or(BadFact::NoIncarnation)?;
        Ok((facts, bad))
    }

    /// Takes over what arrived about the same node. Facts of an earlier incarnation are dropped, those of a
    /// later one replace all; what the newer ones leave out of the same incarnation stays. Epoch and
    /// low-water mark never fall: they are durable, so they hold for every incarnation.
    pub fn merge(&mut self, arrived: Self) {
        let epoch = self.epoch.max(arrived.epoch);
        let mark = highest(self.mark, arrived.mark);
        if arrived.incarnation > self.incarnation {
            *self = arrived;
        } else if arrived.incarnation == self.incarnation {
            self.update(arrived);
        }
        (self.epoch, self.mark) = (epoch, mark);
    }

    fn update(&mut self, arrived: Self) {
        let replace = |old: &mut Option<String>, new: Option<String>| *old = new.or(old.take());
        replace(&mut self.peer_address, arrived.peer_address);
        replace(&mut self.kv_address, arrived.kv_address);
        replace(&mut self.sql_address, arrived.sql_address);
        replace(&mut self.http_address, arrived.http_address);
        replace(&mut self.zone, arrived.zone);
        replace(&mut self.version, arrived.version);
        self.load = arrived.load.or(self.load);
        self.snapshot = arrived.snapshot.or(self.snapshot);
    }
}

/// Both parts of a mark only grow, each for itself.
fn highest(one: Option<Mark>, other: Option<Mark>) -> Option<Mark> {
    let (Some(a), Some(b)) = (one, other) else { return one.or(other) };
    Some(Mark { epoch: a.epoch.max(b.epoch), low_water: a.low_water.max(b.low_water) })
}

fn fill<T>(fact: &mut Option<T>, key: &'static str, value: Option<T>) -> Result<(), BadFact> {
    *fact = Some(value.ok_or(BadFact::Illegible { key })?);
    Ok(())
}

/// A number in its one canonical form.
fn number<T: FromStr + Display>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}

fn short(text: &str) -> Option<String> {
    (1..=MAX_NAME_LEN).contains(&text.len()).then(|| text.to_owned())
}

fn mark(text: &str) -> Option<Mark> {
    let (epoch, low_water) = text.split_once(':')?;
    Some(Mark { epoch: Epoch(number(epoch)?), low_water: timestamp(low_water)? })
}

fn timestamp(text: &str) -> Option<Timestamp> {
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full() -> Facts {
        Facts {
            incarnation: Incarnation(3),
            peer_address: Some("10.0.0.1:7001".into()),
            kv_address: Some("10.0.0.1:6379".into()),
            sql_address: Some("10.0.0.1:5432".into()),
            http_address: Some("10.0.0.1:8080".into()),
            zone: Some("eu-1".into()),
            epoch: Some(Epoch(7)),
            load: Some(130),
            mark: Some(mark(7, 0xabc)),
            snapshot: Some(Timestamp(0xdef)),
            version: Some("0.1.0".into()),
        }
    }

    fn mark(epoch: u64, low_water: u64) -> Mark {
        Mark { epoch: Epoch(epoch), low_water: Timestamp(low_water) }
    }

    fn parse(pairs: &[(&str, &str)]) -> Result<(Facts, Vec<BadFact>), BadFact> {
        Facts::parse(pairs.iter().copied())
    }

    #[test]
    fn facts_survive_their_text_form() {
        for facts in [full(), Facts { incarnation: Incarnation(1), ..Facts::default() }] {
            let pairs = facts.to_pairs();
            let parsed = Facts::parse(pairs.iter().map(|(key, text)| (*key, text.as_str())));
            assert_eq!(parsed, Ok((facts, Vec::new())));
        }
        assert_eq!(full().to_pairs().len(), 11);
    }

    #[test]
    fn bad_facts_are_named_and_the_rest_is_used() {
        let long = "x".repeat(MAX_NAME_LEN + 1);
        let pairs = [
            ("incarnation", "2"),
            ("epoch", "-1"),
            ("load", "99999999999"),
            ("low_water", "1"),
            ("zone", ""),
            ("version", long.as_str()),
            ("kv_address", "h:1"),
            ("something_new", "1"),
        ];
        let (facts, bad) = parse(&pairs).unwrap();
        assert_eq!(facts.kv_address.as_deref(), Some("h:1"));
        let keys = ["epoch", "load", "low_water", "zone", "version"];
        assert_eq!(bad, keys.map(|key| BadFact::Illegible { key }));
        for text in ["", ":", "1:", ":1", "1:g", "1:+1", "+1:1", "1:1:1", "1:11112222333344445"] {
            let (facts, bad) = parse(&[("incarnation", "2"), ("low_water", text)]).unwrap();
            assert_eq!((facts.mark, bad.len()), (None, 1), "{text}");
        }
    }

    #[test]
    fn nothing_is_known_without_an_incarnation() {
        assert_eq!(parse(&[("zone", "a")]), Err(BadFact::NoIncarnation));
        assert_eq!(parse(&[("zone", "a"), ("incarnation", "4294967296")]), Err(BadFact::NoIncarnation));
    }

    #[test]
    fn a_later_incarnation_replaces_but_marks_never_fall() {
        let mut known = full();
        known.merge(Facts {
            incarnation: Incarnation(4),
            mark: Some(mark(6, 0xfff)),
            load: Some(1),
            ..Facts::default()
        });
        let expected = Facts {
            incarnation: Incarnation(4),
            load: Some(1),
            epoch: Some(Epoch(7)),
            mark: Some(mark(7, 0xfff)),
            ..Facts::default()
        };
        assert_eq!(known, expected);
    }

    #[test]
    fn an_earlier_incarnation_is_dropped() {
        let mut known = full();
        known.merge(Facts { incarnation: Incarnation(2), load: Some(1), zone: Some("old".into()), ..Facts::default() });
        assert_eq!(known, full());
    }

    #[test]
    fn the_same_incarnation_updates_what_it_tells() {
        let mut known = full();
        known.merge(Facts {
            incarnation: Incarnation(3),
            load: Some(20),
            mark: Some(mark(7, 1)),
            epoch: Some(Epoch(8)),
            ..Facts::default()
        });
        assert_eq!(known, Facts { load: Some(20), epoch: Some(Epoch(8)), ..full() });
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_alike(key in "incarnation|epoch|load|low_water|zone", text in "[0-9a-f:+ -]{0,24}") {
            let pairs = [("incarnation", "1"), (key.as_str(), text.as_str())];
            if let Ok((facts, bad)) = Facts::parse(pairs) && bad.is_empty() {
                let written = facts.to_pairs();
                let pairs = written.iter().map(|(key, text)| (*key, text.as_str()));
                prop_assert_eq!(Facts::parse(pairs), Ok((facts.clone(), Vec::new())));
            }
        }
    }
}
