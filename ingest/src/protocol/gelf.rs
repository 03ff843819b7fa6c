//! GELF over HTTP: `POST /gelf`.
//!
//! Input: one GELF object or several, plain or compressed. Clients do not say which, or say it wrong:
//! the first bytes tell. Output: 202. The record is the object as it was sent. Additional fields keep their `_`, by
//! which a name is found as well: `_user_name` is the user's name.

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
