//! `COPY`: bulk data from and to the client.
//!
//! Promises and invariants:
//! - `COPY FROM` is one statement of its transaction: all rows or none. Into a table that its transaction has created or
//!   truncated, rows are written by transactions of their own, in a generation of data that nobody sees before the
//!   transaction commits: so there may be any number of them.
//! - Memory is bounded: rows are written as they come, and read as they are taken.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::catalog::{Column, Default};
use annulus_relation::error::SqlState;
use annulus_relation::ops::{Checks, Deferrals, Pending, Writer, explain};
use annulus_relation::transaction::{Mode, Transaction};
use annulus_relation::value::parse;
use annulus_relation::{Failure, Outcome, Row, SqlError, SqlResult, Value};
use annulus_txn::interface::{Database, TxnError};

use decode::{Decoder, Fields};
pub(crate) use encode::Encoder;

use crate::bind::{Binder, Expr, ParamTypes, quote_name};
use crate::dml::{Defaults, Evaluator, Target, row_id};
use crate::parse::{CopyStatement, CopyTarget, Parsed};
use crate::statement::{Setting, Work};

/// How many rows are written at a time, and after how many bytes of data there are enough of them.
const BATCH: usize = 2_000;
const BATCH_BYTES: usize = 1 << 20;

/// `COPY ... FROM STDIN`
pub(crate) struct CopyFrom {
    target: Target,
    columns: Vec<usize>,
    defaults: Defaults,
    filter: Option<Expr>,
    statement: CopyStatement,
}

/// `42P10` for columns that are computed.
fn check_copied(column: &Column) -> SqlResult<()> {
    match column.default {
        Some(Default::Generated(_)) => {
            let message = format!("column \"{}\" is a generated column", column.name);
            Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                .detail("Generated columns cannot be used in COPY."))
        }
        _ => Ok(()),
    }
}

/// Data on its way into a table.
pub(crate) struct CopyIn {
    plan: Rc<CopyFrom>,
    decoder: Decoder,
    rows: Vec<Row>,
    /// How many bytes of data they were.
    bytes: usize,
    count: u64,
    /// Whether rows go around the transaction.
    bulk: bool,
}

impl CopyFrom {
    pub fn new(statement: &CopyStatement, parsed: &Parsed, setting: &Setting<'_>) -> SqlResult<Self> {
        let CopyTarget::Table(name, names) = &statement.target else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "COPY FROM needs a table"));
        };
        let target = Target::new(setting, name, None)?;
        let mut columns = Vec::new();
        for name in names {
            let found = target.table.columns.iter().position(|column| column.name == *name).ok_or_else(|| {
                let message = format!("column \"{name}\" of relation \"{}\" does not exist", target.table.name);
                SqlError::new(SqlState::UNDEFINED_COLUMN, message)
            })?;
            check_copied(&target.table.columns[found])?;
            columns.push(found);
        }
        if names.is_empty() {
            let all = target.table.columns.iter().enumerate();
            columns = all.filter(|(_, column)| check_copied(column).is_ok()).map(|(position, _)| position).collect();
        }
        let mut params = ParamTypes::new();
        let mut binder = Binder::new(&target.scope, &mut params, &setting.env).text(&parsed.whole).clause("WHERE");
        let filter = statement.filter.as_ref().map(|filter| binder.bind_condition(filter)).transpose()?;
        let defaults = Defaults::of(&target, setting)?;
        Ok(Self { target, columns, defaults, filter, statement: statement.clone() })
    }

    /// How many columns the data has.
    pub fn width(&self) -> u16 {
        u16::try_from(self.columns.len()).unwrap_or(u16::MAX)
    }

    /// Ready to take data in.
    pub fn begin<D: Database>(self: &Rc<Self>, work: &mut Work<'_, D>) -> SqlResult<CopyIn> {
        work.active.check_writable("COPY FROM")?;
        let bulk = work.active.is_own(self.target.table.id);
        let decoder = Decoder::new(&self.statement.options);
        Ok(CopyIn { plan: Rc::clone(self), decoder, rows: Vec::new(), bytes: 0, count: 0, bulk })
    }
}

impl CopyIn {
    /// Takes data in.
    pub async fn feed<D: Database>(&mut self, data: &[u8], work: &mut Work<'_, D>) -> Outcome<()> {
        work.deadline.renew();
        for fields in self.decoder.feed(data)? {
            self.add(&fields, work).await?;
        }
        Ok(())
    }

    /// All data has come; returns the number of rows.
    pub async fn finish<D: Database>(&mut self, work: &mut Work<'_, D>) -> Outcome<u64> {
        if let Some(fields) = self.decoder.finish()? {
            self.add(&fields, work).await?;
        }
        self.flush(work).await?;
        Ok(self.count)
    }

