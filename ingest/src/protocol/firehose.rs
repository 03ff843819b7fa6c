//! Amazon Data Firehose to an HTTP endpoint: `POST /aws/firehose`.
//!
//! Input: a request of records in Base64, each of them JSON objects, lines of text, or what CloudWatch
//! Logs subscribes out, gzipped. Output: Firehose's own answer, which repeats the request's id; that id
//! is the idempotency key, because a request is sent again until it is answered. The record is each
//! object or line; of CloudWatch each log event, whose message is understood and whose group and stream
//! become fields.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use super::Protocol;
use super::answer::{self, Failure};
use super::body::{self, BodyError, Encoding};
use super::documents::{Sink as _, same_length_text};
use super::door::{Admission, Records};
use super::members::{Object, each_item, each_member, is_object, items, members, string};
use crate::normalize::scan::{Malformed, Scanner};
use crate::normalize::{Wrapped, time};
use crate::pipeline::Pipeline;

const PATH: &str = "/aws/firehose";
const REQUEST_ID: &str = "x-amz-firehose-request-id";
const COMMON_ATTRIBUTES: &str = "x-amz-firehose-common-attributes";

/// Amazon Data Firehose.
pub(super) struct Firehose;

#[async_trait]
impl Protocol for Firehose {
    fn name(&self) -> &'static str {
        "firehose"
    }

    fn routes(&self, pipeline: &Arc<Pipeline>) -> Option<Router> {
        Some(Router::new().route(PATH, any(deliver)).with_state(Arc::clone(pipeline)))
    }
}

