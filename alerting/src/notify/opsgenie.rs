//! Opsgenie, and what speaks its API: alerts by alias, acknowledged and closed there too.

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

const URL: &str = "https://api.opsgenie.com/v2/alerts";
/// Characters of an alert's message.
const MESSAGE_CHARS_MAX: usize = 130;

/// Characters of its description.
const DESCRIPTION_CHARS_MAX: usize = 15_000;

/// The kind `opsgenie`.
pub(super) struct Opsgenie;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The integration's key.
    api_key: SecretRef,
}

struct Service {
    api_key: Secret<String>,
}

impl NotifierKind for Opsgenie {
    fn name(&self) -> &'static str {
        "opsgenie"
    }

    fn build(
        &self,
        path: &str,
        settings: &Map<String, Value>,
        base: &Path,
    ) -> Result<Arc<dyn Notifier>, AlertingError> {
        build(path, settings, base, Some(URL), |own| {
            let own: Settings = read_settings(path, own)?;
            Ok(Service { api_key: secret(path, "api_key", own.api_key, base)? })
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

    fn request(&self, receiver: &Receiver, said: &Said, outgoing: &Outgoing) -> Option<Request> {
        let verb = match outgoing.event.as_str() {
            "alert.acknowledged" => Some("acknowledge"),
            "alert.resolved" | "server.recovered" => Some("close"),
            _ => None,
        };
        let headers = vec![("Authorization", format!("GenieKey {}", self.api_key.expose()))];
        if let Some(verb) = verb {
            let mut url = receiver.url.clone();
            url.path_segments_mut().ok()?.pop_if_empty().extend([said.key.as_str(), verb]);
            url.set_query(Some("identifierType=alias"));
            let body = json!({ "source": "logwarden", "note": said.title });
            return Some(Request { url: Some(url), headers, body });
        }
        let priority = match said.level {
            Level::Critical => "P1",
            Level::High => "P2",
            Level::Medium => "P3",
            Level::Low => "P4",
            Level::Informational => "P5",
        };
        let details: Map<String, Value> =
            said.facts.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let text = said.body_within(DESCRIPTION_CHARS_MAX, |body| body.plain().chars().count());
        let body = json!({
            "message": said.title.chars().take(MESSAGE_CHARS_MAX).collect::<String>(),
            "alias": said.key,
            "description": text.plain(),
            "priority": priority,
            "source": "logwarden",
            "tags": ["logwarden", said.level.name()],
            "details": details,
        });
        Some(Request { url: None, headers, body })
    }
}
