//! JSON over HTTP: `POST /api/v1/ingest`.
//!
//! Input: a token or an admitted network, and a body of JSON objects, compressed or not. Output: what
//! became of each line, after all of it is durable. Credentials and quota are looked at before the
//! first byte of the body is read.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::any;
use base64::Engine as _;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Method};
use logwarden_event::Position;
use logwarden_store::IdempotencyKey;
use logwarden_store::identity::{Action, Object, authorize};
use sha2::{Digest as _, Sha256};

use super::answer::{self, Failure};
use super::body::{self, BodyError, Encoding};
use super::stream::Taker;
use super::tcp_json::source_of_principal;
use super::{Protocol, documents};
use crate::batch::{Batch, Tally};
use crate::normalize::Origin;
use crate::normalize::scan::Malformed;
use crate::pipeline::{Pipeline, Refusal, Stored};
use crate::quota::{Quota, Room};

/// The one path.
const PATH: &str = "/api/v1/ingest";
/// Characters of an idempotency key.
const KEY_CHARS_MAX: usize = 128;
/// Room taken for a body that does not say its length.
const UNKNOWN_LENGTH_BYTES: usize = 1 << 20;
/// A compressed body is expected to grow by this much.
const GROWTH: usize = 16;

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
    let source = authenticate(pipeline, &request)?;
    if request.method() != Method::POST {
        return Err(Failure::method_not_allowed());
    }
    let shipment = Shipment::of(pipeline, &request, source)?;
    let quota = pipeline.quotas.of(&shipment.origin.source);
    quota.check(pipeline.now()).map_err(|over| Failure::refused(Refusal::Quota(over)))?;
    let _room = take_room(pipeline, &quota, &shipment).await?;
    let body =
        body::read(request.into_body(), pipeline.limits()).await.map_err(Failure::of_body)?;
    let waits = shipment.waits_searchable;
    let (stored, tally) = store(pipeline, shipment, quota, body).await?;
    let searchable = match &stored {
        Some(stored) if waits => {
            let first = stored.receipt.first;
            let end = Position { seq: first.seq + stored.receipt.records, ..first };
            Some(pipeline.wait_searchable(end).await)
        }
        _ => None,
    };
    Ok(answer::stored(stored.as_ref(), &tally, searchable, pipeline.durability()))
}

/// The source of what the request sends, by its token or its network.
fn authenticate(pipeline: &Pipeline, request: &Request) -> Result<String, Failure> {
    let query = request.uri().query().unwrap_or_default();
    let names_credential = query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        ["token", "access_token", "api_key", "apikey", "key"]
            .contains(&name.to_ascii_lowercase().as_str())
    });
    if names_credential {
        return Err(Failure::credential_in_url());
    }
    if let Some(header) = request.headers().get(AUTHORIZATION) {
        let token = header.to_str().ok().and_then(token_of).ok_or_else(Failure::unauthorized)?;
        let principal =
            pipeline.identity.authenticate_token(&token).ok_or_else(Failure::unauthorized)?;
        let source = source_of_principal(&principal);
        authorize(&principal, Action::Ingest, &Object::Source(&source))
            .map_err(|_| Failure::forbidden())?;
        return Ok(source);
    }
    let http = &pipeline.config.http;
    let is_allowed = peer_of(request)
        .is_some_and(|peer| http.allow.iter().any(|network| network.contains(&peer)));
    match (&http.source, is_allowed) {
        (Some(source), true) => Ok(source.clone()),
        _ => Err(Failure::unauthorized()),
    }
}

/// The token of `Bearer TOKEN`, or of `Basic` with the token as password.
fn token_of(header: &str) -> Option<String> {
    let (scheme, value) = header.split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

fn peer_of(request: &Request) -> Option<IpAddr> {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    Some(info.0.ip().to_canonical())
}

/// What the head of a request says about its body.
struct Shipment {
    origin: Origin,
    key: Option<String>,
    encoding: Encoding,
    length: Option<usize>,
    waits_searchable: bool,
}

impl Shipment {
    fn of(pipeline: &Pipeline, request: &Request, source: String) -> Result<Self, Failure> {
        let headers = request.headers();
        let encoding = encoding_of(headers)?;
        let length = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok())
            .and_then(|length| length.parse().ok());
        if length.is_some_and(|length: usize| length > pipeline.limits().body_bytes_max) {
            return Err(Failure::of_body(BodyError::TooLarge));
        }
        let query = request.uri().query().unwrap_or_default();
        let waits_searchable = query.split('&').any(|pair| pair == "wait=searchable");
        let zone = pipeline.config.zone_of(&source);
        let origin = Origin { source, peer: peer_of(request), protocol: HttpJson.name(), zone };
        Ok(Self { origin, key: key_of(headers)?, encoding, length, waits_searchable })
    }
}

