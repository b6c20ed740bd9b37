//! Aggregates that look at all rows of a group together: they keep them, sort them and drop duplicates as asked.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use annulus_relation::value::Env;
use annulus_relation::value::json::to_json;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value, value};

use super::fold::{Args, Fold};
use super::statistics::{self, Moments};
use super::sums;
use crate::query::arrow::key;
use crate::query::guard::Guard;
use crate::query::row_size;

/// What becomes of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Finish {
    /// The only row's value; more than one are an error.
    Single,
    /// The first row's value that is not NULL.
    First,
    /// How many rows there are.
    Count,
    Array,
    /// The values with a separator between them.
    Join,
    JsonArray,
    JsonObject,
    BitAnd,
    BitOr,
    BitXor,
    Sum,
    Avg,
    Extreme {
        greatest: bool,
    },
    Statistics(statistics::Function),
    Mode,
    PercentileDisc,
    PercentileCont,
}

/// An aggregate over whole rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Collect {
    pub finish: Finish,
    /// How many of the values of a row are arguments; by the others the rows are sorted.
    pub args: usize,
    pub types: Vec<SqlType>,
    /// For each of those, whether descending, and whether NULLs come first.
    pub order: Vec<(bool, bool)>,
    pub distinct: bool,
    /// The type of the result.
    pub ty: SqlType,
    /// What JSON is written in.
    pub surroundings: Surroundings,
}

/// The session's settings, and the query's guard, for functions that are compared and hashed by what they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    pub env: Arc<Env>,
    pub guard: Option<Guard>,
}

impl PartialEq for Surroundings {
    fn eq(&self, other: &Self) -> bool {
        self.env == other.env
    }
}

impl Eq for Surroundings {}

impl Hash for Surroundings {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.env.now.hash(state);
    }
}

type Rows = VecDeque<Vec<Value>>;

impl Fold for Collect {
    type State = Rows;

    fn add(&self, state: &mut Rows, args: &Args<'_>, row: usize) -> SqlResult<()> {
        if self.finish == Finish::Single && !state.is_empty() {
            let message = "more than one row returned by a subquery used as an expression";
            return Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message));
        }
        if !self.skips(args, row) {
            state.push_back(args.all(row)?);
        }
        Ok(())
    }

    fn remove(&self, state: &mut Rows, args: &Args<'_>, row: usize) -> Option<SqlResult<()>> {
        if !self.skips(args, row) {
            state.pop_front();
        }
        Some(Ok(()))
    }

    fn merge(&self, state: &mut Rows, other: Rows) -> SqlResult<()> {
        if self.finish == Finish::Single && state.len() + other.len() > 1 {
            let message = "more than one row returned by a subquery used as an expression";
            return Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message));
        }
        state.extend(other);
        Ok(())
    }

    fn save(state: &Rows) -> Vec<Value> {
        state.iter().map(|row| Value::Array(row.clone().into())).collect()
    }

    fn load(values: Vec<Value>) -> Option<Rows> {
        let row = |value| match value {
            Value::Array(row) => Some(row.to_vec()),
            _ => None,
        };
        values.into_iter().map(row).collect()
    }

    fn finish(&self, state: &Rows) -> SqlResult<Value> {
        let mut rows: Vec<&[Value]> = state.iter().map(Vec::as_slice).collect();
        if self.distinct {
            self.drop_duplicates(&mut rows);
        }
        if !self.order.is_empty() {
            rows.sort_by(|a, b| self.compare(a, b));
        }
        self.result(&rows)
    }

    fn size(state: &Rows) -> usize {
        state.iter().map(row_size).sum()
    }

    fn guard(&self) -> Option<&Guard> {
        self.surroundings.guard.as_ref()
    }
}

impl Collect {
    /// Whether a row counts for nothing.
    fn skips(&self, args: &Args<'_>, row: usize) -> bool {
        match self.finish {
            Finish::Single | Finish::Count | Finish::Array | Finish::JsonArray | Finish::JsonObject => false,
            // What is sorted by is what the result is of.
            Finish::Mode | Finish::PercentileDisc | Finish::PercentileCont => args.is_null(self.args, row),
            Finish::Join => args.is_null(0, row),
            _ => (0..self.args).any(|arg| args.is_null(arg, row)),
        }
    }

