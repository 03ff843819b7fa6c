//! `/ingest` in the description of the API. The handler lives on another floor, which this crate
//! does not see: what is said here is checked from outside, against the running server.

use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::error::ErrorBody;

/// The paths that another crate serves.
#[derive(OpenApi)]
#[openapi(paths(take), components(schemas(Receipt, RefusedLine)))]
pub(super) struct Ingest;

/// What became of a batch, after it is durable.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IngestReceipt)]
struct Receipt {
    /// Records that became events.
    accepted: u64,
    /// Records that did not.
    rejected: u64,
    /// Records that were kept as dead letters.
    dead_lettered: u64,
    /// The first number in the journal.
    seq_first: u64,
    /// The last number in the journal.
    seq_last: u64,
    /// The batch was stored before under the same key; this is the first answer again.
    duplicate: bool,
    errors: Vec<RefusedLine>,
}

/// Why one line became no event.
#[derive(Debug, Serialize, ToSchema)]
struct RefusedLine {
    /// From 1 on.
    line: u64,
    /// A word for programs, such as `invalid_json`.
    code: String,
    reason: String,
}

/// Takes records: NDJSON, one JSON object, a JSON array, or objects back to back. 200 after all of
/// it is durable; 400 when nothing was usable; 429, 503 and 507 when nothing was stored.
#[utoipa::path(
    post, path = "/api/v1/ingest", tag = "ingest",
    params(
        ("wait" = Option<String>, Query, description = "`searchable`: answers when it is."),
        ("Idempotency-Key" = Option<String>, Header,
            description = "The same key with the same body is stored once, within a day."),
        ("Content-Encoding" = Option<String>, Header, description = "gzip, zstd or deflate."),
    ),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses(
        (status = 200, body = Receipt),
        (status = 422, body = ErrorBody, description = "The key came with another body before."),
        (status = "default", body = ErrorBody, description = "Any other answer is an error."),
    ),
    extensions(("x-permission" = json!("Ingest")))
)]
#[expect(dead_code, reason = "documents what another crate serves")]
fn take() {}
