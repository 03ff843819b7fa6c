//! What a person handles: an alert groups the detections of one rule and one group.
//!
//! Plain types only; where they are kept is in `alert/tables.rs`, what may become of them in
//! `alert/lifecycle.rs`. At most one alert of a rule and group is open or acknowledged at a time.

pub(crate) mod desk;
pub(crate) mod entity;
pub(crate) mod kept;
pub(crate) mod latency;
pub(crate) mod lifecycle;
pub mod link;
pub(crate) mod sight;
pub(crate) mod statistics;
pub(crate) mod tables;
pub(crate) mod usual;
pub(crate) mod wording;
pub(crate) mod writing;

use std::collections::BTreeMap;

use logwarden_event::{AlertId, EventId, NotificationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::rule::Level;

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Nobody has said that they look at it.
    Open,
    /// Somebody looks at it.
    Acknowledged,
    /// Done with.
    Resolved,
}

impl AlertState {
    /// The word used in the API and the catalog.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// From that word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Acknowledged, Self::Resolved].into_iter().find(|s| s.name() == name)
    }
}

/// Why an alert was resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// It was what the rule looks for.
    TruePositive,
    /// It was that, and it was meant to happen.
    Benign,
    /// It was something else.
    FalsePositive,
    /// Another alert is about the same.
    Duplicate,
    /// Any other reason.
    Other,
}

impl Resolution {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::TruePositive, Self::Benign, Self::FalsePositive, Self::Duplicate, Self::Other];

    /// The word used in the API and the catalog.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TruePositive => "true_positive",
            Self::Benign => "benign",
            Self::FalsePositive => "false_positive",
            Self::Duplicate => "duplicate",
            Self::Other => "other",
        }
    }

    /// From that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resolution| resolution.name() == name)
    }
}

/// The rule that opened an alert, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRule {
    /// The rule's id.
    pub id: String,
    /// Its short name, or its id where it has none.
    pub name: String,
    /// Its title.
    pub title: String,
    /// `sigma`, or the kind of correlation such as `event_count`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Counts the changes of the rule, from 1 on.
    pub version: u32,
    /// ATT&CK techniques and tactics, such as `T1110`.
    pub attack: Vec<String>,
    /// Where the rule says what to do, when that is a link.
    pub runbook: Option<String>,
    /// What it is labelled with, such as `team: infra`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// A user, an address, a host: who or what an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// `ip`, `user`, `host` or `other`.
    pub kind: String,
    /// The field the value stood in.
    pub field: String,
    /// The value.
    pub value: String,
}

/// An entity with the events it was seen in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityCount {
    /// Who or what.
    pub entity: Entity,
    /// Events of the alert that name it.
    pub count: u64,
    /// The alert is about it; otherwise it is only counted, for the title or the reason.
    #[serde(default = "is_so")]
    pub is_subject: bool,
}

fn is_so() -> bool {
    true
}

/// An alert as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSummary {
    /// The id.
    pub id: AlertId,
    /// What happened, with the numbers in it.
    pub title: String,
    /// How bad the rule says it is.
    pub severity: Level,
    /// Where it stands.
    pub state: AlertState,
    /// Which rule opened it.
    pub rule: AlertRule,
    /// Who or what it is about.
    pub entity: Option<Entity>,
    /// The fields the rule groups by, with their values.
    pub group: Vec<(String, String)>,
    /// When it was opened, by our clock.
    pub opened_at: Timestamp,
    /// When anything about it changed last, by our clock.
    pub updated_at: Timestamp,
    /// The earliest event in it.
    pub first_event_at: Timestamp,
    /// The latest event in it.
    pub last_event_at: Timestamp,
    /// Since when, in event time, its condition no longer holds.
    pub ended_at: Option<Timestamp>,
    /// How often the rule fired into it.
    pub detections: u64,
    /// Events in it, exactly.
    pub events: u64,
    /// Who handles it.
    pub assignee: Option<String>,
    /// Why it was resolved.
    pub resolution: Option<Resolution>,
}

