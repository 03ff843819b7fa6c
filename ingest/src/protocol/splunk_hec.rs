//! Splunk's HTTP event collector: events, raw lines, health and acknowledgements.
//!
//! Input: event objects one after another, whatever content type is claimed, or raw lines. Output:
//! Splunk's own answers and codes. The record is the event object as it was sent, or the raw line.
//! What is understood is the object under `event`; a JSON text there is read as the object it holds,
//! and so is the object under `event.message` of splunk-logging. `host`, `source`, `sourcetype`,
//! `index` and the members of `fields` become fields, and a `time` that can be read is the event's. An
//! object without `event` is an event itself.
//!
//! Every answer comes after the batch is durable, so an `ackId` is the number of its last record:
//! acknowledged is what lies before the durable end of the journal, also after a restart.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{any, get};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use logwarden_event::Timestamp;
use serde::Serialize;

use super::answer::{self, Failure};
use super::documents::Sink as _;
use super::door::{self, Admission, Records};
use super::members::{Object, is_object, items, members, string};
use super::{Protocol, documents};
use crate::normalize::scan::Malformed;
use crate::normalize::{Wrapped, text_of, time};
use crate::pipeline::Pipeline;

const EVENT_PATHS: [&str; 3] =
    ["/services/collector", "/services/collector/event", "/services/collector/event/1.0"];
const RAW_PATHS: [&str; 2] = ["/services/collector/raw", "/services/collector/raw/1.0"];
const HEALTH_PATHS: [&str; 2] = ["/services/collector/health", "/services/collector/health/1.0"];
const ACK_PATHS: [&str; 2] = ["/services/collector/ack", "/services/collector/ack/1.0"];
const CHANNEL_HEADER: &str = "x-splunk-request-channel";
/// What an event object may consist of.
const EVENT_MEMBERS: [&str; 7] =
    ["event", "time", "host", "source", "sourcetype", "index", "fields"];
/// Ids in one question for acknowledgements; more: 400.
const ACKS_MAX: usize = 10_000;

/// Splunk's HTTP event collector.
pub(super) struct SplunkHec;

#[async_trait]
impl Protocol for SplunkHec {
    fn name(&self) -> &'static str {
        "splunk_hec"
    }

    fn routes(&self, pipeline: &Arc<Pipeline>) -> Option<Router> {
        let mut router = Router::new();
        for path in EVENT_PATHS {
            router = router.route(path, any(events));
        }
        for path in RAW_PATHS {
            router = router.route(path, any(raw));
        }
        for path in HEALTH_PATHS {
            router = router.route(path, get(health));
        }
        for path in ACK_PATHS {
            router = router.route(path, any(acks));
        }
        Some(router.with_state(Arc::clone(pipeline)))
    }
}

/// Splunk's numbers for what became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Success = 0,
    TokenRequired = 2,
    InvalidAuthorization = 3,
    InvalidToken = 4,
    NoData = 5,
    InvalidFormat = 6,
    Busy = 9,
    ChannelMissing = 10,
    Healthy = 17,
}

impl Code {
    const fn text(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::TokenRequired => "Token is required",
            Self::InvalidAuthorization => "Invalid authorization",
            Self::InvalidToken => "Invalid token",
            Self::NoData => "No data",
            Self::InvalidFormat => "Invalid data format",
            Self::Busy => "Server is busy",
            Self::ChannelMissing => "Data channel is missing",
            Self::Healthy => "HEC is healthy",
        }
    }
}

#[derive(Serialize)]
struct AnswerBody<'a> {
    text: &'a str,
    code: u8,
    /// The first event that became a dead letter, from 0 on.
    #[serde(rename = "invalid-event-number", skip_serializing_if = "Option::is_none")]
    invalid_event: Option<u64>,
    #[serde(rename = "ackId", skip_serializing_if = "Option::is_none")]
    ack_id: Option<u64>,
}

impl AnswerBody<'_> {
    fn of(code: Code) -> Self {
        Self { text: code.text(), code: code as u8, invalid_event: None, ack_id: None }
    }
}

fn answer(status: StatusCode, code: Code) -> Response {
    answer::json(status, &AnswerBody::of(code))
}

/// A refusal in Splunk's words. What passes with time is 503, the only status senders retry.
fn refuse(failure: Failure, headers: &HeaderMap) -> Response {
    let failure = failure.or_unavailable();
    let (status, code) = match failure.status() {
        StatusCode::UNAUTHORIZED if !door::brings_credential(headers) => {
            (StatusCode::UNAUTHORIZED, Code::TokenRequired)
        }
        StatusCode::UNAUTHORIZED if door::token_of(headers).is_none() => {
            (StatusCode::UNAUTHORIZED, Code::InvalidAuthorization)
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            (StatusCode::FORBIDDEN, Code::InvalidToken)
        }
        StatusCode::SERVICE_UNAVAILABLE => (StatusCode::SERVICE_UNAVAILABLE, Code::Busy),
        other => (other, Code::InvalidFormat),
    };
    let message = failure.message().to_owned();
    let mut body = AnswerBody::of(code);
    if code == Code::InvalidFormat {
        body.text = &message;
    }
    let said = answer::json(status, &body);
    // The headers of a refusal stay: when to try again, whether the connection ends.
    let mut response = failure.into_response();
    *response.status_mut() = status;
    *response.body_mut() = said.into_body();
    response
}

