//! Paths from text.
//!
//! Where the grammar tells expressions from predicates, both are read alike here, and what is not what it must be is an
//! error at the token behind it, as the grammar has it.

use super::lex::{Kind, Token, error_near, tokens};
use super::{Expr, Head, JsonPath, Method, Operator, RegexFlags, Step, Subscript};
use crate::value::{Numeric, SqlType, parse};
use crate::{SqlError, SqlResult, error::SqlState};

/// The deepest nesting of a path.
pub const MAX_NESTING: usize = 100;

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    ///
    /// `42601` for other text, `22P02` if there is none, `54001` if it is nested deeper than [`MAX_NESTING`].
    pub fn parse(text: &str) -> SqlResult<Self> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0, nesting: 0 };
        if *parser.kind() == Kind::End {
            let message = format!("invalid input syntax for type jsonpath: \"{text}\"");
            return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message));
        }
        let lax = !parser.take_word("strict");
        if lax {
            parser.take_word("lax");
        }
        let expr = parser.any()?.expr;
        if *parser.kind() != Kind::End {
            return Err(parser.error());
        }
        check_places(&expr, false, false)?;
        Ok(Self { lax, expr })
    }
}

/// An expression, and whether it is a predicate.
struct Parsed {
    expr: Expr,
    is_predicate: bool,
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    nesting: usize,
}

fn plain(head: Head) -> Expr {
    Expr { head, steps: Vec::new() }
}

const fn value(expr: Expr) -> Parsed {
    Parsed { expr, is_predicate: false }
}

fn predicate(head: Head) -> Parsed {
    Parsed { expr: plain(head), is_predicate: true }
}

fn binary(operator: Operator, left: Expr, right: Expr) -> Head {
    Head::Binary(operator, Box::new(left), Box::new(right))
}

