//! The node's own durable records: its identity, incarnation, topology. Small, rarely written, and apart
//! from log and engine, so that who a node is does not depend on either.
//!
//! One file, replaced atomically at each change:
//! ```text
//! magic 8 bytes | version u32 | crc32c of the rest u32 | records: name length u16, name, value length u32, value
//! ```
//! All integers little-endian.
//!
//! A node must not answer under its identity once its disk is empty or older than it was. What can be
//! noticed here: the file is gone while other data is there ([`MetaError::Lost`]), or is damaged. A whole
//! directory put back from a copy cannot be noticed on this disk; peers notice it by the incarnation.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use annulus_base::Incarnation;
use bytes::Buf;

use super::files::{Directory, is_full, read_replaced, replace};

const FILE: &str = "records";
const MAGIC: &[u8; 8] = b"AnnulMT\n";
const VERSION: u32 = 1;
const HEADER: usize = 16;
const INCARNATION: &str = "incarnation";

/// Why the node's records cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The disk or file system failed.
    #[error("could not {action} the node's records {file}: {source}; {}", advice(source))]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is damaged, or of a later release.
    #[error(
        "the node's records {file} cannot be used: {reason}. Put a copy of the file from just before back; without \
         one replace this node by a new one with an empty data directory"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is data, but no record of whose it is.
    #[error(
        "the node's records {file} are missing although the directory holds data. Put the file back; if it is lost, \
         replace this node by a new one with an empty data directory"
    )]
    Lost {
        /// The file.
        file: PathBuf,
    },
}

fn advice(error: &io::Error) -> &'static str {
    if is_full(error) { "free space and try again" } else { "check the disk, then start the node again" }
}

pub(crate) type Records = BTreeMap<String, Vec<u8>>;

/// The node's records. What [`Meta::put`] returned for is durable.
pub struct Meta {
    directory: Arc<dyn Directory>,
    records: Mutex<Records>,
    is_new: bool,
}

impl Meta {
    /// Reads the records. `has_data` tells that the node has other data already, so that its records must exist.
    ///
    /// # Errors
    /// [`MetaError`].
    pub fn open(directory: Arc<dyn Directory>, has_data: bool) -> Result<Self, MetaError> {
        let file = directory.path(FILE);
        let failed = |source| MetaError::Io { action: "read", file: file.clone(), source };
        let data = read_replaced(&*directory, FILE).map_err(failed)?;
        let is_new = data.is_none();
        let records = match data {
            Some(data) => decode(&data).map_err(|reason| MetaError::Damaged { file, reason })?,
            None if has_data => return Err(MetaError::Lost { file }),
            None => Records::new(),
        };
        Ok(Self { directory, records: Mutex::new(records), is_new })
    }

