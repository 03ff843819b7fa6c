//! JSON lines over TCP.
//!
//! Where protocols are told apart, objects that end in NUL are GELF, which has no first line of ours.
//!
//! The first line may be `{"auth":"TOKEN"}`, and must be unless the listener admits the peer by its
//! network or certificate. With `"ack":true` in it each batch is answered by `{"ack":N}`: the first N
//! lines after that line are durable; lines of which the peer has not heard it may send again over
//! another connection. Without, what the kernel has taken may be lost with us. A last
//! line that does not end is a dead letter, never an event.

use std::sync::Arc;

use async_trait::async_trait;
use logwarden_store::Secret;
use logwarden_store::identity::{Action, Object, Principal, authorize};
use serde::Deserialize;

use super::framing::{Form, Frame, Framing};
use super::stream::{Connection, Content, Pump, Reading};
use super::{Protocol, gelf};
use crate::config::ListenerKind;
use crate::normalize::Origin;
use crate::pipeline::Pipeline;

/// A first line longer than this is no `auth` line.
const AUTH_BYTES_MAX: usize = 4_096;

/// What a peer without a good token is told.
pub(super) const UNAUTHORIZED: &str = r#"{"error":{"code":"unauthorized","message":"the first line must be {\"auth\":\"TOKEN\"} with a token that may write"}}"#;

/// JSON lines.
pub(super) struct TcpJson;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthLine {
    auth: Option<String>,
    #[serde(default)]
    ack: bool,
}

#[async_trait]
impl Protocol for TcpJson {
    fn name(&self) -> &'static str {
        "tcp_json"
    }

    fn recognises(&self, kind: ListenerKind, first: &[u8]) -> bool {
        match kind {
            ListenerKind::Auto => first.trim_ascii_start().starts_with(b"{"),
            ListenerKind::Json => true,
            _ => false,
        }
    }

    async fn serve(&self, mut connection: Connection) {
        let limits = connection.pipeline.limits();
        let form = match connection.listener.kind {
            ListenerKind::Auto => Form::Objects,
            _ => Form::Lines,
        };
        let mut framing = Framing::new(form, limits.record_bytes_max, limits.dead_letter_bytes_max);
        let Some(first) = first_line(&mut connection, &mut framing).await else { return };
        if framing.form() == Form::Nul {
            return gelf::serve_objects(connection, framing, Some(first)).await;
        }
        let auth = serde_json::from_slice::<AuthLine>(first.bytes())
            .ok()
            .filter(|line| line.auth.is_some() || line.ack);
        let acknowledges = auth.as_ref().is_some_and(|line| line.ack);
        let token = auth.as_ref().and_then(|line| line.auth.as_deref());
        let Some(source) = source_of(&connection, token) else {
            connection.deny(self.name(), token);
            connection.refuse(UNAUTHORIZED).await;
            return;
        };
        let origin = Origin { comes_again: acknowledges, ..connection.origin(&source, self) };
        let pump = Pump {
            framing,
            content: Content::Json,
            session: acknowledges.then(|| connection.session(&origin)),
            origin: Arc::new(origin),
            quota: connection.pipeline.quotas.of(&source),
            token: token.map(|token| Secret::new(token.to_owned())),
        };
        let first = if auth.is_some() { None } else { Some(first) };
        pump.run(&mut connection, first).await;
    }
}

/// The first line that is not empty; nothing when the peer sent none in time.
async fn first_line(connection: &mut Connection, framing: &mut Framing) -> Option<Frame> {
    let timeout = connection.pipeline.limits().first_bytes_timeout;
    let line = async {
        loop {
            while let Some(frame) = framing.next(&mut connection.buffer) {
                if !frame.bytes().trim_ascii().is_empty() {
                    return Some(frame);
                }
            }
            // Who may write without a token is not held to the bound of the first line.
            let is_too_long = connection.buffer.len() > AUTH_BYTES_MAX;
            if is_too_long && connection.admitted_source().is_none() {
                connection.deny(TcpJson.name(), None);
                connection.refuse(UNAUTHORIZED).await;
                return None;
            }
            match connection.read().await {
                Reading::More => {}
                Reading::End => return framing.finish(&mut connection.buffer),
                Reading::Gone => return None,
            }
        }
    };
    tokio::time::timeout(timeout, line).await.ok().flatten()
}

/// The source the peer may write as.
fn source_of(connection: &Connection, token: Option<&str>) -> Option<String> {
    let Some(token) = token else { return connection.admitted_source().map(str::to_owned) };
    source_of_token(&connection.pipeline, token)
}

/// The source a token may write as.
pub(super) fn source_of_token(pipeline: &Pipeline, token: &str) -> Option<String> {
    source_if_allowed(&pipeline.identity.authenticate_token(token)?)
}

/// The source of what a principal sends, if it may.
pub(crate) fn source_if_allowed(principal: &Principal) -> Option<String> {
    let source = source_of_principal(principal);
    authorize(principal, Action::Ingest, &Object::Source(&source)).is_ok().then_some(source)
}

/// The source of what a principal sends: the one of its token, else its own name.
pub(super) fn source_of_principal(principal: &Principal) -> String {
    principal.source.clone().unwrap_or_else(|| principal.name.clone())
}
