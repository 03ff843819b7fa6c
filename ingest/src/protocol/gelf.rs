//! GELF over HTTP (`POST /gelf`), TCP and UDP.
//!
//! Input over HTTP: one GELF object or several, plain or compressed. Clients do not say which, or say
//! it wrong: the first bytes tell. Output: 202. Input over TCP: objects that end in NUL, or in a line
//! feed. Input over UDP: an object in one datagram or in [`chunks`], plain or compressed; see
//! [`datagrams`](super::datagrams). The record is the object as it was sent. Additional fields keep
//! their `_`, by which a name is found as well: `_user_name` is the user's name.
//!
//! GELF knows no credential but over HTTP, so a listener must admit its senders.

pub(super) mod chunks;

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::header::CONTENT_ENCODING;
use http::{Method, StatusCode};

use super::Protocol;
use super::answer::{self, Failure};
use super::door::Admission;
use super::framing::{Form, Frame, Framing};
use super::stream::{Connection, Content, Pump};
use crate::config::ListenerKind;
use crate::pipeline::Pipeline;

const PATH: &str = "/gelf";

/// GELF.
pub(super) struct Gelf;

#[async_trait]
impl Protocol for Gelf {
    fn name(&self) -> &'static str {
        "gelf"
    }

    fn routes(&self, pipeline: &Arc<Pipeline>) -> Option<Router> {
        Some(Router::new().route(PATH, any(receive)).with_state(Arc::clone(pipeline)))
    }

    fn recognises(&self, kind: ListenerKind, _first: &[u8]) -> bool {
        kind == ListenerKind::Gelf
    }

    async fn serve(&self, connection: Connection) {
        let limits = connection.pipeline.limits();
        let (bytes_max, kept_bytes_max) = (limits.record_bytes_max, limits.dead_letter_bytes_max);
        let framing = Framing::new(Form::ObjectsOverLines, bytes_max, kept_bytes_max);
        serve_objects(connection, framing, None).await;
    }
}

/// Serves a connection of which `first` was read before.
pub(super) async fn serve_objects(
    mut connection: Connection,
    framing: Framing,
    first: Option<Frame>,
) {
    let Some(source) = connection.admitted_source().map(str::to_owned) else {
        connection.deny(Gelf.name(), None);
        connection
            .refuse("logwarden: this listener takes GELF from its `allow` networks only")
            .await;
        return;
    };
    let pump = Pump {
        framing,
        content: Content::Gelf,
        origin: Arc::new(connection.origin(&source, &Gelf)),
        quota: connection.pipeline.quotas.of(&source),
        session: None,
        token: None,
    };
    pump.run(&mut connection, first).await;
}

async fn receive(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response {
    match handle(&pipeline, request).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn handle(pipeline: &Arc<Pipeline>, mut request: Request) -> Result<Response, Failure> {
    // graypy says `gzip,deflate` and sends one of them.
    request.headers_mut().remove(CONTENT_ENCODING);
    let admission = Admission::of(pipeline, &request, Gelf.name(), &[Method::POST])?;
    admission.within_quota()?;
    let shipment = admission.read(request.into_body()).await?.sniff().await?;
    let mut cut = shipment
        .cut(|body, records| {
            records.take_documents(body);
            Ok(())
        })
        .await?;
    let delivery = cut.store().await?;
    if delivery.tally.accepted == 0 {
        let durability = pipeline.durability();
        return Ok(answer::stored(delivery.stored.as_ref(), &delivery.tally, None, durability));
    }
    let mut response = Response::default();
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}
