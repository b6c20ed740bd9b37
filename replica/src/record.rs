//! What a replica writes to its vote log, and replays after a restart.

use std::sync::Arc;

use annulus_base::id::TxnRef;
use annulus_base::{Ballot, Key, PartitionId, Timestamp};
use wincode::{SchemaRead, SchemaWrite};

use crate::message::{Outcome, Prepare};
use crate::store::{Placed, Stamp};

/// One durable fact. The order of records is the order in which they became true.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Record {
    /// A YES vote: the locks and writes of a transaction, held until it is decided.
    Vote(Arc<Prepare>),
    /// No ballot below this one is answered any more. `refused`: a later Prepare is voted NO.
    Promise {
        /// The transaction.
        txn: TxnRef,
        /// The smallest ballot still answered.
        ballot: Ballot,
        /// Whether there was no YES vote when promising, so that there never will be one.
        refused: bool,
    },
    /// An accepted outcome (at the anchor).
    Accept {
        /// The transaction.
        txn: TxnRef,
        /// The ballot it was proposed with.
        ballot: Ballot,
        /// The proposal.
        outcome: Outcome,
    },
    /// The outcome. `writes` are those of a transaction that never prepared here.
    Decision {
        /// The transaction.
        txn: TxnRef,
        /// Its outcome.
        outcome: Outcome,
        /// Versions to apply that no vote record here holds.
        writes: Vec<Placed>,
    },
    /// Versions received by repair, already decided elsewhere.
    Repaired(Vec<Placed>),
    /// No answer is given above this timestamp until a later fence.
    Fence(Timestamp),
    /// The node's low-water mark and the minimum over all members, below which decisions are forgotten.
    Marks {
        /// Nothing undecided of this node lies at or below.
        low_water: Timestamp,
        /// Decisions at or below may be forgotten.
        forgotten: Timestamp,
    },
    /// Writes at or below are refused: tombstones up to here were purged.
    Floor(Timestamp),
    /// Tombstones that every replica has: each goes, with every older version of its key.
    Purged {
        /// Where.
        partition: PartitionId,
        /// Each key with its tombstone.
        tombstones: Vec<(Key, Stamp)>,
    },
}
