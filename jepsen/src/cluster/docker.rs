//! A cluster of containers, by docker-compose (either generation) and the files in `docker/`.
//!
//! Partitions are packet filters in the receiver's network namespace, set from outside with `nsenter` and
//! `iptables`: the image has neither. That, and taking a disk away, needs root.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::command::run;
use super::{Cluster, LOOK, Link, Node, Shape, is_ready, tail};
use crate::Failure;

/// How long a cluster may take to form.
const START: Duration = Duration::from_secs(60);
/// Clients' and pages' ports in every container.
const KV: u16 = 6379;
const SQL: u16 = 5432;
const HTTP: u16 = 7480;
/// The first three numbers of all addresses: others than in the files, so that a user's own cluster is left alone.
const NET: [u8; 3] = [172, 29, 77];
/// What the files leave open, besides the number of replicas. Hosts' ports are others than a user's, too.
const SETTINGS: [(&str, &str); 6] = [
    ("ANNULUS_NAME", PROJECT),
    ("ANNULUS_NET", "172.29.77"),
    ("ANNULUS_KV_PORTS", "2700"),
    ("ANNULUS_SQL_PORTS", "2720"),
    ("ANNULUS_HTTP_PORTS", "2710"),
    ("ANNULUS_REQUEST_TIMEOUT", "2 s"),
];
/// The project: what containers and volumes are named after.
const PROJECT: &str = "annulus-chaos";
/// How many lines of a log are shown.
const TAIL: usize = 20;

/// The containers.
pub struct Containers {
    shape: Shape,
    links: Vec<Vec<Link>>,
}

impl Containers {
    /// A cluster that serves, from the image `annulus`.
    ///
    /// # Errors
    /// If there is no Docker or no image, or the cluster does not form.
    pub fn start(shape: Shape) -> Result<Self, Failure> {
        if shape.small_disks {
            return Err(Failure::Unsupported("a volume of limited size that outlives its container".to_owned()));
        }
        run("docker", &["image", "inspect", "annulus"]).map_err(|_| Failure::Missing {
            program: PathBuf::from("the image 'annulus', or Docker,"),
            remedy: "docker/build.sh",
        })?;
        let cluster = Self { shape, links: vec![vec![Link::Open; shape.nodes]; shape.nodes] };
        // What an earlier run may have left behind.
        cluster.compose(&["down", "--volumes"])?;
        cluster.compose(&["up", "--detach"])?;
        let end = Instant::now() + START;
        for (node, page) in cluster.pages().into_iter().enumerate() {
            while !is_ready(page) {
                if Instant::now() > end {
                    let log = tail(&cluster.log(node), TAIL);
                    return Err(Failure::NotReady { node: node + 1, seconds: START.as_secs(), log });
                }
                sleep(LOOK);
            }
        }
        Ok(cluster)
    }

    fn compose(&self, arguments: &[&str]) -> Result<(), Failure> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docker/compose-{}.yml", self.shape.nodes));
        if !file.is_file() {
            return Err(Failure::Unsupported(format!("there is no {}", file.display())));
        }
        let is_plugin = Command::new("docker").args(["compose", "version"]).output();
        let is_plugin = is_plugin.is_ok_and(|output| output.status.success());
        let mut command = if is_plugin { Command::new("docker") } else { Command::new("docker-compose") };
        command.args(is_plugin.then_some("compose")).args(["--project-name", PROJECT, "--file"]).arg(&file);
        command.args(arguments).envs(SETTINGS);
        command.env("ANNULUS_REPLICATION_FACTOR", self.shape.replicas.to_string());
        let line = format!("{command:?}");
        let failed = |how: String, output: String| Failure::Command { command: line, how, output };
        match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(failed(output.status.to_string(), String::from_utf8_lossy(&output.stderr).into_owned())),
            Err(error) => Err(failed("it cannot be started".to_owned(), error.to_string())),
        }
    }

    fn inspect(&self, node: Node, what: &str) -> Result<String, Failure> {
        Ok(run("docker", &["inspect", "--format", what, &container(node)])?.trim().to_owned())
    }

    /// Puts a link's filter into the receiver's namespace, or takes it out.
    fn filter(&self, change: &str, from: Node, to: Node, link: Link) -> Result<(), Failure> {
        let process = self.inspect(to, "{{.State.Pid}}")?;
        let sender = address(from).to_string();
        let mut arguments = vec!["--target", &process, "--net", "iptables", change, "INPUT", "--source", &sender];
        let odds;
        if let Link::Lossy { percent } = link {
            odds = format!("{:.2}", f64::from(percent) / 100.0);
            arguments.extend(["--match", "statistic", "--mode", "random", "--probability", &odds]);
        }
        arguments.extend(["--jump", "DROP"]);
        run("nsenter", &arguments).map(|_| ())
    }

    fn disk(&self, node: Node) -> Result<PathBuf, Failure> {
        let volume = format!("{PROJECT}_n{}-data", node + 1);
        Ok(PathBuf::from(run("docker", &["volume", "inspect", "--format", "{{.Mountpoint}}", &volume])?.trim()))
    }
}

