//! Texts that differ in the numbers in them, such as paths with ids and addresses with ports.
//!
//! What is common to them is kept once, as a pattern, in which [`NUMBER`] stands for each number; of a text
//! its pattern and its numbers are left. A number is a run of digits that is a word of its own and that
//! nobody writes otherwise. All texts are ASCII. Form: the number of patterns, the patterns as
//! [`super::texts`], the pattern of each text as [`super::codes`], all numbers as [`super::ints`].

use std::collections::HashMap;

use foldhash::quality::RandomState;

use super::block::{number_of, put_decimal};
use super::codes::{self, Codes};
use super::ints;
use super::text::is_word_byte;
use super::texts::{self, Texts};
use super::wire::{Damaged, Packer, Reader, put_number};

/// Stands for a number in a pattern.
pub(crate) const NUMBER: u8 = 0;
/// Texts that share a pattern, on average; fewer in tests, whose blocks are small.
const TEXTS_PER_PATTERN_MIN: usize = if cfg!(test) { 2 } else { 16 };
/// Patterns of a block.
const PATTERNS_MAX: usize = 256;
/// Numbers that a block may hold; a larger claim is damage.
const NUMBERS_MAX: usize = 64 << 20;

/// Texts as patterns and numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patterns {
    /// The different patterns.
    pub(crate) patterns: Texts,
    /// The pattern of each text.
    pub(crate) codes: Codes,
    numbers: Vec<i64>,
    /// Where the numbers of each text begin.
    starts: Vec<u32>,
}

/// Appends the texts; `false`, with something appended or not, when patterns are not for them.
pub(crate) fn encode(texts: &[&[u8]], packer: &mut Packer, out: &mut Vec<u8>) -> bool {
    let mut known: HashMap<Vec<u8>, u32, RandomState> = HashMap::default();
    let mut patterns: Vec<Vec<u8>> = Vec::new();
    let (mut codes, mut numbers) = (Vec::with_capacity(texts.len()), Vec::new());
    let mut pattern = Vec::new();
    for (seen, text) in texts.iter().enumerate() {
        if !text.is_ascii() || text.contains(&NUMBER) {
            return false;
        }
        pattern.clear();
        take_apart(text, &mut pattern, &mut numbers);
        let code = known.get(&pattern).copied().unwrap_or_else(|| {
            let code = patterns.len() as u32;
            patterns.push(pattern.clone());
            known.insert(pattern.clone(), code);
            code
        });
        codes.push(code);
        // A fair share of what may come is granted to the first texts.
        let granted = (2 * seen + 2).max(64).min(texts.len()) / TEXTS_PER_PATTERN_MIN;
        if patterns.len() > granted.min(PATTERNS_MAX) {
            return false;
        }
    }
    if numbers.is_empty() {
        return false;
    }
    put_number(out, patterns.len() as u64);
    let patterns: Vec<&[u8]> = patterns.iter().map(Vec::as_slice).collect();
    texts::encode(&patterns, packer, out);
    codes::encode(&codes, packer, out);
    ints::encode(&numbers, packer, out);
    true
}

/// The pattern of a text.
pub(crate) fn pattern_of(text: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(text.len());
    take_apart(text, &mut pattern, &mut Vec::new());
    pattern
}

/// Appends the pattern of a text, and its numbers.
fn take_apart(text: &[u8], pattern: &mut Vec<u8>, numbers: &mut Vec<i64>) {
    let mut at = 0;
    while at < text.len() {
        let is_inside = is_word_byte(text[at]);
        let run = text[at..].iter().take_while(|byte| is_word_byte(**byte) == is_inside).count();
        let run = &text[at..at + run];
        match number_of(run).filter(|_| is_inside) {
            Some(number) => {
                pattern.push(NUMBER);
                numbers.push(number);
            }
            None => pattern.extend_from_slice(run),
        }
        at += run.len();
    }
}

