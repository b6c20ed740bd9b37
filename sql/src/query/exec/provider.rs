//! A table in a query.

use std::fmt;
use std::sync::Arc;

use annulus_relation::catalog::{KeyPart, Table};
use annulus_relation::{SqlResult, SqlType, Value};
use async_trait::async_trait;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::super::arrow::{data_type, value_of};
use super::super::request::Scans;
use super::super::statistics::{ColumnStatistics, Statistics};
use super::scan::ScanExec;
use crate::conditions::Indexed;

/// How many rows a table is taken to have if nothing is known.
pub(in crate::query) const UNKNOWN_ROWS: f64 = 1000.0;
/// The part of the rows that a condition is taken to let pass if nothing is known.
const GUESS: f64 = 0.3;

/// One use of a table in a query: its columns have names that are unique in the query.
pub(in crate::query) struct TableScan {
    pub table: Arc<Table>,
    /// The table's indexes, in its order.
    pub indexes: Arc<[Indexed]>,
    pub schema: SchemaRef,
    pub scans: Scans,
    pub statistics: Arc<dyn Statistics>,
}

impl fmt::Debug for TableScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableScan({})", self.table.name)
    }
}

impl TableScan {
    /// A use of a table whose columns are called `names`.
    ///
    /// # Errors
    /// An index's expression cannot be bound any more.
    pub fn new(table: Arc<Table>, names: &[String], scans: Scans, statistics: Arc<dyn Statistics>) -> SqlResult<Self> {
        let fields = table.columns.iter().zip(names);
        let fields =
            fields.map(|(column, name)| Field::new(name, data_type(&column.ty), !column.not_null.is_certain()));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let indexes = table.indexes.iter().map(|index| Indexed::new(&table, index)).collect::<SqlResult<_>>()?;
        Ok(Self { table, indexes, schema, scans, statistics })
    }

    /// About how many different values a column has, by its name in the query.
    pub fn distinct(&self, name: &str) -> Option<f64> {
        let column = self.table.columns.get(self.schema.index_of(name).ok()?)?;
        Some(self.statistics.column(self.table.id, column.id)?.distinct)
    }

    /// About how many rows pass the filters.
    pub fn estimate(&self, filters: &[Expr]) -> f64 {
        estimate(self, filters)
    }
}

#[async_trait]
impl TableProvider for TableScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.estimate(filters);
        let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
        // The table's own names stand alone here.
        let unqualified = filters.iter().cloned().map(unqualified).collect::<Result<Vec<_>>>()?;
        let predicate =
            conjunction(unqualified).map(|filter| state.create_physical_expr(filter, &schema)).transpose()?;
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        Ok(Arc::new(ScanExec::new(self, columns, predicate, rows)?.limited(limit)))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }
}

/// The same over columns without their table's name.
fn unqualified(filter: Expr) -> Result<Expr> {
    let bare = filter.transform(|part| {
        Ok(match part {
            Expr::Column(column) if column.relation.is_some() => {
                Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(bare.data)
}

/// About how many rows of a table pass the filters.
pub(in crate::query) fn estimate(scan: &TableScan, filters: &[Expr]) -> f64 {
    let rows = scan.statistics.rows(scan.table.id).map_or(UNKNOWN_ROWS, |rows| rows as f64).max(1.0);
    let mut fixed = Vec::new();
    let selectivity: f64 = filters.iter().map(|filter| selectivity(scan, rows, filter, &mut fixed)).product();
    let unique = scan.table.indexes.iter().any(|index| {
        index.is_unique()
            && index.predicate.is_none()
            && !index.keys.is_empty()
            && index.keys.iter().all(|key| matches!(&key.part, KeyPart::Column(id) if fixed.contains(id)))
    });
    if unique { 1.0 } else { (rows * selectivity).max(1.0) }
}

/// The part of the rows that pass a filter; columns that it fixes to one value are added to `fixed`.
fn selectivity(scan: &TableScan, rows: f64, filter: &Expr, fixed: &mut Vec<u16>) -> f64 {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => selectivity(scan, rows, left, fixed) * selectivity(scan, rows, right, fixed),
            Operator::Or => {
                let mut unused = Vec::new();
                let both = selectivity(scan, rows, left, &mut unused) + selectivity(scan, rows, right, &mut unused);
                both.min(1.0)
            }
            _ => compared(scan, rows, left, *op, right, fixed),
        },
        Expr::InList(list) if !list.negated => {
            let each = list.list.iter().map(|item| equal(scan, rows, &list.expr, item));
            each.sum::<f64>().min(1.0)
        }
        Expr::IsNull(inner) => known(scan, inner).map_or(0.1, |(_, column)| column.nulls),
        Expr::IsNotNull(inner) => known(scan, inner).map_or(0.95, |(_, column)| 1.0 - column.nulls),
        Expr::Not(inner) => 1.0 - selectivity(scan, rows, inner, &mut Vec::new()).min(0.95),
        _ => GUESS,
    }
}

/// The part of the rows for which a comparison is true.
fn compared(scan: &TableScan, rows: f64, left: &Expr, op: Operator, right: &Expr, fixed: &mut Vec<u16>) -> f64 {
    let (column, other, op) = match (column_of(scan, left), op.swap()) {
        (None, Some(swapped)) if column_of(scan, right).is_some() => (right, left, swapped),
        _ => (left, right, op),
    };
    match op {
        Operator::Eq => {
            fixed.extend(column_of(scan, column).map(|column| column.id));
            equal(scan, rows, column, other)
        }
        Operator::NotEq => 1.0 - equal(scan, rows, column, other).min(0.9),
        Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
            let Some((ty, known)) = known(scan, column) else { return GUESS };
            let Some(value) = literal(ty, other) else { return GUESS };
            let (below, equal) = (known.below(&value), known.equal(&value));
            match op {
                Operator::Lt => below,
                Operator::LtEq => below + equal,
                Operator::Gt => 1.0 - known.nulls - below - equal,
                _ => 1.0 - known.nulls - below,
            }
            .clamp(0.0, 1.0)
        }
        _ => GUESS,
    }
}

/// The part of the rows in which a column has a value.
fn equal(scan: &TableScan, rows: f64, column: &Expr, value: &Expr) -> f64 {
    let Some((ty, known)) = known(scan, column) else { return 1.0 / (rows / 10.0).clamp(2.0, 200.0) };
    match literal(ty, value) {
        Some(value) => known.equal(&value),
        None => (1.0 - known.nulls) / known.distinct,
    }
}

fn column_of<'s>(scan: &'s TableScan, expr: &Expr) -> Option<&'s annulus_relation::catalog::Column> {
    match expr {
        Expr::Column(column) => scan.table.columns.get(scan.schema.index_of(&column.name).ok()?),
        _ => None,
    }
}

fn known<'s>(scan: &'s TableScan, expr: &Expr) -> Option<(&'s SqlType, Arc<ColumnStatistics>)> {
    let column = column_of(scan, expr)?;
    Some((&column.ty, scan.statistics.column(scan.table.id, column.id)?))
}

fn literal(ty: &SqlType, expr: &Expr) -> Option<Value> {
    match expr {
        Expr::Literal(scalar, _) if data_type(ty) == scalar.data_type() => value_of(ty, scalar).ok(),
        _ => None,
    }
}
