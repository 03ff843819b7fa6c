//! Ids of one layout: hexadecimal digits of one case at fixed places, two to a byte.
//!
//! A layout is the length, and for each place whether a digit or a hyphen stands there. Values of
//! another layout are not ids of this block. What is random cannot be compressed, so nothing is.

use super::wire::{Damaged, Reader, put_bytes};

/// Characters of an id at most, digits at least.
const ID_LEN_MAX: usize = 128;
const ID_DIGITS_MIN: usize = 8;

const DIGIT: u8 = b'h';
const UPPER_DIGIT: u8 = b'H';
const HYPHEN: u8 = b'-';

/// Packed ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ids {
    layout: Vec<u8>,
    width: usize,
    bytes: Vec<u8>,
}

/// Appends the texts as ids; `false`, and nothing is appended, when they are none.
pub(crate) fn encode(texts: &[&[u8]], out: &mut Vec<u8>) -> bool {
    let Some(layout) = texts.iter().find_map(|text| layout_of(text)) else { return false };
    let width = width_of(&layout);
    let mut bytes = Vec::with_capacity(texts.len() * width);
    if !texts.iter().all(|text| pack(text, &layout, &mut bytes)) {
        return false;
    }
    put_bytes(out, &layout);
    out.extend_from_slice(&bytes);
    true
}

/// The layout of a text that is an id and tells the case of its digits.
fn layout_of(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() > ID_LEN_MAX {
        return None;
    }
    let is_upper = text.iter().any(|byte| (b'A'..=b'F').contains(byte));
    let digit = if is_upper { UPPER_DIGIT } else { DIGIT };
    let place = |byte: &u8| match byte {
        b'0'..=b'9' => Some(digit),
        b'a'..=b'f' if !is_upper => Some(digit),
        b'A'..=b'F' => Some(digit),
        b'-' => Some(HYPHEN),
        _ => None,
    };
    let layout: Vec<u8> = text.iter().map(place).collect::<Option<_>>()?;
    let digits = layout.iter().filter(|place| **place == digit).count();
    let has_letters = text.iter().any(u8::is_ascii_alphabetic);
    (digits >= ID_DIGITS_MIN && has_letters).then_some(layout)
}

fn width_of(layout: &[u8]) -> usize {
    layout.iter().filter(|place| **place != HYPHEN).count().div_ceil(2)
}

/// What stands for a byte that is no digit.
const NO_DIGIT: u8 = 0xFF;

/// The digits of one case by byte.
const fn digits(letters: u8) -> [u8; 256] {
    let mut digits = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        let byte = if digit < 10 { b'0' + digit } else { letters + digit - 10 };
        digits[byte as usize] = digit;
        digit += 1;
    }
    digits
}

/// The two digits of every byte.
const fn pairs(letters: u8) -> [[u8; 2]; 256] {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (high, low) = (byte as u8 >> 4, byte as u8 & 15);
        pairs[byte] = [
            if high < 10 { b'0' + high } else { letters + high - 10 },
            if low < 10 { b'0' + low } else { letters + low - 10 },
        ];
        byte += 1;
    }
    pairs
}

static LOWER_PAIRS: [[u8; 2]; 256] = pairs(b'a');
static UPPER_PAIRS: [[u8; 2]; 256] = pairs(b'A');
const LOWER_DIGITS: [u8; 256] = digits(b'a');
const UPPER_DIGITS: [u8; 256] = digits(b'A');

fn pack(text: &[u8], layout: &[u8], out: &mut Vec<u8>) -> bool {
    if text.len() != layout.len() {
        return false;
    }
    let digits = if layout.contains(&UPPER_DIGIT) { &UPPER_DIGITS } else { &LOWER_DIGITS };
    let mut high = NO_DIGIT;
    for (byte, place) in text.iter().zip(layout) {
        if *place == HYPHEN {
            if *byte != b'-' {
                return false;
            }
            continue;
        }
        let digit = digits[usize::from(*byte)];
        if digit == NO_DIGIT {
            return false;
        }
        if high == NO_DIGIT {
            high = digit;
        } else {
            out.push(high << 4 | digit);
            high = NO_DIGIT;
        }
    }
    if high != NO_DIGIT {
        out.push(high << 4);
    }
    true
}

