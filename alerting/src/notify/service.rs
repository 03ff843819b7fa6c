//! What all services have in common that take a notification as one POST of JSON of their own shape.
//!
//! A service is one file beside this one: its settings, and the request it makes of a notification.
//! Values from records are cut, their controls are visible, and each file escapes what its service
//! would read as markup, a mention or a link.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use logwarden_store::{Secret, SecretRef};
use minijinja::Environment;
use serde_json::{Map, Value};
use url::Url;

use super::message::{self, Said};
use super::post::Receiver;
use super::{Notifier, Outgoing, PER_HOUR_MAX_DEFAULT, SendError};
use crate::error::AlertingError;

/// Bytes of a template.
const TEMPLATE_BYTES_MAX: usize = 16 * 1024;
/// The answer where a service has no word for an occasion.
const NOTHING: &str = "nothing to say there";
/// Keys of a body whose values are passwords: what is shown of it does not have them.
const SECRET_KEYS: [&str; 4] = ["routing_key", "api_key", "token", "secret"];

/// One request.
pub(super) struct Request {
    /// Where to; `None`: the receiver's own address.
    pub url: Option<Url>,
    /// Besides the type of the body.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Value,
}

impl Request {
    /// To the receiver's own address, without headers.
    pub(super) fn of(body: Value) -> Self {
        Self { url: None, headers: Vec::new(), body }
    }
}

/// How a service wants to be told.
pub(super) trait Shape: Send + Sync {
    /// The request for a notification; `None`: the service has no word for such an occasion.
    fn request(&self, receiver: &Receiver, said: &Said, outgoing: &Outgoing) -> Option<Request>;

    /// Whether people read it as it comes: what they did themselves is then not told, and what comes at once is
    /// one message, up to a bound per hour.
    fn is_chat(&self) -> bool {
        true
    }

    /// Whether it wakes people.
    fn pages(&self) -> bool {
        false
    }

    /// Whether it tells about such occasions.
    fn wants(&self, event: &str) -> bool {
        !(self.is_chat() && matches!(event, "alert.acknowledged" | "alert.reopened"))
    }
}

struct Service<S> {
    receiver: Receiver,
    shape: S,
    template: Option<String>,
}

/// Makes a notifier of a shape; `read` takes what is the shape's own out of the settings.
pub(super) fn build<S: Shape + 'static>(
    path: &str,
    settings: &Map<String, Value>,
    base: &Path,
    default: Option<&str>,
    read: impl FnOnce(&Map<String, Value>) -> Result<S, AlertingError>,
) -> Result<Arc<dyn Notifier>, AlertingError> {
    let mut settings = settings.clone();
    let receiver = Receiver::take(path, &mut settings, base, default)?;
    let template = read_template(path, settings.remove("template"))?;
    let shape = read(&settings)?;
    Ok(Arc::new(Service { receiver, shape, template }))
}

/// The secret that a setting refers to.
pub(super) fn secret(
    path: &str,
    key: &str,
    reference: SecretRef,
    base: &Path,
) -> Result<Secret<String>, AlertingError> {
    let secret = reference.relative_to(base).resolve();
    secret.map_err(|error| AlertingError::config(format!("{path}.{key}"), error.to_string()))
}

/// A text with fill-ins of its own, tried with the facts of no alert.
fn read_template(path: &str, template: Option<Value>) -> Result<Option<String>, AlertingError> {
    let Some(template) = template else { return Ok(None) };
    let fault = |message: String| AlertingError::config(format!("{path}.template"), message);
    let text = template.as_str().ok_or_else(|| fault(String::from("must be a text")))?;
    if text.len() > TEMPLATE_BYTES_MAX {
        return Err(fault(format!("has more than {TEMPLATE_BYTES_MAX} bytes")));
    }
    let environment = Environment::new();
    environment.template_from_str(text).map_err(|error| fault(error.to_string()))?;
    Ok(Some(text.to_owned()))
}

#[async_trait]
impl<S: Shape> Notifier for Service<S> {
    fn target(&self) -> String {
        self.receiver.shown()
    }

    fn wants(&self, event: &str) -> bool {
        self.shape.wants(event)
    }

    fn per_hour_max(&self) -> Option<u32> {
        let bound = self.shape.is_chat().then_some(PER_HOUR_MAX_DEFAULT);
        self.receiver.per_hour_max.or(bound)
    }

    fn lists_alerts(&self) -> bool {
        self.shape.is_chat()
    }

    fn pages(&self) -> bool {
        self.shape.pages()
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.receiver.heartbeat
    }

    fn text(&self, outgoing: &Outgoing) -> Result<String, SendError> {
        let Some(mut request) = self.request(outgoing)? else { return Ok(NOTHING.to_owned()) };
        for key in SECRET_KEYS {
            if let Some(secret) = request.body.get_mut(key) {
                *secret = Value::from("***");
            }
        }
        Ok(format!("{:#}", request.body))
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<String, SendError> {
        let Some(request) = self.request(outgoing)? else { return Ok(NOTHING.to_owned()) };
        let mut headers = request.headers;
        headers.push(("Idempotency-Key", outgoing.id.to_string()));
        let url = request.url.unwrap_or_else(|| self.receiver.url.clone());
        self.receiver.post(url, &headers, request.body.to_string()).await
    }
}

impl<S: Shape> Service<S> {
    /// The request; `None`: the service has no word for it.
    fn request(&self, outgoing: &Outgoing) -> Result<Option<Request>, SendError> {
        let mut said = message::said(outgoing);
        if let Some(template) = &self.template {
            let facts = minijinja::value::Serde(said.facts());
            said.text = Environment::new()
                .render_str(template, facts)
                .map_err(|error| SendError(format!("template: {error}")))?;
            said.is_own_text = true;
        }
        Ok(self.shape.request(&self.receiver, &said, outgoing))
    }
}
