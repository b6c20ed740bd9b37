//! Sessions that understand a few words, with transactions over a list of what was written.
//!
//! - `begin`, `commit`, `rollback`, `write WORD`
//! - `rows N`: so many numbers; `endless`: rows without an end; `echo`: its parameters as a row of text
//! - `wait`: never ends; `slow-commit`: writes, and commits behind its shield when the world lets it
//! - `fail`, `notice`, `name WORD` (sets the application's name), `timeout MS`, `idle MS`, `idle-in-transaction MS`
//! - `copy-in`, `copy-out`
//! - `declare NAME`: makes a cursor

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use annulus_relation::error::SqlState;
use annulus_relation::value::Env;
use annulus_relation::{SqlError, SqlResult, SqlType, Value};
use bytes::Bytes;
use tokio::sync::Notify;

use crate::server::pg::session::{
    Column, CopyLayout, Description, News, Run, Session, Sessions, Shield, Startup, Status, Step, Tag, Timeouts,
};

/// What all sessions share.
#[derive(Default)]
pub struct World {
    /// What was committed, in order.
    pub committed: RefCell<Vec<String>>,
    /// Sessions that are open.
    pub open: Cell<usize>,
    /// Transactions that were rolled back.
    pub rolled_back: Cell<usize>,
    /// How many rows were asked for.
    pub rows: Cell<usize>,
    /// Statements that were begun and have not ended.
    pub at_work: Cell<usize>,
    /// Lets a slow commit go on.
    pub go_on: Notify,
    /// Commits that retried, since they knew to be the last statement.
    pub last: Cell<usize>,
}

pub struct Fake(pub Rc<World>);

impl Sessions for Fake {
    type Session = FakeSession;

    async fn open(&self, startup: Startup) -> SqlResult<FakeSession> {
        match &*startup.database {
            "none" => return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, "database \"none\" does not exist")),
            "stuck" => std::future::pending().await,
            _ => {}
        }
        self.0.open.set(self.0.open.get() + 1);
        let mut news = vec![News::Parameter("server_version", "15.0".to_owned())];
        let settings = startup.settings.into_iter().map(|(name, value)| News::Parameter(name.leak(), value));
        news.extend(settings);
        Ok(FakeSession {
            world: Rc::clone(&self.0),
            news,
            status: Status::Idle,
            writes: Vec::new(),
            timeouts: Timeouts::default(),
            shield: Shield::default(),
            prepared: BTreeMap::new(),
            cursors: BTreeSet::new(),
        })
    }
}

pub struct FakeSession {
    world: Rc<World>,
    news: Vec<News>,
    status: Status,
    writes: Vec<String>,
    timeouts: Timeouts,
    shield: Shield,
    prepared: BTreeMap<String, Rc<Description>>,
    cursors: BTreeSet<String>,
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.roll_back();
        self.world.open.set(self.world.open.get() - 1);
    }
}

pub struct FakePortal {
    words: Vec<String>,
    parameters: Vec<Value>,
    columns: Option<Rc<[Column]>>,
    given: usize,
    data: Vec<u8>,
}

/// Counts a statement as long as it is at work.
struct AtWork(Rc<World>);

impl AtWork {
    fn new(world: &Rc<World>) -> Self {
        world.at_work.set(world.at_work.get() + 1);
        Self(Rc::clone(world))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.set(self.0.at_work.get() - 1);
    }
}

fn column(name: &str, ty: SqlType) -> Column {
    Column { name: name.to_owned(), ty, table: 0, attribute: 0 }
}

fn columns_of(sql: &str, parameters: usize) -> Option<Rc<[Column]>> {
    match sql.split(' ').next() {
        Some("rows" | "endless") => Some([column("n", SqlType::Int4)].into()),
        Some("echo") => Some((0..parameters).map(|_| column("value", SqlType::Text)).collect()),
        _ => None,
    }
}

fn done(tag: &'static str) -> SqlResult<Step> {
    Ok(Step::End(Tag::Text(tag.into())))
}