    /// Whether no record existed when this was opened: the node starts for the first time.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// The value of a record.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().get(name).cloned()
    }

    /// Writes a record durably. Names are at most 65 535 bytes long, values less than 4 GiB.
    ///
    /// # Errors
    /// [`MetaError::Io`]; whether the record was written is then unknown.
    pub fn put(&self, name: &str, value: &[u8]) -> Result<(), MetaError> {
        self.change(|records| drop(records.insert(name.to_owned(), value.to_vec())))
    }

    /// Removes a record durably.
    ///
    /// # Errors
    /// [`MetaError::Io`]; whether the record was removed is then unknown.
    pub fn remove(&self, name: &str) -> Result<(), MetaError> {
        self.change(|records| drop(records.remove(name)))
    }

    /// The incarnation of this start, one above the last one; durable before it is returned.
    ///
    /// # Errors
    /// [`MetaError`].
    pub fn next_incarnation(&self) -> Result<Incarnation, MetaError> {
        let damaged = |reason| MetaError::Damaged { file: self.directory.path(FILE), reason };
        let last = match self.get(INCARNATION) {
            Some(value) => value.try_into().map_err(|_| damaged("the incarnation is not a number"))?,
            None => [0; 4],
        };
        let next = u32::from_le_bytes(last).checked_add(1).ok_or_else(|| damaged("the incarnations are used up"))?;
        self.put(INCARNATION, &next.to_le_bytes())?;
        Ok(Incarnation(next))
    }

    fn change(&self, change: impl FnOnce(&mut Records)) -> Result<(), MetaError> {
        let mut records = self.lock();
        let mut changed = records.clone();
        change(&mut changed);
        let failed = |source| MetaError::Io { action: "write", file: self.directory.path(FILE), source };
        replace(&*self.directory, FILE, &encode(&changed)).map_err(failed)?;
        *records = changed;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        // The records are replaced as a whole.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of the file that holds these records.
pub(crate) fn encode(records: &Records) -> Vec<u8> {
    let mut out = [&MAGIC[..], &VERSION.to_le_bytes(), &[0; 4]].concat();
    for (name, value) in records {
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(value);
    }
    let crc = crc32c::crc32c(&out[HEADER..]);
    out[HEADER - 4..HEADER].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The records in the bytes of their file; what is wrong with it, if something is.
pub(crate) fn decode(data: &[u8]) -> Result<Records, &'static str> {
    let (mut header, mut rest) = data.split_at_checked(HEADER).ok_or("it is cut off")?;
    if !header.starts_with(MAGIC) {
        return Err("it is not a file of records");
    }
    header.advance(MAGIC.len());
    if header.get_u32_le() != VERSION {
        return Err("it has a later format version; start the release that wrote it");
    }
    if header.get_u32_le() != crc32c::crc32c(rest) {
        return Err("it fails its checksum");
    }
    let mut records = Records::new();
    while !rest.is_empty() {
        let (name, value) = take_record(&mut rest).ok_or("a record is malformed")?;
        records.insert(name, value);
    }
    Ok(records)
}

fn take_record(rest: &mut &[u8]) -> Option<(String, Vec<u8>)> {
    let name_length = usize::from(rest.try_get_u16_le().ok()?);
    let name = String::from_utf8(rest.split_off(..name_length)?.to_vec()).ok()?;
    let value_length = rest.try_get_u32_le().ok()? as usize;
    Some((name, rest.split_off(..value_length)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use annulus_base::rng::Rng;

    use super::*;
    use crate::storage::testing::SimDisk;

    fn open(disk: &SimDisk) -> Result<Meta, MetaError> {
        Meta::open(Arc::new(disk.clone()), false)
    }

    #[test]
    fn what_put_returned_for_survives_power_losses() {
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let mut disk = SimDisk::new(!seed);
            let mut model = Records::new();
            for _ in 0..5 {
                let meta = open(&disk).unwrap();
                let mut attempted = model.clone();
                for _ in 0..rng.below(6) {
                    if rng.one_in(4) {
                        disk.fail_after(rng.below(6));
                    }
                    let (name, value) =
                        (format!("r{}", rng.below(3)), vec![rng.bits() as u8; rng.below(2_000) as usize]);
                    attempted.insert(name.clone(), value.clone());
                    if meta.put(&name, &value).is_err() {
                        break;
                    }
                    model.clone_from(&attempted);
                }
                disk = if rng.one_in(2) { disk.lose_power() } else { disk.restart() };
                let found = open(&disk).unwrap().lock().clone();
                assert!(found == model || found == attempted, "seed {seed}");
                model = found;
            }
        }
    }

    #[test]
    fn incarnations_never_repeat() {
        let mut disk = SimDisk::new(1);
        let mut last = 0;
        for start in 0..100 {
            if start % 3 == 0 {
                disk.fail_after(start % 7);
            }
            if let Ok(Ok(incarnation)) = open(&disk).map(|meta| meta.next_incarnation()) {
                assert!(incarnation.0 > last);
                last = incarnation.0;
            }
            disk = disk.lose_power();
        }
        assert!(last > 50);
    }

    #[test]
    fn damage_and_loss_are_noticed() {
        let disk = SimDisk::new(0);
        let meta = open(&disk).unwrap();
        assert!(meta.is_new());
        meta.put("node", b"7").unwrap();
        meta.put("gone", b"x").unwrap();
        meta.remove("gone").unwrap();
        assert!(!open(&disk).unwrap().is_new());
        let good = disk.contents().remove(FILE).unwrap();
        for at in 0..good.len() {
            disk.tamper(FILE, |data| data[at] ^= 4);
            assert!(matches!(open(&disk), Err(MetaError::Damaged { .. })), "byte {at}");
            disk.tamper(FILE, |data| data.truncate(at));
            assert!(matches!(open(&disk), Err(MetaError::Damaged { .. })), "cut at {at}");
            disk.tamper(FILE, |data| data.clone_from(&good));
        }
        assert_eq!(open(&disk).unwrap().get("node").unwrap(), b"7");
        assert_eq!(open(&disk).unwrap().get("gone"), None);
        disk.remove(FILE).unwrap();
        let lost = Meta::open(Arc::new(disk), true).err().unwrap();
        assert!(lost.to_string().contains("Put the file back"), "{lost}");
    }

    #[test]
    fn bytes_of_format_version_1() {
        let records = Records::from([("node".to_owned(), vec![7])]);
        let hex: String = encode(&records).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "416e6e756c4d540a01000000c484b63b04006e6f64650100000007");
    }
}
