//! Datagrams: syslog (RFC 5426: each is one message), lines of JSON objects, of which one datagram may
//! hold several, and GELF, told apart by their first bytes.
//!
//! Input: a bound UDP socket. Output: events; the lines of a stack trace that one address sends as
//! messages of one program become one. Nobody waits for an answer, so what was received waits
//! for the journal in a bounded queue; what finds no room in it, and all else that is lost here, is
//! dropped and counted by reason. Datagrams get lost on their way and their sender can be forged: their
//! events are marked, and the address identifies nobody.

use std::collections::{HashMap, VecDeque};
use std::future;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use metrics::counter;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::body::{self, BodyError, Encoding};
use super::documents::{self, Sink as _};
use super::gelf::chunks::{self, Reassembly};
use super::stream::{Content, Taker};
use crate::batch::Batch;
use crate::config::{ListenerConfig, ListenerKind};
use crate::join::{self, Waiting};
use crate::metrics::DATAGRAMS_DROPPED_TOTAL;
use crate::normalize::{GELF_UDP, Origin, SYSLOG_UDP};
use crate::pipeline::Pipeline;
use crate::quota::Quota;

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Bytes of records in one batch.
const BATCH_BYTES_MAX: u64 = 4 << 20;
/// Peers of which messages wait; those of others do not.
const HELD_PEERS_MAX: usize = 256;
/// A datagram has one record.
const LINE: u64 = 1;

