//! Sequences: their descriptors from options, their state, and the ranges that nodes take of it.

use annulus_relation::catalog::{Catalog, Home, ObjectId, Sequence};
use annulus_relation::error::SqlState;
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::transaction::{Mode, Transaction};
use annulus_relation::{SqlError, SqlResult, SqlType};
use annulus_txn::interface::Database;
use bytes::{BufMut, Bytes, BytesMut};

use crate::parse::SequenceOption;
use crate::server::deadline::Deadline;
use crate::server::failure::{is_retryable, of_catalog};
use crate::server::sequences::Range;
use crate::server::shared::Shared;

/// How many values a node takes at a time of a sequence that does not say.
const DEFAULT_CACHE: i64 = 32;
/// The version of the state's format.
const VERSION: u8 = 1;

/// What of a sequence has not been given to a node yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// The next value.
    next: i64,
    /// Whether there is no next value, unless it cycles.
    ended: bool,
}

impl State {
    fn encode(self) -> Bytes {
        let mut out = BytesMut::with_capacity(10);
        out.put_u8(VERSION);
        out.put_i64(self.next);
        out.put_u8(u8::from(self.ended));
        out.freeze()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first_chunk::<9>() {
            Some(([VERSION, next @ ..], [ended])) => Some(Self { next: i64::from_be_bytes(*next), ended: *ended != 0 }),
            _ => None,
        }
    }
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The values of a type.
const fn limits(ty: &SqlType) -> (i64, i64) {
    match ty {
        SqlType::Int2 => (i16::MIN as i64, i16::MAX as i64),
        SqlType::Int4 => (i32::MIN as i64, i32::MAX as i64),
        _ => (i64::MIN, i64::MAX),
    }
}

/// A new sequence.
pub(crate) fn new(
    id: ObjectId,
    schema: ObjectId,
    name: String,
    ty: SqlType,
    options: &[SequenceOption],
) -> SqlResult<Sequence> {
    let increment = options.iter().find_map(|option| match option {
        SequenceOption::Increment(by) => Some(*by),
        _ => None,
    });
    let increment = increment.unwrap_or(1);
    let (least, most) = limits(&ty);
    let (min, max) = if increment < 0 { (least, -1) } else { (1, most) };
    let start = if increment < 0 { max } else { min };
    let (cache, cycle, owner, comment) = (DEFAULT_CACHE, false, None, None);
    let sequence = Sequence { id, schema, name, ty, start, increment, min, max, cache, cycle, owner, comment };
    apply(sequence, options, None)
}

/// A sequence with other options.
pub(crate) fn alter(before: &Sequence, ty: Option<SqlType>, options: &[SequenceOption]) -> SqlResult<Sequence> {
    let mut sequence = before.clone();
    if let Some(ty) = ty {
        let ((least, most), (new_least, new_most)) = (limits(&before.ty), limits(&ty));
        sequence.min = if sequence.min == least { new_least } else { sequence.min };
        sequence.max = if sequence.max == most { new_most } else { sequence.max };
        sequence.ty = ty;
    }
    let sequence = apply(sequence, options, Some(before.start))?;
    options.iter().try_for_each(|option| match option {
        SequenceOption::Restart(Some(value)) => check_restart(&sequence, *value),
        _ => Ok(()),
    })?;
    Ok(sequence)
}

fn check_restart(sequence: &Sequence, value: i64) -> SqlResult<()> {
    let Sequence { min, max, .. } = sequence;
    if value < *min {
        return Err(invalid(format!("RESTART value ({value}) cannot be less than MINVALUE ({min})")));
    }
    if value > *max {
        return Err(invalid(format!("RESTART value ({value}) cannot be greater than MAXVALUE ({max})")));
    }
    Ok(())
}

fn apply(mut sequence: Sequence, options: &[SequenceOption], start: Option<i64>) -> SqlResult<Sequence> {
    let (least, most) = limits(&sequence.ty);
    let mut start = start;
    for option in options {
        match option {
            SequenceOption::Increment(0) => return Err(invalid("INCREMENT must not be zero")),
            SequenceOption::Increment(by) => sequence.increment = *by,
            SequenceOption::Min(Some(value)) => sequence.min = *value,
            SequenceOption::Min(None) => sequence.min = if sequence.increment < 0 { least } else { 1 },
            SequenceOption::Max(Some(value)) => sequence.max = *value,
            SequenceOption::Max(None) => sequence.max = if sequence.increment < 0 { -1 } else { most },
            SequenceOption::Start(value) => start = Some(*value),
            SequenceOption::Cache(count) if *count < 1 => {
                return Err(invalid(format!("CACHE ({count}) must be greater than zero")));
            }
            SequenceOption::Cache(count) => sequence.cache = *count,
            SequenceOption::Cycle(cycle) => sequence.cycle = *cycle,
            SequenceOption::As(_) | SequenceOption::Restart(_) | SequenceOption::OwnedBy(_) => {}
        }
    }
    sequence.start = start.unwrap_or(if sequence.increment < 0 { sequence.max } else { sequence.min });
    check(&sequence)?;
    Ok(sequence)
}

fn check(sequence: &Sequence) -> SqlResult<()> {
    let (least, most) = limits(&sequence.ty);
    let Sequence { min, max, start, .. } = sequence;
    if *max > most || *max < least {
        let message = format!("MAXVALUE ({max}) is out of range for sequence data type {}", sequence.ty.name());
        return Err(invalid(message));
    }
    if *min < least || *min > most {
        let message = format!("MINVALUE ({min}) is out of range for sequence data type {}", sequence.ty.name());
        return Err(invalid(message));
    }
    if min >= max {
        return Err(invalid(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})")));
    }
    if start < min {
        return Err(invalid(format!("START value ({start}) cannot be less than MINVALUE ({min})")));
    }
    if start > max {
        return Err(invalid(format!("START value ({start}) cannot be greater than MAXVALUE ({max})")));
    }
    Ok(())
}

/// A sequence begins anew, as part of a transaction: with a value, or with its start.
pub(crate) fn restart<D: Database>(
    transaction: &mut Transaction<D>,
    home: &Home,
    sequence: &Sequence,
    with: Option<i64>,
) {
    let state = State { next: with.unwrap_or(sequence.start), ended: false };
    transaction.put(home.sequence_state(sequence.id), state.encode());
}

/// `setval`, as part of a transaction.
pub(crate) fn set<D: Database>(
    transaction: &mut Transaction<D>,
    home: &Home,
    sequence: &Sequence,
    value: i64,
    called: bool,
) -> SqlResult<()> {
    if !(sequence.min..=sequence.max).contains(&value) {
        let message = format!(
            "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
            sequence.name, sequence.min, sequence.max
        );
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
    }
    let state = if called { after(sequence, value) } else { State { next: value, ended: false } };
    transaction.put(home.sequence_state(sequence.id), state.encode());
    Ok(())
}

/// The state when `value` was the last one given.
fn after(sequence: &Sequence, value: i64) -> State {
    let next = value.checked_add(sequence.increment).filter(|next| (sequence.min..=sequence.max).contains(next));
    State { next: next.unwrap_or(value), ended: next.is_none() }
}

/// The last value that a node has taken of each of some sequences, and true; or the value that comes next, and false, if
/// there is none before it. A sequence that was set to the one is not told from one that was set to the other.
pub(crate) async fn last<D: Database>(
    transaction: &mut Transaction<D>,
    home: &Home,
    sequences: &[&Sequence],
    deadline: &Deadline,
) -> Outcome<Vec<(i64, bool)>> {
    let places: Vec<_> = sequences.iter().map(|sequence| home.sequence_state(sequence.id)).collect();
    let stored = transaction.get(&places, deadline.left()).await?;
    let last = |(sequence, stored): (&&Sequence, Option<Bytes>)| {
        let Some(State { next, ended }) = stored.as_deref().and_then(State::decode) else {
            return (sequence.start, false);
        };
        let before =
            next.checked_sub(sequence.increment).filter(|before| (sequence.min..=sequence.max).contains(before));
        match before {
            _ if ended => (next, true),
            Some(before) if next != sequence.start => (before, true),
            _ => (next, false),
        }
    };
    Ok(sequences.iter().zip(stored).map(last).collect())
}

/// Takes a range of at least one value, as part of a transaction: as many as the sequence says, or `count` if that is
/// more, and there are.
pub(crate) async fn allot<D: Database>(
    transaction: &mut Transaction<D>,
    catalog: &Catalog,
    sequence: ObjectId,
    count: u64,
    deadline: &Deadline,
) -> Outcome<Range> {
    let missing = || SqlError::new(SqlState::UNDEFINED_TABLE, format!("sequence {sequence} does not exist"));
    let (home, sequence) = (catalog.home(), catalog.sequence_by_id(sequence).ok_or_else(missing)?);
    let place = home.sequence_state(sequence.id);
    let stored = transaction.get(std::slice::from_ref(&place), deadline.left()).await?.pop().flatten();
    let state = stored.as_deref().and_then(State::decode).unwrap_or(State { next: sequence.start, ended: false });
    let first = first_of(sequence, state)?;
    let wanted = count.max(u64::try_from(sequence.cache).unwrap_or(1)).max(1);
    let room = if sequence.increment > 0 {
        (i128::from(sequence.max) - i128::from(first)) / i128::from(sequence.increment)
    } else {
        (i128::from(first) - i128::from(sequence.min)) / -i128::from(sequence.increment)
    };
    let left = wanted.min(u64::try_from(room + 1).unwrap_or(u64::MAX));
    let steps = i64::try_from(left - 1).unwrap_or(i64::MAX);
    let last = first.saturating_add(sequence.increment.saturating_mul(steps));
    transaction.put(place, after(sequence, last).encode());
    Ok(Range { next: first, increment: sequence.increment, left })
}

/// Takes values for this node, at least so many, in a transaction of their own, which nothing undoes.
pub(crate) async fn take<D: Database>(
    db: &D,
    shared: &Shared,
    sequence: ObjectId,
    count: u64,
    deadline: &Deadline,
) -> Outcome<()> {
    let (catalog, start) = (shared.catalog(), db.begin());
    loop {
        let mut transaction = Transaction::new(db.clone(), Mode::Statement, start);
        catalog.expect_sequence(&mut transaction, sequence);
        let range = allot(&mut transaction, &catalog, sequence, count, deadline).await?;
        match transaction.commit(deadline.left()).await.map_err(Failure::from) {
            Ok(_) => {
                shared.sequences.give(&catalog, sequence, range);
                return Ok(());
            }
            Err(failure) if is_retryable(&failure) && !of_catalog(&failure) => deadline.check()?,
            Err(failure) => return Err(failure),
        }
    }
}

/// The first value that a state gives.
fn first_of(sequence: &Sequence, state: State) -> SqlResult<i64> {
    if !state.ended && (sequence.min..=sequence.max).contains(&state.next) {
        return Ok(state.next);
    }
    let (bound, word, turn) = match sequence.increment > 0 {
        true => (sequence.max, "maximum", sequence.min),
        false => (sequence.min, "minimum", sequence.max),
    };
    if sequence.cycle {
        return Ok(turn);
    }
    let message = format!("nextval: reached {word} value of sequence \"{}\" ({bound})", sequence.name);
    Err(SqlError::new(SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED, message))
}
