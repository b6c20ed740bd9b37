//! Looks gossip messages through before the gossip library sees them.
//!
//! chitchat trusts its peers: small messages can unpack to gigabytes, made-up nodes stay in every later
//! message, and some values make it panic. So only what an honest node of this cluster can say passes:
//! facts of members, by short keys, without deletions, in plausible versions and bounded numbers, and
//! never something about this node's own present life.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use annulus_base::NodeId;
use chitchat::{ChitchatId, Deserializable};

use super::label::{self, Life};

/// chitchat's own bound: what fits a datagram.
pub(super) const MAX_MESSAGE_LEN: usize = 65_507;
const MAGIC: u16 = 45_139;
const FORMAT: u8 = 0;
const MAX_KEY_LEN: usize = 64;
const MAX_VALUE_LEN: usize = 512;
/// Most facts of one life of a node.
const MAX_FACTS: usize = 64;
/// Most lives of nodes that are known at a time: their digest must leave room in a message.
const MAX_LIVES: usize = 1_000;
/// Far more than a node reaches in its life, and far from overflowing.
const MAX_COUNTER: u64 = 1 << 48;
/// Largest unpacked list of changes, bytes.
const MAX_UNPACKED: usize = 1 << 20;
/// chitchat packs at most this much into one block, bytes.
const MAX_BLOCK: usize = 65_535;

/// Why a gossip message was not listened to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGossip {
    /// The bytes do not follow the format.
    #[error("the message is not in the gossip format: {0}")]
    Malformed(String),
    /// Larger than any honest one.
    #[error("the message is too large: more than {0} bytes")]
    TooLarge(usize),
    /// About somebody who is not in the topology.
    #[error("the message is about '{0}', which is not a member of this cluster")]
    Stranger(String),
    /// Tells this node about itself.
    #[error("the message claims to know this node better than itself; is its id used twice?")]
    AboutMe,
    /// A value that no honest node reaches or uses.
    #[error("the message holds an impossible value: {0}")]
    Impossible(&'static str),
    /// More nodes or facts than there can be.
    #[error("the message names more {0} than there can be")]
    TooMany(&'static str),
}

/// What one life of a node has been seen to tell.
#[derive(Debug)]
struct Seen {
    mentioned: Instant,
    keys: BTreeSet<String>,
}

/// Remembers just enough to keep numbers bounded.
#[derive(Debug)]
pub(super) struct Screen {
    me: NodeId,
    my_life: Life,
    members: BTreeSet<NodeId>,
    /// After this long unmentioned a life is forgotten; by then chitchat has, too.
    memory: Duration,
    lives: BTreeMap<(NodeId, Life), Seen>,
}

type Checked<T> = Result<T, BadGossip>;

impl Screen {
    pub(super) fn new(me: NodeId, my_life: Life, members: BTreeSet<NodeId>, memory: Duration) -> Self {
        Self { me, my_life, members, memory, lives: BTreeMap::new() }
    }

    /// This node's gossip library was started anew.
    pub(super) fn reborn(&mut self, my_life: Life) {
        self.my_life = my_life;
    }

    /// Whether the message may be listened to.
    pub(super) fn check(&mut self, now: Instant, message: &[u8]) -> Checked<()> {
        if message.len() > MAX_MESSAGE_LEN {
            return Err(BadGossip::TooLarge(MAX_MESSAGE_LEN));
        }
        let mut rest = message;
        if take::<u16>(&mut rest)? != MAGIC || take::<u8>(&mut rest)? != FORMAT {
            return Err(BadGossip::Malformed("it does not begin as one".into()));
        }
        match take::<u8>(&mut rest)? {
            0 => {
                self.check_digest(now, &mut rest)?;
                take::<String>(&mut rest)?;
            }
            1 => {
                self.check_digest(now, &mut rest)?;
                self.check_changes(now, &unpack(&mut rest)?)?;
            }
            2 => self.check_changes(now, &unpack(&mut rest)?)?,
            3 => {}
            kind => return Err(BadGossip::Malformed(format!("unknown kind {kind}"))),
        }
        if rest.is_empty() { Ok(()) } else { Err(BadGossip::Malformed("it does not end in time".into())) }
    }

    fn check_digest(&mut self, now: Instant, rest: &mut &[u8]) -> Checked<()> {
        for _ in 0..take::<u16>(rest)? {
            self.admit(now, &take(rest)?)?;
            counter(take(rest)?)?;
            nothing_deleted(take(rest)?)?;
            counter(take(rest)?)?;
        }
        Ok(())
    }

    fn check_changes(&mut self, now: Instant, unpacked: &[u8]) -> Checked<()> {
        let mut rest = unpacked;
        let mut about = None;
        while !rest.is_empty() {
            match take::<u8>(&mut rest)? {
                0 => {
                    let life = self.admit(now, &take(&mut rest)?)?;
                    if life.0 == self.me && life.1 >= self.my_life {
                        return Err(BadGossip::AboutMe);
                    }
                    nothing_deleted(take(&mut rest)?)?;
                    counter(take(&mut rest)?)?;
                    about = Some(life);
                }
                1 => {
                    let life = about.ok_or_else(|| BadGossip::Malformed("a fact about nobody".into()))?;
                    let (key, value) = (take(&mut rest)?, take::<String>(&mut rest)?);
                    self.admit_fact(life, key, &value)?;
                    counter(take(&mut rest)?)?;
                    if take::<u8>(&mut rest)? != 0 {
                        return Err(BadGossip::Impossible("a deleted fact"));
                    }
                }
                2 => return Err(BadGossip::Impossible("versions without facts")),
                kind => return Err(BadGossip::Malformed(format!("unknown change {kind}"))),
            }
        }
        Ok(())
    }

    fn admit(&mut self, now: Instant, id: &ChitchatId) -> Checked<(NodeId, Life)> {
        let known = label::read(id).filter(|(node, _)| self.members.contains(node));
        let Some(life) = known else {
            return Err(BadGossip::Stranger(id.node_id.chars().take(MAX_KEY_LEN).collect()));
        };
        if life.0 == self.me && life.1 > self.my_life {
            return Err(BadGossip::AboutMe);
        }
        if let Some(seen) = self.lives.get_mut(&life) {
            seen.mentioned = now;
            return Ok(life);
        }
        if self.lives.len() >= MAX_LIVES {
            self.lives.retain(|_, seen| now.duration_since(seen.mentioned) < self.memory);
        }
        if self.lives.len() >= MAX_LIVES {
            return Err(BadGossip::TooMany("lives of nodes"));
        }
        self.lives.insert(life, Seen { mentioned: now, keys: BTreeSet::new() });
        Ok(life)
    }

    fn admit_fact(&mut self, life: (NodeId, Life), key: String, value: &str) -> Checked<()> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=MAX_KEY_LEN).contains(&key.len()) || !key.bytes().all(plain) {
            return Err(BadGossip::Impossible("the name of a fact"));
        }
        if value.len() > MAX_VALUE_LEN {
            return Err(BadGossip::Impossible("a long fact"));
        }
        let Some(seen) = self.lives.get_mut(&life) else { return Ok(()) };
        if seen.keys.len() >= MAX_FACTS && !seen.keys.contains(&key) {
            return Err(BadGossip::TooMany("facts"));
        }
        seen.keys.insert(key);
        Ok(())
    }
}

