//! One `SELECT`.

use std::borrow::Cow;

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use sqlparser::ast::{self, Distinct, GroupByExpr, SelectItem, SelectItemQualifiedWildcardKind};

use super::aggregates::{has_aggregate, is_aggregate};
use super::expressions::{Parts, Site, Wish, as_ordinal, bound, conjuncts, without_parens};
use super::late::Late;
use super::names::{Mode, as_name};
use super::query::out_of_list;
use super::sort::{Limits, SortKey};
use super::spelling::spell_alike;
use super::subquery::{Stem, User, find_parts, has_subquery};
use super::titles::title;
use super::windows::is_window;
use super::{Col, Rel, Seen, Translator, built, folded, parts};
use crate::bind;

/// An output column.
struct Item {
    name: String,
    expr: ast::Expr,
    /// The column that `*` stands for.
    column: Option<Col>,
}

/// What a `SELECT` gives: its columns, and what it is sorted by, which are numbers among the items.
struct Output {
    items: Vec<Item>,
    /// How many of them are columns of the result; the others are only sorted by.
    shown: usize,
    order: Vec<SortKey>,
    /// `DISTINCT ON`: numbers among the items.
    on: Option<Vec<usize>>,
}

impl Translator<'_> {
    /// A `SELECT` with the `ORDER BY` and limits around it. Undecided literals become the types wanted.
    pub(super) fn select(
        &mut self,
        select: &ast::Select,
        order: &[ast::OrderByExpr],
        limits: Limits,
        wanted: &[SqlType],
    ) -> SqlResult<Rel> {
        refuse(select)?;
        let mut rel = self.from(&select.from)?;
        let select = &*self.without_hypotheticals(&rel, select)?;
        let mut conditions = Vec::new();
        if let Some(selection) = &select.selection {
            if has_aggregate(selection) {
                let message = "aggregate functions are not allowed in WHERE";
                return Err(SqlError::new(SqlState::GROUPING_ERROR, message));
            }
            if !find_parts(selection, &is_window).is_empty() {
                let message = "window functions are not allowed in WHERE";
                return Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
            }
            conjuncts(selection, &mut conditions);
        }
        if rel.outer.is_empty() && !self.equate(&mut rel, select, &mut conditions, limits)? {
            rel = self.attach_domain(rel)?;
        }
        // Conditions with subqueries come last: the others leave fewer rows for them.
        let (late, early): (Vec<_>, Vec<_>) = conditions.into_iter().partition(|condition| has_subquery(condition));
        for condition in early {
            self.filter(&mut rel, condition, "WHERE")?;
        }
        rel.stem = Some(Stem::of(&rel));
        for condition in late {
            self.filter(&mut rel, condition, "WHERE")?;
        }
        rel.stem = None;
        let mut output = self.output(&rel, select, order)?;
        let mut select = Cow::Borrowed(select);
        if group_by(&select)?.iter().any(|key| as_name(without_parens(key)).is_none()) {
            let items = output.items.iter_mut().map(|item| &mut item.expr);
            spell_alike(&rel, select.to_mut(), items);
        }
        let select = &*select;
        let (rel, parts, before) = self.computed_parts(rel, select, &output)?;
        self.finish(rel, parts, before, output, select, limits, wanted)
    }

    /// Whether a query over outer columns can do without those rows: each is compared with a column of its own, which
    /// stands for it from here on.
    fn equate(
        &mut self,
        rel: &mut Rel,
        select: &ast::Select,
        conditions: &mut Vec<&ast::Expr>,
        limits: Limits,
    ) -> SqlResult<bool> {
        let Mode::Given(Some(domain)) = self.mode.clone() else { return Ok(false) };
        let exprs = output_exprs(select);
        let implicit = group_by(select)?.is_empty() && exprs.iter().any(|expr| has_aggregate(expr));
        if implicit {
            // Where there are no rows it has a value nevertheless, which must not depend on the row around.
            let names = exprs.iter().all(|expr| names_only_in_aggregates(expr));
            let plain = select.having.is_none() && limits == Limits::default() && select.distinct.is_none();
            if !(names && plain && domain.user == User::Value) {
                return Ok(false);
            }
        }
        if domain.columns.is_empty() {
            return Ok(false);
        }
        let mut found: Vec<(usize, bind::Expr)> = Vec::new();
        for (name, column) in &domain.columns {
            let mut place = None;
            for (number, condition) in conditions.iter().enumerate() {
                if let Some(own) = self.equated_with(rel, condition, name, column)? {
                    place = Some((number, own));
                    break;
                }
            }
            let Some(place) = place else { return Ok(false) };
            found.push(place);
        }
        for ((name, _), (_, own)) in domain.columns.iter().zip(&found) {
            let lowered = self.lower(rel, own)?;
            let number = self.extend(rel, vec![(lowered.clone(), own.ty().clone(), false)])?[0];
            rel.outer.push((name.clone(), number));
            let known = rel.columns[number].expr().is_not_null();
            rel.plan = built(rel.builder().filter(known).and_then(LogicalPlanBuilder::build))?;
        }
        rel.equated = true;
        let mut number = 0;
        conditions.retain(|_| {
            number += 1;
            !found.iter().any(|(place, _)| *place == number - 1)
        });
        Ok(true)
    }

    /// The expression over the query's own columns with which a condition compares an outer column.
    fn equated_with(
        &mut self,
        rel: &Rel,
        condition: &ast::Expr,
        outer: &str,
        column: &Col,
    ) -> SqlResult<Option<bind::Expr>> {
        let ast::Expr::BinaryOp { left, op: ast::BinaryOperator::Eq, right } = without_parens(condition) else {
            return Ok(None);
        };
        for (one, other) in [(left, right), (right, left)] {
            let is_outer = as_name(without_parens(one)).is_some_and(|idents| self.is_outer(rel, idents, outer));
            if !is_outer || has_subquery(other) {
                continue;
            }
            let missed = self.missed.replace(false);
            let own = self.bind(Site::new(rel, "WHERE"), other, Wish::Open);
            let uses_outer = self.missed.replace(missed);
            let own = own?;
            let steady = own.volatility() != bind::Volatility::Volatile && !own.columns().is_empty();
            let same = crate::query::scalar::is_native(own.ty())
                && crate::query::arrow::data_type(own.ty()) == crate::query::arrow::data_type(&column.ty)
                && std::mem::discriminant(own.ty()) == std::mem::discriminant(&column.ty);
            if steady && same && !uses_outer {
                return Ok(Some(own));
            }
        }
        Ok(None)
    }

    /// Whether a name means a column of the surroundings.
    fn is_outer(&self, rel: &Rel, idents: &[ast::Ident], outer: &str) -> bool {
        use super::names::{Found, Outer, resolve};
        let names: Vec<String> = idents.iter().map(folded).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let given = Outer::Given(vec![(outer.to_owned(), usize::MAX)]);
        let missed = std::cell::Cell::new(false);
        matches!(resolve(&rel.columns, &given, &missed, &self.levels, &names), Ok(Found::Column(usize::MAX)))
    }

    /// The output columns, and what the result is sorted by.
    fn output(&mut self, rel: &Rel, select: &ast::Select, order: &[ast::OrderByExpr]) -> SqlResult<Output> {
        let mut items = Vec::new();
        for item in &select.projection {
            self.items(rel, item, &mut items)?;
        }
        let shown = items.len();
        let mut output = Output { items, shown, order: Vec::new(), on: None };
        for item in order {
            let number = self.sorted_by(rel, &mut output, &item.expr)?;
            output.order.push(SortKey::new(number, &item.options));
        }
        if let Some(Distinct::On(exprs)) = &select.distinct {
            let on = exprs.iter().map(|expr| self.sorted_by(rel, &mut output, expr)).collect::<SqlResult<Vec<_>>>()?;
            let matched = output.order.iter().take(on.len()).all(|key| on.contains(&key.number));
            if !matched {
                let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
                return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
            }
            output.on = Some(on);
        } else if select.distinct == Some(Distinct::Distinct) && output.items.len() > shown {
            let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        Ok(output)
    }

    /// The number of the item that is sorted by: an output column, or a new item.
    fn sorted_by(&self, rel: &Rel, output: &mut Output, expr: &ast::Expr) -> SqlResult<usize> {
        let expr = without_parens(expr);
        if let Some(number) = as_ordinal(expr) {
            return usize::try_from(number - 1)
                .ok()
                .filter(|place| *place < output.shown)
                .ok_or_else(|| out_of_list(number).at(self.position(expr)));
        }
        if let ast::Expr::Identifier(ident) = expr {
            let name = folded(ident);
            let mut named = output.items[..output.shown].iter().enumerate().filter(|(_, item)| item.name == name);
            if let Some((place, first)) = named.next() {
                if named.any(|(_, item)| item.expr != first.expr) {
                    let message = format!("ORDER BY \"{name}\" is ambiguous");
                    return Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message).at(self.position(expr)));
                }
                return Ok(place);
            }
        }
        let same = |item: &Item| {
            *without_parens(&item.expr) == *expr
                || item.column.as_ref().is_some_and(|column| is_column(rel, column, expr))
        };
        if let Some(place) = output.items.iter().position(same) {
            return Ok(place);
        }
        output.items.push(Item { name: String::new(), expr: expr.clone(), column: None });
        Ok(output.items.len() - 1)
    }

    /// The output columns of an item of the list.
    fn items(&mut self, rel: &Rel, item: &SelectItem, items: &mut Vec<Item>) -> SqlResult<()> {
        let star = |column: &Col, number: usize| Item {
            name: column.name.clone(),
            // No expression can be written like that.
            expr: ast::Expr::Identifier(ast::Ident::with_quote('"', format!("?column {number}"))),
            column: Some(column.clone()),
        };
        match item {
            SelectItem::UnnamedExpr(expr) => {
                items.push(Item { name: title(expr), expr: expr.clone(), column: None });
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                items.push(Item { name: folded(alias), expr: expr.clone(), column: None });
            }
            SelectItem::Wildcard(options)
                if *options == ast::WildcardAdditionalOptions::default() || plain(options) =>
            {
                if rel.visible().next().is_none() && rel.columns.iter().all(|c| c.seen == Seen::Never) && no_tables(rel)
                {
                    let message = "SELECT * with no tables specified is not valid";
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
                items.extend(rel.visible().enumerate().map(|(number, column)| star(column, number)));
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
                if plain(options) =>
            {
                let names = parts(name)?;
                let of = |column: &&Col| match names.as_slice() {
                    [table] => column.table.as_deref() == Some(table),
                    [schema, table] => {
                        column.table.as_deref() == Some(table) && column.schema.as_deref() == Some(schema)
                    }
                    _ => false,
                };
                let columns: Vec<&Col> =
                    rel.columns.iter().filter(|c| !matches!(c.seen, Seen::Named | Seen::Never)).filter(of).collect();
                if columns.is_empty() {
                    let message = format!("missing FROM-clause entry for table \"{}\"", names.join("."));
                    return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message).at(self.position(name)));
                }
                items.extend(columns.into_iter().enumerate().map(|(number, column)| star(column, number)));
            }
            other => return Err(SqlError::unsupported(format!("\"{other}\" in a select list"))),
        }
        Ok(())
    }

    /// Gives aggregates, window functions, functions of many rows and subqueries columns.
    fn computed_parts(
        &mut self,
        mut rel: Rel,
        select: &ast::Select,
        output: &Output,
    ) -> SqlResult<(Rel, Parts, Option<Rel>)> {
        let mut parts = Parts::new();
        let exprs: Vec<&ast::Expr> = output.items.iter().map(|item| &item.expr).chain(&select.having).collect();
        let by = group_by(select)?;
        let mut before = None;
        if !by.is_empty() || select.having.is_some() || exprs.iter().any(|expr| has_aggregate(expr)) {
            let meaning = |item: &Item| item.column.as_ref().map_or_else(|| item.expr.clone(), as_whole_reference);
            let named: Vec<(String, ast::Expr)> =
                output.items[..output.shown].iter().map(|item| (item.name.clone(), meaning(item))).collect();
            let mut used = exprs.clone();
            let stars: Vec<ast::Expr> =
                output.items.iter().filter_map(|item| item.column.as_ref().map(as_reference)).collect();
            used.extend(&stars);
            before = Some(rel.clone());
            rel = self.group(rel, &by, &named, &used, &mut parts)?;
            if let (Some(having), Some(before)) = (&select.having, &before) {
                self.having(&mut rel, having, &mut parts, before)?;
            }
        }
        rel.stem = Some(Stem::of(&rel));
        for item in &output.items {
            self.attach_subqueries(&mut rel, &item.expr, &mut parts, before.as_ref(), "SELECT")?;
        }
        rel.stem = None;
        self.windows(&mut rel, select, &exprs, &mut parts, before.as_ref())?;
        self.expand_rows(&mut rel, &exprs, &mut parts, before.as_ref())?;
        Ok((rel, parts, before))
    }

    /// The output: projected, without duplicates, sorted and limited.
    #[expect(clippy::too_many_arguments, reason = "the clauses of one statement")]
    fn finish(
        &mut self,
        rel: Rel,
        parts: Parts,
        before: Option<Rel>,
        output: Output,
        select: &ast::Select,
        limits: Limits,
        wanted: &[SqlType],
    ) -> SqlResult<Rel> {
        let mut exprs: Vec<Expr> = Vec::new();
        let mut result = Rel::new(rel.plan.clone(), Vec::new());
        let mut empty = Vec::new();
        let may_wait = |place: usize| {
            let arranged = !output.order.is_empty() || limits != Limits::default();
            let sorted_by = output.order.iter().any(|key| key.number == place);
            arranged && !sorted_by && place < output.shown && select.distinct.is_none() && rel.outer.is_empty()
        };
        let mut late = Late::new();
        for (place, item) in output.items.iter().enumerate() {
            let site = Site { rel: &rel, parts: &parts, before: before.as_ref(), clause: "SELECT" };
            let mut value = match &item.column {
                Some(column) => self.star_column(&rel, column)?,
                None => self.bind(site, &item.expr, Wish::Open)?,
            };
            if *value.ty() == SqlType::Unknown
                && let Some(ty) = wanted.get(place)
            {
                value = self.coerce(value, ty, CastContext::Assignment)?;
            } else if *value.ty() == SqlType::Unknown && !self.open && matches!(value, bind::Expr::Param { .. }) {
                value = self.coerce(value, &SqlType::Text, CastContext::Implicit)?;
            }
            let nullable = value.as_column().is_none_or(|number| rel.columns[number].nullable);
            let nullable = nullable && value.as_const().is_none_or(annulus_relation::Value::is_null);
            let waits = may_wait(place) && value.volatility() == bind::Volatility::Volatile;
            let now = if waits { bind::Expr::null(value.ty().clone()) } else { value.clone() };
            let lowered = self.lower(&rel, &now)?;
            let (expr, mut column) = self.computed(&item.name, value.ty().clone(), nullable, lowered);
            if waits {
                late.push((place, value.clone()));
            }
            if let Some(number) = value.as_column() {
                column.fields.clone_from(&rel.columns[number].fields);
            }
            if place >= output.shown {
                column.seen = Seen::Never;
            } else if rel.equated && rel.single {
                empty.push(self.value_for_no_rows(&rel, &parts, value)?);
            }
            exprs.push(expr);
            result.columns.push(column);
        }
        self.keep_fields(&rel, &mut result, &mut exprs);
        for (name, number) in &rel.outer {
            let old = &rel.columns[*number];
            let (expr, column) = self.computed(&old.name, old.ty.clone(), old.nullable, old.expr());
            exprs.push(expr);
            result.outer.push((name.clone(), result.columns.len()));
            result.columns.push(column.hidden());
        }
        let late = self.needed_late(&rel, late, &mut result, &mut exprs)?;
        (result.equated, result.single) = (rel.equated, rel.single);
        result.empty = (!empty.is_empty()).then_some(empty);
        result.plan = built(rel.builder().project(exprs).and_then(LogicalPlanBuilder::build))?;
        let arranged = self.arrange(result, output, select, limits)?;
        self.compute_late(arranged, late)
    }

    /// Keeps the fields of those output columns that stand for whole rows.
    fn keep_fields(&mut self, rel: &Rel, result: &mut Rel, exprs: &mut Vec<Expr>) {
        for place in 0..result.columns.len() {
            for number in 0..result.columns[place].fields.len() {
                let field = result.columns[place].fields[number].1.clone();
                let Some(old) = rel.columns.iter().find(|column| column.field == field) else { continue };
                let (expr, column) = self.computed("", old.ty.clone(), old.nullable, old.expr());
                result.columns[place].fields[number].1 = column.field.clone();
                exprs.push(expr);
                result.columns.push(column.hidden());
            }
        }
    }

    fn arrange(&mut self, rel: Rel, output: Output, select: &ast::Select, limits: Limits) -> SqlResult<Rel> {
        let (mut rel, mut order) = (rel, output.order);
        match &select.distinct {
            Some(Distinct::Distinct) => {
                let empty = rel.empty.take();
                let single = rel.single;
                let shown: Vec<usize> = (0..output.shown).collect();
                rel = self.distinct(rel, &shown)?;
                (rel.empty, rel.single) = (empty, single);
            }
            Some(Distinct::On(_)) => {
                let on = output.on.unwrap_or_default();
                let missing = on.iter().filter(|number| !order.iter().any(|key| key.number == **number));
                let missing: Vec<SortKey> =
                    missing.map(|number| SortKey { number: *number, descending: false, nulls_first: false }).collect();
                order.extend(missing);
                rel = self.first_of_each(rel, &on, &order)?;
            }
            _ => {}
        }
        if order.is_empty() && limits == Limits::default() {
            return Ok(rel);
        }
        self.arranged(rel, order, limits)
    }

    /// A column that `*` stands for, where it is now.
    fn star_column(&self, rel: &Rel, column: &Col) -> SqlResult<bind::Expr> {
        let same = |other: &Col| {
            other.field == column.field
                || (other.source.is_some() && other.source == column.source && other.name == column.name)
        };
        let found = rel.columns.iter().position(same).or_else(|| only_named(rel, column));
        found.map(|number| bound(rel, number)).ok_or_else(|| {
            let table = column.table.as_ref().map(|table| format!("{table}.")).unwrap_or_default();
            let message = format!(
                "column \"{table}{}\" must appear in the GROUP BY clause or be used in an aggregate function",
                column.name
            );
            SqlError::new(SqlState::GROUPING_ERROR, message)
        })
    }

    /// An output column of a query with aggregates and without `GROUP BY`, for no rows.
    fn value_for_no_rows(&self, rel: &Rel, parts: &Parts, value: bind::Expr) -> SqlResult<bind::Expr> {
        let empty = |number: usize| {
            let is =
                |(call, stands): &&(ast::Expr, bind::Expr)| is_aggregate(call) && stands.as_column() == Some(number);
            let counts = parts.iter().find(is).is_some_and(|(call, _)| matches!(call, ast::Expr::Function(function)
                if super::aggregates::function_name(function).is_some_and(|name| crate::query::aggregate::is_count(&name))));
            let ty = rel.columns[number].ty.clone();
            match counts {
                true => bind::Expr::literal(annulus_relation::Value::Int8(0), ty),
                false => bind::Expr::null(ty),
            }
        };
        Ok(value.rewrite(&mut |part| match part.as_column() {
            Some(number) if matches!(part, bind::Expr::Column { .. }) => empty(number),
            _ => part,
        }))
    }
}

