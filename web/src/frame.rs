//! What surrounds every request: its id, the headers of every answer, errors as JSON, panics.
//!
//! In: any request. Out: an answer that carries the security headers and, when it is an error, the
//! one error shape with the request's id. Nothing behind the frame can answer without it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use tracing::Instrument;

use crate::error::{ApiError, ErrorDetail};
use crate::metrics;
use crate::origin::Scheme;
use crate::route::shown_path;

/// Names one request in answers and in our log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

/// The policy of every HTML page: scripts and styles from here only, nothing inline, no framing.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types svelte-trusted-html";

/// The policy of everything that is data: a browser that shows it runs and frames nothing.
pub(crate) const DATA_SECURITY_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

const STRICT_TRANSPORT_SECURITY: &str = "max-age=63072000";

/// Header that carries the request's id in every answer.
pub(crate) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps one request.
pub(crate) async fn frame(State(scheme): State<Scheme>, request: Request, next: Next) -> Response {
    if request.extensions().get::<RequestId>().is_some() {
        return next.run(request).await;
    }
    let started = Instant::now();
    let request_id = RequestId(new_request_id());
    let (mut parts, body) = request.into_parts();
    let is_tls = scheme.of(&parts).is_tls();
    if let Err(message) = check_framing(&parts) {
        return refusal(StatusCode::BAD_REQUEST, "bad_request", message, is_tls);
    }
    let method = parts.method.clone();
    let path = shown_path(parts.uri.path()).to_owned();
    parts.extensions.insert(request_id.clone());
    let request = Request::from_parts(parts, body);
    let span = tracing::info_span!("request", request.id = %request_id.0);
    let answered = std::panic::AssertUnwindSafe(next.run(request).instrument(span)).catch_unwind();
    let response = answered.await.unwrap_or_else(|_| {
        // The panic hook has logged what and where.
        ApiError::internal(format_args!("the handler of {method} panicked")).into_response()
    });
    let mut response = render_error(response, &request_id);
    set_headers(response.headers_mut(), &request_id, is_tls);
    let status = response.status();
    metrics::count_request(status, started.elapsed());
    // That of a sender's door, where it has told one of its own.
    let told = response.headers().get(&X_REQUEST_ID).and_then(|id| id.to_str().ok());
    tracing::debug!(
        request.id = told.unwrap_or(&request_id.0), http.method = %method, http.status = status.as_u16(),
        "answered {method} {} with {}", path.escape_debug(), status.as_u16(),
    );
    response
}

/// Refuses what the parser of HTTP takes and a proxy before us may read otherwise: a host that is not
/// one (RFC 9112, 3.2), a coding besides `chunked` (6.1).
fn check_framing(parts: &Parts) -> Result<(), &'static str> {
    if parts.version != Version::HTTP_11 {
        return Ok(());
    }
    let hosts = parts.headers.get_all(header::HOST).iter().count();
    let has_peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().is_some();
    if hosts > 1 || (hosts == 0 && has_peer && parts.uri.authority().is_none()) {
        return Err("a request names one host");
    }
    let mut codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_some_and(|coding| !is_chunked(coding)) || codings.next().is_some() {
        return Err("a body is sent `chunked` and in no other coding of the transfer");
    }
    Ok(())
}

/// Answers a request that is refused before any route is asked, in the shape and with the headers of
/// every other error; the connection ends with it.
pub fn refusal(status: StatusCode, code: &'static str, message: &str, is_tls: bool) -> Response {
    let request_id = RequestId(new_request_id());
    let refused = ApiError::new(status, code, message).into_response();
    let mut response = render_error(refused, &request_id);
    set_headers(response.headers_mut(), &request_id, is_tls);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// 16 hexadecimal digits from the system's random numbers; not a secret.
fn new_request_id() -> Arc<str> {
    let mut bytes = [0u8; 8];
    // Without randomness an id is still better than no answer.
    if getrandom::fill(&mut bytes).is_err() {
        bytes = [0; 8];
    }
    format!("{:016x}", u64::from_be_bytes(bytes)).into()
}

/// Writes the body of an error; gives one to refusals of the framework that brought none of ours.
fn render_error(response: Response, request_id: &RequestId) -> Response {
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let is_html = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let detail = response.extensions().get::<Arc<ErrorDetail>>().cloned();
    let detail = match detail {
        Some(detail) => detail,
        None if is_json || is_html => return response,
        None if status == StatusCode::METHOD_NOT_ALLOWED => {
            Arc::new(ApiError::method_not_allowed().detail().clone())
        }
        None if status.is_client_error() || status.is_server_error() => {
            let reason = status.canonical_reason().unwrap_or("refused").to_lowercase();
            Arc::new(ApiError::new(status, "refused", reason).detail().clone())
        }
        None => return response,
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, Body::from(detail.to_json(&request_id.0)))
}

/// Sets what every answer carries; a handler's own `Content-Security-Policy` and `Cache-Control`
/// stay.
fn set_headers(headers: &mut HeaderMap, request_id: &RequestId, is_tls: bool) {
    let is_html = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let policy = if is_html { CONTENT_SECURITY_POLICY } else { DATA_SECURITY_POLICY };
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        ),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_tls {
        let value = HeaderValue::from_static(STRICT_TRANSPORT_SECURITY);
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(value);
    }
    if let Ok(value) = HeaderValue::from_str(&request_id.0) {
        // The doors of senders have told an id of their own.
        headers.entry(X_REQUEST_ID.clone()).or_insert(value);
    }
}
