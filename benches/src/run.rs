//! The comparison: starts all peers, measures every cell in alternating rounds, checks, and reports.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use serde::Serialize;
use tempfile::TempDir;

use crate::failure::Failure;
use crate::floor::Floor;
use crate::options::{Options, Place};
use crate::peer::{Kind, Peer};
use crate::report::{Results, progress};
use crate::round::Round;
use crate::suite::{Suite, Workload};
use crate::{data, goals, load};

/// Load before each round that is not measured.
const WARM_UP: Duration = Duration::from_millis(300);
/// Writes once before everything, so that logs and caches are in their working state.
const FIRST_WARM_UP: Duration = Duration::from_secs(2);

/// Runs the comparison.
///
/// # Errors
/// If a peer fails or loses updates, or if the results cannot be written.
pub async fn compare(options: &Options, suite: Suite) -> Result<(), Failure> {
    let mut json = options.json.as_deref().map(Lines::open).transpose()?;
    let dir = data_folder(&options.place)?;
    let mut peers = start_all(options, suite, dir.path()).await?;
    let mut results = Results::default();
    for workload in options.workloads(suite) {
        for clients in &options.clients {
            for number in 0..options.rounds() {
                if (suite, *workload, *clients) == (Suite::KeyValue, Workload::Put, 1) {
                    let floor = floor(dir.path()).await?;
                    json.as_mut().map_or(Ok(()), |lines| lines.add(&floor))?;
                    results.floors.push(floor);
                }
                // Nobody always follows the same neighbour.
                peers.rotate_left(1);
                for peer in peers.iter_mut().filter(|peer| peer.kind.can(*workload)) {
                    let round = measure(peer, options, *workload, *clients, number).await?;
                    eprintln!("{}", progress(&round));
                    json.as_mut().map_or(Ok(()), |lines| lines.add(&round))?;
                    results.rounds.push(round);
                }
            }
        }
        if workload.transfers() {
            check_all(&peers).await?;
        }
    }
    check_all(&peers).await?;
    let report = results.markdown() + &goals::markdown(&results);
    println!("\n{report}\nThe sum over all accounts was right on every server that takes clients.");
    if let Some(path) = &options.markdown {
        fs::write(path, report).map_err(|source| Failure::Output { path: path.clone(), source })?;
    }
    Ok(())
}

/// A new folder, removed at the end. Other users may enter it: PostgreSQL's does.
///
/// # Errors
/// If it cannot be made.
pub fn data_folder(place: &Place) -> Result<TempDir, Failure> {
    let permissions = fs::Permissions::from_mode(0o755);
    Ok(tempfile::Builder::new().prefix("annulus-bench-").permissions(permissions).tempdir_in(&place.dir)?)
}

/// A file of JSON, one value per line.
struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|source| Failure::Output { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn add(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let line = serde_json::to_string(value).map_err(io::Error::from);
        let written = line.and_then(|line| writeln!(self.file, "{line}"));
        written.map_err(|source| Failure::Output { path: self.path.clone(), source })
    }
}

async fn start_all(options: &Options, suite: Suite, dir: &Path) -> Result<Vec<Peer>, Failure> {
    let mut peers = Vec::new();
    for kind in options.peers(suite) {
        match start_filled(*kind, options, dir).await {
            Ok(peer) => peers.push(peer),
            Err(missing @ Failure::Missing { .. }) => println!("{} SKIPPED: {missing}", kind.name()),
            Err(failure) => return Err(failure),
        }
    }
    if peers.is_empty() { Err(Failure::NoPeers) } else { Ok(peers) }
}

async fn start_filled(kind: Kind, options: &Options, dir: &Path) -> Result<Peer, Failure> {
    eprintln!("starting and filling {}", kind.name());
    let mut peer = Peer::start(kind, dir, &options.place).await?;
    let warm_up = async {
        data::fill(&peer).await?;
        load::run(&peer, Workload::Put, 16, Duration::ZERO, FIRST_WARM_UP, 0).await
    };
    let outcome = warm_up.await;
    peer.check_alive()?;
    outcome.map_err(|refusal| Failure::Client { name: kind.name(), refusal })?;
    Ok(peer)
}

async fn measure(
    peer: &mut Peer,
    options: &Options,
    workload: Workload,
    clients: u16,
    number: u32,
) -> Result<Round, Failure> {
    let seed = u64::from(number) << 16 | u64::from(clients);
    let outcome = load::run(peer, workload, clients, WARM_UP, options.length(), seed).await;
    peer.check_alive()?;
    let measured = outcome.map_err(|refusal| Failure::Client { name: peer.kind.name(), refusal })?;
    Ok(Round::new(peer.kind, workload, clients, measured))
}

async fn check_all(peers: &[Peer]) -> Result<(), Failure> {
    for peer in peers {
        peer.check_conserved().await?;
    }
    Ok(())
}

async fn floor(dir: &Path) -> Result<Floor, Failure> {
    let dir = dir.to_owned();
    let measured = tokio::task::spawn_blocking(move || Floor::measure(&dir)).await;
    Ok(measured.map_err(io::Error::other)??)
}
