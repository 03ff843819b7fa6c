//! MessagePack: where a value ends, what its head says, and the value as JSON.
//!
//! Input: bytes that may end anywhere or be anything. Output: lengths, heads and text. Nothing is
//! built of a value: its end is found by counting, so that neither depth nor a claimed length costs
//! memory, and what becomes JSON has at most [`DEPTH_MAX`] levels: deeper values become Base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmp::Marker;

use super::members::quoted;
use crate::normalize::scan::DEPTH_MAX;

/// A value ends before it should, or begins with the byte that none begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// Why a value cannot be JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is none.
    Broken,
    /// A key is no text, number or truth.
    Key,
}

impl From<Broken> for Unfit {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

/// What the first bytes of a value say of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Head {
    Nil,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    /// Text or bytes of this length follow: senders mix them up.
    Text(usize),
    /// Values that follow.
    Array(usize),
    /// Pairs that follow.
    Map(usize),
    /// Type and length of what follows.
    Extension(i8, usize),
}

impl Head {
    /// Bytes of its own that follow.
    const fn payload(self) -> usize {
        match self {
            Self::Text(length) | Self::Extension(_, length) => length,
            _ => 0,
        }
    }

    /// Values that belong to it and follow.
    const fn children(self) -> usize {
        match self {
            Self::Array(count) => count,
            Self::Map(count) => count.saturating_mul(2),
            _ => 0,
        }
    }
}

/// The head at the beginning of `bytes` and its length; nothing when it is not all there.
pub(super) fn head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Broken> {
    let Some(first) = bytes.first() else { return Ok(None) };
    let number = |length: usize| {
        let digits = bytes.get(1..=length)?;
        Some(digits.iter().fold(0u64, |number, digit| number << 8 | u64::from(*digit)))
    };
    let count = |length: usize| number(length).and_then(|number| usize::try_from(number).ok());
    let signed = |length: usize| {
        let unused = 64 - 8 * u32::try_from(length).ok()?;
        number(length).map(|number| Head::Signed((number << unused).cast_signed() >> unused))
    };
    let kind = |at: usize| bytes.get(at).map(|kind| kind.cast_signed());
    let found = match Marker::from_u8(*first) {
        Marker::Reserved => return Err(Broken),
        Marker::Null => Some((Head::Nil, 1)),
        Marker::True => Some((Head::Bool(true), 1)),
        Marker::False => Some((Head::Bool(false), 1)),
        Marker::FixPos(number) => Some((Head::Unsigned(number.into()), 1)),
        Marker::FixNeg(number) => Some((Head::Signed(number.into()), 1)),
        Marker::U8 => number(1).map(|number| (Head::Unsigned(number), 2)),
        Marker::U16 => number(2).map(|number| (Head::Unsigned(number), 3)),
        Marker::U32 => number(4).map(|number| (Head::Unsigned(number), 5)),
        Marker::U64 => number(8).map(|number| (Head::Unsigned(number), 9)),
        Marker::I8 => signed(1).map(|head| (head, 2)),
        Marker::I16 => signed(2).map(|head| (head, 3)),
        Marker::I32 => signed(4).map(|head| (head, 5)),
        Marker::I64 => signed(8).map(|head| (head, 9)),
        Marker::F32 => count(4)
            .and_then(|bits| u32::try_from(bits).ok())
            .map(|bits| (Head::Float(f32::from_bits(bits).into()), 5)),
        Marker::F64 => number(8).map(|bits| (Head::Float(f64::from_bits(bits)), 9)),
        Marker::FixStr(length) => Some((Head::Text(length.into()), 1)),
        Marker::Str8 | Marker::Bin8 => count(1).map(|length| (Head::Text(length), 2)),
        Marker::Str16 | Marker::Bin16 => count(2).map(|length| (Head::Text(length), 3)),
        Marker::Str32 | Marker::Bin32 => count(4).map(|length| (Head::Text(length), 5)),
        Marker::FixArray(count) => Some((Head::Array(count.into()), 1)),
        Marker::Array16 => count(2).map(|count| (Head::Array(count), 3)),
        Marker::Array32 => count(4).map(|count| (Head::Array(count), 5)),
        Marker::FixMap(count) => Some((Head::Map(count.into()), 1)),
        Marker::Map16 => count(2).map(|count| (Head::Map(count), 3)),
        Marker::Map32 => count(4).map(|count| (Head::Map(count), 5)),
        Marker::FixExt1 => kind(1).map(|kind| (Head::Extension(kind, 1), 2)),
        Marker::FixExt2 => kind(1).map(|kind| (Head::Extension(kind, 2), 2)),
        Marker::FixExt4 => kind(1).map(|kind| (Head::Extension(kind, 4), 2)),
        Marker::FixExt8 => kind(1).map(|kind| (Head::Extension(kind, 8), 2)),
        Marker::FixExt16 => kind(1).map(|kind| (Head::Extension(kind, 16), 2)),
        Marker::Ext8 => count(1).zip(kind(2)).map(|(n, kind)| (Head::Extension(kind, n), 3)),
        Marker::Ext16 => count(2).zip(kind(3)).map(|(n, kind)| (Head::Extension(kind, n), 4)),
        Marker::Ext32 => count(4).zip(kind(5)).map(|(n, kind)| (Head::Extension(kind, n), 6)),
    };
    Ok(found)
}

