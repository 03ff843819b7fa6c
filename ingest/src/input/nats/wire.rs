//! The NATS client protocol over a byte stream: lines, and payloads of a length they say.
//!
//! Input: bytes. Output: what the server says, one thing at a time, with bounds on both. Headers are
//! read for the status they begin with and are not kept.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Bytes of a line; `INFO` is the longest.
const LINE_BYTES_MAX: usize = 32 << 10;
/// Bytes of a payload with its headers; the server's own bound is at most this.
const PAYLOAD_BYTES_MAX: usize = 64 << 20;

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// What it is, as JSON.
    Info(String),
    /// It asks whether we are there.
    Ping,
    /// It is there.
    Pong,
    /// A complaint.
    Error(String),
    /// Something for a subscription of ours.
    Delivery(Delivery),
    /// Anything that needs no answer.
    Other,
}

/// What came for a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    /// The number of the subscription.
    pub(super) subscription: u64,
    pub(super) subject: String,
    /// Where an answer goes.
    pub(super) reply: String,
    /// The status in its headers, such as 404; 0 when there is none.
    pub(super) status: u16,
    pub(super) payload: Bytes,
}

/// A message of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Its number in the stream.
    pub(super) number: u64,
    pub(super) subject: String,
    /// Where it is acknowledged.
    pub(super) reply: String,
    pub(super) payload: Bytes,
    /// Messages that wait behind it.
    pub(super) waiting: u64,
}

impl Message {
    /// Reads what a consumer delivered; its numbers stand in the subject of the answer:
    /// `$JS.ACK.STREAM.CONSUMER.TRIES.NUMBER.ORDER.TIME.WAITING`, with a domain, an account and a
    /// token more in newer servers.
    pub(super) fn of(delivery: Delivery) -> Option<Self> {
        let parts: Vec<&str> = delivery.reply.split('.').collect();
        let first = match parts.len() {
            9 => 5,
            11.. => 7,
            _ => return None,
        };
        if parts[..2] != ["$JS", "ACK"] {
            return None;
        }
        Some(Self {
            number: parts[first].parse().ok()?,
            waiting: parts.get(first + 3)?.parse().ok()?,
            subject: delivery.subject,
            reply: delivery.reply,
            payload: delivery.payload,
        })
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server speaks no NATS: {what}"))
}

/// Takes the next whole thing out of `buffer`; `None`: more bytes are needed.
pub(super) fn next(buffer: &mut BytesMut) -> io::Result<Option<Said>> {
    let Some(end) = memchr::memchr(b'\n', &buffer[..buffer.len().min(LINE_BYTES_MAX)]) else {
        return if buffer.len() >= LINE_BYTES_MAX {
            Err(malformed("a long line"))
        } else {
            Ok(None)
        };
    };
    let line = String::from_utf8_lossy(&buffer[..end]).trim_end().to_owned();
    let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((line.as_str(), ""));
    let said = match verb.to_ascii_uppercase().as_str() {
        "MSG" => return delivery(buffer, end + 1, rest, false),
        "HMSG" => return delivery(buffer, end + 1, rest, true),
        "INFO" => Said::Info(rest.to_owned()),
        "PING" => Said::Ping,
        "PONG" => Said::Pong,
        "-ERR" => Said::Error(rest.trim_matches('\'').to_owned()),
        "+OK" => Said::Other,
        _ => return Err(malformed("an unknown verb")),
    };
    buffer.advance(end + 1);
    Ok(Some(said))
}

/// `SUBJECT SID [REPLY] [HEADER-BYTES] BYTES`, then the bytes and a line's end.
fn delivery(
    buffer: &mut BytesMut,
    start: usize,
    arguments: &str,
    has_headers: bool,
) -> io::Result<Option<Said>> {
    let parts: Vec<&str> = arguments.split_ascii_whitespace().collect();
    let lengths = 1 + usize::from(has_headers);
    let has_reply = match parts.len().checked_sub(2 + lengths) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(malformed("a delivery")),
    };
    let number = |place: usize| parts[place].parse::<usize>();
    let Ok(bytes) = number(parts.len() - 1) else { return Err(malformed("a length")) };
    let header_bytes = if has_headers { number(parts.len() - 2) } else { Ok(0) };
    let Some(header_bytes) = header_bytes.ok().filter(|header_bytes| *header_bytes <= bytes) else {
        return Err(malformed("a length"));
    };
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(malformed("a payload beyond 64 MiB"));
    }
    if buffer.len() < start + bytes + 2 {
        return Ok(None);
    }
    let Ok(subscription) = parts[1].parse() else { return Err(malformed("a subscription")) };
    let (subject, reply) = (parts[0].to_owned(), parts[2].to_owned());
    let reply = if has_reply { reply } else { String::new() };
    buffer.advance(start);
    let headers = buffer.split_to(header_bytes).freeze();
    let payload = buffer.split_to(bytes - header_bytes).freeze();
    buffer.advance(2);
    let status = status_of(&headers);
    let delivery = Delivery { subscription, subject, reply, status, payload };
    Ok(Some(Said::Delivery(delivery)))
}

