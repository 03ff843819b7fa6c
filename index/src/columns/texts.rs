//! Texts that nothing else fits: their lengths, then all of them side by side, compressed.

use std::borrow::Cow;

use super::codes;
use super::wire::{Damaged, Packer, Reader};

/// Texts side by side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Texts {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
    /// When they were read at once; `None`: not known.
    letters: Option<Letters>,
}

impl PartialEq for Texts {
    fn eq(&self, other: &Self) -> bool {
        (&self.bytes, &self.ends) == (&other.bytes, &other.ends)
    }
}

impl Eq for Texts {}

/// What letters texts are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    /// ASCII, none in upper case.
    Lower,
    /// ASCII.
    Ascii,
    /// Any bytes.
    Any,
}

impl Letters {
    fn of(bytes: &[u8]) -> Self {
        if !bytes.is_ascii() {
            return Self::Any;
        }
        // Every byte is looked at: that is many at once.
        let has_upper = bytes.iter().fold(false, |has, byte| has | byte.is_ascii_uppercase());
        if has_upper { Self::Ascii } else { Self::Lower }
    }
}

/// Appends the texts.
pub(crate) fn encode(texts: &[&[u8]], packer: &mut Packer, out: &mut Vec<u8>) {
    let lengths: Vec<u32> = texts
        .iter()
        .map(|text| u32::try_from(text.len()).expect("a text is far below 4 GiB"))
        .collect();
    codes::encode(&lengths, packer, out);
    packer.put(out, &texts.concat());
}

/// Reads so many texts.
pub(crate) fn decode(reader: &mut Reader<'_>, len: usize) -> Result<Texts, Damaged> {
    let mut ends = codes::decode(reader, len)?;
    let bytes = reader.packed()?.into_owned();
    let mut end = 0u32;
    for length in &mut ends {
        end = end.checked_add(*length).ok_or(Damaged("texts are too long"))?;
        *length = end;
    }
    if end as usize != bytes.len() {
        return Err(Damaged("texts have another length"));
    }
    let letters = Some(Letters::of(&bytes));
    Ok(Texts { bytes, ends, letters })
}

impl Texts {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes they take in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * 4
    }

    /// The text at a place.
    pub(crate) fn get(&self, place: usize) -> &[u8] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[place] as usize]
    }

    /// The places of the texts in which a part (in lower case and ASCII) stands in any case so that
    /// `stands` holds of the bytes before and after it, ascending; `None`: not all texts are ASCII.
    pub(crate) fn places_of(
        &self,
        part: &str,
        stands: impl Fn(Option<u8>, Option<u8>) -> bool,
    ) -> Option<Vec<usize>> {
        let lower = match self.letters() {
            Letters::Any => return None,
            _ if part.is_empty() => return None,
            Letters::Lower => Cow::Borrowed(&self.bytes),
            Letters::Ascii => Cow::Owned(self.bytes.to_ascii_lowercase()),
        };
        let finder = memchr::memmem::Finder::new(part);
        let mut places = Vec::new();
        let (mut from, mut place) = (0, 0);
        while let Some(found) = finder.find(&lower[from..]) {
            let at = from + found..from + found + part.len();
            place = self.place_of(at.start, place);
            let end = self.ends[place] as usize;
            let start = place.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
            let before = (at.start > start).then(|| lower[at.start - 1]);
            let after = (at.end < end).then(|| lower[at.end]);
            // A part that begins in one text and ends in another is in none.
            let is_found = at.end <= end && stands(before, after);
            from = if is_found { end } else { at.start + 1 };
            places.extend(Some(place).filter(|_| is_found));
        }
        Some(places)
    }

    fn letters(&self) -> Letters {
        self.letters.unwrap_or_else(|| Letters::of(&self.bytes))
    }

    /// Which text has this byte, of those from a place on. What is near is found at once.
    fn place_of(&self, byte: usize, from: usize) -> usize {
        let is_before = |end: &u32| *end as usize <= byte;
        let (mut first, mut step) = (from, 1);
        while self.ends.get(first + step - 1).is_some_and(is_before) {
            first += step;
            step *= 2;
        }
        let last = (first + step - 1).min(self.ends.len());
        first + self.ends[first..last].partition_point(is_before)
    }

    /// Whether all of them are ASCII.
    pub(crate) fn are_ascii(&self) -> bool {
        self.letters() != Letters::Any
    }

    /// Keeps the first so many.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.bytes.truncate(self.ends.last().map_or(0, |end| *end as usize));
        self.letters = None;
    }

    /// Adds a text at the end.
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.letters = None;
        self.bytes.extend_from_slice(text);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a block is far below 4 GiB"));
    }
}

/// Whether a text, in lower case, contains a part in lower case and ASCII.
pub(crate) fn contains(text: &str, part: &str) -> bool {
    match text.is_ascii() {
        true => contains_ascii(text.as_bytes(), part.as_bytes()),
        false => text.to_lowercase().contains(part),
    }
}

fn contains_ascii(text: &[u8], part: &[u8]) -> bool {
    let Some((first, rest)) = part.split_first() else { return true };
    memchr::memchr2_iter(*first, first.to_ascii_uppercase(), text).any(|start| {
        text.get(start + 1..start + part.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(rest))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_part_is_found_in_any_case(texts in proptest::collection::vec("[aAbBéK1]{0,6}", 0..4), part in "[ab1]{0,3}") {
            let mut all = Texts::default();
            texts.iter().for_each(|text| all.push(text.as_bytes()));
            for text in &texts {
                prop_assert_eq!(contains(text, &part), text.to_lowercase().contains(&part));
            }
            let holding = |part: &str| {
                let places = texts.iter().enumerate().filter(|(_, text)| contains(text, part));
                places.map(|(place, _)| place).collect::<Vec<_>>()
            };
            if let Some(places) = all.places_of(&part, |_, _| true) {
                prop_assert_eq!(places, holding(&part));
                let whole = all.places_of(&part, |before, after| before.is_none() && after.is_none());
                let is_whole = |place: &usize| texts[*place].to_lowercase() == part;
                prop_assert_eq!(whole, Some((0..texts.len()).filter(is_whole).collect::<Vec<_>>()));
            }
        }

        #[test]
        fn texts_come_back(texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..40)) {
            let given: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            let mut out = Vec::new();
            encode(&given, &mut Packer::new().expect("memory"), &mut out);
            let back = decode(&mut Reader::new(&out), given.len()).expect("just written");
            let mut again = Texts::default();
            given.iter().for_each(|text| again.push(text));
            prop_assert_eq!(&again, &back);
            prop_assert!((0..back.len()).map(|place| back.get(place)).eq(given));
        }

        #[test]
        fn damage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60), len in 0usize..99) {
            let _ = decode(&mut Reader::new(&bytes), len);
        }
    }
}