/// How far the end of a value has been looked for: each byte is looked at once, however it comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Skim {
    at: usize,
    /// Values still to come.
    pending: usize,
}

impl Skim {
    pub(super) const fn new() -> Self {
        Self { at: 0, pending: 1 }
    }

    /// The length of the value at the beginning of `bytes`, which have only grown since the last
    /// call; nothing when it is not all there.
    ///
    /// # Errors
    ///
    /// [`Broken`], also when the value has, or must have, more than `bytes_max` bytes.
    pub(super) fn end(&mut self, bytes: &[u8], bytes_max: usize) -> Result<Option<usize>, Broken> {
        while self.pending > 0 {
            let Some((head, length)) = head(bytes.get(self.at..).unwrap_or_default())? else {
                break;
            };
            self.at = self.at.saturating_add(length).saturating_add(head.payload());
            self.pending = (self.pending - 1).saturating_add(head.children());
            // Each value has a byte at least.
            if self.at.saturating_add(self.pending) > bytes_max {
                return Err(Broken);
            }
        }
        Ok((self.pending == 0 && self.at <= bytes.len()).then_some(self.at))
    }
}

/// The value at the beginning of `bytes`, and what follows it.
pub(super) fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), Broken> {
    let end = Skim::new().end(bytes, bytes.len())?.ok_or(Broken)?;
    Ok(bytes.split_at(end))
}

/// The bytes of a value that is text or bytes.
pub(super) fn text(value: &[u8]) -> Option<&[u8]> {
    match head(value) {
        Ok(Some((Head::Text(length), start))) => value.get(start..start.checked_add(length)?),
        _ => None,
    }
}

/// The items of an array, or keys and values of a map in turn.
pub(super) fn children(value: &[u8]) -> Option<Children<'_>> {
    match head(value) {
        Ok(Some((head @ (Head::Array(_) | Head::Map(_)), start))) => {
            Some(Children { rest: &value[start..], left: head.children() })
        }
        _ => None,
    }
}

/// See [`children`]. After a mistake nothing more comes.
pub(super) struct Children<'v> {
    rest: &'v [u8],
    left: usize,
}

impl<'v> Iterator for Children<'v> {
    type Item = Result<&'v [u8], Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let item = split(self.rest).map(|(item, rest)| {
            self.rest = rest;
            item
        });
        if item.is_err() {
            self.left = 0;
        }
        Some(item)
    }
}

