//! Events as JSON, written by hand: exact numbers, arrays as they were, JSON values as they were sent.
//!
//! The shape is that of `hits` in the API: fixed attributes and a flat `fields`. Writing straight
//! into bytes lets a value of type JSON stand in the answer letter for letter, and costs no tree of
//! values per event. Whatever an event holds, what comes out is one line of valid JSON.

use std::collections::{BTreeMap, HashMap};

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderValue, header};
use logwarden_event::{Event, Value};
use serde::Serialize;
use serde::de::IgnoredAny;

/// Up to here a field's earlier values are found by looking at all of them.
const FIELDS_SCANNED_MAX: usize = 32;

/// Writes one JSON object, member by member.
pub(crate) struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> ObjectWriter<'a> {
    /// Opens the object.
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    /// Writes a member's name; its value must be written to what this returns.
    pub(crate) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        write_serialized(name, self.out);
        self.out.push(b':');
        self.out
    }

    /// Writes a member.
    pub(crate) fn member(&mut self, name: &str, value: impl Serialize) {
        write_serialized(&value, self.key(name));
    }

    /// Closes the object.
    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

/// An answer of JSON.
pub(crate) fn response(write: impl FnOnce(&mut Vec<u8>)) -> Response {
    let mut out = Vec::with_capacity(4_096);
    write(&mut out);
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], out).into_response()
}

/// Writes anything that serializes without fail.
pub(crate) fn write_serialized(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, value).expect("plain data serializes, and memory takes it");
}

/// Writes a JSON array.
pub(crate) fn write_list<T>(
    items: impl IntoIterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// Writes events as the list the API calls `hits`; of `fields` only the `wanted` ones, if any are
/// named.
pub(crate) fn write_hits<'e>(
    events: impl IntoIterator<Item = &'e Event>,
    wanted: &[String],
    out: &mut Vec<u8>,
) {
    write_list(events, out, |event, out| write_hit(event, wanted, out));
}

/// Writes one event as a hit.
pub(crate) fn write_hit(event: &Event, wanted: &[String], out: &mut Vec<u8>) {
    let mut object = ObjectWriter::begin(out);
    write_hit_members(event, wanted, &mut object);
    object.end();
}

/// Writes one event as a hit, with its record if that is wanted.
pub(crate) fn write_exported(event: &Event, wanted: &[String], with_raw: bool, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::begin(out);
    write_hit_members(event, wanted, &mut object);
    if with_raw {
        object.member("raw", String::from_utf8_lossy(event.raw()));
    }
    object.end();
}

/// Writes a dead letter as a hit that says when it was replayed.
pub(crate) fn write_letter(letter: &Event, replayed_at: Option<&str>, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::begin(out);
    write_hit_members(letter, &[], &mut object);
    object.member("replayed_at", replayed_at);
    object.end();
}

/// Writes one event with everything that is known of it: the raw record, classes, senders' names, and who found its
/// fields.
pub(crate) fn write_event(
    event: &Event,
    found_by: &BTreeMap<&'static str, &'static str>,
    out: &mut Vec<u8>,
) {
    let mut object = ObjectWriter::begin(out);
    write_hit_members(event, &[], &mut object);
    object.member("raw", String::from_utf8_lossy(event.raw()));
    object.member("raw_base64", BASE64.encode(event.raw()));
    let tuples = event.class().as_str().split(';').filter(|tuple| !tuple.is_empty());
    object.member("class", tuples.collect::<Vec<_>>());
    let out = object.key("aliases");
    let mut aliases = ObjectWriter::begin(out);
    let mut seen: Vec<&str> = Vec::new();
    for field in event.fields().filter(|field| !field.options.is_inner) {
        if let Some(alias) = field.alias
            && !seen.contains(&field.path)
        {
            seen.push(field.path);
            aliases.member(field.path, alias);
        }
    }
    aliases.end();
    let out = object.key("parsers");
    let mut parsers = ObjectWriter::begin(out);
    // What the caller does not see of the event is not named here either.
    let is_seen = |name: &str| event.fields().any(|field| field.path == name);
    for (name, by) in found_by.iter().filter(|(name, _)| is_seen(name)) {
        parsers.member(name, *by);
    }
    parsers.end();
    object.end();
}