    async fn add<D: Database>(&mut self, fields: &Fields, work: &mut Work<'_, D>) -> Outcome<()> {
        let plan = Rc::clone(&self.plan);
        let catalogs = Rc::clone(work.catalogs);
        let (env, shared) = (Arc::clone(&work.active.env), Arc::clone(work.shared));
        let evaluator = Evaluator { stored: &catalogs.expressions, env: &env, shared: &shared };
        let values = self.values(fields, &env)?;
        plan.defaults.reserve(work, &plan.columns, 1).await?;
        let row = plan.defaults.complete(values, &plan.columns, &evaluator).map_err(|error| self.context(error))?;
        let context = evaluator.context();
        if plan.filter.as_ref().map_or(Ok(true), |filter| filter.is_true(&row, &[], &context))? {
            self.rows.push(row);
            self.bytes += fields.iter().flatten().map(String::len).sum::<usize>();
        }
        let enough = self.rows.len() >= BATCH || self.bytes >= BATCH_BYTES;
        if enough { self.flush(work).await } else { Ok(()) }
    }

    /// The values of a record's fields.
    fn values(&self, fields: &Fields, env: &annulus_relation::value::Env) -> SqlResult<Row> {
        let columns = self.plan.columns.iter().map(|position| &self.plan.target.table.columns[*position]);
        let bad = |message: String| SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message);
        if fields.len() > self.plan.columns.len() {
            return Err(self.context(bad("extra data after last expected column".to_owned())));
        }
        let mut values = Vec::with_capacity(self.plan.columns.len());
        for (index, column) in columns.enumerate() {
            let Some(field) = fields.get(index) else {
                return Err(self.context(bad(format!("missing data for column \"{}\"", column.name))));
            };
            values.push(match field {
                None => Value::Null,
                Some(text) => parse(text, &column.ty, env).map_err(|error| self.context(error))?,
            });
        }
        Ok(values)
    }

    /// Says where in the data something is wrong.
    fn context(&self, error: SqlError) -> SqlError {
        if error.report().detail.is_some() {
            return error;
        }
        error.detail(format!("COPY {}, line {}", self.plan.target.table.name, self.decoder.line))
    }

    /// Writes the rows that have come.
    async fn flush<D: Database>(&mut self, work: &mut Work<'_, D>) -> Outcome<()> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        self.count += rows.len() as u64;
        let catalogs = Rc::clone(work.catalogs);
        let (env, shared) = (Arc::clone(&work.active.env), Arc::clone(work.shared));
        let evaluator = Evaluator { stored: &catalogs.expressions, env: &env, shared: &shared };
        let catalog = Arc::clone(&work.active.catalog);
        let checks = if self.bulk { Checks::AtCommit } else { work.checks() };
        let mut writer = Writer::new(crate::dml::around(&catalog, &evaluator), checks);
        for row in rows {
            let id = row_id(work, &self.plan.target);
            writer.insert(self.plan.target.table.id, row, id).map_err(|error| self.context(error))?;
        }
        if !self.bulk {
            return crate::dml::finish(work, writer).await.map_err(too_much);
        }
        work.active.bulk = true;
        let db = work.server.db.clone();
        let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
        let Pending { claims, .. } = writer.finish(&mut transaction, &Deferrals::NONE, work.deadline.left()).await?;
        let premises = transaction.premises(claims.places());
        match transaction.commit(work.deadline.left()).await {
            Ok(_) => Ok(()),
            Err(error @ TxnError::Conflict(_)) => {
                let found = explain(&db, &catalog, &claims, premises, work.deadline.left()).await?;
                Err(found.map_or_else(|| Failure::Txn(error), Failure::Sql))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Tells whoever loads more than a transaction can write what is possible.
fn too_much(failure: Failure) -> Failure {
    match failure {
        Failure::Txn(TxnError::Limit(message)) => SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .hint("COPY into a table that the same transaction has created or truncated may have any number of rows.")
            .into(),
        other => other,
    }
}

/// The query whose result `COPY ... TO STDOUT` gives.
pub(crate) fn source(statement: &CopyStatement, setting: &Setting<'_>) -> SqlResult<Parsed> {
    match &statement.target {
        CopyTarget::Query(query) => Ok(Parsed::clone(query)),
        CopyTarget::Table(name, names) => {
            let target = Target::new(setting, name, None)?;
            for name in names {
                let found = target.table.columns.iter().find(|column| column.name == *name);
                check_copied(found.ok_or_else(|| {
                    let message = format!("column \"{name}\" of relation \"{}\" does not exist", target.table.name);
                    SqlError::new(SqlState::UNDEFINED_COLUMN, message)
                })?)?;
            }
            let all = target.table.columns.iter().filter(|column| check_copied(column).is_ok());
            let all = all.map(|column| &column.name);
            let list: Vec<String> = match names.is_empty() {
                true => all.map(|name| quote_name(name)).collect(),
                false => names.iter().map(|name| quote_name(name)).collect(),
            };
            let text = format!("SELECT {} FROM {name}", list.join(", "));
            let mut statements = crate::parse::parse(&text)?;
            statements.pop().ok_or_else(|| SqlError::new(SqlState::INTERNAL_ERROR, "COPY has no query"))
        }
    }
}
