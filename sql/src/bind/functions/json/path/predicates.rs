//! Conditions: true, false, or unknown where something was wrong.

use std::cmp::Ordering;

use annulus_relation::value::json::Json;
use annulus_relation::value::json::path::{Expr, Head, Operator, RegexFlags};
use annulus_relation::{SqlError, SqlState};

use super::super::super::text::regex;
use super::evaluate::{At, Evaluation, Failure, Walk};
use super::item::{Item, View};

/// True, false, or unknown.
type Truth = Option<bool>;

impl Evaluation<'_> {
    /// The truth of a condition.
    pub fn test(&self, expr: &Expr, item: View<'_>, at: At<'_>) -> Walk<Truth> {
        match &expr.head {
            Head::Binary(Operator::And, left, right) => match self.test(left, item, at)? {
                Some(false) => Ok(Some(false)),
                left => Ok(match self.test(right, item, at)? {
                    Some(true) => left,
                    right => right,
                }),
            },
            Head::Binary(Operator::Or, left, right) => match self.test(left, item, at)? {
                Some(true) => Ok(Some(true)),
                left => Ok(match self.test(right, item, at)? {
                    Some(false) => left,
                    right => right,
                }),
            },
            Head::Not(of) => Ok(self.test(of, item, at)?.map(|truth| !truth)),
            Head::IsUnknown(of) => Ok(Some(self.test(of, item, at)?.is_none())),
            Head::Exists(of) => known(self.exists_at(of, item, at)),
            Head::Binary(Operator::StartsWith, whole, initial) => {
                let pairs = (whole.as_ref(), Some((initial.as_ref(), false)));
                self.predicate(pairs, item, at, |whole, initial| Ok(starts_with(whole, initial)))
            }
            Head::Binary(operator, left, right) => {
                let pairs = (left.as_ref(), Some((right.as_ref(), true)));
                self.predicate(pairs, item, at, |left, right| self.compare(*operator, left, right))
            }
            Head::LikeRegex { of, pattern, flags } => {
                let options = options(*flags);
                self.predicate((of, None), item, at, |text, _| match text.string() {
                    Some(text) => regex::is_match(text, pattern, options).map(Some).map_err(Failure::Hard),
                    None => Ok(None),
                })
            }
            _ => {
                Err(Failure::Hard(SqlError::new(SqlState::INTERNAL_ERROR, "a jsonpath has no condition where it must")))
            }
        }
    }

    /// Whether a condition holds for a pair of what two expressions lead to; for one of them if there is no other. `strict`
    /// looks at all pairs, and knows nothing if something was wrong with one of them.
    fn predicate(
        &self,
        (left, right): (&Expr, Option<(&Expr, bool)>),
        item: View<'_>,
        at: At<'_>,
        holds: impl Fn(View<'_>, View<'_>) -> Walk<Truth>,
    ) -> Walk<Truth> {
        let Some(left) = known(self.sequence(left, item, at, true))? else { return Ok(None) };
        let right = match right {
            Some((right, unwrap)) => known(self.sequence(right, item, at, unwrap))?,
            None => Some(vec![Item::Json(Json::Null)]),
        };
        let Some(right) = right else { return Ok(None) };
        let (mut wrong, mut found) = (false, false);
        for one in &left {
            for other in &right {
                self.advance()?;
                match holds(one.view(), other.view())? {
                    None if !self.lax => return Ok(None),
                    None => wrong = true,
                    Some(true) if self.lax => return Ok(Some(true)),
                    Some(true) => found = true,
                    Some(false) => {}
                }
            }
        }
        Ok(if found { Some(true) } else { (!wrong).then_some(false) })
    }

    fn compare(&self, operator: Operator, left: View<'_>, right: View<'_>) -> Walk<Truth> {
        let order = match (left, right) {
            (View::Datetime(left), View::Datetime(right)) => left.compare(right, self)?,
            (View::Json(left), View::Json(right)) => order(left, right),
            _ => None,
        };
        let is_null = |view: View<'_>| matches!(view, View::Json(Json::Null));
        Ok(match order {
            Some(order) => Some(is_so(operator, order)),
            // Nothing is null but null.
            None if is_null(left) || is_null(right) => Some(operator == Operator::NotEqual),
            None => None,
        })
    }
}

/// What is known: nothing, where something was wrong that is passed over.
fn known<T>(result: Walk<T>) -> Walk<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Soft(_)) => Ok(None),
        Err(hard) => Err(hard),
    }
}

/// The order of two scalars of one kind.
fn order(left: &Json, right: &Json) -> Option<Ordering> {
    match (left, right) {
        (Json::Null, Json::Null) => Some(Ordering::Equal),
        (Json::Bool(left), Json::Bool(right)) => Some(left.cmp(right)),
        (Json::Number(left), Json::Number(right)) => Some(left.compare(right)),
        (Json::String(left), Json::String(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        _ => None,
    }
}

fn is_so(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::Greater => order.is_gt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::GreaterOrEqual => order.is_ge(),
        _ => false,
    }
}

fn starts_with(whole: View<'_>, initial: View<'_>) -> Truth {
    Some(whole.string()?.starts_with(initial.string()?))
}

/// XQuery's flags as options of regular expressions.
fn options(flags: RegexFlags) -> regex::Options {
    regex::Options {
        ignore_case: flags.ignore_case,
        newline_stops: !flags.literal && !flags.dot_all,
        line_anchors: !flags.literal && flags.lines,
        literal: flags.literal,
        ..regex::Options::default()
    }
}
