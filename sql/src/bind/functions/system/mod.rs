//! Functions of the session, the catalog and the cluster.

pub(super) mod catalog;
pub(super) mod ids;
pub(super) mod session;
pub(super) mod uuids;
