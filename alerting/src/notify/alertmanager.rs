//! Prometheus Alertmanager: API version 2. An alert is sent with its end when it is resolved.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::message::Said;
use super::post::Receiver;
use super::service::{Request, Shape, build};
use super::{Notifier, NotifierKind, Outgoing, read_settings};
use crate::error::AlertingError;

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
        let mut alert = json!({
            "labels": labels,
            "annotations": { "summary": said.title, "description": said.text, "runbook": said.what_to_do },
            "startsAt": opened.unwrap_or(outgoing.sent_at).to_string(),
        });
        if said.link.starts_with("http") {
            alert["generatorURL"] = said.link.clone().into();
        }
        if ["alert.resolved", "server.recovered"].contains(&outgoing.event.as_str()) {
            alert["endsAt"] = outgoing.sent_at.to_string().into();
        }
        let mut url = receiver.url.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend(["api", "v2", "alerts"]);
        Some(Request { url: Some(url), headers: Vec::new(), body: json!([alert]) })
    }
}

/// A name that Prometheus takes for a label.
fn label(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
