//! `INSERT`.

use annulus_relation::catalog::{Catalog, Column, Default, Identity, ObjectId, Relation, Table};
use annulus_relation::error::SqlState;
use annulus_relation::ops::RowId;
use annulus_relation::{Outcome, Row, SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::Database;
use sqlparser::ast::{self, OnInsert, SetExpr, TableObject};

use super::conflict::OnConflict;
use super::projection::Projection;
use super::stored::Evaluator;
use super::target::Target;
use super::{Changed, Writing};
use crate::bind::{Binder, Expr, ParamTypes, Scope, needs_query};
use crate::ddl::sequence_in;
use crate::names::{position_of, split_name};
use crate::parse::{Overriding, Parsed};
use crate::server::shared::Shared;
use crate::statement::{Setting, Work};

/// How many rows are completed and looked up at a time.
const BATCH: usize = 1_000;

/// An `INSERT` of given values.
pub(crate) struct Insert {
    target: Target,
    /// The columns given, by position.
    columns: Vec<usize>,
    rows: Vec<Vec<Cell>>,
    defaults: Defaults,
    conflict: Option<OnConflict>,
    pub returning: Option<Projection>,
}

/// A value of a new row.
pub(crate) enum Cell {
    Expr(Expr),
    Default,
}

/// What the columns have that are given nothing.
pub(crate) struct Defaults(Vec<Absent>);

/// What a column has that is given nothing.
enum Absent {
    Null,
    Expr(Expr),
    /// The next value of a sequence.
    Sequence(ObjectId, SqlType),
}

impl Defaults {
    pub fn of(target: &Target, setting: &Setting<'_>) -> SqlResult<Self> {
        let (scope, mut params) = (Scope::new(), ParamTypes::new());
        let mut of = |column: &Column| {
            Ok(match &column.default {
                None | Some(Default::Generated(_)) => Absent::Null,
                Some(Default::Identity(_, sequence)) => Absent::Sequence(*sequence, column.ty.clone()),
                Some(Default::Expression(text)) => {
                    if let Some(sequence) = drawn_from(text, column, setting.catalog) {
                        return Ok(Absent::Sequence(sequence, column.ty.clone()));
                    }
                    let parsed = crate::parse::parse_expression(text)?;
                    let mut binder = Binder::new(&scope, &mut params, &setting.env);
                    Absent::Expr(binder.bind_assigned(&parsed, &column.name, &column.ty)?)
                }
            })
        };
        target.table.columns.iter().map(&mut of).collect::<SqlResult<_>>().map(Self)
    }

    /// Takes as many values of sequences as rows will need, so that a long statement waits once; the given columns need
    /// none.
    pub async fn reserve<D: Database>(&self, work: &mut Work<'_, D>, given: &[usize], rows: u64) -> Outcome<()> {
        self.reserve_ahead(work, given, rows, rows).await
    }

    /// As [`Defaults::reserve`]; where something is lacking, so much is taken.
    pub async fn reserve_ahead<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        given: &[usize],
        rows: u64,
        taken: u64,
    ) -> Outcome<()> {
        let catalog = work.shared.catalog();
        for (position, default) in self.0.iter().enumerate() {
            let Absent::Sequence(sequence, _) = default else { continue };
            if !given.contains(&position) && !work.shared.sequences.has(&catalog, *sequence, rows) {
                work.allot(*sequence, taken).await?;
            }
        }
        Ok(())
    }

    /// A whole row, of which some columns are given.
    pub fn complete(&self, values: Row, columns: &[usize], evaluator: &Evaluator<'_>) -> SqlResult<Row> {
        Ok(self.whole(values, columns, self.absent(columns, evaluator)?))
    }

    /// As [`Defaults::complete`]; what functions wait for is done on the way, for so many rows.
    pub async fn completed<D: Database>(
        &self,
        (values, columns): (Row, &[usize]),
        rows: u64,
        work: &mut Work<'_, D>,
        evaluator: &Evaluator<'_>,
    ) -> Outcome<Row> {
        let absent = work.evaluated(rows, || self.absent(columns, evaluator)).await?;
        Ok(self.whole(values, columns, absent))
    }

    /// The values of the columns that are not given.
    fn absent(&self, given: &[usize], evaluator: &Evaluator<'_>) -> SqlResult<Vec<(usize, Value)>> {
        let absent = (0..self.0.len()).filter(|position| !given.contains(position));
        absent.map(|position| Ok((position, self.value(position, evaluator)?))).collect()
    }

    fn whole(&self, values: Row, columns: &[usize], absent: Vec<(usize, Value)>) -> Row {
        let mut row: Row = vec![Value::Null; self.0.len()];
        for (position, value) in columns.iter().copied().zip(values).chain(absent) {
            row[position] = value;
        }
        row
    }

    /// The value of a column.
    pub fn value(&self, column: usize, evaluator: &Evaluator<'_>) -> SqlResult<Value> {
        match self.0.get(column) {
            None | Some(Absent::Null) => Ok(Value::Null),
            Some(Absent::Expr(expr)) => expr.eval(&[], &[], &evaluator.context()),
            Some(Absent::Sequence(sequence, ty)) => next_value(*sequence, ty, evaluator.shared),
        }
    }
}

