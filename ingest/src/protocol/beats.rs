//! Beats, the Lumberjack protocol in version 2, as Filebeat, Winlogbeat and Logstash outputs speak it.
//!
//! Input: frames `2W` (window), `2J` (an event in JSON) and `2C` (frames in zlib). Output: events, and
//! `2A` with the last sequence number once a whole window is durable; without a window, after each
//! event. What comes again because a connection broke is stored once: such is the end of any connection
//! of Elastic's Beats, which keep theirs, and of others before they have heard of all. A window counts events and takes no memory: they are stored while it comes. The record is the
//! JSON text of an event; an object inside its `message` is read as well. After a frame that is none
//! nothing more can be read: it is kept as a dead letter and the connection ends.

use std::sync::LazyLock;

use async_trait::async_trait;
use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem::Finder;

use super::Protocol;
use super::body::{self, Encoding};
use super::sender::{Message, Pieces, RECORDS_MAX, Received, Sender};
use super::stream::Connection;
use super::unfold::unfold;
use crate::config::ListenerKind;
use crate::normalize::Wrapped;

/// What the events of Elastic's Beats have.
static BEAT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"@metadata\":{\"beat\":"));

/// Version, type and a number.
const SHORT_HEAD_BYTES: usize = 6;
/// The same and a second number.
const LONG_HEAD_BYTES: usize = 10;

/// Beats.
pub(super) struct Beats;

#[async_trait]
impl Protocol for Beats {
    fn name(&self) -> &'static str {
        "beats"
    }

    fn recognises(&self, kind: ListenerKind, first: &[u8]) -> bool {
        match kind {
            ListenerKind::Auto => matches!(first, [b'2', b'W' | b'C' | b'J', ..]),
            ListenerKind::Beats => true,
            _ => false,
        }
    }

    async fn serve(&self, mut connection: Connection) {
        let Some(mut sender) = Sender::that_comes_again(&connection, self) else { return };
        let limits = connection.pipeline.limits().clone();
        let mut window = Window::default();
        loop {
            let frames = |buffer: &mut BytesMut| {
                let frames =
                    Frames::take(buffer, limits.body_bytes_max, limits.connection_records_max);
                (!frames.is_empty()).then_some(frames)
            };
            let (frames, room) = match sender.receive(&mut connection, frames).await {
                Received::Message(frames, room) => (frames, room),
                Received::End => {
                    if window.is_closed() && sender.is_heard() && connection.buffer.is_empty() {
                        sender.leave();
                    }
                    return sender.end(&mut connection).await;
                }
                Received::Gone => return,
            };
            let answers = window.pass(&frames);
            let (bytes, is_broken) = (frames.bytes, frames.broken.is_some());
            if !sender.store_once(&mut connection, (bytes, room), frames).await
                || (!answers.is_empty() && !sender.answer(&mut connection, &answers).await)
                || is_broken
            {
                return;
            }
        }
    }
}

/// Events still to come of a window.
#[derive(Debug, Default)]
struct Window {
    left: u32,
    /// The peer keeps its connection, so that its end is never a leave.
    stays: bool,
}

impl Window {
    /// Whether a peer that has heard our last answer may go for good.
    fn is_closed(&self) -> bool {
        self.left == 0 && !self.stays
    }

    /// The answers to give once these frames are durable.
    fn pass(&mut self, frames: &Frames) -> Vec<u8> {
        let mut answers = Vec::new();
        for frame in &frames.frames {
            match frame {
                Frame::Window(size) => self.left = *size,
                Frame::Event(sequence, event) => {
                    self.left = self.left.saturating_sub(1);
                    self.stays = self.stays || BEAT.find(event).is_some();
                    if self.left == 0 {
                        answers.extend_from_slice(b"2A");
                        answers.extend_from_slice(&sequence.to_be_bytes());
                    }
                }
            }
        }
        answers
    }
}

enum Frame {
    Window(u32),
    /// Sequence number and JSON.
    Event(u32, Bytes),
}

/// Whole frames of what was read, and what ended them.
#[derive(Default)]
struct Frames {
    frames: Vec<Frame>,
    /// Bytes of memory they take.
    bytes: usize,
    /// What is no frame, its code and the reason.
    broken: Option<(Bytes, &'static str, &'static str)>,
}

