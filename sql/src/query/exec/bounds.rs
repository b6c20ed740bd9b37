//! Which keys of which index a filter leaves to be read.
//!
//! What is found here only narrows what is read: the scan checks its filter on every row. So what is not understood is
//! passed over.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use annulus_relation::catalog::{Index, KeyPart, Table};
use annulus_relation::{SqlType, Value};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNullExpr, Literal,
};

use super::super::arrow::{Comparison, comparison, value_of};
use super::super::request::KeyRange;
use super::super::statistics::Statistics;
use super::provider::is_readable;

/// Ranges are multiplied out for lists over several columns; not beyond this.
const MAX_RANGES: usize = 4096;
/// The largest part of a table's rows that is fetched one by one, where an index leads to them: reading all is cheaper.
const MOST_FETCHED: f64 = 0.1;
/// Of a larger part than this all is read: whole tables may be kept.
const MOST_OF_IT: f64 = 0.3;

/// What a filter says about one column.
#[derive(Clone, Debug, Default)]
struct Limits {
    /// It has one of these values.
    one_of: Option<Vec<Value>>,
    lower: Option<(Value, bool)>,
    upper: Option<(Value, bool)>,
}

/// What a filter says about the columns, by their place in the table.
#[derive(Debug, Default)]
pub(super) struct Facts {
    limits: BTreeMap<usize, Limits>,
    /// Nothing passes the filter.
    nothing: bool,
}

/// The order of two values of a type whose arrays compare as its values do.
fn order(left: &Value, right: &Value) -> std::cmp::Ordering {
    super::super::arrow::key::of(left).cmp(&super::super::arrow::key::of(right))
}

impl Facts {
    /// What a filter over all columns of a table says.
    pub fn of(table: &Table, filter: Option<&Arc<dyn PhysicalExpr>>) -> Self {
        let mut facts = Self::default();
        if let Some(filter) = filter {
            facts.learn(table, filter);
        }
        facts
    }

    fn learn(&mut self, table: &Table, filter: &Arc<dyn PhysicalExpr>) {
        let filter = filter.as_ref() as &dyn std::any::Any;
        if let Some(dynamic) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() {
            if let Ok(current) = dynamic.current() {
                self.learn(table, &current);
            }
        } else if let Some(binary) = filter.downcast_ref::<BinaryExpr>() {
            if *binary.op() == Operator::And {
                self.learn(table, binary.left());
                self.learn(table, binary.right());
            } else if *binary.op() == Operator::Or {
                if let Some((place, values)) = alternatives(table, binary) {
                    self.one_of(place, values);
                }
            } else if let Some((place, value)) = column_and_value(table, binary.left(), binary.right()) {
                self.compare(place, *binary.op(), value);
            } else if let Some((place, value)) = column_and_value(table, binary.right(), binary.left())
                && let Some(op) = binary.op().swap()
            {
                self.compare(place, op, value);
            }
        } else if let Some(list) = filter.downcast_ref::<InListExpr>() {
            if let Some((place, values)) = listed(table, list) {
                self.one_of(place, values);
            }
        } else if let Some(null) = filter.downcast_ref::<IsNullExpr>()
            && let Some((place, _)) = column(table, null.arg())
        {
            self.one_of(place, vec![Value::Null]);
        } else if let Some(literal) = filter.downcast_ref::<Literal>() {
            self.nothing |= !matches!(literal.value(), ScalarValue::Boolean(Some(true)));
        }
    }

