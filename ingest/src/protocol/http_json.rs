//! JSON over HTTP: `POST /api/v1/ingest`.
//!
//! Input: a token or an admitted network, and a body of JSON objects, compressed or not; or one form,
//! as Python's HTTPHandler posts it. Output: what became of each line, after all of it is durable, or
//! searchable with `?wait=searchable`.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::Method;
use http::header::CONTENT_TYPE;
use logwarden_event::Position;

use super::answer::{self, Failure};
use super::body::Encoding;
use super::door::{Admission, Records};
use super::{Protocol, form};
use crate::normalize::Wrapped;
use crate::pipeline::Pipeline;

/// The one path.
const PATH: &str = "/api/v1/ingest";
const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// JSON over HTTP.
pub(super) struct HttpJson;

#[async_trait]
impl Protocol for HttpJson {
    fn name(&self) -> &'static str {
        "http_json"
    }

    fn routes(&self, pipeline: &Arc<Pipeline>) -> Option<Router> {
        Some(Router::new().route(PATH, any(ingest)).with_state(Arc::clone(pipeline)))
    }
}

async fn ingest(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response {
    match handle(&pipeline, request).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn handle(pipeline: &Arc<Pipeline>, request: Request) -> Result<Response, Failure> {
    let admission = Admission::of(pipeline, &request, HttpJson.name(), &[Method::POST])?;
    // Of these paths Loki's alone has senders that compress so.
    if admission.encoding == Encoding::Snappy {
        return Err(Failure::unsupported_encoding()).inspect_err(Failure::count);
    }
    admission.within_quota()?;
    let query = request.uri().query().unwrap_or_default();
    let waits_searchable = query.split('&').any(|pair| pair == "wait=searchable");
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_form = kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with(FORM_TYPE));
    let shipment = admission.read(request.into_body()).await?;
    let mut cut = shipment
        .cut(move |body, records| {
            if is_form && !is_json(body) {
                take_form(body, records);
            } else {
                records.join();
                records.take_documents(body);
            }
            Ok(())
        })
        .await?;
    let delivery = cut.store().await?;
    let searchable = match &delivery.stored {
        Some(stored) if waits_searchable => {
            let first = stored.receipt.first;
            let end = Position { seq: first.seq + stored.receipt.records, ..first };
            Some(pipeline.wait_searchable(end).await)
        }
        _ => None,
    };
    let durability = pipeline.durability();
    Ok(answer::stored(delivery.stored.as_ref(), &delivery.tally, searchable, durability))
}

/// Whether a body is JSON whatever its type says: curl claims a form for all that it posts.
fn is_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), None | Some(b'{' | b'['))
}

/// The record is the form as it was sent.
fn take_form(body: &[u8], records: &mut Records<'_>) {
    let object = form::object_of(body);
    let wrapped = Wrapped { content: object.as_bytes(), must_be_json: true, ..Wrapped::bare(body) };
    records.take_wrapped(1, &wrapped);
}
