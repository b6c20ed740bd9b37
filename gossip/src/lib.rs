//! Whom to tell next, and what the gossiped facts mean. How they travel is not decided here.
//!
//! Promises and invariants:
//! - [`order`]: news reaches all `n` living nodes in O(log n) rounds, along living connections, also when
//!   some nodes are dead and some connections broken ([`rounds`] measures it).
//! - [`facts`]: whatever text arrives, the worst is a [`facts::BadFact`]. Facts of a later incarnation replace
//!   those of an earlier one; epochs and low-water marks never fall.
//! - [`view`]: the minimum of the low-water marks is unknown as long as any member's is.
//! - [`suspicion`]: a node that falls silent is suspected after a time that fits its habits.
//!
//! The transaction protocol trusts none of this for safety but the low-water marks, which are promises of
//! the nodes themselves: suspicion only decides how fast things go.

pub mod facts;
pub mod order;
pub mod rounds;
pub mod suspicion;
pub mod view;
