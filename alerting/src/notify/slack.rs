//! Slack: incoming webhooks, with one attachment whose colour says how bad it is. Nothing in it is read as markup.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::message::{Body, Said};
use super::post::Receiver;
use super::service::{Request, Shape, build};
use super::{Notifier, NotifierKind, Outgoing, read_settings};
use crate::error::AlertingError;
use crate::rule::Level;

/// Characters of an attachment's text; Slack hides what is longer behind a button from half of that on.
const TEXT_CHARS_MAX: usize = 6_000;

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
        let text_of = |body: &Body| {
            let links = body.links.iter().map(|(name, to)| format!("<{}|{name}>", escaped(to)));
            let links: Vec<String> = links.collect();
            format!("{}\n\n{}", body.text(escaped, "\n"), links.join("  "))
        };
        let body = said.body_within(TEXT_CHARS_MAX, |body| text_of(body).chars().count());
        let headline = escaped(&format!("[{}] {}", said.level.name(), said.title));
        let mut attachment = json!({
            "fallback": headline,
            "color": colour(said.level),
            "mrkdwn_in": [],
            "title": escaped(&said.title),
            "text": text_of(&body).trim_end(),
            "footer": escaped(&said.rule.0),
        });
        if said.link.starts_with("http") {
            attachment["title_link"] = said.link.clone().into();
        }
        Some(Request::of(json!({
            "text": headline,
            "mrkdwn": false,
            "parse": "none",
            "link_names": false,
            "unfurl_links": false,
            "unfurl_media": false,
            "attachments": [attachment],
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
