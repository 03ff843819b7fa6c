//! What a notification says, as plain data: for the mail's templates, for JSON, and (`message/said.rs`) for
//! every other receiver.

mod said;

use std::collections::BTreeMap;
use std::time::Duration;

use logwarden_event::Timestamp;
use serde_json::{Value, json};

use super::Outgoing;
use crate::alert::wording::{span_text, visible};
use crate::alert::{Alert, AlertSummary, Delivery, Evidence};
use crate::rule::Level;

pub(super) use said::{Body, Said, said};

/// Events that a mail shows.
pub(super) const MAIL_EVIDENCE_MAX: usize = 10;
/// Bytes of evidence that a mail carries as a file.
const ATTACHED_BYTES_MAX: usize = 256 * 1024;
/// Events that a webhook carries.
const WEBHOOK_EVIDENCE_MAX: usize = 10;
/// Characters of a message in a mail.
const MESSAGE_CHARS_MAX: usize = 300;
/// Entities of one field that a mail names.
const ENTITIES_SHOWN_MAX: usize = 3;
/// Events are called old from then on, and nobody is paged for such that came so late.
pub(super) const LATE_AFTER: Duration = Duration::from_secs(3_600);

/// The facts for the mail's templates. Every value from a record is cut and its controls are
/// visible, so that no template can be broken by one.
pub(super) fn facts(outgoing: &Outgoing, alert: &Alert, recipients: &str) -> Value {
    let summary = &alert.summary;
    let shown = decisive_first(alert).take(MAIL_EVIDENCE_MAX);
    let evidence: Vec<Value> = shown.map(evidence_line).collect();
    json!({
        "heading": heading(&outgoing.event),
        "group": group_lines(outgoing, alert),
        "group_says": match outgoing.event.as_str() {
            "alert.digest" => "since the last digest",
            "rota.handover" => "are open as you go on duty",
            _ => "were opened at about the same time",
        },
        "severity": summary.severity.name().to_uppercase(),
        "title": visible(&summary.title, 300),
        "rule": visible(&summary.rule.title, 200),
        "version": summary.rule.version,
        "state": summary.state.name(),
        "opened_at": time(summary.opened_at),
        "first_event_at": time(summary.first_event_at),
        "last_event_at": time(summary.last_event_at),
        "why": visible(&alert.why.text, 1_000),
        "window": (alert.why.window_secs > 0).then(|| span_text(alert.why.window_secs)),
        "note": decisive_note(alert),
        "late": late_note(outgoing, alert),
        "evidence": evidence,
        "evidence_total": summary.events,
        "entities": entity_lines(alert),
        "related": alert.related.iter().take(5).map(|other| json!({
            "severity": other.severity.name().to_uppercase(),
            "title": visible(&other.title, 200),
            "at": time(other.opened_at),
            "state": other.state.name(),
        })).collect::<Vec<_>>(),
        "what_to_do": alert.what_to_do.lines().map(|line| visible(line, 500)).collect::<Vec<_>>(),
        "runbook": summary.rule.runbook,
        "open_link": link(outgoing, &format!("/alerts/{}", summary.id)),
        "acknowledge_link": acknowledge_link(outgoing),
        "search_link": link(outgoing, &alert.search.path()),
        "silence_link": link(outgoing, &format!("/alerts/{}?silence=1", summary.id)),
        "held_back": outgoing.held_back,
        "recipients": recipients,
        "route": route_of(outgoing, alert),
        "colour": colour(summary.severity),
        "others": others(outgoing, alert),
        "alert_id": summary.id.to_string(),
    })
}

fn heading(event: &str) -> &'static str {
    match event {
        "alert.resolved" => "Resolved",
        "alert.acknowledged" => "Acknowledged",
        "alert.reopened" => "Reopened",
        "alert.escalated" => "Nobody has acknowledged it yet",
        "alert.updated" => "It goes on",
        "rota.handover" => "You are on duty now, and this is open",
        "notifier.failed" => "Another notifier could not send this for a day",
        _ => "",
    }
}

/// What decided, of an alert that one event decided.
fn decisive_note(alert: &Alert) -> Option<String> {
    let evidence = alert.evidence.iter().find(|evidence| evidence.flag.is_some())?;
    let who = field_text(evidence, "user.name").map(|who| format!(" (user {who})"));
    let at = time(evidence.timestamp());
    Some(format!("A login from this address SUCCEEDED at {at}{}.", who.unwrap_or_default()))
}

/// Who else is told, each with what became of the last message.
fn others(outgoing: &Outgoing, alert: &Alert) -> Vec<String> {
    let mut last: BTreeMap<&str, &Delivery> = BTreeMap::new();
    for delivery in alert.notifications.iter().filter(|one| one.notifier != outgoing.notifier) {
        last.insert(&delivery.notifier, delivery);
    }
    let in_words =
        |one: &&Delivery| format!("{} {} ({})", one.kind, one.notifier, one.state.name());
    last.values().map(in_words).collect()
}

