//! Aggregate functions in expressions, and `GROUP BY`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Operator, binary_expr, cast, lit};
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::expressions::{Parts, Site, Wish, as_ordinal, bound, without_parens};
use super::grouping::Aggregated;
use super::names::as_name;
use super::subquery::find_parts;
use super::{Col, Rel, Seen, Translator, built, folded};
use crate::bind;
use crate::parse::parse_expression;
use crate::query::aggregate::{self, Call};

/// The name of the function that an expression calls, if it is not one of a schema of the user's.
pub(super) fn function_name(function: &ast::Function) -> Option<String> {
    let parts: Vec<String> = function.name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
    match parts.as_slice() {
        [name] => Some(name.clone()),
        [schema, name] if schema == "pg_catalog" => Some(name.clone()),
        _ => None,
    }
}

/// Whether an expression is the call of an aggregate function.
pub(super) fn is_aggregate(expr: &ast::Expr) -> bool {
    match expr {
        ast::Expr::Function(function) if function.over.is_none() => {
            function_name(function).is_some_and(|name| bind::aggregate_names().contains(&name.as_str()))
        }
        _ => false,
    }
}

/// Whether an expression has an aggregate in it.
pub(super) fn has_aggregate(expr: &ast::Expr) -> bool {
    !find_parts(expr, &is_aggregate).is_empty()
}

/// The call of an aggregate that is given something beside the rows that it sorts.
fn ordered_set(expr: &ast::Expr) -> Option<&ast::Function> {
    match expr {
        ast::Expr::Function(function) if !function.within_group.is_empty() => Some(function),
        _ => None,
    }
}

/// Why a direct argument is refused.
pub(super) const DIRECT_ARGUMENTS: &str = "Direct arguments of an ordered-set aggregate must use only grouped columns.";

/// What a query groups by.
#[derive(Default)]
struct Grouping {
    keys: Vec<ast::Expr>,
    sets: Option<Vec<Vec<usize>>>,
}

impl Grouping {
    fn place(&mut self, expr: &ast::Expr) -> usize {
        let expr = without_parens(expr);
        self.keys.iter().position(|known| known == expr).unwrap_or_else(|| {
            self.keys.push(expr.clone());
            self.keys.len() - 1
        })
    }

