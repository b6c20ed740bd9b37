//! Methods: `.type()`, `.size()`, `.keyvalue()` ...

use annulus_relation::value::json::Json;
use annulus_relation::value::json::path::Method;
use annulus_relation::value::{Numeric, SqlType, parse};
use annulus_relation::{SqlResult, SqlState, Value};

use super::evaluate::{At, Base, Evaluation, Failure, Found, Place, Walk, number, soft};
use super::item::View;
use super::layout::Offsets;

/// An object is told apart by its place in another, and by the number of that other times this.
const PLACES: i64 = 10_000_000_000;

/// Whether a method is one of an array's elements, rather than of the array.
pub(super) const fn unwraps(method: Method) -> bool {
    !matches!(method, Method::Type | Method::Size)
}

impl Evaluation<'_> {
    pub fn method(
        &self,
        method: Method,
        place: Place<'_>,
        item: View<'_>,
        at: At<'_>,
        found: &mut Found<'_>,
    ) -> Walk<bool> {
        let result = match method {
            Method::Type => Json::String(item.type_name().to_owned()),
            Method::Size => match item.array() {
                Some(elements) => number(i64::try_from(elements.len()).unwrap_or(i64::MAX)),
                None if self.lax => number(1),
                None if at.lenient => return Ok(false),
                None => {
                    let message = "jsonpath item method .size() can only be applied to an array";
                    return soft(SqlState::JSON_ARRAY_NOT_FOUND, message);
                }
            },
            Method::Abs => of_number(method, item, |number| Ok(number.abs()))?,
            Method::Floor => of_number(method, item, Numeric::floor)?,
            Method::Ceiling => of_number(method, item, Numeric::ceil)?,
            Method::Double => double(item)?,
            Method::KeyValue => return self.key_value(place, item, at, found),
        };
        self.go_on(place, View::Json(&result), at, found)
    }

    /// Where an object stands in another one: of the document and the variables that is found out once.
    fn offset(&self, base: &Json, object: &Json) -> Option<usize> {
        if std::ptr::eq(base, self.root) {
            return self.root_offsets.get_or_init(|| Offsets::of(base)).get(object);
        }
        match self.vars {
            Some(vars) if std::ptr::eq(base, vars) => self.vars_offsets.get_or_init(|| Offsets::of(base)).get(object),
            // What was made here is not much larger than the object.
            _ => Offsets::of(base).get(object),
        }
    }

    /// Each member of an object as an object of its own.
    fn key_value(&self, place: Place<'_>, item: View<'_>, at: At<'_>, found: &mut Found<'_>) -> Walk<bool> {
        let View::Json(object @ Json::Object(members)) = item else {
            let message = "jsonpath item method .keyvalue() can only be applied to an object";
            return soft(SqlState::JSON_OBJECT_NOT_FOUND, message);
        };
        let offset = self.offset(at.base.object, object).unwrap_or(0);
        let id = at.base.id * PLACES + i64::try_from(offset).unwrap_or(0);
        let mut any = false;
        for (key, value) in members {
            let members = vec![
                ("key".to_owned(), Json::String(key.clone())),
                ("value".to_owned(), value.clone()),
                ("id".to_owned(), number(id)),
            ];
            let made = Json::object(members);
            let base = Base { object: &made, id: self.next_object.replace(self.next_object.get() + 1) };
            any |= self.go_on(place, View::Json(&made), At { base, ..at }, found)?;
            if any && found.is_none() {
                return Ok(true);
            }
        }
        Ok(any)
    }
}

fn of_number(method: Method, item: View<'_>, change: impl Fn(&Numeric) -> SqlResult<Numeric>) -> Walk<Json> {
    match item.number() {
        Some(number) => change(number).map(Json::Number).map_err(Failure::Soft),
        None => {
            let message = format!("jsonpath item method .{}() can only be applied to a numeric value", method.name());
            soft(SqlState::NON_NUMERIC_JSON_ITEM, message)
        }
    }
}

/// A number stays as it is if a double can hold it; a string becomes the number that a double makes of it.
fn double(item: View<'_>) -> Walk<Json> {
    let read = |text: &str| match parse(text, &SqlType::Float8, &annulus_relation::value::Env::default()) {
        Ok(Value::Float8(value)) if value.is_finite() => Some(value),
        _ => None,
    };
    let (found, what) = match item {
        View::Json(Json::Number(number)) => {
            let kept = read(&number.print()).map(|_| number.clone());
            (kept, "numeric argument of jsonpath item method .double() is out of range for type double precision")
        }
        View::Json(Json::String(text)) => (
            read(text).and_then(|value| Numeric::from_f64(value).ok()),
            "string argument of jsonpath item method .double() is not a valid representation of a double precision number",
        ),
        _ => (None, "jsonpath item method .double() can only be applied to a string or numeric value"),
    };
    found.map(Json::Number).map_or_else(|| soft(SqlState::NON_NUMERIC_JSON_ITEM, what), Ok)
}
