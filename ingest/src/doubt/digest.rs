//! What a record comes down to when its sender may write it otherwise the second time.
//!
//! Input: a record as it was kept. Output: a number that is the same for the same bytes and, of JSON
//! objects, for the same members in any order: Filebeat writes the members of a map as they come to
//! hand. What is nested deeper than [`DEPTH_MAX`] counts by its bytes.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use serde::de::IgnoredAny;
use serde_json::Deserializer;

use crate::normalize::scan::{Malformed, Scanner};
use crate::protocol::members::{each_item, each_member};

/// Levels of objects and lists that are looked into.
const DEPTH_MAX: usize = 16;

/// Makes numbers by a key.
pub(super) struct Digest<'h>(pub(super) &'h RandomState);

impl Digest<'_> {
    pub(super) fn of(&self, record: &[u8]) -> u64 {
        let text = std::str::from_utf8(record).ok().map(str::trim);
        let object = text.filter(|text| text.starts_with('{'));
        object.and_then(|object| self.of_object(object)).unwrap_or_else(|| self.0.hash_one(record))
    }

    /// Nothing for what is no JSON.
    fn of_object(&self, text: &str) -> Option<u64> {
        let mut scanner = Scanner::new(text);
        let digest = self.of_value(&mut scanner, 0).ok()?;
        (scanner.pos == text.len()).then_some(digest)
    }

    fn of_value(&self, scanner: &mut Scanner<'_>, depth: usize) -> Result<u64, Malformed> {
        match scanner.peek() {
            Some(b'{') if depth < DEPTH_MAX => {
                let mut sum = 1u64;
                each_member(scanner, |scanner, key| {
                    let value = self.of_value(scanner, depth + 1)?;
                    sum = sum.wrapping_add(self.0.hash_one((key, value)));
                    Ok(())
                })?;
                Ok(sum)
            }
            Some(b'[') if depth < DEPTH_MAX => {
                let mut all = 0u64;
                each_item(scanner, |scanner| {
                    all = self.0.hash_one((all, self.of_value(scanner, depth + 1)?));
                    Ok(())
                })?;
                Ok(self.0.hash_one([all]))
            }
            _ => {
                let start = scanner.pos;
                scanner.skip_value(0)?;
                Ok(self.0.hash_one(&scanner.text()[start..scanner.pos]))
            }
        }
    }
}

/// The records of which `raw` was joined, as far as they can be told apart.
pub(super) fn records(raw: &[u8], joined: usize) -> Vec<&[u8]> {
    if joined <= 1 {
        return vec![raw];
    }
    let found: Vec<_> = if raw.starts_with(b"{") {
        objects(raw)
    } else {
        raw.split(|byte| *byte == b'\n').collect()
    };
    if found.len() == joined { found } else { Vec::new() }
}

/// Objects that follow one another.
fn objects(raw: &[u8]) -> Vec<&[u8]> {
    let mut values = Deserializer::from_slice(raw).into_iter::<IgnoredAny>();
    let (mut found, mut start) = (Vec::new(), 0);
    while let Some(Ok(_)) = values.next() {
        found.push(raw[start..values.byte_offset()].trim_ascii());
        start = values.byte_offset();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_may_come_in_any_order_and_all_else_may_not() {
        let hasher = RandomState::default();
        let digest = |record: &str| Digest(&hasher).of(record.as_bytes());
        let first = digest(r#"{"a":1,"b":{"c":[{"d":1,"e":2}],"f":"x"}}"#);
        assert_eq!(first, digest(r#"{"b":{"f":"x","c":[{"e":2,"d":1}]},"a":1} "#));
        for other in [
            r#"{"a":1,"b":{"c":[{"d":2,"e":1}],"f":"x"}}"#,
            r#"{"a":1,"b":{"c":[{"d":1},{"e":2}],"f":"x"}}"#,
            r#"{"a":1,"c":[{"d":1,"e":2}],"f":"x"}"#,
            r#"{"a":1}"#,
            r#"{"a":1,"b""#,
            "",
        ] {
            assert_ne!(first, digest(other), "{other}");
        }
        assert_ne!(digest("<13>a"), digest("<13>a "));
        assert_eq!(digest("{no JSON"), digest("{no JSON"));
    }

    #[test]
    fn joined_records_are_told_apart_where_that_is_certain() {
        let check = |raw: &str, joined, expected: &[&str]| {
            let expected: Vec<_> = expected.iter().map(|record| record.as_bytes()).collect();
            assert_eq!(records(raw.as_bytes(), joined), expected, "{raw}");
        };
        check("a\nb", 1, &["a\nb"]);
        check("a\nb", 2, &["a", "b"]);
        check("a\nb", 3, &[]);
        check(r#"{"a":"1\n"}{"b":2}"#, 2, &[r#"{"a":"1\n"}"#, r#"{"b":2}"#]);
        check("{\"a\":1}\n{\"b\":2}", 2, &[r#"{"a":1}"#, r#"{"b":2}"#]);
    }
}
