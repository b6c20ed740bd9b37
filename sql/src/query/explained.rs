//! What `EXPLAIN` says, in the formats that it knows.
//!
//! As text each part of a plan is a line. In the others a part has PostgreSQL's names where they mean the same (`Node Type`,
//! `Plan Rows`, `Actual Rows`, `Plans`), so that programs that look for these find them.

use std::fmt::Write;

use annulus_relation::value::KnownTypes;
use annulus_relation::value::json::quote;
use annulus_relation::{Row, SqlType, Value};

use crate::parse::ExplainFormat;
use crate::system::with_names;

impl ExplainFormat {
    /// The type of the only column.
    #[must_use]
    pub const fn column_type(self) -> SqlType {
        match self {
            Self::Json => SqlType::Json,
            Self::Text | Self::Yaml | Self::Xml => SqlType::Text,
        }
    }
}

/// A number that is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Count(u64),
    /// Milliseconds.
    Millis(f64),
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Millis(millis) => write!(f, "{millis:.3}"),
        }
    }
}

/// A part of a plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    /// What it does, in a word.
    pub kind: String,
    /// The same with its details.
    pub line: String,
    /// What text says behind that.
    pub note: String,
    /// What documents say instead of the note.
    pub facts: Vec<(String, Number)>,
    pub parts: Vec<Part>,
}

/// A plan, and what is to be said about all of it.
#[derive(Clone, Debug)]
pub(crate) struct Explained {
    pub plan: Part,
    /// By name, and how text calls its unit.
    pub facts: Vec<(&'static str, Number, &'static str)>,
}

/// A document's content.
enum Item {
    Text(String),
    Number(Number),
    List(&'static str, Vec<Item>),
    Group(Vec<(String, Item)>),
}

impl Part {
    fn named(&self, types: &KnownTypes) -> Self {
        let parts = self.parts.iter().map(|part| part.named(types)).collect();
        Self { line: with_names(&self.line, types), parts, ..self.clone() }
    }

    fn lines(&self, depth: usize, lines: &mut Vec<String>) {
        let arrow = if depth == 0 { String::new() } else { format!("{}->  ", " ".repeat(depth * 6 - 4)) };
        lines.extend(format!("{arrow}{}{}", self.line, self.note).lines().map(str::to_owned));
        self.parts.iter().for_each(|part| part.lines(depth + 1, lines));
    }

    fn item(&self) -> Item {
        let texts = [("Node Type", &self.kind), ("Description", &self.line)];
        let texts = texts.map(|(name, text)| (name.to_owned(), Item::Text(text.clone())));
        let facts = self.facts.iter().map(|(name, number)| (name.clone(), Item::Number(*number)));
        let mut members: Vec<(String, Item)> = texts.into_iter().chain(facts).collect();
        if !self.parts.is_empty() {
            let parts = self.parts.iter().map(Self::item).collect();
            members.push(("Plans".to_owned(), Item::List("Plan", parts)));
        }
        Item::Group(members)
    }
}

impl Explained {
    /// The rows that say it, with the names of types that expressions have by their numbers.
    pub fn rows(&self, format: ExplainFormat, types: &KnownTypes) -> Vec<Row> {
        let named = Self { plan: self.plan.named(types), facts: self.facts.clone() };
        named.as_rows(format)
    }

    fn as_rows(&self, format: ExplainFormat) -> Vec<Row> {
        let mut document = String::new();
        match format {
            ExplainFormat::Text => return self.lines().into_iter().map(|line| vec![Value::text(line)]).collect(),
            ExplainFormat::Json => {
                json(&Item::List("Query", vec![self.item()]), 0, &mut document);
                return vec![vec![Value::Json(document.into())]];
            }
            ExplainFormat::Yaml => yaml(&Item::List("Query", vec![self.item()]), 0, &mut document),
            ExplainFormat::Xml => {
                document.push_str("<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n");
                xml("Query", &self.item(), 1, &mut document);
                document.push_str("</explain>");
            }
        }
        vec![vec![Value::text(document)]]
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.plan.lines(0, &mut lines);
        lines.extend(self.facts.iter().map(|(name, number, unit)| format!("{name}: {number}{unit}")));
        lines
    }