/// Both generations of docker-compose are told this name by the files.
fn container(node: Node) -> String {
    format!("{PROJECT}-n{}", node + 1)
}

fn address(node: Node) -> IpAddr {
    let [a, b, c] = NET;
    Ipv4Addr::new(a, b, c, 11 + u8::try_from(node).unwrap_or(u8::MAX - 11)).into()
}

impl Cluster for Containers {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        (0..self.shape.nodes).map(|node| (address(node), KV).into()).collect()
    }

    fn sql_addresses(&self) -> Vec<SocketAddr> {
        (0..self.shape.nodes).map(|node| (address(node), SQL).into()).collect()
    }

    fn pages(&self) -> Vec<SocketAddr> {
        (0..self.shape.nodes).map(|node| (address(node), HTTP).into()).collect()
    }

    fn is_running(&mut self, node: Node) -> bool {
        self.inspect(node, "{{.State.Running}}").is_ok_and(|running| running == "true")
    }

    fn start(&mut self, node: Node) -> Result<(), Failure> {
        run("docker", &["start", &container(node)])?;
        // It has a new network namespace.
        for from in 0..self.shape.nodes {
            if self.links[from][node] != Link::Open {
                self.filter("--append", from, node, self.links[from][node])?;
            }
        }
        Ok(())
    }

    fn stop(&mut self, node: Node) -> Result<(), Failure> {
        run("docker", &["stop", "--time", "20", &container(node)]).map(|_| ())
    }

    fn kill(&mut self, node: Node) -> Result<(), Failure> {
        if self.is_running(node) { self.signal(node, "KILL") } else { Ok(()) }
    }

    fn pause(&mut self, node: Node) -> Result<(), Failure> {
        if self.is_running(node) { self.signal(node, "STOP") } else { Ok(()) }
    }

    fn resume(&mut self, node: Node) -> Result<(), Failure> {
        self.signal(node, "CONT")
    }

    fn link(&mut self, from: Node, to: Node, link: Link) -> Result<(), Failure> {
        if matches!(link, Link::Slow { .. }) {
            return Err(Failure::Unsupported("slow links between containers need a kernel with netem".to_owned()));
        }
        let before = std::mem::replace(&mut self.links[from][to], link);
        if before == link || !self.is_running(to) {
            return Ok(());
        }
        if before != Link::Open {
            self.filter("--delete", from, to, before)?;
        }
        if link == Link::Open { Ok(()) } else { self.filter("--append", from, to, link) }
    }

    fn fill_disk(&mut self, _: Node) -> Result<(), Failure> {
        Err(Failure::Unsupported("only a small disk can be filled".to_owned()))
    }

    fn free_disk(&mut self, _: Node) -> Result<(), Failure> {
        Ok(())
    }

    fn take_disk(&mut self, node: Node) -> Result<(), Failure> {
        let disk = self.disk(node)?;
        let owner = fs::metadata(&disk).map_err(Failure::at(&disk))?;
        fs::rename(&disk, taken(&disk)).map_err(Failure::at(&disk))?;
        fs::create_dir(&disk).map_err(Failure::at(&disk))?;
        chown(&disk, Some(owner.uid()), Some(owner.gid())).map_err(Failure::at(&disk))
    }

    fn return_disk(&mut self, node: Node) -> Result<(), Failure> {
        let disk = self.disk(node)?;
        if !taken(&disk).exists() {
            return Ok(());
        }
        self.kill(node)?;
        match fs::remove_dir_all(&disk) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::at(&disk)(error)),
            _ => fs::rename(taken(&disk), &disk).map_err(Failure::at(&disk)),
        }
    }

    fn log(&self, node: Node) -> String {
        let output = Command::new("docker").args(["logs", &container(node)]).output();
        output.map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Containers {
    fn signal(&self, node: Node, signal: &str) -> Result<(), Failure> {
        run("docker", &["kill", "--signal", signal, &container(node)]).map(|_| ())
    }
}

/// Where a disk is put away.
fn taken(disk: &Path) -> PathBuf {
    disk.with_file_name("taken")
}

impl Drop for Containers {
    fn drop(&mut self) {
        if let Err(error) = self.compose(&["down", "--volumes"]) {
            eprintln!("the containers of {PROJECT} may still be there: {error}");
        }
    }
}
