//! Transactions in SQL, over the PostgreSQL protocol.
//!
//! A key is a row; [`Layout`] says of which table. A transaction that carries a token inserts a row with it into a
//! ledger: whether it is there tells the outcome, and whoever asks inserts one that says "never" if there is none.
//! Others are asked for by their ids, where these are known. The same program can be asked for in different
//! [`Style`]s, which take different paths through a node.

mod answer;
mod connection;
mod housekeeping;
mod layout;
mod nodes;
mod statements;
mod style;
mod surveyor;

use annulus_base::id::TxnRef;
use annulus_check::history::Step;

use super::done::Attempt;
use super::{Done, Doubt};
use answer::{Answer, Stage, Trouble};
pub use connection::{Connection, NotConnected};
pub use layout::{Layout, Schema};
pub use nodes::{NoNodes, Nodes};
use statements::{Statement, Statements};
pub use style::Style;
pub(crate) use surveyor::Surveyor;

/// A connection on which transactions over tables of one layout are asked for.
pub struct Session {
    connection: Connection,
    layout: Layout,
}

impl Session {
    /// Connects to the node that a connection string names.
    ///
    /// # Errors
    /// If the node cannot be reached, does not answer or does not want it, and why.
    pub fn connect(string: &str, layout: Layout) -> Result<Self, NotConnected> {
        Ok(Self { connection: Connection::open(string)?, layout })
    }

