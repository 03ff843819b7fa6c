//! Names of the metrics of this crate, and the few lines that count them.

use std::time::Duration;

use http::StatusCode;

/// Requests answered, by class of status (`class`: `2xx` to `5xx`).
pub(crate) const REQUESTS_TOTAL: &str = "logwarden_http_requests_total";
/// Seconds from the request's head to the head of its answer.
pub(crate) const REQUEST_SECONDS: &str = "logwarden_http_request_seconds";
/// Audit entries written to the journal.
pub(crate) const AUDIT_ENTRIES_TOTAL: &str = "logwarden_audit_entries_total";
/// Audit entries lost because the journal refused them or the queue was full.
pub(crate) const AUDIT_LOST_TOTAL: &str = "logwarden_audit_lost_total";
/// Requests refused because a principal had too many under way.
pub(crate) const REFUSED_BUSY_TOTAL: &str = "logwarden_http_refused_busy_total";
/// Live tails open.
pub(crate) const TAILS_OPEN: &str = "logwarden_http_tails_open";

/// Counts one answer.
pub(crate) fn count_request(status: StatusCode, took: Duration) {
    let class = match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    };
    metrics::counter!(REQUESTS_TOTAL, "class" => class).increment(1);
    metrics::histogram!(REQUEST_SECONDS).record(took.as_secs_f64());
}
