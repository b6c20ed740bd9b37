//! What a run can be found guilty of.

use std::fmt;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A wrong answer.
    Safety(String),
    /// Something that should have ended did not.
    Progress(String),
    /// The code under test panicked.
    Crash(String),
}

impl Violation {
    /// The exit code of the program.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Safety(_) => 1,
            Self::Progress(_) => 2,
            Self::Crash(_) => 3,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, what) = match self {
            Self::Safety(what) => ("wrong answer", what),
            Self::Progress(what) => ("no progress", what),
            Self::Crash(what) => ("crash", what),
        };
        write!(f, "{kind}: {what}")
    }
}

/// Whether everything is as promised.
pub type Verdict = Result<(), Violation>;

/// A wrong answer.
///
/// # Errors
/// Always.
pub fn wrong(what: impl Into<String>) -> Verdict {
    Err(Violation::Safety(what.into()))
}
