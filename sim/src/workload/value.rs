//! Values that tell who wrote them: the number of the write's history entry, then a number or a list.

use bytes::{BufMut, Bytes, BytesMut};

/// A stored number.
#[must_use]
pub fn number(entry: u64, number: i64) -> Bytes {
    let mut out = BytesMut::with_capacity(16);
    out.put_u64(entry);
    out.put_i64(number);
    out.freeze()
}

/// A stored list, `elements` with one more.
#[must_use]
pub fn list(entry: u64, mut elements: Vec<u64>, element: u64) -> Bytes {
    elements.push(element);
    let mut out = BytesMut::with_capacity(8 + 8 * elements.len());
    out.put_u64(entry);
    elements.into_iter().for_each(|element| out.put_u64(element));
    out.freeze()
}

fn words(value: &Bytes) -> impl Iterator<Item = u64> {
    value.chunks_exact(8).map(|word| u64::from_be_bytes(word.try_into().unwrap_or_default()))
}

/// The number in a value; `None` where there is none.
#[must_use]
pub fn number_in(value: Option<&Bytes>) -> Option<i64> {
    words(value?).nth(1).map(|word| word as i64)
}

/// The list in a value; empty where there is none.
#[must_use]
pub fn list_in(value: Option<&Bytes>) -> Vec<u64> {
    value.map(|value| words(value).skip(1).collect()).unwrap_or_default()
}

/// The history entry that wrote a value.
#[must_use]
pub fn writer_of(value: &Bytes) -> Option<u64> {
    words(value).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_their_encoding() {
        assert_eq!(number_in(Some(&number(7, -3))), Some(-3));
        assert_eq!(writer_of(&number(7, -3)), Some(7));
        assert_eq!(list_in(Some(&list(8, vec![1, 2], 3))), [1, 2, 3]);
        assert_eq!((number_in(None), list_in(None)), (None, vec![]));
    }
}
