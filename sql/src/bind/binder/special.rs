//! Expressions with a syntax of their own: `CASE`, and functions whose arguments are separated by words.

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlType, Value};
use sqlparser::ast::{self, CeilFloorKind, DateTimeField, TrimWhereField};
use sqlparser::tokenizer::Span;

use super::super::expr::Expr;
use super::{Binder, Node};

impl Binder<'_> {
    pub(super) fn special(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        use ast::Expr as E;
        match expr {
            E::Extract { field, expr, .. } => {
                let field = Self::text_node(&field_name(field));
                let arg = self.node(expr)?;
                self.apply_special("extract", vec![field, arg])
            }
            E::Ceil { expr, field } => self.rounding("ceil", expr, field),
            E::Floor { expr, field } => self.rounding("floor", expr, field),
            E::Position { expr, r#in } => {
                let args = vec![self.node(r#in)?, self.node(expr)?];
                self.apply_special("position", args)
            }
            E::Substring { expr, substring_from, substring_for, .. } => {
                self.substring(expr, substring_from.as_deref(), substring_for.as_deref())
            }
            E::Trim { expr, trim_where, trim_what, trim_characters } => {
                self.trim(expr, *trim_where, trim_what.as_deref(), trim_characters.as_deref())
            }
            E::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let parts = [Some(expr), Some(overlay_what), Some(overlay_from), overlay_for.as_ref()];
                let args = parts.into_iter().flatten().map(|part| self.node(part)).collect::<SqlResult<_>>()?;
                self.apply_special("overlay", args)
            }
            E::AtTimeZone { timestamp, time_zone } => {
                let args = vec![self.node(time_zone)?, self.node(timestamp)?];
                self.apply_special("timezone", args)
            }
            other => Err(SqlError::unsupported(other)),
        }
    }

    fn apply_special(&mut self, name: &str, args: Vec<Node>) -> SqlResult<Expr> {
        let span = args.first().map_or_else(Span::empty, |node| node.span);
        self.apply(name, args, span)
    }

    fn text_node(text: &str) -> Node {
        Node { expr: Expr::literal(Value::text(text), SqlType::Text), span: Span::empty() }
    }

    /// `ceil(x)`: the parser has a place for more that PostgreSQL does not have.
    fn rounding(&mut self, name: &str, expr: &ast::Expr, field: &CeilFloorKind) -> SqlResult<Expr> {
        if !matches!(field, CeilFloorKind::DateTimeField(DateTimeField::NoDateTime)) {
            return Err(SqlError::unsupported(format_args!("{name} with more than one argument")));
        }
        let arg = self.node(expr)?;
        self.apply_special(name, vec![arg])
    }

    fn substring(&mut self, expr: &ast::Expr, from: Option<&ast::Expr>, length: Option<&ast::Expr>) -> SqlResult<Expr> {
        let mut args = vec![self.node(expr)?];
        match (from, length) {
            (Some(from), length) => {
                args.push(self.node(from)?);
                if let Some(length) = length {
                    args.push(self.node(length)?);
                }
            }
            (None, Some(length)) => {
                args.push(Node { expr: Expr::literal(Value::Int4(1), SqlType::Int4), span: Span::empty() });
                args.push(self.node(length)?);
            }
            (None, None) => {}
        }
        self.apply_special("substring", args)
    }

    fn trim(
        &mut self,
        expr: &ast::Expr,
        side: Option<TrimWhereField>,
        what: Option<&ast::Expr>,
        characters: Option<&[ast::Expr]>,
    ) -> SqlResult<Expr> {
        let name = match side {
            None | Some(TrimWhereField::Both) => "btrim",
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
        };
        let mut args = vec![self.node(expr)?];
        for characters in what.into_iter().chain(characters.into_iter().flatten()) {
            args.push(self.node(characters)?);
        }
        self.apply_special(name, args)
    }

    pub(super) fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
    ) -> SqlResult<Expr> {
        let operand = operand.map(|operand| self.operand(operand)).transpose()?;
        let tests = conditions.iter().map(|arm| self.case_test(&arm.condition, operand.as_ref()));
        let tests = tests.collect::<SqlResult<Vec<_>>>()?;
        let mut results = vec![match otherwise {
            Some(otherwise) => self.node(otherwise)?,
            None => Node { expr: Expr::null(SqlType::Unknown), span: Span::empty() },
        }];
        for arm in conditions {
            results.push(self.node(&arm.result)?);
        }
        let (mut results, ty) = self.unify(results, "CASE")?;
        let otherwise = Box::new(results.remove(0));
        let arms = tests.into_iter().zip(results).collect();
        Ok(Expr::Case { operand: operand.map(Box::new), arms, otherwise, ty })
    }

    fn operand(&mut self, operand: &ast::Expr) -> SqlResult<Expr> {
        let node = self.node(operand)?;
        if *node.ty() == SqlType::Unknown {
            return self.convert(node, &SqlType::Text, CastContext::Implicit);
        }
        Ok(node.expr)
    }

    fn case_test(&mut self, condition: &ast::Expr, operand: Option<&Expr>) -> SqlResult<Expr> {
        let node = self.node(condition)?;
        match operand {
            None => self.boolean(node, "CASE/WHEN"),
            Some(operand) => {
                let place = Expr::CaseOperand { ty: operand.ty().clone() };
                let left = Node { expr: place, span: node.span };
                self.apply_operator("=", vec![left, node], condition)
            }
        }
    }
}

fn field_name(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(ident) => ident.value.trim_matches('\'').to_lowercase(),
        other => other.to_string().trim_matches('\'').to_lowercase(),
    }
}
