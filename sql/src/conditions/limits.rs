//! What is said about one expression.

use annulus_relation::Value;
use annulus_relation::value::compare;

/// A bound, and whether it is inside.
pub(crate) type Limit = (Value, bool);

/// What is said about one expression. All of it holds together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    /// It is one of these, which differ and are in order.
    pub one_of: Option<Vec<Value>>,
    pub lower: Option<Limit>,
    pub upper: Option<Limit>,
    pub(super) none_of: Vec<Value>,
    pub(super) not_null: bool,
}

impl Limits {
    /// Whether all values that these allow are allowed by `outer`.
    pub(super) fn are_within(&self, outer: &Self) -> bool {
        if let Some(values) = &self.one_of {
            return values.iter().filter(|value| self.allow(value)).all(|value| outer.allow(value));
        }
        let below = |value: &Value| self.upper.as_ref().is_some_and(|(upper, inside)| is_below(upper, *inside, value));
        let above = |value: &Value| self.lower.as_ref().is_some_and(|(lower, inside)| is_above(lower, *inside, value));
        let excludes = |value: &Value| below(value) || above(value) || holds(&self.none_of, value);
        // Those without a list of values allow more than any list.
        outer.one_of.is_none()
            && (!outer.never_null() || self.never_null())
            && outer.none_of.iter().all(excludes)
            && outer.lower.as_ref().is_none_or(|(value, inside)| above(value) || (*inside && starts_at(self, value)))
            && outer.upper.as_ref().is_none_or(|(value, inside)| below(value) || (*inside && ends_at(self, value)))
    }

    /// The part of the rows that these may leave where nothing is known of their values: PostgreSQL's defaults, but for NULL,
    /// which a column has in most rows or in few.
    pub fn guess(&self) -> f64 {
        let split = |value: &Value| matches!(value, Value::Null | Value::Bool(_));
        match &self.one_of {
            Some(values) if values.iter().any(split) => 0.5,
            Some(values) => (0.005 * values.len() as f64).min(1.0),
            None if self.lower.is_some() || self.upper.is_some() => 0.3,
            None => 1.0,
        }
    }

    /// Whether it cannot be NULL.
    pub(super) fn never_null(&self) -> bool {
        self.is_compared() || self.one_of.as_ref().is_some_and(|values| !values.iter().any(Value::is_null))
    }

    /// Whether no value is allowed, as far as a list tells.
    pub(super) fn are_empty(&self) -> bool {
        self.one_of.as_ref().is_some_and(|values| !values.iter().any(|value| self.allow(value)))
    }

    /// It is one of these, too, which are in order.
    pub(super) fn retain(&mut self, values: &[Value]) {
        match &mut self.one_of {
            Some(old) => old.retain(|old| lists(values, old)),
            none => *none = Some(values.to_vec()),
        }
    }

    /// Whether a comparison is true of it, or it is said not to be NULL.
    fn is_compared(&self) -> bool {
        self.not_null || self.lower.is_some() || self.upper.is_some() || !self.none_of.is_empty()
    }

    fn allow(&self, value: &Value) -> bool {
        if value.is_null() && self.is_compared() {
            return false;
        }
        self.one_of.as_ref().is_none_or(|values| lists(values, value))
            && !holds(&self.none_of, value)
            && self.lower.as_ref().is_none_or(|(lower, inside)| !is_above(lower, *inside, value))
            && self.upper.as_ref().is_none_or(|(upper, inside)| !is_below(upper, *inside, value))
    }
}

/// Whether a value is among some that are in order.
fn lists(values: &[Value], value: &Value) -> bool {
    values.binary_search_by(|other| compare(other, value)).is_ok()
}

fn holds(values: &[Value], value: &Value) -> bool {
    values.iter().any(|other| compare(other, value).is_eq())
}

/// Whether all that a lower bound allows is above a value.
fn is_above(lower: &Value, inside: bool, value: &Value) -> bool {
    match compare(lower, value) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => !inside,
        std::cmp::Ordering::Less => false,
    }
}

/// Whether all that an upper bound allows is below a value.
fn is_below(upper: &Value, inside: bool, value: &Value) -> bool {
    match compare(upper, value) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => !inside,
        std::cmp::Ordering::Greater => false,
    }
}

fn starts_at(limits: &Limits, value: &Value) -> bool {
    limits.lower.as_ref().is_some_and(|(lower, _)| compare(lower, value).is_eq())
}

fn ends_at(limits: &Limits, value: &Value) -> bool {
    limits.upper.as_ref().is_some_and(|(upper, _)| compare(upper, value).is_eq())
}
