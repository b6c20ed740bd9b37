//! `jsonb`: JSON in its normal form, keys sorted and unique, numbers exact.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::sync::Arc;

use super::parse::{Kind, MAX_DEPTH, Node, parse, too_deep};
use crate::SqlResult;
use crate::value::{Numeric, Value};

/// A value of JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Numeric),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object: keys are unique, shorter ones first, then in the order of their bytes.
    Object(Vec<(String, Json)>),
}

/// The order of keys in an object.
pub(super) fn compare_keys(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

impl Json {
    /// Reads text of JSON.
    ///
    /// # Errors
    ///
    /// `22P02` for other text, `22003` for a number that cannot be stored.
    pub fn parse(text: &str) -> SqlResult<Self> {
        Self::from_node(parse(text)?)
    }

    fn from_node(node: Node<'_>) -> SqlResult<Self> {
        Ok(match node.kind {
            Kind::Null => Self::Null,
            Kind::Bool(value) => Self::Bool(value),
            Kind::Number => Self::Number(Numeric::parse(node.text)?),
            Kind::String(text) => Self::String(text),
            Kind::Array(elements) => Self::Array(elements.into_iter().map(Self::from_node).collect::<SqlResult<_>>()?),
            Kind::Object(members) => {
                let members = members.into_iter().map(|(key, node)| Ok((key, Self::from_node(node)?)));
                Self::object(members.collect::<SqlResult<_>>()?)
            }
        })
    }

    /// An object of members in any order; of members with one key, the last one stays.
    #[must_use]
    pub fn object(mut members: Vec<(String, Self)>) -> Self {
        members.reverse();
        members.sort_by(|(a, _), (b, _)| compare_keys(a, b));
        members.dedup_by(|(later, _), (kept, _)| later == kept);
        Self::Object(members)
    }

    /// The text of the normal form.
    #[must_use]
    pub fn print(&self) -> String {
        let mut out = String::new();
        self.print_into(&mut out);
        out
    }

    /// Itself, unless it has become so deep that it could not be read again.
    ///
    /// # Errors
    ///
    /// `54001`
    pub fn checked(self) -> SqlResult<Self> {
        if self.is_within(MAX_DEPTH) { Ok(self) } else { Err(too_deep()) }
    }

    fn is_within(&self, depth: usize) -> bool {
        match self {
            Self::Array(elements) => depth > 0 && elements.iter().all(|element| element.is_within(depth - 1)),
            Self::Object(members) => depth > 0 && members.iter().all(|(_, member)| member.is_within(depth - 1)),
            _ => true,
        }
    }

    /// The value of SQL.
    #[must_use]
    pub fn into_value(self) -> Value {
        Value::Jsonb(Arc::from(self.print()))
    }

    fn print_into(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(&number.print()),
            Self::String(text) => quote_into(text, out),
            Self::Array(elements) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    element.print_into(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    quote_into(key, out);
                    out.push_str(": ");
                    value.print_into(out);
                }
                out.push('}');
            }
        }
    }

    /// `jsonb_pretty`: every element and member on a line of its own.
    #[must_use]
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.pretty_into(&mut out, 0);
        out
    }

    fn pretty_into(&self, out: &mut String, depth: usize) {
        let (open, close) = match self {
            Self::Array(_) => ('[', ']'),
            Self::Object(_) => ('{', '}'),
            _ => return self.print_into(out),
        };
        let line = |out: &mut String, at: usize| {
            out.push_str(if at > 0 { ",\n" } else { "\n" });
            out.push_str(&"    ".repeat(depth + 1));
        };
        out.push(open);
        if let Self::Array(elements) = self {
            for (at, element) in elements.iter().enumerate() {
                line(out, at);
                element.pretty_into(out, depth + 1);
            }
        }
        if let Self::Object(members) = self {
            for (at, (key, value)) in members.iter().enumerate() {
                line(out, at);
                quote_into(key, out);
                out.push_str(": ");
                value.pretty_into(out, depth + 1);
            }
        }
        out.push('\n');
        out.push_str(&"    ".repeat(depth));
        out.push(close);
    }

    /// `jsonb_typeof`
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The order of `jsonb`: by kind, then by size, then member by member.
    ///
    /// As in PostgreSQL, an empty array that is not inside of another value is before everything that is no object.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        let is_scalar = |json: &Self| !matches!(json, Self::Array(_) | Self::Object(_));
        match (self, other) {
            (Self::Array(elements), other) if elements.is_empty() && is_scalar(other) => Ordering::Less,
            (own, Self::Array(elements)) if elements.is_empty() && is_scalar(own) => Ordering::Greater,
            _ => self.compare_inside(other),
        }
    }

    fn compare_inside(&self, other: &Self) -> Ordering {
        let rank = |json: &Self| match json {
            Self::Null => 0,
            Self::String(_) => 1,
            Self::Number(_) => 2,
            Self::Bool(_) => 3,
            Self::Array(_) => 4,
            Self::Object(_) => 5,
        };
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.compare(b),
            (Self::String(a), Self::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Array(a), Self::Array(b)) => {
                let elements = || a.iter().zip(b).map(|(a, b)| a.compare_inside(b)).find(|order| order.is_ne());
                a.len().cmp(&b.len()).then_with(|| elements().unwrap_or(Ordering::Equal))
            }
            (Self::Object(a), Self::Object(b)) => {
                let members = a.iter().zip(b).map(|((a_key, a), (b_key, b))| {
                    a_key.as_bytes().cmp(b_key.as_bytes()).then_with(|| a.compare_inside(b))
                });
                let mut unequal = members.filter(|order| order.is_ne());
                a.len().cmp(&b.len()).then_with(|| unequal.next().unwrap_or(Ordering::Equal))
            }
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

/// Appends a string of JSON.
pub(super) fn quote_into(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
