//! Window functions.

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use datafusion::common::{Column, ScalarValue};
use datafusion::functions_window::{cume_dist, lead_lag, nth_value, ntile, rank, row_number};
use datafusion::logical_expr::expr::{Sort, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    Expr, LogicalPlanBuilder, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition, WindowUDF,
    cast, lit, when,
};
use sqlparser::ast;
use std::collections::HashSet;
use std::sync::Arc;

use super::aggregates::{arguments, function_name};
use super::expressions::{Parts, Site, Wish, bound};
use super::subquery::find_parts;
use super::{Rel, Translator, built, folded};
use crate::bind;

use crate::query::arrow::data_type;
use crate::query::scalar::{key, literal};

/// Whether an expression is the call of a window function.
pub(super) fn is_window(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Function(function) if function.over.is_some())
}

/// A window, with the named ones it is made from worked in.
struct Window {
    partition: Vec<ast::Expr>,
    order: Vec<ast::OrderByExpr>,
    frame: Option<ast::WindowFrame>,
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
            let applied = self.windowed_aggregate(rel, function, sliding, parts, before)?;
            let (ty, nullable) = (applied.ty.clone(), applied.nullable);
            return self.add_window(rel, over(applied), ty, nullable);
        }
        let default = (matches!(name.as_str(), "lag" | "lead") && args.len() == 3).then(|| args.pop()).flatten();
        let shift = args.get(1).cloned();
        let applied = self.plain_window(rel, &name, args, function)?;
        let (ty, nullable) = (applied.ty.clone(), applied.nullable);
        let number = self.add_window(rel, over(applied), ty.clone(), nullable)?;
        let Some(default) = default else { return Ok(number) };
        // Where there is no such row, a constant looked for in its place is NULL.
        let one = std::iter::once(bind::Expr::literal(Value::Int4(1), SqlType::Int4)).chain(shift).collect();
        let there = self.plain_window(rel, &name, one, function)?;
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

    /// A function that exists for windows only.
    fn plain_window(
        &mut self,
        rel: &Rel,
        name: &str,
        mut args: Vec<bind::Expr>,
        function: &ast::Function,
    ) -> SqlResult<Applied> {
        for arg in &mut args {
            if *arg.ty() == SqlType::Unknown {
                *arg = self.coerce(arg.clone(), &SqlType::Text, CastContext::Implicit)?;
            }
        }
        let first = args.first().map(|arg| arg.ty().base());
        let (udf, ty, nullable): (Arc<WindowUDF>, _, _) = match (name, args.len()) {
            ("row_number", 0) => (row_number::row_number_udwf(), SqlType::Int8, false),
            ("rank", 0) => (rank::rank_udwf(), SqlType::Int8, false),
            ("dense_rank", 0) => (rank::dense_rank_udwf(), SqlType::Int8, false),
            ("percent_rank", 0) => (rank::percent_rank_udwf(), SqlType::Float8, false),
            ("cume_dist", 0) => (cume_dist::cume_dist_udwf(), SqlType::Float8, false),
            ("ntile", 1) => (ntile::ntile_udwf(), SqlType::Int4, true),
            ("lag", 1 | 2) => (lead_lag::lag_udwf(), first.clone().unwrap_or(SqlType::Text), true),
            ("lead", 1 | 2) => (lead_lag::lead_udwf(), first.clone().unwrap_or(SqlType::Text), true),
            ("first_value", 1) => (nth_value::first_value_udwf(), first.clone().unwrap_or(SqlType::Text), true),
            ("last_value", 1) => (nth_value::last_value_udwf(), first.clone().unwrap_or(SqlType::Text), true),
            ("nth_value", 2) => (nth_value::nth_value_udwf(), first.clone().unwrap_or(SqlType::Text), true),
            _ => {
                let types: Vec<String> = args.iter().map(|arg| arg.ty().name()).collect();
                let message = format!("function {name}({}) does not exist", types.join(", "));
                return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).at(self.position(function)));
            }
        };
        let mut lowered = Vec::new();
        for (place, arg) in args.into_iter().enumerate() {
            let counts = place == 1 || name == "ntile";
            let arg = if counts { self.coerce(arg, &SqlType::Int8, CastContext::Assignment)? } else { arg };
            let expr = self.lower(rel, &arg)?;
            if counts && self.context.params.is_some() && !matches!(expr, Expr::Literal(..)) {
                return Err(SqlError::unsupported(format!("{name} with a number that is not constant")));
            }
            // While the query is only described, parameters have no values.
            lowered.push(if counts && !matches!(expr, Expr::Literal(..)) { lit(1_i64) } else { expr });
        }
        if let ("ntile", Some(Expr::Literal(ScalarValue::Int64(Some(count)), _))) = (name, lowered.first())
            && *count <= 0
        {
            let message = "argument of ntile must be greater than zero";
            return Err(SqlError::new(SqlState("22014"), message));
        }
        if let ("nth_value", Some(Expr::Literal(ScalarValue::Int64(Some(count)), _))) = (name, lowered.get(1))
            && *count <= 0
        {
            let message = "argument of nth_value must be greater than zero";
            return Err(SqlError::new(SqlState("22016"), message));
        }
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

    fn frame(&mut self, frame: Option<&ast::WindowFrame>, order: &[SqlType]) -> SqlResult<WindowFrame> {
        let Some(frame) = frame else {
            return Ok(match order.is_empty() {
                true => WindowFrame::new(None),
                // The same as with RANGE, which DataFusion has for some types only.
                false => WindowFrame::new_bounds(
                    WindowFrameUnits::Groups,
                    WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
                    WindowFrameBound::CurrentRow,
                ),
            });
        };
        if frame.units == ast::WindowFrameUnits::Groups && order.is_empty() {
            let message = "GROUPS mode requires an ORDER BY clause";
            return Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
        }
        let has_offset = |bound: &ast::WindowFrameBound| {
            use ast::WindowFrameBound as B;
            matches!(bound, B::Preceding(Some(_)) | B::Following(Some(_)))
        };
        let offset = has_offset(&frame.start_bound) || frame.end_bound.as_ref().is_some_and(has_offset);
        let units = match frame.units {
            ast::WindowFrameUnits::Rows => WindowFrameUnits::Rows,
            ast::WindowFrameUnits::Range if offset || order.is_empty() => WindowFrameUnits::Range,
            ast::WindowFrameUnits::Range | ast::WindowFrameUnits::Groups => WindowFrameUnits::Groups,
        };
        let start = self.frame_bound(&frame.start_bound, units, order)?;
        let end = match &frame.end_bound {
            Some(end) => self.frame_bound(end, units, order)?,
            None => WindowFrameBound::CurrentRow,
        };
        let wrong = |message: &str| Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
        match (&start, &end) {
            (WindowFrameBound::Following(value), _) if value.is_null() => {
                wrong("frame start cannot be UNBOUNDED FOLLOWING")
            }
            (_, WindowFrameBound::Preceding(value)) if value.is_null() => {
                wrong("frame end cannot be UNBOUNDED PRECEDING")
            }
            (WindowFrameBound::CurrentRow, WindowFrameBound::Preceding(_)) => {
                wrong("frame starting from current row cannot have preceding rows")
            }
            (WindowFrameBound::Following(_), WindowFrameBound::Preceding(_) | WindowFrameBound::CurrentRow) => {
                wrong("frame starting from following row cannot have preceding rows")
            }
            _ => Ok(WindowFrame::new_bounds(units, start, end)),
        }
    }

    fn frame_bound(
        &mut self,
        bound: &ast::WindowFrameBound,
        units: WindowFrameUnits,
        order: &[SqlType],
    ) -> SqlResult<WindowFrameBound> {
        let (offset, preceding) = match bound {
            ast::WindowFrameBound::CurrentRow => return Ok(WindowFrameBound::CurrentRow),
            ast::WindowFrameBound::Preceding(offset) => (offset, true),
            ast::WindowFrameBound::Following(offset) => (offset, false),
        };
        let value = match (offset, units) {
            (None, WindowFrameUnits::Range) => match order {
                [ty] => ScalarValue::try_from(&data_type(ty)).unwrap_or(ScalarValue::UInt64(None)),
                _ => ScalarValue::UInt64(None),
            },
            (None, _) => ScalarValue::UInt64(None),
            (Some(offset), WindowFrameUnits::Range) => self.range_offset(offset, order)?,
            (Some(offset), _) => match self.constant(offset, &SqlType::Int8, "a window frame")? {
                Some(Value::Int8(rows)) => ScalarValue::UInt64(Some(u64::try_from(rows).map_err(|_| negative())?)),
                Some(_) => {
                    let message = "frame offset must not be null";
                    return Err(SqlError::new(SqlState("22013"), message));
                }
                None => ScalarValue::UInt64(Some(1)),
            },
        };
        Ok(if preceding { WindowFrameBound::Preceding(value) } else { WindowFrameBound::Following(value) })
    }

    /// How far a range reaches in values.
    fn range_offset(&mut self, offset: &ast::Expr, order: &[SqlType]) -> SqlResult<ScalarValue> {
        let [ty] = order else {
            let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
            return Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
        };
        let wanted = match ty {
            SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Float8 => ty.clone(),
            SqlType::Timestamp(_) | SqlType::Timestamptz(_) | SqlType::Date => SqlType::Interval(None),
            other => return Err(SqlError::unsupported(format!("RANGE with an offset over type {}", other.name()))),
        };
        let value = self.constant(offset, &wanted, "a window frame")?;
        let scalar = match (value, ty) {
            // It is not known yet: anything but NULL, which would be no limit.
            (None, ty) => return Ok(ScalarValue::new_zero(&data_type(ty)).unwrap_or(ScalarValue::Null)),
            (Some(Value::Interval(interval)), ty) if interval.months == 0 => {
                let micros = i64::from(interval.days) * 86_400_000_000 + interval.micros;
                match ty {
                    SqlType::Date if micros % 86_400_000_000 == 0 => {
                        ScalarValue::Int32(i32::try_from(micros / 86_400_000_000).ok())
                    }
                    SqlType::Date => return Err(SqlError::unsupported("RANGE over dates by parts of days")),
                    _ => ScalarValue::Int64(Some(micros)),
                }
            }
            (Some(Value::Interval(_)), _) => return Err(SqlError::unsupported("RANGE by months")),
            (Some(value), ty) => match literal(ty, &value) {
                Expr::Literal(scalar, _) => scalar,
                _ => ScalarValue::Null,
            },
        };
        let is_negative = ScalarValue::new_zero(&scalar.data_type()).is_ok_and(|zero| scalar < zero);
        if is_negative { Err(negative()) } else { Ok(scalar) }
    }
}

fn negative() -> SqlError {
    SqlError::new(SqlState("22013"), "frame starting or ending offset must not be negative")
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
    let own =
        Window { partition: spec.partition_by.clone(), order: spec.order_by.clone(), frame: spec.window_frame.clone() };
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
    let order = if base.order.is_empty() { own.order } else { base.order };
    Ok(Window { partition: base.partition, order, frame: own.frame })
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