impl Parser<'_> {
    fn kind(&self) -> &Kind {
        self.tokens.get(self.at).map_or(&Kind::End, |token| &token.kind)
    }

    fn error(&self) -> SqlError {
        error_near("syntax error", self.tokens.get(self.at).map_or("", |token| &token.near))
    }

    const fn advance(&mut self) {
        self.at += 1;
    }

    /// Whether the keyword is here. Of some, only small letters count.
    fn is_word(&self, keyword: &str) -> bool {
        match self.kind() {
            Kind::Word(word) if matches!(keyword, "null" | "true" | "false") => word == keyword,
            Kind::Word(word) => word.eq_ignore_ascii_case(keyword),
            _ => false,
        }
    }

    fn take_word(&mut self, keyword: &str) -> bool {
        let found = self.is_word(keyword);
        self.at += usize::from(found);
        found
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.kind(), Kind::Symbol(known) if *known == symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> SqlResult<()> {
        if self.take(symbol) { Ok(()) } else { Err(self.error()) }
    }

    fn expect_word(&mut self, keyword: &str) -> SqlResult<()> {
        if self.take_word(keyword) { Ok(()) } else { Err(self.error()) }
    }

    fn string(&mut self) -> SqlResult<String> {
        match self.kind() {
            Kind::String(text) => {
                let text = text.clone();
                self.advance();
                Ok(text)
            }
            _ => Err(self.error()),
        }
    }

    /// One level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> SqlResult<T>) -> SqlResult<T> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            let error = SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
            return Err(error.hint(format!("A jsonpath may be nested {MAX_NESTING} levels deep.")));
        }
        let read = read(self);
        self.nesting -= 1;
        read
    }

    fn expression(&mut self) -> SqlResult<Expr> {
        let parsed = self.sum()?;
        if parsed.is_predicate { Err(self.error()) } else { Ok(parsed.expr) }
    }

    fn condition(&mut self) -> SqlResult<Expr> {
        let parsed = self.any()?;
        if parsed.is_predicate { Ok(parsed.expr) } else { Err(self.error()) }
    }

    /// `expr_or_predicate`
    fn any(&mut self) -> SqlResult<Parsed> {
        self.nested(|parser| {
            parser.chain(true, &[(Operator::Or, "||")], |parser| {
                parser.chain(true, &[(Operator::And, "&&")], Self::comparison)
            })
        })
    }

    /// Predicates, or expressions, joined by operators.
    fn chain(
        &mut self,
        predicates: bool,
        operators: &[(Operator, &str)],
        operand: impl Fn(&mut Self) -> SqlResult<Parsed>,
    ) -> SqlResult<Parsed> {
        let mut left = operand(self)?;
        while let Some((operator, symbol)) =
            operators.iter().find(|(_, symbol)| matches!(self.kind(), Kind::Symbol(known) if known == symbol))
        {
            if left.is_predicate != predicates {
                return Err(self.error());
            }
            self.expect(symbol)?;
            let right = operand(self)?;
            if right.is_predicate != predicates {
                return Err(self.error());
            }
            left = Parsed { expr: plain(binary(*operator, left.expr, right.expr)), is_predicate: predicates };
        }
        Ok(left)
    }

    fn comparison(&mut self) -> SqlResult<Parsed> {
        let left = self.sum()?;
        if left.is_predicate {
            return Ok(left);
        }
        let operator = match self.kind() {
            Kind::Symbol("==") => Operator::Equal,
            Kind::Symbol("!=" | "<>") => Operator::NotEqual,
            Kind::Symbol("<") => Operator::Less,
            Kind::Symbol(">") => Operator::Greater,
            Kind::Symbol("<=") => Operator::LessOrEqual,
            Kind::Symbol(">=") => Operator::GreaterOrEqual,
            _ if self.is_word("starts") => return self.starts_with(left.expr),
            _ if self.is_word("like_regex") => return self.like_regex(left.expr),
            _ => return Ok(left),
        };
        self.advance();
        let right = self.expression()?;
        Ok(predicate(binary(operator, left.expr, right)))
    }

    fn starts_with(&mut self, of: Expr) -> SqlResult<Parsed> {
        self.expect_word("starts")?;
        self.expect_word("with")?;
        let initial = match self.kind() {
            Kind::String(text) => Head::String(text.clone()),
            Kind::Variable(name) => Head::Variable(name.clone()),
            _ => return Err(self.error()),
        };
        self.advance();
        Ok(predicate(binary(Operator::StartsWith, of, plain(initial))))
    }

    fn like_regex(&mut self, of: Expr) -> SqlResult<Parsed> {
        self.expect_word("like_regex")?;
        let pattern = self.string()?;
        let flags = if self.take_word("flag") { regex_flags(&self.string()?)? } else { RegexFlags::default() };
        Ok(predicate(Head::LikeRegex { of: Box::new(of), pattern, flags }))
    }

    fn sum(&mut self) -> SqlResult<Parsed> {
        self.chain(false, &[(Operator::Add, "+"), (Operator::Sub, "-")], |parser| {
            parser.chain(false, &[(Operator::Mul, "*"), (Operator::Div, "/"), (Operator::Mod, "%")], Self::signed)
        })
    }

    fn signed(&mut self) -> SqlResult<Parsed> {
        let minus = if self.take("-") {
            true
        } else if self.take("+") {
            false
        } else {
            return self.path();
        };
        let of = self.nested(Self::signed)?;
        if of.is_predicate {
            return Err(self.error());
        }
        Ok(value(match of.expr {
            Expr { head: Head::Number(number), steps } if steps.is_empty() => {
                plain(Head::Number(if minus { number.neg() } else { number }))
            }
            of => plain(Head::Sign { minus, of: Box::new(of) }),
        }))
    }

    /// What an expression begins with, and its steps.
    fn path(&mut self) -> SqlResult<Parsed> {
        let mut begun = self.beginning()?;
        if begun.is_predicate && !self.at_step() {
            return Ok(begun);
        }
        while self.at_step() {
            let step = self.step()?;
            begun.expr.steps.push(step);
        }
        Ok(value(begun.expr))
    }

    fn beginning(&mut self) -> SqlResult<Parsed> {
        let head = match self.kind() {
            Kind::Symbol("(") => return self.parentheses(),
            Kind::Symbol("!") => {
                self.advance();
                return Ok(predicate(Head::Not(Box::new(self.delimited()?))));
            }
            Kind::Symbol("$") => Head::Root,
            Kind::Symbol("@") => Head::Current,
            Kind::String(text) => Head::String(text.clone()),
            Kind::Variable(name) => Head::Variable(name.clone()),
            Kind::Integer(text) | Kind::Number(text) => Head::Number(Numeric::parse(text)?),
            Kind::Word(_) if self.is_word("exists") => return Ok(predicate(self.exists()?)),
            Kind::Word(_) if self.is_word("null") => Head::Null,
            Kind::Word(_) if self.is_word("true") => Head::Bool(true),
            Kind::Word(_) if self.is_word("false") => Head::Bool(false),
            Kind::Word(_) if self.is_word("last") => Head::Last,
            _ => return Err(self.error()),
        };
        self.advance();
        Ok(value(plain(head)))
    }

    fn parentheses(&mut self) -> SqlResult<Parsed> {
        self.expect("(")?;
        let inner = self.any()?;
        self.expect(")")?;
        if inner.is_predicate && self.take_word("is") {
            self.expect_word("unknown")?;
            return Ok(predicate(Head::IsUnknown(Box::new(inner.expr))));
        }
        Ok(inner)
    }

    fn exists(&mut self) -> SqlResult<Head> {
        self.expect_word("exists")?;
        self.expect("(")?;
        let of = self.nested(Self::expression)?;
        self.expect(")")?;
        Ok(Head::Exists(Box::new(of)))
    }

    /// `(predicate)`, or `exists (expression)`: what `!` takes.
    fn delimited(&mut self) -> SqlResult<Expr> {
        if self.is_word("exists") {
            return self.exists().map(plain);
        }
        self.in_parentheses()
    }

    /// `(predicate)`
    fn in_parentheses(&mut self) -> SqlResult<Expr> {
        self.expect("(")?;
        let condition = self.condition()?;
        self.expect(")")?;
        Ok(condition)
    }

    fn at_step(&self) -> bool {
        matches!(self.kind(), Kind::Symbol("." | "[" | "?"))
    }

    fn step(&mut self) -> SqlResult<Step> {
        if self.take("?") {
            return self.in_parentheses().map(|condition| Step::Filter(Box::new(condition)));
        }
        if self.take("[") {
            return self.elements();
        }
        self.expect(".")?;
        if self.take("*") {
            return Ok(Step::AnyKey);
        }
        if self.take("**") {
            return self.levels();
        }
        let (name, is_word) = match self.kind() {
            Kind::Word(name) => (name.clone(), true),
            Kind::String(name) => (name.clone(), false),
            _ => return Err(self.error()),
        };
        self.advance();
        match is_word && matches!(self.kind(), Kind::Symbol("(")) {
            true => self.method(&name),
            false => Ok(Step::Key(name)),
        }
    }

    fn method(&mut self, name: &str) -> SqlResult<Step> {
        let method = Method::ALL.into_iter().find(|method| name.eq_ignore_ascii_case(method.name()));
        let is_datetime = name.eq_ignore_ascii_case("datetime");
        if method.is_none() && !is_datetime {
            return Err(self.error());
        }
        self.expect("(")?;
        let template = match self.kind() {
            Kind::String(_) if is_datetime => Some(self.string()?),
            _ => None,
        };
        self.expect(")")?;
        Ok(method.map_or(Step::Datetime(template), Step::Method))
    }

    fn elements(&mut self) -> SqlResult<Step> {
        if self.take("*") {
            self.expect("]")?;
            return Ok(Step::AnyElement);
        }
        let mut all = Vec::new();
        loop {
            let from = self.nested(Self::expression)?;
            let to = if self.take_word("to") { Some(self.nested(Self::expression)?) } else { None };
            all.push(Subscript { from, to });
            if !self.take(",") {
                break;
            }
        }
        self.expect("]")?;
        Ok(Step::Elements(all))
    }

    fn levels(&mut self) -> SqlResult<Step> {
        if !self.take("{") {
            return Ok(Step::Levels(Some(0), None));
        }
        let first = self.level()?;
        let last = if self.take_word("to") { self.level()? } else { first };
        self.expect("}")?;
        Ok(Step::Levels(first, last))
    }

    fn level(&mut self) -> SqlResult<Option<u32>> {
        if self.take_word("last") {
            return Ok(None);
        }
        let Kind::Integer(text) = self.kind() else { return Err(self.error()) };
        let level = parse(text, &SqlType::Int4, &crate::value::Env::default())?;
        self.advance();
        match level {
            crate::value::Value::Int4(level) => Ok(u32::try_from(level).ok()),
            _ => Ok(None),
        }
    }
}

