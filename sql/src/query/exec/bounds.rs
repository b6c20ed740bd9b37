//! Which keys of which index a filter leaves to be read.
//!
//! What is found here only narrows what is read: the scan checks its filter on every row. A partial index is chosen only
//! where the filter implies its predicate, so that it holds all rows that pass.

use std::ops::Bound;

use annulus_relation::Value;
use annulus_relation::catalog::{Index, KeyPart, Table};

use super::super::request::KeyRange;
use super::super::statistics::Statistics;
use crate::bind::Expr;
use crate::conditions::{Facts, Indexed, Limit, Limits, MOST_FETCHED};

/// Ranges are multiplied out for lists over several columns; not beyond this.
const MAX_RANGES: usize = 4096;
/// Of a larger part than this all is read: whole tables may be kept.
const MOST_OF_IT: f64 = 0.3;

/// A table with what a filter says about its rows.
pub(super) struct Filtered<'t> {
    pub table: &'t Table,
    /// The table's indexes, in its order.
    pub indexes: &'t [Indexed],
    pub facts: Facts,
    pub statistics: &'t dyn Statistics,
}

/// How much an index narrows what is read; the parts are compared one after the other.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    /// How many of its first keys have known values; all that matter if they find one row.
    equal: usize,
    ranged: bool,
    partial: bool,
    covers: bool,
    narrows: bool,
}

impl<'t> Filtered<'t> {
    /// Whether scans may use the index at a position: it is complete, and holds every row that passes.
    pub fn is_readable(&self, position: usize) -> bool {
        let complete = self.table.indexes.get(position).is_some_and(|index| index.state.is_complete());
        complete && self.indexes.get(position).is_some_and(|indexed| indexed.holds_all(&self.facts))
    }

    /// The best index to read, by position, and what of it.
    pub fn choose(&self, wanted: &[usize]) -> (usize, Vec<KeyRange>) {
        let mut best = (0, self.worth(0, wanted));
        for position in (1..self.table.indexes.len()).filter(|position| self.is_readable(*position)) {
            let fetches = !self.covers(position, wanted);
            if fetches && self.share(position).is_some_and(|share| share > MOST_FETCHED) {
                continue;
            }
            let worth = self.worth(position, wanted);
            if worth > best.1 {
                best = (position, worth);
            }
        }
        let (position, _) = best;
        let partial = self.indexes.get(position).is_some_and(|indexed| indexed.only.is_some());
        let whole = !partial && self.share(position).is_some_and(|share| share > MOST_OF_IT);
        let ranges = if whole && !self.facts.nothing() { vec![KeyRange::all()] } else { self.ranges(position) };
        (position, ranges)
    }

    fn keys(&self, position: usize) -> &'t [Expr] {
        self.indexes.get(position).map_or(&[], |indexed| &indexed.keys)
    }

    /// The part of the rows that an index's predicate and the bounds of its first key leave; `None` if it has no predicate and
    /// no bounds are known, or if the key has one of some values.
    fn share(&self, position: usize) -> Option<f64> {
        let bounded = self.keys(position).first().and_then(|key| {
            let limits = self.facts.about(key).filter(|limits| limits.one_of.is_none())?;
            self.part(key, limits)
        });
        let indexed = self.indexes.get(position).filter(|indexed| indexed.only.is_some());
        let held = indexed.map(|indexed| indexed.part(&|subject, limits| self.part(subject, limits)));
        held.into_iter().chain(bounded).reduce(|a, b| a * b)
    }

    /// The part of the rows in which an expression is within limits.
    fn part(&self, subject: &Expr, limits: &Limits) -> Option<f64> {
        let column = self.table.columns.get(subject.as_column()?)?;
        let known = self.statistics.column(self.table.id, column.id)?;
        if let Some(values) = &limits.one_of {
            let share = |value: &Value| if value.is_null() { known.nulls } else { known.equal(value) };
            return Some(values.iter().map(share).sum::<f64>().min(1.0));
        }
        let below = |limit: &Option<Limit>, all: f64| limit.as_ref().map_or(all, |(value, _)| known.below(value));
        Some(below(&limits.upper, 1.0 - known.nulls) - below(&limits.lower, 0.0))
    }

    fn worth(&self, position: usize, wanted: &[usize]) -> Worth {
        let keys = self.keys(position);
        let known = |key: &&Expr| self.facts.about(key).is_some_and(|limits| limits.one_of.is_some());
        let equal = keys.iter().take_while(known).count();
        let next = keys.get(equal).and_then(|key| self.facts.about(key));
        let ranged = next.is_some_and(|limits| limits.lower.is_some() || limits.upper.is_some());
        let partial = self.indexes.get(position).is_some_and(|indexed| indexed.only.is_some());
        let narrows = equal > 0 || ranged || partial;
        let unique = self.table.indexes.get(position).is_some_and(|index| index.is_unique());
        let whole = unique && equal == keys.len() && equal > 0;
        // A secondary index that narrows nothing is no better than the rows themselves.
        let counts = position == 0 || narrows;
        Worth {
            equal: if whole { usize::MAX } else { equal },
            ranged,
            partial: partial && !whole,
            covers: counts && (position == 0 || self.covers(position, wanted)),
            narrows,
        }
    }

    /// What has to be read of the index at a position.
    pub fn ranges(&self, position: usize) -> Vec<KeyRange> {
        if self.facts.nothing() {
            return Vec::new();
        }
        let mut prefixes = vec![Vec::new()];
        let mut keys = self.keys(position).iter();
        let next = loop {
            let Some(key) = keys.next() else { break None };
            match self.facts.about(key) {
                Some(Limits { one_of: Some(values), .. }) if prefixes.len() * values.len() <= MAX_RANGES => {
                    let extended = |prefix: &Vec<Value>, value: &Value| {
                        prefix.iter().chain([value]).cloned().collect::<Vec<Value>>()
                    };
                    prefixes = prefixes.iter().flat_map(|p| values.iter().map(move |v| extended(p, v))).collect();
                }
                limits => break limits,
            }
        };
        let bound = |limit: Option<&Limit>| match limit {
            None => Bound::Unbounded,
            Some((value, true)) => Bound::Included(value.clone()),
            Some((value, false)) => Bound::Excluded(value.clone()),
        };
        let lower = bound(next.and_then(|limits| limits.lower.as_ref()));
        let upper = bound(next.and_then(|limits| limits.upper.as_ref()));
        let range = |equal| KeyRange { equal, lower: lower.clone(), upper: upper.clone() };
        prefixes.into_iter().map(range).collect()
    }

    /// Whether the index at a position holds all columns at the places wanted, besides those of the primary key.
    pub fn covers(&self, position: usize, wanted: &[usize]) -> bool {
        let Some(index) = self.table.indexes.get(position) else { return false };
        let primary = self.table.indexes.first().map(|primary| key_places(self.table, primary)).unwrap_or_default();
        let keys = key_places(self.table, index);
        wanted.iter().all(|place| {
            let included = self.table.columns.get(*place).is_some_and(|column| index.include.contains(&column.id));
            included || keys.contains(place) || primary.contains(place)
        })
    }
}

/// The places in the table of the columns among an index's keys.
fn key_places(table: &Table, index: &Index) -> Vec<usize> {
    let place = |part: &KeyPart| match part {
        KeyPart::Column(id) => table.columns.iter().position(|column| column.id == *id),
        KeyPart::Expression(..) => None,
    };
    index.keys.iter().filter_map(|key| place(&key.part)).collect()
}
