//! What a run makes for itself in its user's cluster, and removes: keys of its own, or a database of its own.

use std::fmt;
use std::time::Duration;

use annulus_base::rng::Rng;
use annulus_check::history::History;
use annulus_check::workload::Kind;
use annulus_probe::client::Protocol;
use annulus_probe::client::sql::{Connection, Layout, Schema};
use annulus_probe::{Patience, sweep};

use super::target::Target;

/// What all keys of all runs begin with.
pub const KEYS: &str = "annulus-check:";
/// What the names of all their databases begin with. The run's number follows.
const DATABASES: &str = "annulus_check_";
/// Digits of a run's number.
const DIGITS: usize = 16;

/// All that one run makes.
pub struct Scratch<'a> {
    target: &'a Target,
    /// Before its keys, or its database.
    name: String,
}

impl<'a> Scratch<'a> {
    /// That of the run with this number. Nothing is there yet.
    pub fn new(target: &'a Target, number: u64) -> Self {
        let name = match target {
            Target::Resp(_) => format!("{KEYS}{number:0DIGITS$x}:"),
            Target::Sql(_) => format!("{DATABASES}{number:0DIGITS$x}"),
        };
        Self { target, name }
    }

    /// Makes what must be there before everything else.
    pub fn make(&self) -> Result<(), String> {
        let Target::Sql(nodes) = self.target else { return Ok(()) };
        let node = nodes.strings().into_iter().next().unwrap_or_default();
        let node = Connection::open(&node).map_err(|error| error.to_string());
        node.and_then(|mut node| node.make_database(&self.name)).map_err(|why| {
            // If only the answer was lost, it is there all the same.
            let once = Patience::new(Duration::ZERO);
            once.begin();
            let left = if self.remove(&once) { String::new() } else { format!(". {}", self.left_behind()) };
            format!("{self} cannot be made: {why}{left}")
        })
    }

    /// Removes what [`Self::make`] has made. Whether it is not there any more.
    pub fn remove(&self, patience: &Patience) -> bool {
        match self.target {
            Target::Resp(_) => true,
            Target::Sql(nodes) => sweep::database(&nodes.strings(), &self.name, patience),
        }
    }

    /// The part of one workload in one round, which may need several attempts.
    pub fn part(&self, kind: Kind, round: u64, attempt: u64, rng: &mut Rng) -> Part {
        match self.target {
            Target::Resp(addresses) => Part {
                protocol: Protocol::Resp,
                addresses: addresses.clone(),
                name: format!("{}{kind}:{round}.{attempt}", self.name),
            },
            Target::Sql(nodes) => {
                let name = format!("{kind}_{round}_{attempt}").replace('-', "_");
                Part {
                    protocol: Protocol::Sql(Schema { layout: Layout::of(kind, rng.bits()), changing: false }),
                    addresses: nodes.within(&self.name, &name).strings(),
                    name,
                }
            }
        }
    }

    /// What to do about it when this run cannot.
    pub fn left_behind(&self) -> String {
        format!("There may still be {self}; annulus check --clean-up --against ... removes what such runs have made.")
    }
}

impl fmt::Display for Scratch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target {
            Target::Resp(_) => write!(f, "keys that begin with {}", self.name),
            Target::Sql(_) => write!(f, "the database {}", self.name),
        }
    }
}

/// Where one workload works.
pub struct Part {
    /// What its clients speak.
    pub protocol: Protocol,
    /// Where they do.
    pub addresses: Vec<String>,
    /// Of its keys all together, or of its schema.
    name: String,
}

impl Part {
    /// What stands before its keys, or before its tables.
    pub fn prefix(&self) -> String {
        let separator = if self.protocol == Protocol::Resp { ':' } else { '.' };
        format!("{}{separator}", self.name)
    }

    /// Makes what must be there before its tables.
    pub fn make(&self, rng: &mut Rng) -> Result<(), String> {
        match self.protocol {
            Protocol::Resp => Ok(()),
            Protocol::Sql(_) => {
                let node = rng.pick(&self.addresses).map_or("", String::as_str);
                Connection::open(node).map_err(|error| error.to_string())?.make_schema(&self.name)
            }
        }
    }

    /// Removes what the history is about. Whether none of it is there any more.
    pub fn remove(&self, history: &History, patience: &Patience) -> bool {
        match self.protocol {
            Protocol::Resp => sweep::keys(&self.addresses, &self.prefix(), history, patience),
            Protocol::Sql(_) => {
                // If not now, it goes with the database.
                let _ = sweep::schema(&self.addresses, &self.name, patience);
                true
            }
        }
    }
}

/// Whether some run has made the database of that name.
pub fn is_database(name: &str) -> bool {
    let number = name.strip_prefix(DATABASES);
    number.is_some_and(|number| number.len() == DIGITS && number.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_databases_of_runs_are_taken_for_them() {
        let target = Target::parse("postgres://a:1").unwrap();
        assert!(is_database(&Scratch::new(&target, 1).name) && is_database(&Scratch::new(&target, u64::MAX).name));
        for other in ["annulus", "annulus_check_", "annulus_check_results", "annulus_check_00000000000000001"] {
            assert!(!is_database(other), "{other}");
        }
    }

    #[test]
    fn every_attempt_works_in_a_place_of_its_own() {
        let parts = |text: &str| {
            let target = Target::parse(text).unwrap();
            let scratch = Scratch::new(&target, 255);
            let part = scratch.part(Kind::WriteSkew, 2, 1, &mut Rng::new(1));
            (part.prefix(), part.addresses)
        };
        let keys = "annulus-check:00000000000000ff:write-skew:2.1:".to_owned();
        assert_eq!(parts("a:1"), (keys, vec!["a:1".to_owned()]));
        let (tables, nodes) = parts("postgres://a:1,b:2");
        assert_eq!((tables.as_str(), nodes.len()), ("write_skew_2_1.", 2));
        let expected = "dbname='annulus_check_00000000000000ff' options='-c search_path=write_skew_2_1'";
        assert!(nodes[1].starts_with("host='b' port='2'") && nodes[1].ends_with(expected), "{}", nodes[1]);
    }
}
