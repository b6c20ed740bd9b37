//! Window functions.

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use datafusion::common::{Column, ScalarValue};
use datafusion::functions_window::{cume_dist, lead_lag, nth_value, ntile, rank, row_number};
use datafusion::logical_expr::expr::{Sort, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    Expr, LogicalPlanBuilder, WindowFrameBound, WindowFunctionDefinition, WindowUDF, cast, lit, when,
};
use sqlparser::ast;
use std::collections::HashSet;
use std::sync::Arc;

use super::aggregates::{arguments, function_name};
use super::expressions::{Parts, Site, Wish, bound};
use super::subquery::find_parts;
use super::{Rel, Translator, built, folded};
use crate::bind;

use crate::parse::EXCLUDED;
use crate::query::arrow::data_type;
use crate::query::scalar::key;
use crate::query::window::{Exclusion, Framed, Taken, Way, Whole};

/// Whether an expression is the call of a window function.
pub(super) fn is_window(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Function(function) if function.over.is_some())
}

/// A window, with the named ones it is made from worked in.
struct Window {
    partition: Vec<ast::Expr>,
    order: Vec<ast::OrderByExpr>,
    frame: Option<ast::WindowFrame>,
    exclusion: Exclusion,
}

/// The call of a function that exists for windows only.
struct Plain<'a> {
    name: &'a str,
    exclusion: Exclusion,
    function: &'a ast::Function,
}

/// A function over a window: the function, its arguments, and the type of the result.
struct Applied {
    fun: WindowFunctionDefinition,
    args: Vec<Expr>,
    filter: Option<Expr>,
    ty: SqlType,
    nullable: bool,
}

