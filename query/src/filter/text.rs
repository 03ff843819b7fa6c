//! Texts compared without regard to case, and values as text, mostly without an allocation.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::{self, Write};

use logwarden_event::Value;

/// Hands the text of `value` to `test`; null has none and gives false.
pub(crate) fn with_text(value: Value<'_>, test: impl FnOnce(&str) -> bool) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) | Value::Json(text) => test(text),
        other => {
            let mut buffer = TextBuffer { bytes: [0; TEXT_BYTES], len: 0 };
            match write!(buffer, "{other}") {
                Ok(()) => test(buffer.as_str()),
                Err(fmt::Error) => test(&other.to_string()),
            }
        }
    }
}

/// Numbers up to 20 digits, addresses and times are shorter; a huge float is not.
const TEXT_BYTES: usize = 48;

struct TextBuffer {
    bytes: [u8; TEXT_BYTES],
    len: usize,
}

impl TextBuffer {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("only whole strings were written")
    }
}

impl Write for TextBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// `text` in lower case, by the definition the index uses.
pub(crate) fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

pub(super) fn equals(text: &str, wanted: &str, cased: bool) -> bool {
    if cased {
        return text == wanted;
    }
    if text.is_ascii() && wanted.is_ascii() {
        return text.eq_ignore_ascii_case(wanted);
    }
    lower(text) == lower(wanted)
}

pub(super) fn starts_with(text: &str, wanted: &str, cased: bool) -> bool {
    if cased {
        return text.starts_with(wanted);
    }
    if text.is_ascii() && wanted.is_ascii() {
        return text.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted));
    }
    lower(text).starts_with(&*lower(wanted))
}

pub(super) fn ends_with(text: &str, wanted: &str, cased: bool) -> bool {
    if cased {
        return text.ends_with(wanted);
    }
    if text.is_ascii() && wanted.is_ascii() {
        let start = text.len().checked_sub(wanted.len());
        return start.is_some_and(|start| text[start..].eq_ignore_ascii_case(wanted));
    }
    lower(text).ends_with(&*lower(wanted))
}

pub(super) fn contains(text: &str, wanted: &str, cased: bool) -> bool {
    if cased {
        return text.contains(wanted);
    }
    if text.is_ascii() && wanted.is_ascii() {
        return contains_ascii(text.as_bytes(), wanted.as_bytes());
    }
    lower(text).contains(&*lower(wanted))
}

fn contains_ascii(text: &[u8], wanted: &[u8]) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return true };
    let Some(last_start) = text.len().checked_sub(wanted.len()) else { return false };
    let (low, up) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    let mut from = 0;
    while let Some(step) = memchr::memchr2(low, up, &text[from..=last_start]) {
        let after = from + step + 1;
        if text[after..after + rest.len()].eq_ignore_ascii_case(rest) {
            return true;
        }
        if after > last_start {
            return false;
        }
        from = after;
    }
    false
}

/// Compares the lower-case forms, byte by byte.
pub(super) fn compare(text: &str, other: &str) -> Ordering {
    lower(text).cmp(&lower(other))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_that_is_longer_than_the_buffer_is_whole() {
        for value in [Value::Float(1e300), Value::Float(-1.5e-300), Value::Integer(u64::MAX.into())]
        {
            assert!(with_text(value, |text| text == value.to_string()));
        }
        assert!(!with_text(Value::Null, |_| true));
    }

    proptest! {
        #[test]
        fn the_short_ways_agree_with_lower_casing(
            text in "[aAbBéÉİKΣσς .]{0,8}",
            wanted in "[aAbBéÉİKΣσς .]{0,3}",
        ) {
            let (low, low_wanted) = (text.to_lowercase(), wanted.to_lowercase());
            prop_assert_eq!(equals(&text, &wanted, false), low == low_wanted);
            prop_assert_eq!(starts_with(&text, &wanted, false), low.starts_with(&low_wanted));
            prop_assert_eq!(ends_with(&text, &wanted, false), low.ends_with(&low_wanted));
            prop_assert_eq!(contains(&text, &wanted, false), low.contains(&low_wanted));
            prop_assert_eq!(contains(&text, &wanted, true), text.contains(&wanted));
        }
    }
}
