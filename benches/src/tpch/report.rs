//! The table of times, and which results differ.

use serde::Deserialize;

use crate::failure::Failure;

/// A row as text; nothing is NULL.
pub type Row = Vec<Option<String>>;

/// What a query came to.
#[derive(Deserialize)]
pub struct Outcome {
    /// Its rows, or why there are none.
    pub rows: Result<Vec<Row>, String>,
    /// How long it took.
    pub seconds: f64,
}

/// What all queries came to: with ours, with PostgreSQL, whose results are right, and with DataFusion where that is there.
pub struct Report {
    names: Vec<&'static str>,
    totals: Vec<f64>,
    lines: Vec<String>,
    wrong: Vec<String>,
    /// Where DataFusion differs, which is not our fault.
    notes: Vec<String>,
}

impl Report {
    /// A report without queries.
    pub fn new(with_datafusion: bool) -> Self {
        let mut names = vec!["annulus", "PostgreSQL"];
        names.extend(with_datafusion.then_some("DataFusion"));
        Self { totals: vec![0.0; names.len()], names, lines: Vec::new(), wrong: Vec::new(), notes: Vec::new() }
    }

    /// Adds what a query came to.
    pub fn add(&mut self, number: u32, ours: &Outcome, postgres: &Outcome, datafusion: Option<&Outcome>) {
        let times: Vec<f64> = [ours, postgres].into_iter().chain(datafusion).map(|outcome| outcome.seconds).collect();
        self.totals.iter_mut().zip(&times).for_each(|(total, time)| *total += time);
        let rows = ours.rows.as_ref().map_or_else(|_| "failed".to_owned(), |rows| rows.len().to_string());
        let line = format!("| {number} | {rows} | {}", cells(&times));
        eprintln!("{line}");
        self.lines.push(line);
        let told = |difference| format!("query {number}: {difference}");
        self.wrong.extend(difference(ours, postgres, "PostgreSQL", Row::clone).map(told));
        self.notes.extend(datafusion.and_then(|theirs| difference(ours, theirs, "DataFusion", about)).map(told));
    }

    /// Prints the table.
    ///
    /// # Errors
    /// If our results are not PostgreSQL's.
    pub fn finish(self) -> Result<(), Failure> {
        let peers: String = self.names[1..].iter().map(|name| format!(" {name}, s | ratio |")).collect();
        println!("| query | rows | {}, s |{peers}", self.names[0]);
        println!("| ----: | ---: | ---: |{}", " ---: | ---: |".repeat(self.names.len() - 1));
        self.lines.iter().for_each(|line| println!("{line}"));
        println!("| all | | {}", cells(&self.totals));
        self.notes.iter().for_each(|note| println!("{note}"));
        if self.wrong.is_empty() { Ok(()) } else { Err(Failure::Wrong(self.wrong.join("\n"))) }
    }
}

/// Our time, and for each peer its time and how many times as long ours is.
fn cells(times: &[f64]) -> String {
    let [ours, theirs @ ..] = times else { return String::new() };
    let theirs: String = theirs.iter().map(|time| format!(" {time:.3} | {:.1} |", ours / time)).collect();
    format!("{ours:.3} |{theirs}")
}

/// How our rows are not a peer's, as far as `read` tells them apart.
fn difference(ours: &Outcome, theirs: &Outcome, peer: &str, read: fn(&Row) -> Row) -> Option<String> {
    let (found, expected) = match (&ours.rows, &theirs.rows) {
        (Ok(found), Ok(expected)) => (sorted(found, read), sorted(expected, read)),
        (Err(told), _) => return Some(format!("failed: {told}")),
        (_, Err(told)) => return Some(format!("{peer} failed: {told}")),
    };
    let different = found.iter().zip(&expected).find(|(one, other)| one != other);
    let told = || format!("{} rows, {peer} {}: {different:?}", found.len(), expected.len());
    (found != expected).then(told)
}

/// Rows in one order: what a query orders by may be equal in several.
fn sorted(rows: &[Row], read: fn(&Row) -> Row) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.iter().map(read).collect();
    rows.sort();
    rows
}

/// A row as far as all engines agree: text without the padding of `char`, numbers with three decimals.
fn about(row: &Row) -> Row {
    let about = |value: &String| match value.parse::<f64>() {
        Ok(number) => format!("{number:.3}"),
        Err(_) => value.trim_end().to_owned(),
    };
    row.iter().map(|value| value.as_ref().map(about)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(rows: &[&[&str]]) -> Outcome {
        let row = |row: &&[&str]| row.iter().map(|value| Some((*value).to_owned())).collect();
        Outcome { rows: Ok(rows.iter().map(row).collect()), seconds: 1.0 }
    }

    #[test]
    fn order_does_not_matter_and_values_do() {
        let ours = outcome(&[&["a", "1"], &["b", "2"]]);
        let swapped = outcome(&[&["b", "2"], &["a", "1"]]);
        assert_eq!(difference(&ours, &swapped, "peer", Row::clone), None);
        let less = outcome(&[&["a", "1"]]);
        assert_eq!(difference(&ours, &less, "peer", Row::clone).unwrap(), "2 rows, peer 1: None");
    }

    #[test]
    fn padding_and_late_digits_matter_to_the_exact_comparison_only() {
        let ours = outcome(&[&["Brand#12  ", "0.33333333333333333333"]]);
        let theirs = outcome(&[&["Brand#12", "0.333333"]]);
        assert_eq!(difference(&ours, &theirs, "peer", about), None);
        assert!(difference(&ours, &theirs, "peer", Row::clone).is_some());
    }
}
