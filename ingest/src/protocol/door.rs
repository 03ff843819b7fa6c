//! What every protocol over HTTP shares: who sends, how much, the body in, its records to the journal.
//!
//! Input: a request. Output: a batch that is durable, or why nothing of it was stored. The steps are
//! types in their order: [`Admission`] (credential, quota, before the first byte of the body is
//! read), [`Shipment`] (the body, with room in memory taken for it), [`Cut`] (its records,
//! converted), [`Delivery`] (durable). A protocol says how a body is cut into records and how its
//! answers look; bounds, compression and idempotency are the same behind every path.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use chrono_tz::Tz;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Method, StatusCode};
use logwarden_event::{Event, Position, Timestamp};
use logwarden_store::identity::{ClientNames, is_credential_in_url};
use logwarden_store::{IdempotencyKey, Receipt};
use sha2::{Digest as _, Sha256};
use tracing::Instrument as _;

use super::answer::Failure;
use super::body::{self, BodyError, Encoding};
use super::documents;
use super::stream::Taker;
use super::tcp_json::source_if_allowed;
use crate::batch::{Batch, Tally};
use crate::deadletter::Rejection;
use crate::doubt::{self, Answered};
use crate::normalize::scan::Malformed;
use crate::normalize::{Origin, Wrapped};
use crate::pipeline::{Pipeline, Refusal, Stored};
use crate::quota::{Quota, Room};

/// Characters of an idempotency key.
const KEY_CHARS_MAX: usize = 128;
/// Room taken for a body that does not say its length.
const UNKNOWN_LENGTH_BYTES: usize = 1 << 20;
/// A compressed body is expected to grow by this much.
const GROWTH: usize = 16;
/// Records of a batch with the envelope of each may together be so many times as large as a body: one
/// envelope around many records counts for each of them.
const ENVELOPED_GROWTH: usize = 2;
/// Headers of other vendors whose whole value is the token.
const TOKEN_HEADERS: [&str; 2] = ["dd-api-key", "x-amz-firehose-access-key"];

/// A sender that may write, and what the head of its request says about the body.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) origin: Arc<Origin>,
    quota: Arc<Quota>,
    /// Names the batch: sent again with the same key it is stored once.
    pub(super) key: Option<String>,
    /// Over which channel its sender sends a batch again until it has heard the answer.
    channel: Option<String>,
    answered: Answered,
    pub(super) encoding: Encoding,
    length: Option<usize>,
}

impl Admission {
    /// Looks at credential, method and headers, in this order.
    pub(super) fn of(
        pipeline: &Arc<Pipeline>,
        request: &Request,
        protocol: &'static str,
        methods: &[Method],
    ) -> Result<Self, Failure> {
        Self::of_head(pipeline, request, protocol, methods).inspect_err(Failure::count)
    }

