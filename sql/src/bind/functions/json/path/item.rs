//! What paths lead to: JSON, and dates and times, which JSON has not.

use annulus_relation::value::json::Json;

use super::datetime::Datetime;

/// Something that was found.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Json(Json),
    Datetime(Datetime),
}

/// Something on the way.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'v> {
    Json(&'v Json),
    Datetime(&'v Datetime),
}

impl Item {
    pub fn view(&self) -> View<'_> {
        match self {
            Self::Json(json) => View::Json(json),
            Self::Datetime(datetime) => View::Datetime(datetime),
        }
    }

    /// As JSON: a date is a string.
    pub fn into_json(self) -> Json {
        match self {
            Self::Json(json) => json,
            Self::Datetime(datetime) => Json::String(datetime.print()),
        }
    }
}

impl<'v> View<'v> {
    pub fn to_item(self) -> Item {
        match self {
            Self::Json(json) => Item::Json(json.clone()),
            Self::Datetime(datetime) => Item::Datetime(datetime.clone()),
        }
    }

    pub const fn json(self) -> Option<&'v Json> {
        match self {
            Self::Json(json) => Some(json),
            Self::Datetime(_) => None,
        }
    }

    pub fn array(self) -> Option<&'v [Json]> {
        match self {
            Self::Json(Json::Array(elements)) => Some(elements),
            _ => None,
        }
    }

    pub fn number(self) -> Option<&'v annulus_relation::value::Numeric> {
        match self {
            Self::Json(Json::Number(number)) => Some(number),
            _ => None,
        }
    }

    pub fn string(self) -> Option<&'v str> {
        match self {
            Self::Json(Json::String(text)) => Some(text),
            _ => None,
        }
    }

    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Json(json) => json.type_name(),
            Self::Datetime(datetime) => datetime.type_name(),
        }
    }
}

/// How many values a value of JSON consists of.
pub(super) fn size_of(json: &Json) -> usize {
    match json {
        Json::Array(elements) => 1 + elements.iter().map(size_of).sum::<usize>(),
        Json::Object(members) => 1 + members.iter().map(|(_, value)| size_of(value)).sum::<usize>(),
        _ => 1,
    }
}
