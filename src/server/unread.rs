//! What of a body nobody read: a refusal is answered while its sender still writes.
//!
//! Many clients write all of a request before they look for an answer. A connection that is closed
//! meanwhile tells them only that it broke. So what is left of a body goes on being read after the
//! answer, up to [`DISCARDED_BYTES_MAX`] and [`DISCARD_TIMEOUT`], and is thrown away. A sender that
//! waits for leave to write (`Expect: 100-continue`) is not told to begin.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Request, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// Bytes of one body that are thrown away: four times what a body may have.
const DISCARDED_BYTES_MAX: usize = 64 << 20;
/// How long what is left of one body may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes read at once of what is no request.
const PIECE_BYTES: usize = 64 << 10;

/// Bytes of requests that were read only to be thrown away.
const DISCARDED_BYTES_TOTAL: &str = "logwarden_http_discarded_bytes_total";
/// Connections closed while their sender still wrote: it was too much, or took too long.
const DISCARDS_CUT_TOTAL: &str = "logwarden_http_discards_cut_total";

/// A body on its way to the router; what is left of it when it is dropped goes to `rests`, which
/// holds at most one: a connection has one request at a time.
pub(super) struct Watched {
    body: Option<Incoming>,
    /// Its sender writes without being asked to, or was asked.
    is_coming: bool,
    rests: UnboundedSender<Incoming>,
}

impl Watched {
    /// The same request with its body watched.
    pub(super) fn of(
        request: Request<Incoming>,
        rests: &UnboundedSender<Incoming>,
    ) -> Request<Self> {
        let is_coming = !request.headers().contains_key(header::EXPECT);
        request.map(|body| Self { body: Some(body), is_coming, rests: rests.clone() })
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.is_coming = true;
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        Pin::new(body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let left = self.body.take().filter(|body| self.is_coming && !body.is_end_stream());
        if let Some(body) = left {
            // Nobody hears of it when the connection is gone, and nothing comes any more either.
            let _ = self.rests.send(body);
        }
    }
}

/// Throws away what is left of the bodies of a connection, for as long as it is polled.
pub(super) async fn discard_rests(mut rests: UnboundedReceiver<Incoming>) -> Infallible {
    loop {
        match rests.recv().await {
            Some(body) => within_bounds(discard(body)).await,
            None => std::future::pending().await,
        }
    }
}

/// Throws away what still comes after something that was no request.
pub(super) async fn discard_all(mut stream: impl AsyncRead + Unpin) {
    let reading = async {
        let mut piece = vec![0; PIECE_BYTES];
        let mut left = DISCARDED_BYTES_MAX;
        loop {
            match stream.read(&mut piece).await {
                Ok(read) if read > 0 => left = count(left, read)?,
                // The end, or a connection that is gone.
                _ => return Some(()),
            }
        }
    };
    within_bounds(reading).await;
}

async fn discard(mut body: Incoming) -> Option<()> {
    let mut left = DISCARDED_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        left = count(left, frame.data_ref().map_or(0, Bytes::len))?;
    }
    Some(())
}

/// Bytes that may still come after these; nothing when they are too many.
fn count(left: usize, read: usize) -> Option<usize> {
    metrics::counter!(DISCARDED_BYTES_TOTAL).increment(read as u64);
    left.checked_sub(read)
}

async fn within_bounds(reading: impl Future<Output = Option<()>>) {
    if !matches!(tokio::time::timeout(DISCARD_TIMEOUT, reading).await, Ok(Some(()))) {
        metrics::counter!(DISCARDS_CUT_TOTAL).increment(1);
    }
}
