//! Microsoft Teams: an adaptive card through the webhook of a workflow.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::mattermost::escaped;
use super::message::{Body, Said};
use super::post::Receiver;
use super::service::{Request, Shape, build};
use super::{Notifier, NotifierKind, Outgoing, read_settings};
use crate::error::AlertingError;
use crate::rule::Level;

/// Bytes of a card; a message has at most 28 kB.
const CARD_BYTES_MAX: usize = 24 * 1024;

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
        let title = format!("{}: {}", said.level.name(), said.title);
        let card_of = |body: &Body| {
            let headline = json!({ "type": "TextBlock", "size": "medium", "weight": "bolder", "wrap": true,
                "color": colour, "text": escaped(&title) });
            let mut blocks = vec![headline];
            for part in &body.parts {
                if !part.heading.is_empty() {
                    blocks.push(json!({ "type": "TextBlock", "weight": "bolder", "wrap": true,
                        "text": escaped(&part.heading) }));
                }
                // A single line break would be none.
                let lines: Vec<String> = part.lines.iter().map(|line| escaped(line)).collect();
                blocks
                    .push(json!({ "type": "TextBlock", "wrap": true, "text": lines.join("\n\n") }));
            }
            let action = |(name, to): &(&str, String)| json!({ "type": "Action.OpenUrl", "title": name, "url": to });
            json!({
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": blocks,
                "actions": body.links.iter().map(action).collect::<Vec<_>>(),
            })
        };
        let body = said.body_within(CARD_BYTES_MAX, |body| card_of(body).to_string().len());
        let card = card_of(&body);
        Some(Request::of(json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": card,
            }],
        })))
    }
}
