//! Clients over a database in memory, for tests: what they are told is text.

use std::rc::Rc;

use annulus_base::NamespaceId;
use annulus_relation::{SqlError, SqlResult, SqlState, Value};
use annulus_ring::{Basis, Namespace};
use annulus_txn::testing::Fake;
use annulus_txn::token::Tokens;
use bytes::Bytes;

use crate::server::{Config, NoClients, Server};
use crate::session::answer::{News, Run, Step, Tag};
use crate::session::{Portal, Session, Startup};

/// A server over a database in memory.
pub(crate) struct Node {
    pub db: Fake,
    pub server: Rc<Server<Fake>>,
    sessions: std::cell::Cell<i32>,
}

/// A client that sends simple queries.
pub(crate) struct Client {
    pub session: Session<Fake>,
}

/// Runs a test that needs a node.
pub(crate) fn run<T>(test: impl AsyncFnOnce(Node) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, test(Node::over(Fake::new(), 1)))
}

impl Node {
    /// A node of a cluster that has this database.
    pub fn over(db: Fake, number: u32) -> Self {
        let system = Namespace::new(NamespaceId::SYSTEM, "system", Basis::ByKey { slots: 4 });
        let config = Config { node: number, tokens: Some(Tokens::new(system)), ..Config::default() };
        let server = Server::new(db.clone(), config, Rc::new(NoClients)).unwrap();
        Self { db, server, sessions: std::cell::Cell::new(0) }
    }

    /// Another node of the same cluster.
    pub fn other(&self) -> Self {
        Self::over(self.db.clone(), self.server.config.node + 1)
    }

    pub async fn client(&self) -> Client {
        self.client_of("annulus").await
    }

    /// A client of a database.
    pub async fn client_of(&self, database: &str) -> Client {
        self.sessions.set(self.sessions.get() + 1);
        let (id, user, database) = (self.sessions.get(), "me".to_owned(), database.to_owned());
        let session = self.server.connect(Startup { id, user, database, settings: Vec::new() }).await.unwrap();
        let mut client = Client { session };
        client.session.news();
        client
    }
}

impl Client {
    /// What a simple query comes to: rows as lines of `a|b`, tags, notices and errors.
    pub async fn told(&mut self, sql: &str) -> String {
        let mut lines = Vec::new();
        if let Err(error) = self.simple(sql, &mut lines).await {
            self.session.fail();
            lines.push(shown(&error));
        }
        self.tell_news(&mut lines);
        lines.join("\n")
    }

    /// As [`Client::told`], where nothing may go wrong.
    pub async fn ok(&mut self, sql: &str) -> String {
        let told = self.told(sql).await;
        assert!(!told.contains("ERROR"), "{sql}: {told}");
        told
    }

    /// What `COPY ... FROM STDIN` of some data comes to.
    pub async fn copy(&mut self, sql: &str, data: impl AsRef<[u8]>) -> String {
        let copied = self.copied(sql, data.as_ref()).await;
        copied.unwrap_or_else(|error| {
            self.session.fail();
            shown(&error)
        })
    }

    /// The data of `COPY ... TO STDOUT`.
    pub async fn copied_out(&mut self, sql: &str) -> Vec<u8> {
        self.pieces_out(sql).await.concat()
    }

    /// The pieces in which that data comes.
    pub async fn pieces_out(&mut self, sql: &str) -> Vec<Bytes> {
        let statement = self.session.split(sql).unwrap().pop().unwrap();
        let mut portal = self.session.start(statement).await.unwrap();
        let mut data = Vec::new();
        loop {
            match self.session.run(&mut portal, Run { most: 7, last: true }).await.unwrap() {
                Step::CopyOut(_) => {}
                Step::CopyData(piece) => data.push(piece),
                Step::End(_) => return data,
                other => panic!("{other:?}"),
            }
        }
    }

    async fn copied(&mut self, sql: &str, data: &[u8]) -> SqlResult<String> {
        let statement = self.session.split(sql)?.pop().unwrap();
        let mut portal = self.session.start(statement).await?;
        let run = Run { most: 7, last: true };
        assert!(matches!(self.session.run(&mut portal, run).await?, Step::CopyIn(_)));
        for piece in data.chunks(1_000) {
            self.session.copy_in(&mut portal, piece.to_vec().into()).await?;
        }
        match self.session.run(&mut portal, run).await? {
            Step::End(Tag::Text(text)) => Ok(text.into_owned()),
            other => panic!("{other:?}"),
        }
    }

    fn tell_news(&mut self, lines: &mut Vec<String>) {
        for news in self.session.news() {
            match news {
                News::Notice(notice) if notice.state() == SqlState::SUCCESSFUL_COMPLETION => {
                    lines.push(format!("NOTICE: {notice}"));
                }
                News::Notice(notice) => lines.push(format!("NOTICE {}: {notice}", notice.state())),
                News::Warning(warning) => lines.push(format!("WARNING: {warning}")),
                News::Parameter(name, value) => lines.push(format!("SET {name} = {value}")),
            }
        }
    }

    async fn simple(&mut self, sql: &str, lines: &mut Vec<String>) -> SqlResult<()> {
        let statements = self.session.split(sql)?;
        let count = statements.len();
        for (index, statement) in statements.into_iter().enumerate() {
            let mut portal = self.session.start(statement).await?;
            self.finish(&mut portal, index + 1 == count, lines).await?;
        }
        self.session.sync().await
    }

    async fn finish(&mut self, portal: &mut Portal, last: bool, lines: &mut Vec<String>) -> SqlResult<()> {
        let mut count = 0;
        loop {
            match self.session.run(portal, Run { most: 7, last }).await? {
                Step::Rows(rows) => {
                    count += rows.len();
                    let columns = self.session.columns(portal).unwrap();
                    let env = self.session.env();
                    for row in rows {
                        assert_eq!(row.len(), columns.len());
                        let cell = |(value, column): (&Value, &crate::session::answer::Column)| match value {
                            Value::Null => "NULL".to_owned(),
                            value => self.session.print(value, &column.ty, &env),
                        };
                        lines.push(row.iter().zip(columns.iter()).map(cell).collect::<Vec<_>>().join("|"));
                    }
                }
                Step::CopyOut(_) => continue,
                Step::CopyData(line) => {
                    lines.push(String::from_utf8(line.to_vec()).unwrap().trim_end().to_owned());
                    continue;
                }
                Step::End(Tag::Rows(word)) => lines.push(format!("{word} {count}")),
                Step::End(Tag::Text(text)) => lines.push(text.into_owned()),
                Step::End(Tag::Empty) => lines.push("EMPTY".to_owned()),
                other => panic!("{other:?}"),
            }
            if lines.last().is_some() && portal.is_done() {
                return Ok(());
            }
        }
    }
}

fn shown(error: &SqlError) -> String {
    let report = error.report();
    let mut text = format!("ERROR {}: {}", report.state, report.message);
    if let Some(position) = report.position {
        text = format!("{text} at {position}");
    }
    if let Some(detail) = &report.detail {
        text = format!("{text} ({detail})");
    }
    if let Some(context) = &report.context {
        text = format!("{text} ({context})");
    }
    text
}
