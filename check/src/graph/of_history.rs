//! From what clients saw to transactions with versions, where commit timestamps are known.
//!
//! A version is the operation that wrote it; what a read found says which, since written values are unique
//! for their key. Commit timestamps order the versions. Unknown operations count if somebody saw a value of
//! theirs.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fate, Order, Txn, Write};
use crate::history::{Datum, History, Key, Op, OpId, Outcome, Step, Value};
use crate::verdict::{Anomaly, Verdict};

/// Checks the strict serializability of registers and lists. Undecided where a commit timestamp is missing
/// or a value was written twice.
#[must_use]
pub fn check_history(history: &History) -> Verdict {
    let result = Written::of(history).and_then(|written| {
        let (order, lists) = written.order()?;
        let mut txns = Vec::with_capacity(history.ops.len());
        for (id, op) in history.ops.iter().enumerate() {
            txns.push(written.transaction(id, op, &lists)?);
        }
        Ok(super::check(&txns, &order))
    });
    match result {
        Ok(Verdict::Invalid(mut violation)) => {
            for id in &violation.ops {
                violation.why += &format!("T{id} = {}\n", history.describe(*id));
            }
            Verdict::Invalid(violation)
        }
        Ok(verdict) | Err(verdict) => verdict,
    }
}

/// Who wrote which value.
struct Written<'a> {
    history: &'a History,
    writers: BTreeMap<(Key, Value), OpId>,
    /// The values that each operation writes to each key, in order.
    values: Vec<BTreeMap<Key, Vec<Value>>>,
}

impl<'a> Written<'a> {
    fn of(history: &'a History) -> Result<Self, Verdict> {
        let mut written = Self { history, writers: BTreeMap::new(), values: Vec::new() };
        for (id, op) in history.ops.iter().enumerate() {
            let mut values: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
            for step in &op.steps {
                let (key, value) = match step {
                    Step::Write { key, value } | Step::Append { key, value } => (*key, *value),
                    Step::Add { .. } => return Err(Verdict::Undecided("additions do not name their version".into())),
                    Step::Read { .. } | Step::Expect { .. } => continue,
                };
                values.entry(key).or_default().push(value);
                if let Some(other) = written.writers.insert((key, value), id) {
                    let why = format!("ops {other} and {id} both wrote {value} to key {key}");
                    return Err(Verdict::Undecided(why));
                }
            }
            written.values.push(values);
        }
        Ok(written)
    }

    /// Unknown operations of which somebody saw a value.
    fn seen_unknown(&self) -> BTreeSet<OpId> {
        let mut seen = BTreeSet::new();
        for (_, op) in self.history.executed() {
            for (key, found) in op.found() {
                let writers = values(found).iter().filter_map(|value| self.writers.get(&(key, *value)));
                seen.extend(writers.filter(|writer| self.history.ops[**writer].outcome == Outcome::Unknown));
            }
        }
        seen
    }

