//! Prepared statements: the protocol's and `PREPARE`'s are the same.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::error::SqlState;
use annulus_relation::value::{self, KnownTypes, MadeTypes};
use annulus_relation::{SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::Database;
use sqlparser::ast::DataType;

use super::answer::{Description, Tag, are_alike};
use super::{Portal, Script, Session};
use crate::bind::sql_type;
use crate::parse::{Parsed, Statement, parse, shape};
use crate::server::failure::to_sql;
use crate::server::shared::now;
use crate::statement::{Analyzed, Setting, analyze, literal_values};

/// What a prepared statement takes beside its text, about.
const OVERHEAD: usize = 4096;

/// Where a prepared statement comes from.
struct Origin {
    /// What `pg_prepared_statements` shows: its own text, or that of the `PREPARE`.
    text: Arc<str>,
    is_sql: bool,
}

/// A statement that can be run several times.
struct Prepared {
    origin: Origin,
    /// Microseconds since 2000-01-01 UTC.
    prepared_at: i64,
    parsed: Rc<Parsed>,
    declared: Vec<Option<SqlType>>,
    analyzed: RefCell<Rc<Analyzed>>,
    /// What the client was told of it; what is known of enumerations is of the newest catalog that it was analyzed with.
    description: RefCell<Rc<Description>>,
}

/// A session's prepared statements, by their names.
#[derive(Default)]
pub(crate) struct PreparedStatements(HashMap<String, Rc<Prepared>>);

impl PreparedStatements {
    /// The rows of `pg_prepared_statements`. Plans are made once, whatever the parameters are.
    pub fn rows(&self) -> Vec<Vec<(&'static str, Value)>> {
        let row = |(name, prepared): (&String, &Rc<Prepared>)| {
            let types = prepared.description.borrow().parameters.iter().map(|ty| Value::Oid(ty.oid())).collect();
            vec![
                ("name", Value::text(name.as_str())),
                ("statement", Value::text(&*prepared.origin.text)),
                ("prepare_time", Value::Timestamptz(prepared.prepared_at)),
                ("parameter_types", Value::Array(types)),
                ("from_sql", Value::Bool(prepared.origin.is_sql)),
            ]
        };
        self.0.iter().filter(|(name, _)| !name.is_empty()).map(row).collect()
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A statement would give other columns than the client was told. Drivers (JDBC, asyncpg, ActiveRecord) know it by the
/// routine, and prepare the statement again by themselves.
pub(super) fn changed_result() -> SqlError {
    let message = "cached plan must not change result type";
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).routine("RevalidateCachedQuery")
}

fn describe(text: &Arc<str>, analyzed: &Analyzed) -> Rc<Description> {
    let text = Arc::clone(text);
    Rc::new(Description { text, parameters: analyzed.parameters.clone(), columns: analyzed.columns.clone() })
}

impl<D: Database> Session<D> {
    /// Analyzes a statement with the catalog that it would run with; what is wrong with it must also be wrong with the
    /// newest catalog.
    pub(super) async fn analyze(
        &mut self,
        parsed: &Rc<Parsed>,
        declared: &[Option<SqlType>],
    ) -> SqlResult<Rc<Analyzed>> {
        let deadline = self.deadline();
        let catalog = match &self.active {
            Some(active) => Arc::clone(&active.catalog),
            None => self.catalogs.current(&self.server.db, deadline.left()).await.map_err(to_sql)?,
        };
        let found = self.analyze_with(parsed, declared, &catalog);
        if found.is_ok() || self.active.as_ref().is_some_and(|active| active.defines) {
            return found;
        }
        let newest = self.catalogs.reload(&self.server.db, deadline.left()).await.map_err(to_sql)?;
        if Arc::ptr_eq(&newest, &catalog) {
            return found;
        }
        if let Some(active) = &mut self.active {
            active.go_by(Arc::clone(&newest));
        }
        self.analyze_with(parsed, declared, &newest)
    }

    fn analyze_with(
        &self,
        parsed: &Rc<Parsed>,
        declared: &[Option<SqlType>],
        catalog: &Arc<annulus_relation::catalog::Catalog>,
    ) -> SqlResult<Rc<Analyzed>> {
        self.shared.use_catalog(catalog);
        let path = self.shared.path();
        let (shared, engine) = (&self.shared, &self.server.engine);
        let setting = Setting { shared, catalog, path, env: self.env(), engine, around: None, given: &[] };
        let declared = resolved(declared, catalog.made_types())?;
        let mut found = analyze(parsed, &declared, &setting)?;
        match &parsed.statement {
            Statement::Execute { name, .. } => {
                found.columns =
                    self.prepared.0.get(name).and_then(|prepared| prepared.description.borrow().columns.clone());
            }
            Statement::Fetch { name, moves: false, .. } => found.columns = self.cursors.columns(name),
            _ => {}
        }
        Ok(Rc::new(found))
    }

    /// Analyzes a statement of a simple query.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn start(&mut self, statement: Script) -> SqlResult<Portal> {
        let (parsed, key) = match statement {
            Script::Shaped(portal) => return Ok(portal),
            Script::Parsed(parsed, key) => (parsed, key),
        };
        self.check_failed(&parsed)?;
        let analyzed = self.analyze(&parsed, &[]).await?;
        if !analyzed.parameters.is_empty() {
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $1"));
        }
        // The time that is read at is no expression of the plan: literals there must stay.
        let has_shape = analyzed.plan.has_shape() && parsed.as_of.is_none();
        // A session that has relations of its own finds others' plans no more than they its.
        let has_shape = has_shape && self.shared.temporary.name().is_none();
        if let Some(key) = key.filter(|_| has_shape && self.active.is_none()) {
            self.remember_shape(&parsed, &key, &analyzed);
        }
        Ok(Portal::new(analyzed, Vec::new()))
    }

    /// Analyzes the shape of a statement that was analyzed well, so that the next one of it need not be parsed.
    fn remember_shape(&self, parsed: &Parsed, key: &Rc<str>, analyzed: &Analyzed) {
        let (Some(shape), Some(catalog)) = (shape(&parsed.text), &analyzed.catalog) else { return };
        let declared: Vec<Option<SqlType>> = shape.literals.iter().map(|literal| Some(literal.ty())).collect();
        let Ok(mut statements) = parse(shape.text()) else { return };
        let Some(parsed) = statements.pop().filter(|_| statements.is_empty()) else { return };
        // Where literals are not expressions (ORDER BY 1) the shape may be wrong or mean something else.
        let Ok(found) = self.analyze_with(&Rc::new(parsed), &declared, catalog) else { return };
        let same = found.plan.has_shape() && found.parameters.len() == shape.literals.len();
        if same && found.columns == analyzed.columns {
            self.catalogs.shapes.borrow_mut().insert(key, found);
        }
    }

    /// The portal of a text whose shape was analyzed before.
    pub(super) fn shaped(&self, text: &str) -> Option<Portal> {
        if self.active.as_ref().is_some_and(|active| active.failed || active.defines) {
            return None;
        }
        let shapes = self.catalogs.shapes.borrow();
        if shapes.is_empty() || self.catalogs.cached().is_none() {
            return None;
        }
        let shape = shape(text)?;
        let analyzed = shapes.get(shape.key(), &self.shared.path())?;
        let parameters = literal_values(&shape.literals, &analyzed.parameters, &self.env())?;
        Some(Portal::new(Rc::clone(analyzed), parameters))
    }

    /// `25P02` if the block has failed and the statement does not end it.
    pub(super) fn check_failed(&self, parsed: &Parsed) -> SqlResult<()> {
        use crate::parse::Statement as S;
        let ends = matches!(parsed.statement, S::Commit(_) | S::Rollback(_) | S::RollbackTo(_));
        match &self.active {
            Some(active) if active.failed && !ends => Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            )),
            _ => Ok(()),
        }
    }

    /// Prepares a statement. The empty name's is replaced, another one must be new. `types` are parameter types by
    /// object number as far as the client knows them; 0: it does not.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn parse(&mut self, name: &str, sql: &str, types: &[u32]) -> SqlResult<()> {
        let mut statements = parse(sql)?;
        if statements.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let known = self.env().types;
        let declared = types.iter().map(|oid| declared_type(*oid, &known)).collect::<SqlResult<Vec<_>>>()?;
        let parsed = statements.pop().unwrap_or_else(|| Parsed::empty(sql));
        let origin = Origin { text: Arc::clone(&parsed.text), is_sql: false };
        self.prepare(name, origin, Rc::new(parsed), declared).await
    }

    /// `PREPARE`, the text of which is given.
    pub(super) async fn prepare_statement(
        &mut self,
        name: &str,
        text: &Arc<str>,
        types: &[DataType],
        body: &Parsed,
    ) -> SqlResult<Tag> {
        let known = self.env().types;
        // Parameters have no modifiers, whatever is written.
        let declared =
            types.iter().map(|ty| sql_type(ty, &known).map(|ty| Some(ty.base()))).collect::<SqlResult<Vec<_>>>()?;
        let origin = Origin { text: Arc::clone(text), is_sql: true };
        self.prepare(name, origin, Rc::new(body.clone()), declared).await?;
        Ok(Tag::word("PREPARE"))
    }

    async fn prepare(
        &mut self,
        name: &str,
        origin: Origin,
        parsed: Rc<Parsed>,
        declared: Vec<Option<SqlType>>,
    ) -> SqlResult<()> {
        if !name.is_empty() && self.prepared.0.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message));
        }
        self.check_failed(&parsed)?;
        let analyzed = self.analyze(&parsed, &declared).await?;
        let description = RefCell::new(describe(&parsed.text, &analyzed));
        let prepared_at = now();
        let prepared =
            Prepared { origin, prepared_at, parsed, declared, analyzed: RefCell::new(analyzed), description };
        self.prepared.0.insert(name.to_owned(), Rc::new(prepared));
        Ok(())
    }

    fn find(&self, name: &str) -> SqlResult<Rc<Prepared>> {
        self.prepared.0.get(name).cloned().ok_or_else(|| {
            let message = match name {
                "" => "unnamed prepared statement does not exist".to_owned(),
                name => format!("prepared statement \"{name}\" does not exist"),
            };
            SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    /// What is known about a prepared statement.
    ///
    /// # Errors
    /// There is none of that name, or it does not fit what it names any more.
    pub async fn describe(&mut self, name: &str) -> SqlResult<Rc<Description>> {
        let prepared = self.find(name)?;
        self.refresh(&prepared).await?;
        Ok(Rc::clone(&prepared.description.borrow()))
    }

    /// The same, by the newest catalog: for a value that is none of its type as far as this node knows.
    ///
    /// # Errors
    /// As [`Session::describe`].
    pub async fn describe_newest(&mut self, name: &str) -> SqlResult<Rc<Description>> {
        let deadline = self.deadline();
        let newest = self.catalogs.reload(&self.server.db, deadline.left()).await.map_err(to_sql)?;
        if let Some(active) = self.active.as_mut().filter(|active| !active.defines) {
            active.go_by(newest);
        }
        self.describe(name).await
    }

    /// Analyzes a prepared statement again if the catalog has changed.
    async fn refresh(&mut self, prepared: &Prepared) -> SqlResult<Rc<Analyzed>> {
        let known = Rc::clone(&prepared.analyzed.borrow());
        let path = self.shared.path();
        let catalog = match &self.active {
            Some(active) => Some(Arc::clone(&active.catalog)),
            None => self.catalogs.cached(),
        };
        if known.fits(catalog.as_ref(), &path) {
            return Ok(known);
        }
        self.check_failed(&prepared.parsed)?;
        let found = self.analyze(&prepared.parsed, &prepared.declared).await?;
        let told = Rc::clone(&prepared.description.borrow());
        if !are_alike(found.columns.as_ref(), told.columns.as_ref()) || found.parameters != told.parameters {
            return Err(changed_result().hint("Prepare the statement again."));
        }
        *prepared.description.borrow_mut() = describe(&told.text, &found);
        *prepared.analyzed.borrow_mut() = Rc::clone(&found);
        Ok(found)
    }

    /// About how many bytes its prepared statements hold.
    #[must_use]
    pub fn holds(&self) -> usize {
        self.prepared.0.len() * OVERHEAD
            + self.prepared.0.values().map(|prepared| prepared.parsed.text.len()).sum::<usize>()
    }

    /// Forgets a prepared statement, if there is one.
    pub fn forget(&mut self, name: &str) {
        self.prepared.0.remove(name);
    }

    /// `DEALLOCATE`
    pub(super) fn deallocate(&mut self, name: Option<&str>) -> SqlResult<()> {
        match name {
            Some(name) => {
                self.find(name)?;
                self.prepared.0.remove(name);
            }
            None => self.prepared.clear(),
        }
        Ok(())
    }

    /// A portal of a prepared statement with values for its parameters, as many and of the types that it has.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn bind(&mut self, statement: &str, parameters: Vec<Value>) -> SqlResult<Portal> {
        let prepared = self.find(statement)?;
        let read = Rc::clone(&prepared.description.borrow());
        let analyzed = self.refresh(&prepared).await?;
        let parameters = meant(parameters, &read.parameters, &analyzed.parameters)?;
        Ok(Portal::described(analyzed, parameters))
    }

    /// Analyzes a portal's statement again, if its transaction sees another catalog than it was analyzed with.
    pub(super) fn renew(
        &self,
        portal: &mut Portal,
        catalog: &Arc<annulus_relation::catalog::Catalog>,
    ) -> SqlResult<()> {
        let path = self.shared.path();
        if portal.analyzed.fits(Some(catalog), &path) {
            return Ok(());
        }
        let declared: Vec<Option<SqlType>> = portal.analyzed.parameters.iter().cloned().map(Some).collect();
        let found = self.analyze_with(&portal.analyzed.parsed, &declared, catalog)?;
        if portal.described.get() && !are_alike(found.columns.as_ref(), portal.analyzed.columns.as_ref()) {
            return Err(changed_result());
        }
        let parameters = std::mem::take(&mut portal.parameters);
        portal.parameters = meant(parameters, &portal.analyzed.parameters, &found.parameters)?;
        portal.analyzed = found;
        Ok(())
    }
}

/// Types of parameters, of which what a catalog knows is known.
fn resolved(declared: &[Option<SqlType>], made: &MadeTypes) -> SqlResult<Vec<Option<SqlType>>> {
    let resolve = |ty: &Option<SqlType>| match ty.as_ref().and_then(SqlType::enumeration) {
        Some(own) if made.numbered(own.number()).is_none() => Err(no_type(own.number())),
        Some(_) => Ok(ty.clone().map(|mut ty| {
            made.resolve(&mut ty);
            ty
        })),
        None => Ok(ty.clone()),
    };
    declared.iter().map(resolve).collect()
}

fn no_type(oid: u32) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type with OID {oid} does not exist"))
}

/// Parameters as another catalog has them than the one that they were read with: labels stay, what stands for them may not.
fn meant(values: Vec<Value>, read: &[SqlType], known: &[SqlType]) -> SqlResult<Vec<Value>> {
    let all = values.into_iter().zip(read.iter().zip(known));
    all.map(|(value, (read, known))| value::carry(value, read, known)).collect()
}

fn declared_type(oid: u32, types: &KnownTypes) -> SqlResult<Option<SqlType>> {
    if oid == 0 {
        return Ok(None);
    }
    SqlType::from_oid(oid).or_else(|| types.numbered(oid)).map(Some).ok_or_else(|| no_type(oid))
}
