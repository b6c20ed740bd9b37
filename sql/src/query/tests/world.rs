//! A database in memory: tables from `CREATE TABLE`, rows from `COPY`'s text, and the session's side of scans.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use annulus_relation::catalog::{
    Column, ConstraintKind, Index, IndexKey, IndexState, KeyPart, NotNull, ObjectId, Remarks, Schema, Table, Unique,
    View,
};
use annulus_relation::value::{Env, KnownTypes, parse, print};
use annulus_relation::{Row, SqlResult, Value};
use sqlparser::ast::{self, ColumnOption, Statement as Ast, TableConstraint};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::tools::Answers;
use crate::bind::{Binder, EvalContext, Expr, NoSession, ParamTypes, sql_type};
use crate::parse::{Explain, parse_expression};
use crate::query::arrow::key;
use crate::query::{
    Catalog, ColumnStatistics, KeyRange, Live, QueryEngine, Relation, Running, ScanRequest, Scope, Statement,
    Statistics, Stretch, SystemSource,
};
use crate::system::constraint_oids;

/// How many rows a stretch has at most: few, so that scans go on several times.
const STRETCH: usize = 50;

/// A database.
#[derive(Default)]
pub(crate) struct World {
    relations: BTreeMap<String, Relation>,
    rows: BTreeMap<ObjectId, Vec<Row>>,
    next: ObjectId,
    /// What was scanned: the index, and how many rows were given.
    pub scanned: Arc<Mutex<Vec<(String, usize)>>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("tables", &self.rows.len()).finish_non_exhaustive()
    }
}

impl Catalog for World {
    fn relation(&self, schema: &str, name: &str) -> Option<Relation> {
        (schema == "public").then(|| self.relations.get(name).cloned()).flatten()
    }

    fn schemas(&self) -> Vec<Arc<Schema>> {
        vec![Arc::new(Schema { id: 2200, name: "public".into(), comment: None })]
    }

    fn schema(&self, id: ObjectId) -> Option<Arc<Schema>> {
        self.schemas().into_iter().find(|schema| schema.id == id)
    }

    fn relations(&self) -> Vec<Relation> {
        self.relations.values().cloned().collect()
    }

    fn by_id(&self, id: ObjectId) -> Option<Relation> {
        self.relations.values().find(|relation| relation.id() == id).cloned()
    }

    fn indexed(&self, index: ObjectId) -> Option<Arc<Table>> {
        self.table_where(|table| table.indexes.iter().any(|other| other.id == index))
    }

    fn constrained(&self, constraint: ObjectId) -> Option<Arc<Table>> {
        self.table_where(|table| constraint_oids(table).any(|other| other == constraint))
    }

    fn number(&self, schema: &str, name: &str) -> Option<ObjectId> {
        let index = || {
            let table = self.table_where(|table| table.indexes.iter().any(|index| index.name == name))?;
            table.indexes.iter().find(|index| index.name == name).map(|index| index.id)
        };
        self.relation(schema, name).map(|relation| relation.id()).or_else(index)
    }
}

impl World {
    fn table_where(&self, is: impl Fn(&Table) -> bool) -> Option<Arc<Table>> {
        let table = |relation: &Relation| match relation {
            Relation::Table(table) if is(table) => Some(Arc::clone(table)),
            _ => None,
        };
        self.relations.values().find_map(table)
    }
}

impl Statistics for World {
    fn rows(&self, table: ObjectId) -> Option<u64> {
        self.rows.get(&table).map(|rows| rows.len() as u64)
    }

    fn column(&self, table: ObjectId, column: u16) -> Option<Arc<ColumnStatistics>> {
        let Relation::Table(described) = self.relations.values().find(|relation| relation.id() == table)? else {
            return None;
        };
        let place = described.columns.iter().position(|other| other.id == column)?;
        let rows = self.rows.get(&table)?;
        let values = rows.iter().map(|row| row[place].clone()).collect();
        Some(Arc::new(ColumnStatistics::of_sample(values, rows.len() as u64)))
    }
}

impl SystemSource for World {
    fn rows(&self, _: Live) -> Vec<Vec<(&'static str, Value)>> {
        Vec::new()
    }

    fn sequence(&self, _: ObjectId) -> Option<(i64, bool)> {
        None
    }
}

