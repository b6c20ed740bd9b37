//! What transactions do, one after the other: the specification that checkers compare with, and the way
//! in which a client turns a program and what it read into writes.

use std::collections::BTreeMap;

use crate::history::{Datum, Key, Step, Value};

/// Why a transaction is not executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An expected value was not there.
    #[error("key {key} holds {found}, which was not expected")]
    Unexpected {
        /// Which key.
        key: Key,
        /// What it holds.
        found: Datum,
    },
    /// The step does not fit to what the key holds (an append to a register, a sum beyond 64 bits).
    #[error("key {key} holds {found}; the step does not fit to that")]
    Unfit {
        /// Which key.
        key: Key,
        /// What it holds.
        found: Datum,
    },
}

/// A transaction's answers and effects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Execution {
    /// The steps, with what the reads found.
    pub steps: Vec<Step>,
    /// The new contents of the changed keys.
    pub writes: BTreeMap<Key, Datum>,
}

/// The contents of all keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State(BTreeMap<Key, Datum>);

impl State {
    /// What a key holds.
    #[must_use]
    pub fn get(&self, key: Key) -> &Datum {
        self.0.get(&key).unwrap_or(&Datum::Nothing)
    }

    /// All keys that hold something.
    #[must_use]
    pub const fn contents(&self) -> &BTreeMap<Key, Datum> {
        &self.0
    }

    /// Executes a transaction against this state, without changing it.
    pub fn execute(&self, steps: &[Step]) -> Result<Execution, Refusal> {
        let mut done = Execution::default();
        for step in steps {
            let key = step.key();
            let found = done.writes.get(&key).unwrap_or_else(|| self.get(key)).clone();
            if let Step::Read { .. } = step {
                done.steps.push(Step::Read { key, found: Some(found) });
                continue;
            }
            if let Some(written) = after(step, found)? {
                done.writes.insert(key, written);
            }
            done.steps.push(step.clone());
        }
        Ok(done)
    }

    /// Puts in what an execution writes.
    pub fn apply(&mut self, writes: BTreeMap<Key, Datum>) {
        self.0.extend(writes);
    }
}

impl FromIterator<(Key, Datum)> for State {
    fn from_iter<I: IntoIterator<Item = (Key, Datum)>>(contents: I) -> Self {
        Self(contents.into_iter().collect())
    }
}

/// What a key holds after a step that is not a read; `None` if the step leaves it alone.
fn after(step: &Step, found: Datum) -> Result<Option<Datum>, Refusal> {
    let key = step.key();
    match (step, found) {
        (Step::Write { value, .. }, _) => Ok(Some(Datum::Number(*value))),
        (Step::Append { value, .. }, Datum::Nothing) => Ok(Some(Datum::List(vec![*value]))),
        (Step::Append { value, .. }, Datum::List(mut values)) => {
            values.push(*value);
            Ok(Some(Datum::List(values)))
        }
        (Step::Add { amount, .. }, Datum::Nothing) => Ok(Some(Datum::Number(*amount))),
        (Step::Add { amount, .. }, Datum::Number(value)) => match value.checked_add(*amount) {
            Some(sum) => Ok(Some(Datum::Number(sum))),
            None => Err(Refusal::Unfit { key, found: Datum::Number(value) }),
        },
        (Step::Expect { value, .. }, found) if found == register(*value) => Ok(None),
        (Step::Expect { .. }, found) => Err(Refusal::Unexpected { key, found }),
        (_, found) => Err(Refusal::Unfit { key, found }),
    }
}

/// A register's contents.
#[must_use]
pub fn register(value: Option<Value>) -> Datum {
    value.map_or(Datum::Nothing, Datum::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_sees_its_own_writes() {
        let mut state = State::default();
        let steps = [Step::Append { key: 1, value: 7 }, Step::read(1), Step::Add { key: 2, amount: 3 }];
        let done = state.execute(&steps).unwrap();
        assert_eq!(done.steps[1], Step::Read { key: 1, found: Some(Datum::List(vec![7])) });
        assert_eq!(state.get(1), &Datum::Nothing);
        state.apply(done.writes);
        assert_eq!(state.get(2), &Datum::Number(3));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let state = State::from_iter([(1, Datum::Number(Value::MAX))]);
        let refused = |steps: &[Step]| state.execute(steps).unwrap_err();
        let found = Datum::Number(Value::MAX);
        assert_eq!(refused(&Step::compare_and_set(1, None, 2)), Refusal::Unexpected { key: 1, found: found.clone() });
        assert_eq!(refused(&[Step::Append { key: 1, value: 1 }]), Refusal::Unfit { key: 1, found: found.clone() });
        assert_eq!(refused(&[Step::Add { key: 1, amount: 1 }]), Refusal::Unfit { key: 1, found });
    }
}
