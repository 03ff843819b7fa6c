//! Webhooks: one signed POST of JSON per notification.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use logwarden_store::{Secret, SecretRef};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::Sha256;

use super::post::Receiver;
use super::{Notifier, NotifierKind, Outgoing, SendError, message, read_settings};
use crate::error::AlertingError;

/// The kind `webhook`.
pub(super) struct Webhook;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Signs, so that the receiver knows who sent.
    secret: Option<SecretRef>,
}

struct Hook {
    receiver: Receiver,
    secret: Option<Secret<String>>,
}

impl NotifierKind for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn build(
        &self,
        path: &str,
        settings: &Map<String, Value>,
        base: &Path,
    ) -> Result<Arc<dyn Notifier>, AlertingError> {
        let mut settings = settings.clone();
        let receiver = Receiver::take(path, &mut settings, base, None)?;
        let settings: Settings = read_settings(path, &settings)?;
        let secret =
            settings.secret.map(|secret| secret.relative_to(base).resolve()).transpose().map_err(
                |error| AlertingError::config(format!("{path}.secret"), error.to_string()),
            )?;
        Ok(Arc::new(Hook { receiver, secret }))
    }
}

#[async_trait]
impl Notifier for Hook {
    fn target(&self) -> String {
        self.receiver.shown()
    }

    fn wants(&self, _event: &str) -> bool {
        true
    }

    fn per_hour_max(&self) -> Option<u32> {
        self.receiver.per_hour_max
    }

    fn lists_alerts(&self) -> bool {
        false
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.receiver.heartbeat
    }

    fn acknowledges(&self) -> Option<String> {
        Some(self.receiver.shown())
    }

    fn text(&self, outgoing: &Outgoing) -> Result<String, SendError> {
        Ok(format!("{:#}", message::to_json(outgoing)))
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<String, SendError> {
        let body = message::to_json(outgoing).to_string();
        let mut headers = vec![("Idempotency-Key", outgoing.id.to_string())];
        if let Some(secret) = &self.secret {
            let seconds = outgoing.sent_at.secs();
            let signature = sign(secret, seconds, &body);
            headers.push(("X-Logwarden-Signature", format!("t={seconds},v1={signature}")));
        }
        self.receiver.post(self.receiver.url.clone(), &headers, body).await
    }
}

/// Hexadecimal HMAC-SHA-256 of `seconds.body`.
fn sign(secret: &Secret<String>, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
