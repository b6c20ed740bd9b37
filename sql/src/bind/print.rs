//! Expressions as text: the normal form in which the catalog keeps them.

use std::fmt::Write;

use annulus_relation::catalog::numbered_name;
use annulus_relation::value::{self, Env};
use annulus_relation::{SqlType, Value};

use super::expr::{Call, Expr, Literal, Test};
use super::functions::VARIADIC;
use super::rows::ROW;

/// Function names that the parser gives a syntax of their own: they are quoted, which makes them plain calls.
const QUOTED: &[&str] = &["position", "substring", "overlay", "ceil", "floor", "extract", "left", "right", "convert"];

impl Expr {
    /// Text that binds to this expression again (with the conversions in it written out, not those that an assignment
    /// added); `column` gives the name of a column as SQL text. Times are printed in
    /// UTC.
    #[must_use]
    pub fn to_sql(&self, column: &dyn Fn(usize) -> String) -> String {
        Printer { column, operands: Vec::new() }.expr(self)
    }
}

/// A name as SQL text: quoted where it must be.
#[must_use]
pub fn quote_name(name: &str) -> String {
    super::functions::quote_identifier(name)
}

struct Printer<'a> {
    column: &'a dyn Fn(usize) -> String,
    /// The operands of the `CASE`s around, which their conditions leave out.
    operands: Vec<&'a Expr>,
}

impl<'a> Printer<'a> {
    fn expr(&mut self, expr: &'a Expr) -> String {
        match expr {
            Expr::Column { index, .. } => (self.column)(*index),
            Expr::Param { index, .. } => format!("${}", index + 1),
            Expr::Const(literal) => print_literal(literal),
            Expr::Call(call) => self.call(call),
            Expr::And(parts) => self.joined(parts, " AND "),
            Expr::Or(parts) => self.joined(parts, " OR "),
            Expr::Not(arg) => format!("(NOT {})", self.expr(arg)),
            Expr::Is { arg, test, negated } => self.is(arg, *test, *negated),
            Expr::Distinct { equal, negated } => {
                let not = if *negated { "NOT " } else { "" };
                format!("({} IS {not}DISTINCT FROM {})", self.expr(&equal.args[0]), self.expr(&equal.args[1]))
            }
            Expr::Quantified { operator, all, left, array } => {
                let quantifier = if *all { "ALL" } else { "ANY" };
                format!("({} {} {quantifier} ({}))", self.expr(left), operator.name, self.expr(array))
            }
            Expr::Case { operand, arms, otherwise, .. } => self.case(operand.as_deref(), arms, otherwise),
            Expr::CaseOperand { .. } => match self.operands.last() {
                Some(operand) => self.expr(operand),
                None => "NULL".into(),
            },
            Expr::Coalesce { args, .. } => format!("COALESCE({})", self.list(args)),
            Expr::Extreme { greatest: true, args, .. } => format!("GREATEST({})", self.list(args)),
            Expr::Extreme { args, .. } => format!("LEAST({})", self.list(args)),
            Expr::NullIf { equal } => format!("NULLIF({})", self.list(&equal.args)),
            Expr::Cast { arg, ty, explicit: false } if is_integer(arg, ty) => self.expr(arg),
            Expr::Cast { arg, ty, .. } => format!("({})::{}", self.expr(arg), cast_name(ty)),
            Expr::Array { elements, ty } => match elements.iter().all(tells_type) {
                true => format!("ARRAY[{}]", self.list(elements)),
                false => format!("(ARRAY[{}])::{}", self.list(elements), cast_name(ty)),
            },
            Expr::Element { array, index, .. } => format!("({})[{}]", self.expr(array), self.expr(index)),
            Expr::Slice { array, low, high } => {
                let (low, high) = (low.as_deref(), high.as_deref());
                let array = self.expr(array);
                let low = low.map(|bound| self.expr(bound)).unwrap_or_default();
                let high = high.map(|bound| self.expr(bound)).unwrap_or_default();
                format!("({array})[{low}:{high}]")
            }
        }
    }

    fn list(&mut self, parts: &'a [Expr]) -> String {
        parts.iter().map(|part| self.expr(part)).collect::<Vec<_>>().join(", ")
    }

