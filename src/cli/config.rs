//! `annulus config`: is a configuration right, and what are the defaults?

use super::Outcome;
use super::flags::SettingFlags;
use crate::config::default_file;

/// Arguments of `annulus config`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Checks the configuration and prints the effective one, with where each value was given.
    #[arg(long, required_unless_present = "defaults", conflicts_with = "defaults")]
    check: bool,
    /// Prints a configuration file with every setting at its default, explained.
    #[arg(long)]
    defaults: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.defaults {
        print!("{}", default_file());
    } else {
        print!("{}", arguments.settings.load()?.effective());
    }
    Ok(())
}
