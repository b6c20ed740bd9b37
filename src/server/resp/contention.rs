//! Which keys are fought over: those that a `WATCH` lost lately.
//!
//! Whoever watches one of them waits in line at once, instead of losing first. Forgotten after a while, so
//! that a key which nobody fights over any more is watched without locks again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::view::Name;

/// How long a loss is remembered.
const MEMORY: Duration = Duration::from_secs(1);
/// Most keys remembered; beyond it a loss is forgotten at once.
const MOST_KEYS: usize = 1_024;

/// The keys, with the time until which each counts as fought over.
#[derive(Debug, Default)]
pub struct Contention {
    until: RefCell<BTreeMap<Name, Instant>>,
}

impl Contention {
    /// Takes note that a transaction was lost over some of these keys.
    pub fn lost(&self, names: impl IntoIterator<Item = Name>) {
        let now = Instant::now();
        let mut until = self.until.borrow_mut();
        if until.len() >= MOST_KEYS {
            until.retain(|_, end| *end > now);
        }
        for name in names {
            if until.len() < MOST_KEYS || until.contains_key(&name) {
                until.insert(name, now + MEMORY);
            }
        }
    }

    /// Whether any of the keys is fought over.
    pub fn about<'a>(&self, names: impl IntoIterator<Item = &'a Name>) -> bool {
        let until = self.until.borrow();
        !until.is_empty() && {
            let now = Instant::now();
            names.into_iter().any(|name| until.get(name).is_some_and(|end| *end > now))
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn name(key: u32) -> Name {
        (0, Bytes::copy_from_slice(&key.to_be_bytes()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_loss_is_remembered_for_a_while() {
        let contention = Contention::default();
        assert!(!contention.about(&[name(1)]));
        contention.lost([name(1)]);
        assert!(contention.about(&[name(2), name(1)]));
        assert!(!contention.about(&[name(2)]));
        tokio::time::advance(MEMORY).await;
        assert!(!contention.about(&[name(1)]));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let contention = Contention::default();
        contention.lost((0..5_000).map(name));
        assert_eq!(contention.until.borrow().len(), MOST_KEYS);
        tokio::time::advance(MEMORY).await;
        contention.lost([name(9_999)]);
        assert!(contention.about(&[name(9_999)]));
        assert_eq!(contention.until.borrow().len(), 1);
    }
}
