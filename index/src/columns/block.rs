//! The texts of one column over the rows of one block, in the form that is shortest.
//!
//! Codes of the column's dictionary where texts repeat; else whole numbers, addresses, ids, patterns with
//! numbers in them, or plain texts.
//! What is written is read back at once and compared; what does not come back is written plainly.

use super::codes::Codes;
use super::dictionary::{Builder, Dictionary};
use super::ids::{self, Ids};
use super::patterns::{self, Patterns};
use super::texts::{self, Texts};
use super::wire::{Damaged, Packer, Reader, put_number};
use super::{codes, ints};

/// Codes of the column's dictionary.
pub(crate) const CODES: u8 = 0;
/// Whole numbers.
pub(crate) const INTS: u8 = 1;
/// Hexadecimal ids.
pub(crate) const IDS: u8 = 2;
const TEXTS: u8 = 3;
/// IPv4 addresses.
pub(crate) const ADDRESSES: u8 = 4;
/// Patterns and the numbers in them.
const PATTERNS: u8 = 5;

/// New texts that a block may have beside half of its own; few in tests, whose blocks are small.
const NEW_TEXTS_MIN: usize = if cfg!(test) { 2 } else { 32 };
/// Texts a block holds at most; a larger claim is damage.
const TEXTS_MAX: usize = 64 << 20;

/// A column of a split in the making.
#[derive(Debug, Default)]
pub(crate) struct ColumnBuilder {
    /// The texts that repeat.
    pub(crate) dictionary: Builder,
    /// Texts stopped to repeat: later blocks are not tried.
    is_direct: bool,
}

/// How a block of texts was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoded {
    /// In which form.
    pub(crate) form: u8,
    /// The least and the greatest number, when they are numbers.
    pub(crate) span: Option<(i64, i64)>,
}

impl ColumnBuilder {
    /// Appends a block of texts; tells how.
    pub(crate) fn encode(
        &mut self,
        texts: &[&[u8]],
        packer: &mut Packer,
        out: &mut Vec<u8>,
    ) -> Encoded {
        put_number(out, texts.len() as u64);
        let start = out.len();
        if !self.is_direct {
            let mut codes = Vec::with_capacity(texts.len());
            // The second half of a block of ids is not worth hashing.
            if self.dictionary.add_all(texts, texts.len() / 2 + NEW_TEXTS_MIN, &mut codes) {
                out.push(CODES);
                codes::encode(&codes, packer, out);
                return Encoded { form: CODES, span: None };
            }
            self.is_direct = true;
        }
        let span = encode_direct(texts, packer, out);
        let mut reader = Reader::new(&out[start..]);
        let is_same = Values::decode_of(&mut reader, texts.len()).is_ok_and(|values| {
            let mut buffer = Vec::new();
            let dictionary = Dictionary::default();
            texts
                .iter()
                .enumerate()
                .all(|(place, text)| values.text(place, &dictionary, &mut buffer) == Ok(text))
        });
        if !is_same {
            out.truncate(start);
            out.push(TEXTS);
            texts::encode(texts, packer, out);
        }
        Encoded { form: out[start], span: span.filter(|_| is_same) }
    }
}

impl ColumnBuilder {
    /// Appends a block of codes of another dictionary; `false`, with nothing appended, when their texts
    /// do not fit into this one. `ours` has the codes that are known already.
    pub(crate) fn adopt(
        &mut self,
        (codes, other): (&Codes, &Dictionary),
        ours: &mut Vec<Option<u32>>,
        packer: &mut Packer,
        out: &mut Vec<u8>,
    ) -> Result<bool, Damaged> {
        let mut codes: Vec<u32> = (0..codes.len()).map(|place| codes.get(place)).collect();
        if !self.dictionary.adopt(&mut codes, other, ours)? {
            return Ok(false);
        }
        put_number(out, codes.len() as u64);
        out.push(CODES);
        codes::encode(&codes, packer, out);
        Ok(true)
    }
}

