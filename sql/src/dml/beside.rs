//! The tables beside the changed one, in `UPDATE ... FROM` and `DELETE ... USING`: `RETURNING` may name their columns.
//!
//! The statement's query gives their columns behind all others.

use annulus_relation::{SqlError, SqlResult, SqlType};
use sqlparser::ast::{JoinConstraint, JoinOperator, TableFactor, TableWithJoins};

use super::asked::Named;
use super::query::Query;
use super::target::Target;
use crate::bind::{ParamTypes, Scope, quote_name};
use crate::parse::parse_query;
use crate::statement::Setting;

/// The tables, and what columns they have.
#[derive(Default)]
pub(super) struct Beside {
    tables: Vec<Named>,
}

impl Beside {
    /// The tables of a list, which stands behind the changed table's in `from`.
    pub fn new(list: &[TableWithJoins], from: &str, setting: &Setting<'_>, params: &mut ParamTypes) -> SqlResult<Self> {
        let mut names = Vec::new();
        list.iter().try_for_each(|tables| names_of(tables, &mut names))?;
        let mut tables = Vec::new();
        for name in names {
            let text = format!("{}SELECT {}.* FROM {from}", setting.with_text(), quote_name(&name));
            let query = Query::new(&*parse_query(&text)?, &text.as_str().into(), &[], setting, params)?;
            tables.push((name, query.columns.into_iter().map(|column| (column.name, column.ty)).collect()));
        }
        Ok(Self { tables })
    }

    /// The tables by their names, with their columns.
    pub fn tables(&self) -> &[Named] {
        &self.tables
    }

    /// What a query's list has to have for the columns.
    pub fn items(&self) -> impl Iterator<Item = String> {
        self.tables.iter().map(|(name, _)| format!("{}.*", quote_name(name)))
    }

    /// The columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = (String, SqlType)> {
        self.tables.iter().flat_map(|(_, columns)| columns.iter().cloned())
    }

    /// The same where the changed table has no row, and cannot be named.
    pub fn scope_alone(&self, target: &Target) -> Scope {
        let columns = target.table.columns.iter().map(|column| ("no row", &column.ty));
        self.behind(Scope::table(None, Some("no row"), columns))
    }

    /// What can be named where the columns follow those of the changed table.
    pub fn scope(&self, target: &Target) -> Scope {
        self.behind(target.scope.clone())
    }

    fn behind(&self, mut scope: Scope) -> Scope {
        for (name, columns) in &self.tables {
            scope.add_table(None, Some(name), columns.iter().map(|(name, ty)| (name.as_str(), ty)));
        }
        scope
    }
}

fn names_of(tables: &TableWithJoins, names: &mut Vec<String>) -> SqlResult<()> {
    name_of(&tables.relation, names)?;
    for join in &tables.joins {
        if merges_columns(&join.join_operator) {
            return Err(SqlError::unsupported("RETURNING from tables that are joined with USING or NATURAL")
                .hint("Join them with ON."));
        }
        name_of(&join.relation, names)?;
    }
    Ok(())
}

fn merges_columns(join: &JoinOperator) -> bool {
    use JoinOperator as O;
    let (O::Join(constraint)
    | O::Inner(constraint)
    | O::Left(constraint)
    | O::LeftOuter(constraint)
    | O::Right(constraint)
    | O::RightOuter(constraint)
    | O::FullOuter(constraint)) = join
    else {
        return false;
    };
    matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural)
}

fn name_of(table: &TableFactor, names: &mut Vec<String>) -> SqlResult<()> {
    let (alias, own) = match table {
        TableFactor::Table { name, alias, .. } => (alias, name.0.last().and_then(|part| part.as_ident())),
        TableFactor::Function { name, alias, .. } => (alias, name.0.last().and_then(|part| part.as_ident())),
        TableFactor::NestedJoin { table_with_joins, alias: None } => return names_of(table_with_joins, names),
        TableFactor::Derived { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => (alias, None),
        other => return Err(SqlError::unsupported(format!("RETURNING from {other}"))),
    };
    let name = alias.as_ref().map(|alias| &alias.name).or(own);
    let name = name.ok_or_else(|| SqlError::unsupported("RETURNING from a table without a name"))?;
    names.push(name.value.clone());
    Ok(())
}