    fn of_head(
        pipeline: &Arc<Pipeline>,
        request: &Request,
        protocol: &'static str,
        methods: &[Method],
    ) -> Result<Self, Failure> {
        let source = authenticate(pipeline, request)?;
        if !methods.contains(request.method()) {
            return Err(Failure::method_not_allowed());
        }
        let headers = request.headers();
        let encoding = encoding_of(headers)?;
        let length = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok())
            .and_then(|length| length.parse().ok());
        let key = key_of(headers)?;
        let answered = request.extensions().get::<Answered>().cloned().unwrap_or_default();
        let admission = Self::new(pipeline, source, peer_of(request), protocol, key);
        Ok(Self { answered, encoding, length, ..admission })
    }

    /// Of a call whose sender is known, and of whose message nothing is yet.
    pub(super) fn of_call(
        pipeline: &Arc<Pipeline>,
        source: String,
        peer: IpAddr,
        protocol: &'static str,
        (metadata, answered): (&HeaderMap, Answered),
    ) -> Result<Self, Failure> {
        let key = key_of(metadata).inspect_err(Failure::count)?;
        let admission = Self::new(pipeline, source, Some(peer), protocol, key);
        Ok(Self { answered, ..admission })
    }

    /// The same of a sender that sends a batch again until it has heard that it is stored; `channel`
    /// is how it calls itself, if it does.
    pub(super) fn that_comes_again(self, channel: impl Into<String>) -> Self {
        Self { channel: Some(channel.into()), ..self }
    }

    fn new(
        pipeline: &Arc<Pipeline>,
        source: String,
        peer: Option<IpAddr>,
        protocol: &'static str,
        key: Option<String>,
    ) -> Self {
        let zone = pipeline.config.zone_of(&source);
        let mask_secrets = pipeline.config.masks_secrets_of(&source);
        let quota = pipeline.quotas.of(&source);
        let origin =
            Arc::new(Origin { source, peer, protocol, zone, mask_secrets, comes_again: false });
        let (pipeline, encoding) = (Arc::clone(pipeline), Encoding::Identity);
        let (channel, answered, length) = (None, Answered::default(), None);
        Self { pipeline, origin, quota, key, channel, answered, encoding, length }
    }

    /// The same once the message has said how long it is.
    pub(super) fn expecting(self, length: usize, encoding: Encoding) -> Self {
        Self { encoding, length: Some(length), ..self }
    }

    /// Whether the source may send now.
    pub(super) fn within_quota(&self) -> Result<(), Failure> {
        self.quota
            .check(self.pipeline.now())
            .map_err(|over| Failure::refused(Refusal::Quota(over)))
            .inspect_err(Failure::count)
    }

    /// Takes room in memory and reads the body into it.
    pub(super) async fn read(self, body: Body) -> Result<Shipment, Failure> {
        let limits = self.pipeline.limits();
        let mut came = BytesMut::new();
        if self.length.is_some_and(|length| length > limits.body_bytes_max) {
            return Err(self.refuse(Failure::of_body(BodyError::TooLarge), b"", 0).await);
        }
        let mut room = self.take_room().await?;
        let is_slow = match body::read(body, limits, &self.quota, &mut room, &mut came).await {
            Ok(is_slow) => is_slow,
            Err(error) => {
                let beginning = self.beginning_of(&came);
                return Err(self.refuse(Failure::of_body(error), &beginning, came.len()).await);
            }
        };
        let body = came.freeze();
        if is_slow && self.encoding != Encoding::Identity {
            // It will grow, and its room was given back while it came.
            drop(room);
            return self.part(body).await;
        }
        Ok(Shipment { admission: self, body, room })
    }

    /// Counts a refusal. The beginning of a body that is beyond a bound becomes a dead letter, so that people see
    /// what was refused; `size_bytes` came of it.
    async fn refuse(&self, failure: Failure, beginning: &[u8], size_bytes: usize) -> Failure {
        failure.count();
        if failure.status() != StatusCode::PAYLOAD_TOO_LARGE {
            return failure;
        }
        let (pipeline, origin, quota) = (&self.pipeline, &self.origin, &self.quota);
        let mut batch = Batch::default();
        let rejection = Rejection {
            line: 1,
            code: failure.code(),
            reason: failure.message().to_owned(),
            // Never the whole of it, whatever was announced and did not come.
            size_bytes: size_bytes.max(beginning.len() + 1),
        };
        batch.reject(pipeline.intake(origin, quota), beginning, rejection);
        if !batch.drafts.is_empty() {
            // What finds no room is refused all the same.
            let _ = pipeline.append(batch, origin, quota, None, Bytes::new()).await;
        }
        failure
    }

    /// What is kept of a body that is refused; nothing where secrets are masked, for in what is compressed or cut
    /// nobody can find them.
    fn beginning_of(&self, body: &[u8]) -> Bytes {
        let bytes_max = self.pipeline.limits().dead_letter_bytes_max;
        let kept = if self.origin.mask_secrets { 0 } else { body.len().min(bytes_max) };
        Bytes::copy_from_slice(&body[..kept])
    }

    /// Takes room in memory for a part of the body that was read already.
    pub(super) async fn part(mut self, part: Bytes) -> Result<Shipment, Failure> {
        self.length = Some(part.len());
        let room = self.take_room().await?;
        Ok(Shipment { admission: self, body: part, room })
    }

    /// Room for the body in memory; a short wait is better than an answer that many senders take as
    /// leave to drop the batch.
    async fn take_room(&self) -> Result<Room, Failure> {
        let limits = self.pipeline.limits();
        let length = self.length.unwrap_or(UNKNOWN_LENGTH_BYTES);
        let is_plain = self.encoding == Encoding::Identity;
        let expected = if is_plain { length } else { length.saturating_mul(GROWTH) };
        let room = self.quota.room(expected.min(limits.body_bytes_max));
        let room = tokio::time::timeout(limits.room_wait, room).await;
        room.map_err(|_| Failure::busy()).inspect_err(Failure::count)
    }

    /// What the key of this request stands for, with this body.
    fn idempotency(&self, body: &[u8], is_repeatable: bool) -> Option<IdempotencyKey> {
        if self.key.is_none() && !is_repeatable {
            return None;
        }
        let (source, body) = (self.origin.source.as_bytes(), hash(&[body]));
        let key = match &self.key {
            Some(key) => hash(&[source, b"\0", key.as_bytes()]),
            // No key has a NUL, so this is none that a sender could choose.
            None => hash(&[source, b"\0\0", &body]),
        };
        Some(IdempotencyKey { key, body })
    }
}