fn write_hit_members(event: &Event, wanted: &[String], object: &mut ObjectWriter<'_>) {
    object.member("id", event.id().to_string());
    object.member("seq", event.seq());
    object.member("timestamp", event.timestamp().to_string());
    object.member("observed_at", event.observed_at().to_string());
    object.member("source", event.source());
    object.member("dataset", event.dataset());
    object.member("severity", event.severity().name());
    object.member("message", event.message());
    write_fields(event, wanted, object.key("fields"));
}

/// One member of `fields`: everything the event has under one name.
struct Slot<'e> {
    path: &'e str,
    /// What the sender called it first, where that differs.
    alias: Option<&'e str>,
    first: Value<'e>,
    more: Vec<Value<'e>>,
    is_array: bool,
}

/// The shown fields of an event, each name once, in the order they were found.
///
/// Two names of a sender may mean the same standard field; their values then stand together in an
/// array unless they are equal.
fn slots(event: &Event) -> Vec<Slot<'_>> {
    let mut slots: Vec<Slot<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for field in event.fields().filter(|field| !field.options.is_inner) {
        let place = if slots.len() <= FIELDS_SCANNED_MAX {
            slots.iter().position(|slot| slot.path == field.path)
        } else {
            if places.is_empty() {
                places.extend(slots.iter().enumerate().map(|(place, slot)| (slot.path, place)));
            }
            places.get(field.path).copied()
        };
        let is_array_item = field.options.is_array_item;
        let Some(place) = place else {
            if !places.is_empty() {
                places.insert(field.path, slots.len());
            }
            slots.push(Slot {
                path: field.path,
                alias: field.alias,
                first: field.value,
                more: Vec::new(),
                is_array: is_array_item,
            });
            continue;
        };
        let slot = &mut slots[place];
        let is_repeated = slot.first == field.value || slot.more.contains(&field.value);
        if is_array_item || !is_repeated {
            slot.more.push(field.value);
            slot.is_array = true;
        }
    }
    slots
}

/// Writes the flat `fields` of an event; only the `wanted` ones, if any are named, by the standard name
/// or the sender's. They stand under the standard one.
pub(crate) fn write_fields(event: &Event, wanted: &[String], out: &mut Vec<u8>) {
    let mut object = ObjectWriter::begin(out);
    for slot in slots(event) {
        let is_wanted = |name: &String| name == slot.path || slot.alias == Some(name.as_str());
        if !wanted.is_empty() && !wanted.iter().any(is_wanted) {
            continue;
        }
        let out = object.key(slot.path);
        if slot.is_array {
            let values = std::iter::once(&slot.first).chain(&slot.more);
            write_list(values, out, |value, out| write_value(*value, out));
        } else {
            write_value(slot.first, out);
        }
    }
    object.end();
}

/// Writes one value.
pub(crate) fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => write_serialized(&value, out),
        Value::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Float(value) => write_serialized(&value, out),
        Value::String(text) => write_serialized(text, out),
        Value::Ip(address) => write_serialized(&address, out),
        Value::Timestamp(at) => write_serialized(&at.to_string(), out),
        Value::Json(text) => write_embedded(text, out),
    }
}

/// Writes a JSON text as it is, on one line; a text that is no JSON as a string.
fn write_embedded(text: &str, out: &mut Vec<u8>) {
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return write_serialized(text, out);
    }
    // Between tokens only: inside a JSON string a line break is written as an escape.
    out.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
}

#[cfg(test)]
mod tests {
    use logwarden_event::{EventBuilder, FieldOptions, Position, Timestamp};

    use super::*;

    const ITEM: FieldOptions = FieldOptions { is_array_item: true, is_inner: false };
    const INNER: FieldOptions = FieldOptions { is_array_item: false, is_inner: true };