    /// Whether requests and answers still go together.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.connection.is_usable()
    }

    /// Asks for a transaction; the token is put down in the ledger with it.
    pub fn execute(&mut self, program: &[Step], style: Style, token: Option<&str>) -> Done {
        let done = match style {
            Style::Single => self.single(program),
            Style::Whole => self.whole(program),
            Style::Past { at } => self.past(program, at),
            Style::Message { range } => {
                self.message(program, Statements { layout: self.layout, range, lock: false }, token)
            }
            Style::Block { range, lock } => self.block(program, Statements { layout: self.layout, range, lock }, token),
        };
        done.map_or_else(|done| done, Done::Ok)
    }

    /// The id of the transaction that was executed last, and its commit timestamp.
    pub fn last(&mut self) -> Option<(String, u64)> {
        let id = self.ask("SELECT annulus.transaction_id()").ok()?.pop()?.value()?;
        let ts = id.parse::<TxnRef>().ok()?.ts.0;
        Some((id, ts))
    }

    /// What became of the transaction with that id or token. One that is not in the ledger never will be.
    ///
    /// # Errors
    /// If it could not be learned, and why.
    pub fn outcome(&mut self, name: &str) -> Result<String, String> {
        let question = if name.parse::<TxnRef>().is_ok() {
            format!("SELECT annulus.outcome('{name}')")
        } else {
            format!(
                "INSERT INTO ledger VALUES ('{name}', 'aborted') \
                 ON CONFLICT (token) DO UPDATE SET outcome = ledger.outcome RETURNING outcome"
            )
        };
        let answers = self.ask(&question).map_err(|trouble| trouble.to_string())?;
        answers.first().and_then(Answer::value).ok_or_else(|| "no row".to_owned())
    }

    /// Makes all tables.
    ///
    /// # Errors
    /// If it could not be done, and why.
    pub fn make_tables(&mut self) -> Result<(), String> {
        for table in self.layout.tables() {
            self.ask(table).map_err(|trouble| format!("{table}: {trouble}"))?;
        }
        Ok(())
    }

    fn single(&mut self, program: &[Step]) -> Attempt<Vec<Step>> {
        let statement = statements::single(self.layout, program).ok_or_else(|| Done::absurd("no single statement"))?;
        let answers =
            self.ask(&statement.sql).map_err(|trouble| judge(trouble, program, None, Stage::Commit, &[&statement]))?;
        let mut found = program.to_vec();
        statement.take(&only(answers, 1)?[0], &mut found)?;
        Ok(found)
    }

    fn whole(&mut self, program: &[Step]) -> Attempt<Vec<Step>> {
        let statement = statements::whole(program);
        let answers =
            self.ask(&statement.sql).map_err(|trouble| judge(trouble, program, None, Stage::Before, &[&statement]))?;
        let mut found = program.to_vec();
        statement.take(&only(answers, 1)?[0], &mut found)?;
        Ok(found)
    }

    fn past(&mut self, program: &[Step], at: style::Instant) -> Attempt<Vec<Step>> {
        let statement = statements::past(self.layout, program, at);
        let answers = self.ask(&statement.sql).map_err(|trouble| match trouble {
            // It is before the tables were made; or the node's clock is behind this machine's.
            Trouble::Refused { code, .. } if matches!(code.as_str(), "42P01" | "22023") => {
                Done::Fail(format!("-{code}"))
            }
            trouble => judge(trouble, program, None, Stage::Before, &[&statement]),
        })?;
        let mut found = program.to_vec();
        statement.take(&only(answers, 1)?[0], &mut found)?;
        Ok(found)
    }

    /// All statements in one message: they are one transaction.
    fn message(&mut self, program: &[Step], how: Statements, token: Option<&str>) -> Attempt<Vec<Step>> {
        let statements = how.of(program);
        let texts: Vec<String> =
            statements.iter().map(|statement| statement.sql.clone()).chain(token.map(entry)).collect();
        let all: Vec<&Statement> = statements.iter().collect();
        let answers =
            self.ask(&texts.join("; ")).map_err(|trouble| judge(trouble, program, token, Stage::Commit, &all))?;
        let answers = only(answers, texts.len())?;
        let mut found = program.to_vec();
        statements.iter().zip(&answers).try_for_each(|(statement, answer)| statement.take(answer, &mut found))?;
        Ok(found)
    }

    /// `BEGIN`, statement by statement, `COMMIT`. Nothing is changed before that is sent.
    fn block(&mut self, program: &[Step], how: Statements, token: Option<&str>) -> Attempt<Vec<Step>> {
        let mut found = program.to_vec();
        if let Err(done) = self.work(program, how, token, &mut found) {
            // If that fails too, the connection is of no use, and the node rolls back when it ends.
            if self.ask("ROLLBACK").is_err() {
                self.connection.give_up();
            }
            return Err(done);
        }
        self.ask("COMMIT").map_err(|trouble| judge(trouble, &found, token, Stage::Commit, &[]))?;
        Ok(found)
    }

    /// Everything before `COMMIT`.
    fn work(&mut self, program: &[Step], how: Statements, token: Option<&str>, found: &mut [Step]) -> Attempt<()> {
        let before = |trouble, statement: &[&Statement]| judge(trouble, program, None, Stage::Before, statement);
        self.ask("BEGIN").map_err(|trouble| before(trouble, &[]))?;
        for statement in how.of(program) {
            let answers = self.ask(&statement.sql).map_err(|trouble| before(trouble, &[&statement]))?;
            statement.take(&only(answers, 1)?[0], found)?;
        }
        if let Some(token) = token {
            self.ask(&entry(token)).map_err(|trouble| before(trouble, &[]))?;
        }
        Ok(())
    }

    fn ask(&mut self, sql: &str) -> Result<Vec<Answer>, Trouble> {
        self.connection.ask(sql)
    }
}

/// What puts a token down.
fn entry(token: &str) -> String {
    format!("INSERT INTO ledger VALUES ('{token}', 'committed')")
}

/// What is to be said of a transaction that was not answered as it should. `statements` are those that may have failed.
fn judge(trouble: Trouble, steps: &[Step], token: Option<&str>, stage: Stage, statements: &[&Statement]) -> Done {
    if let Trouble::Refused { code, .. } = &trouble
        && statements.iter().any(|statement| statement.may_violate(code))
    {
        return Done::unexpected();
    }
    let changes = steps.iter().any(Step::changes);
    if !changes || !trouble.may_have_happened(stage) {
        return trouble.failure();
    }
    let names = token.map(str::to_owned).into_iter().chain(trouble.id()).collect();
    Done::Unknown(Doubt { why: trouble.reason(), names, steps: steps.to_vec() })
}

fn only(answers: Vec<Answer>, count: usize) -> Attempt<Vec<Answer>> {
    if answers.len() == count {
        Ok(answers)
    } else {
        Err(Done::absurd(format!("{} answers to {count} statements", answers.len())))
    }
}