    fn compare(&mut self, place: usize, op: Operator, value: Value) {
        if value.is_null() {
            // No comparison with NULL is true.
            self.nothing |= matches!(op, Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
            return;
        }
        let limits = self.limits.entry(place).or_default();
        let tighter = |old: &Option<(Value, bool)>, wanted: std::cmp::Ordering| {
            old.as_ref().is_none_or(|(old, _)| order(&value, old) == wanted)
        };
        match op {
            Operator::Eq => self.one_of(place, vec![value]),
            Operator::Gt | Operator::GtEq if tighter(&limits.lower, std::cmp::Ordering::Greater) => {
                limits.lower = Some((value, op == Operator::GtEq));
            }
            Operator::Lt | Operator::LtEq if tighter(&limits.upper, std::cmp::Ordering::Less) => {
                limits.upper = Some((value, op == Operator::LtEq));
            }
            _ => {}
        }
    }

    fn one_of(&mut self, place: usize, mut values: Vec<Value>) {
        values.sort_by(order);
        values.dedup_by(|a, b| order(a, b).is_eq());
        let limits = self.limits.entry(place).or_default();
        match &mut limits.one_of {
            Some(old) => old.retain(|old| values.iter().any(|value| order(old, value).is_eq())),
            none => *none = Some(values),
        }
        self.nothing |= limits.one_of.as_ref().is_some_and(Vec::is_empty);
    }

    /// The places of columns that have one value only.
    pub fn fixed(&self, place: usize) -> bool {
        self.limits.get(&place).and_then(|limits| limits.one_of.as_ref()).is_some_and(|values| values.len() == 1)
    }

    /// The best index to read, and what of it.
    pub fn choose<'t>(
        &self,
        table: &'t Table,
        wanted: &[usize],
        statistics: &dyn Statistics,
    ) -> Option<(&'t Index, Vec<KeyRange>)> {
        let primary = table.indexes.first()?;
        let mut best = (primary, self.worth(table, primary, wanted));
        for index in table.indexes.iter().skip(1).filter(|index| is_readable(index)) {
            let fetches = !covers(table, index, wanted);
            if fetches && self.share(table, index, statistics).is_some_and(|share| share > MOST_FETCHED) {
                continue;
            }
            let worth = self.worth(table, index, wanted);
            if worth > best.1 {
                best = (index, worth);
            }
        }
        let (index, _) = best;
        let whole = self.share(table, index, statistics).is_some_and(|share| share > MOST_OF_IT);
        let ranges = if whole && !self.nothing { vec![KeyRange::all()] } else { self.ranges(table, index) };
        Some((index, ranges))
    }

    /// The part of the rows that lies between the bounds of an index's first column; `None` if that is not known, or if
    /// the column has one of some values.
    fn share(&self, table: &Table, index: &Index, statistics: &dyn Statistics) -> Option<f64> {
        let place = *key_places(table, index).first()?;
        let limits = self.limits.get(&place).filter(|limits| limits.one_of.is_none())?;
        let known = statistics.column(table.id, table.columns.get(place)?.id)?;
        let below =
            |limit: &Option<(Value, bool)>, all: f64| limit.as_ref().map_or(all, |(value, _)| known.below(value));
        Some(below(&limits.upper, 1.0 - known.nulls) - below(&limits.lower, 0.0))
    }

    /// How much an index narrows what is read; the parts are compared one after the other.
    fn worth(&self, table: &Table, index: &Index, wanted: &[usize]) -> (usize, bool, bool, bool) {
        let places = key_places(table, index);
        let known = |place: &&usize| self.limits.get(place).is_some_and(|limits| limits.one_of.is_some());
        let equal = places.iter().take_while(known).count();
        let next = places.get(equal).and_then(|place| self.limits.get(place));
        let ranged = next.is_some_and(|limits| limits.lower.is_some() || limits.upper.is_some());
        let narrows = equal > 0 || ranged;
        let whole = index.unique && equal == places.len() && equal > 0;
        let is_primary = table.indexes.first().is_some_and(|primary| primary.id == index.id);
        let covers = is_primary || covers(table, index, wanted);
        // A secondary index that narrows nothing is no better than the rows themselves.
        if !is_primary && !narrows {
            return (0, false, false, false);
        }
        (if whole { usize::MAX } else { equal }, ranged, covers, narrows)
    }

