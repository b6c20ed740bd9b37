//! `INSERT ... SELECT`.
//!
//! Many rows, into a table that is empty or made by the same transaction, are loaded as the query gives them, however many
//! they are. Otherwise all of them are found before the first one is written: the query may be over the same table.

use annulus_base::limits::MAX_TXN_KEYS;
use annulus_relation::catalog::Default;
use annulus_relation::error::SqlState;
use annulus_relation::{Failure, Outcome, Row, SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::Database;
use sqlparser::ast::{self, SetExpr};

use super::insert::{Defaults, Rest, Rows, check_given, columns_of, is_default, is_overridden, target_of};
use super::projection::Projection;
use super::query::{Query, check_assignable, next};
use super::sink::{Giver, Sink, Taken, many};
use super::target::Target;
use super::{Changed, Ground, Writing};
use crate::bind::ParamTypes;
use crate::parse::{Parsed, parse_expression};
use crate::query::row_size;
use crate::statement::{Setting, Work};

/// What became of the rows that were found.
pub(crate) enum Inserted {
    /// So many were loaded.
    Loaded(u64),
    /// They are to be written.
    Found(Vec<Row>),
}

/// `INSERT ... SELECT`
pub(crate) struct InsertQuery {
    target: Target,
    /// The columns given, by position, without those whose values give way to a sequence's.
    columns: Vec<usize>,
    /// Which of the query's columns give way.
    overridden: Vec<usize>,
    types: Vec<(String, SqlType)>,
    query: Query,
    defaults: Defaults,
    rest: Rest,
}

impl InsertQuery {
    pub fn new(
        insert: &ast::Insert,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let target = target_of(insert, setting)?;
        let Some(source) = &insert.source else {
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, "an INSERT without a source"));
        };
        let spelled = spelled_defaults(insert, source, &target)?;
        let (insert, source) = spelled.as_ref().map_or((insert, &**source), |(insert, source)| (insert, source));
        let named: Vec<SqlType> = match insert.columns.is_empty() {
            true => target.table.columns.iter().map(|column| column.ty.clone()).collect(),
            false => columns_of(&insert.columns, &target.table, insert.columns.len())?
                .into_iter()
                .map(|position| target.table.columns[position].ty.clone())
                .collect(),
        };
        let whole = setting.seeing(source)?;
        let query = Query::new(&whole, &parsed.whole, &named, setting, params)?;
        let columns = columns_of(&insert.columns, &target.table, query.columns.len())?;
        columns.iter().try_for_each(|position| check_given(&target.table, *position, parsed.overriding))?;
        let types: Vec<(String, SqlType)> = columns
            .iter()
            .map(|position| (target.table.columns[*position].name.clone(), target.table.columns[*position].ty.clone()))
            .collect();
        check_assignable(&query.columns, &types)?;
        let rest = Rest::new(insert, &target, parsed, setting, params)?;
        let defaults = Defaults::of(&target, setting)?;
        let gives_way = |place: &usize| is_overridden(&target.table, columns[*place], parsed.overriding);
        let overridden: Vec<usize> = (0..columns.len()).filter(gives_way).collect();
        let kept = columns.iter().enumerate().filter(|(place, _)| !overridden.contains(place));
        let columns = kept.map(|(_, position)| *position).collect();
        Ok(Self { target, columns, overridden, types, query, defaults, rest })
    }

    /// The values of a row that are for [`InsertQuery::columns`].
    fn given(&self, mut row: Row) -> Row {
        for place in self.overridden.iter().rev() {
            row.remove(*place);
        }
        row
    }

    pub const fn returning(&self) -> Option<&Projection> {
        self.rest.returning.as_ref()
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.target.table.name
    }

    /// Whether keys that exist already are looked for.
    pub const fn looks_for_conflicts(&self) -> bool {
        self.rest.conflict.is_some()
    }

    /// Whether its rows can be written before all of them are found, if they can be loaded.
    pub fn can_load(&self) -> bool {
        // Without enough values of a sequence it would be begun again.
        let takes_values = self.query.text().to_ascii_lowercase().contains("nextval");
        self.rest.conflict.is_none() && self.rest.returning.is_none() && !takes_values
    }

    /// Loads the rows if they are many and there is nothing where they go; otherwise only finds them.
    pub async fn load<D: Database>(&self, work: &mut Work<'_, D>, params: &[Value]) -> Outcome<Inserted> {
        let mut sink = None;
        match self.load_into(&mut sink, work, params).await {
            Err(Failure::Sql(_)) if sink.is_some() && work.shared.take_need().is_some() => {
                let what = "a function that waits for something, in an INSERT of many rows";
                Err(SqlError::unsupported(what).into())
            }
            loaded => loaded,
        }
    }

    async fn load_into<D: Database>(
        &self,
        sink: &mut Option<Sink>,
        work: &mut Work<'_, D>,
        params: &[Value],
    ) -> Outcome<Inserted> {
        let mut running = self.query.begin(work, params).await?;
        let (mut found, mut bytes, mut can_load) = (Vec::new(), 0, true);
        let (most_rows, most_bytes) = many(work, &self.target);
        while let Some(more) = next(&mut running, work).await? {
            let more = self.query.assign(more, &self.types, work)?;
            if let Some(sink) = sink {
                self.pour(sink, more, work).await?;
                continue;
            }
            bytes += more.iter().map(row_size).sum::<usize>();
            found.extend(more);
            if can_load && (found.len() >= most_rows || bytes >= most_bytes) {
                *sink = Sink::around(work, self.target.table.id).await?;
                can_load = sink.is_some();
                if let Some(sink) = sink {
                    self.pour(sink, std::mem::take(&mut found), work).await?;
                }
            }
            if found.len() > MAX_TXN_KEYS {
                return Err(too_many().into());
            }
        }
        match sink {
            Some(sink) => Ok(Inserted::Loaded(sink.finish(work, self).await?)),
            None => Ok(Inserted::Found(found)),
        }
    }

    async fn pour<D: Database>(&self, sink: &mut Sink, rows: Vec<Row>, work: &mut Work<'_, D>) -> Outcome<()> {
        let ahead = rows.len() as u64;
        self.defaults.reserve(work, &self.columns, ahead).await?;
        let ground = Ground::of(work);
        let evaluator = ground.evaluator();
        for row in rows {
            let bytes = row_size(&row);
            let given = self.given(row);
            let row = self.defaults.completed((given, &self.columns), ahead, work, &evaluator).await?;
            sink.take(work, self, Taken { line: 0, row, bytes }).await?;
        }
        Ok(())
    }

    /// Gives the writer its rows, of which these were found.
    pub async fn write<D: Database>(
        &self,
        found: Vec<Row>,
        work: &mut Work<'_, D>,
        params: &[Value],
        writing: &mut Writing<'_>,
    ) -> Outcome<Changed> {
        self.defaults.reserve(work, &self.columns, found.len() as u64).await?;
        let complete = |row: Row| self.defaults.complete(self.given(row), &self.columns, writing.evaluator);
        let rows = found.into_iter().map(complete);
        let rows: Vec<Row> = rows.collect::<SqlResult<_>>()?;
        let wanted = self.rest.returning.is_some();
        let insert = Rows { target: &self.target, conflict: self.rest.conflict.as_ref(), wanted };
        insert.insert(work, rows, params, writing).await
    }

    /// Gives the writer its rows.
    pub async fn collect<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        params: &[Value],
        writing: &mut Writing<'_>,
    ) -> Outcome<Changed> {
        let found = self.query.assigned(work, params, &self.types).await?;
        self.write(found, work, params, writing).await
    }
}

