//! Elasticsearch and OpenSearch bulk, single documents, and the calls that their clients make around
//! them.
//!
//! Input: lines in pairs, an action and its document. Output: one item per action, in order. The
//! record is the document's line as it was sent; `_index`, `_id` and `pipeline` of the action become
//! fields. Whatever the action, the document becomes an event: nothing is overwritten or deleted. A
//! document with an `_id` that comes again under it, byte for byte, is not stored again as long as we
//! [remember](crate::remembered) it; a body of which every action has an `_id` is stored once, however
//! often it is sent.
//!
//! A line that is no action where one is expected is taken as a document, so that a template without
//! action lines loses nothing. Over a quota each item says 429, which clients take as leave to send
//! these items again; what concerns the whole request says 503, which they retry as well.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use logwarden_event::Event;
use serde::Serialize;

use super::Protocol;
use super::answer::{self, Failure};
use super::documents::Sink as _;
use super::door::{self, Admission, Cut, Records};
use super::members::{Object, is_object, members, string};
use crate::normalize::Wrapped;
use crate::pipeline::{Pipeline, Stored};
use crate::recall::known_by;
use crate::remembered::{DocumentId, Known};

/// Their clients refuse every answer without it.
static PRODUCT: HeaderName = HeaderName::from_static("x-elastic-product");
const VENDOR_TYPE: &str = "application/vnd.elasticsearch+json";
const METHODS: [Method; 2] = [Method::POST, Method::PUT];
/// How many members of an action line are looked at for the action itself.
const ACTION_MEMBERS_MAX: usize = 16;

/// The version that every client takes: the last that OpenSearch and Elasticsearch have in common.
const GREETING: &str = r#"{"name":"logwarden","cluster_name":"logwarden","cluster_uuid":"logwarden","version":{"number":"7.10.2","build_flavor":"default","build_type":"tar","build_hash":"unknown","build_date":"2021-01-13T00:42:12.435326Z","build_snapshot":false,"lucene_version":"8.7.0","minimum_wire_compatibility_version":"6.8.0","minimum_index_compatibility_version":"6.0.0-beta1"},"tagline":"You Know, for Search"}"#;
const LICENSE: &str = r#"{"license":{"status":"active","uid":"logwarden","type":"basic","mode":"basic","issue_date_in_millis":0,"max_nodes":1000,"issued_to":"logwarden","issuer":"logwarden","start_date_in_millis":-1},"features":{}}"#;
const HEALTH: &str = r#"{"cluster_name":"logwarden","status":"green","timed_out":false,"number_of_nodes":1,"number_of_data_nodes":1,"active_primary_shards":1,"active_shards":1,"relocating_shards":0,"initializing_shards":0,"unassigned_shards":0}"#;
const REFRESHED: &str = r#"{"_shards":{"total":1,"successful":1,"failed":0}}"#;
const ACKNOWLEDGED: &str = r#"{"acknowledged":true}"#;

/// What clients ask or set up before and after a bulk, and what they need to hear.
const SIDE_CALLS: &[(&str, &str)] = &[
    ("/_license", LICENSE),
    ("/_xpack", LICENSE),
    ("/_cluster/health", HEALTH),
    ("/_cluster/health/{index}", HEALTH),
    ("/_refresh", REFRESHED),
    ("/{index}/_refresh", REFRESHED),
    ("/_index_template/{name}", ACKNOWLEDGED),
    ("/_component_template/{name}", ACKNOWLEDGED),
    ("/_template/{name}", ACKNOWLEDGED),
    ("/_ilm/policy/{name}", ACKNOWLEDGED),
    ("/_ingest/pipeline/{name}", ACKNOWLEDGED),
    ("/_data_stream/{name}", ACKNOWLEDGED),
];

/// Elasticsearch and OpenSearch bulk.
pub(super) struct ElasticBulk;

