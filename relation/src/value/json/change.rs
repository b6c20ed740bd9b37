//! What can be changed in a `jsonb`: the operators `||`, `-`, `#-`, and `jsonb_set`, `jsonb_insert`, and assignment to
//! elements.
//!
//! Source: PostgreSQL 15, `jsonfuncs.c`.

use super::parse::{MAX_DEPTH, too_deep};
use super::tree::Json;
use crate::value::MOST_FILLED;
use crate::{SqlError, SqlResult, error::SqlState};

/// What happens at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Replace,
    /// Replace, or add what is missing.
    Create,
    Delete,
    InsertBefore,
    InsertAfter,
}

impl Change {
    const fn adds(self) -> bool {
        matches!(self, Self::Create | Self::InsertBefore | Self::InsertAfter)
    }
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

impl Json {
    /// `||`: members of both objects, those of the second win; otherwise elements of both, where what is no array is one
    /// element.
    #[must_use]
    pub fn concat(self, other: Self) -> Self {
        let elements = |json: Self| match json {
            Self::Array(elements) => elements,
            other => vec![other],
        };
        match (self, other) {
            (Self::Object(mut members), Self::Object(others)) => {
                members.extend(others);
                Self::object(members)
            }
            (first, second) => {
                let mut all = elements(first);
                all.extend(elements(second));
                Self::Array(all)
            }
        }
    }

    /// `- keys`: without these keys, or without these strings as elements.
    ///
    /// # Errors
    ///
    /// `22023` for a scalar.
    pub fn without(self, keys: &[&str]) -> SqlResult<Self> {
        match self {
            Self::Object(mut members) => {
                members.retain(|(key, _)| !keys.contains(&key.as_str()));
                Ok(Self::Object(members))
            }
            Self::Array(mut elements) => {
                elements.retain(|element| !matches!(element, Self::String(text) if keys.contains(&text.as_str())));
                Ok(Self::Array(elements))
            }
            _ => Err(invalid("cannot delete from scalar")),
        }
    }

    /// `- index`: without that element, from the end if negative.
    ///
    /// # Errors
    ///
    /// `22023` for what is no array.
    pub fn without_element(self, index: i32) -> SqlResult<Self> {
        match self {
            Self::Array(mut elements) => {
                if let Some(at) = super::position(index, elements.len()).filter(|at| *at < elements.len()) {
                    elements.remove(at);
                }
                Ok(Self::Array(elements))
            }
            Self::Object(_) => Err(invalid("cannot delete from object using integer index")),
            _ => Err(invalid("cannot delete from scalar")),
        }
    }

    /// `#- path`: without what is there.
    ///
    /// # Errors
    ///
    /// `22023` for a scalar, `22P02` for a path that is no index where an array is.
    pub fn without_path(self, path: &[Option<&str>]) -> SqlResult<Self> {
        self.change(path, &Self::Null, Change::Delete, "cannot delete path in scalar")
    }

    /// `jsonb_set(self, path, new, create)`
    ///
    /// # Errors
    ///
    /// As [`Json::without_path`].
    pub fn set(self, path: &[Option<&str>], new: &Self, create: bool) -> SqlResult<Self> {
        let change = if create { Change::Create } else { Change::Replace };
        self.change(path, new, change, "cannot set path in scalar")
    }

    /// `self[path] = new`: what is missing on the way is made, arrays are filled up with nulls.
    ///
    /// # Errors
    ///
    /// `22023` where a scalar would have to hold something, or before the beginning of an array, `22P02` for a path that is no
    /// index where an array is, `54000` if too much would be filled up, `54001` for a path that leads too deep.
    pub fn assign(self, path: &[&str], new: &Self) -> SqlResult<Self> {
        if path.len() > MAX_DEPTH {
            return Err(too_deep());
        }
        self.assign_at(path, 0, new, &mut { MOST_FILLED })
    }

    fn assign_at(self, path: &[&str], level: usize, new: &Self, room: &mut usize) -> SqlResult<Self> {
        let Some(step) = path.get(level) else { return Ok(new.clone()) };
        match self {
            Self::Object(mut members) => {
                if let Some((_, value)) = members.iter_mut().find(|(key, _)| key == step) {
                    let before = std::mem::replace(value, Self::Null);
                    *value = before.assign_at(path, level + 1, new, room)?;
                    return Ok(Self::Object(members));
                }
                members.push(((*step).to_owned(), made(path, level + 1, new, room)?));
                Ok(Self::object(members))
            }
            Self::Array(mut elements) => {
                let index = index_of(step, level)?;
                let at = super::position(index, elements.len()).ok_or_else(|| {
                    invalid(format!("path element at position {} is out of range: {index}", level + 1))
                })?;
                if at < elements.len() {
                    let before = std::mem::replace(&mut elements[at], Self::Null);
                    elements[at] = before.assign_at(path, level + 1, new, room)?;
                } else {
                    fill(&mut elements, at, room)?;
                    elements.push(made(path, level + 1, new, room)?);
                }
                Ok(Self::Array(elements))
            }
            _ => Err(invalid("cannot replace existing key")
                .detail("The path assumes key is a composite object, but it is a scalar value.")),
        }
    }