fn encoding_of(headers: &HeaderMap) -> Result<Encoding, Failure> {
    let mut names = headers.get_all(CONTENT_ENCODING).iter();
    let name = names.next().map(|name| name.to_str().unwrap_or("?")).unwrap_or_default();
    match (Encoding::from_name(name), names.next()) {
        (Some(encoding), None) => Ok(encoding),
        _ => Err(Failure::unsupported_encoding()),
    }
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().map_err(|_| Failure::bad_key())?;
    let is_good = (1..=KEY_CHARS_MAX).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if is_good { Ok(Some(key.to_owned())) } else { Err(Failure::bad_key()) }
}

/// Room for the body in memory; a short wait is better than an answer that many senders take as
/// leave to drop the batch.
async fn take_room(
    pipeline: &Pipeline,
    quota: &Quota,
    shipment: &Shipment,
) -> Result<Room, Failure> {
    let limits = pipeline.limits();
    let length = shipment.length.unwrap_or(UNKNOWN_LENGTH_BYTES);
    let is_plain = shipment.encoding == Encoding::Identity;
    let expected = if is_plain { length } else { length.saturating_mul(GROWTH) };
    let room = quota.room(expected.min(limits.body_bytes_max));
    tokio::time::timeout(limits.room_wait, room).await.map_err(|_| Failure::busy())
}

/// Converts the body and makes it durable; without a record there is nothing to store.
async fn store(
    pipeline: &Arc<Pipeline>,
    shipment: Shipment,
    quota: Arc<Quota>,
    body: Bytes,
) -> Result<(Option<Stored>, Tally), Failure> {
    let Shipment { origin, key, encoding, .. } = shipment;
    let origin = Arc::new(origin);
    let converter = Converter {
        pipeline: Arc::clone(pipeline),
        origin: Arc::clone(&origin),
        quota: Arc::clone(&quota),
        key,
        encoding,
    };
    // A compressed body grows, so its work may be long however short it is.
    let bytes = if encoding == Encoding::Identity { body.len() } else { usize::MAX };
    let converted =
        pipeline.compute(bytes, move || converter.convert(body)).await.map_err(Failure::refused)?;
    let (mut batch, idempotency) = converted?;
    let tally = std::mem::take(&mut batch.tally);
    if batch.drafts.is_empty() {
        return Ok((None, tally));
    }
    let receipt = serde_json::to_vec(&tally).map_err(|_| Failure::refused(Refusal::Unavailable))?;
    batch.tally.accepted = tally.accepted;
    batch.tally.rejected = tally.rejected;
    let stored = pipeline
        .append(batch, &origin, &quota, idempotency, Bytes::from(receipt))
        .await
        .map_err(Failure::refused)?;
    if stored.is_duplicate {
        // The first answer again, as it was kept beside the key.
        let first = serde_json::from_slice(&stored.receipt.receipt).unwrap_or(tally);
        return Ok((Some(stored), first));
    }
    Ok((Some(stored), tally))
}

/// Makes a batch of a body, off the async threads.
struct Converter {
    pipeline: Arc<Pipeline>,
    origin: Arc<Origin>,
    quota: Arc<Quota>,
    key: Option<String>,
    encoding: Encoding,
}

impl Converter {
    fn convert(self, body: Bytes) -> Result<(Batch, Option<IdempotencyKey>), Failure> {
        let limits = self.pipeline.limits();
        let body =
            body::decode(body, self.encoding, limits.body_bytes_max).map_err(Failure::of_body)?;
        let idempotency = self.key.map(|key| IdempotencyKey {
            key: hash(&[self.origin.source.as_bytes(), b"\0", key.as_bytes()]),
            body: hash(&[&body]),
        });
        let mut sink = BoundedTaker {
            taker: Taker {
                batch: Batch::default(),
                intake: self.pipeline.intake(&self.origin, &self.quota),
                record_bytes_max: limits.record_bytes_max,
            },
            records_max: limits.batch_records_max as u64,
            is_over: false,
        };
        documents::cut(&body, limits.record_bytes_max, &mut sink);
        if sink.is_over {
            return Err(Failure::too_many_records(limits.batch_records_max));
        }
        Ok((sink.taker.batch, idempotency))
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

/// A [`Taker`] that stops at the bound of a batch.
struct BoundedTaker<'a> {
    taker: Taker<'a>,
    records_max: u64,
    is_over: bool,
}

impl BoundedTaker<'_> {
    /// Whether one more record would be too many.
    fn is_at_bound(&mut self) -> bool {
        self.is_over |= self.taker.batch.record_count() >= self.records_max;
        self.is_over
    }
}

impl documents::Sink for BoundedTaker<'_> {
    fn take(&mut self, line: u64, document: &[u8]) -> Result<(), Malformed> {
        if self.is_at_bound() {
            return Ok(());
        }
        documents::Sink::take(&mut self.taker, line, document)
    }

    fn reject(&mut self, line: u64, bytes: &[u8], code: &'static str, reason: String) {
        if !self.is_at_bound() {
            documents::Sink::reject(&mut self.taker, line, bytes, code, reason);
        }
    }

    fn is_full(&self) -> bool {
        self.is_over
    }
}
