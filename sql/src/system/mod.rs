//! The system's tables.

use annulus_relation::{Row, SqlType};

use crate::query::Scope;

/// A system table.
pub(crate) struct Table {
    columns: &'static [(&'static str, SqlType)],
    rows: fn(&Scope) -> Vec<Row>,
}

impl Table {
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&'static str, SqlType)> + '_ {
        self.columns.iter().cloned()
    }

    pub(crate) fn rows(&self, scope: &Scope) -> Vec<Row> {
        (self.rows)(scope)
    }
}

pub(crate) fn table(_: &str, _: &str) -> Option<&'static Table> {
    None
}

pub(crate) fn type_name(ty: &SqlType) -> String {
    ty.name()
}
