//! OTLP as JSON: 64-bit numbers are texts, attributes are lists of keys and tagged values.
//!
//! Input: a body. Output: its log records, each as it was sent; the number of those that could be
//! looked into. Values are rewritten as the plain JSON they stand for.

use std::borrow::Cow;

use super::super::documents::{Sink as _, same_length_text};
use super::super::door::Records;
use super::super::members::{
    Object, each_item, each_member, is_object, items, members, quoted, string,
};
use super::{DEPTH_MAX, LogRecord};
use crate::normalize::scan::{Malformed, Scanner};

/// Takes every log record of an `ExportLogsServiceRequest`.
pub(super) fn take(body: &[u8], records: &mut Records<'_>) -> u64 {
    let text = same_length_text(body);
    let mut scanner = Scanner::new(&text);
    let mut taker = Taker { body, text: &text, records, taken: 0 };
    let walked = each_member(&mut scanner, |scanner, key| {
        if key != "resourceLogs" {
            return scanner.skip_value(1).map(drop);
        }
        each_item(scanner, |scanner| taker.resource_logs(scanner))
    });
    if let Err(malformed) = walked {
        let (code, reason) = (malformed.problem.code(), malformed.to_string());
        let rest = &body[scanner.pos.min(body.len())..];
        taker.records.reject(taker.taken + 1, rest, code, reason);
    }
    taker.taken
}

struct Taker<'r, 'a, 'b> {
    body: &'b [u8],
    text: &'b str,
    records: &'r mut Records<'a>,
    taken: u64,
}

impl<'b> Taker<'_, '_, 'b> {
    fn resource_logs(&mut self, scanner: &mut Scanner<'b>) -> Result<(), Malformed> {
        let start = *scanner;
        let mut common = Object::default();
        let mut early = false;
        let mut has_resource = false;
        each_member(scanner, |scanner, key| match key {
            "resource" => {
                has_resource = true;
                put_attributes_of(scanner.skip_value(3)?, &mut common)
            }
            "scopeLogs" if has_resource && !early => self.scopes(scanner, &common),
            "scopeLogs" => {
                early = true;
                scanner.skip_value(3).map(drop)
            }
            _ => scanner.skip_value(3).map(drop),
        })?;
        if !early {
            return Ok(());
        }
        // The resource stands behind its records, or there is none.
        let mut again = start;
        each_member(&mut again, |scanner, key| match key {
            "scopeLogs" => self.scopes(scanner, &common),
            _ => scanner.skip_value(3).map(drop),
        })
    }

    fn scopes(&mut self, scanner: &mut Scanner<'b>, common: &Object) -> Result<(), Malformed> {
        each_item(scanner, |scanner| {
            let start = *scanner;
            let mut within = common.clone();
            each_member(scanner, |scanner, key| match key {
                "scope" => put_scope(scanner.skip_value(5)?, &mut within),
                _ => scanner.skip_value(5).map(drop),
            })?;
            let mut again = start;
            each_member(&mut again, |scanner, key| match key {
                "logRecords" => each_item(scanner, |scanner| {
                    let record = scanner.skip_value(6)?;
                    self.record(record, &within);
                    Ok(())
                }),
                _ => scanner.skip_value(5).map(drop),
            })
        })
    }

    fn record(&mut self, record: &'b str, common: &Object) {
        if self.records.is_full() {
            return;
        }
        let start = record.as_ptr() as usize - self.text.as_ptr() as usize;
        let raw = &self.body[start..start + record.len()];
        if self.records.reject_too_long(self.taken + 1, raw) {
            return;
        }
        let taken = read(record).and_then(|read| {
            self.taken += 1;
            read.take(self.taken, common, self.records, || Ok(Cow::Borrowed(raw)))
        });
        if let Err(malformed) = taken {
            let (code, reason) = (malformed.problem.code(), malformed.to_string());
            self.records.reject(self.taken + 1, raw, code, reason);
        }
    }
}

fn read(record: &str) -> Result<LogRecord<'_>, Malformed> {
    let mut read = LogRecord::default();
    for member in members(record) {
        let (key, value) = member?;
        match &*key {
            "timeUnixNano" => read.time_nanos = number(value),
            "observedTimeUnixNano" => read.observed_nanos = number(value),
            "body" => (read.content, read.is_text) = content(value)?,
            "attributes" => put_attributes(value, 1, &mut read.around)?,
            "droppedAttributesCount" | "flags" if value == "0" => {}
            "traceId" | "spanId" if value == "\"\"" => {}
            _ => read.around.put(&key, value),
        }
    }
    Ok(read)
}