/// The sequence whose values a column has that is given none.
pub(super) fn sequence_of(column: &Column, catalog: &Catalog) -> Option<ObjectId> {
    match column.default.as_ref()? {
        Default::Identity(_, sequence) => Some(*sequence),
        Default::Expression(text) => drawn_from(text, column, catalog),
        Default::Generated(_) => None,
    }
}

/// The sequence that an integer column takes its values from.
fn drawn_from(default: &str, column: &Column, catalog: &Catalog) -> Option<ObjectId> {
    let is_integer = matches!(column.ty, SqlType::Int2 | SqlType::Int4 | SqlType::Int8);
    let name = if is_integer && default.starts_with("nextval(") { sequence_in(default)? } else { return None };
    let name = split_name(&name).ok()?;
    match catalog.relation(catalog.schema(name.schema.as_deref()?)?.id, &name.name)? {
        Relation::Sequence(sequence) => Some(sequence.id),
        _ => None,
    }
}

/// The next value of a sequence, as one of a column's type.
pub(super) fn next_value(sequence: ObjectId, ty: &SqlType, shared: &Shared) -> SqlResult<Value> {
    use crate::bind::SystemFunctions;
    let value = shared.nextval(sequence)?;
    let out_of_range = |_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{} out of range", ty.name()));
    Ok(match ty {
        SqlType::Int2 => Value::Int2(i16::try_from(value).map_err(out_of_range)?),
        SqlType::Int4 => Value::Int4(i32::try_from(value).map_err(out_of_range)?),
        _ => Value::Int8(value),
    })
}

/// The table of an `INSERT`.
pub(crate) fn target_of(insert: &ast::Insert, setting: &Setting<'_>) -> SqlResult<Target> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(SqlError::unsupported("INSERT into a function"));
    };
    let alias = insert.table_alias.as_ref().map(|alias| alias.alias.value.as_str());
    Target::new(setting, name, alias)
}

/// The columns that an `INSERT` gives, by position; all if it names none.
pub(crate) fn columns_of(names: &[ast::ObjectName], table: &Table, given: usize) -> SqlResult<Vec<usize>> {
    if names.is_empty() {
        if given > table.columns.len() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "INSERT has more expressions than target columns"));
        }
        return Ok((0..given).collect());
    }
    let mut columns = Vec::new();
    for name in names {
        let Some(ident) = name.0.last().and_then(|part| part.as_ident()).filter(|_| name.0.len() == 1) else {
            return Err(SqlError::unsupported("INSERT into a field of a column"));
        };
        let position = table.columns.iter().position(|column| column.name == ident.value).ok_or_else(|| {
            let message = format!("column \"{}\" of relation \"{}\" does not exist", ident.value, table.name);
            SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position_of(ident))
        })?;
        if columns.contains(&position) {
            let message = format!("column \"{}\" specified more than once", ident.value);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(position_of(ident)));
        }
        columns.push(position);
    }
    match given.cmp(&columns.len()) {
        std::cmp::Ordering::Greater => {
            Err(SqlError::new(SqlState::SYNTAX_ERROR, "INSERT has more expressions than target columns"))
        }
        std::cmp::Ordering::Less => {
            Err(SqlError::new(SqlState::SYNTAX_ERROR, "INSERT has more target columns than expressions"))
        }
        std::cmp::Ordering::Equal => Ok(columns),
    }
}

