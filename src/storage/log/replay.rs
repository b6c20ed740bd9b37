//! Reads a log back. How damage is judged is told in the [module's documentation](super).

use std::sync::Arc;

use std::path::PathBuf;

use bytes::Bytes;

use super::depot::Depot;
use super::error::LogError;
use super::group::{ALIGN, GroupHeader, GroupKind, HEADER, Place, take_record};
use super::pool::Pool;
use super::segment::{DATA_START, Name, SegmentHeader};
use super::writer::{End, Writer};
use super::{Log, LogOptions, OnSynced};
use crate::storage::files::{Directory, File, read_all};

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The appender's kind.
    pub kind: u8,
    /// The version of its encoding.
    pub version: u8,
    /// Its bytes; shares the memory of a whole segment, so copy what is kept for long.
    pub payload: Bytes,
}

/// Where a torn group was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub file: PathBuf,
    /// Where the torn group began.
    pub offset: u64,
}

/// The records of a log, in order. After an error nothing follows.
pub struct Replay {
    directory: Arc<dyn Directory>,
    options: LogOptions,
    names: Names,
    segments: Vec<Segment>,
    /// The segment being read.
    index: usize,
    /// Its bytes, empty while not read.
    data: Bytes,
    offset: u64,
    /// Where the last valid group of this segment begins.
    last_group: Option<u64>,
    next_sequence: u64,
    /// What is left of the group being read.
    body: Bytes,
    cut: Option<Cut>,
    failed: Option<LogError>,
}

/// A log that was read to its end.
pub(super) struct Ended {
    pub directory: Arc<dyn Directory>,
    pub depot: Depot,
    pub at: End,
    pub cut: Option<Cut>,
}

struct Segment {
    name: Name,
    header: SegmentHeader,
    file: Box<dyn File>,
}

/// The files found, sorted by what they are.
#[derive(Default)]
struct Names {
    segments: Vec<Name>,
    outdated: Vec<Name>,
    spares: Vec<Name>,
    unfinished: Vec<Name>,
}

impl Names {
    fn find(directory: &dyn Directory) -> Result<Self, LogError> {
        let listed = directory.list().map_err(LogError::io("list", directory.path("")))?;
        let mut found = Self::default();
        for name in listed.iter().filter_map(|name| Name::parse(name)) {
            match name {
                Name::Log(_) | Name::Base(_) => found.segments.push(name),
                Name::Spare(_) => found.spares.push(name),
                Name::Unfinished(_) => found.unfinished.push(name),
            }
        }
        found.spares.sort_unstable();
        found.segments.sort_unstable_by_key(|name| name.number());
        found.split_outdated(directory)?;
        Ok(found)
    }

    /// Only the last base and what follows it counts, and of that nothing may be missing.
    fn split_outdated(&mut self, directory: &dyn Directory) -> Result<(), LogError> {
        let Some(first) = self.segments.first() else { return Ok(()) };
        let is_base = |name: &Name| matches!(name, Name::Base(_));
        let Some(base) = self.segments.iter().rposition(is_base) else {
            return Err(LogError::Missing { file: Name::Base(first.number()).path(directory) });
        };
        let counting = self.segments.split_off(base);
        self.outdated = std::mem::replace(&mut self.segments, counting);
        for pair in self.segments.windows(2) {
            let expected = Name::Log(pair[0].number() + 1);
            if pair[1] != expected {
                return Err(LogError::Missing { file: expected.path(directory) });
            }
        }
        Ok(())
    }
}

impl Replay {
    pub(super) fn open(directory: Arc<dyn Directory>, options: LogOptions) -> Result<Self, LogError> {
        // A process that died may have left names that a power loss would still undo.
        directory.sync().map_err(LogError::io("sync", directory.path("")))?;
        let names = Names::find(&*directory)?;
        if names.segments.is_empty() && !options.create {
            return Err(LogError::Missing { file: Name::Base(1).path(&*directory) });
        }
        let open = |&name| Segment::open(&*directory, name);
        let segments = names.segments.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let next_sequence = segments.first().map_or(1, |segment| segment.header.first_sequence);
        Ok(Self {
            directory,
            options,
            names,
            segments,
            index: 0,
            data: Bytes::new(),
            offset: DATA_START,
            last_group: None,
            next_sequence,
            body: Bytes::new(),
            cut: None,
            failed: None,
        })
    }

