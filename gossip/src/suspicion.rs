//! Who is believed alive: a phi-accrual failure detector.
//!
//! `phi` says how surprising a node's silence is: at 1 one silence in 10 as long as this would be broken
//! later still, at 3 one in 1 000, at 8 one in 10^8. The intervals between heartbeats are taken to be
//! normally distributed, with the mean and deviation of the last ones.
//!
//! Sources: Hayashibara et al., "The phi accrual failure detector" (2004); the tail of the normal
//! distribution as a logistic function after Bowling et al. (2009), whose error in phi does not matter here.

use std::collections::{BTreeMap, VecDeque};

use annulus_base::NodeId;
use annulus_base::time::{MILLISECOND, Micros};

/// How quickly silence becomes suspicion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// A node is suspected when its phi is above.
    pub threshold: f64,
    /// How many intervals are remembered of each node, at least 1.
    pub window: usize,
    /// The deviation is taken to be at least this, however regular a node was: the silence that the
    /// machine or the network may cause at any time.
    pub min_std_deviation: Micros,
    /// What the intervals of a node are taken to be until there are some.
    pub first_interval: Micros,
}

impl Default for Config {
    /// For heartbeats a few times a second: suspects after about two seconds.
    fn default() -> Self {
        Self { threshold: 8.0, window: 200, min_std_deviation: 200 * MILLISECOND, first_interval: 500 * MILLISECOND }
    }
}

/// Watches the heartbeats of many nodes. Times are those of a clock that never goes back.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    config: Config,
    nodes: BTreeMap<NodeId, History>,
}

impl Detector {
    /// A detector that has heard of nobody.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self { config, nodes: BTreeMap::new() }
    }

    /// Watches a node from now on, even if it is never heard of. Forgets what its earlier life was like.
    pub fn watch(&mut self, node: NodeId, now: Micros) {
        self.nodes.insert(node, History::new(self.config.first_interval, now));
    }

    /// Stops watching a node.
    pub fn forget(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    /// A sign of life. The interval that ends a suspicion is no habit of the node, so it is not remembered.
    pub fn heartbeat(&mut self, node: NodeId, now: Micros) {
        let suspected = self.is_suspected(node, now);
        let Some(history) = self.nodes.get_mut(&node) else { return self.watch(node, now) };
        if !suspected {
            history.add(now.saturating_sub(history.last), self.config.window);
        }
        history.last = history.last.max(now);
    }

    /// How surprising a node's silence is; `None` if it is not watched.
    #[must_use]
    pub fn phi(&self, node: NodeId, now: Micros) -> Option<f64> {
        let history = self.nodes.get(&node)?;
        let silence = now.saturating_sub(history.last) as f64;
        let deviation = history.std_deviation().max(self.config.min_std_deviation as f64).max(1.0);
        Some(surprise((silence - history.mean()) / deviation))
    }

    /// Whether a node's silence is too surprising. Nodes that are not watched are not suspected.
    #[must_use]
    pub fn is_suspected(&self, node: NodeId, now: Micros) -> bool {
        self.phi(node, now).is_some_and(|phi| phi > self.config.threshold)
    }
}

/// `-log10` of the probability that a normal variable is more than `deviations` above its mean.
fn surprise(deviations: f64) -> f64 {
    let x = deviations * (1.5976 + 0.070_566 * deviations * deviations);
    // ln(1 + e^x), which neither overflows nor loses the small values.
    let softplus = x.max(0.0) + (-x.abs()).exp().ln_1p();
    softplus / std::f64::consts::LN_10
}

/// The last intervals of one node, with their exact sums.
#[derive(Clone, Debug)]
struct History {
    last: Micros,
    intervals: VecDeque<Micros>,
    sum: u128,
    sum_of_squares: u128,
}

impl History {
    fn new(first_interval: Micros, now: Micros) -> Self {
        let mut history = Self { last: now, intervals: VecDeque::new(), sum: 0, sum_of_squares: 0 };
        history.add(first_interval, 1);
        history
    }

    fn add(&mut self, interval: Micros, window: usize) {
        // Longer ones are no intervals; and so the sums cannot overflow.
        let interval = interval.min(u64::from(u32::MAX));
        while self.intervals.len() >= window.max(1) {
            let Some(oldest) = self.intervals.pop_front() else { break };
            self.sum -= u128::from(oldest);
            self.sum_of_squares -= u128::from(oldest).pow(2);
        }
        self.intervals.push_back(interval);
        self.sum += u128::from(interval);
        self.sum_of_squares += u128::from(interval).pow(2);
    }

    fn mean(&self) -> f64 {
        self.sum as f64 / self.intervals.len() as f64
    }

    fn std_deviation(&self) -> f64 {
        let count = self.intervals.len() as u128;
        let variance_times_count_squared = count * self.sum_of_squares - self.sum * self.sum;
        (variance_times_count_squared as f64).sqrt() / count as f64
    }
}

#[cfg(test)]
mod tests {
    use annulus_base::rng::Rng;
    use annulus_base::time::SECOND;

    use super::*;

