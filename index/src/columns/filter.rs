//! A filter over words: says surely not, or perhaps.
//!
//! A blocked Bloom filter (Putze, Sanders, Singler 2007): all bits of a word lie in one line of 64
//! bytes, so that asking reads one line. Some bits say that the word is in the split, others, for each
//! part of a column that has it, that it is there: so one line also tells the few parts that are worth
//! reading. A word of many parts of a column would fill its line, and rare words in the same line would
//! be looked for everywhere: it has bits for the column instead. With [`BITS_PER_ENTRY`] bits one word
//! in twenty is let through that is not in the split, and one part in two hundred that does not have it.
//! The hash is written down, so it has no secret: whoever chooses words that fall together makes asking
//! slower, never wrong.

use logwarden_event::{WORD_BYTES_MAX, words};

use super::block::address_of;

/// Bytes of a line.
pub(crate) const LINE_BYTES: usize = 64;
const BITS_PER_ENTRY: usize = 18;
/// Bits of a word for the split, and for each part.
const PROBES: u32 = 4;
const PART_PROBES: u32 = 7;
/// Bits of a word for all parts of a column, besides as many as for one part.
const COLUMN_PROBES: u32 = 3;
/// Parts of a column that may have a word before it is taken for one of the whole column.
const WORD_PARTS_MAX: u8 = 8;

/// The block that stands for a column's dictionary.
pub(crate) const DICTIONARY: u32 = u32::MAX;

/// The block that stands for all blocks of a column.
const COLUMN: u32 = u32::MAX - 1;

/// The words of a split: those of parts of columns, and others.
#[derive(Debug, Default)]
pub(crate) struct Words {
    others: Vec<u64>,
    parts: Vec<Part>,
    /// Those of the part that is being added.
    hashes: Vec<u64>,
    seen: Seen,
}

/// The words of a part of a column, each once.
#[derive(Debug)]
struct Part {
    column: u32,
    block: u32,
    /// Words of other parts may be among them.
    may_repeat: bool,
    hashes: Box<[u64]>,
}

/// In how many parts of a column words are: open addressed, at most half full.
struct Counts {
    slots: Vec<(u64, u8)>,
}

impl Counts {
    fn of<'p>(parts: impl Iterator<Item = &'p Part> + Clone) -> Self {
        let words: usize = parts.clone().map(|part| part.hashes.len()).sum();
        let mut counts = Self { slots: vec![(0, 0); (2 * words).next_power_of_two()] };
        for hash in parts.flat_map(|part| &part.hashes) {
            let slot = counts.slot(*hash);
            counts.slots[slot] = (*hash, counts.slots[slot].1.saturating_add(1));
        }
        counts
    }

    fn slot(&self, hash: u64) -> usize {
        let mut slot = hash as usize & (self.slots.len() - 1);
        while self.slots[slot].1 > 0 && self.slots[slot].0 != hash {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        slot
    }

    fn is_of_column(&self, hash: u64) -> bool {
        self.slots[self.slot(hash)].1 > WORD_PARTS_MAX
    }

    fn of_column(&self) -> impl Iterator<Item = u64> + '_ {
        self.slots.iter().filter(|(_, parts)| *parts > WORD_PARTS_MAX).map(|(hash, _)| *hash)
    }
}

/// Which hashes came before: open addressed, at most half full, and used again for each part.
#[derive(Debug, Default)]
struct Seen {
    slots: Vec<u64>,
}

impl Seen {
    /// Keeps the first of equal hashes.
    fn keep_first(&mut self, hashes: &mut Vec<u64>) {
        let len = (2 * hashes.len()).next_power_of_two();
        self.slots.clear();
        self.slots.resize(len, 0);
        hashes.retain(|hash| {
            let hash = *hash;
            let mut slot = hash as usize & (len - 1);
            // A hash of zero is never found again, which costs nothing but its bits once more.
            while self.slots[slot] != 0 && self.slots[slot] != hash {
                slot = (slot + 1) & (len - 1);
            }
            let is_first = self.slots[slot] == 0;
            self.slots[slot] = hash;
            is_first
        });
    }
}

impl Words {
    /// Adds the words of a text that is in no part.
    pub(crate) fn add(&mut self, text: &[u8]) {
        hash_words(text, &mut self.others);
    }