async fn events(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response {
    receive(&pipeline, request, |body, _, records| {
        let mut taker = Taker { records, events: 0, first_bad: None };
        let document_bytes_max = taker.records.record_bytes_max();
        documents::cut(body, document_bytes_max, &mut taker);
        taker.first_bad
    })
    .await
}

async fn raw(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response {
    receive(&pipeline, request, take_lines).await
}

async fn receive(
    pipeline: &Arc<Pipeline>,
    request: Request,
    cutter: fn(&[u8], &str, &mut Records<'_>) -> Option<u64>,
) -> Response {
    let headers = request.headers().clone();
    match handle(pipeline, request, cutter).await {
        Ok(response) => response,
        Err(failure) => refuse(failure, &headers),
    }
}

async fn handle(
    pipeline: &Arc<Pipeline>,
    request: Request,
    cutter: fn(&[u8], &str, &mut Records<'_>) -> Option<u64>,
) -> Result<Response, Failure> {
    let methods = [Method::POST, Method::OPTIONS];
    let admission = Admission::of(pipeline, &request, SplunkHec.name(), &methods)?;
    if request.method() == Method::OPTIONS {
        // Docker's log driver looks whether somebody is there before it starts a container.
        return Ok(answer(StatusCode::OK, Code::Success));
    }
    admission.within_quota()?;
    let channel = channel_of(&request);
    let has_channel = channel.is_some();
    let admission = match channel {
        Some(channel) => admission.that_comes_again(channel),
        None => admission,
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let shipment = admission.read(request.into_body()).await?;
    let mut cut = shipment.cut(move |body, records| Ok(cutter(body, &query, records))).await?;
    let delivery = cut.store().await?;
    if delivery.tally.accepted == 0 {
        let is_empty = delivery.tally.rejected == 0;
        let code = if is_empty { Code::NoData } else { Code::InvalidFormat };
        let body = AnswerBody { invalid_event: cut.found, ..AnswerBody::of(code) };
        return Ok(answer::json(StatusCode::BAD_REQUEST, &body));
    }
    let last = delivery.stored.map(|stored| stored.receipt.first.seq + stored.receipt.records - 1);
    let ack_id = last.filter(|_| has_channel);
    let body = AnswerBody { invalid_event: cut.found, ack_id, ..AnswerBody::of(Code::Success) };
    Ok(answer::json(StatusCode::OK, &body))
}

/// The channel that the sender named, which means that it will ask for acknowledgements.
fn channel_of(request: &Request) -> Option<String> {
    if let Some(channel) = request.headers().get(CHANNEL_HEADER) {
        return Some(String::from_utf8_lossy(channel.as_bytes()).into_owned());
    }
    let query = request.uri().query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, value)| name == "channel" && !value.is_empty())
        .map(|(_, channel)| channel.into_owned())
}

/// Open, as Splunk's own.
async fn health(State(pipeline): State<Arc<Pipeline>>) -> Response {
    if pipeline.takes_records() {
        answer(StatusCode::OK, Code::Healthy)
    } else {
        answer(StatusCode::SERVICE_UNAVAILABLE, Code::Busy)
    }
}

async fn acks(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response {
    let headers = request.headers().clone();
    match acknowledge(&pipeline, request).await {
        Ok(response) => response,
        Err(failure) => refuse(failure, &headers),
    }
}

async fn acknowledge(pipeline: &Arc<Pipeline>, request: Request) -> Result<Response, Failure> {
    let admission = Admission::of(pipeline, &request, SplunkHec.name(), &[Method::POST])?;
    if channel_of(&request).is_none() {
        return Ok(answer(StatusCode::BAD_REQUEST, Code::ChannelMissing));
    }
    let durable_end = pipeline.durable_end();
    let cut = admission.read(request.into_body()).await?.cut(|body, _| Ok(ids_of(body))).await?;
    let Some(ids) = cut.found else {
        return Ok(answer(StatusCode::BAD_REQUEST, Code::InvalidFormat));
    };
    let mut acks = Object::default();
    for id in ids {
        acks.put(&id.to_string(), if id < durable_end { "true" } else { "false" });
    }
    let said = acks.finish();
    let said = if said.is_empty() { "{}" } else { &said };
    let mut response = Response::new(Body::from(format!(r#"{{"acks":{said}}}"#)));
    answer::set(&mut response, http::header::CONTENT_TYPE, "application/json");
    Ok(response)
}

/// The ids of `{"acks":[0,1]}`; nothing when it is not that, or asks for too many.
fn ids_of(body: &Bytes) -> Option<Vec<u64>> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, list) = members(text).filter_map(Result::ok).find(|(key, _)| key == "acks")?;
    let mut ids = Vec::new();
    for item in items(list) {
        ids.push(item.ok()?.parse().ok()?);
        if ids.len() > ACKS_MAX {
            return None;
        }
    }
    Some(ids)
}

/// Takes event objects.
struct Taker<'r, 'a> {
    records: &'r mut Records<'a>,
    events: u64,
    first_bad: Option<u64>,
}

impl documents::Sink for Taker<'_, '_> {
    fn take(&mut self, line: u64, document: &[u8]) -> Result<(), Malformed> {
        let text = text_of(document);
        let event = EventObject::read(&text, self.records.zone(), self.records.now())?;
        let content = event.content.as_bytes();
        let wrapped = Wrapped {
            content,
            envelope: &event.envelope,
            time: event.time,
            ..Wrapped::bare(document)
        };
        if self.records.take_wrapped(line, &wrapped).is_some() {
            self.first_bad.get_or_insert(self.events);
        }
        self.events += 1;
        Ok(())
    }

    fn reject(&mut self, line: u64, bytes: &[u8], code: &'static str, reason: String) {
        self.records.reject(line, bytes, code, reason);
        self.first_bad.get_or_insert(self.events);
        self.events += 1;
    }

    fn is_full(&self) -> bool {
        self.records.is_full()
    }
}

/// One event object, taken apart.
struct EventObject<'t> {
    content: Cow<'t, str>,
    envelope: String,
    time: Option<Timestamp>,
}

impl<'t> EventObject<'t> {
    fn read(
        text: &'t str,
        zone: chrono_tz::Tz,
        now: Timestamp,
    ) -> Result<EventObject<'t>, Malformed> {
        let (mut content, mut time) = (None, None);
        let mut envelope = Object::default();
        for member in members(text) {
            let (key, value) = member?;
            match &*key {
                "event" => content = Some(value),
                "time" => {
                    let said = string(value).unwrap_or(Cow::Borrowed(value));
                    time = time::from_text(&said, zone, now);
                    if time.is_none() && value != "null" {
                        envelope.put("time", value);
                    }
                }
                "fields" if is_object(value) => envelope.put_all(value)?,
                _ => envelope.put(&key, value),
            }
        }
        let Some(event) = content else {
            // The whole object is the event, and says its own time.
            return Ok(Self { content: Cow::Borrowed(text), envelope: String::new(), time: None });
        };
        let content = match string(event) {
            Some(said) => said,
            None => Cow::Borrowed(unwrap_message(event, &mut envelope)?),
        };
        Ok(Self { content, envelope: envelope.finish(), time })
    }
}

/// splunk-logging puts what the program logged under `message`, with its own members beside it.
fn unwrap_message<'t>(event: &'t str, envelope: &mut Object) -> Result<&'t str, Malformed> {
    let inner = members(event)
        .filter_map(Result::ok)
        .find(|(key, value)| key == "message" && is_object(value));
    let Some((_, message)) = inner else { return Ok(event) };
    for member in members(event) {
        let (key, value) = member?;
        if key != "message" {
            envelope.put(&key, value);
        }
    }
    Ok(message)
}

/// The line taken apart, where a handler sends to `raw` what it would send to `event`.
fn event_object<'t>(line: &'t str, records: &Records<'_>) -> Option<EventObject<'t>> {
    let mut keys = members(line).map(|member| member.ok().map(|(key, _)| key));
    let is_event_object = is_object(line)
        && keys.all(|key| key.is_some_and(|key| EVENT_MEMBERS.contains(&&*key)))
        && members(line).flatten().any(|(key, _)| key == "event");
    let read = || EventObject::read(line, records.zone(), records.now()).ok();
    is_event_object.then(read).flatten()
}

/// Takes each line as a record; the query says what the lines have in common.
fn take_lines(body: &[u8], query: &str, records: &mut Records<'_>) -> Option<u64> {
    let mut common = Object::default();
    let mut time = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "host" | "source" | "sourcetype" | "index" => common.put_text(&name, &value),
            "time" => time = time::from_text(&value, records.zone(), records.now()),
            _ => {}
        }
    }
    let common = common.finish();
    let mut first_bad = None;
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    for (number, line) in (0..).zip(lines.filter(|line| !line.is_empty())) {
        let text = text_of(line);
        let event = event_object(&text, records);
        let envelope = event.as_ref().map(|event| around(&event.envelope, &common));
        let wrapped = Wrapped {
            content: event.as_ref().map_or(line, |event| event.content.as_bytes()),
            envelope: envelope.as_deref().unwrap_or(&common),
            time: event.as_ref().and_then(|event| event.time).or(time),
            ..Wrapped::bare(line)
        };
        if records.take_wrapped(number + 1, &wrapped).is_some() {
            first_bad.get_or_insert(number);
        }
        if records.is_full() {
            break;
        }
    }
    first_bad
}

/// What stands around an event object: what is common to all lines where it does not say it itself.
fn around(own: &str, common: &str) -> String {
    let mut envelope = Object::default();
    for (name, value) in members(common).flatten() {
        if !members(own).flatten().any(|(key, _)| key == name) {
            envelope.put(&name, value);
        }
    }
    for (name, value) in members(own).flatten() {
        envelope.put(&name, value);
    }
    envelope.finish()
}