impl FakeSession {
    fn roll_back(&mut self) {
        if !self.writes.is_empty() {
            self.writes.clear();
            self.world.rolled_back.set(self.world.rolled_back.get() + 1);
        }
    }

    fn commit(&mut self) -> SqlResult<()> {
        if self.writes.iter().any(|word| word == "conflict") {
            return Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, "could not serialize access"));
        }
        self.world.committed.borrow_mut().append(&mut self.writes);
        Ok(())
    }

    fn portal(&self, sql: &str, parameters: Vec<Value>) -> SqlResult<FakePortal> {
        let words: Vec<String> = sql.split_whitespace().map(str::to_owned).collect();
        let ends = matches!(words.first().map(String::as_str), Some("commit" | "rollback"));
        if self.status == Status::Failed && !ends {
            let what = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(SqlError::new(SqlState::IN_FAILED_SQL_TRANSACTION, what));
        }
        let columns = columns_of(sql, parameters.len());
        Ok(FakePortal { words, parameters, columns, given: 0, data: Vec::new() })
    }

    async fn slow_commit(&mut self) -> SqlResult<Step> {
        self.writes.push("slow".to_owned());
        self.shield.set(true);
        self.world.go_on.notified().await;
        self.shield.set(false);
        self.commit()?;
        done("SLOW COMMIT")
    }
}

impl Session for FakeSession {
    type Statement = String;
    type Portal = FakePortal;

    fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    fn status(&self) -> Status {
        self.status
    }

    fn env(&self) -> Env {
        Env::default()
    }

    fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    fn holds(&self) -> usize {
        self.prepared.values().map(|description| description.text.len()).sum()
    }

    fn shield(&self) -> Shield {
        Rc::clone(&self.shield)
    }

    fn split(&mut self, script: &str) -> SqlResult<Vec<String>> {
        if script.contains("syntax") {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error").at(Some(1)));
        }
        Ok(script.split(';').map(str::trim).filter(|sql| !sql.is_empty()).map(str::to_owned).collect())
    }

    async fn start(&mut self, statement: String) -> SqlResult<FakePortal> {
        self.portal(&statement, Vec::new())
    }

