//! What a demo cluster consists of: chosen once, kept in its directory.

use std::fmt::Write as _;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Engine, Value as _};

/// A node's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodePlan {
    /// Its name, also of its directory.
    pub name: String,
    /// Its ports on loopback.
    pub peer: u16,
    /// For key-value clients.
    pub kv: u16,
    /// For SQL clients.
    pub sql: u16,
    /// For HTTP.
    pub http: u16,
}

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The storage engine's name.
    pub engine: String,
    /// The nodes.
    pub nodes: Vec<NodePlan>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The directory cannot be used.
    #[error("the demo's directory {path} cannot be used: {source}", path = path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The plan is damaged.
    #[error("{path} is damaged: {reason}; choose another --dir", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A port is taken.
    #[error(
        "port {port} of {node} is taken: the demo in {path} runs already, or another program took the port; stop that, \
         or choose another --dir", path = path.display()
    )]
    Taken {
        /// The directory.
        path: PathBuf,
        /// Whose port it is.
        node: String,
        /// Which.
        port: u16,
    },
    /// What was asked for differs from what is there.
    #[error("the cluster in {path} has {what}; start it without --{flag}, or choose another --dir", path = path.display())]
    Differs {
        /// The directory.
        path: PathBuf,
        /// What it has.
        what: String,
        /// What was asked for.
        flag: &'static str,
    },
}

const FILE: &str = "demo.toml";
const NODES: usize = 3;
/// Where the ports of nodes are chosen.
const PORTS: Range<u16> = 10_000..32_000;

impl Plan {
    /// The plan of an earlier run in `dir`, or a new one.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn load_or_make(dir: &Path, nodes: Option<usize>, engine: Option<Engine>) -> Result<Self, PlanError> {
        let path = dir.join(FILE);
        let failed = |source| PlanError::Directory { path: dir.to_owned(), source };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let plan: Self = toml::from_str(&text)
                    .map_err(|error| PlanError::Damaged { path: path.clone(), reason: error.message().to_owned() })?;
                if plan.nodes.is_empty() {
                    return Err(PlanError::Damaged { path, reason: "no nodes".to_owned() });
                }
                plan.same_as(dir, nodes, engine)?;
                plan.check_ports(dir)?;
                Ok(plan)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let plan = Self::make(nodes.unwrap_or(NODES), engine.unwrap_or(Engine::Fjall)).map_err(failed)?;
                fs::create_dir_all(dir).map_err(failed)?;
                let text = toml::to_string(&plan).map_err(|error| failed(io::Error::other(error)))?;
                fs::write(&path, text).map_err(failed)?;
                Ok(plan)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn same_as(&self, dir: &Path, nodes: Option<usize>, engine: Option<Engine>) -> Result<(), PlanError> {
        let differs = |what, flag| Err(PlanError::Differs { path: dir.to_owned(), what, flag });
        if nodes.is_some_and(|nodes| nodes != self.nodes.len()) {
            return differs(format!("{} nodes", self.nodes.len()), "nodes");
        }
        if engine.is_some_and(|engine| engine.print() != self.engine) {
            return differs(format!("the engine {}", self.engine), "engine");
        }
        Ok(())
    }

    /// Checks that nobody listens on its ports.
    fn check_ports(&self, dir: &Path) -> Result<(), PlanError> {
        let ports =
            self.nodes.iter().flat_map(|node| [node.peer, node.kv, node.sql, node.http].map(|port| (node, port)));
        for (node, port) in ports {
            if !is_free(port) {
                return Err(PlanError::Taken { path: dir.to_owned(), node: node.name.clone(), port });
            }
        }
        Ok(())
    }

    fn make(nodes: usize, engine: Engine) -> io::Result<Self> {
        let ports = free_ports(4 * nodes)?;
        let (fours, _) = ports.as_chunks::<4>();
        let node = |(n, [peer, kv, sql, http]): (usize, &[u16; 4])| NodePlan {
            name: format!("node{}", n + 1),
            peer: *peer,
            kv: *kv,
            sql: *sql,
            http: *http,
        };
        Ok(Self { engine: engine.print(), nodes: fours.iter().enumerate().map(node).collect() })
    }

    /// Where a node writes its log lines.
    pub fn log(&self, dir: &Path, node: &NodePlan) -> PathBuf {
        dir.join(format!("{}.log", node.name))
    }

    /// The command line of a node.
    pub fn arguments(&self, dir: &Path, node: &NodePlan) -> Vec<String> {
        let local = |port: u16| format!("127.0.0.1:{port}");
        let members: Vec<String> = self.nodes.iter().map(|node| local(node.peer)).collect();
        let mut all = vec!["start".to_owned(), "--stop-with-parent".to_owned()];
        for (flag, value) in [
            ("data-dir", dir.join(&node.name).display().to_string()),
            ("node-name", node.name.clone()),
            ("listen-peer", local(node.peer)),
            ("listen-kv", local(node.kv)),
            ("listen-sql", local(node.sql)),
            ("listen-http", local(node.http)),
            ("initial-members", members.join(",")),
            ("engine", self.engine.clone()),
        ] {
            all.push(format!("--{flag}={value}"));
        }
        all
    }

