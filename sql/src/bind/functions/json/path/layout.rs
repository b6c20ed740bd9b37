//! Where an object stands in the bytes that PostgreSQL keeps of a `jsonb`: `.keyvalue()` tells objects apart by that.
//!
//! Source: PostgreSQL 15, `jsonb.h` and `jsonb_util.c`: a container is a header and an entry for each part, then the keys,
//! then the values; numbers and containers begin at multiples of four.

use annulus_relation::value::Numeric;
use annulus_relation::value::json::Json;

/// The size of a header, and of an entry.
const WORD: usize = 4;

const fn aligned(at: usize) -> usize {
    at.next_multiple_of(WORD)
}

/// Where a value within another begins; `None` if it is not in there.
pub(super) fn offset_of(whole: &Json, part: &Json) -> Option<usize> {
    find(whole, part, 0).err()
}

/// Walks over a value that begins at `at`: where it ends, or as the error where what is sought begins.
fn find(value: &Json, part: &Json, at: usize) -> Result<usize, usize> {
    let is_container = matches!(value, Json::Array(_) | Json::Object(_));
    let at = if is_container { aligned(at) } else { at };
    if std::ptr::eq(value, part) {
        return Err(at);
    }
    match value {
        Json::Null | Json::Bool(_) => Ok(at),
        Json::String(text) => Ok(at + text.len()),
        Json::Number(number) => Ok(aligned(at) + size_of(number)),
        Json::Array(elements) => {
            elements.iter().try_fold(at + WORD * (1 + elements.len()), |at, element| find(element, part, at))
        }
        Json::Object(members) => {
            let keys: usize = members.iter().map(|(key, _)| key.len()).sum();
            let begin = at + WORD * (1 + 2 * members.len()) + keys;
            members.iter().try_fold(begin, |at, (_, value)| find(value, part, at))
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
