//! Fluent forward, version 1: Message, Forward, PackedForward and CompressedPackedForward modes.
//!
//! Input: MessagePack arrays `[tag, …]` one after another. Output: events, and `{"ack": chunk}` once
//! all of a message that asks for it is durable; the same chunk sent again within a day is stored
//! once. The record is the JSON object that the entry holds as its text (`log`, `message`), with the
//! other members beside it; else the entry's map as it was sent, in MessagePack, which is read as JSON.
//! The entry's time counts, its tag and metadata become `fluent.tag` and `fluent.metadata`.
//!
//! A listener of kind `forward` with a `shared_key` speaks first and takes nothing without the
//! handshake; elsewhere the peer is admitted by its network or certificate.

use async_trait::async_trait;
use bytes::{Buf as _, Bytes, BytesMut};
use logwarden_event::Timestamp;
use logwarden_store::IdempotencyKey;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use tracing::{debug, warn};

use super::Protocol;
use super::body::{self, BodyError, Encoding};
use super::members::Object;
use super::msgpack::{self, Broken, Head, Skim, Unfit};
use super::sender::{Pieces, Received, Sender};
use super::stream::Connection;
use super::unfold::TEXTS;
use crate::config::{Limits, ListenerConfig, ListenerKind};
use crate::join;
use crate::normalize::{Origin, Wrapped, time};
use crate::quota::Room;

/// The longest answer to our greeting.
const PING_BYTES_MAX: usize = 4_096;
const NONCE_BYTES: usize = 16;
/// A longer tag is cut.
const TAG_BYTES_MAX: usize = 1_024;
/// A longer chunk is not answered: it would be an answer larger than our patience.
const CHUNK_BYTES_MAX: usize = 1_024;
/// Messages that are pieces of one line.
const PIECES_MAX: usize = 256;
/// How we call ourselves in the handshake.
const HOSTNAME: &str = "logwarden";
/// The type of the extension that holds seconds and nanoseconds.
const EVENT_TIME: i8 = 0;

/// Fluent forward.
pub(super) struct Forward;

#[async_trait]
impl Protocol for Forward {
    fn name(&self) -> &'static str {
        "forward"
    }

    fn recognises(&self, kind: ListenerKind, first: &[u8]) -> bool {
        match kind {
            ListenerKind::Auto => {
                let tag = match first {
                    [0x92..=0x94, tag @ ..] | [0xDC, _, _, tag @ ..] => tag.first(),
                    [0xDC, ..] => None,
                    _ => return false,
                };
                tag.is_none_or(|tag| matches!(tag, 0xA0..=0xBF | 0xC4 | 0xD9..=0xDB))
            }
            ListenerKind::Forward => true,
            _ => false,
        }
    }

    fn speaks_first(&self, listener: &ListenerConfig) -> bool {
        listener.kind == ListenerKind::Forward && listener.shared_key.is_some()
    }

    async fn serve(&self, mut connection: Connection) {
        let sender = if self.speaks_first(&connection.listener) {
            let timeout = connection.pipeline.limits().first_bytes_timeout;
            let handshake = tokio::time::timeout(timeout, shake_hands(&mut connection));
            handshake.await.ok().flatten()
        } else {
            Sender::admitted(&connection, self)
        };
        if let Some(sender) = sender {
            take_messages(&mut connection, sender).await;
        }
    }
}

/// Takes messages until the end of the stream.
async fn take_messages(connection: &mut Connection, mut sender: Sender) {
    let limits = connection.pipeline.limits().clone();
    loop {
        let mut skim = Skim::new();
        let received = sender.receive(connection, |buffer| take(&mut skim, buffer, &limits));
        let (found, mut room) = match received.await {
            Received::Message(found, room) => (found, room),
            Received::End => return sender.end(connection).await,
            Received::Gone => return,
        };
        let mut found = found.into_iter().peekable();
        while let Some(first) = found.next() {
            let mut together = vec![first];
            while together[0].is_small()
                && let Some(next) = found.next_if(Found::is_small)
            {
                together.push(next);
            }
            if found.peek().is_none()
                && let Some(Found::Message(last)) = together.last()
                && last.is_piece()
            {
                let bytes = last.body.len();
                together.extend(receive_rest(connection, &mut sender, bytes).await);
            }
            if !store(connection, &mut sender, together, room.take()).await {
                return;
            }
        }
    }
}

