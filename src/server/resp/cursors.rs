//! Cursors of `SCAN`: 64-bit numbers that say where to go on.
//!
//! A cursor is `token << 16 | slot`. Token 0 is the beginning of the slot; another token names a position
//! inside it that this node remembers. A bounded number of them is remembered; a token that is not known
//! (any more, or because another node gave it) means: the whole slot again, in one answer. So every key
//! present throughout a scan is returned, whichever nodes answer, and every scan ends. Cursors stay below
//! 2^53, since some drivers keep them in a double.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::Bytes;

/// How many positions are remembered.
const REMEMBERED: usize = 8 * 1024;
/// Bits of a token: a running number, and a tag that tells this node's tokens from those of others.
const NUMBER_BITS: u32 = 25;
const TAG_BITS: u32 = 12;
const SLOT_BITS: u32 = 16;

/// Where a scan goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// At the beginning of a slot.
    Slot(u16),
    /// In a slot, at a stored key (without its generation).
    Inside(u16, Bytes),
    /// At the beginning of a slot, without a pause before its end.
    WholeSlot(u16),
}

/// The positions that were given out.
#[derive(Debug)]
pub struct Cursors {
    tag: u64,
    given: RefCell<Given>,
}

#[derive(Debug, Default)]
struct Given {
    /// The number of the oldest one kept; numbers are consecutive.
    first: u64,
    positions: VecDeque<(u8, u16, Bytes)>,
}

impl Cursors {
    /// No position given out. Nodes (and runs of them) should differ in `tag`.
    #[must_use]
    pub fn new(tag: u64) -> Self {
        // Token 0 has a meaning of its own.
        Self { tag: (tag % (1 << TAG_BITS)).max(1), given: RefCell::default() }
    }

    /// The cursor of a position in a database.
    pub fn give(&self, db: u8, position: Position) -> u64 {
        let (slot, key) = match position {
            Position::Slot(slot) | Position::WholeSlot(slot) => return u64::from(slot),
            Position::Inside(slot, key) => (slot, key),
        };
        let mut given = self.given.borrow_mut();
        if given.positions.len() == REMEMBERED {
            given.positions.pop_front();
            given.first += 1;
        }
        let number = (given.first + given.positions.len() as u64) % (1 << NUMBER_BITS);
        given.positions.push_back((db, slot, key));
        (self.tag << NUMBER_BITS | number) << SLOT_BITS | u64::from(slot)
    }

    /// The position of a cursor.
    #[must_use]
    pub fn find(&self, db: u8, cursor: u64) -> Position {
        let (slot, token) = (cursor as u16, cursor >> SLOT_BITS);
        if token == 0 {
            return Position::Slot(slot);
        }
        let given = self.given.borrow();
        let (tag, number) = (token >> NUMBER_BITS, token % (1 << NUMBER_BITS));
        // Numbers wrap around; what lies before the first one kept wraps to far beyond the last.
        let index = number.wrapping_sub(given.first) % (1 << NUMBER_BITS);
        match given.positions.get(index as usize) {
            Some((of, in_slot, key)) if tag == self.tag && *of == db && *in_slot == slot => {
                Position::Inside(slot, key.clone())
            }
            _ => Position::WholeSlot(slot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_found_again() {
        let cursors = Cursors::new(7);
        assert_eq!(cursors.give(0, Position::Slot(3)), 3);
        assert_eq!(cursors.find(0, 3), Position::Slot(3));
        let inside = Position::Inside(5, Bytes::from_static(b"k"));
        let cursor = cursors.give(2, inside.clone());
        assert_eq!(cursors.find(2, cursor), inside);
        assert!(cursor < 1 << 53);
    }

    #[test]
    fn unknown_cursors_mean_the_whole_slot() {
        let (here, there) = (Cursors::new(7), Cursors::new(8));
        let position = |number: usize| Position::Inside(5, Bytes::from(number.to_string()));
        let cursor = here.give(0, position(0));
        assert_eq!(there.find(0, cursor), Position::WholeSlot(5));
        assert_eq!(here.find(1, cursor), Position::WholeSlot(5), "another database");
        let later: Vec<u64> = (1..=80_000).map(|number| here.give(0, position(number))).collect();
        assert_eq!(here.find(0, later[79_999]), position(80_000));
        assert_eq!(here.find(0, later[80_000 - REMEMBERED]), position(80_001 - REMEMBERED));
        assert_eq!(here.find(0, later[79_999 - REMEMBERED]), Position::WholeSlot(5));
    }
}
