//! What protocols over a byte stream that answer each message share: the message in, with a bound, a
//! pace and room in memory, and its records to the journal.
//!
//! Input: a connection, and how a message of the protocol ends. Output: messages one after another,
//! in their order; [`Sender::store`] comes back once all records of one are durable. Memory per
//! connection is bounded by one message; large ones count against the room of their source.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use logwarden_event::Timestamp;
use logwarden_store::IdempotencyKey;
use metrics::counter;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::stream::{Connection, Reading};
use super::{Protocol, documents};
use crate::batch::{Batch, Intake};
use crate::deadletter::Rejection;
use crate::doubt::Session;
use crate::metrics::DEAD_LETTERS_DROPPED_TOTAL;
use crate::normalize::{Origin, Wrapped};
use crate::quota::{Quota, Room};

/// A message must come at least this fast once its grace is over.
const PACE_BYTES_PER_SEC: u64 = 1_024;
/// Bytes of records in one batch, so that it stays far below the journal's bound with what
/// normalization adds.
const BATCH_BYTES_MAX: u64 = 4 << 20;
/// Records of one message, which are converted together: what is compressed may claim millions.
pub(super) const RECORDS_MAX: usize = 100_000;

/// What reading has led to.
pub(super) enum Received<T> {
    /// A whole message, and the room that was taken for it.
    Message(T, Option<Room>),
    /// The stream has ended. What is left in the buffer is no whole message.
    End,
    /// The connection failed, was too slow, or we stop.
    Gone,
}

/// Who sends over a connection, and how much came so far.
pub(super) struct Sender {
    pub(super) origin: Arc<Origin>,
    quota: Arc<Quota>,
    /// Records so far.
    records: u64,
    /// Of a peer that sends again what it has not heard of.
    session: Option<Session>,
}

/// A message of which a sender may send each record again.
pub(super) trait Message: Send + Sync + 'static {
    /// Its records, in order.
    fn records(&self) -> impl Iterator<Item = &[u8]>;

    /// Takes the records, besides those that are stored already.
    fn cut(&self, is_stored: &[bool], pieces: &mut Pieces<'_>);
}

impl Sender {
    /// Sends as `source`.
    pub(super) fn new(connection: &Connection, source: &str, protocol: &dyn Protocol) -> Self {
        Self {
            origin: Arc::new(connection.origin(source, protocol)),
            quota: connection.pipeline.quotas.of(source),
            records: 0,
            session: None,
        }
    }

    /// Who the listener admits by network or certificate; others are counted and told of.
    pub(super) fn admitted(connection: &Connection, protocol: &dyn Protocol) -> Option<Self> {
        let sender =
            connection.admitted_source().map(|source| Self::new(connection, source, protocol));
        if sender.is_none() {
            connection.deny(protocol.name(), None);
        }
        sender
    }

    /// The same for a peer that sends again what it has not heard of.
    pub(super) fn that_comes_again(
        connection: &Connection,
        protocol: &dyn Protocol,
    ) -> Option<Self> {
        let mut sender = Self::admitted(connection, protocol)?;
        let origin = Origin { comes_again: true, ..Origin::clone(&sender.origin) };
        sender.session = Some(connection.session(&origin));
        sender.origin = Arc::new(origin);
        Some(sender)
    }

    /// The next message that `next` takes out of the buffer, which must refuse to wait for one that is
    /// beyond the bound.
    pub(super) async fn receive<T>(
        &mut self,
        connection: &mut Connection,
        mut next: impl FnMut(&mut BytesMut) -> Option<T>,
    ) -> Received<T> {
        let (mut begun, mut room) = (None, None);
        loop {
            if let Some(message) = next(&mut connection.buffer) {
                return Received::Message(message, room);
            }
            let limits = connection.pipeline.limits().clone();
            let length = connection.buffer.len();
            if length > limits.connection_bytes_max && room.is_none() {
                room = self.room(&connection.shutdown, limits.body_bytes_max).await;
                if room.is_none() {
                    return Received::Gone;
                }
                begun = None;
            }
            let read = connection.read_in(self.session.as_mut());
            let reading = if length == 0 {
                read.await
            } else {
                let earned = std::time::Duration::from_secs(length as u64 / PACE_BYTES_PER_SEC);
                let begun = *begun.get_or_insert_with(Instant::now);
                let deadline = begun + limits.body_grace + earned;
                let read = tokio::time::timeout_at(deadline, read).await;
                read.unwrap_or(Reading::Gone)
            };
            match reading {
                Reading::More => {}
                Reading::End => return Received::End,
                Reading::Gone => return Received::Gone,
            }
        }
    }

