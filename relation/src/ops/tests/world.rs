//! Tables of tests, a small evaluator of expressions, and what must always hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use annulus_base::time::SECOND;
use annulus_ring::DynamicNamespace;
use annulus_txn::interface::{Database, Place, TxnError, When};
use bytes::Bytes;

use crate::catalog::{
    Action, Catalog, Check, Column, ConstraintKind, Default, Edit, ForeignKey, Home, Index, IndexKey, IndexState,
    KeyPart, NotNull, PUBLIC, Remarks, Standing, Table, Unique, load,
};
use crate::error::{SqlError, SqlResult};
use crate::failure::{Failure, Outcome};
use crate::ops::{
    Bounds, Checks, Claims, Cursor, Deferrals, Expressions, Pending, Physical, RowId, Surroundings, Tuple, Writer,
};
use crate::transaction::{Mode, Transaction};
use crate::value::{Row, SqlType, Value};
use annulus_txn::testing::{Fake, run};

/// Evaluates `column`, a number, `lower column`, and `column > number` (or `<`, `=`, `+`).
pub(super) struct Simple;

impl Expressions for Simple {
    fn eval(&self, table: &Table, expression: &str, _: &SqlType, row: &[Value]) -> SqlResult<Value> {
        let operand = |text: &str| match text.parse() {
            Ok(number) => Value::Int4(number),
            Err(_) => row[table.columns.iter().position(|column| column.name == text).unwrap()].clone(),
        };
        let words: Vec<&str> = expression.split(' ').collect();
        Ok(match words[..] {
            [single] => operand(single),
            ["lower", column] => match operand(column) {
                Value::Text(text) => Value::text(text.to_lowercase()),
                other => other,
            },
            [left, operator, right] => match (operand(left), operand(right)) {
                (Value::Int4(left), Value::Int4(right)) => match operator {
                    ">" => Value::Bool(left > right),
                    "<" => Value::Bool(left < right),
                    "=" => Value::Bool(left == right),
                    _ => Value::Int4(left + right),
                },
                _ => Value::Null,
            },
            _ => panic!("{expression}"),
        })
    }

    /// `next` is another number each time.
    fn default(&self, table: &Table, column: &Column) -> SqlResult<Value> {
        thread_local!(static NEXT: std::cell::Cell<i32> = const { std::cell::Cell::new(1_000_000) });
        match &column.default {
            Some(Default::Expression(text)) if text == "next" => {
                NEXT.set(NEXT.get() + 1);
                Ok(Value::Int4(NEXT.get()))
            }
            Some(Default::Expression(text)) => self.eval(table, text, &column.ty, &[]),
            _ => Ok(Value::Null),
        }
    }
}

/// A table with integer columns of these names, the first of which is the primary key.
pub(super) fn table(id: u32, name: &str, columns: &[&str]) -> Table {
    let column = |(name, id): (&&str, u16)| Column {
        id,
        name: (*name).to_owned(),
        ty: SqlType::Int4,
        not_null: NotNull::new(id == 1),
        default: None,
        missing: None,
        comment: None,
    };
    let mut table = Table {
        id,
        schema: PUBLIC,
        name: name.to_owned(),
        generation: 0,
        columns: columns.iter().zip(1..).map(column).collect(),
        next_column: 100,
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        referenced_by: Vec::new(),
        comment: None,
        remarks: Remarks::new(),
    };
    table.indexes.push(index(&table, &format!("{name}_pkey"), &[columns[0]], true));
    table.indexes[0].constraint = Some(ConstraintKind::PrimaryKey);
    table
}

/// An index over columns (`-name`: descending) or expressions (with a space in them).
pub(super) fn index(table: &Table, name: &str, keys: &[&str], unique: bool) -> Index {
    let key = |text: &&str| {
        let descending = text.starts_with('-');
        let text = text.trim_start_matches('-');
        let part = match table.columns.iter().find(|column| column.name == text) {
            Some(column) => KeyPart::Column(column.id),
            None => KeyPart::Expression(text.to_owned(), SqlType::Int4),
        };
        IndexKey { part, descending, nulls_first: descending }
    };
    Index {
        id: table.id + 1 + table.indexes.len() as u32,
        name: name.to_owned(),
        unique: Unique::new(unique),
        keys: keys.iter().map(key).collect(),
        include: Vec::new(),
        predicate: None,
        constraint: None,
        state: IndexState::Ready,
        comment: None,
    }
}

pub(super) fn with_index(mut table: Table, name: &str, keys: &[&str], unique: bool) -> Table {
    table.indexes.push(index(&table, name, keys, unique));
    table
}

pub(super) fn with_check(mut table: Table, name: &str, expression: &str) -> Table {
    table.checks.push(Check {
        name: name.to_owned(),
        expression: expression.to_owned(),
        standing: Standing::new(true),
    });
    table
}

