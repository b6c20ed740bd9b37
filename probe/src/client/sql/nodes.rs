//! PostgreSQL's connection strings: which nodes, and as whom.

use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Whoever is not named connects as this user.
const USER: &str = "annulus";
/// The database that is there from the start.
const DATABASE: &str = "annulus";
/// Where PostgreSQL listens.
const PORT: u16 = 5432;

/// The nodes of a cluster, and as whom to connect to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// Each as HOST:PORT.
    pub addresses: Vec<String>,
    user: String,
    database: String,
    schema: Option<String>,
}

/// Why a text names no nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoNodes {
    /// It is no connection string.
    #[error("not a connection string ({0}); write postgres://HOST:PORT,HOST:PORT/DATABASE")]
    Malformed(String),
    /// It names no host, or a socket in the file system.
    #[error("a host is missing; write postgres://HOST:PORT,HOST:PORT/DATABASE")]
    NoHost,
    /// There must be one port, or as many as hosts.
    #[error("{hosts} hosts and {ports} ports; give each host its port, as HOST:PORT")]
    Ports {
        /// How many hosts.
        hosts: usize,
        /// How many ports.
        ports: usize,
    },
    /// It asks for what nodes do not offer.
    #[error("nodes do not encrypt connections; leave sslmode out")]
    Encryption,
}

impl Nodes {
    /// Those at HOST:PORT each, as the user and with the database that are there from the start.
    #[must_use]
    pub fn at(addresses: Vec<String>) -> Self {
        Self { addresses, user: USER.to_owned(), database: DATABASE.to_owned(), schema: None }
    }

    /// The same, in another database, with names of tables looked up in that schema.
    #[must_use]
    pub fn within(&self, database: &str, schema: &str) -> Self {
        Self { database: database.to_owned(), schema: Some(schema.to_owned()), ..self.clone() }
    }

    /// A connection string for each of them.
    #[must_use]
    pub fn strings(&self) -> Vec<String> {
        self.addresses.iter().map(|address| self.string(address)).collect()
    }

    fn string(&self, address: &str) -> String {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        let host = host.trim_matches(['[', ']']);
        let path = self.schema.as_ref().map_or_else(String::new, |schema| format!("-c search_path={schema}"));
        let all = [
            ("host", host),
            ("port", port),
            ("user", self.user.as_str()),
            ("dbname", &self.database),
            ("options", &path),
        ];
        all.map(|(key, value)| format!("{key}={}", quoted(value))).join(" ")
    }
}

impl FromStr for Nodes {
    type Err = NoNodes;

    /// Reads what libpq reads. Parameters that say neither where nor as whom are passed over.
    fn from_str(text: &str) -> Result<Self, NoNodes> {
        let config: Config = text.parse().map_err(|error| NoNodes::Malformed(super::connection::told(&error)))?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(NoNodes::Encryption);
        }
        let hosts: Option<Vec<&str>> = config.get_hosts().iter().map(name).collect();
        let hosts = hosts.filter(|hosts| !hosts.is_empty()).ok_or(NoNodes::NoHost)?;
        let ports = match config.get_ports() {
            [] => vec![PORT; hosts.len()],
            [port] => vec![*port; hosts.len()],
            ports => ports.to_vec(),
        };
        if ports.len() != hosts.len() {
            return Err(NoNodes::Ports { hosts: hosts.len(), ports: ports.len() });
        }
        let addresses = hosts.into_iter().zip(ports).map(|(host, port)| address(host, port)).collect();
        let user = config.get_user().unwrap_or(USER).to_owned();
        let database = config.get_dbname().unwrap_or(DATABASE).to_owned();
        Ok(Self { addresses, user, database, schema: None })
    }
}

/// A host with a name or number.
fn name(host: &Host) -> Option<&str> {
    match host {
        Host::Tcp(name) => Some(name).filter(|name| !name.is_empty()).map(String::as_str),
        #[cfg(unix)]
        Host::Unix(_) => None,
    }
}

fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A value of a connection string.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(text: &str) -> Result<Nodes, NoNodes> {
        text.parse()
    }

    #[test]
    fn all_hosts_are_found_with_their_ports() {
        let all = nodes("postgres://me@n1:7201,n2:7202,[::1]:7203/shop").unwrap();
        assert_eq!(all.addresses, ["n1:7201", "n2:7202", "[::1]:7203"]);
        assert_eq!(all.strings()[2], "host='::1' port='7203' user='me' dbname='shop' options=''");
        assert_eq!(nodes("postgresql://n1:7201").unwrap(), Nodes::at(vec!["n1:7201".to_owned()]));
        assert_eq!(nodes("postgres://n1,n2/annulus").unwrap().addresses, ["n1:5432", "n2:5432"]);
        assert_eq!(nodes("host=n1,n2 port=7201").unwrap().addresses, ["n1:7201", "n2:7201"]);
    }

    #[test]
    fn what_names_no_node_is_told() {
        assert!(matches!(nodes("postgres://n1:x/annulus"), Err(NoNodes::Malformed(_))));
        assert!(
            matches!(nodes("postgres://n1:1?nonsense=1"), Err(NoNodes::Malformed(why)) if why.contains("nonsense"))
        );
        for text in ["postgres:///annulus", "postgres://%2Ftmp/annulus", "dbname=annulus"] {
            assert_eq!(nodes(text), Err(NoNodes::NoHost), "{text}");
        }
        assert_eq!(nodes("host=a,b,c port=1,2"), Err(NoNodes::Ports { hosts: 3, ports: 2 }));
        assert_eq!(nodes("postgres://n1:1/annulus?sslmode=require"), Err(NoNodes::Encryption));
    }

    #[test]
    fn a_string_is_read_as_it_was_meant() {
        let odd = nodes("postgres://o'brien%5C@n1:1/it's").unwrap().within("a'b", "s1");
        let config: Config = odd.strings()[0].parse().unwrap();
        assert_eq!(config.get_user(), Some("o'brien\\"));
        assert_eq!((config.get_dbname(), config.get_options()), (Some("a'b"), Some("-c search_path=s1")));
    }
}
