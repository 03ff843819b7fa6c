//! Words in a text, found without cutting the text into words.
//!
//! The same words as [`logwarden_event::words`]: a test holds the two together.

use std::borrow::Cow;

use logwarden_event::{WORD_BYTES_MAX, words};
use memchr::memchr2;

/// Whether a word of `text` is `wanted`.
pub(crate) fn has_word(text: &str, wanted: &str) -> bool {
    if text.is_ascii() && is_plain(wanted) && wanted.len() < WORD_BYTES_MAX {
        return starts_of(text.as_bytes(), wanted.as_bytes())
            .any(|start| !is_inside_word(text.as_bytes().get(start + wanted.len())));
    }
    words(text).any(|word| word == wanted)
}

/// Whether a word of `text` begins with `prefix`.
pub(crate) fn has_word_prefix(text: &str, prefix: &str) -> bool {
    if text.is_ascii() && is_plain(prefix) && prefix.len() <= WORD_BYTES_MAX {
        return starts_of(text.as_bytes(), prefix.as_bytes()).next().is_some();
    }
    words(text).any(|word: Cow<'_, str>| word.starts_with(prefix))
}

/// Whether it can be compared byte by byte with the words of a text in ASCII.
pub(crate) fn is_plain(wanted: &str) -> bool {
    let is_plain = |byte: u8| is_inside_word(Some(&byte)) && !byte.is_ascii_uppercase();
    !wanted.is_empty() && wanted.bytes().all(is_plain)
}

/// Where words of `text` begin that begin with `wanted`, in any case.
fn starts_of<'a>(text: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let (lower, upper) = (wanted[0], wanted[0].to_ascii_uppercase());
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + memchr2(lower, upper, text.get(from..)?)?;
            from = start + 1;
            let begins_word = start == 0 || !is_inside_word(text.get(start - 1));
            let found = text.get(start..start + wanted.len())?;
            if begins_word && found.eq_ignore_ascii_case(wanted) {
                return Some(start);
            }
        }
    })
}

/// Whether a byte of a text in ASCII belongs to a word.
pub(crate) fn is_inside_word(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_are_those_of_the_event(
            text in "([aA_1 .]|ab|[éK]|x{250,260}){0,12}",
            wanted in "[aAbé_1 ]{0,4}|x{253,257}",
        ) {
            let all: Vec<_> = words(&text).collect();
            prop_assert_eq!(has_word(&text, &wanted), all.iter().any(|word| *word == wanted));
            let begins_so = all.iter().any(|word| word.starts_with(&wanted));
            prop_assert_eq!(has_word_prefix(&text, &wanted), begins_so);
        }
    }
}
