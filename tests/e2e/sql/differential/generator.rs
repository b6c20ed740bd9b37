//! Random statements, one after the other, over tables that they make and change.

use annulus_base::rng::Rng;

use super::Source;
use super::expressions::Sight;
use super::queries;
use super::schema::{Column, Table};

/// How far expressions in changes nest.
const DEPTH: u32 = 2;
/// Keys are below this, so that they meet.
const KEYS: u64 = 30;

/// A statement, and what is known about it.
#[derive(Debug)]
pub struct Statement {
    pub sql: String,
    /// Whether its rows come in one order only.
    pub ordered: bool,
    /// Whether a filter decides for which rows its expressions are computed.
    pub filters: bool,
    effect: Effect,
}

/// What becomes of the tables if it succeeds.
#[derive(Clone, Debug)]
enum Effect {
    None,
    Creates(Table),
    Adds(usize, Column),
    Drops(usize, usize),
    Renames(usize, usize, String),
    Indexes(usize, String),
    Unindexes(usize, String),
    Begins,
    Ends,
}

impl Statement {
    pub fn query(sql: String, ordered: bool) -> Self {
        Self { sql, ordered, filters: true, effect: Effect::None }
    }

    pub fn change(sql: String) -> Self {
        Self { sql, ordered: false, filters: true, effect: Effect::None }
    }

    fn with(sql: impl Into<String>, effect: Effect) -> Self {
        Self { sql: sql.into(), ordered: false, filters: false, effect }
    }
}

/// The source of statements.
pub struct Generator {
    rng: Rng,
    tables: Vec<Table>,
    /// The tables at the beginning of the open transaction.
    before: Option<Vec<Table>>,
    /// Whether a statement of the open transaction failed.
    failed: bool,
    savepoint: Option<Vec<Table>>,
}

impl Generator {
    pub const fn new(rng: Rng) -> Self {
        Self { rng, tables: Vec::new(), before: None, failed: false, savepoint: None }
    }
}

impl Source for Generator {
    fn next(&mut self) -> Statement {
        if self.tables.len() < 3 {
            let name = format!("t{}", self.tables.len() + 1);
            let table = Table::new(&name, &mut self.rng);
            return Statement::with(table.create(&mut self.rng), Effect::Creates(table));
        }
        if self.failed && self.rng.one_in(2) {
            return self.end();
        }
        match self.rng.below(40) {
            0..=9 => self.insert(),
            10..=14 => self.update(),
            15 | 16 => self.delete(),
            17..=19 => self.schema(),
            20 | 21 => self.transaction(),
            _ => queries::query(&self.tables, &mut self.rng),
        }
    }

    fn done(&mut self, statement: &Statement, succeeded: bool) {
        if !succeeded {
            self.failed |= self.before.is_some();
            return;
        }
        match statement.effect.clone() {
            Effect::None => {}
            Effect::Creates(table) => self.tables.push(table),
            Effect::Adds(table, column) => self.tables[table].columns.push(column),
            Effect::Drops(table, column) => drop(self.tables[table].columns.remove(column)),
            Effect::Renames(table, column, name) => self.tables[table].columns[column].name = name,
            Effect::Indexes(table, name) => self.tables[table].indexes.push(name),
            Effect::Unindexes(table, name) => self.tables[table].indexes.retain(|index| *index != name),
            Effect::Begins => self.before = Some(self.tables.clone()),
            Effect::Ends => self.ended(&statement.sql),
        }
    }

    fn is_between(&self) -> bool {
        self.before.is_none()
    }
}

impl Generator {
    fn ended(&mut self, sql: &str) {
        match sql {
            "SAVEPOINT s" => self.savepoint = Some(self.tables.clone()),
            "ROLLBACK TO s" => {
                self.failed = false;
                self.restore(self.savepoint.clone());
            }
            _ => {
                if sql == "ROLLBACK" || self.failed {
                    self.restore(self.before.clone());
                }
                (self.before, self.savepoint, self.failed) = (None, None, false);
            }
        }
    }

    /// The tables as they were, except that names stay used.
    fn restore(&mut self, tables: Option<Vec<Table>>) {
        let Some(mut tables) = tables else { return };
        for (old, new) in tables.iter_mut().zip(&self.tables) {
            old.names = new.names;
        }
        self.tables = tables;
    }

    fn transaction(&mut self) -> Statement {
        if self.before.is_none() {
            return Statement::with("BEGIN", Effect::Begins);
        }
        match self.rng.below(4) {
            0 => Statement::with("SAVEPOINT s", Effect::Ends),
            1 if self.savepoint.is_some() => Statement::with("ROLLBACK TO s", Effect::Ends),
            _ => self.end(),
        }
    }

    fn end(&mut self) -> Statement {
        Statement::with(if self.rng.one_in(3) { "ROLLBACK" } else { "COMMIT" }, Effect::Ends)
    }

    fn place(&mut self) -> usize {
        self.rng.below(self.tables.len() as u64) as usize
    }

