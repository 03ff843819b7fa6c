//! Datadog's log intake: `POST /api/v2/logs`, and `/v1/input` of older clients.
//!
//! Input: one object or an array of them, or plain lines. Output: 202 and `{}`. The record is the object
//! as it was sent, or the JSON object that is its `message`, with the other members beside it; each
//! `key:value` of `ddtags` becomes a field. What stands in the query counts for every record.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::{Method, StatusCode};
use serde_json::json;

use super::answer::{self, Failure};
use super::documents::Sink as _;
use super::door::{Admission, Records};
use super::members::{Object, members, string};
use super::{Protocol, documents};
use crate::normalize::scan::Malformed;
use crate::normalize::{Wrapped, text_of};
use crate::pipeline::Pipeline;

const PATHS: [&str; 2] = ["/api/v2/logs", "/v1/input"];
/// Tags of one record; those that follow stay in `ddtags` alone.
const TAGS_MAX: usize = 100;

/// Datadog's log intake.
pub(super) struct Datadog;

#[async_trait]
impl Protocol for Datadog {
    fn name(&self) -> &'static str {
        "datadog"
    }

    fn routes(&self, pipeline: &Arc<Pipeline>) -> Option<Router> {
        let router = PATHS.iter().fold(Router::new(), |router, path| router.route(path, any(logs)));
        Some(router.with_state(Arc::clone(pipeline)))
    }
}

async fn logs(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response {
    match handle(&pipeline, request).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn handle(pipeline: &Arc<Pipeline>, request: Request) -> Result<Response, Failure> {
    let admission = Admission::of(pipeline, &request, Datadog.name(), &[Method::POST])?;
    admission.within_quota()?;
    let query = request.uri().query().unwrap_or_default().to_owned();
    let shipment = admission.read(request.into_body()).await?;
    let mut cut = shipment
        .cut(move |body, records| {
            take(body, &query, records);
            Ok(())
        })
        .await?;
    let delivery = cut.store().await?;
    if delivery.tally.accepted == 0 && delivery.tally.rejected > 0 {
        let durability = pipeline.durability();
        return Ok(answer::stored(delivery.stored.as_ref(), &delivery.tally, None, durability));
    }
    Ok(answer::json(StatusCode::ACCEPTED, &json!({})))
}

fn take(body: &[u8], query: &str, records: &mut Records<'_>) {
    let mut common = Object::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "ddsource" | "hostname" | "service" => common.put_text(&name, &value),
            "ddtags" => put_tags(&value, &mut common),
            _ => {}
        }
    }
    if body.trim_ascii_start().starts_with(b"{") || body.trim_ascii_start().starts_with(b"[") {
        let document_bytes_max = records.record_bytes_max();
        return documents::cut(body, document_bytes_max, &mut Taker { records, common });
    }
    let envelope = common.finish();
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    for (number, line) in (1..).zip(lines.filter(|line| !line.is_empty())) {
        records.take_wrapped(number, &Wrapped { envelope: &envelope, ..Wrapped::bare(line) });
        if records.is_full() {
            return;
        }
    }
}

struct Taker<'r, 'a> {
    records: &'r mut Records<'a>,
    common: Object,
}

impl documents::Sink for Taker<'_, '_> {
    fn take(&mut self, line: u64, document: &[u8]) -> Result<(), Malformed> {
        let text = text_of(document);
        let mut envelope = self.common.clone();
        let mut around = Object::default();
        let mut message = None;
        let mut is_empty = true;
        for member in members(&text) {
            let (key, value) = member?;
            is_empty = false;
            match (&*key, string(value)) {
                ("message", Some(said)) if said.trim_start().starts_with('{') => {
                    message = Some(said);
                    continue;
                }
                ("ddtags", Some(tags)) => put_tags(&tags, &mut envelope),
                _ => {}
            }
            around.put(&key, value);
        }
        if is_empty {
            // Agents send an empty object to see whether somebody is there.
            return Ok(());
        }
        if let Some(message) = message {
            let mut beside = envelope.clone();
            beside.append(around);
            if self.records.take_said(line, message.as_bytes(), &beside.finish(), None) {
                return Ok(());
            }
        }
        let envelope = envelope.finish();
        self.records
            .take_wrapped(line, &Wrapped { envelope: &envelope, ..Wrapped::bare(document) });
        Ok(())
    }

    fn reject(&mut self, line: u64, bytes: &[u8], code: &'static str, reason: String) {
        self.records.reject(line, bytes, code, reason);
    }

    fn is_full(&self) -> bool {
        self.records.is_full()
    }
}

/// Adds the tags `key:value,key:value`; several values of one key become an array.
fn put_tags(tags: &str, object: &mut Object) {
    let pairs: Vec<_> =
        tags.split(',').filter_map(|tag| tag.trim().split_once(':')).take(TAGS_MAX).collect();
    for (index, (key, _)) in pairs.iter().enumerate() {
        if pairs[..index].iter().any(|(earlier, _)| earlier == key) {
            continue;
        }
        let values: Vec<_> =
            pairs.iter().filter(|(other, _)| other == key).map(|(_, value)| value).collect();
        match values[..] {
            [value] => object.put_text(key, value),
            _ => object.put(key, &json!(values).to_string()),
        }
    }
}
