//! Bits that flip on the disk of a node that does not run, and flip back.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use annulus_base::rng::Rng;

/// One bit that was flipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// In which file.
    pub path: PathBuf,
    /// Which byte.
    pub offset: u64,
    /// Which bit, as a mask.
    mask: u8,
    /// When the file was changed by that: if it was changed again since, the bit is not ours any more.
    changed: SystemTime,
}

/// Flips one bit in a file below `dir`, in a byte that is not 0: what is there is in use. `None` if all is empty.
///
/// # Errors
/// If files cannot be read or written.
pub fn flip(dir: &Path, rng: &mut Rng) -> io::Result<Option<Flip>> {
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    files.sort();
    rng.shuffle(&mut files);
    for path in files {
        let data = fs::read(&path)?;
        let used: Vec<usize> = (0..data.len()).filter(|at| data[*at] != 0).collect();
        let Some(at) = rng.pick(&used) else { continue };
        let mask = 1 << rng.below(8);
        let file = OpenOptions::new().write(true).open(&path)?;
        file.write_all_at(&[data[*at] ^ mask], *at as u64)?;
        file.sync_all()?;
        return Ok(Some(Flip { offset: *at as u64, mask, changed: file.metadata()?.modified()?, path }));
    }
    Ok(None)
}

impl Flip {
    /// Flips the bit back, unless the file is gone or has been written since.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn undo(&self) -> io::Result<()> {
        let file = match File::options().read(true).write(true).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        if file.metadata()?.modified()? != self.changed {
            return Ok(());
        }
        let mut byte = [0];
        file.read_exact_at(&mut byte, self.offset)?;
        file.write_all_at(&[byte[0] ^ self.mask], self.offset)
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differing_bits(a: &[u8], b: &[u8]) -> u32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    #[test]
    fn one_bit_in_use_is_flipped_and_flipped_back() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("empty"), [0; 100]).unwrap();
        let file = dir.path().join("sub/file");
        let before = [&[0; 50][..], b"used", &[0; 50]].concat();
        fs::write(&file, &before).unwrap();
        let flip = flip(dir.path(), &mut Rng::new(1)).unwrap().unwrap();
        assert!(flip.path == file && (50..54).contains(&flip.offset), "{flip:?}");
        assert_eq!(differing_bits(&fs::read(&file).unwrap(), &before), 1);
        flip.undo().unwrap();
        assert_eq!(fs::read(&file).unwrap(), before);
    }

    #[test]
    fn what_was_written_since_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"used").unwrap();
        let flip = flip(dir.path(), &mut Rng::new(1)).unwrap().unwrap();
        let later = File::options().write(true).open(&file).unwrap();
        later.write_all_at(b"new!", 0).unwrap();
        later.set_modified(flip.changed + std::time::Duration::from_secs(1)).unwrap();
        flip.undo().unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new!");
        fs::remove_file(&file).unwrap();
        flip.undo().unwrap();
    }

    #[test]
    fn where_nothing_is_in_use_nothing_is_flipped() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("zeros"), [0; 10]).unwrap();
        assert_eq!(flip(dir.path(), &mut Rng::new(1)).unwrap(), None);
    }
}
