//! Values and rows that are compared with those of a subquery.

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use datafusion::common::JoinType;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit, when};
use sqlparser::ast::{self, BinaryOperator};

use super::expressions::{Parts, Site, Wish, bound};
use super::subquery::User;
use super::{Rel, Translator, built};
use crate::bind;

impl Translator<'_> {
    /// `(a, b) op (query)`: a row compared with the only one of a subquery.
    pub(super) fn attach_compared(
        &mut self,
        rel: &mut Rel,
        lefts: Vec<bind::Expr>,
        op: &BinaryOperator,
        query: &ast::Query,
    ) -> SqlResult<bind::Expr> {
        let sub = self.subquery(rel, query, User::Value)?;
        check_columns(lefts.len(), sub.visible().count())?;
        let rights = self.attach_row(rel, sub)?;
        let mut parts = Parts::new();
        let mut row = |side: &str, values: Vec<bind::Expr>| {
            let name = |place: usize| ast::Expr::Identifier(ast::Ident::with_quote('"', format!("?{side}{place}")));
            let names: Vec<ast::Expr> = (0..values.len()).map(name).collect();
            parts.extend(names.iter().cloned().zip(values));
            Box::new(ast::Expr::Tuple(names))
        };
        let tree = ast::Expr::BinaryOp { left: row("left", lefts), op: op.clone(), right: row("right", rights) };
        self.bind(Site::new(rel, "a comparison").with(&parts), &tree, Wish::Condition)
    }

    pub(super) fn filter_any(
        &mut self,
        rel: &mut Rel,
        lefts: Vec<bind::Expr>,
        op: &BinaryOperator,
        query: &ast::Query,
        join: JoinType,
    ) -> SqlResult<()> {
        let sub = self.subquery(rel, query, User::Rows)?;
        self.join_any(rel, lefts, op, sub, join)
    }

    pub(super) fn join_any(
        &mut self,
        rel: &mut Rel,
        lefts: Vec<bind::Expr>,
        op: &BinaryOperator,
        sub: Rel,
        join: JoinType,
    ) -> SqlResult<()> {
        let conditions = self.any_conditions(rel, lefts, op, &sub)?;
        rel.plan = built(rel.builder().join_on(sub.plan, join, conditions).and_then(LogicalPlanBuilder::build))?;
        Ok(())
    }

    /// The conditions by which a subquery's row belongs to a row of the relation and compares with it.
    fn any_conditions(
        &mut self,
        rel: &Rel,
        lefts: Vec<bind::Expr>,
        op: &BinaryOperator,
        sub: &Rel,
    ) -> SqlResult<Vec<Expr>> {
        let combined = Self::beside(rel, sub);
        let offset = rel.columns.len();
        let mut conditions = self.belongs(&combined, sub, offset)?;
        let visible = sub.columns.iter().enumerate().filter(|(_, column)| column.seen == super::Seen::Always);
        let rights: Vec<usize> = visible.map(|(number, _)| offset + number).collect();
        check_columns(lefts.len(), rights.len())?;
        if lefts.len() > 1 && !matches!(op, BinaryOperator::Eq) {
            return Err(SqlError::unsupported("a comparison of rows with those of a subquery other than IN"));
        }
        for (left, right) in lefts.into_iter().zip(rights) {
            let compared = self.compare(&combined, op, left, bound(&combined, right))?;
            conditions.push(self.lower(&combined, &compared)?);
        }
        Ok(conditions)
    }

    /// `left op ANY (query)` as a value: true if a row compares so, else NULL if NULLs leave it open, else false.
    pub(super) fn attach_any(
        &mut self,
        rel: &mut Rel,
        lefts: Vec<bind::Expr>,
        op: &BinaryOperator,
        query: &ast::Query,
        negated: bool,
    ) -> SqlResult<bind::Expr> {
        let sub = self.subquery(rel, query, User::Rows)?;
        let known =
            lefts.iter().all(|left| self.is_never_null(rel, left)) && sub.visible().all(|column| !column.nullable);
        let conditions = self.any_conditions(rel, lefts.clone(), op, &sub)?;
        let mark = self.mark(rel, &sub, conditions)?;
        let mut answer = rel.columns[mark].expr();
        if !known {
            let open = match lefts.as_slice() {
                [left] => self.left_open(rel, left, sub)?,
                _ => self.row_left_open(rel, lefts, op, &sub)?,
            };
            let unknown = lit(datafusion::common::ScalarValue::Boolean(None));
            answer = built(when(answer, lit(true)).when(open, unknown).otherwise(lit(false)))?;
        }
        if negated {
            answer = !answer;
        }
        let numbers = self.extend(rel, vec![(answer, SqlType::Bool, true)])?;
        Ok(bound(rel, numbers[0]))
    }

    /// Whether a NULL, of the value or among a subquery's rows, leaves it open if a row compares with the value as wanted.
    fn left_open(&mut self, rel: &mut Rel, left: &bind::Expr, sub: Rel) -> SqlResult<Expr> {
        let left = self.lower(rel, left)?;
        let counts = self.counts(sub)?;
        let offset = rel.columns.len();
        self.join_left(rel, &counts)?;
        let (all, known) = (rel.columns[offset].expr(), rel.columns[offset + 1].expr());
        let some = all.clone().is_not_null().and(all.clone().not_eq(lit(0_i64)));
        Ok(some.and(known.lt(all).or(left.is_null())))
    }

    /// The same for rows of several values: NULL leaves it open only where no other value differs.
    fn row_left_open(
        &mut self,
        rel: &mut Rel,
        lefts: Vec<bind::Expr>,
        op: &BinaryOperator,
        sub: &Rel,
    ) -> SqlResult<Expr> {
        let belonging = self.belongs(&Self::beside(rel, sub), sub, rel.columns.len())?.len();
        let mut conditions = self.any_conditions(rel, lefts, op, sub)?;
        for compared in conditions.iter_mut().skip(belonging) {
            *compared = compared.clone().is_not_false();
        }
        let mark = self.mark(rel, sub, conditions)?;
        Ok(rel.columns[mark].expr())
    }
}

/// That a subquery has as many columns as the row that it is compared with.
fn check_columns(row: usize, subquery: usize) -> SqlResult<()> {
    if row == subquery {
        return Ok(());
    }
    let few = if subquery < row { "few" } else { "many" };
    Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("subquery has too {few} columns")))
}
