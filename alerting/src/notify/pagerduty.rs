//! PagerDuty: Events API version 2. What is said about one alert has one `dedup_key`, so that it is
//! acknowledged and resolved there too.

use std::path::Path;
use std::sync::Arc;

use logwarden_store::{Secret, SecretRef};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::message::Said;
use super::post::Receiver;
use super::service::{Request, Shape, build, secret};
use super::{Notifier, NotifierKind, Outgoing, read_settings};
use crate::error::AlertingError;
use crate::rule::Level;

const URL: &str = "https://events.pagerduty.com/v2/enqueue";

/// Characters of a summary.
const SUMMARY_CHARS_MAX: usize = 1_024;

/// The kind `pagerduty`.
pub(super) struct PagerDuty;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The integration's key.
    routing_key: SecretRef,
}

struct Service {
    routing_key: Secret<String>,
}

impl NotifierKind for PagerDuty {
    fn name(&self) -> &'static str {
        "pagerduty"
    }

    fn build(
        &self,
        path: &str,
        settings: &Map<String, Value>,
        base: &Path,
    ) -> Result<Arc<dyn Notifier>, AlertingError> {
        build(path, settings, base, Some(URL), |own| {
            let own: Settings = read_settings(path, own)?;
            Ok(Service { routing_key: secret(path, "routing_key", own.routing_key, base)? })
        })
    }
}

impl Shape for Service {
    fn is_chat(&self) -> bool {
        false
    }

    fn pages(&self) -> bool {
        true
    }

    fn request(&self, _: &Receiver, said: &Said, outgoing: &Outgoing) -> Option<Request> {
        let action = match outgoing.event.as_str() {
            "alert.acknowledged" => "acknowledge",
            "alert.resolved" | "server.recovered" => "resolve",
            _ => "trigger",
        };
        let severity = match said.level {
            Level::Critical => "critical",
            Level::High => "error",
            Level::Medium => "warning",
            Level::Low | Level::Informational => "info",
        };
        let source = said.facts.first().map_or("logwarden", |(_, value)| value.as_str());
        let mut body = json!({
            "routing_key": self.routing_key.expose(),
            "event_action": action,
            "dedup_key": said.key,
            "client": "Logwarden",
            "payload": {
                "summary": said.title.chars().take(SUMMARY_CHARS_MAX).collect::<String>(),
                "source": source,
                "severity": severity,
                "timestamp": outgoing.sent_at.to_string(),
                "class": said.rule.0,
                "custom_details": said.facts(),
            },
        });
        if said.link.starts_with("http") {
            let link = |(name, to): &(&str, String)| json!({ "href": to, "text": name });
            body["links"] = said.links.iter().map(link).collect();
            body["client_url"] = said.link.clone().into();
        }
        Some(Request::of(body))
    }
}