/// Events in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesPoint {
    /// The minute's beginning.
    pub minute: i64,
    /// Events of the alert in it.
    pub count: u64,
}

impl SeriesPoint {
    /// The minute's beginning as an instant.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp::from_secs(self.minute.saturating_mul(60))
    }
}

/// Why an alert was opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The condition and the numbers in words.
    pub text: String,
    /// What was counted when the rule fired, or more since.
    pub observed: u64,
    /// What the rule asks for.
    pub threshold: u64,
    /// What is usual for the group, from and to: as the rule knows it, or, of one that counts events in a
    /// window, in the middle nine tenths of the windows of the day before.
    #[serde(default)]
    pub usual: Option<[f64; 2]>,
    /// The length of the window in seconds; 0 when the rule has none.
    pub window_secs: u64,
    /// Events per minute, oldest first, at most [`SERIES_MINUTES_MAX`].
    pub series: Vec<SeriesPoint>,
}

/// Minutes of [`Why::series`]; of a longer alert the oldest are forgotten.
pub const SERIES_MINUTES_MAX: usize = 1_440;

/// One event as an alert keeps it, for the time after retention removed the event itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The event's id, as text.
    #[serde(with = "id_text")]
    pub event_id: EventId,
    /// When it happened, in nanoseconds.
    pub timestamp_ns: i64,
    /// Its message, at most [`EVIDENCE_MESSAGE_BYTES_MAX`].
    pub message: String,
    /// Its fields, flat, at most [`EVIDENCE_FIELDS_MAX`].
    pub fields: Vec<(String, serde_json::Value)>,
    /// Why it stands out: `first_success`.
    pub flag: Option<String>,
}

/// Bytes of a message that evidence keeps.
pub const EVIDENCE_MESSAGE_BYTES_MAX: usize = 1_024;
/// Fields of an event that evidence keeps.
pub const EVIDENCE_FIELDS_MAX: usize = 48;
/// Events an alert keeps as evidence; further ones are counted.
pub const EVIDENCE_EVENTS_MAX: usize = 100;

impl Evidence {
    /// When it happened.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp::from_nanos(self.timestamp_ns)
    }
}

mod id_text {
    //! Event ids as text inside the catalog's JSON.
    use logwarden_event::EventId;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &EventId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<EventId, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Another alert about one of the same entities.
#[derive(Debug, Clone, PartialEq)]
pub struct RelatedAlert {
    /// Its id.
    pub id: AlertId,
    /// Its title.
    pub title: String,
    /// How bad it is.
    pub severity: Level,
    /// Where it stands.
    pub state: AlertState,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimelineKind {
    /// It was opened.
    Opened,
    /// Somebody looks at it.
    Acknowledged,
    /// Somebody was made responsible, or nobody.
    Assigned,
    /// It was resolved.
    Resolved,
    /// It was opened again by a person.
    Reopened,
    /// Somebody wrote something down.
    Note,
    /// The rule's condition no longer holds.
    Ended,
    /// The rule fired again, or more events came.
    Events,
    /// Somebody was told, or deliberately not told.
    Notified,
    /// Somebody could not be told.
    Failed,
    /// Nobody acknowledged it in time, and others were told.
    Escalated,
}

impl TimelineKind {
    const ALL: [Self; 11] = [
        Self::Opened,
        Self::Acknowledged,
        Self::Assigned,
        Self::Resolved,
        Self::Reopened,
        Self::Note,
        Self::Ended,
        Self::Events,
        Self::Notified,
        Self::Failed,
        Self::Escalated,
    ];

    /// The word used in the API and the catalog.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Acknowledged => "acknowledged",
            Self::Assigned => "assigned",
            Self::Resolved => "resolved",
            Self::Reopened => "reopened",
            Self::Note => "note",
            Self::Ended => "ended",
            Self::Events => "events",
            Self::Notified => "notified",
            Self::Failed => "failed",
            Self::Escalated => "escalated",
        }
    }

