//! Chance that a seed decides: the same on every machine and in every build.

/// A stream of numbers (splitmix64).
pub(super) struct Chance(u64);

impl Chance {
    /// The stream of one thing under a seed.
    pub(super) fn new(seed: u64, of: u64) -> Self {
        let mut chance = Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ of.rotate_left(32));
        // Neighbours would otherwise begin alike.
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `most`.
    pub(super) fn below(&mut self, most: u64) -> u64 {
        self.next() % most.max(1)
    }

    /// One of `values`, each as likely.
    pub(super) fn of<T: Copy>(&mut self, values: &[T]) -> T {
        let at = self.below(values.len() as u64);
        values[usize::try_from(at).unwrap_or_default()]
    }

    /// A price in per cent of the usual one: most are near it, and a few are many times as high.
    pub(super) fn price_percent(&mut self) -> i64 {
        const TAIL: [i64; 20] = [
            35, 45, 55, 60, 70, 75, 80, 90, 95, 100, 105, 115, 125, 140, 160, 190, 240, 330, 520,
            1100,
        ];
        let near = i64::try_from(self.below(21)).unwrap_or_default() - 10;
        self.of(&TAIL) * (100 + near) / 100
    }

    /// A model's name, such as `KX-410`.
    pub(super) fn model(&mut self) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHKLMNPRSTVWXZ";
        let (one, two) = (self.of(LETTERS), self.of(LETTERS));
        format!("{}{}-{}", char::from(one), char::from(two), 100 + self.below(900))
    }
}

/// Picks the n-th of some with a likelihood of 1/n, as buyers do.
pub(super) struct Skewed(Vec<u64>);

impl Skewed {
    /// Over so many.
    pub(super) fn over(count: usize) -> Self {
        let weights = (1..=count as u64).map(|rank| 1_000_000 / rank);
        let mut sum = 0;
        Self(
            weights
                .map(|weight| {
                    sum += weight;
                    sum
                })
                .collect(),
        )
    }

    /// The place of one of them, counted from 0.
    pub(super) fn pick(&self, chance: &mut Chance) -> usize {
        let all = self.0.last().copied().unwrap_or(1);
        let at = chance.below(all);
        self.0.partition_point(|sum| *sum <= at)
    }
}
