//! Who this node is, kept beside its data: its part in founding the cluster, its incarnation, its engine.
//!
//! Written rarely, whole, atomically and with a checksum; a damaged record refuses to start.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use annulus_base::Incarnation;
use annulus_ring::bootstrap::Saved;
use wincode::{SchemaRead, SchemaWrite};

use crate::storage::files::{Directory, read_all, replace};

const FILE: &str = "identity";
const DIGEST_LEN: usize = 32;

/// Why the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read or written.
    #[error("the node's identity {path} cannot be read or written: {source}; check the data directory")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is damaged.
    #[error(
        "the node's identity {path} is damaged; restore the data directory, \
         or replace this node by a new one with an empty data directory"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The data directory belongs to another engine.
    #[error("this data directory was created with engine '{had}', not '{wanted}'; the engine cannot be changed")]
    Engine {
        /// What it was created with.
        had: String,
        /// What is configured.
        wanted: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, SchemaRead, SchemaWrite)]
struct Stored {
    incarnation: Incarnation,
    engine: String,
    founding: Option<Saved>,
}

/// The stored identity.
pub struct Identity {
    directory: Arc<dyn Directory>,
    stored: Stored,
}

impl Identity {
    /// Reads the identity from `directory`; a new one where there is none.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn open(directory: Arc<dyn Directory>, engine: &str) -> Result<Self, IdentityError> {
        let path = directory.path(FILE);
        let stored = match directory.open(FILE) {
            Ok(file) => {
                let bytes = read_all(&*file).map_err(|source| IdentityError::Io { path: path.clone(), source })?;
                decode(&bytes).ok_or(IdentityError::Damaged { path })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Stored { engine: engine.to_owned(), ..Stored::default() }
            }
            Err(source) => return Err(IdentityError::Io { path, source }),
        };
        if stored.engine != engine {
            return Err(IdentityError::Engine { had: stored.engine, wanted: engine.to_owned() });
        }
        Ok(Self { directory, stored })
    }

    /// What was saved of the cluster's founding.
    #[must_use]
    pub const fn founding(&self) -> Option<&Saved> {
        self.stored.founding.as_ref()
    }

    /// Whether this node was started before with this data directory, after its cluster had formed.
    #[must_use]
    pub const fn has_started(&self) -> bool {
        self.stored.incarnation.0 > 0
    }

    /// Saves the founding's state, durably.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save_founding(&mut self, saved: &Saved) -> io::Result<()> {
        self.stored.founding = Some(saved.clone());
        self.write()
    }

    /// The next incarnation, durable before it is used.
    ///
    /// # Errors
    /// [`IdentityError::Io`].
    pub fn next_incarnation(&mut self) -> Result<Incarnation, IdentityError> {
        self.stored.incarnation.0 += 1;
        self.write().map_err(|source| IdentityError::Io { path: self.directory.path(FILE), source })?;
        Ok(self.stored.incarnation)
    }

    fn write(&self) -> io::Result<()> {
        let body = wincode::serialize(&self.stored).map_err(io::Error::other)?;
        let mut bytes = blake3::hash(&body).as_bytes().to_vec();
        bytes.extend_from_slice(&body);
        replace(&*self.directory, FILE, &bytes)
    }
}

fn decode(bytes: &[u8]) -> Option<Stored> {
    let (digest, body) = bytes.split_at_checked(DIGEST_LEN)?;
    if blake3::hash(body).as_bytes() != digest {
        return None;
    }
    wincode::deserialize_exact(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::files::OsDirectory;

    fn directory(path: &std::path::Path) -> Arc<dyn Directory> {
        Arc::new(OsDirectory::open(path).unwrap())
    }

    #[test]
    fn incarnations_grow_over_restarts() {
        let dir = tempfile::tempdir().unwrap();
        for expected in 1..4 {
            let mut identity = Identity::open(directory(dir.path()), "fjall").unwrap();
            assert_eq!(identity.has_started(), expected > 1);
            assert_eq!(identity.next_incarnation().unwrap(), Incarnation(expected));
        }
    }

    #[test]
    fn another_engine_and_damage_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        Identity::open(directory(dir.path()), "fjall").unwrap().next_incarnation().unwrap();
        assert!(matches!(Identity::open(directory(dir.path()), "sled"), Err(IdentityError::Engine { .. })));
        let path = dir.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(Identity::open(directory(dir.path()), "fjall"), Err(IdentityError::Damaged { .. })));
    }
}
