//! Arithmetic.

use annulus_relation::SqlState;
use annulus_relation::value::Numeric;
use annulus_relation::value::json::Json;
use annulus_relation::value::json::path::{Expr, Operator};

use super::evaluate::{At, Evaluation, Failure, Found, Place, Walk, soft};
use super::item::{Item, View};

/// Whether an operator makes a number of two.
pub(super) const fn is_arithmetic(operator: Operator) -> bool {
    matches!(operator, Operator::Add | Operator::Sub | Operator::Mul | Operator::Div | Operator::Mod)
}

impl Evaluation<'_> {
    /// The result for the one number that each of the operands must lead to.
    pub fn arithmetic(
        &self,
        operator: Operator,
        left: &Expr,
        right: &Expr,
        item: View<'_>,
        at: At<'_>,
    ) -> Walk<Numeric> {
        let left = self.sequence(left, item, at, true)?;
        let right = self.sequence(right, item, at, true)?;
        let single = |side: &str, items: &[Item]| match items {
            [Item::Json(Json::Number(number))] => Ok(number.clone()),
            _ => {
                let name = operator.name();
                let message = format!("{side} operand of jsonpath operator {name} is not a single numeric value");
                soft(SqlState::SINGLETON_JSON_ITEM_REQUIRED, message)
            }
        };
        let (left, right) = (single("left", &left)?, single("right", &right)?);
        let result = match operator {
            Operator::Add => left.add(&right),
            Operator::Sub => left.sub(&right),
            Operator::Mul => left.mul(&right),
            Operator::Div => left.div(&right),
            _ => left.rem(&right),
        };
        result.map_err(Failure::Soft)
    }

    /// `-` or `+` of each number.
    pub fn signed(
        &self,
        minus: bool,
        of: &Expr,
        place: Place<'_>,
        item: View<'_>,
        at: At<'_>,
        found: &mut Found<'_>,
    ) -> Walk<bool> {
        let only_whether = found.is_none() && place.next().is_none();
        let mut any = false;
        for operand in self.sequence(of, item, at, true)? {
            let Item::Json(Json::Number(number)) = operand else {
                if only_whether {
                    continue;
                }
                let sign = if minus { '-' } else { '+' };
                let message = format!("operand of unary jsonpath operator {sign} is not a numeric value");
                return soft(SqlState::JSON_NUMBER_NOT_FOUND, message);
            };
            let number = if minus { number.neg() } else { number };
            any |= self.go_on(place, View::Json(&Json::Number(number)), at, found)?;
            if any && found.is_none() {
                return Ok(true);
            }
        }
        Ok(any)
    }
}