    /// Adds the words of a part of a column: of a block, or of its [`DICTIONARY`]; other parts may have
    /// them too, or hardly any.
    pub(crate) fn add_part<'t>(
        &mut self,
        (column, block): (u32, u32),
        may_repeat: bool,
        texts: impl Iterator<Item = &'t [u8]>,
    ) {
        self.hashes.clear();
        texts.for_each(|text| hash_words(text, &mut self.hashes));
        self.seen.keep_first(&mut self.hashes);
        self.parts.push(Part { column, block, may_repeat, hashes: self.hashes.as_slice().into() });
    }

    /// The lines of the filter; at least one.
    pub(crate) fn build(mut self) -> Vec<u8> {
        self.others.sort_unstable();
        self.others.dedup();
        self.parts.sort_by_key(|part| part.column);
        self.gather_common();
        let in_parts: usize = self.parts.iter().map(|part| part.hashes.len()).sum();
        let entries = self.others.len() + in_parts;
        let lines = (entries * BITS_PER_ENTRY).div_ceil(LINE_BYTES * 8).max(1);
        let mut bytes = vec![0; lines * LINE_BYTES];
        for hash in &self.others {
            set(&mut bytes, lines, *hash, bits_of(*hash));
        }
        for part in &self.parts {
            let tag = tag(part.column, part.block);
            for hash in &part.hashes {
                let of_part = part_bits_of(*hash, tag);
                match part.block {
                    COLUMN => {
                        let bits = of_part.chain(column_bits_of(*hash, tag));
                        set(&mut bytes, lines, *hash, bits_of(*hash).chain(bits));
                    }
                    _ => set(&mut bytes, lines, *hash, bits_of(*hash).chain(of_part)),
                }
            }
        }
        bytes
    }

    /// Makes words of many parts of a column words of the column.
    fn gather_common(&mut self) {
        let mut common = Vec::new();
        for parts in self.parts.chunk_by_mut(|one, other| one.column == other.column) {
            let repeating = parts.iter().filter(|part| part.may_repeat);
            if repeating.clone().count() <= usize::from(WORD_PARTS_MAX) {
                continue;
            }
            let counts = Counts::of(repeating);
            let hashes: Box<[u64]> = counts.of_column().collect();
            if hashes.is_empty() {
                continue;
            }
            for part in parts.iter_mut().filter(|part| part.may_repeat) {
                let left = part.hashes.iter().filter(|hash| !counts.is_of_column(**hash));
                part.hashes = left.copied().collect();
            }
            let column = parts[0].column;
            common.push(Part { column, block: COLUMN, may_repeat: false, hashes });
        }
        self.parts.append(&mut common);
    }
}