impl Giver for InsertQuery {
    fn target(&self) -> &Target {
        &self.target
    }

    fn wrong(&self, _: u64, error: SqlError) -> SqlError {
        error
    }
}

fn too_many() -> SqlError {
    let message = format!("a statement inserts more than {MAX_TXN_KEYS} rows into a table that has some");
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).hint("Split it into smaller ones.")
}

/// `VALUES` that need a query, with `DEFAULT` spelled out: a column that has it in all rows is not given at all. `None` if
/// there is none.
fn spelled_defaults(
    insert: &ast::Insert,
    source: &ast::Query,
    target: &Target,
) -> SqlResult<Option<(ast::Insert, ast::Query)>> {
    let SetExpr::Values(values) = &*source.body else { return Ok(None) };
    let has_default = values.rows.iter().any(|row| row.content.iter().any(is_default));
    let width = values.rows.first().map_or(0, |row| row.content.len());
    if !has_default || values.rows.iter().any(|row| row.content.len() != width) {
        return Ok(None);
    }
    let positions = columns_of(&insert.columns, &target.table, width)?;
    let (mut insert, mut values) = (insert.clone(), values.clone());
    if insert.columns.is_empty() {
        let name = |position: &usize| {
            let ident = ast::Ident::with_quote('"', &target.table.columns[*position].name);
            ast::ObjectName(vec![ast::ObjectNamePart::Identifier(ident)])
        };
        insert.columns = positions.iter().map(name).collect();
    }
    for place in (0..width).rev() {
        let mut cells = values.rows.iter().map(|row| &row.content[place]);
        let column = &target.table.columns[positions[place]];
        if cells.clone().all(is_default) && insert.columns.len() > 1 {
            insert.columns.remove(place);
            values.rows.iter_mut().for_each(|row| {
                row.content.remove(place);
            });
        } else if cells.any(is_default) {
            let spelled = match &column.default {
                None => parse_expression("NULL")?,
                Some(Default::Expression(text)) => parse_expression(text)?,
                Some(_) => return Err(SqlError::unsupported("DEFAULT beside values and subqueries")),
            };
            let cells = values.rows.iter_mut().map(|row| &mut row.content[place]);
            cells.filter(|cell| is_default(cell)).for_each(|cell| cell.clone_from(&spelled));
        }
    }
    let source = ast::Query { body: Box::new(SetExpr::Values(values)), ..source.clone() };
    Ok(Some((insert, source)))
}
