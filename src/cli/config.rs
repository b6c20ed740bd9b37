//! `annulus config`: is a configuration right, and what are the defaults?

use super::flags::SettingFlags;
use super::{Outcome, print};
use crate::config::{ConfigError, Loaded, default_file};

/// Arguments of `annulus config`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub struct Arguments {
    /// Checks the configuration and prints the effective one, with where each value was given.
    #[arg(long, group = "what")]
    check: bool,
    /// Prints a configuration file with every setting at its default, explained.
    #[arg(long, group = "what")]
    defaults: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Arguments {
    /// The configuration to check.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        self.settings.load()
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.defaults { print(&default_file()) } else { print(&arguments.load()?.effective()) }
}
