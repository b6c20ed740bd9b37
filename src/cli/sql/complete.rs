//! Completion of words and names.

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

/// Words that statements are made of.
const WORDS: &[&str] = &[
    "ADD",
    "ALL",
    "ALTER",
    "ANALYZE",
    "AND",
    "AS",
    "ASC",
    "BEGIN",
    "BETWEEN",
    "BIGINT",
    "BOOLEAN",
    "BY",
    "BYTEA",
    "CASCADE",
    "CASE",
    "CAST",
    "CHECK",
    "COLUMN",
    "COMMENT",
    "COMMIT",
    "CONFLICT",
    "CONSTRAINT",
    "COPY",
    "COUNT",
    "CREATE",
    "CROSS",
    "DATABASE",
    "DATE",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DISTINCT",
    "DO",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FETCH",
    "FOR",
    "FOREIGN",
    "FROM",
    "FULL",
    "GENERATED",
    "GROUP",
    "HAVING",
    "IDENTITY",
    "IN",
    "INDEX",
    "INNER",
    "INSERT",
    "INTEGER",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "JSONB",
    "KEY",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NOTHING",
    "NULL",
    "NULLS",
    "NUMERIC",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PRIMARY",
    "REFERENCES",
    "RELEASE",
    "RENAME",
    "RESTRICT",
    "RETURNING",
    "RIGHT",
    "ROLLBACK",
    "SAVEPOINT",
    "SCHEMA",
    "SELECT",
    "SEQUENCE",
    "SET",
    "SHOW",
    "STDIN",
    "STDOUT",
    "SUM",
    "TABLE",
    "TEXT",
    "THEN",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "TO",
    "TRANSACTION",
    "TRUE",
    "TRUNCATE",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USING",
    "UUID",
    "VALUES",
    "VARCHAR",
    "VIEW",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Backslash commands.
const COMMANDS: &[&str] =
    &["\\?", "\\c", "\\d", "\\di", "\\dn", "\\ds", "\\dt", "\\dv", "\\l", "\\q", "\\timing", "\\x"];

/// What is completed: words, and the names of the database.
#[derive(Default)]
pub struct Words {
    /// Tables and columns, sorted.
    pub names: Vec<String>,
}

impl Words {
    /// Where the last word of a line begins, and what it may become.
    fn of(&self, line: &str) -> (usize, Vec<String>) {
        let start = line.rfind(|letter: char| !(letter.is_alphanumeric() || "_\\?\"".contains(letter)));
        let start = start.map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
        let begun = &line[start..];
        if begun.is_empty() {
            return (start, Vec::new());
        }
        if begun.starts_with('\\') {
            let matching = COMMANDS.iter().filter(|command| command.starts_with(begun));
            return (start, matching.map(|command| (*command).to_owned()).collect());
        }
        let (upper, lower) = (begun.to_uppercase(), begun.chars().any(char::is_lowercase));
        let words = WORDS.iter().filter(|word| word.starts_with(&upper));
        let words = words.map(|word| if lower { word.to_lowercase() } else { (*word).to_owned() });
        let names = self.names.iter().filter(|name| name.to_uppercase().starts_with(&upper)).cloned();
        (start, names.chain(words).collect())
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.of(&line[..position]))
    }
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_names_are_completed() {
        let words = Words { names: vec!["accounts".to_owned(), "selected".to_owned()] };
        assert_eq!(words.of("SELECT * FROM acc"), (14, vec!["accounts".to_owned()]));
        assert_eq!(words.of("sele"), (0, vec!["selected".to_owned(), "select".to_owned()]));
        assert_eq!(words.of("(COU"), (1, vec!["COUNT".to_owned()]));
        assert_eq!(words.of("\\ti"), (0, vec!["\\timing".to_owned()]));
        assert_eq!(words.of("ä s").0, 3);
        assert!(words.of("SELECT ").1.is_empty());
    }

    #[test]
    fn words_are_sorted_and_unlike() {
        assert!(WORDS.is_sorted_by(|one, next| one < next));
    }
}
