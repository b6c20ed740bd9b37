//! Enumerations: types whose values are labels, in the order in which they are declared.
//!
//! A value is a number that sorts as its label does and never changes, whatever the label is called later and whatever is
//! put before or behind it. So rows, keys and expressions that are stored know nothing of labels: who reads them for
//! people needs a type that knows.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{SqlType, Value};
use crate::{SqlError, SqlResult, error::SqlState};

/// How far apart labels are that are declared one behind the other: there is room for others between.
const GAP: i64 = 1 << 48;

/// An enumeration. Two are the same if their numbers are, whatever is known of their labels.
#[derive(Clone, Debug)]
pub struct EnumType {
    number: u32,
    known: Option<Arc<Labels>>,
}

/// What an enumeration is called, and its labels.
#[derive(Debug, PartialEq, Eq)]
pub struct Labels {
    /// The name of its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The labels with their numbers, in order.
    labels: Vec<(i64, Arc<str>)>,
    numbers: BTreeMap<Arc<str>, i64>,
}

impl Labels {
    /// An enumeration of this name in a schema, and its labels with their numbers, in order.
    #[must_use]
    pub fn new(schema: &str, name: &str, labels: Vec<(i64, Arc<str>)>) -> Self {
        let numbers = labels.iter().map(|(number, label)| (Arc::clone(label), *number)).collect();
        Self { schema: schema.to_owned(), name: name.to_owned(), labels, numbers }
    }
}

impl PartialEq for EnumType {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for EnumType {}

impl Hash for EnumType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl EnumType {
    /// The enumeration of a number, of which nothing else is known: its values are read and shown as their numbers.
    #[must_use]
    pub const fn unknown(number: u32) -> Self {
        Self { number, known: None }
    }

    /// The enumeration of a number, with its labels.
    #[must_use]
    pub const fn new(number: u32, labels: Arc<Labels>) -> Self {
        Self { number, known: Some(labels) }
    }

    /// Its number, which is its object identifier.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The object identifier of its arrays' type: each enumeration takes two numbers.
    #[must_use]
    pub const fn array_number(&self) -> u32 {
        self.number.saturating_add(1)
    }

    /// What is known of it.
    #[must_use]
    pub fn known(&self) -> Option<&Labels> {
        self.known.as_deref()
    }

    /// Its name, without its schema.
    #[must_use]
    pub fn name(&self) -> String {
        self.known().map_or_else(|| format!("enum {}", self.number), |known| known.name.clone())
    }

    /// The numbers of its labels, in order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = i64> {
        self.known().into_iter().flat_map(|known| known.labels.iter().map(|(number, _)| *number))
    }

    /// The value that a label is.
    ///
    /// # Errors
    /// `22P02` if it has no such label.
    pub fn read(&self, text: &str) -> SqlResult<i64> {
        let found = match self.known() {
            Some(known) => known.numbers.get(text).copied(),
            None => text.parse().ok(),
        };
        found.ok_or_else(|| {
            let message = format!("invalid input value for enum {}: \"{text}\"", quoted(&self.name()));
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
        })
    }

    /// The label of a value.
    #[must_use]
    pub fn label(&self, value: i64) -> Arc<str> {
        let labels = self.known().map_or(&[][..], |known| &known.labels);
        match labels.binary_search_by_key(&value, |(number, _)| *number) {
            Ok(place) => Arc::clone(&labels[place].1),
            Err(_) => value.to_string().into(),
        }
    }
}

/// A value of a type of which other things are known now: of an enumeration the one that has the same label.
///
/// # Errors
/// `22P02` if it has no such label any more.
pub fn carry(value: Value, read: &SqlType, known: &SqlType) -> SqlResult<Value> {
    match (value, read, known) {
        (Value::Enum(value), SqlType::Enum(read), SqlType::Enum(known)) if read.known != known.known => {
            known.read(&read.label(value)).map(Value::Enum)
        }
        (Value::Array(values), SqlType::Array(read), SqlType::Array(known)) if known.enumeration().is_some() => {
            let values = values.iter().map(|value| carry(value.clone(), read, known));
            values.collect::<SqlResult<Vec<_>>>().map(|values| Value::Array(values.into()))
        }
        (value, ..) => Ok(value),
    }
}

