//! Loads: rows written by transactions of their own into a generation of a table's data that nobody sees before the
//! load's transaction commits. So there may be any number of them.
//!
//! A record in the catalog stands for each load, from before its first row on until it commits. Everything that the load
//! writes demands that the record is as it was: no two loads write into one generation, and whoever changes the record
//! has stopped the load, so that its rows can be deleted. That happens when its transaction has ended without a commit,
//! and to a load that nobody has ended for [`LONGEST`].
//!
//! Generations have the numbers that edits give them; but those of edits that were not committed are given again. So a
//! load has a number of its own: that of its edit, and above it, in [`ATTEMPT`]'s bits, the first for which there is no
//! record. Numbers that were never loaded into have none of these bits.

use annulus_base::time::Micros;
use annulus_base::{KeyRange, Timestamp};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Database, Place, TxnError, When};
use wincode::{SchemaRead, SchemaWrite};

use super::garbage::Garbage;
use super::loaded::Catalog;
use super::{ObjectId, record};
use crate::error::{SqlError, SqlState};
use crate::failure::Outcome;
use crate::transaction::{Mode, Transaction};

/// How long a load may take, microseconds: a day.
pub const LONGEST: Micros = 24 * 3_600 * 1_000_000;

/// Where in a generation's number stands which load it is, of those whose edits gave the same number.
const ATTEMPT: u32 = 28;
/// How many there are.
const ATTEMPTS: u32 = 1 << (u32::BITS - ATTEMPT);

/// The number of a generation into which nothing is loaded.
pub(super) const fn plain_generation(number: u32) -> u32 {
    number & ((1 << ATTEMPT) - 1)
}

/// A load's record.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(super) struct Loading {
    /// When it began, microseconds.
    begun: Micros,
    /// Whether it was stopped.
    stopped: bool,
    /// Its rows, and how many of them were deleted since.
    pub(super) rows: Garbage,
}

impl Loading {
    /// Whether nothing of it is written any more, or must be.
    pub(super) const fn is_over(&self, now: Timestamp) -> bool {
        self.stopped || now.micros() > self.begun.saturating_add(LONGEST)
    }

    pub(super) const fn stop(&mut self) {
        self.stopped = true;
    }
}

/// A load under way.
#[derive(Clone, Debug)]
pub struct Load {
    table: ObjectId,
    generation: u32,
    place: Place,
    stamp: Stamp,
    record: Loading,
}

impl Load {
    /// Begins a load into a new generation of a table's data, for a transaction that began with this catalog. `number` is
    /// what its edit gives that generation.
    ///
    /// # Errors
    /// `55000` if too many loads into the table were given up, and every [`TxnError`]; a conflict means that the catalog
    /// is another one now.
    pub async fn begin<D: Database>(
        db: &D,
        catalog: &Catalog,
        (table, number): (ObjectId, u32),
        patience: Micros,
    ) -> Outcome<Self> {
        let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
        let generations = (1..ATTEMPTS).map(|attempt| (attempt << ATTEMPT) | plain_generation(number));
        let places: Vec<Place> = generations.clone().map(|number| catalog.home().load(table, number)).collect();
        let known = transaction.get(&places, patience).await?;
        let mut free = generations.zip(places).zip(known).filter(|(_, known)| known.is_none());
        let ((generation, place), _) = free.next().ok_or_else(too_many)?;
        let rows = Garbage::of_generation(table, generation);
        let record = Loading { begun: transaction.start().micros(), stopped: false, rows };
        // Whoever has loaded into it and committed has changed the catalog.
        catalog.expect_unchanged(&mut transaction);
        transaction.put(place.clone(), record::encode(&record));
        transaction.commit(patience).await?;
        let seen = db.read(vec![place.clone()], When::Latest, patience).await?.into_iter().next();
        match seen.filter(|seen| seen.value.is_some()) {
            Some(seen) => Ok(Self { table, generation, place, stamp: seen.stamp, record }),
            None => Err(TxnError::Conflict(place.key).into()),
        }
    }

    /// The number of its generation.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether it is into this generation of this table's data.
    #[must_use]
    pub fn is_into(&self, table: ObjectId, generation: u32) -> bool {
        (self.table, self.generation) == (table, generation)
    }

    /// Demands at commit that it was not stopped: for all that writes its rows.
    pub fn expect<D: Database>(&self, transaction: &mut Transaction<D>) {
        transaction.expect(self.place.clone(), self.stamp);
    }

    /// Where its rows are, in all partitions.
    #[must_use]
    pub fn range(&self) -> KeyRange {
        self.record.rows.range()
    }

    /// Ends it as a part of its transaction, which leaves this catalog.
    pub fn end<D: Database>(&self, transaction: &mut Transaction<D>, catalog: &Catalog) {
        self.expect(transaction);
        let own = catalog.table_by_id(self.table).map(|table| table.generations());
        match own.is_some_and(|generations| generations.contains(&self.generation)) {
            true => transaction.delete(self.place.clone()),
            // The table was dropped or truncated after it.
            false => transaction.put(self.place.clone(), self.stopped()),
        }
    }

    fn stopped(&self) -> bytes::Bytes {
        record::encode(&Loading { stopped: true, ..self.record.clone() })
    }

    /// Stops it, unless it has ended.
    ///
    /// # Errors
    /// Every [`TxnError`] but a conflict, which means that it has ended.
    pub async fn stop<D: Database>(&self, db: &D, patience: Micros) -> Result<(), TxnError> {
        let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
        self.expect(&mut transaction);
        transaction.put(self.place.clone(), self.stopped());
        match transaction.commit(patience).await {
            Ok(_) | Err(TxnError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn too_many() -> SqlError {
    let message = "rows of too many loads into the table that were given up are still to be deleted";
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).hint("Retry later.")
}
