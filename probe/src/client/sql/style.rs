//! Ways to ask for a transaction.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annulus_base::Timestamp;
use annulus_base::rng::Rng;
use annulus_check::history::Step;

use super::layout::Layout;
use super::statements::{self, Statements};

/// One in so many programs that only read reads the past.
const PAST: u64 = 4;
/// How far back at most, in steps.
const STEPS: u64 = 12;
/// The instants of the past that are read lie so far apart: that way many clients read the same ones, over and over.
const STEP: Duration = Duration::from_millis(250);

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant(u64);

impl Instant {
    /// As seconds, for SQL.
    pub(super) fn seconds(self) -> String {
        format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }

    /// As a timestamp of the cluster.
    const fn timestamp(self) -> Timestamp {
        Timestamp::from_micros(self.0 * 1_000)
    }
}

/// How a transaction is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// One statement.
    Single,
    /// One query over the whole table, to read some of it.
    Whole,
    /// One statement that reads the state of an instant of the past.
    Past {
        /// Which instant.
        at: Instant,
    },
    /// Several statements in one message.
    Message {
        /// Whether several keys are read as a range.
        range: bool,
    },
    /// `BEGIN`, one statement after the other, `COMMIT`.
    Block {
        /// Whether several keys are read as a range.
        range: bool,
        /// Whether what is read is locked.
        lock: bool,
    },
}

impl Style {
    /// One that can express the program; `past`: what only reads may read the past.
    #[must_use]
    pub fn any(layout: Layout, program: &[Step], past: bool, rng: &mut Rng) -> Self {
        let reads = program.iter().all(|step| matches!(step, Step::Read { .. }));
        if past && reads && rng.one_in(PAST) {
            return Self::Past { at: earlier(rng) };
        }
        let (range, lock) = (rng.one_in(2), rng.one_in(3) && layout != Layout::Families);
        let mut styles = vec![Self::Block { range, lock }];
        if !(Statements { layout, range, lock: false }).of(program).iter().any(statements::Statement::is_conditional) {
            styles.push(Self::Message { range });
        }
        if layout == Layout::Wide && reads {
            styles.extend([Self::Whole, Self::Whole]);
        }
        if statements::single(layout, program).is_some() {
            styles.push(Self::Single);
        }
        rng.pick(&styles).copied().unwrap_or(Self::Block { range, lock })
    }

    /// Whether a token can be put down with it.
    pub(crate) const fn tells_by_token(self) -> bool {
        matches!(self, Self::Message { .. } | Self::Block { .. })
    }

    /// The instant of the past that is read, as a timestamp of the cluster.
    pub(crate) const fn read_at(self) -> Option<u64> {
        match self {
            Self::Past { at } => Some(at.timestamp().0),
            _ => None,
        }
    }
}

/// Some instant of the last seconds.
fn earlier(rng: &mut Rng) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let step = STEP.as_millis() as u64;
    Instant((now / step).saturating_sub(rng.below(STEPS)) * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_a_style_and_only_reads_go_to_the_past() {
        let mut rng = Rng::new(1);
        let reads = [Step::read(1), Step::read(2)];
        let change = Step::compare_and_set(1, Some(2), 3);
        let mut styles = |program: &[Step], past| {
            (0..200).map(|_| Style::any(Layout::Primary, program, past, &mut rng)).collect::<Vec<_>>()
        };
        let whole = |program: &[Step], layout, rng: &mut Rng| {
            (0..200).any(|_| Style::any(layout, program, true, rng) == Style::Whole)
        };
        assert!(whole(&reads, Layout::Wide, &mut Rng::new(2)) && !whole(&reads, Layout::Primary, &mut Rng::new(2)));
        assert!(!whole(&change, Layout::Wide, &mut Rng::new(2)));
        let (reading, changing) = (styles(&reads, true), styles(&change, true));
        assert!(styles(&reads, false).iter().all(|style| style.read_at().is_none()));
        assert!(reading.iter().any(|style| style.read_at().is_some()));
        assert!(changing.iter().all(|style| style.read_at().is_none()));
        assert!(
            changing.contains(&Style::Single) && !changing.iter().any(|style| matches!(style, Style::Message { .. }))
        );
    }

    #[test]
    fn instants_are_exact() {
        let instant = Instant(1_764_147_249_250);
        assert_eq!(instant.seconds(), "1764147249.250");
        assert_eq!(instant.timestamp().micros(), 1_764_147_249_250_000);
    }
}