/// A request whose body is here, as it came.
pub(super) struct Shipment {
    pub(super) admission: Admission,
    pub(super) body: Bytes,
    room: Room,
}

impl Shipment {
    /// Finds out by its first bytes how a body is compressed whose sender names nothing.
    pub(super) async fn sniff(self) -> Result<Self, Failure> {
        let Self { mut admission, body, room } = self;
        let found = Encoding::of_bytes(&body);
        if admission.encoding != Encoding::Identity || found == Encoding::Identity {
            return Ok(Self { admission, body, room });
        }
        admission.encoding = found;
        admission.length = Some(body.len());
        // It will grow. Given back first: to wait for more with some in hand could be for ever.
        drop(room);
        let room = admission.take_room().await?;
        Ok(Self { admission, body, room })
    }

    /// Takes the body out of its compression and cuts it, off the async threads when that may take
    /// long.
    pub(super) async fn cut<T: Send + 'static>(
        self,
        cutter: impl FnOnce(&Bytes, &mut Records<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Cut<T>, Failure> {
        let Self { admission, body, room } = self;
        let pipeline = Arc::clone(&admission.pipeline);
        // The body itself goes as soon as it is taken out of its compression.
        let (refusing, beginning) = (admission.clone(), admission.beginning_of(&body));
        let size_bytes = body.len();
        // A compressed body grows, so its work may be long however short it is.
        let is_plain = admission.encoding == Encoding::Identity;
        let bytes = if is_plain { body.len() } else { usize::MAX };
        let work = move || {
            let limits = admission.pipeline.limits();
            let body = body::decode(body, admission.encoding, limits.body_bytes_max)
                .map_err(Failure::of_body)?;
            let mut records = Records::new(&admission);
            let found = cutter(&body, &mut records)?;
            records.taker.batch.finish(records.taker.intake);
            if records.is_over || records.taker.batch.record_count() > records.records_max {
                return Err(Failure::too_many_records(limits.batch_records_max));
            }
            if records.bytes_left == 0 {
                return Err(Failure::of_body(BodyError::TooLarge));
            }
            let is_repeatable = records.is_repeatable;
            let mut batch = records.taker.batch;
            // What stands in the journal must not tell a secret to who tries all that it may be: in a binary
            // body nobody can tell where one stands, so its records count.
            let masked = admission.origin.mask_secrets.then(|| batch.hash_without_secrets());
            let body = masked.as_ref().map_or(&body[..], |hash| &hash[..]);
            let idempotency = admission.idempotency(body, is_repeatable);
            let channel = admission.channel.as_ref().filter(|_| idempotency.is_none());
            batch.id = channel.map(|channel| doubt::batch_id(&admission.origin, channel, body));
            Ok(Cut { admission, batch, idempotency, found, _room: room })
        };
        let cut = pipeline.compute(bytes, work).await.map_err(Failure::refused);
        match cut.flatten() {
            Ok(cut) => Ok(cut),
            Err(failure) => Err(refusing.refuse(failure, &beginning, size_bytes).await),
        }
    }
}

/// The records of a request on their way into a batch, up to its bound.
pub(super) struct Records<'a> {
    taker: Taker<'a>,
    records_max: u64,
    /// More than [`Records::records_max`].
    is_over: bool,
    /// What records and envelopes may still take together.
    bytes_left: usize,
    /// Set by the protocol when the same body again means the same records: they have ids of their
    /// own. It is then stored once without a key.
    pub(super) is_repeatable: bool,
}

