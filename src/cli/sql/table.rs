//! Results as tables, in the manner of psql; bare for programs.
//!
//! Columns are as wide as the widest of the first rows: more are not held.

use std::io::{self, Write};

use super::event::Column;

/// How many rows decide how wide columns are.
const MEASURED: usize = 1000;

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A line per row.
    Aligned,
    /// A line per value.
    Expanded,
    /// Values only, tabs between them.
    Bare,
}

/// A result on its way out.
pub struct Table {
    style: Style,
    columns: Vec<Column>,
    widths: Vec<usize>,
    held: Vec<Vec<Option<String>>>,
    /// Whether the widths are decided.
    begun: bool,
    rows: usize,
}

impl Table {
    /// A result with these columns.
    pub fn new(style: Style, columns: Vec<Column>) -> Self {
        let widths = columns.iter().map(|column| width(&column.name)).collect();
        Self { style, columns, widths, held: Vec::new(), begun: false, rows: 0 }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn row(&mut self, row: Vec<Option<String>>, out: &mut impl Write) -> io::Result<()> {
        self.rows += 1;
        match self.style {
            Style::Bare => {
                let cells: Vec<&str> = row.iter().map(|cell| cell.as_deref().unwrap_or_default()).collect();
                writeln!(out, "{}", cells.join("\t"))
            }
            Style::Expanded => self.record(&row, out),
            Style::Aligned if self.begun => self.line(&row, out),
            Style::Aligned => {
                for (most, cell) in self.widths.iter_mut().zip(&row) {
                    let cell = cell.as_deref().unwrap_or_default();
                    *most = cell.lines().map(width).max().unwrap_or(0).max(*most);
                }
                self.held.push(row);
                if self.held.len() == MEASURED { self.begin(out) } else { Ok(()) }
            }
        }
    }

    /// The end of the result.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end(mut self, out: &mut impl Write) -> io::Result<()> {
        if self.style == Style::Bare {
            return Ok(());
        }
        if self.style == Style::Aligned && !self.begun {
            self.begin(out)?;
        }
        if self.style == Style::Aligned || self.rows == 0 {
            writeln!(out, "({} row{})", self.rows, if self.rows == 1 { "" } else { "s" })?;
        }
        writeln!(out)
    }

    /// Writes the head, and the rows that were held.
    fn begin(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.begun = true;
        let names = self.columns.iter().zip(&self.widths).map(|(column, most)| {
            let free = most.saturating_sub(width(&column.name));
            format!(" {}{}{} ", " ".repeat(free / 2), column.name, " ".repeat(free - free / 2))
        });
        writeln!(out, "{}", names.collect::<Vec<_>>().join("|").trim_end())?;
        let dashes = self.widths.iter().map(|most| "-".repeat(most + 2));
        writeln!(out, "{}", dashes.collect::<Vec<_>>().join("+"))?;
        let held = std::mem::take(&mut self.held);
        held.iter().try_for_each(|row| self.line(row, out))
    }

    /// Writes a row; values of several lines go on below.
    fn line(&self, row: &[Option<String>], out: &mut impl Write) -> io::Result<()> {
        let mut cells: Vec<_> = row.iter().map(|cell| cell.as_deref().unwrap_or_default().lines().peekable()).collect();
        loop {
            let mut parts = Vec::new();
            for ((lines, column), most) in cells.iter_mut().zip(&self.columns).zip(&self.widths) {
                let text = lines.next().unwrap_or_default();
                let free = " ".repeat(most.saturating_sub(width(text)));
                let more = if lines.peek().is_some() { '+' } else { ' ' };
                parts.push(if column.number { format!(" {free}{text}{more}") } else { format!(" {text}{free}{more}") });
            }
            writeln!(out, "{}", parts.join("|").trim_end())?;
            if cells.iter_mut().all(|lines| lines.peek().is_none()) {
                return Ok(());
            }
        }
    }

    fn record(&self, row: &[Option<String>], out: &mut impl Write) -> io::Result<()> {
        let names = self.columns.iter().map(|column| width(&column.name)).max().unwrap_or(0);
        writeln!(out, "-[ RECORD {} ]{}", self.rows, "-".repeat(names))?;
        for (column, cell) in self.columns.iter().zip(row) {
            let free = " ".repeat(names.saturating_sub(width(&column.name)));
            let text = cell.as_deref().unwrap_or_default();
            writeln!(out, "{}", format!("{}{free} | {text}", column.name).trim_end())?;
        }
        Ok(())
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(style: Style, rows: &[[Option<&str>; 2]]) -> String {
        let columns = [("n", true), ("text", false)].map(|(name, number)| Column { name: name.to_owned(), number });
        let (mut table, mut out) = (Table::new(style, columns.to_vec()), Vec::new());
        for row in rows {
            table.row(row.map(|cell| cell.map(str::to_owned)).to_vec(), &mut out).unwrap();
        }
        table.end(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tables_look_as_in_psql() {
        let rows = [[Some("1"), Some("äb\ncde")], [Some("-200"), None]];
        assert_eq!(
            show(Style::Aligned, &rows),
            "  n   | text\n------+------\n    1 | äb  +\n      | cde\n -200 |\n(2 rows)\n\n"
        );
        assert_eq!(show(Style::Aligned, &rows[1..]), "  n   | text\n------+------\n -200 |\n(1 row)\n\n");
        assert_eq!(show(Style::Expanded, &rows[1..]), "-[ RECORD 1 ]----\nn    | -200\ntext |\n\n");
        assert_eq!(show(Style::Bare, &rows[1..]), "-200\t\n");
        assert_eq!(show(Style::Expanded, &[]), "(0 rows)\n\n");
    }

    #[test]
    fn wide_values_behind_the_measured_rows_are_shown_whole() {
        let mut rows = vec![[Some("1"), Some("a")]; MEASURED];
        rows.push([Some("1"), Some("wider than that")]);
        assert!(show(Style::Aligned, &rows).ends_with(" 1 | wider than that\n(1001 rows)\n\n"));
    }
}
