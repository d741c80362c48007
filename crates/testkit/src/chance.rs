//! The one source of chance in a world.

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Rng as _, SeedableRng as _};
use std::ops::RangeInclusive;

/// Chance from a seed: the same seed gives the same run.
#[derive(Debug, Clone)]
pub struct Chance(ChaCha20Rng);

impl Chance {
    /// Begins at a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    /// For keys and nonces.
    pub fn rng(&mut self) -> &mut dyn CryptoRng {
        &mut self.0
    }

    /// A number of a range, evenly enough for a network.
    pub fn within(&mut self, range: &RangeInclusive<u64>) -> u64 {
        let width = range.end().saturating_sub(*range.start()).saturating_add(1);
        let drawn = self.0.next_u64().checked_rem(width).unwrap_or(0);
        range.start().saturating_add(drawn)
    }

    /// True so many times in a thousand.
    pub fn per_mille(&mut self, times: u32) -> bool {
        self.within(&(0..=999)) < u64::from(times)
    }

    /// An array of drawn bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
