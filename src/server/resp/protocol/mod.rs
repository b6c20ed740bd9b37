//! The Redis serialization protocol: requests in ([`Decoder`]), replies out ([`Reply`]).
//!
//! Promises:
//! - No bytes from a client can panic, hang or balloon the node: what one request may hold is bounded
//!   by [`Limits`], and memory grows only with bytes that have arrived.
//! - A request that exceeds a limit, but whose length is known, is skipped and answered with an error;
//!   the connection stays usable. Only bytes that are no protocol at all end the connection.

mod decode;
mod inline;
mod reply;

#[cfg(test)]
mod tests;

pub use decode::{Decoder, Limits, ProtocolError, Request, number};
#[cfg(test)]
pub use inline::split as split_line;
pub use reply::{Reply, Version};
