//! Bodies and query strings on their way in, with their limits.
//!
//! A body is read after the credential was checked, up to the limit its route declares in the type,
//! and within [`BODY_WAIT_MAX`]. What cannot be read is refused in the API's own error shape.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::ApiError;

/// Bytes of a JSON body unless its route says otherwise.
pub(crate) const JSON_BYTES_MAX: usize = 64 * 1024;
/// Bytes of rules sent in one request.
pub(crate) const RULES_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of rules and sample records sent in one request.
pub(crate) const RULE_TEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a file of rules that is imported.
pub(crate) const RULE_IMPORT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What numbers are to us, and to nobody else.
const NUMBER_TYPES: [&str; 9] = ["u8", "u16", "u32", "u64", "usize", "i32", "i64", "f32", "f64"];
/// How long a body may take to arrive.
const BODY_WAIT_MAX: Duration = Duration::from_secs(30);

/// A JSON body of at most `BYTES_MAX` bytes.
pub(crate) struct Json<T, const BYTES_MAX: usize = JSON_BYTES_MAX>(pub(crate) T);

/// A YAML text of at most `BYTES_MAX` bytes.
pub(crate) struct Yaml<const BYTES_MAX: usize>(pub(crate) String);

/// A file of rules of at most `BYTES_MAX` bytes, YAML or XML.
pub(crate) struct RuleDocument<const BYTES_MAX: usize>(pub(crate) String);

/// The parameters after the question mark; unknown ones are ignored.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned, const BYTES_MAX: usize> FromRequest<S>
    for Json<T, BYTES_MAX>
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::unsupported_media_type("application/json"));
        }
        let body = read(request, BYTES_MAX).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| unfit(&error))
    }
}

impl<S: Send + Sync, const BYTES_MAX: usize> FromRequest<S> for Yaml<BYTES_MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !is_yaml(request.headers()) {
            return Err(ApiError::unsupported_media_type("application/yaml"));
        }
        text(request, BYTES_MAX).await.map(Self)
    }
}

impl<S: Send + Sync, const BYTES_MAX: usize> FromRequest<S> for RuleDocument<BYTES_MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let headers = request.headers();
        let is_xml = media_type(headers)
            .is_some_and(|kind| matches!(&*kind, "application/xml" | "text/xml"));
        if !is_yaml(headers) && !is_xml {
            return Err(ApiError::unsupported_media_type("application/yaml or application/xml"));
        }
        text(request, BYTES_MAX).await.map(Self)
    }
}

async fn text(request: Request, bytes_max: usize) -> Result<String, ApiError> {
    let body = read(request, bytes_max).await?;
    String::from_utf8(body.into()).map_err(|_| ApiError::bad_request("the body is not UTF-8"))
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(
            |rejection| {
                // Which one and why; before it stands how it was read.
                let text = rejection.body_text();
                let reason = text.split_once(": ").map_or("", |(_, reason)| reason);
                ApiError::bad_request(format!("the parameters are not as expected: {reason}"))
            },
        )
    }
}

/// The refusal of a JSON text. What does not fit is named; our own types, by which it was read, are not.
pub(crate) fn unfit(error: &serde_json::Error) -> ApiError {
    let said = error.to_string();
    let plain = |word| if NUMBER_TYPES.contains(&word) { "a number" } else { word };
    let reason = match error.classify() {
        Category::Data if said.contains("untagged enum") => {
            "a value is of a kind that is not taken"
        }
        Category::Data if said.contains("expected struct") => "an object is expected",
        Category::Data => &said.split(' ').map(plain).collect::<Vec<_>>().join(" "),
        Category::Syntax | Category::Eof | Category::Io => {
            let place = format!("line {}, column {}", error.line(), error.column());
            return ApiError::bad_request(format!("the body is not JSON: {place}"));
        }
    };
    ApiError::bad_request(format!("the body is not as expected: {reason}"))
}

/// Whether the body is JSON: a content type that no form can send.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| kind == "application/json")
}

/// Whether the body is YAML: a content type that no form can send.
pub(crate) fn is_yaml(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| {
        matches!(&*kind, "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml")
    })
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    text.split(';').next().map(|kind| kind.trim().to_ascii_lowercase())
}

async fn read(request: Request, bytes_max: usize) -> Result<Bytes, ApiError> {
    let declared = request.headers().get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > bytes_max) {
        return Err(ApiError::too_large(bytes_max));
    }
    match tokio::time::timeout(BODY_WAIT_MAX, to_bytes(request.into_body(), bytes_max)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if is_length_limit(&error) => Err(ApiError::too_large(bytes_max)),
        Ok(Err(_)) => Err(ApiError::bad_request("the body broke off")),
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            format!("the body took longer than {} s", BODY_WAIT_MAX.as_secs()),
        )),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if inner.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = inner.source();
    }
    false
}
