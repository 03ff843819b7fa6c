//! Secrets that are known by their form, whatever they are called.
//!
//! Input: a record, and where something begins that many secrets begin with. Output: the secret that stands
//! there, if it is one.

use super::{Secret, VALUE_BYTES_MIN, run};

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

/// Letters behind the beginning of a token that its service gave out.
const ISSUED_LETTERS_MIN: usize = 16;

/// A token of GitHub, GitLab, Slack, Stripe or Google, which all begin in a way of their own.
pub(super) fn issued(record: &[u8], start: usize, body: usize) -> Option<Secret> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let end = body + run(&record[body..], is_letter);
    let is_alone = start == 0 || !is_letter(record[start - 1]);
    let is_token =
        end - body >= ISSUED_LETTERS_MIN && record[body..end].iter().any(u8::is_ascii_digit);
    (is_alone && is_token).then_some(Secret { kind: "token", start, end, quote: None })
}

/// Bytes of what stands before the host in an address.
const CREDENTIALS_BYTES_MAX: usize = 256;

/// The password of `scheme://user:password@host`; `start` is behind the slashes.
pub(super) fn in_url(record: &[u8], start: usize) -> Option<Secret> {
    let text = &record[start..record.len().min(start + CREDENTIALS_BYTES_MAX)];
    let ends = |byte: u8| byte.is_ascii_whitespace() || b"/?#\"'<>\\,;`".contains(&byte);
    let authority = &text[..run(text, |byte| !ends(byte))];
    let end = memchr::memrchr(b'@', authority)?;
    let colon = memchr::memchr(b':', &authority[..end])?;
    let password = &authority[colon + 1..end];
    // `***`, `xxxx`, `${PASSWORD}` and `[REDACTED]` stand for one.
    let is_blank = matches!(password.first(), Some(b'{' | b'['))
        || password.starts_with(b"${")
        || password.starts_with(b"***")
        || password.iter().all(|byte| matches!(byte, b'x' | b'X' | b'.' | b'*'));
    let (start, end) = (start + colon + 1, start + end);
    let is_one = end - start >= VALUE_BYTES_MIN && !is_blank;
    is_one.then_some(Secret { kind: "password", start, end, quote: None })
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
