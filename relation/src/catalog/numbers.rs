//! Numbers apart from those of the catalog's root: for what changes no more of the catalog than its own, which then waits
//! for nobody else's changes.
//!
//! A counter of their own gives them, by a transaction of its own. What is taken and not used is not given again, until
//! the counter has been through two billion of them. Their highest bit tells them from the root's.

use std::cell::Cell;
use std::rc::Rc;

use annulus_base::time::Micros;
use annulus_txn::interface::{Database, TxnError};

use super::home::{Home, Kind};
use super::record;
use crate::failure::Outcome;
use crate::transaction::{Mode, Transaction};

/// What these numbers have in common.
const TAKEN: u32 = 1 << 31;
/// How many are taken when there are too few.
const MANY: u32 = 1_000;

/// A number of the root's.
pub(super) const fn plain(number: u32) -> u32 {
    number & !TAKEN
}

/// Takes so many numbers, in a transaction of its own: the first of them. They are given to nobody else, whatever becomes
/// of them.
///
/// # Errors
/// `XX001` if a record is damaged, and every [`TxnError`].
pub async fn take_numbers<D: Database>(db: &D, home: &Home, count: usize, patience: Micros) -> Outcome<u32> {
    let start = db.begin();
    loop {
        let mut transaction = Transaction::new(db.clone(), Mode::Statement, start);
        let first = take(&mut transaction, home, count, patience).await?;
        match transaction.commit(patience).await {
            // Somebody else was faster; or it is unknown whether the numbers are taken: others are as good.
            Err(TxnError::Conflict(_) | TxnError::Unknown(_)) => {}
            committed => return Ok(committed.map(|_| first)?),
        }
    }
}

/// Takes so many numbers as a part of `transaction`.
pub(super) async fn take<D: Database>(
    transaction: &mut Transaction<D>,
    home: &Home,
    count: usize,
    patience: Micros,
) -> Outcome<u32> {
    let place = home.record(Kind::Numbers, 0);
    let next: u32 = match transaction.get(std::slice::from_ref(&place), patience).await?.into_iter().flatten().next() {
        Some(bytes) => record::decode(&place.key, &bytes)?,
        None => 0,
    };
    let after = next.wrapping_add(u32::try_from(count).unwrap_or(u32::MAX));
    transaction.put(place, record::encode(&plain(after)));
    Ok(next | TAKEN)
}

/// Numbers that were taken, for all who change the catalog of one database.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// The next one, and how many there are.
    rest: Rc<Cell<(u32, u32)>>,
}

impl Numbers {
    /// Sees to it that there are at least so many.
    ///
    /// # Errors
    /// As [`take_numbers`].
    pub async fn fill<D: Database>(&self, db: &D, home: &Home, least: u32, patience: Micros) -> Outcome<()> {
        if self.left() < least {
            let count = least.max(MANY);
            let first = take_numbers(db, home, count as usize, patience).await?;
            self.rest.set((first, count));
        }
        Ok(())
    }

    /// How many there are.
    pub(super) fn left(&self) -> u32 {
        self.rest.get().1
    }

    /// The next one, which nobody else is given.
    pub(super) fn draw(&self) -> Option<u32> {
        let (next, left) = self.rest.get();
        self.rest.set((next.wrapping_add(1) | TAKEN, left.checked_sub(1)?));
        Some(next)
    }
}
