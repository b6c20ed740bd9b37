//! What is inside of an item: elements by their subscripts, and everything on some levels.

use annulus_relation::SqlState;
use annulus_relation::value::json::Json;
use annulus_relation::value::json::path::{Expr, Subscript};

use super::evaluate::{At, Evaluation, Found, Place, Walk, soft};
use super::item::View;

impl Evaluation<'_> {
    /// Elements by their subscripts.
    pub fn elements(
        &self,
        subscripts: &[Subscript],
        place: Place<'_>,
        item: View<'_>,
        at: At<'_>,
        found: &mut Found<'_>,
    ) -> Walk<bool> {
        let elements = item.array();
        if elements.is_none() && !self.lax {
            return match at.lenient {
                true => Ok(false),
                false => {
                    let message = "jsonpath array accessor can only be applied to an array";
                    soft(SqlState::JSON_ARRAY_NOT_FOUND, message)
                }
            };
        }
        let size = elements.map_or(1, <[Json]>::len);
        let inside = At { last: Some(size), ..at };
        let mut any = false;
        for Subscript { from, to } in subscripts {
            let from = self.subscript(from, item, inside)?;
            let to = to.as_ref().map_or(Ok(from), |to| self.subscript(to, item, inside))?;
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            if !at.lenient && (from < 0 || from > to || to >= size) {
                return soft(SqlState::INVALID_JSON_SUBSCRIPT, "jsonpath array subscript is out of bounds");
            }
            for index in from.max(0)..=to.min(size - 1) {
                let element = match elements {
                    Some(elements) => usize::try_from(index).ok().and_then(|index| elements.get(index)).map(View::Json),
                    None => Some(item),
                };
                let Some(element) = element else { continue };
                any |= self.go_on(place, element, inside, found)?;
                if any && found.is_none() {
                    return Ok(true);
                }
            }
        }
        Ok(any)
    }

    fn subscript(&self, expr: &Expr, item: View<'_>, at: At<'_>) -> Walk<i64> {
        let found = self.sequence(expr, item, at, false)?;
        let [index] = found.as_slice() else { return not_a_number() };
        let Some(index) = index.view().number() else { return not_a_number() };
        match index.trunc(0).and_then(|index| index.to_integer::<i32>("integer")) {
            Ok(index) => Ok(index.into()),
            Err(_) => soft(SqlState::INVALID_JSON_SUBSCRIPT, "jsonpath array subscript is out of integer range"),
        }
    }

    /// `.**`: the item itself is level 0.
    pub fn levels(
        &self,
        bounds: (Option<u32>, Option<u32>),
        place: Place<'_>,
        item: View<'_>,
        at: At<'_>,
        found: &mut Found<'_>,
    ) -> Walk<bool> {
        let within = At { lenient: true, ..at };
        let mut any = false;
        if bounds.0 == Some(0) {
            any = self.go_on(place, item, within, found)?;
            if any && found.is_none() {
                return Ok(true);
            }
        }
        Ok(any | self.below(1, bounds, place.next(), item, within, found)?)
    }

    fn below(
        &self,
        level: u32,
        (first, last): (Option<u32>, Option<u32>),
        place: Option<Place<'_>>,
        item: View<'_>,
        at: At<'_>,
        found: &mut Found<'_>,
    ) -> Walk<bool> {
        if last.is_some_and(|last| level > last) {
            return Ok(false);
        }
        let at = self.deeper(at)?;
        let values: Box<dyn Iterator<Item = &Json>> = match item {
            View::Json(Json::Array(elements)) => Box::new(elements.iter()),
            View::Json(Json::Object(members)) => Box::new(members.iter().map(|(_, value)| value)),
            _ => return Ok(false),
        };
        let mut any = false;
        for value in values {
            let is_leaf = !matches!(value, Json::Array(_) | Json::Object(_));
            if first.is_some_and(|first| level >= first) || (first.is_none() && last.is_none() && is_leaf) {
                any |= self.reach(place, View::Json(value), at, found, self.lax)?;
            }
            let is_enough = any && found.is_none();
            if !is_leaf && !is_enough {
                any |= self.below(level + 1, (first, last), place, View::Json(value), at, found)?;
            }
            if any && found.is_none() {
                return Ok(true);
            }
        }
        Ok(any)
    }
}

fn not_a_number<T>() -> Walk<T> {
    soft(SqlState::INVALID_JSON_SUBSCRIPT, "jsonpath array subscript is not a single numeric value")
}