/// The route by which this message came.
fn route_of(outgoing: &Outgoing, alert: &Alert) -> Option<String> {
    let own = alert.notifications.iter().find(|delivery| delivery.id == outgoing.id)?;
    own.route.as_ref().map(|route| visible(route, 100))
}

/// Behind the severity's word, white on it at 4.5:1 at least.
fn colour(severity: Level) -> &'static str {
    match severity {
        Level::Informational => "#4a5360",
        Level::Low => "#1a56a8",
        Level::Medium => "#8a5a00",
        Level::High => "#b3410e",
        Level::Critical => "#b3152a",
    }
}

/// Every alert of a message about several; nothing for a message about one.
fn group_lines(outgoing: &Outgoing, alert: &Alert) -> Vec<Value> {
    if outgoing.also.is_empty() {
        return Vec::new();
    }
    let all = std::iter::once(&alert.summary).chain(&outgoing.also);
    all.map(|summary| {
        json!({
            "severity": summary.severity.name().to_uppercase(),
            "title": visible(&summary.title, 200),
            "link": link(outgoing, &format!("/alerts/{}", summary.id)),
        })
    })
    .collect()
}

/// That the events are old, where they are: of an alert that is told of first, as it is sent; of one that was told
/// of before, as it was opened.
fn late_note(outgoing: &Outgoing, alert: &Alert) -> Option<String> {
    let summary = &alert.summary;
    let told_at = match outgoing.event.as_str() {
        "alert.opened" | "alert.digest" | "rota.handover" => outgoing.sent_at,
        _ => summary.opened_at,
    };
    let is_late = told_at.since(summary.last_event_at) >= LATE_AFTER;
    is_late.then(|| format!("These events are {}.", age(outgoing.sent_at, summary)))
}

impl Outgoing {
    /// How old the events are, in words, where all that is told of came late and the rule does not say that it wakes
    /// people all the same. What is seen late for other reasons, such as a rule that waits for something that does
    /// not come, cannot wait.
    pub(super) fn late_age(&self) -> Option<String> {
        let alert = self.alert.as_ref()?;
        let is_first = matches!(
            self.event.as_str(),
            "alert.opened" | "alert.escalated" | "alert.digest" | "rota.handover"
        );
        let after = LATE_AFTER.as_secs() as i64 * 1_000;
        let came_late = alert.latency.received_ms.is_some_and(|ms| ms >= after);
        let mut all = std::iter::once(&alert.summary).chain(&self.also);
        let are_old = all.all(|one| self.sent_at.since(one.last_event_at) >= LATE_AFTER);
        let may_wait = is_first && came_late && are_old && !self.page_late;
        may_wait.then(|| age(self.sent_at, &alert.summary))
    }
}

/// How old an alert's newest event is, in words.
fn age(now: Timestamp, summary: &AlertSummary) -> String {
    format!("{} h old", now.since(summary.last_event_at).as_secs() / 3_600)
}

/// The evidence with what decides before the rest, so that it is not cut off.
fn decisive_first(alert: &Alert) -> impl Iterator<Item = &Evidence> {
    let with = |flagged: bool| move |evidence: &&Evidence| evidence.flag.is_some() == flagged;
    alert.evidence.iter().filter(with(true)).chain(alert.evidence.iter().filter(with(false)))
}

fn evidence_line(evidence: &Evidence) -> Value {
    json!({
        "at": time(evidence.timestamp()),
        "who": field_text(evidence, "user.name").unwrap_or_default(),
        "message": visible(&evidence.message, MESSAGE_CHARS_MAX),
        "flag": evidence.flag.as_deref().map(|flag| flag.replace('_', " ").to_uppercase()),
    })
}

fn field_text(evidence: &Evidence, name: &str) -> Option<String> {
    let (_, value) = evidence.fields.iter().find(|(field, _)| field == name)?;
    Some(visible(&value.as_str().map_or_else(|| value.to_string(), str::to_owned), 64))
}

/// One line per field: `user.name root, admin, +29`.
fn entity_lines(alert: &Alert) -> Vec<String> {
    let mut fields: Vec<&str> = Vec::new();
    for known in alert.subjects() {
        if !fields.contains(&known.entity.field.as_str()) {
            fields.push(&known.entity.field);
        }
    }
    fields
        .into_iter()
        .map(|field| {
            let of_field = alert.subjects().filter(|known| known.entity.field == field);
            let values: Vec<String> =
                of_field.map(|known| visible(&known.entity.value, 64)).collect();
            let shown = values.iter().take(ENTITIES_SHOWN_MAX).cloned().collect::<Vec<_>>();
            let more = values.len().saturating_sub(ENTITIES_SHOWN_MAX);
            let more = if more > 0 { format!(", +{more}") } else { String::new() };
            format!("{field} {}{more}", shown.join(", "))
        })
        .collect()
}

/// A time for people: to the millisecond, in UTC.
fn time(at: Timestamp) -> String {
    Timestamp::from_millis(at.millis()).to_string().replace('T', " ").replace('Z', " UTC")
}