/// Makes what was found durable, as one; false when the connection must end.
async fn store(
    connection: &mut Connection,
    sender: &mut Sender,
    together: Vec<Found>,
    room: Option<Room>,
) -> bool {
    let bytes_max = connection.pipeline.limits().body_bytes_max;
    let bytes = together.iter().map(|one| one.bytes(bytes_max)).sum();
    let is_broken = matches!(together.last(), Some(Found::Broken(_)));
    let (mut chunk, mut key) = (None, None);
    if let [Found::Message(message)] = &together[..]
        && let Some(asked) = &message.chunk
    {
        (chunk, key) = (Some(asked.clone()), Some(message.key(&sender.origin, asked)));
    }
    let cut = move |records: &mut Pieces<'_>| {
        together.iter().for_each(|one| one.cut(bytes_max, records));
    };
    if !sender.store(connection, (bytes, room), key, cut).await || is_broken {
        return false;
    }
    let Some(chunk) = chunk else { return true };
    connection.write(&[&b"\x81\xa3ack"[..], &chunk].concat()).await.is_ok()
}

/// The pieces that follow one of a line, as messages of their own; those that do not come soon are not
/// waited for. Each is a record of at most a few bytes more than its line.
async fn receive_rest(
    connection: &mut Connection,
    sender: &mut Sender,
    first: usize,
) -> Vec<Found> {
    let bytes_max = connection.pipeline.limits().connection_bytes_max;
    let (mut found, mut bytes, mut is_open) = (Vec::new(), first, true);
    while is_open && bytes < bytes_max && found.len() < PIECES_MAX {
        let mut skim = Skim::new();
        let piece = |buffer: &mut BytesMut| {
            let end = skim.end(buffer, bytes_max).ok()??;
            let message = Message::parse(&Bytes::copy_from_slice(&buffer[..end])).ok()?;
            // Anything else stays for its turn.
            if message.form != Form::One || message.chunk.is_some() {
                return Some(None);
            }
            buffer.advance(end);
            Some(Some(message))
        };
        match tokio::time::timeout(join::WAIT, sender.receive(connection, piece)).await {
            Ok(Received::Message(Some(message), _)) => {
                (is_open, bytes) = (message.is_piece(), bytes + message.body.len());
                found.push(Found::Message(message));
            }
            _ => break,
        }
    }
    found
}

/// What a stream holds.
enum Found {
    Message(Message),
    /// An array of as many values as a message has that is none, and why.
    Bad(Bytes, &'static str),
    /// Anything else, behind which nothing can be read.
    Broken(Bytes),
}

impl Found {
    /// Whether it is at most one record and nobody asks for an answer, so that it may be stored together
    /// with its neighbours.
    fn is_small(&self) -> bool {
        match self {
            Self::Message(message) => message.form == Form::One && message.chunk.is_none(),
            Self::Bad(..) => true,
            Self::Broken(_) => false,
        }
    }

    /// What it may take of memory: what is compressed becomes as large as any message.
    fn bytes(&self, bytes_max: usize) -> usize {
        match self {
            Self::Message(message) if message.encoding.is_some() => bytes_max,
            Self::Message(message) => message.body.len(),
            Self::Bad(bytes, _) | Self::Broken(bytes) => bytes.len(),
        }
    }

    fn cut(&self, bytes_max: usize, pieces: &mut Pieces<'_>) {
        match self {
            Self::Message(message) => message.cut(bytes_max, pieces),
            Self::Bad(bytes, reason) => pieces.reject(bytes, "bad_message", (*reason).to_owned()),
            Self::Broken(bytes) => {
                let reason = "expected messages in MessagePack of at most 16 MiB";
                pieces.reject(bytes, "bad_framing", reason.to_owned());
            }
        }
    }
}

/// Whole messages of what was read, as many as a connection may have in hand. Nearly every byte is a
/// value in MessagePack: the first that can be no message ends them all.
fn take(skim: &mut Skim, buffer: &mut BytesMut, limits: &Limits) -> Option<Vec<Found>> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    while found.len() < limits.connection_records_max && bytes < limits.connection_bytes_max {
        let value = match skim.end(buffer, limits.body_bytes_max) {
            Ok(None) => break,
            Ok(Some(end)) => msgpack::head(&buffer[..end]).ok().flatten().zip(Some(end)),
            Err(Broken) => None,
        };
        *skim = Skim::new();
        match value {
            Some(((Head::Array(2..=4), _), end)) => {
                bytes += end;
                let message = buffer.split_to(end).freeze();
                found.push(match Message::parse(&message) {
                    Ok(message) => Found::Message(message),
                    Err(reason) => Found::Bad(message, reason),
                });
            }
            // A sign of life.
            Some(((Head::Nil, _), end)) => buffer.advance(end),
            _ => found.push(Found::Broken(buffer.split().freeze())),
        }
    }
    (!found.is_empty()).then_some(found)
}