    async fn room(&self, shutdown: &CancellationToken, bytes: usize) -> Option<Room> {
        tokio::select! {
            () = shutdown.cancelled() => None,
            room = self.quota.room(bytes) => Some(room),
        }
    }

    /// Makes the records that `cut` finds durable; false when the connection must end. `bytes` is what
    /// they may take of memory, unless `room` was taken for them. With a key the same records sent
    /// again are stored once.
    pub(super) async fn store(
        &mut self,
        connection: &mut Connection,
        (bytes, room): (usize, Option<Room>),
        key: Option<IdempotencyKey>,
        cut: impl FnOnce(&mut Pieces<'_>) + Send + 'static,
    ) -> bool {
        let room = match room {
            Some(room) => Some(room),
            None => self.room(&connection.shutdown, bytes).await,
        };
        if room.is_none() {
            return false;
        }
        let (origin, quota) = (Arc::clone(&self.origin), Arc::clone(&self.quota));
        let (pipeline, line) = (Arc::clone(&connection.pipeline), self.records);
        let computed = connection.pipeline.compute(bytes, move || {
            let mut pieces = Pieces {
                batches: vec![Batch::joining()],
                intake: pipeline.intake(&origin, &quota),
                record_bytes_max: pipeline.limits().record_bytes_max,
                batch_records_max: pipeline.limits().batch_records_max as u64,
                records_left: RECORDS_MAX + 1,
                line,
            };
            cut(&mut pieces);
            for batch in &mut pieces.batches {
                batch.finish(pieces.intake);
            }
            let keys = (0u64..).zip(&pieces.batches).map(|(place, batch)| {
                let key = part_of(key?, place);
                // It stands in the journal, where it must not tell a secret.
                let masked = origin.mask_secrets.then(|| batch.hash_without_secrets());
                Some(IdempotencyKey { body: masked.unwrap_or(key.body), ..key })
            });
            let keys: Vec<_> = keys.collect();
            (pieces.batches, keys, pieces.line)
        });
        let Ok((batches, keys, line)) = computed.await else { return false };
        self.records = line;
        for (batch, key) in batches.into_iter().zip(keys) {
            let (pipeline, shutdown) = (&connection.pipeline, &connection.shutdown);
            if !pipeline.append_patiently(batch, &self.origin, &self.quota, key, shutdown).await {
                return false;
            }
        }
        drop(room);
        true
    }

    /// Makes the records of a message durable that are not, as [`Sender::store`] does.
    pub(super) async fn store_once(
        &mut self,
        connection: &mut Connection,
        (bytes, room): (usize, Option<Room>),
        message: impl Message,
    ) -> bool {
        let Some(names) = self.session.as_ref().map(Session::names) else { return false };
        let message = Arc::new(message);
        let named = Arc::clone(&message);
        let named = connection.pipeline.compute(bytes, move || names.of(named.records())).await;
        let (Ok(ids), Some(session)) = (named, self.session.as_mut()) else { return false };
        let is_stored = tokio::select! {
            () = connection.shutdown.cancelled() => return false,
            is_stored = session.hold(ids) => is_stored,
        };
        let cut = move |pieces: &mut Pieces<'_>| {
            pieces.expect(is_stored.len());
            message.cut(&is_stored, pieces);
        };
        if !self.store(connection, (bytes, room), None, cut).await {
            return false;
        }
        if let Some(session) = &mut self.session {
            session.keep();
        }
        true
    }

    /// Tells the peer that its records are durable; false when the connection must end.
    pub(super) async fn answer(&mut self, connection: &mut Connection, answer: &[u8]) -> bool {
        match &mut self.session {
            Some(session) => connection.answer(session, answer).await.is_ok(),
            None => connection.write(answer).await.is_ok(),
        }
    }

    /// Whether the peer was there when it was answered last.
    pub(super) fn is_heard(&self) -> bool {
        self.session.as_ref().is_none_or(|session| session.is_heard)
    }

    /// The peer will not send again what it was answered.
    pub(super) fn leave(&mut self) {
        if let Some(session) = &mut self.session {
            session.leave();
        }
    }

    /// Keeps what is no message as a dead letter.
    pub(super) async fn reject(
        &mut self,
        connection: &mut Connection,
        bytes: Bytes,
        code: &'static str,
        reason: &'static str,
    ) -> bool {
        let room = (bytes.len(), None);
        self.store(connection, room, None, move |pieces| pieces.reject(&bytes, code, reason.into()))
            .await
    }

