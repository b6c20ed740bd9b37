//! Which types sums and averages have.

use annulus_relation::SqlType;

/// The type of a sum; `None` if there is none.
pub(super) fn sum_type(ty: &SqlType) -> Option<SqlType> {
    Some(match ty {
        SqlType::Int2 | SqlType::Int4 => SqlType::Int8,
        SqlType::Int8 | SqlType::Numeric(_) => SqlType::Numeric(None),
        SqlType::Float4 => SqlType::Float4,
        SqlType::Float8 => SqlType::Float8,
        SqlType::Interval(_) => SqlType::Interval(None),
        _ => return None,
    })
}

/// The type of an average; `None` if there is none.
pub(super) fn avg_type(ty: &SqlType) -> Option<SqlType> {
    Some(match ty {
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Numeric(_) => SqlType::Numeric(None),
        SqlType::Float4 | SqlType::Float8 => SqlType::Float8,
        SqlType::Interval(_) => SqlType::Interval(None),
        _ => return None,
    })
}

/// Whether sums depend on the order of what is added.
pub(super) fn is_float(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Float4 | SqlType::Float8)
}
