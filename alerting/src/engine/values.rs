//! What an event, or what a correlation found, says of the fields that a rule groups by or counts.

use std::borrow::Cow;
use std::sync::Arc;

use logwarden_event::{Event, Value};
use logwarden_query::Target;

use super::GroupValues;
use crate::identity::{hash, hash_text};
use crate::rule::{
    Correlation, CorrelationKind, Edge, GroupPart, Judge, Judged, Measure, Rule, target_of,
};
use crate::trend::Sample;
use crate::window::Member;

/// The fields that say who or what an event is about, the first that is there.
const ENTITY_FIELDS: [&str; 3] = ["source.ip", "user.name", "host.name"];
/// Bytes of one value of a group; longer ones are cut and end in a hash of the whole.
const GROUP_VALUE_BYTES_MAX: usize = 256;

/// Where a group's values come from.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    Event(&'a Event),
    Group(&'a GroupValues),
}

/// The text of the first value that is not null.
fn value_text<'a>(event: &'a Event, target: &'a Target) -> Option<Cow<'a, str>> {
    let text = |value: Value<'a>| match value {
        Value::String(text) | Value::Json(text) => Cow::Borrowed(text),
        value => Cow::Owned(value.to_string()),
    };
    let first = |name: &'a String| event.values(name).find(|value| *value != Value::Null).map(text);
    let not_empty = |text: &'a str| (!text.is_empty()).then_some(Cow::Borrowed(text));
    match target {
        Target::Field(name) => first(name),
        Target::FirstOf(names) => names.iter().find_map(first),
        Target::Message => not_empty(event.message()),
        Target::Dataset => not_empty(event.dataset()),
        Target::Source => not_empty(event.source()),
        Target::Severity => Some(Cow::Borrowed(event.severity().name())),
        Target::Class => not_empty(event.class().as_str()),
        Target::Record | Target::Timestamp | Target::Seq | Target::ObservedAt => None,
    }
}

/// The text of the value that a rule's field name means on this event.
pub fn field_text(event: &Event, name: &str) -> Option<String> {
    value_text(event, &target_of(name)).map(Cow::into_owned)
}

/// By rule, the fields that say who or what a match of a plain rule is about: the first that is there.
pub(super) fn subjects_of(rules: &[Rule]) -> Vec<Arc<[GroupPart]>> {
    let part = |name: &str| GroupPart {
        name: name.to_owned(),
        called: name.to_owned(),
        target: target_of(name),
    };
    let usual: Arc<[GroupPart]> = ENTITY_FIELDS.into_iter().map(part).collect();
    let subject = |rule: &Rule| match &rule.settings.entity {
        Some(entity) => Arc::new([part(entity)]) as Arc<[GroupPart]>,
        None => usual.clone(),
    };
    rules.iter().map(subject).collect()
}

/// Writes the key of the group of a plain rule's match: who or what the event is about.
pub(super) fn write_plain_key(subject: &[GroupPart], event: &Event, key: &mut String) {
    let mut known =
        subject.iter().filter_map(|part| Some((part, value_text(event, &part.target)?)));
    key.clear();
    key.push('[');
    if let Some((part, value)) = known.next() {
        write_part(&part.name, &value, key);
    }
    key.push(']');
}

/// Writes the key of the group that a match belongs to; false when it has no value for a field.
pub(super) fn write_key(
    parts: &[GroupPart],
    missing_as_null: bool,
    origin: Origin<'_>,
    key: &mut String,
) -> bool {
    key.clear();
    key.push('[');
    for part in parts {
        let value = match origin {
            Origin::Event(event) => value_text(event, &part.target),
            Origin::Group(group) => {
                let known = group.iter().find(|(name, _)| *name == part.called);
                known.map(|(_, value)| Cow::Borrowed(value.as_str()))
            }
        };
        if value.is_none() && !missing_as_null {
            return false;
        }
        write_next(&part.name, value.as_deref(), key);
    }
    key.push(']');
    true
}

/// Writes one more field of a group with its value, or that it has none, which no value can say.
fn write_next(name: &str, value: Option<&str>, key: &mut String) {
    if key.len() > 1 {
        key.push(',');
    }
    if let Some(value) = value {
        write_part(name, value, key);
        return;
    }
    key.push('[');
    write_text(name, key);
    key.push_str(",null]");
}

