//! Which keys of an index are meant, and the spans that hold them.

use std::ops::Bound;

use annulus_base::KeyRange;
use annulus_txn::interface::Place;
use bytes::{BufMut, BytesMut};

use crate::codec::key::{BEHIND_FIELDS, BEHIND_VALUES, VALUES};
use crate::error::SqlResult;
use crate::ops::physical::Physical;
use crate::transaction::Span;
use crate::value::Value;

/// Which keys of an index: equal in the first ones, between bounds in the next one.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// The values of the first keys, of the keys' own types; NULL is the key that is NULL.
    pub equal: Vec<Value>,
    /// What the next key is not below. With a bound on either side, NULL is outside.
    pub lower: Bound<Value>,
    /// What the next key is not above.
    pub upper: Bound<Value>,
}

impl Bounds {
    /// All keys.
    #[must_use]
    pub const fn all() -> Self {
        Self::equal(Vec::new())
    }

    /// The keys that begin with these values.
    #[must_use]
    pub const fn equal(values: Vec<Value>) -> Self {
        Self { equal: values, lower: Bound::Unbounded, upper: Bound::Unbounded }
    }
}

/// The place of the only key in these bounds, if there can be only one.
pub(super) fn point(physical: &Physical, index: usize, bounds: &Bounds) -> SqlResult<Option<Place>> {
    let shape = &physical.indexes[index];
    let whole = !bounds.equal.is_empty() && bounds.equal.len() == shape.index.keys.len();
    let exclusive = index == 0 || shape.index.unique.claims(&bounds.equal);
    if !(whole && exclusive) {
        return Ok(None);
    }
    let span = spans_of(physical, index, bounds)?.pop();
    Ok(span.map(|span| Place { partition: span.partition, key: span.range.start }))
}

/// The spans of an index between bounds: one, or one in each partition.
pub(in crate::ops) fn spans_of(physical: &Physical, index: usize, bounds: &Bounds) -> SqlResult<Vec<Span>> {
    let shape = &physical.indexes[index];
    let prefix = shape.fields(&bounds.equal)?;
    let Some((start, end)) = fields_between(physical, index, bounds, &prefix)? else { return Ok(Vec::new()) };
    let range = KeyRange { start: physical.key(index, &start), end: physical.key(index, &end) };
    if range.start >= range.end {
        return Ok(Vec::new());
    }
    let span = |partition| Span { partition, range: range.clone() };
    match bounds.equal.first() {
        Some(first) => {
            let first = shape.fields(std::slice::from_ref(first))?;
            Ok(vec![span(physical.home.partition_of(physical.hash_number(index), &first))])
        }
        None => Ok(physical.home.partitions().map(span).collect()),
    }
}

/// The first fields inside and behind; `None` if nothing is inside.
fn fields_between(
    physical: &Physical,
    index: usize,
    bounds: &Bounds,
    prefix: &BytesMut,
) -> SqlResult<Option<(BytesMut, BytesMut)>> {
    let with = |byte: u8| {
        let mut out = prefix.clone();
        out.put_u8(byte);
        out
    };
    if matches!((&bounds.lower, &bounds.upper), (Bound::Unbounded, Bound::Unbounded)) {
        return Ok(Some((prefix.clone(), with(BEHIND_FIELDS))));
    }
    let (shape, position) = (&physical.indexes[index], bounds.equal.len());
    let encoded = |value: &Value, behind: bool| -> SqlResult<BytesMut> {
        let mut out = prefix.clone();
        shape.put_field(&mut out, position, value)?;
        if behind {
            out.put_u8(BEHIND_FIELDS);
        }
        Ok(out)
    };
    let (low, high) =
        if shape.is_descending(position) { (&bounds.upper, &bounds.lower) } else { (&bounds.lower, &bounds.upper) };
    let is_null = |bound: &Bound<Value>| matches!(bound, Bound::Included(Value::Null) | Bound::Excluded(Value::Null));
    if is_null(low) || is_null(high) {
        return Ok(None);
    }
    let start = match low {
        Bound::Unbounded => with(VALUES),
        Bound::Included(value) => encoded(value, false)?,
        Bound::Excluded(value) => encoded(value, true)?,
    };
    let end = match high {
        Bound::Unbounded => with(BEHIND_VALUES),
        Bound::Included(value) => encoded(value, true)?,
        Bound::Excluded(value) => encoded(value, false)?,
    };
    Ok(Some((start, end)))
}
