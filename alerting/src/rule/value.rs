//! Values of a Sigma rule: wildcards with their escapes, and the ways a value is encoded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use logwarden_query::Test;

/// A piece of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// These characters.
    Literal(String),
    /// Any run of characters: `*`.
    Any,
    /// Any one character: `?`.
    One,
}

/// A value with wildcards.
///
/// `\*`, `\?` and `\\` are the characters themselves; any other backslash is one too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

impl Pattern {
    /// Reads a value as it stands in a rule.
    pub(super) fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' | '?' => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(if c == '*' { Piece::Any } else { Piece::One });
                }
                '\\' => literal
                    .push(chars.next_if(|next| ['*', '?', '\\'].contains(next)).unwrap_or('\\')),
                other => literal.push(other),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let mut pattern = Self(pieces);
        pattern.0.dedup_by(|next, before| *next == Piece::Any && *before == Piece::Any);
        pattern
    }

    /// A value without wildcards.
    pub(super) fn of_literal(text: String) -> Self {
        Self(vec![Piece::Literal(text)])
    }

    /// The text, when there is no wildcard in it.
    pub(super) fn literal(&self) -> Option<String> {
        match self.0.as_slice() {
            [] => Some(String::new()),
            [Piece::Literal(text)] => Some(text.clone()),
            _ => None,
        }
    }

    /// Anywhere in the value.
    pub(super) fn contained(self) -> Self {
        self.at_start().at_end()
    }

    /// At the value's start.
    pub(super) fn at_start(mut self) -> Self {
        if self.0.last() != Some(&Piece::Any) {
            self.0.push(Piece::Any);
        }
        self
    }

    /// At the value's end.
    pub(super) fn at_end(mut self) -> Self {
        if self.0.first() != Some(&Piece::Any) {
            self.0.insert(0, Piece::Any);
        }
        self
    }

    /// The cheapest test that means the same.
    ///
    /// # Errors
    ///
    /// A message when the pattern is too large to compile.
    pub(super) fn to_test(&self, cased: bool) -> Result<Test, String> {
        let text = |text: &String| text.clone();
        Ok(match self.0.as_slice() {
            [] => Test::Equals { text: String::new(), cased },
            [Piece::Literal(literal)] => Test::Equals { text: text(literal), cased },
            [Piece::Any] => Test::Exists,
            [Piece::Literal(literal), Piece::Any] => {
                Test::StartsWith { text: text(literal), cased }
            }
            [Piece::Any, Piece::Literal(literal)] => Test::EndsWith { text: text(literal), cased },
            [Piece::Any, Piece::Literal(literal), Piece::Any] => {
                Test::Contains { text: text(literal), cased }
            }
            _ => Test::like(&self.to_text(), cased).map_err(|error| error.to_string())?,
        })
    }

    fn to_text(&self) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Any => out.push('*'),
                Piece::One => out.push('?'),
                Piece::Literal(literal) => {
                    for c in literal.chars() {
                        if matches!(c, '*' | '?' | '\\') {
                            out.push('\\');
                        }
                        out.push(c);
                    }
                }
            }
        }
        out
    }
}

/// The characters Windows programs take for the dash of an option.
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];
/// Dashes of one value that are varied independently; with more, all vary together.
const DASHES_VARIED_MAX: usize = 3;

/// Every spelling of `text` in which the dash or slash before an option's name is one of those that
/// Windows programs take for it.
pub(super) fn windash_variants(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let is_word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let places: Vec<usize> = (0..chars.len())
        .filter(|place| {
            matches!(chars[*place], '-' | '/')
                && !is_word(place.checked_sub(1).and_then(|before| chars.get(before)))
                && is_word(chars.get(place + 1))
        })
        .collect();
    let with = |replacements: &[(usize, char)]| {
        let mut variant = chars.clone();
        for (place, dash) in replacements {
            variant[*place] = *dash;
        }
        variant.into_iter().collect::<String>()
    };
    if places.len() > DASHES_VARIED_MAX {
        let all_with = |dash| with(&places.iter().map(|place| (*place, dash)).collect::<Vec<_>>());
        let mut variants = vec![text.to_owned()];
        variants.extend(DASHES.map(all_with));
        return variants;
    }
    let mut combinations: Vec<Vec<(usize, char)>> = vec![Vec::new()];
    for place in &places {
        combinations = combinations
            .iter()
            .flat_map(|known| {
                DASHES.map(|dash| {
                    let mut longer = known.clone();
                    longer.push((*place, dash));
                    longer
                })
            })
            .collect();
    }
    combinations.iter().map(|replacements| with(replacements)).collect()
}

/// UTF-16 of text given as UTF-8 bytes.
pub(super) fn utf16(bytes: &[u8], big_endian: bool, with_mark: bool) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mark = with_mark.then_some(0xFEFF_u16);
    mark.into_iter()
        .chain(text.encode_utf16())
        .flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() })
        .collect()
}

/// Base 64 with padding.
pub(super) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The three texts of which one is found in the base 64 of anything that contains `bytes`: one for
/// each place modulo 3, without the characters at the ends that depend on the neighbours.
pub(super) fn offsets_base64(bytes: &[u8]) -> Vec<String> {
    const START: [usize; 3] = [0, 2, 3];
    const END_CUT: [usize; 3] = [0, 3, 2];
    (0..3)
        .map(|offset| {
            let mut shifted = vec![b' '; offset];
            shifted.extend_from_slice(bytes);
            let encoded = STANDARD.encode(&shifted);
            let end = encoded.len() - END_CUT[shifted.len() % 3];
            encoded.get(START[offset]..end).unwrap_or_default().to_owned()
        })
        .filter(|text| !text.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_and_their_escapes() {
        let literal = |text: &str| Pattern::parse(text).literal();
        assert_eq!(literal(r"C:\Windows\x"), Some(r"C:\Windows\x".into()));
        assert_eq!(literal(r"a\*b"), Some("a*b".into()));
        assert_eq!(literal(r"a\\b"), Some(r"a\b".into()));
        assert_eq!(literal(r"a\\*b"), None, "a backslash, then a wildcard");
        assert!(matches!(Pattern::parse("*x*").to_test(false), Ok(Test::Contains { .. })));
        assert!(matches!(Pattern::parse("x?y").to_test(false), Ok(Test::Like { .. })));
        assert!(matches!(Pattern::parse("**").to_test(false), Ok(Test::Exists)));
    }

    #[test]
    fn every_dash_of_an_option_is_tried() {
        let variants = windash_variants("x -enc a-b");
        assert_eq!(variants.len(), 5);
        assert!(variants.contains(&"x /enc a-b".to_owned()));
        assert_eq!(windash_variants("plain"), ["plain"]);
    }

    #[test]
    fn base64_is_found_at_every_offset() {
        let parts = offsets_base64(b"powershell");
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "z", "yz"] {
                let whole = encode_base64(format!("{before}powershell{after}").as_bytes());
                assert!(parts.iter().any(|part| whole.contains(part)), "{before}…{after}");
            }
        }
        assert_eq!(utf16(b"a", false, false), [b'a', 0]);
    }
}
