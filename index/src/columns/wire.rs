//! Numbers, lengths and compressed bytes, as they stand in the parts of a split.
//!
//! Whole numbers are LEB128; signed ones are folded first so that small ones are short. Reading
//! refuses what ends early or claims more than [`PACKED_BYTES_MAX`], so damage never asks for much
//! memory.

use std::borrow::Cow;
use std::cell::RefCell;

/// Bytes that compressed bytes may claim to become.
pub(crate) const PACKED_BYTES_MAX: usize = 128 << 20;
const ZSTD_LEVEL: i32 = 1;
/// Fewer bytes are not worth a compressed frame.
const PACK_BYTES_MIN: usize = 48;

/// Bytes are not what the format says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Damaged(pub(crate) &'static str);

impl From<Damaged> for String {
    fn from(damaged: Damaged) -> Self {
        damaged.to_string()
    }
}

/// Appends a number.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends bytes behind their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A signed number folded into an unsigned one: 0, -1, 1, -2, …
pub(crate) fn fold(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The number that [`fold`] folded.
pub(crate) fn unfold(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Compresses; keeps what that needs from one call to the next.
pub(crate) struct Packer {
    zstd: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
}

impl Packer {
    /// A packer.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { zstd: zstd::bulk::Compressor::new(ZSTD_LEVEL)?, packed: Vec::new() })
    }

    /// Appends bytes, compressed where that makes them shorter by an eighth.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        let len = bytes.len();
        if len >= PACK_BYTES_MIN && self.pack(bytes) && self.packed.len() < len - len / 8 {
            put_number(out, (len as u64) << 1 | 1);
            put_bytes(out, &self.packed);
        } else {
            put_number(out, (len as u64) << 1);
            out.extend_from_slice(bytes);
        }
    }

    fn pack(&mut self, bytes: &[u8]) -> bool {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        self.zstd.compress_to_buffer(bytes, &mut self.packed).is_ok()
    }
}

/// Reads from the front of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads these.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next so many bytes.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) =
            self.bytes.split_at_checked(len).ok_or(Damaged("a part ends too early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Result<u8, Damaged> {
        Ok(self.take(1)?[0])
    }

    /// The next number.
    pub(crate) fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged("a number is too long"))
    }

    /// The next number, which must not be above `most`.
    pub(crate) fn number_up_to(&mut self, most: usize) -> Result<usize, Damaged> {
        let number = usize::try_from(self.number()?).ok();
        number.filter(|number| *number <= most).ok_or(Damaged("a number is out of bounds"))
    }

    /// The next bytes behind their length.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let len = self.number_up_to(self.bytes.len())?;
        self.take(len)
    }

    /// The next bytes as [`Packer::put`] wrote them.
    pub(crate) fn packed(&mut self) -> Result<Cow<'a, [u8]>, Damaged> {
        let head = self.number_up_to(PACKED_BYTES_MAX * 2)?;
        let len = head >> 1;
        if head & 1 == 0 {
            return Ok(Cow::Borrowed(self.take(len)?));
        }
        let packed = self.bytes()?;
        let bytes = decompress(packed, len).ok_or(Damaged("bytes cannot be decompressed"))?;
        if bytes.len() == len {
            Ok(Cow::Owned(bytes))
        } else {
            Err(Damaged("decompressed bytes have another length"))
        }
    }
}

thread_local! {
    /// Making one anew for every part would take longer than most parts.
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        RefCell::new(zstd::bulk::Decompressor::new().ok());
}

fn decompress(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|zstd| zstd.as_mut()?.decompress(packed, len).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_is_read(numbers in proptest::collection::vec(any::<u64>(), 0..9),
                               bytes in proptest::collection::vec(0u8..3, 0..900)) {
            let mut out = Vec::new();
            numbers.iter().for_each(|number| put_number(&mut out, *number));
            put_bytes(&mut out, &bytes);
            Packer::new().expect("memory").put(&mut out, &bytes);
            let mut reader = Reader::new(&out);
            for number in numbers {
                prop_assert_eq!(reader.number(), Ok(number));
                prop_assert_eq!(fold(unfold(number)), number);
            }
            prop_assert_eq!(reader.bytes(), Ok(&bytes[..]));
            prop_assert_eq!(reader.packed().expect("just written"), bytes);
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn damage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Reader::new(&bytes).number();
            let _ = Reader::new(&bytes).bytes();
            let _ = Reader::new(&bytes).packed();
        }
    }
}
