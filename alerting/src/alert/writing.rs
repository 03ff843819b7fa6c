//! What the detector writes: rows of alerts, events kept for evidence, and groups, as statements.

use logwarden_event::{Event, Value};
use logwarden_store::{SqlValue, Statement};

use super::tables::{AlertRow, instant, integer, text};
use super::{EVIDENCE_FIELDS_MAX, EVIDENCE_MESSAGE_BYTES_MAX, Evidence};
use crate::engine::Part;

/// Fields that evidence keeps before any others.
const TELLING_FIELDS: [&str; 6] =
    ["source.ip", "user.name", "host.name", "destination.ip", "event.outcome", "user.target.name"];

/// The statement that makes an alert's row; when it is there already, nothing happens.
pub(crate) fn insert(row: &AlertRow, key: &str) -> Statement {
    let summary = &row.summary;
    Statement {
        sql: "INSERT INTO alerting_alerts (id, rule_id, rule_name, group_key, title, title_lower,
                severity, state, opened_ns, updated_ns, first_event_ns, last_event_ns, ended_ns,
                detections, events, body, in_journal)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'open', ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 0)
            ON CONFLICT (id) DO NOTHING",
        values: vec![
            text(summary.id.to_string()),
            text(summary.rule.id.clone()),
            text(summary.rule.name.clone()),
            text(key),
            text(summary.title.clone()),
            text(summary.title.to_lowercase()),
            text(summary.severity.name()),
            instant(summary.opened_at),
            instant(summary.updated_at),
            instant(summary.first_event_at),
            instant(summary.last_event_at),
            summary.ended_at.map_or(SqlValue::Null, instant),
            integer(summary.detections),
            integer(summary.events),
            text(serde_json::to_string(&row.body).unwrap_or_default()),
        ],
    }
}

/// The statement that brings an alert's row up to date, but for what people decide.
pub(super) fn update(row: &AlertRow) -> Statement {
    let summary = &row.summary;
    Statement {
        sql: "UPDATE alerting_alerts SET title = ?2, title_lower = ?3,
                updated_ns = CASE WHEN updated_ns > ?4 THEN updated_ns ELSE ?4 END,
                first_event_ns = ?5, last_event_ns = ?6, ended_ns = ?7, detections = ?8,
                events = ?9, body = ?10
            WHERE id = ?1",
        values: vec![
            text(summary.id.to_string()),
            text(summary.title.clone()),
            text(summary.title.to_lowercase()),
            instant(summary.updated_at),
            instant(summary.first_event_at),
            instant(summary.last_event_at),
            summary.ended_at.map_or(SqlValue::Null, instant),
            integer(summary.detections),
            integer(summary.events),
            text(serde_json::to_string(&row.body).unwrap_or_default()),
        ],
    }
}

/// What is kept of an event as evidence.
pub(super) fn evidence_of(event: &Event) -> Evidence {
    let message = match event.message() {
        "" => String::from_utf8_lossy(event.raw()).into_owned(),
        message => message.to_owned(),
    };
    let end = message.floor_char_boundary(EVIDENCE_MESSAGE_BYTES_MAX);
    let mut fields: Vec<(String, serde_json::Value)> = Vec::new();
    for name in TELLING_FIELDS {
        if let Some(value) = event.value_of(name).filter(|value| *value != Value::Null) {
            fields.push((name.to_owned(), json_of(value)));
        }
    }
    for field in event.fields().filter(|field| !field.options.is_inner) {
        if fields.len() >= EVIDENCE_FIELDS_MAX {
            break;
        }
        if !fields.iter().any(|(name, _)| name == field.path) {
            fields.push((field.path.to_owned(), json_of(field.value)));
        }
    }
    Evidence {
        event_id: event.id(),
        timestamp_ns: event.timestamp().nanos(),
        message: message[..end].to_owned(),
        fields,
        flag: None,
    }
}

fn json_of(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => value.into(),
        Value::Integer(value) => match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => value.into(),
            (_, Ok(value)) => value.into(),
            _ => value.to_string().into(),
        },
        Value::Float(value) => value.into(),
        other => {
            let text = other.to_string();
            let end = text.floor_char_boundary(EVIDENCE_MESSAGE_BYTES_MAX);
            text[..end].into()
        }
    }
}

/// The statement that writes or removes a part of a rule's groups.
pub(crate) fn write_part(part: Part) -> Statement {
    let key = vec![text(part.rule_id), integer(part.number)];
    match part.state {
        None => Statement {
            sql: "DELETE FROM alerting_parts WHERE rule_id = ?1 AND number = ?2",
            values: key,
        },
        Some(state) => Statement {
            sql: "INSERT INTO alerting_parts (rule_id, number, fingerprint, state)
                VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (rule_id, number)
                DO UPDATE SET fingerprint = excluded.fingerprint, state = excluded.state",
            values: key
                .into_iter()
                .chain([text(part.fingerprint), SqlValue::Blob(state)])
                .collect(),
        },
    }
}
