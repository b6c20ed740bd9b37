//! Syncs that fail on demand, as those of a dying disk do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::storage::files::{self, File, OsDirectory};

/// A directory of the operating system whose syncs fail as long as a certain file exists.
pub struct Directory {
    real: OsDirectory,
    trigger: Arc<Path>,
}

impl Directory {
    /// Around a real one.
    pub fn new(real: OsDirectory, trigger: PathBuf) -> Self {
        Self { real, trigger: trigger.into() }
    }

    fn around(&self, real: Box<dyn File>) -> Box<dyn File> {
        Box::new(HookedFile { real, trigger: Arc::clone(&self.trigger) })
    }
}

struct HookedFile {
    real: Box<dyn File>,
    trigger: Arc<Path>,
}

fn look(trigger: &Path) -> io::Result<()> {
    if trigger.exists() { Err(io::Error::other("a test hook lets syncs fail")) } else { Ok(()) }
}

impl files::Directory for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        self.real.list()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(self.around(self.real.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(self.around(self.real.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.real.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.real.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        look(&self.trigger)?;
        self.real.sync()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.real.path(name)
    }
}

impl File for HookedFile {
    fn length(&self) -> io::Result<u64> {
        self.real.length()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.real.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.real.write_all_at(data, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        look(&self.trigger)?;
        self.real.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        look(&self.trigger)?;
        self.real.truncate(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::files::Directory as _;

    #[test]
    fn syncs_fail_while_the_file_is_there_and_writes_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let trigger = dir.path().join("fail");
        let directory = Directory::new(OsDirectory::open(&dir.path().join("data")).unwrap(), trigger.clone());
        let file = directory.create("a").unwrap();
        file.sync_data().unwrap();
        std::fs::write(&trigger, "").unwrap();
        file.write_all_at(b"x", 0).unwrap();
        assert!(file.sync_data().is_err() && file.truncate(0).is_err() && directory.sync().is_err());
        assert!(directory.open("a").unwrap().sync_data().is_err());
        std::fs::remove_file(&trigger).unwrap();
        file.sync_data().unwrap();
    }
}