impl Translator<'_> {
    /// Gives the window functions in expressions columns.
    pub(super) fn windows(
        &mut self,
        rel: &mut Rel,
        select: &ast::Select,
        exprs: &[&ast::Expr],
        parts: &mut Parts,
        before: Option<&Rel>,
    ) -> SqlResult<()> {
        self.check_window_names(&select.named_window)?;
        let calls: Vec<ast::Expr> = exprs.iter().flat_map(|expr| find_parts(expr, &is_window)).collect();
        for call in calls {
            if parts.iter().any(|(known, _)| *known == call) {
                continue;
            }
            let ast::Expr::Function(function) = &call else { continue };
            let Some(over) = &function.over else { continue };
            let window = named_window(over, &select.named_window)?;
            let number = self.window(rel, function, &window, parts, before)?;
            parts.push((call.clone(), bound(rel, number)));
        }
        Ok(())
    }

    /// `42P20` for two windows of one name.
    fn check_window_names(&self, named: &[ast::NamedWindowDefinition]) -> SqlResult<()> {
        let mut known = HashSet::new();
        for definition in named {
            let name = folded(&definition.0);
            if !known.insert(name.clone()) {
                let message = format!("window \"{name}\" is already defined");
                let start = definition.0.span.start;
                let at = self.text.and_then(|text| bind::position(text, start));
                return Err(SqlError::new(SqlState::WINDOWING_ERROR, message).at(at));
            }
        }
        Ok(())
    }

    fn window(
        &mut self,
        rel: &mut Rel,
        function: &ast::Function,
        window: &Window,
        parts: &Parts,
        before: Option<&Rel>,
    ) -> SqlResult<usize> {
        let bind = |translator: &mut Self, rel: &Rel, expr: &ast::Expr, clause| {
            translator.bind(Site { rel, parts, before, clause }, expr, Wish::Any)
        };
        let mut partition_by = Vec::new();
        for expr in &window.partition {
            let value = bind(self, rel, expr, "PARTITION BY")?;
            partition_by.push(key(self.lower(rel, &value)?, value.ty())?);
        }
        for (_, number) in &rel.outer {
            let column = &rel.columns[*number];
            partition_by.push(key(column.expr(), &column.ty)?);
        }
        let mut order_by: Vec<Sort> = Vec::new();
        let mut order_types = Vec::new();
        for item in &window.order {
            let value = bind(self, rel, &item.expr, "ORDER BY")?;
            let descending = item.options.asc == Some(false);
            let nulls_first = item.options.nulls_first.unwrap_or(descending);
            order_by.push(key(self.lower(rel, &value)?, value.ty())?.sort(!descending, nulls_first));
            order_types.push(value.ty().clone());
        }
        let frame = self.frame(window.frame.as_ref(), &order_types)?;
        if function.null_treatment == Some(ast::NullTreatment::IgnoreNulls) {
            return Err(SqlError::unsupported("IGNORE NULLS"));
        }
        let mut args = Vec::new();
        for arg in arguments(function)?.into_iter().flatten() {
            args.push(self.bind(Site { rel, parts, before, clause: "a window function" }, &arg, Wish::Open)?);
        }
        let over = |applied: Applied| WindowFunction {
            fun: applied.fun,
            params: WindowFunctionParams {
                args: applied.args,
                partition_by: partition_by.clone(),
                order_by: order_by.clone(),
                window_frame: frame.clone(),
                filter: applied.filter.map(Box::new),
                null_treatment: None,
                distinct: false,
            },
        };
        let name = function_name(function).unwrap_or_default();
        if bind::aggregate_names().contains(&name.as_str()) {
            let sliding = !matches!(&frame.start_bound, WindowFrameBound::Preceding(value) if value.is_null());
            let sliding = sliding && window.exclusion == Exclusion::NoOthers;
            let applied = self.windowed_aggregate(rel, function, sliding, parts, before)?;
            let applied = excluding(applied, window.exclusion)?;
            let (ty, nullable) = (applied.ty.clone(), applied.nullable);
            return self.add_window(rel, over(applied), ty, nullable);
        }
        let call = Plain { name: &name, exclusion: window.exclusion, function };
        let is_shift = matches!(name.as_str(), "lag" | "lead");
        if is_shift && args.len() == 3 {
            self.one_type(&mut args, &call)?;
        }
        // The number is looked at with the rows where it is not the same for all of them.
        let default = (is_shift && args.len() == 3 && self.is_constant(rel, &args[1])?).then(|| args.pop()).flatten();
        let shift = args.get(1).cloned();
        let applied = self.plain_window(rel, &call, args)?;
        let (ty, nullable) = (applied.ty.clone(), applied.nullable);
        let number = self.add_window(rel, over(applied), ty.clone(), nullable)?;
        let Some(default) = default else { return Ok(number) };
        // Where there is no such row, a constant looked for in its place is NULL.
        let one = std::iter::once(bind::Expr::literal(Value::Int4(1), SqlType::Int4)).chain(shift).collect();
        let there = self.plain_window(rel, &call, one)?;
        let there = self.add_window(rel, over(there), SqlType::Int4, true)?;
        let default = self.coerce(default, &ty, CastContext::Implicit)?;
        let default = self.lower(rel, &default)?;
        let value = rel.columns[number].expr();
        let whole = built(when(rel.columns[there].expr().is_null(), default).otherwise(value))?;
        Ok(self.extend(rel, vec![(whole, ty, true)])?[0])
    }

    fn add_window(&mut self, rel: &mut Rel, window: WindowFunction, ty: SqlType, nullable: bool) -> SqlResult<usize> {
        let field = self.fresh("window");
        let expr = Expr::from(window).alias(&field);
        rel.plan = built(rel.builder().window([expr]).and_then(LogicalPlanBuilder::build))?;
        // Some functions count in other types than PostgreSQL's.
        let value = cast(Expr::Column(Column::new_unqualified(field)), data_type(&ty));
        Ok(self.extend(rel, vec![(value, ty, nullable)])?[0])
    }

    /// The value that `lag` and `lead` shift, and what stands where there is none, are of one type.
    fn one_type(&mut self, args: &mut [bind::Expr], call: &Plain<'_>) -> SqlResult<()> {
        let types = [args[0].ty(), args[2].ty()];
        let Ok(ty) = bind::common_type(types, "anycompatible") else { return Err(self.no_window(args, call)) };
        for place in [0, 2] {
            args[place] = self.coerce(args[place].clone(), &ty, CastContext::Implicit)?;
        }
        Ok(())
    }

    fn is_constant(&self, rel: &Rel, arg: &bind::Expr) -> SqlResult<bool> {
        Ok(matches!(self.lower(rel, arg)?, Expr::Literal(..)))
    }

    /// `42883` for arguments that no window function has.
    fn no_window(&self, args: &[bind::Expr], call: &Plain<'_>) -> SqlError {
        let types: Vec<String> = args.iter().map(|arg| arg.ty().name()).collect();
        let message = format!("function {}({}) does not exist", call.name, types.join(", "));
        SqlError::new(SqlState::UNDEFINED_FUNCTION, message).at(self.position(call.function))
    }

    /// A function that exists for windows only.
    fn plain_window(&mut self, rel: &Rel, call: &Plain<'_>, mut args: Vec<bind::Expr>) -> SqlResult<Applied> {
        let place = if call.name == "ntile" { 0 } else { 1 };
        let number =
            (matches!(call.name, "ntile" | "lag" | "lead" | "nth_value") && args.len() > place).then_some(place);
        let counts = |arg: &bind::Expr| matches!(arg.ty(), SqlType::Int2 | SqlType::Int4 | SqlType::Unknown);
        if number.is_some_and(|place| !counts(&args[place])) {
            return Err(self.no_window(&args, call));
        }
        let mut lowered = Vec::new();
        for (place, arg) in args.iter_mut().enumerate() {
            let wanted = if number == Some(place) { SqlType::Int4 } else { SqlType::Text };
            if *arg.ty() == SqlType::Unknown {
                *arg = self.coerce(arg.clone(), &wanted, CastContext::Implicit)?;
            }
            let arg = match number == Some(place) {
                true => self.coerce(arg.clone(), &SqlType::Int8, CastContext::Implicit)?,
                false => arg.clone(),
            };
            lowered.push(self.lower(rel, &arg)?);
        }
        // While the query is only described, parameters have no values.
        if let Some(place) = number
            && self.context.params.is_none()
        {
            lowered[place] = lit(1_i64);
        }
        let constant = number.is_none_or(|place| matches!(lowered[place], Expr::Literal(..)));
        check_number(call.name, number.map(|place| &lowered[place]))?;
        let ty = args.first().map_or(SqlType::Text, |arg| arg.ty().base());
        let value = data_type(&ty);
        let framed = |taken, args| Framed::new(taken, args, false, call.exclusion, value.clone());
        let whole = call.exclusion == Exclusion::NoOthers;
        let (udf, ty, nullable): (Arc<WindowUDF>, _, _) = match (call.name, args.len()) {
            ("row_number", 0) => (row_number::row_number_udwf(), SqlType::Int8, false),
            ("rank", 0) => (rank::rank_udwf(), SqlType::Int8, false),
            ("dense_rank", 0) => (rank::dense_rank_udwf(), SqlType::Int8, false),
            ("percent_rank", 0) => (rank::percent_rank_udwf(), SqlType::Float8, false),
            ("cume_dist", 0) => (cume_dist::cume_dist_udwf(), SqlType::Float8, false),
            ("ntile", 1) if constant => (ntile::ntile_udwf(), SqlType::Int4, true),
            ("ntile", 1) => (Whole::new(Way::Ntile, data_type(&SqlType::Int4)), SqlType::Int4, true),
            ("lag", 1 | 2) if constant => (lead_lag::lag_udwf(), ty, true),
            ("lead", 1 | 2) if constant => (lead_lag::lead_udwf(), ty, true),
            ("lag", 2 | 3) => (Whole::new(Way::Lag, value), ty, true),
            ("lead", 2 | 3) => (Whole::new(Way::Lead, value), ty, true),
            ("first_value", 1) if whole => (nth_value::first_value_udwf(), ty, true),
            ("last_value", 1) if whole => (nth_value::last_value_udwf(), ty, true),
            ("nth_value", 2) if whole && constant => (nth_value::nth_value_udwf(), ty, true),
            ("first_value", 1) => (framed(Taken::First, 1), ty, true),
            ("last_value", 1) => (framed(Taken::Last, 1), ty, true),
            ("nth_value", 2) => (framed(Taken::Nth, 2), ty, true),
            _ => return Err(self.no_window(&args, call)),
        };
        Ok(Applied { fun: WindowFunctionDefinition::WindowUDF(udf), args: lowered, filter: None, ty, nullable })
    }

    /// An aggregate function over a window.
    fn windowed_aggregate(
        &mut self,
        rel: &mut Rel,
        function: &ast::Function,
        sliding: bool,
        parts: &Parts,
        before: Option<&Rel>,
    ) -> SqlResult<Applied> {
        let ast::FunctionArguments::List(list) = &function.args else {
            return Err(SqlError::unsupported(format!("the call {function}")));
        };
        if list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct) {
            return Err(SqlError::unsupported("DISTINCT in a window function"));
        }
        if !list.clauses.is_empty() || !function.within_group.is_empty() {
            return Err(SqlError::unsupported("ORDER BY in an aggregate over a window"));
        }
        let mut call = self.aggregate_call(rel, function, parts, before)?;
        call.sliding = sliding;
        let aggregated = self.signed(function, call)?;
        let Expr::AggregateFunction(call) = aggregated.expr else {
            return Err(SqlError::unsupported(format!("{function}")));
        };
        Ok(Applied {
            fun: WindowFunctionDefinition::AggregateUDF(call.func),
            args: call.params.args,
            filter: call.params.filter.map(|filter| *filter),
            ty: aggregated.ty,
            nullable: aggregated.empty.is_none(),
        })
    }
}

