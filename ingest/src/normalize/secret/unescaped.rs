//! A record with the letters of ASCII in place of `\u0070` and its like, which JSON may write for any letter.
//!
//! Input: a record. Output: the same with those letters, and where each stood. A quote becomes one with a
//! backslash, as JSON inside JSON has it otherwise: `{\u0022a\u0022:1}` is what .NET writes for `{\"a\":1}`.

use super::Secret;

const ESCAPE: &[u8] = b"\\u00";
const ESCAPE_BYTES: usize = 6;

/// The letters, and where they stood.
pub(super) struct Unescaped {
    pub(super) bytes: Vec<u8>,
    /// Of each byte, and of the end.
    places: Vec<usize>,
}

impl Unescaped {
    /// Nothing when the record has no such letter.
    pub(super) fn of(record: &[u8]) -> Option<Self> {
        let mut escapes = memchr::memmem::find_iter(record, ESCAPE).peekable();
        escapes.peek()?;
        let mut plain = Self { bytes: Vec::with_capacity(record.len()), places: Vec::new() };
        plain.places.reserve(record.len() + 1);
        let mut end = 0;
        for at in escapes {
            let Some(letter) = letter_at(&record[at..]) else { continue };
            let backslashes = record[end..at].iter().rev().take_while(|b| **b == b'\\').count();
            plain.copy(record, end, at - backslashes);
            // Each level of JSON doubles them, and has one more before a quote than before `u`.
            let escaped = if matches!(letter, b'"' | b'\\') { 2 * backslashes + 1 } else { 0 };
            for byte in std::iter::repeat_n(b'\\', escaped).chain([letter]) {
                plain.bytes.push(byte);
                plain.places.push(at - backslashes);
            }
            end = at + ESCAPE_BYTES;
        }
        plain.copy(record, end, record.len());
        plain.places.push(record.len());
        Some(plain)
    }

    fn copy(&mut self, record: &[u8], start: usize, end: usize) {
        self.bytes.extend_from_slice(&record[start..end]);
        self.places.extend(start..end);
    }

    /// The same finding in the record.
    pub(super) fn in_record(&self, secret: Secret) -> Secret {
        Secret { start: self.places[secret.start], end: self.places[secret.end], ..secret }
    }
}

/// The letter that `\u00XX` stands for, when it is one that is shown.
fn letter_at(escape: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(escape.get(ESCAPE.len()..ESCAPE_BYTES)?).ok()?;
    let letter = u8::from_str_radix(digits, 16).ok()?;
    (letter.is_ascii_graphic() || letter == b' ').then_some(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_in_place_of_their_numbers() {
        let check = |record: &str, expected: Option<&str>| {
            let plain = Unescaped::of(record.as_bytes());
            let shown = plain.map(|plain| String::from_utf8(plain.bytes).expect("text"));
            assert_eq!(shown.as_deref(), expected, "{record}");
        };
        check("a", None);
        check(r"p\u0061ss\u003d", Some("pass="));
        check(r"{\u0022a\u0022:1}", Some(r#"{\"a\":1}"#));
        check(r"\\u0022a", Some(r#"\\\"a"#));
        check(r"\\u0061\u00e9\u0000\u00", Some(r"a\u00e9\u0000\u00"));
    }
}
