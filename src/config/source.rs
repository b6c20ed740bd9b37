//! Where settings come from: defaults, a file, the environment, flags. Each delivers text with its origin.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::namespace::{self, NamespaceEntry};
use super::settings::{SETTINGS, Setting};

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In a file, at a line counted from 1.
    File(PathBuf, usize),
    /// In an environment variable.
    Environment(String),
    /// By a flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// What was written.
    pub text: String,
    /// Where.
    pub origin: Origin,
}

/// All that was given, the strongest source winning.
pub(super) struct Sources {
    pub settings: BTreeMap<&'static str, Given>,
    pub namespaces: Vec<NamespaceEntry>,
    pub problems: Vec<Problem>,
}

impl Sources {
    /// Every setting at its default.
    pub fn defaults() -> Self {
        let given = |setting: &Setting| Given { text: setting.default.to_owned(), origin: Origin::Default };
        let settings = SETTINGS.iter().map(|setting| (setting.key, given(setting))).collect();
        Self { settings, namespaces: Vec::new(), problems: Vec::new() }
    }

    fn put(&mut self, setting: &'static Setting, text: String, origin: Origin) {
        self.settings.insert(setting.key, Given { text, origin });
    }

    /// What a TOML file says.
    pub fn add_file(&mut self, path: &Path) {
        match std::fs::read_to_string(path) {
            Ok(text) => self.add_toml(path, &text),
            Err(error) => {
                self.problems.push(Problem::Unreadable { path: path.to_owned(), reason: error.to_string() });
            }
        }
    }

    /// What a TOML text says that stands at `path`.
    pub fn add_toml(&mut self, path: &Path, text: &str) {
        let place = |offset| Origin::File(path.to_owned(), line_of(text, offset));
        let table = match DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let origin = place(error.span().map_or(0, |span| span.start));
                self.problems.push(Problem::Syntax { origin, reason: error.message().to_owned() });
                return;
            }
        };
        for (key, value) in &table {
            let name: &str = key.get_ref();
            let origin = place(key.span().start);
            if name == "namespace" {
                self.namespaces.extend(namespace::entries(value, &place, &mut self.problems));
            } else if let Some(setting) = Setting::find(name) {
                match text_of(value) {
                    Some(text) => self.put(setting, text, origin),
                    None => self.problems.push(wrong_type(setting.key, value, origin, (setting.allowed)())),
                }
            } else {
                self.problems.push(Problem::unknown_in_file(origin, name));
            }
        }
    }

    /// What the environment says: every variable `ANNULUS_*`.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with("ANNULUS_") && *name != FILE_VARIABLE) else {
                continue;
            };
            let origin = Origin::Environment(name.to_owned());
            match SETTINGS.iter().find(|setting| setting.variable() == name) {
                Some(setting) => self.put(setting, value.to_string_lossy().into_owned(), origin),
                None => self.problems.push(Problem::unknown(origin, name, Setting::variable)),
            }
        }
    }

    /// What the command line says, by the settings' names.
    pub fn add_flags(&mut self, flags: &[(&'static Setting, String)]) {
        for (setting, text) in flags {
            self.put(setting, text.clone(), Origin::Flag(setting.flag()));
        }
    }
}

/// The environment variable that names the configuration file.
pub const FILE_VARIABLE: &str = "ANNULUS_CONFIG";

/// The line, counted from 1, that a byte of a text lies in.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// A TOML value as the text that a flag would have; a list becomes comma-separated.
pub(super) fn text_of(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> =
                items.iter().map(|item| Some(item.get_ref().as_str()?.to_owned())).collect();
            Some(items?.join(","))
        }
        _ => None,
    }
}

pub(super) fn wrong_type(key: &str, value: &Spanned<DeValue<'_>>, origin: Origin, allowed: String) -> Problem {
    let text = format!("a TOML {}", value.get_ref().type_str());
    Problem::NotAllowed { origin, key: key.to_owned(), text, allowed }
}
