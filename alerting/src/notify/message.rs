//! What a notification says, as plain data: for templates and for JSON.

use std::collections::BTreeMap;

use logwarden_event::Timestamp;
use serde_json::{Value, json};

use super::{Outgoing, Trouble};
use crate::alert::wording::{span_text, visible};
use crate::alert::{Alert, AlertState, AlertSummary, Delivery, Evidence};
use crate::rule::Level;

/// Events that a mail shows.
pub(super) const MAIL_EVIDENCE_MAX: usize = 10;
/// Bytes of evidence that a mail carries as a file.
const ATTACHED_BYTES_MAX: usize = 256 * 1024;
/// Events that a webhook carries.
const WEBHOOK_EVIDENCE_MAX: usize = 10;
/// Fields of a group that a short message names.
const GROUP_FACTS_MAX: usize = 16;
/// Further alerts of a message that a short one names.
const ALSO_SHOWN_MAX: usize = 10;
/// Characters of a message in a mail.
const MESSAGE_CHARS_MAX: usize = 300;
/// Entities of one field that a mail names.
const ENTITIES_SHOWN_MAX: usize = 3;

/// The facts for the mail's templates. Every value from a record is cut and its controls are
/// visible, so that no template can be broken by one.
pub(super) fn facts(outgoing: &Outgoing, alert: &Alert, recipients: &str) -> Value {
    let summary = &alert.summary;
    let shown = decisive_first(alert).take(MAIL_EVIDENCE_MAX);
    let evidence: Vec<Value> = shown.map(evidence_line).collect();
    let flagged = alert.evidence.iter().find(|evidence| evidence.flag.is_some()).map(|evidence| {
        let who = field_text(evidence, "user.name").map(|who| format!(" (user {who})"));
        let at = time(evidence.timestamp());
        format!("A login from this address SUCCEEDED at {at}{}.", who.unwrap_or_default())
    });
    // Of each what became of the last one.
    let mut last: BTreeMap<&str, &Delivery> = BTreeMap::new();
    for delivery in alert.notifications.iter().filter(|one| one.notifier != outgoing.notifier) {
        last.insert(&delivery.notifier, delivery);
    }
    let in_words =
        |one: &&Delivery| format!("{} {} ({})", one.kind, one.notifier, one.state.name());
    let others: Vec<String> = last.values().map(in_words).collect();
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
        "note": flagged,
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
        "others": others,
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

fn late_note(outgoing: &Outgoing, alert: &Alert) -> Option<String> {
    let age = outgoing.sent_at.since(alert.summary.last_event_at).as_secs();
    (age >= 3_600).then(|| format!("These events are {} h old.", age / 3_600))
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

/// What a notification says, in few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// Names the alert, or the occasion: the same for all that is said about one alert.
    pub key: String,
    /// One line.
    pub title: String,
    /// Why, in words with numbers.
    pub text: String,
    /// How bad it is.
    pub level: Level,
    /// What became of it.
    pub state: AlertState,
    /// The rule's title and id.
    pub rule: (String, String),
    /// What the rule is labelled with.
    pub labels: Vec<(String, String)>,
    /// Names and values that say who it is about.
    pub facts: Vec<(String, String)>,
    /// To the dashboard; empty when nobody said where it is.
    pub link: String,
    /// What to do.
    pub what_to_do: String,
}

impl Said {
    /// For templates.
    pub(super) fn facts(&self) -> Value {
        let object = |pairs: &[(String, String)]| -> serde_json::Map<String, Value> {
            pairs.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect()
        };
        json!({
            "title": self.title, "text": self.text, "severity": self.level.name(),
            "state": self.state.name(), "rule": self.rule.0, "rule_id": self.rule.1,
            "fields": object(&self.facts), "labels": object(&self.labels), "link": self.link, "what_to_do": self.what_to_do, "alert_id": self.key,
        })
    }
}

/// A notification in few words. Values from records are cut and their controls visible.
pub(super) fn said(outgoing: &Outgoing) -> Said {
    if let Some(trouble) = &outgoing.trouble {
        return said_of_trouble(outgoing, trouble);
    }
    let Some(alert) = &outgoing.alert else {
        let text = match outgoing.event.as_str() {
            "notifier.test" => "This is a test. Alerts will arrive here.",
            _ => "Logwarden runs and can tell you about alerts.",
        };
        return Said {
            key: outgoing.event.clone(),
            title: String::from("Logwarden"),
            text: text.to_owned(),
            level: Level::Informational,
            state: AlertState::Resolved,
            rule: (String::from("Logwarden"), String::from("logwarden")),
            labels: Vec::new(),
            facts: Vec::new(),
            link: outgoing.public_url.clone(),
            what_to_do: String::new(),
        };
    };
    let summary = &alert.summary;
    let heading = heading(&outgoing.event);
    let all = || std::iter::once(summary).chain(&outgoing.also);
    let (title, path) = match all().count() {
        1 => (visible(&summary.title, 200), format!("/alerts/{}", summary.id)),
        count => {
            (format!("{count} alerts: {}", visible(&summary.title, 200)), String::from("/alerts"))
        }
    };
    let mut text = visible(&alert.why.text, 1_000);
    if outgoing.held_back > 0 {
        text.push_str(&format!(
            " {} notifications before this were held back.",
            outgoing.held_back
        ));
    }
    if !outgoing.also.is_empty() {
        let others = outgoing.also.iter().take(ALSO_SHOWN_MAX);
        let titles: Vec<String> = others.map(|other| visible(&other.title, 120)).collect();
        let more = outgoing.also.len() - titles.len();
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        text.push_str(&format!(" Also: {}{more}.", titles.join("; ")));
    }
    let facts = summary.group.iter().take(GROUP_FACTS_MAX);
    Said {
        key: summary.id.to_string(),
        title: if heading.is_empty() { title } else { format!("{heading}: {title}") },
        text,
        level: all().map(|one| one.severity).max().unwrap_or(summary.severity),
        state: summary.state,
        rule: (visible(&summary.rule.title, 200), summary.rule.id.clone()),
        labels: shown(&mut summary.rule.labels.iter()),
        facts: facts.map(|(name, value)| (visible(name, 64), visible(value, 200))).collect(),
        link: link(outgoing, &path),
        what_to_do: visible(&alert.what_to_do, 1_000),
    }
}

/// What is wrong with the server, or was.
fn said_of_trouble(outgoing: &Outgoing, trouble: &Trouble) -> Said {
    let (word, state) = match outgoing.event.as_str() {
        "server.recovered" => ("Over", AlertState::Resolved),
        _ => ("Logwarden is in trouble", AlertState::Open),
    };
    let text = visible(&trouble.text, 1_000);
    Said {
        key: format!("{} {} {}", trouble.rule, trouble.about, trouble.began_at.millis()),
        title: format!("{word}: {}", visible(&trouble.text, 200)),
        text: format!("{text}, since {}. No alert can tell of this.", time(trouble.began_at)),
        level: Level::Critical,
        state,
        rule: (String::from("Logwarden"), trouble.rule.clone()),
        labels: Vec::new(),
        facts: vec![(String::from("about"), visible(&trouble.about, 200))],
        link: outgoing.public_url.clone(),
        what_to_do: String::from(
            "Look at the server itself: its log, its disk, `logwarden status`.",
        ),
    }
}

fn shown(labels: &mut dyn Iterator<Item = (&String, &String)>) -> Vec<(String, String)> {
    labels.map(|(name, value)| (visible(name, 64), visible(value, 200))).collect()
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
