//! Subqueries that lock rows, taken out of their statement.

use std::ops::ControlFlow;

use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{self, Visit, VisitMut, Visitor, VisitorMut};

use crate::parse::parse_query;

/// Whether a statement has subqueries that lock rows.
pub(super) fn locks_within(statement: &ast::Statement) -> bool {
    Visit::visit(statement, &mut Lifter::of(statement)).is_break()
}

/// Takes the subqueries that lock rows out of a statement, with the names that stand for their rows.
pub(super) fn lift(statement: &mut ast::Statement) -> SqlResult<Vec<(String, ast::Query)>> {
    let mut lifter = Lifter::of(statement);
    match VisitMut::visit(statement, &mut lifter) {
        ControlFlow::Continue(()) => Ok(lifter.lifted),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Replaces each such subquery by all rows of what its name will stand for.
struct Lifter {
    depth: u32,
    /// How many queries around are the statement itself.
    own: u32,
    lifted: Vec<(String, ast::Query)>,
}

impl Lifter {
    fn of(statement: &ast::Statement) -> Self {
        let own = u32::from(matches!(statement, ast::Statement::Query(_)));
        Self { depth: 0, own, lifted: Vec::new() }
    }
}

impl Visitor for Lifter {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        self.depth += 1;
        if self.depth > self.own && !query.locks.is_empty() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn post_visit_query(&mut self, _: &ast::Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

impl VisitorMut for Lifter {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut ast::Query) -> ControlFlow<SqlError> {
        self.depth += 1;
        if self.depth > self.own && !query.locks.is_empty() {
            // No client writes such a name.
            let name = format!("locked {}", self.lifted.len() + 1);
            match parse_query(&format!("SELECT * FROM \"{name}\"")) {
                Ok(all) => self.lifted.push((name, std::mem::replace(query, *all))),
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut ast::Query) -> ControlFlow<SqlError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}
