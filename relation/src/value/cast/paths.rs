//! Which casts there are, and where they happen by themselves.
//!
//! Source: PostgreSQL 15, `pg_cast.dat` and `find_coercion_pathway`.

use crate::value::SqlType;

/// Where a cast is asked for, from the strictest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// In expressions, where nobody wrote a cast.
    Implicit,
    /// Where a value is stored into a column.
    Assignment,
    /// `CAST`, `::`
    Explicit,
}

/// How a cast works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// By a function of these two types, or because both have the same values.
    Direct,
    /// By the text of the value.
    Text,
    /// Element by element.
    Elements,
}

/// Whether a value of a type can be cast to another one where it is asked for.
#[must_use]
pub fn can_cast(from: &SqlType, to: &SqlType, context: CastContext) -> bool {
    path(from, to).is_some_and(|(needed, _)| context >= needed)
}

/// How to cast between two types, and the strictest context where it may happen.
pub fn path(from: &SqlType, to: &SqlType) -> Option<(CastContext, Path)> {
    use CastContext::{Assignment, Explicit, Implicit};
    let no_value = |ty: &SqlType| *ty == SqlType::Void || ty.has_rows();
    if no_value(from) || no_value(to) {
        return None;
    }
    if from.base() == to.base() {
        return Some((Implicit, Path::Direct));
    }
    if matches!(from, SqlType::Unknown) {
        return Some((Implicit, Path::Text));
    }
    if let (Some(from), Some(to)) = (from.element(), to.element()) {
        return path(from, to).map(|(context, _)| (context, Path::Elements));
    }
    if let Some(context) = direct(from, to) {
        return Some((context, Path::Direct));
    }
    if to.category() == 'S' || matches!(to, SqlType::Unknown) {
        return Some((Assignment, Path::Text));
    }
    (from.category() == 'S').then_some((Explicit, Path::Text))
}

fn direct(from: &SqlType, to: &SqlType) -> Option<CastContext> {
    use CastContext::{Assignment, Explicit, Implicit};
    use SqlType as T;
    let context = match (from, to) {
        (T::Int4, T::Bool) | (T::Bool, T::Int4) | (T::InternalChar, T::Int4) | (T::Int4, T::InternalChar) => Explicit,
        (T::Bool, T::Text | T::Varchar(_) | T::Char(_)) => Assignment,
        (from, to) if number_rank(from).is_some() && number_rank(to).is_some() => {
            if number_rank(from) < number_rank(to) { Implicit } else { Assignment }
        }
        (T::Int2 | T::Int4 | T::Int8, to) if is_reference(to) => Implicit,
        (from, T::Int4 | T::Int8) if is_reference(from) => Assignment,
        (T::Oid, to) if is_reference(to) => Implicit,
        (from, T::Oid) if is_reference(from) => Implicit,
        (T::Text | T::Varchar(_), T::Regclass) => Implicit,
        (T::InternalChar, T::Text) => Implicit,
        (T::InternalChar | T::Name, T::Varchar(_) | T::Char(_)) => Assignment,
        (T::Text | T::Varchar(_) | T::Char(_), T::InternalChar) => Assignment,
        (T::Text | T::Varchar(_) | T::Char(_) | T::Name, T::Text | T::Varchar(_) | T::Char(_) | T::Name) => Implicit,
        (T::Date, T::Timestamp(_) | T::Timestamptz(_))
        | (T::Time(_), T::Interval(_))
        | (T::Timestamp(_), T::Timestamptz(_)) => Implicit,
        (T::Timestamp(_), T::Date | T::Time(_)) | (T::Interval(_), T::Time(_)) => Assignment,
        (T::Timestamptz(_), T::Date | T::Time(_) | T::Timestamp(_)) => Assignment,
        (T::Cidr, T::Inet) => Implicit,
        (T::Inet, T::Cidr) => Assignment,
        (T::Inet | T::Cidr, T::Text | T::Varchar(_) | T::Char(_)) => Assignment,
        (T::Json, T::Jsonb) | (T::Jsonb, T::Json) => Assignment,
        (T::Jsonb, T::Bool) => Explicit,
        (T::Jsonb, to) if number_rank(to).is_some() => Explicit,
        _ => return None,
    };
    Some(context)
}

/// The order in which numbers are widened by themselves.
const fn number_rank(ty: &SqlType) -> Option<u8> {
    match ty {
        SqlType::Int2 => Some(0),
        SqlType::Int4 => Some(1),
        SqlType::Int8 => Some(2),
        SqlType::Numeric(_) => Some(3),
        SqlType::Float4 => Some(4),
        SqlType::Float8 => Some(5),
        _ => None,
    }
}

const fn is_reference(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc | SqlType::Regnamespace)
}
