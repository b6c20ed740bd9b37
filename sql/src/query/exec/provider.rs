//! A table in a query.

use std::fmt;
use std::sync::Arc;

use annulus_relation::catalog::{Index, KeyPart, Table};
use async_trait::async_trait;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::super::arrow::data_type;
use super::super::request::Scans;
use super::super::scope::Statistics;
use super::scan::ScanExec;

/// How many rows a table is taken to have if nothing is known.
pub(in crate::query) const UNKNOWN_ROWS: f64 = 1000.0;

/// One use of a table in a query: its columns have names that are unique in the query.
pub(in crate::query) struct TableScan {
    pub table: Arc<Table>,
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
    pub fn new(table: Arc<Table>, names: &[String], scans: Scans, statistics: Arc<dyn Statistics>) -> Self {
        let fields = table.columns.iter().zip(names);
        let fields = fields.map(|(column, name)| Field::new(name, data_type(&column.ty), !column.not_null));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { table, schema, scans, statistics }
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

/// Whether scans may use an index: it is complete, holds every row and consists of columns.
pub(super) fn is_readable(index: &Index) -> bool {
    index.state.is_complete()
        && index.predicate.is_none()
        && index.keys.iter().all(|key| matches!(key.part, KeyPart::Column(_)))
}

/// About how many rows of a table pass the filters.
pub(in crate::query) fn estimate(scan: &TableScan, filters: &[Expr]) -> f64 {
    let rows = scan.statistics.rows(scan.table.id).map_or(UNKNOWN_ROWS, |rows| rows as f64).max(1.0);
    let mut fixed = Vec::new();
    let selectivity: f64 = filters.iter().map(|filter| selectivity(scan, rows, filter, &mut fixed)).product();
    let unique = scan.table.indexes.iter().any(|index| {
        index.unique
            && !index.keys.is_empty()
            && index.keys.iter().all(|key| matches!(&key.part, KeyPart::Column(id) if fixed.contains(id)))
    });
    if unique { 1.0 } else { (rows * selectivity).max(1.0) }
}

/// The part of the rows that pass a filter; columns that it fixes to one value are added to `fixed`.
fn selectivity(scan: &TableScan, rows: f64, filter: &Expr, fixed: &mut Vec<u16>) -> f64 {
    let column = |expr: &Expr| match expr {
        Expr::Column(column) => {
            let place = scan.schema.index_of(&column.name).ok()?;
            scan.table.columns.get(place).map(|column| column.id)
        }
        _ => None,
    };
    let one_of = |expr: &Expr| {
        let known = column(expr).and_then(|id| scan.statistics.distinct(scan.table.id, id));
        1.0 / known.map_or_else(|| (rows / 10.0).clamp(2.0, 200.0), |distinct| distinct.max(1) as f64)
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Eq => {
                let side = if column(left).is_some() { left } else { right };
                fixed.extend(column(side));
                one_of(side)
            }
            Operator::And => selectivity(scan, rows, left, fixed) * selectivity(scan, rows, right, fixed),
            Operator::Or => {
                let mut unused = Vec::new();
                let both = selectivity(scan, rows, left, &mut unused) + selectivity(scan, rows, right, &mut unused);
                both.min(1.0)
            }
            Operator::NotEq => 0.9,
            _ => 0.3,
        },
        Expr::InList(list) if !list.negated => (one_of(&list.expr) * list.list.len() as f64).min(1.0),
        Expr::IsNull(_) => 0.1,
        Expr::IsNotNull(_) => 0.95,
        Expr::Not(inner) => 1.0 - selectivity(scan, rows, inner, &mut Vec::new()).min(0.95),
        _ => 0.3,
    }
}
