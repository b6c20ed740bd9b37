//! Which written values somebody saw.

use std::collections::BTreeMap;

use crate::history::{Datum, History, Key, OpId, Step, Value};

/// The values that executed operations found, each with one that found it. Of the lists found for a key only
/// a longest one counts: a list with something that is not in the longest one is no prefix of it, and every
/// checker that asks here refuses that anyway.
pub(crate) fn seen(history: &History) -> BTreeMap<(Key, Value), OpId> {
    let mut seen = BTreeMap::new();
    let mut longest: BTreeMap<Key, (&[Value], OpId)> = BTreeMap::new();
    for (id, op) in history.executed() {
        // Who found what it expected has seen it.
        let expected = op.steps.iter().filter_map(|step| match step {
            Step::Expect { key, value: Some(value) } => Some((*key, *value)),
            _ => None,
        });
        seen.extend(expected.map(|place| (place, id)));
        for (key, found) in op.found() {
            match found {
                Datum::Nothing => {}
                Datum::Number(value) => {
                    seen.insert((key, *value), id);
                }
                Datum::List(values) => {
                    let before = longest.entry(key).or_insert((&[], id));
                    if values.len() > before.0.len() {
                        *before = (values, id);
                    }
                }
            }
        }
    }
    for (key, (values, id)) in longest {
        seen.extend(values.iter().map(|value| ((key, *value), id)));
    }
    seen
}
