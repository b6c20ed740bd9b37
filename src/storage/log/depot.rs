//! Prepares files to become segments, and takes back those no longer needed.

use std::sync::Arc;

use super::error::LogError;
use super::segment::Name;
use crate::storage::files::{Directory, File, create_over};

/// A file whose every byte has been written, ready to become a segment.
pub struct Spare {
    /// Its name now.
    pub name: Name,
    /// The file.
    pub file: Box<dyn File>,
    /// Its length in bytes.
    pub length: u64,
}

/// Where segments come from and go to.
pub trait Segments: Send {
    /// A file to become a segment, of at least `min_length` bytes.
    ///
    /// # Errors
    /// [`LogError`], also of earlier work done in the background.
    fn take(&mut self, min_length: u64) -> Result<Spare, LogError>;

    /// Makes the segment `base` the oldest that counts, and frees the `older` ones.
    ///
    /// # Errors
    /// [`LogError`].
    fn retire(&mut self, base: u64, older: Vec<Name>) -> Result<(), LogError>;
}

/// The work itself, done on the caller's thread.
pub struct Depot {
    directory: Arc<dyn Directory>,
    segment_bytes: u64,
    spares: Vec<Name>,
    next_number: u64,
}

impl Depot {
    /// How many unused files are kept for recycling, beside one handed out ahead: what a checkpoint frees by default.
    const KEPT: usize = 4;

    /// A depot that knows these spares, found when opening.
    pub fn new(directory: Arc<dyn Directory>, segment_bytes: u64, spares: Vec<Name>) -> Self {
        let next_number = spares.iter().map(|name| name.number() + 1).max().unwrap_or(0);
        Self { directory, segment_bytes, spares, next_number }
    }

    /// A spare by recycling an old file, if there is one of the right length.
    fn recycle(&mut self) -> Result<Option<Spare>, LogError> {
        while let Some(name) = self.spares.pop() {
            let failed = |action| LogError::io(action, name.path(&*self.directory));
            let file = self.directory.open(&name.to_string()).map_err(failed("open"))?;
            if file.length().map_err(failed("read"))? == self.segment_bytes {
                return Ok(Some(Spare { name, file, length: self.segment_bytes }));
            }
            self.directory.remove(&name.to_string()).map_err(failed("remove"))?;
        }
        Ok(None)
    }

    fn create(&mut self, length: u64) -> Result<Spare, LogError> {
        let number = self.next_number;
        self.next_number += 1;
        let unfinished = Name::Unfinished(number);
        let failed = |action| LogError::io(action, unfinished.path(&*self.directory));
        let file = create_over(&*self.directory, &unfinished.to_string()).map_err(failed("create"))?;
        let filled = fill(&*file, length).map_err(failed("fill"));
        if let Err(error) = filled {
            // Gives the space back; the error that counts is the first one.
            let _ = self.directory.remove(&unfinished.to_string());
            return Err(error);
        }
        let name = Name::Spare(number);
        self.directory.rename(&unfinished.to_string(), &name.to_string()).map_err(failed("rename"))?;
        Ok(Spare { name, file, length })
    }

    /// Frees files: keeps some for recycling, removes the others.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn free(&mut self, names: Vec<Name>) -> Result<(), LogError> {
        if names.is_empty() {
            return Ok(());
        }
        names.into_iter().try_for_each(|name| self.free_one(name))?;
        // A recycled file gets its next name only once it has durably lost this one.
        self.directory.sync().map_err(LogError::io("sync", self.directory.path("")))
    }

    fn free_one(&mut self, name: Name) -> Result<(), LogError> {
        let failed = |action| LogError::io(action, name.path(&*self.directory));
        if self.spares.len() >= Self::KEPT {
            return self.directory.remove(&name.to_string()).map_err(failed("remove"));
        }
        let spare = Name::Spare(self.next_number);
        self.next_number += 1;
        self.directory.rename(&name.to_string(), &spare.to_string()).map_err(failed("rename"))?;
        self.spares.push(spare);
        Ok(())
    }
}

impl Segments for Depot {
    fn take(&mut self, min_length: u64) -> Result<Spare, LogError> {
        if min_length <= self.segment_bytes
            && let Some(spare) = self.recycle()?
        {
            return Ok(spare);
        }
        self.create(min_length.max(self.segment_bytes))
    }

    fn retire(&mut self, base: u64, older: Vec<Name>) -> Result<(), LogError> {
        let (from, to) = (Name::Log(base), Name::Base(base));
        let failed = |action| LogError::io(action, from.path(&*self.directory));
        self.directory.rename(&from.to_string(), &to.to_string()).map_err(failed("rename"))?;
        self.directory.sync().map_err(failed("sync the name of"))?;
        self.free(older)
    }
}

/// Writes every byte, so that later writes allocate nothing, in pieces that leave others their turn.
fn fill(file: &dyn File, length: u64) -> std::io::Result<()> {
    const PIECE: u64 = 1 << 20;
    let zeros = vec![0; PIECE.min(length) as usize];
    let mut at = 0;
    while at < length {
        let piece = &zeros[..PIECE.min(length - at) as usize];
        file.write_all_at(piece, at)?;
        file.sync_data()?;
        at += piece.len() as u64;
    }
    Ok(())
}
