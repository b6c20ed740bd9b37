//! `ARRAY[...]`, subscripts and slices.

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use sqlparser::ast::{self, AccessExpr, Subscript};
use sqlparser::tokenizer::Span;

use super::super::category::type_name;
use super::super::expr::Expr;
use super::{Binder, Node};
use crate::names::position_of;
use crate::parse::ASSIGNED_ELEMENT;

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
            Some(values) if !self.as_written => Expr::literal(Value::Array(values.into()), ty),
            _ => Expr::Array { elements, ty },
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

    /// `SET column[subscript] = value`, which is spelled as a call: of the column, the value and the subscripts.
    pub(super) fn assigned_element(&mut self, args: &[ast::FunctionArg], span: Span) -> SqlResult<Expr> {
        let name = assigned_column(args);
        let mut nodes = args.iter().map(|arg| self.argument(ASSIGNED_ELEMENT, arg)).collect::<SqlResult<Vec<_>>>()?;
        if nodes.len() < 3 {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "an assignment without a subscript"));
        }
        let subscripts = nodes.split_off(2);
        let [column, value] = <[Node; 2]>::try_from(nodes).map_err(|_| SqlError::unsupported(ASSIGNED_ELEMENT))?;
        match column.ty().clone() {
            SqlType::Array(element) => {
                let [index] = <[Node; 1]>::try_from(subscripts)
                    .map_err(|_| SqlError::unsupported("an array of more than one dimension"))?;
                let value = self.assigned_value(value, &element, name)?;
                let index = Node { expr: self.subscript_number(index)?, span };
                self.apply(ASSIGNED_ELEMENT, vec![column, value, index], span)
            }
            SqlType::Jsonb => {
                let value = self.assigned_value(value, &SqlType::Jsonb, name)?;
                let is_integer = |ty: &SqlType| matches!(ty, SqlType::Int2 | SqlType::Int4 | SqlType::Int8);
                let makes_array = subscripts.first().is_some_and(|first| is_integer(first.ty()));
                let key = |node| self.convert(node, &SqlType::Text, CastContext::Assignment);
                let path = subscripts.into_iter().map(key).collect::<SqlResult<_>>()?;
                let path = Node { expr: self.array_value(path, SqlType::Text), span };
                let makes_array = Node { expr: Expr::literal(Value::Bool(makes_array), SqlType::Bool), span };
                self.apply(ASSIGNED_ELEMENT, vec![column, value, path, makes_array], span)
            }
            other => {
                let message =
                    format!("cannot subscript type {} because it does not support subscripting", type_name(&other));
                Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(name.and_then(position_of)))
            }
        }
    }

    fn assigned_value(&mut self, value: Node, to: &SqlType, name: Option<&ast::Ident>) -> SqlResult<Node> {
        let (span, from) = (value.span, type_name(value.ty()));
        let at = name.and_then(position_of);
        let converted = self.try_convert(value, to, CastContext::Assignment)?.ok_or_else(|| {
            let (to, name) = (type_name(to), name.map_or("", |name| name.value.as_str()));
            let message =
                format!("subscripted assignment to \"{name}\" requires type {to} but expression is of type {from}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .hint("You will need to rewrite or cast the expression.")
                .at(at)
        })?;
        Ok(Node { expr: converted, span })
    }

    /// The letter of a `name`, as the system's tools ask for it: the first one has the number 0.
    fn letter(&mut self, name: Node, index: &ast::Expr) -> SqlResult<Expr> {
        let span = name.span;
        let index = Node { expr: self.index(index, true)?, span };
        let one = Node { expr: Expr::literal(Value::Int4(1), SqlType::Int4), span };
        let letter = self.apply("substr", vec![name, index, one], span)?;
        self.convert(Node { expr: letter, span }, &SqlType::InternalChar, CastContext::Explicit)
    }

    fn subscript_number(&mut self, subscript: Node) -> SqlResult<Expr> {
        let at = self.at(subscript.span);
        self.try_convert(subscript, &SqlType::Int4, CastContext::Assignment)?
            .ok_or_else(|| SqlError::new(SqlState::DATATYPE_MISMATCH, "array subscript must have type integer").at(at))
    }

    /// The number of an element, counted from 1; it is written counted from 0 where arrays begin so.
    fn index(&mut self, index: &ast::Expr, from_zero: bool) -> SqlResult<Expr> {
        let node = self.node(index)?;
        let span = node.span;
        let number = self.subscript_number(node)?;
        if !from_zero {
            return Ok(number);
        }
        let one = Node { expr: Expr::literal(Value::Int4(1), SqlType::Int4), span };
        self.apply("+", vec![Node { expr: number, span }, one], span)
    }
}

/// The column whose element is assigned to.
fn assigned_column(args: &[ast::FunctionArg]) -> Option<&ast::Ident> {
    let ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(column)) = args.first()? else { return None };
    match column {
        ast::Expr::Identifier(name) => Some(name),
        ast::Expr::CompoundIdentifier(parts) => parts.last(),
        // Another element of it is assigned to, too.
        ast::Expr::Function(ast::Function { args: ast::FunctionArguments::List(list), .. }) => {
            assigned_column(&list.args)
        }
        _ => None,
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