/// Reads so many texts.
pub(crate) fn decode(reader: &mut Reader<'_>, len: usize) -> Result<Patterns, Damaged> {
    let count = reader.number_up_to(PATTERNS_MAX)?;
    let patterns = texts::decode(reader, count)?;
    let codes = codes::decode_short(reader, len)?;
    let numbers_of = |place: usize| patterns.get(place).iter().filter(|b| **b == NUMBER).count();
    let counts: Vec<usize> = (0..count).map(numbers_of).collect();
    let mut starts = Vec::with_capacity(len);
    let mut start = 0;
    for place in 0..len {
        starts.push(start as u32);
        let count = counts.get(codes.get(place) as usize);
        start += count.ok_or(Damaged("a text has a pattern that is not there"))?;
        if start > NUMBERS_MAX {
            return Err(Damaged("texts have too many numbers"));
        }
    }
    let numbers = ints::decode(reader, start)?;
    Ok(Patterns { patterns, codes, numbers, starts })
}

impl Patterns {
    /// How many texts there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Bytes they take in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        let texts = self.patterns.size_bytes() + self.codes.size_bytes();
        texts + self.numbers.len() * 8 + self.starts.len() * 4
    }

    /// The numbers of the text at a place.
    pub(crate) fn numbers(&self, place: usize) -> &[i64] {
        let end = self.starts.get(place + 1).map_or(self.numbers.len(), |end| *end as usize);
        &self.numbers[self.starts[place] as usize..end]
    }

    /// The text at a place, put together in `buffer`.
    pub(crate) fn text<'a>(&self, place: usize, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        buffer.clear();
        let mut numbers = self.numbers(place).iter();
        let mut pattern = self.patterns.get(self.codes.get(place) as usize);
        while let Some(at) = memchr::memchr(NUMBER, pattern) {
            buffer.extend_from_slice(&pattern[..at]);
            numbers.by_ref().take(1).for_each(|number| put_decimal(buffer, *number));
            pattern = &pattern[at + 1..];
        }
        buffer.extend_from_slice(pattern);
        buffer
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(texts: &[&str]) -> Option<Vec<u8>> {
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        let mut out = Vec::new();
        encode(&texts, &mut Packer::new().expect("memory"), &mut out).then_some(out)
    }

    #[test]
    fn numbers_that_are_words_are_taken_out_of_their_texts() {
        let texts =
            ["/v1/orders/17", "/v1/orders/4/items/9", "/v1/orders/0", "/v1/orders/88/items/1"];
        let bytes = encoded(&texts).expect("two patterns");
        let back = decode(&mut Reader::new(&bytes), 4).expect("just written");
        let pattern = |place: usize| String::from_utf8_lossy(back.patterns.get(place));
        assert_eq!([pattern(0), pattern(1)], ["/v1/orders/\0", "/v1/orders/\0/items/\0"]);
        assert_eq!(back.codes, Codes::Bytes(vec![0, 1, 0, 1]));
        assert_eq!(back.numbers(1), [4, 9]);
        for unfit in [
            &["a", "b", "c", "d"][..],
            &["1/é", "2/é", "3/é", "4/é"],
            &["1/\0", "2/\0", "3/\0", "4/\0"],
            &["a/01", "a/02", "a/03", "a/04"],
            &["a/1x", "a/2x", "a/3x", "a/4x"],
            &["a/9999999999999999991", "a/9999999999999999992"],
        ] {
            assert_eq!(encoded(unfit), None, "{unfit:?}");
        }
    }

    proptest! {
        #[test]
        fn texts_come_back(texts in proptest::collection::vec("(/|a|[0-9]{1,2}|[1-9][0-9]{15,19}|-){0,5}", 0..60)) {
            let given: Vec<&str> = texts.iter().map(String::as_str).collect();
            if let Some(bytes) = encoded(&given) {
                let mut reader = Reader::new(&bytes);
                let back = decode(&mut reader, given.len()).expect("just written");
                prop_assert!(reader.is_empty());
                prop_assert_eq!(back.len(), given.len());
                for (place, text) in given.iter().enumerate() {
                    let mut buffer = Vec::new();
                    prop_assert_eq!(back.text(place, &mut buffer), text.as_bytes());
                }
            }
        }

        #[test]
        fn damage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60), len in 0usize..99) {
            if let Ok(patterns) = decode(&mut Reader::new(&bytes), len) {
                (0..len).for_each(|place| {
                    patterns.text(place, &mut Vec::new());
                });
            }
        }
    }
}
