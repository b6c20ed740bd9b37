//! Statements that were analyzed by their shape, to be run again with other literals.

use std::collections::HashMap;
use std::rc::Rc;

use super::Analyzed;

/// How many shapes are kept; when there are more, all are forgotten.
const MOST: usize = 2_000;

/// Analyzed shapes of one catalog.
#[derive(Default)]
pub(crate) struct Shapes {
    by_key: HashMap<Rc<str>, Rc<Analyzed>>,
}

impl Shapes {
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub fn clear(&mut self) {
        self.by_key.clear();
    }

    pub fn insert(&mut self, key: &Rc<str>, analyzed: Rc<Analyzed>) {
        if self.by_key.len() >= MOST {
            self.by_key.clear();
        }
        self.by_key.insert(Rc::clone(key), analyzed);
    }

    /// The shape, if it was analyzed with the same search path.
    pub fn get(&self, key: &str, path: &[String]) -> Option<&Rc<Analyzed>> {
        self.by_key.get(key).filter(|analyzed| *analyzed.path == *path)
    }
}