/// The next value; what is left when it is none.
fn next(skim: &mut Skim, buffer: &mut BytesMut, bytes_max: usize) -> Option<Result<Bytes, Bytes>> {
    match skim.end(buffer, bytes_max) {
        Ok(None) => None,
        Ok(Some(end)) => Some(Ok(buffer.split_to(end).freeze())),
        Err(Broken) => Some(Err(buffer.split().freeze())),
    }
}

/// One message.
struct Message {
    tag: String,
    /// One entry, or a value that holds entries.
    body: Bytes,
    form: Form,
    encoding: Option<String>,
    /// What is to be repeated once all is durable, as MessagePack.
    chunk: Option<Bytes>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The body is a time and a map.
    One,
    /// The body is an array of entries.
    Array,
    /// The body is text of which the entries follow one another.
    Packed,
}

impl Message {
    fn parse(message: &Bytes) -> Result<Self, &'static str> {
        let no_message = "expected `[tag, entries or time, …]`";
        let mut items = match msgpack::head(message) {
            Ok(Some((Head::Array(2..=4), _))) => msgpack::children(message).ok_or(no_message)?,
            _ => return Err(no_message),
        };
        let mut item = || items.next().and_then(Result::ok);
        let (tag, second) = (item().ok_or(no_message)?, item().ok_or(no_message)?);
        let tag = msgpack::text(tag).ok_or("expected a tag that is text")?;
        let (form, body) = match msgpack::head(second) {
            Ok(Some((Head::Array(_), _))) => (Form::Array, message.slice_ref(second)),
            Ok(Some((Head::Text(_), start))) => (Form::Packed, message.slice_ref(&second[start..])),
            _ => {
                let record = item().ok_or("expected a record after the time")?;
                // They follow one another.
                let start = second.as_ptr().addr() - message.as_ptr().addr();
                (Form::One, message.slice(start..start + second.len() + record.len()))
            }
        };
        let mut parsed = Self {
            tag: String::from_utf8_lossy(&tag[..tag.len().min(TAG_BYTES_MAX)]).into_owned(),
            body,
            form,
            encoding: None,
            chunk: None,
        };
        if let Some(options) = item().and_then(msgpack::children) {
            parsed.take_options(options, message);
        }
        Ok(parsed)
    }

    /// Whether it is a piece of a line of which more comes, as Docker's driver sends it.
    fn is_piece(&self) -> bool {
        let has = |words: &[u8]| memchr::memmem::find(&self.body, words).is_some();
        self.form == Form::One
            && self.chunk.is_none()
            && has(b"partial_message")
            && (has(b"partial_last\xA5false") || !has(b"partial_last"))
    }

    fn take_options(&mut self, mut options: msgpack::Children<'_>, message: &Bytes) {
        while let (Some(Ok(key)), Some(Ok(value))) = (options.next(), options.next()) {
            match (msgpack::text(key), msgpack::text(value)) {
                (Some(b"chunk"), Some(chunk)) if chunk.len() <= CHUNK_BYTES_MAX => {
                    self.chunk = Some(message.slice_ref(value));
                }
                (Some(b"compressed"), Some(name)) if name != b"text" => {
                    self.encoding = Some(String::from_utf8_lossy(name).into_owned());
                }
                _ => {}
            }
        }
    }

    /// The same chunk with the same entries is the same message, sent again.
    fn key(&self, origin: &Origin, chunk: &[u8]) -> IdempotencyKey {
        let hash = |parts: &[&[u8]]| {
            let mut hasher = Sha256::new();
            parts.iter().for_each(|part| hasher.update(part));
            let mut short = [0; 16];
            short.copy_from_slice(&hasher.finalize()[..16]);
            short
        };
        let (source, tag) = (origin.source.as_bytes(), self.tag.as_bytes());
        IdempotencyKey {
            key: hash(&[source, b"\0\0forward\0", chunk]),
            body: hash(&[tag, b"\0", &self.body]),
        }
    }

    /// Takes its entries; one that is bad does not cost the others, unless its end is not known.
    fn cut(&self, bytes_max: usize, pieces: &mut Pieces<'_>) {
        match self.form {
            Form::One => {
                if let Ok((at, record)) = msgpack::split(&self.body) {
                    self.take_entry(at, record, pieces);
                }
            }
            Form::Array => {
                for entry in msgpack::children(&self.body).into_iter().flatten().flatten() {
                    self.take_whole_entry(entry, pieces);
                }
            }
            Form::Packed => match self.decode(bytes_max) {
                Ok(entries) => self.take_packed(&entries, pieces),
                Err((code, reason)) => pieces.reject(&self.body, code, reason),
            },
        }
    }

    fn decode(&self, bytes_max: usize) -> Result<Bytes, (&'static str, String)> {
        let Some(name) = &self.encoding else { return Ok(self.body.clone()) };
        let encoding = Encoding::from_name(name)
            .ok_or_else(|| ("bad_encoding", format!("compression `{name:.32}` is not known")))?;
        body::decode(self.body.clone(), encoding, bytes_max).map_err(|error| match error {
            BodyError::TooLarge | BodyError::Ratio => {
                ("too_large", format!("entries become larger than {bytes_max} bytes, or too fast"))
            }
            _ => ("bad_encoding", format!("entries are no {name:.32}")),
        })
    }

    fn take_packed(&self, mut entries: &[u8], pieces: &mut Pieces<'_>) {
        while !entries.is_empty() {
            let Ok((entry, rest)) = msgpack::split(entries) else {
                let reason = "expected an entry in MessagePack".to_owned();
                return pieces.reject(entries, "bad_framing", reason);
            };
            self.take_whole_entry(entry, pieces);
            entries = rest;
        }
    }

    fn take_whole_entry(&self, entry: &[u8], pieces: &mut Pieces<'_>) {
        let mut parts = match msgpack::head(entry) {
            Ok(Some((Head::Array(2..), _))) => msgpack::children(entry).into_iter().flatten(),
            _ => None.into_iter().flatten(),
        };
        match (parts.next(), parts.next()) {
            (Some(Ok(at)), Some(Ok(record))) => self.take_entry(at, record, pieces),
            _ => pieces.reject(entry, "bad_entry", "expected `[time, record]`".to_owned()),
        }
    }

    fn take_entry(&self, at: &[u8], record: &[u8], pieces: &mut Pieces<'_>) {
        if !pieces.is_fit(record) {
            return;
        }
        // An entry may have metadata beside its time: `[[time, metadata], record]`.
        let mut parts = msgpack::children(at).into_iter().flatten();
        let (at, metadata) = match parts.next() {
            Some(Ok(inner)) => (inner, parts.next().and_then(Result::ok)),
            _ => (at, None),
        };
        let mut envelope = Object::default();
        envelope.put_text("fluent.tag", &self.tag);
        if let Some(metadata) = metadata.and_then(metadata_of) {
            envelope.put("fluent.metadata", &metadata);
        }
        let time = time_of(at);
        if let Some((said, beside)) = said_in(record) {
            let mut around = Object::default();
            for (key, value) in beside {
                around.put(&key, &value);
            }
            around.append(envelope.clone());
            if pieces.take_said(said, &around.finish(), time) {
                return;
            }
        }
        if let Some(text) = msgpack::text(record) {
            // Python's handler without a formatter sends what was logged, and no more.
            let envelope = envelope.finish();
            let wrapped =
                Wrapped { content: text, envelope: &envelope, time, ..Wrapped::bare(record) };
            return pieces.take(&wrapped);
        }
        let mut json = Vec::with_capacity(record.len() * 2);
        if let Err(unfit) = msgpack::write_json(record, &mut json, 1) {
            let reason = match unfit {
                Unfit::Broken => "the record is no MessagePack",
                Unfit::Key => "the record has a key that is no text",
            };
            return pieces.reject(record, "bad_entry", reason.to_owned());
        }
        let envelope = envelope.finish();
        pieces.take(&Wrapped {
            content: &json,
            must_be_json: true,
            envelope: &envelope,
            time,
            ..Wrapped::bare(record)
        });
    }
}

