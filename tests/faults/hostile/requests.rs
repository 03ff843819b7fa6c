//! Requests that attack the server of HTTP, byte for byte: lengths, heads, methods, paths, other protocols.

use crate::wire::Then::{self, End, Listen};

/// What is sent, and which answers will do; 0 is a connection closed without one.
pub(super) struct Request {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) then: Then,
    pub(super) statuses: &'static [u16],
}

/// A record that no request of these may store.
const SMUGGLED: &str = "{\"message\":\"smuggled\"}";

/// Requests with this token, which may send.
pub(super) fn all(token: &str) -> Vec<Request> {
    let tables = [lengths(token), heads(token), methods(token), paths(token), others()];
    let all = tables.into_iter().flatten();
    all.map(|(name, bytes, then, statuses)| Request { name, bytes, then, statuses }).collect()
}

type Row = (&'static str, Vec<u8>, Then, &'static [u16]);

/// A POST to the ingest path with these lines in its head.
fn post(token: &str, head: &str, body: &str) -> Vec<u8> {
    format!("POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{head}\r\n{body}").into_bytes()
}

fn lengths(token: &str) -> Vec<Row> {
    let inner = format!(
        "POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{SMUGGLED}",
        SMUGGLED.len()
    );
    let long = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n";
    let turned = "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n";
    let twice = "Content-Length: 22\r\nContent-Length: 22\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let chunks = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let with = |head: &str, body: &str| post(token, head, body);
    vec![
        ("a length and chunks", with(long, &format!("0\r\n\r\n{inner}")), Listen, &[400]),
        ("chunks and a length", with(turned, &format!("0\r\n\r\n{inner}")), Listen, &[400]),
        ("a length and a whole record in chunks", with(long, &chunks), Listen, &[400]),
        ("a whole record in chunks and a length", with(turned, &chunks), Listen, &[400]),
        ("one length twice", with(twice, SMUGGLED), Listen, &[400]),
        (
            "two lengths",
            with("Content-Length: 0\r\nContent-Length: 44\r\n", &inner),
            Listen,
            &[400],
        ),
        ("a list of lengths", with("Content-Length: 0, 44\r\n", &inner), Listen, &[400]),
        ("a negative length", with("Content-Length: -1\r\n", SMUGGLED), Listen, &[400]),
        ("a length with a plus", with("Content-Length: +22\r\n", SMUGGLED), Listen, &[400]),
        ("a length in hexadecimal", with("Content-Length: 0x16\r\n", SMUGGLED), Listen, &[400]),
        (
            "a length beyond 64 bits",
            with("Content-Length: 99999999999999999999\r\n", SMUGGLED),
            Listen,
            &[400],
        ),
        (
            "a length of 64 bits",
            with("Content-Length: 18446744073709551615\r\n", SMUGGLED),
            Listen,
            &[400, 413, 431],
        ),
        ("a length of 1 TB", with("Content-Length: 1000000000000\r\n", SMUGGLED), Listen, &[413]),
        (
            "a body shorter than its length",
            with("Content-Length: 1000\r\n", SMUGGLED),
            End,
            &[400, 0],
        ),
        ("a chunk that has no size", with(chunked, "zz\r\nabc\r\n0\r\n\r\n"), Listen, &[400]),
        ("a chunk of negative size", with(chunked, "-5\r\nabc\r\n0\r\n\r\n"), Listen, &[400]),
        (
            "a chunk beyond 64 bits",
            with(chunked, "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
            Listen,
            &[400],
        ),
        ("a chunk of 16 exabytes", with(chunked, "ffffffffffffffff\r\nabc"), End, &[400, 413, 0]),
        (
            "a chunk longer than its size",
            with(chunked, &format!("1\r\n{SMUGGLED}\r\n0\r\n\r\n")),
            Listen,
            &[400],
        ),
        ("chunks that never end", with(chunked, "5\r\nabcde\r\n"), End, &[400, 0]),
        (
            "an endless chunk extension",
            with(chunked, &format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(200_000))),
            Listen,
            &[400],
        ),
        (
            "endless trailers",
            with(chunked, &format!("0\r\n{}\r\n", "X-T: y\r\n".repeat(20_000))),
            Listen,
            &[400],
        ),
        (
            "chunks, but not last",
            with("Transfer-Encoding: chunked, identity\r\n", &inner),
            Listen,
            &[400],
        ),
        (
            "a transfer encoding nobody has",
            with("Transfer-Encoding: xchunked\r\n", &inner),
            Listen,
            &[400, 501],
        ),
        (
            "chunks with a tab before",
            with(
                "Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n",
                &format!("0\r\n\r\n{inner}"),
            ),
            Listen,
            &[400],
        ),
        ("a space before the colon", with("Content-Length : 22\r\n", SMUGGLED), Listen, &[400]),
    ]
}

