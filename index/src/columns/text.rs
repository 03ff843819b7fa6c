//! What the cutting of records needs to know of text: words, tokens, JSON's escapes, times.

use logwarden_event::Timestamp;

/// Whether a byte may belong to a word; of a letter beyond ASCII every byte may.
pub(super) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Bytes of the token that begins here: words joined by single dots and hyphens.
pub(super) fn token_len(bytes: &[u8]) -> usize {
    let mut len = 0;
    loop {
        len += bytes[len..].iter().take_while(|byte| is_word_byte(**byte)).count();
        match bytes[len..] {
            [b'.' | b'-', next, ..] if is_word_byte(next) => len += 1,
            _ => return len,
        }
    }
}

/// Where the string that began before `at` is closed.
pub(super) fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Takes JSON's escapes off; false when there is one that is not canonical.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let Some(letter) = rest.get(at + 1) else { return false };
        out.push(match letter {
            b'"' | b'\\' => *letter,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            _ => return false,
        });
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    true
}

/// Puts JSON's escapes on; `None` when there is a character that has no short one.
pub(super) fn escape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() + 8);
    for byte in text {
        let letter = match byte {
            b'"' | b'\\' => *byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 => return None,
            _ => {
                out.push(*byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
    Some(out)
}

/// Bytes of the time in RFC 3339 and UTC that stands here.
pub(super) fn time_len(bytes: &[u8]) -> Option<usize> {
    let is_time =
        bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[0].is_ascii_digit();
    if !is_time {
        return None;
    }
    let digits =
        bytes[19..].iter().take_while(|byte| **byte == b'.' || byte.is_ascii_digit()).count();
    (bytes.get(19 + digits) == Some(&b'Z')).then_some(20 + digits)
}

/// With how many digits after the second this text is that time.
pub(super) fn time_digits(text: &[u8], time: Timestamp) -> Option<u8> {
    if time_len(text) != Some(text.len()) {
        return None;
    }
    let digits = u8::try_from(text.len().saturating_sub(21)).ok().filter(|digits| *digits <= 9)?;
    let mut same = Vec::with_capacity(text.len());
    put_time(&mut same, time, digits);
    (same == text).then_some(digits)
}

/// Appends a time in RFC 3339 and UTC, cut after so many digits of the second.
pub(super) fn put_time(out: &mut Vec<u8>, time: Timestamp, digits: u8) {
    const NANOS: i64 = 1_000_000_000;
    let seconds = time.nanos().div_euclid(NANOS);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    put_digits(out, year, 4);
    for (mark, number) in [
        (b'-', month),
        (b'-', day),
        (b'T', second / 3_600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.push(mark);
        put_digits(out, number, 2);
    }
    if digits > 0 {
        out.push(b'.');
        let start = out.len();
        put_digits(out, time.nanos().rem_euclid(NANOS), 9);
        out.truncate(start + usize::from(digits.min(9)));
    }
    out.push(b'Z');
}

fn put_digits(out: &mut Vec<u8>, mut number: i64, len: usize) {
    let start = out.len();
    out.resize(start + len, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day since 1970 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_are_those_of_the_event(nanos in any::<i64>()) {
            let time = Timestamp::from_nanos(nanos);
            let mut out = Vec::new();
            put_time(&mut out, time, 9);
            prop_assert_eq!(Timestamp::parse_rfc3339(std::str::from_utf8(&out).expect("ASCII")), Some(time));
            prop_assert_eq!(time_digits(&out, time), Some(9));
        }

        #[test]
        fn escapes_come_off_and_on(text in "[a\"\\\\\n\té]{0,9}") {
            let escaped = escape(text.as_bytes()).expect("short escapes");
            let mut back = Vec::new();
            prop_assert!(unescape(&escaped, &mut back));
            prop_assert_eq!(back, text.as_bytes());
            let quoted = [&escaped[..], b"\" and more"].concat();
            prop_assert_eq!(string_end(&quoted, 0), Some(escaped.len()));
        }
    }

    #[test]
    fn tokens_end_where_words_do() {
        let len = |text: &str| token_len(text.as_bytes());
        assert_eq!(len("10.2.0.9:443"), 8);
        assert_eq!(len("node-17. next"), 7);
        assert_eq!(len("é1 x"), 3);
        assert_eq!(time_len(b"2026-11-24T13:51:22.5Z x"), Some(22));
        assert_eq!(time_len(b"2026-11-24 13:51:22.5Z x"), None);
    }
}
