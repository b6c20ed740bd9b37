//! The table that a statement is about, and the rows of it that its condition finds.

use std::ops::Bound;
use std::sync::Arc;

use annulus_relation::catalog::{KeyPart, Relation, Table};
use annulus_relation::ops::{Bounds, Cursor, Physical, RowId};
use annulus_relation::{SqlResult, SqlType, Value};
use annulus_txn::interface::Place;
use sqlparser::ast::{ObjectName, TableFactor, TableWithJoins};

use super::stored::Evaluator;
use crate::bind::{Expr, Scope};
use crate::conditions::{Comparison, Facts, Indexed, MOST_FETCHED, are_alike, key_value, normal, subject_of};
use crate::names::{Names, name_of};
use crate::query::ROW_ID_COLUMN;
use crate::statement::Setting;

/// The table of a statement, and the name that it has there.
#[derive(Clone)]
pub(crate) struct Target {
    pub table: Arc<Table>,
    pub physical: Arc<Physical>,
    pub scope: Scope,
    /// Its name in the statement.
    pub name: String,
}

impl Target {
    /// The table of a name, perhaps with an alias.
    pub fn new(setting: &Setting<'_>, name: &ObjectName, alias: Option<&str>) -> SqlResult<Self> {
        let names = Names { catalog: setting.catalog, path: &setting.path, database: &setting.shared.database };
        let name = name_of(name, names.database)?;
        let table = match names.get(&name)? {
            Relation::Table(table) => Arc::clone(table),
            other => return Err(crate::names::is_not(&name, other, "a table")),
        };
        Self::of(setting, table, alias)
    }

    /// A table, perhaps with an alias.
    pub fn of(setting: &Setting<'_>, table: Arc<Table>, alias: Option<&str>) -> SqlResult<Self> {
        let schema = match alias {
            Some(_) => None,
            None => setting.catalog.schema_by_id(table.schema).map(|schema| schema.name.clone()),
        };
        let name = alias.unwrap_or(&table.name).to_owned();
        let columns = table.columns.iter().map(|column| (column.name.as_str(), &column.ty));
        let scope = Scope::table(schema.as_deref(), Some(&name), columns);
        let physical = Arc::new(Physical::new(*setting.catalog.home(), &table)?);
        Ok(Self { table, physical, scope, name })
    }
}

impl Target {
    /// The names of the columns that tell rows apart in a query: those of the primary key, or the hidden id.
    pub fn key_columns(&self) -> Vec<String> {
        if self.physical.has_row_id() {
            return vec![ROW_ID_COLUMN.to_owned()];
        }
        let keys = self.table.indexes.first().into_iter().flat_map(|index| &index.keys);
        let name = |part: &KeyPart| match part {
            KeyPart::Column(id) => self.table.columns.iter().find(|column| column.id == *id),
            KeyPart::Expression(..) => None,
        };
        keys.filter_map(|key| name(&key.part)).map(|column| column.name.clone()).collect()
    }

    /// Where the row is that these values of [`Target::key_columns`] tell apart; `None` where there is none, as an outer join
    /// has it: no row has NULLs there.
    pub fn place(&self, keys: &[Value]) -> SqlResult<Option<Place>> {
        if keys.iter().any(Value::is_null) {
            return Ok(None);
        }
        match keys {
            [Value::Uuid(id)] if self.physical.has_row_id() => {
                self.physical.hidden_place(RowId::from_bytes(*id)).map(Some)
            }
            keys => self.physical.row_place(keys).map(Some),
        }
    }

    /// The values of the primary key in a row.
    pub fn primary_key(&self, row: &[Value]) -> Vec<Value> {
        let keys = self.table.indexes.first().into_iter().flat_map(|index| &index.keys);
        let value = |id: u16| {
            let position = self.table.columns.iter().position(|column| column.id == id);
            position.and_then(|position| row.get(position).cloned()).unwrap_or(Value::Null)
        };
        let columns = keys.filter_map(|key| match key.part {
            KeyPart::Column(id) => Some(value(id)),
            KeyPart::Expression(..) => None,
        });
        columns.collect()
    }
}

