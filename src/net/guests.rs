//! Connections that have not said who they are. They are few, so that nobody can exhaust the node.

use std::cell::Cell;
use std::rc::Rc;

/// Counts them.
#[derive(Debug)]
pub(super) struct Guests {
    present: Cell<usize>,
    most: usize,
}

/// One of them; leaves when dropped.
#[derive(Debug)]
pub(super) struct Guest(Rc<Guests>);

impl Guests {
    pub(super) fn new(most: usize) -> Rc<Self> {
        Rc::new(Self { present: Cell::new(0), most })
    }

    /// `None` when there is no room.
    pub(super) fn admit(self: &Rc<Self>) -> Option<Guest> {
        (self.present.get() < self.most).then(|| {
            self.present.set(self.present.get() + 1);
            Guest(self.clone())
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.present.set(self.0.present.get() - 1);
    }
}
