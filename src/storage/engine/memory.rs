//! All data in memory; a checkpoint writes all of it to a snapshot file.
//!
//! ```text
//! file    magic 8 bytes | version u32 | entries | end mark u32::MAX | number of entries u64 | crc32c u32
//! entry   key length u32 | value length u32 | crc32c of lengths, key and value u32 | key | value
//! ```
//! All integers little-endian. A key begins with its space. The last checksum covers all the entries'.
//! The file is written beside the old one and renamed over it, so that there always is a whole one.
//!
//! Memory: all keys and values, and about 150 bytes for each entry.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};

use super::overlay::{Overlay, Table, split_key};
use super::{Batch, Bounds, EVERYTHING, Engine, EngineError, EngineKind, EngineResult, Entry, Order, Snapshot, Space};
use crate::storage::files::{Directory, File, create_over, read_replaced};

const FILE: &str = "snapshot";
const TEMPORARY: &str = "snapshot.tmp";
const MAGIC: &[u8; 8] = b"AnnulSN\n";
const VERSION: u32 = 1;
const HEADER: usize = 12;
const ENTRY_HEADER: usize = 12;
const END: u32 = u32::MAX;
const TRAILER: usize = 16;
/// Written at once.
const CHUNK: usize = 1 << 20;

/// The engine.
pub struct MemoryEngine {
    directory: Arc<dyn Directory>,
    entries: Overlay<Map>,
    /// One snapshot file is written at a time.
    writing: Mutex<()>,
}

impl MemoryEngine {
    /// Loads the snapshot file, if there is one.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn open(directory: Arc<dyn Directory>) -> EngineResult<Self> {
        let failed = EngineError::io(EngineKind::Memory, "read its snapshot file");
        let data = read_replaced(&*directory, FILE).map_err(failed)?.map(Bytes::from);
        let map = match data {
            Some(data) => load(data).map_err(|reason| damaged(&*directory, reason))?,
            None => Map::default(),
        };
        Ok(Self { directory, entries: Overlay::new(map), writing: Mutex::new(()) })
    }

    fn write_file(&self) -> io::Result<()> {
        let snapshot = self.entries.snapshot();
        let mut out = Writer::new(create_over(&*self.directory, TEMPORARY)?);
        for space in Space::ALL {
            for entry in snapshot.range(space, EVERYTHING, Order::Forward) {
                let (key, value) = entry.map_err(io::Error::other)?;
                out.entry(space, &key, &value)?;
            }
        }
        out.finish()?;
        self.directory.rename(TEMPORARY, FILE)?;
        self.directory.sync()
    }
}

impl Engine for MemoryEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Memory
    }

    fn write(&self, batch: Batch) -> EngineResult<()> {
        self.entries.write(batch)
    }

    fn get(&self, space: Space, key: &[u8]) -> EngineResult<Option<Bytes>> {
        self.entries.get(space, key)
    }

    fn first(&self, space: Space, bounds: Bounds<'_>) -> EngineResult<Option<Entry>> {
        self.entries.first(space, bounds)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(self.entries.snapshot())
    }

    fn sync(&self) -> EngineResult<()> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_file().map_err(EngineError::io(EngineKind::Memory, "write its snapshot file"))
    }

    fn disk_bytes(&self) -> EngineResult<u64> {
        match self.directory.open(FILE).and_then(|file| file.length()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            other => other.map_err(EngineError::io(EngineKind::Memory, "read its snapshot file")),
        }
    }
}

#[derive(Default)]
struct Map(BTreeMap<Bytes, Bytes>);

impl Table for Map {
    fn get(&self, key: &[u8]) -> EngineResult<Option<Bytes>> {
        Ok(self.0.get(key).cloned())
    }

    fn page(&self, bounds: Bounds<'_>, order: Order, limit: usize) -> EngineResult<Vec<Entry>> {
        let entries = self.0.range::<[u8], _>(bounds).map(|(key, value)| (key.clone(), value.clone()));
        Ok(match order {
            Order::Forward => entries.take(limit).collect(),
            Order::Reverse => entries.rev().take(limit).collect(),
        })
    }