/// Members of an entry, their values as JSON.
type Members = Vec<(String, String)>;

/// The text of an entry that begins like a JSON object, and the other members; nothing when there is none,
/// when it is a piece of a line, or when the entry is no map of texts.
fn said_in(record: &[u8]) -> Option<(&[u8], Members)> {
    let (mut said, mut beside) = (None, Vec::new());
    let mut members = msgpack::children(record)?;
    while let Some(key) = members.next() {
        let key = std::str::from_utf8(msgpack::text(key.ok()?)?).ok()?;
        let value = members.next()?.ok()?;
        match msgpack::text(value) {
            Some(text)
                if said.is_none()
                    && TEXTS.contains(&key)
                    && text.trim_ascii_start().starts_with(b"{") =>
            {
                said = Some(text);
            }
            _ if key.starts_with("partial_") => return None,
            _ => {
                let mut json = Vec::new();
                msgpack::write_json(value, &mut json, 2).ok()?;
                beside.push((key.to_owned(), String::from_utf8(json).ok()?));
            }
        }
    }
    Some((said?, beside))
}

fn metadata_of(metadata: &[u8]) -> Option<String> {
    let Ok(Some((Head::Map(1..), _))) = msgpack::head(metadata) else { return None };
    let mut json = Vec::new();
    msgpack::write_json(metadata, &mut json, 2).ok()?;
    Some(String::from_utf8_lossy(&json).into_owned())
}

