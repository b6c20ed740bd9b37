//! The SQL layer behind the PostgreSQL server.

use std::rc::Rc;
use std::time::Duration;

use annulus_relation::value::Env;
use annulus_relation::{SqlResult, SqlType, Value};
use annulus_sql::server::{Activity, Config, Server};
use annulus_sql::session::{self as sql, Portal, Script};
use annulus_txn::interface::Database;
use bytes::Bytes;

use crate::server::pg::clients::{Client, Clients};
use crate::server::pg::session::{
    Column, Description, News, Run, Session, Sessions, Shield, Startup, Status, Step, Timeouts,
};

/// Microseconds from the Unix epoch to 2000-01-01, where SQL's time begins.
const EPOCH: i64 = 946_684_800_000_000;

/// Opens sessions of the SQL layer.
pub struct SqlSessions<D: Database>(Rc<Server<D>>);

impl<D: Database> SqlSessions<D> {
    /// Sessions over a database, for the connections in a list.
    ///
    /// # Errors
    /// Queries cannot be run.
    pub fn new(database: D, config: Config, clients: Rc<Clients>) -> SqlResult<Self> {
        Server::new(database, config, Rc::new(Connections(clients))).map(Self)
    }

    /// Goes on with what sessions left unfinished (indexes to fill, data of dropped tables), until it is dropped.
    pub fn background(&self) -> impl Future<Output = ()> + use<D> {
        Rc::clone(&self.0).run_background()
    }
}

/// The list of connections, as statements use it.
struct Connections(Rc<Clients>);

impl annulus_sql::server::Clients for Connections {
    fn activity(&self) -> Vec<Activity> {
        self.0.all().iter().map(|client| activity(client)).collect()
    }

    fn slow(&self, session: i32, statement: &str, took: Duration) {
        tracing::warn!(session, ?took, statement, "a slow statement");
    }

    fn cancel(&self, session: i32) -> bool {
        self.0.find(session).map(|client| client.cancel()).is_some()
    }

    fn terminate(&self, session: i32) -> bool {
        self.0.find(session).map(|client| client.terminate()).is_some()
    }
}

fn activity(client: &Client) -> Activity {
    let time = |micros: u64| i64::try_from(micros).unwrap_or(i64::MAX) - EPOCH;
    Activity {
        id: client.id,
        database: client.database.borrow().clone(),
        user: client.user.borrow().clone(),
        application: client.application.borrow().clone(),
        address: client.peer.to_string(),
        since: time(client.since),
        state: client.activity.get().name(),
        query: client.query.borrow().clone(),
        query_since: time(client.query_since.get()),
    }
}

impl<D: Database> Sessions for SqlSessions<D> {
    type Session = SqlSession<D>;

    async fn open(&self, startup: Startup) -> SqlResult<SqlSession<D>> {
        let Startup { user, database, settings, client } = startup;
        Ok(SqlSession(self.0.connect(sql::Startup { id: client.id, user, database, settings }).await?))
    }
}

/// A session of the SQL layer.
pub struct SqlSession<D: Database>(sql::Session<D>);

impl<D: Database> Session for SqlSession<D> {
    type Statement = Script;
    type Portal = Portal;

    fn news(&mut self) -> Vec<News> {
        self.0.news()
    }

    fn status(&self) -> Status {
        self.0.status()
    }

    fn env(&self) -> Env {
        self.0.env()
    }

    fn print(&self, value: &Value, ty: &SqlType, env: &Env) -> String {
        self.0.print(value, ty, env)
    }

    fn read(&self, text: &str, ty: &SqlType, env: &Env) -> SqlResult<Value> {
        self.0.read(text, ty, env)
    }

    fn timeouts(&self) -> Timeouts {
        self.0.timeouts()
    }

    fn holds(&self) -> usize {
        self.0.holds()
    }

    fn shield(&self) -> Shield {
        self.0.shield()
    }

    fn split(&mut self, script: &str) -> SqlResult<Vec<Script>> {
        self.0.split(script)
    }

    async fn start(&mut self, statement: Script) -> SqlResult<Portal> {
        self.0.start(statement).await
    }

    async fn parse(&mut self, name: &str, sql: &str, types: &[u32]) -> SqlResult<()> {
        self.0.parse(name, sql, types).await
    }

    async fn describe(&mut self, name: &str) -> SqlResult<Rc<Description>> {
        self.0.describe(name).await
    }

    async fn describe_newest(&mut self, name: &str) -> SqlResult<Rc<Description>> {
        self.0.describe_newest(name).await
    }

    fn forget(&mut self, name: &str) {
        self.0.forget(name);
    }

    async fn bind(&mut self, statement: &str, parameters: Vec<Value>) -> SqlResult<Portal> {
        self.0.bind(statement, parameters).await
    }

    fn columns(&self, portal: &Portal) -> Option<Rc<[Column]>> {
        self.0.columns(portal)
    }

    fn cursor(&self, name: &str) -> Option<Rc<[Column]>> {
        self.0.cursor(name)
    }

    fn close_cursor(&mut self, name: &str) {
        self.0.close_cursor(name);
    }

    async fn run(&mut self, portal: &mut Portal, run: Run) -> SqlResult<Step> {
        self.0.run(portal, run).await
    }

    async fn copy_in(&mut self, portal: &mut Portal, data: Bytes) -> SqlResult<()> {
        self.0.copy_in(portal, data).await
    }

    async fn sync(&mut self) -> SqlResult<()> {
        self.0.sync().await
    }

    fn fail(&mut self) {
        self.0.fail();
    }
}
