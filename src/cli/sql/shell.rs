//! The shell: history, completion, statements over several lines.

use std::env;
use std::io::{BufRead as _, stdin};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustyline::Editor;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;

use super::super::Outcome;
use super::client::{Canceller, Client, ClientError, Target};
use super::complete::Words;
use super::input::{cut, is_blank};
use super::meta::{self, Meta};
use super::run::{Look, RunError, rows, run};
use super::table::Style;

/// The names that are completed.
const NAMES: &str = "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema NOT IN \
    ('pg_catalog', 'information_schema') UNION SELECT DISTINCT column_name FROM information_schema.columns \
    WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1 LIMIT 10000";
/// What begins statements after which other names are there.
const CHANGING: [&str; 4] = ["create", "alter", "drop", "rollback"];

/// A session, and how its results look.
pub struct Shell {
    client: Option<Client>,
    target: Target,
    look: Look,
    /// What Ctrl-C does while a statement is at work.
    at_work: Arc<Mutex<Option<Canceller>>>,
}

/// Whether the shell goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoesOn,
    Failed,
    Ends,
}

impl Shell {
    /// A shell over a session.
    pub fn new(client: Client, look: Look) -> Self {
        let target = client.target().clone();
        Self { client: Some(client), target, look, at_work: Arc::default() }
    }

