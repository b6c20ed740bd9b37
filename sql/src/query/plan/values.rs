//! `VALUES`.

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use sqlparser::ast;

use super::expressions::{Parts, Site, Wish};
use super::subquery::has_subquery;
use super::{Rel, Translator, built};
use crate::bind;

impl Translator<'_> {
    /// The rows of a list.
    pub(super) fn values(&mut self, values: &ast::Values, wanted: &[SqlType]) -> SqlResult<Rel> {
        let rows: Vec<&Vec<ast::Expr>> = values.rows.iter().map(|row| &row.content).collect();
        let width = rows.first().map_or(0, |row| row.len());
        if rows.iter().any(|row| row.len() != width) {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length"));
        }
        // Each row stands over the columns of the surroundings, and over its own subqueries.
        let base = self.attach_domain(Rel::unit()?)?;
        let subqueries = rows.iter().flat_map(|row| row.iter()).any(has_subquery);
        if (!base.columns.is_empty() || subqueries) && rows.len() > 1 {
            return self.values_apart(&base, &rows, wanted);
        }
        let mut rel = base;
        let bounds = rows.iter().map(|row| self.values_row(&mut rel, row)).collect::<SqlResult<Vec<_>>>()?;
        let types = Self::column_types(&bounds, wanted)?;
        let lowered = self.converted(&rel, bounds, &types)?;
        match (rel.columns.is_empty(), lowered) {
            (false, mut lowered) => self.output_row(rel, lowered.swap_remove(0), &types),
            (true, lowered) => self.list(lowered, &types),
        }
    }

    fn values_row(&mut self, rel: &mut Rel, row: &[ast::Expr]) -> SqlResult<Vec<bind::Expr>> {
        let mut bounds = Vec::new();
        for expr in row {
            let mut parts = Parts::new();
            self.attach_subqueries(rel, expr, &mut parts, None, "VALUES")?;
            bounds.push(self.bind(Site::new(rel, "VALUES").with(&parts), expr, Wish::Open)?);
        }
        Ok(bounds)
    }

    /// What the values of each column have in common.
    fn column_types(rows: &[Vec<bind::Expr>], wanted: &[SqlType]) -> SqlResult<Vec<SqlType>> {
        let width = rows.first().map_or(0, Vec::len);
        let common = |place: usize| {
            let ty = bind::common_type(rows.iter().map(|row| row[place].ty()), "VALUES")?;
            // Only literals: they become what they are assigned to, else text.
            let open = rows.iter().all(|row| *row[place].ty() == SqlType::Unknown);
            Ok(if open { wanted.get(place).cloned().unwrap_or(SqlType::Text) } else { ty })
        };
        (0..width).map(common).collect()
    }

    fn converted(&mut self, rel: &Rel, rows: Vec<Vec<bind::Expr>>, types: &[SqlType]) -> SqlResult<Vec<Vec<Expr>>> {
        let mut lowered = Vec::new();
        for row in rows {
            let mut exprs = Vec::new();
            for (expr, ty) in row.into_iter().zip(types) {
                let context = match expr.ty() {
                    SqlType::Unknown => CastContext::Assignment,
                    _ => CastContext::Implicit,
                };
                let expr = self.coerce(expr, ty, context)?;
                exprs.push(self.lower(rel, &expr)?);
            }
            lowered.push(exprs);
        }
        Ok(lowered)
    }

    /// Rows without subqueries and surroundings, as one list.
    fn list(&mut self, rows: Vec<Vec<Expr>>, types: &[SqlType]) -> SqlResult<Rel> {
        let plan = built(LogicalPlanBuilder::values(rows).and_then(LogicalPlanBuilder::build))?;
        let fields = plan.schema().columns();
        let exprs: Vec<Expr> = fields.into_iter().map(Expr::Column).collect();
        self.output_row(Rel::new(plan, Vec::new()), exprs, types)
    }

    /// A relation of columns called `column1` and so on.
    fn output_row(&mut self, rel: Rel, exprs: Vec<Expr>, types: &[SqlType]) -> SqlResult<Rel> {
        let mut projected: Vec<Expr> = rel.outer.iter().map(|(_, number)| rel.columns[*number].expr()).collect();
        let mut result = Rel::new(rel.plan.clone(), Vec::new());
        for (place, (name, number)) in rel.outer.iter().enumerate() {
            result.outer.push((name.clone(), place));
            result.columns.push(rel.columns[*number].clone());
        }
        for (place, (expr, ty)) in exprs.into_iter().zip(types).enumerate() {
            let (expr, column) = self.computed(&format!("column{}", place + 1), ty.clone(), true, expr);
            projected.push(expr);
            result.columns.push(column);
        }
        result.plan = built(rel.builder().project(projected).and_then(LogicalPlanBuilder::build))?;
        Ok(result)
    }

    /// Rows that need plans of their own.
    fn values_apart(&mut self, base: &Rel, rows: &[&Vec<ast::Expr>], wanted: &[SqlType]) -> SqlResult<Rel> {
        let mut parts = Vec::new();
        let mut bounds = Vec::new();
        for row in rows {
            let mut rel = base.clone();
            bounds.push(self.values_row(&mut rel, row)?);
            parts.push(rel);
        }
        let types = Self::column_types(&bounds, wanted)?;
        let mut all: Option<Rel> = None;
        for (rel, bounds) in parts.into_iter().zip(bounds) {
            let mut lowered = self.converted(&rel, vec![bounds], &types)?;
            let row = self.output_row(rel, lowered.swap_remove(0), &types)?;
            all = Some(match all {
                Some(all) => self.union_all(all, row)?,
                None => row,
            });
        }
        all.map_or_else(Rel::unit, Ok)
    }
}
