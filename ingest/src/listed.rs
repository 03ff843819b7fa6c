//! Documents that are nothing but a list of records, as clouds write them to files and queues:
//! `{"Records":[…]}` of CloudTrail and S3, `{"records":[…]}` of Azure, and the `EventList` in which the API server of
//! Kubernetes sends its audit log.
//!
//! Input: one JSON document. Output: where its records stand in it, so that each becomes an event of
//! its own whose raw bytes are that part. A document that says anything beside its list is a record
//! itself.

use std::ops::Range;

use crate::normalize::scan::{Malformed, Scanner};
use crate::protocol::documents::same_length_text;
use crate::protocol::members::{items as listed_items, members, string};

const NAMES: [&[u8]; 2] = [b"\"Records\"", b"\"records\""];

/// Where the records of `document` stand; nothing when it is a record itself: when anything stands
/// beside the list, the list is empty, or one of its items is no object.
pub(crate) fn records_of(document: &[u8]) -> Option<Vec<Range<usize>>> {
    let Some(list) = list_of(document) else { return events_of(document) };
    let text = same_length_text(document);
    let mut scanner = Scanner::new(&text);
    scanner.pos = list;
    items(&mut scanner).ok().filter(|records| !records.is_empty())
}

/// Where the events of an `EventList` stand, whose members may be in any order.
fn events_of(document: &[u8]) -> Option<Vec<Range<usize>>> {
    let has = |word: &[u8]| memchr::memmem::find(document, word).is_some();
    let begins = document.trim_ascii_start().starts_with(b"{");
    if !begins || !has(b"\"EventList\"") || !has(b"\"audit.k8s.io/") {
        return None;
    }
    let text = same_length_text(document);
    let mut list = None;
    for member in members(&text) {
        let (key, value) = member.ok()?;
        match &*key {
            "kind" => (string(value)? == "EventList").then_some(())?,
            "apiVersion" | "metadata" => {}
            "items" => list = Some(value),
            _ => return None,
        }
    }
    let mut found = Vec::new();
    for item in listed_items(list?) {
        let item = item.ok()?.trim();
        item.starts_with('{').then_some(())?;
        let start = item.as_ptr().addr() - text.as_ptr().addr();
        found.push(start..start + item.len());
    }
    (!found.is_empty()).then_some(found)
}

/// The offset of a list that is the value of the first member.
fn list_of(document: &[u8]) -> Option<usize> {
    let rest = document.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
    let rest = NAMES.iter().find_map(|name| rest.strip_prefix(*name))?.trim_ascii_start();
    let rest = rest.strip_prefix(b":")?.trim_ascii_start();
    rest.starts_with(b"[").then(|| document.len() - rest.len())
}

/// The objects of the list that begins at the scanner's place, which must be the whole rest of its
/// document.
fn items(scanner: &mut Scanner<'_>) -> Result<Vec<Range<usize>>, Malformed> {
    let mut found = Vec::new();
    loop {
        scanner.pos += 1;
        scanner.skip_whitespace();
        if scanner.peek() != Some(b'{') {
            return Err(scanner.expected("an object"));
        }
        let start = scanner.pos;
        scanner.skip_value(1)?;
        found.push(start..scanner.pos);
        scanner.skip_whitespace();
        match scanner.peek() {
            Some(b',') => {}
            _ => break,
        }
    }
    scanner.take(b']', "`]`")?;
    scanner.skip_whitespace();
    scanner.take(b'}', "`}`")?;
    scanner.skip_whitespace();
    if scanner.pos == scanner.text().len() { Ok(found) } else { Err(scanner.expected("the end")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, expected: &[&str]) {
        let records = records_of(document.as_bytes()).unwrap_or_default();
        let found: Vec<_> = records.into_iter().map(|record| &document[record]).collect();
        assert_eq!(found, expected, "{document}");
    }

    #[test]
    fn a_list_is_its_records() {
        check(r#"{"Records":[{"a":1}, {"b":"]}"}]}"#, &[r#"{"a":1}"#, r#"{"b":"]}"}"#]);
        check("\n{ \"records\" :\n [ {\"a\": 1 } ,\n{}\n]\n}\n", &["{\"a\": 1 }", "{}"]);
        let invalid = b"{\"Records\":[{\"a\":\"\xFF\"}]}";
        assert_eq!(records_of(invalid).map(|records| records[0].clone()), Some(12..21));
    }

    #[test]
    fn a_list_of_events_is_its_events_whatever_stands_beside_them() {
        check(
            r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[{"auditID":"a"}, {"auditID":"b"}]}"#,
            &[r#"{"auditID":"a"}"#, r#"{"auditID":"b"}"#],
        );
        check(
            r#"{"items":[{"a":1}],"metadata":{},"apiVersion":"audit.k8s.io/v1","kind":"EventList"}"#,
            &[r#"{"a":1}"#],
        );
        for none in [
            r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[]}"#,
            r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[1]}"#,
            r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"a":1}],"more":1}"#,
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","items":[{"kind":"EventList"}]}"#,
            r#"{"kind":"EventList","apiVersion":"v1","items":[{"a":1}]}"#,
        ] {
            check(none, &[]);
        }
    }

    #[test]
    fn whatever_says_more_is_a_record_itself() {
        for document in [
            r#"{"Records":[]}"#,
            r#"{"Records":[{"a":1},2]}"#,
            r#"{"Records":[{"a":1}],"next":"x"}"#,
            r#"{"next":"x","Records":[{"a":1}]}"#,
            r#"{"Records":[{"a":1}]"#,
            r#"{"Records":[{"a":1},]}"#,
            r#"{"Records":[{"a":1} {"b":1}]}"#,
            r#"{"Records":[{"a":1}]}{"Records":[{"a":1}]}"#,
            r#"{"Records":{"a":1}}"#,
            r#"{"RECORDS":[{"a":1}]}"#,
            r#"[{"Records":[{"a":1}]}]"#,
        ] {
            check(document, &[]);
        }
    }
}