#[async_trait]
impl Protocol for ElasticBulk {
    fn name(&self) -> &'static str {
        "elastic_bulk"
    }

    fn routes(&self, pipeline: &Arc<Pipeline>) -> Option<Router> {
        let mut router = Router::new()
            .route("/_bulk", any(bulk))
            .route("/{index}/_bulk", any(bulk_into))
            // Clients of version 6 name a type behind the index.
            .route("/{index}/{kind}/_bulk", any(bulk_into_kind))
            .route("/{index}/_doc", any(index_document))
            .route("/{index}/_doc/{id}", any(index_document_as))
            .route("/{index}/_create/{id}", any(create_document));
        for (path, body) in SIDE_CALLS {
            let side = move |State(pipeline): State<Arc<Pipeline>>, request: Request| async move {
                side_call(&pipeline, &request, body)
            };
            router = router.route(path, any(side));
        }
        Some(router.with_state(Arc::clone(pipeline)))
    }
}

/// Answers `GET /` of these clients before `router` does: their first question is who is there.
///
/// It is theirs when it brings a credential or comes from an admitted network, and does not ask for
/// HTML as browsers do.
pub(super) fn greet(pipeline: &Arc<Pipeline>, router: Router) -> Router {
    router.layer(middleware::from_fn_with_state(Arc::clone(pipeline), greet_client))
}

async fn greet_client(
    State(pipeline): State<Arc<Pipeline>>,
    request: Request,
    next: Next,
) -> Response {
    let is_question = request.uri().path() == "/"
        && [Method::GET, Method::HEAD].contains(request.method())
        && !accepts(request.headers(), "text/html");
    let is_client = is_question
        && (door::brings_credential(request.headers())
            || accepts(request.headers(), VENDOR_TYPE)
            || door::authenticate(&pipeline, &request).is_ok());
    if is_client { side_call(&pipeline, &request, GREETING) } else { next.run(request).await }
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    headers.get_all(ACCEPT).iter().any(|accept| {
        accept.to_str().is_ok_and(|accept| accept.to_ascii_lowercase().contains(kind))
    })
}

fn side_call(pipeline: &Pipeline, request: &Request, body: &'static str) -> Response {
    let methods = [Method::GET, Method::HEAD, Method::PUT, Method::POST];
    let admitted = door::authenticate(pipeline, request).and_then(|_| {
        let is_known = methods.contains(request.method());
        if is_known { Ok(()) } else { Err(Failure::method_not_allowed()) }
    });
    match admitted {
        Ok(()) => dress(Response::new(Body::from(body)), &vendor_type(request.headers())),
        Err(failure) => refuse(failure),
    }
}

fn refuse(failure: Failure) -> Response {
    let mut response = failure.or_unavailable().into_response();
    answer::set(&mut response, PRODUCT.clone(), "Elasticsearch");
    response
}

fn dress(mut response: Response, content_type: &str) -> Response {
    answer::set(&mut response, CONTENT_TYPE, content_type);
    answer::set(&mut response, PRODUCT.clone(), "Elasticsearch");
    response
}

/// The type of answer the client asks for: its vendor's own, with its version, or plain JSON.
fn vendor_type(headers: &HeaderMap) -> String {
    let asked = headers.get_all(ACCEPT).iter().chain(headers.get(CONTENT_TYPE));
    for value in asked.filter_map(|value| value.to_str().ok()) {
        let vendor = value.split(',').find(|kind| kind.contains("vnd.elasticsearch+"));
        if let Some(vendor) = vendor {
            let version = vendor.rsplit_once("compatible-with=").map(|(_, version)| version.trim());
            let version = version.filter(|v| v.len() < 4 && v.bytes().all(|b| b.is_ascii_digit()));
            return version.map_or_else(
                || VENDOR_TYPE.to_owned(),
                |version| format!("{VENDOR_TYPE};compatible-with={version}"),
            );
        }
    }
    "application/json".to_owned()
}

