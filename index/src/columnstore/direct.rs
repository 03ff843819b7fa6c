//! How a condition is tried on the texts of one block that are not in the dictionary.
//!
//! Each form of a block is asked in its own terms: numbers are compared as numbers, ids by what they are
//! packed into; a pattern tells of all its texts at once unless the condition is about the numbers in them.

use std::ops::{Bound, RangeBounds};

use super::search::{Probe, TextTest, magnitude_of};
use crate::columns::block::{Values, address_of, number_of};
use crate::columns::patterns::{NUMBER, Patterns, pattern_of};
use crate::columns::texts::contains;
use crate::scan::has_word;

/// Whether a part has a byte that no text of a block can have.
fn has_other(part: Option<&str>, may_be: impl Fn(&u8) -> bool) -> bool {
    part.is_some_and(|part| !part.as_bytes().iter().all(may_be))
}

/// How a condition is tried on the texts of one block.
pub(super) enum DirectTest<'t> {
    /// No text of the block passes.
    Never,
    /// The number is this one.
    Integer(i64),
    /// The number is this one, but for its sign.
    Magnitude(u64),
    /// The number lies in this range.
    Number(Bound<f64>, Bound<f64>),
    /// The id has this packed form.
    Id(Vec<u8>),
    /// The address is this one.
    Address(u32),
    /// A part of the address is this one.
    Octet(u8),
    /// By the text.
    Text(&'t TextTest<'t>),
    /// By place: whether it passes.
    Told(Vec<bool>),
    /// By pattern: whether its texts pass.
    Patterns(Vec<bool>),
    /// By pattern, where that is not enough to tell for all.
    ByPattern(Vec<OfPattern>, &'t TextTest<'t>),
}

/// What a condition says of the texts of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfPattern {
    /// Of all of them.
    All(bool),
    /// Those pass that have this number.
    Numbered(u64),
    /// Each must be tried.
    Tried,
}

impl OfPattern {
    fn new(test: &TextTest<'_>, pattern: &str) -> Self {
        let has_numbers = pattern.as_bytes().contains(&NUMBER);
        if !has_numbers {
            return Self::All(test.passes(pattern));
        }
        // What has neither digits nor the byte that stands for them cannot reach into a number.
        let is_far = |byte: u8| !byte.is_ascii_digit() && byte != NUMBER;
        let is_beside = |part: &str| !part.is_empty() && part.bytes().all(is_far);
        match test {
            TextTest::Word(word) if has_word(pattern, word) => Self::All(true),
            TextTest::Word(word) => magnitude_of(word).map_or(Self::All(false), Self::Numbered),
            TextTest::WordPrefix(part) | TextTest::Contains(part) | TextTest::BeginsWith(part)
                if is_beside(part) =>
            {
                Self::All(test.passes(pattern))
            }
            TextTest::Is(wanted)
                if !pattern_of(wanted.as_bytes()).eq_ignore_ascii_case(pattern.as_bytes()) =>
            {
                Self::All(false)
            }
            test => match test.part() {
                Some(part) if is_beside(part) && !contains(pattern, part) => Self::All(false),
                _ => Self::Tried,
            },
        }
    }
}

/// How a condition is tried on texts of patterns.
fn by_pattern<'t>(patterns: &Patterns, test: &'t TextTest<'t>) -> DirectTest<'t> {
    let of = |place: usize| {
        let pattern = std::str::from_utf8(patterns.patterns.get(place));
        pattern.map_or(OfPattern::Tried, |pattern| OfPattern::new(test, pattern))
    };
    let of_patterns: Vec<OfPattern> = (0..patterns.patterns.len()).map(of).collect();
    let is_told = |of: &OfPattern| match of {
        OfPattern::All(passes) => Some(*passes),
        OfPattern::Numbered(_) | OfPattern::Tried => None,
    };
    match of_patterns.iter().map(is_told).collect() {
        Some(told) => DirectTest::Patterns(told),
        None => DirectTest::ByPattern(of_patterns, test),
    }
}

/// Whether a text passes.
fn passes_text(test: &TextTest<'_>, values: &Values, place: usize, buffer: &mut Vec<u8>) -> bool {
    let no_dictionary = Default::default();
    values.text(place, &no_dictionary, buffer).is_ok_and(|text| test.passes_bytes(text))
}

