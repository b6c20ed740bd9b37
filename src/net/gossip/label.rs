//! How nodes are named to chitchat: one label per life of a node, with an address that is none.

use std::net::{Ipv6Addr, SocketAddr};

use annulus_base::{Incarnation, NodeId};
use chitchat::ChitchatId;

/// How many times the gossip library may be started anew within one incarnation, in bits.
const START_BITS: u32 = 16;

/// One start of the gossip library in one incarnation of a node. Later ones are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Life(pub(super) u64);

impl Life {
    pub(super) fn first(incarnation: Incarnation) -> Self {
        Self(u64::from(incarnation.0) << START_BITS)
    }

    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub(super) fn incarnation(self) -> u64 {
        self.0 >> START_BITS
    }
}

/// Stands for the node where chitchat wants an address. Nothing is ever sent there.
pub(super) fn address(node: NodeId) -> SocketAddr {
    (Ipv6Addr::from_bits(u128::from(node.0)), 0).into()
}

/// The node that an [`address`] stands for.
pub(super) fn node(address: SocketAddr) -> Option<NodeId> {
    let SocketAddr::V6(v6) = address else { return None };
    u32::try_from(v6.ip().to_bits()).ok().map(NodeId)
}

pub(super) fn of(node: NodeId, life: Life) -> ChitchatId {
    ChitchatId::new(node.to_string(), life.0, address(node))
}

/// The node and life of a label; `None` unless it is exactly what [`of`] makes.
pub(super) fn read(label: &ChitchatId) -> Option<(NodeId, Life)> {
    let (node, life) = (node(label.gossip_advertise_addr)?, Life(label.generation_id));
    (of(node, life) == *label).then_some((node, life))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_can_be_read_and_are_canonical() {
        let life = Life::first(Incarnation(7)).next();
        assert_eq!(life.incarnation(), 7);
        let label = of(NodeId(u32::MAX), life);
        assert_eq!(read(&label), Some((NodeId(u32::MAX), life)));
        for wrong in [
            ChitchatId::new("n2", life.0, label.gossip_advertise_addr),
            ChitchatId::new("n2", life.0, ([127, 0, 0, 1], 0).into()),
            ChitchatId::new("n2", life.0, (Ipv6Addr::from_bits(2), 1).into()),
            ChitchatId::new("n2", life.0, (Ipv6Addr::from_bits(1 << 32 | 2), 0).into()),
        ] {
            assert_eq!(read(&wrong), None, "{wrong:?}");
        }
    }
}
