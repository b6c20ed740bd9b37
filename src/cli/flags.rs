//! A flag for every setting, made from the table of settings.

use std::path::PathBuf;

use clap::error::Error;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::config::{ConfigError, FILE_VARIABLE, Inputs, Loaded, SETTINGS, Setting, load};

/// The settings given on the command line, and the file to read others from.
#[derive(Clone, Debug, Default)]
pub struct SettingFlags {
    file: Option<PathBuf>,
    flags: Vec<(&'static Setting, String)>,
}

impl SettingFlags {
    /// Reads the configuration from all its sources.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        load(&Inputs { file: self.file.clone(), environment: std::env::vars_os().collect(), flags: self.flags.clone() })
    }
}

const FILE: &str = "config";

fn flag(setting: &'static Setting) -> Arg {
    let help: Vec<&str> = setting.help.lines().map(str::trim).collect();
    let default = if setting.default.is_empty() { "empty" } else { setting.default };
    let allowed = (setting.allowed)();
    let arg = Arg::new(setting.key)
        .long(setting.flag())
        .value_name("VALUE")
        .help_heading(setting.group)
        .help(format!("{} [{default}]", help.join(" ")))
        .long_help(format!("{}\nDefault: {default}\nAllowed: {allowed}", help.join("\n")));
    // A switch may stand alone.
    if allowed == "true or false" { arg.num_args(0..=1).default_missing_value("true") } else { arg }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(FILE)
            .long(FILE)
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help(format!("A TOML file of settings; flags and the environment win over it [{FILE_VARIABLE}]"));
        command.arg(file).args(SETTINGS.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |setting: &'static Setting| Some((setting, matches.get_one::<String>(setting.key)?.clone()));
        Ok(Self { file: matches.get_one(FILE).cloned(), flags: SETTINGS.iter().filter_map(given).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
