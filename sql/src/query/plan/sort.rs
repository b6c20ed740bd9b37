//! `ORDER BY`, `LIMIT` and `DISTINCT ON`.

use std::sync::Arc;

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions_window::rank::rank_udwf;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::{Sort, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    Expr, LogicalPlanBuilder, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition, WindowUDF,
    cast, lit,
};
use sqlparser::ast::{self, LimitClause};

use super::{Rel, Translator, built};
use crate::query::scalar::key;

/// What a relation is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SortKey {
    /// The column's number.
    pub number: usize,
    pub descending: bool,
    pub nulls_first: bool,
}

/// Which rows are left away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub skip: usize,
    pub take: Option<usize>,
    /// `WITH TIES`: rows that are sorted like the last one are not left away.
    pub ties: bool,
}

impl SortKey {
    /// A column in the direction that an item of `ORDER BY` says.
    pub fn new(number: usize, options: &ast::OrderByOptions) -> Self {
        let descending = options.asc == Some(false);
        Self { number, descending, nulls_first: options.nulls_first.unwrap_or(descending) }
    }

    fn expr(&self, rel: &Rel) -> SqlResult<Sort> {
        let column = &rel.columns[self.number];
        Ok(key(column.expr(), &column.ty)?.sort(!self.descending, self.nulls_first))
    }
}

/// The error for types that cannot be sorted says what to do.
fn sortable(rel: &Rel, keys: &[SortKey]) -> SqlResult<Vec<Sort>> {
    keys.iter()
        .map(|sort_key| {
            sort_key.expr(rel).map_err(|error| {
                if error.state() == SqlState::FEATURE_NOT_SUPPORTED {
                    return error;
                }
                let ty = rel.columns[sort_key.number].ty.name();
                let message = format!("could not identify an ordering operator for type {ty}");
                SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
                    .hint("Use an explicit ordering operator or modify the query.")
            })
        })
        .collect()
}

