//! `jsonpath`: paths into JSON, read and printed as PostgreSQL does. What they lead to is found where regular expressions
//! and templates of dates are known.
//!
//! Promises and invariants:
//! - Syntax errors are PostgreSQL's.
//! - Nesting is bounded ([`MAX_NESTING`]), so no text exhausts the stack. The steps behind a head are a list.
//! - `@` stands only in filters, and `last` only in subscripts.
//!
//! Source: PostgreSQL 15, `jsonpath_gram.y`, `jsonpath_scan.l` and `jsonpath.c`.

mod lex;
mod parse;
mod print;
#[cfg(test)]
mod tests;

use crate::value::Numeric;

pub use parse::MAX_NESTING;

/// A path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    /// Whether it adapts to what it finds, rather than `strict`.
    pub lax: bool,
    /// What it leads to.
    pub expr: Expr,
}

/// An expression: where it begins, and the steps from there.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Where it begins.
    pub head: Head,
    /// What follows.
    pub steps: Vec<Step>,
}

/// Where an expression begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// `$`
    Root,
    /// `@`
    Current,
    /// `last`
    Last,
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Numeric),
    /// A string.
    String(String),
    /// `$name`
    Variable(String),
    /// Two operands and what is between them.
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// `-`, or `+`
    Sign {
        /// `-`
        minus: bool,
        /// Of what.
        of: Box<Expr>,
    },
    /// `!`
    Not(Box<Expr>),
    /// `is unknown`
    IsUnknown(Box<Expr>),
    /// `exists`
    Exists(Box<Expr>),
    /// `like_regex`
    LikeRegex {
        /// What is compared.
        of: Box<Expr>,
        /// The pattern.
        pattern: String,
        /// How it is read.
        flags: RegexFlags,
    },
}

/// `flag` of `like_regex`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegexFlags {
    /// `i`: without regard to case.
    pub ignore_case: bool,
    /// `s`: `.` matches a newline.
    pub dot_all: bool,
    /// `m`: `^` and `$` match at lines.
    pub lines: bool,
    /// `x`, which is taken only with `q`, and then means nothing.
    pub expanded: bool,
    /// `q`: the pattern is a plain string.
    pub literal: bool,
}

/// What stands between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `<=`
    LessOrEqual,
    /// `>=`
    GreaterOrEqual,
    /// `starts with`
    StartsWith,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
}

/// A step from what was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `.key`
    Key(String),
    /// `.*`
    AnyKey,
    /// `[*]`
    AnyElement,
    /// `[1, 3 to last]`
    Elements(Vec<Subscript>),
    /// `.**`: everything on levels from the first to the last; `None` is the last that there is.
    Levels(Option<u32>, Option<u32>),
    /// `? (condition)`
    Filter(Box<Expr>),
    /// `.name()`
    Method(Method),
    /// `.datetime()`, perhaps by a template.
    Datetime(Option<String>),
}

/// A subscript, or a range of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscript {
    /// The first.
    pub from: Expr,
    /// The last, of a range.
    pub to: Option<Expr>,
}

/// A method without arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The kind of the item.
    Type,
    /// How many elements there are.
    Size,
    /// The number without its sign.
    Abs,
    /// The integer below.
    Floor,
    /// The integer above.
    Ceiling,
    /// The number as `double precision` has it.
    Double,
    /// The members of an object as objects.
    KeyValue,
}

impl Operator {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::Greater => ">",
            Self::LessOrEqual => "<=",
            Self::GreaterOrEqual => ">=",
            Self::StartsWith => "starts with",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
        }
    }
}

impl Method {
    /// All of them.
    const ALL: [Self; 7] =
        [Self::Type, Self::Size, Self::Abs, Self::Floor, Self::Ceiling, Self::Double, Self::KeyValue];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Size => "size",
            Self::Abs => "abs",
            Self::Floor => "floor",
            Self::Ceiling => "ceiling",
            Self::Double => "double",
            Self::KeyValue => "keyvalue",
        }
    }
}
