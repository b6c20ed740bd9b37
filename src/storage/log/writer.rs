//! Writes groups, one sync each.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::Position;
use super::depot::{Segments, Spare};
use super::error::LogError;
use super::group::{GroupBuffer, GroupKind, Place};
use super::segment::{DATA_START, Name, SegmentHeader};
use crate::storage::files::{Directory, File};

/// What opening found: where the log goes on.
pub struct End {
    /// The segments that count, oldest first.
    pub segments: Vec<Name>,
    /// Number of the next segment.
    pub next_number: u64,
    /// Sequence number of the next group.
    pub next_sequence: u64,
}

/// The log's end. Used by one thread.
pub struct Writer {
    directory: Arc<dyn Directory>,
    segments: Box<dyn Segments>,
    older: Vec<Name>,
    current: Segment,
    next_sequence: u64,
    /// The unfinished checkpoint.
    checkpoint: Option<Begun>,
}

struct Begun {
    position: Position,
    /// Number of the segment that begins with it.
    segment: u64,
}

struct Segment {
    name: Name,
    file: Box<dyn File>,
    salt: u64,
    length: u64,
    end: u64,
}

impl Segment {
    const fn place(&self) -> Place {
        Place { salt: self.salt, offset: self.end }
    }

    const fn has_room(&self, group: &GroupBuffer) -> bool {
        self.end + group.len() <= self.length
    }
}

impl Writer {
    /// Begins a new segment behind what is there.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn start(directory: Arc<dyn Directory>, mut segments: Box<dyn Segments>, end: End) -> Result<Self, LogError> {
        let spare = segments.take(DATA_START)?;
        let sequence = end.next_sequence;
        let (name, snapshot) = if end.segments.is_empty() {
            (Name::Base(end.next_number), Some(&mut GroupBuffer::default()))
        } else {
            (Name::Log(end.next_number), None)
        };
        let next_sequence = sequence + u64::from(snapshot.is_some());
        let current = begin_segment(&*directory, spare, name, sequence, snapshot)?;
        Ok(Self { directory, segments, older: end.segments, current, next_sequence, checkpoint: None })
    }

    /// Bytes that the current segment has room for.
    pub const fn room(&self) -> u64 {
        self.current.length - self.current.end
    }

    /// Writes a group durably.
    ///
    /// # Errors
    /// [`LogError`]; nothing may be written after that.
    pub fn write(&mut self, group: &mut GroupBuffer, kind: GroupKind) -> Result<(), LogError> {
        if !self.current.has_room(group) {
            self.rotate(group.len(), None)?;
        }
        let segment = &mut self.current;
        let data = group.seal(self.next_sequence, kind, segment.place());
        let path = || segment.name.path(&*self.directory);
        segment.file.write_all_at(data, segment.end).map_err(|error| LogError::io("write", path())(error))?;
        segment.file.sync_data().map_err(|error| LogError::io("sync", path())(error))?;
        segment.end += data.len() as u64;
        self.next_sequence += 1;
        Ok(())
    }

    /// Begins a segment with a snapshot. `position` tells this checkpoint from others.
    ///
    /// # Errors
    /// [`LogError`]; nothing may be written after that.
    pub fn begin_checkpoint(&mut self, position: Position, snapshot: &mut GroupBuffer) -> Result<(), LogError> {
        self.rotate(snapshot.len(), Some(snapshot))?;
        self.checkpoint = Some(Begun { position, segment: self.current.name.number() });
        Ok(())
    }

    /// Frees what is older than the checkpoint begun at `position`, unless another one was begun since.
    ///
    /// # Errors
    /// [`LogError`]; nothing may be written after that.
    pub fn finish_checkpoint(&mut self, position: Position) -> Result<(), LogError> {
        let Some(Begun { segment: base, .. }) = self.checkpoint.take_if(|begun| begun.position == position) else {
            return Ok(());
        };
        let (freed, kept) = std::mem::take(&mut self.older).into_iter().partition(|name| name.number() < base);
        self.older = kept;
        for name in self.older.iter_mut().chain([&mut self.current.name]) {
            if *name == Name::Log(base) {
                *name = Name::Base(base);
            }
        }
        self.segments.retire(base, freed)
    }

    /// Ends the log so that damage to its last records can be told from a torn tail.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn close(&mut self) -> Result<(), LogError> {
        self.write(&mut GroupBuffer::default(), GroupKind::Close)
    }

    fn rotate(&mut self, room: u64, snapshot: Option<&mut GroupBuffer>) -> Result<(), LogError> {
        let spare = self.segments.take(DATA_START + room)?;
        let name = Name::Log(self.current.name.number() + 1);
        let sequence = self.next_sequence;
        self.next_sequence += u64::from(snapshot.is_some());
        let next = begin_segment(&*self.directory, spare, name, sequence, snapshot)?;
        self.older.push(std::mem::replace(&mut self.current, next).name);
        Ok(())
    }
}

/// Makes a spare the segment `name`: header, and snapshot if there is one, are durable before the name is.
fn begin_segment(
    directory: &dyn Directory,
    spare: Spare,
    name: Name,
    first_sequence: u64,
    snapshot: Option<&mut GroupBuffer>,
) -> Result<Segment, LogError> {
    let failed = |action| LogError::io(action, spare.name.path(directory));
    let salt = RandomState::new().hash_one(name.number());
    let header = SegmentHeader { number: name.number(), first_sequence, salt };
    spare.file.write_all_at(&header.encode(), 0).map_err(failed("write"))?;
    let mut segment = Segment { name, file: spare.file, salt, length: spare.length, end: DATA_START };
    if let Some(group) = snapshot {
        let data = group.seal(first_sequence, GroupKind::Snapshot, segment.place());
        segment.file.write_all_at(data, segment.end).map_err(failed("write"))?;
        segment.end += data.len() as u64;
    }
    segment.file.sync_data().map_err(failed("sync"))?;
    directory.rename(&spare.name.to_string(), &name.to_string()).map_err(failed("rename"))?;
    directory.sync().map_err(failed("sync the name of"))?;
    Ok(segment)
}
