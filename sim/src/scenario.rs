//! Scenarios: a bias of the swarm towards a situation that random runs rarely reach.

use annulus_base::mutation::Mutation;
use annulus_base::rng::Rng;

use crate::options::Options;

/// A bias of the swarm.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    tune: fn(&mut Options, &mut Rng),
}

impl Scenario {
    /// The options of a seed under this bias.
    #[must_use]
    pub fn options(&self, seed: u64) -> Options {
        let mut options = Options::from_seed(seed);
        (self.tune)(&mut options, &mut Rng::new(seed ^ 0xa1_3d));
        options
    }

    /// The scenario of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|scenario| scenario.name == name)
    }

    /// The one in which a mutation shows soonest.
    #[must_use]
    pub const fn for_mutation(_: Mutation) -> &'static Self {
        &SWARM
    }
}

/// Every scenario.
pub const ALL: [&Scenario; 1] = [&SWARM];

/// No bias.
pub const SWARM: Scenario = Scenario { name: "swarm", about: "no bias", tune: |_, _| {} };
