//! What is put into the outbox about an alert: who is told, how, and when.
//!
//! In: what routing says of an alert that is opened. Out: statements for the transaction that opens it, such that
//! repeating them adds nothing. Pure.

use std::time::Duration;

use logwarden_event::Timestamp;
use logwarden_store::Statement;

use super::route::Taken;
use super::{Named, escalation, growth, stored};
use crate::alert::lifecycle::timeline_entry;
use crate::alert::tables::{instant, text};
use crate::alert::{AlertSummary, DeliveryState, TimelineKind};
use crate::config::EscalationConfig;
use crate::identity::notification_id;

/// Why people are not told at once, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// Nobody is told.
    Nobody(String),
    /// It is told of in the next digest.
    Digest(String),
}

/// What decides besides the rule and the alert.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion<'a> {
    /// Why people are not told at once; `None`: they are.
    pub quiet: Option<&'a Quiet>,
    /// By our clock.
    pub now: Timestamp,
}

impl Occasion<'_> {
    /// Nothing special.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self { quiet: None, now }
    }
}

/// What alerts of one message agree in, as one text.
pub(super) fn group_of(taken: &Taken<'_>, summary: &AlertSummary) -> String {
    let mut key = format!("group {}", taken.route);
    for name in taken.group_by {
        let of_group = || summary.group.iter().find(|(field, _)| field == name);
        let value = match name.as_str() {
            "rule" => Some(summary.rule.id.as_str()),
            "severity" => Some(summary.severity.name()),
            _ => of_group().map(|(_, value)| value.as_str()),
        };
        key.push_str(&format!("\u{1f}{}", value.unwrap_or_default()));
    }
    key
}

/// Who is told about an alert.
pub(crate) enum Told<'a> {
    /// Nobody, for this reason.
    Nobody(&'a str),
    /// These, in this way.
    These(Plan<'a>),
}

/// Who is told about an alert, and how.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    /// Who.
    pub(super) told: Vec<&'a Named>,
    /// `alert.opened` or `alert.digest`.
    pub(super) event: &'static str,
    /// When it is sent.
    pub(super) due: Timestamp,
    /// What is told of in one message; empty: it alone.
    pub(super) group: String,
    /// The route that took it.
    pub(super) route: &'a str,
    /// Who is told when nobody acknowledges.
    pub(super) escalate: &'a [EscalationConfig],
    /// Why it is told of in a digest.
    pub(super) why: Option<&'a str>,
    /// Why they are not told at all: deliveries say so.
    pub(super) silenced: Option<&'a str>,
}

impl Plan<'_> {
    /// Puts it into the next digest of this period, if there is one.
    pub(super) fn digest(&mut self, every: Option<Duration>, now: Timestamp) {
        let Some(every) = every else { return };
        self.event = "alert.digest";
        self.due = stored::next_digest(now, every);
        self.group = format!("digest {}", self.due.secs());
    }
}

impl Told<'_> {
    /// The statements that put a notification for each of them into the outbox, or say in the
    /// alert's timeline why there is none at once.
    pub(crate) fn statements(&self, summary: &AlertSummary, now: Timestamp) -> Vec<Statement> {
        let plan = match self {
            Self::Nobody(reason) => {
                return vec![timeline_entry(summary.id, TimelineKind::Notified, None, reason, now)];
            }
            Self::These(plan) => plan,
        };
        let pending = Pending {
            event: plan.event,
            occasion: "alert.opened",
            now,
            due: plan.due,
            group: &plan.group,
            route: plan.route,
            silenced: plan.silenced,
        };
        let told = plan.told.iter().filter(|known| known.notifier.wants(plan.event));
        let mut statements: Vec<Statement> =
            told.map(|known| insert(summary, known, &pending)).collect();
        if let Some(reason) = plan.silenced {
            statements.push(timeline_entry(summary.id, TimelineKind::Notified, None, reason, now));
            return statements;
        }
        if plan.told.is_empty() {
            let words = match plan.route {
                "" => String::from("nobody is told: no notifier is named"),
                route => format!("nobody is told: route \"{route}\" names nobody"),
            };
            statements.push(timeline_entry(summary.id, TimelineKind::Notified, None, &words, now));
        } else if plan.event == "alert.opened" {
            statements.push(growth::begun(summary, now));
        }
        if plan.event == "alert.digest" && !plan.told.is_empty() {
            let why = plan.why.map(|why| format!(": {why}")).unwrap_or_default();
            let words = format!("told in the digest of {}{why}", plan.due);
            statements.push(timeline_entry(summary.id, TimelineKind::Notified, None, &words, now));
        }
        statements.extend(escalation::planned(summary, plan.route, plan.escalate, now));
        statements
    }
}

/// A notification that is to be put into the outbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending<'a> {
    /// What it says, such as `alert.opened`.
    pub event: &'a str,
    /// What makes it different from others about the same alert.
    pub occasion: &'a str,
    /// By our clock.
    pub now: Timestamp,
    /// When it is sent.
    pub due: Timestamp,
    /// What is told of in one message; empty: it alone.
    pub group: &'a str,
    /// The route that took the alert.
    pub route: &'a str,
    /// Why it is not sent, where it is only noted.
    pub silenced: Option<&'a str>,
}

impl<'a> Pending<'a> {
    /// To be sent now and alone.
    pub(crate) fn now(event: &'a str, occasion: &'a str, now: Timestamp) -> Self {
        Self { event, occasion, now, due: now, group: "", route: "", silenced: None }
    }
}

/// The statement that puts a notification into the outbox. The same alert, occasion and notifier
/// come to the same id, so repeating it adds nothing.
pub(crate) fn insert(summary: &AlertSummary, named: &Named, pending: &Pending<'_>) -> Statement {
    let id = notification_id(summary.id, pending.occasion, &named.name, summary.opened_at);
    let state = match pending.silenced {
        None => DeliveryState::Pending,
        Some(_) => DeliveryState::Silenced,
    };
    Statement {
        sql: "INSERT INTO alerting_outbox (id, alert_id, notifier, kind, event, state, attempts,
                created_ns, next_ns, lease_until_ns, answer, group_key, route)
            VALUES (?1, ?2, ?3, ?4, ?5, ?10, 0, ?6, ?7, 0, ?11, ?8, ?9)
            ON CONFLICT (id) DO NOTHING",
        values: vec![
            text(id.to_string()),
            text(summary.id.to_string()),
            text(named.name.clone()),
            text(named.kind),
            text(pending.event),
            instant(pending.now),
            instant(pending.due),
            text(pending.group),
            text(pending.route),
            text(state.name()),
            text(pending.silenced.unwrap_or_default()),
        ],
    }
}
