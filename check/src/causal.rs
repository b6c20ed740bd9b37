//! Causal order: who sees a write sees everything that had been acknowledged before that write was asked for, in the same
//! read or in a later one. Its violation is called a causal reverse; strict serializability excludes it.

use std::collections::BTreeMap;

use crate::history::{Datum, History, Key, OpId, Step};
use crate::verdict::{Anomaly, Verdict};

/// A write that somebody saw.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    /// When the write was asked for.
    asked: u64,
    write: OpId,
    by: OpId,
}

/// Checks every read of a key that is written at most once.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let writes = match writes(history) {
        Ok(writes) => writes,
        Err(undecided) => return undecided,
    };
    let newest = |id: OpId| {
        let found = history.ops[id].found().filter(|(_, found)| **found != Datum::Nothing);
        let seen =
            found.filter_map(|(key, _)| writes.get(&key)).map(|write| (history.ops[*write].invoked.index, *write));
        seen.max().map(|(asked, write)| Seen { asked, write, by: id })
    };
    let mut ends: Vec<(u64, Seen)> =
        history.executed().filter_map(|(id, op)| newest(id).map(|seen| (op.ended(), seen))).collect();
    ends.sort_unstable();
    let mut ends = ends.into_iter().peekable();
    let mut before = None;
    for (id, op) in history.executed() {
        while let Some((_, seen)) = ends.next_if(|(end, _)| *end < op.invoked.index) {
            before = before.max(Some(seen));
        }
        let Some(seen) = before.max(newest(id)) else { continue };
        for (key, _) in op.found().filter(|(_, found)| **found == Datum::Nothing) {
            if let Some(missed) = writes.get(&key).filter(|write| history.ops[**write].ended() < seen.asked) {
                return reversed(history, key, *missed, seen, id);
            }
        }
    }
    Verdict::Valid
}

/// Who wrote each key, or may have.
fn writes(history: &History) -> Result<BTreeMap<Key, OpId>, Verdict> {
    let mut writes = BTreeMap::new();
    for (id, op) in history.possible() {
        for step in op.steps.iter().filter(|step| matches!(step, Step::Write { .. })) {
            let key = step.key();
            if writes.insert(key, id).is_some() {
                return Err(Verdict::Undecided(format!("key {key} is written more than once")));
            }
        }
    }
    Ok(writes)
}

fn reversed(history: &History, key: Key, missed: OpId, seen: Seen, reader: OpId) -> Verdict {
    let mut ops = vec![missed, seen.write, seen.by, reader];
    ops.dedup();
    let lines: Vec<String> = ops.iter().map(|op| history.describe(*op)).collect();
    let why = format!(
        "op {missed} was acknowledged before op {} was asked for; the latter was seen by op {}, but the former was missed \
         by op {reader}:\n{}",
        seen.write,
        seen.by,
        lines.join("\n")
    );
    Verdict::invalid(Anomaly::CausalReverse, ops, [key.to_string()], why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{history, none, ok, op, r, w};
    use crate::history::Outcome;

    #[test]
    fn seeing_the_later_write_without_the_earlier_one_is_a_reverse() {
        let with = |first_ends: u64, read: Vec<Step>| {
            check(&history(vec![ok(0, first_ends, vec![w(1, 1)]), ok(2, 3, vec![w(2, 1)]), ok(4, 5, read)]))
        };
        let reversed = with(1, vec![none(1), r(2, 1)]).violation().unwrap().clone();
        assert_eq!((reversed.anomaly, reversed.ops), (Anomaly::CausalReverse, vec![0, 1, 2]));
        assert_eq!(with(1, vec![r(1, 1), r(2, 1)]), Verdict::Valid);
        assert_eq!(with(1, vec![none(2), none(1)]), Verdict::Valid, "stale, but that is another checker's");
        assert_eq!(with(3_000, vec![none(1), r(2, 1)]), Verdict::Valid, "they were asked for at the same time");
    }

    #[test]
    fn a_later_read_must_not_miss_what_an_earlier_one_implies() {
        let with = |second_starts| {
            let writes = [ok(0, 1, vec![w(1, 1)]), ok(2, 9, vec![w(2, 1)])];
            let reads = [ok(3, 5, vec![r(2, 1)]), ok(second_starts, 8, vec![none(1)])];
            check(&history(writes.into_iter().chain(reads).collect()))
        };
        assert_eq!(with(6).violation().unwrap().ops, vec![0, 1, 2, 3]);
        assert_eq!(with(4), Verdict::Valid, "the reads overlap");
    }

    #[test]
    fn an_unknown_write_is_not_held_against_anybody() {
        let unknown = op(0, 1, Outcome::Unknown, vec![w(1, 1)]);
        let read = ok(4, 5, vec![none(1), r(2, 1)]);
        assert_eq!(check(&history(vec![unknown, ok(2, 3, vec![w(2, 1)]), read])), Verdict::Valid);
        let twice = history(vec![ok(0, 1, vec![w(1, 1)]), ok(2, 3, vec![w(1, 2)])]);
        assert!(matches!(check(&twice), Verdict::Undecided(_)));
    }
}
