//! The journal's record of an alert: written after the alert was opened, and read to put back an
//! alert that the catalog lost.

use logwarden_event::{AlertId, Class, Event, EventBuilder, Severity, Timestamp, Value};
use logwarden_store::Statement;
use tracing::warn;

use crate::Shared;
use crate::alert::desk::Opened;
use crate::alert::lifecycle::timeline_entry;
use crate::alert::tables::{self, AlertRow};
use crate::alert::writing::insert;
use crate::alert::{AlertState, AlertSummary, TimelineKind};
use crate::error::AlertingError;
use crate::notify::Occasion;
use crate::rule::{Level, RuleSet};

/// The event of dataset `logwarden.alert` that tells the journal of an alert. Its record is the
/// whole alert, so that it can be put back.
pub(super) fn fired_event(opened: &Opened) -> Event {
    let summary = &opened.row.summary;
    let record = serde_json::json!({
        "version": 1,
        "id": summary.id.to_string(),
        "group_key": opened.group_key,
        "title": summary.title,
        "severity": summary.severity.name(),
        "opened_ns": summary.opened_at.nanos(),
        "first_event_ns": summary.first_event_at.nanos(),
        "last_event_ns": summary.last_event_at.nanos(),
        "events": summary.events,
        "body": opened.row.body,
    })
    .to_string();
    let mut builder = EventBuilder::new(record.as_bytes());
    let severity = match summary.severity {
        Level::Informational => Severity::Info,
        Level::Low => Severity::Notice,
        Level::Medium => Severity::Warning,
        Level::High => Severity::Error,
        Level::Critical => Severity::Alert,
    };
    builder
        .timestamp(Some(summary.opened_at))
        .severity(severity)
        .source("logwarden")
        .dataset("logwarden.alert")
        .class(Class::new(""))
        .message(&summary.title);
    builder.field("event.kind", Value::String("alert"));
    builder.field("rule.name", Value::String(&summary.rule.title));
    builder.field("alert.id", Value::String(&summary.id.to_string()));
    builder.field("alert.severity", Value::String(summary.severity.name()));
    builder.field("alert.rule_id", Value::String(&summary.rule.id));
    for (field, value) in &summary.group {
        match value.parse() {
            Ok(ip) => builder.field(field, Value::Ip(ip)),
            Err(_) => builder.field(field, Value::String(value)),
        };
    }
    builder.build()
}

#[derive(serde::Deserialize)]
struct Fired {
    id: String,
    group_key: String,
    title: String,
    severity: String,
    opened_ns: i64,
    first_event_ns: i64,
    last_event_ns: i64,
    events: u64,
    body: tables::Body,
}

/// The statements that put an alert back which the journal knows and the catalog does not.
pub(super) async fn put_back(
    shared: &Shared,
    rules: &RuleSet,
    event: &Event,
    opened: &[Opened],
    now: Timestamp,
) -> Result<Vec<Statement>, AlertingError> {
    let Ok(fired) = serde_json::from_slice::<Fired>(event.raw()) else {
        warn!(event = %event.id(), "the record of an alert cannot be read");
        return Ok(Vec::new());
    };
    let Ok(id) = fired.id.parse::<AlertId>() else { return Ok(Vec::new()) };
    let catalog = &*shared.store.catalog;
    let is_known = opened.iter().any(|opened| opened.row.summary.id == id)
        || tables::row_of(catalog, id).await?.is_some();
    let newest = tables::newest_of_group(catalog, &fired.body.rule.id, &fired.group_key).await?;
    let has_live = newest.iter().any(|row| row.summary.state != AlertState::Resolved);
    if is_known || has_live {
        return Ok(Vec::new());
    }
    warn!(alert = %id, "alert was missing in the catalog and is put back");
    let row = AlertRow {
        summary: AlertSummary {
            id,
            title: fired.title,
            severity: Level::from_name(&fired.severity).unwrap_or_default(),
            state: AlertState::Open,
            rule: fired.body.rule.clone(),
            entity: fired.body.entity.clone(),
            group: fired.body.group.clone(),
            opened_at: Timestamp::from_nanos(fired.opened_ns),
            updated_at: now,
            first_event_at: Timestamp::from_nanos(fired.first_event_ns),
            last_event_at: Timestamp::from_nanos(fired.last_event_ns),
            ended_at: None,
            detections: 1,
            events: fired.events,
            assignee: None,
            resolution: None,
        },
        body: fired.body,
    };
    let mut statements = vec![
        insert(&row, &fired.group_key),
        timeline_entry(id, TimelineKind::Opened, None, "put back from the journal", now),
    ];
    if let Some(rule) = rules.find(&row.summary.rule.id) {
        let routing = shared.routing();
        let told = routing.for_alert(rule, &row.summary, Occasion::at(now));
        statements.extend(told.statements(&row.summary, now));
    }
    Ok(statements)
}
