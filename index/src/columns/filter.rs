//! A filter over words: says surely not, or perhaps.
//!
//! A blocked Bloom filter (Putze, Sanders, Singler 2007): all bits of a word lie in one line of 64
//! bytes, so that asking reads one line. [`BITS_PER_WORD`] bits and [`PROBES`] probes let about one
//! word in sixty through that is not there. The hash is written down, so it has no secret: whoever
//! chooses words that fall together makes asking slower, never wrong.

use logwarden_event::{WORD_BYTES_MAX, words};

use super::block::address_of;

/// Bytes of a line.
pub(crate) const LINE_BYTES: usize = 64;
const BITS_PER_WORD: usize = 10;
const PROBES: u32 = 6;

/// The hash of a word (FNV-1a over eight bytes at a time, mixed); part of the format.
pub(crate) fn hash_word(word: &[u8]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325 ^ word.len() as u64;
    let (chunks, rest) = word.as_chunks::<8>();
    for chunk in chunks {
        hash = step(hash, u64::from_le_bytes(*chunk));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    step(hash, u64::from_le_bytes(last))
}

/// Appends the hashes of the words of a text. An IPv4 address is a word as a whole, too: its parts are
/// numbers that are everywhere.
pub(crate) fn hash_words(text: &[u8], hashes: &mut Vec<u64>) {
    if address_of(text).is_some() {
        hashes.push(hash_word(text));
    }
    if !text.is_ascii() {
        let text = str::from_utf8(text).unwrap_or_default();
        hashes.extend(words(text).map(|word| hash_word(word.as_bytes())));
        return;
    }
    let mut word = [0; WORD_BYTES_MAX];
    let mut len = 0;
    for byte in text {
        match LOWER[usize::from(*byte)] {
            0 if len > 0 => {
                hashes.push(hash_word(&word[..len]));
                len = 0;
            }
            0 => {}
            lower => {
                if let Some(place) = word.get_mut(len) {
                    *place = lower;
                    len += 1;
                }
            }
        }
    }
    if len > 0 {
        hashes.push(hash_word(&word[..len]));
    }
}

/// The bytes of words, in lower case; of all others zero.
const LOWER: [u8; 256] = {
    let mut lower = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            lower[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    lower
};

fn step(hash: u64, chunk: u64) -> u64 {
    let mixed = (hash ^ chunk).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

/// The lines of a filter over these hashes; at least one.
pub(crate) fn build(hashes: &mut Vec<u64>) -> Vec<u8> {
    hashes.sort_unstable();
    hashes.dedup();
    let lines = (hashes.len() * BITS_PER_WORD).div_ceil(LINE_BYTES * 8).max(1);
    let mut bytes = vec![0; lines * LINE_BYTES];
    for hash in hashes {
        let start = line_of(*hash, lines as u64) as usize * LINE_BYTES;
        for bit in bits_of(*hash) {
            bytes[start + bit / 8] |= 1 << (bit % 8);
        }
    }
    bytes
}

/// The line in which a word's bits lie, out of so many.
pub(crate) fn line_of(hash: u64, lines: u64) -> u64 {
    ((u128::from(hash) * u128::from(lines)) >> 64) as u64
}

/// Whether the word may be there, by its line.
pub(crate) fn may_have(line: &[u8], hash: u64) -> bool {
    bits_of(hash).all(|bit| line.get(bit / 8).is_none_or(|byte| byte & 1 << (bit % 8) != 0))
}

/// The places of a word's bits in its line.
fn bits_of(hash: u64) -> impl Iterator<Item = usize> {
    // The upper bits chose the line.
    let mixed = hash.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (0..PROBES).map(move |probe| (mixed >> (9 * probe)) as usize % (LINE_BYTES * 8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hashed_words_are_those_of_the_event(text in "([aZ_1 .]|bc|[é]|x{250,260}){0,12}") {
            let mut hashes = Vec::new();
            hash_words(text.as_bytes(), &mut hashes);
            let expected: Vec<u64> = words(&text).map(|word| hash_word(word.as_bytes())).collect();
            prop_assert_eq!(hashes, expected);
        }
    }

    #[test]
    fn an_address_is_a_word_of_its_own() {
        let mut hashes = Vec::new();
        hash_words(b"10.2.0.9", &mut hashes);
        assert_eq!(hashes.len(), 5);
        assert_eq!(hashes[0], hash_word(b"10.2.0.9"));
    }

    #[test]
    fn what_is_there_is_found_and_little_else() {
        let word = |number: u64| hash_word(format!("{number:x}-word-{number}").as_bytes());
        let mut hashes: Vec<u64> = (0..10_000).map(word).collect();
        let bytes = build(&mut hashes);
        let lines = (bytes.len() / LINE_BYTES) as u64;
        let may_have = |hash: u64| {
            let start = line_of(hash, lines) as usize * LINE_BYTES;
            may_have(&bytes[start..start + LINE_BYTES], hash)
        };
        assert!((0..10_000).all(|number| may_have(word(number))));
        let wrong = (10_000..20_000).filter(|number| may_have(word(*number))).count();
        assert!(wrong < 300, "{wrong} of 10,000");
        assert!(bytes.len() < 10_000 * 10 / 8 + 200);
    }
}
