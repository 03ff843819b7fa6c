//! RELP: syslog with an answer for each record, as rsyslog's `omrelp` speaks it.
//!
//! Input: frames `TXNR SP COMMAND SP LENGTH [SP DATA] LF` with the commands `open`, `syslog` and
//! `close`. Output: events, and `200 OK` for each transaction once its record is durable; what comes
//! again because a connection broke without `close` is stored once. The record is the data of a frame,
//! read as syslog. After a frame that is none nothing more can be read: it is kept
//! as a dead letter and the connection ends.

use async_trait::async_trait;
use bytes::{Buf as _, Bytes, BytesMut};

use super::Protocol;
use super::sender::{Message, Pieces, Received, Sender};
use super::stream::Connection;
use crate::config::ListenerKind;
use crate::normalize::Wrapped;

/// Digits of a number, and letters of a command (relp.html, "Frame").
const NUMBER_DIGITS_MAX: usize = 9;
const COMMAND_BYTES_MAX: usize = 32;
/// The longest head there is, with its spaces.
const HEAD_BYTES_MAX: usize = 2 * NUMBER_DIGITS_MAX + COMMAND_BYTES_MAX + 3;
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
        let limits = connection.pipeline.limits().clone();
        loop {
            let frames = |buffer: &mut BytesMut| {
                let frames =
                    Frames::take(buffer, limits.body_bytes_max, limits.connection_records_max);
                (!frames.is_empty()).then_some(frames)
            };
            let (frames, room) = match sender.receive(&mut connection, frames).await {
                Received::Message(frames, room) => (frames, room),
                Received::End => return sender.end(&mut connection).await,
                Received::Gone => return,
            };
            let answers = frames.answers();
            let (bytes, is_last, is_close) = (frames.bytes, frames.is_last(), frames.has_close());
            if !sender.store_once(&mut connection, (bytes, room), frames).await
                || !sender.answer(&mut connection, answers.as_bytes()).await
            {
                return;
            }
            if is_close {
                // librelp closes once it has heard of everything.
                sender.leave();
            }
            if is_last {
                return;
            }
        }
    }
}

struct Frame {
    number: u32,
    command: Command,
    data: Bytes,
}

impl Frame {
    /// What the peer is told once its record is durable.
    fn answer(&self) -> String {
        let number = self.number;
        let text = match self.command {
            Command::Open => format!("200 OK\n{OFFERS}"),
            Command::Syslog => "200 OK".to_owned(),
            Command::Other => "500 command not known".to_owned(),
            Command::Close => return format!("{number} rsp 0\n0 serverclose 0\n"),
        };
        format!("{number} rsp {} {text}\n", text.len())
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

    fn answers(&self) -> String {
        self.frames.iter().map(Frame::answer).collect()
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
