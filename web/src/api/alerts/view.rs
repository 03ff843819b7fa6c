//! Alerts as the JSON of the API: list items and the single view.

use std::collections::BTreeMap;

use logwarden_alerting::alert::{
    AlertCounts, Delivery, Entity as AlertEntity, Evidence, RelatedAlert, TimelineEntry,
    TimelineKind, Why,
};
use logwarden_alerting::{Alert, AlertSummary, Level};
use logwarden_event::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A page of alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AlertList {
    /// The alerts, newest first.
    pub(super) items: Vec<AlertItem>,
    /// Hand it back as `cursor` for the next page; null on the last one.
    pub(super) next: Option<String>,
    /// How many there are in each state, whatever the query.
    pub(super) counts: Counts,
}

/// How many alerts stand where.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Counts {
    open: u64,
    /// The open ones by severity.
    open_by_severity: BTreeMap<&'static str, u64>,
    acknowledged: u64,
    resolved: u64,
    /// Whether all were counted; otherwise only the newest were, and there may be more.
    complete: bool,
}

/// An alert as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct AlertItem {
    id: String,
    /// What happened, with the numbers in it.
    title: String,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    severity: &'static str,
    /// `open`, `acknowledged` or `resolved`.
    state: &'static str,
    rule: Rule,
    entity: Option<Entity>,
    /// The fields the rule groups by, with their values.
    group: BTreeMap<String, String>,
    opened_at: String,
    updated_at: String,
    first_event_at: String,
    last_event_at: String,
    /// Since when the condition no longer holds.
    ended_at: Option<String>,
    /// How often the rule fired into it.
    detections: u64,
    /// Events in it, exactly.
    events: u64,
    assignee: Option<String>,
    /// `true_positive`, `benign`, `false_positive`, `duplicate` or `other`.
    resolution: Option<&'static str>,
}

/// The rule that opened an alert.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertRule)]
struct Rule {
    id: String,
    name: String,
    title: String,
    r#type: String,
    version: u32,
    /// What routes may ask for.
    labels: BTreeMap<String, String>,
}

/// Who or what an alert is about.
#[derive(Debug, Serialize, ToSchema)]
struct Entity {
    /// `ip`, `user`, `host` or `other`.
    kind: String,
    field: String,
    value: String,
}

/// All there is to know about one alert.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AlertDetails {
    #[serde(flatten)]
    item: AlertItem,
    why: Reason,
    /// Events that prove it, oldest first.
    evidence: Vec<EvidenceEvent>,
    /// How many events there are in all.
    evidence_total: u64,
    entities: Vec<EntityCount>,
    related: Vec<Related>,
    what_to_do: String,
    runbook: Option<String>,
    timeline: Vec<Happening>,
    notifications: Vec<AlertNotification>,
    notes: Vec<Note>,
    links: Links,
    latency_ms: Latency,
}

/// Why an alert was opened.
#[derive(Debug, Serialize, ToSchema)]
struct Reason {
    text: String,
    observed: u64,
    threshold: u64,
    /// What is usual, from and to: as the rule learned it, or, of one that counts events in a window, in the middle nine
    /// tenths of the windows of the day before.
    usual: Option<[f64; 2]>,
    window_secs: u64,
    group: BTreeMap<String, String>,
    series: Vec<SeriesPoint>,
}

/// Events in one minute.
#[derive(Debug, Serialize, ToSchema)]
struct SeriesPoint {
    timestamp: String,
    count: u64,
}

/// One event as the alert keeps it.
#[derive(Debug, Serialize, ToSchema)]
struct EvidenceEvent {
    event_id: String,
    timestamp: String,
    message: String,
    fields: BTreeMap<String, Value>,
    /// Why it stands out, such as `first_success`.
    flag: Option<String>,
}

/// An entity with the events it was seen in.
#[derive(Debug, Serialize, ToSchema)]
struct EntityCount {
    kind: String,
    field: String,
    value: String,
    count: u64,
}

/// Another alert about one of the same entities.
#[derive(Debug, Serialize, ToSchema)]
struct Related {
    id: String,
    title: String,
    severity: &'static str,
    state: &'static str,
    opened_at: String,
}

/// One entry of the timeline.
#[derive(Debug, Serialize, ToSchema)]
struct Happening {
    at: String,
    /// `opened`, `acknowledged`, `assigned`, `resolved`, `reopened`, `note`, `ended`, `events`,
    /// `notified` or `failed`.
    kind: &'static str,
    actor: Option<String>,
    text: String,
}

/// Something somebody wrote down.
#[derive(Debug, Serialize, ToSchema)]
struct Note {
    id: String,
    at: String,
    actor: Option<String>,
    text: String,
}

/// A notification about the alert.
#[derive(Debug, Serialize, ToSchema)]
struct AlertNotification {
    id: String,
    notifier: String,
    /// `email` or `webhook`.
    kind: String,
    /// `pending`, `sent` or `failed`.
    state: &'static str,
    attempts: u32,
    last_attempt_at: Option<String>,
    next_attempt_at: Option<String>,
    /// What the receiver said.
    answer: String,
}

/// Where to go on from here.
#[derive(Debug, Serialize, ToSchema)]
struct Links {
    /// The search that shows every event of the alert.
    search: String,
}