    fn joined(&mut self, parts: &'a [Expr], word: &str) -> String {
        format!("({})", parts.iter().map(|part| self.expr(part)).collect::<Vec<_>>().join(word))
    }

    fn is(&mut self, arg: &'a Expr, test: Test, negated: bool) -> String {
        let test = match test {
            Test::Null => "NULL",
            Test::True => "TRUE",
            Test::False => "FALSE",
            Test::Unknown => "UNKNOWN",
        };
        format!("({} IS {}{test})", self.expr(arg), if negated { "NOT " } else { "" })
    }

    fn call(&mut self, call: &'a Call) -> String {
        let name = call.function.name;
        match call.args.as_slice() {
            [arg] if call.function.is_operator() => format!("({name} {})", self.expr(arg)),
            [left, right] if call.function.is_operator() => {
                format!("({} {name} {})", self.expr(left), self.expr(right))
            }
            [Expr::Const(Literal { value: Value::Text(field), .. }), arg] if name == "extract" => {
                format!("EXTRACT({field} FROM {})", self.expr(arg))
            }
            [_, fields @ ..] if name == ROW => format!("ROW({})", self.list(fields)),
            [before @ .., array] if name.starts_with(VARIADIC) => {
                let before: String = before.iter().map(|arg| self.expr(arg) + ", ").collect();
                format!("{}({before}VARIADIC {})", &name[VARIADIC.len()..], self.expr(array))
            }
            [] if is_keyword(name) => name.to_ascii_uppercase(),
            args if QUOTED.contains(&name) => format!("\"{name}\"({})", self.list(args)),
            args => format!("{name}({})", self.list(args)),
        }
    }

    fn case(&mut self, operand: Option<&'a Expr>, arms: &'a [(Expr, Expr)], otherwise: &'a Expr) -> String {
        let mut text = String::from("CASE");
        for (condition, result) in arms {
            self.operands.extend(operand);
            let condition = self.expr(condition);
            if operand.is_some() {
                self.operands.pop();
            }
            let _ = write!(text, " WHEN {condition} THEN {}", self.expr(result));
        }
        let _ = write!(text, " ELSE {} END", self.expr(otherwise));
        text
    }
}

fn is_keyword(name: &str) -> bool {
    matches!(
        name,
        "current_date"
            | "current_timestamp"
            | "localtime"
            | "localtimestamp"
            | "current_user"
            | "session_user"
            | "current_role"
            | "current_catalog"
            | "user"
    )
}

/// Whether a conversion is one of an integer that is written to another integer: it is added again if it is left out.
fn is_integer(arg: &Expr, ty: &SqlType) -> bool {
    matches!(arg, Expr::Const(Literal { value: Value::Int4(_), .. })) && matches!(ty, SqlType::Int2 | SqlType::Int8)
}

/// Whether an element's text tells its type.
fn tells_type(element: &Expr) -> bool {
    match element {
        Expr::Cast { arg, ty, explicit: false } => !is_integer(arg, ty),
        Expr::Const(Literal { value: Value::Null, ty: SqlType::Unknown }) => false,
        _ => true,
    }
}

fn print_literal(literal: &Literal) -> String {
    match (&literal.value, &literal.ty) {
        (Value::Null, SqlType::Unknown) => "NULL".into(),
        (Value::Null, ty) => format!("NULL::{}", cast_name(ty)),
        (Value::Bool(truth), _) => truth.to_string(),
        (Value::Int4(number), _) if *number >= 0 => number.to_string(),
        (Value::Numeric(number), SqlType::Numeric(None)) if is_plain(&number.print()) => number.print(),
        (value, ty) => {
            let text = value::print(value, &ty.unlabelled(), &Env::default());
            format!("{}::{}", super::functions::quote_string(&text), cast_name(ty))
        }
    }
}

/// Whether digits are read as a number of type `numeric` again, and not as an integer.
fn is_plain(digits: &str) -> bool {
    digits.contains('.') && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// A type's name behind `::`.
fn cast_name(ty: &SqlType) -> String {
    match ty {
        SqlType::Enum(ty) => numbered_name(ty.number()),
        SqlType::Array(element) => format!("{}[]", cast_name(element)),
        SqlType::Char(0) | SqlType::Unknown => "text".into(),
        ty => ty.name(),
    }
}
