//! The facts of bound conditions.

use annulus_relation::{SqlType, Value};

use super::{Comparison, Facts, normal};
use crate::bind::{Expr, Test};

impl Facts {
    /// What a condition says. Parameters are not known: that an expression is compared with one says that it is not NULL.
    pub fn of(condition: &Expr) -> Self {
        Self::of_normal(&normal(condition))
    }

    fn of_normal(condition: &Expr) -> Self {
        let mut facts = Self::default();
        facts.learn(condition);
        facts
    }

    fn learn(&mut self, condition: &Expr) {
        match condition {
            Expr::And(parts) => parts.iter().for_each(|part| self.learn(part)),
            Expr::Or(parts) => {
                self.any(parts.iter().map(Self::of_normal).collect());
                self.is_true(condition);
            }
            Expr::Const(literal) => self.nothing |= !matches!(literal.value, Value::Bool(true)),
            Expr::Not(arg) => self.one_of(Expr::clone(arg), vec![Value::Bool(false)]),
            Expr::Is { arg, test, negated } => self.tested(condition, arg, *test, *negated),
            Expr::Quantified { .. } => self.quantified(condition),
            _ => self.compared(condition),
        }
    }

    /// What is not understood further.
    fn is_true(&mut self, condition: &Expr) {
        self.one_of(condition.clone(), vec![Value::Bool(true)]);
    }

    fn tested(&mut self, condition: &Expr, arg: &Expr, test: Test, negated: bool) {
        let value = match test {
            Test::Null | Test::Unknown => Value::Null,
            Test::True => Value::Bool(true),
            Test::False => Value::Bool(false),
        };
        match (value, negated) {
            (value, false) => self.one_of(arg.clone(), vec![value]),
            (Value::Null, true) => self.not_null(arg.clone()),
            (_, true) => self.is_true(condition),
        }
    }

    fn quantified(&mut self, condition: &Expr) {
        if let Expr::Quantified { operator, all, left, array } = condition
            && let Some(Value::Array(elements)) = array.as_const()
            && let SqlType::Array(element) = array.ty()
            && let Some(values) =
                elements.iter().map(|value| of_subject(left, value, element)).collect::<Option<Vec<_>>>()
            && let Some(subject) = subject_of(left, element)
        {
            match (operator.name, all) {
                ("=", false) => {
                    let known = values.into_iter().filter(|value| !value.is_null()).collect();
                    return self.one_of(subject.clone(), known);
                }
                ("<>", true) => {
                    return values
                        .into_iter()
                        .for_each(|value| self.compares(subject.clone(), Comparison::NotEqual, value));
                }
                _ => {}
            }
        }
        self.is_true(condition);
    }

    fn compared(&mut self, condition: &Expr) {
        let Some((comparison, left, right)) = Comparison::of(condition) else { return self.is_true(condition) };
        if let Some((subject, value)) = subject_and_value(left, right) {
            return self.compares(subject.clone(), comparison, value);
        }
        if let Some((subject, value)) = subject_and_value(right, left) {
            return self.compares(subject.clone(), comparison.turned(), value);
        }
        self.is_true(condition);
        for (side, other) in [(left, right), (right, left)] {
            if let Some(subject) = subject_of(side, other.ty()) {
                self.not_null(subject.clone());
            }
        }
    }
}

impl Comparison {
    /// The comparison that an expression is, and its sides.
    pub fn of(expr: &Expr) -> Option<(Self, &Expr, &Expr)> {
        let (operator, left, right) = expr.as_comparison()?;
        let comparison = match operator {
            "=" => Self::Equal,
            "<>" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::Greater,
            ">=" => Self::AtLeast,
            _ => return None,
        };
        Some((comparison, left, right))
    }

    /// The same with its sides exchanged.
    pub fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Greater => Self::Less,
            Self::AtLeast => Self::AtMost,
            same => same,
        }
    }
}

fn subject_and_value<'e>(side: &'e Expr, other: &Expr) -> Option<(&'e Expr, Value)> {
    let subject = subject_of(side, other.ty())?;
    Some((subject, of_subject(side, other.as_const()?, other.ty())?))
}

/// A value of a type, as one of the expression that an operand is about.
fn of_subject(operand: &Expr, value: &Value, ty: &SqlType) -> Option<Value> {
    match (value, subject_of(operand, ty)?.ty()) {
        // Equal ones may differ in their padding.
        (_, SqlType::Char(_) | SqlType::Array(_)) => None,
        (Value::Null, _) => Some(Value::Null),
        (value, subject) => key_value(value.clone(), subject),
    }
}

/// The expression over the row that an operand in normal form is, if values of the other operand's type are values of it, too: an
/// integer that is widened for the comparison is still the integer.
pub(crate) fn subject_of<'e>(operand: &'e Expr, other: &SqlType) -> Option<&'e Expr> {
    let subject = match operand {
        Expr::Cast { arg, ty, .. } if is_integer(ty) && is_integer(other) && is_integer(arg.ty()) => arg,
        same => same,
    };
    let ty = subject.ty();
    let alike = are_alike(ty, other) || (is_integer(ty) && is_integer(other));
    (alike && !subject.columns().is_empty()).then_some(subject)
}

/// Whether values of one type are values of the other.
pub(crate) fn are_alike(one: &SqlType, other: &SqlType) -> bool {
    one.oid() == other.oid() || (is_text(one) && is_text(other))
}

/// A value as a key of a type: `None` if no key equals it.
pub(crate) fn key_value(value: Value, ty: &SqlType) -> Option<Value> {
    let wide = match value {
        Value::Null => return None,
        Value::Int2(number) => i64::from(number),
        Value::Int4(number) => i64::from(number),
        Value::Int8(number) => number,
        other => return Some(other),
    };
    match ty {
        SqlType::Int2 => i16::try_from(wide).ok().map(Value::Int2),
        SqlType::Int4 => i32::try_from(wide).ok().map(Value::Int4),
        SqlType::Int8 => Some(Value::Int8(wide)),
        _ => None,
    }
}

const fn is_integer(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Int2 | SqlType::Int4 | SqlType::Int8)
}

const fn is_text(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Text | SqlType::Varchar(_))
}
