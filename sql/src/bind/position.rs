//! Where in a statement's text something stands.

use sqlparser::tokenizer::{Location, Span};

/// The character that a line and column mean, the first is 1: what errors carry.
#[must_use]
pub fn position(text: &str, location: Location) -> Option<u32> {
    if location.line == 0 {
        return None;
    }
    let before = text.split_inclusive('\n').take(usize::try_from(location.line).ok()? - 1);
    let lines: usize = before.map(|line| line.chars().count()).sum();
    u32::try_from(lines + usize::try_from(location.column).ok()?).ok()
}

/// The character at which the operator between two operands begins: the parser does not say, but it is the first
/// thing after the left operand that is neither space, comment nor closing parenthesis.
pub(super) fn operator_position(text: &str, left: Span) -> Option<u32> {
    let after = usize::try_from(position(text, left.end)?).ok()?;
    let mut rest = text.chars().enumerate().skip(after - 1).peekable();
    while let Some((index, character)) = rest.next() {
        match character {
            c if c.is_whitespace() || c == ')' => {}
            '-' if rest.peek().is_some_and(|(_, next)| *next == '-') => {
                rest.by_ref().find(|(_, c)| *c == '\n');
            }
            '/' if rest.peek().is_some_and(|(_, next)| *next == '*') => {
                let mut previous = ' ';
                rest.by_ref().skip(1).find(|(_, c)| {
                    let end = previous == '*' && *c == '/';
                    previous = *c;
                    end
                });
            }
            _ => return u32::try_from(index + 1).ok(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_become_characters() {
        let text = "select\n  é, x";
        assert_eq!(position(text, Location::new(1, 1)), Some(1));
        assert_eq!(position(text, Location::new(2, 6)), Some(13));
        assert_eq!(position(text, Location::empty()), None);
    }

    #[test]
    fn operators_are_found_behind_parentheses_and_comments() {
        let text = "(1) /* a */ -- b\n + 'x'";
        let left = Span::new(Location::new(1, 2), Location::new(1, 3));
        assert_eq!(operator_position(text, left), Some(19));
    }
}
