//! Names of this crate's metrics.

/// Records that became searchable.
pub(crate) const EVENTS_TOTAL: &str = "logwarden_index_events_total";
/// Records that were missing in the journal and stepped over.
pub(crate) const GAP_RECORDS_TOTAL: &str = "logwarden_index_gap_records_total";
/// Events that broke the code that reads them; they are in every answer, to be verified.
pub(crate) const POISON_EVENTS_TOTAL: &str = "logwarden_index_poison_events_total";
/// Bytes of events in memory.
pub(crate) const HEAD_BYTES: &str = "logwarden_index_head_bytes";
/// Times the journal was not read on because events in memory were at their bound.
pub(crate) const MEMORY_FULL_TOTAL: &str = "logwarden_index_memory_full_total";
/// Times reading the journal failed and was tried again.
pub(crate) const READ_RETRIES_TOTAL: &str = "logwarden_index_read_retries_total";
