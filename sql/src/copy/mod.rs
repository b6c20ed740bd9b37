//! `COPY`: bulk data from and to the client.
//!
//! Promises and invariants:
//! - `COPY FROM` is one statement of its transaction: all rows or none. Into a table that is empty, or that its transaction
//!   has created or truncated, there may be any number of them.
//! - Where the client says that it need not be so, many rows for another table are committed in pieces, in their order.
//! - Memory is bounded: rows are written as they come, and read as they are taken.

mod binary;
mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::catalog::{Catalog, Column, Default, ObjectId, Table};
use annulus_relation::error::SqlState;
use annulus_relation::transaction::Mode;
use annulus_relation::value::{Env, decode_binary, parse};
use annulus_relation::{Failure, Outcome, Row, SqlError, SqlResult, Value};
use annulus_txn::interface::Database;
use bytes::Bytes;

use binary::Tuples;
use decode::{Fields, Lines, Record};
pub(crate) use encode::Encoder;

use crate::bind::{Binder, Expr, ParamTypes, quote_name};
use crate::dml::sink::{Giver, Sink, Taken};
use crate::dml::{Defaults, Evaluator, Target};
use crate::parse::{CopyOptions, CopyStatement, CopyTarget, Format, Parsed};
use crate::server::copies::{Copied, Copying};
use crate::session::Active;
use crate::session::answer::CopyLayout;
use crate::statement::{Setting, Work};

/// How many values of a sequence are taken at a time at most.
const MOST_AHEAD: u64 = 1_000;

/// `COPY ... FROM STDIN`
pub(crate) struct CopyFrom {
    target: Target,
    columns: Vec<usize>,
    /// Those of the columns, by place, in which the text of NULL is a value where it is not quoted.
    never_null: Vec<usize>,
    /// Those in which it is NULL even where it is quoted.
    quoted_null: Vec<usize>,
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

/// Which of the copied columns, by place, an option of csv names.
fn forced(option: &str, names: &[String], columns: &[usize], target: &Target) -> SqlResult<Vec<usize>> {
    let place = |name: &String| {
        let position = position_in(target, name)?;
        columns.iter().position(|copied| *copied == position).ok_or_else(|| {
            let message = format!("{option} column \"{name}\" not referenced by COPY");
            SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
        })
    };
    names.iter().map(place).collect()
}

/// Which column of a table has a name.
fn position_in(target: &Target, name: &str) -> SqlResult<usize> {
    target.table.columns.iter().position(|column| column.name == name).ok_or_else(|| {
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", target.table.name);
        SqlError::new(SqlState::UNDEFINED_COLUMN, message)
    })
}

/// How data is cut into records.
enum Decoder {
    Lines(Lines),
    Tuples(Tuples),
}

impl Decoder {
    fn new(options: &CopyOptions, names: Vec<String>) -> Self {
        match options.format {
            Format::Binary => Self::Tuples(Tuples::new(names.len())),
            Format::Text | Format::Csv => Self::Lines(Lines::new(options, names)),
        }
    }

    fn feed(&mut self, data: &[u8]) -> Vec<Result<Record, (u64, SqlError)>> {
        match self {
            Self::Lines(lines) => lines.feed(data),
            Self::Tuples(tuples) => tuples.feed(data),
        }
    }

    fn finish(&mut self) -> Option<Result<Record, (u64, SqlError)>> {
        match self {
            Self::Lines(lines) => lines.finish(),
            Self::Tuples(tuples) => tuples.finish().map(Err),
        }
    }
}

/// Data on its way into a table.
pub(crate) struct CopyIn {
    plan: Rc<CopyFrom>,
    decoder: Decoder,
    sink: Sink,
    copying: Copying,
}

impl CopyFrom {
    /// Whether it reads labels of enumerations.
    pub fn reads_labels(&self) -> bool {
        self.columns.iter().any(|column| self.target.table.columns[*column].ty.enumeration().is_some())
    }