    /// What to tell the user once all nodes serve.
    pub fn welcome(&self, dir: &Path, kept: bool, processes: &[u32]) -> String {
        let (first, last) = (&self.nodes[0], &self.nodes[self.nodes.len() - 1]);
        let mut out = String::from("\nThe cluster is ready. Any node answers for any key:\n\n");
        for (node, process) in self.nodes.iter().zip(processes) {
            let NodePlan { name, kv, sql, http, .. } = node;
            let _ = writeln!(
                out,
                "  {name}  psql -h 127.0.0.1 -p {sql} -U annulus annulus   redis-cli -p {kv}   \
                 http://127.0.0.1:{http}/status   process {process}"
            );
        }
        let after = if kept { "kept for the next run" } else { "removed at the end; --dir DIR keeps it" };
        let _ = write!(
            out,
            "\nTry:\n  redis-cli -p {} SET greeting hello\n  redis-cli -p {} GET greeting\n  \
             annulus status --http 127.0.0.1:{}\n  annulus kv --addr 127.0.0.1:{}\n  \
             annulus sql --addr 127.0.0.1:{}\n\n\
             Engine {}, data and logs in {} ({after}).\nCtrl-C stops the cluster.\n",
            first.kv,
            last.kv,
            first.http,
            first.kv,
            first.sql,
            self.engine,
            dir.display(),
        );
        out
    }
}

/// Different ports that nobody listens on. Other demos, running or kept, most likely have others.
///
/// They lie below the range that systems take for outgoing connections: otherwise somebody's connection could
/// take the port of a node that is down, and it could not come back.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let first = PORTS.start + (RandomState::new().hash_one(count) % PORTS.len() as u64) as u16;
    let candidates = (first..PORTS.end).chain(PORTS.start..first);
    let free: Vec<u16> = candidates.filter(|port| is_free(*port)).take(count).collect();
    let missing =
        || io::Error::new(io::ErrorKind::AddrInUse, format!("fewer than {count} ports of {PORTS:?} are free"));
    if free.len() == count { Ok(free) } else { Err(missing()) }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("a/b");
        let plan = Plan::load_or_make(&inside, Some(3), Some(Engine::Memory)).unwrap();
        assert_eq!(Plan::load_or_make(&inside, None, None).unwrap(), plan);
        assert_eq!(Plan::load_or_make(&inside, Some(3), Some(Engine::Memory)).unwrap(), plan);
        let error = Plan::load_or_make(&inside, Some(5), None).unwrap_err().to_string();
        assert!(error.contains("has 3 nodes; start it without --nodes"), "{error}");
        let error = Plan::load_or_make(&inside, None, Some(Engine::Sled)).unwrap_err().to_string();
        assert!(error.contains("has the engine memory"), "{error}");
        let taken = TcpListener::bind(("127.0.0.1", plan.nodes[1].kv)).unwrap();
        let error = Plan::load_or_make(&inside, None, None).unwrap_err().to_string();
        assert!(error.contains(&format!("port {} of node2 is taken", plan.nodes[1].kv)), "{error}");
        drop(taken);
        fs::write(inside.join(FILE), "engine = 3").unwrap();
        assert!(matches!(Plan::load_or_make(&inside, None, None), Err(PlanError::Damaged { .. })));
    }

    #[test]
    fn ports_differ_and_everybody_gets_the_same_members() {
        let plan = Plan::make(5, Engine::Fjall).unwrap();
        let ports: std::collections::BTreeSet<u16> =
            plan.nodes.iter().flat_map(|n| [n.peer, n.kv, n.sql, n.http]).collect();
        assert_eq!(ports.len(), 20);
        assert!(ports.iter().all(|port| *port < 32_768), "outgoing connections may take {ports:?}");
        let members =
            |n: usize| plan.arguments(Path::new("/d"), &plan.nodes[n]).into_iter().find(|a| a.contains("initial"));
        assert_eq!(members(0), members(4));
        assert!(plan.arguments(Path::new("/d"), &plan.nodes[1]).contains(&"--data-dir=/d/node2".to_owned()));
    }

    #[test]
    fn the_user_is_told_how_to_connect() {
        let plan = Plan::make(3, Engine::Fjall).unwrap();
        let text = plan.welcome(Path::new("/d"), false, &[10, 11, 12]);
        for node in &plan.nodes {
            assert!(text.contains(&format!("redis-cli -p {} ", node.kv)), "{text}");
            assert!(text.contains(&format!("psql -h 127.0.0.1 -p {} ", node.sql)), "{text}");
        }
    }
}
