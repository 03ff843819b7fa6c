//! Slack: incoming webhooks, with one attachment whose colour says how bad it is.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::message::Said;
use super::post::Receiver;
use super::service::{Request, Shape, build};
use super::{Notifier, NotifierKind, Outgoing, read_settings};
use crate::error::AlertingError;
use crate::rule::Level;

/// The kind `slack`.
pub(super) struct Slack;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Channel {}

impl NotifierKind for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn build(
        &self,
        path: &str,
        settings: &Map<String, Value>,
        base: &Path,
    ) -> Result<Arc<dyn Notifier>, AlertingError> {
        build(path, settings, base, None, |own| read_settings::<Channel>(path, own))
    }
}

impl Shape for Channel {
    fn request(&self, _: &Receiver, said: &Said, _: &Outgoing) -> Option<Request> {
        let title = match said.link.as_str() {
            "" => format!("*{}*", escaped(&said.title)),
            link => format!("*<{}|{}>*", escaped(link), escaped(&said.title)),
        };
        let fields: Vec<Value> = said
            .facts
            .iter()
            .take(10)
            .map(|(name, value)| json!({"title": name, "value": escaped(value), "short": true}))
            .collect();
        Some(Request::of(json!({
            "text": escaped(&format!("[{}] {}", said.level.name(), said.title)),
            "attachments": [{
                "color": colour(said.level),
                "mrkdwn_in": ["text"],
                "text": format!("{title}\n{}", escaped(&said.text)),
                "fields": fields,
                "footer": escaped(&said.rule.0),
            }],
        })))
    }
}

/// Slack's three characters of control; without them there are no mentions and no links.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// How bad it is, as a colour.
pub(super) const fn colour(level: Level) -> &'static str {
    match level {
        Level::Critical => "#b3261e",
        Level::High => "#d9622b",
        Level::Medium => "#c9a227",
        Level::Low => "#3b7dd8",
        Level::Informational => "#7a7a7a",
    }
}