    fn drop_duplicates(&self, rows: &mut Vec<&[Value]>) {
        let mut seen = BTreeSet::new();
        rows.retain(|row| {
            let mut bytes = Vec::new();
            for value in &row[..self.args] {
                bytes.push(u8::from(value.is_null()));
                key::write(value, &mut bytes);
            }
            seen.insert(bytes)
        });
        // PostgreSQL sorts them to find duplicates, and gives them in that order.
        rows.sort_by(|a, b| {
            let pairs = a[..self.args].iter().zip(&b[..self.args]);
            pairs.map(|(a, b)| compare(a, b, false, false)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
    }

    fn compare(&self, a: &[Value], b: &[Value]) -> Ordering {
        let pairs = a[self.args..].iter().zip(&b[self.args..]).zip(&self.order);
        let mut orders = pairs.map(|((a, b), (descending, nulls_first))| compare(a, b, *descending, *nulls_first));
        orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    fn result(&self, rows: &[&[Value]]) -> SqlResult<Value> {
        let none = if self.finish == Finish::Count { Value::Int8(0) } else { Value::Null };
        let Some(first) = rows.first() else { return Ok(none) };
        match self.finish {
            Finish::Single | Finish::First => Ok(first[0].clone()),
            Finish::Count => Ok(Value::Int8(rows.len() as i64)),
            Finish::Array => Ok(Value::Array(rows.iter().map(|row| row[0].clone()).collect())),
            Finish::Join => Ok(joined(rows)),
            Finish::JsonArray => json_array(rows, &self.types[0], &self.ty, &self.surroundings.env),
            Finish::JsonObject => json_object(rows, &self.types, &self.ty, &self.surroundings.env),
            Finish::BitAnd => Ok(bits(rows, |a, b| a & b)),
            Finish::BitOr => Ok(bits(rows, |a, b| a | b)),
            Finish::BitXor => Ok(bits(rows, |a, b| a ^ b)),
            Finish::Sum | Finish::Avg => {
                let sum = sums::Sum { of: self.types[0].clone(), average: self.finish == Finish::Avg };
                sum.of_values(rows.iter().map(|row| &row[0]))
            }
            Finish::Extreme { greatest } => {
                let extreme = sums::Extreme { greatest };
                Ok(extreme.of_values(rows.iter().map(|row| &row[0])))
            }
            Finish::Statistics(function) => {
                let exact = statistics::is_exact(&self.types[..self.args]);
                Moments { function, exact }.of_rows(rows)
            }
            Finish::Mode => Ok(mode(rows, self.args)),
            Finish::PercentileDisc => {
                percentile(rows, self.args, |place, count| (((place * count as f64).ceil() as usize).max(1) - 1, 0.0))
            }
            Finish::PercentileCont => percentile(rows, self.args, |place, count| {
                let at = place * (count - 1) as f64;
                (at.floor() as usize, at - at.floor())
            }),
        }
    }
}

/// How two values sort.
fn compare(a: &Value, b: &Value, descending: bool, nulls_first: bool) -> Ordering {
    let order = match (a.is_null(), b.is_null()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return if nulls_first { Ordering::Less } else { Ordering::Greater },
        (false, true) => return if nulls_first { Ordering::Greater } else { Ordering::Less },
        (false, false) => value::compare(a, b),
    };
    if descending { order.reverse() } else { order }
}

fn joined(rows: &[&[Value]]) -> Value {
    let separator = |row: &[Value]| row.get(1).cloned().unwrap_or(Value::Null);
    if let Value::Bytea(_) = rows[0][0] {
        let mut bytes = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            if let (Value::Bytea(separator), true) = (separator(row), place > 0) {
                bytes.extend_from_slice(&separator);
            }
            if let Value::Bytea(value) = &row[0] {
                bytes.extend_from_slice(value);
            }
        }
        return Value::Bytea(bytes.into());
    }
    let mut text = String::new();
    for (place, row) in rows.iter().enumerate() {
        if let (Value::Text(separator), true) = (separator(row), place > 0) {
            text.push_str(&separator);
        }
        if let Value::Text(value) = &row[0] {
            text.push_str(value);
        }
    }
    Value::text(text)
}

fn bits(rows: &[&[Value]], op: impl Fn(i64, i64) -> i64) -> Value {
    let number = |value: &Value| match value {
        Value::Int2(v) => i64::from(*v),
        Value::Int4(v) => i64::from(*v),
        Value::Int8(v) => *v,
        _ => 0,
    };
    let result = rows.iter().map(|row| number(&row[0])).reduce(op).unwrap_or(0);
    match rows[0][0] {
        // The operations do not leave the type.
        Value::Int2(_) => Value::Int2(result as i16),
        Value::Int4(_) => Value::Int4(result as i32),
        _ => Value::Int8(result),
    }
}

/// The value that comes most often; the first of several such.
fn mode(rows: &[&[Value]], arg: usize) -> Value {
    let mut best: (usize, &Value) = (0, &Value::Null);
    let mut place = 0;
    while place < rows.len() {
        let value = &rows[place][arg];
        let count = rows[place..].iter().take_while(|row| value::compare(&row[arg], value).is_eq()).count();
        if count > best.0 {
            best = (count, value);
        }
        place += count;
    }
    best.1.clone()
}

/// The value at a part of the rows, between the two around it; for several parts an array of them.
fn percentile(rows: &[&[Value]], arg: usize, place: impl Fn(f64, usize) -> (usize, f64)) -> SqlResult<Value> {
    match &rows[0][0] {
        Value::Array(fractions) => {
            let one = |fraction: &Value| percentile_at(rows, arg, fraction, &place);
            fractions.iter().map(one).collect::<SqlResult<_>>().map(Value::Array)
        }
        fraction => percentile_at(rows, arg, fraction, &place),
    }
}

fn percentile_at(
    rows: &[&[Value]],
    arg: usize,
    fraction: &Value,
    place: &impl Fn(f64, usize) -> (usize, f64),
) -> SqlResult<Value> {
    let Value::Float8(fraction) = *fraction else { return Ok(Value::Null) };
    if !(0.0..=1.0).contains(&fraction) {
        let message = format!("percentile value {fraction} is not between 0 and 1");
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
    }
    let (low, part) = place(fraction, rows.len());
    let low = low.min(rows.len() - 1);
    let value = &rows[low][arg];
    let next = &rows[(low + 1).min(rows.len() - 1)][arg];
    Ok(match (value, next) {
        (Value::Float8(low), Value::Float8(high)) if part > 0.0 => Value::Float8(low + part * (high - low)),
        (value, _) => value.clone(),
    })
}

/// The text as a value of a JSON type.
fn json_value(text: String, ty: &SqlType) -> SqlResult<Value> {
    match ty {
        SqlType::Jsonb => value::parse(&text, ty, &Env::default()),
        _ => Ok(Value::Json(Arc::from(text))),
    }
}

fn json_array(rows: &[&[Value]], element: &SqlType, ty: &SqlType, env: &Env) -> SqlResult<Value> {
    let parts: Vec<String> = rows.iter().map(|row| to_json(&row[0], element, env)).collect();
    let between = if element.element().is_some() || *element == SqlType::Record { ", \n " } else { ", " };
    json_value(format!("[{}]", parts.join(between)), ty)
}

fn json_object(rows: &[&[Value]], types: &[SqlType], ty: &SqlType, env: &Env) -> SqlResult<Value> {
    let mut parts = Vec::new();
    for row in rows {
        if row[0].is_null() {
            let message = "field name must not be null";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        let name = to_json(&Value::text(value::print(&row[0], &types[0], env)), &SqlType::Text, env);
        parts.push(format!("{name} : {}", to_json(&row[1], &types[1], env)));
    }
    json_value(format!("{{ {} }}", parts.join(", ")), ty)
}
