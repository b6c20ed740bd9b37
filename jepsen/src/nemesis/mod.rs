//! Nemeses: which faults, at whom, when. All from a seed.
//!
//! Left out: membership changes, because the members of a ring cannot change yet. Such a fault will be one more [`Action`]
//! and one more [`Nemesis`].

mod fault;
mod inner;
mod partition;
pub mod tormentor;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use annulus_base::rng::Rng;

pub use fault::{Action, Fault};

use crate::cluster::{Link, Node, Shape};

/// How long most faults last.
const LASTS: (u64, u64) = (4_000, 8_000);
/// How often a flapping network changes, milliseconds.
const FLAP: (u64, u64) = (100, 1_000);
/// How often it does so.
const FLAPS: usize = 8;
/// Faults at once in a mix, at most.
const MIXED: u64 = 3;

macro_rules! nemeses {
    ($( $(#[doc = $doc:literal])+ $kind:ident = $name:literal; )+) => {
        /// The nemeses by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Nemesis {
            $( $(#[doc = $doc])+ $kind, )+
        }

        impl Nemesis {
            /// All of them.
            pub const ALL: &[Self] = &[$( Self::$kind, )+];

            /// The name used on command lines.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$kind => $name, )+ }
            }

            /// What it does.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $( Self::$kind => concat!($($doc),+), )+ }
            }
        }
    };
}

nemeses! {
    /// Nothing: what the others are compared with.
    Nothing = "none";
    /// Kills one node.
    KillOne = "kill-one";
    /// Kills as many nodes as every key can spare.
    KillMinority = "kill-minority";
    /// Kills more nodes than some keys can spare.
    KillMajority = "kill-majority";
    /// Kills all nodes at once.
    KillAll = "kill-all";
    /// Freezes one node.
    Pause = "pause";
    /// Cuts the network into a majority and a minority.
    Halves = "halves";
    /// Everybody reaches a majority, no two the same one.
    MajorityRing = "majority-ring";
    /// Two halves that only one node reaches both of.
    Bridge = "bridge";
    /// One node is not heard by the others, but hears them; or the other way round.
    OneWay = "one-way";
    /// One node is cut off from the others, but not from its clients.
    Isolated = "isolated";
    /// One node is cut off and back again, many times.
    Flapping = "flapping";
    /// All links are slow and uneven.
    Slow = "slow";
    /// All links lose packets.
    Lossy = "lossy";
    /// Stops and starts one node after the other, in order.
    RollingRestart = "rolling-restart";
    /// One node starts with an empty disk, which it must refuse.
    LostDisk = "lost-disk";
    /// One node's disk fills up.
    FullDisk = "full-disk";
    /// The clocks of as many nodes as every key can spare jump, and jump back.
    ClockJump = "clock-jump";
    /// All clocks run at different rates.
    ClockSkew = "clock-skew";
    /// One node's clock jumps to and fro.
    ClockStrobe = "clock-strobe";
    /// One node's syncs fail, and it must stop.
    FailSync = "fail-sync";
    /// The syncs of as many nodes fail as every key can spare.
    FailSyncMinority = "fail-sync-minority";
    /// A bit flips on the disk of a stopped node: it refuses to start, or it was of no importance.
    BitFlip = "bit-flip";
    /// Stops one node after the other and starts it with another build.
    RollingUpgrade = "rolling-upgrade";
    /// Several of the above at once.
    Mixed = "mixed";
}

impl Nemesis {
    /// What a mix is made of: faults that can overlap with any other.
    const MIX: [Self; 13] = [
        Self::KillOne,
        Self::KillMinority,
        Self::Pause,
        Self::Halves,
        Self::Bridge,
        Self::OneWay,
        Self::Isolated,
        Self::Flapping,
        Self::Slow,
        Self::Lossy,
        Self::ClockJump,
        Self::ClockSkew,
        Self::FailSync,
    ];

    /// How many nodes it needs at least to be what it says.
    #[must_use]
    pub const fn least_nodes(self) -> usize {
        match self {
            Self::MajorityRing => 5,
            _ => 3,
        }
    }

    /// Whether each node needs a small disk of its own.
    #[must_use]
    pub const fn needs_small_disks(self) -> bool {
        matches!(self, Self::FullDisk)
    }

    /// The next fault.
    #[must_use]
    pub fn fault(self, shape: Shape, rng: &mut Rng) -> Fault {
        let lasts = Duration::from_millis(rng.between(LASTS.0, LASTS.1));
        let mut nodes: Vec<Node> = (0..shape.nodes).collect();
        rng.shuffle(&mut nodes);
        let one = nodes[0];
        let spare = (shape.replicas - 1) / 2;
        let kill = |some: &[Node]| Fault::new("kill", some, some.iter().map(|node| Action::Kill(*node)).collect());
        let fault = match self {
            Self::Nothing => Fault::new("nothing", &[], Vec::new()),
            Self::KillOne => kill(&nodes[..1]),
            Self::KillMinority => kill(&nodes[..spare]),
            Self::KillMajority => kill(&nodes[..rng.between(spare as u64 + 1, shape.nodes as u64 - 1) as usize]),
            Self::KillAll => kill(&nodes),
            Self::Pause => Fault::new("pause", &[one], vec![Action::Pause(one)]),
            Self::Halves => {
                let (minority, majority) = nodes.split_at((shape.nodes - 1) / 2);
                Fault::new("cut off", minority, vec![Action::Links(partition::between(minority, majority))])
            }
            Self::MajorityRing => {
                // Each node is missed by others, so each counts as away for somebody.
                Fault::new("majority ring of", &nodes, vec![Action::Links(partition::majority_ring(&nodes))])
            }
            Self::Bridge => {
                let (low, high) = nodes[1..].split_at((shape.nodes - 1) / 2);
                let cut = Action::Links(partition::between(low, high));
                Fault::new("halves bridged by", &[one], vec![cut]).away(low.len())
            }
            Self::OneWay => {
                let (what, cut) = if rng.one_in(2) {
                    ("nobody hears", partition::one_way(&[one], &nodes[1..]))
                } else {
                    ("nothing is heard by", partition::one_way(&nodes[1..], &[one]))
                };
                Fault::new(what, &[one], vec![Action::Links(cut)])
            }
            Self::Isolated => {
                Fault::new("isolate", &[one], vec![Action::Links(partition::between(&[one], &nodes[1..]))])
            }
            Self::Flapping => flapping(one, &nodes[1..], rng),
            Self::Slow => {
                let least = Duration::from_millis(rng.between(5, 50));
                let link = Link::Slow { least, most: least * 3 };
                Fault::new(
                    &format!("delays from {least:?} for"),
                    &nodes,
                    vec![Action::Links(partition::all(&nodes, link))],
                )
                .away(0)
            }
            Self::Lossy => {
                let percent = rng.between(2, 20) as u8;
                let links = partition::all(&nodes, Link::Lossy { percent });
                Fault::new(&format!("{percent} % loss for"), &nodes, vec![Action::Links(links)]).away(0)
            }
            Self::RollingRestart => rolling("restart", &nodes, |node| vec![Action::Stop(node), Action::Start(node)]),
            Self::RollingUpgrade => rolling("upgrade", &nodes, |node| vec![Action::Upgrade(node)]),
            Self::ClockJump => inner::clock_jump(&nodes[..rng.between(1, spare as u64) as usize], rng),
            Self::ClockSkew => inner::clock_skew(&nodes, rng),
            Self::ClockStrobe => inner::clock_strobe(one, rng),
            Self::FailSync => inner::fail_syncs(&nodes[..1]),
            Self::FailSyncMinority => inner::fail_syncs(&nodes[..spare]),
            Self::BitFlip => inner::bit_flip(one, rng),
            Self::LostDisk => Fault::new("lost disk of", &[one], vec![Action::LoseDisk(one)]),
            Self::FullDisk => Fault::new("full disk of", &[one], vec![Action::FillDisk(one)]),
            Self::Mixed => {
                let parts = (0..rng.between(2, MIXED)).map(|_| rng.pick(&Self::MIX).copied().unwrap_or(Self::KillOne));
                let parts: Vec<Self> = parts.collect();
                Fault::mixed(parts.into_iter().map(|part| part.fault(shape, rng)))
            }
        };
        fault.lasting(lasts)
    }
}

fn flapping(one: Node, others: &[Node], rng: &mut Rng) -> Fault {
    let mut actions = Vec::new();
    for _ in 0..FLAPS {
        for link in [Link::Cut, Link::Open] {
            let links = partition::between(&[one], others).into_iter().map(|(from, to, _)| (from, to, link));
            actions.push(Action::Links(links.collect()));
            actions.push(Action::Wait(Duration::from_millis(rng.between(FLAP.0, FLAP.1))));
        }
    }
    Fault::new("flapping", &[one], actions)
}

/// The same is done to one node after the other, each of which serves before the next one's turn.
fn rolling(what: &str, nodes: &[Node], actions: impl Fn(Node) -> Vec<Action>) -> Fault {
    let with_rest = |node: &Node| actions(*node).into_iter().chain([Action::UntilReady(*node)]);
    Fault::new(&format!("{what} one by one"), nodes, nodes.iter().flat_map(with_rest).collect()).away(1)
}

impl fmt::Display for Nemesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Nemesis {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|nemesis| nemesis.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|nemesis| nemesis.name()).collect();
            format!("there is no nemesis '{name}'; there are: {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Shape = Shape { nodes: 3, replicas: 3, small_disks: false };
    const FIVE: Shape = Shape { nodes: 5, replicas: 5, small_disks: false };

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        for nemesis in Nemesis::ALL {
            let faults = |seed| {
                let mut rng = Rng::new(seed);
                (0..20).map(|_| nemesis.fault(FIVE, &mut rng)).collect::<Vec<_>>()
            };
            assert_eq!(faults(1), faults(1), "{nemesis}");
        }
    }

    #[test]
    fn what_a_minority_suffers_leaves_a_majority() {
        let survives = |nemesis: Nemesis, shape: Shape| {
            (0..50).all(|seed| shape.survives(nemesis.fault(shape, &mut Rng::new(seed)).away))
        };
        use Nemesis::*;
        for shape in [THREE, FIVE] {
            let spared = [Nothing, KillOne, KillMinority, Pause, Halves, Bridge, OneWay, Isolated, Flapping, Slow];
            let inner = [ClockJump, ClockSkew, ClockStrobe, FailSync, FailSyncMinority, BitFlip, RollingUpgrade];
            for nemesis in spared.into_iter().chain(inner) {
                assert!(survives(nemesis, shape), "{nemesis}");
            }
            for nemesis in [KillMajority, KillAll] {
                assert!(!survives(nemesis, shape), "{nemesis}");
            }
        }
    }

    #[test]
    fn names_are_read() {
        for nemesis in Nemesis::ALL {
            assert_eq!(nemesis.to_string().parse(), Ok(*nemesis));
        }
        assert!("gremlin".parse::<Nemesis>().unwrap_err().contains("there are: none, kill-one"));
    }
}
