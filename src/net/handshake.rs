//! Who is at the other end, and which version of the wire to speak: the first words of a connection.
//!
//! The dialler sends [`MAGIC`] and one frame, its [`Opening`]; the other side answers with one frame, its
//! [`Reply`], and closes the connection unless that is a welcome. These few types never change, so that
//! nodes of any two versions can at least tell each other why they cannot talk.
//!
//! The decisions are pure functions here; the reading and writing is where connections are dialled and
//! accepted.

use std::net::SocketAddr;
use std::time::Duration;

use annulus_base::{Epoch, ErrorClass, Incarnation, NodeId};
use annulus_ring::ClusterId;
use wincode::{SchemaRead, SchemaWrite};

use super::codec::CodecError;

/// The first bytes of every connection between nodes.
pub const MAGIC: [u8; 8] = *b"ANNULUS\n";

/// What is answered to whoever starts with other bytes; whoever they are, they may read text.
pub const NOT_ANNULUS: &[u8] = b"-ERR this port is for Annulus nodes only; clients use the Redis or the HTTP port\r\n";

/// The versions of the wire that this build speaks: the newest, and the one before once there is one.
pub const VERSIONS: Versions = Versions { oldest: 1, newest: 1 };

/// Longest explanation accepted in a refusal, bytes.
const MAX_REASON_LEN: usize = 1_000;

/// A range of wire versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Versions {
    /// The oldest one.
    pub oldest: u16,
    /// The newest one.
    pub newest: u16,
}

impl Versions {
    /// The newest version that both speak.
    #[must_use]
    pub fn agree(self, other: Self) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

/// A node as it presents itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Identity {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its number.
    pub node: NodeId,
    /// How often it was started.
    pub incarnation: Incarnation,
    /// The topology it is in.
    pub epoch: Epoch,
}

/// The dialler's first frame.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Opening {
    /// A member of a formed cluster, that wants to send messages.
    Member {
        /// What it speaks.
        versions: Versions,
        /// Who it is.
        from: Identity,
        /// Whom it believes to reach.
        to: NodeId,
    },
    /// A node of a cluster that is being formed, that wants to exchange bootstrap messages.
    Bootstrap {
        /// What it speaks.
        versions: Versions,
    },
}

/// The answer to an [`Opening`].
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Reply {
    /// Go on.
    Welcome {
        /// In this version of the wire.
        version: u16,
        /// Who answers; `None` while the cluster is being formed.
        identity: Option<Identity>,
    },
    /// No, and why. The connection is closed.
    Refused(String),
}

/// Why a connection did not come about. Nothing was sent; the dialler tries again by itself.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The first bytes are not [`MAGIC`].
    #[error("the first bytes '{0}' are not those of an Annulus node; something else connects to the peer port")]
    NotAnnulus(String),
    /// No common version.
    #[error(
        "the other node speaks versions {} to {} of the peer protocol, this one {} to {}; upgrade one version at a time",
        theirs.oldest, theirs.newest, ours.oldest, ours.newest
    )]
    Version {
        /// What this node speaks.
        ours: Versions,
        /// What the other one speaks.
        theirs: Versions,
    },
    /// Another cluster.
    #[error("the other node belongs to cluster {theirs}, this one to {ours}; correct the addresses of the members")]
    Cluster {
        /// This node's.
        ours: ClusterId,
        /// The other's.
        theirs: ClusterId,
    },
    /// Not whom the dialler wanted.
    #[error("{wanted} was expected at this address, but {found} is there; correct the addresses of the members")]
    Node {
        /// Whom the address was believed to be of.
        wanted: NodeId,
        /// Who is there.
        found: NodeId,
    },
    /// A node with this node's own id.
    #[error("the node at the other end says that it is {0}, as this one is; every node needs an own id and address")]
    Myself(NodeId),
    /// Not in the topology.
    #[error("{0} is not a member of the cluster; it was removed, or its addresses are those of another cluster")]
    NotMember(NodeId),
    /// An earlier life of a node that has been restarted since.
    #[error("{node} connects as {found}, but was seen as {newest} already; stop the older process or restore its disk")]
    Stale {
        /// Which node.
        node: NodeId,
        /// As what it connects.
        found: Incarnation,
        /// As what it was seen.
        newest: Incarnation,
    },
    /// A member connects to a node whose cluster is not formed yet, or the other way round.
    #[error("one node is forming a cluster and the other one is in a formed one; start both on the same members")]
    Phase,
    /// Too many connections that have not said who they are.
    #[error("too many connections wait for their handshake at once; retry")]
    Busy,
    /// The other side said no.
    #[error("refused by the other node: {0}")]
    Refused(String),
    /// Took too long.
    #[error("no answer within {0:?}; retry")]
    TimedOut(Duration),
    /// Not a frame of the handshake.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The connection broke.
    #[error("the connection failed: {0}; retry")]
    Io(#[from] std::io::Error),
    /// The address has no machine.
    #[error("the address '{0}' cannot be resolved to a machine; correct it, or wait for its name to appear")]
    Unresolved(String),
}

impl HandshakeError {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Busy | Self::TimedOut(_) | Self::Io(_) | Self::Unresolved(_) | Self::Phase => ErrorClass::Retry,
            Self::Codec(error) => error.class(),
            Self::NotMember(_) | Self::Stale { .. } => ErrorClass::Denied,
            _ => ErrorClass::Invalid,
        }
    }
}

