//! How text becomes words: one definition for the stream, the index and the rules.
//!
//! A word is a maximal run of letters, digits and `_` in any script, in lower case. A word longer
//! than [`WORD_BYTES_MAX`] counts as its first bytes, so that it stays searchable by its beginning.

use std::borrow::Cow;

/// Bytes of a word, in lower case, that count.
pub const WORD_BYTES_MAX: usize = 255;

/// The words of `text`, in order.
pub fn words(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(normalize)
}

/// Whether the words of `text` contain `wanted` (each as [`words`] gives them) side by side, in order.
///
/// No words are contained in every text.
pub fn has_words_in_order(text: &str, wanted: &[impl AsRef<str>]) -> bool {
    let Some(first) = wanted.first() else { return true };
    words_from(text).any(|(word, after)| {
        word == first.as_ref()
            && words(&text[after..])
                .map(Some)
                .chain(std::iter::repeat(None))
                .zip(&wanted[1..])
                .all(|(word, wanted)| word.is_some_and(|word| word == wanted.as_ref()))
    })
}

/// The words of `text`, each with the offset of the byte after it.
fn words_from(text: &str) -> impl Iterator<Item = (Cow<'_, str>, usize)> {
    let start = text.as_ptr() as usize;
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(move |word| (normalize(word), word.as_ptr() as usize - start + word.len()))
}

fn normalize(word: &str) -> Cow<'_, str> {
    let lower = if word.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        Cow::Borrowed(word)
    } else if word.is_ascii() {
        Cow::Owned(word.to_ascii_lowercase())
    } else {
        Cow::Owned(word.to_lowercase())
    };
    if lower.len() <= WORD_BYTES_MAX {
        return lower;
    }
    let end = lower.floor_char_boundary(WORD_BYTES_MAX);
    match lower {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_runs_of_letters_digits_and_underscores() {
        let all: Vec<_> = words("Failed password for root from 10.2.0.9, ÄRGER_x").collect();
        assert_eq!(
            all,
            ["failed", "password", "for", "root", "from", "10", "2", "0", "9", "ärger_x"]
        );
    }

    #[test]
    fn a_long_word_counts_as_its_beginning() {
        let long = "é".repeat(200);
        let all: Vec<_> = words(&long).collect();
        assert_eq!(all, ["é".repeat(127)]);
    }

    #[test]
    fn words_in_order_stand_side_by_side() {
        let text = "failed none, failed password for root";
        assert!(has_words_in_order(text, &["failed", "password"]));
        assert!(!has_words_in_order(text, &["failed", "for"]));
        assert!(!has_words_in_order(text, &["root", "failed"]));
        assert!(has_words_in_order(text, &[] as &[&str]));
    }
}
