//! How a version is stored, format version 1.
//!
//! ```text
//! place   tenant u32 | namespace u32 | slot u16 | key | !timestamp u64 | !start u64 | !node u32 | !incarnation u32 |
//!         !sequence u32
//! record  format version u8 | flags u8 | crc32c u32 | value
//! ```
//! All integers big-endian, `!` means all bits flipped: so newer versions of a key sort first. The checksum
//! covers the place, the record's first two bytes and the value. Flag 1 is a tombstone. The tenant
//! is 0.

use annulus_base::{Incarnation, Key, KeyRange, NamespaceId, NodeId, PartitionId, Timestamp, TxnId};
use annulus_replica::store::Stamp;
use bytes::{Buf, BufMut, Bytes, BytesMut};

const FORMAT: u8 = 1;
const TOMBSTONE: u8 = 1;
/// Bytes before the key: tenant, namespace, slot.
const HEAD: usize = 10;
/// Bytes behind the key: the stamp.
const TAIL: usize = 28;
/// Bytes before the value.
const RECORD_HEAD: usize = 6;

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It fails its checksum.
    Corrupt,
    /// A later release wrote it.
    Format(u8),
}

/// What a place says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The key.
    pub key: Key,
    /// Which version of it.
    pub stamp: Stamp,
}

fn start_of(partition: PartitionId, key: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(HEAD + key.len() + TAIL + 1);
    out.put_u32(0);
    out.put_u32(partition.namespace.0);
    out.put_u16(partition.slot);
    out.put_slice(key);
    out
}

/// Where a version is stored.
pub fn place(partition: PartitionId, key: &Key, stamp: Stamp) -> Bytes {
    let mut out = start_of(partition, key.as_bytes());
    out.put_u64(!stamp.ts.0);
    out.put_u64(!stamp.txn.start.0);
    out.put_u32(!stamp.txn.node.0);
    out.put_u32(!stamp.txn.incarnation.0);
    out.put_u32(!stamp.txn.sequence);
    out.freeze()
}

/// Where the newest version of a key at or before a timestamp could be, at the earliest.
pub fn first_at(partition: PartitionId, key: &Key, at: Timestamp) -> Bytes {
    let mut out = start_of(partition, key.as_bytes());
    out.put_u64(!at.0);
    out.freeze()
}

/// Behind all versions of a key, and before all of the next key.
pub fn behind(partition: PartitionId, key: &Key) -> Bytes {
    let mut out = start_of(partition, key.as_bytes());
    out.put_bytes(0xff, TAIL + 1);
    out.freeze()
}

/// From where to where the versions of all keys in a range are; there may be others in between. The
/// end of the range must be a whole key, a key's successor, or no longer than the fixed part of keys.
pub fn range(partition: PartitionId, range: &KeyRange) -> (Bytes, Bytes) {
    let start = start_of(partition, range.start.as_bytes()).freeze();
    // A key whose successor is the end lies inside, and its versions sort after that successor.
    let end = range.end.as_bytes();
    let mut behind = start_of(partition, &end[..end.len().saturating_sub(1)]);
    behind.put_bytes(0xff, TAIL + 1);
    (start, behind.freeze())
}

/// Before all places of a partition.
pub fn start(partition: PartitionId) -> Bytes {
    start_of(partition, &[]).freeze()
}

/// The partition of a place; `None` if it is too short to be one.
pub fn partition_of(place: &Bytes) -> Option<PartitionId> {
    let mut head = place.get(..HEAD)?;
    head.advance(4);
    Some(PartitionId::new(NamespaceId(head.get_u32()), head.get_u16()))
}

/// Reads a place; `None` if it is too short to be one.
pub fn locate(place: &Bytes) -> Option<Located> {
    let key_end = place.len().checked_sub(TAIL)?;
    let key = Key(place.get(HEAD..key_end).map(|_| place.slice(HEAD..key_end))?);
    let mut tail = &place[key_end..];
    let ts = Timestamp(!tail.get_u64());
    let txn = TxnId {
        start: Timestamp(!tail.get_u64()),
        node: NodeId(!tail.get_u32()),
        incarnation: Incarnation(!tail.get_u32()),
        sequence: !tail.get_u32(),
    };
    Some(Located { key, stamp: Stamp { ts, txn } })
}

/// The key in a place that is known to be one.
pub fn key_of(place: &Bytes) -> Key {
    Key(place.slice(HEAD..place.len() - TAIL))
}