fn heads(token: &str) -> Vec<Row> {
    let with = |head: &str| post(token, &format!("Content-Length: 0\r\n{head}"), "");
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    vec![
        (
            "a header of 17 KiB",
            with(&format!("X-Long: {}\r\n", "x".repeat(17 << 10))),
            Listen,
            &[431],
        ),
        (
            "a header of 1 MiB",
            with(&format!("X-Long: {}\r\n", "x".repeat(1 << 20))),
            Listen,
            &[431],
        ),
        ("200 headers", with(&many), Listen, &[431]),
        ("a header of NULs", with("X-Nul: a\0b\r\n"), Listen, &[400]),
        ("a header without a colon", with("nonsense\r\n"), Listen, &[400]),
        ("a header without a name", with(": x\r\n"), Listen, &[400]),
        ("a folded header", with("X-Fold: a\r\n b\r\n"), Listen, &[400]),
        (
            "a name that is no UTF-8",
            [&b"GET /livez HTTP/1.1\r\nHost: x\r\n\xFF: 1\r\n\r\n"[..]].concat(),
            Listen,
            &[400],
        ),
        (
            "a key of 129 characters",
            with(&format!("Idempotency-Key: {}\r\n", "k".repeat(129))),
            Listen,
            &[400],
        ),
        ("an empty key", with("Idempotency-Key: \r\n"), Listen, &[400]),
        ("a key that is no ASCII", with("Idempotency-Key: schl\u{fc}ssel\r\n"), Listen, &[400]),
        ("a token that is none", post("lw_nothing", "Content-Length: 0\r\n", ""), Listen, &[401]),
        (
            "a token of 10 KB",
            post(&"x".repeat(10_000), "Content-Length: 0\r\n", ""),
            Listen,
            &[401],
        ),
        (
            "no token and 1 GB to come",
            b"POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
                .to_vec(),
            Listen,
            &[401],
        ),
        (
            "a password that is no base64",
            b"GET /api/v1/search HTTP/1.1\r\nHost: x\r\nAuthorization: Basic !!!\r\n\r\n".to_vec(),
            Listen,
            &[401],
        ),
        ("only a line feed", b"\n\n\n\n\n\n\n\n".to_vec(), End, &[400, 0]),
        ("half a head", b"POST /api/v1/ingest HTTP/1.1\r\nHos".to_vec(), End, &[400, 0]),
        (
            "a head of 100,000 line breaks",
            [&b"GET / HTTP/1.1"[..], &b"\r\n".repeat(100_000)].concat(),
            Listen,
            &[400, 200, 404],
        ),
    ]
}

