//! ntfy: one message to a topic, as loud as the alert is bad.

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

const URL: &str = "https://ntfy.sh/";

/// Bytes of a message; from 4096 on it would become a file.
const MESSAGE_BYTES_MAX: usize = 3_900;
/// Buttons of a message.
const ACTIONS_MAX: usize = 3;

/// The kind `ntfy`.
pub(super) struct Ntfy;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    topic: String,
    /// Of a server that asks for one.
    token: Option<SecretRef>,
}

struct Topic {
    topic: String,
    token: Option<Secret<String>>,
}

impl NotifierKind for Ntfy {
    fn name(&self) -> &'static str {
        "ntfy"
    }

    fn build(
        &self,
        path: &str,
        settings: &Map<String, Value>,
        base: &Path,
    ) -> Result<Arc<dyn Notifier>, AlertingError> {
        build(path, settings, base, Some(URL), |own| {
            let own: Settings = read_settings(path, own)?;
            let token = own.token.map(|token| secret(path, "token", token, base)).transpose()?;
            Ok(Topic { topic: own.topic, token })
        })
    }
}

impl Shape for Topic {
    fn request(&self, _: &Receiver, said: &Said, _: &Outgoing) -> Option<Request> {
        let priority = match said.level {
            // Loud enough to be heard at night, unless it can wait until the morning.
            Level::Critical | Level::High if said.may_wait => 3,
            Level::Critical => 5,
            Level::High => 4,
            Level::Medium => 3,
            Level::Low => 2,
            Level::Informational => 1,
        };
        let text = said.body_within(MESSAGE_BYTES_MAX, |body| body.text(str::to_owned, "\n").len());
        let actions = text.links.iter().take(ACTIONS_MAX);
        let actions: Vec<Value> = actions
            .map(|(name, to)| json!({ "action": "view", "label": name, "url": to }))
            .collect();
        let mut body = json!({
            "topic": self.topic,
            "title": said.title,
            "message": text.text(str::to_owned, "\n"),
            "priority": priority,
            "tags": [said.level.name()],
            "actions": actions,
        });
        if said.link.starts_with("http") {
            body["click"] = said.link.clone().into();
        }
        let bearer = self.token.as_ref().map(|token| format!("Bearer {}", token.expose()));
        let headers = bearer.map(|bearer| ("Authorization", bearer)).into_iter().collect();
        Some(Request { url: None, headers, body })
    }
}
