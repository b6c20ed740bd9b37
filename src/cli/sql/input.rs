//! Statements in what is typed: where one ends.

/// Cuts a statement off the front of a script, its semicolon included; `None` if it is not complete.
pub fn cut(script: &str) -> Option<(&str, &str)> {
    end(script).map(|end| script.split_at(end))
}

/// Whether there is nothing but spaces and comments.
pub fn is_blank(text: &str) -> bool {
    let mut rest = text.trim_start();
    while let Some(after) = comment(rest) {
        rest = after.trim_start();
    }
    rest.trim_matches(|letter: char| letter == ';' || letter.is_whitespace()).is_empty()
}

/// The place behind the first semicolon that ends a statement.
fn end(text: &str) -> Option<usize> {
    let mut rest = text;
    let mut word = false;
    loop {
        let letter = rest.chars().next()?;
        let before = std::mem::replace(&mut word, letter.is_alphanumeric() || letter == '_' || letter == '$');
        rest = match letter {
            ';' => return Some(text.len() - rest.len() + 1),
            '\'' => {
                let escapes = before && text[..text.len() - rest.len()].ends_with(['e', 'E']);
                quoted(&rest[1..], '\'', escapes)?
            }
            '"' => quoted(&rest[1..], '"', false)?,
            '$' if !before && tag(rest).is_some() => {
                let tag = tag(rest)?;
                word = false;
                let body = &rest[tag.len()..];
                &body[body.find(tag)? + tag.len()..]
            }
            '-' | '/' => match comment(rest) {
                Some(after) => after,
                None if rest.starts_with("/*") => return None,
                None => &rest[1..],
            },
            letter => &rest[letter.len_utf8()..],
        };
    }
}

/// What stands behind a closing quote.
fn quoted(text: &str, quote: char, escapes: bool) -> Option<&str> {
    let mut letters = text.char_indices();
    loop {
        match letters.next()? {
            (_, '\\') if escapes => drop(letters.next()?),
            (at, letter) if letter == quote => return Some(&text[at + 1..]),
            _ => {}
        }
    }
}

/// The tag at the front, `$name$`.
fn tag(text: &str) -> Option<&str> {
    let name = text[1..].find('$')?;
    let inside = &text[1..=name];
    let fits = inside.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
        && !inside.starts_with(|letter: char| letter.is_ascii_digit());
    fits.then(|| &text[..name + 2])
}

/// What stands behind the comment at the front; `None` if there is none, or it is not closed.
fn comment(text: &str) -> Option<&str> {
    if let Some(line) = text.strip_prefix("--") {
        return Some(line.find('\n').map_or("", |end| &line[end..]));
    }
    let mut rest = text.strip_prefix("/*")?;
    let mut depth = 1;
    while depth > 0 {
        let at = rest.find(['*', '/'])?;
        rest = &rest[at..];
        match rest.as_bytes() {
            [b'*', b'/', ..] => {
                depth -= 1;
                rest = &rest[2..];
            }
            [b'/', b'*', ..] => {
                depth += 1;
                rest = &rest[2..];
            }
            _ => rest = &rest[1..],
        }
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_outside_of_quotes_and_comments() {
        for complete in [
            "SELECT 1;",
            "SELECT ';' ;  ",
            "SELECT \"a;\";",
            "SELECT 'it''s';",
            r"SELECT E'\';';",
            r"SELECT '\';",
            "SELECT $$;$$;",
            "SELECT $a$ $$ ; $a$;",
            "SELECT 1 /* ; /* ; */ */;",
            "SELECT 1; -- done",
            "SELECT 1-1;",
            "SELECT a$1;",
            "SELECT 'ä';",
        ] {
            let is_whole = cut(complete).is_some_and(|(_, rest)| is_blank(rest));
            assert!(is_whole, "{complete}");
        }
        for open in
            ["SELECT 1", "SELECT ';", "SELECT \";", "SELECT $$;", "SELECT $a$;$b$", "/* ;", "-- ;", r"SELECT E'\';"]
        {
            assert!(cut(open).is_none(), "{open}");
        }
        assert_eq!(cut("a; b;"), Some(("a;", " b;")));
        assert!(is_blank(" -- x\n /* y */ ;"));
        assert!(!is_blank("x"));
    }
}
