//! Discord: webhooks with one embed; nothing in it can mention anybody.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::mattermost::escaped;
use super::message::Said;
use super::post::Receiver;
use super::service::{Request, Shape, build};
use super::slack::colour;
use super::{Notifier, NotifierKind, Outgoing, read_settings};
use crate::error::AlertingError;

/// Characters of an embed's title.
const TITLE_CHARS_MAX: usize = 250;
/// Characters of its text.
const TEXT_CHARS_MAX: usize = 2_000;

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
        let cut = |text: String, most: usize| text.chars().take(most).collect::<String>();
        let fields: Vec<Value> = said
            .facts
            .iter()
            .map(|(name, value)| json!({"name": name, "value": escaped(value), "inline": true}))
            .collect();
        let colour = colour(said.level).trim_start_matches('#');
        let mut embed = json!({
            "title": cut(escaped(&format!("[{}] {}", said.level.name(), said.title)), TITLE_CHARS_MAX),
            "description": cut(escaped(&said.text), TEXT_CHARS_MAX),
            "color": u32::from_str_radix(colour, 16).unwrap_or_default(),
            "fields": fields,
            "footer": { "text": said.rule.0 },
        });
        if said.link.starts_with("http") {
            embed["url"] = said.link.clone().into();
        }
        Some(Request::of(json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } })))
    }
}