/// Tells the least and the greatest when they are numbers.
fn encode_direct(texts: &[&[u8]], packer: &mut Packer, out: &mut Vec<u8>) -> Option<(i64, i64)> {
    if let Some(numbers) = texts.iter().map(|text| number_of(text)).collect::<Option<Vec<i64>>>() {
        out.push(INTS);
        ints::encode(&numbers, packer, out);
        return numbers.iter().copied().min().zip(numbers.iter().copied().max());
    }
    if let Some(addresses) = texts.iter().map(|text| address_of(text)).collect::<Option<Vec<u32>>>()
    {
        out.push(ADDRESSES);
        codes::encode(&addresses, packer, out);
        return None;
    }
    out.push(IDS);
    if ids::encode(texts, out) {
        return None;
    }
    out.pop();
    let start = out.len();
    out.push(PATTERNS);
    if !patterns::encode(texts, packer, out) {
        out.truncate(start);
        out.push(TEXTS);
        texts::encode(texts, packer, out);
    }
    None
}

/// The number that is written as this text and no other.
pub(crate) fn number_of(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let is_canonical = match digits {
        [] => false,
        [b'0'] => !is_negative,
        [first, ..] => {
            *first != b'0' && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit)
        }
    };
    let number = || digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    is_canonical.then(|| if is_negative { -number() } else { number() })
}

/// The IPv4 address that is written as this text, and no other.
pub(crate) fn address_of(text: &[u8]) -> Option<u32> {
    // Most texts that are none are told by their length or their first byte.
    if !(7..=15).contains(&text.len()) || !text[0].is_ascii_digit() {
        return None;
    }
    let mut address = 0;
    let mut octets = 0;
    for octet in text.split(|byte| *byte == b'.') {
        let number = number_of(octet).filter(|_| octet.len() <= 3)?;
        address = address << 8 | u32::from(u8::try_from(number).ok()?);
        octets += 1;
        if octets > 4 {
            return None;
        }
    }
    (octets == 4).then_some(address)
}

/// Appends an IPv4 address as text.
pub(crate) fn put_address(out: &mut Vec<u8>, address: u32) {
    for (place, octet) in address.to_be_bytes().into_iter().enumerate() {
        if place > 0 {
            out.push(b'.');
        }
        put_decimal(out, octet.into());
    }
}

/// The texts of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Values {
    /// Codes of the column's dictionary.
    Codes(Codes),
    /// Whole numbers in decimal.
    Ints(Vec<i64>),
    /// Hexadecimal ids.
    Ids(Ids),
    /// Any texts.
    Texts(Texts),
    /// IPv4 addresses.
    Addresses(Vec<u32>),
    /// Patterns and the numbers in them.
    Patterns(Patterns),
}

impl Values {
    /// Reads a block.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut reader = Reader::new(bytes);
        let len = reader.number_up_to(TEXTS_MAX)?;
        Self::decode_of(&mut reader, len)
    }

    fn decode_of(reader: &mut Reader<'_>, len: usize) -> Result<Self, Damaged> {
        let form = reader.byte()?;
        let values = match form {
            CODES => Self::Codes(codes::decode_short(reader, len)?),
            INTS => Self::Ints(ints::decode(reader, len)?),
            IDS => Self::Ids(ids::decode(reader, len)?),
            TEXTS => Self::Texts(texts::decode(reader, len)?),
            ADDRESSES => Self::Addresses(codes::decode(reader, len)?),
            PATTERNS => Self::Patterns(patterns::decode(reader, len)?),
            _ => return Err(Damaged("a block of an unknown form")),
        };
        if reader.is_empty() { Ok(values) } else { Err(Damaged("a block goes on after its end")) }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Codes(codes) => codes.len(),
            Self::Ints(numbers) => numbers.len(),
            Self::Ids(ids) => ids.len(),
            Self::Texts(texts) => texts.len(),
            Self::Addresses(addresses) => addresses.len(),
            Self::Patterns(patterns) => patterns.len(),
        }
    }

    /// Bytes they take in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Codes(codes) => codes.size_bytes(),
            Self::Ints(numbers) => numbers.len() * 8,
            Self::Ids(ids) => ids.size_bytes(),
            Self::Texts(texts) => texts.size_bytes(),
            Self::Addresses(addresses) => addresses.len() * 4,
            Self::Patterns(patterns) => patterns.size_bytes(),
        }
    }

    /// The text at a place; `buffer` holds it where it is not there letter for letter.
    pub(crate) fn text<'a>(
        &'a self,
        place: usize,
        dictionary: &'a Dictionary,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], Damaged> {
        if place >= self.len() {
            return Err(Damaged("a column has too few values"));
        }
        match self {
            Self::Codes(codes) => {
                let code = codes.get(place) as usize;
                if code >= dictionary.texts.len() {
                    return Err(Damaged("a code is not in its dictionary"));
                }
                Ok(dictionary.texts.get(code))
            }
            Self::Ints(numbers) => {
                buffer.clear();
                put_decimal(buffer, numbers[place]);
                Ok(buffer)
            }
            Self::Ids(ids) => Ok(ids.text(place, buffer)),
            Self::Texts(texts) => Ok(texts.get(place)),
            Self::Patterns(patterns) => Ok(patterns.text(place, buffer)),
            Self::Addresses(addresses) => {
                buffer.clear();
                put_address(buffer, addresses[place]);
                Ok(buffer)
            }
        }
    }
}

