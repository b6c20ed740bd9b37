//! Grouping: by columns, where equal values are one whatever they look like.

use annulus_relation::{SqlResult, SqlType};
use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan, LogicalPlanBuilder, lit, when};

use super::{Col, Rel, Seen, Translator, built};
use crate::query::aggregate;
use crate::query::arrow::{Comparison, comparison};
use crate::query::scalar::{key, literal};

/// An aggregate of a relation's groups.
pub(in crate::query) struct Aggregated {
    /// Over the relation.
    pub expr: Expr,
    pub ty: SqlType,
    /// What it is for no rows, if that is not NULL.
    pub empty: Option<annulus_relation::Value>,
}

/// How the columns that are grouped by stand in the plan.
struct Keys {
    /// What is grouped by.
    by: Vec<Column>,
    /// For each, the aggregate that gives one of the values as it looks, if the key does not show it.
    shown: Vec<Option<Expr>>,
}

impl Translator<'_> {
    /// The relation grouped by columns of its own. Columns of the surroundings are grouped by, too. The result has the
    /// columns grouped by, in order, then one for each aggregate.
    pub(super) fn grouped(&mut self, rel: Rel, by: &[usize], aggregates: Vec<Aggregated>) -> SqlResult<Rel> {
        self.grouped_in_sets(rel, by, None, aggregates).map(|(rel, _)| rel)
    }

    /// The same in several grouping sets, each of which says which of the columns it groups by; gives also the column
    /// that says which were not: the last one is the lowest bit.
    pub(super) fn grouped_in_sets(
        &mut self,
        mut rel: Rel,
        by: &[usize],
        sets: Option<Vec<Vec<usize>>>,
        aggregates: Vec<Aggregated>,
    ) -> SqlResult<(Rel, Option<Expr>)> {
        let mut numbers = by.to_vec();
        numbers.extend(rel.outer.iter().map(|(_, number)| *number).filter(|number| !by.contains(number)));
        let keys = self.keys(&mut rel, &numbers)?;
        let group = Self::group_exprs(by.len(), &keys, sets);
        let mut exprs = Vec::new();
        let mut fields = Vec::new();
        let shown = keys.shown.iter().flatten().cloned();
        for expr in shown.chain(aggregates.iter().map(|aggregate| aggregate.expr.clone())) {
            let field = self.fresh("agg");
            exprs.push(expr.alias(&field));
            fields.push(Column::new_unqualified(field));
        }
        if group.is_empty() && exprs.is_empty() {
            // The one group of `HAVING` alone: DataFusion wants something to compute.
            exprs.push(aggregate::count(lit(1_i64)).alias(self.fresh("agg")));
        }
        let in_sets = matches!(group.as_slice(), [Expr::GroupingSet(_)]);
        let aggregate = built(Aggregate::try_new(rel.plan.clone().into(), group, exprs))?;
        let id = in_sets.then(|| Expr::Column(Column::new_unqualified(Aggregate::INTERNAL_GROUPING_ID)));
        let mut fields = fields.into_iter();
        let mut result = Rel::new(LogicalPlan::Aggregate(aggregate), Vec::new());
        for ((number, field), shown) in numbers.iter().zip(&keys.by).zip(&keys.shown) {
            let mut column = rel.columns[*number].clone();
            column.field = field.clone();
            column.nullable |= in_sets;
            if shown.is_some() {
                let by = Expr::Column(field.clone());
                column.field = fields.next().unwrap_or_else(|| field.clone());
                if in_sets {
                    // Where it is not grouped by, it is NULL.
                    let value = built(when(by.is_not_null(), column.expr()).end())?;
                    let (expr, copy) = self.computed(&column.name, column.ty.clone(), true, value);
                    let all = result.plan.schema().columns().into_iter().map(Expr::Column).chain([expr]);
                    let all: Vec<Expr> = all.collect();
                    result.plan = built(result.builder().project(all).and_then(LogicalPlanBuilder::build))?;
                    column.field = copy.field;
                }
            }
            result.columns.push(column);
        }
        for (aggregate, field) in aggregates.iter().zip(fields) {
            result.columns.push(Col {
                table: None,
                schema: None,
                name: String::new(),
                ty: aggregate.ty.clone(),
                nullable: aggregate.empty.is_none(),
                field,
                seen: Seen::Never,
                source: None,
                primary: 0,
                fields: Vec::new(),
                presence: Default::default(),
                alone: false,
            });
        }
        let place = |number: &usize| numbers.iter().position(|known| known == number).unwrap_or_default();
        result.outer = rel.outer.iter().map(|(name, number)| (name.clone(), place(number))).collect();
        result.equated = rel.equated;
        Ok((result, id))
    }

    /// What is grouped by: each set has some of the first `own` columns, and all behind them.
    fn group_exprs(own: usize, keys: &Keys, sets: Option<Vec<Vec<usize>>>) -> Vec<Expr> {
        let all: Vec<Expr> = keys.by.iter().cloned().map(Expr::Column).collect();
        let Some(sets) = sets else { return all };
        let set = |set: Vec<usize>| set.into_iter().chain(own..all.len()).map(|place| all[place].clone()).collect();
        vec![Expr::GroupingSet(GroupingSet::GroupingSets(sets.into_iter().map(set).collect()))]
    }

    /// What stands for columns where they are grouped by.
    fn keys(&mut self, rel: &mut Rel, numbers: &[usize]) -> SqlResult<Keys> {
        let mut computed = Vec::new();
        for number in numbers {
            let column = &rel.columns[*number];
            let ty = match comparison(&column.ty)? {
                Comparison::Key => SqlType::Bytea,
                _ => column.ty.clone(),
            };
            computed.push((key(column.expr(), &column.ty)?, ty, column.nullable));
        }
        let places = self.extend(rel, computed)?;
        let by = places.iter().map(|place| rel.columns[*place].field.clone()).collect();
        let shown = numbers.iter().map(|number| {
            let column = &rel.columns[*number];
            (comparison(&column.ty) == Ok(Comparison::Key)).then(|| aggregate::any(column.expr()))
        });
        let shown = shown.collect();
        Ok(Keys { by, shown })
    }

    /// The distinct combinations of some columns: those only, in order.
    pub(super) fn distinct(&mut self, rel: Rel, numbers: &[usize]) -> SqlResult<Rel> {
        if numbers.is_empty() && rel.outer.is_empty() {
            // All rows are the same.
            let plan = built(rel.builder().limit(0, Some(1)).and_then(LogicalPlanBuilder::build))?;
            return Ok(Rel { plan, ..rel });
        }
        self.grouped(rel, numbers, Vec::new())
    }

    /// The number of a relation's rows, as its last column; without any rows it is 0.
    pub(super) fn has_rows(&mut self, rel: Rel) -> SqlResult<Rel> {
        let plan = built(rel.builder().limit(0, Some(1)).and_then(LogicalPlanBuilder::build))?;
        let counted = vec![Aggregated {
            expr: aggregate::count(lit(1_i64)),
            ty: SqlType::Int8,
            empty: Some(annulus_relation::Value::Int8(0)),
        }];
        let mut rel = self.grouped(Rel { plan, ..rel }, &[], counted)?;
        let some = rel.columns[rel.columns.len() - 1].expr().gt(lit(0_i64));
        let (expr, column) = self.computed("exists", SqlType::Bool, false, some);
        rel.plan = built(rel.builder().project([expr]).and_then(LogicalPlanBuilder::build))?;
        rel.columns = vec![column.hidden()];
        Ok(rel)
    }

    /// How many rows a subquery has for each row of the surroundings, and how many are not NULL: its first columns.
    pub(super) fn counts(&mut self, rel: Rel) -> SqlResult<Rel> {
        let value = rel.visible().next().map(Col::expr).unwrap_or_else(|| lit(1_i64));
        let count = |expr| Aggregated {
            expr: aggregate::count(expr),
            ty: SqlType::Int8,
            empty: Some(annulus_relation::Value::Int8(0)),
        };
        let mut rel = self.grouped(rel, &[], vec![count(lit(1_i64)), count(value)])?;
        let keys = rel.columns.len() - 2;
        rel.columns.rotate_left(keys);
        rel.outer.iter_mut().for_each(|(_, number)| *number += 2);
        Ok(rel)
    }

    /// A subquery used as a value: more than one row for a row of the surroundings is an error when it runs.
    pub(super) fn only_one(&mut self, rel: Rel) -> SqlResult<Rel> {
        let single = |value: &Col| {
            let expr = aggregate::single(value.expr(), &value.ty);
            Aggregated { expr, ty: value.ty.clone(), empty: None }
        };
        let values: Vec<Aggregated> = rel.visible().map(single).collect();
        let width = values.len();
        let mut rel = self.grouped(rel, &[], values)?;
        let hidden = rel.columns.len() - width;
        for (place, column) in rel.columns.iter_mut().enumerate() {
            column.seen = if place < hidden { Seen::Never } else { Seen::Always };
        }
        rel.single = true;
        Ok(rel)
    }

    /// An aggregate without `GROUP BY` has a result for every row of the surroundings, also for those that it has no
    /// rows for.
    pub(super) fn for_every_row(
        &mut self,
        grouped: Rel,
        aggregates: &[Option<annulus_relation::Value>],
    ) -> SqlResult<Rel> {
        if grouped.outer.is_empty() {
            return Ok(grouped);
        }
        let mut rel = self.attach_domain(Rel::unit()?)?;
        let offset = rel.columns.len();
        let mut combined = rel.clone();
        combined.columns.extend(grouped.columns.iter().cloned());
        let mut conditions = Vec::new();
        for (name, number) in &rel.outer {
            let Some((_, other)) = grouped.outer.iter().find(|(known, _)| known == name) else { continue };
            let (left, right) = (&combined.columns[*number], &combined.columns[offset + other]);
            let (left, right) = (key(left.expr(), &left.ty)?, key(right.expr(), &right.ty)?);
            conditions.push(datafusion::logical_expr::binary_expr(
                left,
                datafusion::logical_expr::Operator::IsNotDistinctFrom,
                right,
            ));
        }
        let first = offset + grouped.columns.len() - aggregates.len();
        combined.plan = built(
            rel.builder().join_on(grouped.plan.clone(), JoinType::Left, conditions).and_then(LogicalPlanBuilder::build),
        )?;
        combined.columns[offset..].iter_mut().for_each(|column| column.nullable = true);
        let mut filled = Vec::new();
        for (place, empty) in aggregates.iter().enumerate() {
            let column = &combined.columns[first + place];
            let expr = match empty {
                Some(value) => {
                    built(when(column.expr().is_null(), literal(&column.ty, value)).otherwise(column.expr()))?
                }
                None => column.expr(),
            };
            filled.push((expr, column.ty.clone(), empty.is_none()));
        }
        let numbers = self.extend(&mut combined, filled)?;
        let values = numbers.iter().map(|number| combined.columns[*number].clone());
        rel.columns.extend(values);
        rel.plan = combined.plan;
        Ok(rel)
    }
}
