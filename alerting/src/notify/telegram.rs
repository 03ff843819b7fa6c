//! Telegram: a bot's message, as plain text, so that nothing in it is markup.

use std::path::Path;
use std::sync::Arc;

use logwarden_store::{Secret, SecretRef};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::message::{Body, Said};
use super::post::Receiver;
use super::service::{Request, Shape, build, secret};
use super::{Notifier, NotifierKind, Outgoing, read_settings};
use crate::error::AlertingError;

const URL: &str = "https://api.telegram.org/";
/// Characters of a message, as UTF-16 counts them; Telegram takes 4096.
const MESSAGE_CHARS_MAX: usize = 4_000;

/// The kind `telegram`.
pub(super) struct Telegram;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The bot's token.
    token: SecretRef,
    /// The chat's number, or a channel's `@name`.
    chat: String,
}

struct Chat {
    token: Secret<String>,
    chat: String,
}

impl NotifierKind for Telegram {
    fn name(&self) -> &'static str {
        "telegram"
    }

    fn build(
        &self,
        path: &str,
        settings: &Map<String, Value>,
        base: &Path,
    ) -> Result<Arc<dyn Notifier>, AlertingError> {
        build(path, settings, base, Some(URL), |own| {
            let own: Settings = read_settings(path, own)?;
            Ok(Chat { token: secret(path, "token", own.token, base)?, chat: own.chat })
        })
    }
}

impl Shape for Chat {
    fn request(&self, receiver: &Receiver, said: &Said, _: &Outgoing) -> Option<Request> {
        let mut url = receiver.url.clone();
        let bot = format!("bot{}", self.token.expose());
        url.path_segments_mut().ok()?.pop_if_empty().extend([bot.as_str(), "sendMessage"]);
        let title = format!("[{}] {}", said.level.name(), said.title);
        let text_of = |body: &Body| format!("{title}\n\n{}", body.plain());
        let body = said.body_within(MESSAGE_CHARS_MAX, |body| text_of(body).encode_utf16().count());
        let message = json!({
            "chat_id": self.chat,
            "text": text_of(&body),
            "link_preview_options": { "is_disabled": true },
        });
        Some(Request { url: Some(url), headers: Vec::new(), body: message })
    }
}
