//! `DELETE` from one table.

use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::ops::Writer;
use annulus_relation::{Outcome, Row, SqlResult, Value};
use annulus_txn::interface::Database;
use sqlparser::ast::{self, FromTable};

use super::projection::Projection;
use super::stored::Evaluator;
use super::target::{Target, only_table};
use super::update::returning;
use super::{Source, around, changed, finish};
use crate::bind::{ParamTypes, needs_query};
use crate::parse::Parsed;
use crate::session::Produced;
use crate::statement::{Setting, Work};

/// A `DELETE` from one table.
pub(crate) struct Delete {
    pub source: Source,
    pub returning: Option<Projection>,
}

/// The table in a `DELETE`'s `FROM`.
pub(crate) fn from_of(delete: &ast::Delete) -> Option<&ast::TableWithJoins> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    match from.as_slice() {
        [only] if delete.tables.is_empty() => Some(only),
        _ => None,
    }
}

impl Delete {
    /// The plan; `None` if it needs a query.
    pub fn new(
        delete: &ast::Delete,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Option<Self>> {
        let simple =
            delete.using.is_none() && delete.selection.as_ref().is_none_or(|filter| needs_query(filter).is_none());
        let Some((name, alias)) = from_of(delete).and_then(only_table).filter(|_| simple) else { return Ok(None) };
        let target = Target::new(setting, name, alias)?;
        let source = Source::new(target, delete.selection.as_ref(), parsed, setting, params, false)?;
        let returning =
            returning(delete.returning.as_deref(), &source.target, &source.target.scope, parsed, setting, params)?;
        Ok(Some(Self { source, returning }))
    }

    /// Runs it.
    pub async fn run<D: Database>(&self, work: &mut Work<'_, D>, params: &[Value]) -> Outcome<Produced> {
        work.active.check_writable("DELETE")?;
        let found = self.source.rows(work, params).await?;
        let catalogs = Rc::clone(work.catalogs);
        let (env, shared) = (Arc::clone(&work.active.env), Arc::clone(work.shared));
        let evaluator = Evaluator { stored: &catalogs.expressions, env: &env, shared: &shared };
        let catalog = Arc::clone(&work.active.catalog);
        let mut writer = Writer::new(around(&catalog, &evaluator), work.checks());
        let context = evaluator.context();
        let mut returned = self.returning.is_some().then(Vec::new);
        let mut count = 0_u64;
        for tuple in found {
            let row: Option<Row> = self
                .returning
                .as_ref()
                .map(|returning| returning.apply(&tuple.values, params, &context))
                .transpose()?;
            if writer.delete(self.source.target.table.id, tuple)? {
                count += 1;
                if let (Some(rows), Some(row)) = (&mut returned, row) {
                    rows.push(row);
                }
            }
        }
        finish(work, writer).await?;
        Ok(changed("DELETE", count, returned))
    }
}
