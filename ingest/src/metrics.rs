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
/// Times a TCP connection had to wait before it was read on, by `reason`.
pub const WAITS_TOTAL: &str = "logwarden_ingest_waits_total";
/// Datagrams that were dropped, by `reason`; those that the kernel drops are not among them.
pub const DATAGRAMS_DROPPED_TOTAL: &str = "logwarden_ingest_datagrams_dropped_total";
/// Connections that were accepted, by `listener`.
pub const CONNECTIONS_TOTAL: &str = "logwarden_ingest_connections_total";
/// Connections that were closed before they could send, by `reason`.
pub const CONNECTIONS_REFUSED_TOTAL: &str = "logwarden_ingest_connections_refused_total";
/// Records whose conversion panicked.
pub const PANICS_TOTAL: &str = "logwarden_ingest_panics_total";
/// Seconds from the last byte of a batch to its being durable.
pub const APPEND_SECONDS: &str = "logwarden_ingest_append_seconds";