    fn places(&mut self, exprs: &[ast::Expr]) -> Vec<usize> {
        let mut places = Vec::new();
        for place in exprs.iter().map(|expr| self.place(expr)) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    /// Every set there is with every one of more.
    fn cross(&mut self, more: Vec<Vec<usize>>) {
        let old = self.sets.take().unwrap_or_else(|| vec![Vec::new()]);
        let joined = |left: &Vec<usize>, right: &Vec<usize>| {
            let mut set = left.clone();
            set.extend(right.iter().filter(|place| !left.contains(place)));
            set
        };
        self.sets = Some(old.iter().flat_map(|left| more.iter().map(move |right| joined(left, right))).collect());
    }
}

/// How many grouping sets there may be.
const MAX_SETS: usize = 4096;

impl Translator<'_> {
    /// Groups a relation for a query's clauses: aggregates in `exprs` and what is grouped by get columns, which `parts`
    /// say. `items` are the output expressions with their names, which `GROUP BY` may refer to.
    pub(super) fn group(
        &mut self,
        mut rel: Rel,
        by: &[ast::Expr],
        items: &[(String, ast::Expr)],
        exprs: &[&ast::Expr],
        parts: &mut Parts,
    ) -> SqlResult<Rel> {
        let mut grouping = Grouping::default();
        let mixed = by.iter().any(is_sets);
        for expr in by {
            self.group_item(&rel, &mut grouping, expr, items, mixed)?;
        }
        let mut numbers: Vec<usize> = Vec::new();
        // For each key its place among the columns grouped by: two keys may be the same column.
        let mut places = Vec::new();
        for expr in grouping.keys.clone() {
            if has_aggregate(&expr) {
                let message = "aggregate functions are not allowed in GROUP BY";
                return Err(SqlError::new(SqlState::GROUPING_ERROR, message));
            }
            let mut inner = Parts::new();
            self.attach_subqueries(&mut rel, &expr, &mut inner, None, "GROUP BY")?;
            let bound = self.bind(Site::new(&rel, "GROUP BY").with(&inner), &expr, Wish::Any)?;
            let lowered = self.lower(&rel, &bound)?;
            let number = self.extend(&mut rel, vec![(lowered, bound.ty().clone(), true)])?[0];
            places.push(numbers.iter().position(|known| *known == number).unwrap_or(numbers.len()));
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        let sets = grouping.sets.take().map(|sets| sets.iter().map(|set| moved(set, &places)).collect::<Vec<_>>());
        let calls = self.aggregate_calls(exprs);
        let mut aggregates = Vec::new();
        let mut wanted = Vec::new();
        for call in calls {
            let ast::Expr::Function(function) = &call else { continue };
            if function_name(function).as_deref() == Some("grouping") {
                wanted.push((call.clone(), moved(&self.grouping_places(function, &grouping)?, &places)));
                continue;
            }
            self.check_level(&rel, &call)?;
            let aggregated = self.aggregate(&mut rel, function, &Parts::new(), None)?;
            aggregates.push((call.clone(), aggregated));
        }
        if sets.is_none() {
            self.dependent(&rel, exprs, &mut numbers);
        }
        let before = rel.clone();
        let order = flattened(sets.as_deref(), numbers.len(), rel.outer.len());
        let empties: Vec<Option<Value>> = aggregates.iter().map(|(_, a)| a.empty.clone()).collect();
        let (calls, exprs): (Vec<_>, Vec<_>) = aggregates.into_iter().unzip();
        let types: Vec<SqlType> = exprs.iter().map(|a: &Aggregated| a.ty.clone()).collect();
        let outer = rel.outer.len();
        let implicit = by.is_empty();
        let direct: Vec<ast::Function> = calls.iter().filter_map(ordered_set).cloned().collect();
        let (mut grouped, id) = self.grouped_in_sets(rel, &numbers, sets, exprs)?;
        if implicit {
            grouped.single = true;
            grouped = self.for_empty(grouped, &empties, outer)?;
        }
        let first = grouped.columns.len() - calls.len();
        for ((call, number), ty) in calls.into_iter().zip(first..).zip(types) {
            parts.push((call, bind::Expr::column(number, ty)));
        }
        for (key, place) in grouping.keys.into_iter().zip(places) {
            // A column keeps its name, unless what it is called there is an expression of it.
            if before.columns[numbers[place]].seen == Seen::Never || as_name(&key).is_none() {
                parts.push((key, bound(&grouped, place)));
            }
        }
        for call in &direct {
            self.check_direct_arguments(&grouped, call, parts, &before)?;
        }
        for (call, places) in wanted {
            let number = self.grouping_value(&mut grouped, id.as_ref(), &places, &order)?;
            parts.push((call, bound(&grouped, number)));
        }
        Ok(grouped)
    }

    /// `42803` if what an aggregate is given beside the rows that it sorts is not the same for all rows of a group.
    fn check_direct_arguments(
        &mut self,
        grouped: &Rel,
        call: &ast::Function,
        parts: &Parts,
        before: &Rel,
    ) -> SqlResult<()> {
        for arg in arguments(call)?.into_iter().flatten() {
            let site = Site { rel: grouped, parts, before: Some(before), clause: "an aggregate" };
            // It has been bound over the rows before: only that is wrong which is no longer there.
            if let Err(error) = self.bind(site, &arg, Wish::Open)
                && error.state() == SqlState::GROUPING_ERROR
            {
                return Err(error.detail(DIRECT_ARGUMENTS));
            }
        }
        Ok(())
    }

    /// Without `GROUP BY` there is a group even if there are no rows.
    fn for_empty(&mut self, grouped: Rel, empties: &[Option<Value>], outer: usize) -> SqlResult<Rel> {
        if outer == 0 {
            return Ok(grouped);
        }
        if grouped.equated {
            return Ok(grouped);
        }
        let mut rel = self.for_every_row(grouped, empties)?;
        rel.single = true;
        Ok(rel)
    }

    /// The calls of aggregates in expressions, each once. Those within window functions are aggregated, too.
    fn aggregate_calls(&self, exprs: &[&ast::Expr]) -> Vec<ast::Expr> {
        let mut calls: Vec<ast::Expr> = Vec::new();
        for call in exprs.iter().flat_map(|expr| find_parts(expr, &is_aggregate)) {
            if !calls.contains(&call) {
                calls.push(call);
            }
        }
        calls
    }

    fn group_item(
        &mut self,
        rel: &Rel,
        grouping: &mut Grouping,
        expr: &ast::Expr,
        items: &[(String, ast::Expr)],
        mixed: bool,
    ) -> SqlResult<()> {
        let resolve = |translator: &Self, expr: &ast::Expr| translator.group_key(rel, expr, items);
        let resolve_all = |translator: &Self, exprs: &[ast::Expr]| {
            exprs.iter().map(|expr| translator.group_key(rel, expr, items)).collect::<SqlResult<Vec<_>>>()
        };
        match without_parens(expr) {
            sets if is_sets(sets) => {
                let sets = self.sets(rel, grouping, sets, items)?;
                grouping.cross(sets);
            }
            ast::Expr::Tuple(exprs) if exprs.is_empty() => {
                if mixed {
                    grouping.cross(vec![Vec::new()]);
                }
            }
            ast::Expr::Tuple(exprs) => {
                let exprs = resolve_all(self, exprs)?;
                let places = grouping.places(&exprs);
                if mixed {
                    grouping.cross(vec![places]);
                }
            }
            plain => {
                let key = resolve(self, plain)?;
                let place = grouping.place(&key);
                if mixed {
                    grouping.cross(vec![vec![place]]);
                }
            }
        }
        if grouping.sets.as_ref().is_some_and(|sets| sets.len() > MAX_SETS) {
            let message = format!("too many grouping sets present (maximum {MAX_SETS})");
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, message));
        }
        Ok(())
    }

    /// The sets that `ROLLUP`, `CUBE` or `GROUPING SETS` stands for.
    fn sets(
        &self,
        rel: &Rel,
        grouping: &mut Grouping,
        expr: &ast::Expr,
        items: &[(String, ast::Expr)],
    ) -> SqlResult<Vec<Vec<usize>>> {
        let resolve = |groups: &[Vec<ast::Expr>]| {
            let all = |group: &Vec<ast::Expr>| group.iter().map(|expr| self.group_key(rel, expr, items)).collect();
            groups.iter().map(all).collect::<SqlResult<Vec<Vec<ast::Expr>>>>()
        };
        let mut sets = Vec::new();
        match expr {
            ast::Expr::Rollup(groups) => {
                let groups = resolve(groups)?;
                sets.extend((0..=groups.len()).rev().map(|count| grouping.places(&groups[..count].concat())));
            }
            ast::Expr::Cube(groups) => {
                if groups.len() > 12 {
                    return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, "CUBE is limited to 12 elements"));
                }
                let groups = resolve(groups)?;
                for mask in (0..1usize << groups.len()).rev() {
                    let chosen = groups.iter().enumerate();
                    let chosen = chosen.filter(|(place, _)| mask >> (groups.len() - 1 - place) & 1 == 1);
                    let exprs: Vec<ast::Expr> = chosen.flat_map(|(_, group)| group.iter().cloned()).collect();
                    sets.push(grouping.places(&exprs));
                }
            }
            ast::Expr::GroupingSets(groups) => {
                for group in groups {
                    match nested_sets(group)? {
                        Some(nested) => sets.extend(self.sets(rel, grouping, &nested, items)?),
                        None => {
                            let group = resolve(std::slice::from_ref(group))?.concat();
                            sets.push(grouping.places(&group));
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(sets)
    }

    /// What an item of `GROUP BY` means: an expression over the relation, or the number or name of an output column.
    fn group_key(&self, rel: &Rel, expr: &ast::Expr, items: &[(String, ast::Expr)]) -> SqlResult<ast::Expr> {
        let expr = without_parens(expr);
        if let Some(number) = as_ordinal(expr) {
            return usize::try_from(number - 1).ok().and_then(|place| items.get(place)).map_or_else(
                || {
                    let message = format!("GROUP BY position {number} is not in select list");
                    Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message))
                },
                |(_, item)| Ok(without_parens(item).clone()),
            );
        }
        if let ast::Expr::Identifier(ident) = expr {
            let name = folded(ident);
            if !rel.visible().any(|column| column.name == name)
                && let Some((_, item)) = items.iter().find(|(alias, _)| *alias == name)
            {
                return Ok(without_parens(item).clone());
            }
        }
        Ok(expr.clone())
    }

    /// Adds the columns that depend on those grouped by, since these include their table's primary key, as far as they
    /// are used.
    fn dependent(&self, rel: &Rel, exprs: &[&ast::Expr], numbers: &mut Vec<usize>) {
        let whole = |source: usize| {
            let keys = numbers.iter().map(|number| &rel.columns[*number]).filter(|c| c.source == Some(source));
            let size = rel.columns.iter().filter(|c| c.source == Some(source)).map(|c| c.primary).max().unwrap_or(0);
            // A column and what USING made of it are the same one.
            let keys: BTreeSet<&String> = keys.filter(|column| column.primary > 0).map(|column| &column.name).collect();
            size > 0 && keys.len() == size
        };
        let mut sources: Vec<usize> = numbers.iter().filter_map(|number| rel.columns[*number].source).collect();
        sources.sort_unstable();
        sources.dedup();
        sources.retain(|source| whole(*source));
        if sources.is_empty() {
            return;
        }
        let names: Vec<ast::Expr> =
            exprs.iter().flat_map(|expr| find_parts(expr, &|part| as_name(part).is_some())).collect();
        let used = |column: &Col| {
            // A table's name may stand for its row.
            let is = |name: &ast::Expr| {
                let last = as_name(name).and_then(<[_]>::last).map(folded);
                last.is_some_and(|last| last == column.name || Some(&last) == column.table.as_ref())
            };
            names.iter().any(is)
        };
        for (number, column) in rel.columns.iter().enumerate() {
            let depends = column.source.is_some_and(|source| sources.contains(&source));
            if depends && column.seen != Seen::Never && used(column) && !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }

    fn grouping_places(&self, function: &ast::Function, grouping: &Grouping) -> SqlResult<Vec<usize>> {
        let place = |expr: &Cow<'_, ast::Expr>| grouping.keys.iter().position(|key| key == without_parens(expr));
        let args = arguments(function)?;
        let places: Option<Vec<usize>> = args.iter().map(|arg| arg.as_ref().and_then(place)).collect();
        places.ok_or_else(|| {
            let message = "arguments to GROUPING must be grouping expressions of the associated query level";
            SqlError::new(SqlState::GROUPING_ERROR, message)
        })
    }

    /// The value of `GROUPING`: a bit for each argument, which is set where it is not grouped by.
    fn grouping_value(
        &mut self,
        rel: &mut Rel,
        id: Option<&Expr>,
        places: &[usize],
        order: &[usize],
    ) -> SqlResult<usize> {
        let mut value = lit(0_i64);
        if let Some(id) = id {
            let id = cast(id.clone(), DataType::Int64);
            for (shift, place) in places.iter().rev().enumerate() {
                let bit = order.iter().rev().position(|known| known == place).unwrap_or_default();
                let bit = lit(i64::try_from(bit).unwrap_or(0));
                let set = binary_expr(id.clone(), Operator::BitwiseShiftRight, bit) & lit(1_i64);
                value = value + binary_expr(set, Operator::BitwiseShiftLeft, lit(shift as i64));
            }
        }
        let numbers = self.extend(rel, vec![(cast(value, DataType::Int32), SqlType::Int4, false)])?;
        Ok(numbers[0])
    }

    /// The call of an aggregate function over a relation.
    pub(super) fn aggregate(
        &mut self,
        rel: &mut Rel,
        function: &ast::Function,
        parts: &Parts,
        before: Option<&Rel>,
    ) -> SqlResult<Aggregated> {
        let call = self.aggregate_call(rel, function, parts, before)?;
        self.signed(function, call)
    }

    /// The call of the aggregate function that there is for its arguments.
    pub(super) fn signed(&self, function: &ast::Function, call: Call) -> SqlResult<Aggregated> {
        let name = call.name.clone();
        let types: Vec<&SqlType> = call.args.iter().map(|(_, ty)| ty).collect();
        let listed = types.iter().map(|ty| ty.name()).collect::<Vec<_>>().join(", ");
        let found = match (call.within, call.order.first()) {
            (true, Some((_, sorted, ..))) => aggregate::ordered_signature(&name, &types, sorted),
            _ => aggregate::signature(&name, &types),
        };
        let signature = found.ok_or_else(|| {
            let message = format!("function {name}({listed}) does not exist");
            SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
                .hint(
                    "No function matches the given name and argument types. You might need to add explicit type casts.",
                )
                .at(self.position(function))
        })?;
        aggregate::build(call, signature, &self.context)
    }

    /// The arguments and clauses of an aggregate's call, bound.
    pub(super) fn aggregate_call(
        &mut self,
        rel: &mut Rel,
        function: &ast::Function,
        parts: &Parts,
        before: Option<&Rel>,
    ) -> SqlResult<Call> {
        let name = function_name(function).unwrap_or_default();
        let FunctionArguments::List(list) = &function.args else {
            return Err(SqlError::unsupported(format!("the call {function}")));
        };
        if name == "count" && list.args.is_empty() {
            let message = "count(*) must be used to call a parameterless aggregate function";
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(self.position(function)));
        }
        let mut bounds = Vec::new();
        for arg in arguments(function)? {
            let Some(arg) = arg else { continue };
            if has_aggregate(&arg) && before.is_none() {
                let message = "aggregate function calls cannot be nested";
                return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(self.position(function)));
            }
            bounds.push(self.bind_over(rel, &arg, (parts, before), Wish::Open)?);
        }
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        let mut args = Vec::new();
        let wanted = aggregate::parameters(&name, bounds.len());
        for (place, arg) in bounds.into_iter().enumerate() {
            let several = arg.ty().element().is_some() && name.starts_with("percentile_");
            let arg = match (wanted.get(place), arg.ty()) {
                (Some(Some(ty)), _) if several => self.coerce(arg, &ty.clone().array(), CastContext::Implicit)?,
                (Some(Some(ty)), _) if !aggregate::accepts(&name, place, arg.ty()) => {
                    self.coerce(arg, ty, CastContext::Implicit)?
                }
                (_, SqlType::Unknown) => self.coerce(arg, &SqlType::Text, CastContext::Implicit)?,
                _ => arg,
            };
            args.push(match aggregate::json_part(&name, place) {
                Some(part) if !distinct => self.as_json(rel, part, arg)?,
                _ => (self.lower(rel, &arg)?, arg.ty().clone()),
            });
        }
        let ordered = list.clauses.iter().filter_map(|clause| match clause {
            ast::FunctionArgumentClause::OrderBy(order) => Some(order),
            _ => None,
        });
        let mut order = Vec::new();
        for item in ordered.flatten().chain(&function.within_group) {
            let bound = self.bind_over(rel, &item.expr, (parts, before), Wish::Any)?;
            let bound = match name.as_str() {
                "percentile_cont" => self.coerce(bound, &SqlType::Float8, CastContext::Implicit)?,
                _ => bound,
            };
            let (expr, ty) = (self.lower(rel, &bound)?, bound.ty().clone());
            if distinct && !is_argument(function, &item.expr)? && args.iter().all(|(arg, _)| *arg != expr) {
                let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
                let error = SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message);
                return Err(error.at(self.position(&item.expr)));
            }
            let descending = item.options.asc == Some(false);
            order.push((expr, ty, descending, item.options.nulls_first.unwrap_or(descending)));
        }
        if order.is_empty() && !distinct && function.over.is_none() && aggregate::keeps_order(&name) {
            // A subquery that is sorted gives its rows in that order, and programs count on it.
            order = sorted_by(rel);
        }
        let filter = match &function.filter {
            Some(condition) => {
                let bound = self.bind_over(rel, condition, (parts, before), Wish::Condition)?;
                Some(self.lower(rel, &bound)?)
            }
            None => None,
        };
        let within = !function.within_group.is_empty();
        Ok(Call { name, args, order, filter, distinct, within, sliding: false })
    }

    /// A part of the JSON that an aggregate makes: as JSON's text, which depends on the session's settings. Rows and
    /// arrays are called rows, since each of them begins a line.
    fn as_json(&mut self, rel: &Rel, part: aggregate::JsonPart, arg: bind::Expr) -> SqlResult<(Expr, SqlType)> {
        let ty = arg.ty().clone();
        let (call, shown) = match part {
            aggregate::JsonPart::Value if matches!(ty, SqlType::Json | SqlType::Jsonb | SqlType::Record) => {
                return Ok((self.lower(rel, &arg)?, ty));
            }
            aggregate::JsonPart::Value if ty.element().is_some() => ("to_json(v)", SqlType::Record),
            aggregate::JsonPart::Value => ("to_json(v)", SqlType::Json),
            aggregate::JsonPart::Key if matches!(ty, SqlType::Text | SqlType::Varchar(_)) => {
                return Ok((self.lower(rel, &arg)?, ty));
            }
            aggregate::JsonPart::Key
                if ty.element().is_some() || matches!(ty, SqlType::Json | SqlType::Jsonb | SqlType::Record) =>
            {
                let message = "key value must be scalar, not array, composite, or json";
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
            aggregate::JsonPart::Key => ("to_json(v) #>> '{}'", SqlType::Text),
        };
        let parts = vec![(ast::Expr::Identifier(ast::Ident::new("v")), arg)];
        let tree = parse_expression(call)?;
        let bound = self.bind(Site::new(rel, "an aggregate").with(&parts), &tree, Wish::Any)?;
        Ok((self.lower(rel, &bound)?, shown))
    }

    /// An expression over a relation, bound; its subqueries are joined to it.
    fn bind_over(
        &mut self,
        rel: &mut Rel,
        expr: &ast::Expr,
        (parts, before): (&Parts, Option<&Rel>),
        wish: Wish<'_>,
    ) -> SqlResult<bind::Expr> {
        let mut parts = parts.clone();
        self.attach_subqueries(rel, expr, &mut parts, before, "FILTER")?;
        self.bind(Site { rel, parts: &parts, before, clause: "FILTER" }, expr, wish)
    }

    /// A subquery's values as one array for each row of the surroundings, in the subquery's order.
    pub(super) fn as_array(&mut self, rel: Rel) -> SqlResult<Rel> {
        let visible: Vec<Col> = rel.visible().cloned().collect();
        let [value] = visible.as_slice() else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "subquery must return only one column"));
        };
        let call = Call {
            name: "array_agg".to_owned(),
            args: vec![(value.expr(), value.ty.clone())],
            order: sorted_by(&rel),
            filter: None,
            distinct: false,
            within: false,
            sliding: false,
        };
        let signature = aggregate::signature("array_agg", &[&value.ty])
            .ok_or_else(|| SqlError::unsupported(format!("an array of {}", value.ty.name())))?;
        let aggregated = aggregate::build(call, signature, &self.context)?;
        self.grouped(rel, &[], vec![aggregated])
    }

    /// The relation with only those rows for which a condition over groups holds.
    pub(super) fn having(
        &mut self,
        rel: &mut Rel,
        condition: &ast::Expr,
        parts: &mut Parts,
        before: &Rel,
    ) -> SqlResult<()> {
        self.attach_subqueries(rel, condition, parts, Some(before), "HAVING")?;
        let site = Site { rel, parts, before: Some(before), clause: "HAVING" };
        let bound = self.bind(site, condition, Wish::Condition)?;
        let lowered = self.lower(rel, &bound)?;
        rel.plan = built(rel.builder().filter(lowered).and_then(LogicalPlanBuilder::build))?;
        rel.single = false;
        Ok(())
    }
}

