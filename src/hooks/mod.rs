//! Test hooks: faults that a node's surroundings cannot cause, such as a wrong clock.
//!
//! Off unless the node is started with `--test-hooks DIR`, which no help shows. A node with hooks says so in its log. What
//! they do is told by files in DIR that may come, change and go while it runs; see `docs/internals/test-hooks.md`.
//!
//! Promises:
//! - Without the switch nothing here has any effect, and no file is ever looked for.
//! - With the feature `mutations` alone one rule of the protocol can be taken out (`--test-mutation NAME`); a build without
//!   it has no code for that, and refuses the flag.

mod sync;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use annulus_base::mutation::Mutations;

use crate::node::{Clock, ClockError};
use crate::storage::files::{Directory, OsDirectory};

/// How the clock is wrong: two numbers, milliseconds ahead and parts per million too fast.
const CLOCK: &str = "clock";
/// As long as it is there, syncs fail.
const FAIL_SYNC: &str = "fail-sync";
/// Pause between two looks at the clock's file.
const LOOK: Duration = Duration::from_millis(10);

/// Why hooks are refused.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// There is no such directory.
    #[error("--test-hooks: {0} is not a directory")]
    Directory(PathBuf),
    /// No rule has that name.
    #[error("--test-mutation: no rule is named '{0}'; `cargo xtask sim --list` shows all")]
    Mutation(String),
    /// There is no code for it.
    #[error("--test-mutation: rules can be taken out only of a program built with the feature 'mutations'")]
    NoMutations,
}

/// The hooks of one node.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    directory: Option<PathBuf>,
    /// The rules taken out.
    pub mutations: Mutations,
}

impl Hooks {
    /// The hooks of a directory, and one rule taken out.
    ///
    /// # Errors
    /// [`HookError`].
    pub fn new(directory: Option<PathBuf>, mutation: Option<&str>) -> Result<Self, HookError> {
        if let Some(missing) = directory.as_ref().filter(|directory| !directory.is_dir()) {
            return Err(HookError::Directory(missing.clone()));
        }
        let mutations = mutation.map_or(Ok(Mutations::NONE), mutations)?;
        if let Some(directory) = &directory {
            tracing::warn!(directory = %directory.display(), "test hooks are on: this node can be made to fail");
        }
        if let Some(mutation) = mutation {
            tracing::warn!(mutation, "a rule of the protocol is taken out: this node gives wrong answers");
        }
        Ok(Self { directory, mutations })
    }

    /// The node's clock: wrong from the start, if it is to be.
    #[must_use]
    pub fn clock(&self) -> Clock {
        if self.directory.is_some() { Clock::start_wrong(self.clock_error()) } else { Clock::start() }
    }

    /// Sets the clock wrong whenever its file changes. Never ends; ends at once without hooks.
    pub async fn follow(self, clock: Clock) {
        let mut error = self.clock_error();
        while self.directory.is_some() {
            let new = self.clock_error();
            if new != error {
                error = new;
                tracing::warn!(?error, "the clock is set wrong");
                clock.set_wrong(error);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A directory whose syncs fail when they are to.
    #[must_use]
    pub fn directory(&self, real: OsDirectory) -> Arc<dyn Directory> {
        match &self.directory {
            Some(hooks) => Arc::new(sync::Directory::new(real, hooks.join(FAIL_SYNC))),
            None => Arc::new(real),
        }
    }

    /// A file that is missing or cannot be understood means a clock that is right.
    fn clock_error(&self) -> ClockError {
        let file = self.directory.as_ref().map(|directory| directory.join(CLOCK));
        let text = file.and_then(|file| std::fs::read_to_string(file).ok());
        text.and_then(|text| parse(&text)).unwrap_or_default()
    }
}

/// Milliseconds ahead, then parts per million too fast.
fn parse(text: &str) -> Option<ClockError> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<i64>);
    let (ahead, fast) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    numbers.next().is_none().then(|| ClockError::new(ahead, fast))
}

#[cfg(feature = "mutations")]
fn mutations(name: &str) -> Result<Mutations, HookError> {
    use annulus_base::mutation::Mutation;
    Mutation::named(name).map(Mutations::only).ok_or_else(|| HookError::Mutation(name.to_owned()))
}

#[cfg(not(feature = "mutations"))]
fn mutations(_: &str) -> Result<Mutations, HookError> {
    Err(HookError::NoMutations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_file_is_read_and_nonsense_is_a_clock_that_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let hooks = Hooks::new(Some(dir.path().to_owned()), None).unwrap();
        assert_eq!(hooks.clock_error(), ClockError::default());
        for (text, expected) in [
            ("-1500 200\n", ClockError::new(-1500, 200)),
            ("1 2 3", ClockError::default()),
            ("x 1", ClockError::default()),
            ("1", ClockError::default()),
        ] {
            std::fs::write(dir.path().join(CLOCK), text).unwrap();
            assert_eq!(hooks.clock_error(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let missing = Hooks::new(Some("/nowhere/at/all".into()), None).unwrap_err();
        assert!(missing.to_string().contains("not a directory"));
        assert!(Hooks::new(None, Some("NoSuchRule")).is_err());
        assert_eq!(Hooks::new(None, Some("VoteBeforeSync")).is_ok(), cfg!(feature = "mutations"));
    }
}
