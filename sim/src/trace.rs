//! A fingerprint of a run: two runs of one seed must have the same.

/// A running hash over everything that happens. Multiply-rotate as in FxHash: only differences matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace(u64);

impl Trace {
    /// Something happened.
    pub fn note(&mut self, what: u64) {
        self.0 = (self.0.rotate_left(5) ^ what).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    /// The fingerprint.
    #[must_use]
    pub const fn hash(self) -> u64 {
        self.0
    }
}