/// The arguments of a function's call; `None` is `*`.
pub(super) fn arguments(function: &ast::Function) -> SqlResult<Vec<Option<Cow<'_, ast::Expr>>>> {
    let FunctionArguments::List(list) = &function.args else { return Ok(Vec::new()) };
    let argument = |arg| match arg {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Ok(Some(Cow::Borrowed(expr))),
        FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => {
            Ok(Some(Cow::Owned(ast::Expr::QualifiedWildcard(name.clone(), AttachedToken::empty()))))
        }
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Ok(None),
        other => Err(SqlError::unsupported(format!("the argument {other}"))),
    };
    list.args.iter().map(argument).collect()
}

/// Whether an expression is written among the arguments of a call.
fn is_argument(function: &ast::Function, expr: &ast::Expr) -> SqlResult<bool> {
    let is = |arg: &Option<Cow<'_, ast::Expr>>| {
        arg.as_deref().is_some_and(|arg| without_parens(arg) == without_parens(expr))
    };
    Ok(arguments(function)?.iter().any(is))
}

/// What a relation is sorted by, for an aggregate over it.
fn sorted_by(rel: &Rel) -> Vec<(Expr, SqlType, bool, bool)> {
    let key = |key: &super::sort::SortKey| {
        let column = &rel.columns[key.number];
        (column.expr(), column.ty.clone(), key.descending, key.nulls_first)
    };
    rel.order.iter().map(key).collect()
}