/// What of `SELECT` is not PostgreSQL's.
fn refuse(select: &ast::Select) -> SqlResult<()> {
    let foreign = select.top.is_some()
        || select.exclude.is_some()
        || !select.lateral_views.is_empty()
        || select.prewhere.is_some()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || select.qualify.is_some()
        || select.value_table_mode.is_some();
    if foreign {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "a clause that PostgreSQL does not know"));
    }
    match select.into {
        Some(_) => Err(SqlError::new(SqlState::SYNTAX_ERROR, "SELECT ... INTO is not allowed here")),
        None => Ok(()),
    }
}

fn group_by(select: &ast::Select) -> SqlResult<Vec<ast::Expr>> {
    match &select.group_by {
        GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => Ok(exprs.clone()),
        _ => Err(SqlError::unsupported("GROUP BY ALL")),
    }
}

fn output_exprs(select: &ast::Select) -> Vec<&ast::Expr> {
    let expr = |item| match item {
        &SelectItem::UnnamedExpr(ref expr) | &SelectItem::ExprWithAlias { ref expr, .. } => Some(expr),
        _ => None,
    };
    select.projection.iter().filter_map(expr).chain(&select.having).collect()
}

/// Whether all names in an expression are within aggregates.
fn names_only_in_aggregates(expr: &ast::Expr) -> bool {
    let parts = find_parts(expr, &|part| is_aggregate(part) || as_name(part).is_some());
    parts.iter().all(is_aggregate) && !has_subquery(expr)
}

