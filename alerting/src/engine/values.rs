//! What an event, or what a correlation found, says of the fields that a rule groups by or counts.

use logwarden_event::{Event, Value};
use logwarden_query::Target;

use super::GroupValues;
use crate::identity::{hash, hash_text};
use crate::rule::{Correlation, CorrelationKind, Judge, Judged, Measure, Rule, target_of};
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
fn value_text(event: &Event, target: &Target) -> Option<String> {
    let first = |name: &str| {
        event.values(name).find(|value| *value != Value::Null).map(|value| value.to_string())
    };
    let not_empty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match target {
        Target::Field(name) => first(name),
        Target::FirstOf(names) => names.iter().find_map(|name| first(name)),
        Target::Message => not_empty(event.message()),
        Target::Dataset => not_empty(event.dataset()),
        Target::Source => not_empty(event.source()),
        Target::Severity => Some(event.severity().name().to_owned()),
        Target::Class => not_empty(event.class().as_str()),
        Target::Record | Target::Timestamp | Target::Seq | Target::ObservedAt => None,
    }
}

/// The text of the value that a rule's field name means on this event.
pub fn field_text(event: &Event, name: &str) -> Option<String> {
    value_text(event, &target_of(name))
}

pub(super) fn plain_group(rule: &Rule, event: &Event) -> GroupValues {
    let chosen = rule.settings.entity.as_deref().map_or(&ENTITY_FIELDS[..], |_| &[]);
    rule.settings
        .entity
        .as_deref()
        .into_iter()
        .chain(chosen.iter().copied())
        .find_map(|name| Some((name.to_owned(), cut(field_text(event, name)?))))
        .into_iter()
        .collect()
}

pub(super) fn group_values(
    above: &Rule,
    correlation: &Correlation,
    member: &Rule,
    origin: Origin<'_>,
) -> Option<GroupValues> {
    let value = |name: &str| match origin {
        Origin::Event(event) => field_text(event, name).map(cut),
        Origin::Group(group) => {
            group.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        }
    };
    correlation
        .group_by
        .iter()
        .map(|field| {
            let name = field.field_of(|reference| member.is_called(reference));
            let missing = above.settings.missing_as_null.then(|| String::from("null"));
            Some((field.name.clone(), value(name).or(missing)?))
        })
        .collect()
}

pub(super) fn tag_of(
    correlation: &Correlation,
    place: u32,
    origin: Origin<'_>,
    member: Member,
) -> Option<u128> {
    match (correlation.kind, origin) {
        (CorrelationKind::Temporal | CorrelationKind::TemporalOrdered, _) => Some(place.into()),
        (CorrelationKind::ValueCount, Origin::Event(event)) => values_tag(correlation, event),
        (CorrelationKind::ValueCount, Origin::Group(_)) => None,
        _ => Some(member.id),
    }
}

/// Tells apart what values an event has of the counted fields.
fn values_tag(correlation: &Correlation, event: &Event) -> Option<u128> {
    let fields = correlation.fields.iter();
    let values = fields.map(|name| field_text(event, name)).collect::<Option<Vec<_>>>()?;
    let parts: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
    Some(hash(&parts))
}

/// A match as a rule that waits for the watermark sees it; `None` when a field is missing.
pub(super) fn sample_of(
    correlation: &Correlation,
    judged: &Judged,
    place: u32,
    origin: Origin<'_>,
    member: Member,
) -> Option<Sample> {
    let mut sample = Sample {
        at: member.at,
        id: member.id,
        tag: 0,
        value: 1.0,
        weight: member.weight,
        marks: 0,
        is_counted: false,
    };
    match (&judged.judge, origin) {
        (Judge::Ratio { .. } | Judge::Temporal { .. }, _) => sample.tag = place.into(),
        (_, Origin::Event(event)) if judged.measure == Measure::Distinct => {
            sample.tag = values_tag(correlation, event)?;
        }
        (_, Origin::Event(event)) if judged.measure.needs_number() => {
            let text = field_text(event, correlation.fields.first()?)?;
            sample.value = text.trim().parse().ok().filter(|value: &f64| value.is_finite())?;
        }
        (_, Origin::Group(_)) if judged.measure != Measure::Count => return None,
        _ => {}
    }
    Some(sample)
}

/// Cuts a value that would make a key too long; what is cut off stays told apart by its hash.
fn cut(value: String) -> String {
    if value.len() <= GROUP_VALUE_BYTES_MAX {
        return value;
    }
    let end = value.floor_char_boundary(GROUP_VALUE_BYTES_MAX - 34);
    format!("{}…{}", &value[..end], hash_text(&[&value]))
}

pub(super) fn key_of_group(group: &GroupValues) -> String {
    serde_json::to_string(group).unwrap_or_default()
}

pub(super) fn group_of_key(key: &str) -> GroupValues {
    serde_json::from_str(key).unwrap_or_default()
}