/// Sets bits of the line of a word.
fn set(bytes: &mut [u8], lines: usize, hash: u64, bits: impl Iterator<Item = usize>) {
    let start = line_of(hash, lines as u64) as usize * LINE_BYTES;
    let line = &mut bytes[start..start + LINE_BYTES];
    bits.for_each(|bit| line[bit / 8] |= 1 << (bit % 8));
}

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
fn hash_words(text: &[u8], hashes: &mut Vec<u64>) {
    if is_one_word(text) {
        hashes.push(hash_word(text));
        return;
    }
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

/// Whether a text is one word that needs no folding, as ids are. Every byte is looked at: that is many
/// at once.
fn is_one_word(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_digit() | byte.is_ascii_lowercase() | (*byte == b'_');
    (1..=WORD_BYTES_MAX).contains(&text.len())
        && text.iter().fold(true, |all, byte| all & is_plain(byte))
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

/// The line in which a word's bits lie, out of so many.
pub(crate) fn line_of(hash: u64, lines: u64) -> u64 {
    ((u128::from(hash) * u128::from(lines)) >> 64) as u64
}

/// Whether the word may be in the split, by its line.
pub(crate) fn may_have(line: &[u8], hash: u64) -> bool {
    bits_of(hash).all(|bit| is_set(line, bit))
}

/// Whether the word may be in this part of a column, by its line.
pub(crate) fn may_be_in(line: &[u8], hash: u64, column: u32, block: u32) -> bool {
    let is_in = |tag: u64| part_bits_of(hash, tag).all(|bit| is_set(line, bit));
    let of_column = tag(column, COLUMN);
    is_in(tag(column, block))
        || is_in(of_column) && column_bits_of(hash, of_column).all(|bit| is_set(line, bit))
}

fn is_set(line: &[u8], bit: usize) -> bool {
    line.get(bit / 8).is_none_or(|byte| byte & 1 << (bit % 8) != 0)
}

fn tag(column: u32, block: u32) -> u64 {
    step(u64::from(column) << 32 | u64::from(block), 0)
}

/// The places of a word's bits in its line.
fn bits_of(hash: u64) -> impl Iterator<Item = usize> {
    // The upper bits chose the line.
    bits(hash.wrapping_mul(0xD6E8_FEB8_6659_FD93), PROBES)
}

/// The places of the bits that a word has in its line for a part with this tag.
fn part_bits_of(hash: u64, tag: u64) -> impl Iterator<Item = usize> {
    bits(step(hash, tag).wrapping_mul(0xD6E8_FEB8_6659_FD93), PART_PROBES)
}

/// The places of the further bits that a word has in its line for a whole column.
fn column_bits_of(hash: u64, tag: u64) -> impl Iterator<Item = usize> {
    bits(step(step(hash, tag), 0).wrapping_mul(0xD6E8_FEB8_6659_FD93), COLUMN_PROBES)
}

fn bits(mixed: u64, probes: u32) -> impl Iterator<Item = usize> {
    (0..probes).map(move |probe| (mixed >> (9 * probe)) as usize % (LINE_BYTES * 8))
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
    fn a_word_of_many_parts_is_one_of_the_column_and_leaves_its_line_to_others() {
        let build = |parts: u32| {
            let mut words = Words::default();
            for block in 0..parts {
                words.add_part((7, block), true, [&b"common"[..], b"ever"].into_iter());
            }
            words.add_part((8, 0), true, [&b"rare"[..]].into_iter());
            words.build()
        };
        let is_in = |bytes: &[u8], word: &[u8], column: u32, block: u32| {
            let hash = hash_word(word);
            let line =
                &bytes[line_of(hash, (bytes.len() / LINE_BYTES) as u64) as usize * LINE_BYTES..];
            may_be_in(&line[..LINE_BYTES], hash, column, block)
        };
        let (few, many) = (build(WORD_PARTS_MAX.into()), build(500));
        assert!(is_in(&few, b"common", 7, 0) && !is_in(&few, b"common", 7, 9));
        assert!((0..500).all(|block| is_in(&many, b"common", 7, block)));
        assert!(!is_in(&many, b"common", 8, 0) && is_in(&many, b"rare", 8, 0));
        assert!(!is_in(&many, b"rare", 7, 3) && many.len() <= 2 * LINE_BYTES);
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
        let word = |number: u32| format!("word_{number:x}_{number}");
        let texts: Vec<String> = (0..10_000).map(word).collect();
        let mut words = Words::default();
        words.add(b"other other");
        for (block, texts) in (0..).zip(texts.chunks(100)) {
            words.add_part((7, block), true, texts.iter().chain(texts).map(|text| text.as_bytes()));
        }
        let bytes = words.build();
        let lines = (bytes.len() / LINE_BYTES) as u64;
        let line = |hash: u64| {
            let start = line_of(hash, lines) as usize * LINE_BYTES;
            &bytes[start..start + LINE_BYTES]
        };
        let is_there =
            |word: &str| may_have(line(hash_word(word.as_bytes())), hash_word(word.as_bytes()));
        let is_in = |number: u32, column: u32, block: u32| {
            let hash = hash_word(word(number).as_bytes());
            may_be_in(line(hash), hash, column, block)
        };
        assert!(is_there("other"));
        assert!(
            (0..10_000).all(|number| is_there(&word(number)) && is_in(number, 7, number / 100))
        );
        let wrong = (10_000..20_000).filter(|number| is_there(&word(*number))).count();
        assert!(wrong < 700, "{wrong} of 10,000");
        let wrong = (0..10_000).filter(|number| is_in(*number, 7, number / 100 + 1)).count();
        let other = (0..10_000).filter(|number| is_in(*number, 8, number / 100)).count();
        assert!(wrong < 100 && other < 100, "{wrong} and {other} of 10,000");
        assert!(bytes.len() < 10_000 * 18 / 8 + 200);
    }
}