impl<'a> Records<'a> {
    fn new(admission: &'a Admission) -> Self {
        let limits = admission.pipeline.limits();
        let taker = Taker {
            batch: Batch::default(),
            intake: admission.pipeline.intake(&admission.origin, &admission.quota),
            record_bytes_max: limits.record_bytes_max,
        };
        let records_max = limits.batch_records_max as u64;
        let bytes_left = limits.body_bytes_max.saturating_mul(ENVELOPED_GROWTH);
        Self { taker, records_max, is_over: false, bytes_left, is_repeatable: false }
    }

    /// From here on pieces of one record become one event. What a sender is told of each record by its
    /// place would be wrong then.
    pub(super) fn join(&mut self) {
        self.taker.batch = Batch::joining();
    }

    /// Cuts `body` into JSON documents, one record each.
    pub(super) fn take_documents(&mut self, body: &[u8]) {
        documents::cut(body, self.taker.record_bytes_max, self);
    }

    /// Cuts `body` into JSON documents, one record each, with the same envelope around all.
    pub(super) fn take_documents_within(&mut self, body: &[u8], line: u64, envelope: &str) {
        let record_bytes_max = self.taker.record_bytes_max;
        documents::cut(body, record_bytes_max, &mut Within { records: self, line, envelope });
    }

    /// Takes one record inside its envelope; the reason when it became a dead letter instead.
    pub(super) fn take_wrapped(&mut self, line: u64, wrapped: &Wrapped<'_>) -> Option<String> {
        if self.is_at_bound() || !self.has_room_for(wrapped) {
            return None;
        }
        let (record, record_bytes_max) = (wrapped.record, self.taker.record_bytes_max);
        let (code, reason) = if record.len() > record_bytes_max {
            ("line_too_long", documents::too_long(record.len(), record_bytes_max))
        } else {
            let taker = &mut self.taker;
            let malformed = taker.batch.add_wrapped(taker.intake, line, wrapped).err()?;
            (malformed.problem.code(), malformed.to_string())
        };
        documents::Sink::reject(&mut self.taker, line, record, code, reason.clone());
        Some(reason)
    }

    /// Takes the JSON object that an application wrote and its shipper sent as a text: that text is the
    /// record, and what stands around it the envelope. False when it is no object; nothing was taken
    /// then.
    pub(super) fn take_said(
        &mut self,
        line: u64,
        said: &[u8],
        envelope: &str,
        time: Option<Timestamp>,
    ) -> bool {
        if said.len() > self.taker.record_bytes_max {
            return false;
        }
        let wrapped = Wrapped { must_be_json: true, envelope, time, ..Wrapped::bare(said) };
        if self.is_at_bound() || !self.has_room_for(&wrapped) {
            return true;
        }
        self.taker.batch.add_wrapped(self.taker.intake, line, &wrapped).is_ok()
    }

    /// Rejects a record that is too long to be looked into; false when it is not.
    pub(super) fn reject_too_long(&mut self, line: u64, record: &[u8]) -> bool {
        let record_bytes_max = self.taker.record_bytes_max;
        let is_too_long = record.len() > record_bytes_max;
        if is_too_long {
            let reason = documents::too_long(record.len(), record_bytes_max);
            documents::Sink::reject(self, line, record, "line_too_long", reason);
        }
        is_too_long
    }