/// `NATS/1.0 404 No Messages`.
fn status_of(headers: &[u8]) -> u16 {
    let first = headers.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let text = std::str::from_utf8(first).unwrap_or_default();
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Reads until there is a whole thing.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> io::Result<Said> {
    loop {
        if let Some(said) = next(buffer)? {
            return Ok(said);
        }
        buffer.reserve(64 << 10);
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn deliveries_come_with_and_without_headers_and_in_pieces() {
        let text = "MSG logs.a 2 $JS.ACK.LOGS.c.1.42.7.1700000000000000000.3 5\r\na\r\nb!\r\n\
                    HMSG _INBOX.x 2 28 28\r\nNATS/1.0 404 No Messages\r\n\r\n\r\nPING\r\n";
        let mut buffer = BytesMut::new();
        let mut said = Vec::new();
        for byte in text.bytes() {
            buffer.extend_from_slice(&[byte]);
            said.extend(next(&mut buffer).expect("NATS"));
        }
        let [Said::Delivery(first), Said::Delivery(second), Said::Ping] = said.as_slice() else {
            panic!("{said:?}")
        };
        assert_eq!((&first.payload[..], first.status), (&b"a\r\nb!"[..], 0));
        assert_eq!((second.status, second.payload.len()), (404, 0));
        let message = Message::of(first.clone()).expect("a message of a stream");
        assert_eq!((message.number, message.waiting), (42, 3));
        assert_eq!(Message::of(second.clone()), None);
        let newer = Delivery {
            reply: "$JS.ACK.hub.ACC.LOGS.c.1.42.7.1700000000000000000.3.token".to_owned(),
            ..first.clone()
        };
        assert_eq!(
            Message::of(newer).map(|message| (message.number, message.waiting)),
            Some((42, 3))
        );
    }

    #[test]
    fn what_is_no_nats_is_refused() {
        for text in [
            "HTTP/1.1 400 Bad Request\r\n",
            "MSG a 1\r\n",
            "MSG a 1 99999999999\r\n",
            "HMSG a 1 9 3\r\nabc\r\n",
            "MSG a x 0\r\n\r\n",
        ] {
            assert!(next(&mut BytesMut::from(text)).is_err(), "{text}");
        }
        assert!(next(&mut BytesMut::from(&vec![b'a'; LINE_BYTES_MAX][..])).is_err());
    }

    proptest! {
        #[test]
        fn every_byte_string_is_survived(text in "(MSG |HMSG |INFO |-ERR )?[a-z0-9 .\r\n]{0,60}") {
            let mut buffer = BytesMut::from(text.as_bytes());
            while let Ok(Some(_)) = next(&mut buffer) {}
        }
    }
}
