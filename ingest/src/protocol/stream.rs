//! Serving one byte stream: read, cut, convert, append, acknowledge, in this order and one batch at
//! a time, so that the order of a connection is kept and its memory is bounded.
//!
//! Input: a stream and who sends over it. What was read is appended at once; while that takes, the
//! next records wait in the kernel's window. Nothing here knows a protocol: those say how records are
//! cut and what one is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use logwarden_store::Secret;
use metrics::counter;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::framing::{Frame, Framing};
use super::{Protocol, documents, tcp_json};
use crate::batch::{Batch, Intake};
use crate::config::ListenerConfig;
use crate::deadletter::Rejection;
use crate::doubt::Session;
use crate::join::{self, Waiting};
use crate::metrics::CONNECTIONS_REFUSED_TOTAL;
use crate::normalize::Origin;
use crate::normalize::scan::Malformed;
use crate::pipeline::Pipeline;
use crate::quota::Quota;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Behind so much there is more, within this.
const FLOW_BYTES: usize = 32 << 10;
const FLOW_PAUSE: Duration = Duration::from_millis(2);

/// A peer that reads nothing of what it is told for this long has gone, or wants to hold us up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer that takes nothing it is told, or does not say that it is there, for this long has gone. Beats
/// sends again over another connection after 30 s, librelp after 90 s.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Asks an idle peer so often whether it is there.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// A byte stream: TCP, TLS or, in tests, a duplex in memory.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// The TCP connection below.
    fn socket(&self) -> Option<&TcpStream>;
}

