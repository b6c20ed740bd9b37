//! The command line.

use std::path::PathBuf;

use annulus_check::workload::Kind;
use clap::{ArgGroup, Parser};

use crate::Protocol;
use crate::nemesis::Nemesis;

/// Runs workloads against real clusters while faults happen, and checks what clients saw.
///
/// Ends with 0 if nothing was wrong and nothing was stuck, with 1 otherwise, with 2 if it could not be tried.
#[derive(Clone, Debug, Parser)]
#[command(bin_name = "cargo xtask chaos", group(ArgGroup::new("place").args(["local", "docker"])))]
pub struct Options {
    /// How long to go on: no cell begins after that.
    #[arg(long, default_value_t = 10)]
    pub minutes: u64,
    /// Decides which workload meets which nemesis, all transactions and all faults. Cell N has seed SEED + N, so a
    /// cell can be repeated alone: its seed, its workload, its nemesis and `--cells 1`.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Most cells to run.
    #[arg(long)]
    pub cells: Option<usize>,
    /// Length of one cell's faults in seconds.
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// Only these workloads, separated by commas.
    #[arg(long = "workload", value_delimiter = ',')]
    pub workloads: Vec<Kind>,
    /// Only these protocols, separated by commas. Which one a cell's clients speak follows from its seed.
    #[arg(long = "protocol", value_delimiter = ',')]
    pub protocols: Vec<Protocol>,
    /// Only these nemeses, separated by commas.
    #[arg(long = "nemesis", value_delimiter = ',')]
    pub nemeses: Vec<Nemesis>,
    /// Processes on loopback, with a network of our own between them. The default.
    #[arg(long)]
    pub local: bool,
    /// Containers, from the image that `docker/build.sh` makes; needs root.
    #[arg(long)]
    pub docker: bool,
    /// The image of the containers.
    #[arg(long, value_name = "IMAGE", default_value = "annulus")]
    pub image: String,
    /// How many nodes; 3 or 5 by the seed if not given.
    #[arg(long, value_parser = clap::value_parser!(u8).range(3..=7))]
    pub nodes: Option<u8>,
    /// Clients at once.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub clients: u64,
    /// Transactions in a second at most, all clients together.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub rate: u64,
    /// The node's program; the one beside this program if not given.
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// Another build of the node's program, for upgrades; without it they are skipped. With `--docker`, an image's name
    /// (`TAG=NAME docker/build.sh` makes one).
    #[arg(long, value_name = "FILE|IMAGE")]
    pub upgrade_to: Option<String>,
    /// Takes rules of the protocol out of the nodes, one after the other, and ends with 0 if each is missed: whether this
    /// suite can find anything. Needs the program that `cargo xtask chaos --self-test` builds.
    #[arg(long, conflicts_with_all = ["docker", "workloads", "protocols", "nemeses", "cells", "upgrade_to"])]
    pub self_test: bool,
    /// Where the report goes.
    #[arg(long, value_name = "DIR", default_value = "report")]
    pub report: PathBuf,
    /// Lists workloads, protocols and nemeses and does nothing else.
    #[arg(long)]
    pub list: bool,
}
