//! What is in a `jsonb`: the operators `->`, `->>`, `#>`, `@>`, `?` and casts.

use super::tree::{Json, compare_keys};
use crate::value::Numeric;
use crate::{SqlError, SqlResult, error::SqlState};

impl Json {
    /// `-> key`: the member of an object.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        let at = members.binary_search_by(|(known, _)| compare_keys(known, key)).ok()?;
        members.get(at).map(|(_, value)| value)
    }

    /// `-> index`: the element of an array, from the end if negative. As in PostgreSQL, a scalar is its own only element.
    #[must_use]
    pub fn element(&self, index: i32) -> Option<&Self> {
        let elements = match self {
            Self::Array(elements) => elements.as_slice(),
            Self::Object(_) => return None,
            scalar => std::slice::from_ref(scalar),
        };
        elements.get(super::position(index, elements.len())?)
    }

    /// `#> path`: member by member, element by element.
    #[must_use]
    pub fn at_path<S: AsRef<str>>(&self, path: &[S]) -> Option<&Self> {
        path.iter().try_fold(self, |json, step| match json {
            Self::Object(_) => json.member(step.as_ref()),
            Self::Array(_) => step.as_ref().trim_start().parse().ok().and_then(|index| json.element(index)),
            _ => None,
        })
    }

    /// What `->>` and `#>>` give: strings as they are, NULL for null, other values as their text.
    #[must_use]
    pub fn as_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::String(text) => Some(text.clone()),
            other => Some(other.print()),
        }
    }

    const fn is_scalar(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Object(_))
    }

    /// `@>`: whether all that is in `other` is in it. An array contains a scalar that is one of its elements.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(elements), scalar) if scalar.is_scalar() => elements.contains(scalar),
            _ => self.contains_inside(other),
        }
    }

    fn contains_inside(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(_), Self::Object(wanted)) => {
                wanted.iter().all(|(key, value)| self.member(key).is_some_and(|own| own.contains_inside(value)))
            }
            (Self::Array(elements), Self::Array(wanted)) => wanted.iter().all(|value| {
                // A scalar is found by its value, a container by what is in it.
                elements.iter().any(|own| own.contains_inside(value))
            }),
            (own, other) if own.is_scalar() && other.is_scalar() => own.compare(other).is_eq(),
            _ => false,
        }
    }

    /// `?`: whether it has a key, or a string as an element, or is that string.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        let is_key = |json: &Self| matches!(json, Self::String(text) if text == key);
        match self {
            Self::Object(_) => self.member(key).is_some(),
            Self::Array(elements) => elements.iter().any(is_key),
            scalar => is_key(scalar),
        }
    }

    /// The number that `jsonb::numeric` and the like cast; `ty` is the type's name.
    ///
    /// # Errors
    ///
    /// `22023` for what is no number.
    pub fn as_number(&self, ty: &str) -> SqlResult<&Numeric> {
        match self {
            Self::Number(number) => Ok(number),
            other => Err(other.cannot_cast(ty)),
        }
    }

    /// What `jsonb::boolean` casts.
    ///
    /// # Errors
    ///
    /// `22023` for what is no boolean.
    pub fn as_bool(&self) -> SqlResult<bool> {
        match self {
            Self::Bool(value) => Ok(*value),
            other => Err(other.cannot_cast("boolean")),
        }
    }

    fn cannot_cast(&self, ty: &str) -> SqlError {
        let kind = match self {
            Self::Number(_) => "numeric",
            other => other.type_name(),
        };
        let message = format!("cannot cast jsonb {kind} to type {ty}");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
    }

    /// `jsonb_strip_nulls`: without members that are null, at any depth.
    #[must_use]
    pub fn strip_nulls(self) -> Self {
        match self {
            Self::Array(elements) => Self::Array(elements.into_iter().map(Self::strip_nulls).collect()),
            Self::Object(members) => {
                let kept = members.into_iter().filter(|(_, value)| *value != Self::Null);
                Self::Object(kept.map(|(key, value)| (key, value.strip_nulls())).collect())
            }
            scalar => scalar,
        }
    }
}
