//! Microsoft Teams: an adaptive card through the webhook of a workflow.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::mattermost::escaped;
use super::message::Said;
use super::post::Receiver;
use super::service::{Request, Shape, build};
use super::{Notifier, NotifierKind, Outgoing, read_settings};
use crate::error::AlertingError;
use crate::rule::Level;

/// The kind `teams`.
pub(super) struct Teams;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Channel {}

impl NotifierKind for Teams {
    fn name(&self) -> &'static str {
        "teams"
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
        let colour = match said.level {
            Level::Critical | Level::High => "attention",
            Level::Medium => "warning",
            Level::Low | Level::Informational => "accent",
        };
        let facts: Vec<Value> = said
            .facts
            .iter()
            .map(|(name, value)| json!({ "title": name, "value": escaped(value) }))
            .collect();
        let mut card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [
                { "type": "TextBlock", "size": "medium", "weight": "bolder", "wrap": true,
                  "color": colour, "text": escaped(&format!("{}: {}", said.level.name(), said.title)) },
                { "type": "TextBlock", "wrap": true, "text": escaped(&said.text) },
                { "type": "FactSet", "facts": facts },
            ],
        });
        if said.link.starts_with("http") {
            card["actions"] =
                json!([{ "type": "Action.OpenUrl", "title": "Open the alert", "url": said.link }]);
        }
        Some(Request::of(json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": card,
            }],
        })))
    }
}