async fn deliver(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response {
    let id = header(request.headers(), REQUEST_ID).to_owned();
    let outcome = handle(&pipeline, request, &id).await;
    let timestamp = pipeline.now().nanos() / 1_000_000;
    match outcome {
        Ok(()) => {
            let said = json!({"requestId": id, "timestamp": timestamp});
            answer::json(StatusCode::OK, &said)
        }
        Err(failure) => {
            let message = failure.message();
            let said = json!({"requestId": id, "timestamp": timestamp, "errorMessage": message});
            let body = answer::json(failure.status(), &said).into_body();
            // The headers of a refusal stay: when to try again, whether the connection ends.
            let mut response = failure.into_response();
            *response.body_mut() = body;
            response
        }
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn handle(pipeline: &Arc<Pipeline>, request: Request, id: &str) -> Result<(), Failure> {
    let mut admission = Admission::of(pipeline, &request, Firehose.name(), &[Method::POST])?;
    admission.within_quota()?;
    if !id.is_empty() {
        admission.key.get_or_insert_with(|| format!("firehose {id}"));
    }
    let envelope = common_attributes(header(request.headers(), COMMON_ATTRIBUTES));
    let bytes_max = pipeline.limits().body_bytes_max;
    let shipment = admission.read(request.into_body()).await?;
    let mut cut = shipment
        .cut(move |body, records| {
            let mut taker = Taker { records, envelope, bytes_left: bytes_max, number: 0 };
            taker.take(body);
            if taker.bytes_left == 0 {
                return Err(Failure::of_body(BodyError::TooLarge));
            }
            Ok(())
        })
        .await?;
    // What is broken is a dead letter and would be so again: it must not come back.
    cut.store().await.map(drop)
}

/// `{"commonAttributes":{…}}`, as the operator set it in the stream; empty for none.
fn common_attributes(header: &str) -> String {
    let mut object = Object::default();
    let found = members(header).filter_map(Result::ok).find(|(key, _)| key == "commonAttributes");
    for (key, value) in found.iter().flat_map(|(_, inner)| members(inner)).filter_map(Result::ok) {
        object.put(&key, value);
    }
    object.finish()
}

struct Taker<'r, 'a> {
    records: &'r mut Records<'a>,
    envelope: String,
    /// What the records may still hold together after decompression; 0 when it was too much.
    bytes_left: usize,
    number: u64,
}

impl Taker<'_, '_> {
    fn take(&mut self, body: &[u8]) {
        let text = same_length_text(body);
        let mut scanner = Scanner::new(&text);
        let walked = each_member(&mut scanner, |scanner, key| {
            if key != "records" {
                return scanner.skip_value(1).map(drop);
            }
            each_item(scanner, |scanner| {
                let record = scanner.skip_value(2)?;
                self.record(record);
                Ok(())
            })
        });
        if let Err(malformed) = walked {
            let (code, reason) = (malformed.problem.code(), malformed.to_string());
            let rest = &body[scanner.pos.min(body.len())..];
            self.records.reject(self.number + 1, rest, code, reason);
        }
    }

    /// `{"data":"Base64"}`.
    fn record(&mut self, record: &str) {
        self.number += 1;
        if self.records.is_full() || self.bytes_left == 0 {
            return;
        }
        let data = members(record)
            .filter_map(Result::ok)
            .find(|(key, _)| key == "data")
            .and_then(|(_, data)| STANDARD.decode(string(data)?.as_bytes()).ok());
        let Some(data) = data.map(Bytes::from) else {
            let reason = "a record is `{\"data\":\"Base64\"}`".to_owned();
            return self.records.reject(self.number, record.as_bytes(), "not_a_record", reason);
        };
        match body::decode(data.clone(), Encoding::of_bytes(&data), self.bytes_left) {
            Ok(decoded) => {
                self.bytes_left -= decoded.len().min(self.bytes_left);
                self.content(&decoded);
            }
            Err(BodyError::TooLarge | BodyError::Ratio) => self.bytes_left = 0,
            Err(_) => {
                let reason = "the data is not compressed as it seems to be".to_owned();
                self.records.reject(self.number, &data, "bad_encoding", reason);
            }
        }
    }

    fn content(&mut self, content: &[u8]) {
        let first = content.trim_ascii_start().first();
        if matches!(first, Some(b'{' | b'[')) {
            if !self.cloudwatch(content) {
                self.records.take_documents_within(content, self.number, &self.envelope);
            }
            return;
        }
        let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        for line in lines.filter(|line| !line.is_empty()) {
            let wrapped = Wrapped { envelope: &self.envelope, ..Wrapped::bare(line) };
            self.records.take_wrapped(self.number, &wrapped);
            if self.records.is_full() {
                return;
            }
        }
    }

    /// Takes the log events of a CloudWatch subscription; false when it is none, and nothing taken.
    fn cloudwatch(&mut self, content: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(content) else { return false };
        let mut around = Object::default();
        let (mut events, mut kind) = (None, None);
        for member in members(text) {
            let Ok((key, value)) = member else { return false };
            match &*key {
                "logEvents" => events = Some(value),
                "messageType" => kind = string(value),
                "subscriptionFilters" => {}
                _ => around.put(&key, value),
            }
        }
        let (Some(events), Some(kind)) = (events, kind) else { return false };
        if kind == "CONTROL_MESSAGE" {
            // CloudWatch looks whether the destination takes anything.
            return true;
        }
        if !self.envelope.is_empty() && around.put_all(&self.envelope).is_err() {
            return false;
        }
        for event in items(events).map_while(Result::ok) {
            if self.log_event(event, &around).is_err() {
                let reason = "a log event is an object with a message".to_owned();
                self.records.reject(self.number, event.as_bytes(), "not_a_log_event", reason);
            }
            if self.records.is_full() {
                break;
            }
        }
        true
    }

    /// `{"id":"…","timestamp":milliseconds,"message":"…"}`.
    fn log_event(&mut self, event: &str, around: &Object) -> Result<(), Malformed> {
        let mut envelope = around.clone();
        let (mut message, mut time) = (None, None);
        for member in members(event) {
            let (key, value) = member?;
            match &*key {
                "message" => message = string(value),
                "timestamp" => time = value.parse().ok().and_then(time::from_integer),
                // Filters may take parts of the message out: they are named by the operator.
                "extractedFields" if is_object(value) => envelope.put_all(value)?,
                _ => envelope.put(&key, value),
            }
        }
        let message = message.unwrap_or_default();
        let wrapped = Wrapped {
            content: message.as_bytes(),
            envelope: &envelope.finish(),
            time,
            ..Wrapped::bare(event.as_bytes())
        };
        self.records.take_wrapped(self.number, &wrapped);
        Ok(())
    }
}