/// Seconds as a number, or the extension with nanoseconds; none when it says nothing.
fn time_of(at: &[u8]) -> Option<Timestamp> {
    let (head, start) = msgpack::head(at).ok()??;
    match head {
        Head::Extension(EVENT_TIME, 8) => {
            let [a, b, c, d, e, f, g, h] = at.get(start..start + 8)?.try_into().ok()?;
            let seconds = i64::from(u32::from_be_bytes([a, b, c, d]));
            let nanos = i64::from(u32::from_be_bytes([e, f, g, h]));
            (seconds > 0).then(|| Timestamp::from_nanos(seconds * 1_000_000_000 + nanos))
        }
        Head::Unsigned(number @ 1..) => time::from_integer(number.into()),
        Head::Float(number) if number > 0.0 => time::from_float(number),
        _ => None,
    }
}

/// Greets the peer, and gives who it is when it knows the key.
async fn shake_hands(connection: &mut Connection) -> Option<Sender> {
    let key = match connection.listener.shared_key.as_ref()?.resolve() {
        Ok(key) => key,
        Err(error) => {
            warn!(error = %error, "key of a listener cannot be read: {error}");
            return None;
        }
    };
    let mut sender = Sender::new(connection, connection.listener.source.as_deref()?, &Forward);
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).ok()?;
    let hello =
        [&b"\x92\xa4HELO\x83\xa5nonce\xc4\x10"[..], &nonce, b"\xa4auth\xa0\xa9keepalive\xc3"];
    connection.write(&hello.concat()).await.ok()?;
    let mut skim = Skim::new();
    let received = sender.receive(connection, |buffer| next(&mut skim, buffer, PING_BYTES_MAX));
    let Received::Message(Ok(ping), _) = received.await else { return None };
    let salt = check_ping(&ping, &nonce, key.expose().as_bytes());
    let (is_good, reason) = match salt {
        Ok(_) => (true, ""),
        Err(reason) => (false, reason),
    };
    let mut pong = b"\x95\xa4PONG".to_vec();
    pong.push(if is_good { 0xC3 } else { 0xC2 });
    let proof = salt.map(|salt| digest(salt, HOSTNAME.as_bytes(), &nonce, key.expose().as_bytes()));
    let said = if is_good { HOSTNAME } else { "" };
    for text in [reason, said, proof.as_deref().unwrap_or_default()] {
        // Text of up to 255 bytes; the proof has 128.
        pong.extend([0xD9, u8::try_from(text.len()).unwrap_or_default()]);
        pong.extend_from_slice(text.as_bytes());
    }
    connection.write(&pong).await.ok()?;
    if !is_good {
        connection.deny(Forward.name(), None);
        debug!(peer = %connection.peer, reason, "handshake refused");
        return None;
    }
    Some(sender)
}

/// The salt of a peer that knows the key.
fn check_ping<'p>(ping: &'p [u8], nonce: &[u8], key: &[u8]) -> Result<&'p [u8], &'static str> {
    let parts: Option<Vec<_>> = msgpack::children(ping)
        .and_then(|parts| parts.take(4).map(|part| msgpack::text(part.ok()?)).collect());
    match parts.as_deref() {
        Some(&[b"PING", hostname, salt, proof]) => {
            let expected = digest(salt, hostname, nonce, key);
            let is_good = bool::from(expected.as_bytes().ct_eq(proof));
            if is_good { Ok(salt) } else { Err("shared_key mismatch") }
        }
        _ => Err("invalid ping message"),
    }
}

/// What only somebody with the key can say, in hexadecimal.
fn digest(salt: &[u8], hostname: &[u8], nonce: &[u8], key: &[u8]) -> String {
    let mut hasher = Sha512::new();
    for part in [salt, hostname, nonce, key] {
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