    pub fn new(statement: &CopyStatement, parsed: &Parsed, setting: &Setting<'_>) -> SqlResult<Self> {
        let CopyTarget::Table(name, names) = &statement.target else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "COPY FROM needs a table"));
        };
        let target = Target::new(setting, name, None)?;
        let mut columns = Vec::new();
        for name in names {
            let found = position_in(&target, name)?;
            check_copied(&target.table.columns[found])?;
            columns.push(found);
        }
        if names.is_empty() {
            let all = target.table.columns.iter().enumerate();
            columns = all.filter(|(_, column)| check_copied(column).is_ok()).map(|(position, _)| position).collect();
        }
        let options = &statement.options;
        let never_null = forced("FORCE_NOT_NULL", &options.force_not_null, &columns, &target)?;
        let quoted_null = forced("FORCE_NULL", &options.force_null, &columns, &target)?;
        let mut params = ParamTypes::new();
        let mut binder = Binder::new(&target.scope, &mut params, &setting.env).text(&parsed.whole).clause("WHERE");
        let filter = statement.filter.as_ref().map(|filter| binder.bind_condition(filter)).transpose()?;
        let defaults = Defaults::of(&target, setting)?;
        let statement = statement.clone();
        Ok(Self { target, columns, never_null, quoted_null, defaults, filter, statement })
    }

    /// What the data looks like.
    pub fn layout(&self) -> CopyLayout {
        let columns = u16::try_from(self.columns.len()).unwrap_or(u16::MAX);
        CopyLayout { columns, is_binary: self.statement.options.format == Format::Binary }
    }

    /// Ready to take data in.
    pub fn begin<D: Database>(self: &Rc<Self>, work: &mut Work<'_, D>) -> SqlResult<CopyIn> {
        work.active.check_writable("COPY FROM")?;
        let names = self.columns.iter().map(|position| self.target.table.columns[*position].name.clone()).collect();
        let decoder = Decoder::new(&self.statement.options, names);
        let sink = Sink::new(self.target.table.id, work.active);
        let sink = if may_be_in_pieces(work) { sink.in_pieces() } else { sink };
        let copying = work.copying("COPY FROM", self.target.table.id);
        Ok(CopyIn { plan: Rc::clone(self), decoder, sink, copying })
    }

    /// Says where in the data something is wrong.
    fn context(&self, line: u64, error: SqlError) -> SqlError {
        if line == 0 {
            return error;
        }
        error.context(|| format!("COPY {}, line {line}", self.target.table.name))
    }

    /// Says which field is wrong, too. PostgreSQL shows as much of it.
    fn in_column(&self, error: SqlError, line: u64, column: &Column, text: &str) -> SqlError {
        let shown: String = text.chars().take(100).collect();
        let more = if shown.len() < text.len() { "..." } else { "" };
        let table = &self.target.table.name;
        error.context(|| format!("COPY {table}, line {line}, column {}: \"{shown}{more}\"", column.name))
    }

    /// The values of a record's fields.
    fn values(&self, Record { line, fields }: &Record, env: &Env) -> SqlResult<Row> {
        match fields {
            Fields::Text(fields) => self.of_text(*line, fields, env),
            Fields::Binary(fields) => self.of_binary(*line, fields),
        }
    }

    fn of_binary(&self, line: u64, fields: &[Option<Bytes>]) -> SqlResult<Row> {
        let columns = self.columns.iter().map(|position| &self.target.table.columns[*position]);
        let value = |(column, field): (&Column, &Option<Bytes>)| match field {
            None => Ok(Value::Null),
            Some(bytes) => decode_binary(bytes, &column.ty).map_err(|error| {
                let table = &self.target.table.name;
                error.context(|| format!("COPY {table}, line {line}, column {}", column.name))
            }),
        };
        columns.zip(fields).map(value).collect()
    }

    /// The text of a field, as `FORCE_NOT_NULL` and `FORCE_NULL` have it.
    fn field<'f>(&'f self, place: usize, text: Option<&'f str>) -> Option<&'f str> {
        let null = self.statement.options.null.as_str();
        match text {
            None => self.never_null.contains(&place).then_some(null),
            Some(text) => (text != null || !self.quoted_null.contains(&place)).then_some(text),
        }
    }

    fn of_text(&self, line: u64, fields: &[Option<String>], env: &Env) -> SqlResult<Row> {
        let columns = self.columns.iter().map(|position| &self.target.table.columns[*position]);
        let bad = |message: String| SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message);
        if fields.len() > self.columns.len() {
            return Err(bad("extra data after last expected column".to_owned()));
        }
        let mut values = Vec::with_capacity(self.columns.len());
        for (index, column) in columns.enumerate() {
            let Some(field) = fields.get(index) else {
                return Err(bad(format!("missing data for column \"{}\"", column.name)));
            };
            values.push(match self.field(index, field.as_deref()) {
                None => Value::Null,
                Some(text) => {
                    parse(text, &column.ty, env).map_err(|error| self.in_column(error, line, column, text))?
                }
            });
        }
        Ok(values)
    }
}

impl Giver for CopyFrom {
    fn target(&self) -> &Target {
        &self.target
    }

    fn wrong(&self, line: u64, error: SqlError) -> SqlError {
        self.context(line, error)
    }
}

impl CopyIn {
    /// Takes data in.
    pub async fn feed<D: Database>(&mut self, data: &[u8], work: &mut Work<'_, D>) -> Outcome<()> {
        work.deadline.renew();
        let (mut rows, mut excluded) = (0, 0);
        for record in self.decoder.feed(data) {
            *(if self.add(record, work).await? { &mut rows } else { &mut excluded }) += 1;
        }
        self.copying.note(data.len(), rows, excluded);
        Ok(())
    }

    /// All data has come; returns the number of rows.
    pub async fn finish<D: Database>(&mut self, work: &mut Work<'_, D>) -> Outcome<u64> {
        if let Some(record) = self.decoder.finish() {
            self.add(record, work).await?;
        }
        self.sink.finish(work, &*self.plan).await
    }

