//! Bodies of HTTP requests: read with a bound and a pace, and taken out of their compression.
//!
//! Input: a stream of chunks and the name of an encoding. Output: the bytes, or why not. Nothing is
//! ever larger than the bound: decompression stops where it is crossed, or where the ratio is that
//! of a bomb.

use std::io::Write;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use crate::config::Limits;
use crate::quota::{Quota, Room};

/// Bytes out for each byte in; real records stay below (security requirement).
const RATIO_MAX: usize = 200;
/// Below this a ratio says nothing: a few equal lines compress better than any bomb.
const RATIO_FREE_BYTES: usize = 1 << 20;
/// The largest zstd window: 2^23 bytes.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// A body must come at least this fast once its grace is over.
const PACE_BYTES_PER_SEC: u64 = 1_024;
const OUT_BYTES: usize = 64 << 10;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
    /// One raw block, without the framing of Snappy's stream format.
    Snappy,
}

impl Encoding {
    /// By its name in `Content-Encoding`; nothing when it is another, or more than one.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "zstd" => Some(Self::Zstd),
            "snappy" => Some(Self::Snappy),
            _ => None,
        }
    }

    /// By the first bytes of a body whose sender names none.
    pub(super) fn of_bytes(body: &[u8]) -> Self {
        match body {
            [0x1F, 0x8B, ..] => Self::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Self::Zstd,
            [0x78, ..] if has_zlib_header(body) => Self::Deflate,
            _ => Self::Identity,
        }
    }
}

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is, or would become, larger than the bound.
    TooLarge,
    /// It grows like a bomb.
    Ratio,
    /// It came too slowly.
    TooSlow,
    /// The peer broke off.
    Broken,
    /// It is not compressed as it says.
    BadEncoding,
    /// It came slowly, and what came of it found no more room in memory.
    NoRoom,
}

/// Reads the whole body into `read`, in room that was taken for it; true when it came slowly, and the room is
/// that of what came. Of a body that is not taken `read` holds what came before that was known.
pub(super) async fn read(
    mut body: Body,
    limits: &Limits,
    quota: &Quota,
    room: &mut Room,
    read: &mut BytesMut,
) -> Result<bool, BodyError> {
    let started = Instant::now();
    let mut is_slow = false;
    loop {
        let earned = std::time::Duration::from_secs(read.len() as u64 / PACE_BYTES_PER_SEC);
        let deadline = started + limits.body_grace + earned;
        let until = if is_slow { deadline } else { started + limits.body_room_held };
        let frame = match tokio::time::timeout_at(until.min(deadline), body.frame()).await {
            Ok(frame) => frame,
            Err(_) if is_slow || until >= deadline => return Err(BodyError::TooSlow),
            Err(_) => {
                // Others of the same source do not wait for what may never come.
                is_slow = true;
                room.shrink(read.len());
                continue;
            }
        };
        match frame {
            None => return Ok(is_slow),
            Some(Err(_)) => return Err(BodyError::Broken),
            Some(Ok(frame)) => {
                let Ok(chunk) = frame.into_data() else { continue };
                let bytes = read.len() + chunk.len();
                if bytes > limits.body_bytes_max {
                    let missing = limits.dead_letter_bytes_max.saturating_sub(read.len());
                    read.extend_from_slice(&chunk[..chunk.len().min(missing)]);
                    return Err(BodyError::TooLarge);
                }
                if is_slow {
                    let grown = tokio::time::timeout(limits.room_wait, quota.grow(room, bytes));
                    grown.await.map_err(|_| BodyError::NoRoom)?;
                }
                read.extend_from_slice(&chunk);
            }
        }
    }
}