async fn bulk(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response {
    respond(&pipeline, request, String::new()).await
}

async fn bulk_into(
    State(pipeline): State<Arc<Pipeline>>,
    Path(index): Path<String>,
    request: Request,
) -> Response {
    respond(&pipeline, request, index).await
}

async fn bulk_into_kind(
    State(pipeline): State<Arc<Pipeline>>,
    Path((index, _)): Path<(String, String)>,
    request: Request,
) -> Response {
    respond(&pipeline, request, index).await
}

async fn respond(pipeline: &Arc<Pipeline>, request: Request, index: String) -> Response {
    let content_type = vendor_type(request.headers());
    match handle(pipeline, request, index).await {
        Ok(body) => dress(body.into_response(), &content_type),
        Err(failure) => refuse(failure),
    }
}

async fn index_document(
    State(pipeline): State<Arc<Pipeline>>,
    Path(index): Path<String>,
    request: Request,
) -> Response {
    respond_to_document(&pipeline, request, Action::new(Op::Index, index, None, None)).await
}

async fn index_document_as(
    State(pipeline): State<Arc<Pipeline>>,
    Path((index, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    respond_to_document(&pipeline, request, Action::new(Op::Index, index, Some(id), None)).await
}

async fn create_document(
    State(pipeline): State<Arc<Pipeline>>,
    Path((index, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    respond_to_document(&pipeline, request, Action::new(Op::Create, index, Some(id), None)).await
}

/// Answers a document that came alone, as one item of a bulk.
async fn respond_to_document(
    pipeline: &Arc<Pipeline>,
    request: Request,
    action: Action,
) -> Response {
    let content_type = vendor_type(request.headers());
    match take_alone(pipeline, request, action).await {
        Ok((status, body)) => dress((status, body).into_response(), &content_type),
        Err(failure) => refuse(failure),
    }
}

async fn take_alone(
    pipeline: &Arc<Pipeline>,
    request: Request,
    action: Action,
) -> Result<(StatusCode, String), Failure> {
    let admission = Admission::of(pipeline, &request, ElasticBulk.name(), &METHODS)?;
    admission.within_quota()?;
    let shipment = admission.read(request.into_body()).await?;
    let known = Arc::clone(pipeline);
    let cutter = move |body: &Bytes, records: &mut Records<'_>| {
        Ok(vec![take_identified(1, body.trim_ascii(), action, &known, records)])
    };
    let mut cut = shipment.cut(cutter).await?;
    let stored = store(pipeline, &mut cut).await?;
    let first = stored.map_or(0, |stored| stored.receipt.first.seq);
    let item = &cut.found[0];
    let status = if item.fault.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::CREATED };
    Ok((status, item.answer(first, None)))
}

async fn handle(
    pipeline: &Arc<Pipeline>,
    request: Request,
    index: String,
) -> Result<String, Failure> {
    let started = Instant::now();
    let admission = Admission::of(pipeline, &request, ElasticBulk.name(), &METHODS)?;
    let allowed = admission.within_quota();
    let shipment = admission.read(request.into_body()).await?;
    let known = Arc::clone(pipeline);
    let cutter =
        move |body: &Bytes, records: &mut Records<'_>| Ok(cut_pairs(body, &index, &known, records));
    let mut cut = shipment.cut(cutter).await?;
    let stored = match allowed {
        Ok(()) => store(pipeline, &mut cut).await,
        Err(failure) => Err(failure),
    };
    answer_of(&cut, stored, started)
}

/// Makes the documents durable that are not stored yet.
async fn store(pipeline: &Pipeline, cut: &mut Cut<Vec<Item>>) -> Result<Option<Stored>, Failure> {
    let ids: Vec<_> = cut.found.iter().filter_map(|item| item.document).collect();
    if ids.is_empty() {
        return cut.store().await.map(|delivery| delivery.stored);
    }
    let held = pipeline.remembered.hold(&ids);
    let held = tokio::time::timeout(pipeline.limits().room_wait, held).await;
    let (known, hold) = held.map_err(|_| Failure::busy())?;
    let has_id = |index: &usize| cut.found[*index].document.is_some();
    let with_id: Vec<_> = (0..cut.found.len()).filter(has_id).collect();
    let mut out = Vec::new();
    for (index, known) in with_id.iter().zip(&known) {
        let place = match known {
            Known::New => continue,
            Known::Stored(seq) => {
                cut.found[*index].seq = Some(*seq);
                None
            }
            Known::Again(first) => Some(cut.found[with_id[*first]].place),
        };
        let item = &mut cut.found[*index];
        out.push(item.place);
        item.place = place.unwrap_or(item.place);
    }
    cut.leave_out(&out);
    for item in &mut cut.found {
        item.place -= out.partition_point(|place| *place < item.place) as u64;
    }
    let stored = cut.store().await?.stored;
    if let Some(stored) = &stored {
        let new = with_id.iter().zip(&known).filter(|(_, known)| **known == Known::New);
        let first = stored.receipt.first.seq;
        hold.stored(new.map(|(index, _)| first + cut.found[*index].place));
    }
    Ok(stored)
}

/// One item per action; a refusal that passes with time is said of each.
fn answer_of(
    cut: &Cut<Vec<Item>>,
    stored: Result<Option<Stored>, Failure>,
    started: Instant,
) -> Result<String, Failure> {
    let refusal = match &stored {
        Err(failure) if failure.status() == StatusCode::TOO_MANY_REQUESTS => {
            Some(failure.message())
        }
        Err(failure) => return Err(failure.clone()),
        Ok(_) => None,
    };
    let first = match &stored {
        Ok(Some(stored)) => stored.receipt.first.seq,
        _ => 0,
    };
    let errors = refusal.is_some() || cut.found.iter().any(|item| item.fault.is_some());
    let took = started.elapsed().as_millis();
    let mut body = format!(r#"{{"took":{took},"errors":{errors},"items":["#);
    for (index, item) in cut.found.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(&format!(r#"{{"{}":{}}}"#, item.op.name(), item.answer(first, refusal)));
    }
    body.push_str("]}");
    Ok(body)
}

/// What to do with a document, in their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Index,
    Create,
    Update,
    Delete,
}

impl Op {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "index" => Some(Self::Index),
            "create" => Some(Self::Create),
            "update" => Some(Self::Update),
            "delete" => Some(Self::Delete),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// An action line.
#[derive(Debug)]
struct Action {
    op: Op,
    index: String,
    id: Option<String>,
    /// What of it becomes fields.
    envelope: String,
}

impl Action {
    /// The action of a line; some clients put members of their own beside it.
    fn of(line: &str, default_index: &str) -> Option<Self> {
        members(line).take(ACTION_MEMBERS_MAX).find_map(|member| {
            let (key, value) = member.ok()?;
            let op = Op::from_name(&key).filter(|_| is_object(value))?;
            Some(Self::from_settings(op, value, default_index))
        })
    }

    fn from_settings(op: Op, settings: &str, default_index: &str) -> Self {
        let (mut index, mut id, mut pipeline) = (None, None, None);
        for (key, value) in members(settings).take(ACTION_MEMBERS_MAX).filter_map(Result::ok) {
            // An id may be a number.
            let said = string(value).map(std::borrow::Cow::into_owned);
            match &*key {
                "_index" => index = said,
                "_id" if value != "null" => id = said.or_else(|| Some(value.to_owned())),
                "pipeline" => pipeline = said,
                _ => {}
            }
        }
        Self::new(op, index.unwrap_or_else(|| default_index.to_owned()), id, pipeline)
    }

    fn new(op: Op, index: String, id: Option<String>, pipeline: Option<String>) -> Self {
        let mut envelope = Object::default();
        let named =
            [("_index", Some(&index)), ("_id", id.as_ref()), ("pipeline", pipeline.as_ref())];
        for (key, value) in named {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                envelope.put_text(key, value);
            }
        }
        Self { op, index, id, envelope: envelope.finish() }
    }

    /// What is done with a document that has no action.
    fn missing(default_index: &str) -> Self {
        Self::from_settings(Op::Index, "{}", default_index)
    }
}

/// What became of one action.
#[derive(Debug)]
struct Item {
    op: Op,
    index: String,
    id: Option<String>,
    /// Its place in the batch, when it is an event.
    place: u64,
    /// What it is known by when it comes again, if it has an id.
    document: Option<DocumentId>,
    /// Its number, when it was stored before.
    seq: Option<u64>,
    /// Why it became a dead letter instead.
    fault: Option<String>,
}

#[derive(Serialize)]
struct ItemBody<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id")]
    id: &'a str,
    status: u16,
    #[serde(flatten)]
    outcome: OutcomeBody<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutcomeBody<'a> {
    Done {
        #[serde(rename = "_version")]
        version: u8,
        result: &'static str,
        #[serde(rename = "_seq_no")]
        seq: u64,
        #[serde(rename = "_primary_term")]
        term: u8,
    },
    Failed {
        error: FaultBody<'a>,
    },
}

#[derive(Serialize)]
struct FaultBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    reason: &'a str,
}

impl Item {
    fn of(action: Action, place: u64, fault: Option<String>) -> Self {
        let Action { op, index, id, .. } = action;
        Self { op, index, id, place, document: None, seq: None, fault }
    }

    /// What it is known by, with its event.
    fn document(&self, pipeline: &Pipeline, event: &Event) -> Option<DocumentId> {
        let id = self.id.as_deref()?;
        let record = known_by(pipeline, event);
        Some(pipeline.remembered.id(event.source(), &self.index, id, &record))
    }

    /// `first` is the number of the first record of the batch.
    fn answer(&self, first: u64, refusal: Option<&str>) -> String {
        let seq = self.seq.unwrap_or(first + self.place);
        let failed = |kind, reason| OutcomeBody::Failed { error: FaultBody { kind, reason } };
        let (status, outcome) = match (refusal, &self.fault) {
            (Some(reason), _) => (429, failed("es_rejected_execution_exception", reason)),
            (None, Some(reason)) => (400, failed("document_parsing_exception", reason)),
            (None, None) => {
                let (status, result) =
                    if self.op == Op::Update { (200, "updated") } else { (201, "created") };
                (status, OutcomeBody::Done { version: 1, result, seq, term: 1 })
            }
        };
        let given = self.id.as_deref().map_or_else(|| seq.to_string(), str::to_owned);
        let body = ItemBody { index: &self.index, id: &given, status, outcome };
        serde_json::to_string(&body).expect("items hold nothing that JSON cannot say")
    }
}

/// Cuts a body into its pairs.
fn cut_pairs(
    body: &[u8],
    default_index: &str,
    known: &Pipeline,
    records: &mut Records<'_>,
) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut pending: Option<(u64, &[u8], Action)> = None;
    for (number, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if records.is_full() {
            break;
        }
        let action = match pending.take() {
            Some((_, _, action)) => action,
            None => match std::str::from_utf8(line).ok().and_then(|l| Action::of(l, default_index))
            {
                Some(action) if action.op == Op::Delete => {
                    let reason = "events are not deleted".to_owned();
                    records.reject(number, line, "not_deletable", reason.clone());
                    items.push(Item::of(action, records.drafts(), Some(reason)));
                    continue;
                }
                Some(action) => {
                    pending = Some((number, line, action));
                    continue;
                }
                None => Action::missing(default_index),
            },
        };
        items.push(take_identified(number, line, action, known, records));
    }
    if let Some((number, line, action)) = pending {
        let reason = "the document of this action is missing".to_owned();
        records.reject(number, line, "no_document", reason.clone());
        items.push(Item::of(action, records.drafts(), Some(reason)));
    }
    records.is_repeatable = !items.is_empty() && items.iter().all(|item| item.id.is_some());
    items
}

fn take_identified(
    line: u64,
    document: &[u8],
    action: Action,
    known: &Pipeline,
    records: &mut Records<'_>,
) -> Item {
    let mut item = take_document(line, document, action, records);
    // A list of records is not known by the id of their document.
    if item.fault.is_none() && records.drafts() == item.place + 1 {
        item.document = records.last_event().and_then(|event| item.document(known, event));
    }
    item
}

fn take_document(line: u64, document: &[u8], action: Action, records: &mut Records<'_>) -> Item {
    let place = records.drafts();
    let updated = if action.op == Op::Update { document_of_update(document) } else { None };
    let wrapped = Wrapped {
        content: updated.unwrap_or(document),
        must_be_json: true,
        envelope: &action.envelope,
        ..Wrapped::bare(document)
    };
    let fault = records.take_wrapped(line, &wrapped);
    Item::of(action, place, fault)
}

/// The document inside an update: under `doc`, or under `upsert`.
fn document_of_update(line: &[u8]) -> Option<&[u8]> {
    let text = std::str::from_utf8(line).ok()?;
    let found = members(text).filter_map(Result::ok).filter(|(_, value)| is_object(value));
    found
        .filter(|(key, _)| matches!(&**key, "doc" | "upsert"))
        .map(|(_, value)| value.as_bytes())
        .next()
}
