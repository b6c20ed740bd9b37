//! What a node says, message by message.

use std::fmt;

use annulus_relation::SqlResult;
use bytes::Bytes;

use crate::server::pg::protocol::fields::{Fields, utf8};

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether its values are numbers, which stand on the right.
    pub number: bool,
}

/// An error or a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// `ERROR`, `NOTICE` ...
    pub severity: String,
    /// Its SQLSTATE.
    pub code: String,
    /// What it says.
    pub message: String,
    /// More about it.
    pub detail: String,
    /// What to do.
    pub hint: String,
    /// What was at work.
    pub context: String,
    /// Where in the statement: a character, the first is 1; 0: nowhere.
    pub position: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.message)?;
        for (name, text) in [("DETAIL", &self.detail), ("HINT", &self.hint), ("CONTEXT", &self.context)] {
            if !text.is_empty() {
                write!(f, "\n{name}: {text}")?;
            }
        }
        Ok(())
    }
}

/// What happens while statements are executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A result begins.
    Columns(Vec<Column>),
    /// One of its rows; `None` is NULL.
    Row(Vec<Option<String>>),
    /// A statement is done.
    Complete(String),
    /// Something beside.
    Notice(Report),
    /// A statement failed.
    Error(Report),
    /// Data is to be sent.
    CopyIn,
    /// Data that was asked for.
    CopyData(Bytes),
}

/// Understands a message; `None`: there is nothing to it.
///
/// # Errors
/// It is none.
pub fn understand(kind: u8, body: Bytes) -> SqlResult<Option<Event>> {
    let mut fields = Fields::new(body);
    Ok(Some(match kind {
        b'T' => Event::Columns(fields.list(19, column)?),
        b'D' => Event::Row(fields.list(4, |fields| {
            let value = fields.value()?;
            value.as_deref().map(|text| utf8(text).map(str::to_owned)).transpose()
        })?),
        b'C' => Event::Complete(fields.text()?),
        b'N' => Event::Notice(report(fields)?),
        b'E' => Event::Error(report(fields)?),
        b'G' => Event::CopyIn,
        b'd' => Event::CopyData(fields.rest()),
        _ => return Ok(None),
    }))
}

fn column(fields: &mut Fields) -> SqlResult<Column> {
    let name = fields.text()?;
    let (_table, _attribute, ty) = (fields.int()?, fields.count()?, fields.int()?);
    let (_width, _modifier, _format) = (fields.count()?, fields.int()?, fields.count()?);
    // int8, int2, int4, oid, float4, float8, money, numeric
    Ok(Column { name, number: [20, 21, 23, 26, 700, 701, 790, 1700].contains(&ty) })
}

fn report(mut fields: Fields) -> SqlResult<Report> {
    let mut report = Report::default();
    loop {
        match fields.byte()? {
            0 => return Ok(report),
            b'S' => report.severity = fields.text()?,
            b'C' => report.code = fields.text()?,
            b'M' => report.message = fields.text()?,
            b'D' => report.detail = fields.text()?,
            b'H' => report.hint = fields.text()?,
            b'W' => report.context = fields.text()?,
            b'P' => report.position = fields.text()?.parse().unwrap_or(0),
            _ => drop(fields.text()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use annulus_relation::error::SqlState;
    use annulus_relation::{SqlError, SqlType};

    use super::*;
    use crate::server::pg::protocol::{Format, backend};
    use crate::server::pg::session::{self, Severity};

    fn read(write: impl FnOnce(&mut Vec<u8>)) -> Option<Event> {
        let mut out = Vec::new();
        write(&mut out);
        let mut body = Bytes::from(out);
        let kind = body.split_to(5)[0];
        understand(kind, body).unwrap()
    }

    #[test]
    fn what_the_server_writes_is_understood() {
        let columns = [("n", SqlType::Int4), ("t", SqlType::Text)].map(|(name, ty)| session::Column {
            name: name.to_owned(),
            ty,
            table: 0,
            attribute: 0,
        });
        let event = read(|out| backend::columns(out, &columns, std::iter::repeat(Format::Text)));
        let column = |name: &str, number| Column { name: name.to_owned(), number };
        assert_eq!(event, Some(Event::Columns(vec![column("n", true), column("t", false)])));
        let error = SqlError::new(SqlState::SYNTAX_ERROR, "m").detail("d").hint("h").at(Some(3)).table("s", "t");
        let error = error.context(|| "c".to_owned());
        let Some(Event::Error(report)) = read(|out| backend::report(out, Severity::Error, &error)) else { panic!() };
        assert_eq!(report.to_string(), "ERROR: m\nDETAIL: d\nHINT: h\nCONTEXT: c");
        assert_eq!((&*report.code, report.position), ("42601", 3));
        assert_eq!(read(|out| backend::complete(out, "SELECT 1")), Some(Event::Complete("SELECT 1".to_owned())));
        assert_eq!(read(|out| backend::signal(out, backend::Signal::EmptyQuery)), None);
    }
}