/// Appends a number in decimal.
pub(crate) fn put_decimal(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    let mut rest = number.unsigned_abs();
    let len = rest.checked_ilog10().map_or(1, |log| log as usize + 1);
    // A length that the compiler knows is appended faster than what is left of it afterwards.
    let start = out.len();
    out.extend_from_slice(&[b'0'; DIGITS_MAX]);
    out.truncate(start + len);
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Digits of a number of 64 bits at most.
const DIGITS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::columns::dictionary;

    fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let text = prop_oneof![
            "[ab]".prop_map(String::into_bytes),
            any::<i64>().prop_map(|number| number.to_string().into_bytes()),
            (-9i64..99).prop_map(|number| number.to_string().into_bytes()),
            "[0-9a-f]{8}-[0-9a-f]{4}".prop_map(String::into_bytes),
            "0[0-9]{0,3}|-0|[0-9A-F]{16}".prop_map(String::into_bytes),
            "1.2.3|1.2.3.4.5|01.2.3.4|1.2.3.256|-1.2.3.4|1..2.3".prop_map(String::into_bytes),
            "/v1/[ab]/[0-9]{1,4}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..9),
        ];
        let same = text.clone().prop_flat_map(|text| proptest::collection::vec(Just(text), 0..60));
        prop_oneof![
            proptest::collection::vec(text, 0..90),
            same,
            proptest::collection::vec(any::<u32>().prop_map(|n| n.to_string().into_bytes()), 0..90),
            proptest::collection::vec(
                "(/v1/[ab]/[0-9]{1,4}){1,2}".prop_map(String::into_bytes),
                0..90
            ),
            proptest::collection::vec(
                any::<u64>().prop_map(|n| format!("{n:016x}").into_bytes()),
                0..90
            ),
        ]
    }

    proptest! {
        #[test]
        fn every_text_comes_back(blocks in proptest::collection::vec(texts(), 1..4)) {
            let mut packer = Packer::new().expect("memory");
            let mut column = ColumnBuilder::default();
            let mut encoded = Vec::new();
            for block in &blocks {
                let given: Vec<&[u8]> = block.iter().map(Vec::as_slice).collect();
                let mut out = Vec::new();
                column.encode(&given, &mut packer, &mut out);
                encoded.push(out);
            }
            let mut out = Vec::new();
            column.dictionary.encode(&mut packer, &mut out);
            let dictionary = dictionary::decode(&mut Reader::new(&out)).expect("just written");
            for (block, bytes) in blocks.iter().zip(&encoded) {
                let values = Values::decode(bytes).expect("just written");
                prop_assert_eq!(values.len(), block.len());
                let mut buffer = Vec::new();
                for (place, text) in block.iter().enumerate() {
                    prop_assert_eq!(values.text(place, &dictionary, &mut buffer), Ok(&text[..]));
                }
                prop_assert!(values.text(block.len(), &dictionary, &mut buffer).is_err());
            }
        }

        #[test]
        fn damage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = bytes;
            if let Some(len) = bytes.first_mut() {
                *len %= 100;
            }
            if let Ok(values) = Values::decode(&bytes) {
                let _ = values.text(0, &Dictionary::default(), &mut Vec::new());
            }
        }
    }
}
