//! Functions and operators of arrays.

use annulus_relation::value::MOST_FILLED;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use super::super::registry::{Entry, Site, entry};
use super::args::{array, count, int4};
use super::compare::order;

pub(super) const TABLE: &[Entry] = &[
    entry("||(anycompatiblearray,anycompatiblearray) anycompatiblearray", cat).lenient(),
    entry("||(anycompatiblearray,anycompatible) anycompatiblearray", append).lenient(),
    entry("||(anycompatible,anycompatiblearray) anycompatiblearray", prepend).lenient(),
    entry("array_cat(anycompatiblearray,anycompatiblearray) anycompatiblearray", cat).lenient(),
    entry("array_append(anycompatiblearray,anycompatible) anycompatiblearray", append).lenient(),
    entry("array_prepend(anycompatible,anycompatiblearray) anycompatiblearray", prepend).lenient(),
    entry("array_remove(anycompatiblearray,anycompatible) anycompatiblearray", remove).lenient(),
    entry("array_replace(anycompatiblearray,anycompatible,anycompatible) anycompatiblearray", replace).lenient(),
    entry("array_position(anycompatiblearray,anycompatible) int4", position).lenient(),
    entry("array_position(anycompatiblearray,anycompatible,int4) int4", position).lenient(),
    entry("array_positions(anycompatiblearray,anycompatible) int4[]", positions).lenient(),
    entry("array_length(anyarray,int4) int4", length),
    entry("array_lower(anyarray,int4) int4", lower),
    entry("array_lower(int2vector,int4) int4", vector_lower),
    entry("array_lower(oidvector,int4) int4", vector_lower),
    entry("array_upper(anyarray,int4) int4", length),
    entry("array_upper(int2vector,int4) int4", vector_upper),
    entry("array_upper(oidvector,int4) int4", vector_upper),
    entry("array_ndims(anyarray) int4", dimensions),
    entry("array_dims(anyarray) text", |_, a| match elements(a, 0)?.len() {
        0 => Ok(Value::Null),
        length => Ok(Value::text(format!("[1:{length}]"))),
    }),
    entry("assigned element(anyarray,anyelement,int4) anyarray", assign).lenient(),
    entry("width_bucket(anycompatible,anycompatiblearray) int4", bucket),
    entry("cardinality(anyarray) int4", cardinality),
    entry("trim_array(anyarray,int4) anyarray", trim),
    entry("array_fill(anyelement,int4[]) anyarray", fill).lenient(),
    entry("array_fill(anyelement,int4[],int4[]) anyarray", fill_from).lenient(),
    entry("@>(anyarray,anyarray) bool", contains),
    entry("<@(anyarray,anyarray) bool", contained),
    entry("&&(anyarray,anyarray) bool", overlaps),
];

fn made(elements: Vec<Value>) -> SqlResult<Value> {
    Ok(Value::Array(elements.into()))
}

/// The elements of an array, none of a NULL.
fn elements(args: &[Value], index: usize) -> SqlResult<&[Value]> {
    if args[index].is_null() { Ok(&[]) } else { array(args, index).map(|elements| &**elements) }
}

fn cat(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args.iter().all(Value::is_null) {
        return Ok(Value::Null);
    }
    made([elements(args, 0)?, elements(args, 1)?].concat())
}

fn append(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made([elements(args, 0)?, &args[1..]].concat())
}

fn prepend(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made([&args[..1], elements(args, 1)?].concat())
}

