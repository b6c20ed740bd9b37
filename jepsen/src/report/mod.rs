//! What is shown: a line for each cell, and a page with everything needed to look closer and to repeat.

mod page;
mod plot;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use annulus_check::history::{Form, to_edn, to_json};

use crate::Failure;
use crate::availability::{self, Worst};
use crate::cell::{Outcome, Plan};
use crate::cluster::Shape;

pub use page::About;

/// A cell's result, for the summary.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was run.
    pub plan: Plan,
    /// On what.
    pub shape: Shape,
    /// How it ended.
    pub ending: Ending,
}

/// How a cell ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It was run.
    Run {
        /// Whether nothing was wrong.
        passed: bool,
        /// How many operations ended how; see [`availability::counts`].
        counts: [usize; 4],
        /// How many faults there were.
        faults: usize,
        /// What they cost.
        worst: Worst,
    },
    /// It is not possible here, and why.
    Skipped(String),
    /// The suite failed, which says nothing about the database.
    Broken(String),
}

impl Row {
    /// The row of a cell that was run.
    #[must_use]
    pub fn of(outcome: &Outcome, shape: Shape) -> Self {
        let ending = Ending::Run {
            passed: outcome.passed(),
            counts: availability::counts(&outcome.record),
            faults: outcome.costs.len(),
            worst: availability::worst(&outcome.costs),
        };
        Self { plan: outcome.plan, shape, ending }
    }

    /// What is shown of its result, by [`COLUMNS`].
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let Plan { workload, protocol, nemesis, seed, .. } = &self.plan;
        let nodes = format!("{}/{}", self.shape.nodes, self.shape.replicas);
        let mut texts = vec![workload.to_string(), protocol.to_string(), nemesis.to_string(), seed.to_string(), nodes];
        match &self.ending {
            Ending::Run { passed, counts: [ok, fail, doubtful, unknown], faults, worst } => {
                texts.push(if *passed { "ok".to_owned() } else { "WRONG".to_owned() });
                texts.extend([ok, fail, doubtful, unknown, faults].map(usize::to_string));
                texts.extend([worst.unavailable, worst.recovery].map(milliseconds));
            }
            Ending::Skipped(why) => texts.push(format!("SKIPPED: {why}")),
            Ending::Broken(why) => texts.push(format!("BROKEN: {why}")),
        }
        texts
    }

    /// A line for a terminal.
    #[must_use]
    pub fn line(&self) -> String {
        line(&self.texts())
    }
}

/// What is shown of every cell: its name and its width in a terminal.
pub const COLUMNS: [(&str, usize); 13] = [
    ("workload", 14),
    ("protocol", 10),
    ("nemesis", 18),
    ("seed", 6),
    ("n/r", 4),
    ("verdict", 7),
    ("ok", 6),
    ("fail", 5),
    ("doubt", 5),
    ("unknown", 7),
    ("faults", 6),
    ("unavailable ms", 14),
    ("recovery ms", 11),
];

/// The line above all others.
#[must_use]
pub fn head() -> String {
    line(&COLUMNS.map(|(name, _)| name.to_owned()))
}

fn line(texts: &[String]) -> String {
    let columns = texts.iter().zip(COLUMNS).enumerate();
    let padded = columns.map(|(at, (text, (_, width)))| match at {
        0..=5 => format!("{text:<width$}"),
        _ => format!("{text:>width$}"),
    });
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn milliseconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.as_millis().to_string())
}

/// The page's name.
const PAGE: &str = "index.html";

/// A report that grows cell by cell.
pub struct Report {
    dir: PathBuf,
    about: About,
    rows: Vec<Row>,
    cells: Vec<String>,
}

impl Report {
    /// An empty one in `dir`, where it takes the place of an earlier report.
    ///
    /// # Errors
    /// If it cannot be written, or if something else is there.
    pub fn begin(dir: &Path, about: About) -> Result<Self, Failure> {
        if dir.join(PAGE).is_file() {
            fs::remove_dir_all(dir).map_err(Failure::at(dir))?;
        }
        fs::create_dir_all(dir).map_err(Failure::at(dir))?;
        if fs::read_dir(dir).map_err(Failure::at(dir))?.next().is_some() {
            let why = io::Error::new(io::ErrorKind::AlreadyExists, "there is something else than a report");
            return Err(Failure::at(dir)(why));
        }
        let report = Self { dir: dir.to_owned(), about, rows: Vec::new(), cells: Vec::new() };
        report.write_page()?;
        Ok(report)
    }

    /// Where a cell's files go.
    #[must_use]
    pub fn place(&self, plan: &Plan) -> PathBuf {
        self.dir.join(format!("{}-{}-{}-{}", plan.workload, plan.protocol, plan.nemesis, plan.seed))
    }

    /// Adds a cell, its histories and logs, and writes the page anew: whenever the run ends, it is complete.
    ///
    /// # Errors
    /// If something cannot be written.
    pub fn add(&mut self, row: Row, outcome: Option<&Outcome>) -> Result<(), Failure> {
        if let Some(outcome) = outcome {
            let dir = self.place(&outcome.plan);
            fs::create_dir_all(&dir).map_err(Failure::at(&dir))?;
            let history = &outcome.record.history;
            // Knossos checks registers, Elle transactions.
            let is_register = outcome.plan.workload.name() == "register";
            let form = if is_register { Form::Registers } else { Form::Transactions };
            // They know nothing of reads of the past.
            write(&dir.join("history.edn"), &to_edn(&history.latest(), form))?;
            write(&dir.join("history.json"), &to_json(history, form))?;
            write(&dir.join("events.txt"), &(outcome.record.notes.join("\n") + "\n"))?;
            for (node, log) in outcome.logs.iter().enumerate() {
                write(&dir.join(format!("n{}.log", node + 1)), log)?;
            }
            let place = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.cells.push(page::cell(outcome, &row, &place));
        }
        self.rows.push(row);
        self.write_page()
    }

    fn write_page(&self) -> Result<(), Failure> {
        write(&self.dir.join(PAGE), &page::page(&self.about, &self.rows, &self.cells))
    }

    /// All rows so far.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(Failure::at(path))
}
