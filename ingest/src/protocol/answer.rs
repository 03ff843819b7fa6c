//! Answers to HTTP senders: what became of a batch, or why nothing of it was stored.
//!
//! Failures have one shape, `{"error":{"code","message","request_id"}}`, and those that pass with
//! time say when to try again.

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use logwarden_store::config::Durability;
use metrics::counter;
use serde::Serialize;

use super::body::BodyError;
use crate::batch::{LineError, Tally};
use crate::metrics::BATCHES_REFUSED_TOTAL;
use crate::pipeline::{Refusal, Stored};

/// By what a refusal can be found again; the same as in its body.
static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Seconds after which it is worth trying again when nothing better is known.
const RETRY_AFTER_SECS: u64 = 1;

/// Why a request was not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after_secs: Option<u64>,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after_secs: None }
    }

    fn retry_after(mut self, secs: u64) -> Self {
        self.retry_after_secs = Some(secs.max(1));
        self
    }

    /// The same for every cause, so that nobody learns which tokens exist.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "a token that may write is needed")
    }

    pub(super) fn credential_in_url() -> Self {
        let message = "credentials are not taken from the URL, where they would be logged: send the header `Authorization: Bearer TOKEN`";
        Self::new(StatusCode::UNAUTHORIZED, "credential_in_url", message)
    }

    pub(super) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "this token may not write to this source")
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "records are sent with POST",
        )
    }

    pub(super) fn unsupported_encoding() -> Self {
        let message = "`Content-Encoding` is one of gzip, zstd, deflate and identity";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message)
    }

    pub(super) fn bad_key() -> Self {
        let message = "`Idempotency-Key` has 1 to 128 printable ASCII characters";
        Self::new(StatusCode::BAD_REQUEST, "bad_idempotency_key", message)
    }

    pub(super) fn too_many_records(records_max: usize) -> Self {
        let message = format!("a batch has at most {records_max} records");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_records", message)
    }

    pub(super) fn busy() -> Self {
        let message = "too much of this source is being stored already";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message).retry_after(RETRY_AFTER_SECS)
    }

    pub(super) fn of_body(error: BodyError) -> Self {
        let too_large =
            |code, message: &str| Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, message);
        match error {
            BodyError::TooLarge => too_large("too_large", "the batch is larger than 16 MiB"),
            BodyError::Ratio => too_large("too_compressed", "the body grows more than 200-fold"),
            BodyError::TooSlow => {
                let message = "the body came too slowly";
                Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
            }
            BodyError::NoRoom => Self::busy(),
            BodyError::Broken => {
                Self::new(StatusCode::BAD_REQUEST, "incomplete_body", "the body broke off")
            }
            BodyError::BadEncoding => {
                let message = "the body is not compressed as `Content-Encoding` says";
                Self::new(StatusCode::BAD_REQUEST, "bad_encoding", message)
            }
        }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        let code = refusal.code();
        match refusal {
            Refusal::Quota(over) => {
                let message = format!("the source is over its `{}`", over.what);
                Self::new(StatusCode::TOO_MANY_REQUESTS, code, message)
                    .retry_after(over.retry_after_secs())
            }
            Refusal::KeyConflict => {
                let message = "this `Idempotency-Key` was used with another body";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
            }
            Refusal::Full(full) => {
                let (status, message) = if full.is_full {
                    (StatusCode::INSUFFICIENT_STORAGE, "the disk is full; nothing was stored")
                } else {
                    (StatusCode::TOO_MANY_REQUESTS, "the disk is getting full; nothing was stored")
                };
                Self::new(status, code, message).retry_after(full.retry_after_secs)
            }
            Refusal::TooLarge => {
                let message = "with what normalization adds the batch is too large";
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, message)
            }
            Refusal::Unknown => {
                let message =
                    "the batch may be stored or not; send it again with the same `Idempotency-Key`";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
                    .retry_after(RETRY_AFTER_SECS)
            }
            Refusal::Unavailable => {
                let message = "batches cannot be stored now; nothing was stored";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
                    .retry_after(RETRY_AFTER_SECS)
            }
        }
    }

    /// Counts it: who has sent may be gone, and then hears no answer.
    pub(super) fn count(&self) {
        counter!(BATCHES_REFUSED_TOTAL, "reason" => self.code).increment(1);
    }

    /// What programs know it by.
    pub(super) const fn code(&self) -> &'static str {
        self.code
    }

    /// The status of the answer.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, in words.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// When it is worth trying again.
    pub(super) const fn retry_after_secs(&self) -> Option<u64> {
        self.retry_after_secs
    }

    /// For senders that try again after 503 and after no other failure that passes with time.
    pub(super) fn or_unavailable(mut self) -> Self {
        let passes = [StatusCode::TOO_MANY_REQUESTS, StatusCode::INSUFFICIENT_STORAGE];
        if passes.contains(&self.status) {
            self.status = StatusCode::SERVICE_UNAVAILABLE;
        }
        self
    }

    pub(super) fn into_response(self) -> Response {
        let error = ErrorBody::new(self.code, self.message);
        let request_id = error.request_id.clone();
        let mut response = json(self.status, &FailureBody { error });
        set(&mut response, X_REQUEST_ID.clone(), &request_id);
        if let Some(secs) = self.retry_after_secs {
            set(&mut response, RETRY_AFTER, &secs.to_string());
        }
        match self.status {
            StatusCode::UNAUTHORIZED => set(&mut response, WWW_AUTHENTICATE, "Bearer"),
            StatusCode::METHOD_NOT_ALLOWED => set(&mut response, ALLOW, "POST"),
            // Part of the body may not have been read.
            StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE => {
                set(&mut response, http::header::CONNECTION, "close");
            }
            _ => {}
        }
        response
    }
}

