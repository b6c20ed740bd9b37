//! How the nodes named by `--initial-members` agree on the first topology.
//!
//! Every node tells the others who it is: its address, weight, zone, a random nonce, and a digest of the
//! settings that must be equal everywhere. Whoever knows all members computes the genesis from them,
//! **confirms** it durably, and tells its digest. The genesis is **decided** once all have confirmed it.
//!
//! Invariants:
//! - A node confirms one genesis in its life, durably, before it tells anybody. As deciding takes the
//!   confirmation of all, no two geneses are ever decided, whatever is lost, repeated or restarted.
//! - What is decided stays decided: a restarted node finds it in what it saved.
//! - A node whose disk was lost in the middle comes back with another nonce, so with another genesis: it
//!   and the others wait, and say why, instead of mixing two clusters.
//! - A node whose disk was lost after the decision learns so from the first who has decided, and gives up: it
//!   must not vote as if it had never promised anything.
//!
//! The first member to learn that all confirmed may decide and go on alone; it keeps answering those
//! that are still behind, and its word is enough for them.

use std::collections::BTreeMap;

use annulus_base::time::{MILLISECOND, Micros};
use annulus_base::{NodeId, Now};

mod genesis;
mod message;
#[cfg(test)]
mod tests;

pub use genesis::{Digest, Settings};
pub use message::{BootstrapError, Effects, Identity, Input, Message, Problem, Saved};

use crate::record::TopologyRecord;

/// How often an undecided node tells its state to all others.
const RESEND_EVERY: Micros = 200 * MILLISECOND;

/// Strangers are without number: no more of them are told about than this.
const MAX_REPORTED: usize = 100;

/// One node's part in forming a cluster. Kept after the decision, to answer those that are behind.
#[derive(Debug)]
pub struct Bootstrap {
    settings: Settings,
    saved: Saved,
    /// The last word of each other member, by address.
    peers: BTreeMap<String, Message>,
    /// The last problem told about each address, so that it is told once.
    reported: BTreeMap<String, Problem>,
    next_send: Micros,
    /// The member that has decided what this node would have had to confirm, and does not know.
    forgot: Option<String>,
    /// Whether `saved` differs from what was handed out to be stored.
    unsaved: bool,
    /// Whether the decision was handed out since the start.
    announced: bool,
}

