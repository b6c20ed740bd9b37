//! Scripts of statements with their results (`tests/slt/*.slt`), over a database in memory.

use std::fmt;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};

use annulus_relation::{SqlError, SqlResult, Value};
use annulus_sql::server::{Config, NoClients, Server};
use annulus_sql::session::answer::{Run, Step, Tag};
use annulus_sql::session::{Session, Startup};
use annulus_txn::testing::Fake;
use sqllogictest::{DB, DBOutput, DefaultColumnType, Runner};
use tokio::sync::mpsc;

/// An error as scripts see it: its code and message.
#[derive(Debug)]
struct Told(SqlError);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.state(), self.0)
    }
}

impl std::error::Error for Told {}

type Output = Result<DBOutput<DefaultColumnType>, Told>;
/// A statement, and where its answer goes.
type Question = (String, Sender<Output>);

/// A connection to the thread of a node.
struct Connection {
    asked: mpsc::Sender<Question>,
}

impl DB for Connection {
    type Error = Told;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Output {
        let (answer, answered) = channel();
        self.asked.blocking_send((sql.to_owned(), answer)).expect("the node is there");
        answered.recv().expect("the node answers")
    }

    fn error_sql_state(error: &Told) -> Option<String> {
        Some(error.0.state().to_string())
    }
}

/// The thread of a node, which opens a session for each connection that comes in.
fn node(connections: mpsc::Receiver<mpsc::Receiver<Question>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, serve(connections));
}

async fn serve(mut connections: mpsc::Receiver<mpsc::Receiver<Question>>) {
    let server = Server::new(Fake::new(), Config::default(), Rc::new(NoClients)).expect("a server");
    let mut sessions = 0;
    while let Some(mut questions) = connections.recv().await {
        sessions += 1;
        let (user, database) = ("me".to_owned(), "annulus".to_owned());
        let startup = Startup { id: sessions, user, database, settings: Vec::new() };
        let mut session = server.connect(startup).await.expect("a session");
        tokio::task::spawn_local(async move {
            while let Some((sql, answer)) = questions.recv().await {
                let output = simple(&mut session, &sql).await;
                if output.is_err() {
                    session.fail();
                }
                let _ = answer.send(output.map_err(Told));
            }
        });
    }
}

async fn simple(session: &mut Session<Fake>, sql: &str) -> SqlResult<DBOutput<DefaultColumnType>> {
    let statements = session.split(sql)?;
    let count = statements.len();
    let mut output = DBOutput::StatementComplete(0);
    for (index, statement) in statements.into_iter().enumerate() {
        let mut portal = session.start(statement).await?;
        let run = Run { most: 100, last: index + 1 == count };
        let mut rows = Vec::new();
        loop {
            match session.run(&mut portal, run).await? {
                Step::Rows(more) => {
                    let (env, columns) = (session.env(), session.columns(&portal).expect("rows have columns"));
                    rows.extend(more.into_iter().map(|row| {
                        let cell = |(value, column): (&Value, &annulus_sql::session::answer::Column)| match value {
                            Value::Null => "NULL".to_owned(),
                            value => match session.print(value, &column.ty, &env).as_str() {
                                "" => "(empty)".to_owned(),
                                text => text.replace('\n', "\\n"),
                            },
                        };
                        row.iter().zip(columns.iter()).map(cell).collect::<Vec<_>>()
                    }));
                }
                Step::End(tag) => {
                    output = match (session.columns(&portal), tag) {
                        (Some(columns), _) => {
                            DBOutput::Rows { types: vec![DefaultColumnType::Any; columns.len()], rows }
                        }
                        (None, Tag::Text(text)) => {
                            let count = text.rsplit_once(' ').and_then(|(_, count)| count.parse().ok());
                            DBOutput::StatementComplete(count.unwrap_or(0))
                        }
                        (None, _) => DBOutput::StatementComplete(0),
                    };
                    break;
                }
                _ => return Err(SqlError::unsupported("COPY in a script")),
            }
        }
    }
    session.sync().await?;
    Ok(output)
}

fn run_script(path: &std::path::Path) {
    let (connect, connections) = mpsc::channel(1);
    let node = std::thread::spawn(move || node(connections));
    let mut runner = Runner::new(|| {
        let (asked, questions) = mpsc::channel(1);
        connect.blocking_send(questions).expect("the node is there");
        async move { Ok(Connection { asked }) }
    });
    let result = runner.run_file(path);
    drop(runner);
    drop(connect);
    node.join().expect("the node ends well");
    if let Err(error) = result {
        panic!("{}", error.display(false));
    }
}

#[test]
fn scripts_come_to_their_results() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let mut scripts: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of scripts")
        .map(|entry| entry.expect("an entry of the folder").path())
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    scripts.iter().for_each(|script| run_script(script));
}