    /// From that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One entry of an alert's timeline; notes are the entries of kind [`TimelineKind::Note`].
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineEntry {
    /// Unique within its alert.
    pub id: String,
    /// When, by our clock; for [`TimelineKind::Ended`] in event time.
    pub at: Timestamp,
    /// What.
    pub kind: TimelineKind,
    /// Who did it; `None`: the program.
    pub actor: Option<String>,
    /// In words, as somebody wrote it.
    pub text: String,
}

/// Where a notification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// To be sent, or to be sent again.
    Pending,
    /// The receiver took it.
    Sent,
    /// Given up after a day.
    Failed,
    /// Not sent, because its receiver had as many in one hour as it is to have. The next one counts it.
    Limited,
    /// Not sent, because a silence or the rule's `suppress` covers the alert, or it would wake people for what came late.
    Silenced,
}

impl DeliveryState {
    /// The word used in the API and the catalog.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Limited => "limited",
            Self::Silenced => "silenced",
        }
    }

    /// From that word.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Sent, Self::Failed, Self::Limited, Self::Silenced];
        all.into_iter().find(|s| s.name() == name)
    }
}

/// One notification and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The id a receiver sees at every attempt.
    pub id: NotificationId,
    /// What it is about.
    pub alert_id: AlertId,
    /// What it says, such as `alert.opened`.
    pub event: String,
    /// Through which notifier.
    pub notifier: String,
    /// `email` or `webhook`.
    pub kind: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// The last one.
    pub last_attempt_at: Option<Timestamp>,
    /// The next one, while it is pending.
    pub next_attempt_at: Option<Timestamp>,
    /// What the receiver said, or why there was no answer.
    pub answer: String,
    /// The alert's title when it was first tried: what the subject of all its mails is made of.
    pub title: Option<String>,
    /// The name of the route that took the alert; `None`: there are no routes, or a rule or person
    /// decided.
    pub route: Option<String>,
    /// When it was made, in the transaction of what it tells.
    pub created_at: Timestamp,
    /// When its receiver took it.
    pub sent_at: Option<Timestamp>,
}

impl Delivery {
    /// Leaves of what an HTTP receiver said its status alone: the rest may be anything.
    pub(crate) fn cut_answer(&mut self) {
        let status = self.answer.split(' ').next().unwrap_or_default();
        let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        if is_status && self.kind != "email" {
            self.answer.truncate(status.len());
        }
    }
}

/// The search that shows every event of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchLink {
    /// In the query language.
    pub query: String,
    /// The first instant.
    pub from: Timestamp,
    /// The instant after the last one.
    pub to: Timestamp,
}

impl SearchLink {
    /// The dashboard's path and query string, `/search?q=…&from=…&to=…`.
    pub fn path(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &self.query);
        query.append_pair("from", &self.from.to_string());
        query.append_pair("to", &self.to.to_string());
        format!("/search?{}", query.finish())
    }
}

/// How long the event that opened an alert took, in milliseconds. All but the first are counted from
/// our receiving it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// From the sender's time to our receiving it.
    pub received_ms: Option<i64>,
    /// Until it was on disk, at the latest: the detector reads nothing that is not.
    pub durable_ms: Option<i64>,
    /// Until the alert's transaction.
    pub evaluated_ms: Option<i64>,
    /// Until the first notification was on its way.
    pub notified_ms: Option<i64>,
    /// Until the first receiver had taken one.
    pub delivered_ms: Option<i64>,
}

