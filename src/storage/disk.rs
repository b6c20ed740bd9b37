//! How full the disk is, for the rule that a nearly full node refuses writes.

use std::io;
use std::path::Path;

/// Space of the file system that holds a path, as an unprivileged process sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// All bytes that could be used.
    pub total: u64,
    /// Bytes still free.
    pub free: u64,
    /// Share in use, 0 to 1.
    pub used_ratio: f64,
}

/// The space of the file system that holds `path`.
///
/// # Errors
/// If the file system cannot be asked.
pub fn usage(path: &Path) -> io::Result<Usage> {
    let stat = rustix::fs::statvfs(path)?;
    let used = stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(stat.f_frsize);
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let total = used.saturating_add(free);
    let used_ratio = if total == 0 { 1.0 } else { used as f64 / total as f64 };
    Ok(Usage { total, free, used_ratio })
}

/// Bytes that the files in a directory and below occupy on disk.
///
/// # Errors
/// If the directory cannot be read.
pub fn occupied(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => total += occupied(&entry.path())?,
            Ok(metadata) => total += metadata.blocks() * 512,
            // Engines remove files while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_of_a_real_disk_is_plausible() {
        let usage = usage(&std::env::temp_dir()).unwrap();
        assert!(usage.total > 0 && usage.free <= usage.total);
        assert!((0.0..=1.0).contains(&usage.used_ratio));
        assert!(super::usage(Path::new("/nowhere/at/all")).is_err());
    }

    #[test]
    fn occupied_counts_what_is_below() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/file"), vec![1; 100_000]).unwrap();
        assert!(occupied(dir.path()).unwrap() >= 100_000);
    }
}