/// An error for a constant number that a function does not take.
fn check_number(name: &str, number: Option<&Expr>) -> SqlResult<()> {
    let Some(Expr::Literal(ScalarValue::Int64(Some(..=0)), _)) = number else { return Ok(()) };
    let state = match name {
        "ntile" => "22014",
        "nth_value" => "22016",
        _ => return Ok(()),
    };
    Err(SqlError::new(SqlState(state), format!("argument of {name} must be greater than zero")))
}

/// An aggregate over the rows of its frame that are not excluded.
fn excluding(applied: Applied, exclusion: Exclusion) -> SqlResult<Applied> {
    let Applied { fun: WindowFunctionDefinition::AggregateUDF(function), mut args, filter, ty, nullable } = applied
    else {
        return Ok(applied);
    };
    if exclusion == Exclusion::NoOthers {
        return Ok(Applied { fun: WindowFunctionDefinition::AggregateUDF(function), args, filter, ty, nullable });
    }
    let (count, filtered) = (args.len(), filter.is_some());
    args.extend(filter);
    let taken = Taken::Aggregate(function);
    let udf = Framed::new(taken, count, filtered, exclusion, data_type(&ty));
    Ok(Applied { fun: WindowFunctionDefinition::WindowUDF(udf), args, filter: None, ty, nullable })
}

