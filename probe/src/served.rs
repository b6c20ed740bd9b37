//! When somebody was served, and when nobody was.

use annulus_check::history::Outcome;

use crate::journal::Sample;

/// A stretch of time without any success. Microseconds since the start of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last success before it, or where looking began.
    pub from: u64,
    /// The first success after it, or where looking ended.
    pub to: u64,
}

impl Gap {
    /// How long it was.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.to - self.from
    }
}

/// All successes, by time.
#[derive(Clone, Debug, Default)]
pub struct Served(Vec<(u64, usize)>);

impl Served {
    /// Those among the samples.
    #[must_use]
    pub fn of<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        let executed = samples.into_iter().filter(|sample| sample.outcome == Outcome::Ok);
        let mut successes: Vec<(u64, usize)> = executed.map(|sample| (sample.ended, sample.node)).collect();
        successes.sort_unstable();
        Self(successes)
    }

    /// Those of one node.
    #[must_use]
    pub fn by(&self, node: usize) -> Self {
        Self(self.0.iter().filter(|(_, by)| *by == node).copied().collect())
    }

    /// When the last one was; 0 if there is none.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |(at, _)| *at)
    }

    fn within(&self, from: u64, to: u64) -> &[(u64, usize)] {
        let first = self.0.partition_point(|(at, _)| *at < from);
        let last = self.0.partition_point(|(at, _)| *at < to);
        &self.0[first..last.max(first)]
    }

    /// What lies between the successes from `from` to `to`.
    pub fn gaps(&self, from: u64, to: u64) -> impl Iterator<Item = Gap> {
        let times = self.within(from, to).iter().map(|(at, _)| *at).chain([to.max(from)]);
        times.scan(from, |last, at| Some(Gap { from: std::mem::replace(last, at), to: at }))
    }

    /// The longest time without any success.
    #[must_use]
    pub fn longest_gap(&self, from: u64, to: u64) -> Gap {
        self.gaps(from, to).max_by_key(Gap::length).unwrap_or(Gap { from, to: from })
    }

    /// When a node served first.
    #[must_use]
    pub fn first_of(&self, node: usize, from: u64, to: u64) -> Option<u64> {
        self.within(from, to).iter().find(|(_, by)| *by == node).map(|(at, _)| *at)
    }

    /// Successes in a second.
    #[must_use]
    pub fn rate(&self, from: u64, to: u64) -> u64 {
        let micros = to.saturating_sub(from).max(1);
        self.within(from, to).len() as u64 * 1_000_000 / micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(times: &[(u64, usize)]) -> Served {
        let sample =
            |(ended, node): &(u64, usize)| Sample { begun: 0, ended: *ended, node: *node, outcome: Outcome::Ok };
        let failed = Sample { begun: 0, ended: 500, node: 0, outcome: Outcome::Fail };
        Served::of(&times.iter().map(sample).chain([failed]).collect::<Vec<_>>())
    }

    #[test]
    fn gaps_reach_from_edge_to_edge() {
        let served = served(&[(900, 0), (100, 1), (300, 0)]);
        let gaps: Vec<u64> = served.gaps(0, 1_000).map(|gap| gap.length()).collect();
        assert_eq!(gaps, [100, 200, 600, 100]);
        assert_eq!(served.longest_gap(0, 1_000), Gap { from: 300, to: 900 });
        assert_eq!(served.by(1).longest_gap(0, 1_000), Gap { from: 100, to: 1_000 });
        assert_eq!(Served::default().longest_gap(5, 9), Gap { from: 5, to: 9 });
        assert_eq!(served.longest_gap(9, 5).length(), 0);
        assert_eq!(served.first_of(0, 400, 1_000), Some(900));
        assert_eq!((served.end(), served.rate(0, 1_000)), (900, 3_000));
    }
}