    /// Ends what was read, after reading the rest, and starts the log behind it.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn start(self, on_synced: OnSynced) -> Result<Log, LogError> {
        let ended = self.end()?;
        let writer = Writer::start(ended.directory, Box::new(Pool::start(ended.depot)?), ended.at)?;
        Log::start(writer, ended.cut, on_synced)
    }

    /// Reads the rest, and makes durable and final what was read.
    pub(super) fn end(mut self) -> Result<Ended, LogError> {
        for record in self.by_ref() {
            record?;
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.end_last_segment()?;
        let directory = &*self.directory;
        for name in self.names.unfinished {
            directory.remove(&name.to_string()).map_err(LogError::io("remove", name.path(directory)))?;
        }
        let mut depot = Depot::new(Arc::clone(&self.directory), self.options.segment_bytes, self.names.spares);
        depot.free(self.names.outdated)?;
        let next_number = self.names.segments.last().map_or(1, |name| name.number() + 1);
        let at = End { segments: self.names.segments, next_number, next_sequence: self.next_sequence };
        Ok(Ended { directory: self.directory, depot, at, cut: self.cut })
    }

    /// Makes the last valid group durable once more, and removes what is behind it.
    fn end_last_segment(&self) -> Result<(), LogError> {
        let Some(segment) = self.segments.last() else { return Ok(()) };
        let path = || segment.name.path(&*self.directory);
        if let Some(start) = self.last_group {
            let group = &self.data[start as usize..self.offset as usize];
            segment.file.write_all_at(group, start).map_err(LogError::io("write", path()))?;
        }
        segment.file.truncate(self.offset).map_err(LogError::io("cut", path()))
    }

    /// Finds the next group with records to deliver; `false` at the end of the log.
    fn next_group(&mut self) -> Result<bool, LogError> {
        loop {
            if self.index == self.segments.len() {
                return Ok(false);
            }
            if self.data.is_empty() {
                self.data = self.segments[self.index].read(&*self.directory)?;
            }
            match self.segments.get(self.index + 1).map(|next| next.header.first_sequence) {
                Some(end) if end == self.next_sequence => self.next_segment(),
                _ => match self.take_group() {
                    Some(true) => return Ok(true),
                    Some(false) => {}
                    None => {
                        self.judge_damage()?;
                        return Ok(false);
                    }
                },
            }
        }
    }

    fn next_segment(&mut self) {
        self.index += 1;
        self.data = Bytes::new();
        self.offset = DATA_START;
        self.last_group = None;
    }

    /// Takes the group at the offset, `None` if it is not valid; tells whether its records count.
    fn take_group(&mut self) -> Option<bool> {
        let header = self.header_at(self.offset)?;
        if header.sequence != self.next_sequence {
            return None;
        }
        let body = header.body(&self.data, self.offset as usize)?;
        let is_first = self.offset == DATA_START;
        let in_base = self.index == 0;
        if in_base && is_first && header.kind != GroupKind::Snapshot {
            return None;
        }
        self.last_group = Some(self.offset);
        self.offset += header.stride().min(self.data.len() as u64 - self.offset);
        self.next_sequence += 1;
        // The snapshot of a checkpoint that was not finished repeats what the older segments say.
        let counts = in_base || header.kind != GroupKind::Snapshot;
        if counts {
            self.body = body;
        }
        Some(counts && !self.body.is_empty())
    }

    fn header_at(&self, offset: u64) -> Option<GroupHeader> {
        let salt = self.segments[self.index].header.salt;
        GroupHeader::parse(self.data.get(offset as usize..)?, Place { salt, offset })
    }

    /// There is no valid group at the offset: fine if none was ever synced here.
    fn judge_damage(&mut self) -> Result<(), LogError> {
        let is_last = self.index + 1 == self.segments.len();
        if !is_last {
            return Err(self.corrupt("a group is damaged, and a later segment follows"));
        }
        if self.index == 0 && self.offset == DATA_START {
            return Err(self.corrupt("the checkpoint that the log begins with is damaged"));
        }
        if self.later_group_exists() {
            return Err(self.corrupt("a group is damaged, and a later one follows"));
        }
        // A torn header cannot be told from a recycled segment's old bytes; a torn body can.
        if self.header_at(self.offset).is_some() {
            let file = self.segments[self.index].name.path(&*self.directory);
            self.cut = Some(Cut { file, offset: self.offset });
        }
        Ok(())
    }

    fn later_group_exists(&self) -> bool {
        let last = (self.data.len() as u64).saturating_sub(HEADER as u64);
        let mut offsets = (self.offset..=last).step_by(ALIGN as usize);
        offsets.any(|offset| self.header_at(offset).is_some_and(|header| header.sequence > self.next_sequence))
    }

    fn corrupt(&self, reason: &'static str) -> LogError {
        let file = self.segments[self.index].name.path(&*self.directory);
        LogError::Corrupt { file, offset: self.offset, reason }
    }

    fn next_record(&mut self) -> Result<Option<Record>, LogError> {
        if self.body.is_empty() && !self.next_group()? {
            return Ok(None);
        }
        let Some((kind, version, payload)) = take_record(&mut self.body) else {
            return Err(self.corrupt("a record in the group before is damaged"));
        };
        Ok(Some(Record { kind, version, payload }))
    }
}

impl Iterator for Replay {
    type Item = Result<Record, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed.is_some() {
            return None;
        }
        let next = self.next_record();
        if let Err(error) = &next {
            self.failed = Some(error.clone());
        }
        next.transpose()
    }
}

impl Segment {
    fn open(directory: &dyn Directory, name: Name) -> Result<Self, LogError> {
        let path = name.path(directory);
        let file = directory.open(&name.to_string()).map_err(LogError::io("open", path.clone()))?;
        let header = SegmentHeader::read(&*file, name.number(), path)?;
        Ok(Self { name, header, file })
    }

    fn read(&self, directory: &dyn Directory) -> Result<Bytes, LogError> {
        let data = read_all(&*self.file).map_err(LogError::io("read", self.name.path(directory)))?;
        Ok(Bytes::from(data))
    }
}
