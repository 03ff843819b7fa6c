//! OTLP over gRPC: `LogsService/Export`, one message in, one out (grpc, "PROTOCOL-HTTP2").
//!
//! Input: an HTTP/2 connection, plain or below TLS. Output: what became of the records of each call.
//! Who sends is told by the token in the metadata `authorization`, else the listener must admit the
//! peer. What passes with time is `UNAVAILABLE` with a `RetryInfo`, which every exporter obeys; what
//! can never be stored is `INVALID_ARGUMENT`, which none sends again. Each call is served to its end
//! when its peer has gone. HTTP/2 is spoken by `h2` alone: one method needs no framework.

use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use metrics::counter;
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;

use super::super::answer::Failure;
use super::super::body::{BodyError, Encoding};
use super::super::door::{self, Admission};
use super::super::stream::Connection;
use super::super::{Protocol as _, protobuf};
use super::{Otlp, binary};
use crate::doubt::Answered;
use crate::metrics::CONNECTIONS_REFUSED_TOTAL;
use crate::pipeline::Pipeline;

/// What a client sends first (RFC 9113, section 3.4), up to where no other protocol agrees.
pub(super) const PREFACE: &[u8] = b"PRI ";

const PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const MESSAGE_TYPE: &str = "application/grpc";
const ENCODINGS: &str = "identity,gzip,deflate,zstd";
const RETRY_INFO_TYPE: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// Calls of one connection at a time; a client waits with more.
const CALLS_MAX: u32 = 32;
/// Bytes of names and values in the head of a call.
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Bytes that a client may send before we have read them, per call and per connection.
const WINDOW_BYTES: u32 = 256 << 10;
/// Whether it is compressed, and its length, before a message.
const PREFIX_BYTES: usize = 5;

static GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
static GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
static GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Serves a connection until its end.
pub(super) async fn serve(connection: Connection) {
    let admitted = connection.admitted_source().map(str::to_owned);
    let Connection { stream, buffer, peer, pipeline, shutdown, .. } = connection;
    let limits = pipeline.limits().clone();
    let mut is_known = admitted.is_some();
    let caller = Arc::new(Caller { pipeline, admitted, peer });
    let (read, write) = tokio::io::split(stream);
    let read = AsyncReadExt::chain(Cursor::new(buffer.freeze()), read);
    let stream = tokio::io::join(read, write);
    let handshake = h2::server::Builder::new()
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(CALLS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .handshake(stream);
    let Ok(Ok(mut http)) = timeout(limits.first_bytes_timeout, handshake).await else {
        counter!(CONNECTIONS_REFUSED_TOTAL, "reason" => "handshake").increment(1);
        return;
    };
    let mut calls = JoinSet::new();
    // Answers that the connection has not written yet.
    let mut unwritten: Vec<Answered> = Vec::new();
    let mut is_ending = false;
    loop {
        // Who has shown no token yet is not waited for, nor is anybody once we stop.
        let is_patient = is_known && !is_ending;
        let patience = if is_patient { limits.idle_timeout } else { limits.first_bytes_timeout };
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled(), if !is_ending => {
                is_ending = true;
                http.graceful_shutdown();
                continue;
            }
            Some(ended) = calls.join_next() => {
                if let Ok(call) = ended {
                    let Call { is_known: may_write, answered } = call;
                    is_known |= may_write;
                    unwritten.extend(answered);
                }
                continue;
            }
            accepted = timeout(patience, http.accept()) => accepted,
            // The connection has written what it could, and its peer has not gone.
            () = std::future::ready(()), if !unwritten.is_empty() => {
                unwritten.drain(..).for_each(|answered| answered.is_given());
                continue;
            }
        };
        match accepted {
            Ok(Some(Ok((request, respond)))) => {
                let caller = Arc::clone(&caller);
                calls.spawn(async move { caller.serve(request, respond).await });
            }
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                debug!(%peer, error = %error, "connection failed: {error}");
                break;
            }
            Err(_) if !calls.is_empty() => {}
            Err(_) if is_ending => break,
            Err(_) => {
                is_ending = true;
                http.graceful_shutdown();
            }
        }
    }
    // Nobody has heard these; an equal call waits until that is said.
    drop(unwritten);
    // What has come whole is stored, whether or not somebody still hears of it.
    while calls.join_next().await.is_some() {}
}

/// Who calls.
struct Caller {
    pipeline: Arc<Pipeline>,
    /// The source of calls without a token, if the listener admits the peer.
    admitted: Option<String>,
    peer: SocketAddr,
}

