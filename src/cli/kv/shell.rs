//! The shell: history, completion of command names, one command per line.

use std::env;
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

use super::super::Outcome;
use super::client::Client;
use super::commands::{self, CommandError, Flow};
use super::words;

/// Completes the names of commands.
struct Names;

impl Completer for Names {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((0, complete(&line[..position])))
    }
}

/// The commands that begin like a line, in the line's case. None once an argument is typed.
fn complete(begun: &str) -> Vec<String> {
    let upper = begun.to_ascii_uppercase();
    let lower = begun.bytes().any(|byte| byte.is_ascii_lowercase());
    let matching = commands::names().filter(|name| name.starts_with(&upper));
    matching.map(|name| if lower { name.to_ascii_lowercase() } else { name.to_owned() }).collect()
}

impl Hinter for Names {
    type Hint = String;
}
impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}

/// Where the lines of earlier shells are kept.
fn history_file() -> Option<PathBuf> {
    env::var_os("HOME").map(|home| PathBuf::from(home).join(".annulus_history"))
}

/// Talks to a person at a terminal until `EXIT`, Ctrl-C or Ctrl-D.
pub fn interactive(client: &mut Client) -> Outcome {
    let mut editor: Editor<Names, FileHistory> = Editor::new()?;
    editor.set_helper(Some(Names));
    let history = history_file();
    if let Some(path) = &history {
        // There is none at the first time.
        let _ = editor.load_history(path);
    }
    println!("Connected to {}. HELP lists the commands, EXIT leaves.", client.address());
    let prompt = format!("{}> ", client.address());
    loop {
        match editor.readline(&prompt) {
            Ok(line) => {
                editor.add_history_entry(&line)?;
                if run_line(client, &line, true).0 == Flow::Exit {
                    break;
                }
            }
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => break,
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

/// Runs the lines of a file or pipe, printing for programs; an error if any of them failed.
pub fn batch(client: &mut Client) -> Outcome {
    let mut failed = 0_u32;
    for line in stdin().lock().lines() {
        let (flow, connected) = run_line(client, &line?, false);
        match flow {
            Flow::Done => {}
            Flow::Exit => break,
            Flow::Failed(_) => failed += 1,
        }
        if !connected {
            break;
        }
    }
    if failed > 0 { Err(format!("{failed} commands failed").into()) } else { Ok(()) }
}

/// Runs one line and prints what comes of it. Also says whether the node could be talked to.
fn run_line(client: &mut Client, line: &str, for_people: bool) -> (Flow, bool) {
    let words = match words::split(line) {
        Ok(words) => words,
        Err(error) => {
            eprintln!("{error}");
            return (Flow::Failed(error.to_string()), true);
        }
    };
    let mut out = stdout().lock();
    let outcome = commands::run(client, &words, for_people, &mut out).and_then(|flow| {
        out.flush()?;
        Ok(flow)
    });
    match outcome {
        Ok(Flow::Failed(error)) => {
            if for_people {
                println!("(error) {error}")
            } else {
                eprintln!("{error}")
            }
            (Flow::Failed(error), true)
        }
        Ok(flow) => (flow, true),
        Err(error) => {
            eprintln!("{error}");
            let connected = matches!(error, CommandError::NotAPage);
            (Flow::Failed(error.to_string()), connected)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_in_the_case_that_was_typed() {
        assert_eq!(complete("getr"), ["getrange"]);
        assert_eq!(complete("LI"), ["LIST"]);
        assert!(complete("GET a").is_empty());
        assert!(complete("").len() > 60);
    }
}
