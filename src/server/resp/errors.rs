//! What clients are told when something fails: one table from [`TxnError`] to the error codes of the
//! Redis protocol, and the errors of the commands themselves.
//!
//! | code | meaning | what to do |
//! | --- | --- | --- |
//! | `TRYAGAIN` | lost against concurrent transactions until the timeout; not executed | retry |
//! | `BUSY` | overloaded or stopping; not executed | retry later, or on another node |
//! | `UNAVAILABLE` | no majority of a replica ring answers; not executed | retry later |
//! | `UNKNOWN` | the outcome was not learned in time, or is too large to be told; the id is the last word | `ANNULUS.OUTCOME <id>`, then decide |
//! | `LIMIT` | a documented limit; not executed | change the request |
//! | `DONE` | the token of this write was used already; not executed | nothing: it is done |
//! | `ABORTED` | somebody asked for this token's outcome before it was known; not executed, never will be | retry with a new token |
//! | `ERR`, `EXECABORT`, ... | as in Redis; not executed | correct the request |

use std::borrow::Cow;

use annulus_base::ErrorClass;
use annulus_txn::interface::TxnError;

use super::protocol::Reply;

/// Why a command failed: the text of its error reply, code first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub Cow<'static, str>);

/// A command's answer, or why there is none.
pub type Answer = Result<Reply, Failure>;

/// Options that contradict each other or are unknown.
pub const SYNTAX: Failure = Failure::fixed("ERR syntax error");
/// Not a 64-bit integer.
pub const NOT_AN_INTEGER: Failure = Failure::fixed("ERR value is not an integer or out of range");
/// Not a number.
pub const NOT_A_FLOAT: Failure = Failure::fixed("ERR value is not a valid float");

impl Failure {
    /// A fixed text.
    #[must_use]
    pub const fn fixed(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// A text made for the occasion.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(Cow::Owned(text))
    }

    /// The wrong number of arguments for a command (`name|subcommand`).
    #[must_use]
    pub fn arity(command: &str) -> Self {
        Self::new(format!("ERR wrong number of arguments for '{command}' command"))
    }

    /// Whether a limit was exceeded.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.0.starts_with("LIMIT ")
    }

    /// A limit was exceeded.
    #[must_use]
    pub fn limit(what: impl std::fmt::Display) -> Self {
        Self::new(format!("LIMIT {what}"))
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Self::Error(failure.0)
    }
}

impl From<TxnError> for Failure {
    fn from(error: TxnError) -> Self {
        if let TxnError::Unknown(txn) = error {
            return Self::new(format!(
                "UNKNOWN the outcome of this transaction is not known yet; ask with ANNULUS.OUTCOME before retrying: {txn}"
            ));
        }
        let code = match (&error, error.class()) {
            (TxnError::Overloaded, _) => "BUSY",
            (_, ErrorClass::Retry) => "TRYAGAIN",
            (_, ErrorClass::Unavailable) => "UNAVAILABLE",
            (_, ErrorClass::Unknown) => "UNKNOWN",
            (_, ErrorClass::Limit) => "LIMIT",
            (_, ErrorClass::Denied) => "NOPERM",
            (_, ErrorClass::Invalid | ErrorClass::Halt) => "ERR",
        };
        Self::new(format!("{code} {error}"))
    }
}
