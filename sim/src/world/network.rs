//! Links between nodes: delay, loss, duplication, reordering, cuts in one or both directions.

use annulus_base::rng::Rng;
use annulus_base::time::Micros;

/// How links behave. Odds are in a thousand.
#[derive(Clone, Debug)]
pub struct NetworkOptions {
    /// The usual delay of a message lies between these.
    pub delay: (Micros, Micros),
    /// Odds that a message is late.
    pub late_odds: u64,
    /// A late message takes up to this.
    pub late: Micros,
    /// Odds that a message is lost.
    pub loss: u64,
    /// Odds that a message arrives twice.
    pub duplication: u64,
    /// Whether messages of one link keep their order.
    pub ordered: bool,
}

/// One direction between two nodes.
#[derive(Clone, Copy, Debug)]
struct Link {
    cut: bool,
    slowdown: u64,
    last_arrival: Micros,
}

/// All links between `nodes` nodes, numbered from 0.
#[derive(Debug)]
pub struct Network {
    options: NetworkOptions,
    nodes: usize,
    links: Vec<Link>,
}

impl Network {
    /// A network with all links whole.
    #[must_use]
    pub fn new(nodes: usize, options: NetworkOptions) -> Self {
        let whole = Link { cut: false, slowdown: 1, last_arrival: 0 };
        Self { options, nodes, links: vec![whole; nodes * nodes] }
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.nodes + to]
    }

    /// When the copies of a message sent now arrive: none, one or two.
    pub fn send(&mut self, now: Micros, from: usize, to: usize, rng: &mut Rng) -> [Option<Micros>; 2] {
        if self.link(from, to).cut || rng.below(1_000) < self.options.loss {
            return [None, None];
        }
        let first = self.arrival(now, from, to, rng);
        let twice = rng.below(1_000) < self.options.duplication;
        [Some(first), twice.then(|| self.arrival(now, from, to, rng))]
    }

    fn arrival(&mut self, now: Micros, from: usize, to: usize, rng: &mut Rng) -> Micros {
        let (low, high) = self.options.delay;
        let delay = rng.between(low, high);
        let late = if rng.below(1_000) < self.options.late_odds { rng.below(self.options.late) } else { 0 };
        let ordered = self.options.ordered;
        let link = self.link(from, to);
        let mut at = now + delay * link.slowdown + late;
        if ordered {
            at = at.max(link.last_arrival);
        }
        link.last_arrival = at;
        at
    }

    /// Whether a message on its way still gets through.
    #[must_use]
    pub fn delivers(&self, from: usize, to: usize) -> bool {
        !self.links[from * self.nodes + to].cut
    }

    /// Cuts all links from one side to the other, and the way back too unless `one_way`.
    pub fn cut(&mut self, side: &[bool], one_way: bool) {
        for from in 0..self.nodes {
            for to in 0..self.nodes {
                let crosses = if one_way { side[from] && !side[to] } else { side[from] != side[to] };
                self.link(from, to).cut |= crosses;
            }
        }
    }

    /// Makes one direction of one link slower by a factor.
    pub fn slow_down(&mut self, from: usize, to: usize, factor: u64) {
        self.link(from, to).slowdown = factor;
    }

    /// Makes all links whole and fast again; losses and late messages go on.
    pub fn mend(&mut self) {
        for link in &mut self.links {
            link.cut = false;
            link.slowdown = 1;
        }
    }

    /// Ends all faults: no cut, loss, duplicate or late message any more. Nothing waits behind a message
    /// that is still late.
    pub fn heal(&mut self) {
        self.mend();
        self.options.ordered = false;
        self.options.loss = 0;
        self.options.duplication = 0;
        self.options.late_odds = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: NetworkOptions =
        NetworkOptions { delay: (10, 20), late_odds: 0, late: 0, loss: 0, duplication: 0, ordered: false };

    #[test]
    fn a_cut_is_felt_in_its_direction_only_and_mends() {
        let mut network = Network::new(3, PLAIN);
        let mut rng = Rng::new(1);
        network.cut(&[true, false, false], true);
        assert_eq!(network.send(0, 0, 1, &mut rng), [None, None]);
        assert!(network.send(0, 1, 0, &mut rng)[0].is_some());
        assert!(network.send(0, 1, 2, &mut rng)[0].is_some());
        network.mend();
        assert!(network.send(0, 0, 1, &mut rng)[0].is_some());
    }

    #[test]
    fn order_is_kept_where_asked() {
        let mut network = Network::new(2, NetworkOptions { delay: (0, 1_000), ordered: true, ..PLAIN });
        let mut rng = Rng::new(2);
        let arrivals: Vec<_> = (0..100).filter_map(|now| network.send(now, 0, 1, &mut rng)[0]).collect();
        assert!(arrivals.is_sorted());
        assert_eq!(arrivals.len(), 100);
    }
}