impl Translator<'_> {
    /// The relation sorted, and only some of its rows; for each row of the surroundings, where it depends on them.
    pub(super) fn arranged(&mut self, mut rel: Rel, keys: Vec<SortKey>, limits: Limits) -> SqlResult<Rel> {
        if limits.ties {
            return self.arranged_with_ties(rel, keys, limits);
        }
        let sorts = sortable(&rel, &keys)?;
        rel.order = keys;
        if limits != Limits::default() && !rel.outer.is_empty() {
            return self.arranged_within(rel, sorts, limits);
        }
        let mut builder = rel.builder();
        if !sorts.is_empty() {
            builder = built(builder.sort(sorts))?;
        }
        if limits != Limits::default() {
            builder = built(builder.limit(limits.skip, limits.take))?;
            rel.single |= limits.take.is_some_and(|take| take <= 1);
        }
        rel.plan = built(builder.build())?;
        Ok(rel)
    }

    /// Those rows that come behind the ones to skip, and that fewer than are taken come before.
    fn arranged_with_ties(&mut self, mut rel: Rel, keys: Vec<SortKey>, limits: Limits) -> SqlResult<Rel> {
        let sorts = sortable(&rel, &keys)?;
        let partition: Vec<usize> = rel.outer.iter().map(|(_, number)| *number).collect();
        let number = self.placed(row_number_udwf(), &mut rel, &partition, sorts.clone())?;
        let rank = self.placed(rank_udwf(), &mut rel, &partition, sorts)?;
        let skip = i64::try_from(limits.skip).unwrap_or(i64::MAX);
        let mut condition = rel.columns[number].expr().gt(lit(skip));
        if let Some(take) = limits.take {
            let last = skip.saturating_add(i64::try_from(take).unwrap_or(i64::MAX));
            condition = condition.and(rel.columns[rank].expr().lt_eq(lit(last))).and(lit(take > 0));
        }
        rel.plan = built(rel.builder().filter(condition).and_then(LogicalPlanBuilder::build))?;
        self.arranged(rel, keys, Limits::default())
    }

    fn arranged_within(&mut self, mut rel: Rel, sorts: Vec<Sort>, limits: Limits) -> SqlResult<Rel> {
        let partition: Vec<usize> = rel.outer.iter().map(|(_, number)| *number).collect();
        let number = self.numbered(&mut rel, &partition, sorts)?;
        let place = rel.columns[number].expr();
        let skip = i64::try_from(limits.skip).unwrap_or(i64::MAX);
        let mut condition = place.clone().gt(lit(skip));
        if let Some(take) = limits.take {
            let last = skip.saturating_add(i64::try_from(take).unwrap_or(i64::MAX));
            condition = condition.and(place.lt_eq(lit(last)));
            rel.single |= take <= 1;
        }
        rel.plan = built(rel.builder().filter(condition).and_then(LogicalPlanBuilder::build))?;
        Ok(rel)
    }

    /// Numbers the rows of each partition, from 1; gives the column's number.
    pub(super) fn numbered(&mut self, rel: &mut Rel, partition: &[usize], order: Vec<Sort>) -> SqlResult<usize> {
        self.placed(row_number_udwf(), rel, partition, order)
    }

    /// A function that says where in its partition a row stands; gives the column's number.
    fn placed(
        &mut self,
        function: Arc<WindowUDF>,
        rel: &mut Rel,
        partition: &[usize],
        order: Vec<Sort>,
    ) -> SqlResult<usize> {
        let partition = partition.iter().map(|number| {
            let column = &rel.columns[*number];
            key(column.expr(), &column.ty)
        });
        // Not the frame by default, which is by range: not every key has ranges.
        let begin = WindowFrameBound::Preceding(ScalarValue::UInt64(None));
        let frame = WindowFrame::new_bounds(WindowFrameUnits::Rows, begin, WindowFrameBound::CurrentRow);
        let params = WindowFunctionParams {
            args: Vec::new(),
            partition_by: partition.collect::<SqlResult<_>>()?,
            order_by: order,
            window_frame: frame,
            filter: None,
            null_treatment: None,
            distinct: false,
        };
        let fun = WindowFunctionDefinition::WindowUDF(function);
        let field = self.fresh("row");
        let window = Expr::from(WindowFunction { fun, params }).alias(&field);
        rel.plan = built(rel.builder().window([window]).and_then(LogicalPlanBuilder::build))?;
        let number = cast(Expr::Column(datafusion::common::Column::new_unqualified(field)), DataType::Int64);
        Ok(self.extend(rel, vec![(number, SqlType::Int8, false)])?[0])
    }

    /// The first row of each group of rows that are equal in some columns, in the order of `keys`, which begin with
    /// those columns.
    pub(super) fn first_of_each(&mut self, mut rel: Rel, on: &[usize], keys: &[SortKey]) -> SqlResult<Rel> {
        let mut partition = on.to_vec();
        partition.extend(rel.outer.iter().map(|(_, number)| *number));
        let sorts = sortable(&rel, keys)?;
        let number = self.numbered(&mut rel, &partition, sorts)?;
        let first = rel.columns[number].expr().eq(lit(1_i64));
        rel.plan = built(rel.builder().filter(first).and_then(LogicalPlanBuilder::build))?;
        Ok(rel)
    }

    /// What `LIMIT`, `OFFSET` and `FETCH` say.
    pub(super) fn limits(&mut self, query: &ast::Query) -> SqlResult<Limits> {
        let (limit, offset) = match &query.limit_clause {
            None => (None, None),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(_) => {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "LIMIT #,# syntax is not supported")
                    .hint("Use separate LIMIT and OFFSET clauses."));
            }
        };
        let mut take = match limit {
            Some(limit) => self.count(limit, "LIMIT")?,
            None => None,
        };
        if let Some(fetch) = &query.fetch {
            if fetch.percent {
                return Err(SqlError::unsupported("FETCH FIRST ... PERCENT"));
            }
            take = match &fetch.quantity {
                Some(quantity) => self.count(quantity, "LIMIT")?,
                None => Some(1),
            };
        }
        let skip = match offset {
            Some(offset) => self.count(offset, "OFFSET")?.unwrap_or(0),
            None => 0,
        };
        let ties = query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties);
        if ties && query.order_by.is_none() {
            let message = "WITH TIES cannot be specified without ORDER BY clause";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        if ties && query.locks.iter().any(|lock| lock.nonblock == Some(ast::NonBlock::SkipLocked)) {
            let message = "SKIP LOCKED and WITH TIES options cannot be used together";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        // A parameter that is NULL is no limit.
        let is_null =
            |quantity: &ast::Expr| matches!(quantity, ast::Expr::Value(value) if value.value == ast::Value::Null);
        let quantity = query.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref());
        if ties && quantity.is_some_and(is_null) {
            let message = "row count cannot be null in FETCH FIRST ... WITH TIES clause";
            return Err(SqlError::new(SqlState::INVALID_ROW_COUNT_IN_LIMIT, message));
        }
        Ok(Limits { skip, take, ties })
    }

    /// A number of rows; NULL is none at all. It is unknown while the query is only described.
    fn count(&mut self, expr: &ast::Expr, clause: &'static str) -> SqlResult<Option<usize>> {
        match self.constant(expr, &SqlType::Int8, clause)? {
            Some(Value::Int8(count)) => usize::try_from(count).map(Some).map_err(|_| {
                let state = match clause {
                    "LIMIT" => SqlState::INVALID_ROW_COUNT_IN_LIMIT,
                    _ => SqlState::INVALID_ROW_COUNT_IN_OFFSET,
                };
                SqlError::new(state, format!("{clause} must not be negative"))
            }),
            _ => Ok(None),
        }
    }
}