/// Writes a field of a group with its value, as JSON. A value that would make the key too long is cut;
/// what is cut off stays told apart by its hash.
fn write_part(name: &str, value: &str, key: &mut String) {
    key.push('[');
    write_text(name, key);
    key.push(',');
    if value.len() <= GROUP_VALUE_BYTES_MAX {
        write_text(value, key);
    } else {
        let end = value.floor_char_boundary(GROUP_VALUE_BYTES_MAX - 34);
        write_text(&format!("{}…{}", &value[..end], hash_text(&[value])), key);
    }
    key.push(']');
}

/// What an event has in the fields that are counted, as it stands in a key.
pub(super) fn write_values(fields: &[String], edge: &Edge, origin: Origin<'_>) -> String {
    let mut words = String::new();
    let Origin::Event(event) = origin else { return words };
    for (field, target) in fields.iter().zip(&edge.measured) {
        let Some(value) = value_text(event, target) else { continue };
        if !words.is_empty() {
            words.push(',');
        }
        write_part(field, &value, &mut words);
    }
    words
}

/// The key of the group that the first fields of a longer key make up.
pub(crate) fn key_of_first(fields: usize, key: &str) -> String {
    let mut first = String::from("[");
    for (name, value) in parts_of_key(key).iter().take(fields) {
        write_next(name, value.as_deref(), &mut first);
    }
    first.push(']');
    first
}

fn write_text(text: &str, key: &mut String) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        key.push_str(&serde_json::Value::from(text).to_string());
        return;
    }
    key.push('"');
    key.push_str(text);
    key.push('"');
}

/// The key of the group with these values.
pub(crate) fn key_of_values<'a, 'b>(values: impl Iterator<Item = (&'a str, &'b str)>) -> String {
    let mut key = String::from("[");
    for (name, value) in values {
        write_next(name, Some(value), &mut key);
    }
    key.push(']');
    key
}

fn parts_of_key(key: &str) -> Vec<(String, Option<String>)> {
    serde_json::from_str(key).unwrap_or_default()
}

/// The values of a group; a field that its events do not have is not among them.
pub(super) fn group_of_key(key: &str) -> GroupValues {
    parts_of_key(key).into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

pub(super) fn tag_of(
    correlation: &Correlation,
    edge: &Edge,
    origin: Origin<'_>,
    member: Member,
) -> Option<u128> {
    match (correlation.kind, origin) {
        (CorrelationKind::Temporal | CorrelationKind::TemporalOrdered, _) => {
            Some(edge.member.into())
        }
        (CorrelationKind::ValueCount, Origin::Event(event)) => {
            values_tag(&edge.measured, event, false)
        }
        (CorrelationKind::ValueCount, Origin::Group(_)) => None,
        _ => Some(member.id),
    }
}

/// Tells apart what values an event has of the counted fields; `None` where one is missing that must be there.
fn values_tag(measured: &[Target], event: &Event, missing_as_null: bool) -> Option<u128> {
    let values: Vec<Option<Cow<'_, str>>> =
        measured.iter().map(|target| value_text(event, target)).collect();
    let missing: Vec<u8>;
    let mut parts: Vec<&[u8]> = values.iter().flatten().map(|value| value.as_bytes()).collect();
    if parts.len() < values.len() {
        if !missing_as_null {
            return None;
        }
        missing = values.iter().map(|value| value.is_none().into()).collect();
        // Values alone are as many parts as there are fields; these are one more.
        parts.insert(0, &missing);
        parts.resize(values.len() + 1, &[]);
    }
    Some(hash(&parts))
}

/// A match as a rule that waits for the watermark sees it; `None` when a field is missing. `missing_as_null`: one whose
/// values are counted may be.
pub(super) fn sample_of(
    judged: &Judged,
    edge: &Edge,
    origin: Origin<'_>,
    member: Member,
    missing_as_null: bool,
) -> Option<Sample> {
    let mut sample = Sample {
        at: member.at,
        id: member.id,
        tag: 0,
        value: 1.0,
        weight: member.weight,
        marks: 0,
        before: 0,
        is_counted: false,
    };
    match (&judged.judge, origin) {
        (Judge::Temporal { .. }, _) => sample.tag = edge.member.into(),
        // The rules that look for the part come after the others.
        (Judge::Ratio { .. }, _) => sample.tag = (edge.member >= edge.members / 2).into(),
        (_, Origin::Event(event)) if judged.measure == Measure::Distinct => {
            sample.tag = values_tag(&edge.measured, event, missing_as_null)?;
        }
        (_, Origin::Event(event)) if judged.measure.needs_number() => {
            let text = value_text(event, edge.measured.first()?)?;
            sample.value = text.trim().parse().ok().filter(|value: &f64| value.is_finite())?;
        }
        (_, Origin::Group(_)) if judged.measure != Measure::Count => return None,
        _ => {}
    }
    Some(sample)
}