/// `428C9` for values that are given to columns which make their own.
pub(crate) fn check_given(table: &Table, position: usize, overriding: Option<Overriding>) -> SqlResult<()> {
    let Some(column) = table.columns.get(position) else { return Ok(()) };
    let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
    match &column.default {
        Some(Default::Generated(_)) => Err(SqlError::new(SqlState::GENERATED_ALWAYS, message)
            .detail(format!("Column \"{}\" is a generated column.", column.name))),
        Some(Default::Identity(Identity::Always, _)) if overriding.is_none() => {
            Err(SqlError::new(SqlState::GENERATED_ALWAYS, message)
                .detail(format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", column.name))
                .hint("Use OVERRIDING SYSTEM VALUE to override."))
        }
        _ => Ok(()),
    }
}

/// Whether a given value of this column gives way to the sequence's.
pub(crate) fn is_overridden(table: &Table, position: usize, overriding: Option<Overriding>) -> bool {
    let identity =
        table.columns.get(position).is_some_and(|column| matches!(column.default, Some(Default::Identity(..))));
    identity && overriding == Some(Overriding::User)
}

impl Insert {
    /// The plan of an `INSERT ... VALUES` or `DEFAULT VALUES`; `None` if its source is a query.
    pub fn new(
        insert: &ast::Insert,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Option<Self>> {
        let Some(values) = values_of(insert) else { return Ok(None) };
        let target = target_of(insert, setting)?;
        let given = values.first().map_or(0, Vec::len);
        let columns = match insert.source {
            Some(_) => columns_of(&insert.columns, &target.table, given)?,
            None => Vec::new(),
        };
        let mut rows = Vec::with_capacity(values.len());
        let scope = Scope::new();
        let mut binder = Binder::new(&scope, params, &setting.env).text(&parsed.whole).clause("VALUES");
        for row in values {
            if row.len() != given {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length"));
            }
            let mut cells = Vec::with_capacity(given);
            for (expr, position) in row.iter().zip(&columns) {
                let column = &target.table.columns[*position];
                if is_default(expr) || is_overridden(&target.table, *position, parsed.overriding) {
                    cells.push(Cell::Default);
                    continue;
                }
                check_given(&target.table, *position, parsed.overriding)?;
                cells.push(Cell::Expr(binder.bind_assigned(expr, &column.name, &column.ty)?));
            }
            rows.push(cells);
        }
        let rest = Rest::new(insert, &target, parsed, setting, params)?;
        let defaults = Defaults::of(&target, setting)?;
        let Rest { conflict, returning } = rest;
        Ok(Some(Self { target, columns, rows, defaults, conflict, returning }))
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.target.table.name
    }

    /// Whether a query that has the statement's literals in it says what becomes of rows.
    pub fn asks(&self) -> bool {
        self.conflict.as_ref().is_some_and(OnConflict::is_asked)
    }

    /// Whether keys that exist already are looked for.
    pub const fn looks_for_conflicts(&self) -> bool {
        self.conflict.is_some()
    }

    /// Gives the writer its rows.
    pub async fn collect<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        params: &[Value],
        writing: &mut Writing<'_>,
    ) -> Outcome<Changed> {
        self.defaults.reserve(work, &self.columns, self.rows.len() as u64).await?;
        let mut rows = Vec::with_capacity(self.rows.len());
        for cells in &self.rows {
            rows.push(self.row(cells, params, writing.evaluator)?);
        }
        let wanted = self.returning.is_some();
        let rest = Rows { target: &self.target, conflict: self.conflict.as_ref(), wanted };
        rest.insert(work, rows, params, writing).await
    }

    fn row(&self, cells: &[Cell], params: &[Value], evaluator: &Evaluator<'_>) -> SqlResult<Row> {
        let width = self.target.table.columns.len();
        let mut row: Row = vec![Value::Null; width];
        let mut given = vec![false; width];
        for (cell, position) in cells.iter().zip(&self.columns) {
            if let Cell::Expr(expr) = cell {
                row[*position] = expr.eval(&[], params, &evaluator.context())?;
                given[*position] = true;
            }
        }
        for position in (0..width).filter(|position| !given[*position]) {
            row[position] = self.defaults.value(position, evaluator)?;
        }
        Ok(row)
    }
}

/// `ON CONFLICT` and `RETURNING`.
pub(crate) struct Rest {
    pub conflict: Option<OnConflict>,
    pub returning: Option<Projection>,
}

impl Rest {
    pub fn new(
        insert: &ast::Insert,
        target: &Target,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let conflict = match &insert.on {
            None => None,
            Some(OnInsert::OnConflict(on)) => Some(OnConflict::new(on, target, parsed, setting, params)?),
            Some(_) => return Err(SqlError::unsupported("ON DUPLICATE KEY UPDATE").hint("Use ON CONFLICT DO UPDATE.")),
        };
        let returning = match &insert.returning {
            None => None,
            Some(items) => {
                let mut binder =
                    Binder::new(&target.scope, params, &setting.env).text(&parsed.whole).clause("RETURNING");
                Some(Projection::new(items, Some(target), &mut binder)?)
            }
        };
        Ok(Self { conflict, returning })
    }
}

/// Inserting complete rows.
pub(crate) struct Rows<'r> {
    pub target: &'r Target,
    pub conflict: Option<&'r OnConflict>,
    /// Whether the rows as they are stored are wanted.
    pub wanted: bool,
}

