//! Random statements over tables that refer to each other, most of which violate something.

use std::fmt::Write as _;

use annulus_base::rng::Rng;

use super::Source;
use super::generator::Statement;

/// Values are below this, so that they meet.
const VALUES: u64 = 8;
const TABLES: usize = 4;
/// All of them may refer to each other.
const TYPES: [&str; 5] = ["int", "int", "int", "bigint", "smallint"];
const ACTIONS: [&str; 5] = ["NO ACTION", "CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION"];
const DEFERRALS: [&str; 4] = ["", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"];

/// A table: `id` is its primary key at first, `u` another unique one, `r` and `s` may refer to other tables, `v` may be
/// checked and is part of a unique key with `s`, `g` is made of `v`.
#[derive(Clone, Copy)]
struct Table {
    number: usize,
    /// Whether `id` has a sequence.
    is_numbered: bool,
}

/// The source of statements.
pub struct Constraints {
    rng: Rng,
    tables: Vec<Table>,
    /// Statements that were thought of together.
    ahead: Vec<String>,
    /// Whether a transaction is open, one of its statements failed, and it has a savepoint.
    open: bool,
    failed: bool,
    saved: bool,
    constraints: u32,
}

impl Constraints {
    pub const fn new(rng: Rng) -> Self {
        Self { rng, tables: Vec::new(), ahead: Vec::new(), open: false, failed: false, saved: false, constraints: 0 }
    }
}

impl Source for Constraints {
    fn next(&mut self) -> Statement {
        let sql = match self.ahead.pop() {
            Some(sql) => sql,
            None if self.tables.len() < TABLES => self.create(),
            None if self.failed && self.rng.one_in(2) => self.end(),
            None => match self.rng.below(32) {
                0..=9 => self.insert(),
                10..=14 => self.update(),
                15..=17 => self.delete(),
                18 | 19 => self.merge(),
                20 => self.moved(),
                21..=23 => self.transaction(),
                24 | 25 => self.alter(),
                26 if self.rng.one_in(3) => {
                    let cascade = if self.rng.one_in(2) { " CASCADE" } else { "" };
                    let truncate = format!("TRUNCATE {}{cascade}", self.some().name());
                    self.settled(truncate)
                }
                _ => self.look(),
            },
        };
        Statement::change(sql)
    }

    fn done(&mut self, statement: &Statement, succeeded: bool) {
        self.failed |= self.open && !succeeded;
        match statement.sql.as_str() {
            "BEGIN" => self.open = true,
            "SAVEPOINT s" => self.saved |= succeeded,
            "ROLLBACK TO s" if succeeded => self.failed = false,
            "COMMIT" | "ROLLBACK" => (self.open, self.failed, self.saved) = (false, false, false),
            _ => {}
        }
    }

    /// A sequence that was set is set for one node.
    fn is_between(&self) -> bool {
        !self.open && self.ahead.is_empty()
    }
}

impl Constraints {
    fn some(&mut self) -> Table {
        *self.rng.pick(&self.tables).expect("there are tables")
    }

    fn value(&mut self) -> String {
        if self.rng.one_in(10) { "NULL".to_owned() } else { self.rng.below(VALUES).to_string() }
    }

    fn create(&mut self) -> String {
        let number = self.tables.len() + 1;
        let rng = &mut self.rng;
        let table = Table { number, is_numbered: rng.one_in(3) };
        let name = table.name();
        let mut sql = format!("CREATE TABLE {name} (id {}", if table.is_numbered { "serial" } else { "int" });
        let unique = rng.pick(&[" UNIQUE", " UNIQUE NOT NULL"]).expect("some");
        let _ = write!(sql, " PRIMARY KEY, u {}{unique}", rng.pick(&TYPES).expect("some"));
        for column in ["r", "s"] {
            let declared = rng.pick(&["", " DEFAULT 1", " NOT NULL"]).expect("some");
            let _ = write!(sql, ", {column} {}{declared}", rng.pick(&TYPES).expect("some"));
            if !rng.one_in(4) {
                // Itself, too.
                let parent = 1 + rng.below(number as u64);
                let to = rng.pick(&["", "(id)", "(u)"]).expect("some");
                let [deleted, updated] = [0; 2].map(|_| *rng.pick(&ACTIONS).expect("some"));
                let deferral = rng.pick(&DEFERRALS).expect("some");
                let _ = write!(sql, " REFERENCES t{parent}{to} ON DELETE {deleted} ON UPDATE {updated}{deferral}");
            }
        }
        let _ = write!(sql, ", v int{}", rng.pick(&[" DEFAULT 2", " CHECK (v < 6)", " NOT NULL", ""]).expect("some"));
        sql.push_str(", g int GENERATED ALWAYS AS (v * 2) STORED");
        sql.push_str(rng.pick(&[")", ", UNIQUE (s, v))", ", CHECK (u <> v))"]).expect("some"));
        if rng.one_in(3) {
            self.ahead.push(format!("CREATE UNIQUE INDEX {name}_p ON {name} (v) WHERE u > 3"));
        }
        if rng.one_in(3) {
            self.ahead.push(format!("CREATE UNIQUE INDEX {name}_e ON {name} ((u + v))"));
        }
        self.tables.push(table);
        sql
    }

    /// One row, or some.
    fn insert(&mut self) -> String {
        let table = self.some();
        let by_itself = table.is_numbered && self.rng.one_in(2);
        let columns = if by_itself { "u, r, s, v" } else { "id, u, r, s, v" };
        let count = if by_itself { 1 } else { self.rng.between(1, 3) };
        let mut sql = format!("INSERT INTO {} AS a ({columns}) ", table.name());
        if !by_itself && self.rng.one_in(6) {
            let other = self.some();
            let (one, two) = (self.value(), self.rng.below(VALUES));
            let _ = write!(sql, "SELECT id + 1, u, {one}, s, v FROM {} WHERE id >= {two}", other.name());
        } else {
            let rows: Vec<String> = (0..count).map(|_| self.row(columns.matches(',').count() + 1)).collect();
            let _ = write!(sql, "VALUES {}", rows.join(", "));
        }
        match self.rng.below(6) {
            0 => sql.push_str(" ON CONFLICT DO NOTHING"),
            1 => sql.push_str(" ON CONFLICT (u) DO NOTHING"),
            2 if count == 1 => {
                let (key, sets) = (*self.rng.pick(&["id", "u"]).expect("some"), self.sets("excluded"));
                let _ = write!(sql, " ON CONFLICT ({key}) DO UPDATE SET {sets}");
            }
            _ => {}
        }
        sql.push_str(self.returning());
        if !by_itself {
            return sql;
        }
        // Which value comes next is open after a statement that failed, and may be taken.
        self.ahead.push(sql);
        format!("SELECT setval('{}_id_seq', {}, false)", table.name(), 1 + self.rng.below(2 * VALUES))
    }

    fn row(&mut self, width: usize) -> String {
        let values: Vec<String> = (0..width)
            .map(|column| match self.rng.below(8) {
                0 if width - column < 4 => "DEFAULT".to_owned(),
                _ => self.value(),
            })
            .collect();
        format!("({})", values.join(", "))
    }

    /// Assignments of one row: several could meet on the way only.
    fn sets(&mut self, other: &str) -> String {
        let columns: Vec<&str> = ["id", "u", "r", "s", "v"].into_iter().filter(|_| self.rng.one_in(3)).collect();
        let columns = if columns.is_empty() { vec!["v"] } else { columns };
        let set = columns.into_iter().map(|column| {
            let value = match self.rng.below(6) {
                0 => format!("a.{column} + 1"),
                1 if !other.is_empty() => format!("{other}.v"),
                2 if column != "id" => "DEFAULT".to_owned(),
                _ => self.value(),
            };
            format!("{column} = {value}")
        });
        set.collect::<Vec<_>>().join(", ")
    }

    fn update(&mut self) -> String {
        let (table, sets) = (self.some().name(), self.sets(""));
        let key = *self.rng.pick(&["id", "u"]).expect("some");
        let mut sql = format!("UPDATE {table} a SET {sets} WHERE {key} = {}", self.rng.below(VALUES));
        if self.rng.one_in(5) {
            let value = self.value();
            sql = format!("UPDATE {table} a SET r = {value}, v = v WHERE v > {}", self.rng.below(VALUES));
        }
        sql.push_str(self.returning());
        sql
    }

    fn delete(&mut self) -> String {
        let table = self.some().name();
        let filter = match self.rng.below(4) {
            0 => format!("v < {}", self.rng.below(VALUES)),
            1 => format!("r IN (SELECT id FROM {} WHERE v = {})", self.some().name(), self.rng.below(VALUES)),
            _ => format!("id = {}", self.rng.below(VALUES)),
        };
        format!("DELETE FROM {table} a WHERE {filter}{}", self.returning())
    }

    fn returning(&mut self) -> &'static str {
        self.rng.pick(&["", "", "", " RETURNING a.*", " RETURNING id, 12 / (a.v - 3)"]).expect("some")
    }

    fn merge(&mut self) -> String {
        let (table, value, key) = (self.some().name(), self.value(), self.rng.below(VALUES));
        let matched = match self.rng.below(3) {
            0 => "DELETE".to_owned(),
            1 => "DO NOTHING".to_owned(),
            _ => format!("UPDATE SET {}", self.sets("b")),
        };
        let row = self.row(4);
        let row = row.trim_start_matches('(');
        format!(
            "MERGE INTO {table} a USING (SELECT {key} AS id, {value}::int AS v) b ON a.id = b.id \
             WHEN MATCHED THEN {matched} WHEN NOT MATCHED THEN INSERT (id, u, r, s, v) VALUES (b.id, {row}"
        )
    }

    /// A row that goes from one table to another in one statement. Of a parent that goes it is no child: PostgreSQL would
    /// delete it again.
    fn moved(&mut self) -> String {
        let (from, to, key) = (self.some().name(), self.some().name(), self.rng.below(VALUES));
        let other = (key + 1) % VALUES;
        format!(
            "WITH gone AS (DELETE FROM {from} WHERE id = {key} AND u <> {other} RETURNING id, u, v) \
             INSERT INTO {to} (id, u, r, s, v) SELECT id, u, {other}, {other}, v FROM gone"
        )
    }

    fn transaction(&mut self) -> String {
        if !self.open {
            return "BEGIN".to_owned();
        }
        match self.rng.below(6) {
            0 => "SAVEPOINT s".to_owned(),
            1 if self.saved => "ROLLBACK TO s".to_owned(),
            2 => "SET CONSTRAINTS ALL DEFERRED".to_owned(),
            3 => "SET CONSTRAINTS ALL IMMEDIATE".to_owned(),
            _ => self.end(),
        }
    }

    fn end(&mut self) -> String {
        if self.rng.one_in(3) { "ROLLBACK" } else { "COMMIT" }.to_owned()
    }

    /// A constraint comes and goes, perhaps with a column.
    fn alter(&mut self) -> String {
        let (table, other) = (self.some().name(), self.some().name());
        self.constraints += 1;
        let name = format!("c{}", self.constraints);
        let (what, back) = match self.rng.below(12) {
            0 => ("CHECK (v <> 5)".to_owned(), "CONSTRAINT"),
            1 => ("UNIQUE (v, u)".to_owned(), "CONSTRAINT"),
            2 => (format!("FOREIGN KEY (v) REFERENCES {other} ON DELETE CASCADE"), "CONSTRAINT"),
            3 => (format!("FOREIGN KEY (u) REFERENCES {other} (u) DEFERRABLE INITIALLY DEFERRED"), "CONSTRAINT"),
            4 => (format!("FOREIGN KEY (r, v) REFERENCES {other} (s, v) ON UPDATE CASCADE"), "CONSTRAINT"),
            5 => ("CHECK (u < 7) NOT VALID".to_owned(), "CONSTRAINT"),
            6 => (format!("FOREIGN KEY (r) REFERENCES {other} ON DELETE SET NULL NOT VALID"), "CONSTRAINT"),
            7 => (format!("int DEFAULT {} REFERENCES {other}", self.rng.below(VALUES)), "COLUMN"),
            8 => ("int DEFAULT 1 NOT NULL CHECK (v > 0 OR u > 0)".to_owned(), "COLUMN"),
            9 | 10 => return self.rekey(&table),
            _ => {
                let null = if self.rng.one_in(2) { "SET" } else { "DROP" };
                return self.settled(format!("ALTER TABLE {table} ALTER COLUMN s {null} NOT NULL"));
            }
        };
        let gone = format!("ALTER TABLE {table} DROP {back} {name}");
        let first = self.settled(gone);
        self.ahead.push(first);
        for _ in 0..self.rng.below(4) {
            let sql = if self.rng.one_in(2) { self.insert() } else { self.update() };
            self.ahead.push(sql);
        }
        if what.ends_with("VALID") && self.rng.one_in(2) {
            self.ahead.push(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"));
        }
        self.settled(format!("ALTER TABLE {table} ADD {back} {name} {what}"))
    }

    /// Another primary key for a table, or none for a while.
    fn rekey(&mut self, table: &str) -> String {
        let cascade = if self.rng.one_in(2) { " CASCADE" } else { "" };
        let gone = format!("ALTER TABLE {table} DROP CONSTRAINT {table}_pkey{cascade}");
        let key = *self.rng.pick(&["id", "id, v", "v"]).expect("some");
        let back = self.settled(format!("ALTER TABLE {table} ADD PRIMARY KEY (id)"));
        self.ahead.push(back);
        for _ in 0..self.rng.below(4) {
            let sql = if self.rng.one_in(2) { self.insert() } else { self.update() };
            self.ahead.push(sql);
        }
        let only = self.rng.one_in(2);
        self.settled(if only { gone } else { format!("{gone}, ADD PRIMARY KEY ({key})") })
    }

    /// What is deferred is in the way of alterations; where exactly, differs.
    fn settled(&mut self, alteration: String) -> String {
        self.ahead.push(alteration);
        "SET CONSTRAINTS ALL IMMEDIATE".to_owned()
    }

    fn look(&mut self) -> String {
        let table = self.some().name();
        let key = *self.rng.pick(&["id", "u", "v"]).expect("some");
        match self.rng.below(3) {
            0 => format!("SELECT * FROM {table} WHERE {key} = {}", self.rng.below(VALUES)),
            1 => format!("SELECT * FROM {table} a JOIN {} b ON a.r = b.id", self.some().name()),
            _ => format!("SELECT * FROM {table}"),
        }
    }
}

impl Table {
    fn name(self) -> String {
        format!("t{}", self.number)
    }
}