fn is_sets(expr: &ast::Expr) -> bool {
    matches!(without_parens(expr), ast::Expr::Rollup(_) | ast::Expr::Cube(_) | ast::Expr::GroupingSets(_))
}

/// `ROLLUP` or `CUBE` among `GROUPING SETS`, where the parser takes them for functions.
fn nested_sets(group: &[ast::Expr]) -> SqlResult<Option<ast::Expr>> {
    let [ast::Expr::Function(function)] = group else { return Ok(None) };
    let name = function_name(function).unwrap_or_default();
    if !matches!(name.as_str(), "rollup" | "cube") {
        return Ok(None);
    }
    let parts = |arg: Cow<'_, ast::Expr>| match arg.into_owned() {
        ast::Expr::Tuple(exprs) => exprs,
        expr => vec![expr],
    };
    let groups = arguments(function)?.into_iter().flatten().map(parts).collect();
    Ok(Some(if name == "cube" { ast::Expr::Cube(groups) } else { ast::Expr::Rollup(groups) }))
}

/// The order in which DataFusion numbers what is grouped by: that in which it appears in the sets, each of which has
/// the columns of the surroundings behind its own.
fn flattened(sets: Option<&[Vec<usize>]>, own: usize, outer: usize) -> Vec<usize> {
    let Some(sets) = sets else { return (0..own).collect() };
    let mut order = Vec::new();
    for place in sets.iter().flat_map(|set| set.iter().copied().chain(own..own + outer)) {
        if !order.contains(&place) {
            order.push(place);
        }
    }
    order
}

/// A set's keys as places among the columns, each once.
fn moved(set: &[usize], places: &[usize]) -> Vec<usize> {
    let mut moved = Vec::new();
    for place in set.iter().map(|key| places[*key]) {
        if !moved.contains(&place) {
            moved.push(place);
        }
    }
    moved
}
