//! `DELETE` from one table.

use annulus_relation::{Outcome, SqlResult, Value};
use annulus_txn::interface::Database;
use sqlparser::ast::{self, FromTable};

use super::projection::Projection;
use super::target::{Target, only_table};
use super::update::returning;
use super::{Changed, Source, Writing};
use crate::bind::{ParamTypes, needs_query};
use crate::parse::Parsed;
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

    /// Gives the writer its rows.
    pub async fn collect<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        params: &[Value],
        writing: &mut Writing<'_>,
    ) -> Outcome<Changed> {
        let found = self.source.rows(work, params, writing.evaluator).await?;
        let mut changed = Changed::default();
        for tuple in found {
            let row = self.returning.is_some().then(|| tuple.values.clone());
            if writing.writer.delete(self.source.target.table.id, tuple)? {
                changed.count += 1;
                changed.rows.extend(row);
            }
        }
        Ok(changed)
    }
}