/// Takes a body out of its compression.
pub(super) fn decode(
    body: Bytes,
    encoding: Encoding,
    bytes_max: usize,
) -> Result<Bytes, BodyError> {
    let sink = Bounded { bytes: Vec::new(), bytes_max, taken: 0, error: None };
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => {
            let mut decoder = MultiGzDecoder::new(sink);
            let written = feed(&mut decoder, &body, MultiGzDecoder::get_mut);
            let ended = decoder.try_finish();
            Bounded::result(std::mem::take(decoder.get_mut()), written.and(ended))
        }
        // By its standard "deflate" is zlib; some senders leave out its header.
        Encoding::Deflate if has_zlib_header(&body) => {
            let mut decoder = ZlibDecoder::new(sink);
            let written = feed(&mut decoder, &body, ZlibDecoder::get_mut);
            let ended = decoder.try_finish();
            Bounded::result(std::mem::take(decoder.get_mut()), written.and(ended))
        }
        Encoding::Deflate => {
            let mut decoder = DeflateDecoder::new(sink);
            let written = feed(&mut decoder, &body, DeflateDecoder::get_mut);
            let ended = decoder.try_finish();
            Bounded::result(std::mem::take(decoder.get_mut()), written.and(ended))
        }
        Encoding::Zstd => decode_zstd(&body, sink),
        Encoding::Snappy => decode_snappy(&body, bytes_max),
    }
}

fn has_zlib_header(body: &[u8]) -> bool {
    matches!(body, [first, second, ..]
        if first & 0x0F == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}

/// Writes the body piece by piece, so that the ratio is seen while it grows.
fn feed<D: Write>(
    decoder: &mut D,
    body: &[u8],
    sink: impl Fn(&mut D) -> &mut Bounded,
) -> std::io::Result<()> {
    for piece in body.chunks(OUT_BYTES) {
        sink(decoder).taken += piece.len();
        decoder.write_all(piece)?;
    }
    Ok(())
}

fn decode_zstd(body: &[u8], mut sink: Bounded) -> Result<Bytes, BodyError> {
    let bad = |_| BodyError::BadEncoding;
    let mut decoder = Decoder::new().map_err(bad)?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(bad)?;
    let mut out = vec![0u8; OUT_BYTES];
    let mut input = InBuffer::around(body);
    loop {
        let mut output = OutBuffer::around(&mut out[..]);
        let hint = decoder.run(&mut input, &mut output).map_err(bad)?;
        let written = output.pos();
        sink.taken = input.pos();
        if sink.write_all(&out[..written]).is_err() {
            return Err(sink.error.unwrap_or(BodyError::BadEncoding));
        }
        if input.pos() == body.len() {
            // Zero: the frame is whole and all of it was given out.
            if hint == 0 {
                return Ok(Bytes::from(sink.bytes));
            }
            if written < OUT_BYTES {
                return Err(BodyError::BadEncoding);
            }
        }
    }
}

/// The length is said in front, so the bounds are looked at before anything is made.
fn decode_snappy(body: &[u8], bytes_max: usize) -> Result<Bytes, BodyError> {
    let bad = |_| BodyError::BadEncoding;
    let length = snap::raw::decompress_len(body).map_err(bad)?;
    if length > bytes_max {
        return Err(BodyError::TooLarge);
    }
    if length > RATIO_FREE_BYTES && length / RATIO_MAX > body.len() {
        return Err(BodyError::Ratio);
    }
    snap::raw::Decoder::new().decompress_vec(body).map(Bytes::from).map_err(bad)
}

/// Takes what a decoder gives, up to the bounds.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
    /// Compressed bytes so far.
    taken: usize,
    error: Option<BodyError>,
}

