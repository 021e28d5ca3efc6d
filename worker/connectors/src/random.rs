//! Random numbers that can be repeated: a number from (seed, column, row), with nothing remembered between rows.

/// The random numbers of one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RandomColumn(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of splitmix64: a bijection that mixes every bit into every other.
#[inline]
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl RandomColumn {
    /// The column with this name's hash under a seed.
    pub(crate) fn new(seed: u64, column: u64) -> Self {
        Self(mix(mix(seed.wrapping_add(GOLDEN)) ^ column.wrapping_mul(GOLDEN)))
    }

    /// The column with a name: renaming or moving other columns changes nothing in it.
    pub(crate) fn named(seed: u64, name: &str) -> Self {
        Self::new(seed, name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)))
    }

    /// 64 random bits.
    #[inline]
    pub(crate) fn bits(self, row: u64) -> u64 {
        mix(self.0.wrapping_add(row.wrapping_mul(GOLDEN)))
    }

    /// A number below `n`.
    #[inline]
    pub(crate) fn below(self, row: u64, n: u64) -> u64 {
        ((u128::from(self.bits(row)) * u128::from(n)) >> 64) as u64
    }

    /// A number from 0 up to, not including, 1.
    #[inline]
    pub(crate) fn unit(self, row: u64) -> f64 {
        (self.bits(row) >> 11) as f64 / (1u64 << 53) as f64
    }
}