    fn item(&self) -> Item {
        let facts = self.facts.iter().map(|(name, number, _)| ((*name).to_owned(), Item::Number(*number)));
        Item::Group(std::iter::once(("Plan".to_owned(), self.plan.item())).chain(facts).collect())
    }
}

fn indent(depth: usize, out: &mut String) {
    (0..depth).for_each(|_| out.push_str("  "));
}

fn json(item: &Item, depth: usize, out: &mut String) {
    match item {
        Item::Text(text) => out.push_str(&quote(text)),
        Item::Number(number) => _ = write!(out, "{number}"),
        Item::List(_, items) => {
            let members = items.iter().map(|item| (String::new(), item));
            json_members(['[', ']'], members, depth, out);
        }
        Item::Group(members) => {
            let members = members.iter().map(|(name, item)| (format!("{}: ", quote(name)), item));
            json_members(['{', '}'], members, depth, out);
        }
    }
}

fn json_members<'a>(
    [open, close]: [char; 2],
    members: impl Iterator<Item = (String, &'a Item)>,
    depth: usize,
    out: &mut String,
) {
    out.push(open);
    for (place, (name, member)) in members.enumerate() {
        out.push_str(if place == 0 { "\n" } else { ",\n" });
        indent(depth + 1, out);
        out.push_str(&name);
        json(member, depth + 1, out);
    }
    out.push('\n');
    indent(depth, out);
    out.push(close);
}

fn yaml(item: &Item, depth: usize, out: &mut String) {
    match item {
        Item::Text(text) => out.push_str(&quote(text)),
        Item::Number(number) => _ = write!(out, "{number}"),
        Item::List(_, items) => {
            for (place, item) in items.iter().enumerate() {
                if place > 0 || depth > 0 {
                    out.push('\n');
                    indent(depth, out);
                }
                out.push_str("- ");
                yaml(item, depth + 1, out);
            }
        }
        Item::Group(members) => {
            for (place, (name, member)) in members.iter().enumerate() {
                if place > 0 {
                    out.push('\n');
                    indent(depth, out);
                }
                _ = write!(out, "{name}: ");
                if let Item::Group(_) = member {
                    out.push('\n');
                    indent(depth + 1, out);
                }
                yaml(member, depth + 1, out);
            }
        }
    }
}

fn xml(name: &str, item: &Item, depth: usize, out: &mut String) {
    let tag = name.replace(' ', "-");
    indent(depth, out);
    _ = write!(out, "<{tag}>");
    match item {
        Item::Text(text) => {
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            out.push_str(&text);
        }
        Item::Number(number) => _ = write!(out, "{number}"),
        Item::List(each, items) => {
            out.push('\n');
            items.iter().for_each(|item| xml(each, item, depth + 1, out));
            indent(depth, out);
        }
        Item::Group(members) => {
            out.push('\n');
            members.iter().for_each(|(name, item)| xml(name, item, depth + 1, out));
            indent(depth, out);
        }
    }
    _ = writeln!(out, "</{tag}>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(format: ExplainFormat) -> String {
        let leaf = Part { kind: "Scan".to_owned(), line: "Scan: a<b & \"c\"".to_owned(), ..Part::default() };
        let facts = vec![("Plan Rows".to_owned(), Number::Count(7))];
        let parts = vec![leaf.clone(), leaf];
        let plan =
            Part { kind: "Join".to_owned(), line: "Join".to_owned(), note: "  (rows=7)".to_owned(), facts, parts };
        let facts = vec![("Planning Time", Number::Millis(1.5), " ms")];
        let rows = Explained { plan, facts }.rows(format, &KnownTypes::default());
        let text = rows.into_iter().flatten().map(|value| match value {
            Value::Text(text) => text.to_string(),
            Value::Json(text) => text.to_string(),
            other => panic!("{other:?}"),
        });
        text.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn text_is_a_line_for_each_part() {
        let scan = "  ->  Scan: a<b & \"c\"";
        assert_eq!(document(ExplainFormat::Text), format!("Join  (rows=7)\n{scan}\n{scan}\nPlanning Time: 1.500 ms"));
    }

    #[test]
    fn documents_are_laid_out_as_postgresqls() {
        let json = document(ExplainFormat::Json);
        assert!(annulus_relation::value::json::validate(&json).is_ok(), "{json}");
        let begins = "[\n  {\n    \"Plan\": {\n      \"Node Type\": \"Join\",\n      \"Description\": \"Join\",\n      \"Plan Rows\": 7,\n      \"Plans\": [\n        {\n";
        assert!(json.starts_with(begins), "{json}");
        assert!(json.ends_with("      ]\n    },\n    \"Planning Time\": 1.500\n  }\n]"), "{json}");
        let leaf = |indent: &str| format!("Node Type: \"Scan\"\n{indent}Description: \"Scan: a<b & \\\"c\\\"\"");
        let yaml = format!(
            "- Plan: \n    Node Type: \"Join\"\n    Description: \"Join\"\n    Plan Rows: 7\n    Plans: \n      - {0}\n      - {0}\n  Planning Time: 1.500",
            leaf("        ")
        );
        assert_eq!(document(ExplainFormat::Yaml), yaml);
        let xml = document(ExplainFormat::Xml);
        let begins = "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query>\n    <Plan>\n      <Node-Type>Join</Node-Type>\n";
        assert!(xml.starts_with(begins), "{xml}");
        assert!(xml.contains("<Description>Scan: a&lt;b &amp; \"c\"</Description>"), "{xml}");
        assert!(xml.ends_with("    <Planning-Time>1.500</Planning-Time>\n  </Query>\n</explain>"), "{xml}");
    }
}
