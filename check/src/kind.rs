//! What kind of thing each key holds, judged by how it is changed.

use std::collections::BTreeMap;

use crate::history::{History, Key, Step};

/// A key's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Written as a whole.
    Register,
    /// Appended to: a list or a set.
    List,
    /// Added to, never subtracted from.
    Growing,
    /// Added to and subtracted from.
    Counter,
    /// Changed in ways that do not go together.
    Mixed,
}

/// The kind of every key that somebody tried to change.
pub(crate) fn kinds(history: &History) -> BTreeMap<Key, Kind> {
    let mut kinds = BTreeMap::new();
    for step in history.ops.iter().flat_map(|op| &op.steps) {
        let kind = match step {
            Step::Write { .. } => Kind::Register,
            Step::Append { .. } => Kind::List,
            Step::Add { amount, .. } if *amount >= 0 => Kind::Growing,
            Step::Add { .. } => Kind::Counter,
            Step::Read { .. } | Step::Expect { .. } => continue,
        };
        kinds.entry(step.key()).and_modify(|known| *known = joined(*known, kind)).or_insert(kind);
    }
    kinds
}

fn joined(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        _ if a == b => a,
        (Kind::Growing, Kind::Counter) | (Kind::Counter, Kind::Growing) => Kind::Counter,
        _ => Kind::Mixed,
    }
}