    /// Bytes of one record.
    pub(super) const fn record_bytes_max(&self) -> usize {
        self.taker.record_bytes_max
    }

    /// The zone of times that name none.
    pub(super) fn zone(&self) -> Tz {
        self.taker.intake.origin.zone
    }

    /// When the records came.
    pub(super) fn now(&self) -> Timestamp {
        self.taker.intake.now
    }

    /// Events and dead letters so far: the place of the next one.
    pub(super) fn drafts(&self) -> u64 {
        self.taker.batch.drafts.len() as u64
    }

    /// The event that was taken last.
    pub(super) fn last_event(&self) -> Option<&Event> {
        self.taker.batch.drafts.last().map(|draft| &draft.event)
    }

    /// Takes the room for a record and its envelope; false when there is none left.
    fn has_room_for(&mut self, wrapped: &Wrapped<'_>) -> bool {
        let bytes = wrapped.record.len() + wrapped.envelope.len();
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        self.bytes_left > 0
    }

    /// Whether one more record would be too many.
    fn is_at_bound(&mut self) -> bool {
        self.is_over |= self.taker.batch.record_count() >= self.records_max;
        self.is_over
    }
}

impl documents::Sink for Records<'_> {
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
        self.is_over || self.bytes_left == 0
    }
}

/// Documents that stand in one envelope and count as one line.
struct Within<'r, 'a, 'e> {
    records: &'r mut Records<'a>,
    line: u64,
    envelope: &'e str,
}

impl documents::Sink for Within<'_, '_, '_> {
    fn take(&mut self, _line: u64, document: &[u8]) -> Result<(), Malformed> {
        let envelope = self.envelope;
        let wrapped = Wrapped { must_be_json: true, envelope, ..Wrapped::bare(document) };
        if self.records.is_at_bound() || !self.records.has_room_for(&wrapped) {
            return Ok(());
        }
        let taker = &mut self.records.taker;
        taker.batch.add_wrapped(taker.intake, self.line, &wrapped)
    }

    fn reject(&mut self, _line: u64, bytes: &[u8], code: &'static str, reason: String) {
        documents::Sink::reject(self.records, self.line, bytes, code, reason);
    }

    fn is_full(&self) -> bool {
        documents::Sink::is_full(self.records)
    }
}

/// A body cut into records that are not durable yet.
pub(super) struct Cut<T> {
    pub(super) admission: Admission,
    batch: Batch,
    idempotency: Option<IdempotencyKey>,
    /// What the protocol found beside the records.
    pub(super) found: T,
    _room: Room,
}

/// What became of the records of a request.
pub(super) struct Delivery {
    /// Where they are; nothing when there were none.
    pub(super) stored: Option<Stored>,
    pub(super) tally: Tally,
}

impl<T> Cut<T> {
    /// Takes records out that are stored already, by their places in the batch, in order.
    pub(super) fn leave_out(&mut self, places: &[u64]) {
        self.batch.leave_out(places);
    }

    /// Makes the records durable; without one there is nothing to store.
    pub(super) async fn store(&mut self) -> Result<Delivery, Failure> {
        let mut batch = std::mem::take(&mut self.batch);
        let tally = std::mem::take(&mut batch.tally);
        if batch.drafts.is_empty() {
            return Ok(Delivery { stored: None, tally });
        }
        let receipt =
            serde_json::to_vec(&tally).map_err(|_| Failure::refused(Refusal::Unavailable))?;
        batch.tally.accepted = tally.accepted;
        batch.tally.rejected = tally.rejected;
        let Admission { pipeline, origin, quota, answered, .. } = &self.admission;
        let mut exchange = None;
        if let Some(batch_id) = batch.id {
            let found = pipeline.doubts.exchange(origin.protocol, batch_id).await;
            if let Some(last) = found.stored() {
                answered.awaits(found);
                return Ok(Delivery { stored: Some(again(last, batch.drafts.len())), tally });
            }
            exchange = Some(found);
        }
        let stored = pipeline
            .append(batch, origin, quota, self.idempotency.take(), Bytes::from(receipt))
            .await
            .map_err(Failure::refused)?;
        if let Some(mut exchange) = exchange {
            exchange.keep(stored.receipt.first.seq + stored.receipt.records - 1);
            answered.awaits(exchange);
        }
        if stored.is_duplicate {
            // The first answer again, as it was kept beside the key.
            let first = serde_json::from_slice(&stored.receipt.receipt).unwrap_or(tally);
            return Ok(Delivery { stored: Some(stored), tally: first });
        }
        Ok(Delivery { stored: Some(stored), tally })
    }
}

