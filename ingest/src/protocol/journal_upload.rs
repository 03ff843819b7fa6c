//! systemd's journal upload: `POST /upload`.
//!
//! Input: entries in systemd's export format (systemd.io/JOURNAL_EXPORT_FORMATS), a first one perhaps
//! as long as a whole journal. Output: 202 once all of it is durable. The record is one entry as it was
//! sent; its fields are those of the journal, of which a binary one is read as text.
//!
//! The body has no bound, so it is stored part by part while it is read. Parts are cut at the same
//! entries whenever the upload begins at the same one, and every entry has its own `__CURSOR`: an upload
//! that broke off and is sent again is stored once but for its last part.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;

use super::Protocol;
use super::answer::Failure;
use super::body::{BodyError, Encoding};
use super::documents::{Sink as _, too_long};
use super::door::{Admission, Records};
use super::members::Object;
use crate::normalize::Wrapped;
use crate::pipeline::Pipeline;

const PATH: &str = "/upload";
/// Entries of one part.
const PART_ENTRIES_MAX: usize = 1_000;
/// Bytes of one part; the entry that crosses it is still in it.
const PART_BYTES_MAX: usize = 1 << 20;
/// A sender that says nothing for this long has gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// systemd's journal upload.
pub(super) struct JournalUpload;

#[async_trait]
impl Protocol for JournalUpload {
    fn name(&self) -> &'static str {
        "journal_upload"
    }

    fn routes(&self, pipeline: &Arc<Pipeline>) -> Option<Router> {
        Some(Router::new().route(PATH, any(upload)).with_state(Arc::clone(pipeline)))
    }
}

async fn upload(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response {
    match handle(&pipeline, request).await {
        Ok(()) => (StatusCode::ACCEPTED, "OK.\n").into_response(),
        Err(failure) => failure.into_response(),
    }
}

async fn handle(pipeline: &Arc<Pipeline>, request: Request) -> Result<(), Failure> {
    let admission = Admission::of(pipeline, &request, JournalUpload.name(), &[Method::POST])?;
    if admission.encoding != Encoding::Identity {
        return Err(Failure::unsupported_encoding());
    }
    let entry_bytes_max = pipeline.limits().record_bytes_max;
    let mut body = request.into_body();
    let mut entries = Entries::new(entry_bytes_max);
    let mut part = Part::default();
    while entries.read(&mut body).await.inspect_err(Failure::count)? {
        while let Some(entry) = entries.next() {
            part.add(entry);
            if part.is_full() {
                std::mem::take(&mut part).store(admission.clone()).await?;
            }
        }
    }
    if let Some(entry) = entries.finish() {
        part.add(entry);
    }
    part.store(admission).await
}

/// One entry, or the beginning of one that is too long.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    bytes: Vec<u8>,
    /// Bytes it had when it was sent.
    size_bytes: usize,
}

/// Entries that are stored together.
#[derive(Default)]
struct Part {
    entries: Vec<Entry>,
    size_bytes: usize,
}

impl Part {
    fn add(&mut self, entry: Entry) {
        self.size_bytes += entry.bytes.len();
        self.entries.push(entry);
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= PART_ENTRIES_MAX || self.size_bytes >= PART_BYTES_MAX
    }

    async fn store(self, admission: Admission) -> Result<(), Failure> {
        admission.within_quota()?;
        // What the part is known by when it comes again.
        let body: Vec<u8> = self.entries.iter().flat_map(|entry| &entry.bytes).copied().collect();
        let shipment = admission.part(Bytes::from(body)).await?;
        let mut cut = shipment
            .cut(move |_, records| {
                records.is_repeatable = true;
                for (number, entry) in (1..).zip(&self.entries) {
                    take(number, entry, records);
                }
                Ok(())
            })
            .await?;
        cut.store().await.map(drop)
    }
}

fn take(number: u64, entry: &Entry, records: &mut Records<'_>) {
    if entry.size_bytes > entry.bytes.len() {
        let reason = too_long(entry.size_bytes, entry.bytes.len());
        return records.reject(number, &entry.bytes, "line_too_long", reason);
    }
    let object = object_of(&entry.bytes);
    let content = object.as_bytes();
    let wrapped = Wrapped { content, must_be_json: true, ..Wrapped::bare(&entry.bytes) };
    records.take_wrapped(number, &wrapped);
}

/// The fields of a whole entry as a JSON object.
fn object_of(entry: &[u8]) -> String {
    let mut object = Object::default();
    let mut rest = entry;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, after) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
        let (name, value) = match memchr::memchr(b'=', line) {
            Some(at) => {
                rest = after;
                (&line[..at], &line[at + 1..])
            }
            None => {
                let length = after.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
                let value = after.get(8..).unwrap_or_default();
                let length = usize::try_from(length).unwrap_or(usize::MAX).min(value.len());
                rest = value.get(length + 1..).unwrap_or_default();
                (line, &value[..length])
            }
        };
        object.put_text(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value));
    }
    let object = object.finish();
    if object.is_empty() { "{}".to_owned() } else { object }
}

