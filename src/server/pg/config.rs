//! Limits of the PostgreSQL server.

use std::time::Duration;

use annulus_base::limits::MAX_TXN_BYTES;

/// Settings of the PostgreSQL server. Every limit is answered with a clear error.
#[derive(Clone, Debug)]
pub struct Config {
    /// Most connections; one more is told so and closed.
    pub max_clients: usize,
    /// Most bytes of one message.
    pub max_message: usize,
    /// Most bytes that one connection may hold in messages, prepared statements, portals and unsent answers.
    pub max_client_memory: usize,
    /// Most bytes that all connections together may hold.
    pub max_buffered: usize,
    /// A connection that has not introduced itself for so long is closed.
    pub startup_timeout: Duration,
    /// A connection with unread answers that takes no byte for so long is closed.
    pub write_timeout: Duration,
    /// A connection that has begun a message and sends no byte for so long is closed.
    pub read_timeout: Duration,
    /// How long statements at work may take to finish when the node stops.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_clients: 1_000,
            max_message: MAX_TXN_BYTES + 4 * 1024 * 1024,
            max_client_memory: 128 * 1024 * 1024,
            max_buffered: 1024 * 1024 * 1024,
            startup_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// With at most so many bytes for one connection; its messages are bounded by that, too.
    #[must_use]
    pub fn with_client_memory(mut self, bytes: usize) -> Self {
        self.max_client_memory = bytes;
        self.max_message = self.max_message.min(bytes);
        self
    }
}