    fn write(&mut self, changes: Vec<(Bytes, Option<Bytes>)>) -> EngineResult<()> {
        for (key, value) in changes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
        Ok(())
    }
}

/// Writes the snapshot file in large pieces.
struct Writer {
    file: Box<dyn File>,
    buffer: Vec<u8>,
    written: u64,
    entries: u64,
    crc: u32,
}

impl Writer {
    fn new(file: Box<dyn File>) -> Self {
        let mut buffer = MAGIC.to_vec();
        buffer.extend_from_slice(&VERSION.to_le_bytes());
        Self { file, buffer, written: 0, entries: 0, crc: 0 }
    }

    fn entry(&mut self, space: Space, key: &[u8], value: &[u8]) -> io::Result<()> {
        let length = |length: usize| u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
        let (key_length, value_length) = (length(key.len() + 1)?.to_le_bytes(), length(value.len())?.to_le_bytes());
        let parts = [&key_length[..], &value_length, &[space as u8], key, value];
        let crc = parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part));
        self.buffer.extend_from_slice(&key_length);
        self.buffer.extend_from_slice(&value_length);
        self.buffer.extend_from_slice(&crc.to_le_bytes());
        parts[2..].iter().for_each(|part| self.buffer.extend_from_slice(part));
        self.crc = crc32c::crc32c_append(self.crc, &crc.to_le_bytes());
        self.entries += 1;
        if self.buffer.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.buffer.extend_from_slice(&END.to_le_bytes());
        self.buffer.extend_from_slice(&self.entries.to_le_bytes());
        let crc = crc32c::crc32c_append(self.crc, &self.entries.to_le_bytes());
        self.buffer.extend_from_slice(&crc.to_le_bytes());
        self.flush()?;
        self.file.sync_data()
    }
}

/// Reads a snapshot file; says what is wrong with it.
fn load(mut data: Bytes) -> Result<Map, &'static str> {
    if data.len() < HEADER || !data.starts_with(MAGIC) {
        return Err("it is not a snapshot file");
    }
    data.advance(MAGIC.len());
    if data.get_u32_le() != VERSION {
        return Err("it has a later format version; start the release that wrote it");
    }
    let mut map = BTreeMap::new();
    let mut all_crc = 0;
    while !data.starts_with(&END.to_le_bytes()) {
        let (key, value, crc) = take_entry(&mut data).ok_or("an entry is damaged")?;
        all_crc = crc32c::crc32c_append(all_crc, &crc.to_le_bytes());
        map.insert(key, value);
    }
    let entries = map.len() as u64;
    let crc = crc32c::crc32c_append(all_crc, &entries.to_le_bytes());
    let intact = data.len() == TRAILER && data[4..12] == entries.to_le_bytes() && data[12..] == crc.to_le_bytes();
    if intact { Ok(Map(map)) } else { Err("its end is damaged") }
}

fn take_entry(data: &mut Bytes) -> Option<(Bytes, Bytes, u32)> {
    let mut header = data.get(..ENTRY_HEADER)?;
    let lengths = crc32c::crc32c(&header[..8]);
    let (key_length, value_length) = (header.get_u32_le() as usize, header.get_u32_le() as usize);
    let crc = header.get_u32_le();
    let end = ENTRY_HEADER.checked_add(key_length)?.checked_add(value_length)?;
    let content = data.get(ENTRY_HEADER..end)?;
    if crc32c::crc32c_append(lengths, content) != crc {
        return None;
    }
    // Copied, so that the whole file need not stay in memory.
    let (key, value) = content.split_at(key_length);
    let entry = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value), crc);
    data.advance(end);
    split_key(&entry.0).is_some().then_some(entry)
}

fn damaged(directory: &dyn Directory, reason: &str) -> EngineError {
    let detail = format!("{}: {reason}", directory.path(FILE).display());
    EngineError::Damaged { kind: EngineKind::Memory, detail }
}