fn methods(token: &str) -> Vec<Row> {
    let with = |line: &str| {
        format!("{line}\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len()).into_bytes()
    };
    vec![
        ("TRACE", with("TRACE /api/v1/ingest HTTP/1.1"), Listen, &[405]),
        ("PUT", with("PUT /api/v1/ingest HTTP/1.1"), Listen, &[405]),
        ("CONNECT", with("CONNECT 127.0.0.1:22 HTTP/1.1"), Listen, &[400, 401, 404, 405]),
        ("a method nobody has", with("SPLICE /api/v1/ingest HTTP/1.1"), Listen, &[405]),
        ("a method in small letters", with("post /api/v1/ingest HTTP/1.1"), Listen, &[400, 405]),
        ("a method of 10,000 letters", with(&format!("{} / HTTP/1.1", "A".repeat(10_000))), Listen, &[400, 404, 405, 431]),
        ("another method in a header", format!("GET /api/v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nX-HTTP-Method-Override: POST\r\n\r\n").into_bytes(), Listen, &[405]),
        ("HTTP/0.9", b"GET /\r\n".to_vec(), End, &[400, 0]),
        ("HTTP/9.9", with("POST /api/v1/ingest HTTP/9.9"), Listen, &[400, 505]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), Listen, &[400, 505, 0]),
        ("an upgrade", b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n".to_vec(), Listen, &[200]),
    ]
}

fn paths(token: &str) -> Vec<Row> {
    let to = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len()).into_bytes()
    };
    let nothing: &[u16] = &[400, 401, 404, 405];
    vec![
        ("two slashes", to("//api/v1/ingest"), Listen, nothing),
        ("two slashes inside", to("/api//v1/ingest"), Listen, nothing),
        ("a slash at the end", to("/api/v1/ingest/"), Listen, nothing),
        ("a letter as an escape", to("/api/v1/%69ngest"), Listen, nothing),
        ("a slash as an escape", to("/api%2fv1%2fingest"), Listen, nothing),
        ("an escape of an escape", to("/api/v1%252fingest"), Listen, nothing),
        ("up and down again", to("/api/v1/../v1/ingest"), Listen, nothing),
        ("up as escapes", to("/api/v1/%2e%2e/v1/ingest"), Listen, nothing),
        ("a dot", to("/api/v1/./ingest"), Listen, nothing),
        ("capitals", to("/API/V1/INGEST"), Listen, nothing),
        ("a semicolon", to("/api/v1/ingest;x=1"), Listen, nothing),
        ("a backslash", to("/api\\v1\\ingest"), Listen, nothing),
        ("a NUL", to("/api/v1/ingest%00"), Listen, nothing),
        ("a file of the system", to("/../../../../etc/passwd"), Listen, nothing),
        (
            "a file of the system as escapes",
            to("/assets/..%2f..%2f..%2fetc%2fpasswd"),
            Listen,
            nothing,
        ),
        ("a path nobody declared", to("/api/v1/nothing"), Listen, nothing),
        ("an admin's path", to("/api/v1/users"), Listen, &[403, 415]),
        ("an escape that is none", to("/api/v1/%zz"), Listen, nothing),
        (
            "a path that is no ASCII",
            [b"GET /\xFF\xFE HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()].concat(),
            Listen,
            &[400, 404],
        ),
        (
            "a path of 20 KiB",
            to(&format!("/{}", "a".repeat(20 << 10))),
            Listen,
            &[400, 404, 414, 431],
        ),
        (
            "a path of 100 KiB",
            to(&format!("/{}", "a".repeat(100 << 10))),
            Listen,
            &[400, 404, 414, 431],
        ),
        (
            "a token in the URL",
            format!(
                "POST /api/v1/ingest?token={token} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
            )
            .into_bytes(),
            Listen,
            &[401],
        ),
    ]
}

fn others() -> Vec<Row> {
    let hello = b"\x16\x03\x01\x00\x2F\x01\x00\x00\x2B\x03\x03\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1A\x1B\x1C\x1D\x1E\x1F\x00\x00\x04\x13\x01\x13\x02\x01\x00";
    vec![
        ("TLS", hello.to_vec(), Listen, &[400, 0]),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(), Listen, &[400, 0]),
        (
            "mail",
            b"EHLO example.org\r\nMAIL FROM:<a@example.org>\r\n\r\n".to_vec(),
            Listen,
            &[400, 0],
        ),
        ("syslog", b"<13>1 2026-01-01T00:00:00Z h a - - - x\n\r\n\r\n".to_vec(), Listen, &[400, 0]),
        ("JSON lines", format!("{SMUGGLED}\n\r\n\r\n").into_bytes(), Listen, &[400, 0]),
        ("zeros", vec![0; 100_000], End, &[400, 431, 0]),
        ("bytes of every value", (0..=255).cycle().take(100_000).collect(), End, &[400, 431, 0]),
    ]
}
