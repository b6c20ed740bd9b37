//! Answers to statements, and what is said instead of them.

use std::fmt;

use annulus_base::id::TxnRef;
use annulus_check::history::{Datum, Key};
use tokio_postgres::Error;

use crate::client::Done;
use crate::client::done::Attempt;

/// What a statement answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The rows, as text.
    pub rows: Vec<Vec<Option<String>>>,
    /// How many rows there are or were changed.
    pub count: u64,
}

impl Answer {
    /// The only value.
    pub fn value(&self) -> Option<String> {
        self.rows.first()?.first()?.clone()
    }

    /// The keys and what they hold: a number or the elements of a list, each followed by a comma.
    pub fn contents(&self) -> Attempt<Vec<(Key, Datum)>> {
        let nonsense = |row: &[Option<String>]| Done::absurd(format!("a row {row:?}"));
        let row = |row: &Vec<Option<String>>| match row.as_slice() {
            [Some(key), number, list] => {
                let key = key.parse().map_err(|_| nonsense(row))?;
                let datum = match (number, list) {
                    (Some(number), None) => number.parse().ok().map(Datum::Number),
                    (None, Some(list)) => elements(list).map(Datum::List),
                    _ => None,
                };
                Ok((key, datum.ok_or_else(|| nonsense(row))?))
            }
            row => Err(nonsense(row)),
        };
        self.rows.iter().map(row).collect()
    }
}

fn elements(list: &str) -> Option<Vec<i64>> {
    list.strip_suffix(',')?.split(',').map(|element| element.parse().ok()).collect()
}

/// When something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before anything was sent that can commit.
    Before,
    /// A commit was asked for, with a statement or by itself.
    Commit,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing is known of what was sent.
    Lost(&'static str),
    /// The node says why.
    Refused {
        /// The SQLSTATE.
        code: String,
        /// Message and hint.
        text: String,
    },
}

/// SQLSTATEs that say why nothing was done, and that any client must be ready for.
const HONEST: [&str; 13] = [
    "40001", "40003", "40P01", "53000", "53100", "53200", "53300", "54000", "55P03", "57014", "57P01", "57P03", "72000",
];

impl Trouble {
    /// What the driver says.
    pub fn of(error: &Error) -> Self {
        let Some(told) = error.as_db_error() else { return Self::Lost("connection lost") };
        let text = format!("{} {}", told.message(), told.hint().unwrap_or_default());
        Self::Refused { code: told.code().code().to_owned(), text: text.trim().to_owned() }
    }

    /// Whether the transaction may have been committed all the same.
    pub fn may_have_happened(&self, stage: Stage) -> bool {
        match self {
            Self::Lost(_) => stage == Stage::Commit,
            // A node that stops may have stopped in the middle of a commit.
            Self::Refused { code, .. } => code == "40003" || (code == "57P01" && stage == Stage::Commit),
        }
    }

    /// In short, to count by.
    pub fn reason(&self) -> String {
        match self {
            Self::Lost(why) => (*why).to_owned(),
            Self::Refused { code, .. } => format!("-{code}"),
        }
    }

    /// It was certainly not done.
    pub fn failure(&self) -> Done {
        match self {
            Self::Refused { code, text } if !HONEST.contains(&code.as_str()) => Done::absurd(format!("-{code} {text}")),
            _ => Done::Fail(self.reason()),
        }
    }

    /// The id of the transaction whose outcome is not known.
    pub fn id(&self) -> Option<String> {
        let Self::Refused { code, text } = self else { return None };
        let mut words = text.split([' ', '\'']).filter(|word| word.parse::<TxnRef>().is_ok());
        words.next().filter(|_| code == "40003").map(str::to_owned)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(why) => f.write_str(why),
            Self::Refused { code, text } => write!(f, "{code} {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "18a-1-2-3-18b-64-7";

    fn refused(code: &str, text: &str) -> Trouble {
        Trouble::Refused { code: code.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn only_what_may_have_happened_is_in_doubt() {
        let unknown = refused("40003", &format!("the outcome of transaction {ID} is not known yet Do not repeat it"));
        assert_eq!(unknown.id().as_deref(), Some(ID));
        assert!(unknown.may_have_happened(Stage::Commit));
        for code in ["40001", "57014", "57P03", "53300"] {
            let trouble = refused(code, "some reason");
            assert!(!trouble.may_have_happened(Stage::Commit) && trouble.id().is_none());
            assert_eq!(trouble.failure(), Done::Fail(format!("-{code}")));
        }
        for trouble in [Trouble::Lost("connection lost"), refused("57P01", "terminating connection")] {
            assert!(trouble.may_have_happened(Stage::Commit) && !trouble.may_have_happened(Stage::Before));
            assert!(trouble.failure().nonsense().is_none());
        }
        assert!(refused("XX000", "internal").failure().nonsense().is_some());
    }

    #[test]
    fn rows_are_keys_with_a_number_or_a_list() {
        let rows = |rows: &[[Option<&str>; 3]]| {
            let rows = rows.iter().map(|row| row.map(|value| value.map(str::to_owned)).to_vec()).collect();
            Answer { rows, count: 0 }.contents()
        };
        let good = rows(&[[Some("1"), Some("-7"), None], [Some("2"), None, Some("3,4,")]]);
        assert_eq!(good, Ok(vec![(1, Datum::Number(-7)), (2, Datum::List(vec![3, 4]))]));
        for bad in
            [[Some("1"), None, None], [Some("1"), Some("2"), Some("3,")], [Some("1"), None, Some("3")], [None; 3]]
        {
            assert!(rows(&[bad]).unwrap_err().nonsense().is_some(), "{bad:?}");
        }
    }
}
