//! Key-value commands over the Redis protocol.