    const NODE: NodeId = NodeId(1);
    const CONFIG: Config =
        Config { threshold: 8.0, window: 100, min_std_deviation: 10 * MILLISECOND, first_interval: SECOND };

    /// A node that was heard of `beats` times, every `interval` give or take `jitter`; and when last.
    fn heard(config: Config, beats: u64, interval: Micros, jitter: Micros) -> (Detector, Micros) {
        let (mut detector, mut rng, mut now) = (Detector::new(config), Rng::new(1), 0);
        for _ in 0..beats {
            now += interval - jitter + rng.below(2 * jitter + 1);
            detector.heartbeat(NODE, now);
            assert!(!detector.is_suspected(NODE, now));
        }
        (detector, now)
    }

    /// How long after the last sign of life the suspicion begins.
    fn patience(detector: &Detector, last: Micros) -> Micros {
        let suspected = |ms: &u64| detector.is_suspected(NODE, last + ms * MILLISECOND);
        (0..100_000).find(suspected).expect("silence must become suspicion") * MILLISECOND
    }

    #[test]
    fn surprise_is_the_tail_of_the_normal_distribution() {
        // Exact: -log10(0.5), -log10(0.158655), -log10(0.0013499), and about 9.0 at six deviations.
        for (deviations, exact) in [(0.0, 0.5_f64.log10().abs()), (1.0, 0.79955), (3.0, 2.86970), (6.0, 9.00586)] {
            let phi = surprise(deviations);
            assert!((phi / exact - 1.0).abs() < 0.25, "{deviations}: {phi} for {exact}");
        }
        assert!(surprise(-1e9) >= 0.0 && surprise(1e9).is_finite());
    }

    #[test]
    fn phi_grows_with_silence() {
        let (detector, last) = heard(CONFIG, 200, 100 * MILLISECOND, 20 * MILLISECOND);
        let phi: Vec<_> = (0..50).map(|ms| detector.phi(NODE, last + ms * 10 * MILLISECOND).unwrap()).collect();
        assert!(phi.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(phi[0] < 0.1 && phi[49] > 50.0, "{phi:?}");
    }

    #[test]
    fn patience_fits_the_habits_of_the_node() {
        let regular = heard(CONFIG, 200, 100 * MILLISECOND, 5 * MILLISECOND);
        let irregular = heard(CONFIG, 200, 100 * MILLISECOND, 90 * MILLISECOND);
        let slow = heard(CONFIG, 200, SECOND, 5 * MILLISECOND);
        let [regular, irregular, slow] = [regular, irregular, slow].map(|(detector, last)| patience(&detector, last));
        assert!((140 * MILLISECOND..180 * MILLISECOND).contains(&regular), "{regular}");
        assert!((300 * MILLISECOND..600 * MILLISECOND).contains(&irregular), "{irregular}");
        assert!((1_030 * MILLISECOND..1_100 * MILLISECOND).contains(&slow), "{slow}");
    }

    #[test]
    fn threshold_and_least_deviation_are_obeyed() {
        let with = |config| {
            let (detector, last) = heard(config, 200, 100 * MILLISECOND, MILLISECOND);
            patience(&detector, last)
        };
        assert!(with(Config { threshold: 1.0, ..CONFIG }) < with(CONFIG));
        assert!(with(Config { min_std_deviation: SECOND, ..CONFIG }) > 4 * SECOND);
        let default = with(Config::default());
        assert!((SECOND..2 * SECOND).contains(&default), "{default}");
    }

    #[test]
    fn the_window_forgets_old_habits() {
        let (mut detector, mut now) = heard(Config { window: 10, ..CONFIG }, 100, SECOND, 0);
        for _ in 0..10 {
            now += 100 * MILLISECOND;
            detector.heartbeat(NODE, now);
        }
        assert!(patience(&detector, now) < 200 * MILLISECOND);
    }

    #[test]
    fn a_watched_node_that_never_speaks_is_suspected() {
        let mut detector = Detector::new(CONFIG);
        assert!(!detector.is_suspected(NODE, 100 * SECOND));
        assert_eq!(detector.phi(NODE, 0), None);
        detector.watch(NODE, 0);
        assert!((SECOND..2 * SECOND).contains(&patience(&detector, 0)));
        detector.forget(NODE);
        assert!(!detector.is_suspected(NODE, 100 * SECOND));
    }

    #[test]
    fn a_node_that_comes_back_is_trusted_and_its_absence_is_no_habit() {
        let (mut detector, last) = heard(CONFIG, 200, 100 * MILLISECOND, 5 * MILLISECOND);
        let before = patience(&detector, last);
        detector.heartbeat(NODE, last + 1_000 * SECOND);
        assert_eq!(patience(&detector, last + 1_000 * SECOND), before);
    }

    #[test]
    fn odd_times_and_settings_are_harmless() {
        let mut detector = Detector::new(Config { window: 0, min_std_deviation: 0, first_interval: 0, threshold: 1e9 });
        for now in [u64::MAX, 0, 5, 5, u64::MAX] {
            detector.heartbeat(NODE, now);
            assert!(detector.phi(NODE, now).is_some_and(f64::is_finite));
        }
    }
}
