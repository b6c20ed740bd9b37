//! From the parser's tree to the typed one.

mod arrays;
mod calls;
mod conditions;
mod literals;
mod operators;
mod rows;
mod special;

use annulus_relation::value::{CastContext, Env};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use sqlparser::ast::{self, Spanned};
use sqlparser::tokenizer::Span;

use super::category::{common_type, type_name};
use super::coerce::{cannot_cast, coerce, fold_cast};
use super::context::EvalContext;
use super::datatype::{sql_type, stored_enumeration};
use super::expr::{Call, Expr};
use super::params::ParamTypes;
use super::position::{operator_position, position};
use super::registry::Volatility;
use super::resolve::Resolved;
use super::rows::refused;
use super::scope::Scope;

/// How deep expressions may nest (chains of `AND` and `OR` count once): evaluation recurses.
const MAX_DEPTH: usize = 400;

/// How much stack there must be for one more level, and how much is added if there is less.
const STACK_RESERVE: usize = 128 << 10;
const STACK_SEGMENT: usize = 1 << 20;

/// What stands in an expression for a part that is not scalar (an aggregate, a subquery): see [`Binder::hook`].
pub type Hook<'a> = &'a mut dyn FnMut(&ast::Expr) -> SqlResult<Option<Expr>>;

/// Binds expressions: finds what their names mean, and the types of everything.
pub struct Binder<'a> {
    scope: &'a Scope,
    params: &'a mut ParamTypes,
    env: &'a Env,
    text: Option<&'a str>,
    clause: &'a str,
    hook: Option<Hook<'a>>,
    as_written: bool,
    depth: usize,
}

/// A bound part, and where it stood.
struct Node {
    expr: Expr,
    span: Span,
}

impl Node {
    fn ty(&self) -> &SqlType {
        self.expr.ty()
    }
}

impl<'a> Binder<'a> {
    /// A binder for expressions over a scope. The types of parameters that were open are noted in `params`; literals
    /// are read in `env`.
    pub fn new(scope: &'a Scope, params: &'a mut ParamTypes, env: &'a Env) -> Self {
        Self { scope, params, env, text: None, clause: "this expression", hook: None, as_written: false, depth: 0 }
    }