/// A call that was served.
#[derive(Default)]
struct Call {
    /// Its sender may write.
    is_known: bool,
    /// Its answer, unless the call was given up.
    answered: Option<Answered>,
}

impl Caller {
    /// Answers one call.
    async fn serve(&self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Call {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if parts.method != Method::POST || !kind.is_some_and(is_message_type) {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let _ = respond.send_response(response, true);
            return Call::default();
        }
        let answered = Answered::default();
        let answer = self.export(&parts, body, answered.clone()).await;
        let is_denied = |code| matches!(code, Code::Unauthenticated | Code::PermissionDenied);
        if matches!(&answer, Err(status) if is_denied(status.code)) {
            let token = door::token_of(&parts.headers);
            self.pipeline.note_denial(self.peer.ip(), Otlp.name(), token.as_deref());
        }
        let is_known = !matches!(&answer, Err(status) if status.code == Code::Unauthenticated);
        // That a peer has gone is seen by the connection.
        let given = match answer {
            Ok(message) => said(&mut respond, &message),
            Err(status) => refused(&mut respond, status),
        };
        Call { is_known, answered: given.is_ok().then_some(answered) }
    }

    /// The response message.
    async fn export(
        &self,
        parts: &Parts,
        mut body: RecvStream,
        answered: Answered,
    ) -> Result<Vec<u8>, Status> {
        let headers = &parts.headers;
        let source = door::source_by_token(&self.pipeline, headers)
            .and_then(|source| {
                source.or_else(|| self.admitted.clone()).ok_or_else(Failure::unauthorized)
            })
            .inspect_err(Failure::count)?;
        if parts.uri.path() != PATH {
            let message = format!("there is no `{}` here", parts.uri.path());
            return Err(Status::new(Code::Unimplemented, message));
        }
        let named = headers.get(&GRPC_ENCODING).map_or("", |name| name.to_str().unwrap_or("?"));
        let Some(encoding) = Encoding::from_name(named).filter(|one| *one != Encoding::Snappy)
        else {
            Failure::unsupported_encoding().count();
            let message = format!("`grpc-encoding` is one of {ENCODINGS}");
            return Err(Status::new(Code::Unimplemented, message));
        };
        let peer = self.peer.ip().to_canonical();
        let call = (headers, answered);
        let admission = Admission::of_call(&self.pipeline, source, peer, Otlp.name(), call)?;
        let admission = admission.that_comes_again("");
        admission.within_quota()?;
        let grace = self.pipeline.limits().body_grace;
        let prefix = timeout(grace, Prefix::read(&mut body)).await;
        let prefix = prefix.unwrap_or(Err(BodyError::TooSlow)).map_err(Failure::of_body);
        let prefix = prefix.inspect_err(Failure::count)?;
        let encoding = match (prefix.is_compressed, encoding) {
            (false, _) => Encoding::Identity,
            (true, Encoding::Identity) => {
                Failure::of_body(BodyError::BadEncoding).count();
                let message = "the message is compressed, and `grpc-encoding` says not how";
                return Err(Status::new(Code::Internal, message.to_owned()));
            }
            (true, encoding) => encoding,
        };
        let admission = admission.expecting(prefix.length, encoding);
        let shipment = admission.read(prefix.message(body)).await?;
        if shipment.body.len() != prefix.length {
            let broken = Failure::of_body(BodyError::Broken);
            broken.count();
            return Err(broken.into());
        }
        let cut = shipment.cut(|body, records| Ok(binary::take(body, records)));
        let mut cut = cut.await?;
        let taken = cut.found;
        let tally = cut.store().await?.tally;
        let message = tally.errors.first().map_or("", |error| &error.reason);
        match tally.rejected {
            0 => Ok(Vec::new()),
            // A body that is no export at all, rather than one with bad records.
            _ if taken == 0 => Err(Status::new(Code::InvalidArgument, message.to_owned())),
            rejected => Ok(binary::partial_success(rejected, message)),
        }
    }
}

/// `application/grpc`, by itself or with what it carries.
fn is_message_type(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    matches!(kind.to_ascii_lowercase().as_str(), MESSAGE_TYPE | "application/grpc+proto")
}

/// What stands before a message, and what came of the message with it.
struct Prefix {
    is_compressed: bool,
    length: usize,
    begun: Bytes,
}

impl Prefix {
    async fn read(body: &mut RecvStream) -> Result<Self, BodyError> {
        let mut begun = BytesMut::new();
        while begun.len() < PREFIX_BYTES {
            let chunk = next_chunk(body).await.ok_or(BodyError::Broken)?;
            begun.extend_from_slice(&chunk.map_err(|_| BodyError::Broken)?);
        }
        let is_compressed = begun.get_u8() & 1 == 1;
        let length = usize::try_from(begun.get_u32()).unwrap_or(usize::MAX);
        Ok(Self { is_compressed, length, begun: begun.freeze() })
    }

