//! What `--against` names: the nodes of a cluster, and the protocol to speak to them.

use std::fmt;

use annulus_check::workload::Kind;
use annulus_probe::client::resp::Session;
use annulus_probe::client::sql::{Connection, NoNodes, Nodes, NotConnected};

/// What is done if nothing else is asked for.
const USUAL: [Kind; 5] = [Kind::Register, Kind::ListAppend, Kind::Bank, Kind::WriteSkew, Kind::LongFork];
/// The same in SQL, where there are constraints.
const USUAL_IN_SQL: [Kind; 6] =
    [Kind::Register, Kind::ListAppend, Kind::Bank, Kind::WriteSkew, Kind::LongFork, Kind::ForeignKeys];
/// How addresses are written.
const FORMS: &str = "write HOST:PORT,HOST:PORT for the Redis protocol, such as 127.0.0.1:6379, \
                     or postgres://HOST:PORT,HOST:PORT/DATABASE for the PostgreSQL protocol";

/// The nodes of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Where they speak the Redis protocol, each as HOST:PORT.
    Resp(Vec<String>),
    /// Where they speak the PostgreSQL protocol.
    Sql(Nodes),
}

impl Target {
    /// Reads what a user has written.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            None => addresses(text).map(Self::Resp),
            Some(("redis", rest)) => {
                addresses(rest.strip_suffix("/0").unwrap_or(rest).trim_end_matches('/')).map(Self::Resp)
            }
            Some(("postgres" | "postgresql", _)) => text.parse().map(Self::Sql).map_err(|why: NoNodes| why.to_string()),
            Some((scheme, _)) => Err(format!("{scheme}:// is not spoken by nodes; {FORMS}")),
        }
    }

    /// The nodes, each as HOST:PORT.
    pub fn nodes(&self) -> &[String] {
        match self {
            Self::Resp(addresses) => addresses,
            Self::Sql(nodes) => &nodes.addresses,
        }
    }

    /// The workloads that show most over this protocol.
    pub const fn usual(&self) -> &'static [Kind] {
        match self {
            Self::Resp(_) => &USUAL,
            Self::Sql(_) => &USUAL_IN_SQL,
        }
    }

    /// Somebody who is not there, or no node of Annulus, is told apart before anything is done.
    pub fn greet(&self) -> Result<(), String> {
        match self {
            Self::Resp(addresses) => addresses.iter().try_for_each(|address| greet_resp(address)),
            Self::Sql(nodes) => nodes
                .addresses
                .iter()
                .zip(nodes.strings())
                .try_for_each(|(address, string)| greet_sql(address, &string)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.nodes().join(","))
    }
}

fn greet_resp(address: &str) -> Result<(), String> {
    match Session::connect(address).map(|mut session| session.greet()) {
        Ok(Ok(())) => Ok(()),
        _ if speaks_sql(address) => Err(format!(
            "{address} speaks the PostgreSQL protocol: write postgres://{address}/annulus, or name the key-value ports"
        )),
        Ok(Err(why)) => Err(stranger(address, &why)),
        Err(error) => Err(absent(address, &error.to_string(), "key-value")),
    }
}

fn greet_sql(address: &str, string: &str) -> Result<(), String> {
    match Connection::open(string).map(|mut node| node.greet()) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => Err(stranger(address, &why)),
        Err(NotConnected::Refused(why)) => Err(format!("{address} does not accept the connection: {why}")),
        Err(_) if speaks_resp(address) => {
            Err(format!("{address} speaks the Redis protocol: write redis://{address}, or name the SQL ports"))
        }
        Err(NotConnected::Absent(why)) => Err(absent(address, &why, "SQL")),
    }
}

fn stranger(address: &str, why: &str) -> String {
    format!("{address} is no node of Annulus: {why}")
}

fn absent(address: &str, why: &str, port: &str) -> String {
    // Some drivers' reasons have several lines.
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("cannot connect to {address}: {why}; name the {port} ports of nodes, which must all be up at the start")
}

fn speaks_sql(address: &str) -> bool {
    Nodes::at(vec![address.to_owned()]).strings().iter().any(|string| Connection::open(string).is_ok())
}

fn speaks_resp(address: &str) -> bool {
    Session::connect(address).is_ok_and(|mut session| session.greet().is_ok())
}

fn addresses(text: &str) -> Result<Vec<String>, String> {
    text.split(',').map(address).collect()
}

fn address(text: &str) -> Result<String, String> {
    let is_address = |(host, port): (&str, &str)| {
        !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    if text.rsplit_once(':').is_some_and(is_address) {
        Ok(text.to_owned())
    } else {
        Err(format!("'{text}' is not an address; {FORMS}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_the_redis_protocol_unless_they_say_otherwise() {
        let resp = |all: &[&str]| Ok(Target::Resp(all.iter().map(|address| (*address).to_owned()).collect()));
        for good in ["127.0.0.1:7001", "node1:6379", "[::1]:80"] {
            assert_eq!(Target::parse(good), resp(&[good]));
        }
        for several in ["a:1,b:2", "redis://a:1,b:2", "redis://a:1,b:2/", "redis://a:1,b:2/0"] {
            assert_eq!(Target::parse(several), resp(&["a:1", "b:2"]), "{several}");
        }
        let sql = Target::parse("postgres://a:1,b:2/shop").unwrap();
        assert!(matches!(sql, Target::Sql(_)) && sql.nodes() == ["a:1", "b:2"]);
    }

    #[test]
    fn what_is_no_address_says_how_to_write_one() {
        for bad in ["node1", ":80", "node1:0", "node1:x", "node1:70000", "", "a:1,", "redis://a:1/5", "redis://a"] {
            assert!(Target::parse(bad).unwrap_err().contains("write HOST:PORT"), "{bad}");
        }
        assert!(Target::parse("http://a:1").unwrap_err().contains("http:// is not spoken"));
        for bad in ["postgres://", "postgres://a:x/annulus"] {
            assert!(Target::parse(bad).unwrap_err().contains("postgres://HOST:PORT"), "{bad}");
        }
    }
}
