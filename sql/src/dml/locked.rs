//! `FOR UPDATE` of tables that are joined.
//!
//! The query is run to find the rows, these are locked, and it is run again: what it gives then was read while the locks
//! were held. If it finds further rows, they are locked, too. The keys of the locked tables' rows are columns behind its
//! own ones.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::Key;
use annulus_relation::error::SqlState;
use annulus_relation::transaction::Mode;
use annulus_relation::{Outcome, Row, SqlError, SqlResult, Value};
use annulus_txn::interface::{Database, Place, TxnError};
use sqlparser::ast::{self, JoinOperator, SetExpr, TableFactor};

use super::query::Query;
use super::select::{Locking, check_locked};
use super::target::Target;
use crate::bind::ParamTypes;
use crate::names::{Names, name_of};
use crate::parse::Parsed;
use crate::session::Produced;
use crate::session::answer::{Column, Tag};
use crate::statement::{Setting, Work};

/// How often rows are looked for before it is given up: others change them all the time.
const TRIES: usize = 4;

/// A query whose rows are locked.
pub(crate) struct LockedQuery {
    query: Query,
    /// How many columns are its own.
    width: usize,
    tables: Vec<Locked>,
    locking: Locking,
}

/// A table whose rows are locked.
struct Locked {
    target: Target,
    /// The names of the columns that tell its rows apart.
    keys: Vec<String>,
}

/// A table in `FROM`.
struct Source<'q> {
    name: &'q ast::ObjectName,
    alias: Option<&'q str>,
    nullable: bool,
}

impl LockedQuery {
    pub fn new(query: &ast::Query, parsed: &Parsed, setting: &Setting<'_>, params: &mut ParamTypes) -> SqlResult<Self> {
        let mut whole = query.clone();
        let locks = std::mem::take(&mut whole.locks);
        let SetExpr::Select(select) = &mut *whole.body else {
            return Err(not_allowed("with UNION/INTERSECT/EXCEPT"));
        };
        refuse_clauses(select)?;
        let mut sources = Vec::new();
        for from in &select.from {
            sources_of(from, false, &mut sources)?;
        }
        let tables = tables(&locks, &sources, query, setting)?;
        let width = select.projection.len();
        for table in &tables {
            for key in &table.keys {
                let part = |value: &str| ast::Ident::with_quote('"', value);
                let name = ast::Expr::CompoundIdentifier(vec![part(&table.target.name), part(key)]);
                select.projection.push(ast::SelectItem::UnnamedExpr(name));
            }
        }
        let grouped = |error: SqlError| match error.state() {
            SqlState::GROUPING_ERROR => not_allowed("with aggregate functions"),
            _ => error,
        };
        let added = select.projection.len() - width;
        let query = Query::new(&whole, &parsed.whole, &[], setting, params).map_err(grouped)?;
        let width = query.columns.len().saturating_sub(added);
        Ok(Self { query, width, tables, locking: Locking::strongest(&locks) })
    }

    /// The columns of its results.
    pub fn columns(&self) -> Vec<Column> {
        self.query.columns[..self.width].to_vec()
    }

    /// Finds, locks and reads rows.
    pub async fn run<D: Database>(&self, work: &mut Work<'_, D>, params: &[Value]) -> Outcome<Produced> {
        work.active.check_writable("SELECT FOR UPDATE")?;
        let alone = work.active.transaction.mode() == Mode::Statement;
        if alone && self.locking == Locking::Wait {
            // The locks would end with the statement, which is all at one instant without them.
            return self.given(self.query.whole(work, params).await?, None);
        }
        let mark = work.active.transaction.mark_reads();
        let (mut held, mut asked) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..TRIES {
            let rows = self.query.whole(work, params).await?;
            let missing = self.missing(&rows, &asked)?;
            if missing.is_empty() {
                return self.given(rows, Some(&held));
            }
            if !alone {
                work.active.transaction.forget_reads(&mark);
            }
            for (number, places) in missing {
                let table = &self.tables[number].target.table;
                held.extend(self.locking.noted_lock(&places, table, work).await?);
                asked.extend(places);
            }
            if alone {
                return self.given(rows, Some(&held));
            }
        }
        let key = held.first().map_or_else(|| Key(bytes::Bytes::new()), |place: &Place| place.key.clone());
        Err(TxnError::Conflict(key).into())
    }

    /// The rows of each table that nobody has asked for yet.
    fn missing(&self, rows: &[Row], asked: &BTreeSet<Place>) -> SqlResult<BTreeMap<usize, Vec<Place>>> {
        let mut missing: BTreeMap<usize, BTreeSet<Place>> = BTreeMap::new();
        for row in rows {
            for (number, place) in self.places(row)?.into_iter().enumerate() {
                if !asked.contains(&place) {
                    missing.entry(number).or_default().insert(place);
                }
            }
        }
        Ok(missing.into_iter().map(|(number, places)| (number, places.into_iter().collect())).collect())
    }