/// The version to speak with whoever offers `theirs`.
///
/// # Errors
/// [`HandshakeError::Version`].
pub fn agree(theirs: Versions) -> Result<u16, HandshakeError> {
    VERSIONS.agree(theirs).ok_or(HandshakeError::Version { ours: VERSIONS, theirs })
}

/// What node `me` makes of a member that connects and believes to reach `to`.
///
/// # Errors
/// Why it is to be refused.
pub fn check_dialler(me: Identity, from: Identity, to: NodeId) -> Result<(), HandshakeError> {
    if from.cluster != me.cluster {
        return Err(HandshakeError::Cluster { ours: me.cluster, theirs: from.cluster });
    }
    if from.node == me.node {
        return Err(HandshakeError::Myself(me.node));
    }
    if to != me.node {
        return Err(HandshakeError::Node { wanted: to, found: me.node });
    }
    Ok(())
}

/// What node `me`, having dialled `wanted`, makes of the reply.
///
/// # Errors
/// Why the connection is of no use.
pub fn check_reply(me: Identity, wanted: NodeId, reply: Reply) -> Result<Identity, HandshakeError> {
    let (version, identity) = welcome(reply)?;
    agree(Versions { oldest: version, newest: version })?;
    let found = identity.ok_or(HandshakeError::Phase)?;
    if found.cluster != me.cluster {
        return Err(HandshakeError::Cluster { ours: me.cluster, theirs: found.cluster });
    }
    if found.node == me.node {
        return Err(HandshakeError::Myself(me.node));
    }
    if found.node != wanted {
        return Err(HandshakeError::Node { wanted, found: found.node });
    }
    Ok(found)
}

/// The content of a welcome.
///
/// # Errors
/// [`HandshakeError::Refused`], with a printable reason of bounded length.
pub fn welcome(reply: Reply) -> Result<(u16, Option<Identity>), HandshakeError> {
    match reply {
        Reply::Welcome { version, identity } => Ok((version, identity)),
        Reply::Refused(reason) => {
            let printable = reason.chars().filter(|letter| !letter.is_control());
            Err(HandshakeError::Refused(printable.take(MAX_REASON_LEN).collect()))
        }
    }
}

/// For the log: which connection, and why it did not come about.
pub(super) fn log_refused(from: SocketAddr, error: &HandshakeError) {
    tracing::warn!(%from, %error, "refused a connection to the peer port");
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Identity =
        Identity { cluster: ClusterId(1), node: NodeId(1), incarnation: Incarnation(3), epoch: Epoch(1) };

    fn other(node: u32) -> Identity {
        Identity { node: NodeId(node), ..ME }
    }

    fn welcome_from(identity: Identity) -> Reply {
        Reply::Welcome { version: VERSIONS.newest, identity: Some(identity) }
    }

    #[test]
    fn neighbouring_versions_agree_and_distant_ones_do_not() {
        let speaks = |oldest, newest| Versions { oldest, newest };
        assert_eq!(speaks(1, 1).agree(speaks(1, 1)), Some(1));
        assert_eq!(speaks(1, 2).agree(speaks(1, 1)), Some(1));
        assert_eq!(speaks(1, 2).agree(speaks(2, 3)), Some(2));
        assert_eq!(speaks(1, 2).agree(speaks(3, 4)), None);
        assert_eq!(speaks(3, 4).agree(speaks(1, 2)), None);
        assert_eq!(speaks(2, 1).agree(speaks(1, 2)), None);
    }

    #[test]
    fn a_dialler_of_the_same_cluster_is_accepted_and_every_other_is_refused() {
        assert!(check_dialler(ME, other(2), NodeId(1)).is_ok());
        let stranger = Identity { cluster: ClusterId(2), ..other(2) };
        let refused = |from, to| check_dialler(ME, from, to).unwrap_err();
        assert!(matches!(refused(stranger, NodeId(1)), HandshakeError::Cluster { .. }));
        assert!(matches!(refused(ME, NodeId(1)), HandshakeError::Myself(NodeId(1))));
        let wrong = refused(other(2), NodeId(3));
        assert!(matches!(wrong, HandshakeError::Node { wanted: NodeId(3), found: NodeId(1) }));
        assert_eq!(wrong.class(), ErrorClass::Invalid);
    }

    #[test]
    fn a_reply_must_come_from_the_wanted_node() {
        let check = |reply| check_reply(ME, NodeId(2), reply);
        assert_eq!(check(welcome_from(other(2))).unwrap(), other(2));
        assert!(matches!(check(welcome_from(other(3))), Err(HandshakeError::Node { found: NodeId(3), .. })));
        assert!(matches!(check(welcome_from(ME)), Err(HandshakeError::Myself(_))));
        let stranger = Identity { cluster: ClusterId(9), ..other(2) };
        assert!(matches!(check(welcome_from(stranger)), Err(HandshakeError::Cluster { .. })));
        let forming = Reply::Welcome { version: 1, identity: None };
        assert!(matches!(check(forming), Err(HandshakeError::Phase)));
        let unknown = Reply::Welcome { version: 99, identity: Some(other(2)) };
        assert!(matches!(check(unknown), Err(HandshakeError::Version { .. })));
    }

    #[test]
    fn a_refusal_is_shown_short_and_printable() {
        let Err(HandshakeError::Refused(reason)) = welcome(Reply::Refused(format!("no\u{1b}[2J{}", "x".repeat(3_000))))
        else {
            panic!("a refusal is an error");
        };
        assert!(reason.starts_with("no[2J") && reason.len() == MAX_REASON_LEN);
    }
}
