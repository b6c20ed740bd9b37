//! A disk in memory that can lose power, fail and rot.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use annulus_base::rng::Rng;

use super::files::{Directory, File};

/// What the device writes atomically, bytes.
const SECTOR: usize = 512;

/// A directory on a simulated disk. Clones are the same directory; after a crash only a new handle from
/// [`SimDisk::restart`] works.
#[derive(Clone)]
pub struct SimDisk {
    disk: Arc<Mutex<Disk>>,
    life: u64,
}

struct Disk {
    /// Names as the running system sees them.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names since the last sync of the directory.
    renames: Vec<NameChange>,
    files: Vec<Inode>,
    life: u64,
    /// Operations until all fail.
    fail_in: Option<u64>,
    /// Room for data, if limited.
    room: Option<u64>,
    rng: Rng,
}

#[derive(Clone)]
enum NameChange {
    Link(String, usize),
    Unlink(String),
    Rename(String, String, usize),
}

/// Contents as the system sees them, and as they are on the device.
#[derive(Default)]
struct Inode {
    cached: Vec<u8>,
    durable: Vec<u8>,
    dirty: Vec<(usize, Vec<u8>)>,
}

impl Inode {
    /// Writes back a random subset of the sectors of what was written since the last sync.
    fn lose_some(&mut self, rng: &mut Rng) {
        for (offset, data) in std::mem::take(&mut self.dirty) {
            let mut at = 0;
            while at < data.len() {
                let end = ((offset + at) / SECTOR + 1) * SECTOR - offset;
                let end = end.min(data.len());
                if rng.one_in(2) {
                    put(&mut self.durable, offset + at, &data[at..end]);
                }
                at = end;
            }
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(data);
}

impl SimDisk {
    /// An empty directory; the seed decides what is lost.
    pub fn new(seed: u64) -> Self {
        let disk = Disk {
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            renames: Vec::new(),
            files: Vec::new(),
            life: 0,
            fail_in: None,
            room: None,
            rng: Rng::new(seed),
        };
        Self { disk: Arc::new(Mutex::new(disk)), life: 0 }
    }

    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.disk.lock().unwrap();
        if disk.life != self.life {
            return Err(io::Error::other("this process is dead"));
        }
        if let Some(left) = &mut disk.fail_in {
            if *left == 0 {
                return Err(io::Error::other("injected failure"));
            }
            *left -= 1;
        }
        Ok(disk)
    }

    /// The process dies, the system lives on: everything written is still there.
    pub fn restart(&self) -> Self {
        let mut disk = self.disk.lock().unwrap();
        disk.life += 1;
        disk.fail_in = None;
        Self { disk: Arc::clone(&self.disk), life: disk.life }
    }

    /// The power is lost: of what was not synced, any part may be there.
    pub fn lose_power(&self) -> Self {
        let mut guard = self.disk.lock().unwrap();
        let disk = &mut *guard;
        for change in std::mem::take(&mut disk.renames) {
            if disk.rng.one_in(2) {
                change.apply(&mut disk.durable_names);
            }
        }
        disk.names = disk.durable_names.clone();
        for inode in &mut disk.files {
            inode.lose_some(&mut disk.rng);
            inode.cached = inode.durable.clone();
        }
        drop(guard);
        self.restart()
    }

    /// After `operations` more ones all fail; a failing sync loses part of the data for good.
    pub fn fail_after(&self, operations: u64) {
        self.disk.lock().unwrap().fail_in = Some(operations);
    }

    /// Lets only this many more bytes be allocated.
    pub fn limit_room(&self, bytes: Option<u64>) {
        self.disk.lock().unwrap().room = bytes;
    }

    /// All files and their contents.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let disk = self.disk.lock().unwrap();
        disk.names.iter().map(|(name, &inode)| (name.clone(), disk.files[inode].cached.clone())).collect()
    }

    /// Changes a file behind everyone's back.
    pub fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.disk.lock().unwrap();
        let inode = disk.names[name];
        let inode = &mut disk.files[inode];
        change(&mut inode.cached);
        inode.durable = inode.cached.clone();
        inode.dirty.clear();
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, inode) => {
                names.insert(name, inode);
            }
            Self::Unlink(name) => {
                names.remove(&name);
            }
            Self::Rename(from, to, inode) => {
                names.remove(&from);
                names.insert(to, inode);
            }
        }
    }
}

impl Disk {
    fn change(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.renames.push(change);
    }

    fn inode(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Directory for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk()?.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut disk = self.disk()?;
        if disk.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = disk.files.len();
        disk.files.push(Inode::default());
        disk.change(NameChange::Link(name.to_owned(), inode));
        Ok(Box::new(SimFile { disk: self.clone(), inode }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let inode = self.disk()?.inode(name)?;
        Ok(Box::new(SimFile { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk()?;
        let inode = disk.inode(from)?;
        disk.change(NameChange::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk()?;
        disk.inode(name)?;
        disk.change(NameChange::Unlink(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk()?;
        disk.renames.clear();
        disk.durable_names = disk.names.clone();
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/sim").join(name)
    }
}

struct SimFile {
    disk: SimDisk,
    inode: usize,
}

impl SimFile {
    fn write_a_part(&self, data: &[u8], offset: usize) {
        let mut disk = self.disk.disk.lock().unwrap();
        if disk.life == self.disk.life {
            let part = data[..data.len() / 2].to_vec();
            let inode = &mut disk.files[self.inode];
            put(&mut inode.cached, offset, &part);
            inode.dirty.push((offset, part));
        }
    }
}

impl File for SimFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.disk()?.files[self.inode].cached.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let disk = self.disk.disk()?;
        let content = &disk.files[self.inode].cached;
        let start = offset as usize;
        let part = content.get(start..start + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(part);
        Ok(())
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = match self.disk.disk() {
            Ok(disk) => disk,
            Err(error) => {
                self.write_a_part(data, offset as usize);
                return Err(error);
            }
        };
        let offset = offset as usize;
        let grows = (offset + data.len()).saturating_sub(disk.files[self.inode].cached.len()) as u64;
        if let Some(room) = &mut disk.room {
            *room = room.checked_sub(grows).ok_or(io::ErrorKind::StorageFull)?;
        }
        let inode = &mut disk.files[self.inode];
        put(&mut inode.cached, offset, data);
        inode.dirty.push((offset, data.to_vec()));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let synced = self.disk.disk();
        let mut disk = match synced {
            Ok(disk) => disk,
            Err(error) => {
                // As Linux does: the pages are clean now, and still to be seen, but not on the device.
                let mut guard = self.disk.disk.lock().unwrap();
                let disk = &mut *guard;
                if disk.life == self.disk.life {
                    disk.files[self.inode].lose_some(&mut disk.rng);
                }
                return Err(error);
            }
        };
        let inode = &mut disk.files[self.inode];
        for (offset, data) in std::mem::take(&mut inode.dirty) {
            put(&mut inode.durable, offset, &data);
        }
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.sync_data()?;
        let mut disk = self.disk.disk()?;
        let inode = &mut disk.files[self.inode];
        inode.cached.truncate(len as usize);
        inode.durable.truncate(len as usize);
        Ok(())
    }
}