    /// What can be named.
    #[must_use]
    pub const fn scope(&self) -> &'a Scope {
        self.scope
    }

    /// With the statement's text, from which the tree was parsed: errors then say where.
    #[must_use]
    pub fn text(mut self, text: &'a str) -> Self {
        self.text = Some(text);
        self
    }

    /// With the clause's name for errors (`WHERE`, `CHECK constraints`).
    #[must_use]
    pub fn clause(mut self, clause: &'a str) -> Self {
        self.clause = clause;
        self
    }

    /// With constant parts left as they are written, and not computed now: for a text that is shown to people.
    #[must_use]
    pub const fn as_written(mut self) -> Self {
        self.as_written = true;
        self
    }

    /// With a function that is shown each part of the tree first: what it gives stands for that part.
    #[must_use]
    pub fn hook(mut self, hook: Hook<'a>) -> Self {
        self.hook = Some(hook);
        self
    }

    /// The expression bound; a literal or parameter that nothing decides becomes text.
    pub fn bind(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        let node = self.node(expr)?;
        if *node.ty() == SqlType::Unknown {
            return self.convert(node, &SqlType::Text, CastContext::Implicit);
        }
        if node.ty().has_rows() {
            return Err(refused().at(self.at(node.span)));
        }
        Ok(node.expr)
    }

    /// The expression bound, its type left `Unknown` if nothing decides it: for those who look at several
    /// ([`common_type`]) and then [`Binder::coerce`].
    pub fn bind_open(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        Ok(self.node(expr)?.expr)
    }

    /// A bound expression converted to a type; `42846` if there is no such conversion in the context.
    pub fn coerce(&mut self, expr: Expr, to: &SqlType, context: CastContext) -> SqlResult<Expr> {
        self.convert(Node { expr, span: Span::empty() }, to, context)
    }

    /// The expression bound and converted to a type.
    pub fn bind_as(&mut self, expr: &ast::Expr, to: &SqlType, context: CastContext) -> SqlResult<Expr> {
        let node = self.node(expr)?;
        self.convert(node, to, context)
    }

    /// The expression bound and converted to the type of the column that it is assigned to.
    pub fn bind_assigned(&mut self, expr: &ast::Expr, column: &str, to: &SqlType) -> SqlResult<Expr> {
        let node = self.node(expr)?;
        self.assign(node, column, to)
    }

    /// A bound expression converted to the type of the column that it is assigned to.
    pub fn coerce_assigned(&mut self, expr: Expr, column: &str, to: &SqlType) -> SqlResult<Expr> {
        self.assign(Node { expr, span: Span::empty() }, column, to)
    }

    /// The expression bound as a condition: a boolean.
    pub fn bind_condition(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        let clause = self.clause;
        let node = self.node(expr)?;
        self.boolean(node, clause)
    }

    fn assign(&mut self, node: Node, column: &str, to: &SqlType) -> SqlResult<Expr> {
        let (from, at) = (node.ty().clone(), self.at(node.span));
        self.try_convert(node, to, CastContext::Assignment)?.ok_or_else(|| {
            let message = format!(
                "column \"{column}\" is of type {} but expression is of type {}",
                type_name(to),
                type_name(&from)
            );
            let hint = "You will need to rewrite or cast the expression.";
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).hint(hint).at(at)
        })
    }

    /// A part bound.
    fn node(&mut self, expr: &ast::Expr) -> SqlResult<Node> {
        if self.depth == MAX_DEPTH {
            let error = SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
            return Err(error.hint(format!("Expressions may nest {MAX_DEPTH} deep.")));
        }
        if let Some(hook) = &mut self.hook
            && let Some(found) = hook(expr)?
        {
            return Ok(Node { expr: found, span: Span::empty() });
        }
        self.depth += 1;
        let bound = stacker::maybe_grow(STACK_RESERVE, STACK_SEGMENT, || self.dispatch(expr));
        self.depth -= 1;
        Ok(Node { expr: bound?, span: start_of(expr) })
    }

    fn dispatch(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        use ast::Expr as E;
        match expr {
            E::Nested(inner) => Ok(self.node(inner)?.expr),
            E::Identifier(name) => self.name(std::slice::from_ref(name)),
            E::CompoundIdentifier(parts) => self.name(parts),
            E::Value(value) => self.literal(value),
            E::TypedString(typed) => self.typed_literal(typed),
            E::Interval(interval) => self.interval(interval),
            E::Cast { .. } => self.cast(expr),
            E::UnaryOp { op, expr: arg } => self.unary(*op, arg),
            E::BinaryOp { .. } => self.binary(expr),
            E::Function(function) => self.call(function),
            E::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            E::Array(array) => self.array(&array.elem),
            E::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            E::Collate { expr, collation } => self.collate(expr, collation),
            E::Extract { .. }
            | E::Ceil { .. }
            | E::Floor { .. }
            | E::Position { .. }
            | E::Substring { .. }
            | E::Trim { .. }
            | E::Overlay { .. }
            | E::AtTimeZone { .. } => self.special(expr),
            E::Subquery(_) | E::Exists { .. } | E::InSubquery { .. } => {
                let message = format!("cannot use subquery in {}", self.clause);
                Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
            }
            E::Tuple(fields) => {
                let fields = fields.iter().map(|field| self.node(field)).collect::<SqlResult<_>>()?;
                self.row(fields)
            }
            E::QualifiedWildcard(name, _) => self.whole_row(name),
            other => self.condition(other),
        }
    }

    fn name(&mut self, parts: &[ast::Ident]) -> SqlResult<Expr> {
        let names: Vec<String> = parts.iter().map(folded).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match self.scope.find(&names) {
            Ok(column) => Ok(Expr::column(column.index, column.ty.clone())),
            Err(error) => match (parts, names.as_slice()) {
                ([part], [name]) if part.quote_style.is_none() && calls::is_bare_call(name) => {
                    self.apply_named(name, Vec::new(), part.span)
                }
                (_, names @ [_]) if let Some(row) = self.row_of(names) => Ok(row),
                (parts, _) => Err(error.at(parts.first().and_then(|part| self.at(part.span)))),
            },
        }
    }

    fn cast(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        let ast::Expr::Cast { kind, expr, data_type, array: false, format: None } = expr else {
            return Err(SqlError::unsupported(expr));
        };
        if !matches!(kind, ast::CastKind::Cast | ast::CastKind::DoubleColon) {
            return Err(SqlError::unsupported("TRY_CAST"));
        }
        if let Some(to) = stored_enumeration(data_type, &self.env.types)
            && let Some(value) = self.numbered_value(expr, &to)?
        {
            return Ok(value);
        }
        let to = sql_type(data_type, &self.env.types)?;
        if let (ast::Expr::Array(array), SqlType::Array(element)) = (without_parens(expr), &to) {
            return self.array_of(&array.elem, element);
        }
        let node = self.node(expr)?;
        self.convert(node, &to, CastContext::Explicit)
    }

    /// A value of an enumeration, or an array of them, as stored expressions have it: a literal of their numbers.
    fn numbered_value(&self, expr: &ast::Expr, to: &SqlType) -> SqlResult<Option<Expr>> {
        let ast::Expr::Value(literal) = without_parens(expr) else { return Ok(None) };
        let Some(text) = literal.value.clone().into_string() else { return Ok(None) };
        let value = annulus_relation::value::parse(&text, &to.unlabelled(), self.env)?;
        Ok(Some(Expr::literal(value, to.clone())))
    }

    fn collate(&mut self, expr: &ast::Expr, collation: &ast::ObjectName) -> SqlResult<Expr> {
        let name = collation.0.last().and_then(|part| part.as_ident()).map(folded).unwrap_or_default();
        if !crate::names::is_collation(&name) {
            let message = format!("collation \"{name}\" for encoding \"UTF8\" does not exist");
            let hint = "Text is ordered by its characters' codes: collation \"C\".";
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).hint(hint));
        }
        Ok(self.node(expr)?.expr)
    }

    /// The part converted to a type, or an error.
    fn convert(&mut self, node: Node, to: &SqlType, context: CastContext) -> SqlResult<Expr> {
        let (from, at) = (node.ty().clone(), self.at(node.span));
        self.try_convert(node, to, context)?.ok_or_else(|| cannot_cast(&from, to).at(at))
    }

    fn try_convert(&mut self, node: Node, to: &SqlType, context: CastContext) -> SqlResult<Option<Expr>> {
        let at = self.at(node.span);
        let converted = coerce(node.expr, to, context, self.params, self.env).map_err(|error| error.at(at))?;
        Ok(converted.map(|expr| if self.as_written { expr } else { fold_cast(expr, self.env) }))
    }

    /// The part as a boolean, for a construct of that name.
    fn boolean(&mut self, node: Node, construct: &str) -> SqlResult<Expr> {
        let (from, at) = (node.ty().clone(), self.at(node.span));
        self.try_convert(node, &SqlType::Bool, CastContext::Assignment)?.filter(|_| boolean_like(&from)).ok_or_else(
            || {
                let message = format!("argument of {construct} must be type boolean, not type {}", type_name(&from));
                SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(at)
            },
        )
    }

    /// All parts converted to their common type.
    fn unify(&mut self, nodes: Vec<Node>, construct: &str) -> SqlResult<(Vec<Expr>, SqlType)> {
        let common = common_type(nodes.iter().map(Node::ty), construct).map_err(|error| {
            let odd = nodes.iter().find(|node| common_type([nodes[0].ty(), node.ty()], "").is_err());
            error.at(odd.and_then(|node| self.at(node.span)))
        })?;
        let exprs = nodes.into_iter().map(|node| self.convert_within(node, &common, construct));
        Ok((exprs.collect::<SqlResult<_>>()?, common))
    }

    fn convert_within(&mut self, node: Node, to: &SqlType, construct: &str) -> SqlResult<Expr> {
        let (from, at) = (node.ty().clone(), self.at(node.span));
        self.try_convert(node, to, CastContext::Implicit)?.ok_or_else(|| {
            let construct = if construct == "CASE" { "CASE/WHEN" } else { construct };
            let message = format!("{construct} could not convert type {} to {}", type_name(&from), type_name(to));
            SqlError::new(SqlState::CANNOT_COERCE, message).at(at)
        })
    }

    /// The call of a function that was chosen for these arguments.
    fn build(&mut self, resolved: Resolved, args: Vec<Node>) -> SqlResult<Expr> {
        let args = args.into_iter().zip(&resolved.params);
        let args = args.map(|(node, ty)| self.convert(node, ty, CastContext::Implicit)).collect::<SqlResult<_>>()?;
        let call = Call { function: resolved.function, args, ty: resolved.returns };
        Ok(self.fold(call))
    }

    /// An immutable call of constants is made now, unless it fails: then it fails when it is reached.
    fn fold(&self, call: Call) -> Expr {
        let is_kept = self.as_written || call.function.volatility != Volatility::Immutable;
        if is_kept || call.args.iter().any(|arg| arg.as_const().is_none()) {
            return Expr::Call(Box::new(call));
        }
        let ty = call.ty.clone();
        let call = Expr::Call(Box::new(call));
        match call.eval(&[], &[], &EvalContext::constant(self.env)) {
            Ok(value) => Expr::literal(value, ty),
            Err(_) => call,
        }
    }

    /// Where in the text a span begins.
    fn at(&self, span: Span) -> Option<u32> {
        self.text.and_then(|text| position(text, span.start))
    }

    /// Where in the text the operator behind an operand stands.
    fn at_operator(&self, left: &ast::Expr) -> Option<u32> {
        self.text.and_then(|text| operator_position(text, left.span()))
    }
}

