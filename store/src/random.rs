//! Randomness: from the operating system where nobody may guess it, from a seed in simulations.

/// Sixteen bytes nobody can guess.
///
/// # Panics
///
/// When the operating system has no randomness; nothing safe can be done without.
pub(crate) fn unguessable<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

/// A repeatable sequence of numbers (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in `per_mille` of a thousand cases.
    pub(crate) fn happens(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(1000) < u64::from(per_mille)
    }

    /// An independent sequence.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// Sixteen bytes of the sequence.
    pub(crate) fn bytes16(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes());
        bytes
    }
}

/// Where salts and identities come from.
#[derive(Debug)]
pub(crate) enum Entropy {
    /// The operating system.
    System,
    /// A simulation's seed.
    Seeded(Random),
}

impl Entropy {
    /// Sixteen bytes, never the same again.
    pub(crate) fn bytes16(&mut self) -> [u8; 16] {
        match self {
            Self::System => unguessable(),
            Self::Seeded(random) => random.bytes16(),
        }
    }
}
