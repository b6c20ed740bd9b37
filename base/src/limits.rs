//! Size limits. Each is refused with a clear error where it enters the system.

/// Longest user key, bytes.
pub const MAX_KEY_LEN: usize = 4 * 1024;
/// Largest value or row, bytes.
pub const MAX_VALUE_LEN: usize = 8 * 1024 * 1024;
/// Most bytes that one transaction may write.
pub const MAX_TXN_BYTES: usize = 64 * 1024 * 1024;
/// Most keys that one transaction may read and write.
pub const MAX_TXN_KEYS: usize = 100_000;
/// Largest frame between peers, bytes.
pub const MAX_FRAME_LEN: usize = 16 * 1024 * 1024;