/// What may stand for a boolean: booleans and undecided literals.
const fn boolean_like(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Bool | SqlType::Unknown)
}

/// Where a part begins: PostgreSQL points at its leftmost token.
fn start_of(mut expr: &ast::Expr) -> Span {
    use ast::Expr as E;
    loop {
        expr = match expr {
            E::BinaryOp { left, .. } | E::AnyOp { left, .. } | E::AllOp { left, .. } => left,
            E::Nested(inner) | E::IsNull(inner) | E::IsNotNull(inner) | E::IsTrue(inner) | E::IsNotTrue(inner) => inner,
            E::IsFalse(inner) | E::IsNotFalse(inner) | E::IsUnknown(inner) | E::IsNotUnknown(inner) => inner,
            E::IsDistinctFrom(left, _) | E::IsNotDistinctFrom(left, _) => left,
            E::Cast { expr, .. } | E::InList { expr, .. } | E::Between { expr, .. } | E::Like { expr, .. } => expr,
            E::CompoundFieldAccess { root, .. } => root,
            other => return other.span(),
        }
    }
}

/// An identifier's name: in lower case unless quoted.
pub(super) fn folded(ident: &ast::Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

fn without_parens(expr: &ast::Expr) -> &ast::Expr {
    match expr {
        ast::Expr::Nested(inner) => without_parens(inner),
        other => other,
    }
}
