//! Types in PostgreSQL's categories, and what types have in common.

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};

use super::coerce::implicit;

/// The families in which PostgreSQL prefers conversions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// Arrays.
    Array,
    /// Booleans.
    Boolean,
    /// Dates and times.
    DateTime,
    /// Intervals.
    Timespan,
    /// Addresses of networks.
    Network,
    /// Numbers, `oid` and its aliases among them.
    Numeric,
    /// Strings.
    String,
    /// Enumerations.
    Enum,
    /// `"char"`
    Internal,
    /// All else.
    User,
    /// Undecided literals.
    Unknown,
}

/// A type's category (`typcategory`).
#[must_use]
pub const fn category(ty: &SqlType) -> Category {
    match ty {
        SqlType::Array(_) | SqlType::Int2Vector | SqlType::OidVector => Category::Array,
        SqlType::Bool => Category::Boolean,
        SqlType::Date | SqlType::Time(_) | SqlType::Timestamp(_) | SqlType::Timestamptz(_) => Category::DateTime,
        SqlType::Interval(_) => Category::Timespan,
        SqlType::Inet | SqlType::Cidr => Category::Network,
        SqlType::Int2
        | SqlType::Int4
        | SqlType::Int8
        | SqlType::Float4
        | SqlType::Float8
        | SqlType::Numeric(_)
        | SqlType::Oid
        | SqlType::Regclass
        | SqlType::Regtype
        | SqlType::Regproc
        | SqlType::Regnamespace => Category::Numeric,
        SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Name => Category::String,
        SqlType::Enum(_) => Category::Enum,
        SqlType::InternalChar => Category::Internal,
        SqlType::Unknown => Category::Unknown,
        SqlType::Bytea | SqlType::Uuid | SqlType::Json | SqlType::Jsonb | SqlType::Jsonpath => Category::User,
        SqlType::Void | SqlType::Record => Category::User,
    }
}

/// Whether a type is the one to prefer in its category (`typispreferred`).
#[must_use]
pub const fn is_preferred(ty: &SqlType) -> bool {
    matches!(
        ty,
        SqlType::Bool
            | SqlType::Float8
            | SqlType::Oid
            | SqlType::Text
            | SqlType::Timestamptz(_)
            | SqlType::Interval(_)
            | SqlType::Inet
    )
}

/// The type without its modifiers.
pub(super) fn unmodified(ty: &SqlType) -> SqlType {
    match ty {
        SqlType::Numeric(_) => SqlType::Numeric(None),
        SqlType::Varchar(_) => SqlType::Varchar(None),
        SqlType::Char(_) => SqlType::Char(0),
        SqlType::Time(_) => SqlType::Time(None),
        SqlType::Timestamp(_) => SqlType::Timestamp(None),
        SqlType::Timestamptz(_) => SqlType::Timestamptz(None),
        SqlType::Interval(_) => SqlType::Interval(None),
        SqlType::Array(element) => SqlType::Array(Box::new(unmodified(element))),
        other => other.clone(),
    }
}

/// Whether two types differ in nothing but modifiers.
pub(super) fn same(left: &SqlType, right: &SqlType) -> bool {
    match (left, right) {
        (SqlType::Numeric(_), SqlType::Numeric(_))
        | (SqlType::Varchar(_), SqlType::Varchar(_))
        | (SqlType::Char(_), SqlType::Char(_))
        | (SqlType::Time(_), SqlType::Time(_))
        | (SqlType::Timestamp(_), SqlType::Timestamp(_))
        | (SqlType::Timestamptz(_), SqlType::Timestamptz(_))
        | (SqlType::Interval(_), SqlType::Interval(_)) => true,
        (SqlType::Array(left), SqlType::Array(right)) => same(left, right),
        (left, right) => left == right,
    }
}

/// A type's name in messages: without modifiers.
pub(super) fn type_name(ty: &SqlType) -> String {
    match unmodified(ty) {
        SqlType::Char(_) => "character".into(),
        SqlType::Array(element) => format!("{}[]", type_name(&element)),
        other => other.name(),
    }
}

/// The type to which all of these are converted where they must be of one type: `CASE`, `COALESCE`, `ARRAY`, `VALUES`,
/// `UNION`. `context` names the construct in the error.
///
/// Source: `select_common_type` of PostgreSQL 15's parse_coerce.c.
pub fn common_type<'t>(types: impl IntoIterator<Item = &'t SqlType>, context: &str) -> SqlResult<SqlType> {
    let types: Vec<&SqlType> = types.into_iter().collect();
    if let Some((first, rest)) = types.split_first()
        && **first != SqlType::Unknown
        && rest.iter().all(|ty| ty == first)
    {
        return Ok((*first).clone());
    }
    let mut chosen: Option<&SqlType> = None;
    for ty in types.into_iter().filter(|ty| **ty != SqlType::Unknown) {
        let Some(current) = chosen else {
            chosen = Some(ty);
            continue;
        };
        if same(current, ty) {
            continue;
        }
        if category(current) != category(ty) {
            let message = format!("{context} types {} and {} cannot be matched", type_name(current), type_name(ty));
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        }
        if !is_preferred(current) && implicit(current, ty) && !implicit(ty, current) {
            chosen = Some(ty);
        }
    }
    Ok(chosen.map_or(SqlType::Text, unmodified))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_types_are_postgres() {
        let common = |types: &[SqlType]| common_type(types, "CASE").map_err(|error| error.to_string());
        assert_eq!(common(&[SqlType::Int4, SqlType::Numeric(Some((5, 2)))]), Ok(SqlType::Numeric(None)));
        assert_eq!(common(&[SqlType::Int8, SqlType::Int4]), Ok(SqlType::Int8));
        assert_eq!(common(&[SqlType::Unknown, SqlType::Unknown]), Ok(SqlType::Text));
        assert_eq!(common(&[SqlType::Varchar(Some(3)), SqlType::Varchar(Some(3))]), Ok(SqlType::Varchar(Some(3))));
        assert_eq!(
            common(&[SqlType::Date, SqlType::Timestamptz(None), SqlType::Timestamp(None)]),
            Ok(SqlType::Timestamptz(None))
        );
        assert_eq!(
            common(&[SqlType::Int4, SqlType::Text]),
            Err("CASE types integer and text cannot be matched".into())
        );
    }
}
