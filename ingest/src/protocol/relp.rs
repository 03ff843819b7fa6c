//! RELP: syslog with an answer for each record, as rsyslog's `omrelp` speaks it.
//!
//! Input: frames `TXNR SP COMMAND SP LENGTH [SP DATA] LF` with the commands `open`, `syslog` and
//! `close`. Output: events, and `200 OK` for each transaction once its record is durable; what comes
//! again because a connection broke without `close` is stored once. The record is the data of a frame,
//! read as syslog; the last ones wait for a moment when they may go on in the next (a stack trace). After a frame that is none nothing more can be read: it is kept
//! as a dead letter and the connection ends.

use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf as _, Bytes, BytesMut};
use tokio::time::Instant;

use super::Protocol;
use super::sender::{Message, Pieces, Received, Sender};
use super::stream::Connection;
use crate::config::ListenerKind;
use crate::join::{self, Waiting};
use crate::normalize::Wrapped;
use crate::quota::Room;

/// Digits of a number, and letters of a command (relp.html, "Frame").
const NUMBER_DIGITS_MAX: usize = 9;
const COMMAND_BYTES_MAX: usize = 32;
/// The longest head there is, with its spaces.
const HEAD_BYTES_MAX: usize = 2 * NUMBER_DIGITS_MAX + COMMAND_BYTES_MAX + 3;
/// A peer that sends on so soon after it was answered had waited for that.
const PROMPT: Duration = Duration::from_millis(100);
/// How often that may be before it is not made to wait any more.
const IN_VAIN_MAX: u8 = 3;
/// What we offer.
const OFFERS: &str = "relp_version=0\nrelp_software=logwarden\ncommands=syslog";

/// RELP.
pub(super) struct Relp;

#[async_trait]
impl Protocol for Relp {
    fn name(&self) -> &'static str {
        "relp"
    }

    fn recognises(&self, kind: ListenerKind, first: &[u8]) -> bool {
        match kind {
            ListenerKind::Auto => {
                let digits = first.iter().take_while(|byte| byte.is_ascii_digit()).count();
                (1..=NUMBER_DIGITS_MAX).contains(&digits) && first[digits..].starts_with(b" o")
            }
            ListenerKind::Relp => true,
            _ => false,
        }
    }

    async fn serve(&self, mut connection: Connection) {
        let Some(mut sender) = Sender::that_comes_again(&connection, self) else { return };
        let mut held = Held::default();
        while let Some((frames, room, is_end)) = held.next(&mut connection, &mut sender).await {
            let answers = frames.answers();
            let (bytes, is_last, is_close) = (frames.bytes, frames.is_last(), frames.has_close());
            if !frames.is_empty()
                && (!sender.store_once(&mut connection, (bytes, room), frames).await
                    || !sender.answer(&mut connection, answers.as_bytes()).await)
            {
                return;
            }
            if is_close {
                // librelp closes once it has heard of everything.
                sender.leave();
            }
            if is_end {
                return sender.end(&mut connection).await;
            }
            if is_last {
                return;
            }
        }
    }
}

/// Frames that wait, because their record may go on in the next.
#[derive(Default)]
struct Held {
    frames: Frames,
    waiting: Waiting,
    /// When they were let go because nothing came.
    let_go: Option<Instant>,
    /// How often the peer sent on as soon as they were.
    in_vain: u8,
}

impl Held {
    /// The frames to store next, the room that was taken for them, and whether the stream has ended;
    /// nothing when the connection is gone.
    async fn next(
        &mut self,
        connection: &mut Connection,
        sender: &mut Sender,
    ) -> Option<(Frames, Option<Room>, bool)> {
        let limits = connection.pipeline.limits().clone();
        loop {
            let whole = |buffer: &mut BytesMut| {
                let frames =
                    Frames::take(buffer, limits.body_bytes_max, limits.connection_records_max);
                (!frames.is_empty()).then_some(frames)
            };
            let received = sender.receive(connection, whole);
            let received = match self.waiting.end(Instant::now()) {
                Some(end) => tokio::time::timeout_at(end, received).await.ok(),
                None => Some(received.await),
            };
            let (mut room, mut may_wait) = (None, false);
            let is_end = matches!(received, Some(Received::End));
            match received {
                Some(Received::Message(frames, taken)) => {
                    may_wait = self.is_worth_it(&frames);
                    self.frames.append(frames);
                    room = taken;
                }
                Some(Received::End) => {}
                Some(Received::Gone) => return None,
                None => self.let_go = Some(Instant::now()),
            }
            let count = self.frames.frames.len();
            may_wait &= !self.frames.is_last()
                && count < limits.connection_records_max
                && self.frames.bytes < limits.connection_bytes_max;
            let open = if may_wait { self.frames.open() } else { 0 };
            let open = self.waiting.allow(open, count, Instant::now());
            let rest = self.frames.split_off(count - open);
            let frames = std::mem::replace(&mut self.frames, rest);
            if !frames.is_empty() || is_end {
                return Some((frames, room, is_end));
            }
        }
    }

    /// Whether to wait for more: a peer that sends one record and waits for its answer has none.
    fn is_worth_it(&mut self, frames: &Frames) -> bool {
        let let_go = self.let_go.take();
        if frames.frames.len() > 1 || !self.frames.is_empty() {
            self.in_vain = 0;
        } else if let Some(at) = let_go {
            let is_prompt = at.elapsed() < PROMPT;
            self.in_vain = if is_prompt { self.in_vain.saturating_add(1) } else { 0 };
        }
        self.in_vain < IN_VAIN_MAX
    }
}