    async fn parse(&mut self, name: &str, sql: &str, types: &[u32]) -> SqlResult<()> {
        if sql.contains("syntax") {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error").at(Some(1)));
        }
        if !name.is_empty() && self.prepared.contains_key(name) {
            let what = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, what));
        }
        let ty = |oid: u32| if oid == 23 { SqlType::Int4 } else { SqlType::Text };
        // The number of parameters stands in the name of the statement's word: echo$2.
        let (word, count) = sql.split_once('$').unwrap_or((sql, "0"));
        let count = count.parse().unwrap_or(0);
        let parameters: Vec<SqlType> = (0..count).map(|place| ty(types.get(place).copied().unwrap_or(0))).collect();
        let columns = columns_of(word, count);
        self.prepared.insert(name.to_owned(), Rc::new(Description { text: word.into(), parameters, columns }));
        Ok(())
    }

    async fn describe(&mut self, name: &str) -> SqlResult<Rc<Description>> {
        let unknown = || {
            let what = format!("prepared statement \"{name}\" does not exist");
            SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, what)
        };
        self.prepared.get(name).cloned().ok_or_else(unknown)
    }

    fn forget(&mut self, name: &str) {
        self.prepared.remove(name);
    }

    async fn bind(&mut self, statement: &str, parameters: Vec<Value>) -> SqlResult<FakePortal> {
        let description = self.describe(statement).await?;
        self.portal(&description.text, parameters)
    }

    fn columns(&self, portal: &FakePortal) -> Option<Rc<[Column]>> {
        portal.columns.clone()
    }

    fn cursor(&self, name: &str) -> Option<Rc<[Column]>> {
        self.cursors.contains(name).then(|| [column("c", SqlType::Int4)].into())
    }

    fn close_cursor(&mut self, name: &str) {
        self.cursors.remove(name);
    }

    async fn run(&mut self, portal: &mut FakePortal, run: Run) -> SqlResult<Step> {
        let world = Rc::clone(&self.world);
        let _at_work = AtWork::new(&world);
        world.last.set(world.last.get() + usize::from(run.last));
        let word = |place: usize| portal.words.get(place).map_or("", String::as_str);
        let millis = || Some(Duration::from_millis(word(1).parse().unwrap_or(0)));
        match word(0) {
            "begin" => {
                self.status = Status::Block;
                done("BEGIN")
            }
            "commit" if self.status == Status::Failed => {
                self.status = Status::Idle;
                done("ROLLBACK")
            }
            "commit" => {
                self.status = Status::Idle;
                self.commit()?;
                done("COMMIT")
            }
            "rollback" => {
                self.status = Status::Idle;
                self.roll_back();
                done("ROLLBACK")
            }
            "write" => {
                self.writes.push(word(1).to_owned());
                done("WRITE 1")
            }
            "rows" | "endless" => {
                let all = word(1).parse().unwrap_or(usize::MAX);
                let numbers = portal.given..all.min(portal.given + run.most);
                portal.given = numbers.end;
                world.rows.set(world.rows.get() + numbers.len());
                if numbers.is_empty() {
                    return Ok(Step::End(Tag::Rows("SELECT")));
                }
                Ok(Step::Rows(numbers.map(|number| vec![Value::Int4(number as i32)]).collect()))
            }
            "echo" if portal.given == 0 => {
                portal.given = 1;
                let text = |value: &Value| match value {
                    Value::Int4(number) => Value::text(format!("int4 {number}")),
                    other => other.clone(),
                };
                Ok(Step::Rows(vec![portal.parameters.iter().map(text).collect()]))
            }
            "echo" => Ok(Step::End(Tag::Rows("SELECT"))),
            "declare" => {
                self.cursors.insert(word(1).to_owned());
                done("DECLARE")
            }
            "wait" => std::future::pending().await,
            "slow-commit" => self.slow_commit().await,
            "fail" => Err(SqlError::new(SqlState::UNIQUE_VIOLATION, "it failed").table("public", "t").constraint("c")),
            "notice" => {
                self.news.push(News::Notice(SqlError::new(SqlState("00000"), "look out")));
                done("NOTICE")
            }
            "name" => {
                self.news.push(News::Parameter("application_name", word(1).to_owned()));
                done("SET")
            }
            "timeout" => {
                self.timeouts.statement = millis();
                done("SET")
            }
            "idle" => {
                self.timeouts.idle = millis();
                done("SET")
            }
            "idle-in-transaction" => {
                self.timeouts.idle_in_transaction = millis();
                done("SET")
            }
            "copy-in" if portal.given == 0 => {
                portal.given = 1;
                Ok(Step::CopyIn(CopyLayout { columns: 2, is_binary: false }))
            }
            "copy-in" => {
                let data = String::from_utf8_lossy(&portal.data).into_owned();
                let lines = data.lines().count();
                self.writes.extend(data.lines().map(str::to_owned));
                Ok(Step::End(Tag::Text(format!("COPY {lines}").into())))
            }
            "copy-out" => {
                portal.given += 1;
                Ok(match portal.given {
                    1 => Step::CopyOut(CopyLayout { columns: 1, is_binary: false }),
                    2 | 3 => Step::CopyData(Bytes::from(format!("line {}\n", portal.given))),
                    _ => Step::End(Tag::Text("COPY 2".into())),
                })
            }
            "" => Ok(Step::End(Tag::Empty)),
            other => Err(SqlError::unsupported(other)),
        }
    }

    async fn copy_in(&mut self, portal: &mut FakePortal, data: Bytes) -> SqlResult<()> {
        if data.starts_with(b"bad") {
            return Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "bad data"));
        }
        portal.data.extend_from_slice(&data);
        Ok(())
    }

    async fn sync(&mut self) -> SqlResult<()> {
        if self.status == Status::Idle { self.commit() } else { Ok(()) }
    }

    fn fail(&mut self) {
        self.shield.set(false);
        self.roll_back();
        if self.status == Status::Block {
            self.status = Status::Failed;
        }
    }
}