    /// `jsonb_insert(self, path, new, after)`
    ///
    /// # Errors
    ///
    /// As [`Json::without_path`], and `22023` for a key that is there.
    pub fn insert(self, path: &[Option<&str>], new: &Self, after: bool) -> SqlResult<Self> {
        let change = if after { Change::InsertAfter } else { Change::InsertBefore };
        self.change(path, new, change, "cannot set path in scalar")
    }

    fn change(self, path: &[Option<&str>], new: &Self, change: Change, scalar: &str) -> SqlResult<Self> {
        let is_empty = match &self {
            Self::Array(elements) => elements.is_empty(),
            Self::Object(members) => members.is_empty(),
            _ => return Err(invalid(scalar)),
        };
        if path.is_empty() || is_empty && !change.adds() {
            return Ok(self);
        }
        self.change_at(path, 0, new, change)
    }

    fn change_at(self, path: &[Option<&str>], level: usize, new: &Self, change: Change) -> SqlResult<Self> {
        let Some(Some(step)) = path.get(level) else {
            let message = format!("path element at position {} is null", level + 1);
            return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
        };
        match self {
            Self::Object(members) => change_object(members, path, (level, step), new, change),
            Self::Array(elements) => change_array(elements, path, (level, step), new, change),
            scalar => Ok(scalar),
        }
    }
}

/// What the rest of a path leads through to a value: arrays where it has numbers, otherwise objects.
fn made(path: &[&str], level: usize, new: &Json, room: &mut usize) -> SqlResult<Json> {
    let Some(step) = path.get(level) else { return Ok(new.clone()) };
    let inner = made(path, level + 1, new, room)?;
    match step.parse::<i32>() {
        Ok(index) => {
            let mut elements = Vec::new();
            fill(&mut elements, usize::try_from(index).unwrap_or(0), room)?;
            elements.push(inner);
            Ok(Json::Array(elements))
        }
        Err(_) => Ok(Json::Object(vec![((*step).to_owned(), inner)])),
    }
}

/// Fills an array with nulls up to a length, as long as there is room for so many.
fn fill(elements: &mut Vec<Json>, length: usize, room: &mut usize) -> SqlResult<()> {
    *room = room.checked_sub(length.saturating_sub(elements.len())).ok_or_else(|| {
        let message = format!("an assignment fills arrays up with at most {MOST_FILLED} nulls");
        SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
    })?;
    elements.resize(length, Json::Null);
    Ok(())
}

fn index_of(step: &str, level: usize) -> SqlResult<i32> {
    step.trim_start().parse::<i32>().map_err(|_| {
        let message = format!("path element at position {} is not an integer: \"{step}\"", level + 1);
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
    })
}

type Step<'a> = (usize, &'a str);

fn change_object(
    mut members: Vec<(String, Json)>,
    path: &[Option<&str>],
    (level, key): Step<'_>,
    new: &Json,
    change: Change,
) -> SqlResult<Json> {
    let is_last = level + 1 == path.len();
    let Some(at) = members.iter().position(|(known, _)| known == key) else {
        if is_last && change.adds() {
            members.push((key.to_owned(), new.clone()));
        }
        return Ok(Json::object(members));
    };
    match change {
        _ if !is_last => {
            let value = std::mem::replace(&mut members[at].1, Json::Null);
            members[at].1 = value.change_at(path, level + 1, new, change)?;
        }
        Change::InsertBefore | Change::InsertAfter => {
            let hint = "Try using the function jsonb_set to replace key value.";
            return Err(invalid("cannot replace existing key").hint(hint));
        }
        Change::Delete => {
            members.remove(at);
        }
        Change::Replace | Change::Create => members[at].1 = new.clone(),
    }
    Ok(Json::Object(members))
}

fn change_array(
    mut elements: Vec<Json>,
    path: &[Option<&str>],
    (level, index): Step<'_>,
    new: &Json,
    change: Change,
) -> SqlResult<Json> {
    let index = index_of(index, level)?;
    let is_last = level + 1 == path.len();
    let at = super::position(index, elements.len());
    let there = at.filter(|at| *at < elements.len());
    match (there, change) {
        (Some(at), _) if !is_last => {
            let value = std::mem::replace(&mut elements[at], Json::Null);
            elements[at] = value.change_at(path, level + 1, new, change)?;
        }
        (Some(at), Change::Delete) => {
            elements.remove(at);
        }
        (Some(at), Change::Replace | Change::Create) => elements[at] = new.clone(),
        (Some(at), Change::InsertBefore) => elements.insert(at, new.clone()),
        (Some(at), Change::InsertAfter) => elements.insert(at + 1, new.clone()),
        // Behind the end it is added there, before the beginning there.
        (None, change) if is_last && change.adds() => {
            let at = if at.is_none() { 0 } else { elements.len() };
            elements.insert(at, new.clone());
        }
        (None, _) => {}
    }
    Ok(Json::Array(elements))
}
