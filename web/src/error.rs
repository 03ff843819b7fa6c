//! One shape for every error: `{ "error": { "code", "message", "request_id", … } }`.
//!
//! A handler answers with an [`ApiError`]; it knows no request id. The frame around all routes
//! (`frame.rs`) adds the id and writes the body, so that an error looks the same wherever it was
//! made. What went wrong inside goes to our own log and never into an answer.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::json;

/// An answer that is no success.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    detail: ErrorDetail,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What the client is told. Travels as a response extension to the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorDetail {
    /// A word for programs.
    pub(crate) code: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
    /// Where in the query the error is, in characters.
    pub(crate) position: Option<usize>,
    /// What could have stood there.
    pub(crate) expected: Vec<String>,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody<'a> {
    error: ErrorContent<'a>,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorContent<'a> {
    /// A word for programs, such as `syntax_error`.
    code: &'a str,
    /// A sentence for people.
    message: &'a str,
    /// Names this request in the server's log.
    request_id: &'a str,
    /// For `syntax_error`: where in the query, in characters from 0 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    /// For `syntax_error`: what could have stood there.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    expected: &'a [String],
}

impl ErrorDetail {
    /// The JSON text, for the request with this id.
    pub(crate) fn to_json(&self, request_id: &str) -> String {
        let error = self.content(request_id);
        serde_json::to_string(&ErrorBody { error }).expect("text and numbers always serialize")
    }

    /// Writes what stands under `error`, for an answer that says something besides.
    pub(crate) fn write(&self, request_id: &str, out: &mut Vec<u8>) {
        json::write_serialized(&self.content(request_id), out);
    }

    fn content<'a>(&'a self, request_id: &'a str) -> ErrorContent<'a> {
        ErrorContent {
            code: self.code,
            message: &self.message,
            request_id,
            position: self.position,
            expected: &self.expected,
        }
    }
}

impl ApiError {
    /// An error with a code for programs and a sentence for people.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let detail =
            ErrorDetail { code, message: message.into(), position: None, expected: Vec::new() };
        Self { status, detail, headers: Vec::new() }
    }

    /// 400: the request says something that cannot be.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// 400 with the place of the mistake in a query and what could have stood there.
    pub(crate) fn syntax(
        message: impl Into<String>,
        position: usize,
        expected: Vec<String>,
    ) -> Self {
        let mut error = Self::new(StatusCode::BAD_REQUEST, "syntax_error", message);
        error.detail.position = Some(position);
        error.detail.expected = expected;
        error
    }

    /// 401, the same for every cause: no credential, an unknown one, an expired or revoked one, or
    /// one that stands in the URL.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid credential is needed")
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: known, but not allowed.
    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "this credential may not do that")
    }

    /// 403: the request carries a cookie but does not come from our own pages.
    pub(crate) fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "a change by cookie must come from this site, as JSON or YAML",
        )
    }

    /// 404.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
    }

    /// 405.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this path does not know that method",
        )
    }

    /// 409.
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 413: the body is larger than this route takes.
    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body may have at most {limit_bytes} bytes here"),
        )
    }

    /// 415.
    pub(crate) fn unsupported_media_type(expected: &'static str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            format!("the content type must be {expected}"),
        )
    }

    /// 422: understood, but too much was asked for.
    pub(crate) fn too_expensive(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_expensive", message)
    }

    /// 429 with the time to wait.
    pub(crate) fn too_many_requests(message: impl Into<String>, retry_after_secs: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message)
            .with_header(header::RETRY_AFTER, HeaderValue::from(retry_after_secs))
    }

    /// 503: the part that should answer does not.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
            .with_header(header::RETRY_AFTER, HeaderValue::from(5))
    }

    /// 500. `cause` goes to our own log only.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "request failed: {cause}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed; its log has the reason under this request id",
        )
    }

    /// What the client is told, for streams that began before the error.
    pub(crate) fn detail(&self) -> &ErrorDetail {
        &self.detail
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// An empty answer that carries the detail; the frame writes the body.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.headers_mut().extend(self.headers);
        response.extensions_mut().insert(Arc::new(self.detail));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_where_and_which_request() {
        let error = ApiError::syntax("unexpected `)`", 7, vec!["a word".to_owned()]);
        assert_eq!(
            error.detail().to_json("abc"),
            r#"{"error":{"code":"syntax_error","message":"unexpected `)`","request_id":"abc","position":7,"expected":["a word"]}}"#
        );
        assert_eq!(
            ApiError::not_found().detail().to_json("abc"),
            r#"{"error":{"code":"not_found","message":"there is nothing here","request_id":"abc"}}"#
        );
    }
}