/// Writes the value at the beginning of `value` as JSON and gives what follows it. Bytes that are no
/// UTF-8 stay as they are; bytes of an extension become Base64.
pub(super) fn write_json<'v>(
    value: &'v [u8],
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<&'v [u8], Unfit> {
    if depth > DEPTH_MAX {
        let (value, rest) = split(value)?;
        out.extend_from_slice(quoted(&STANDARD.encode(value)).as_bytes());
        return Ok(rest);
    }
    let (head, start) = head(value)?.ok_or(Broken)?;
    let payload = value.get(start..).and_then(|rest| rest.get(..head.payload())).ok_or(Broken)?;
    let mut rest = &value[start + payload.len()..];
    match head {
        Head::Nil => out.extend_from_slice(b"null"),
        Head::Bool(truth) => out.extend_from_slice(truth.to_string().as_bytes()),
        Head::Signed(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Head::Unsigned(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Head::Float(number) if number.is_finite() => {
            out.extend_from_slice(serde_json::json!(number).to_string().as_bytes());
        }
        Head::Float(number) => out.extend_from_slice(quoted(&number.to_string()).as_bytes()),
        Head::Text(_) => write_text(payload, out),
        Head::Extension(..) => out.extend_from_slice(quoted(&STANDARD.encode(payload)).as_bytes()),
        Head::Array(count) => {
            out.push(b'[');
            for item in 0..count {
                if item > 0 {
                    out.push(b',');
                }
                rest = write_json(rest, out, depth + 1)?;
            }
            out.push(b']');
        }
        Head::Map(count) => {
            out.push(b'{');
            for member in 0..count {
                if member > 0 {
                    out.push(b',');
                }
                rest = write_key(rest, out)?;
                out.push(b':');
                rest = write_json(rest, out, depth + 1)?;
            }
            out.push(b'}');
        }
    }
    Ok(rest)
}

fn write_key<'v>(value: &'v [u8], out: &mut Vec<u8>) -> Result<&'v [u8], Unfit> {
    let (head, _) = head(value)?.ok_or(Broken)?;
    match head {
        Head::Text(_) => write_json(value, out, 0),
        Head::Signed(_) | Head::Unsigned(_) | Head::Float(_) | Head::Bool(_) => {
            let mut key = Vec::new();
            let rest = write_json(value, &mut key, 0)?;
            out.push(b'"');
            out.extend(key.into_iter().filter(|byte| *byte != b'"'));
            out.push(b'"');
            Ok(rest)
        }
        _ => Err(Unfit::Key),
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(value: &[u8], expected: Result<&str, Unfit>) {
        let mut out = Vec::new();
        let written = write_json(value, &mut out, 1).map(|_| String::from_utf8_lossy(&out));
        assert_eq!(written.as_deref().map_err(|unfit| *unfit), expected, "{value:02x?}");
    }

    #[test]
    fn values_become_json() {
        check(b"\x83\xa1a\x01\xa1b\xc0\xa1c\x92\xc3\xff", Ok(r#"{"a":1,"b":null,"c":[true,-1]}"#));
        check(b"\xa5\"\\\n\x00x", Ok(r#""\"\\\n\u0000x""#));
        check(b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", Ok("18446744073709551615"));
        check(b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", Ok("-9223372036854775808"));
        check(b"\xd0\x80", Ok("-128"));
        check(b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", Ok("1.5"));
        check(b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", Ok(r#""NaN""#));
        check(b"\xc4\x02ab", Ok(r#""ab""#));
        check(b"\xd6\x05abcd", Ok(r#""YWJjZA==""#));
        check(b"\x81\x05\x06", Ok(r#"{"5":6}"#));
        check(b"\x81\x90\x06", Err(Unfit::Key));
        check(b"\xc1", Err(Unfit::Broken));
        check(b"\xdd\xff\xff\xff\xff\x01", Err(Unfit::Broken));
        check(&b"\x91".repeat(200), Err(Unfit::Broken));
        let deep = [&b"\x91".repeat(DEPTH_MAX)[..], b"\x92\x01\x02"].concat();
        let levels = (1..=DEPTH_MAX).map(|_| ("[", "]"));
        let (open, close): (String, String) = levels.unzip();
        check(&deep, Ok(&format!("{open}\"kgEC\"{close}")));
    }

    #[test]
    fn a_claim_beyond_the_bound_is_not_waited_for() {
        for claim in
            [&b"\xdd\xff\xff\xff\xff"[..], b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"]
        {
            assert_eq!(Skim::new().end(claim, 1_000), Err(Broken), "{claim:02x?}");
        }
        assert_eq!(Skim::new().end(b"\x92\x01", 1_000), Ok(None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_ends_do_not_depend_on_reads(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let whole = Skim::new().end(&bytes, 1_000);
            let mut skim = Skim::new();
            let mut pieces = Ok(None);
            for length in 0..=bytes.len() {
                pieces = skim.end(&bytes[..length], 1_000);
                if pieces != Ok(None) {
                    break;
                }
            }
            prop_assert_eq!(whole, pieces);
            let mut out = Vec::new();
            if let Ok(rest) = write_json(&bytes, &mut out, 1) {
                prop_assert_eq!(whole, Ok(Some(bytes.len() - rest.len())));
            }
        }
    }
}