struct Frame {
    number: u32,
    command: Command,
    data: Bytes,
}

impl Frame {
    /// Adds what the peer is told once its record is durable.
    fn answer(&self, answers: &mut String) {
        let number = self.number;
        // Writing to a string cannot fail.
        let _ = match self.command {
            Command::Open => {
                let length = "200 OK\n".len() + OFFERS.len();
                writeln!(answers, "{number} rsp {length} 200 OK\n{OFFERS}")
            }
            Command::Syslog => writeln!(answers, "{number} rsp 6 200 OK"),
            Command::Other => writeln!(answers, "{number} rsp 21 500 command not known"),
            Command::Close => writeln!(answers, "{number} rsp 0\n0 serverclose 0"),
        };
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Open,
    Syslog,
    Close,
    Other,
}

/// Whole frames of what was read, and what is none.
#[derive(Default)]
struct Frames {
    frames: Vec<Frame>,
    bytes: usize,
    broken: Option<Bytes>,
}

impl Frames {
    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.broken.is_none()
    }

    /// Whether nothing follows.
    fn is_last(&self) -> bool {
        self.broken.is_some() || self.has_close()
    }

    fn has_close(&self) -> bool {
        self.frames.iter().any(|frame| frame.command == Command::Close)
    }

    fn take(buffer: &mut BytesMut, bytes_max: usize, frames_max: usize) -> Self {
        let mut found = Self::default();
        while found.frames.len() < frames_max && found.bytes < bytes_max && !found.is_last() {
            match next(buffer, bytes_max) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    found.bytes += frame.data.len();
                    found.frames.push(frame);
                }
                Err(Broken) => found.broken = Some(buffer.split().freeze()),
            }
        }
        found
    }

    fn append(&mut self, mut others: Self) {
        self.frames.append(&mut others.frames);
        self.bytes += others.bytes;
        self.broken = others.broken;
    }

    /// Takes the frames from this place on out of them.
    fn split_off(&mut self, at: usize) -> Self {
        let frames = self.frames.split_off(at);
        let bytes = frames.iter().map(|frame| frame.data.len()).sum();
        self.bytes -= bytes;
        Self { frames, bytes, broken: None }
    }

    /// How many at the end may go on with the next.
    fn open(&self) -> usize {
        join::open_records(self.frames.iter().map(|frame| match frame.command {
            Command::Syslog => frame.data.trim_ascii_end(),
            _ => &[],
        }))
    }

    fn answers(&self) -> String {
        let mut answers = String::new();
        self.frames.iter().for_each(|frame| frame.answer(&mut answers));
        answers
    }
}

impl Message for Frames {
    fn records(&self) -> impl Iterator<Item = &[u8]> {
        let frames = self.frames.iter().filter(|frame| frame.command == Command::Syslog);
        frames.map(|frame| frame.data.trim_ascii_end()).filter(|record| !record.is_empty())
    }

    fn cut(&self, is_stored: &[bool], pieces: &mut Pieces<'_>) {
        for (record, is_stored) in self.records().zip(is_stored) {
            if *is_stored {
                pieces.pass();
            } else if pieces.is_fit(record) {
                pieces.take(&Wrapped::bare(record));
            }
        }
        if let Some(rest) = &self.broken {
            let reason = "expected a number, a command and a length of at most 16 MiB";
            pieces.reject(rest, "bad_framing", reason.to_owned());
        }
    }
}

/// The bytes are no frame.
#[derive(Debug)]
struct Broken;

/// Takes the next frame, if it is whole.
fn next(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<Frame>, Broken> {
    let head = &buffer[..buffer.len().min(HEAD_BYTES_MAX + 1)];
    let mut spaces = memchr::memchr2_iter(b' ', b'\n', head);
    let (Some(first), Some(second)) = (spaces.next(), spaces.next()) else {
        return if head.len() > HEAD_BYTES_MAX { Err(Broken) } else { Ok(None) };
    };
    let Some(third) = spaces.next() else {
        return if head.len() > HEAD_BYTES_MAX { Err(Broken) } else { Ok(None) };
    };
    if head[first] != b' ' || head[second] != b' ' {
        return Err(Broken);
    }
    let number = number(&head[..first])?;
    let command = match &head[first + 1..second] {
        b"open" => Command::Open,
        b"syslog" => Command::Syslog,
        b"close" => Command::Close,
        _ => Command::Other,
    };
    let length = usize::try_from(self::number(&head[second + 1..third])?).map_err(|_| Broken)?;
    // Without data the line feed follows the length, after a space or not.
    let start = if head[third] == b' ' { third + 1 } else { third };
    if length > bytes_max || (length > 0 && head[third] != b' ') {
        return Err(Broken);
    }
    match buffer.get(start + length) {
        None => return Ok(None),
        Some(b'\n') => {}
        Some(_) => return Err(Broken),
    }
    buffer.advance(start);
    let data = buffer.split_to(length).freeze();
    buffer.advance(1);
    Ok(Some(Frame { number, command, data }))
}

fn number(digits: &[u8]) -> Result<u32, Broken> {
    let is_number =
        (1..=NUMBER_DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number).ok_or(Broken)?;
    text.parse().map_err(|_| Broken)
}