fn regex_flags(letters: &str) -> SqlResult<RegexFlags> {
    let mut flags = RegexFlags::default();
    for letter in letters.chars() {
        match letter {
            'i' => flags.ignore_case = true,
            's' => flags.dot_all = true,
            'm' => flags.lines = true,
            'x' => flags.expanded = true,
            'q' => flags.literal = true,
            other => {
                let detail = format!("Unrecognized flag character \"{other}\" in LIKE_REGEX predicate.");
                let error = SqlError::new(SqlState::SYNTAX_ERROR, "invalid input syntax for type jsonpath");
                return Err(error.detail(detail));
            }
        }
    }
    if flags.expanded && !flags.literal {
        let message = "XQuery \"x\" flag (expanded regular expressions) is not implemented";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    Ok(flags)
}

/// `@` belongs into a filter, and `last` into a subscript.
fn check_places(expr: &Expr, in_filter: bool, in_subscript: bool) -> SqlResult<()> {
    let wrong = |message: &str| Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    match &expr.head {
        Head::Current if !in_filter => return wrong("@ is not allowed in root expressions"),
        Head::Last if !in_subscript => return wrong("LAST is allowed only in array subscripts"),
        Head::Binary(_, left, right) => {
            check_places(left, in_filter, in_subscript)?;
            check_places(right, in_filter, in_subscript)?;
        }
        Head::Sign { of, .. } | Head::LikeRegex { of, .. } => check_places(of, in_filter, in_subscript)?,
        Head::Not(of) | Head::IsUnknown(of) | Head::Exists(of) => check_places(of, in_filter, in_subscript)?,
        _ => {}
    }
    for step in &expr.steps {
        match step {
            Step::Filter(condition) => check_places(condition, true, in_subscript)?,
            Step::Elements(all) => {
                for subscript in all {
                    let mut both = std::iter::once(&subscript.from).chain(&subscript.to);
                    both.try_for_each(|part| check_places(part, in_filter, true))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
