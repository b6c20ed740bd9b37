//! Where an object stands in the bytes that PostgreSQL keeps of a `jsonb`: `.keyvalue()` tells objects apart by that.
//!
//! Source: PostgreSQL 15, `jsonb.h` and `jsonb_util.c`: a container is a header and an entry for each part, then the keys,
//! then the values; numbers and containers begin at multiples of four.

use std::collections::HashMap;

use annulus_relation::value::Numeric;
use annulus_relation::value::json::Json;

/// The size of a header, and of an entry.
const WORD: usize = 4;

const fn aligned(at: usize) -> usize {
    at.next_multiple_of(WORD)
}

/// Where the objects within a value begin.
#[derive(Debug)]
pub(super) struct Offsets(HashMap<usize, usize>);

/// What tells a value from all others while they are there: where it is in memory.
fn address(value: &Json) -> usize {
    std::ptr::from_ref(value).addr()
}

impl Offsets {
    /// Of a value, and all in it.
    pub fn of(whole: &Json) -> Self {
        let mut offsets = HashMap::new();
        note(whole, 0, &mut offsets);
        Self(offsets)
    }

    /// Where an object begins; `None` if it is not in there.
    pub fn get(&self, object: &Json) -> Option<usize> {
        self.0.get(&address(object)).copied()
    }
}

/// Notes the objects of a value that begins at `at`, or behind that; gives where it ends.
fn note(value: &Json, at: usize, offsets: &mut HashMap<usize, usize>) -> usize {
    match value {
        Json::Null | Json::Bool(_) => at,
        Json::String(text) => at + text.len(),
        Json::Number(number) => aligned(at) + size_of(number),
        Json::Array(elements) => {
            let begin = aligned(at) + WORD * (1 + elements.len());
            elements.iter().fold(begin, |at, element| note(element, at, offsets))
        }
        Json::Object(members) => {
            offsets.insert(address(value), aligned(at));
            let keys: usize = members.iter().map(|(key, _)| key.len()).sum();
            let begin = aligned(at) + WORD * (1 + 2 * members.len()) + keys;
            members.iter().fold(begin, |at, (_, value)| note(value, at, offsets))
        }
    }
}

/// The bytes of a number: a length, a header, and a word of two bytes for each four digits.
fn size_of(number: &Numeric) -> usize {
    let mut bytes = Vec::new();
    number.encode_binary(&mut bytes);
    // The protocol's form has four words before the digits.
    let digits = (bytes.len().saturating_sub(8)) / 2;
    WORD + 2 + 2 * digits
}
