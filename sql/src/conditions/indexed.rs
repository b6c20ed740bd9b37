//! An index as conditions see it.

use annulus_relation::catalog::{Index, KeyPart, Table};
use annulus_relation::value::KnownTypes;
use annulus_relation::{SqlResult, SqlType};

use super::{Facts, Limits, normal};
use crate::bind::Expr;
use crate::ddl::bind_stored;

/// The largest part of a table's rows that is fetched one by one, where an index leads to them: reading all is cheaper.
pub(crate) const MOST_FETCHED: f64 = 0.1;

/// What an index's keys are, in normal form, and which rows it holds.
#[derive(Clone, Debug)]
pub(crate) struct Indexed {
    pub keys: Vec<Expr>,
    /// What its predicate says; `None`: it holds all rows.
    pub only: Option<Facts>,
}

impl Indexed {
    /// An index of a table. Columns are numbered as the table has them.
    ///
    /// # Errors
    /// What the catalog stores for it cannot be bound any more.
    pub fn new(table: &Table, index: &Index) -> SqlResult<Self> {
        let key = |part: &KeyPart| match part {
            KeyPart::Column(id) => Ok(table
                .columns
                .iter()
                .position(|column| column.id == *id)
                .map(|place| Expr::column(place, table.columns[place].ty.clone()))),
            KeyPart::Expression(text, ty) => {
                bind_stored(table, text, ty, &KnownTypes::default()).map(|expr| Some(normal(&expr)))
            }
        };
        let keys = index.keys.iter().filter_map(|index| key(&index.part).transpose()).collect::<SqlResult<Vec<_>>>()?;
        let only = index
            .predicate
            .as_ref()
            .map(|text| bind_stored(table, text, &SqlType::Bool, &KnownTypes::default()))
            .transpose()?;
        Ok(Self { keys, only: only.as_ref().map(Facts::of) })
    }

    /// The part of the rows that it may hold, by a guess where `known` tells nothing of an expression and its limits.
    pub fn part(&self, known: &dyn Fn(&Expr, &Limits) -> Option<f64>) -> f64 {
        let part = |(subject, limits)| known(subject, limits).unwrap_or_else(|| limits.guess());
        self.only.iter().flat_map(Facts::all).map(part).product()
    }

    /// Whether it holds every row for which a condition with these facts is true.
    pub fn holds_all(&self, facts: &Facts) -> bool {
        self.only.as_ref().is_none_or(|only| facts.implies(only))
    }
}