    /// What of an index has to be read.
    pub fn ranges(&self, table: &Table, index: &Index) -> Vec<KeyRange> {
        if self.nothing {
            return Vec::new();
        }
        let mut prefixes = vec![Vec::new()];
        let mut places = key_places(table, index).into_iter();
        let next = loop {
            let Some(place) = places.next() else { break None };
            match self.limits.get(&place) {
                Some(Limits { one_of: Some(values), .. }) if prefixes.len() * values.len() <= MAX_RANGES => {
                    let extended = |prefix: &Vec<Value>, value: &Value| {
                        prefix.iter().chain([value]).cloned().collect::<Vec<Value>>()
                    };
                    prefixes = prefixes.iter().flat_map(|p| values.iter().map(move |v| extended(p, v))).collect();
                }
                limits => break limits,
            }
        };
        let bound = |limit: Option<&(Value, bool)>| match limit {
            None => Bound::Unbounded,
            Some((value, true)) => Bound::Included(value.clone()),
            Some((value, false)) => Bound::Excluded(value.clone()),
        };
        let lower = bound(next.and_then(|limits| limits.lower.as_ref()));
        let upper = bound(next.and_then(|limits| limits.upper.as_ref()));
        let range = |equal| KeyRange { equal, lower: lower.clone(), upper: upper.clone() };
        prefixes.into_iter().map(range).collect()
    }
}

/// The places in the table of an index's key columns, as far as the index consists of columns.
pub(super) fn key_places(table: &Table, index: &Index) -> Vec<usize> {
    let place = |part: &KeyPart| match part {
        KeyPart::Column(id) => table.columns.iter().position(|column| column.id == *id),
        KeyPart::Expression(..) => None,
    };
    index.keys.iter().map_while(|key| place(&key.part)).collect()
}

/// Whether an index holds all columns at the places wanted, besides those of the primary key.
pub(super) fn covers(table: &Table, index: &Index, wanted: &[usize]) -> bool {
    let primary = table.indexes.first().map(|primary| key_places(table, primary)).unwrap_or_default();
    let keys = key_places(table, index);
    wanted.iter().all(|place| {
        let included = table.columns.get(*place).is_some_and(|column| index.include.contains(&column.id));
        included || keys.contains(place) || primary.contains(place)
    })
}

/// The column that a list is about, and what it may be.
fn listed(table: &Table, list: &InListExpr) -> Option<(usize, Vec<Value>)> {
    let values = list.list().iter().map(|item| column_and_value(table, list.expr(), item));
    let values = values.collect::<Option<Vec<_>>>().filter(|_| !list.negated())?;
    let place = values.first()?.0;
    Some((place, values.into_iter().map(|(_, value)| value).filter(|value| !value.is_null()).collect()))
}

/// The column of which alternatives say what it may be: DataFusion writes short lists so.
fn alternatives(table: &Table, either: &BinaryExpr) -> Option<(usize, Vec<Value>)> {
    let side = |side: &Arc<dyn PhysicalExpr>| {
        let expr = side.as_ref() as &dyn std::any::Any;
        if let Some(list) = expr.downcast_ref::<InListExpr>() {
            return listed(table, list);
        }
        let binary = expr.downcast_ref::<BinaryExpr>()?;
        match binary.op() {
            Operator::Or => alternatives(table, binary),
            Operator::Eq => {
                let found = column_and_value(table, binary.left(), binary.right());
                let (place, value) = found.or_else(|| column_and_value(table, binary.right(), binary.left()))?;
                // No comparison with NULL is true.
                Some((place, if value.is_null() { Vec::new() } else { vec![value] }))
            }
            _ => None,
        }
    };
    let ((place, mut values), (other, more)) = (side(either.left())?, side(either.right())?);
    values.extend(more);
    (place == other).then_some((place, values))
}

/// A column of a type whose arrays compare as its values do.
fn column<'t>(table: &'t Table, expr: &Arc<dyn PhysicalExpr>) -> Option<(usize, &'t SqlType)> {
    let place = (expr.as_ref() as &dyn std::any::Any).downcast_ref::<Column>()?.index();
    let ty = &table.columns.get(place)?.ty;
    (comparison(ty) == Ok(Comparison::Native)).then_some((place, ty))
}

fn column_and_value(
    table: &Table,
    left: &Arc<dyn PhysicalExpr>,
    right: &Arc<dyn PhysicalExpr>,
) -> Option<(usize, Value)> {
    let (place, ty) = column(table, left)?;
    let literal = (right.as_ref() as &dyn std::any::Any).downcast_ref::<Literal>()?;
    Some((place, value_of(ty, literal.value()).ok()?))
}