impl Bounded {
    fn result(self, written: std::io::Result<()>) -> Result<Bytes, BodyError> {
        match (self.error, written) {
            (Some(error), _) => Err(error),
            (None, Err(_)) => Err(BodyError::BadEncoding),
            (None, Ok(())) => Ok(Bytes::from(self.bytes)),
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        let length = self.bytes.len() + piece.len();
        if length > self.bytes_max {
            self.error = Some(BodyError::TooLarge);
        } else if length > RATIO_FREE_BYTES && length / RATIO_MAX > self.taken {
            self.error = Some(BodyError::Ratio);
        } else {
            self.bytes.extend_from_slice(piece);
            return Ok(piece.len());
        }
        Err(std::io::Error::other("body is beyond its bound"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const MAX: usize = 4 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
    }

    fn check(body: Vec<u8>, encoding: Encoding, expected: Result<&[u8], BodyError>) {
        let decoded = decode(Bytes::from(body), encoding, MAX);
        assert_eq!(decoded.as_deref().map_err(|error| *error), expected);
    }

    #[test]
    fn every_encoding_is_taken_off() {
        let text = b"{\"a\":1}\n".repeat(10);
        check(gzip(&text), Encoding::Gzip, Ok(&text));
        check([gzip(&text), gzip(&text)].concat(), Encoding::Gzip, Ok(&text.repeat(2)));
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&text).expect("memory");
        check(zlib.finish().expect("memory"), Encoding::Deflate, Ok(&text));
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(&text).expect("memory");
        check(raw.finish().expect("memory"), Encoding::Deflate, Ok(&text));
        let frame = zstd::encode_all(&text[..], 3).expect("memory");
        check(frame.clone(), Encoding::Zstd, Ok(&text));
        check([frame.clone(), frame].concat(), Encoding::Zstd, Ok(&text.repeat(2)));
        let block = snap::raw::Encoder::new().compress_vec(&text).expect("memory");
        check(block, Encoding::Snappy, Ok(&text));
        check(text.clone(), Encoding::Identity, Ok(&text));
    }

    #[test]
    fn a_block_that_claims_too_much_is_not_begun() {
        // The length in front as a varint: 64 MiB, and 2 MiB of which there is one byte.
        check(vec![0x80, 0x80, 0x80, 0x20], Encoding::Snappy, Err(BodyError::TooLarge));
        check(vec![0x80, 0x80, 0x80, 0x01, 0], Encoding::Snappy, Err(BodyError::Ratio));
        check(b"nonsense".to_vec(), Encoding::Snappy, Err(BodyError::BadEncoding));
    }

    #[test]
    fn a_body_shows_how_it_is_compressed() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(b"{}").expect("memory");
        assert_eq!(Encoding::of_bytes(&zlib.finish().expect("memory")), Encoding::Deflate);
        assert_eq!(Encoding::of_bytes(&gzip(b"{}")), Encoding::Gzip);
        let frame = zstd::encode_all(&b"{}"[..], 3).expect("memory");
        assert_eq!(Encoding::of_bytes(&frame), Encoding::Zstd);
        for plain in ["", "x", "{}", "xylophone"] {
            assert_eq!(Encoding::of_bytes(plain.as_bytes()), Encoding::Identity, "{plain}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_bound() {
        let zeros = vec![b' '; 64 << 20];
        for (body, encoding) in [
            (gzip(&zeros), Encoding::Gzip),
            (zstd::encode_all(&zeros[..], 3).expect("memory"), Encoding::Zstd),
        ] {
            let stopped = decode(Bytes::from(body), encoding, 16 << 20);
            assert!(matches!(stopped, Err(BodyError::Ratio | BodyError::TooLarge)), "{stopped:?}");
        }
        let noise: Vec<u8> =
            (0..MAX as u32 + 10).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        check(gzip(&noise), Encoding::Gzip, Err(BodyError::TooLarge));
    }

    #[test]
    fn a_body_that_is_cut_or_damaged_is_refused() {
        let text = b"{\"a\":1}\n".repeat(100);
        let whole = gzip(&text);
        check(whole[..whole.len() - 4].to_vec(), Encoding::Gzip, Err(BodyError::BadEncoding));
        check(b"nonsense".to_vec(), Encoding::Gzip, Err(BodyError::BadEncoding));
        check(b"nonsense".to_vec(), Encoding::Zstd, Err(BodyError::BadEncoding));
        let frame = zstd::encode_all(&text[..], 3).expect("memory");
        check(frame[..frame.len() - 4].to_vec(), Encoding::Zstd, Err(BodyError::BadEncoding));
    }

    #[test]
    fn encodings_have_one_name() {
        assert_eq!(Encoding::from_name("GZIP"), Some(Encoding::Gzip));
        assert_eq!(Encoding::from_name("gzip, gzip"), None);
        assert_eq!(Encoding::from_name("br"), None);
    }
}
