//! Paths as text, in PostgreSQL's canonical form.

use std::fmt::Write as _;

use super::super::tree::quote_into;
use super::{Expr, Head, JsonPath, Operator, RegexFlags, Step, Subscript};

impl JsonPath {
    /// The path's canonical text.
    #[must_use]
    pub fn print(&self) -> String {
        let mut out = String::new();
        if !self.lax {
            out.push_str("strict ");
        }
        expression(&mut out, &self.expr, true);
        out
    }
}

/// How strongly what is at an expression's beginning binds.
const fn priority(head: &Head) -> u8 {
    match head {
        Head::Binary(operator, ..) => match operator {
            Operator::Or => 0,
            Operator::And => 1,
            Operator::Equal
            | Operator::NotEqual
            | Operator::Less
            | Operator::Greater
            | Operator::LessOrEqual
            | Operator::GreaterOrEqual
            | Operator::StartsWith => 2,
            Operator::Add | Operator::Sub => 3,
            Operator::Mul | Operator::Div | Operator::Mod => 4,
        },
        Head::Sign { .. } => 5,
        _ => 6,
    }
}

/// Prints an expression; `brackets`: in parentheses, if it is one that has operators.
fn expression(out: &mut String, expr: &Expr, brackets: bool) {
    let (open, close) = if brackets { ("(", ")") } else { ("", "") };
    let operand = |out: &mut String, operand: &Expr| {
        expression(out, operand, priority(&operand.head) <= priority(&expr.head));
    };
    match &expr.head {
        Head::Root => out.push('$'),
        Head::Current => out.push('@'),
        Head::Last => out.push_str("last"),
        Head::Null => out.push_str("null"),
        Head::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Head::Number(number) if expr.steps.is_empty() => out.push_str(&number.print()),
        Head::Number(number) => {
            let _ = write!(out, "({})", number.print());
        }
        Head::String(text) => quote_into(text, out),
        Head::Variable(name) => {
            out.push('$');
            quote_into(name, out);
        }
        Head::Binary(operator, left, right) => {
            out.push_str(open);
            operand(out, left);
            let _ = write!(out, " {} ", operator.name());
            operand(out, right);
            out.push_str(close);
        }
        Head::Sign { minus, of } => {
            out.push_str(open);
            out.push(if *minus { '-' } else { '+' });
            operand(out, of);
            out.push_str(close);
        }
        Head::LikeRegex { of, pattern, flags } => {
            out.push_str(open);
            operand(out, of);
            out.push_str(" like_regex ");
            quote_into(pattern, out);
            out.push_str(&flags_text(*flags));
            out.push_str(close);
        }
        Head::Not(of) => wrapped(out, "!(", of, ")"),
        Head::IsUnknown(of) => wrapped(out, "(", of, ") is unknown"),
        Head::Exists(of) => wrapped(out, "exists (", of, ")"),
    }
    expr.steps.iter().for_each(|each| step(out, each));
}

fn wrapped(out: &mut String, open: &str, expr: &Expr, close: &str) {
    out.push_str(open);
    expression(out, expr, false);
    out.push_str(close);
}

fn flags_text(flags: RegexFlags) -> String {
    let all = [
        (flags.ignore_case, 'i'),
        (flags.dot_all, 's'),
        (flags.lines, 'm'),
        (flags.expanded, 'x'),
        (flags.literal, 'q'),
    ];
    let letters: String = all.iter().filter(|(set, _)| *set).map(|(_, letter)| *letter).collect();
    if letters.is_empty() { letters } else { format!(" flag \"{letters}\"") }
}

fn step(out: &mut String, step: &Step) {
    match step {
        Step::Key(key) => {
            out.push('.');
            quote_into(key, out);
        }
        Step::AnyKey => out.push_str(".*"),
        Step::AnyElement => out.push_str("[*]"),
        Step::Elements(all) => {
            out.push('[');
            for (at, Subscript { from, to }) in all.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                expression(out, from, false);
                if let Some(to) = to {
                    out.push_str(" to ");
                    expression(out, to, false);
                }
            }
            out.push(']');
        }
        Step::Levels(first, last) => levels(out, *first, *last),
        Step::Filter(condition) => wrapped(out, "?(", condition, ")"),
        Step::Method(method) => {
            let _ = write!(out, ".{}()", method.name());
        }
        Step::Datetime(template) => {
            out.push_str(".datetime(");
            template.iter().for_each(|template| quote_into(template, out));
            out.push(')');
        }
    }
}

fn levels(out: &mut String, first: Option<u32>, last: Option<u32>) {
    let name = |level: Option<u32>| level.map_or_else(|| "last".to_owned(), |level| level.to_string());
    out.push_str(".**");
    match (first, last) {
        (Some(0), None) => {}
        (first, last) if first == last => {
            let _ = write!(out, "{{{}}}", name(first));
        }
        (first, last) => {
            let _ = write!(out, "{{{} to {}}}", name(first), name(last));
        }
    }
}
