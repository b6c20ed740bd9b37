//! Foreign keys: nobody sees a child without its parent.

use std::collections::BTreeMap;

use crate::history::{Datum, History, Key, Value};
use crate::verdict::{Anomaly, Verdict};

/// Keys of a family: the first one is the parent's, the others are its children's.
pub const FAMILY: u64 = 4;
/// A row that is there.
pub const THERE: Value = 1;
/// A row that was there, and was removed.
pub const GONE: Value = 0;

/// The parent of a key's family.
#[must_use]
pub const fn parent(key: Key) -> Key {
    key - key % FAMILY
}

/// The keys of a parent's children.
pub fn children(parent: Key) -> impl Iterator<Item = Key> + Clone {
    parent + 1..parent + FAMILY
}

/// Checks every operation that read a child together with its parent.
#[must_use]
pub fn check(history: &History) -> Verdict {
    for (id, op) in history.executed() {
        let found: BTreeMap<Key, &Datum> = op.found().collect();
        let is_there = |key: &Key| *found[key] == Datum::Number(THERE);
        let orphan = found.keys().find(|key| {
            let parent = parent(**key);
            parent != **key && is_there(key) && found.contains_key(&parent) && !is_there(&parent)
        });
        if let Some(child) = orphan {
            let parent = parent(*child);
            let why = format!("{child} is there without its parent {parent}:\n{}", history.describe(id));
            return Verdict::invalid(Anomaly::Orphan, [id], [*child, parent].map(|key| key.to_string()), why);
        }
    }
    Verdict::Valid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{history, none, ok, r};

    #[test]
    fn a_child_without_its_parent_is_found() {
        let with = |steps| check(&history(vec![ok(0, 1, steps)]));
        assert_eq!(with(vec![r(4, THERE), r(5, THERE), none(6)]), Verdict::Valid);
        assert_eq!(with(vec![r(4, GONE), none(5)]), Verdict::Valid);
        assert_eq!(with(vec![r(5, THERE), none(8)]), Verdict::Valid, "the parent was not read");
        for parent in [r(4, GONE), none(4)] {
            let verdict = with(vec![parent, r(5, THERE)]);
            let violation = verdict.violation().unwrap();
            assert_eq!(
                (violation.anomaly, violation.keys.as_slice()),
                (Anomaly::Orphan, &["5".into(), "4".into()][..])
            );
        }
    }
}
