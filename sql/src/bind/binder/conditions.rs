//! What gives a boolean and is no operator: `IS`, `IN`, `BETWEEN`, `LIKE`, `ANY` and `ALL`.

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use sqlparser::ast::{self, BinaryOperator, Spanned, ValueWithSpan};

use super::super::category::common_type;
use super::super::expr::{Expr, Test};
use super::super::resolve;
use super::super::rows::refused;
use super::operators::{all_of, any_of, symbol};
use super::rows::row_fields;
use super::{Binder, Node, without_parens};

impl Binder<'_> {
    pub(super) fn condition(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        use ast::Expr as E;
        match expr {
            E::IsNull(arg) => self.is_null(arg, false),
            E::IsNotNull(arg) => self.is_null(arg, true),
            E::IsTrue(arg) => self.is(arg, Test::True, false, "IS TRUE"),
            E::IsNotTrue(arg) => self.is(arg, Test::True, true, "IS NOT TRUE"),
            E::IsFalse(arg) => self.is(arg, Test::False, false, "IS FALSE"),
            E::IsNotFalse(arg) => self.is(arg, Test::False, true, "IS NOT FALSE"),
            E::IsUnknown(arg) => self.is(arg, Test::Unknown, false, "IS UNKNOWN"),
            E::IsNotUnknown(arg) => self.is(arg, Test::Unknown, true, "IS NOT UNKNOWN"),
            E::IsDistinctFrom(left, right) => self.distinct(left, right, false),
            E::IsNotDistinctFrom(left, right) => self.distinct(left, right, true),
            E::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            E::Between { expr, negated, low, high } => self.between(expr, *negated, low, high),
            E::Like { negated, any, expr, pattern, escape_char } => {
                let symbol = if *negated { "!~~" } else { "~~" };
                self.like(symbol, *any, expr, pattern, escape_char.as_ref())
            }
            E::ILike { negated, any, expr, pattern, escape_char } => {
                let symbol = if *negated { "!~~*" } else { "~~*" };
                self.like(symbol, *any, expr, pattern, escape_char.as_ref())
            }
            E::SimilarTo { negated, expr, pattern, escape_char } => {
                let symbol = if *negated { "!~" } else { "~" };
                self.similar(symbol, expr, pattern, escape_char.as_ref())
            }
            E::AnyOp { left, compare_op, right, .. } => self.quantified(left, compare_op, right, false),
            E::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, true),
            other => Err(SqlError::unsupported(format_args!("the expression {other}")).at(self.at(other.span()))),
        }
    }

    fn is_null(&mut self, arg: &ast::Expr, negated: bool) -> SqlResult<Expr> {
        if let Some(fields) = row_fields(arg) {
            if fields.is_empty() {
                return Ok(Expr::literal(Value::Bool(true), SqlType::Bool));
            }
            let test = |field: &ast::Expr| self.is_null(field, negated);
            return Ok(all_of(fields.iter().map(test).collect::<SqlResult<_>>()?));
        }
        let node = self.node(arg)?;
        if node.ty().has_rows() {
            return Err(refused().at(self.at(node.span)));
        }
        Ok(Expr::Is { arg: Box::new(node.expr), test: Test::Null, negated })
    }

    fn is(&mut self, arg: &ast::Expr, test: Test, negated: bool, construct: &str) -> SqlResult<Expr> {
        let node = self.node(arg)?;
        Ok(Expr::Is { arg: Box::new(self.boolean(node, construct)?), test, negated })
    }

    fn distinct(&mut self, left: &ast::Expr, right: &ast::Expr, negated: bool) -> SqlResult<Expr> {
        if let (Some(lefts), Some(rights)) = (row_fields(left), row_fields(right)) {
            if lefts.len() != rights.len() {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "unequal number of entries in row expressions"));
            }
            if lefts.is_empty() {
                return Ok(Expr::literal(Value::Bool(negated), SqlType::Bool));
            }
            let field = |(left, right): (&ast::Expr, &ast::Expr)| self.distinct(left, right, negated);
            let fields = lefts.iter().zip(rights.iter()).map(field).collect::<SqlResult<_>>()?;
            return Ok(if negated { all_of(fields) } else { any_of(fields) });
        }
        let (first, second) = (self.node(left)?, self.node(right)?);
        Ok(Expr::Distinct { equal: self.equality(first, second, left)?, negated })
    }

    fn between(&mut self, expr: &ast::Expr, negated: bool, low: &ast::Expr, high: &ast::Expr) -> SqlResult<Expr> {
        let (from, to) = if negated { ("<", ">") } else { (">=", "<=") };
        let operands = vec![self.node(expr)?, self.node(low)?];
        let from = self.apply_operator(from, operands, expr)?;
        let operands = vec![self.node(expr)?, self.node(high)?];
        let to = self.apply_operator(to, operands, expr)?;
        Ok(if negated { Expr::Or(vec![from, to]) } else { Expr::And(vec![from, to]) })
    }

    /// `IN (...)` is `= ANY` an array if all have a common type, else equality with one of them.
    fn in_list(&mut self, expr: &ast::Expr, list: &[ast::Expr], negated: bool) -> SqlResult<Expr> {
        let symbol = if negated { "<>" } else { "=" };
        if row_fields(expr).is_some() || list.len() == 1 {
            return self.in_each(symbol, expr, list, negated);
        }
        let left = self.node(expr)?;
        let items = list.iter().map(|item| self.node(item)).collect::<SqlResult<Vec<_>>>()?;
        let types = std::iter::once(left.ty()).chain(items.iter().map(Node::ty));
        match common_type(types, "IN") {
            Ok(common) if !matches!(common, SqlType::Array(_)) => {
                let element = if *left.ty() == SqlType::Unknown { common } else { self.element_for(&left, common) };
                let array = self.array_expr(items, element)?;
                self.quantify(symbol, negated, left, array, expr)
            }
            _ => self.in_each(symbol, expr, list, negated),
        }
    }

    /// The element type for comparing with a column: its own type if the constants can be of it, so that the column
    /// needs no conversion.
    fn element_for(&self, left: &Node, common: SqlType) -> SqlType {
        match (left.ty(), &common) {
            (SqlType::Varchar(_), _) => SqlType::Text,
            _ => common,
        }
    }

    fn in_each(&mut self, symbol: &str, expr: &ast::Expr, list: &[ast::Expr], negated: bool) -> SqlResult<Expr> {
        let each = |item: &ast::Expr| match (row_fields(expr), row_fields(item)) {
            (Some(left), Some(right)) => self.compare_rows(symbol, &left, &right),
            _ => {
                let operands = vec![self.node(expr)?, self.node(item)?];
                self.apply_operator(symbol, operands, expr)
            }
        };
        let parts = list.iter().map(each).collect::<SqlResult<_>>()?;
        Ok(if negated { all_of(parts) } else { any_of(parts) })
    }

    fn quantified(&mut self, left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr, all: bool) -> SqlResult<Expr> {
        let at = left;
        if let ast::Expr::Subquery(_) = without_parens(right) {
            return Err(self.node(right).err().unwrap_or_else(|| SqlError::unsupported("this subquery")));
        }
        let (left, right) = (self.node(left)?, self.node(right)?);
        if right.ty().element().is_none() && *right.ty() != SqlType::Unknown {
            let message = "op ANY/ALL (array) requires array on right side";
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(self.at_operator(at)));
        }
        self.quantify(&symbol(op), all, left, right, at)
    }

    fn quantify(&mut self, symbol: &str, all: bool, left: Node, array: Node, at: &ast::Expr) -> SqlResult<Expr> {
        let element = array.ty().element().cloned().unwrap_or(SqlType::Unknown);
        let types = [left.ty().clone(), element];
        let resolved = resolve::operator(symbol, &types).map_err(|error| error.at(self.at_operator(at)))?;
        if resolved.returns != SqlType::Bool {
            let message = "op ANY/ALL (array) requires operator to yield boolean";
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(self.at_operator(at)));
        }
        let [first, second] = resolved.params.as_slice() else {
            return Err(SqlError::unsupported(format_args!("ANY or ALL with operator {symbol}")));
        };
        let left = self.convert(left, first, CastContext::Implicit)?;
        let array = self.convert(array, &SqlType::Array(Box::new(second.clone())), CastContext::Implicit)?;
        Ok(Expr::Quantified { operator: resolved.function, all, left: Box::new(left), array: Box::new(array) })
    }

    fn like(
        &mut self,
        symbol: &str,
        any: bool,
        expr: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ValueWithSpan>,
    ) -> SqlResult<Expr> {
        if let Some(patterns) = all_argument(pattern) {
            let (left, right) = (self.node(expr)?, self.node(patterns)?);
            return self.quantify(symbol, true, left, right, expr);
        }
        let (left, mut right) = (self.node(expr)?, self.node(pattern)?);
        if any {
            return self.quantify(symbol, false, left, right, expr);
        }
        if let Some(escape) = escape {
            let escape = Node { expr: self.literal(escape)?, span: escape.span };
            let span = right.span;
            right = Node { expr: self.apply("like_escape", vec![right, escape], span)?, span };
        }
        self.apply_operator(symbol, vec![left, right], expr)
    }

    fn similar(
        &mut self,
        symbol: &str,
        expr: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ValueWithSpan>,
    ) -> SqlResult<Expr> {
        let (left, right) = (self.node(expr)?, self.node(pattern)?);
        let span = right.span;
        let mut args = vec![right];
        if let Some(escape) = escape {
            args.push(Node { expr: self.literal(escape)?, span: escape.span });
        }
        let regex = Node { expr: self.apply("similar_to_escape", args, span)?, span };
        self.apply_operator(symbol, vec![left, regex], expr)
    }
}

/// The array of `LIKE ALL (array)`, which the parser takes for a call of a function.
fn all_argument(pattern: &ast::Expr) -> Option<&ast::Expr> {
    let ast::Expr::Function(ast::Function { name, args: ast::FunctionArguments::List(list), .. }) = pattern else {
        return None;
    };
    match (name.0.as_slice(), list.args.as_slice()) {
        ([name], [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(array))]) => {
            name.as_ident().filter(|name| name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all"))?;
            Some(array)
        }
        _ => None,
    }
}