    fn insert(&mut self) -> Statement {
        let place = self.place();
        let (table, rng) = (&self.tables[place], &mut self.rng);
        let given: Vec<&Column> = table.columns.iter().filter(|column| column.name == "id" || !rng.one_in(6)).collect();
        let names: Vec<&str> = given.iter().map(|column| column.name.as_str()).collect();
        let names = names.join(", ");
        let row = |rng: &mut Rng| {
            let values = given.iter().map(|column| match column.name.as_str() {
                "id" => rng.below(KEYS).to_string(),
                _ if rng.one_in(8) => "DEFAULT".to_owned(),
                _ if rng.one_in(8) => "NULL".to_owned(),
                _ => Sight::default().expression(column.ty, 1, rng),
            });
            format!("({})", values.collect::<Vec<_>>().join(", "))
        };
        let source = if rng.one_in(6) {
            let other = &self.tables[rng.below(self.tables.len() as u64) as usize];
            let sight = Sight::of(other, "b");
            let values = given.iter().map(|column| match column.name.as_str() {
                "id" => format!("b.id + {}", rng.below(5)),
                _ => sight.expression(column.ty, 1, rng),
            });
            let values = values.collect::<Vec<_>>().join(", ");
            format!("SELECT {values} FROM {} b WHERE {}", other.name, sight.condition(1, rng))
        } else {
            let rows: Vec<String> = (0..rng.between(1, 4)).map(|_| row(rng)).collect();
            format!("VALUES {}", rows.join(", "))
        };
        let conflict = match rng.below(5) {
            0 => " ON CONFLICT DO NOTHING".to_owned(),
            1 => {
                let sight = Sight::of(table, &table.name).and(Sight::of(table, "excluded"));
                match assignments(table, &sight, rng) {
                    Some(assignments) => format!(" ON CONFLICT (id) DO UPDATE SET {assignments}"),
                    None => String::new(),
                }
            }
            _ => String::new(),
        };
        let returning = returning(table, rng);
        Statement::change(format!("INSERT INTO {} ({names}) {source}{conflict}{returning}", table.name))
    }

    fn update(&mut self) -> Statement {
        let place = self.place();
        let (table, rng) = (&self.tables[place], &mut self.rng);
        let (own, other) = (Sight::of(table, "a"), &self.tables[rng.below(self.tables.len() as u64) as usize]);
        let joins = rng.one_in(4);
        let (sight, from) = match joins {
            // One row of the other table at most for each of ours, else it is open which one counts.
            true => (own.clone().and(Sight::of(other, "b")), format!(" FROM {} b WHERE a.id = b.id AND ", other.name)),
            false => (own.clone(), " WHERE ".to_owned()),
        };
        let filter = if rng.one_in(2) { format!("a.id = {}", rng.below(KEYS)) } else { own.condition(DEPTH, rng) };
        let Some(assignments) = assignments(table, &sight, rng) else {
            return queries::query(&self.tables, &mut self.rng);
        };
        let returning = match joins && rng.one_in(2) {
            true => " RETURNING b.*, a.*".to_owned(),
            false => returning(table, rng),
        };
        Statement::change(format!("UPDATE {} a SET {assignments}{from}{filter}{returning}", table.name))
    }

    fn delete(&mut self) -> Statement {
        let place = self.place();
        let (table, rng) = (&self.tables[place], &mut self.rng);
        let sight = Sight::of(table, "a");
        let filter = if rng.one_in(2) { format!("a.id = {}", rng.below(KEYS)) } else { sight.condition(DEPTH, rng) };
        let returning = returning(table, rng);
        Statement::change(format!("DELETE FROM {} a WHERE {filter}{returning}", table.name))
    }

    fn schema(&mut self) -> Statement {
        let place = self.place();
        let rng = &mut self.rng;
        let table = &mut self.tables[place];
        let name = table.name.clone();
        let number = 1 + rng.below(table.columns.len() as u64 - 1) as usize;
        let column = table.columns[number].clone();
        match rng.below(6) {
            0 => {
                let added = table.column(rng);
                let not_null = if added.not_null { " NOT NULL" } else { "" };
                let default = added.ty.constant(rng);
                let sql = format!(
                    "ALTER TABLE {name} ADD COLUMN {} {} DEFAULT {default}{not_null}",
                    added.name,
                    added.ty.name()
                );
                Statement::with(sql, Effect::Adds(place, added))
            }
            // Its checks and indexes go with it: those that remain are told by name only.
            1 if table.columns.len() > 4 && table.indexes.is_empty() => {
                Statement::with(format!("ALTER TABLE {name} DROP COLUMN {}", column.name), Effect::Drops(place, number))
            }
            2 => {
                let fresh = table.fresh("c");
                let sql = format!("ALTER TABLE {name} RENAME COLUMN {} TO {fresh}", column.name);
                Statement::with(sql, Effect::Renames(place, number, fresh))
            }
            3 if !table.indexes.is_empty() => {
                let index = rng.pick(&table.indexes).expect("there is one").clone();
                Statement::with(format!("DROP INDEX {index}"), Effect::Unindexes(place, index))
            }
            4 => {
                let what = match rng.below(3) {
                    0 => format!("SET DEFAULT {}", column.ty.constant(rng)),
                    1 => "DROP DEFAULT".to_owned(),
                    _ => "DROP NOT NULL".to_owned(),
                };
                Statement::with(format!("ALTER TABLE {name} ALTER COLUMN {} {what}", column.name), Effect::None)
            }
            _ => {
                let index = format!("{name}_{}", table.fresh("i"));
                Statement::with(
                    format!("CREATE INDEX {index} ON {name} ({})", column.name),
                    Effect::Indexes(place, index),
                )
            }
        }
    }
}

/// New values for some columns other than the key.
fn assignments(table: &Table, sight: &Sight, rng: &mut Rng) -> Option<String> {
    let columns: Vec<&Column> = table.columns.iter().skip(1).filter(|_| rng.one_in(2)).collect();
    let set = columns.into_iter().map(|column| match rng.below(10) {
        0 => format!("{} = DEFAULT", column.name),
        _ => format!("{} = {}", column.name, sight.expression(column.ty, DEPTH, rng)),
    });
    let set: Vec<String> = set.collect();
    (!set.is_empty()).then(|| set.join(", "))
}

fn returning(table: &Table, rng: &mut Rng) -> String {
    if rng.one_in(3) {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        return format!(" RETURNING {}", names.join(", "));
    }
    String::new()
}
