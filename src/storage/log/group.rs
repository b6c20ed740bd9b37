//! Groups of records: what one sync makes durable.
//!
//! ```text
//! group   magic u32 | header crc32c u32 | sequence u64 | body length u64 | body crc32c u32 | kind u32 | body
//! record  payload length u32 | crc32c of the rest u32 | kind u8 | version u8 | payload
//! ```
//! All integers little-endian. A group is followed by zeros up to the next multiple of [`ALIGN`].
//! The header's checksum starts with the segment's salt and the group's offset, and covers all that follows it. A
//! record's checksum names the damaged record; the group's ties all of them to this header.

use bytes::{Buf, Bytes};

/// Groups start at multiples of this many bytes.
pub const ALIGN: u64 = 8;
/// Bytes of a group's header.
pub const HEADER: usize = 32;
/// Bytes of a record beside its payload.
pub const RECORD_HEADER: usize = 10;

const MAGIC: u32 = u32::from_le_bytes(*b"AnGr");

/// What a group is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// Appended records.
    Records,
    /// The live records at a checkpoint.
    Snapshot,
    /// Empty, the last one before a clean shutdown.
    Close,
}

impl GroupKind {
    const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Records),
            1 => Some(Self::Snapshot),
            2 => Some(Self::Close),
            _ => None,
        }
    }
}

/// Where a group lies; part of its header's checksum.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The segment's salt.
    pub salt: u64,
    /// Offset in the segment, bytes.
    pub offset: u64,
}

/// A header that passed its checksum.
#[derive(Clone, Copy, Debug)]
pub struct GroupHeader {
    /// Counts the groups of the log's whole life.
    pub sequence: u64,
    /// What it is for.
    pub kind: GroupKind,
    length: u64,
    body_crc: u32,
}

impl GroupHeader {
    /// The header at the start of `data`, if there is a valid one for this place.
    pub fn parse(data: &[u8], place: Place) -> Option<Self> {
        let mut fields = data.get(..HEADER)?;
        if fields.get_u32_le() != MAGIC || fields.get_u32_le() != header_crc(place, &data[8..HEADER]) {
            return None;
        }
        let (sequence, length, body_crc) = (fields.get_u64_le(), fields.get_u64_le(), fields.get_u32_le());
        let kind = GroupKind::from_code(fields.get_u32_le())?;
        Some(Self { sequence, kind, length, body_crc })
    }

    /// The body behind this header, if it is whole.
    pub fn body(&self, data: &Bytes, header_at: usize) -> Option<Bytes> {
        let start = header_at.checked_add(HEADER)?;
        let end = start.checked_add(usize::try_from(self.length).ok()?)?;
        let body = data.get(start..end)?;
        (crc32c::crc32c(body) == self.body_crc).then(|| data.slice(start..end))
    }

    /// Bytes from this group's start to the next one's.
    pub const fn stride(&self) -> u64 {
        (HEADER as u64 + self.length).next_multiple_of(ALIGN)
    }
}

fn header_crc(place: Place, fields: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&place.salt.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &place.offset.to_le_bytes());
    crc32c::crc32c_append(crc, fields)
}

/// A group being filled.
#[derive(Debug)]
pub struct GroupBuffer {
    /// Room for the header, then the records.
    data: Vec<u8>,
}

impl Default for GroupBuffer {
    fn default() -> Self {
        Self { data: vec![0; HEADER] }
    }
}

impl GroupBuffer {
    /// Adds a record; returns the bytes that it takes.
    pub fn push(&mut self, kind: u8, version: u8, payload: &[u8]) -> u64 {
        let length = u32::try_from(payload.len()).expect("a record is limited by the size of a transaction");
        let crc = crc32c::crc32c_append(crc32c::crc32c(&[kind, version]), payload);
        self.data.reserve(RECORD_HEADER + payload.len());
        self.data.extend_from_slice(&length.to_le_bytes());
        self.data.extend_from_slice(&crc.to_le_bytes());
        self.data.extend_from_slice(&[kind, version]);
        self.data.extend_from_slice(payload);
        (RECORD_HEADER + payload.len()) as u64
    }