/// Reads so many ids.
pub(crate) fn decode(reader: &mut Reader<'_>, len: usize) -> Result<Ids, Damaged> {
    let layout = reader.bytes()?.to_vec();
    let is_layout = layout.iter().all(|place| matches!(*place, DIGIT | UPPER_DIGIT | HYPHEN));
    let width = width_of(&layout);
    if !is_layout || width == 0 || layout.len() > ID_LEN_MAX {
        return Err(Damaged("ids have an impossible layout"));
    }
    Ok(Ids { width, bytes: reader.take(width * len)?.to_vec(), layout })
}

impl Ids {
    /// Whether words of these lengths may stand side by side in an id.
    pub(crate) fn may_have_words(&self, lengths: &[usize]) -> bool {
        let words = self.layout.split(|place| *place == HYPHEN).map(<[u8]>::len);
        let words: Vec<usize> = words.filter(|len| *len > 0).collect();
        words.windows(lengths.len().max(1)).any(|words| words == lengths)
    }

    /// Whether an id is one word.
    pub(crate) fn is_word(&self) -> bool {
        !self.layout.contains(&HYPHEN)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.width
    }

    /// Bytes they take in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The id at a place.
    pub(crate) fn text<'b>(&self, place: usize, buffer: &'b mut Vec<u8>) -> &'b [u8] {
        let packed = &self.bytes[place * self.width..(place + 1) * self.width];
        let pairs = if self.layout.contains(&UPPER_DIGIT) { &UPPER_PAIRS } else { &LOWER_PAIRS };
        buffer.clear();
        buffer.extend(packed.iter().flat_map(|byte| pairs[usize::from(*byte)]));
        if !self.layout.contains(&HYPHEN) {
            // Behind an odd number of digits there is half a byte that stands for nothing.
            buffer.truncate(self.layout.len());
            return buffer;
        }
        let mut digits = [0; ID_LEN_MAX];
        digits[..buffer.len()].copy_from_slice(buffer);
        let mut digits = digits.iter();
        buffer.clear();
        buffer.extend(self.layout.iter().map(|place| match *place {
            HYPHEN => b'-',
            _ => digits.next().copied().unwrap_or_default(),
        }));
        buffer
    }

    /// The packed form of a text, in any case; `None`: no id here is that text.
    pub(crate) fn packed(&self, text: &[u8]) -> Option<Vec<u8>> {
        let is_upper = self.layout.contains(&UPPER_DIGIT);
        let text = if is_upper { text.to_ascii_uppercase() } else { text.to_ascii_lowercase() };
        let mut out = Vec::with_capacity(self.width);
        pack(&text, &self.layout, &mut out).then_some(out)
    }

    /// Whether the id at a place has this packed form.
    pub(crate) fn is(&self, place: usize, packed: &[u8]) -> bool {
        self.bytes[place * self.width..(place + 1) * self.width] == *packed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_come_back(texts in proptest::collection::vec("[0-9a-f]{8}-[0-9a-f]{3}|[0-9A-F]{9}", 0..20)) {
            let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            let mut out = Vec::new();
            if encode(&texts, &mut out) {
                let ids = decode(&mut Reader::new(&out), texts.len()).expect("just written");
                let mut buffer = Vec::new();
                for (place, text) in texts.iter().enumerate() {
                    prop_assert_eq!(ids.text(place, &mut buffer), *text);
                    prop_assert!(ids.is(place, &ids.packed(text).expect("an id")));
                }
            } else {
                prop_assert!(out.is_empty());
            }
        }

        #[test]
        fn other_texts_are_refused_or_come_back(texts in proptest::collection::vec("[0-9a-fA-F-]{7,10}", 1..4)) {
            let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            let mut out = Vec::new();
            if encode(&texts, &mut out) {
                let ids = decode(&mut Reader::new(&out), texts.len()).expect("just written");
                let back: Vec<Vec<u8>> =
                    (0..ids.len()).map(|place| ids.text(place, &mut Vec::new()).to_vec()).collect();
                prop_assert_eq!(back, texts);
            }
        }

        #[test]
        fn damage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60), len in 0usize..99) {
            let _ = decode(&mut Reader::new(&bytes), len);
        }
    }
}
