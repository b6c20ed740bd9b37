//! Loads: rows written by transactions of their own into a generation of a table's data that nobody sees before the
//! load's transaction commits. So there may be any number of them.
//!
//! A record in the catalog stands for each load, from before its first row on until it commits. Everything that the load
//! writes demands that the record is as it was: no two loads write into one generation, and whoever changes the record
//! has stopped the load, so that its rows can be deleted. That happens when its transaction has ended without a commit,
//! and to a load that nobody has ended for [`LONGEST`].

use annulus_base::time::Micros;
use annulus_base::{KeyRange, Timestamp};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Database, Place, TxnError, When};
use wincode::{SchemaRead, SchemaWrite};

use super::garbage::Garbage;
use super::home::Home;
use super::loaded::Catalog;
use super::{ObjectId, numbers, record};
use crate::failure::Outcome;
use crate::transaction::{Mode, Transaction};

/// How long a load may take, microseconds: a day.
pub const LONGEST: Micros = 24 * 3_600 * 1_000_000;

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
    place: Place,
    stamp: Stamp,
    record: Loading,
}

impl Load {
    /// Begins a load into a new generation of a table's data.
    ///
    /// # Errors
    /// `XX001` if a record is damaged, and every [`TxnError`].
    pub async fn begin<D: Database>(db: &D, home: &Home, table: ObjectId, patience: Micros) -> Outcome<Self> {
        let start = db.begin();
        loop {
            let mut transaction = Transaction::new(db.clone(), Mode::Statement, start);
            let generation = numbers::take(&mut transaction, home, 1, patience).await?;
            let (place, rows) = (home.load(table, generation), Garbage::of_generation(table, generation));
            let record = Loading { begun: start.micros(), stopped: false, rows };
            transaction.put(place.clone(), record::encode(&record));
            match transaction.commit(patience).await {
                // Somebody else was faster; or there may be a load by now that nobody knows of, and that ends some day.
                Err(TxnError::Conflict(_) | TxnError::Unknown(_)) => continue,
                committed => committed?,
            };
            let seen = db.read(vec![place.clone()], When::Latest, patience).await?.into_iter().next();
            return match seen.filter(|seen| seen.value.is_some()) {
                Some(seen) => Ok(Self { place, stamp: seen.stamp, record }),
                None => Err(TxnError::Conflict(place.key).into()),
            };
        }
    }

    /// The number of its generation.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.record.rows.generation()
    }

    /// Whether it is into this generation of this table's data.
    #[must_use]
    pub fn is_into(&self, table: ObjectId, generation: u32) -> bool {
        (self.record.rows.table(), self.generation()) == (table, generation)
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
        let own = catalog.table_by_id(self.record.rows.table()).map(|table| table.generations());
        match own.is_some_and(|generations| generations.contains(&self.generation())) {
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
