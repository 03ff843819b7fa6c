//! Who and what an alert is about, and which values of its events are counted.
//!
//! In: a rule and events. Out: values with counts. Subjects are addresses, users and hosts, and what the
//! rule says its alerts are about: by these an alert is found. What a title or a reason only counts is not.

use logwarden_event::{Event, Value};
use logwarden_query::Target;

use super::wording::{self, ENTITY_VALUES_MAX};
use super::{EVIDENCE_MESSAGE_BYTES_MAX, Entity, EntityCount};
use crate::engine::GroupValues;
use crate::rule::{Rule, target_of};

/// The fields that say who or what any event is about.
const SUBJECT_FIELDS: [&str; 5] =
    ["source.ip", "user.name", "host.name", "destination.ip", "user.target.name"];

/// A field whose values are counted.
#[derive(Debug)]
pub(super) struct Counted {
    field: String,
    /// What events call it.
    names: Vec<String>,
    is_subject: bool,
}

/// The fields whose values an alert of this rule about this entity counts.
pub(super) fn counted(rule: &Rule, entity: Option<&Entity>) -> Vec<Counted> {
    let own = rule.settings.entity.as_deref().or(entity.map(|one| &*one.field));
    let subjects = SUBJECT_FIELDS.into_iter().chain(own).map(|field| (field, true));
    let others = wording::counted_fields(rule).into_iter().map(|field| (field, false));
    let mut counted: Vec<Counted> = Vec::new();
    for (field, is_subject) in subjects.chain(others) {
        if counted.iter().any(|known| known.field == field) {
            continue;
        }
        let names = match target_of(field) {
            Target::FirstOf(names) => names,
            _ => vec![field.to_owned()],
        };
        counted.push(Counted { field: field.to_owned(), names, is_subject });
    }
    counted
}

/// What an event has in these fields, each counted once.
pub(super) fn entities_of<'a>(
    event: &'a Event,
    counted: &'a [Counted],
) -> impl Iterator<Item = EntityCount> + 'a {
    counted.iter().filter_map(|Counted { field, names, is_subject }| {
        let mut values = names.iter().flat_map(|name| event.values(name));
        let mut value = values.find(|value| *value != Value::Null)?.to_string();
        value.truncate(value.floor_char_boundary(EVIDENCE_MESSAGE_BYTES_MAX));
        let entity = Entity { kind: entity_kind(field).to_owned(), field: field.clone(), value };
        Some(EntityCount { entity, count: 1, is_subject: *is_subject })
    })
}

/// Counts a value so many times more.
pub(super) fn count_entity(
    entities: &mut Vec<EntityCount>,
    found: EntityCount,
    weight: u64,
    mut is_new: impl FnMut(&EntityCount),
) {
    let field = &found.entity.field;
    let of_field = entities.iter().filter(|known| known.entity.field == *field).count();
    match entities.iter_mut().find(|known| known.entity == found.entity) {
        Some(known) => known.count += weight,
        None if of_field >= ENTITY_VALUES_MAX => {}
        None => {
            is_new(&found);
            entities.push(EntityCount { count: weight, ..found });
        }
    }
}

/// Which kind of entity a field names.
pub(crate) fn entity_kind(field: &str) -> &'static str {
    match field {
        field if field.ends_with(".ip") => "ip",
        field if field.starts_with("user.") => "user",
        field if field.starts_with("host.") => "host",
        _ => "other",
    }
}

/// Who or what the alerts of a group are about.
pub(super) fn entity_of_group(rule: &Rule, group: &GroupValues) -> Option<Entity> {
    let chosen = rule.settings.entity.as_deref();
    let (field, value) = group
        .iter()
        .find(|(field, _)| Some(field.as_str()) == chosen)
        .or_else(|| group.iter().find(|(field, _)| entity_kind(field) != "other"))
        .or_else(|| group.first())?;
    let kind = entity_kind(field).to_owned();
    Some(Entity { kind, field: field.clone(), value: value.clone() })
}
