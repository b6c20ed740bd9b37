//! Random numbers that follow from a seed: those that PostgreSQL 15 gives after `setseed`.
//!
//! Source: SplitMix64 and xoroshiro128** of David Blackman and Sebastiano Vigna.

/// How many bits a number has.
const BITS: u32 = 52;

/// What the next numbers follow from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeded([u64; 2]);

impl Seeded {
    /// What follows from a seed between -1 and 1.
    pub fn new(seed: f64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "it has no more bits than that"
        )]
        let seed = (((1_u64 << BITS) - 1) as f64 * seed) as i64;
        let mut mixed = seed.cast_unsigned();
        Self([split_mix(&mut mixed), split_mix(&mut mixed)])
    }

    /// From 0 up to but not including 1.
    pub fn next(&mut self) -> f64 {
        let Self([one, other]) = *self;
        let number = one.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let mixed = one ^ other;
        *self = Self([one.rotate_left(24) ^ mixed ^ (mixed << 16), mixed.rotate_left(37)]);
        #[expect(clippy::cast_precision_loss, reason = "so many bits are kept exactly")]
        let scaled = (number >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64;
        scaled
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