/// What was received, and by whom it was sent.
type Record = (Bytes, IpAddr);
/// Takes one of them into a batch.
type Take = fn(&mut Taker<'_>, Bytes);

/// A datagram and its place in the queue, given back when it is dropped.
struct Datagram {
    bytes: Bytes,
    peer: IpAddr,
    _place: OwnedSemaphorePermit,
}

/// Takes datagrams until `shutdown`, then stores what was received.
pub(crate) async fn serve(
    socket: UdpSocket,
    listener: Arc<ListenerConfig>,
    pipeline: Arc<Pipeline>,
    shutdown: CancellationToken,
) {
    let Some(source) = listener.source.clone() else { return };
    let (queue, queued) = mpsc::channel(pipeline.limits().datagrams_max);
    let places = Arc::new(Semaphore::new(pipeline.limits().datagram_bytes_max));
    let store = Store::new(&listener, source, pipeline, &shutdown);
    tokio::join!(receive(socket, &listener, queue, &places, &shutdown), store.run(queued));
}

/// Takes these datagrams of one peer, without a socket.
#[cfg(feature = "fuzzing")]
pub(crate) async fn take(
    listener: &ListenerConfig,
    pipeline: &Arc<Pipeline>,
    peer: IpAddr,
    all: Vec<Bytes>,
) {
    let source = listener.source.clone().unwrap_or_default();
    let store = Store::new(listener, source, Arc::clone(pipeline), &CancellationToken::new());
    let places = Arc::new(Semaphore::new(all.len()));
    let (queue, queued) = mpsc::channel(all.len().max(1));
    for bytes in all {
        let place = Arc::clone(&places).try_acquire_owned();
        let Ok(_place) = place else { break };
        if queue.try_send(Datagram { bytes, peer, _place }).is_err() {
            break;
        }
    }
    drop(queue);
    store.run(queued).await;
}

/// Puts datagrams of admitted networks into the queue.
async fn receive(
    socket: UdpSocket,
    listener: &ListenerConfig,
    queue: Sender<Datagram>,
    places: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) {
    let mut buffer = BytesMut::zeroed(DATAGRAM_BYTES_MAX);
    loop {
        let received = tokio::select! {
            () = shutdown.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        let (length, peer) = match received {
            Ok(received) => received,
            Err(error) => {
                warn!(error = %error, "datagram cannot be received: {error}");
                continue;
            }
        };
        let ip = peer.ip().to_canonical();
        if !listener.allow.iter().any(|network| network.contains(&ip)) {
            dropped("not_allowed", 1);
            continue;
        }
        let units = u32::try_from(length).unwrap_or(u32::MAX);
        let place = Arc::clone(places).try_acquire_many_owned(units);
        let bytes = Bytes::copy_from_slice(&buffer[..length]);
        let is_queued =
            place.is_ok_and(|_place| queue.try_send(Datagram { bytes, peer: ip, _place }).is_ok());
        if !is_queued {
            dropped("queue_full", 1);
        }
    }
}

/// Makes what is in the queue durable.
struct Store {
    kind: ListenerKind,
    source: String,
    quota: Arc<Quota>,
    pipeline: Arc<Pipeline>,
    reassembly: Reassembly,
    held: Held,
    shutdown: CancellationToken,
}

/// Messages of one peer, in order.
type Messages = (IpAddr, Vec<Bytes>);

/// Messages that may go on with the next of their peer: the lines of a stack trace come one by one.
#[derive(Default)]
struct Held {
    peers: HashMap<IpAddr, (Vec<Bytes>, Waiting)>,
}

/// Records of one batch, by what they are.
#[derive(Default)]
struct Records {
    syslog: Vec<Record>,
    gelf: Vec<Record>,
}

impl Store {
    fn new(
        listener: &ListenerConfig,
        source: String,
        pipeline: Arc<Pipeline>,
        shutdown: &CancellationToken,
    ) -> Self {
        Self {
            kind: listener.kind,
            quota: pipeline.quotas.of(&source),
            source,
            pipeline,
            reassembly: Reassembly::default(),
            held: Held::default(),
            shutdown: shutdown.clone(),
        }
    }

    async fn run(mut self, mut queued: Receiver<Datagram>) {
        let mut datagrams = Vec::new();
        loop {
            let now = Instant::now();
            let expiry = [self.reassembly.expiry(), self.held.end(now)].into_iter().flatten().min();
            let expired = async {
                match expiry {
                    Some(at) => sleep_until(at).await,
                    None => future::pending().await,
                }
            };
            let records_max = self.pipeline.limits().connection_records_max;
            let received = tokio::select! {
                received = queued.recv_many(&mut datagrams, records_max) => received,
                () = expired => {
                    self.reassembly.expire(Instant::now());
                    self.count_chunks();
                    let ended = self.held.take_ended(now, Instant::now());
                    self.store(ended, SYSLOG_UDP, take_message).await;
                    continue;
                }
            };
            if received == 0 {
                let all = self.held.take_all();
                return self.store(all, SYSLOG_UDP, take_message).await;
            }
            let records = self.sort(&datagrams);
            if self.quota.check(self.pipeline.now()).is_err() {
                dropped("quota_exceeded", (records.syslog.len() + records.gelf.len()) as u64);
            } else {
                let whole = self.held.take_whole(records.syslog, records_max);
                self.store(whole, SYSLOG_UDP, take_message).await;
                self.store(by_peer(records.gelf), GELF_UDP, take_object).await;
            }
            // Only now others have their places.
            datagrams.clear();
        }
    }

    /// Tells syslog from GELF, of which chunks are put together.
    fn sort(&mut self, datagrams: &[Datagram]) -> Records {
        let mut records = Records::default();
        let now = Instant::now();
        for Datagram { bytes, peer, .. } in datagrams {
            if !self.is_gelf(bytes) {
                records.syslog.push((bytes.clone(), *peer));
            } else if !chunks::is_chunk(bytes) {
                records.gelf.push((bytes.clone(), *peer));
            } else if let Some(whole) = self.reassembly.put(*peer, bytes, now) {
                records.gelf.push((whole, *peer));
            }
        }
        self.count_chunks();
        records
    }

    fn is_gelf(&self, datagram: &[u8]) -> bool {
        match self.kind {
            ListenerKind::Gelf => true,
            ListenerKind::Auto => {
                chunks::is_chunk(datagram)
                    || Encoding::of_bytes(datagram) != Encoding::Identity
                    || (datagram.starts_with(b"{")
                        && memchr::memmem::find(datagram, b"\"short_message\"").is_some())
            }
            _ => false,
        }
    }

    fn count_chunks(&mut self) {
        for (reason, count) in self.reassembly.dropped.drain(..) {
            dropped(reason, count);
        }
    }

    /// Makes the records durable, batch by batch: compressed ones grow.
    async fn store(&self, messages: Vec<Messages>, protocol: &'static str, take: Take) {
        let origin = Origin {
            source: self.source.clone(),
            peer: None,
            protocol,
            zone: self.pipeline.config.zone_of(&self.source),
            mask_secrets: self.pipeline.config.masks_secrets_of(&self.source),
            comes_again: false,
        };
        let mut left = VecDeque::from(messages);
        while !left.is_empty() {
            let is_compressible = protocol == GELF_UDP;
            let bytes = left.iter().flat_map(|(_, all)| all).map(Bytes::len).sum();
            let bytes = if is_compressible { usize::MAX } else { bytes };
            let (pipeline, quota) = (Arc::clone(&self.pipeline), Arc::clone(&self.quota));
            let of_peer = origin.clone();
            let convert = move || convert(&pipeline, &quota, of_peer, left, take);
            let Ok((batch, rest)) = self.pipeline.compute(bytes, convert).await else { return };
            left = rest;
            let (count, shutdown) = (batch.record_count(), &self.shutdown);
            let appended =
                self.pipeline.append_patiently(batch, &origin, &self.quota, None, shutdown);
            if !appended.await {
                dropped("not_stored", count);
            }
        }
    }
}

impl Held {
    /// When the next of them has waited long enough.
    fn end(&self, now: Instant) -> Option<Instant> {
        self.peers.values().filter_map(|(_, waiting)| waiting.end(now)).min()
    }

    /// Takes those that have waited since `before` and need not any more.
    fn take_ended(&mut self, before: Instant, now: Instant) -> Vec<Messages> {
        let has_ended = |waiting: &Waiting| waiting.end(before).is_some_and(|end| end <= now);
        let ended = self.peers.extract_if(|_, (_, waiting)| has_ended(waiting));
        ended.map(|(peer, (messages, _))| (peer, messages)).collect()
    }

    fn take_all(&mut self) -> Vec<Messages> {
        self.peers.drain().map(|(peer, (messages, _))| (peer, messages)).collect()
    }

    /// Takes what was held of these peers with what came now, but for what may go on.
    fn take_whole(&mut self, records: Vec<Record>, records_max: usize) -> Vec<Messages> {
        let mut whole = Vec::new();
        for (peer, came) in by_peer(records) {
            let (mut messages, mut waiting) = self.peers.remove(&peer).unwrap_or_default();
            messages.extend(came);
            let count = messages.len();
            let has_room = self.peers.len() < HELD_PEERS_MAX && count < records_max;
            let open = if has_room {
                join::open_records(messages.iter().map(|message| text_of(message)))
            } else {
                0
            };
            let open = waiting.allow(open, count, Instant::now());
            let rest = messages.split_off(count - open);
            if !rest.is_empty() {
                self.peers.insert(peer, (rest, waiting));
            }
            if !messages.is_empty() {
                whole.push((peer, messages));
            }
        }
        whole
    }
}

/// The records of each peer, in order.
fn by_peer(records: Vec<Record>) -> Vec<Messages> {
    let (mut found, mut places): (Vec<Messages>, HashMap<_, usize>) = Default::default();
    for (record, peer) in records {
        let place = *places.entry(peer).or_insert_with(|| {
            found.push((peer, Vec::new()));
            found.len() - 1
        });
        found[place].1.push(record);
    }
    found
}

/// Makes a batch of the first records; gives the others back. What belongs together of one peer is
/// joined.
fn convert(
    pipeline: &Pipeline,
    quota: &Quota,
    mut origin: Origin,
    mut messages: VecDeque<Messages>,
    take: Take,
) -> (Batch, VecDeque<Messages>) {
    let mut batch = if origin.protocol == SYSLOG_UDP { Batch::joining() } else { Batch::default() };
    while batch.bytes < BATCH_BYTES_MAX
        && let Some((peer, records)) = messages.pop_front()
    {
        origin.peer = Some(peer);
        let mut records = records.into_iter();
        while batch.bytes < BATCH_BYTES_MAX
            && let Some(record) = records.next()
        {
            let intake = pipeline.intake(&origin, quota);
            let record_bytes_max = pipeline.limits().record_bytes_max;
            let mut taker = Taker { batch, intake, record_bytes_max };
            take(&mut taker, record);
            batch = taker.batch;
        }
        batch.finish(pipeline.intake(&origin, quota));
        if records.len() > 0 {
            messages.push_front((peer, records.collect()));
        }
    }
    (batch, messages)
}

/// A message without what some senders put behind it.
fn text_of(datagram: &[u8]) -> &[u8] {
    let message = datagram.trim_ascii_end();
    message.strip_suffix(b"\0").unwrap_or(message)
}

fn take_message(taker: &mut Taker<'_>, datagram: Bytes) {
    let message = text_of(&datagram);
    if is_objects(message) {
        for object in message.split(|byte| *byte == b'\n') {
            taker.take_record(Content::Any, LINE, object.trim_ascii());
        }
        return;
    }
    taker.take_record(Content::Any, LINE, message);
}

/// Whether each of several lines looks like a JSON object, as pino's sockets send what they have.
fn is_objects(message: &[u8]) -> bool {
    let is_object = |line: &[u8]| {
        let line = line.trim_ascii();
        line.starts_with(b"{") && line.ends_with(b"}")
    };
    message.starts_with(b"{")
        && message.contains(&b'\n')
        && message.split(|byte| *byte == b'\n').all(is_object)
}

fn take_object(taker: &mut Taker<'_>, datagram: Bytes) {
    let bytes_max = taker.record_bytes_max;
    let encoding = Encoding::of_bytes(&datagram);
    let (code, reason) = match body::decode(datagram.clone(), encoding, bytes_max) {
        Ok(object) if object.len() <= bytes_max => {
            let object = object.trim_ascii_end();
            let object = object.strip_suffix(b"\0").unwrap_or(object);
            return taker.take_record(Content::Gelf, LINE, object);
        }
        Ok(object) => ("line_too_long", documents::too_long(object.len(), bytes_max)),
        Err(BodyError::TooLarge | BodyError::Ratio) => {
            ("line_too_long", format!("the record grows beyond {bytes_max} bytes"))
        }
        Err(_) => {
            ("bad_encoding", "the record is not compressed as its first bytes say".to_owned())
        }
    };
    taker.reject(LINE, &datagram, code, reason);
}

fn dropped(reason: &'static str, count: u64) {
    counter!(DATAGRAMS_DROPPED_TOTAL, "reason" => reason).increment(count);
}
