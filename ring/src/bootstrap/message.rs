//! What bootstrapping nodes tell each other, save, and ask their driver to do.

use wincode::{SchemaRead, SchemaWrite};

use super::genesis::Digest;
use crate::error::TopologyError;
use crate::record::TopologyRecord;

/// Who a node is. Saved before it is told to anybody.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Identity {
    /// Its peer address.
    pub address: String,
    /// Drawn at its first start: tells it apart from a node that came back without its disk.
    pub nonce: u128,
    /// Its weight.
    pub weight: u32,
    /// Its zone.
    pub zone: String,
    /// Digest of the settings that all members must share.
    pub settings: Digest,
}

/// Everything that a bootstrapping node has to say. Repeated until all know; may be lost, late or doubled.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Message {
    /// The sender.
    pub identity: Identity,
    /// The genesis that it has confirmed.
    pub confirmed: Option<Digest>,
    /// Whether it knows that all have confirmed.
    pub decided: bool,
}

/// What survives a restart. Replaces the earlier one as a whole.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Saved {
    /// Who the node is.
    pub identity: Identity,
    /// The genesis that it has confirmed.
    pub confirmed: Option<TopologyRecord>,
    /// Whether all have confirmed it.
    pub decided: bool,
}

/// What a step is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// Another node said something.
    Received(Message),
}

/// What a step asks its driver to do, in this order:
///
/// 1. store `save` durably, replacing what was stored before; if that fails, nothing of the rest may be
///    done and the node stops;
/// 2. send `send`, by address;
/// 3. take `decided` as the cluster's topology (told once after every start);
/// 4. show `problems` to the operator.
#[derive(Debug, Default)]
pub struct Effects {
    /// To store before anything else.
    pub save: Option<Saved>,
    /// To send, by peer address.
    pub send: Vec<(String, Message)>,
    /// The genesis that all have confirmed.
    pub decided: Option<TopologyRecord>,
    /// Addresses with what keeps them and this node from forming a cluster.
    pub problems: Vec<(String, Problem)>,
}

/// Why a cluster does not form. The node goes on trying: all of these can heal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The sender is not one of the initial members.
    #[error("is not one of this node's --initial-members; start all nodes with the same list")]
    Stranger,
    /// The sender says that it has this node's own address.
    #[error("is this node's own address, but another node uses it, too; give every node its own")]
    SameAddress,
    /// The sender was started with another list of members or other namespaces.
    #[error("was started with other --initial-members or other namespaces; start all nodes with the same")]
    OtherSettings,
    /// The sender confirmed another genesis.
    #[error(
        "has confirmed another cluster than this node can: one of the members lost its data directory or changed \
         its settings in between. If no member serves clients yet, empty the data directories of all and start \
         again; else this node must be replaced by a new one"
    )]
    OtherGenesis,
    /// The members do not make a topology.
    #[error("the initial members do not make a cluster: {0}")]
    Invalid(TopologyError),
}

/// Why a node cannot begin to form a cluster. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// The node's own address is missing from the list.
    #[error("this node's peer address '{0}' is not among --initial-members; name it there exactly as advertised")]
    NotAMember(String),
    /// An address stands in the list twice.
    #[error("--initial-members names '{0}' twice")]
    NamedTwice(String),
    /// The members and namespaces break a rule of topologies.
    #[error("the initial members do not make a cluster: {0}")]
    Topology(TopologyError),
    /// This node has confirmed a genesis with other settings.
    #[error(
        "this node has confirmed a cluster with another address, weight, zone, member list or namespaces; \
         start it with those, or empty the data directories of all members and start again"
    )]
    SettingsChanged,
}
