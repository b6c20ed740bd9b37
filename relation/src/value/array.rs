//! Text of one-dimensional arrays: `{1,NULL,"a b"}`.

use super::number::is_space;
use super::{Env, SqlType, Value, parse, print};
use crate::{SqlError, SqlResult, error::SqlState};

fn malformed(text: &str, detail: &str) -> SqlError {
    let message = format!("malformed array literal: \"{text}\"");
    let error = SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message);
    if detail.is_empty() { error } else { error.detail(detail) }
}

/// An array from text.
///
/// # Errors
///
/// `22P02` for text that is no array, `0A000` for an array that is not one-dimensional or does not begin at 1, and the
/// errors of its elements.
pub fn parse_array(text: &str, element: &SqlType, env: &Env) -> SqlResult<Vec<Value>> {
    let mut items = Vec::new();
    for item in split(text)? {
        items.push(match item {
            Item::Null => Value::Null,
            Item::Text(item) => parse(&item, element, env)?,
        });
    }
    Ok(items)
}

enum Item {
    Null,
    Text(String),
}

fn split(text: &str) -> SqlResult<Vec<Item>> {
    let mut rest = text.trim_matches(is_space);
    if rest.starts_with('[') {
        rest = behind_bounds(text, rest)?;
    }
    let Some(inside) = rest.strip_prefix('{') else {
        return Err(malformed(text, "Array value must start with \"{\" or dimension information."));
    };
    let mut scanner = Scanner { text, rest: inside, items: Vec::new() };
    scanner.items()?;
    if scanner.rest.is_empty() { Ok(scanner.items) } else { Err(malformed(text, "Junk after closing right brace.")) }
}

/// What follows `[1:n]=`, which says nothing new about an array that begins at 1.
fn behind_bounds<'a>(text: &str, rest: &'a str) -> SqlResult<&'a str> {
    let bounds = rest[1..].split_once(']').ok_or_else(|| malformed(text, "Missing \"]\" after array dimensions."))?;
    let (bounds, after) = bounds;
    if !matches!(bounds.split_once(':'), Some(("1", _)) | None) || after.trim_start().starts_with('[') {
        return Err(SqlError::unsupported("an array that is not one-dimensional or does not begin at 1"));
    }
    let after = after.trim_start_matches(is_space).strip_prefix('=');
    let after = after.ok_or_else(|| malformed(text, "Missing \"=\" after array dimensions."))?;
    Ok(after.trim_start_matches(is_space))
}

struct Scanner<'a> {
    text: &'a str,
    rest: &'a str,
    items: Vec<Item>,
}

impl Scanner<'_> {
    fn next(&mut self) -> SqlResult<char> {
        let mut chars = self.rest.chars();
        let c = chars.next().ok_or_else(|| malformed(self.text, "Unexpected end of input."))?;
        self.rest = chars.as_str();
        Ok(c)
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    fn items(&mut self) -> SqlResult<()> {
        self.skip_space();
        if let Some(rest) = self.rest.strip_prefix('}') {
            self.rest = rest;
            return Ok(());
        }
        loop {
            self.item()?;
            match self.next()? {
                ',' => {}
                _ => return Ok(()),
            }
        }
    }

    /// One element; the delimiter behind it stays.
    fn item(&mut self) -> SqlResult<()> {
        self.skip_space();
        let mut item = String::new();
        // How much of the element stays when spaces at its end are dropped.
        let mut kept = 0;
        let (mut quoted, mut escaped, mut began) = (false, false, false);
        while !self.rest.starts_with([',', '}']) {
            match self.next()? {
                '"' if began => return Err(malformed(self.text, "Unexpected array element.")),
                '"' => {
                    (quoted, began) = (true, true);
                    self.quoted(&mut item)?;
                    kept = item.len();
                }
                '{' if began => return Err(malformed(self.text, "Unexpected \"{\" character.")),
                '{' => return Err(SqlError::unsupported("an array of more than one dimension")),
                c if is_space(c) => {
                    if !quoted {
                        item.push(c);
                    }
                }
                '\\' if quoted => return Err(malformed(self.text, "Unexpected \"\\\" character.")),
                _ if quoted => return Err(malformed(self.text, "Unexpected array element.")),
                c => {
                    escaped |= c == '\\';
                    item.push(if c == '\\' { self.next()? } else { c });
                    (began, kept) = (true, item.len());
                }
            }
        }
        item.truncate(kept);
        if !began {
            let found = if self.rest.starts_with(',') { ',' } else { '}' };
            return Err(malformed(self.text, &format!("Unexpected \"{found}\" character.")));
        }
        let is_null = !quoted && !escaped && item.eq_ignore_ascii_case("null");
        self.items.push(if is_null { Item::Null } else { Item::Text(item) });
        Ok(())
    }

    fn quoted(&mut self, item: &mut String) -> SqlResult<()> {
        loop {
            match self.next()? {
                '"' => return Ok(()),
                '\\' => item.push(self.next()?),
                c => item.push(c),
            }
        }
    }
}

/// A vector of the system catalog's from text: its elements between spaces.
///
/// # Errors
///
/// Those of its elements.
pub fn parse_vector(text: &str, element: &SqlType, env: &Env) -> SqlResult<Vec<Value>> {
    text.split_whitespace().map(|item| parse(item, element, env)).collect()
}

/// The text of a vector.
#[must_use]
pub fn print_vector(values: &[Value], env: &Env) -> String {
    values.iter().map(|value| print(value, &SqlType::Oid, env)).collect::<Vec<_>>().join(" ")
}

/// The text of an array.
#[must_use]
pub fn print_array(values: &[Value], element: &SqlType, env: &Env) -> String {
    let items: Vec<String> = values
        .iter()
        .map(|value| if value.is_null() { "NULL".to_owned() } else { quoted(&print(value, element, env)) })
        .collect();
    format!("{{{}}}", items.join(","))
}

/// An element's text, in quotes where it would be read otherwise.
fn quoted(text: &str) -> String {
    let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || is_space(c);
    if !text.is_empty() && !text.contains(special) && !text.eq_ignore_ascii_case("null") {
        return text.to_owned();
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}
