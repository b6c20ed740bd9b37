//! The cached catalog of a database, and what was analyzed with it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use annulus_base::time::Micros;
use annulus_relation::catalog::{Catalog, Home, Numbers, load};
use annulus_relation::failure::Outcome;
use annulus_txn::interface::{Database, When};

use crate::dml::StoredExpressions;
use crate::statement::Shapes;

/// A database's catalog as last read, shared by the sessions of a node.
pub(crate) struct Catalogs {
    pub home: Home,
    /// For temporary relations.
    pub numbers: Numbers,
    cached: RefCell<Option<Arc<Catalog>>>,
    stale: Cell<bool>,
    /// Stored expressions that were bound before.
    pub expressions: StoredExpressions,
    /// Statements analyzed with the cached catalog, by shape.
    pub shapes: RefCell<Shapes>,
}

impl Catalogs {
    pub fn new(home: Home) -> Self {
        Self {
            home,
            numbers: Numbers::default(),
            cached: RefCell::new(None),
            stale: Cell::new(false),
            expressions: StoredExpressions::default(),
            shapes: RefCell::new(Shapes::default()),
        }
    }

    /// The cached catalog, if it is not known to be out of date.
    pub fn cached(&self) -> Option<Arc<Catalog>> {
        if self.stale.get() { None } else { self.cached.borrow().clone() }
    }

    /// The catalog: cached, or read now.
    pub async fn current<D: Database>(&self, db: &D, patience: Micros) -> Outcome<Arc<Catalog>> {
        match self.cached() {
            Some(catalog) => Ok(catalog),
            None => self.reload(db, patience).await,
        }
    }

    /// The catalog, read now. The very same as before if nothing has changed.
    pub async fn reload<D: Database>(&self, db: &D, patience: Micros) -> Outcome<Arc<Catalog>> {
        let found = Arc::new(load(db, self.home, When::Latest, patience).await?);
        self.stale.set(false);
        let mut cached = self.cached.borrow_mut();
        match &*cached {
            Some(known) if known.is_same(&found) => Ok(Arc::clone(known)),
            _ => {
                *cached = Some(Arc::clone(&found));
                self.shapes.borrow_mut().clear();
                Ok(found)
            }
        }
    }

    /// Somebody has found that the cached catalog is out of date.
    pub fn outdate(self: &Rc<Self>) {
        self.stale.set(true);
    }
}
