//! The words that PostgreSQL 15's grammar knows.

use annulus_relation::Value;

use crate::query::exec::Rows;

/// Lines of a class, whether words of it can be labels without `AS`, and the words.
const WORDS: &str = include_str!("keywords.txt");

/// The rows of `pg_get_keywords()`.
pub(super) fn rows() -> Rows {
    let lines = WORDS.lines().filter_map(|line| line.split_once(": "));
    Box::new(lines.flat_map(|(class, words)| {
        let (class, label) = class.split_at(1);
        let class_says = match class {
            "U" => "unreserved",
            "C" => "unreserved (cannot be function or type name)",
            "T" => "reserved (can be function or type name)",
            _ => "reserved",
        };
        let bare = label == "t";
        let label_says = if bare { "can be bare label" } else { "requires AS" };
        words.split(' ').map(move |word| {
            let text = Value::text;
            Ok(vec![text(word), text(class), Value::Bool(bare), text(class_says), text(label_says)])
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_listed() {
        let all: Vec<_> = rows().collect::<Result<_, _>>().unwrap();
        assert_eq!(all.len(), 460);
        assert!(all.contains(&vec![
            Value::text("year"),
            Value::text("U"),
            Value::Bool(false),
            Value::text("unreserved"),
            Value::text("requires AS"),
        ]));
    }
}
