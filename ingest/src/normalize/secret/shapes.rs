//! Secrets that are known by their form, whatever they are called.
//!
//! Input: a record, and where something begins that many secrets begin with. Output: the secret that stands
//! there, if it is one.

use super::{Secret, run};

/// What such a key is called among the findings.
pub(super) const PRIVATE_KEY: &str = "private_key";
/// Bytes of a private key.
const PRIVATE_KEY_BYTES_MAX: usize = 16 << 10;

/// `AKIA` and 16 capitals or digits, standing alone.
pub(super) fn aws_key(record: &[u8], start: usize) -> Option<Secret> {
    let end = start + run(&record[start..], |byte| byte.is_ascii_alphanumeric());
    let is_alone = start == 0 || !record[start - 1].is_ascii_alphanumeric();
    let is_key = end - start == 20
        && record[start..end].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    (is_alone && is_key).then_some(Secret { kind: "aws_access_key", start, end, quote: None })
}

/// Three parts of base 64 with dots between them, the first two JSON objects.
pub(super) fn token(record: &[u8], start: usize) -> Option<Secret> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if start > 0 && is_letter(record[start - 1]) {
        return None;
    }
    let part = |from: usize| {
        let length = run(record.get(from..)?, is_letter);
        (length >= 10).then_some(from + length)
    };
    let header = part(start)?;
    let body_start = header + 1;
    if record.get(header) != Some(&b'.') || !record.get(body_start..)?.starts_with(b"eyJ") {
        return None;
    }
    let body = part(body_start)?;
    if record.get(body) != Some(&b'.') {
        return None;
    }
    Some(Secret { kind: "jwt", start, end: part(body + 1)?, quote: None })
}

/// From `-----BEGIN … PRIVATE KEY-----` to its end, line breaks in whatever form.
pub(super) fn private_key(record: &[u8], start: usize) -> Option<Secret> {
    let text = &record[start..record.len().min(start + PRIVATE_KEY_BYTES_MAX)];
    let label = memchr::memmem::find(&text[..text.len().min(64)], b"PRIVATE KEY-----")?;
    let end = memchr::memmem::find(&text[label..], b"-----END ").and_then(|end| {
        let close = label + end + b"-----END ".len();
        Some(close + memchr::memmem::find(&text[close..], b"-----")? + 5)
    });
    // Cut off before its end it is still one, up to where its letters end.
    let end = end.unwrap_or_else(|| {
        let body = label + b"PRIVATE KEY-----".len();
        let is_body = |byte: u8| {
            byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"+/=\\".contains(&byte)
        };
        body + run(&text[body..], is_body)
    });
    Some(Secret { kind: PRIVATE_KEY, start, end: start + end, quote: None })
}
