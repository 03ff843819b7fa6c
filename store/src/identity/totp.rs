//! The second factor: codes by time (RFC 6238: HMAC-SHA-1, 30 seconds, six digits), as every
//! authenticator app makes them.
//!
//! A code counts once, and a step early or late, so that clocks may differ by half a minute.

use logwarden_event::Timestamp;
use ring::hmac;

/// Bytes of a secret, as RFC 4226 recommends.
pub(super) const SECRET_BYTES: usize = 20;
/// How long one code stands.
const STEP_SECS: i64 = 30;
/// Steps that a code may come early or late.
const DRIFT_STEPS: i64 = 1;
const DIGITS: usize = 6;
const MODULUS: u32 = 1_000_000;
/// RFC 4648.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new secret, as people type it into an app.
pub(super) fn new_secret() -> String {
    encode(&crate::random::unguessable::<SECRET_BYTES>())
}

/// The step whose code this is; `None` when it is none that counts now, or not after `last`.
pub(super) fn step_of(secret: &[u8], code: &str, now: Timestamp, last: Option<i64>) -> Option<i64> {
    let digits: Vec<u8> = code.bytes().filter(|letter| !letter.is_ascii_whitespace()).collect();
    if digits.len() != DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let given = digits.iter().fold(0, |sum: u32, digit| sum * 10 + u32::from(digit - b'0'));
    let present = now.secs().div_euclid(STEP_SECS);
    let mut found = None;
    // Every step is computed, so that the time taken does not say which one it was.
    for step in present - DRIFT_STEPS..=present + DRIFT_STEPS {
        let is_it = code_at(secret, step) == given && last.is_none_or(|last| step > last);
        found = found.or(is_it.then_some(step));
    }
    found
}

/// The code of a step.
fn code_at(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 0x0f);
    let word = [tag[offset] & 0x7f, tag[offset + 1], tag[offset + 2], tag[offset + 3]];
    u32::from_be_bytes(word) % MODULUS
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(char::from(ALPHABET[((bits >> count) & 31) as usize]));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        text.push(char::from(ALPHABET[((bits << (5 - count)) & 31) as usize]));
    }
    text
}

/// The bytes of a secret; `None` when the text is none of ours.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes().filter(|letter| !letter.is_ascii_whitespace()) {
        let letter = letter.to_ascii_uppercase();
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        bits = (bits << 5) | u32::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
        bits &= (1 << count) - 1;
    }
    (bytes.len() == SECRET_BYTES).then_some(bytes)
}

/// The code that an app shows now, for tests.
#[cfg(test)]
pub(super) fn code_now(secret: &str, now: Timestamp) -> String {
    let secret = decode(secret).expect("a secret");
    format!("{:06}", code_at(&secret, now.secs().div_euclid(STEP_SECS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (secs, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let now = Timestamp::from_secs(secs.min(9_000_000_000));
            if now.secs() == secs {
                assert_eq!(step_of(secret, code, now, None), Some(secs / 30), "{secs}");
            }
            assert_eq!(format!("{:06}", code_at(secret, secs / 30)), code);
        }
    }

    #[test]
    fn a_code_counts_once_and_a_step_early_or_late() {
        let secret = b"12345678901234567890";
        let at = |secs| Timestamp::from_secs(secs);
        assert_eq!(step_of(secret, "287 082", at(59), None), Some(1));
        assert_eq!(step_of(secret, "287082", at(59), Some(1)), None);
        assert_eq!(step_of(secret, "287082", at(29), None), Some(1));
        assert_eq!(step_of(secret, "287082", at(89), None), Some(1));
        assert_eq!(step_of(secret, "287082", at(90), None), None);
        for wrong in ["", "28708", "2870821", "28708x", "287081"] {
            assert_eq!(step_of(secret, wrong, at(59), None), None, "{wrong}");
        }
    }

    #[test]
    fn a_secret_survives_being_typed() {
        let secret = new_secret();
        assert_eq!(secret.len(), 32);
        let bytes = decode(&secret.to_lowercase()).expect("a secret");
        assert_eq!(encode(&bytes), secret);
        assert_eq!(encode(b"12345678901234567890"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for wrong in ["", "ABC", "0189", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQAA"] {
            assert!(decode(wrong).is_none(), "{wrong}");
        }
    }
}
