//! Streams of bytes that attack the TCP door, after a good line and each on a connection of its own.

use crate::wire::Then::{self, End, Listen};

/// What is sent over one connection, and what comes of it.
pub(super) struct Stream {
    pub(super) name: &'static str,
    /// [`WORD`] stands for a word of its own.
    pub(super) bytes: Vec<u8>,
    pub(super) then: Then,
    /// Events that hold the word.
    pub(super) events: u64,
    pub(super) dead_letters: u64,
}

/// Replaced by a word of the same length.
pub(super) const WORD: &str = "STREAM";

type Row = (&'static str, Vec<u8>, Then, u64, u64);

/// Streams to a listener that admits the sender by its network.
pub(super) fn all() -> Vec<Stream> {
    let tables = [lines(), counts(), others()];
    let all = tables.into_iter().flatten();
    let stream = |(name, bytes, then, events, dead_letters)| Stream {
        name,
        bytes,
        then,
        events,
        dead_letters,
    };
    all.map(stream).collect()
}

const JSON: &[u8] = b"{\"stream\":\"STREAM\"}\n";
const COUNTED: &[u8] = b"14 <13>app STREAM";

fn after(good: &[u8], bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [good, bytes.as_ref()].concat()
}

fn lines() -> Vec<Row> {
    let mib = 1 << 20;
    vec![
        ("half a line at the end", after(JSON, "{\"stream\":\"STREAM\""), End, 1, 1),
        ("a whole record without its line feed", after(JSON, "{\"stream\":\"STREAM\"}"), End, 1, 1),
        ("5 MiB without a line feed", after(JSON, vec![b'x'; 5 * mib]), End, 1, 1),
        (
            "5 MiB of brackets and a good line",
            [JSON, &vec![b'['; 5 * mib], b"\n", JSON].concat(),
            End,
            2,
            1,
        ),
        ("200,000 empty lines", [JSON, &b"\n".repeat(200_000), JSON].concat(), End, 2, 0),
        (
            "100,000 line breaks of both kinds",
            [JSON, &b"\r\n\n\r".repeat(50_000), JSON].concat(),
            End,
            2,
            0,
        ),
        ("syslog after JSON", [JSON, b"<13>app: x\n", JSON].concat(), End, 2, 1),
        (
            "three records on one line",
            after(JSON, "{\"stream\":\"STREAM\"}{\"stream\":\"STREAM\"} {\"stream\":\"STREAM\"}\n"),
            End,
            4,
            0,
        ),
        ("a request after JSON", [JSON, b"GET / HTTP/1.1\r\n\r\n", JSON].concat(), End, 2, 1),
        ("a line of NULs", [JSON, &[0; 4_000], b"\n", JSON].concat(), End, 2, 1),
    ]
}

fn counts() -> Vec<Row> {
    let good = COUNTED;
    vec![
        ("a count of letters", after(good, "1x4 <13>app x"), Listen, 1, 1),
        ("a negative count", after(good, "-14 <13>app x"), Listen, 1, 1),
        ("a count of zero", after(good, "0 <13>app x"), Listen, 1, 1),
        ("a count beyond 64 bits", after(good, "99999999999999999999 <13>app x"), Listen, 1, 1),
        ("a count of 9 GB", after(good, "9999999999 <13>app x"), End, 1, 0),
        ("a count that is too high", after(good, "500 <13>app x"), End, 1, 0),
        ("a count that is too low", after(good, "8 <13>app STREAM"), Listen, 1, 1),
        (
            "5 MiB counted, and a good one",
            [good, format!("{} ", 5 << 20).as_bytes(), &vec![b'y'; 5 << 20], good].concat(),
            End,
            2,
            1,
        ),
        ("200,000 line feeds between", [good, &b"\n".repeat(200_000), good].concat(), End, 2, 0),
    ]
}

fn others() -> Vec<Row> {
    vec![
        ("TLS", b"\x16\x03\x01\x00\x2F\x01\x00\x00\x2B\x03\x03".to_vec(), Listen, 0, 0),
        ("HTTP", b"POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), Listen, 0, 0),
        ("HTTP/2 without a call", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), End, 0, 0),
        (
            "HTTP/2 of frames that are none",
            [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0xFF; 4_000]].concat(),
            Listen,
            0,
            0,
        ),
        ("SSH", b"SSH-2.0-OpenSSH_9.2 STREAM\r\n".to_vec(), End, 1, 0),
        ("pickle", b"\x00\x00\x01\x2F}q\x01(X".to_vec(), Listen, 0, 0),
        ("zeros", vec![0; 100_000], Listen, 0, 0),
        ("nothing", Vec::new(), End, 0, 0),
        ("a line feed", b"\n".to_vec(), End, 0, 0),
        ("a number", b"4711".to_vec(), End, 0, 0),
        (
            "syslog of broken UTF-8",
            b"<13>app \xFF\xFESTREAM\xC0\xAF\n<13>app STREAM\n".to_vec(),
            End,
            2,
            0,
        ),
        (
            "syslog with a priority nobody has",
            b"<999>app STREAM\n<-1>app STREAM\n<>app STREAM\n".to_vec(),
            End,
            3,
            0,
        ),
        (
            "syslog of structure without an end",
            format!("<13>1 - - - - - [a b=\"{}\nSTREAM\n", "\\\"".repeat(50_000)).into_bytes(),
            End,
            1,
            0,
        ),
        (
            "syslog with 50,000 elements",
            format!("<13>1 - - - - - {} STREAM\n", "[a b=\"c\"]".repeat(50_000)).into_bytes(),
            End,
            1,
            0,
        ),
        (
            "syslog of 2 MiB",
            [b"<13>app ".to_vec(), vec![b'z'; 2 << 20], b"\n<13>app STREAM\n".to_vec()].concat(),
            End,
            1,
            1,
        ),
        (
            "syslog that ends in NUL",
            b"<13>app STREAM\n<13>forged\0<13>app STREAM\0".to_vec(),
            End,
            2,
            0,
        ),
        ("syslog without an end", b"<13>app STREAM".to_vec(), End, 1, 0),
    ]
}
