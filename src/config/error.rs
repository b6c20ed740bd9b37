//! What can be wrong with a configuration, said so that it can be put right.

use std::fmt;
use std::path::PathBuf;

use super::settings::{SETTINGS, Setting};
use super::source::{Given, Origin};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("configuration file {}: {reason}; check the path given with --config", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{origin}: not valid TOML: {reason}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What the parser says.
        reason: String,
    },
    /// No setting has that name.
    #[error("{origin}: there is no setting '{key}'; {}", advice(key, known))]
    UnknownKey {
        /// Where.
        origin: Origin,
        /// What was written.
        key: String,
        /// All names that are possible there.
        known: Vec<String>,
    },
    /// A setting has a value that is not allowed.
    #[error("{origin}: {key} cannot be '{text}'; allowed: {allowed}")]
    NotAllowed {
        /// Where.
        origin: Origin,
        /// Which setting.
        key: String,
        /// What was written.
        text: String,
        /// What may be written.
        allowed: String,
    },
    /// Settings that do not go together.
    #[error("{origin}: {reason}")]
    Conflict {
        /// Where one of them was given.
        origin: Origin,
        /// What does not go together, and what to do.
        reason: String,
    },
}

impl Problem {
    pub(super) fn not_allowed(key: &str, given: &Given, allowed: String) -> Self {
        Self::NotAllowed { origin: given.origin.clone(), key: key.to_owned(), text: given.text.clone(), allowed }
    }

    /// A name in a file that is neither a setting's nor that of a list of entries.
    pub(super) fn unknown_in_file(origin: Origin, key: &str) -> Self {
        let known = SETTINGS.iter().map(|setting| setting.key).chain(["[[namespace]]"]);
        Self::UnknownKey { origin, key: key.to_owned(), known: known.map(str::to_owned).collect() }
    }

    /// A name that is no setting's, where `name` says how settings are written there.
    pub(super) fn unknown(origin: Origin, key: &str, name: impl Fn(&Setting) -> String) -> Self {
        Self::UnknownKey { origin, key: key.to_owned(), known: SETTINGS.iter().map(name).collect() }
    }
}

/// The most similar known name, or all of them.
fn advice(key: &str, known: &[String]) -> String {
    let shared = |name: &&String| {
        let plain = name.trim_start_matches('[');
        plain.bytes().zip(key.bytes()).take_while(|(a, b)| a == b).count()
    };
    let longest = known.iter().map(|name| shared(&name)).max().unwrap_or(0);
    let similar: Vec<&str> = known.iter().filter(|name| shared(name) == longest).map(String::as_str).collect();
    let common = known.first().map_or(0, |first| {
        (0..first.len())
            .take_while(|at| known.iter().all(|name| name.as_bytes().get(*at) == first.as_bytes().get(*at)))
            .count()
    });
    if longest > common + 2 {
        format!("did you mean {}?", similar.join(" or "))
    } else {
        format!("possible are {}", known.join(", "))
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one problem.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            let end = if n == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}