impl Frames {
    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.broken.is_none()
    }

    /// Takes whole frames out of `buffer`, about `events_max` of them. Compressed ones are taken out of
    /// their compression, one at a time.
    fn take(buffer: &mut BytesMut, bytes_max: usize, events_max: usize) -> Self {
        let mut found = Self::default();
        while found.frames.len() < events_max && found.bytes < bytes_max && found.broken.is_none() {
            if buffer.starts_with(b"2C") {
                let Some(length) = number(buffer, 2) else { break };
                if length > bytes_max {
                    found.end(buffer.split().freeze(), "too_large", "compressed frames too long");
                } else if buffer.len() < SHORT_HEAD_BYTES + length {
                    break;
                } else {
                    buffer.advance(SHORT_HEAD_BYTES);
                    let compressed = buffer.split_to(length).freeze();
                    found.take_compressed(compressed, bytes_max);
                }
            } else if !found.take_frame(buffer, bytes_max) {
                break;
            }
        }
        found
    }

    fn take_compressed(&mut self, compressed: Bytes, bytes_max: usize) {
        let Ok(frames) = body::decode(compressed.clone(), Encoding::Deflate, bytes_max) else {
            return self.end(compressed, "bad_encoding", "no zlib, or larger than its bound");
        };
        let mut frames = BytesMut::from(frames);
        while self.broken.is_none()
            && self.frames.len() < RECORDS_MAX
            && self.take_frame(&mut frames, bytes_max)
        {}
        if self.broken.is_none() && !frames.is_empty() {
            self.end(
                frames.freeze(),
                "bad_framing",
                "expected a whole frame, or there are too many",
            );
        }
    }

    /// Takes one frame that is not compressed; false when it is not all there.
    fn take_frame(&mut self, buffer: &mut BytesMut, bytes_max: usize) -> bool {
        match buffer[..] {
            [b'2', b'W', ..] => {
                let Some(size) = number(buffer, 2) else { return false };
                buffer.advance(SHORT_HEAD_BYTES);
                self.frames.push(Frame::Window(u32::try_from(size).unwrap_or(u32::MAX)));
            }
            [b'2', b'J', ..] => {
                let (Some(sequence), Some(length)) = (number(buffer, 2), number(buffer, 6)) else {
                    return false;
                };
                if length > bytes_max {
                    self.end(buffer.split().freeze(), "too_large", "an event of more than 16 MiB");
                    return true;
                }
                if buffer.len() < LONG_HEAD_BYTES + length {
                    return false;
                }
                buffer.advance(LONG_HEAD_BYTES);
                self.bytes += length;
                let event = buffer.split_to(length).freeze();
                self.frames.push(Frame::Event(u32::try_from(sequence).unwrap_or_default(), event));
            }
            [] | [b'2'] => return false,
            _ => self.end(buffer.split().freeze(), "bad_framing", "expected a frame of version 2"),
        }
        true
    }

    fn end(&mut self, rest: Bytes, code: &'static str, reason: &'static str) {
        self.broken = Some((rest, code, reason));
    }
}

impl Message for Frames {
    fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.frames.iter().filter_map(|frame| match frame {
            Frame::Event(_, record) => Some(&record[..]),
            Frame::Window(_) => None,
        })
    }

    fn cut(&self, is_stored: &[bool], pieces: &mut Pieces<'_>) {
        for (record, is_stored) in self.records().zip(is_stored) {
            if *is_stored {
                pieces.pass();
            } else if pieces.is_fit(record) {
                let (content, around) = unfold(record);
                let envelope = around.finish();
                pieces.take(&Wrapped {
                    content: &content,
                    must_be_json: true,
                    envelope: &envelope,
                    ..Wrapped::bare(record)
                });
            }
        }
        if let Some((rest, code, reason)) = &self.broken {
            pieces.reject(rest, code, (*reason).to_owned());
        }
    }
}

/// The four bytes at this place as a number; nothing when they are not there.
fn number(buffer: &[u8], at: usize) -> Option<usize> {
    let digits = buffer.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(digits)).ok()
}