    /// Talks to a person at a terminal until `\q` or Ctrl-D.
    pub fn interactive(&mut self) -> Outcome {
        listen_for_interrupts(Arc::clone(&self.at_work))?;
        let mut editor: Editor<Words, FileHistory> = Editor::new()?;
        editor.set_helper(Some(Words::default()));
        let history = env::var_os("HOME").map(|home| PathBuf::from(home).join(".annulus_sql_history"));
        if let Some(path) = &history {
            // There is none at the first time.
            let _ = editor.load_history(path);
        }
        let version = self.client.as_ref().map_or("unknown", Client::version).to_owned();
        println!("Connected to {}, version {version}. \\? lists the commands, \\q leaves.", self.target.address);
        self.look_up_names(&mut editor);
        let mut typed = String::new();
        loop {
            match editor.readline(&self.prompt(&typed)) {
                Ok(line) => {
                    let before = typed.is_empty() && !line.trim_start().starts_with('\\');
                    typed.push_str(&line);
                    if !(before && is_blank(&typed)) {
                        editor.add_history_entry(typed.trim_end())?;
                    }
                    typed.push('\n');
                    let changing = changes_names(&typed);
                    if self.take(&mut typed) == Next::Ends {
                        break;
                    }
                    if changing {
                        self.look_up_names(&mut editor);
                    }
                }
                // What was typed is forgotten.
                Err(ReadlineError::Interrupted) => typed.clear(),
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(path) = &history
            && let Err(error) = editor.save_history(path)
        {
            eprintln!("the history could not be kept in {}: {error}", path.display());
        }
        Ok(())
    }

    /// Runs the statements of a file or pipe; an error if any of them failed.
    pub fn batch(&mut self) -> Outcome {
        let (mut typed, mut failed, mut line) = (String::new(), 0_u32, String::new());
        loop {
            line.clear();
            // The lock is not held while statements run: they may read data to be copied in.
            if stdin().lock().read_line(&mut line)? == 0 {
                break;
            }
            typed.push_str(&line);
            match self.take(&mut typed) {
                Next::GoesOn => {}
                Next::Failed => failed += 1,
                Next::Ends => break,
            }
            if self.client.is_none() {
                break;
            }
        }
        if !is_blank(&typed) && self.client.is_some() && self.statement(&typed) == Next::Failed {
            failed += 1;
        }
        if failed > 0 { Err(format!("{failed} statements failed").into()) } else { Ok(()) }
    }

    fn prompt(&self, typed: &str) -> String {
        let mark = self.client.as_ref().map_or("", Client::mark);
        let begun = if typed.trim().is_empty() { "=" } else { "-" };
        format!("{}{begun}{mark}> ", self.target.database)
    }

    /// Runs what is complete of what was typed, and leaves the rest.
    fn take(&mut self, typed: &mut String) -> Next {
        if typed.trim_start().starts_with('\\') {
            let line = std::mem::take(typed);
            return self.command(&line);
        }
        let mut next = Next::GoesOn;
        while let Some((statement, rest)) = cut(typed) {
            let (statement, rest) = (statement.trim_start().to_owned(), rest.to_owned());
            *typed = rest;
            if !is_blank(&statement) && self.statement(&statement) == Next::Failed {
                next = Next::Failed;
            }
        }
        if is_blank(typed) {
            typed.clear();
        }
        next
    }

    fn command(&mut self, line: &str) -> Next {
        match meta::read(line) {
            Ok(Meta::Quit) => return Next::Ends,
            Ok(Meta::Help) => print!("{}", meta::HELP),
            Ok(Meta::Timing) => {
                self.look.timing = !self.look.timing;
                println!("Timing is {}.", if self.look.timing { "on" } else { "off" });
            }
            Ok(Meta::Expanded) => {
                let expanded = self.look.style != Style::Expanded;
                self.look.style = if expanded { Style::Expanded } else { Style::Aligned };
                println!("Expanded display is {}.", if expanded { "on" } else { "off" });
            }
            Ok(Meta::Query(sql)) => return self.statement(&sql),
            Ok(Meta::Describe(name)) => return self.describe(&name),
            Ok(Meta::Connect(database)) => return self.connect(database),
            Err(error) => {
                eprintln!("{error}");
                return Next::Failed;
            }
        }
        Next::GoesOn
    }

    fn connect(&mut self, database: Option<String>) -> Next {
        let target =
            Target { database: database.unwrap_or_else(|| self.target.database.clone()), ..self.target.clone() };
        match Client::connect(target.clone()) {
            Ok(client) => {
                println!("You are now connected to database \"{}\".", target.database);
                (self.client, self.target) = (Some(client), target);
                Next::GoesOn
            }
            Err(error) => {
                eprintln!("{error}");
                Next::Failed
            }
        }
    }

    fn describe(&mut self, name: &str) -> Next {
        let queries = meta::describe(name);
        let found = self.ask(|client| rows(client, &queries[0].1));
        if found.flatten().is_some_and(|rows| rows.is_empty()) {
            eprintln!("Did not find any relation named \"{name}\".");
            return Next::Failed;
        }
        for (heading, sql) in queries {
            // Most tables have few of these.
            if heading != "Columns"
                && self.ask(|client| rows(client, &sql)).flatten().is_none_or(|rows| rows.is_empty())
            {
                continue;
            }
            println!("{heading} of {name}:");
            if self.statement(&sql) == Next::Failed {
                return Next::Failed;
            }
        }
        Next::GoesOn
    }

    /// Runs a statement and shows what it comes to.
    fn statement(&mut self, sql: &str) -> Next {
        let look = self.look;
        match self.ask(|client| run(client, sql, look)) {
            Some(None) => Next::GoesOn,
            Some(Some(_)) | None => Next::Failed,
        }
    }

    /// Does something with the session, which is opened again if it was lost. `None`: it could not be done, which
    /// was said.
    fn ask<T, E: Into<RunError>>(&mut self, work: impl FnOnce(&mut Client) -> Result<T, E>) -> Option<T> {
        if self.client.is_none() {
            eprintln!("Connecting again: the session's settings and its transaction are lost.");
        }
        let connected = self.client.take().map_or_else(|| Client::connect(self.target.clone()), Ok);
        let mut client = connected.inspect_err(|error| eprintln!("{error}")).ok()?;
        self.set_at_work(Some(client.canceller()));
        let result = work(&mut client).map_err(Into::into);
        self.set_at_work(None);
        match result {
            Ok(done) => {
                self.client = Some(client);
                Some(done)
            }
            Err(RunError::Client(error)) => {
                eprintln!("{error}");
                None
            }
            Err(error @ RunError::Output(_)) => {
                eprintln!("{error}");
                None
            }
        }
    }

    fn set_at_work(&self, canceller: Option<Canceller>) {
        if let Ok(mut at_work) = self.at_work.lock() {
            *at_work = canceller;
        }
    }

    fn look_up_names(&mut self, editor: &mut Editor<Words, FileHistory>) {
        // Nothing is asked in a transaction: it could fail there.
        let Some(client) = self.client.as_mut().filter(|client| client.mark().is_empty()) else { return };
        let names: Result<_, ClientError> = rows(client, NAMES);
        if let (Ok(Some(rows)), Some(words)) = (names, editor.helper_mut()) {
            words.names = rows.into_iter().filter_map(|row| row.into_iter().next()?).collect();
        }
    }
}

/// Whether there may be other names after what was typed.
fn changes_names(typed: &str) -> bool {
    let lower = typed.to_lowercase();
    CHANGING.iter().any(|word| lower.contains(word)) || lower.trim_start().starts_with("\\c")
}

/// Lets Ctrl-C cancel the statement at work.
fn listen_for_interrupts(at_work: Arc<Mutex<Option<Canceller>>>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                let canceller = at_work.lock().ok().and_then(|at_work| at_work.clone());
                if let Some(canceller) = canceller {
                    canceller.cancel();
                }
            }
        });
    });
    Ok(())
}