pub(super) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[derive(Serialize)]
struct FailureBody {
    error: ErrorBody,
}

#[derive(Serialize)]
struct ErrorBody {
    code: &'static str,
    message: String,
    request_id: String,
}

impl ErrorBody {
    fn new(code: &'static str, message: String) -> Self {
        let mut bytes = [0; 8];
        // Without randomness the id is all zeros, and the answer still good.
        let _ = getrandom::fill(&mut bytes);
        let request_id = format!("{:016x}", u64::from_be_bytes(bytes));
        Self { code, message, request_id }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    accepted: u64,
    rejected: u64,
    dead_lettered: u64,
    seq_first: Option<u64>,
    seq_last: Option<u64>,
    duplicate: bool,
    errors: &'a [LineError],
    /// Only when a batch is answered before it is durable.
    #[serde(skip_serializing_if = "Option::is_none")]
    durability: Option<&'static str>,
    /// Only with `?wait=searchable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    searchable: Option<bool>,
    /// Only when nothing was usable.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody>,
}

/// What became of a batch: 200, or 400 when nothing of it was usable.
pub(super) fn stored(
    stored: Option<&Stored>,
    tally: &Tally,
    searchable: Option<bool>,
    durability: Durability,
) -> Response {
    let is_usable = tally.accepted > 0;
    let error = (!is_usable).then(|| {
        let message = if tally.rejected == 0 {
            "the body holds no record"
        } else {
            "no record of the body is usable"
        };
        ErrorBody::new("nothing_usable", message.to_owned())
    });
    let answer = Answer {
        accepted: tally.accepted,
        rejected: tally.rejected,
        dead_lettered: tally.dead_lettered,
        seq_first: stored.map(|stored| stored.receipt.first.seq),
        seq_last: stored
            .map(|stored| (stored.receipt.first.seq + stored.receipt.records).saturating_sub(1)),
        duplicate: stored.is_some_and(|stored| stored.is_duplicate),
        errors: &tally.errors,
        durability: match durability {
            Durability::Fsync => None,
            Durability::UnsafeIntervalMs => Some("unsafe_interval_ms"),
        },
        searchable,
        error,
    };
    json(if is_usable { StatusCode::OK } else { StatusCode::BAD_REQUEST }, &answer)
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).expect("answers hold nothing that JSON cannot say");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, "application/json");
    response
}
