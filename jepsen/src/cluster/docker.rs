//! A cluster of containers, by docker-compose and the files in `docker/`.
//!
//! Partitions are packet filters in the receiver's network namespace, set from outside with `nsenter` and
//! `iptables`: the image has neither. That, and data that belongs to the image's user, needs root.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::command::run;
use super::compose::{Compose, PROJECT};
use super::{Cluster, Disk, LOOK, Link, NO_NEXT, Node, Shape, is_ready, tail};
use crate::Failure;

/// How long a cluster may take to form.
const START: Duration = Duration::from_secs(60);
/// Clients' and pages' ports in every container.
const KV: u16 = 6379;
const SQL: u16 = 5432;
const HTTP: u16 = 7480;
/// The first three numbers of all addresses.
const NET: [u8; 3] = [172, 29, 77];
/// The user, and the group, that nodes are in the image.
const USER: u32 = 10001;
/// The process of a container that does not run.
const NOBODY: &str = "0";
/// How many lines of a log are shown.
const TAIL: usize = 20;

/// The containers.
pub struct Containers {
    shape: Shape,
    compose: Compose,
    /// Each node's image, and the one that nodes are upgraded to.
    images: Vec<String>,
    next: Option<String>,
    /// What containers wrote that an upgrade replaced.
    earlier_logs: Vec<String>,
    links: Vec<Vec<Link>>,
    disks: Vec<Disk>,
    // Goes after the disks, which may be mounted in it.
    _dir: TempDir,
}

impl Containers {
    /// A cluster that serves, from an image; its nodes can be upgraded to the image `next`.
    ///
    /// # Errors
    /// If there is no Docker or no image, or the cluster does not form.
    pub fn start(shape: Shape, image: &str, next: Option<String>) -> Result<Self, Failure> {
        [image].into_iter().chain(next.as_deref()).try_for_each(look_for)?;
        let dir = tempfile::Builder::new().prefix("annulus-jepsen-").tempdir()?;
        let disks = Disk::of_all(shape, dir.path())?;
        for data in disks.iter().map(Disk::data) {
            chown(&data, Some(USER), Some(USER)).map_err(Failure::at(&data))?;
        }
        let images = vec![image.to_owned(); shape.nodes];
        let compose = Compose::new(shape, dir.path())?;
        compose.set_images(&images)?;
        let links = vec![vec![Link::Open; shape.nodes]; shape.nodes];
        let earlier_logs = vec![String::new(); shape.nodes];
        let cluster = Self { shape, compose, images, next, earlier_logs, links, disks, _dir: dir };
        // What an earlier run may have left behind.
        cluster.compose.run(&["down", "--volumes", "--remove-orphans"])?;
        cluster.compose.run(&["up", "--detach"])?;
        cluster.comes_up()?;
        Ok(cluster)
    }

    fn comes_up(&self) -> Result<(), Failure> {
        let end = Instant::now() + START;
        for (node, page) in self.pages().into_iter().enumerate() {
            while !is_ready(page) {
                if Instant::now() > end {
                    let log = tail(&self.log(node), TAIL);
                    return Err(Failure::NotReady { node: node + 1, seconds: START.as_secs(), log });
                }
                sleep(LOOK);
            }
        }
        Ok(())
    }

    fn inspect(&self, node: Node, what: &str) -> Result<String, Failure> {
        Ok(run("docker", &["inspect", "--format", what, &container(node)])?.trim().to_owned())
    }

    /// Puts a link's filter into the receiver's namespace, or takes it out. It has none while it does not run.
    fn filter(&self, change: &str, from: Node, to: Node, link: Link) -> Result<(), Failure> {
        let process = self.inspect(to, "{{.State.Pid}}")?;
        if process == NOBODY {
            return Ok(());
        }
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

    /// Signals a node; one that has ended by itself (it refuses a damaged disk) is beyond signals.
    fn signal(&mut self, node: Node, signal: &str) -> Result<(), Failure> {
        match run("docker", &["kill", "--signal", signal, &container(node)]) {
            Err(failure) if self.is_running(node) => Err(failure),
            _ => Ok(()),
        }
    }

    fn printed(&self, node: Node) -> String {
        let output = Command::new("docker").args(["logs", &container(node)]).output();
        output.map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Whether there is such an image.
fn look_for(image: &str) -> Result<(), Failure> {
    let found = run("docker", &["image", "inspect", image]);
    found.map(|_| ()).map_err(|_| Failure::Missing {
        program: PathBuf::from(format!("the image '{image}', or Docker,")),
        remedy: "docker/build.sh (with TAG=NAME for another image than 'annulus')",
    })
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
        self.signal(node, "KILL")
    }

    fn pause(&mut self, node: Node) -> Result<(), Failure> {
        self.signal(node, "STOP")
    }

    fn resume(&mut self, node: Node) -> Result<(), Failure> {
        self.signal(node, "CONT")
    }

    fn link(&mut self, from: Node, to: Node, link: Link) -> Result<(), Failure> {
        if matches!(link, Link::Slow { .. }) {
            return Err(Failure::Unsupported("slow links between containers need a kernel with netem".to_owned()));
        }
        let before = std::mem::replace(&mut self.links[from][to], link);
        if before == link {
            return Ok(());
        }
        if before != Link::Open {
            self.filter("--delete", from, to, before)?;
        }
        if link == Link::Open { Ok(()) } else { self.filter("--append", from, to, link) }
    }

    fn disk(&mut self, node: Node) -> &mut Disk {
        &mut self.disks[node]
    }

    fn upgrade(&mut self, node: Node) -> Result<(), Failure> {
        let next = self.next.clone().ok_or_else(|| Failure::Unsupported(NO_NEXT.to_owned()))?;
        if self.images[node] == next {
            return Ok(());
        }
        self.images[node] = next;
        self.compose.set_images(&self.images)?;
        // The new container does not know what the old one wrote.
        self.earlier_logs[node] = self.log(node);
        self.compose.run(&["up", "--no-start", "--no-deps", &self.disks[node].name()])
    }

    fn log(&self, node: Node) -> String {
        self.earlier_logs[node].clone() + &self.printed(node)
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        if let Err(error) = self.compose.run(&["down", "--volumes"]) {
            eprintln!("the containers of {PROJECT} may still be there: {error}");
        }
    }
}
