//! The metrics of this crate.

/// Queries that were answered.
pub(crate) const QUERIES_TOTAL: &str = "logwarden_query_queries_total";
/// Seconds a query took.
pub(crate) const QUERY_SECONDS: &str = "logwarden_query_seconds";
/// Queries that answered with a part because their time was over or a piece could not be read.
pub(crate) const INCOMPLETE_TOTAL: &str = "logwarden_query_incomplete_total";
/// Queries that were refused because they needed too much memory or too many groups.
pub(crate) const TOO_EXPENSIVE_TOTAL: &str = "logwarden_query_too_expensive_total";
/// Queries that were cancelled.
pub(crate) const CANCELLED_TOTAL: &str = "logwarden_query_cancelled_total";
/// Live tails that were refused because there were too many.
pub(crate) const TAILS_REFUSED_TOTAL: &str = "logwarden_query_tails_refused_total";
/// Events that a live tail was too slow for.
pub(crate) const TAIL_DROPPED_TOTAL: &str = "logwarden_query_tail_dropped_total";
