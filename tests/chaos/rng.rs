//! A seeded random number generator that gives the same sequence on every machine and with every
//! version of every crate (SplitMix64, Steele et al. 2014).

use std::time::Duration;

/// A sequence of pseudorandom numbers.
pub struct Rng(u64);

impl Rng {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True with a probability of `percent` in a hundred.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A duration from `min` to `max` milliseconds.
    pub fn duration(&mut self, min: usize, max: usize) -> Duration {
        Duration::from_millis((min + self.below(max - min + 1)) as u64)
    }

    /// One of `choices`, with a probability in proportion to its weight.
    pub fn weighted<T: Copy>(&mut self, choices: &[(T, usize)]) -> T {
        let mut drawn = self.below(choices.iter().map(|(_, weight)| weight).sum());
        for &(choice, weight) in choices {
            match drawn.checked_sub(weight) {
                Some(rest) => drawn = rest,
                None => return choice,
            }
        }
        unreachable!("the weights sum to more than was drawn")
    }
}
