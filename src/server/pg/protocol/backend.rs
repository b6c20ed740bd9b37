//! Messages to clients.

use annulus_relation::{SqlError, SqlType};

use super::Format;
use crate::server::pg::session::{Column, CopyLayout, Severity, Status};

/// Writes one message: its kind, its length, what `body` writes.
pub fn message(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    sized(out, true, body);
}

/// Writes a length of four bytes, and what `body` writes; the length may count itself.
pub fn sized(out: &mut Vec<u8>, with_itself: bool, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = out.len() - start - if with_itself { 0 } else { 4 };
    // No message is nearly that long: what a client may be sent at once is bounded.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Text, and a zero behind it.
fn text(out: &mut Vec<u8>, text: &str) {
    // A zero inside would be taken for its end.
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.push(0);
}

fn count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
}

/// Messages without fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    /// A statement was prepared.
    ParseComplete = b'1',
    /// A portal was made.
    BindComplete = b'2',
    /// Something was forgotten.
    CloseComplete = b'3',
    /// There are no rows to be described.
    NoData = b'n',
    /// There was no statement.
    EmptyQuery = b'I',
    /// A portal has given as many rows as were asked for.
    PortalSuspended = b's',
    /// All copied data was sent.
    CopyDone = b'c',
}

/// A message without fields.
pub fn signal(out: &mut Vec<u8>, signal: Signal) {
    message(out, signal as u8, |_| {});
}

/// The client is who it says it is.
pub fn authentication_ok(out: &mut Vec<u8>) {
    message(out, b'R', |out| out.extend_from_slice(&[0; 4]));
}

/// What of the asked protocol is not spoken.
pub fn negotiate(out: &mut Vec<u8>, minor: u16, unknown: &[&str]) {
    message(out, b'v', |out| {
        out.extend_from_slice(&[0, 3]);
        out.extend_from_slice(&minor.to_be_bytes());
        out.extend_from_slice(&u32::try_from(unknown.len()).unwrap_or(u32::MAX).to_be_bytes());
        unknown.iter().for_each(|name| text(out, name));
    });
}

/// The value of a setting.
pub fn parameter(out: &mut Vec<u8>, name: &str, value: &str) {
    message(out, b'S', |out| {
        text(out, name);
        text(out, value);
    });
}

/// What the client can cancel its statements with.
pub fn key_data(out: &mut Vec<u8>, id: i32, secret: &[u8]) {
    message(out, b'K', |out| {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(secret);
    });
}

/// The next statement can come.
pub fn ready(out: &mut Vec<u8>, status: Status) {
    let status = match status {
        Status::Idle => b'I',
        Status::Block => b'T',
        Status::Failed => b'E',
    };
    message(out, b'Z', |out| out.push(status));
}

/// A statement is done.
pub fn complete(out: &mut Vec<u8>, tag: &str) {
    message(out, b'C', |out| text(out, tag));
}

/// An error or a notice.
pub fn report(out: &mut Vec<u8>, severity: Severity, error: &SqlError) {
    let (kind, word) = match severity {
        Severity::Fatal => (b'E', "FATAL"),
        Severity::Error => (b'E', "ERROR"),
        Severity::Warning => (b'N', "WARNING"),
        Severity::Notice => (b'N', "NOTICE"),
    };
    let report = error.report();
    let position = report.position.map(|position| position.to_string());
    let fields = [
        (b'S', Some(word)),
        (b'V', Some(word)),
        (b'C', Some(report.state.0)),
        (b'M', Some(&*report.message)),
        (b'D', report.detail.as_deref()),
        (b'H', report.hint.as_deref()),
        (b'P', position.as_deref()),
        (b'W', report.context.as_deref()),
        (b's', report.schema.as_deref()),
        (b't', report.table.as_deref()),
        (b'c', report.column.as_deref()),
        (b'n', report.constraint.as_deref()),
        (b'R', report.routine),
    ];
    message(out, kind, |out| {
        for (field, value) in fields.into_iter().filter_map(|(field, value)| Some((field, value?))) {
            out.push(field);
            text(out, value);
        }
        out.push(0);
    });
}

/// The types of a statement's parameters.
pub fn parameters(out: &mut Vec<u8>, types: &[SqlType]) {
    message(out, b't', |out| {
        count(out, types.len());
        types.iter().for_each(|ty| out.extend_from_slice(&ty.oid().to_be_bytes()));
    });
}

/// The columns of a result, with the formats that their values will have.
pub fn columns(out: &mut Vec<u8>, columns: &[Column], formats: impl Iterator<Item = Format>) {
    message(out, b'T', |out| {
        count(out, columns.len());
        for (column, format) in columns.iter().zip(formats) {
            text(out, &column.name);
            out.extend_from_slice(&column.table.to_be_bytes());
            out.extend_from_slice(&column.attribute.to_be_bytes());
            out.extend_from_slice(&column.ty.oid().to_be_bytes());
            out.extend_from_slice(&column.ty.size().to_be_bytes());
            out.extend_from_slice(&column.ty.typmod().to_be_bytes());
            out.extend_from_slice(&(format as u16).to_be_bytes());
        }
    });
}

/// Data that looks so is copied from or to the client from now on.
pub fn copy(out: &mut Vec<u8>, towards_client: bool, layout: CopyLayout) {
    let format = if layout.is_binary { Format::Binary } else { Format::Text };
    message(out, if towards_client { b'H' } else { b'G' }, |out| {
        out.push(format as u8);
        count(out, usize::from(layout.columns));
        (0..layout.columns).for_each(|_| out.extend_from_slice(&(format as u16).to_be_bytes()));
    });
}

/// A piece of copied data.
pub fn copy_data(out: &mut Vec<u8>, data: &[u8]) {
    message(out, b'd', |out| out.extend_from_slice(data));
}

#[cfg(test)]
mod tests {
    use annulus_relation::error::SqlState;

    use super::*;

    #[test]
    fn an_error_has_all_of_its_fields() {
        let error = SqlError::new(SqlState::UNIQUE_VIOLATION, "dup\0licate")
            .detail("d")
            .hint("h")
            .at(Some(12))
            .table("public", "t")
            .column("c")
            .constraint("t_pkey")
            .routine("f");
        let mut out = Vec::new();
        report(&mut out, Severity::Error, &error);
        let expected = b"SERROR\0VERROR\0C23505\0Mduplicate\0Dd\0Hh\0P12\0spublic\0tt\0cc\0nt_pkey\0Rf\0\0";
        assert_eq!(out[..5], [b'E', 0, 0, 0, 4 + expected.len() as u8]);
        assert_eq!(&out[5..], expected);
    }

    #[test]
    fn a_notice_is_not_an_error() {
        let mut out = Vec::new();
        report(&mut out, Severity::Warning, &SqlError::new(SqlState("01000"), "w"));
        assert_eq!(out, b"N\0\0\0\x21SWARNING\0VWARNING\0C01000\0Mw\0\0");
    }
}
