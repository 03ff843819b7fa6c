//! OpenTelemetry logs over HTTP (`POST /v1/logs`, as Protocol Buffers or JSON) and over gRPC.
//!
//! Input: log records below their resource and scope. Output: what became of them, in the encoding
//! that was used. The record is one `LogRecord`: the slice of a JSON body as it was sent; of a binary
//! one its form in OTLP's own JSON, which loses nothing and can be read (the encoded bytes themselves
//! where a text in it is no UTF-8). What is understood is its body: text, or an object. Attributes of record and resource become fields of
//! their own name, the scope `otel.scope.name`. `timeUnixNano` is the event's time.
//!
//! Records that can never be stored are counted in `partial_success`; what passes with time is 503,
//! which every exporter retries.

mod binary;
mod grpc;
mod json;

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use logwarden_event::Timestamp;

use super::Protocol;
use super::answer::{self, Failure};
use super::door::{Admission, Records};
use super::members::{Object, quoted};
use super::stream::Connection;
use crate::batch::Tally;
use crate::config::ListenerKind;
use crate::normalize::Wrapped;
use crate::pipeline::Pipeline;

const PATH: &str = "/v1/logs";
const BINARY_TYPE: &str = "application/x-protobuf";
const JSON_TYPE: &str = "application/json";
/// Values inside each other that are written as plain JSON; what lies deeper stands as it was sent.
const DEPTH_MAX: usize = 20;

/// OpenTelemetry logs.
pub(super) struct Otlp;

#[async_trait]
impl Protocol for Otlp {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn routes(&self, pipeline: &Arc<Pipeline>) -> Option<Router> {
        Some(Router::new().route(PATH, any(export)).with_state(Arc::clone(pipeline)))
    }

    fn recognises(&self, kind: ListenerKind, first: &[u8]) -> bool {
        match kind {
            ListenerKind::Auto => first.starts_with(grpc::PREFACE),
            ListenerKind::Otlp => true,
            _ => false,
        }
    }

    async fn serve(&self, connection: Connection) {
        grpc::serve(connection).await;
    }
}

async fn export(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response {
    match handle(&pipeline, request).await {
        Ok(response) => response,
        Err(failure) => failure.or_unavailable().into_response(),
    }
}

async fn handle(pipeline: &Arc<Pipeline>, request: Request) -> Result<Response, Failure> {
    let admission = Admission::of(pipeline, &request, Otlp.name(), &[Method::POST])?;
    let admission = admission.that_comes_again("");
    admission.within_quota()?;
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json = kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
    let shipment = admission.read(request.into_body()).await?;
    let mut cut = shipment
        .cut(move |body, records| {
            let taken =
                if is_json { json::take(body, records) } else { binary::take(body, records) };
            Ok(taken)
        })
        .await?;
    let taken = cut.found;
    let delivery = cut.store().await?;
    // A body that is no export at all, rather than one with bad records.
    let status = if taken == 0 && delivery.tally.rejected > 0 {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    Ok(said(status, &delivery.tally, is_json))
}

/// `ExportLogsServiceResponse`: empty when all is well.
fn said(status: StatusCode, tally: &Tally, is_json: bool) -> Response {
    let rejected = tally.rejected;
    let message = tally.errors.first().map_or("", |error| &error.reason);
    let body = match (is_json, rejected) {
        (true, 0) => b"{}".to_vec(),
        (true, _) => format!(
            r#"{{"partialSuccess":{{"rejectedLogRecords":"{rejected}","errorMessage":{}}}}}"#,
            quoted(message)
        )
        .into_bytes(),
        (false, 0) => Vec::new(),
        (false, _) => binary::partial_success(rejected, message),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    answer::set(&mut response, CONTENT_TYPE, if is_json { JSON_TYPE } else { BINARY_TYPE });
    response
}

/// A log record, taken apart.
#[derive(Debug, Default)]
struct LogRecord<'r> {
    /// What its body says: text, or any other value as JSON.
    content: Cow<'r, [u8]>,
    /// The body is a text.
    is_text: bool,
    /// Nanoseconds since 1970; 0 for unknown.
    time_nanos: u64,
    /// When a collector saw it; 0 for unknown.
    observed_nanos: u64,
    /// Everything else.
    around: Object,
}

impl LogRecord<'_> {
    /// Gives the record to the batch; `common` is what its resource and scope say. A text that is a JSON
    /// object is the record, else `raw` gives the bytes that are kept.
    fn take<'k, E>(
        self,
        number: u64,
        common: &Object,
        records: &mut Records<'_>,
        raw: impl FnOnce() -> Result<Cow<'k, [u8]>, E>,
    ) -> Result<(), E> {
        let time = timestamp(self.time_nanos);
        let mut envelope = common.clone();
        if time.is_none() && self.observed_nanos > 0 {
            // Counts less than a time in the body.
            envelope.put_text("observedTimeUnixNano", &self.observed_nanos.to_string());
        }
        envelope.append(self.around);
        let envelope = envelope.finish();
        let may_be_object = self.is_text && self.content.trim_ascii_start().starts_with(b"{");
        if may_be_object && records.take_said(number, &self.content, &envelope, time) {
            return Ok(());
        }
        let raw = raw()?;
        let content = &self.content;
        let wrapped = Wrapped { content, envelope: &envelope, time, ..Wrapped::bare(&raw) };
        records.take_wrapped(number, &wrapped);
        Ok(())
    }
}

fn timestamp(nanos: u64) -> Option<Timestamp> {
    i64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map(Timestamp::from_nanos)
}