/// A number, as itself or as text; 0 when it is neither.
fn number(value: &str) -> u64 {
    string(value).unwrap_or(Cow::Borrowed(value)).parse().unwrap_or_default()
}

/// What a body says, and whether that is a text: else it is its value as JSON.
fn content(body: &str) -> Result<(Cow<'_, [u8]>, bool), Malformed> {
    if let Some(Ok((kind, value))) = is_object(body).then(|| members(body).next()).flatten()
        && kind == "stringValue"
        && let Some(said) = string(value)
    {
        let said = match said {
            Cow::Borrowed(said) => Cow::Borrowed(said.as_bytes()),
            Cow::Owned(said) => Cow::Owned(said.into_bytes()),
        };
        return Ok((said, true));
    }
    let mut plain = String::new();
    write_plain(body, 1, &mut plain)?;
    Ok((Cow::Owned(plain.into_bytes()), false))
}

/// The attributes of a resource.
fn put_attributes_of(resource: &str, object: &mut Object) -> Result<(), Malformed> {
    for member in members(resource) {
        let (key, value) = member?;
        if key == "attributes" {
            put_attributes(value, 1, object)?;
        }
    }
    Ok(())
}

fn put_scope(scope: &str, object: &mut Object) -> Result<(), Malformed> {
    for member in members(scope) {
        let (key, value) = member?;
        match &*key {
            "name" if value != "\"\"" => object.put("otel.scope.name", value),
            "version" if value != "\"\"" => object.put("otel.scope.version", value),
            "attributes" => put_attributes(value, 1, object)?,
            _ => {}
        }
    }
    Ok(())
}

/// `[{"key":"a","value":{"stringValue":"b"}}]` as members.
fn put_attributes(list: &str, depth: usize, object: &mut Object) -> Result<(), Malformed> {
    if list == "null" {
        return Ok(());
    }
    for pair in items(list) {
        let (mut name, mut value) = (Cow::default(), "null");
        for member in members(pair?) {
            match member? {
                (key, given) if key == "key" => name = string(given).unwrap_or_default(),
                (key, given) if key == "value" => value = given,
                _ => {}
            }
        }
        let mut plain = String::new();
        write_plain(value, depth, &mut plain)?;
        object.put(&name, &plain);
    }
    Ok(())
}

/// Writes the plain JSON that a tagged value stands for; `depth` values are around it, itself included.
fn write_plain(value: &str, depth: usize, out: &mut String) -> Result<(), Malformed> {
    if depth > DEPTH_MAX {
        out.push_str(value);
        return Ok(());
    }
    // A value that is not tagged stands for itself.
    let Some((kind, inner)) =
        is_object(value).then(|| members(value).next()).flatten().transpose()?
    else {
        out.push_str(if is_object(value) { "null" } else { value });
        return Ok(());
    };
    match &*kind {
        "intValue" => match string(inner) {
            Some(digits) if is_whole(&digits) => out.push_str(&digits),
            _ => out.push_str(inner),
        },
        "arrayValue" => {
            out.push('[');
            for (index, item) in items(values_of(inner)?).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_plain(item?, depth + 1, out)?;
            }
            out.push(']');
        }
        "kvlistValue" => {
            let mut object = Object::default();
            put_attributes(values_of(inner)?, depth + 1, &mut object)?;
            let object = object.finish();
            out.push_str(if object.is_empty() { "{}" } else { &object });
        }
        "stringValue" | "boolValue" | "doubleValue" | "bytesValue" => out.push_str(inner),
        _ => out.push_str(&quoted(value)),
    }
    Ok(())
}

fn is_whole(digits: &str) -> bool {
    let magnitude = digits.strip_prefix('-').unwrap_or(digits);
    (1..=20).contains(&magnitude.len())
        && magnitude.bytes().all(|byte| byte.is_ascii_digit())
        && (magnitude == "0" || !magnitude.starts_with('0'))
}

/// The list in `{"values":[…]}`.
fn values_of(inner: &str) -> Result<&str, Malformed> {
    for member in members(inner) {
        let (key, value) = member?;
        if key == "values" {
            return Ok(value);
        }
    }
    Ok("[]")
}
