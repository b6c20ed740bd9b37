//! What was compiled not long ago: patterns, paths.

use std::cell::RefCell;
use std::rc::Rc;

use annulus_relation::SqlResult;

/// How many stay compiled on each thread, as PostgreSQL keeps of patterns.
const KEPT: usize = 32;

/// What was made of texts, the last used first.
pub(super) struct Recent<K, V>(RefCell<Vec<(K, Rc<V>)>>);

impl<K, V> Recent<K, V> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// What has the key that is meant; or else it is made, together with its key.
    ///
    /// # Errors
    /// Those of making it.
    pub fn get(&self, is: impl Fn(&K) -> bool, make: impl FnOnce() -> SqlResult<(K, V)>) -> SqlResult<Rc<V>> {
        let known = |kept: &mut Vec<(K, Rc<V>)>| {
            let at = kept.iter().position(|(key, _)| is(key))?;
            kept[..=at].rotate_right(1);
            Some(Rc::clone(&kept[0].1))
        };
        if let Some(found) = known(&mut self.0.borrow_mut()) {
            return Ok(found);
        }
        let (key, value) = make()?;
        let value = Rc::new(value);
        let mut kept = self.0.borrow_mut();
        kept.truncate(KEPT - 1);
        kept.insert(0, (key, Rc::clone(&value)));
        Ok(value)
    }
}
