//! The few file operations that durability rests on, behind traits so that tests can lose power.
//!
//! Used by the vote log, the memory engine's snapshot and the node's own records. An implementation
//! promises what POSIX and journaling file systems do: written data is durable after
//! [`File::sync_data`], names are durable after [`Directory::sync`], a rename is atomic, and a write
//! never damages bytes outside of its range ("powersafe overwrite", <https://sqlite.org/psow.html>).

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// One directory of files, without subdirectories.
pub trait Directory: Send + Sync {
    /// The names of all files in it, in no particular order.
    ///
    /// # Errors
    /// If it cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file.
    ///
    /// # Errors
    /// If the name exists, or the file cannot be created.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// If it does not exist or cannot be opened.
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Gives a file a new name, replacing the file that has it.
    ///
    /// # Errors
    /// If that fails.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// If that fails.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all names durable.
    ///
    /// # Errors
    /// If that fails; names may then be lost.
    fn sync(&self) -> io::Result<()>;

    /// Where a file of this directory is, for messages.
    fn path(&self, name: &str) -> PathBuf;
}

/// An open file.
pub trait File: Send {
    /// Its length in bytes.
    ///
    /// # Errors
    /// If it cannot be asked.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// If it cannot be read, or ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `data` at `offset`, extending the file where needed.
    ///
    /// # Errors
    /// If not everything could be written.
    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// Makes everything written durable (`fdatasync`). After a failure nothing may be assumed about what
    /// was written since the last success, not even after a second, successful call.
    ///
    /// # Errors
    /// If the device or file system reports a failure.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts the file to `len` bytes, durably.
    ///
    /// # Errors
    /// If that fails.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// Reads a whole file.
///
/// # Errors
/// If it cannot be read.
pub fn read_all(file: &dyn File) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.length()?).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let mut data = vec![0; len];
    file.read_exact_at(&mut data, 0)?;
    Ok(data)
}

/// Reads a file that [`replace`] wrote, `None` if there is none. What it returns is durable, also if the
/// process died between the two last steps of replacing it.
///
/// # Errors
/// If it cannot be read or made durable.
pub fn read_replaced(directory: &dyn Directory, name: &str) -> io::Result<Option<Vec<u8>>> {
    directory.sync()?;
    match directory.open(name) {
        Ok(file) => read_all(&*file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the file `name` by one holding `data`, atomically and durably.
///
/// # Errors
/// If any step fails; the old file is then still in place, or the new one already is.
pub fn replace(directory: &dyn Directory, name: &str, data: &[u8]) -> io::Result<()> {
    let temporary = format!("{name}.tmp");
    create_over(directory, &temporary)?.write_and_sync(data)?;
    directory.rename(&temporary, name)?;
    directory.sync()
}

/// Creates an empty file, in the place of a forgotten one if there is one.
///
/// # Errors
/// If that fails.
pub fn create_over(directory: &dyn Directory, name: &str) -> io::Result<Box<dyn File>> {
    match directory.create(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            directory.remove(name)?;
            directory.create(name)
        }
        other => other,
    }
}

impl dyn File {
    fn write_and_sync(&self, data: &[u8]) -> io::Result<()> {
        self.write_all_at(data, 0)?;
        self.sync_data()
    }
}

/// Whether an error says that there is no room, so that the message can say so.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// A directory of the operating system.
#[derive(Debug)]
pub struct OsDirectory {
    path: PathBuf,
    handle: fs::File,
}

impl OsDirectory {
    /// Opens a directory; creates it, durably, if it does not exist (its parent must).
    ///
    /// # Errors
    /// If it can be neither opened nor created.
    pub fn open(path: &Path) -> io::Result<Self> {
        match fs::create_dir(path) {
            Ok(()) => {
                if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                    fs::File::open(parent)?.sync_all()?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(Self { path: path.to_owned(), handle: fs::File::open(path)? })
    }
}

impl Directory for OsDirectory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let file = fs::File::options().read(true).write(true).create_new(true).open(self.path(name))?;
        Ok(Box::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(fs::File::options().read(true).write(true).open(self.path(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl File for fs::File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, data, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.sync_all()
    }
}
