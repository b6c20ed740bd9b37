//! From rows to `COPY` data.

use annulus_relation::{SqlResult, Value};
use bytes::Bytes;

use super::binary;
use crate::bind::{EvalContext, print_value};
use crate::parse::{CopyOptions, Format, Header};
use crate::session::answer::{Column, CopyLayout};

/// Prints rows as lines.
pub(crate) struct Encoder {
    options: CopyOptions,
    columns: Vec<Column>,
    /// Columns that are always quoted.
    forced: Vec<bool>,
}

impl Encoder {
    pub fn new(options: &CopyOptions, columns: Vec<Column>) -> Self {
        let all = options.force_quote.iter().any(|name| name == "*");
        let forced = columns.iter().map(|column| all || options.force_quote.contains(&column.name)).collect();
        Self { options: options.clone(), columns, forced }
    }

    /// What data looks like.
    pub fn layout(&self) -> CopyLayout {
        let columns = u16::try_from(self.columns.len()).unwrap_or(u16::MAX);
        CopyLayout { columns, is_binary: self.options.format == Format::Binary }
    }

    /// What stands before whatever comes first, which is a part of it: the header of binary data. Drivers take each piece
    /// of data for a row.
    pub fn preamble(&self) -> Bytes {
        if self.options.format == Format::Binary { binary::header() } else { Bytes::new() }
    }

    /// The line with the columns' names, if there is to be one.
    pub fn header(&self) -> Option<Bytes> {
        (self.options.header != Header::None && self.options.format != Format::Binary).then(|| {
            let mut line = Vec::new();
            for (index, column) in self.columns.iter().enumerate() {
                self.field(&mut line, index, Some(&column.name), false);
            }
            self.end(line)
        })
    }

    /// What binary data ends with.
    pub fn trailer(&self) -> Option<Bytes> {
        (self.options.format == Format::Binary).then(binary::trailer)
    }

    /// A row's line.
    ///
    /// # Errors
    /// A value has no binary form.
    pub fn line(&self, row: &[Value], cx: &EvalContext<'_>) -> SqlResult<Bytes> {
        if self.options.format == Format::Binary {
            return binary::tuple(row, &self.columns);
        }
        let mut line = Vec::new();
        for (index, (value, column)) in row.iter().zip(&self.columns).enumerate() {
            let text = (!value.is_null()).then(|| print_value(value, &column.ty, cx));
            self.field(&mut line, index, text.as_deref(), self.forced.get(index) == Some(&true));
        }
        Ok(self.end(line))
    }

    fn end(&self, mut line: Vec<u8>) -> Bytes {
        line.push(b'\n');
        line.into()
    }

    fn field(&self, line: &mut Vec<u8>, index: usize, text: Option<&str>, forced: bool) {
        if index > 0 {
            line.push(self.options.delimiter);
        }
        match (text, self.options.format) {
            (None, _) => line.extend_from_slice(self.options.null.as_bytes()),
            (Some(text), Format::Text | Format::Binary) => self.escaped(line, text),
            (Some(text), Format::Csv) => self.quoted(line, text, forced),
        }
    }

    fn escaped(&self, line: &mut Vec<u8>, text: &str) {
        for byte in text.bytes() {
            let letter = match byte {
                b'\\' => b'\\',
                8 => b'b',
                12 => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                11 => b'v',
                byte if byte == self.options.delimiter => byte,
                byte => {
                    line.push(byte);
                    continue;
                }
            };
            line.extend([b'\\', letter]);
        }
    }

    fn quoted(&self, line: &mut Vec<u8>, text: &str, forced: bool) {
        let CopyOptions { delimiter, quote, escape, null, .. } = &self.options;
        let special = |byte: u8| byte == *delimiter || byte == *quote || matches!(byte, b'\n' | b'\r');
        let only_dot = self.columns.len() == 1 && text == "\\.";
        if !(forced || only_dot || text == null || text.bytes().any(special)) {
            line.extend_from_slice(text.as_bytes());
            return;
        }
        line.push(*quote);
        for byte in text.bytes() {
            if byte == *quote || byte == *escape {
                line.push(*escape);
            }
            line.push(byte);
        }
        line.push(*quote);
    }
}