/// Cuts a stream into entries. They end with an empty line; a binary field says its length.
struct Entries {
    buffer: BytesMut,
    entry: Entry,
    entry_bytes_max: usize,
    /// Bytes of a binary field that are still to come, with the line break behind it.
    binary_left: u64,
    /// A line of text whose end did not come yet.
    is_inside_text: bool,
}

impl Entries {
    fn new(entry_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            entry: Entry::default(),
            entry_bytes_max,
            binary_left: 0,
            is_inside_text: false,
        }
    }

    /// Reads on; false at the end of the body.
    async fn read(&mut self, body: &mut Body) -> Result<bool, Failure> {
        loop {
            let frame = tokio::time::timeout(SILENCE_MAX, body.frame());
            let frame = frame.await.map_err(|_| Failure::of_body(BodyError::TooSlow))?;
            match frame {
                None => return Ok(false),
                Some(Err(_)) => return Err(Failure::of_body(BodyError::Broken)),
                Some(Ok(frame)) => {
                    let Ok(chunk) = frame.into_data() else { continue };
                    self.buffer.extend_from_slice(&chunk);
                    return Ok(true);
                }
            }
        }
    }

    /// The next whole entry of what was read.
    fn next(&mut self) -> Option<Entry> {
        loop {
            if self.binary_left > 0 {
                let here = self.buffer.len().min(usize::try_from(self.binary_left).ok()?);
                self.keep(here);
                self.binary_left -= here as u64;
                if self.binary_left > 0 {
                    return None;
                }
            }
            let Some(end) = memchr::memchr(b'\n', &self.buffer) else {
                // A line longer than an entry may be is not waited for in memory.
                if self.is_inside_text || self.buffer.len() > self.entry_bytes_max {
                    self.is_inside_text = true;
                    self.keep(self.buffer.len());
                }
                return None;
            };
            if std::mem::take(&mut self.is_inside_text) || self.buffer[..end].contains(&b'=') {
                self.keep(end + 1);
            } else if end == 0 {
                let _ = self.buffer.split_to(1);
                if self.entry.size_bytes > 0 {
                    return Some(std::mem::take(&mut self.entry));
                }
            } else {
                let length = self.buffer[end + 1..].first_chunk().copied()?;
                self.binary_left = u64::from_le_bytes(length).saturating_add(1);
                self.keep(end + 9);
            }
        }
    }

    /// What is left at the end of the body.
    fn finish(mut self) -> Option<Entry> {
        self.keep(self.buffer.len());
        (self.entry.size_bytes > 0).then_some(self.entry)
    }

    /// Moves bytes from the buffer to the entry, up to the bound of an entry.
    fn keep(&mut self, bytes: usize) {
        let taken = self.buffer.split_to(bytes);
        self.entry.size_bytes += taken.len();
        let room = self.entry_bytes_max.saturating_sub(self.entry.bytes.len());
        self.entry.bytes.extend_from_slice(&taken[..taken.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The entries of `stream`, given piece by piece.
    fn entries_of(stream: &[u8], piece: usize, entry_bytes_max: usize) -> Vec<Entry> {
        let mut entries = Entries::new(entry_bytes_max);
        let mut found = Vec::new();
        for piece in stream.chunks(piece) {
            entries.buffer.extend_from_slice(piece);
            while let Some(entry) = entries.next() {
                found.push(entry);
            }
        }
        found.extend(entries.finish());
        found
    }

    const STREAM: &[u8] =
        b"__CURSOR=a\nMESSAGE\n\x05\0\0\0\0\0\0\0x\n\ny=\nP=6\n\n\n__CURSOR=b\nMESSAGE=c=d\n\n";

    #[test]
    fn an_empty_line_inside_a_binary_field_ends_nothing() {
        for piece in [1, 2, 7, 1_000] {
            let entries = entries_of(STREAM, piece, 100);
            assert_eq!(entries.len(), 2, "in pieces of {piece}");
            let expected = "{\"__CURSOR\":\"a\",\"MESSAGE\":\"x\\n\\ny=\",\"P\":\"6\"}";
            assert_eq!(object_of(&entries[0].bytes), expected);
            assert_eq!(object_of(&entries[1].bytes), "{\"__CURSOR\":\"b\",\"MESSAGE\":\"c=d\"}");
        }
    }

    #[test]
    fn an_entry_that_is_too_long_keeps_its_beginning() {
        let long =
            [b"A=1\nB=", &[b'x'; 200][..], b"\nC\n\xC8\0\0\0\0\0\0\0", &[b'\n'; 200], b"\n\n"];
        let stream = [&long.concat()[..], STREAM].concat();
        for piece in [1, 50, 1_000] {
            let entries = entries_of(&stream, piece, 30);
            assert_eq!((entries[0].bytes.len(), entries[0].size_bytes), (30, 418));
            assert_eq!(entries.len(), 3);
        }
    }

    proptest! {
        #[test]
        fn every_stream_is_survived(
            stream in proptest::collection::vec(proptest::sample::select(b"=\n\nA\0\x01\xFF".to_vec()), 0..60),
            piece in 1usize..9,
        ) {
            let entries = entries_of(&stream, piece, 16);
            for entry in &entries {
                object_of(&entry.bytes);
            }
            let size: usize = entries.iter().map(|entry| entry.size_bytes).sum();
            prop_assert!(size <= stream.len());
        }
    }
}
