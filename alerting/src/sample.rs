//! Events for this crate's tests, made of JSON without the normalizer, which lies on another floor.

use logwarden_event::{Class, Event, EventBuilder, Position, Timestamp, Value};

/// An event of a flat JSON object: dotted names are fields, `message`, `time` (seconds), `class`
/// and `seq` are attributes.
pub(crate) fn event_of_json(record: &[u8]) -> Event {
    let json: serde_json::Value = serde_json::from_slice(record).expect("a test's record is JSON");
    let object = json.as_object().expect("a test's record is an object");
    let mut builder = EventBuilder::new(record);
    let number = |key: &str| object.get(key).and_then(serde_json::Value::as_f64);
    builder.source("test").dataset("test");
    builder.timestamp(number("time").map(|secs| Timestamp::from_nanos((secs * 1e9) as i64)));
    for (name, value) in object {
        match (name.as_str(), value) {
            ("time" | "seq", _) => {}
            ("message", serde_json::Value::String(text)) => {
                builder.message(text);
            }
            ("class", serde_json::Value::String(text)) => {
                builder.class(Class::new(text));
            }
            (name, value) => add(&mut builder, name, value),
        }
    }
    let mut event = builder.build();
    if let Some(seq) = object.get("seq").and_then(serde_json::Value::as_u64) {
        event.stamp(Position { lane: 0, seq }, event.timestamp());
    }
    event
}

fn add(builder: &mut EventBuilder<'_>, name: &str, value: &serde_json::Value) {
    match value {
        serde_json::Value::Null => builder.field(name, Value::Null),
        serde_json::Value::Bool(value) => builder.field(name, Value::Bool(*value)),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => builder.field(name, Value::Integer(whole.into())),
            None => builder.field(name, Value::Float(number.as_f64().unwrap_or_default())),
        },
        serde_json::Value::String(text) => match text.parse() {
            Ok(ip) if name.ends_with(".ip") => builder.field(name, Value::Ip(ip)),
            _ => builder.field(name, Value::String(text)),
        },
        serde_json::Value::Array(items) => {
            for item in items {
                add(builder, name, item);
            }
            builder
        }
        serde_json::Value::Object(inner) => {
            for (key, value) in inner {
                add(builder, &format!("{name}.{key}"), value);
            }
            builder
        }
    };
}
