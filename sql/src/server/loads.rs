//! Loads under way, and those whose transactions have ended without a commit.

use std::cell::RefCell;
use std::rc::Rc;

use annulus_base::time::Micros;
use annulus_relation::catalog::Load;
use annulus_txn::interface::Database;

/// Most loads that are remembered to be stopped; others find out about more when these have lasted too long.
const MOST: usize = 1_000;

/// Loads that are to be stopped.
#[derive(Debug, Default)]
pub(crate) struct Abandoned(RefCell<Vec<Load>>);

/// A load of a transaction. Unless that commits it is abandoned, whatever way the transaction ends.
#[derive(Debug)]
pub(crate) struct Loading {
    pub load: Load,
    committed: bool,
    abandoned: Rc<Abandoned>,
}

impl Loading {
    pub fn new(load: Load, abandoned: &Rc<Abandoned>) -> Self {
        Self { load, committed: false, abandoned: Rc::clone(abandoned) }
    }

    /// Its transaction has committed.
    pub fn commit(mut self) {
        self.committed = true;
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        if !self.committed {
            self.abandoned.push(self.load.clone());
        }
    }
}

impl Abandoned {
    fn push(&self, load: Load) {
        let mut all = self.0.borrow_mut();
        if all.len() < MOST {
            all.push(load);
        }
    }

    /// Stops them, so that their rows are deleted. What does not succeed is tried again by the next call; if this node
    /// dies before, others find out when the load has lasted too long.
    pub async fn stop_all<D: Database>(&self, db: &D, patience: Micros) {
        for load in self.0.take() {
            if load.stop(db, patience).await.is_err() {
                self.push(load);
            }
        }
    }
}
