//! Why a topology is refused.

use annulus_base::{ErrorClass, NamespaceId, NodeId};

use crate::record::{MAX_MEMBERS, MAX_NAME_LEN, MAX_PARTITIONS, MAX_TOTAL_WEIGHT, MIN_WEIGHT};

/// Why members and namespaces do not make a topology. Nothing was changed; the record itself is wrong, so
/// trying again cannot help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// Epoch 0 means "none yet".
    #[error("a topology cannot have epoch 0; the first decided epoch is 1")]
    NoEpoch,
    /// No members.
    #[error("the topology has no members; name at least one node")]
    NoMembers,
    /// More members than allowed.
    #[error("the topology has {0} members, more than {MAX_MEMBERS}")]
    TooManyMembers(usize),
    /// Node 0 is reserved.
    #[error("node id 0 is reserved; number the nodes from 1")]
    ReservedNode,
    /// Two members with one id.
    #[error("node {0} is named twice; every member needs an own id")]
    DuplicateNode(NodeId),
    /// Two members with one address.
    #[error("the peer address '{0}' belongs to two members; every member needs an own address")]
    DuplicateAddress(String),
    /// A weight that gives too few tokens.
    #[error("node {node} has weight {weight}; the smallest allowed is {MIN_WEIGHT} (100 is normal)")]
    WeightTooSmall {
        /// Whose.
        node: NodeId,
        /// The weight given.
        weight: u32,
    },
    /// Too many tokens.
    #[error("the weights add up to {0}, more than {MAX_TOTAL_WEIGHT}; scale all of them down")]
    WeightsTooLarge(u64),
    /// An empty or overlong text.
    #[error("{what} must have 1 to {MAX_NAME_LEN} bytes, but has {len}; change the configuration")]
    BadText {
        /// Which text.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// Two namespaces with one id.
    #[error("namespace {0} is defined twice; every namespace needs an own id")]
    DuplicateNamespace(NamespaceId),
    /// Two namespaces with one name.
    #[error("two namespaces are named '{0}'; every namespace needs an own name")]
    DuplicateName(String),
    /// An id of namespaces made at run time.
    #[error("namespace '{0}' has an id that describes another kind of namespace; choose one below 2147483648")]
    DynamicId(String),
    /// A factor other than 1, 3, 5.
    #[error("namespace '{namespace}' asks for {factor} replicas; choose 1, 3 or 5")]
    BadFactor {
        /// The namespace's name.
        namespace: String,
        /// The factor given.
        factor: u8,
    },
    /// A hashed namespace without slots.
    #[error("namespace '{0}' is partitioned by key but has no slots; give it at least 1 (256 is normal)")]
    NoSlots(String),
    /// Too many partitions in all.
    #[error("the namespaces have {0} partitions together, more than {MAX_PARTITIONS}; use fewer slots")]
    TooManyPartitions(u64),
    /// More than one node, but not enough.
    #[error(
        "namespace '{namespace}' keeps {factor} replicas, but the cluster has only {members} members; \
         add nodes, lower its replication factor, or run a single node for trying out"
    )]
    TooFewMembers {
        /// The namespace's name.
        namespace: String,
        /// Its replication factor.
        factor: u8,
        /// How many nodes there are.
        members: usize,
    },
    /// Bytes that are no topology record.
    #[error("these bytes are not a topology record: {0}; they are damaged or of another version")]
    Malformed(String),
}

impl TopologyError {
    /// The class of the error: always [`ErrorClass::Invalid`].
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}
