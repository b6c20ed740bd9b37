//! Settings and limits of the key-value server.

use std::time::Duration;

use annulus_base::limits::{MAX_TXN_BYTES, MAX_VALUE_LEN};

use super::protocol::Limits;

/// Settings of the key-value server. Every limit is answered with a clear error.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a command or `EXEC` is tried before it fails.
    pub request_timeout: Duration,
    /// How long `KEYS`, `DBSIZE` and their kin may walk through a large database.
    pub walk_timeout: Duration,
    /// How long the soft locks of a `WATCH` (which it takes after a lost one) may hold others up.
    pub watch_lease: Duration,
    /// Most connections; one more is told so and closed.
    pub max_clients: usize,
    /// Most arguments of one command.
    pub max_arguments: usize,
    /// Most bytes of one command, and of all commands queued in one `MULTI`.
    pub max_request: usize,
    /// Answers that wait for a client to read them; above it no further command of its pipeline is begun.
    pub max_unsent: usize,
    /// Most bytes that one connection may hold in an unfinished request, queued commands and unsent answers.
    pub max_client_memory: usize,
    /// Most bytes that all connections together may hold in unfinished requests and queued commands.
    pub max_buffered: usize,
    /// A connection with unread answers that takes no byte for so long is closed.
    pub write_timeout: Duration,
    /// A connection that has begun a request and sends no byte for so long is closed.
    pub read_timeout: Duration,
    /// A connection without any command for so long is closed; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How long commands at work may take to finish when the node stops.
    pub drain_timeout: Duration,
    /// Commands slower than this are kept in the slow log.
    pub slow_log_threshold: Duration,
    /// How many commands the slow log keeps.
    pub slow_log_length: usize,
    /// Pause between two rounds of the sweeper.
    pub sweep_interval: Duration,
    /// Most keys that a round of the sweeper looks at.
    pub sweep_keys: u32,
    /// Most partitions that a round of the sweeper looks at.
    pub sweep_partitions: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(5),
            walk_timeout: Duration::from_secs(60),
            watch_lease: Duration::from_secs(1),
            max_clients: 10_000,
            // MSET of as many keys as a transaction may write, and room for options.
            max_arguments: 2 * annulus_base::limits::MAX_TXN_KEYS + 16,
            max_request: MAX_TXN_BYTES + 4 * 1024 * 1024,
            max_unsent: 16 * 1024 * 1024,
            max_client_memory: 128 * 1024 * 1024,
            max_buffered: 1024 * 1024 * 1024,
            write_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(60),
            idle_timeout: None,
            drain_timeout: Duration::from_secs(10),
            slow_log_threshold: Duration::from_millis(10),
            slow_log_length: 128,
            sweep_interval: Duration::from_secs(1),
            sweep_keys: 1_000,
            sweep_partitions: 16,
        }
    }
}

impl Config {
    /// With at most so many bytes for one connection; what it consists of is bounded by that, too.
    #[must_use]
    pub fn with_client_memory(mut self, bytes: usize) -> Self {
        self.max_client_memory = bytes;
        self.max_request = self.max_request.min(bytes);
        self.max_unsent = self.max_unsent.min(bytes);
        self
    }

    /// What the decoder of requests enforces.
    #[must_use]
    pub const fn request_limits(&self) -> Limits {
        Limits { arguments: self.max_arguments, argument: MAX_VALUE_LEN, request: self.max_request }
    }
}