    /// The stream has ended: keeps what is left of it, which is no whole message, and ends our side.
    pub(super) async fn end(&mut self, connection: &mut Connection) {
        let rest = connection.buffer.split().freeze();
        if !rest.is_empty() {
            self.reject(connection, rest, "truncated", "the stream ended inside the message").await;
        }
        // The peer may be gone already.
        let _ = connection.stream.shutdown().await;
    }
}

/// The key of one batch of a message.
fn part_of(key: IdempotencyKey, place: u64) -> IdempotencyKey {
    let mut hasher = Sha256::new();
    hasher.update(key.key);
    hasher.update(place.to_be_bytes());
    let mut part = key;
    part.key.copy_from_slice(&hasher.finalize()[..16]);
    part
}

/// The records of a message, in batches the journal takes.
pub(super) struct Pieces<'a> {
    batches: Vec<Batch>,
    intake: Intake<'a>,
    record_bytes_max: usize,
    batch_records_max: u64,
    records_left: usize,
    line: u64,
}

impl Pieces<'_> {
    /// The batch that the next record goes into.
    fn batch(&mut self) -> &mut Batch {
        self.line += 1;
        let is_full = self.batches.last().is_none_or(|batch| {
            batch.record_count() >= self.batch_records_max || batch.bytes >= BATCH_BYTES_MAX
        });
        if is_full {
            self.batches.push(Batch::joining());
        }
        self.batches.last_mut().expect("there is one at least")
    }

    /// Makes room for so many records, as far as they go into one batch.
    fn expect(&mut self, records: usize) {
        let records = records.min(self.batch_records_max as usize);
        self.batches.iter_mut().for_each(|batch| batch.drafts.reserve(records));
    }

    /// Whether a record may be looked into; one that is too long is rejected.
    pub(super) fn is_fit(&mut self, record: &[u8]) -> bool {
        let is_fit = record.len() <= self.record_bytes_max;
        if !is_fit {
            let reason = documents::too_long(record.len(), self.record_bytes_max);
            self.reject(record, "line_too_long", reason);
        }
        is_fit
    }

    /// Passes over a record that is stored already.
    pub(super) fn pass(&mut self) {
        self.line += 1;
    }

    /// Takes a record that is [fit](Self::is_fit) inside its envelope, or rejects it.
    pub(super) fn take(&mut self, wrapped: &Wrapped<'_>) {
        if !self.has_room_for(wrapped.record) {
            return;
        }
        let (intake, line) = (self.intake, self.line + 1);
        if let Err(malformed) = self.batch().add_wrapped(intake, line, wrapped) {
            self.line -= 1;
            self.keep(wrapped.record, malformed.problem.code(), malformed.to_string());
        }
    }

    /// Takes the JSON object that an application wrote and its shipper sent as a text: that text is the
    /// record, and what stands around it the envelope. False when it is no object; nothing was taken
    /// then.
    pub(super) fn take_said(
        &mut self,
        said: &[u8],
        envelope: &str,
        time: Option<Timestamp>,
    ) -> bool {
        let wrapped = Wrapped { must_be_json: true, envelope, time, ..Wrapped::bare(said) };
        let (intake, line) = (self.intake, self.line + 1);
        if self.records_left <= 1 {
            return false;
        }
        let is_taken = self.batch().add_wrapped(intake, line, &wrapped).is_ok();
        if is_taken {
            self.records_left -= 1;
        } else {
            self.line -= 1;
        }
        is_taken
    }

    /// Keeps a record as a dead letter; only its beginning when it is long.
    pub(super) fn reject(&mut self, record: &[u8], code: &'static str, reason: String) {
        if self.has_room_for(record) {
            self.keep(record, code, reason);
        }
    }

    fn keep(&mut self, record: &[u8], code: &'static str, reason: String) {
        let (intake, line, size_bytes) = (self.intake, self.line + 1, record.len());
        self.batch().reject(intake, record, Rejection { line, code, reason, size_bytes });
    }

    /// Whether the message may have one more record; the first beyond the bound says so as a dead
    /// letter, the others are counted.
    fn has_room_for(&mut self, record: &[u8]) -> bool {
        match self.records_left {
            0 => counter!(DEAD_LETTERS_DROPPED_TOTAL).increment(1),
            1 => {
                let reason = format!("a message has at most {RECORDS_MAX} records");
                self.keep(record, "too_many_records", reason);
            }
            _ => {}
        }
        let has_room = self.records_left > 1;
        self.records_left = self.records_left.saturating_sub(1);
        has_room
    }
}
