//! What names in `FROM` mean: tables, views, system tables and common table expressions.

use std::sync::Arc;

use annulus_relation::catalog::{
    self, ColumnId, ConstraintKind, Index, IndexKey, KeyPart, ObjectId, Sequence, Table, View,
};
use annulus_relation::ops::ROW_ID;
use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;
use sqlparser::ast::{self, Statement};
use sqlparser::parser::Parser;

use super::expressions::bound;
use super::names::Mode;
use super::{Col, Rel, Seen, Translator, built, parts};
use crate::bind::ParamTypes;
use crate::names::{check_access, meant, searched};
use crate::parse::dialect::Postgres;
use crate::query::exec::{RowSource, RowsTable, TableScan};
use crate::query::scope::Relation;
use crate::system;

/// What the hidden id of a table's rows is called, for queries whose rows will be changed. No client writes this name.
pub(crate) const ROW_ID_COLUMN: &str = "row id";

impl Translator<'_> {
    /// What a name in `FROM` means.
    pub(super) fn relation(&mut self, name: &ast::ObjectName) -> SqlResult<Rel> {
        let at = self.position(name);
        let names = parts(name)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = match names.as_slice() {
            [table] => match self.cte(table)? {
                Some(rel) => Some(rel),
                None => self.unqualified(table)?,
            },
            [schema, table] => self.qualified(schema, table)?,
            [database, schema, table] if *database == self.scope.database => self.qualified(schema, table)?,
            _ => {
                let message = format!("cross-database references are not implemented: \"{name}\"");
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(at));
            }
        };
        found.ok_or_else(|| {
            let message = format!("relation \"{}\" does not exist", names.join("."));
            SqlError::new(SqlState::UNDEFINED_TABLE, message).at(at)
        })
    }

    fn unqualified(&mut self, table: &str) -> SqlResult<Option<Rel>> {
        let scope = self.scope;
        for schema in searched(&scope.search_path) {
            if let Some(rel) = self.qualified(schema, table)? {
                return Ok(Some(rel));
            }
        }
        Ok(None)
    }

    fn qualified(&mut self, schema: &str, table: &str) -> SqlResult<Option<Rel>> {
        if let Some(found) = system::table(schema, table) {
            return self.system_table(schema, table, found).map(Some);
        }
        let path = &self.scope.search_path;
        let schema = meant(path, schema);
        let found = self.scope.catalog.relation(schema, table);
        found.as_ref().map_or(Ok(()), |_| check_access(path, schema))?;
        match found {
            Some(Relation::Table(found)) => self.table(schema, found).map(Some),
            Some(Relation::View(view)) => self.view(schema, &view).map(Some),
            Some(Relation::Sequence(sequence)) => self.sequence(schema, &sequence).map(Some),
            None => Ok(None),
        }
    }

    fn table(&mut self, schema: &str, table: Arc<Table>) -> SqlResult<Rel> {
        let keyed = table.indexes.first().is_some_and(|index| !index.keys.is_empty());
        let table = if keyed { table } else { with_row_id(&table) };
        let names: Vec<String> = table.columns.iter().map(|column| self.fresh(&column.name)).collect();
        let statistics = Arc::clone(&self.scope.statistics);
        let columns =
            table.columns.iter().map(|column| (column.name.clone(), column.ty.clone(), !column.not_null.is_certain()));
        let columns = columns.collect();
        let provider = TableScan::new(Arc::clone(&table), &names, self.scans.clone(), statistics)?;
        let mut rel = self.scan(schema, &table.name, Arc::new(provider), names, columns)?;
        self.names += 1;
        let keys = primary_key(&table);
        for (column, described) in rel.columns.iter_mut().zip(&table.columns) {
            column.source = Some(self.names);
            column.primary = if keys.contains(&described.id) { keys.len() } else { 0 };
            if self.knows(table.id).is_some_and(|last| described.id > last) {
                column.seen = Seen::Never;
            }
        }
        if !keyed && let Some(id) = rel.columns.last_mut() {
            id.seen = Seen::Named;
        }
        Ok(rel)
    }

    /// A scan of a provider, whose columns have fresh names, these names, types and nullability.
    fn scan(
        &mut self,
        schema: &str,
        table: &str,
        provider: Arc<dyn TableProvider>,
        fields: Vec<String>,
        columns: Vec<(String, SqlType, bool)>,
    ) -> SqlResult<Rel> {
        let reference = TableReference::bare(table);
        let source = provider_as_source(provider);
        let plan =
            built(LogicalPlanBuilder::scan(reference.clone(), source, None).and_then(LogicalPlanBuilder::build))?;
        let columns = columns.into_iter().zip(fields).map(|((name, ty, nullable), field)| Col {
            table: Some(table.to_owned()),
            schema: Some(schema.to_owned()),
            name,
            ty,
            nullable,
            field: Column::new(Some(reference.clone()), field),
            seen: Seen::Always,
            source: None,
            primary: 0,
            fields: Vec::new(),
            presence: Default::default(),
            alone: false,
        });
        Ok(Rel::new(plan, columns.collect()))
    }

    /// A relation whose rows are made here.
    pub(super) fn rows(
        &mut self,
        schema: &str,
        table: &str,
        columns: Vec<(String, SqlType, bool)>,
        source: RowSource,
    ) -> SqlResult<Rel> {
        let fields: Vec<String> = columns.iter().map(|(name, ..)| self.fresh(name)).collect();
        let types = columns.iter().map(|(_, ty, _)| ty.clone()).collect();
        let provider = RowsTable::new(table, &fields, types, source);
        self.scan(schema, table, Arc::new(provider), fields, columns)
    }

    fn system_table(&mut self, schema: &str, name: &str, table: &'static system::Table) -> SqlResult<Rel> {
        let mut columns: Vec<_> = table.columns().map(|(name, ty)| (name.to_owned(), ty, true)).collect();
        columns.push(("tableoid".to_owned(), SqlType::Oid, false));
        self.system.insert(table.name());
        let scope = self.scope.clone();
        let hidden = Value::Oid(table.oid());
        let source: RowSource = Arc::new(move || {
            let hidden = hidden.clone();
            Ok(Box::new(table.rows(&scope).into_iter().map(move |mut row| {
                row.push(hidden.clone());
                Ok(row)
            })))
        });
        let mut rel = self.rows(schema, name, columns, source)?;
        if let Some(last) = rel.columns.last_mut() {
            last.seen = Seen::Named;
        }
        Ok(rel)
    }

    /// A sequence, selected from: what `pg_dump` asks.
    fn sequence(&mut self, schema: &str, sequence: &Sequence) -> SqlResult<Rel> {
        let columns = [("last_value", SqlType::Int8), ("log_cnt", SqlType::Int8), ("is_called", SqlType::Bool)];
        let columns = columns.map(|(name, ty)| (name.to_owned(), ty, false)).to_vec();
        let system = Arc::clone(&self.scope.system);
        let start = sequence.start;
        let id = sequence.id;
        self.sequences.insert(id);
        let rows: RowSource = Arc::new(move || {
            let (last, called) = system.sequence(id).unwrap_or((start, false));
            let row = vec![Value::Int8(last), Value::Int8(0), Value::Bool(called)];
            Ok(Box::new(std::iter::once(Ok(row))))
        });
        self.rows(schema, &sequence.name, columns, rows)
    }

    fn view(&mut self, schema: &str, view: &Arc<View>) -> SqlResult<Rel> {
        let damaged = |error: &dyn std::fmt::Display| {
            let message = format!("the query of view \"{}\" cannot be read: {error}", view.name);
            SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message)
        };
        let statements = Parser::parse_sql(&Postgres, &view.query).map_err(|error| damaged(&error))?;
        let [Statement::Query(query)] = statements.as_slice() else { return Err(damaged(&"it is no query")) };
        let around = self.view.replace(Arc::clone(view));
        let rel = self.by_itself(|translator| translator.whole_query(query, &[]));
        self.view = around;
        let mut rel = rel?;
        let visible: Vec<usize> = (0..rel.columns.len()).filter(|n| rel.columns[*n].seen == Seen::Always).collect();
        if visible.len() != view.columns.len() {
            return Err(damaged(&"it has other columns"));
        }
        let mut exprs = Vec::new();
        for (number, (_, ty)) in visible.iter().zip(&view.columns) {
            let converted = self.coerce(bound(&rel, *number), ty, CastContext::Assignment)?;
            exprs.push((self.lower(&rel, &converted)?, ty.clone(), true));
        }
        let numbers = self.extend(&mut rel, exprs)?;
        let last = self.knows(view.id).map_or(numbers.len(), usize::from);
        let columns = numbers.iter().zip(&view.columns).enumerate().map(|(place, (number, (name, _)))| Col {
            table: Some(view.name.clone()),
            schema: Some(schema.to_owned()),
            name: name.clone(),
            seen: if place < last { Seen::Always } else { Seen::Never },
            presence: Default::default(),
            alone: false,
            ..rel.columns[*number].clone()
        });
        Ok(Rel::new(rel.plan.clone(), columns.collect()))
    }

    /// The last column of a relation that the view knows whose query is translated; `None`: all.
    fn knows(&self, relation: ObjectId) -> Option<ColumnId> {
        self.view.as_ref().and_then(|view| view.knows(relation))
    }

    /// Translates something that sees nothing of what is around it: no outer columns, no common table expressions.
    pub(super) fn by_itself(&mut self, work: impl FnOnce(&mut Self) -> SqlResult<Rel>) -> SqlResult<Rel> {
        let levels = std::mem::take(&mut self.levels);
        let mode = std::mem::replace(&mut self.mode, Mode::Given(None));
        let ctes = std::mem::take(&mut self.ctes);
        let params = std::mem::replace(&mut self.params, ParamTypes::new());
        let text = self.text.take();
        let result = self.deeper(work);
        (self.levels, self.mode, self.ctes, self.params, self.text) = (levels, mode, ctes, params, text);
        result
    }
}

/// A table whose rows' hidden ids are a column, too.
fn with_row_id(table: &Table) -> Arc<Table> {
    let mut table = table.clone();
    table.columns.push(catalog::Column {
        id: ROW_ID,
        name: ROW_ID_COLUMN.to_owned(),
        ty: SqlType::Uuid,
        not_null: catalog::NotNull::Yes,
        default: None,
        missing: None,
        comment: None,
    });
    Arc::new(table)
}

/// The columns of a table's primary key.
fn primary_key(table: &Table) -> Vec<ColumnId> {
    let is_primary = |index: &&Index| index.constraint == Some(ConstraintKind::PrimaryKey);
    let keys = table.indexes.iter().find(is_primary).map(|index| index.keys.as_slice()).unwrap_or_default();
    let column = |key: &IndexKey| match key.part {
        KeyPart::Column(id) => Some(id),
        KeyPart::Expression(..) => None,
    };
    keys.iter().filter_map(column).collect()
}
