//! What becomes of values that differ, and of stored ones, when their column gets another type.

use super::{MAX_TIME_PRECISION, SqlType};

const fn is_integer(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Int2 | SqlType::Int4 | SqlType::Int8)
}

/// Whether values that differ are converted to values that differ, and equal to what they were, if values of the two types
/// can be compared, and if they can be converted at all.
#[must_use]
pub fn keeps_apart(from: &SqlType, to: &SqlType) -> bool {
    use SqlType as T;
    is_same_when_stored(from, to)
        || (is_integer(from) && (is_integer(to) || *to == T::Numeric(None)))
        || ((is_integer(from) || matches!(from, T::Uuid | T::Inet | T::Cidr | T::Enum(_))) && is_text(to))
        || (matches!(to, T::Enum(_)) && is_text(from))
        || matches!((from, to), (T::Int2 | T::Int4, T::Float8) | (T::Date, T::Timestamp(_)))
}

fn is_text(ty: &SqlType) -> bool {
    use SqlType as T;
    matches!(ty, T::Text | T::Varchar(_))
}

/// Whether every stored value of one type is, as it is stored, a value of the other.
#[must_use]
pub fn is_same_when_stored(from: &SqlType, to: &SqlType) -> bool {
    use SqlType as T;
    // Six digits are all that times have.
    let finer =
        |from: Option<u8>, to: Option<u8>| from.unwrap_or(MAX_TIME_PRECISION) <= to.unwrap_or(MAX_TIME_PRECISION);
    let room = |length: &Option<u32>| length.map_or(u64::MAX, u64::from);
    match (from, to) {
        (T::Varchar(_) | T::Text, T::Text) => true,
        (T::Varchar(from), T::Varchar(to)) => room(from) <= room(to),
        // Rows say of which type their values are.
        (T::Int2, T::Int4 | T::Int8) | (T::Int4, T::Int8) | (T::Float4, T::Float8) => true,
        (T::Cidr, T::Inet) => true,
        (T::Numeric(_), T::Numeric(None)) => true,
        (T::Time(from), T::Time(to))
        | (T::Timestamp(from), T::Timestamp(to))
        | (T::Timestamptz(from), T::Timestamptz(to)) => finer(*from, *to),
        (T::Interval(_), T::Interval(None)) => true,
        (T::Interval(Some(from)), T::Interval(Some(to))) => {
            from.fields == to.fields && finer(from.precision, to.precision)
        }
        (T::Numeric(Some((precision, scale))), T::Numeric(Some((to, to_scale)))) => {
            scale == to_scale && precision <= to
        }
        _ => false,
    }
}