fn index(id: ObjectId, name: &str, parts: Vec<KeyPart>, unique: bool, constraint: Option<ConstraintKind>) -> Index {
    let key = |part| IndexKey { part, descending: false, nulls_first: false };
    Index {
        id,
        name: name.into(),
        unique: Unique::new(unique),
        keys: parts.into_iter().map(key).collect(),
        include: Vec::new(),
        predicate: None,
        constraint,
        state: IndexState::Ready,
        comment: None,
    }
}

impl World {
    /// A database with these tables, indexes and views.
    pub fn new(ddl: &str) -> Self {
        let mut world = Self { next: 16384, ..Self::default() };
        world.create(ddl);
        world
    }

    /// Adds tables, indexes and views.
    pub fn create(&mut self, ddl: &str) {
        for statement in Parser::parse_sql(&PostgreSqlDialect {}, ddl).unwrap() {
            self.execute(statement);
        }
    }

    fn id(&mut self) -> ObjectId {
        self.next += 1;
        self.next
    }

    fn execute(&mut self, statement: Ast) {
        match statement {
            Ast::CreateTable(create) => self.create_table(&create),
            Ast::CreateIndex(create) => {
                let name = create.table_name.to_string();
                let id = self.id();
                let Some(Relation::Table(table)) = self.relations.get(&name) else { panic!("no table {name}") };
                let mut table = Table::clone(table);
                let part = |column: &ast::IndexColumn| key_part(&table, &column.column.expr);
                let parts = create.columns.iter().map(part).collect();
                let mut index = index(id, &create.name.unwrap().to_string(), parts, create.unique, None);
                index.predicate = create.predicate.map(|predicate| predicate.to_string());
                table.indexes.push(index);
                self.relations.insert(name, Relation::Table(Arc::new(table)));
            }
            Ast::CreateView(view) => {
                let scope = self.scope();
                let engine = QueryEngine::new(1, 1 << 20).unwrap();
                let columns = engine.plan(&*view.query, &scope, &ParamTypes::new()).unwrap().columns;
                let (id, name) = (self.id(), view.name.to_string());
                let query = view.query.to_string();
                let (reads, knows) = (Vec::new(), Vec::new());
                let view = View { id, schema: 2200, name: name.clone(), columns, query, reads, comment: None, knows };
                self.relations.insert(name, Relation::View(Arc::new(view)));
            }
            other => panic!("{other}"),
        }
    }

    fn create_table(&mut self, create: &ast::CreateTable) {
        let (id, name) = (self.id(), create.name.to_string());
        let columns = create.columns.iter().zip(1..).map(|(column, number)| Column {
            id: number,
            name: column.name.value.clone(),
            ty: sql_type(&column.data_type, &KnownTypes::default()).unwrap(),
            not_null: NotNull::new(
                column
                    .options
                    .iter()
                    .any(|option| matches!(option.option, ColumnOption::NotNull | ColumnOption::PrimaryKey(_))),
            ),
            default: None,
            missing: None,
            comment: None,
        });
        let mut table = Table {
            id,
            schema: 2200,
            name: name.clone(),
            generation: 0,
            next_column: u16::try_from(create.columns.len()).unwrap() + 1,
            columns: columns.collect(),
            indexes: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            referenced_by: Vec::new(),
            comment: None,
            remarks: Remarks::new(),
        };
        let inline = create
            .columns
            .iter()
            .filter(|column| column.options.iter().any(|o| matches!(o.option, ColumnOption::PrimaryKey(_))));
        let mut keys: Vec<u16> = inline.map(|column| number(&table, &column.name.value)).collect();
        for constraint in &create.constraints {
            if let TableConstraint::PrimaryKey(primary) = constraint {
                keys = primary.columns.iter().map(|column| number(&table, &column.column.expr.to_string())).collect();
            }
        }
        for column in table.columns.iter_mut().filter(|column| keys.contains(&column.id)) {
            column.not_null = NotNull::Yes;
        }
        let kind = (!keys.is_empty()).then_some(ConstraintKind::PrimaryKey);
        let parts = keys.into_iter().map(KeyPart::Column).collect();
        table.indexes.push(index(self.id(), &format!("{name}_pkey"), parts, kind.is_some(), kind));
        self.rows.insert(id, Vec::new());
        self.relations.insert(name, Relation::Table(Arc::new(table)));
    }