/// A table whose rows have hidden ids.
pub(super) fn without_key(mut table: Table) -> Table {
    table.indexes[0].keys.clear();
    table.columns[0].not_null = NotNull::No;
    table
}

/// A foreign key from a column of `child` to the primary key of `parent`.
pub(super) fn refer(child: &mut Table, column: &str, parent: &mut Table, on_delete: Action, on_update: Action) {
    let id = child.columns.iter().find(|other| other.name == column).unwrap().id;
    child.foreign_keys.push(ForeignKey {
        name: format!("{}_{column}_fkey", child.name),
        columns: vec![id],
        parent: parent.id,
        parent_columns: vec![1],
        on_delete,
        on_update,
        standing: Standing::new(true),
    });
    parent.referenced_by.push(child.id);
}

pub(super) fn with_default(mut table: Table, column: &str, default: Default) -> Table {
    let column = table.columns.iter_mut().find(|other| other.name == column).unwrap();
    column.default = Some(default);
    table
}

/// A database with tables.
pub(super) struct World {
    pub fake: Fake,
    pub catalog: Catalog,
    counter: std::cell::Cell<u32>,
}

pub(super) type Write<'a> = Writer<'a, Simple>;

impl World {
    pub fn new(tables: Vec<Table>) -> Self {
        let home = Home::new(DynamicNamespace::new(9, 4, 1).unwrap());
        let mut this = Self { fake: Fake::new(), catalog: Catalog::empty(home), counter: std::cell::Cell::new(0) };
        tables.into_iter().for_each(|table| this.put(table));
        this
    }

    /// Creates or replaces a table.
    pub fn put(&mut self, table: Table) {
        let mut transaction = self.begin();
        let mut edit = Edit::new(&self.catalog);
        edit.put_table(table).unwrap();
        edit.finish(&mut transaction).unwrap();
        run(transaction.commit(SECOND)).unwrap();
        self.catalog = run(load(&self.fake, *self.catalog.home(), When::Latest, SECOND)).unwrap();
    }

    pub fn begin(&self) -> Transaction<Fake> {
        Transaction::new(self.fake.clone(), Mode::Statement, self.fake.begin())
    }

    pub fn block(&self) -> Transaction<Fake> {
        Transaction::new(self.fake.clone(), Mode::Block, self.fake.begin())
    }