    /// Where the rows of the locked tables are that a result is of.
    fn places(&self, row: &[Value]) -> SqlResult<Vec<Place>> {
        let mut keys = row[self.width..].iter();
        let place = |table: &Locked| {
            let values: Row = keys.by_ref().take(table.keys.len()).cloned().collect();
            let place = table.target.place(&values)?;
            place.ok_or_else(|| SqlError::new(SqlState::INTERNAL_ERROR, "a row without a key"))
        };
        self.tables.iter().map(place).collect()
    }

    /// The results, of which those count that are locked.
    fn given(&self, rows: Vec<Row>, held: Option<&BTreeSet<Place>>) -> Outcome<Produced> {
        let mut given = Vec::with_capacity(rows.len());
        for mut row in rows {
            let counts = match held {
                Some(held) => self.places(&row)?.iter().all(|place| held.contains(place)),
                None => true,
            };
            if counts {
                row.truncate(self.width);
                given.push(row);
            }
        }
        Ok(Produced::rows(given, Tag::Rows("SELECT")))
    }
}

fn not_allowed(what: &str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("FOR UPDATE is not allowed {what}"))
}

fn refuse_clauses(select: &ast::Select) -> SqlResult<()> {
    let grouped =
        !matches!(&select.group_by, ast::GroupByExpr::Expressions(exprs, more) if exprs.is_empty() && more.is_empty());
    let clauses = [
        (select.distinct.is_some(), "with DISTINCT clause"),
        (grouped, "with GROUP BY clause"),
        (select.having.is_some(), "with HAVING clause"),
    ];
    match clauses.into_iter().find(|(has, _)| *has) {
        Some((_, what)) => Err(not_allowed(what)),
        None => Ok(()),
    }
}

/// The tables that the clauses lock.
fn tables(
    locks: &[ast::LockClause],
    sources: &[Source<'_>],
    query: &ast::Query,
    setting: &Setting<'_>,
) -> SqlResult<Vec<Locked>> {
    let mut locked: Vec<Locked> = Vec::new();
    for source in sources {
        let name = source.alias.map_or_else(|| last_of(source.name), str::to_owned);
        let named = |lock: &ast::LockClause| lock.of.as_ref().is_none_or(|of| last_of(of) == name);
        if !locks.iter().any(named) {
            continue;
        }
        if source.nullable {
            let message = "FOR UPDATE cannot be applied to the nullable side of an outer join";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        let is_cte = query.with.as_ref().is_some_and(|with| {
            with.cte_tables.iter().any(|cte| source.name.0.len() == 1 && cte.alias.name.value == last_of(source.name))
        });
        let names = Names { catalog: setting.catalog, path: &setting.path, database: &setting.shared.database };
        let found = names.find(&name_of(source.name, names.database)?);
        if is_cte || found.is_none_or(|found| !matches!(found, annulus_relation::catalog::Relation::Table(_))) {
            return Err(SqlError::unsupported(format!("FOR UPDATE of \"{name}\", which is no table"))
                .hint("Name the tables to lock: FOR UPDATE OF table."));
        }
        let target = Target::new(setting, source.name, source.alias)?;
        let keys = target.key_columns();
        locked.push(Locked { target, keys });
    }
    for of in locks.iter().filter_map(|lock| lock.of.as_ref()) {
        check_locked(of, |name| locked.iter().any(|table| table.target.name == name))?;
    }
    Ok(locked)
}

fn last_of(name: &ast::ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone()).unwrap_or_default()
}

/// The tables of an item of `FROM`.
fn sources_of<'q>(from: &'q ast::TableWithJoins, nullable: bool, found: &mut Vec<Source<'q>>) -> SqlResult<()> {
    use JoinOperator as O;
    let first = found.len();
    source_of(&from.relation, nullable, found)?;
    for join in &from.joins {
        let (left, right) = match &join.join_operator {
            O::Left(_) | O::LeftOuter(_) => (false, true),
            O::Right(_) | O::RightOuter(_) => (true, false),
            O::FullOuter(_) => (true, true),
            _ => (false, false),
        };
        found[first..].iter_mut().for_each(|source| source.nullable |= left);
        source_of(&join.relation, nullable || right, found)?;
    }
    Ok(())
}

fn source_of<'q>(factor: &'q TableFactor, nullable: bool, found: &mut Vec<Source<'q>>) -> SqlResult<()> {
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let alias = alias.as_ref().map(|alias| alias.name.value.as_str());
            found.push(Source { name, alias, nullable });
            Ok(())
        }
        TableFactor::NestedJoin { table_with_joins, alias: None } => sources_of(table_with_joins, nullable, found),
        // Rows of functions are nobody's.
        TableFactor::Table { .. } | TableFactor::Function { .. } | TableFactor::UNNEST { .. } => Ok(()),
        _ => Err(SqlError::unsupported("FOR UPDATE in a query over subqueries")
            .hint("Lock the rows of each table by its primary key.")),
    }
}
