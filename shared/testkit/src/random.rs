//! Random input that can be made again from its seed.

/// Numbers by xorshift64* (Vigna, 2016).
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    /// One of `parts`.
    pub fn pick<'a, T: ?Sized>(&mut self, parts: &[&'a T]) -> &'a T {
        parts[self.below(parts.len())]
    }

    /// Up to `most` of `parts`, one after another, with bytes changed, lost and doubled now and then.
    pub fn text(&mut self, parts: &[&str], most: usize) -> String {
        let mut text = String::new();
        for _ in 0..self.below(most + 1) {
            match self.below(12) {
                0 => text.push(char::from_u32(self.number() as u32 % 0x11_0000).unwrap_or('\u{fffd}')),
                1 => drop(text.pop()),
                2 => text.push((self.number() % 128) as u8 as char),
                _ => text.push_str(self.pick(parts)),
            }
        }
        text
    }
}

/// Runs `round` with numbers of its own, `rounds` times, or for as long as `FUZZ_SECONDS` says (`make
/// fuzz`). What fails names its seed, which `FUZZ_SEED` repeats.
pub fn rounds(rounds: u64, mut round: impl FnMut(&mut Random)) {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a test looks is no setting of the product"
    )]
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    struct Named(u64);
    impl Drop for Named {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("FUZZ_SEED={}", self.0);
            }
        }
    }
    if let Some(seed) = number("FUZZ_SEED") {
        return round(&mut Random::new(seed));
    }
    let until =
        number("FUZZ_SECONDS").map(|seconds| std::time::Instant::now() + std::time::Duration::from_secs(seconds));
    // Another place to begin at in each longer run.
    let first = match until {
        None => 0,
        Some(_) => u64::from(std::process::id()) << 32,
    };
    for seed in first.. {
        let is_over = match until {
            None => seed >= rounds,
            Some(until) => std::time::Instant::now() >= until,
        };
        if is_over {
            return println!("{} rounds", seed - first);
        }
        let named = Named(seed);
        round(&mut Random::new(seed));
        drop(named);
    }
}
