//! Names of this crate's metrics. Each way to refuse, lose or delay a record has one.

/// Events made durable, by `source` and `protocol`.
pub const EVENTS_TOTAL: &str = "logwarden_ingest_events_total";
/// Bytes of records made durable, by `source` and `protocol`.
pub const BYTES_TOTAL: &str = "logwarden_ingest_bytes_total";
/// Records that became dead letters, by `source` and `code`.
pub const DEAD_LETTERS_TOTAL: &str = "logwarden_ingest_dead_letters_total";
/// Records that were bad and could not be kept either: the source's dead letters are over their
/// daily bound.
pub const DEAD_LETTERS_DROPPED_TOTAL: &str = "logwarden_ingest_dead_letters_dropped_total";
/// Batches that were refused, by `reason`.
pub const BATCHES_REFUSED_TOTAL: &str = "logwarden_ingest_batches_refused_total";
/// Times a source was told to wait because it sends too much, by `source` and `quota`.
pub const SOURCE_OVER_QUOTA_TOTAL: &str = "logwarden_ingest_source_over_quota_total";
/// Times a source could not be kept apart from others because there are too many: its rates are not
/// kept then, its room is.
pub const SOURCES_FORGOTTEN_TOTAL: &str = "logwarden_ingest_sources_forgotten_total";
/// Batches of sources that are not watched because there are too many.
pub const SOURCES_UNWATCHED_TOTAL: &str = "logwarden_ingest_sources_unwatched_total";
/// Events about sources that were never told: too many waited for the journal.
pub const SOURCE_EVENTS_LOST_TOTAL: &str = "logwarden_ingest_source_events_lost_total";
/// Times a TCP connection had to wait before it was read on, by `reason`.
pub const WAITS_TOTAL: &str = "logwarden_ingest_waits_total";
/// Batches that were answered before they could be searched or rules were close behind them, by who was too
/// far `behind`.
pub const PACE_EXCEEDED_TOTAL: &str = "logwarden_ingest_pace_exceeded_total";
/// Datagrams that were dropped, by `reason`; those that the kernel drops are not among them.
pub const DATAGRAMS_DROPPED_TOTAL: &str = "logwarden_ingest_datagrams_dropped_total";
/// Connections that were accepted, by `listener`.
pub const CONNECTIONS_TOTAL: &str = "logwarden_ingest_connections_total";
/// Connections that were closed before they could send, by `reason`.
pub const CONNECTIONS_REFUSED_TOTAL: &str = "logwarden_ingest_connections_refused_total";
/// Lists of records that were kept as one record because they would have been too many at once.
pub const LISTS_KEPT_WHOLE_TOTAL: &str = "logwarden_ingest_lists_kept_whole_total";
/// Groups of records that belong together and were ended early, by `reason`.
pub const GROUPS_CUT_TOTAL: &str = "logwarden_ingest_groups_cut_total";
/// Documents with an id that were sent again and not stored again.
pub const DOCUMENTS_KNOWN_TOTAL: &str = "logwarden_ingest_documents_known_total";
/// Documents with an id that would be stored again: too many came after them.
pub const DOCUMENTS_FORGOTTEN_TOTAL: &str = "logwarden_ingest_documents_forgotten_total";
/// Records that came again because their sender had not heard of them and were not stored again, by
/// `protocol`.
pub const REPEATS_TOTAL: &str = "logwarden_ingest_repeats_total";
/// Records that would be stored again if they came again: too many came after them.
pub const DOUBTS_FORGOTTEN_TOTAL: &str = "logwarden_ingest_doubts_forgotten_total";
/// Indicators of threat lists in force.
pub const INDICATORS: &str = "logwarden_threat_indicators";
/// Fields of events that were found in a threat list.
pub const INDICATOR_MATCHES_TOTAL: &str = "logwarden_threat_matches_total";
/// New indicators that are not looked for in the past, because too many came at once.
pub const INDICATORS_NOT_LOOKED_FOR_TOTAL: &str =
    "logwarden_threat_indicators_not_looked_for_total";
/// Records whose conversion panicked.
pub const PANICS_TOTAL: &str = "logwarden_ingest_panics_total";
/// Seconds from the last byte of a batch to its being durable.
pub const APPEND_SECONDS: &str = "logwarden_ingest_append_seconds";