    pub fn around(&self) -> Surroundings<'_, Simple> {
        Surroundings { catalog: &self.catalog, expressions: &Simple }
    }

    pub fn table(&self, name: &str) -> &Arc<Table> {
        self.catalog.table(PUBLIC, name).unwrap()
    }

    pub fn physical(&self, name: &str) -> Arc<Physical> {
        Arc::new(Physical::new(*self.catalog.home(), self.table(name)).unwrap())
    }

    /// One statement as part of a transaction.
    pub fn execute(
        &self,
        transaction: &mut Transaction<Fake>,
        checks: Checks,
        change: impl FnOnce(&mut Write<'_>) -> SqlResult<()>,
    ) -> Outcome<Claims> {
        self.deferring(transaction, checks, &Deferrals::NONE, change).map(|pending| pending.claims)
    }

    /// The same, with constraints deferred.
    pub fn deferring(
        &self,
        transaction: &mut Transaction<Fake>,
        checks: Checks,
        deferrals: &Deferrals,
        change: impl FnOnce(&mut Write<'_>) -> SqlResult<()>,
    ) -> Outcome<Pending> {
        let mut writer = Writer::new(self.around(), checks);
        change(&mut writer)?;
        let mut pending = Pending::default();
        run(writer.finish(transaction, deferrals, &mut pending, SECOND))?;
        Ok(pending)
    }

    /// One statement in a transaction of its own.
    pub fn statement(&self, change: impl FnOnce(&mut Write<'_>) -> SqlResult<()>) -> Outcome<()> {
        let mut transaction = self.begin();
        self.execute(&mut transaction, Checks::AtStatement, change)?;
        run(transaction.commit(SECOND))?;
        Ok(())
    }

    pub fn insert(&self, table: &str, rows: &[&[i32]]) -> Outcome<()> {
        self.insert_rows(table, rows.iter().map(|row| ints(row)).collect())
    }

    pub fn insert_rows(&self, table: &str, rows: Vec<Row>) -> Outcome<()> {
        self.statement(|writer| self.add(writer, table, rows))
    }

    pub fn add(&self, writer: &mut Write<'_>, table: &str, rows: Vec<Row>) -> SqlResult<()> {
        let hidden = self.physical(table).has_row_id();
        for row in rows {
            self.counter.set(self.counter.get() + 1);
            let id = hidden.then(|| RowId::new(annulus_base::Timestamp(5), 1, self.counter.get()));
            writer.insert(self.table(table).id, row, id)?;
        }
        Ok(())
    }

    /// Changes the rows for which `change` gives new ones.
    pub fn update(&self, table: &str, change: impl Fn(&Row) -> Option<Row>) -> Outcome<()> {
        let rows = self.tuples(table);
        self.statement(|writer| self.change(writer, table, rows, change))
    }

    pub fn change(
        &self,
        writer: &mut Write<'_>,
        table: &str,
        rows: Vec<Tuple>,
        change: impl Fn(&Row) -> Option<Row>,
    ) -> SqlResult<()> {
        for tuple in rows {
            if let Some(row) = change(&tuple.values) {
                writer.update(self.table(table).id, tuple, row)?;
            }
        }
        Ok(())
    }

    pub fn delete(&self, table: &str, which: impl Fn(&Row) -> bool) -> Outcome<()> {
        let rows = self.tuples(table);
        self.statement(|writer| self.remove(writer, table, rows, which))
    }

    pub fn remove(
        &self,
        writer: &mut Write<'_>,
        table: &str,
        rows: Vec<Tuple>,
        which: impl Fn(&Row) -> bool,
    ) -> SqlResult<()> {
        for tuple in rows.into_iter().filter(|tuple| which(&tuple.values)) {
            writer.delete(self.table(table).id, tuple)?;
        }
        Ok(())
    }

    pub fn tuples(&self, table: &str) -> Vec<Tuple> {
        self.read(&mut self.begin(), table, 0, &[Bounds::all()], None, true)
    }

    pub fn read(
        &self,
        transaction: &mut Transaction<Fake>,
        table: &str,
        index: usize,
        bounds: &[Bounds],
        columns: Option<Vec<usize>>,
        ordered: bool,
    ) -> Vec<Tuple> {
        let mut cursor = Cursor::new(&self.physical(table), index, bounds, columns, ordered).unwrap();
        let mut all = Vec::new();
        while let Some(rows) = run(cursor.next(transaction, &self.catalog, 3, SECOND)).unwrap() {
            all.extend(rows);
        }
        all
    }

    /// The rows of a table, by their key.
    pub fn rows(&self, table: &str) -> Vec<Row> {
        self.check(table);
        self.tuples(table).into_iter().map(|tuple| tuple.values).collect()
    }

    pub fn ints(&self, table: &str) -> Vec<Vec<i32>> {
        let int = |value: &Value| match value {
            Value::Int4(value) => *value,
            Value::Null => -99,
            other => panic!("{other:?}"),
        };
        self.rows(table).iter().map(|row| row.iter().map(int).collect()).collect()
    }

    /// What is stored of a table in a generation of its data.
    pub fn stored(&self, table: &Table, generation: u32) -> BTreeMap<Place, Bytes> {
        let is_stamp = |place: &Place| place.key.as_bytes()[8..12] == [0xff; 4];
        let prefix = [generation.to_be_bytes(), table.id.to_be_bytes()].concat();
        let stored = self.fake.present().into_iter();
        stored.filter(|(place, _)| place.key.as_bytes()[..8] == prefix && !is_stamp(place)).collect()
    }

    /// What is stored of a table is its rows and just their index entries, where they belong.
    pub fn check(&self, name: &str) {
        let (physical, table) = (self.physical(name), self.table(name));
        let stored = self.stored(table, table.generation);
        let mut expected = BTreeMap::new();
        for tuple in self.tuples(name) {
            // What is in a row that its columns do not say was copied with it.
            let record = &stored[&tuple.place];
            assert_eq!(physical.decode(tuple.place.clone(), record).unwrap(), tuple);
            expected.insert(tuple.place.clone(), record.clone());
            for index in 1..table.indexes.len() {
                let entry = physical.entry(index, &tuple.place, &tuple.values, &Simple).unwrap();
                expected.extend(entry.map(|entry| (entry.place, entry.value)));
            }
        }
        assert_eq!(stored, expected, "table {name}");
    }
}

pub(super) fn ints(row: &[i32]) -> Row {
    row.iter().map(|value| Value::Int4(*value)).collect()
}

pub(super) fn sql<T: std::fmt::Debug>(result: Outcome<T>) -> SqlError {
    match result.unwrap_err() {
        Failure::Sql(error) => error,
        Failure::Txn(error) => panic!("{error}"),
    }
}

/// State, message and detail of an error.
pub(super) fn told<T: std::fmt::Debug>(result: Outcome<T>) -> (&'static str, String, String) {
    let error = sql(result);
    let report = error.report();
    (report.state.0, report.message.clone(), report.detail.clone().unwrap_or_default())
}

pub(super) fn is_conflict<T>(result: &Result<T, TxnError>) -> bool {
    matches!(result, Err(TxnError::Conflict(_)))
}
