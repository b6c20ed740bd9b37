//! The table of all settings: name, meaning, kind and default, each said once.
//!
//! The struct, the command line's flags, the default file and the user guide's page all come from it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use annulus_ring::Namespace;

use super::error::Problem;
use super::source::Given;
use super::value::{Engine, HostPort, LogFormat, LogLevel, Name, Number, ReplicationFactor, Size, Value};

/// What is known about one setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The heading it stands under.
    pub group: &'static str,
    /// Its name in a file; with dashes as a flag, in capitals and with `ANNULUS_` before it in the environment.
    pub key: &'static str,
    /// What it means, one line of text per line.
    pub help: &'static str,
    /// The default, as text.
    pub default: &'static str,
    /// What may be written.
    pub allowed: fn() -> String,
    /// Whether the value stands in a TOML file without quotes.
    pub bare: bool,
}

impl Setting {
    /// The setting of that name.
    #[must_use]
    pub fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// Its flag, without the leading dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// Its environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("ANNULUS_{}", self.key.to_uppercase())
    }

    /// A value as it stands in a TOML file.
    #[must_use]
    pub fn toml(&self, text: &str) -> String {
        if self.bare { text.to_owned() } else { toml::Value::from(text).to_string() }
    }
}

/// Takes typed values out of texts and collects what is wrong.
struct Reader<'a> {
    given: &'a BTreeMap<&'static str, Given>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn read<T: Value>(&mut self, key: &'static str) -> Option<T> {
        let given = self.given.get(key)?;
        let value = T::parse(&given.text);
        if value.is_none() {
            self.problems.push(Problem::not_allowed(key, given, T::allowed()));
        }
        value
    }
}