    /// Changes a table.
    pub fn change(&mut self, name: &str, change: impl FnOnce(&mut Table)) {
        let mut table = Table::clone(&self.table(name));
        change(&mut table);
        self.add(Relation::Table(Arc::new(table)));
    }

    /// Adds a relation.
    pub fn add(&mut self, relation: Relation) {
        self.relations.insert(relation.name().to_owned(), relation);
    }

    /// A table.
    pub fn table(&self, name: &str) -> Arc<Table> {
        match self.relations.get(name) {
            Some(Relation::Table(table)) => Arc::clone(table),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Adds rows: one a line, fields separated by `|`, `\N` is NULL.
    pub fn copy(&mut self, name: &str, text: &str) {
        let table = self.table(name);
        let env = Env::default();
        for line in text.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            let fields = line.split('|').zip(&table.columns).map(|(field, column)| match field {
                "\\N" => Value::Null,
                field => parse(field, &column.ty, &env).unwrap(),
            });
            let row: Row = fields.collect();
            assert_eq!(row.len(), table.columns.len(), "{line}");
            self.rows.get_mut(&table.id).unwrap().push(row);
        }
    }

    pub fn scope(&self) -> Scope {
        let copy = Arc::new(Self {
            relations: self.relations.clone(),
            rows: self.rows.clone(),
            next: 0,
            scanned: Arc::clone(&self.scanned),
        });
        let scope = Scope {
            catalog: copy.clone(),
            search_path: vec!["public".into()],
            system: copy.clone(),
            functions: Arc::new(NoSession),
            statistics: copy,
            env: Arc::new(Env::default()),
            database: "db".into(),
        };
        Scope { functions: Arc::new(Answers(scope.clone())), ..scope }
    }

    /// The results of a query: its column names and its rows as text.
    pub fn query(&self, sql: &str) -> SqlResult<(Vec<String>, Vec<Vec<String>>)> {
        self.query_with(sql, &ParamTypes::new(), &[])
    }

    /// The same with parameters.
    pub fn query_with(
        &self,
        sql: &str,
        params: &ParamTypes,
        values: &[Value],
    ) -> SqlResult<(Vec<String>, Vec<Vec<String>>)> {
        self.on(&QueryEngine::new(2, 64 << 20)?, sql, |engine, statement, scope| {
            engine.run(statement, scope, params, values)
        })
    }

    /// The plan of a query.
    pub fn explain(&self, sql: &str, analyze: bool) -> SqlResult<String> {
        let how = Explain { analyze, ..Explain::default() };
        let (_, rows) = self.on(&QueryEngine::new(2, 64 << 20)?, sql, |engine, statement, scope| {
            engine.explain(statement, scope, &ParamTypes::new(), &[], how)
        })?;
        Ok(rows.into_iter().flatten().collect::<Vec<_>>().join("\n"))
    }

    /// Runs a query on an engine.
    pub fn on(
        &self,
        engine: &QueryEngine,
        sql: &str,
        run: impl FnOnce(&QueryEngine, Statement<'_>, &Scope) -> SqlResult<Running>,
    ) -> SqlResult<(Vec<String>, Vec<Vec<String>>)> {
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let [Ast::Query(query)] = parsed.as_slice() else { panic!("no query: {sql}") };
        let statement = Statement { query, text: Some(sql), targets: &[], given: &[] };
        self.scanned.lock().unwrap().clear();
        let running = run(engine, statement, &self.scope())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            tokio::time::timeout(std::time::Duration::from_secs(60), self.drive(running)).await.expect("a query hangs")
        })
    }

    async fn drive(&self, mut running: Running) -> SqlResult<(Vec<String>, Vec<Vec<String>>)> {
        let env = Env::default();
        let columns = running.columns.clone();
        let mut result = Vec::new();
        loop {
            tokio::select! {
                Some(request) = running.scans.recv() => self.serve(request),
                rows = running.rows.recv() => match rows {
                    None => break,
                    Some(rows) => {
                        for row in rows? {
                            let fields = row.iter().zip(&columns).map(|(value, (_, ty))| match value {
                                Value::Null => "NULL".to_owned(),
                                value => print(value, ty, &env),
                            });
                            result.push(fields.collect());
                        }
                    }
                },
            }
        }
        Ok((columns.into_iter().map(|(name, _)| name).collect(), result))
    }

