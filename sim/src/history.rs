//! What clients asked and what they were told, with the versions they saw.
//!
//! Every request is an entry of its own: a read at one instant, or a commit that validates versions and
//! writes others. An entry that was never answered, or answered "unknown", may take effect at any time.

use annulus_base::time::Micros;
use annulus_base::{Timestamp, TxnId};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Commit, Place, RangeCheck, Seen, SeenRange, When};

/// An entry's position in the history.
pub type EntryId = u64;

/// What was asked.
#[derive(Clone, Debug)]
pub enum Call {
    /// Keys, read at one instant.
    Read(Vec<Place>, When),
    /// Ranges, read at one instant.
    Scan(When),
    /// A commit.
    Commit(Commit),
    /// Several requests of one client, which are one transaction.
    Together,
}

/// What was learned of it.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Nothing: it may have happened, and may still.
    Unknown,
    /// It certainly had no effect.
    Failed,
    /// The keys read, in the order asked.
    Read(Vec<Seen>),
    /// The ranges read.
    Scanned(Vec<SeenRange>),
    /// These versions of keys, and in ranges, at one instant: for [`Call::Together`].
    Saw(Vec<(Place, Stamp)>, Vec<RangeCheck>),
    /// It committed, as this transaction at this timestamp.
    Committed(TxnId, Timestamp),
}

/// One request of one client.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who asked.
    pub client: usize,
    /// What.
    pub call: Call,
    /// When, in virtual time and by the order of all events of the history.
    pub invoked: (Micros, u64),
    /// When the outcome was learned.
    pub returned: Option<(Micros, u64)>,
    /// The outcome.
    pub outcome: Outcome,
}

impl Entry {
    /// Before which event its effect certainly lies, if it has one.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.returned.map_or(u64::MAX, |(_, event)| event)
    }
}

/// All requests of a run.
#[derive(Debug, Default)]
pub struct History {
    /// In the order of their invocation.
    pub entries: Vec<Entry>,
    events: u64,
}

impl History {
    fn moment(&mut self, time: Micros) -> (Micros, u64) {
        self.events += 1;
        (time, self.events)
    }

    /// The id that the next entry will have.
    #[must_use]
    pub fn next_id(&self) -> EntryId {
        self.entries.len() as EntryId
    }

    /// A client asks.
    pub fn invoke(&mut self, client: usize, call: Call, time: Micros) -> EntryId {
        let invoked = self.moment(time);
        self.entries.push(Entry { client, call, invoked, returned: None, outcome: Outcome::Unknown });
        self.next_id() - 1
    }

    /// The outcome is learned.
    pub fn end(&mut self, id: EntryId, outcome: Outcome, time: Micros) {
        let returned = self.moment(time);
        let entry = &mut self.entries[id as usize];
        entry.returned = Some(returned);
        entry.outcome = outcome;
    }

    /// The entry of that id.
    #[must_use]
    pub fn get(&self, id: EntryId) -> &Entry {
        &self.entries[id as usize]
    }
}