fn take<T: Deserializable>(rest: &mut &[u8]) -> Checked<T> {
    T::deserialize(rest).map_err(|error| BadGossip::Malformed(error.to_string()))
}

fn counter(value: u64) -> Checked<()> {
    if value <= MAX_COUNTER { Ok(()) } else { Err(BadGossip::Impossible("a huge counter")) }
}

/// Facts are never deleted, so nothing was ever collected as garbage.
fn nothing_deleted(last_collected: u64) -> Checked<()> {
    if last_collected == 0 { Ok(()) } else { Err(BadGossip::Impossible("facts deleted")) }
}

/// Unpacks chitchat's compressed list of changes: blocks of a kind, a length and content.
fn unpack(rest: &mut &[u8]) -> Checked<Vec<u8>> {
    let mut unpacked = Vec::new();
    loop {
        let kind = take::<u8>(rest)?;
        if kind == 0 {
            return Ok(unpacked);
        }
        let len = usize::from(take::<u16>(rest)?);
        let block = rest.split_off(..len).ok_or_else(|| BadGossip::Malformed("a block is cut short".into()))?;
        match kind {
            1 => {
                let plain = zstd::bulk::decompress(block, MAX_BLOCK);
                unpacked.extend(plain.map_err(|error| BadGossip::Malformed(error.to_string()))?);
            }
            2 => unpacked.extend_from_slice(block),
            kind => return Err(BadGossip::Malformed(format!("unknown block {kind}"))),
        }
        if unpacked.len() > MAX_UNPACKED {
            return Err(BadGossip::TooLarge(MAX_UNPACKED));
        }
    }
}

/// A message from outside: through the screen, and what passes through the library's reader.
///
/// # Errors
/// Why it is not listened to.
#[cfg(any(test, fuzzing))]
pub(crate) fn try_message(message: &[u8]) -> Checked<()> {
    let (life, members) = (Life::first(annulus_base::Incarnation(5)), (1..=3).map(NodeId).collect());
    Screen::new(NodeId(1), life, members, Duration::from_secs(60)).check(Instant::now(), message)?;
    let read = chitchat::ChitchatMessage::deserialize(&mut &message[..]);
    read.map(drop).map_err(|error| BadGossip::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests;
