//! How one field of an event lies in its binary form (version 1): a byte of kind and marks, names, value.
//!
//! Numbers are little-endian; texts are spans of the event's buffer. Reading refuses what no writer
//! of this version wrote and names the offset.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{DecodeError, Entry, FieldOptions, Name, Packed, Span};
use crate::field::STANDARD_FIELDS;
use crate::time::Timestamp;

const KIND_NULL: u8 = 0;
const KIND_FALSE: u8 = 1;
const KIND_TRUE: u8 = 2;
const KIND_INTEGER: u8 = 3;
const KIND_UNSIGNED: u8 = 4;
const KIND_FLOAT: u8 = 5;
const KIND_STRING: u8 = 6;
const KIND_IPV4: u8 = 7;
const KIND_IPV6: u8 = 8;
const KIND_TIMESTAMP: u8 = 9;
const KIND_JSON: u8 = 10;
const KIND_MASK: u8 = 0x0F;
const BIT_ALIAS: u8 = 0x10;
const BIT_ARRAY_ITEM: u8 = 0x20;
const BIT_INNER: u8 = 0x40;
/// Stands where a standard name's place would, before a span.
const NAME_IS_TEXT: u16 = u16::MAX;

/// Bytes of a field at most: kind, two names, and an IPv6 address.
pub(super) const ENTRY_BYTES_MAX: usize = 1 + 2 * 10 + 16;

/// Bytes that are put together on the stack, so that they are appended at once.
struct Bytes {
    bytes: [u8; ENTRY_BYTES_MAX],
    len: usize,
}

impl Bytes {
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        let place = self.bytes[self.len..].first_chunk_mut();
        *place.expect("no field has more bytes") = bytes;
        self.len += N;
    }

    #[inline]
    fn put_span(&mut self, span: Span) {
        self.put(span.start.to_le_bytes());
        self.put(span.len.to_le_bytes());
    }

    #[inline]
    fn put_name(&mut self, name: Name) {
        match name {
            Name::Standard(place) => self.put(place.to_le_bytes()),
            Name::Text(span) => {
                self.put(NAME_IS_TEXT.to_le_bytes());
                self.put_span(span);
            }
        }
    }
}

pub(super) fn encode_span(span: Span, out: &mut Vec<u8>) {
    out.extend_from_slice(&span.start.to_le_bytes());
    out.extend_from_slice(&span.len.to_le_bytes());
}

pub(super) fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    let kind = match entry.value {
        Packed::Null => KIND_NULL,
        Packed::Bool(false) => KIND_FALSE,
        Packed::Bool(true) => KIND_TRUE,
        Packed::Integer(_) => KIND_INTEGER,
        Packed::Unsigned(_) => KIND_UNSIGNED,
        Packed::Float(_) => KIND_FLOAT,
        Packed::String(_) => KIND_STRING,
        Packed::Ip(IpAddr::V4(_)) => KIND_IPV4,
        Packed::Ip(IpAddr::V6(_)) => KIND_IPV6,
        Packed::Timestamp(_) => KIND_TIMESTAMP,
        Packed::Json(_) => KIND_JSON,
    };
    let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    let mut bytes = Bytes { bytes: [0; ENTRY_BYTES_MAX], len: 0 };
    bytes.put([kind
        | bit(entry.alias.is_some(), BIT_ALIAS)
        | bit(entry.options.is_array_item, BIT_ARRAY_ITEM)
        | bit(entry.options.is_inner, BIT_INNER)]);
    bytes.put_name(entry.name);
    entry.alias.iter().for_each(|alias| bytes.put_name(*alias));
    match entry.value {
        Packed::Null | Packed::Bool(_) => {}
        Packed::Integer(value) => bytes.put(value.to_le_bytes()),
        Packed::Unsigned(value) => bytes.put(value.to_le_bytes()),
        Packed::Float(value) => bytes.put(value.to_le_bytes()),
        Packed::String(span) | Packed::Json(span) => bytes.put_span(span),
        Packed::Ip(IpAddr::V4(value)) => bytes.put(value.octets()),
        Packed::Ip(IpAddr::V6(value)) => bytes.put(value.octets()),
        Packed::Timestamp(value) => bytes.put(value.nanos().to_le_bytes()),
    }
    // A length that the compiler knows is appended faster than what is left of it afterwards.
    let start = out.len();
    out.extend_from_slice(&bytes.bytes);
    out.truncate(start + bytes.len);
}

pub(super) fn decode_entry(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    let head = reader.u8()?;
    let name = reader.name()?;
    let alias = if head & BIT_ALIAS != 0 { Some(reader.name()?) } else { None };
    let value = match head & KIND_MASK {
        KIND_NULL => Packed::Null,
        KIND_FALSE => Packed::Bool(false),
        KIND_TRUE => Packed::Bool(true),
        KIND_INTEGER => Packed::Integer(i64::from_le_bytes(reader.array()?)),
        KIND_UNSIGNED => Packed::Unsigned(u64::from_le_bytes(reader.array()?)),
        KIND_FLOAT => Packed::Float(f64::from_le_bytes(reader.array()?)),
        KIND_STRING => Packed::String(reader.span()?),
        KIND_IPV4 => Packed::Ip(Ipv4Addr::from(reader.array::<4>()?).into()),
        KIND_IPV6 => Packed::Ip(Ipv6Addr::from(reader.array::<16>()?).into()),
        KIND_TIMESTAMP => {
            Packed::Timestamp(Timestamp::from_nanos(i64::from_le_bytes(reader.array()?)))
        }
        KIND_JSON => Packed::Json(reader.span()?),
        _ => return Err(reader.malformed("type of a value")),
    };
    let options =
        FieldOptions { is_array_item: head & BIT_ARRAY_ITEM != 0, is_inner: head & BIT_INNER != 0 };
    Ok(Entry { name, alias, value, options })
}

pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offset: usize,
}

impl Reader<'_> {
    pub(super) fn malformed(&self, what: &'static str) -> DecodeError {
        DecodeError::Malformed { offset: self.offset, what }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.bytes.get(self.offset..self.offset + N);
        let array =
            bytes.ok_or(self.malformed("more bytes"))?.try_into().expect("N bytes were taken");
        self.offset += N;
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn span(&mut self) -> Result<Span, DecodeError> {
        let span = Span { start: self.u32()?, len: self.u32()? };
        span.start.checked_add(span.len).map(|_| span).ok_or(self.malformed("a span"))
    }

    pub(super) fn name(&mut self) -> Result<Name, DecodeError> {
        match u16::from_le_bytes(self.array()?) {
            NAME_IS_TEXT => Ok(Name::Text(self.span()?)),
            place if usize::from(place) < STANDARD_FIELDS.len() => Ok(Name::Standard(place)),
            _ => Err(self.malformed("a known field name")),
        }
    }
}
