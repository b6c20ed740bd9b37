//! What clients write as SQL.

use annulus_sql::parse::{parse, shape};

/// The text of statements. It is parsed, or refused with a position that lies within it; and what two texts of the same
/// shape share is a text of that shape itself.
pub fn sql_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parsed = parse(text);
    match &parsed {
        Ok(statements) => assert!(statements.iter().all(|statement| text.contains(&*statement.text)), "{text:?}"),
        Err(error) => {
            let position = error.report().position;
            let characters = text.chars().count();
            assert!(
                position.is_none_or(|at| at > 0 && at as usize <= characters + 1),
                "{text:?}: {error} at {position:?}"
            );
        }
    }
    let Some(shape) = shape(text) else { return };
    let has_place = |number: usize| shape.text().split(' ').any(|token| token == format!("${number}"));
    assert!((1..=shape.literals.len()).all(has_place), "{text:?}: {}", shape.text());
    if parsed.is_ok_and(|statements| statements.len() == 1) {
        // Not every place of a literal may have a parameter: then the statement is planned by itself.
        let _ = parse(shape.text());
    }
}
