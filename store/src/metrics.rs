//! Names of the store's metrics.

/// Blocks of blobs whose checksum was wrong.
pub const BLOB_BLOCKS_DAMAGED: &str = "logwarden_blob_blocks_damaged_total";
/// Chunks of blobs far away that were in the cache.
pub const BLOB_CACHE_HITS: &str = "logwarden_blob_cache_hits_total";
/// Chunks that were not.
pub const BLOB_CACHE_MISSES: &str = "logwarden_blob_cache_misses_total";
/// Bytes fetched because they were not in the cache.
pub const BLOB_CACHE_FETCHED_BYTES: &str = "logwarden_blob_cache_fetched_bytes_total";
/// Bytes in the cache.
pub const BLOB_CACHE_BYTES: &str = "logwarden_blob_cache_bytes";
/// Chunks in the cache that were damaged and fetched again.
pub const BLOB_CACHE_DAMAGED: &str = "logwarden_blob_cache_damaged_total";
/// Chunks that could not be written into the cache.
pub const BLOB_CACHE_UNWRITTEN: &str = "logwarden_blob_cache_unwritten_total";
/// Records that became durable.
pub const JOURNAL_RECORDS: &str = "logwarden_journal_records_total";
/// Bytes of groups that became durable.
pub const JOURNAL_BYTES: &str = "logwarden_journal_bytes_total";
/// Groups that became durable.
pub const JOURNAL_GROUPS: &str = "logwarden_journal_groups_total";
/// Seconds from writing a group until it was durable.
pub const JOURNAL_SYNC_SECONDS: &str = "logwarden_journal_sync_seconds";
/// Syncs that failed.
pub const JOURNAL_SYNC_FAILURES: &str = "logwarden_journal_sync_failures_total";
/// 1 while batches are acknowledged before they are durable (`durability = "unsafe_interval_ms"`).
pub const JOURNAL_UNSAFE: &str = "logwarden_journal_unsafe";
/// Batches answered as duplicates.
pub const JOURNAL_DUPLICATES: &str = "logwarden_journal_duplicates_total";
/// Batches refused because the same key came with another body.
pub const JOURNAL_KEY_CONFLICTS: &str = "logwarden_journal_key_conflicts_total";
/// Batches refused because there is no room.
pub const JOURNAL_REFUSED_FULL: &str = "logwarden_journal_refused_full_total";
/// Batches that waited because too many bytes were under way.
pub const JOURNAL_QUEUE_WAITS: &str = "logwarden_journal_queue_waits_total";
/// Reads answered from memory.
pub const JOURNAL_READS_MEMORY: &str = "logwarden_journal_reads_memory_total";
/// Reads answered from the disk.
pub const JOURNAL_READS_DISK: &str = "logwarden_journal_reads_disk_total";
/// Bytes of a torn tail that recovery cut off.
pub const WAL_TORN_TAIL_BYTES: &str = "logwarden_wal_torn_tail_bytes";
/// Segments that recovery or a reader found damaged.
pub const WAL_SEGMENTS_DAMAGED: &str = "logwarden_wal_segments_damaged_total";
/// Segments removed because nobody needs them.
pub const WAL_SEGMENTS_TRIMMED: &str = "logwarden_wal_segments_trimmed_total";
/// Segments removed for room although somebody needed them.
pub const WAL_SEGMENTS_DROPPED: &str = "logwarden_wal_segments_dropped_total";
/// Idempotency keys forgotten before their time, because there were too many.
pub const IDEMPOTENCY_KEYS_FORGOTTEN: &str = "logwarden_idempotency_keys_forgotten_total";
/// Sign-ins refused because there were too many attempts.
pub const SIGN_INS_LIMITED: &str = "logwarden_sign_ins_limited_total";
/// Records that a consumer was not given because it died of them.
pub const REPLAY_RECORDS_LEFT_OUT: &str = "logwarden_replay_records_left_out_total";
/// Notes of what a consumer is at work on that could not be written.
pub const REPLAY_NOTES_FAILED: &str = "logwarden_replay_notes_failed_total";
