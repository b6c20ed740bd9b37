//! What goes wrong: each class of faults at its own pace.

use annulus_base::rng::Rng;
use annulus_base::time::Micros;

use super::{Event, Phase, World};
use crate::options::FaultOptions;
use crate::violation::Verdict;

/// A class of faults.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Crash,
    Blackout,
    Partition,
    SlowLink,
    ClockJump,
    FailedSync,
    BitFlip,
    FalseSuspicion,
    ClientDeath,
}

impl Fault {
    const ALL: [Self; 9] = [
        Self::Crash,
        Self::Blackout,
        Self::Partition,
        Self::SlowLink,
        Self::ClockJump,
        Self::FailedSync,
        Self::BitFlip,
        Self::FalseSuspicion,
        Self::ClientDeath,
    ];

    /// The mean time between two of them, 0 for never.
    const fn every(self, options: &FaultOptions) -> Micros {
        match self {
            Self::Crash => options.crash,
            Self::Blackout => options.blackout,
            Self::Partition => options.partition,
            Self::SlowLink => options.slow_link,
            Self::ClockJump => options.clock_jump,
            Self::FailedSync => options.failed_sync,
            Self::BitFlip => options.bit_flip,
            Self::FalseSuspicion => options.false_suspicion,
            Self::ClientDeath => options.client_death,
        }
    }
}

fn some_side(nodes: usize, rng: &mut Rng) -> Vec<bool> {
    let alone = rng.one_in(2).then(|| rng.below(nodes as u64) as usize);
    (0..nodes).map(|node| alone.map_or_else(|| rng.one_in(2), |alone| node == alone)).collect()
}

impl World {
    pub(super) fn schedule_faults(&mut self) {
        for fault in Fault::ALL {
            self.schedule(fault);
        }
    }

    fn schedule(&mut self, fault: Fault) {
        let every = fault.every(&self.options.faults);
        if every > 0 {
            let at = self.time + self.rng.between(1, 2 * every);
            self.queue.push(at, Event::Fault(fault));
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) -> Verdict {
        if self.phase != Phase::Faults {
            return Ok(());
        }
        self.schedule(fault);
        let node = self.rng.below(self.nodes.len() as u64) as usize;
        let other = (node + 1 + self.rng.below(self.nodes.len() as u64 - 1) as usize) % self.nodes.len();
        match fault {
            Fault::Crash => {
                if self.down() < self.options.faults.most_down && self.nodes[node].member().is_some() {
                    self.doomed[node] = Some(self.rng.below(20));
                }
            }
            Fault::Blackout => {
                for node in 0..self.nodes.len() {
                    if self.nodes[node].member().is_some() {
                        self.crash(node);
                    }
                }
            }
            Fault::Partition => {
                let side = some_side(self.nodes.len(), &mut self.rng);
                let one_way = self.rng.one_in(3);
                self.tell(|| format!("cut, one way {one_way}: {side:?}"));
                self.network.cut(&side, one_way);
                let lasts = self.rng.below(self.options.faults.partition_lasts);
                self.queue.push(self.time + lasts, Event::Mend);
            }
            Fault::SlowLink => self.network.slow_down(node, other, self.rng.between(2, 50)),
            Fault::ClockJump => {
                let most = self.options.faults.jump;
                let jump = self.rng.between(0, 2 * most) as i64 - most as i64;
                self.tell(|| format!("{}: the wall clock jumps by {jump}", self.nodes[node].id));
                self.nodes[node].clock.skew = jump;
            }
            Fault::FailedSync => self.bad_sync[node] = true,
            Fault::BitFlip => {
                let flipped = self.nodes[self.bad_disk].store.flip_bit(&mut self.rng);
                self.tell(|| format!("{}: a bit flips in {flipped:?}", self.nodes[self.bad_disk].id));
            }
            Fault::FalseSuspicion => return self.suspect(node, other),
            Fault::ClientDeath => {
                let client = self.rng.below(self.clients.len() as u64) as usize;
                return self.client_dies(client);
            }
        }
        Ok(())
    }
}