macro_rules! settings {
    ($( $group:literal { $( $(#[doc = $doc:literal])+ $key:ident: $kind:ty = $default:literal; )+ } )+) => {
        /// A node's settings, complete and valid.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $($( $(#[doc = $doc])+ pub $key: $kind, )+)+
            /// All namespaces of the first topology, by id: the built-in ones and those of the file.
            pub namespaces: Vec<Namespace>,
        }

        /// All settings, in the order of the user guide.
        pub const SETTINGS: &[Setting] = &[$($(
            Setting {
                group: $group,
                key: stringify!($key),
                help: concat!($($doc, "\n"),+),
                default: $default,
                allowed: <$kind as Value>::allowed,
                bare: <$kind as Value>::BARE,
            },
        )+)+];

        impl Config {
            /// The settings as given, without namespaces. `None` if there were problems.
            pub(super) fn read(given: &BTreeMap<&'static str, Given>, problems: &mut Vec<Problem>) -> Option<Self> {
                let mut reader = Reader { given, problems };
                $($( let $key = reader.read::<$kind>(stringify!($key)); )+)+
                Some(Self { $($( $key: $key?, )+)+ namespaces: Vec::new() })
            }

            /// Every setting's name and value as text, in the order of [`SETTINGS`].
            #[must_use]
            pub fn texts(&self) -> Vec<(&'static str, String)> {
                vec![$($( (stringify!($key), self.$key.print()), )+)+]
            }
        }
    };
}

settings! {
    "Node" {
        /// The directory that holds the vote log and the storage engine. One node at a time uses it.
        data_dir: PathBuf = "annulus-data";
        /// The node's name in logs and status. Empty: the address that its peers reach it at.
        node_name: Option<Name> = "";
        /// The failure zone it stands in. The replicas of a partition are spread over zones where there are enough.
        zone: Name = "default";
        /// Its share of the data relative to the other nodes; 100 is normal, and fair from 50 on.
        weight: Number<10, 100000> = "100";
    }
    "Addresses" {
        /// Where peers connect. Ports listen on loopback only, unless `insecure` is set.
        listen_peer: SocketAddr = "127.0.0.1:7400";
        /// Where key-value clients connect. The port is Redis' own, so that every Redis client finds it without options.
        listen_kv: SocketAddr = "127.0.0.1:6379";
        /// Where SQL clients connect. The port is PostgreSQL's own, so that every PostgreSQL client finds it without options.
        listen_sql: SocketAddr = "127.0.0.1:5432";
        /// Where health, metrics and status are served over HTTP.
        listen_http: SocketAddr = "127.0.0.1:7480";
        /// The address that peers are told to connect to. Empty: `listen_peer`.
        advertise_peer: Option<HostPort> = "";
        /// The address that key-value clients are told. Empty: `listen_kv`.
        advertise_kv: Option<HostPort> = "";
        /// The address that SQL clients are told. Empty: `listen_sql`.
        advertise_sql: Option<HostPort> = "";
        /// The address that HTTP clients are told. Empty: `listen_http`.
        advertise_http: Option<HostPort> = "";
        /// Allows listening on addresses that other machines reach, although connections are neither encrypted nor
        /// authenticated yet: transport security comes later.
        insecure: bool = "false";
    }
    "Cluster" {
        /// The peer addresses of all nodes that form the cluster at its first start, this node's included; the same
        /// list on each of them. Empty: a cluster of this one node, for trying out. Later starts ignore it.
        initial_members: Vec<HostPort> = "";
        /// Kept for joining a running cluster, which is not possible yet.
        join: Vec<HostPort> = "";
        /// How many nodes hold each partition, of SQL databases too. A namespace, or `CREATE DATABASE`, may say
        /// otherwise. A cluster of one node has one replica. Fixed when the cluster first forms.
        replication_factor: ReplicationFactor = "3";
        /// Into how many hash slots each key-value database is cut. A namespace may say otherwise.
        kv_slots: Number<1, 4095> = "256";
    }
    "Storage" {
        /// The storage engine: `fjall`, `sled` or `memory`. Fixed at the first start in a data directory.
        engine: Engine = "fjall";
        /// Memory for the engine's cache; a quarter of it comes on top for the newest versions of keys.
        cache_size: Size = "256 MiB";
        /// Size of one file of the vote log.
        log_segment_size: Size = "64 MiB";
        /// The engine is synced and the vote log trimmed at least this often.
        checkpoint_interval: Duration = "5 min";
        /// The engine is synced and the vote log trimmed when the log has grown by this much.
        checkpoint_bytes: Size = "256 MiB";
        /// How long overwritten versions are kept for reads of the past.
        history: Duration = "10 min";
    }
    "Transactions" {
        /// Timestamps further ahead of this node's clock are refused. Affects progress, never correctness.
        max_clock_drift: Duration = "500 ms";
        /// How long a prepared lock waits for its decision before anyone held up by it recovers the transaction.
        lock_timeout: Duration = "1 s";
        /// How long a lock lasts that was granted before a transaction is prepared.
        soft_lock_lease: Duration = "5 s";
        /// How long a client's request is tried, retries included, before it is answered with an error.
        request_timeout: Duration = "5 s";
        /// How long the outcome of a transaction can be asked for at least.
        outcome_retention: Duration = "60 s";
    }
    "Limits" {
        /// Most key-value clients connected at once; more are refused with an error. Fewer where the system's limit on
        /// open files leaves no room for so many.
        max_clients: Number<1, 1000000> = "10000";
        /// Most SQL clients connected at once; more are refused with an error.
        max_sql_clients: Number<1, 100000> = "1000";
        /// Most memory for one client's unfinished request, queued transaction and unsent replies. What would take more
        /// is refused with an error.
        max_client_memory: Size = "128 MiB";
        /// Memory for all SQL queries together that sort, join or group. What would take more spills to disk, or fails alone.
        /// A quarter of it keeps columns of tables that were read before.
        query_memory: Size = "512 MiB";
        /// Most client requests at work at once; more are refused as overload.
        max_requests: Number<1, 10000000> = "10000";
        /// Most HTTP connections at once; more wait.
        max_http_clients: Number<1, 10000> = "64";
        /// How long a node that was told to stop waits for requests under way.
        drain_timeout: Duration = "10 s";
    }
    "Logs" {
        /// Which log lines are written to standard error.
        log_level: LogLevel = "info";
        /// The form of log lines: `text` or `json`.
        log_format: LogFormat = "text";
        /// SQL statements that take longer are logged, with their text.
        slow_statement: Duration = "1 s";
    }
}
