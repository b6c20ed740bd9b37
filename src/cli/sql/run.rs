//! Statements sent, and what they come to shown.

use std::io::{self, BufRead, Write as _, stdin, stdout};
use std::time::{Duration, Instant};

use super::client::{Client, ClientError};
use super::event::{Event, Report};
use super::table::{Style, Table};

/// How much data is sent at once when copying in.
const PIECE: usize = 64 * 1024;

/// Why statements could not be run, or not be shown.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The node could not be talked to.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The terminal, file or pipe does not take it.
    #[error("the result cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// How things are shown.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Tables.
    pub style: Style,
    /// How long statements take.
    pub timing: bool,
    /// Command tags, and where data to be copied in is typed.
    pub for_people: bool,
}

/// Runs statements and shows what they come to. The error of the one that failed, if one did.
///
/// # Errors
/// [`RunError`].
pub fn run(client: &mut Client, sql: &str, look: Look) -> Result<Option<Report>, RunError> {
    let begun = Instant::now();
    client.query(sql)?;
    let mut out = stdout().lock();
    let mut table: Option<Table> = None;
    let mut failed = None;
    while let Some(event) = client.next()? {
        match event {
            Event::Columns(columns) => table = Some(Table::new(look.style, columns)),
            Event::Row(row) => {
                if let Some(table) = &mut table {
                    table.row(row, &mut out)?;
                }
            }
            Event::Complete(tag) => match table.take() {
                Some(table) => table.end(&mut out)?,
                None if look.for_people => writeln!(out, "{tag}")?,
                None => {}
            },
            Event::CopyIn => {
                out.flush()?;
                copy_in(client, look)?;
            }
            Event::CopyData(data) => out.write_all(&data)?,
            Event::Notice(notice) => eprintln!("{notice}"),
            Event::Error(report) => {
                out.flush()?;
                show_error(&report, sql);
                failed = Some(report);
            }
        }
    }
    if look.timing {
        writeln!(out, "Time: {}", time(begun.elapsed()))?;
    }
    out.flush()?;
    Ok(failed)
}

/// All rows of a query that the shell itself asks, without showing anything. `None` if it failed.
///
/// # Errors
/// [`ClientError`].
pub fn rows(client: &mut Client, sql: &str) -> Result<Option<Vec<Vec<Option<String>>>>, ClientError> {
    client.query(sql)?;
    let (mut rows, mut failed) = (Vec::new(), false);
    while let Some(event) = client.next()? {
        match event {
            Event::Row(row) => rows.push(row),
            Event::Error(_) => failed = true,
            _ => {}
        }
    }
    Ok((!failed).then_some(rows))
}

/// Sends the lines of standard input up to one with `\.`, or its end.
fn copy_in(client: &mut Client, look: Look) -> Result<(), RunError> {
    if look.for_people {
        println!("Enter data to be copied, one row per line. End with a backslash and a period on a line by itself.");
    }
    let mut lines = stdin().lock();
    let (mut piece, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        lines.read_until(b'\n', &mut line)?;
        let end = line.is_empty() || line.trim_ascii_end() == b"\\.";
        if !end {
            piece.extend_from_slice(&line);
        }
        if piece.len() >= PIECE || (end && !piece.is_empty()) {
            client.copy(&piece)?;
            piece.clear();
        }
        if end {
            return Ok(client.end_copy()?);
        }
    }
}

/// Shows an error, and the place in the statement that it is about.
fn show_error(report: &Report, sql: &str) {
    eprintln!("{report}");
    if let Some(place) = point(sql, report.position) {
        eprintln!("{place}");
    }
}

/// The line of a statement that holds a character (the first is 1), and a mark below it.
fn point(sql: &str, position: usize) -> Option<String> {
    let before: Vec<char> = sql.chars().take(position.checked_sub(1)?).collect();
    let number = before.iter().filter(|letter| **letter == '\n').count();
    let column = before.iter().rev().take_while(|letter| **letter != '\n').count();
    let head = format!("LINE {}: ", number + 1);
    let line = sql.lines().nth(number)?;
    Some(format!("{head}{line}\n{:1$}^", "", head.len() + column))
}

fn time(elapsed: Duration) -> String {
    format!("{:.3} ms", elapsed.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_points_at_its_place() {
        assert_eq!(point("SELECT x", 8).unwrap(), "LINE 1: SELECT x\n               ^");
        assert_eq!(point("SELECT\n ä, y", 12).unwrap(), "LINE 2:  ä, y\n            ^");
        assert_eq!(point("SELECT", 0), None);
        assert_eq!(point("SELECT", 7).unwrap(), "LINE 1: SELECT\n              ^");
    }

    #[test]
    fn times_are_in_milliseconds() {
        assert_eq!(time(Duration::from_micros(1_234_567)), "1234.567 ms");
    }
}