    /// Whether its rows are committed in pieces.
    pub fn is_in_pieces(&self) -> bool {
        self.sink.is_in_pieces()
    }

    /// Whether what was written so far is to be committed now.
    pub fn has_piece<D: Database>(&self, active: &Active<D>) -> bool {
        self.sink.has_piece(active)
    }

    /// The piece was committed.
    pub fn committed_piece(&mut self) {
        self.sink.committed_piece();
    }

    /// Writes the piece again, by another transaction than the one that lost it.
    pub async fn write_again<D: Database>(&mut self, work: &mut Work<'_, D>) -> Outcome<()> {
        let plan = Rc::clone(&self.plan);
        self.sink.write_again(work, &*plan).await
    }

    /// `55006` if the table has another definition than when the rows began to come.
    pub fn check_table(&self, catalog: &Catalog) -> SqlResult<()> {
        let before = &self.plan.target.table;
        let is_same = |now: &Table| Table { generation: before.generation, ..now.clone() } == **before;
        match catalog.table_by_id(before.id).is_some_and(|now| is_same(now)) {
            true => Ok(()),
            false => {
                let message = format!("table \"{}\" was altered while rows were copied into it", before.name);
                Err(SqlError::new(SqlState::OBJECT_IN_USE, message))
            }
        }
    }

    /// How many rows were committed in pieces.
    pub fn committed(&self) -> u64 {
        self.sink.committed()
    }

    /// Takes a record in; whether it is copied, as `WHERE` says.
    async fn add<D: Database>(
        &mut self,
        record: Result<Record, (u64, SqlError)>,
        work: &mut Work<'_, D>,
    ) -> Outcome<bool> {
        let plan = Rc::clone(&self.plan);
        let record = record.map_err(|(line, error)| plan.context(line, error))?;
        let line = record.line;
        let catalogs = Rc::clone(work.catalogs);
        let (env, shared) = (Arc::clone(&work.active.env), Arc::clone(work.shared));
        let evaluator = Evaluator { stored: &catalogs.expressions, env: &env, shared: &shared };
        let wrong = |error| plan.context(line, error);
        let values = plan.values(&record, &env).map_err(wrong)?;
        // The longer it gets, the more values of sequences it takes at a time.
        let ahead = self.sink.count().clamp(1, MOST_AHEAD);
        plan.defaults.reserve_ahead(work, &plan.columns, 1, ahead).await?;
        let row = plan.defaults.completed((values, &plan.columns), ahead, work, &evaluator).await;
        let row = match row {
            Err(Failure::Sql(error)) => return Err(wrong(error).into()),
            other => other?,
        };
        let context = evaluator.context();
        if plan.filter.as_ref().map_or(Ok(true), |filter| filter.is_true(&row, &[], &context)).map_err(wrong)? {
            let bytes = record.fields.size();
            self.sink.take(work, &*plan, Taken { line, row, bytes }).await?;
            return Ok(true);
        }
        Ok(false)
    }
}

/// Whether rows may be committed in pieces: the statement is a transaction of its own, and the client allows it.
fn may_be_in_pieces<D: Database>(work: &Work<'_, D>) -> bool {
    let settings = work.shared.settings();
    work.active.transaction.mode() == Mode::Statement && !settings.copies_atomically() && settings.token().is_none()
}

impl<D: Database> Work<'_, D> {
    /// Shows how far a `COPY` is, until what is returned is dropped. `table`: 0 for a query.
    pub(crate) fn copying(&self, command: &'static str, table: ObjectId) -> Copying {
        let database = self.active.catalog.home().namespace.number();
        let what = Copied { command, database, table, bytes: 0, rows: 0, excluded: 0 };
        self.shared.copies.begin(self.shared.id, what)
    }
}

/// The query whose result `COPY ... TO STDOUT` gives, and the table that it is of; 0 if it is none.
pub(crate) fn source(statement: &CopyStatement, setting: &Setting<'_>) -> SqlResult<(Parsed, ObjectId)> {
    match &statement.target {
        CopyTarget::Query(query) => Ok((Parsed::clone(query), 0)),
        CopyTarget::Table(name, names) => {
            let target = Target::new(setting, name, None)?;
            for name in names {
                check_copied(&target.table.columns[position_in(&target, name)?])?;
            }
            let all = target.table.columns.iter().filter(|column| check_copied(column).is_ok());
            let all = all.map(|column| &column.name);
            let list: Vec<String> = match names.is_empty() {
                true => all.map(|name| quote_name(name)).collect(),
                false => names.iter().map(|name| quote_name(name)).collect(),
            };
            let text = format!("SELECT {} FROM {name}", list.join(", "));
            let mut statements = crate::parse::parse(&text)?;
            let none = || SqlError::new(SqlState::INTERNAL_ERROR, "COPY has no query");
            Ok((statements.pop().ok_or_else(none)?, target.table.id))
        }
    }
}
