//! The wire formats of clients, written by hand: what stands on the wire is seen here, and no library of
//! ours can be wrong on both sides.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::Value;

/// A body as `Content-Encoding: gzip` has it.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

/// A body in zlib.
pub(super) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

/// A raw Snappy block of literals alone.
pub(super) fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut block = varint(bytes.len() as u64);
    for piece in bytes.chunks(1 << 16) {
        block.push(61 << 2);
        block.extend_from_slice(&u16::try_from(piece.len() - 1).expect("16 bits").to_le_bytes());
        block.extend_from_slice(piece);
    }
    block
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A text or message of Protocol Buffers.
pub(super) fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A number of Protocol Buffers.
pub(super) fn number(number: u8, value: u64) -> Vec<u8> {
    [vec![number << 3], varint(value)].concat()
}

/// A value in MessagePack.
pub(super) fn msgpack(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => vec![0xC0],
        Value::Bool(value) => vec![if *value { 0xC3 } else { 0xC2 }],
        Value::Number(value) => match value.as_u64() {
            Some(value) => [&[0xCF][..], &value.to_be_bytes()].concat(),
            None => [&[0xCB][..], &value.as_f64().expect("a number").to_be_bytes()].concat(),
        },
        Value::String(text) => packed_text(text),
        Value::Array(items) => {
            let head = [&[0xDC][..], &length(items.len())].concat();
            [head, items.iter().flat_map(msgpack).collect()].concat()
        }
        Value::Object(members) => {
            let head = [&[0xDE][..], &length(members.len())].concat();
            let members =
                members.iter().flat_map(|(key, value)| [packed_text(key), msgpack(value)]);
            [head, members.flatten().collect()].concat()
        }
    }
}

fn packed_text(text: &str) -> Vec<u8> {
    [&[0xDA][..], &length(text.len()), text.as_bytes()].concat()
}

fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).expect("16 bits").to_be_bytes()
}

/// Binary data in MessagePack.
pub(super) fn packed_bytes(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("32 bits").to_be_bytes();
    [&[0xC6][..], &length, bytes].concat()
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("24 bits").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A connection of HTTP/2 with one call: preface, settings, head, message.
pub(super) fn grpc(path: &str, token: &str, message: &[u8]) -> Vec<u8> {
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "OTel-OTLP-Exporter-Python/1.45 grpc-python/1.76"),
        ("authorization", &format!("Bearer {token}")),
    ];
    // Literals that are not indexed and not compressed.
    let text =
        |text: &str| [&[u8::try_from(text.len()).expect("short")][..], text.as_bytes()].concat();
    let head: Vec<u8> = headers
        .iter()
        .flat_map(|(name, value)| [vec![0], text(name), text(value)].concat())
        .collect();
    let length = u32::try_from(message.len()).expect("32 bits").to_be_bytes();
    let body = [&[0][..], &length, message].concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    bytes.extend(frame(1, 4, 1, &head));
    for piece in body.chunks(16_384) {
        bytes.extend(frame(0, 0, 1, piece));
    }
    bytes.extend(frame(0, 1, 1, &[]));
    bytes
}

/// Text in Base64.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, at| {
            bits << 8 | u32::from(group.get(at).copied().unwrap_or_default())
        });
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// Text of a form.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs).finish()
}
