//! Tests of the log as a whole.

mod crash;
mod damage;
mod threads;

use std::sync::Arc;

use super::depot::Depot;
use super::group::{GroupBuffer, GroupKind};
use super::replay::Record;
use super::writer::Writer;
use super::{Cut, LogError, LogOptions, Replay};
use crate::storage::files::Directory;
use crate::storage::testing::SimDisk;

const OPTIONS: LogOptions = LogOptions { segment_bytes: 16 << 10, create: true };

/// Kind, version and payload.
type Plain = (u8, u8, Vec<u8>);

fn plain(record: Record) -> Plain {
    (record.kind, record.version, record.payload.to_vec())
}

/// A log whose writing is done by the test's own thread.
struct Opened {
    records: Vec<Plain>,
    writer: Writer,
    cut: Option<Cut>,
}

fn open(disk: &SimDisk) -> Result<Opened, LogError> {
    let directory: Arc<dyn Directory> = Arc::new(disk.clone());
    let mut replay = Replay::open(directory, OPTIONS)?;
    let records = replay.by_ref().map(|record| record.map(plain)).collect::<Result<_, _>>()?;
    let ended = replay.end()?;
    let depot: Depot = ended.depot;
    let writer = Writer::start(ended.directory, Box::new(depot), ended.at)?;
    Ok(Opened { records, writer, cut: ended.cut })
}

fn group(records: &[Plain]) -> GroupBuffer {
    let mut group = GroupBuffer::default();
    for (kind, version, payload) in records {
        group.push(*kind, *version, payload);
    }
    group
}

fn write(writer: &mut Writer, records: &[Plain]) -> Result<(), LogError> {
    writer.write(&mut group(records), GroupKind::Records)
}

fn numbered(numbers: std::ops::Range<u64>) -> Vec<Plain> {
    numbers.map(|number| (1, 1, number.to_le_bytes().to_vec())).collect()
}