fn plain(options: &ast::WildcardAdditionalOptions) -> bool {
    options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_rename.is_none()
        && options.opt_replace.is_none()
        && options.opt_alias.is_none()
}

fn no_tables(rel: &Rel) -> bool {
    rel.columns.is_empty()
}

fn is_column(rel: &Rel, column: &Col, expr: &ast::Expr) -> bool {
    let Some(idents) = as_name(expr) else { return false };
    let names: Vec<String> = idents.iter().map(folded).collect();
    match names.as_slice() {
        [name] => column.name == *name && rel.visible().filter(|c| c.name == *name).count() == 1,
        [table, name] => column.name == *name && column.table.as_deref() == Some(table),
        _ => false,
    }
}

/// The number of the only column that is called as one is: where it was grouped by, it may be another one in the plan.
fn only_named(rel: &Rel, column: &Col) -> Option<usize> {
    let is_named =
        |other: &Col| (&other.table, &other.schema, &other.name) == (&column.table, &column.schema, &column.name);
    let mut found = (0..rel.columns.len()).filter(|number| is_named(&rel.columns[*number]));
    found.next().filter(|_| found.next().is_none())
}

/// A reference to a column, as far as its last part.
fn as_reference(column: &Col) -> ast::Expr {
    ast::Expr::Identifier(ast::Ident::with_quote('"', &column.name))
}

/// A reference to a column with all that is known of where it is.
fn as_whole_reference(column: &Col) -> ast::Expr {
    let parts = column.schema.iter().chain(&column.table).chain([&column.name]);
    ast::Expr::CompoundIdentifier(parts.map(|part| ast::Ident::with_quote('"', part)).collect())
}
