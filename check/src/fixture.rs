//! Histories for tests: written by hand in a few words, and made by a correct serial execution.

use annulus_base::rng::Rng;

use crate::history::{Datum, History, Key, Moment, Op, Outcome, Step, Value};
use crate::state::State;

/// An operation with its invocation and completion index.
pub fn op(start: u64, end: u64, outcome: Outcome, steps: Vec<Step>) -> Op {
    let moment = |index| Moment { index, micros: index };
    Op {
        process: start,
        node: 0,
        steps,
        invoked: moment(start),
        finished: Some(moment(end)),
        outcome,
        committed_at: None,
        read_at: None,
    }
}

/// An executed operation.
pub fn ok(start: u64, end: u64, steps: Vec<Step>) -> Op {
    op(start, end, Outcome::Ok, steps)
}

/// A history of these operations.
pub fn history(mut ops: Vec<Op>) -> History {
    ops.sort_by_key(|op| op.invoked);
    History { ops }
}

pub fn r(key: Key, value: Value) -> Step {
    Step::Read { key, found: Some(Datum::Number(value)) }
}

pub fn none(key: Key) -> Step {
    Step::Read { key, found: Some(Datum::Nothing) }
}

pub fn list(key: Key, values: &[Value]) -> Step {
    Step::Read { key, found: Some(Datum::List(values.to_vec())) }
}

pub fn w(key: Key, value: Value) -> Step {
    Step::Write { key, value }
}

pub fn append(key: Key, value: Value) -> Step {
    Step::Append { key, value }
}

pub fn add(key: Key, amount: Value) -> Step {
    Step::Add { key, amount }
}

/// What the transactions of a generated history do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// One read, write or compare-and-set.
    Registers,
    /// Several reads and writes.
    RegisterTransactions,
    /// Several reads and appends.
    Lists,
    /// Additions and reads.
    Counters,
}

impl Mix {
    pub const ALL: [Self; 4] = [Self::Registers, Self::RegisterTransactions, Self::Lists, Self::Counters];

    fn steps(self, rng: &mut Rng, keys: u64, unique: Value) -> Vec<Step> {
        let key = rng.below(keys);
        match self {
            Self::Registers => match rng.below(4) {
                0 => vec![w(key, unique)],
                1 => Step::compare_and_set(key, None, unique),
                _ => vec![Step::read(key)],
            },
            Self::RegisterTransactions => Self::several(rng, keys, unique, w),
            Self::Lists => Self::several(rng, keys, unique, append),
            Self::Counters => vec![Self::read_or(rng, keys, |key| add(key, 1 + unique % 3))],
        }
    }

    fn several(rng: &mut Rng, keys: u64, unique: Value, change: impl Fn(Key, Value) -> Step) -> Vec<Step> {
        let count = 1 + rng.below(3) as Value;
        (0..count).map(|at| Self::read_or(rng, keys, |key| change(key, unique * 4 + at))).collect()
    }

    fn read_or(rng: &mut Rng, keys: u64, change: impl Fn(Key) -> Step) -> Step {
        let key = rng.below(keys);
        if rng.one_in(2) { Step::read(key) } else { change(key) }
    }
}

/// A strictly serializable history: each operation takes effect at once, at a point within its window.
/// About one in ten is unknown to its client, executed or not, at any time after its invocation.
pub fn serial(seed: u64, mix: Mix, count: usize, keys: u64) -> History {
    serial_with(seed, mix, count, keys, 10)
}

/// [`serial`] with one in `unknown` operations unknown.
pub fn serial_with(seed: u64, mix: Mix, count: usize, keys: u64, unknown: u64) -> History {
    let mut rng = Rng::new(seed);
    let (mut ops, mut points) = (Vec::new(), Vec::new());
    // (time, tie) pairs are unique; they become indexes at the end.
    for id in 0..count {
        let start = id as u64 * 10;
        let mut point = start + rng.below(80);
        let end = point + rng.below(80);
        let is_unknown = rng.one_in(unknown);
        if is_unknown && rng.one_in(3) {
            point = start + rng.below(count as u64 * 10);
        }
        points.push((point, id));
        let outcome = if is_unknown { Outcome::Unknown } else { Outcome::Ok };
        let steps = mix.steps(&mut rng, keys, id as Value + 1);
        ops.push((op(start * count as u64 + id as u64, end * count as u64 + id as u64, outcome, steps), rng.one_in(2)));
    }
    points.sort_unstable();
    let mut state = State::default();
    for (position, (_, id)) in points.into_iter().enumerate() {
        let (op, happens) = &mut ops[id];
        if op.outcome == Outcome::Unknown && !*happens {
            continue;
        }
        match state.execute(&op.steps) {
            Ok(done) => {
                state.apply(done.writes);
                if op.is_ok() {
                    op.steps = done.steps;
                }
                op.committed_at = Some(position as u64 + 1);
            }
            Err(_) => op.outcome = if op.is_ok() { Outcome::Fail } else { Outcome::Unknown },
        }
    }
    number(ops.into_iter().map(|(op, _)| op).collect())
}

/// Gives the events indexes without gaps, and processes their operations one after the other.
fn number(mut ops: Vec<Op>) -> History {
    let mut events = Vec::new();
    for (id, op) in ops.iter().enumerate() {
        events.push((op.invoked.index, 0, id));
        events.extend(op.finished.map(|finished| (finished.index, 1, id)));
    }
    events.sort_unstable();
    for (index, (_, kind, id)) in events.into_iter().enumerate() {
        let moment = Moment { index: index as u64, micros: index as u64 };
        if kind == 0 {
            ops[id].invoked = moment;
            ops[id].process = id as u64;
        } else {
            ops[id].finished = Some(moment);
        }
    }
    history(ops)
}