impl Rows<'_> {
    /// Inserts rows, or does what `ON CONFLICT` says.
    pub async fn insert<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        rows: Vec<Row>,
        params: &[Value],
        writing: &mut Writing<'_>,
    ) -> Outcome<Changed> {
        let mut changed = Changed::default();
        let mut rows = rows.into_iter();
        loop {
            let batch: Vec<Row> = rows.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            work.deadline.check()?;
            let found = match self.conflict {
                None => self.plain(work, writing, batch)?,
                Some(conflict) => conflict.resolve(work, writing, self.target, batch, params).await?,
            };
            changed.count += found.len() as u64;
            if self.wanted {
                changed.rows.extend(found);
            }
        }
        Ok(changed)
    }

    fn plain<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        writing: &mut Writing<'_>,
        rows: Vec<Row>,
    ) -> SqlResult<Vec<Row>> {
        let mut stored = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row_id(work, self.target);
            stored.push(writing.writer.insert(self.target.table.id, row, id)?);
        }
        Ok(stored)
    }
}

/// What identifies a new row, if its table has no primary key.
pub(crate) fn row_id<D: Database>(work: &mut Work<'_, D>, target: &Target) -> Option<RowId> {
    target.physical.has_row_id().then(|| {
        let counter = work.active.rows;
        work.active.rows = counter.wrapping_add(1);
        RowId::new(work.active.row_base, work.server.config.node, counter)
    })
}

/// The rows of `VALUES`, or one without values for `DEFAULT VALUES`; `None` if they need a query.
fn values_of(insert: &ast::Insert) -> Option<Vec<Vec<ast::Expr>>> {
    let Some(query) = &insert.source else { return Some(vec![Vec::new()]) };
    let SetExpr::Values(values) = &*query.body else { return None };
    let plain =
        query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    if !plain {
        return None;
    }
    let rows: Vec<Vec<ast::Expr>> = values.rows.iter().map(|row| row.content.clone()).collect();
    let scalar = rows.iter().flatten().all(|expr| needs_query(expr).is_none());
    scalar.then_some(rows)
}

/// Whether it is the word `DEFAULT`.
pub(crate) fn is_default(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value == "default")
}
