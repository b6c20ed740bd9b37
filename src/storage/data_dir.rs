//! A node's data directory: owned by one process at a time, with one place for each thing in it.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::files::OsDirectory;

const LOCK_FILE: &str = "LOCK";
const LOG: &str = "log";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process has it.
    #[error(
        "the data directory {path} is in use by {owner}; stop that process, or choose another directory with --data-dir"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who uses it, as far as known.
        owner: String,
    },
    /// It cannot be created, read or written.
    #[error(
        "the data directory {path} cannot be used: {source}; check that it can be made there, is writable and not full"
    )]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An exclusively owned data directory. The lock ends with the value, or with the process.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the directory if needed, and takes it for this process.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Io { path: path.to_owned(), source };
        create_durably(path).map_err(failed)?;
        let lock = take_lock(&path.join(LOCK_FILE)).map_err(failed)?;
        match lock {
            Ok(lock) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(owner) => Err(DataDirError::InUse { path: path.to_owned(), owner }),
        }
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the storage engine keeps its files.
    #[must_use]
    pub fn engine_path(&self) -> PathBuf {
        self.path.join("engine")
    }

    /// The directory of the vote log.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn log(&self) -> Result<OsDirectory, DataDirError> {
        self.subdirectory(LOG)
    }

    /// The directory of the node's own records.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn meta(&self) -> Result<OsDirectory, DataDirError> {
        self.subdirectory("meta")
    }

    /// Whether a log or an engine has left anything here, so that the node's own records must exist too.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn has_data(&self) -> Result<bool, DataDirError> {
        for path in [self.path.join(LOG), self.engine_path()] {
            let entries = match path.read_dir() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other,
            };
            if entries.map_err(|source| DataDirError::Io { path, source })?.next().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn subdirectory(&self, name: &str) -> Result<OsDirectory, DataDirError> {
        let path = self.path.join(name);
        OsDirectory::open(&path).map_err(|source| DataDirError::Io { path, source })
    }
}

/// Creates a directory and its missing ancestors so that a power loss does not take them away again.
fn create_durably(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists()) {
        create_durably(parent)?;
    }
    OsDirectory::open(path).map(|_| ())
}

/// The lock, or who holds it.
fn take_lock(path: &Path) -> io::Result<Result<File, String>> {
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            write!(file, "process {}", std::process::id())?;
            Ok(Ok(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            file.take(64).read_to_string(&mut owner)?;
            Ok(Err(if owner.is_empty() { "another process".to_owned() } else { owner }))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let first = DataDir::open(&path).unwrap();
        let refused = DataDir::open(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn an_unusable_path_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(DataDir::open(&path), Err(DataDirError::Io { .. })));
    }
}