/// A path of the dashboard as a link; the path alone when nobody said where the dashboard is.
fn link(outgoing: &Outgoing, path: &str) -> String {
    format!("{}{path}", outgoing.public_url)
}

/// The page that acknowledges the alert after asking once, without signing in.
fn acknowledge_link(outgoing: &Outgoing) -> Option<String> {
    let token = outgoing.acknowledge.as_ref()?;
    Some(link(outgoing, &format!("/a/{token}")))
}

/// The alert's evidence, one JSON object a line, at most [`ATTACHED_BYTES_MAX`]: what does not fit is
/// left out from its end, whole lines only.
pub(super) fn evidence_lines(alert: &Alert) -> String {
    let mut lines = String::new();
    for evidence in &alert.evidence {
        let line = evidence_json(evidence).to_string();
        if lines.len() + line.len() >= ATTACHED_BYTES_MAX {
            break;
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

fn evidence_json(evidence: &Evidence) -> Value {
    let fields: serde_json::Map<String, Value> = evidence.fields.iter().cloned().collect();
    json!({
        "event_id": evidence.event_id.to_string(),
        "timestamp": evidence.timestamp().to_string(),
        "message": evidence.message,
        "fields": fields,
        "flag": evidence.flag,
    })
}

/// The webhook's JSON, version 1.
pub(super) fn to_json(outgoing: &Outgoing) -> Value {
    let mut body = json!({
        "version": "1",
        "type": outgoing.event,
        "notification_id": outgoing.id.to_string(),
        "sent_at": outgoing.sent_at.to_string(),
    });
    if outgoing.held_back > 0 {
        body["held_back"] = outgoing.held_back.into();
    }
    if let Some(trouble) = &outgoing.trouble {
        body["trouble"] = json!({
            "rule": trouble.rule,
            "about": trouble.about,
            "text": trouble.text,
            "began_at": trouble.began_at.to_string(),
        });
    }
    let Some(alert) = &outgoing.alert else { return body };
    let summary = &alert.summary;
    let group: serde_json::Map<String, Value> =
        summary.group.iter().map(|(field, value)| (field.clone(), value.clone().into())).collect();
    body["alert"] = alert_json(outgoing, summary);
    if !outgoing.also.is_empty() {
        body["also"] = outgoing.also.iter().map(|other| alert_json(outgoing, other)).collect();
    }
    body["rule"] = json!({
        "id": summary.rule.id,
        "name": summary.rule.title,
        "version": summary.rule.version,
        "type": summary.rule.kind,
        "attack": summary.rule.attack,
        "runbook": summary.rule.runbook,
    });
    body["why"] = json!({
        "text": alert.why.text,
        "observed": alert.why.observed,
        "threshold": alert.why.threshold,
        "usual": alert.why.usual,
        "window_secs": alert.why.window_secs,
        "group": group,
    });
    body["entities"] = alert
        .subjects()
        .take(50)
        .map(|known| {
            json!({
                "kind": known.entity.kind,
                "field": known.entity.field,
                "value": known.entity.value,
                "count": known.count,
            })
        })
        .collect();
    body["evidence"] =
        decisive_first(alert).take(WEBHOOK_EVIDENCE_MAX).map(evidence_json).collect();
    body["what_to_do"] = alert.what_to_do.clone().into();
    body["related"] = alert
        .related
        .iter()
        .take(10)
        .map(|other| {
            json!({
                "id": other.id.to_string(),
                "title": other.title,
                "severity": other.severity.name(),
                "url": link(outgoing, &format!("/alerts/{}", other.id)),
            })
        })
        .collect();
    body["links"] = json!({
        "search": link(outgoing, &alert.search.path()),
        "acknowledge": acknowledge_link(outgoing),
        "silence": link(outgoing, &format!("/alerts/{}?silence=1", summary.id)),
    });
    body["latency_ms"] = json!({
        "received": alert.latency.received_ms,
        "durable": alert.latency.durable_ms,
        "evaluated": alert.latency.evaluated_ms,
        "notified": alert.latency.notified_ms,
    });
    body
}

/// The alert itself, as lists of the API show it.
fn alert_json(outgoing: &Outgoing, summary: &AlertSummary) -> Value {
    let dedup: Vec<String> =
        summary.group.iter().map(|(field, value)| format!("{field}={value}")).collect();
    json!({
        "id": summary.id.to_string(),
        "url": link(outgoing, &format!("/alerts/{}", summary.id)),
        "title": summary.title,
        "severity": summary.severity.name(),
        "state": summary.state.name(),
        "opened_at": summary.opened_at.to_string(),
        "first_event_at": summary.first_event_at.to_string(),
        "last_event_at": summary.last_event_at.to_string(),
        "detections": summary.detections,
        "events": summary.events,
        "assignee": summary.assignee,
        "resolution": summary.resolution.map(crate::alert::Resolution::name),
        "dedup_key": format!("{}/{}", summary.rule.id, dedup.join(",")),
        "labels": summary.rule.labels,
    })
}