    fn event(build: impl FnOnce(&mut EventBuilder<'_>)) -> Event {
        let mut builder = EventBuilder::new(b"raw \xff record");
        builder.source("shop").dataset("shop.auth").message("hello\n\"you\"");
        build(&mut builder);
        let mut event = builder.build();
        event.stamp(Position { lane: 0, seq: 7 }, Timestamp::from_millis(1_500));
        event
    }

    fn check_fields(build: impl FnOnce(&mut EventBuilder<'_>), expected: &str) {
        let mut out = Vec::new();
        write_fields(&event(build), &[], &mut out);
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }

    #[test]
    fn a_hit_has_its_attributes_in_order() {
        let mut out = Vec::new();
        write_hit(&event(|_| {}), &[], &mut out);
        let text = String::from_utf8(out).expect("text");
        let id = event(|_| {}).id();
        let times =
            r#""timestamp":"1970-01-01T00:00:01.500Z","observed_at":"1970-01-01T00:00:01.500Z""#;
        let rest = r#""source":"shop","dataset":"shop.auth","severity":"info","message":"hello\n\"you\"","fields":{}"#;
        assert_eq!(text, format!(r#"{{"id":"{id}","seq":7,{times},{rest}}}"#));
    }

    #[test]
    fn a_field_is_asked_for_by_either_of_its_names() {
        let event = event(|builder| {
            let (value, options) = (Value::String("10.2.0.9"), FieldOptions::default());
            builder.field_with("source.ip", Some("src_ip"), value, options);
            builder.field("zone", Value::String("eu"));
        });
        for name in ["source.ip", "src_ip"] {
            let mut out = Vec::new();
            write_fields(&event, &[name.to_owned()], &mut out);
            assert_eq!(String::from_utf8(out).expect("text"), r#"{"source.ip":"10.2.0.9"}"#);
        }
    }

    #[test]
    fn numbers_are_exact() {
        check_fields(
            |builder| {
                builder
                    .field("big", Value::Integer(i128::from(u64::MAX)))
                    .field("small", Value::Integer(i128::from(i64::MIN)))
                    .field("float", Value::Float(0.1))
                    .field("round", Value::Float(3.0))
                    .field("none", Value::Null);
            },
            r#"{"big":18446744073709551615,"small":-9223372036854775808,"float":0.1,"round":3.0,"none":null}"#,
        );
    }

    #[test]
    fn items_become_one_array_and_inner_leaves_are_not_shown() {
        check_fields(
            |builder| {
                builder
                    .field_with("tags", None, Value::String("a"), ITEM)
                    .field_with("tags", None, Value::String("a"), ITEM)
                    .field_with("one", None, Value::Bool(true), ITEM)
                    .field("items", Value::Json("[{\"a\": 1.50},\n {}]"))
                    .field_with("items.a", None, Value::Float(1.5), INNER);
            },
            r#"{"tags":["a","a"],"one":[true],"items":[{"a": 1.50},  {}]}"#,
        );
    }

    #[test]
    fn a_name_stands_once_whatever_the_sender_did() {
        check_fields(
            |builder| {
                builder
                    .field_with("user.name", Some("user"), Value::String("ana"), Default::default())
                    .field_with("user.name", Some("usr"), Value::String("ana"), Default::default())
                    .field_with("host.name", Some("host"), Value::String("a"), Default::default())
                    .field_with("host.name", Some("h"), Value::String("b"), Default::default())
                    .field("bad", Value::Json("{no json"));
            },
            r#"{"user.name":"ana","host.name":["a","b"],"bad":"{no json"}"#,
        );
    }

    #[test]
    fn many_fields_are_still_told_apart() {
        let names: Vec<String> = (0..100).map(|number| format!("f{number}")).collect();
        let many = event(|builder| {
            for name in names.iter().chain(&names) {
                builder.field(name, Value::Bool(true));
            }
        });
        assert_eq!(slots(&many).len(), 100);
    }

    #[test]
    fn a_single_event_has_its_record_and_the_names_of_its_sender() {
        let mut out = Vec::new();
        let single = event(|builder| {
            builder.field_with("source.ip", Some("src.ip"), Value::Bool(true), Default::default());
        });
        let found_by = BTreeMap::from([("source.ip", "sshd"), ("user.name", "sshd")]);
        write_event(&single, &found_by, &mut out);
        let text = String::from_utf8(out).expect("text");
        assert!(
            text.ends_with(
                "\"raw\":\"raw \u{fffd} record\",\"raw_base64\":\"cmF3IP8gcmVjb3Jk\",\"class\":[],\"aliases\":{\"source.ip\":\"src.ip\"},\
                 \"parsers\":{\"source.ip\":\"sshd\"}}"
            ),
            "{text}"
        );
    }
}
