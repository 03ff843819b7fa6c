//! Words in a text, compared without making copies of them.
//!
//! The same words as [`logwarden_event::words`]: a test holds the two together.

use logwarden_event::{WORD_BYTES_MAX, words};

/// Whether `wanted` and then a word that begins with `prefix` stand side by side in `text`. All are
/// words as `logwarden_event::words` gives them; without a prefix only `wanted` must stand there.
pub(super) fn has_words(text: &str, wanted: &[String], prefix: Option<&str>) -> bool {
    let first = wanted.first().map(String::as_str).or(prefix);
    if let Some(first) = first.filter(|first| first.is_ascii() && text.is_ascii())
        && let Some(letter) = first.bytes().next()
    {
        return has_words_ascii(text, letter, wanted, prefix);
    }
    let mut rest = raw_words(text);
    loop {
        if stands_at(rest.clone(), wanted, prefix) {
            return true;
        }
        if rest.next().is_none() {
            return false;
        }
    }
}

/// The same for a text in ASCII: looks only where a word begins with the first wanted letter.
fn has_words_ascii(text: &str, letter: u8, wanted: &[String], prefix: Option<&str>) -> bool {
    let bytes = text.as_bytes();
    let is_in_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    memchr::memchr2_iter(letter, letter.to_ascii_uppercase(), bytes)
        .filter(|place| *place == 0 || !is_in_word(bytes[place - 1]))
        .any(|place| stands_at(raw_words(&text[place..]), wanted, prefix))
}

fn stands_at<'a>(
    mut found: impl Iterator<Item = &'a str>,
    wanted: &[String],
    prefix: Option<&str>,
) -> bool {
    wanted.iter().all(|wanted| found.next().is_some_and(|word| is_word(word, wanted)))
        && prefix.is_none_or(|prefix| found.next().is_some_and(|word| begins_so(word, prefix)))
}

/// The words as they are written, not yet in lower case or cut.
fn raw_words(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn is_word(raw: &str, wanted: &str) -> bool {
    if raw.is_ascii() {
        let kept = &raw[..raw.len().min(WORD_BYTES_MAX)];
        return kept.eq_ignore_ascii_case(wanted) && is_lower(wanted);
    }
    words(raw).next().is_some_and(|word| word == wanted)
}

fn begins_so(raw: &str, prefix: &str) -> bool {
    if raw.is_ascii() {
        let kept = &raw.as_bytes()[..raw.len().min(WORD_BYTES_MAX)];
        return kept
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
            && is_lower(prefix);
    }
    words(raw).next().is_some_and(|word| word.starts_with(prefix))
}

/// A wanted word is in lower case; one that is not is found nowhere, as in the index.
fn is_lower(wanted: &str) -> bool {
    !wanted.bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use logwarden_event::has_words_in_order;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_stands_after_its_words() {
        let text = "Failed PASSWORD for root";
        let wanted = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(has_words(text, &wanted(&["failed"]), Some("pass")));
        assert!(has_words(text, &wanted(&[]), Some("ro")));
        assert!(!has_words(text, &wanted(&["failed"]), Some("root")));
        assert!(!has_words(text, &wanted(&["root"]), Some("")));
        assert!(has_words(&"ab".repeat(400), &[], Some(&"ab".repeat(100))));
    }

    proptest! {
        #[test]
        fn words_are_those_of_the_event(
            text in "([aAéÉ_1İK .:-]|ab|x{250,260}){0,12}",
            wanted in "[aAéÉ_1İK .]{0,6}",
        ) {
            let wanted: Vec<String> = words(&wanted).map(|word| word.into_owned()).collect();
            prop_assert_eq!(has_words(&text, &wanted, None), has_words_in_order(&text, &wanted));
            if let Some((last, before)) = wanted.split_last() {
                let all: Vec<_> = words(&text).collect();
                let expected = all.windows(wanted.len()).any(|window| {
                    window[..before.len()] == *before && window[before.len()].starts_with(last.as_str())
                });
                prop_assert_eq!(has_words(&text, before, Some(last)), expected);
            }
        }
    }
}
