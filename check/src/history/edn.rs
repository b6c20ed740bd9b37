//! EDN, Clojure's data notation, as far as histories need it: read into and written from JSON values.
//!
//! Keywords, symbols, strings and characters become strings; lists, vectors and sets become arrays; the
//! tag of a tagged element is dropped. Written the other way, every string becomes a keyword. Own code,
//! since the crates for it are deprecated or bring big numbers, dates and UUIDs along.
//! Format: <https://github.com/edn-format/edn>.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

use super::text::ParseError;

/// Nesting beyond this is refused, so that no text can exhaust the stack.
const MAX_DEPTH: usize = 64;

/// Writes a value; map keys and strings become keywords.
pub(super) fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("nil"),
        Value::String(text) => {
            out.push(':');
            out.push_str(text);
        }
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                out.push_str(if position == 0 { "" } else { " " });
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (position, (name, field)) in fields.iter().enumerate() {
                let _ = write!(out, "{}:{name} ", if position == 0 { "" } else { ", " });
                write(field, out);
            }
            out.push('}');
        }
        Value::Bool(_) | Value::Number(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

/// Reads every form of a text, each with its line.
pub(super) fn read(text: &str) -> Result<Vec<(usize, Value)>, ParseError> {
    let mut reader = Reader { rest: text, line: 1 };
    let mut forms = Vec::new();
    loop {
        reader.skip_blank();
        let line = reader.line;
        if reader.rest.is_empty() {
            return Ok(forms);
        }
        if let Some(form) = reader.form(0)? {
            forms.push((line, form));
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: impl Into<String>) -> ParseError {
        ParseError { line: self.line, what: what.into() }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.line += usize::from(next == '\n');
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn skip_blank(&mut self) {
        while let Some(next) = self.peek() {
            if next == ';' {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.bump();
                }
            } else if next.is_whitespace() || next == ',' {
                self.bump();
            } else {
                return;
            }
        }
    }

    /// One form, `None` for a discarded one.
    fn form(&mut self, depth: usize) -> Result<Option<Value>, ParseError> {
        if depth > MAX_DEPTH {
            return Err(self.wrong(format!("nested deeper than {MAX_DEPTH}")));
        }
        self.skip_blank();
        match self.peek() {
            None => Err(self.wrong("the text ends inside a form")),
            Some('{') => self.map(depth).map(Some),
            Some('[') => self.sequence(']', depth).map(Some),
            Some('(') => self.sequence(')', depth).map(Some),
            Some('"') => self.string().map(Some),
            Some('#') => self.dispatch(depth),
            Some('\\') => {
                self.bump();
                let first = self.bump().ok_or_else(|| self.wrong("a character is missing after \\"))?;
                Ok(Some(Value::String(format!("{first}{}", self.token()))))
            }
            Some(_) => self.atom().map(Some),
        }
    }

    fn dispatch(&mut self, depth: usize) -> Result<Option<Value>, ParseError> {
        self.bump();
        match self.peek() {
            Some('{') => self.sequence('}', depth).map(Some),
            Some('_') => {
                self.bump();
                self.form(depth + 1)?;
                Ok(None)
            }
            _ => {
                self.token();
                self.form(depth + 1)
            }
        }
    }

    fn items(&mut self, close: char, depth: usize) -> Result<Vec<Value>, ParseError> {
        self.bump();
        let mut items = Vec::new();
        loop {
            self.skip_blank();
            if self.peek() == Some(close) {
                self.bump();
                return Ok(items);
            }
            items.extend(self.form(depth + 1)?);
        }
    }

    fn sequence(&mut self, close: char, depth: usize) -> Result<Value, ParseError> {
        self.items(close, depth).map(Value::Array)
    }

    fn map(&mut self, depth: usize) -> Result<Value, ParseError> {
        let mut items = self.items('}', depth)?.into_iter();
        let mut fields = Map::new();
        while let Some(name) = items.next() {
            let field = items.next().ok_or_else(|| self.wrong("a map key has no value"))?;
            let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
            fields.insert(name, field);
        }
        Ok(Value::Object(fields))
    }

    fn string(&mut self) -> Result<Value, ParseError> {
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump().ok_or_else(|| self.wrong("a string has no end"))? {
                '"' => return Ok(Value::String(text)),
                '\\' => text.push(match self.bump() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(other) => other,
                    None => return Err(self.wrong("a string has no end")),
                }),
                other => text.push(other),
            }
        }
    }

    fn token(&mut self) -> &'a str {
        let ends = |c: char| c.is_whitespace() || ",;()[]{}\"".contains(c);
        let (token, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        token
    }

    fn atom(&mut self) -> Result<Value, ParseError> {
        let token = self.token();
        if token.is_empty() {
            return Err(self.wrong(format!("unexpected {:?}", self.peek())));
        }
        Ok(match token {
            "nil" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => number(token).unwrap_or_else(|| Value::String(token.strip_prefix(':').unwrap_or(token).to_owned())),
        })
    }
}

fn number(token: &str) -> Option<Value> {
    let digits = token.trim_end_matches(['N', 'M']);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c)) {
        return None;
    }
    let integer = digits.parse::<i64>().map(Number::from).or_else(|_| digits.parse::<u64>().map(Number::from));
    integer.ok().or_else(|| digits.parse().ok().and_then(Number::from_f64)).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn forms() {
        let text = "{:type :ok, :value [[:r 1 nil] [:append 2 -3]]} ; a comment\n\
                    #jepsen.history.Op{:f \"a\\\"b\" :n 18446744073709551615 :x 1.5M} #_ skipped #{1 2} (\\a true)";
        let forms: Vec<_> = read(text).unwrap().into_iter().map(|(_, form)| form).collect();
        assert_eq!(forms[0], json!({"type": "ok", "value": [["r", 1, null], ["append", 2, -3]]}));
        assert_eq!(forms[1], json!({"f": "a\"b", "n": u64::MAX, "x": 1.5}));
        assert_eq!(forms[2..], [json!([1, 2]), json!(["a", true])]);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let value = json!({"index": 1, "type": "ok", "value": [["r", 1, null], ["w", 2, [1, 2]]]});
        let mut text = String::new();
        write(&value, &mut text);
        assert_eq!(text, "{:index 1, :type :ok, :value [[:r 1 nil] [:w 2 [1 2]]]}");
        assert_eq!(read(&text).unwrap(), [(1, value)]);
    }

    #[test]
    fn bad_text_is_refused_with_its_line() {
        for text in ["{", "[1", "\n{:a}", "]", "\"x", "\\", "#", "#_", &"[".repeat(100_000)] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read("\n\n{:a}").unwrap_err().line, 3);
    }
}