/// Where the records are of a batch that is stored already, up to `last`.
fn again(last: u64, records: usize) -> Stored {
    let records = records as u64;
    let first = Position { lane: 0, seq: (last + 1).saturating_sub(records) };
    Stored { receipt: Receipt { first, records, receipt: Bytes::new() }, is_duplicate: true }
}

/// Serves a request to its end, whatever its sender does meanwhile: one that goes as soon as it has
/// sent everything, as graypy does, has sent it nevertheless. The answer counts as heard when its
/// sender is still there.
pub(super) async fn see_through(mut request: Request, next: Next) -> Response {
    let answered = Answered::default();
    request.extensions_mut().insert(answered.clone());
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => {
            answered.is_given();
            response
        }
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends.
            Err(_) => Failure::refused(Refusal::Unavailable).into_response(),
        },
    }
}

/// The source of what the request sends, by its token, its certificate or its network.
pub(super) fn authenticate(pipeline: &Pipeline, request: &Request) -> Result<String, Failure> {
    if is_credential_in_url(request.uri().query()) {
        return Err(Failure::credential_in_url());
    }
    if let Some(source) = source_by_token(pipeline, request.headers())? {
        return Ok(source);
    }
    if let Some(names) = request.extensions().get::<ClientNames>()
        && let Some(principal) = pipeline.identity.authenticate_certificate(names)
    {
        return source_if_allowed(&principal).ok_or_else(Failure::forbidden);
    }
    let http = &pipeline.config.http;
    let is_allowed = peer_of(request)
        .is_some_and(|peer| http.allow.iter().any(|network| network.contains(&peer)));
    match (&http.source, is_allowed) {
        (Some(source), true) => Ok(source.clone()),
        _ => Err(Failure::unauthorized()),
    }
}

/// The source of a token; nothing when no credential is there, good or bad.
pub(super) fn source_by_token(
    pipeline: &Pipeline,
    headers: &HeaderMap,
) -> Result<Option<String>, Failure> {
    if !brings_credential(headers) {
        return Ok(None);
    }
    let token = token_of(headers).ok_or_else(Failure::unauthorized)?;
    let principal =
        pipeline.identity.authenticate_token(&token).ok_or_else(Failure::unauthorized)?;
    source_if_allowed(&principal).map(Some).ok_or_else(Failure::forbidden)
}

/// Whether there is any credential, good or bad.
pub(super) fn brings_credential(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION)
        || TOKEN_HEADERS.iter().any(|name| headers.contains_key(*name))
}

/// The token in whatever spelling the sender's protocol has for it.
pub(super) fn token_of(headers: &HeaderMap) -> Option<String> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        let value = TOKEN_HEADERS.iter().find_map(|name| headers.get(*name))?;
        return value.to_str().ok().map(|value| value.trim().to_owned());
    };
    let (scheme, value) = header.to_str().ok()?.split_once(' ')?;
    let value = value.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "splunk" => Some(value.to_owned()),
        "basic" => secret_of_pair(value),
        // Elasticsearch clients given an id and a key send both as one; given one text they send it.
        "apikey" => secret_of_pair(value).or_else(|| Some(value.to_owned())),
        _ => None,
    }
}

/// What follows the colon in Base64 of `name:secret`.
fn secret_of_pair(value: &str) -> Option<String> {
    let decoded = STANDARD.decode(value).ok()?;
    let (_, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(secret.to_owned())
}

fn peer_of(request: &Request) -> Option<IpAddr> {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    Some(info.0.ip().to_canonical())
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
