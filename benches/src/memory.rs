//! The memory of Annulus' nodes before and after loading many keys.

use std::time::Instant;

use crate::cost::memory;
use crate::data;
use crate::failure::Failure;
use crate::options::MemoryOptions;
use crate::peer::{Kind, Peer};
use crate::run::data_folder;

const MIB: f64 = 1024.0 * 1024.0;

/// Loads the keys and prints what each node uses.
///
/// # Errors
/// If the nodes cannot be started or a write fails.
pub async fn measure(options: &MemoryOptions) -> Result<(), Failure> {
    let dir = data_folder(&options.place)?;
    let mut peer = Peer::start(Kind::Annulus, dir.path(), &options.place).await?;
    let before = peer.pids().into_iter().map(memory);
    let before: Vec<_> = before.collect();
    let begun = Instant::now();
    let outcome = data::load_keys(&peer, options.keys).await;
    peer.check_alive()?;
    outcome.map_err(|refusal| Failure::Client { name: Kind::Annulus.name(), refusal })?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{} keys of {} B loaded in {seconds:.1} s. Resident memory:\n", options.keys, data::VALUE_LENGTH);
    println!("| node | before | after | peak |\n| ---- | ------ | ----- | ---- |");
    for (number, (process, before)) in peer.pids().into_iter().zip(before).enumerate() {
        let [before, after, peak] =
            [before.resident, memory(process).resident, memory(process).peak].map(|bytes| bytes as f64 / MIB);
        println!("| node{} | {before:.0} MiB | {after:.0} MiB | {peak:.0} MiB |", number + 1);
    }
    Ok(())
}