/// All there is to know about one alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// As lists show it.
    pub summary: AlertSummary,
    /// Why it was opened.
    pub why: Why,
    /// Events that prove it, oldest first, at most [`EVIDENCE_EVENTS_MAX`].
    pub evidence: Vec<Evidence>,
    /// Who and what is in it and what is counted besides, most frequent first.
    pub entities: Vec<EntityCount>,
    /// Alerts of the last 7 days about one of the same entities, newest first.
    pub related: Vec<RelatedAlert>,
    /// What the rule says to do.
    pub what_to_do: String,
    /// What happened to it, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// Who was told.
    pub notifications: Vec<Delivery>,
    /// The search that shows its events.
    pub search: SearchLink,
    /// How long it took.
    pub latency: Latency,
}

impl Alert {
    /// Who and what it is about, most frequent first.
    pub fn subjects(&self) -> impl Iterator<Item = &EntityCount> {
        self.entities.iter().filter(|known| known.is_subject)
    }
}

/// Which alerts a list is to hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertQuery {
    /// Only these states; empty: all.
    pub states: Vec<AlertState>,
    /// Only these levels; empty: all.
    pub severities: Vec<Level>,
    /// Only of the rule of this id or name.
    pub rule: Option<String>,
    /// Only about the entity of this value.
    pub entity: Option<String>,
    /// Only of this assignee.
    pub assignee: Option<String>,
    /// Only those that this event proves.
    pub event: Option<EventId>,
    /// Only with this text in the title, case ignored.
    pub text: Option<String>,
    /// Which come first.
    pub order: AlertOrder,
    /// At most so many; 0: 100. Never more than [`ALERTS_PAGE_MAX`].
    pub limit: usize,
    /// What [`AlertPage::next`] held.
    pub cursor: Option<String>,
}

/// In which order a list of alerts stands; alerts that are equal in it stand newest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlertOrder {
    /// What is compared.
    pub by: AlertKey,
    /// The smallest or oldest first.
    pub is_ascending: bool,
}

/// What a list of alerts can be ordered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AlertKey {
    /// When it was opened.
    #[default]
    OpenedAt,
    /// How bad it is.
    Severity,
    /// Events in it.
    Events,
    /// When its last event happened.
    LastEventAt,
}

impl AlertOrder {
    /// Every key with its name in the API.
    pub const KEYS: [(&'static str, AlertKey); 4] = [
        ("opened_at", AlertKey::OpenedAt),
        ("severity", AlertKey::Severity),
        ("events", AlertKey::Events),
        ("last_event_at", AlertKey::LastEventAt),
    ];

    /// Reads a key's name, with `-` before it for the largest or newest first.
    pub fn from_name(text: &str) -> Option<Self> {
        let name = text.strip_prefix('-').unwrap_or(text);
        let (_, by) = Self::KEYS.into_iter().find(|(known, _)| *known == name)?;
        Some(Self { by, is_ascending: !text.starts_with('-') })
    }
}

/// Alerts on one page of a list.
pub const ALERTS_PAGE_MAX: usize = 1_000;

/// How many alerts stand where, whatever the query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlertCounts {
    /// Open ones.
    pub open: u64,
    /// The same by level, in the order of [`Level::ALL`].
    pub open_by_level: [u64; Level::ALL.len()],
    /// Acknowledged ones.
    pub acknowledged: u64,
    /// Resolved ones.
    pub resolved: u64,
    /// Only the newest alerts were counted; there may be more.
    pub is_partial: bool,
}

impl AlertCounts {
    pub(crate) fn add(&mut self, state: AlertState, level: Level, count: u64) {
        match state {
            AlertState::Open => {
                self.open += count;
                self.open_by_level[level as usize] += count;
            }
            AlertState::Acknowledged => self.acknowledged += count,
            AlertState::Resolved => self.resolved += count,
        }
    }
}

/// One page of a list, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertPage {
    /// The alerts.
    pub items: Vec<AlertSummary>,
    /// Asks for the next page, if there is one.
    pub next: Option<String>,
    /// How many there are in all.
    pub counts: AlertCounts,
}