    /// One stretch of a scan. The rows are those in the ranges exactly, so that wrong ranges show.
    fn serve(&self, request: ScanRequest) {
        let spec = &request.spec;
        let index = spec.descriptor().unwrap();
        let keys: Vec<Expr> = index.keys.iter().map(|key| key_expr(&spec.table, &key.part)).collect();
        let only = index.predicate.as_ref().map(|text| bound(&spec.table, &parse_expression(text).unwrap()));
        let (env, all) = (Env::default(), &self.rows[&spec.table.id]);
        let context = EvalContext::new(&env, &NoSession);
        let held = all.iter().filter(|row| only.as_ref().is_none_or(|only| only.is_true(row, &[], &context).unwrap()));
        let entry = |row: &Row| keys.iter().map(|key| key.eval(row, &[], &context).unwrap()).collect::<Row>();
        let mut rows: Vec<(Row, &Row)> = held
            .map(|row| (entry(row), row))
            .filter(|(key, _)| spec.ranges.iter().any(|range| within(range, key)))
            .collect();
        if spec.ordered {
            rows.sort_by_key(|(key, _)| key.iter().map(|value| (value.is_null(), key::of(value))).collect::<Vec<_>>());
        } else {
            rows.reverse();
        }
        let from = request.resume.map_or(0, |resume| *resume.downcast::<usize>().unwrap());
        let to = (from + request.rows.min(STRETCH)).min(rows.len());
        let column = |id: &u16| spec.table.columns.iter().position(|column| column.id == *id).unwrap();
        let wanted: Vec<usize> = spec.columns.iter().map(column).collect();
        let left = to < rows.len();
        let given = rows[from..to].iter().map(|(_, row)| wanted.iter().map(|place| row[*place].clone()).collect());
        let rows: Vec<Row> = given.collect();
        self.scanned.lock().unwrap().push((index.name.clone(), rows.len()));
        let resume = left.then(|| Box::new(to) as _);
        let stretch = Stretch { rows, resume, bytes: 10, round_trips: 1, ..Stretch::default() };
        let _ = request.reply.send(Ok(stretch));
    }
}

fn within(range: &KeyRange, key: &Row) -> bool {
    let equal = range.equal.iter().zip(key).all(|(value, part)| key::of(value) == key::of(part));
    let Some(value) = key.get(range.equal.len()) else { return equal };
    let bounded = range.lower != Bound::Unbounded || range.upper != Bound::Unbounded;
    let lower = match &range.lower {
        Bound::Unbounded => true,
        Bound::Included(bound) => key::of(value) >= key::of(bound),
        Bound::Excluded(bound) => key::of(value) > key::of(bound),
    };
    let upper = match &range.upper {
        Bound::Unbounded => true,
        Bound::Included(bound) => key::of(value) <= key::of(bound),
        Bound::Excluded(bound) => key::of(value) < key::of(bound),
    };
    equal && (!bounded || (!value.is_null() && lower && upper))
}

fn key_part(table: &Table, expr: &ast::Expr) -> KeyPart {
    match expr {
        ast::Expr::Identifier(name) => KeyPart::Column(number(table, &name.value)),
        other => KeyPart::Expression(other.to_string(), bound(table, other).ty().clone()),
    }
}

fn key_expr(table: &Table, part: &KeyPart) -> Expr {
    let text = match part {
        KeyPart::Column(id) => &table.columns.iter().find(|column| column.id == *id).unwrap().name,
        KeyPart::Expression(text, _) => text,
    };
    bound(table, &parse_expression(text).unwrap())
}

fn bound(table: &Table, expr: &ast::Expr) -> Expr {
    let columns = table.columns.iter().map(|column| (column.name.as_str(), &column.ty));
    let scope = crate::bind::Scope::table(None, Some(&table.name), columns);
    let (mut params, env) = (ParamTypes::new(), Env::default());
    Binder::new(&scope, &mut params, &env).bind(expr).unwrap()
}

fn number(table: &Table, name: &str) -> u16 {
    table.columns.iter().find(|column| column.name == name).unwrap_or_else(|| panic!("no column {name}")).id
}