/// A name as SQL has it: in quotes if it is not one of lower case.
pub(super) fn quoted(name: &str) -> String {
    let mut chars = name.chars();
    let begins = chars.next().is_some_and(|c| c == '_' || c.is_ascii_lowercase());
    match begins && chars.all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit()) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// A number between two others, of which one may be missing; `None` if there is none left.
///
/// Labels mostly come in order, before one that stays the last: so more is left above than below.
#[must_use]
pub fn between(low: Option<i64>, high: Option<i64>) -> Option<i64> {
    match (low, high) {
        (None, None) => Some(0),
        (Some(low), None) => {
            Some(low + part(i128::from(i64::MAX) - i128::from(low), 1 << 10).filter(|step| *step > 0)?)
        }
        (None, Some(high)) => {
            Some(high - part(i128::from(high) - i128::from(i64::MIN), 1 << 10).filter(|step| *step > 0)?)
        }
        (Some(low), Some(high)) => {
            let room = i128::from(high) - i128::from(low);
            (room > 1).then(|| low + part(room, 4).unwrap_or(1).max(1))
        }
    }
}

/// A part of some room, at most [`GAP`].
fn part(room: i128, parts: i128) -> Option<i64> {
    i64::try_from((room / parts).max(i128::from(room > 0)).min(i128::from(GAP))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mood() -> EnumType {
        let labels = [(0, "sad"), (GAP, "ok"), (2 * GAP, "happy")].map(|(number, label)| (number, label.into()));
        EnumType::new(7, Arc::new(Labels::new("public", "Mood", labels.into())))
    }

    #[test]
    fn labels_are_read_and_shown() {
        let mood = mood();
        for label in ["sad", "ok", "happy"] {
            assert_eq!(&*mood.label(mood.read(label).unwrap()), label);
        }
        assert!(mood.read("sad").unwrap() < mood.read("ok").unwrap());
        let error = mood.read("Sad").unwrap_err();
        assert_eq!(
            (error.state().0, error.to_string().as_str()),
            ("22P02", "invalid input value for enum \"Mood\": \"Sad\"")
        );
        assert_eq!(mood, EnumType::unknown(7));
        let labels = vec![(0, "bad".into()), (3, "ok".into())];
        let later = EnumType::new(7, Arc::new(Labels::new("public", "Mood", labels)));
        let (read, known) = (SqlType::Enum(mood.clone()), SqlType::Enum(later));
        let ok = Value::Enum(mood.read("ok").unwrap());
        assert_eq!(carry(ok.clone(), &read, &known), Ok(Value::Enum(3)));
        let (read, known) = (read.array(), known.array());
        assert_eq!(
            carry(Value::Array([ok, Value::Null].into()), &read, &known),
            Ok(Value::Array([Value::Enum(3), Value::Null].into()))
        );
        let sad = Value::Array([Value::Enum(0)].into());
        assert_eq!(carry(sad, &read, &known).unwrap_err().state().0, "22P02");
        assert_eq!(EnumType::unknown(7).read("12"), Ok(12));
        assert_eq!(&*EnumType::unknown(7).label(12), "12");
    }

    #[test]
    fn there_is_room_for_labels() {
        // At either end there are more than any type has.
        let (mut first, mut last) = (0, 0);
        for count in 0..60_000 {
            let (before, behind) = (between(None, Some(first)).unwrap(), between(Some(last), None).unwrap());
            assert!(before < first && last < behind);
            assert!(count >= 1_000 || behind - last == GAP && first - before == GAP);
            (first, last) = (before, behind);
        }
        // Again and again before the last one, behind the first one, behind the one that was put there just now.
        for (side, least) in [(0, 100), (1, 20)] {
            let (mut low, mut high, mut count) = (0, GAP, 0);
            while let Some(number) = between(Some(low), Some(high)) {
                assert!(low < number && number < high);
                *(if side == 0 { &mut low } else { &mut high }) = number;
                count += 1;
            }
            assert!(count >= least, "{count}");
        }
        assert_eq!(between(Some(i64::MAX), None), None);
        assert_eq!(between(None, Some(i64::MIN)), None);
        assert_eq!(between(Some(4), Some(5)), None);
        assert_eq!(between(Some(4), Some(6)), Some(5));
    }
}
