//! Whose turn it is to write: the router's, or that of the HTTP library, which answers what is no
//! request by itself, without a body and without the headers that every other answer has.
//!
//! [`Wire`] lets what the router answers pass. What is written when no request is under way is the
//! library's own; it is held back, and [`Turn::refused`] says with which status, so that the refusal
//! can be written in the shape of all others. Exact: a request is under way from when the router is
//! asked until the last byte of its answer has been flushed. What is read between requests is the
//! head of the next one, which has to say in one way where the request ends ([`Head`]).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::Head;

/// No request is under way.
const IDLE: u16 = 0;
/// The router was asked, and its answer is not whole yet.
const ANSWERING: u16 = 1;
/// All of the answer has been handed over, but may not be flushed yet.
const ENDING: u16 = 2;

/// Whose turn it is on one connection.
#[derive(Clone, Default)]
pub(super) struct Turn(Arc<State>);

#[derive(Default)]
struct State {
    /// From 100 on it is the status of a refusal that is not the router's, after which a connection ends.
    turn: AtomicU16,
    /// Requests the router was asked.
    requests: AtomicU64,
}

impl Turn {
    /// The router is asked.
    pub(super) fn begin(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        self.0.turn.store(ANSWERING, Ordering::Relaxed);
    }

    /// The turn ends with this answer.
    pub(super) fn end_with(&self, answer: Response<Body>) -> Response<Answer> {
        answer.map(|body| Answer { body, turn: self.clone() })
    }

    /// With which status was refused what was no request.
    pub(super) fn refused(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.0.turn.load(Ordering::Relaxed)).ok()
    }

    fn is_routers(&self) -> bool {
        matches!(self.0.turn.load(Ordering::Relaxed), ANSWERING | ENDING)
    }

    fn pass(&self, from: u16, to: u16) {
        let _ = self.0.turn.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Notes the status in the first line of what the library writes, `HTTP/1.1 431 …`.
    fn note(&self, written: &[u8]) {
        let status = written.get(9..12).and_then(|status| StatusCode::from_bytes(status).ok());
        let status = status.unwrap_or(StatusCode::BAD_REQUEST);
        self.pass(IDLE, status.as_u16());
    }
}

/// The body of an answer of the router.
pub(super) struct Answer {
    body: Body,
    turn: Turn,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.turn.pass(ANSWERING, ENDING);
    }
}

/// A connection that passes on what the router answers, and nothing else.
pub(super) struct Wire<S> {
    stream: S,
    turn: Turn,
    head: Head,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, turn: Turn) -> Self {
        Self { stream, turn, head: Head::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, turn, head } = &mut *self;
        let known = buffer.filled().len();
        ready!(Pin::new(stream).poll_read(context, buffer))?;
        let requests = turn.0.requests.load(Ordering::Relaxed);
        if !turn.is_routers() && !head.take(requests, &buffer.filled()[known..]) {
            turn.pass(IDLE, StatusCode::BAD_REQUEST.as_u16());
            buffer.set_filled(known);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.turn.is_routers() {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        self.turn.note(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.turn.is_routers() {
            return Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        }
        self.turn.note(pieces.first().map_or(&[], |piece| piece));
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.turn.pass(ENDING, IDLE);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.turn.refused().is_some() {
            // The refusal is still to be written.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