/// `SET column[index] = value`: what lies between the end and the element is NULL.
fn assign(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[2].is_null() {
        let message = "array subscript in assignment must not be null";
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
    }
    let mut changed = elements(args, 0)?.to_vec();
    let index = int4(args, 2)?;
    let Some(at) = usize::try_from(index).ok().and_then(|index| index.checked_sub(1)) else {
        return Err(SqlError::unsupported("an array that does not begin at 1"));
    };
    if at >= changed.len() {
        if at >= MOST_FILLED {
            let message = format!("an assignment fills an array up to at most {MOST_FILLED} elements");
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        changed.resize(at + 1, Value::Null);
    }
    changed[at] = args[1].clone();
    made(changed)
}

fn element_type<'a>(site: &'a Site<'_>) -> &'a SqlType {
    site.arg(0).element().unwrap_or(&SqlType::Text)
}

/// Whether two elements are the same: NULLs are.
fn same(ty: &SqlType, left: &Value, right: &Value) -> bool {
    match (left.is_null(), right.is_null()) {
        (false, false) => order(ty, left, right).is_eq(),
        (left, right) => left == right,
    }
}

fn remove(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let ty = element_type(site);
    made(elements(args, 0)?.iter().filter(|element| !same(ty, element, &args[1])).cloned().collect())
}

fn replace(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let ty = element_type(site);
    let change = |element: &Value| if same(ty, element, &args[1]) { args[2].clone() } else { element.clone() };
    made(elements(args, 0)?.iter().map(change).collect())
}

fn position(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let skip = match args.get(2) {
        None => 0,
        Some(Value::Null) => {
            return Err(SqlError::new(SqlState("22004"), "initial position must not be null"));
        }
        Some(_) => usize::try_from(int4(args, 2)?.max(1) - 1).unwrap_or(0),
    };
    let ty = element_type(site);
    let found = elements(args, 0)?.iter().enumerate().skip(skip).find(|(_, element)| same(ty, element, &args[1]));
    found.map_or(Ok(Value::Null), |(index, _)| count(index + 1))
}

fn positions(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let ty = element_type(site);
    let found = elements(args, 0)?.iter().enumerate().filter(|(_, element)| same(ty, element, &args[1]));
    made(found.map(|(index, _)| count(index + 1)).collect::<SqlResult<_>>()?)
}

/// Arrays have one dimension; an empty one has none.
fn of_dimension(args: &[Value], result: impl FnOnce(usize) -> SqlResult<Value>) -> SqlResult<Value> {
    match array(args, 0)?.len() {
        0 => Ok(Value::Null),
        length if int4(args, 1)? == 1 => result(length),
        _ => Ok(Value::Null),
    }
}

fn length(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    of_dimension(args, count)
}

fn lower(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    of_dimension(args, |_| Ok(Value::Int4(1)))
}

/// The system's vectors begin at 0.
fn vector_lower(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    of_dimension(args, |_| Ok(Value::Int4(0)))
}

fn vector_upper(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    of_dimension(args, |length| count(length - 1))
}

fn dimensions(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(if array(args, 0)?.is_empty() { Value::Null } else { Value::Int4(1) })
}

fn cardinality(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    count(array(args, 0)?.len())
}

fn trim(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let elements = array(args, 0)?;
    let keep = usize::try_from(int4(args, 1)?).ok().and_then(|drop| elements.len().checked_sub(drop));
    match keep {
        Some(keep) => Ok(Value::Array(elements[..keep].into())),
        None => {
            let message = format!("number of elements to trim must be between 0 and {}", elements.len());
            Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message))
        }
    }
}

fn fill(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[1].is_null() {
        return Err(SqlError::new(SqlState("22004"), "dimension array or low bound array cannot be null"));
    }
    match elements(args, 1)? {
        [] => made(Vec::new()),
        [Value::Int4(length)] => {
            let length = usize::try_from(*length).unwrap_or(0);
            super::args::check_length(length.saturating_mul(size_of::<Value>()))?;
            made(vec![args[0].clone(); length])
        }
        [_] => Err(SqlError::new(SqlState("22004"), "dimension values cannot be null")),
        _ => Err(SqlError::unsupported("an array of more than one dimension")),
    }
}

/// The same with the number of the first element, which can only be 1.
fn fill_from(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[2].is_null() {
        return Err(SqlError::new(SqlState("22004"), "dimension array or low bound array cannot be null"));
    }
    let filled = fill(site, args)?;
    match (elements(args, 1)?, elements(args, 2)?) {
        ([_], [Value::Int4(1)]) | ([], []) => Ok(filled),
        ([_], [Value::Null]) => Err(SqlError::new(SqlState("22004"), "dimension values cannot be null")),
        ([_], [_]) => Err(SqlError::unsupported("an array that does not begin at 1")),
        _ => Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")),
    }
}

/// `width_bucket`: how many of the thresholds, which rise, are not above a value.
fn bucket(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let thresholds = elements(args, 1)?;
    if thresholds.iter().any(Value::is_null) {
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "thresholds array must not contain NULLs"));
    }
    count(thresholds.partition_point(|threshold| annulus_relation::value::compare(threshold, &args[0]).is_le()))
}

/// Whether all elements of the second are among the first; NULL is equal to nothing.
fn includes(ty: &SqlType, whole: &[Value], part: &[Value]) -> bool {
    part.iter().all(|wanted| contains_one(ty, whole, wanted))
}

fn contains_one(ty: &SqlType, whole: &[Value], wanted: &Value) -> bool {
    !wanted.is_null() && whole.iter().any(|element| same(ty, element, wanted))
}

fn contains(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Bool(includes(element_type(site), array(args, 0)?, array(args, 1)?)))
}

fn contained(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Bool(includes(element_type(site), array(args, 1)?, array(args, 0)?)))
}

fn overlaps(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let ty = element_type(site);
    let (left, right) = (array(args, 0)?, array(args, 1)?);
    Ok(Value::Bool(left.iter().any(|wanted| contains_one(ty, right, wanted))))
}