/// The table of a `FROM` that has nothing but one; `None` if there is more to it.
pub(crate) fn only_table(from: &TableWithJoins) -> Option<(&ObjectName, Option<&str>)> {
    match (&from.relation, from.joins.as_slice()) {
        (
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                ..
            },
            [],
        ) if with_hints.is_empty() && partitions.is_empty() => match alias {
            Some(alias) if !alias.columns.is_empty() => None,
            alias => Some((name, alias.as_ref().map(|alias| alias.name.value.as_str()))),
        },
        _ => None,
    }
}

/// How rows are found: by which index, and which keys of it.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// The index, by position. A partial one holds all rows that are meant.
    pub index: usize,
    /// What the first keys are equal to: each one expression, or several alternatives.
    equal: Vec<Alternatives>,
    lower: Option<(Expr, bool)>,
    upper: Option<(Expr, bool)>,
}

/// What a key is equal to.
#[derive(Clone, Debug)]
enum Alternatives {
    One(Expr, SqlType),
    /// One of the elements of an array.
    Any(Expr, SqlType),
}

/// A condition on one key, and what the key is compared with.
struct Condition<'e> {
    comparison: Comparison,
    key: &'e Expr,
    value: &'e Expr,
    any: bool,
}

impl Access {
    /// All rows.
    pub const fn all() -> Self {
        Self { index: 0, equal: Vec::new(), lower: None, upper: None }
    }

    /// The best way to the rows for which a condition may be true. If they are wanted in an order, a partial index may have it.
    pub fn choose(physical: &Physical, filter: Option<&Expr>, ordered: bool) -> SqlResult<Self> {
        let Some(filter) = filter.map(normal) else { return Ok(Self::all()) };
        let conditions: Vec<Condition<'_>> = filter.conjuncts().into_iter().filter_map(condition).collect();
        let table = physical.table();
        let partial = table.indexes.iter().any(|index| index.predicate.is_some());
        if conditions.is_empty() && !partial {
            return Ok(Self::all());
        }
        let facts = if partial { Facts::of(&filter) } else { Facts::default() };
        let mut best = Self::all();
        let mut score = 0;
        for (position, index) in table.indexes.iter().enumerate() {
            if index.keys.is_empty() || !physical.is_readable(position) {
                continue;
            }
            let indexed = Indexed::new(table, index)?;
            if !indexed.holds_all(&facts) {
                continue;
            }
            let found = Self::by(position, &indexed, &conditions);
            let whole = found.equal.len() == index.keys.len() && index.is_unique();
            let range = usize::from(found.lower.is_some()) + usize::from(found.upper.is_some());
            let few = ordered || indexed.part(&|_, _| None) <= MOST_FETCHED;
            let narrow = usize::from(index.predicate.is_some() && few);
            // The primary index is the better one of equals: it holds the rows.
            let quality = if whole { 1_000 } else { 8 * found.equal.len() + 2 * range + narrow };
            if quality > score {
                (best, score) = (found, quality);
            }
        }
        Ok(best)
    }

    fn by(index: usize, indexed: &Indexed, conditions: &[Condition<'_>]) -> Self {
        let mut access = Self { index, ..Self::all() };
        for key in &indexed.keys {
            let ty = key.ty();
            let on = |one: Comparison, other: Comparison| {
                conditions.iter().find(|condition| condition.key == key && [one, other].contains(&condition.comparison))
            };
            if let Some(condition) = on(Comparison::Equal, Comparison::Equal) {
                let value = condition.value.clone();
                access.equal.push(match condition.any {
                    true => Alternatives::Any(value, ty.clone()),
                    false => Alternatives::One(value, ty.clone()),
                });
                continue;
            }
            // Values of `char` that are equal may differ in their padding.
            let exact = |condition: &&Condition<'_>| {
                let other = condition.value.ty();
                other == ty || (are_alike(other, ty) && !matches!(ty, SqlType::Char(_)))
            };
            let bound = |outside: Comparison, inside: Comparison| {
                on(outside, inside).filter(exact).map(|found| (found.value.clone(), found.comparison == inside))
            };
            access.lower = bound(Comparison::Greater, Comparison::AtLeast);
            access.upper = bound(Comparison::Less, Comparison::AtMost);
            break;
        }
        access
    }

