//! Mattermost: incoming webhooks. Markdown in values is escaped, so that none mentions or links.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::message::{Body, Said};
use super::post::Receiver;
use super::service::{Request, Shape, build};
use super::slack::colour;
use super::{Notifier, NotifierKind, Outgoing, read_settings};
use crate::error::AlertingError;

/// Characters of an attachment's text; a message has at most 16383.
const TEXT_CHARS_MAX: usize = 12_000;

/// The kind `mattermost`.
pub(super) struct Mattermost;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Channel {
    /// The channel, where it is not the webhook's own.
    channel: Option<String>,
}

impl NotifierKind for Mattermost {
    fn name(&self) -> &'static str {
        "mattermost"
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
            let links: Vec<String> =
                body.links.iter().map(|(name, to)| format!("[{name}]({to})")).collect();
            // A single line break would be none.
            format!("{}\n\n{}", body.text(escaped, "  \n"), links.join("  "))
        };
        let text = said.body_within(TEXT_CHARS_MAX, |body| text_of(body).chars().count());
        let mut body = json!({
            "attachments": [{
                "fallback": format!("[{}] {}", said.level.name(), escaped(&said.title)),
                "color": colour(said.level),
                "title": escaped(&said.title),
                "title_link": said.link,
                "text": text_of(&text).trim_end(),
                "footer": escaped(&said.rule.0),
            }],
        });
        if let Some(channel) = &self.channel {
            body["channel"] = channel.clone().into();
        }
        Some(Request::of(body))
    }
}

/// Puts a backslash before everything that Markdown or mentions are made of.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '`'
                | '*'
                | '_'
                | '~'
                | '['
                | ']'
                | '('
                | ')'
                | '<'
                | '>'
                | '#'
                | '|'
                | '!'
                | ':'
        ) {
            out.push('\\');
        }
        out.push(c);
        if c == '@' {
            // A mention ends where its sign is followed by nothing.
            out.push('\u{200B}');
        }
    }
    out
}
