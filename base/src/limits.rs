//! Size limits. Each is refused with a clear error where it enters the system.

/// Longest user key, bytes.
pub const MAX_KEY_LEN: usize = 4 * 1024;
/// Largest value or row, bytes.
pub const MAX_VALUE_LEN: usize = 8 * 1024 * 1024;
/// Most bytes that one transaction may write.
pub const MAX_TXN_BYTES: usize = 64 * 1024 * 1024;
/// Most keys that one transaction may read and write.
pub const MAX_TXN_KEYS: usize = 100_000;
/// A stretch of a range ends with the version that brings it to this many bytes of keys and values.
pub const STRETCH_BYTES: usize = 3 * 1024 * 1024;
/// Most bytes of values of single keys in one partition that one read may ask for.
pub const MAX_READ_BYTES: usize = 12 * 1024 * 1024;
/// Largest frame between peers, bytes. Has room for [`MAX_READ_BYTES`], or for twice [`STRETCH_BYTES`] and one more
/// of the largest values.
pub const MAX_FRAME_LEN: usize = 16 * 1024 * 1024;
/// Most bytes of keys and values that one transaction may write: all that it says to one node is one frame.
pub const MAX_WRITE_BYTES: usize = MAX_FRAME_LEN / 8 * 7;