    /// The message; one that is longer than it says breaks off, as there is only one.
    fn message(&self, body: RecvStream) -> Body {
        let first = (!self.begun.is_empty()).then(|| self.begun.clone());
        let chunks = stream::unfold((first, body, self.length), async |(first, mut body, left)| {
            let chunk = match first {
                Some(first) => Ok(first),
                None => next_chunk(&mut body).await?.map_err(io::Error::other),
            };
            let chunk = chunk.and_then(|chunk| match left.checked_sub(chunk.len()) {
                Some(left) => Ok((chunk, left)),
                None => Err(io::Error::other("more than one message")),
            });
            Some(match chunk {
                Ok((chunk, left)) => (Ok(chunk), (None, body, left)),
                Err(error) => (Err(error), (None, body, 0)),
            })
        });
        Body::from_stream(chunks)
    }
}

/// The next bytes, for which the client may send others.
async fn next_chunk(body: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let chunk = body.data().await?;
    if let Ok(chunk) = &chunk {
        // Fails only when the stream has ended by then.
        let _ = body.flow_control().release_capacity(chunk.len());
    }
    Some(chunk)
}

/// Codes of gRPC that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Ok = 0,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// Why a call was not served.
struct Status {
    code: Code,
    message: String,
    retry_after: Option<Duration>,
}

impl Status {
    const fn new(code: Code, message: String) -> Self {
        Self { code, message, retry_after: None }
    }

    /// `google.rpc.Status` with one `RetryInfo`: code (1), message (2), details (3), each of them a
    /// type (1) and its message (2), here a delay (1) in seconds (1).
    fn details(&self, retry_after: Duration) -> Vec<u8> {
        let mut seconds = vec![0x08];
        protobuf::put_varint(retry_after.as_secs(), &mut seconds);
        let mut delay = Vec::new();
        protobuf::put_bytes(1, &seconds, &mut delay);
        let mut detail = Vec::new();
        protobuf::put_bytes(1, RETRY_INFO_TYPE.as_bytes(), &mut detail);
        protobuf::put_bytes(2, &delay, &mut detail);
        let mut status = vec![0x08, self.code as u8];
        protobuf::put_bytes(2, self.message.as_bytes(), &mut status);
        protobuf::put_bytes(3, &detail, &mut status);
        status
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let failure = failure.or_unavailable();
        let code = match failure.status() {
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            _ => Code::InvalidArgument,
        };
        let retry_after = failure.retry_after_secs().map(Duration::from_secs);
        Self { code, message: failure.message().to_owned(), retry_after }
    }
}

/// Sends the response message and that all is well.
fn said(respond: &mut SendResponse<Bytes>, message: &[u8]) -> Result<(), h2::Error> {
    let mut head = Response::new(());
    set_types(head.headers_mut());
    let mut body = respond.send_response(head, false)?;
    let length = u32::try_from(message.len()).map_err(|_| Reason::INTERNAL_ERROR)?;
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(message);
    body.send_data(framed.freeze(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS.clone(), HeaderValue::from(Code::Ok as u16));
    body.send_trailers(trailers)
}

/// Sends why a call was not served.
fn refused(respond: &mut SendResponse<Bytes>, status: Status) -> Result<(), h2::Error> {
    let mut head = Response::new(());
    set_types(head.headers_mut());
    let mut put = |name: &HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            head.headers_mut().insert(name.clone(), value);
        }
    };
    put(&GRPC_STATUS, &(status.code as u8).to_string());
    put(&GRPC_MESSAGE, &escaped(&status.message));
    if let Some(retry_after) = status.retry_after {
        put(&GRPC_DETAILS, &STANDARD_NO_PAD.encode(status.details(retry_after)));
    }
    respond.send_response(head, true).map(drop)
}

fn set_types(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MESSAGE_TYPE));
    headers.insert(GRPC_ACCEPT_ENCODING.clone(), HeaderValue::from_static(ENCODINGS));
}

/// A message as metadata: what is not printable ASCII, and `%`, as `%XX`.
fn escaped(message: &str) -> String {
    let mut escaped = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
