//! Clients that write down what they ask a cluster and what they are told, shared by `jepsen/`, which torments
//! clusters of its own, and by `annulus check`, which watches a user's cluster while the user does that.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`client`] | speaks to the nodes, and says honestly what is known of each answer |
//! | [`journal`] | the history, and everything else that was observed |
//! | [`course`] | one workload, from its setup to the checkers' verdicts |
//! | [`sweep`] | removes what a course has left in a cluster that goes on |
//! | [`served`] | when somebody was served, and when nobody was |
//!
//! Promises and invariants:
//! - An operation counts as failed only if the node said so or it was never sent. A lost answer is unknown until
//!   the cluster tells its outcome, and what it tells is checked as well.
//! - Every key begins with the course's prefix, every table is in its schema: they can be removed afterwards.
//! - Nothing here starts, stops or disturbs a node.

pub mod client;
pub mod course;
pub mod journal;
mod patience;
pub mod served;
pub mod sweep;

pub use patience::Patience;