impl Stream for TcpStream {
    fn socket(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Stream for TlsStream<TcpStream> {
    fn socket(&self) -> Option<&TcpStream> {
        Some(self.get_ref().0)
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Stream for tokio::io::DuplexStream {
    fn socket(&self) -> Option<&TcpStream> {
        None
    }
}

/// Lets a connection fail within about [`SILENCE_MAX`] of its peer's last sign of life, where it would
/// wait for an hour: machines that lose power or their network take no leave.
fn expect_signs_of_life(socket: &TcpStream) -> io::Result<()> {
    let millis = u32::try_from(SILENCE_MAX.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(socket, millis)?;
    sockopt::set_tcp_keepidle(socket, PROBE_INTERVAL)?;
    sockopt::set_tcp_keepintvl(socket, PROBE_INTERVAL)?;
    sockopt::set_socket_keepalive(socket, true)?;
    Ok(())
}

/// An accepted connection and what is known of its peer.
pub(crate) struct Connection {
    pub(crate) stream: Box<dyn Stream>,
    /// Bytes read and not yet understood.
    pub(crate) buffer: BytesMut,
    /// How the stream ended, behind what is in the buffer.
    pub(crate) ended: Option<Reading>,
    pub(crate) listener: Arc<ListenerConfig>,
    pub(crate) peer: SocketAddr,
    /// The source that a client certificate of the configured authority stands for.
    pub(crate) certified: Option<String>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) shutdown: CancellationToken,
}

/// How reading went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// There are more bytes.
    More,
    /// The peer has ended the stream.
    End,
    /// The connection failed, was idle for too long, or we stop.
    Gone,
}

impl Connection {
    /// The source of what the peer sends without a token, if it may.
    pub(crate) fn admitted_source(&self) -> Option<&str> {
        if let Some(source) = &self.certified {
            return Some(source);
        }
        let ip = self.peer.ip().to_canonical();
        let is_allowed = self.listener.allow.iter().any(|network| network.contains(&ip));
        if is_allowed { self.listener.source.as_deref() } else { None }
    }

    /// Where records of `source` come from.
    pub(crate) fn origin(&self, source: &str, protocol: &dyn Protocol) -> Origin {
        Origin {
            source: source.to_owned(),
            peer: Some(self.peer.ip().to_canonical()),
            protocol: protocol.name(),
            zone: self.pipeline.config.zone_of(source),
            mask_secrets: self.pipeline.config.masks_secrets_of(source),
            comes_again: false,
        }
    }

    /// Begins to look after a peer that sends again what it has not heard of. One that is gone without a
    /// word must be missed before it comes again.
    pub(crate) fn session(&self, origin: &Origin) -> Session {
        if let Some(Err(error)) = self.stream.socket().map(expect_signs_of_life) {
            debug!(peer = %self.peer, error = %error, "connection cannot be watched: {error}");
        }
        self.pipeline.doubts.session(origin)
    }

    /// Reads on.
    pub(crate) async fn read(&mut self) -> Reading {
        if let Some(ended) = self.ended {
            return ended;
        }
        self.buffer.reserve(READ_BYTES);
        let read = self.stream.read_buf(&mut self.buffer);
        let read = tokio::time::timeout(self.pipeline.limits().idle_timeout, read);
        let read = tokio::select! {
            () = self.shutdown.cancelled() => return Reading::Gone,
            read = read => read,
        };
        match read {
            Ok(Ok(0)) => Reading::End,
            Ok(Ok(_)) => Reading::More,
            Ok(Err(error)) => {
                debug!(peer = %self.peer, error = %error, "connection failed: {error}");
                Reading::Gone
            }
            Err(_) => Reading::Gone,
        }
    }

    /// Reads on as long as it flows, up to about half of what a connection may hold: what comes together
    /// is stored together. Who waits to hear of the records of `session` need not once its peer waits too.
    pub(crate) async fn read_in(&mut self, session: Option<&mut Session>) -> Reading {
        let length = self.buffer.len();
        let reading = match session {
            Some(session) => match self.try_read().await {
                Some(reading) => reading,
                None => {
                    session.live();
                    self.read().await
                }
            },
            None => self.read().await,
        };
        if reading == Reading::More {
            self.ended = self.read_flow(length).await;
        }
        reading
    }

    /// Reads what follows the bytes from `start` on; answers how the stream ended, if it did.
    async fn read_flow(&mut self, mut start: usize) -> Option<Reading> {
        let bytes_max = self.pipeline.limits().connection_bytes_max / 2;
        while self.buffer.len() < bytes_max {
            let reading = match self.try_read().await {
                None if self.buffer.len() - start >= FLOW_BYTES => {
                    start = self.buffer.len();
                    tokio::time::timeout(FLOW_PAUSE, self.read()).await.ok()
                }
                reading => reading,
            };
            if reading != Some(Reading::More) {
                return reading;
            }
        }
        None
    }

    /// Reads on when that needs no waiting.
    async fn try_read(&mut self) -> Option<Reading> {
        tokio::select! {
            biased;
            reading = self.read() => Some(reading),
            () = std::future::ready(()) => None,
        }
    }

    /// Writes a line for the peer, as [`Connection::write`] does.
    pub(crate) async fn write_line(&mut self, line: &str) -> io::Result<()> {
        self.write(format!("{line}\n").as_bytes()).await
    }

    /// Writes an answer for the peer, who must take it within [`WRITE_TIMEOUT`].
    pub(crate) async fn write(&mut self, answer: &[u8]) -> io::Result<()> {
        let write = async {
            self.stream.write_all(answer).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(WRITE_TIMEOUT, write).await?
    }

    /// Tells the peer of `session` that its records are durable, and notes whether it was there still.
    pub(crate) async fn answer(&mut self, session: &mut Session, answer: &[u8]) -> io::Result<()> {
        // With so much in hand there is more to answer.
        let reading = if self.buffer.len() < READ_BYTES { self.try_read().await } else { None };
        session.is_heard = matches!(reading, None | Some(Reading::More));
        self.write(answer).await
    }

    /// Counts and tells that the peer may not write, with this token or without one.
    pub(crate) fn deny(&self, protocol: &'static str, token: Option<&str>) {
        counter!(CONNECTIONS_REFUSED_TOTAL, "reason" => "unauthorized").increment(1);
        self.pipeline.note_denial(self.peer.ip(), protocol, token);
    }

    /// Says why the connection ends, and ends it.
    pub(crate) async fn refuse(&mut self, line: &str) {
        // The peer may be gone or not listening; that the connection ends says enough.
        let _ = self.write_line(line).await;
        let _ = self.stream.shutdown().await;
    }
}

/// What one frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// One JSON object each.
    Json,
    /// The same, which is whole without an end behind it when the stream ends.
    Gelf,
    /// Whatever the normalizer makes of it.
    Any,
}

/// Reads records until the end of the stream and makes each batch durable.
pub(crate) struct Pump {
    pub(crate) framing: Framing,
    pub(crate) content: Content,
    pub(crate) origin: Arc<Origin>,
    pub(crate) quota: Arc<Quota>,
    /// After each batch the peer is told how many lines are durable; what it has not heard of it may
    /// send again over another connection.
    pub(crate) session: Option<Session>,
    /// What the peer has shown, unless it may write without: looked at again before each batch, so
    /// that a token that is revoked ends the connection too.
    pub(crate) token: Option<Secret<String>>,
}

impl Pump {
    /// Serves the connection until its end; `first` was read before.
    pub(crate) async fn run(mut self, connection: &mut Connection, first: Option<Frame>) {
        let mut lines = 0u64;
        let mut frames: Vec<_> = first.into_iter().collect();
        // Nothing more came for what may go on.
        let mut is_waited_for = false;
        let mut waiting = Waiting::default();
        loop {
            self.take(connection, &mut frames);
            if frames.is_empty() {
                match connection.read_in(self.session.as_mut()).await {
                    Reading::More => continue,
                    Reading::End => {}
                    Reading::Gone => return,
                }
                let mut rest: Vec<_> =
                    std::iter::from_fn(|| self.framing.finish(&mut connection.buffer)).collect();
                self.complete(&mut rest);
                let is_all = rest.is_empty();
                self.store(connection, rest, &mut lines).await;
                if let Some(session) = self.session.as_mut().filter(|one| one.is_heard && is_all) {
                    session.leave();
                }
                // The peer may be gone already.
                let _ = connection.stream.shutdown().await;
                return;
            }
            if !self.may_write(&connection.pipeline) {
                let token = self.token.as_ref().map(|token| token.expose().as_str());
                connection.deny(self.origin.protocol, token);
                return connection.refuse(tcp_json::UNAUTHORIZED).await;
            }
            let open = if is_waited_for { 0 } else { self.open_frames(connection, &frames) };
            let open = waiting.allow(open, frames.len(), Instant::now());
            let rest = frames.split_off(frames.len() - open);
            if !self.store(connection, std::mem::replace(&mut frames, rest), &mut lines).await {
                return;
            }
            is_waited_for = false;
            if open > 0 {
                let reading = tokio::time::timeout(join::WAIT, connection.read()).await;
                is_waited_for = reading != Ok(Reading::More);
            }
        }
    }

    /// How many frames at the end may go on with the next one. A batch that is full does not wait for
    /// itself.
    fn open_frames(&self, connection: &Connection, frames: &[Frame]) -> usize {
        if self.content == Content::Gelf
            || frames.iter().any(|frame| !matches!(frame, Frame::Record(_)))
        {
            return 0;
        }
        let limits = connection.pipeline.limits();
        let open = join::open_records(frames.iter().map(|frame| without_line_end(frame.bytes())));
        let bytes: usize = frames.iter().map(|frame| frame.bytes().len()).sum();
        let is_full =
            frames.len() >= limits.connection_records_max || bytes >= limits.connection_bytes_max;
        if is_full && open == frames.len() { 0 } else { open }
    }

    fn may_write(&self, pipeline: &Pipeline) -> bool {
        self.token.as_ref().is_none_or(|token| {
            tcp_json::source_of_token(pipeline, token.expose()).as_deref()
                == Some(self.origin.source.as_str())
        })
    }

    /// Whole frames of what was read, at most one batch.
    fn take(&mut self, connection: &mut Connection, frames: &mut Vec<Frame>) {
        let limits = connection.pipeline.limits();
        let (records_max, bytes_max) = (limits.connection_records_max, limits.connection_bytes_max);
        let mut bytes = frames.iter().map(|frame| frame.bytes().len()).sum::<usize>();
        while frames.len() < records_max && bytes < bytes_max {
            let Some(frame) = self.framing.next(&mut connection.buffer) else { break };
            bytes += frame.bytes().len();
            frames.push(frame);
        }
    }

    /// Many senders of syslog and GELF do not end their last message; one of JSON lines is not whole.
    fn complete(&self, frames: &mut [Frame]) {
        for frame in frames {
            let may_be_whole = matches!(self.content, Content::Any | Content::Gelf);
            if let (true, Frame::Truncated(bytes)) = (may_be_whole, &mut *frame) {
                *frame = Frame::Record(std::mem::take(bytes));
            }
        }
    }

    /// Makes the records of `frames` durable and says so; false when the connection must end.
    async fn store(
        &mut self,
        connection: &mut Connection,
        frames: Vec<Frame>,
        lines: &mut u64,
    ) -> bool {
        if frames.is_empty() {
            return true;
        }
        let is_broken = matches!(frames.last(), Some(Frame::Broken(_)));
        let count = frames.len() as u64;
        let bytes = frames.iter().map(|frame| frame.bytes().len()).sum();
        let pipeline = Arc::clone(&connection.pipeline);
        let shutdown = connection.shutdown.clone();
        let room = tokio::select! {
            () = shutdown.cancelled() => return false,
            room = self.quota.room(bytes) => room,
        };
        let frames = Arc::new(frames);
        let mut is_stored = Vec::new();
        if let Some(session) = &mut self.session {
            let (names, named) = (session.names(), Arc::clone(&frames));
            let records =
                move || names.of(named.iter().map(|frame| without_line_end(frame.bytes())));
            let Ok(ids) = pipeline.compute(bytes, records).await else { return false };
            is_stored = tokio::select! {
                () = shutdown.cancelled() => return false,
                is_stored = session.hold(ids) => is_stored,
            };
        }
        let converted = self.convert(&pipeline, frames, is_stored, (*lines, bytes)).await;
        let Ok(batch) = converted else { return false };
        if !pipeline.append_patiently(batch, &self.origin, &self.quota, None, &shutdown).await {
            return false;
        }
        drop(room);
        *lines += count;
        if let Some(session) = &mut self.session {
            session.keep();
            let answer = format!("{{\"ack\":{lines}}}\n");
            if connection.answer(session, answer.as_bytes()).await.is_err() {
                return false;
            }
        }
        !is_broken
    }

    async fn convert(
        &self,
        pipeline: &Arc<Pipeline>,
        frames: Arc<Vec<Frame>>,
        is_stored: Vec<bool>,
        (lines_before, bytes): (u64, usize),
    ) -> Result<Batch, crate::pipeline::Refusal> {
        let (origin, quota) = (Arc::clone(&self.origin), Arc::clone(&self.quota));
        let (content, limits) = (self.content, Arc::clone(&pipeline.config));
        let clock = Arc::clone(pipeline);
        pipeline
            .compute(bytes, move || {
                let mut taker = Taker {
                    batch: if content == Content::Gelf {
                        Batch::default()
                    } else {
                        Batch::joining()
                    },
                    intake: clock.intake(&origin, &quota),
                    record_bytes_max: limits.limits.record_bytes_max,
                };
                let is_stored = is_stored.into_iter().chain(std::iter::repeat(false));
                for ((line, frame), is_stored) in (lines_before + 1..).zip(&*frames).zip(is_stored)
                {
                    if !is_stored {
                        taker.take_frame(content, line, frame);
                    }
                }
                taker.batch.finish(taker.intake);
                taker.batch
            })
            .await
    }
}

/// A record without the line breaks behind it. Blanks stay: a line that was split may end in them.
pub(crate) fn without_line_end(record: &[u8]) -> &[u8] {
    let is_of_line = |byte: &u8| !matches!(byte, b'\r' | b'\n');
    &record[..record.iter().rposition(is_of_line).map_or(0, |last| last + 1)]
}

/// Makes a batch of frames or documents.
pub(crate) struct Taker<'a> {
    pub(crate) batch: Batch,
    pub(crate) intake: Intake<'a>,
    pub(crate) record_bytes_max: usize,
}

impl Taker<'_> {
    fn take_frame(&mut self, content: Content, line: u64, frame: &Frame) {
        let bytes = frame.bytes();
        let (code, reason, size_bytes) = match frame {
            Frame::Record(record) => return self.take_record(content, line, record),
            Frame::TooLong(_, size) => {
                ("line_too_long", documents::too_long(*size, self.record_bytes_max), *size)
            }
            Frame::Truncated(_) => {
                ("truncated", "the stream ended inside the record".to_owned(), bytes.len())
            }
            Frame::Broken(_) => {
                ("bad_framing", "expected the length of a record here".to_owned(), bytes.len())
            }
        };
        self.batch.reject(self.intake, bytes, Rejection { line, code, reason, size_bytes });
    }

    /// Takes one record, whose length is within the bound.
    pub(super) fn take_record(&mut self, content: Content, line: u64, record: &[u8]) {
        let record = without_line_end(record);
        if record.trim_ascii().is_empty() {
            return;
        }
        if content == Content::Any {
            self.batch.add(self.intake, line, record);
        } else if documents::Sink::take(self, line, record).is_err() {
            // Several objects on one line, or one that is bad and gets its reason.
            documents::cut(record, self.record_bytes_max, &mut OnLine { taker: self, line });
        }
    }
}

impl documents::Sink for Taker<'_> {
    fn take(&mut self, line: u64, document: &[u8]) -> Result<(), Malformed> {
        self.batch.add_json(self.intake, line, document)
    }

    fn reject(&mut self, line: u64, bytes: &[u8], code: &'static str, reason: String) {
        let size_bytes = bytes.len();
        self.batch.reject(self.intake, bytes, Rejection { line, code, reason, size_bytes });
    }

    fn is_full(&self) -> bool {
        false
    }
}

/// Everything is on one line of a connection.
struct OnLine<'t, 'a> {
    taker: &'t mut Taker<'a>,
    line: u64,
}

impl documents::Sink for OnLine<'_, '_> {
    fn take(&mut self, _line: u64, document: &[u8]) -> Result<(), Malformed> {
        self.taker.take(self.line, document)
    }

    fn reject(&mut self, _line: u64, bytes: &[u8], code: &'static str, reason: String) {
        self.taker.reject(self.line, bytes, code, reason);
    }

    fn is_full(&self) -> bool {
        false
    }
}
