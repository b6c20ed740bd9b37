//! Output columns that are computed last: those that would be others for each row, of a query that sorts or limits its rows.
//! So `nextval` counts in the order of the rows, and only those that are given.
//!
//! Source: PostgreSQL 15, `make_sort_input_target` of planner.c.

use annulus_relation::{SqlError, SqlResult, SqlState};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};

use super::{Col, Rel, Translator, built};
use crate::bind;

/// The output columns that are still to be computed: their numbers, and what they are over the relation that the query is
/// made of.
pub(super) type Late = Vec<(usize, bind::Expr)>;

impl Translator<'_> {
    /// Adds what columns that are computed last need of a relation to a query's output; what they are over that.
    pub(super) fn needed_late(
        &mut self,
        rel: &Rel,
        late: Late,
        result: &mut Rel,
        exprs: &mut Vec<Expr>,
    ) -> SqlResult<Late> {
        let mut places: Vec<(usize, usize)> = Vec::new();
        let lost = || SqlError::new(SqlState::INTERNAL_ERROR, "a column that is computed last has lost another one");
        let mut moved = Late::new();
        for (number, value) in late {
            for old in value.columns() {
                if places.iter().all(|(known, _)| *known != old) {
                    let of = &rel.columns[old];
                    let (expr, column) = self.computed(&of.name, of.ty.clone(), of.nullable, of.expr());
                    exprs.push(expr);
                    places.push((old, result.columns.len()));
                    result.columns.push(column.hidden());
                }
            }
            let place = |old: usize| places.iter().find(|(known, _)| *known == old).map(|(_, new)| *new);
            moved.push((number, value.move_columns(&place).ok_or_else(lost)?));
        }
        Ok(moved)
    }

    /// Computes the columns that are still missing of a query's output.
    pub(super) fn compute_late(&mut self, mut rel: Rel, late: Late) -> SqlResult<Rel> {
        if late.is_empty() {
            return Ok(rel);
        }
        let mut exprs: Vec<Expr> = rel.columns.iter().map(Col::expr).collect();
        for (number, value) in late {
            let lowered = self.lower(&rel, &value)?;
            let old = &rel.columns[number];
            let (expr, column) = self.computed(&old.name, old.ty.clone(), true, lowered);
            exprs[number] = expr;
            rel.columns[number].field = column.field;
        }
        rel.plan = built(rel.builder().project(exprs).and_then(LogicalPlanBuilder::build))?;
        Ok(rel)
    }
}
