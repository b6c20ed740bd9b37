//! Configuration: defaults, then a file, then the environment, then flags, each stronger than the one before.
//!
//! Promises:
//! - A [`Config`] that exists is complete and valid; everything wrong is reported at once, each problem with
//!   its place and what is allowed.
//! - Unknown names are errors, never ignored.
//! - Ports listen on loopback only, unless `insecure` is set.

mod error;
mod listen;
mod namespace;
mod page;
mod rules;
mod settings;
mod source;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use annulus_base::time::Micros;
use annulus_ring::bootstrap;
use annulus_txn::member;

pub use error::{ConfigError, Problem};
pub use listen::{ListenError, listen};
pub use namespace::KV_DATABASES;
pub use page::{default_file, markdown};
pub use settings::{Config, SETTINGS, Setting};
pub use source::{FILE_VARIABLE, Given, Origin};
pub use value::{Engine, HostPort, LogFormat, LogLevel, Name, Number, ReplicationFactor, Size, Value};

use source::Sources;

/// A configuration, and where each of its values was given.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Where each was given, by name.
    pub origins: BTreeMap<&'static str, Origin>,
}

/// What stands outside the file.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The file named by the command line.
    pub file: Option<PathBuf>,
    /// The process's environment; variables that do not begin with `ANNULUS_` are ignored.
    pub environment: Vec<(OsString, OsString)>,
    /// The flags of the command line.
    pub flags: Vec<(&'static Setting, String)>,
}

/// Reads the text of a configuration file, without anything else.
///
/// # Errors
/// Everything that is wrong with it, at once.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_text(text: &str) -> Result<Loaded, ConfigError> {
    let mut sources = Sources::defaults();
    sources.add_toml(std::path::Path::new("annulus.toml"), text);
    read(sources)
}

/// Reads the configuration.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(inputs: &Inputs) -> Result<Loaded, ConfigError> {
    let mut sources = Sources::defaults();
    let named =
        || inputs.environment.iter().find(|(name, _)| name == FILE_VARIABLE).map(|(_, path)| PathBuf::from(path));
    if let Some(path) = inputs.file.clone().or_else(named) {
        sources.add_file(&path);
    }
    sources.add_environment(inputs.environment.iter().cloned());
    sources.add_flags(&inputs.flags);
    read(sources)
}

/// What all sources say together.
fn read(sources: Sources) -> Result<Loaded, ConfigError> {
    let Sources { settings, namespaces, mut problems } = sources;
    let config = Config::read(&settings, &mut problems).map(|mut config| {
        config.namespaces = namespace::all(&config, &namespaces, &mut problems);
        rules::check(&config, &settings, &mut problems);
        config
    });
    match config {
        Some(config) if problems.is_empty() => {
            let origins = settings.into_iter().map(|(key, given)| (key, given.origin)).collect();
            Ok(Loaded { config, origins })
        }
        _ => Err(ConfigError { problems }),
    }
}

impl Config {
    /// The address that peers are told.
    #[must_use]
    pub fn peer_address(&self) -> HostPort {
        self.advertise_peer.clone().unwrap_or_else(|| self.listen_peer.into())
    }

    /// The address that key-value clients are told.
    #[must_use]
    pub fn kv_address(&self) -> HostPort {
        self.advertise_kv.clone().unwrap_or_else(|| self.listen_kv.into())
    }

    /// The address that SQL clients are told.
    #[must_use]
    pub fn sql_address(&self) -> HostPort {
        self.advertise_sql.clone().unwrap_or_else(|| self.listen_sql.into())
    }

    /// The address that HTTP clients are told.
    #[must_use]
    pub fn http_address(&self) -> HostPort {
        self.advertise_http.clone().unwrap_or_else(|| self.listen_http.into())
    }

    /// The name in logs and status.
    #[must_use]
    pub fn name(&self) -> String {
        self.node_name.as_ref().map_or_else(|| self.peer_address().to_string(), ToString::to_string)
    }

    /// The peer addresses that form the cluster: this node alone if none are configured.
    #[must_use]
    pub fn members(&self) -> Vec<HostPort> {
        if self.initial_members.is_empty() { vec![self.peer_address()] } else { self.initial_members.clone() }
    }

    /// What this node brings to the forming of its cluster.
    #[must_use]
    pub fn bootstrap(&self) -> bootstrap::Settings {
        bootstrap::Settings {
            address: self.peer_address().to_string(),
            weight: u32::try_from(self.weight.get()).unwrap_or(u32::MAX),
            zone: self.zone.to_string(),
            initial_members: self.members().iter().map(ToString::to_string).collect(),
            namespaces: self.namespaces.clone(),
        }
    }

    /// The settings of the protocol.
    #[must_use]
    pub fn protocol(&self) -> member::Settings {
        let micros = |duration: std::time::Duration| Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX);
        member::Settings {
            max_clock_drift: micros(self.max_clock_drift),
            lock_timeout: micros(self.lock_timeout),
            soft_lock_lease: micros(self.soft_lock_lease),
            history: micros(self.history),
            outcome_retention: micros(self.outcome_retention),
            max_requests: self.max_requests.count(),
            ..member::Settings::default()
        }
    }
}

#[cfg(test)]
mod tests;
