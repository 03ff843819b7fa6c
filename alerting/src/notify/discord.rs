//! Discord: webhooks with one embed; nothing in it can mention anybody.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::mattermost::escaped;
use super::message::{Body, Said};
use super::post::Receiver;
use super::service::{Request, Shape, build};
use super::slack::colour;
use super::{Notifier, NotifierKind, Outgoing, read_settings};
use crate::error::AlertingError;

/// Characters of an embed's title.
const TITLE_CHARS_MAX: usize = 250;
/// Characters of its text; Discord takes 4096.
const TEXT_CHARS_MAX: usize = 4_000;

/// The kind `discord`.
pub(super) struct Discord;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Channel {}

impl NotifierKind for Discord {
    fn name(&self) -> &'static str {
        "discord"
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
                body.links.iter().map(|(name, to)| format!("[{name}](<{to}>)")).collect();
            format!("{}\n\n{}", body.text(escaped, "\n"), links.join("  "))
        };
        let body = said.body_within(TEXT_CHARS_MAX, |body| text_of(body).chars().count());
        let title = escaped(&format!("[{}] {}", said.level.name(), said.title));
        let colour = colour(said.level).trim_start_matches('#');
        let mut embed = json!({
            "title": title.chars().take(TITLE_CHARS_MAX).collect::<String>(),
            "description": text_of(&body).trim_end(),
            "color": u32::from_str_radix(colour, 16).unwrap_or_default(),
            "footer": { "text": said.rule.0 },
        });
        if said.link.starts_with("http") {
            embed["url"] = said.link.clone().into();
        }
        Some(Request::of(json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } })))
    }
}
