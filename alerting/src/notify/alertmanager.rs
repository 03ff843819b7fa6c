//! Prometheus Alertmanager: API version 2. An alert ends when it is resolved, or after a year.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::message::Said;
use super::post::Receiver;
use super::service::{Request, Shape, build};
use super::{Notifier, NotifierKind, Outgoing, read_settings};
use crate::error::AlertingError;

/// How long an open alert stands when nothing more is said of it: without an end Alertmanager would
/// resolve it by itself after minutes, for Prometheus repeats what is still so and we do not.
const OPEN_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// The kind `alertmanager`.
pub(super) struct Alertmanager;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    /// Labels that every alert gets.
    #[serde(default)]
    labels: Map<String, Value>,
}

impl NotifierKind for Alertmanager {
    fn name(&self) -> &'static str {
        "alertmanager"
    }

    fn build(
        &self,
        path: &str,
        settings: &Map<String, Value>,
        base: &Path,
    ) -> Result<Arc<dyn Notifier>, AlertingError> {
        build(path, settings, base, None, |own| read_settings::<Service>(path, own))
    }
}

impl Shape for Service {
    fn is_chat(&self) -> bool {
        false
    }

    fn wants(&self, event: &str) -> bool {
        event != "alert.acknowledged"
    }

    fn request(&self, receiver: &Receiver, said: &Said, outgoing: &Outgoing) -> Option<Request> {
        let of_rule = said.labels.iter().map(|(name, value)| (label(name), value.clone().into()));
        let mut labels: Map<String, Value> = of_rule.collect();
        labels.extend(self.labels.clone());
        labels.insert("alertname".into(), said.rule.0.clone().into());
        labels.insert("alert_id".into(), said.key.clone().into());
        labels.insert("severity".into(), said.level.name().into());
        for (name, value) in &said.facts {
            labels.insert(label(name), value.clone().into());
        }
        let opened = outgoing.alert.as_ref().map(|alert| alert.summary.opened_at);
        let opened = opened.or(outgoing.trouble.as_ref().map(|trouble| trouble.began_at));
        let ended = ["alert.resolved", "server.recovered"].contains(&outgoing.event.as_str());
        let ends_at =
            outgoing.sent_at.saturating_add(if ended { Duration::ZERO } else { OPEN_MAX });
        let mut alert = json!({
            "labels": labels,
            "annotations": annotations(said),
            "startsAt": opened.unwrap_or(outgoing.sent_at).to_string(),
            "endsAt": ends_at.to_string(),
        });
        if said.link.starts_with("http") {
            alert["generatorURL"] = said.link.clone().into();
        }
        let mut url = receiver.url.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend(["api", "v2", "alerts"]);
        Some(Request { url: Some(url), headers: Vec::new(), body: json!([alert]) })
    }
}

/// What is said, each under its name; what there is nothing to say of is left out.
fn annotations(said: &Said) -> Map<String, Value> {
    let link = |name: &str| said.links.iter().find(|(known, _)| *known == name);
    let link = |name| link(name).map(|(_, to)| to.clone()).unwrap_or_default();
    let all = [
        ("summary", said.title.clone()),
        ("description", said.text.clone()),
        ("note", said.note.clone().unwrap_or_default()),
        ("late", said.late.clone().unwrap_or_default()),
        ("since", said.since.clone()),
        ("what_to_do", said.what_to_do.clone()),
        ("entities", said.entities.join("\n")),
        ("evidence", said.evidence.join("\n")),
        ("related", said.related.join("\n")),
        ("told", said.told.clone()),
        ("runbook_url", link("Runbook")),
        ("search_url", link("Search")),
        ("silence_url", link("Silence")),
    ];
    let known = all.into_iter().filter(|(_, text)| !text.is_empty());
    known.map(|(name, text)| (name.to_owned(), text.into())).collect()
}

/// A name that Prometheus takes for a label.
fn label(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