    /// Bytes that the group takes in a segment.
    pub const fn len(&self) -> u64 {
        (self.data.len() as u64).next_multiple_of(ALIGN)
    }

    /// The finished group, for this place.
    pub fn seal(&mut self, sequence: u64, kind: GroupKind, place: Place) -> &[u8] {
        let length = (self.data.len() - HEADER) as u64;
        let body_crc = crc32c::crc32c(&self.data[HEADER..]);
        let mut fields = [0; HEADER - 8];
        fields[..8].copy_from_slice(&sequence.to_le_bytes());
        fields[8..16].copy_from_slice(&length.to_le_bytes());
        fields[16..20].copy_from_slice(&body_crc.to_le_bytes());
        fields[20..].copy_from_slice(&(kind as u32).to_le_bytes());
        self.data[..4].copy_from_slice(&MAGIC.to_le_bytes());
        self.data[4..8].copy_from_slice(&header_crc(place, &fields).to_le_bytes());
        self.data[8..HEADER].copy_from_slice(&fields);
        self.data.resize(self.data.len().next_multiple_of(ALIGN as usize), 0);
        &self.data
    }

    /// Empties it, keeping its memory for the next group unless that is much.
    pub fn reset(&mut self) {
        const KEPT: usize = 8 << 20;
        self.data.truncate(HEADER);
        self.data.shrink_to(KEPT);
    }
}

/// Takes the first record off a group's body: kind, version, payload. `None` if it is damaged.
pub fn take_record(body: &mut Bytes) -> Option<(u8, u8, Bytes)> {
    let mut fields = body.get(..RECORD_HEADER)?;
    let (length, crc) = (fields.get_u32_le() as usize, fields.get_u32_le());
    let (kind, version) = (fields.get_u8(), fields.get_u8());
    let checked = body.get(RECORD_HEADER - 2..RECORD_HEADER.checked_add(length)?)?;
    if crc32c::crc32c(checked) != crc {
        return None;
    }
    let record = body.split_to(RECORD_HEADER + length);
    Some((kind, version, record.slice(RECORD_HEADER..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { salt: 7, offset: 4096 };

    #[test]
    fn a_group_is_read_back_at_its_place_only() {
        let mut group = GroupBuffer::default();
        group.push(1, 2, b"abc");
        group.push(3, 4, b"");
        let data = Bytes::copy_from_slice(group.seal(9, GroupKind::Records, PLACE));
        let header = GroupHeader::parse(&data, PLACE).unwrap();
        assert_eq!((header.sequence, header.kind, header.stride()), (9, GroupKind::Records, data.len() as u64));
        let mut body = header.body(&data, 0).unwrap();
        assert_eq!(take_record(&mut body), Some((1, 2, Bytes::from_static(b"abc"))));
        assert_eq!(take_record(&mut body), Some((3, 4, Bytes::new())));
        assert_eq!(take_record(&mut body), None);
        assert!(GroupHeader::parse(&data, Place { salt: 8, ..PLACE }).is_none());
        assert!(GroupHeader::parse(&data, Place { offset: 4104, ..PLACE }).is_none());
    }

    #[test]
    fn every_bit_counts() {
        let mut group = GroupBuffer::default();
        group.push(1, 2, b"abcdef");
        let good = group.seal(9, GroupKind::Records, PLACE).to_vec();
        for bit in 0..(HEADER + RECORD_HEADER + 6) * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let bad = Bytes::from(bad);
            assert!(GroupHeader::parse(&bad, PLACE).and_then(|header| header.body(&bad, 0)).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn bytes_of_format_version_1() {
        let mut group = GroupBuffer::default();
        group.push(1, 1, b"vote");
        let hex: String = group.seal(5, GroupKind::Records, PLACE).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "416e477256e52ee505000000000000000e00000000000000fa57518000000000040000005883cd1e0101766f74650000"
        );
    }
}
