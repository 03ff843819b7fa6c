//! Objects in the "flatted" form in which log4js writes an event to a socket: an array of all its
//! values, whose first is the object, and in which a string inside an object or array is the number
//! of the value it stands for.
//!
//! Input: the text of one record. Output: the object as ordinary JSON. An array of records never
//! looks like it: all its items are objects.

use super::scan::{DEPTH_MAX, Scanner};
use crate::protocol::members::{items, members, quoted, string};

/// What log4js writes where JavaScript has no value.
const UNDEFINED: &str = "\"__LOG4JS_undefined__\"";

/// How many times the bytes of the record are read at most: a value is written wherever it is named.
const READ_TIMES_MAX: usize = 8;

/// The object that `text` says in this form; nothing when it is something else, names a value inside
/// itself, or names values so often that they come to more than [`READ_TIMES_MAX`] times the text.
pub(crate) fn object_of(text: &str) -> Option<String> {
    let text = text.trim_ascii();
    if !text.starts_with("[{\"") || !text.ends_with(']') || !begins_with_reference(text) {
        return None;
    }
    let values: Vec<&str> = items(text).collect::<Result<_, _>>().ok()?;
    if values.iter().all(|value| value.starts_with('{')) {
        return None;
    }
    let bytes_left = text.len() * READ_TIMES_MAX;
    let mut object = Writer { values: &values, bytes_left, json: String::new() };
    object.put(values[0], 0)?;
    Some(object.json)
}

/// Whether the first member that is a string holds a number, as nearly no other array does.
fn begins_with_reference(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.pos = 1;
    let first = scanner.skip_value(0).is_ok().then(|| &text[1..scanner.pos]);
    let value = first.and_then(|object| {
        members(object).map_while(Result::ok).find_map(|(_, value)| string(value))
    });
    value.is_some_and(|value| value.parse::<usize>().is_ok())
}

struct Writer<'t> {
    values: &'t [&'t str],
    /// Bytes of values that may still be read.
    bytes_left: usize,
    json: String,
}

impl<'t> Writer<'t> {
    /// Writes a value in which strings stand for others.
    fn put(&mut self, value: &'t str, depth: usize) -> Option<()> {
        self.bytes_left =
            self.bytes_left.checked_sub(value.len()).filter(|_| depth <= DEPTH_MAX)?;
        match value.as_bytes().first() {
            Some(b'{') => {
                let mut separator = '{';
                for member in members(value) {
                    let (key, value) = member.ok()?;
                    let value = self.named(value)?;
                    if value == UNDEFINED {
                        continue;
                    }
                    self.json.push(separator);
                    self.json.push_str(&quoted(&key));
                    self.json.push(':');
                    self.put(value, depth + 1)?;
                    separator = ',';
                }
                self.json.push_str(if separator == '{' { "{}" } else { "}" });
            }
            Some(b'[') => {
                let mut separator = '[';
                for item in items(value) {
                    let item = self.named(item.ok()?)?;
                    self.json.push(separator);
                    self.put(item, depth + 1)?;
                    separator = ',';
                }
                self.json.push_str(if separator == '[' { "[]" } else { "]" });
            }
            _ => self.json.push_str(value),
        }
        Some(())
    }

    /// The value itself: another one where it is a string.
    fn named(&self, value: &'t str) -> Option<&'t str> {
        match string(value) {
            Some(number) => self.values.get(number.parse::<usize>().ok()?).copied(),
            None => Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, object: Option<&str>) {
        assert_eq!(object_of(text).as_deref(), object, "{text}");
    }

    #[test]
    fn strings_stand_for_values() {
        check(
            r#"[{"a":"1","n":7,"list":"2","o":"4"},"x \"1\"",["3",5,"1"],"3",{"b":"1","none":null}]"#,
            Some(
                r#"{"a":"x \"1\"","n":7,"list":["3",5,"x \"1\""],"o":{"b":"x \"1\"","none":null}}"#,
            ),
        );
        check(r#"[{"a":"1","e":"2"},"x","__LOG4JS_undefined__"]"#, Some(r#"{"a":"x"}"#));
        check(r#" [{"a":"1","o":"2","l":"3"},"x",{},[]] "#, Some(r#"{"a":"x","o":{},"l":[]}"#));
    }

    #[test]
    fn other_arrays_are_none() {
        for other in [
            "",
            "[]",
            "[1]",
            "[warn] 1",
            r#"[{"a":1}]"#,
            r#"[{"a":"1"},{"b":"2"}]"#,
            r#"[{"a":"x"},"1"]"#,
            r#"[{"a":"1","b":"x"},"1"]"#,
            r#"[{"a":"9"},"x"]"#,
            r#"[{"a":"-1"},"x"]"#,
            r#"[{"a":"1"},"x""#,
            r#"[{"a":"1"},"x"] y"#,
        ] {
            check(other, None);
        }
    }

    #[test]
    fn what_names_itself_or_grows_is_none() {
        check(r#"[{"a":"1","me":"0"},"x"]"#, None);
        let mut grows = r#"[{"a":"1"}"#.to_owned();
        for next in 2..40 {
            grows.push_str(&format!(r#",["{next}","{next}"]"#));
        }
        check(&(grows + r#","x"]"#), None);
    }
}
