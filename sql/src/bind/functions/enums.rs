//! Functions of enumerations. Labels may be added later, so none of them is immutable.

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use super::super::registry::{Entry, Site, entry};

pub(super) const TABLE: &[Entry] = &[
    entry("enum_first(anyenum) anyenum", |s, _| end(s, labels(s.arg(0)).first())).stable().lenient(),
    entry("enum_last(anyenum) anyenum", |s, _| end(s, labels(s.arg(0)).last())).stable().lenient(),
    entry("enum_range(anyenum) anyarray", |s, _| Ok(range(s, &Value::Null, &Value::Null))).stable().lenient(),
    entry("enum_range(anyenum,anyenum) anyarray", |s, a| Ok(range(s, &a[0], &a[1]))).stable().lenient(),
];

fn labels(ty: &SqlType) -> Vec<i64> {
    ty.enumeration().into_iter().flat_map(|ty| ty.values()).collect()
}

/// The first or the last label, which there must be.
fn end(site: &Site<'_>, label: Option<&i64>) -> SqlResult<Value> {
    label.copied().map(Value::Enum).ok_or_else(|| {
        let message = format!("enum {} contains no values", site.arg(0).name());
        SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
    })
}

/// The labels between two, which may be left open.
fn range(site: &Site<'_>, low: &Value, high: &Value) -> Value {
    let bound = |value: &Value, open: i64| if let Value::Enum(label) = value { *label } else { open };
    let (low, high) = (bound(low, i64::MIN), bound(high, i64::MAX));
    let within = labels(site.arg(0)).into_iter().filter(|label| (low..=high).contains(label));
    Value::Array(within.map(Value::Enum).collect())
}