    /// The versions of each key by commit timestamp, and the list that these would make.
    fn order(&self) -> Result<(Order<Key, OpId>, BTreeMap<Key, Vec<Value>>), Verdict> {
        let seen = self.seen_unknown();
        let mut stamped: BTreeMap<Key, Vec<(u64, OpId)>> = BTreeMap::new();
        for (id, op) in self.history.possible().filter(|(id, op)| op.is_ok() || seen.contains(id)) {
            for key in self.values[id].keys() {
                let missing = || Verdict::Undecided(format!("no commit timestamp: {}", self.history.describe(id)));
                stamped.entry(*key).or_default().push((op.committed_at.ok_or_else(missing)?, id));
            }
        }
        let mut lists: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
        for (key, versions) in &mut stamped {
            versions.sort_unstable();
            if let Some(pair) = versions.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                let (a, b) = (pair[0].1, pair[1].1);
                let why = format!("two writes of key {key} have one timestamp:\n{}", self.both(a, b));
                return Err(Verdict::invalid(Anomaly::Duplicate, [a, b], [key.to_string()], why));
            }
            let written = versions.iter().flat_map(|(_, id)| &self.values[*id][key]);
            lists.insert(*key, written.copied().collect());
        }
        let order = stamped.into_iter().map(|(key, versions)| (key, versions.into_iter().map(|(_, id)| id).collect()));
        Ok((order.collect(), lists))
    }

    fn transaction(&self, id: OpId, op: &Op, lists: &BTreeMap<Key, Vec<Value>>) -> Result<Txn<Key, OpId>, Verdict> {
        let mut reads = Vec::new();
        let mut own: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
        for step in op.steps.iter().filter(|_| op.is_ok()) {
            let key = step.key();
            let found = match step {
                Step::Write { value, .. } => {
                    own.insert(key, vec![*value]);
                    continue;
                }
                Step::Append { value, .. } => {
                    own.entry(key).or_default().push(*value);
                    continue;
                }
                Step::Expect { value, .. } => &crate::state::register(*value),
                Step::Read { found: Some(found), .. } => found,
                Step::Read { found: None, .. } | Step::Add { .. } => continue,
            };
            if let Some(version) = self.version(id, key, found, own.get(&key), lists)? {
                reads.push((key, version));
            }
        }
        let fate = match op.outcome {
            Outcome::Ok => Fate::Committed,
            Outcome::Fail => Fate::Aborted,
            Outcome::Unknown => Fate::Unknown,
        };
        let writes = self.values[id].keys().map(|key| Write { key: *key, version: id, present: true }).collect();
        let completed = Some(op.ended()).filter(|end| *end != u64::MAX);
        Ok(Txn { invoked: op.invoked.index, completed, fate, reads, ranges: Vec::new(), writes })
    }

    /// The version that a read found; `None` if it found only what its own transaction wrote before.
    fn version(
        &self,
        id: OpId,
        key: Key,
        found: &Datum,
        own: Option<&Vec<Value>>,
        lists: &BTreeMap<Key, Vec<Value>>,
    ) -> Result<Option<Option<OpId>>, Verdict> {
        let wrong = |anomaly, why: &str| {
            let why = format!("{why}\n{}\n", self.history.describe(id));
            Verdict::invalid(anomaly, [id], [key.to_string()], why)
        };
        let own = own.map_or(&[][..], Vec::as_slice);
        let before = match found {
            Datum::Number(_) if !own.is_empty() && values(found) == own => return Ok(None),
            Datum::List(all) => all.strip_suffix(own),
            other => own.is_empty().then(|| values(other)),
        };
        let before = before.ok_or_else(|| wrong(Anomaly::Internal, "it does not see its own writes"))?;
        let Some(last) = before.last() else { return Ok(Some(None)) };
        let writer = *self.writers.get(&(key, *last)).ok_or_else(|| wrong(Anomaly::Invented, "nobody wrote that"))?;
        if self.values[writer][&key].last() != Some(last) && writer != id {
            return Err(wrong(Anomaly::G1b, &format!("op {writer} wrote over that before it committed")));
        }
        let list = lists.get(&key).map_or(&[][..], Vec::as_slice);
        let is_committed = self.history.ops[writer].is_possible();
        if is_committed && matches!(found, Datum::List(_)) && !list.starts_with(before) {
            let why = format!("by commit timestamps the list is {list:?}");
            return Err(wrong(Anomaly::IncompatibleOrder, &why));
        }
        Ok(Some(Some(writer)))
    }

    fn both(&self, a: OpId, b: OpId) -> String {
        format!("{}\n{}\n", self.history.describe(a), self.history.describe(b))
    }
}

fn values(found: &Datum) -> &[Value] {
    match found {
        Datum::Nothing => &[],
        Datum::Number(value) => std::slice::from_ref(value),
        Datum::List(values) => values,
    }
}
