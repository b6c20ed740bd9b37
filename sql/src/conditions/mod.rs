//! What a condition says about the columns and expressions in it, and what follows from that.
//!
//! Promises and invariants:
//! - Facts hold for every row for which their condition is true. Not everything that holds is among them: what is not
//!   understood is the fact that just this expression is true.
//! - So a row that an index's predicate leaves out cannot make a condition true whose facts imply the predicate's
//!   ([`Facts::implies`]): PostgreSQL's rule for partial indexes, by facts instead of by proofs over clauses.

mod indexed;
mod learn;
mod limits;
mod normal;
#[cfg(test)]
mod tests;

use annulus_relation::Value;
use annulus_relation::value::compare;

pub(crate) use indexed::{Indexed, MOST_FETCHED};
pub(crate) use learn::{are_alike, key_value, subject_of};
pub(crate) use limits::{Limit, Limits};
pub(crate) use normal::normal;

use crate::bind::Expr;

/// What a condition says, by column or other expression over the row, in its [`normal`] form. Values are of the expression's
/// own type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    limits: Vec<(Expr, Limits)>,
    nothing: bool,
}

/// How an expression compares with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Facts {
    /// Whether no row makes the condition true.
    pub fn nothing(&self) -> bool {
        self.nothing
    }

    /// What is said about an expression.
    pub fn about(&self, subject: &Expr) -> Option<&Limits> {
        self.limits.iter().find(|(known, _)| known == subject).map(|(_, limits)| limits)
    }

    /// Whether an expression can have one value only.
    pub fn fixed(&self, subject: &Expr) -> bool {
        self.about(subject).and_then(|limits| limits.one_of.as_ref()).is_some_and(|values| values.len() == 1)
    }

    /// All that is said.
    pub fn all(&self) -> impl Iterator<Item = (&Expr, &Limits)> {
        self.limits.iter().map(|(subject, limits)| (subject, limits))
    }

    /// Whether the other condition is true wherever this one is.
    pub fn implies(&self, other: &Self) -> bool {
        let said = |(subject, outer): (&Expr, &Limits)| self.about(subject).is_some_and(|mine| mine.are_within(outer));
        self.nothing || (!other.nothing && other.all().all(said))
    }

    /// The condition is never true.
    pub fn never(&mut self) {
        self.nothing = true;
    }

    /// A comparison is true.
    pub fn compares(&mut self, subject: Expr, comparison: Comparison, value: Value) {
        if value.is_null() {
            // No comparison with NULL is true.
            return self.never();
        }
        let limits = self.limits_of(subject);
        let tighter = |old: &Option<Limit>, wanted: std::cmp::Ordering, inclusive: bool| {
            old.as_ref().is_none_or(|(old, was_inclusive)| match compare(&value, old) {
                std::cmp::Ordering::Equal => *was_inclusive && !inclusive,
                order => order == wanted,
            })
        };
        let inclusive = matches!(comparison, Comparison::AtMost | Comparison::AtLeast);
        match comparison {
            Comparison::Equal => limits.retain(&[value]),
            Comparison::NotEqual => limits.none_of.push(value),
            Comparison::Greater | Comparison::AtLeast => {
                if tighter(&limits.lower, std::cmp::Ordering::Greater, inclusive) {
                    limits.lower = Some((value, inclusive));
                }
            }
            Comparison::Less | Comparison::AtMost => {
                if tighter(&limits.upper, std::cmp::Ordering::Less, inclusive) {
                    limits.upper = Some((value, inclusive));
                }
            }
        }
        let empty = limits.are_empty();
        self.nothing |= empty;
    }

    /// An expression is one of some values; NULL among them means that it may be NULL.
    pub fn one_of(&mut self, subject: Expr, mut values: Vec<Value>) {
        values.sort_by(compare);
        values.dedup_by(|a, b| compare(a, b).is_eq());
        let limits = self.limits_of(subject);
        limits.retain(&values);
        self.nothing |= limits.are_empty();
    }

    /// An expression is not NULL.
    pub fn not_null(&mut self, subject: Expr) {
        self.limits_of(subject).not_null = true;
    }

    /// One of several conditions is true: what all that can be true say of an expression's values holds. Bounds are passed
    /// over.
    pub fn any(&mut self, branches: Vec<Self>) {
        let possible: Vec<Self> = branches.into_iter().filter(|branch| !branch.nothing).collect();
        let Some((first, rest)) = possible.split_first() else { return self.never() };
        for (subject, limits) in first.all() {
            let Some(others) = rest.iter().map(|branch| branch.about(subject)).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let mut all = others.into_iter().chain([limits]);
            if let Some(lists) = all.clone().map(|limits| limits.one_of.as_ref()).collect::<Option<Vec<_>>>() {
                self.one_of(subject.clone(), lists.into_iter().flatten().cloned().collect());
            } else if all.all(Limits::never_null) {
                self.not_null(subject.clone());
            }
        }
    }

    fn limits_of(&mut self, subject: Expr) -> &mut Limits {
        let place = match self.limits.iter().position(|(known, _)| *known == subject) {
            Some(place) => place,
            None => {
                self.limits.push((subject, Limits::default()));
                self.limits.len() - 1
            }
        };
        &mut self.limits[place].1
    }
}
