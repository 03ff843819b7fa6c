//! The wire format of Protocol Buffers, read field by field, and written for short answers.
//!
//! Input: the bytes of one message. Output: its fields as slices of them. Messages are not built: a
//! body of many empty records would take a hundred times its size, and one broken record would cost
//! its neighbours. What a field means is known by its number alone (protobuf.dev, "Encoding").

/// A message that ends early or has a field of no known kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message is malformed at byte {offset}")]
pub(super) struct Broken {
    /// Bytes of the message before the place.
    pub(super) offset: usize,
}

/// The value of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'b> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'b [u8]),
    Fixed32(u32),
}

impl<'b> Value<'b> {
    /// A text, a message, or bytes; empty when it is a number.
    pub(super) const fn bytes(self) -> &'b [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// A number of whatever width; 0 when it is none.
    pub(super) const fn number(self) -> u64 {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => number,
            Self::Fixed32(number) => number as u64,
            Self::Bytes(_) => 0,
        }
    }
}

/// Writes a number of whatever size.
pub(super) fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a text or message as field `number`, at most 15.
pub(super) fn put_bytes(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// The fields of the message that is the whole of `bytes`, in their order.
pub(super) const fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { bytes, pos: 0, is_broken: false }
}

/// See [`fields`].
#[derive(Debug, Clone)]
pub(super) struct Fields<'b> {
    bytes: &'b [u8],
    pos: usize,
    is_broken: bool,
}

impl<'b> Fields<'b> {
    /// What was not taken yet.
    pub(super) fn rest(&self) -> &'b [u8] {
        &self.bytes[self.pos..]
    }

    fn step(&mut self) -> Result<(u32, Value<'b>), Broken> {
        let start = self.pos;
        let broken = Broken { offset: start };
        let key = self.varint().ok_or(broken)?;
        let number = u32::try_from(key >> 3).map_err(|_| broken)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint().ok_or(broken)?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array().ok_or(broken)?)),
            2 => {
                let length = self.varint().ok_or(broken)?;
                let length = usize::try_from(length).map_err(|_| broken)?;
                Value::Bytes(self.take(length).ok_or(broken)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array().ok_or(broken)?)),
            _ => return Err(broken),
        };
        Ok((number, value))
    }

    /// Seven bits a byte, the lowest first; at most ten bytes.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.pos)?;
            self.pos += 1;
            number |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let end = self.pos.checked_add(length)?;
        let taken = self.bytes.get(self.pos..end)?;
        self.pos = end;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = Result<(u32, Value<'b>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken || self.pos >= self.bytes.len() {
            return None;
        }
        let start = self.pos;
        let field = self.step();
        if field.is_err() {
            // Nothing comes after a mistake; the rest begins with it.
            self.pos = start;
            self.is_broken = true;
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    /// Written by the crate that everybody uses, to compare with.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Sample {
        #[prost(string, tag = "1")]
        text: String,
        #[prost(int64, tag = "2")]
        whole: i64,
        #[prost(fixed64, tag = "3")]
        wide: u64,
        #[prost(fixed32, tag = "4")]
        narrow: u32,
        #[prost(bytes = "vec", repeated, tag = "1000")]
        parts: Vec<Vec<u8>>,
    }

    proptest! {
        #[test]
        fn it_reads_what_prost_writes(
            text in "\\PC{0,20}", whole: i64, wide: u64, narrow: u32,
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5), 0..5),
        ) {
            let sample = Sample { text, whole, wide, narrow, parts };
            let bytes = sample.encode_to_vec();
            let mut read = Sample::default();
            for field in fields(&bytes) {
                match field.expect("a field") {
                    (1, value) => read.text = String::from_utf8(value.bytes().to_vec()).expect("text"),
                    (2, value) => read.whole = value.number() as i64,
                    (3, value) => read.wide = value.number(),
                    (4, value) => read.narrow = value.number() as u32,
                    (1000, value) => read.parts.push(value.bytes().to_vec()),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert_eq!(read, sample);
        }

        #[test]
        fn every_byte_string_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(fields(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn what_ends_early_is_broken_there() {
        let whole = [0x08, 0x01, 0x12, 0x03, b'a', b'b', b'c'];
        assert_eq!(fields(&whole).last(), Some(Ok((2, Value::Bytes(b"abc")))));
        let cut: Vec<_> = fields(&whole[..6]).collect();
        assert_eq!(cut, [Ok((1, Value::Varint(1))), Err(Broken { offset: 2 })]);
        assert_eq!(fields(&[0xFF; 11]).next(), Some(Err(Broken { offset: 0 })));
    }
}