/// A window with the named windows that it refers to worked in.
fn named_window(over: &ast::WindowType, named: &[ast::NamedWindowDefinition]) -> SqlResult<Window> {
    let spec = match over {
        ast::WindowType::NamedWindow(name) => return find_window(name, named),
        ast::WindowType::WindowSpec(spec) => spec,
    };
    spec_window(spec, named)
}

fn spec_window(spec: &ast::WindowSpec, named: &[ast::NamedWindowDefinition]) -> SqlResult<Window> {
    let (partition, exclusion) = without_exclusion(&spec.partition_by);
    let own = Window { partition, order: spec.order_by.clone(), frame: spec.window_frame.clone(), exclusion };
    let Some(name) = &spec.window_name else { return Ok(own) };
    let base = find_window(name, named)?;
    let wrong = |what: &str| {
        let message = format!("cannot {what} of window \"{}\"", folded(name));
        Err(SqlError::new(SqlState::WINDOWING_ERROR, message))
    };
    if !own.partition.is_empty() {
        return wrong("override PARTITION BY clause");
    }
    if !own.order.is_empty() && !base.order.is_empty() {
        return wrong("override ORDER BY clause");
    }
    if base.frame.is_some() {
        let message = format!("cannot copy window \"{}\" because it has a frame clause", folded(name));
        let error = SqlError::new(SqlState::WINDOWING_ERROR, message);
        let bare = own.order.is_empty() && own.frame.is_none();
        return Err(if bare { error.hint("Omit the parentheses in this OVER clause.") } else { error });
    }
    let order = if base.order.is_empty() { own.order } else { base.order };
    Ok(Window { partition: base.partition, order, frame: own.frame, exclusion })
}

/// What a window's rows are parted by, and the exclusion that stands before that in the place of `EXCLUDE`.
fn without_exclusion(partition: &[ast::Expr]) -> (Vec<ast::Expr>, Exclusion) {
    let known = [("current row", Exclusion::CurrentRow), ("group", Exclusion::Group), ("ties", Exclusion::Ties)];
    let found = partition.split_first().and_then(|(first, rest)| {
        let ast::Expr::Value(ast::ValueWithSpan { value: ast::Value::SingleQuotedString(text), .. }) = first else {
            return None;
        };
        let what = text.strip_prefix(EXCLUDED)?;
        known.into_iter().find(|(name, _)| *name == what).map(|(_, exclusion)| (rest.to_vec(), exclusion))
    });
    found.unwrap_or_else(|| (partition.to_vec(), Exclusion::NoOthers))
}

fn find_window(name: &ast::Ident, named: &[ast::NamedWindowDefinition]) -> SqlResult<Window> {
    let wanted = folded(name);
    let Some(place) = named.iter().position(|definition| folded(&definition.0) == wanted) else {
        let message = format!("window \"{wanted}\" does not exist");
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
    };
    // A window may refer to those before it only.
    match &named[place].1 {
        ast::NamedWindowExpr::NamedWindow(other) => find_window(other, &named[..place]),
        ast::NamedWindowExpr::WindowSpec(spec) => spec_window(spec, &named[..place]),
    }
}