/// How long the event that opened it took, in milliseconds; all but the first from our receiving it.
#[derive(Debug, Serialize, ToSchema)]
struct Latency {
    /// From the sender's time to our receiving it.
    received: Option<i64>,
    /// Until it was on disk, at the latest.
    durable: Option<i64>,
    /// Until the alert was written.
    evaluated: Option<i64>,
    /// Until the first notification was on its way.
    notified: Option<i64>,
    /// Until the first receiver had taken one.
    delivered: Option<i64>,
}

impl From<AlertCounts> for Counts {
    fn from(counts: AlertCounts) -> Self {
        let AlertCounts { open, open_by_level, acknowledged, resolved, is_partial } = counts;
        let names = Level::ALL.into_iter().map(Level::name);
        let open_by_severity = names.zip(open_by_level).collect();
        Self { open, open_by_severity, acknowledged, resolved, complete: !is_partial }
    }
}

impl From<AlertSummary> for AlertItem {
    fn from(alert: AlertSummary) -> Self {
        let rule = alert.rule;
        Self {
            id: alert.id.to_string(),
            title: alert.title,
            severity: alert.severity.name(),
            state: alert.state.name(),
            rule: Rule {
                id: rule.id,
                name: rule.name,
                title: rule.title,
                r#type: rule.kind,
                version: rule.version,
                labels: rule.labels,
            },
            entity: alert.entity.map(|entity| {
                let AlertEntity { kind, field, value } = entity;
                Entity { kind, field, value }
            }),
            group: alert.group.into_iter().collect(),
            opened_at: alert.opened_at.to_string(),
            updated_at: alert.updated_at.to_string(),
            first_event_at: alert.first_event_at.to_string(),
            last_event_at: alert.last_event_at.to_string(),
            ended_at: time(alert.ended_at),
            detections: alert.detections,
            events: alert.events,
            assignee: alert.assignee,
            resolution: alert.resolution.map(|resolution| resolution.name()),
        }
    }
}

impl From<Alert> for AlertDetails {
    fn from(alert: Alert) -> Self {
        let runbook = alert.summary.rule.runbook.clone();
        let evidence_total = alert.summary.events;
        let item = AlertItem::from(alert.summary.clone());
        let notes = alert.timeline.iter().filter(|entry| entry.kind == TimelineKind::Note);
        let notes = notes.cloned().map(Note::from).collect();
        let entities = alert.subjects().map(|counted| {
            let AlertEntity { kind, field, value } = counted.entity.clone();
            EntityCount { kind, field, value, count: counted.count }
        });
        let entities = entities.collect();
        Self {
            why: Reason::new(alert.why, item.group.clone()),
            item,
            evidence: alert.evidence.into_iter().map(EvidenceEvent::from).collect(),
            evidence_total,
            entities,
            related: alert.related.into_iter().map(Related::from).collect(),
            what_to_do: alert.what_to_do,
            runbook,
            timeline: alert.timeline.into_iter().map(Happening::from).collect(),
            notifications: alert.notifications.into_iter().map(AlertNotification::from).collect(),
            notes,
            links: Links { search: alert.search.path() },
            latency_ms: Latency {
                received: alert.latency.received_ms,
                durable: alert.latency.durable_ms,
                evaluated: alert.latency.evaluated_ms,
                notified: alert.latency.notified_ms,
                delivered: alert.latency.delivered_ms,
            },
        }
    }
}

impl Reason {
    fn new(why: Why, group: BTreeMap<String, String>) -> Self {
        let series = why.series.iter().map(|point| SeriesPoint {
            timestamp: point.timestamp().to_string(),
            count: point.count,
        });
        Self {
            series: series.collect(),
            text: why.text,
            observed: why.observed,
            threshold: why.threshold,
            usual: why.usual,
            window_secs: why.window_secs,
            group,
        }
    }
}

impl From<Evidence> for EvidenceEvent {
    fn from(event: Evidence) -> Self {
        Self {
            event_id: event.event_id.to_string(),
            timestamp: event.timestamp().to_string(),
            message: event.message,
            fields: event.fields.into_iter().collect(),
            flag: event.flag,
        }
    }
}

impl From<RelatedAlert> for Related {
    fn from(alert: RelatedAlert) -> Self {
        Self {
            id: alert.id.to_string(),
            title: alert.title,
            severity: alert.severity.name(),
            state: alert.state.name(),
            opened_at: alert.opened_at.to_string(),
        }
    }
}

impl From<TimelineEntry> for Happening {
    fn from(entry: TimelineEntry) -> Self {
        let at = entry.at.to_string();
        Self { at, kind: entry.kind.name(), actor: entry.actor, text: entry.text }
    }
}

impl From<TimelineEntry> for Note {
    fn from(entry: TimelineEntry) -> Self {
        let TimelineEntry { id, at, actor, text, .. } = entry;
        Self { id, at: at.to_string(), actor, text }
    }
}

impl From<Delivery> for AlertNotification {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            notifier: delivery.notifier,
            kind: delivery.kind,
            state: delivery.state.name(),
            attempts: delivery.attempts,
            last_attempt_at: time(delivery.last_attempt_at),
            next_attempt_at: time(delivery.next_attempt_at),
            answer: delivery.answer,
        }
    }
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}