impl<'t> DirectTest<'t> {
    /// For the texts of one block.
    pub(super) fn new(values: &Values, probe: &'t Probe<'t>) -> Self {
        let test = &probe.test;
        match (values, test) {
            (Values::Ints(_), TextTest::Word(word)) => {
                magnitude_of(word).map_or(Self::Never, Self::Magnitude)
            }
            (Values::Ints(_), TextTest::Phrase(_)) => Self::Never,
            (Values::Addresses(_), TextTest::Word(word)) => {
                let octet = magnitude_of(word).and_then(|number| u8::try_from(number).ok());
                octet.map_or(Self::Never, Self::Octet)
            }
            (Values::Addresses(_), TextTest::Phrase(_))
                if let Some((address, _)) = probe.address =>
            {
                Self::Address(address)
            }
            (Values::Ints(_), TextTest::Is(wanted)) => {
                number_of(wanted.as_bytes()).map_or(Self::Never, Self::Integer)
            }
            (Values::Ints(_), TextTest::Number(from, to)) => Self::Number(*from, *to),
            (Values::Ids(ids), TextTest::Is(wanted)) => {
                ids.packed(wanted.as_bytes()).map_or(Self::Never, Self::Id)
            }
            (Values::Addresses(_), TextTest::Is(wanted)) => {
                address_of(wanted.as_bytes()).map_or(Self::Never, Self::Address)
            }
            (Values::Addresses(_), test)
                if has_other(test.part(), |byte| byte.is_ascii_digit()) =>
            {
                Self::Never
            }
            (Values::Patterns(patterns), test) => by_pattern(patterns, test),
            (Values::Texts(texts), test) if let Some(passing) = test.passing(texts) => {
                if passing.contains(&true) { Self::Told(passing) } else { Self::Never }
            }
            (Values::Ids(ids), TextTest::Word(word)) if ids.is_word() => {
                ids.packed(word.as_bytes()).map_or(Self::Never, Self::Id)
            }
            (Values::Ids(ids), TextTest::Word(word)) if !ids.may_have_words(&[word.len()]) => {
                Self::Never
            }
            (Values::Ids(ids), TextTest::Phrase(words))
                if !ids.may_have_words(&words.iter().map(String::len).collect::<Vec<_>>()) =>
            {
                Self::Never
            }
            (Values::Ints(_), test) if has_other(test.part(), |byte| byte.is_ascii_digit()) => {
                Self::Never
            }
            (Values::Ids(_), test) if has_other(test.part(), |byte| byte.is_ascii_hexdigit()) => {
                Self::Never
            }
            (_, test) => Self::Text(test),
        }
    }

    /// Whether the text at a place passes.
    pub(super) fn passes(&self, values: &Values, place: usize, buffer: &mut Vec<u8>) -> bool {
        match (self, values) {
            (Self::Integer(wanted), Values::Ints(numbers)) => numbers[place] == *wanted,
            (Self::Number(from, to), Values::Ints(numbers)) => {
                (*from, *to).contains(&(numbers[place] as f64))
            }
            (Self::Magnitude(wanted), Values::Ints(numbers)) => {
                numbers[place].unsigned_abs() == *wanted
            }
            (Self::Octet(wanted), Values::Addresses(addresses)) => {
                addresses[place].to_be_bytes().contains(wanted)
            }
            (Self::Id(packed), Values::Ids(ids)) => ids.is(place, packed),
            (Self::Address(wanted), Values::Addresses(addresses)) => addresses[place] == *wanted,
            (Self::Told(passing), _) => passing[place],
            (Self::ByPattern(of_patterns, test), Values::Patterns(patterns)) => {
                match of_patterns[patterns.codes.get(place) as usize] {
                    OfPattern::All(passes) => passes,
                    OfPattern::Numbered(wanted) => {
                        patterns.numbers(place).iter().any(|n| n.unsigned_abs() == wanted)
                    }
                    OfPattern::Tried => passes_text(test, values, place, buffer),
                }
            }
            (Self::Text(test), values) => passes_text(test, values, place, buffer),
            _ => false,
        }
    }
}