/// The record of a value, or of a tombstone.
pub fn encode(place: &[u8], value: Option<&Bytes>) -> Bytes {
    let flags = if value.is_none() { TOMBSTONE } else { 0 };
    let value = value.map_or(&[][..], |value| value);
    let mut out = BytesMut::with_capacity(RECORD_HEAD + value.len());
    out.put_u8(FORMAT);
    out.put_u8(flags);
    out.put_u32(checksum(place, &[FORMAT, flags], value));
    out.put_slice(value);
    out.freeze()
}

/// The value in a record that is known to be whole.
pub fn value_of(record: &Bytes) -> Bytes {
    record.slice(RECORD_HEAD..)
}

/// The value of a record, `None` for a tombstone.
///
/// # Errors
/// [`Damage`].
pub fn decode(place: &[u8], record: &Bytes) -> Result<Option<Bytes>, Damage> {
    let mut head = record.get(..RECORD_HEAD).ok_or(Damage::Corrupt)?;
    let (format, flags, crc) = (head.get_u8(), head.get_u8(), head.get_u32());
    if checksum(place, &[format, flags], &record[RECORD_HEAD..]) != crc {
        return Err(Damage::Corrupt);
    }
    match (format, flags) {
        (FORMAT, 0) => Ok(Some(value_of(record))),
        (FORMAT, TOMBSTONE) => Ok(None),
        _ => Err(Damage::Format(format)),
    }
}

fn checksum(place: &[u8], head: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(place), head), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(ts: u64, sequence: u32) -> Stamp {
        let txn = TxnId { start: Timestamp(ts), node: NodeId(3), incarnation: Incarnation(2), sequence };
        Stamp { ts: Timestamp(ts), txn }
    }

    const PARTITION: PartitionId = PartitionId::new(NamespaceId(7), 258);

    #[test]
    fn newer_versions_sort_first_and_keys_in_order() {
        let key = Key::new(1, 2, 3, b"k");
        let places = [stamp(9, 2), stamp(9, 1), stamp(8, 5), stamp(1, 1)].map(|stamp| place(PARTITION, &key, stamp));
        assert!(places.is_sorted());
        assert!(
            first_at(PARTITION, &key, Timestamp(9)) < places[0] && first_at(PARTITION, &key, Timestamp(8)) < places[2]
        );
        assert!(places[1] < first_at(PARTITION, &key, Timestamp(8)) && places[3] < behind(PARTITION, &key));
        let next = place(PARTITION, &Key::new(1, 2, 3, b"k\0"), Stamp { ts: Timestamp::MAX, ..stamp(0, 0) });
        assert!(behind(PARTITION, &key) < next);
        assert_eq!(partition_of(&places[0]), Some(PARTITION));
        assert_eq!(partition_of(&places[0].slice(..HEAD - 1)), None);
        assert_eq!(locate(&places[0]), Some(Located { key, stamp: stamp(9, 2) }));
    }

    #[test]
    fn a_changed_bit_anywhere_is_noticed() {
        let key = Key::new(1, 2, 3, b"k");
        let place = place(PARTITION, &key, stamp(5, 1));
        let record = encode(&place, Some(&Bytes::from_static(b"value")));
        assert_eq!(decode(&place, &record), Ok(Some(Bytes::from_static(b"value"))));
        for bit in 0..record.len() * 8 {
            let mut bad = record.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&place, &bad.into()), Err(Damage::Corrupt), "bit {bit}");
        }
        assert_eq!(decode(&first_at(PARTITION, &key, Timestamp(5)), &record), Err(Damage::Corrupt));
        assert_eq!(decode(&place, &Bytes::new()), Err(Damage::Corrupt));
    }

    #[test]
    fn a_later_format_is_told_from_damage() {
        let mut record = vec![2, 0, 0, 0, 0, 0, b'x'];
        let crc = checksum(b"place", &[2, 0], b"x");
        record[2..6].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(decode(b"place", &record.into()), Err(Damage::Format(2)));
    }

    #[test]
    fn bytes_of_format_version_1() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let place = place(PARTITION, &Key::new(1, 2, 3, b"k"), stamp(5, 1));
        assert_eq!(
            hex(&place),
            "000000000000000701020000000100000002000000036b0001fffffffffffffffafffffffffffffffafffffffcfffffffdfffffffe"
        );
        assert_eq!(hex(&encode(&place, Some(&Bytes::from_static(b"value")))), "0100f300eef476616c7565");
        assert_eq!(hex(&encode(&place, None)), "01015ad1e7c2");
    }
}
