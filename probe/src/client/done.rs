//! What became of a transaction.

use annulus_check::history::Step;

/// The reason of a failure that the program asked for.
pub(crate) const UNEXPECTED: &str = "not what was expected";
/// Marks what no node may ever answer; never the reason of an honest failure.
pub(crate) const NONSENSE: &str = "nonsense: ";

/// What becomes of a transaction unless it succeeds.
pub(crate) type Attempt<T> = Result<T, Done>;

/// What became of a transaction, as far as the client knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Executed: the steps, with what the reads found.
    Ok(Vec<Step>),
    /// Certainly not executed, and why.
    Fail(String),
    /// Not known.
    Unknown(Doubt),
}

impl Done {
    /// The program's own expectation was not met.
    pub(crate) fn unexpected() -> Self {
        Self::Fail(UNEXPECTED.to_owned())
    }

    /// No node may ever answer this.
    pub(crate) fn absurd(what: impl std::fmt::Display) -> Self {
        Self::Fail(format!("{NONSENSE}{what}"))
    }

    /// What was wrong with an answer that no node may ever give.
    #[must_use]
    pub fn nonsense(&self) -> Option<&str> {
        match self {
            Self::Fail(why) => why.strip_prefix(NONSENSE),
            _ => None,
        }
    }

    /// The same; if it is not known, then by no name either.
    pub(crate) fn without_names(self) -> Self {
        match self {
            Self::Unknown(doubt) => Self::Unknown(Doubt { names: Vec::new(), ..doubt }),
            known => known,
        }
    }
}

/// What is known of a transaction whose answer was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What happened instead of an answer.
    pub why: String,
    /// Its token or id, or both: what its outcome can be asked by.
    pub names: Vec<String>,
    /// Its steps, with what its reads found if it was executed, where that is known.
    pub steps: Vec<Step>,
}
