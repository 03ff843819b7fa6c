//! A fast hash of short texts under a secret of this process.
//!
//! For tables in memory only: nothing here is written down. Without the secret nobody can choose
//! texts that fall together.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

static SECRET: LazyLock<[u64; 2]> = LazyLock::new(|| {
    let random = RandomState::new();
    [random.hash_one(1u8) | 1, random.hash_one(2u8) | 1]
});

/// The hash of a text.
pub(crate) fn hash(text: &[u8]) -> u64 {
    let [first, second] = *SECRET;
    let mut state = first ^ text.len() as u64;
    let (chunks, rest) = text.as_chunks::<16>();
    for chunk in chunks {
        state = mix(state ^ low(chunk), second ^ high(chunk));
    }
    if !rest.is_empty() {
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        state = mix(state ^ low(&last), second ^ high(&last));
    }
    mix(state, second)
}

fn low(chunk: &[u8; 16]) -> u64 {
    u64::from_le_bytes(*chunk.first_chunk().expect("sixteen bytes"))
}

fn high(chunk: &[u8; 16]) -> u64 {
    u64::from_le_bytes(*chunk.last_chunk().expect("sixteen bytes"))
}

/// Both halves of the product folded into one: every bit depends on all.
fn mix(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_anywhere_have_different_hashes() {
        let texts: Vec<String> = (0..2_000).map(|n| format!("{}{n}", "x".repeat(n % 40))).collect();
        let hashes: std::collections::HashSet<u64> =
            texts.iter().map(|text| hash(text.as_bytes())).collect();
        assert_eq!(hashes.len(), texts.len());
        assert_ne!(hash(b"a"), hash(b"a\0"));
        assert_eq!(hash(b"the same"), hash(b"the same"));
    }
}
