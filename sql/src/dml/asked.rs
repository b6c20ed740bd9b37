//! Queries over rows that a statement has found: for what `ON CONFLICT DO UPDATE` and `MERGE` say with subqueries.
//!
//! The query is given the rows as relations, under the names that the statement has for them; rows that belong together
//! have the same number. The tables are seen as they were before the statement, as all that it changes is stored at its end.

use std::collections::BTreeMap;

use annulus_relation::error::SqlState;
use annulus_relation::{Outcome, Row, SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::Database;
use sqlparser::ast;

use super::joined::without_position;
use super::query::{Query, check_assignable};
use crate::bind::{Need, ParamTypes, needs_query, quote_name};
use crate::parse::parse_query;
use crate::query::{Given, ROW_ID_COLUMN};
use crate::statement::{Setting, Work};

/// A relation of such a query: its name in the statement, and its columns.
pub(super) type Named = (String, Vec<(String, SqlType)>);

/// What is asked about found rows.
pub(super) struct Asked {
    query: Query,
    /// The row's number, and the values that are wanted.
    types: Vec<(String, SqlType)>,
    relations: Vec<Given>,
}

/// Whether any expression has a subquery.
pub(super) fn asks<'e>(exprs: impl IntoIterator<Item = &'e ast::Expr>) -> bool {
    exprs.into_iter().any(|expr| needs_query(expr) == Some(Need::Subquery))
}

impl Asked {
    /// Asks for values, by their texts, to be assigned to columns, of those rows for which a condition is true.
    pub fn new(
        names: &[Named],
        (values, columns): (&[String], Vec<(String, SqlType)>),
        filter: Option<&ast::Expr>,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let number = |name: &str| format!("{}.{}", quote_name(name), quote_name(ROW_ID_COLUMN));
        let (mut from, mut relations) = (String::new(), Vec::<Given>::new());
        for (name, own) in names {
            // No client writes such a name.
            let given = format!("found rows {}", relations.len());
            let relation = format!("{} AS {}", quote_name(&given), quote_name(name));
            from = match names.first().filter(|_| !relations.is_empty()) {
                None => relation,
                Some((first, _)) => format!("{from} JOIN {relation} ON {} = {}", number(name), number(first)),
            };
            let own = own.iter().cloned().chain([(ROW_ID_COLUMN.to_owned(), SqlType::Int8)]).collect();
            relations.push(Given { name: given, columns: Some(own), rows: Default::default() });
        }
        let first = names.first().map(|(name, _)| number(name)).unwrap_or_default();
        let list: Vec<String> = [first].into_iter().chain(values.iter().cloned()).collect();
        let filter = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
        let text = format!("{}SELECT {} FROM {from}{filter}", setting.with_text(), list.join(", "));
        let types: Vec<_> = [(ROW_ID_COLUMN.to_owned(), SqlType::Int8)].into_iter().chain(columns).collect();
        let targets: Vec<SqlType> = types.iter().map(|(_, ty)| ty.clone()).collect();
        let given: Vec<Given> = setting.given.iter().chain(&relations).cloned().collect();
        let (query, inner) = (parse_query(&text)?, setting.given(&given));
        let query = Query::new(&query, &text.into(), &targets, &inner, params).map_err(without_position)?;
        check_assignable(&query.columns, &types)?;
        Ok(Self { query, types, relations })
    }

    /// The values, by the numbers of those rows for which the condition is true. A row has the columns of all relations.
    pub async fn ask<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        params: &[Value],
        rows: &[(usize, &[Value])],
    ) -> Outcome<BTreeMap<usize, Row>> {
        if rows.is_empty() {
            return Ok(BTreeMap::new());
        }
        let before = work.active.given.len();
        work.active.given.extend(self.filled(rows));
        let found = self.query.assigned(work, params, &self.types).await;
        work.active.given.truncate(before);
        let numbered = |mut row: Row| match row.remove(0) {
            Value::Int8(number) => Ok((usize::try_from(number).unwrap_or(usize::MAX), row)),
            _ => Err(SqlError::new(SqlState::INTERNAL_ERROR, "a row without a number")),
        };
        Ok(found?.into_iter().map(numbered).collect::<SqlResult<_>>()?)
    }

    /// The relations with these rows.
    fn filled(&self, rows: &[(usize, &[Value])]) -> Vec<Given> {
        let mut start = 0;
        let mut filled = Vec::with_capacity(self.relations.len());
        for given in &self.relations {
            let width = given.columns.as_ref().map_or(0, |columns| columns.len() - 1);
            let own = rows.iter().map(|(number, row)| {
                let number = Value::Int8(i64::try_from(*number).unwrap_or(i64::MAX));
                row[start..start + width].iter().cloned().chain([number]).collect::<Row>()
            });
            filled.push(Given { rows: own.collect(), ..given.clone() });
            start += width;
        }
        filled
    }
}
