//! Names of this crate's metrics.

/// Records that became searchable.
pub(crate) const EVENTS_TOTAL: &str = "logwarden_index_events_total";
/// Records that were missing in the journal and stepped over.
pub(crate) const GAP_RECORDS_TOTAL: &str = "logwarden_index_gap_records_total";
/// Times an event broke the code that reads it; it is in every answer, to be verified.
pub(crate) const POISON_EVENTS_TOTAL: &str = "logwarden_index_poison_events_total";
/// Bytes of events in memory.
pub(crate) const HEAD_BYTES: &str = "logwarden_index_head_bytes";
/// Times the journal was not read on because events in memory were at their bound.
pub(crate) const MEMORY_FULL_TOTAL: &str = "logwarden_index_memory_full_total";
/// Times reading the journal failed and was tried again.
pub(crate) const READ_RETRIES_TOTAL: &str = "logwarden_index_read_retries_total";
/// Times building or storing a split failed and was tried again.
pub(crate) const BUILD_RETRIES_TOTAL: &str = "logwarden_index_build_retries_total";
/// Times publishing a split failed or was left open and was tried again.
pub(crate) const PUBLISH_RETRIES_TOTAL: &str = "logwarden_index_publish_retries_total";
/// Splits that were published.
pub(crate) const SPLITS_PUBLISHED_TOTAL: &str = "logwarden_index_splits_published_total";
/// Blobs of unfinished splits that were removed at start-up.
pub(crate) const ORPHANS_REMOVED_TOTAL: &str = "logwarden_index_orphans_removed_total";
/// Splits in the catalog.
pub(crate) const SPLITS: &str = "logwarden_index_splits";
/// Times a split was opened because it was not open already.
pub(crate) const SPLITS_OPENED_TOTAL: &str = "logwarden_index_splits_opened_total";
/// Times a split could not be opened.
pub(crate) const SPLITS_UNREADABLE_TOTAL: &str = "logwarden_index_splits_unreadable_total";
/// Splits that were found to be damaged.
pub(crate) const SPLITS_DAMAGED_TOTAL: &str = "logwarden_index_splits_damaged_total";
/// Splits that are damaged and not made anew yet.
pub(crate) const SPLITS_DAMAGED: &str = "logwarden_index_splits_damaged";
/// Damaged splits that were made anew.
pub(crate) const SPLITS_REBUILT_TOTAL: &str = "logwarden_index_splits_rebuilt_total";
/// Events of damaged splits that the journal did not have any more.
pub(crate) const EVENTS_LOST_TOTAL: &str = "logwarden_index_events_lost_total";
/// Splits that retention removed.
pub(crate) const RETENTION_SPLITS_TOTAL: &str = "logwarden_index_retention_splits_total";
/// Events in them.
pub(crate) const RETENTION_EVENTS_TOTAL: &str = "logwarden_index_retention_events_total";
/// Bytes of them.
pub(crate) const RETENTION_BYTES_TOTAL: &str = "logwarden_index_retention_bytes_total";
/// Whether something is due that a guard keeps: 1 or 0.
pub(crate) const RETENTION_REFUSED: &str = "logwarden_index_retention_refused";
/// Splits that were merged into larger ones.
pub(crate) const SPLITS_MERGED_TOTAL: &str = "logwarden_index_splits_merged_total";
/// Times splits could not be merged.
pub(crate) const MERGES_FAILED_TOTAL: &str = "logwarden_index_merges_failed_total";