impl Bootstrap {
    /// Begins, or goes on from what was saved before a restart. `nonce` is a fresh random number.
    ///
    /// A node that has confirmed nothing yet may come back with other settings; for one that has decided
    /// they no longer matter.
    ///
    /// # Errors
    /// [`BootstrapError`] when the settings cannot make a cluster, or differ from what this node confirmed.
    pub fn start(mut settings: Settings, saved: Option<Saved>, nonce: u128) -> Result<Self, BootstrapError> {
        match saved.as_ref().filter(|saved| saved.decided).and_then(|saved| saved.confirmed.as_ref()) {
            Some(genesis) => settings.initial_members = addresses(genesis),
            None => {
                settings.initial_members.sort_unstable();
                settings.check()?;
            }
        }
        let fresh = settings.identity(nonce);
        let (saved, unsaved) = match saved {
            Some(saved) if saved.decided || saved.identity == settings.identity(saved.identity.nonce) => (saved, false),
            Some(saved) if saved.confirmed.is_some() => return Err(BootstrapError::SettingsChanged),
            _ => (Saved { identity: fresh, confirmed: None, decided: false }, true),
        };
        let (peers, reported) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { settings, saved, peers, reported, next_send: 0, forgot: None, unsaved, announced: false })
    }

    /// Takes the time and what happened; call it at least every 100 ms until the decision.
    pub fn step(&mut self, now: Now, input: Input) -> Effects {
        let mut effects = Effects::default();
        if let Input::Received(message) = input {
            self.receive(message, &mut effects);
        }
        let news = self.confirm(&mut effects) | self.decide();
        if news || (!self.saved.decided && now.steady >= self.next_send) {
            self.next_send = now.steady.saturating_add(RESEND_EVERY);
            self.tell_all(&mut effects);
        }
        if std::mem::take(&mut self.unsaved) {
            effects.save = Some(self.saved.clone());
        }
        if self.saved.decided && !std::mem::replace(&mut self.announced, true) {
            effects.decided.clone_from(&self.saved.confirmed);
        }
        effects
    }

    /// This node's number and the genesis, once decided.
    #[must_use]
    pub fn decided(&self) -> Option<(NodeId, &TopologyRecord)> {
        let record = self.saved.confirmed.as_ref().filter(|_| self.saved.decided)?;
        let own = record.members.iter().find(|member| member.peer_address == self.saved.identity.address)?;
        Some((own.id, record))
    }

    /// A member that belongs to a cluster which was formed with this node, of which this node knows nothing: its
    /// data was lost. It can never become part of the cluster again as it is.
    #[must_use]
    pub fn forgot(&self) -> Option<&str> {
        self.forgot.as_deref()
    }

    /// The members without whose word this node cannot go on.
    pub fn waiting_for(&self) -> impl Iterator<Item = &str> {
        let digest = self.confirmed();
        let waiting = move |address: &str| match (self.peers.get(address), digest) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(peer), Some(_)) => peer.confirmed != digest,
        };
        self.others().filter(move |address| !self.saved.decided && waiting(address))
    }

    fn receive(&mut self, message: Message, effects: &mut Effects) {
        let address = message.identity.address.clone();
        if let Some(problem) = self.problem_with(&message) {
            self.report(&address, problem, effects);
        }
        if address == self.saved.identity.address || !self.settings.initial_members.contains(&address) {
            return;
        }
        if message.decided && !self.saved.decided && self.confirmed() != message.confirmed {
            // Deciding took the confirmation of all.
            self.forgot.get_or_insert_with(|| address.clone());
        }
        if self.saved.decided && !message.decided {
            effects.send.push((address.clone(), self.state()));
        }
        if message.identity.settings == self.saved.identity.settings {
            self.peers.insert(address, message);
        }
    }

    /// Why the sender and this node cannot form a cluster together.
    fn problem_with(&self, message: &Message) -> Option<Problem> {
        let (own, other) = (&self.saved.identity, &message.identity);
        if other.address == own.address {
            return (other != own).then_some(Problem::SameAddress);
        }
        if !self.settings.initial_members.contains(&other.address) {
            return Some(Problem::Stranger);
        }
        if self.saved.decided {
            return None;
        }
        if other.settings != own.settings {
            return Some(Problem::OtherSettings);
        }
        let contradiction = self.confirmed().is_some() && message.confirmed.is_some();
        (contradiction && self.confirmed() != message.confirmed).then_some(Problem::OtherGenesis)
    }

    /// Confirms the genesis once all members are known and none has confirmed another one.
    fn confirm(&mut self, effects: &mut Effects) -> bool {
        if self.saved.confirmed.is_some() || self.peers.len() != self.others().count() {
            return false;
        }
        let identities = self.peers.values().map(|peer| &peer.identity).chain([&self.saved.identity]);
        let genesis = match genesis::compute(identities, &self.settings.namespaces) {
            Ok(genesis) => genesis,
            Err(error) => {
                let own = self.saved.identity.address.clone();
                self.report(&own, Problem::Invalid(error), effects);
                return false;
            }
        };
        let digest = Some(Digest::of(&genesis));
        let other = self.peers.values().find(|peer| peer.confirmed.is_some() && peer.confirmed != digest);
        if let Some(address) = other.map(|peer| peer.identity.address.clone()) {
            self.report(&address, Problem::OtherGenesis, effects);
            return false;
        }
        self.saved.confirmed = Some(genesis);
        self.unsaved = true;
        true
    }

    /// Decides once all members have confirmed, or one has decided, what this node has confirmed.
    fn decide(&mut self) -> bool {
        let Some(digest) = self.confirmed().filter(|_| !self.saved.decided) else { return false };
        let same = |peer: &&Message| peer.confirmed == Some(digest);
        let confirmed = self.peers.values().filter(same).count();
        if confirmed < self.others().count() && !self.peers.values().filter(same).any(|peer| peer.decided) {
            return false;
        }
        self.saved.decided = true;
        self.unsaved = true;
        true
    }

    fn report(&mut self, address: &str, problem: Problem, effects: &mut Effects) {
        let known = self.reported.contains_key(address) || self.settings.initial_members.iter().any(|m| m == address);
        let told = self.reported.get(address) == Some(&problem);
        if told || (!known && self.reported.len() >= MAX_REPORTED) {
            return;
        }
        self.reported.insert(address.to_owned(), problem.clone());
        effects.problems.push((address.to_owned(), problem));
    }

    fn tell_all(&self, effects: &mut Effects) {
        let state = self.state();
        effects.send.extend(self.others().map(|address| (address.to_owned(), state.clone())));
    }

    fn state(&self) -> Message {
        let (identity, decided) = (self.saved.identity.clone(), self.saved.decided);
        Message { identity, confirmed: self.confirmed(), decided }
    }

    fn confirmed(&self) -> Option<Digest> {
        self.saved.confirmed.as_ref().map(Digest::of)
    }

    fn others(&self) -> impl Iterator<Item = &str> {
        let members = self.settings.initial_members.iter().map(String::as_str);
        members.filter(|address| *address != self.saved.identity.address)
    }
}

fn addresses(record: &TopologyRecord) -> Vec<String> {
    record.members.iter().map(|member| member.peer_address.clone()).collect()
}
