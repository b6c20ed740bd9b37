//! Columns that are named in several ways: `a`, `t.a`.

use std::ops::ControlFlow;

use sqlparser::ast::{self, VisitMut, VisitorMut};

use super::{Rel, folded};

/// Spells a column the same wherever it is named outside of subqueries, so that what is grouped by is recognized.
pub(super) fn spell_alike<'i>(rel: &Rel, select: &mut ast::Select, items: impl Iterator<Item = &'i mut ast::Expr>) {
    let mut speller = Speller { rel, depth: 0 };
    // It never breaks off.
    let mut spell = |expr: &mut ast::Expr| {
        let _ = VisitMut::visit(expr, &mut speller);
    };
    items.for_each(&mut spell);
    select.having.iter_mut().for_each(&mut spell);
    let _ = VisitMut::visit(&mut select.group_by, &mut speller);
    let _ = VisitMut::visit(&mut select.named_window, &mut speller);
}

/// Gives names of a relation's columns their tables.
struct Speller<'r> {
    rel: &'r Rel,
    /// How many subqueries are around.
    depth: u32,
}

impl VisitorMut for Speller<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut ast::Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut ast::Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        if let ast::Expr::Identifier(ident) = &*expr
            && self.depth == 0
        {
            let name = folded(ident);
            let mut named = self.rel.visible().filter(|column| column.name == name);
            if let (Some(column), None) = (named.next(), named.next())
                && let Some(table) = &column.table
            {
                let part =
                    |value: &str| ast::Ident { value: value.to_owned(), quote_style: Some('"'), span: ident.span };
                *expr = ast::Expr::CompoundIdentifier(vec![part(table), part(&column.name)]);
            }
        } else if let ast::Expr::CompoundIdentifier(idents) = expr
            && self.depth == 0
            && idents.len() == 2
        {
            for ident in idents {
                (ident.value, ident.quote_style) = (folded(ident), Some('"'));
            }
        }
        ControlFlow::Continue(())
    }
}