    /// Whether at most one row can be found.
    pub fn is_point(&self, physical: &Physical) -> bool {
        let index = &physical.table().indexes[self.index];
        index.is_unique()
            && !index.keys.is_empty()
            && self.equal.len() == index.keys.len()
            && self.equal.iter().all(|equal| matches!(equal, Alternatives::One(..)))
    }

    /// How many of the index's keys have one value each.
    pub fn prefix(&self) -> usize {
        self.equal.iter().take_while(|equal| matches!(equal, Alternatives::One(..))).count()
    }

    /// Whether it is all rows of the table.
    pub fn is_everything(&self) -> bool {
        self.index == 0 && self.equal.is_empty() && self.lower.is_none() && self.upper.is_none()
    }

    /// The keys to read.
    pub fn bounds(&self, params: &[Value], evaluator: &Evaluator<'_>) -> SqlResult<Vec<Bounds>> {
        let context = evaluator.context();
        let mut prefixes: Vec<Vec<Value>> = vec![Vec::new()];
        for equal in &self.equal {
            let values: Vec<Value> = match equal {
                Alternatives::One(expr, ty) => key_value(expr.eval(&[], params, &context)?, ty).into_iter().collect(),
                Alternatives::Any(expr, ty) => match expr.eval(&[], params, &context)? {
                    Value::Array(elements) => {
                        let mut values: Vec<Value> =
                            elements.iter().filter_map(|element| key_value(element.clone(), ty)).collect();
                        values.sort_by(annulus_relation::value::compare);
                        values.dedup_by(|a, b| annulus_relation::value::compare(a, b).is_eq());
                        values
                    }
                    _ => Vec::new(),
                },
            };
            prefixes = prefixes
                .iter()
                .flat_map(|prefix| values.iter().map(|value| prefix.iter().chain([value]).cloned().collect()))
                .collect();
        }
        let bound = |end: &Option<(Expr, bool)>| -> SqlResult<Bound<Value>> {
            let Some((expr, inclusive)) = end else { return Ok(Bound::Unbounded) };
            let value = expr.eval(&[], params, &context)?;
            Ok(if *inclusive { Bound::Included(value) } else { Bound::Excluded(value) })
        };
        let (lower, upper) = (bound(&self.lower)?, bound(&self.upper)?);
        Ok(prefixes.into_iter().map(|equal| Bounds { equal, lower: lower.clone(), upper: upper.clone() }).collect())
    }

    /// A scan of these keys.
    pub fn cursor(
        &self,
        physical: &Arc<Physical>,
        params: &[Value],
        evaluator: &Evaluator<'_>,
        columns: Option<Vec<usize>>,
        ordered: bool,
    ) -> SqlResult<Cursor> {
        Cursor::new(physical, self.index, &self.bounds(params, evaluator)?, columns, ordered)
    }
}

/// A condition that compares what an index may have as a key with what does not depend on the row.
fn condition(part: &Expr) -> Option<Condition<'_>> {
    if let Expr::Quantified { operator, all: false, left, array } = part {
        let fixed = operator.name == "=" && array.columns().is_empty() && !is_volatile(array);
        let key = subject_of(left, array.ty().element()?)?;
        return fixed.then_some(Condition { comparison: Comparison::Equal, key, value: array, any: true });
    }
    let (comparison, left, right) = Comparison::of(part)?;
    let fixed = |value: &Expr| value.columns().is_empty() && !is_volatile(value);
    match (subject_of(left, right.ty()), subject_of(right, left.ty())) {
        (Some(key), _) if fixed(right) => Some(Condition { comparison, key, value: right, any: false }),
        (_, Some(key)) if fixed(left) => {
            Some(Condition { comparison: comparison.turned(), key, value: left, any: false })
        }
        _ => None,
    }
}

fn is_volatile(value: &Expr) -> bool {
    value.volatility() == crate::bind::Volatility::Volatile
}
