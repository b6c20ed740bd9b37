//! `ARRAY[...]`, subscripts and slices.

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use sqlparser::ast::{self, AccessExpr, Subscript};

use super::super::category::type_name;
use super::super::expr::Expr;
use super::{Binder, Node};

impl Binder<'_> {
    pub(super) fn array(&mut self, elements: &[ast::Expr]) -> SqlResult<Expr> {
        if elements.is_empty() {
            return Err(SqlError::new(SqlState::INDETERMINATE_DATATYPE, "cannot determine type of empty array")
                .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."));
        }
        let nodes = self.elements(elements)?;
        let (elements, element) = self.unify(nodes, "ARRAY")?;
        Ok(self.array_value(elements, element))
    }

    /// `ARRAY[...]::type[]`: each element is converted.
    pub(super) fn array_of(&mut self, elements: &[ast::Expr], element: &SqlType) -> SqlResult<Expr> {
        let nodes = self.elements(elements)?;
        let elements = nodes.into_iter().map(|node| self.convert(node, element, CastContext::Explicit));
        let elements = elements.collect::<SqlResult<_>>()?;
        Ok(self.array_value(elements, element.clone()))
    }

    fn elements(&mut self, elements: &[ast::Expr]) -> SqlResult<Vec<Node>> {
        let nodes = elements.iter().map(|element| self.node(element)).collect::<SqlResult<Vec<_>>>()?;
        if nodes.iter().any(|node| matches!(node.ty(), SqlType::Array(_))) {
            return Err(SqlError::unsupported("an array of more than one dimension"));
        }
        Ok(nodes)
    }

    /// An array of parts converted to an element type.
    pub(super) fn array_expr(&mut self, nodes: Vec<Node>, element: SqlType) -> SqlResult<Node> {
        let span = nodes.first().map_or_else(sqlparser::tokenizer::Span::empty, |node| node.span);
        let elements = nodes.into_iter().map(|node| self.convert(node, &element, CastContext::Implicit));
        let elements = elements.collect::<SqlResult<_>>()?;
        Ok(Node { expr: self.array_value(elements, element), span })
    }

    fn array_value(&self, elements: Vec<Expr>, element: SqlType) -> Expr {
        let ty = SqlType::Array(Box::new(element));
        match elements.iter().map(|element| element.as_const().cloned()).collect::<Option<Vec<Value>>>() {
            Some(values) => Expr::literal(Value::Array(values.into()), ty),
            None => Expr::Array { elements, ty },
        }
    }

    pub(super) fn access(&mut self, root: &ast::Expr, chain: &[AccessExpr]) -> SqlResult<Expr> {
        let (name, chain) = name_before(root, chain);
        let Node { mut expr, span } = self.node(name.as_ref().unwrap_or(root))?;
        for access in chain {
            let AccessExpr::Subscript(subscript) = access else {
                return Err(SqlError::unsupported("a field of a row"));
            };
            expr = match (subscript, expr.ty().clone()) {
                (subscript, SqlType::Array(element)) => self.subscript(expr, *element, subscript, false)?,
                (subscript, ty) if ty.is_vector() => {
                    let element = ty.element().cloned().unwrap_or(SqlType::Unknown);
                    let array = element.clone().array();
                    let array = self.convert(Node { expr, span }, &array, CastContext::Implicit)?;
                    self.subscript(array, element, subscript, true)?
                }
                (Subscript::Index { index }, SqlType::Name) => self.letter(Node { expr, span }, index)?,
                (Subscript::Index { index }, SqlType::Jsonb) => {
                    let key = self.node(index)?;
                    let key = self.convert(key, &SqlType::Text, CastContext::Assignment)?;
                    let path = Node { expr: self.array_value(vec![key], SqlType::Text), span };
                    self.apply("jsonb_extract_path_array", vec![Node { expr, span }, path], span)?
                }
                (_, other) => {
                    let message =
                        format!("cannot subscript type {} because it does not support subscripting", type_name(&other));
                    return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(self.at(span)));
                }
            };
        }
        Ok(expr)
    }

    /// An element or a part of an array, whose first element has the number 1, or 0.
    fn subscript(&mut self, array: Expr, element: SqlType, subscript: &Subscript, from_zero: bool) -> SqlResult<Expr> {
        let array = Box::new(array);
        match subscript {
            Subscript::Index { index } => {
                let index = Box::new(self.index(index, from_zero)?);
                Ok(Expr::Element { array, index, ty: element })
            }
            Subscript::Slice { lower_bound, upper_bound, stride: None } => {
                let mut bound = |bound: &Option<ast::Expr>| {
                    bound.as_ref().map(|bound| self.index(bound, from_zero).map(Box::new)).transpose()
                };
                let (low, high) = (bound(lower_bound)?, bound(upper_bound)?);
                Ok(Expr::Slice { array, low, high })
            }
            Subscript::Slice { .. } => Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at or near \":\"")),
        }
    }

    /// The letter of a `name`, as the system's tools ask for it: the first one has the number 0.
    fn letter(&mut self, name: Node, index: &ast::Expr) -> SqlResult<Expr> {
        let span = name.span;
        let index = Node { expr: self.index(index, true)?, span };
        let one = Node { expr: Expr::literal(Value::Int4(1), SqlType::Int4), span };
        let letter = self.apply("substr", vec![name, index, one], span)?;
        self.convert(Node { expr: letter, span }, &SqlType::InternalChar, CastContext::Explicit)
    }

    /// The number of an element, counted from 1; it is written counted from 0 where arrays begin so.
    fn index(&mut self, index: &ast::Expr, from_zero: bool) -> SqlResult<Expr> {
        let node = self.node(index)?;
        let span = node.span;
        let at = self.at(span);
        let number = self.try_convert(node, &SqlType::Int4, CastContext::Assignment)?.ok_or_else(|| {
            SqlError::new(SqlState::DATATYPE_MISMATCH, "array subscript must have type integer").at(at)
        })?;
        if !from_zero {
            return Ok(number);
        }
        let one = Node { expr: Expr::literal(Value::Int4(1), SqlType::Int4), span };
        self.apply("+", vec![Node { expr: number, span }, one], span)
    }
}

/// The qualified name that stands before the subscripts of `table.column[1]`, if one does: the parser takes its parts
/// for fields.
fn name_before<'c>(root: &ast::Expr, chain: &'c [AccessExpr]) -> (Option<ast::Expr>, &'c [AccessExpr]) {
    let mut parts = match root {
        ast::Expr::Identifier(name) => vec![name.clone()],
        ast::Expr::CompoundIdentifier(names) => names.clone(),
        _ => return (None, chain),
    };
    let mut rest = chain;
    while let [AccessExpr::Dot(ast::Expr::Identifier(name)), after @ ..] = rest {
        parts.push(name.clone());
        rest = after;
    }
    match rest.len() == chain.len() {
        true => (None, chain),
        false => (Some(ast::Expr::CompoundIdentifier(parts)), rest),
    }
}
