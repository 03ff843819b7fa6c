//! Bounds of the index.

use std::time::Duration;

use serde::Deserialize;

use crate::retention::Policy;

/// Bounds of the index. The defaults suit one node with 512 MB of memory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Events in the head at which it becomes a split. Default 50,000.
    pub head_events_max: usize,
    /// Bytes of events in the head at which it becomes a split. Default 64 MiB.
    pub head_bytes_max: usize,
    /// Age of the head, in seconds, at which it becomes a split. Default 300.
    pub head_age_max_secs: u64,
    /// Bytes of events in memory, in the head and in the one that is becoming a split, at which the
    /// journal is not read on until a split is published. Default 160 MiB.
    pub memory_bytes_max: usize,
    /// Splits that are kept open; others are opened again when they are needed. Default 256.
    pub open_splits_max: usize,
    /// Bytes of decompressed events that are kept for the next query. Default 96 MiB.
    pub block_cache_bytes_max: usize,
    /// Events that a merged split holds at most. Default 500,000.
    pub merge_events_max: u64,
    /// Bytes of events, before compression, that a merged split holds at most; building one takes
    /// about twice as much memory. Default 96 MiB.
    pub merge_bytes_max: u64,
    /// How long events are kept. Not a key of the section: `[[retention]]` is a table of its own.
    #[serde(skip)]
    pub retention: Vec<Policy>,
}

impl Config {
    /// Names of fields that a piece tells at most; more are searchable but not listed.
    pub const FIELDS_MAX: usize = 4_000;

    pub(crate) fn head_age_max(&self) -> Duration {
        Duration::from_secs(self.head_age_max_secs)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            head_events_max: 50_000,
            head_bytes_max: 64 << 20,
            head_age_max_secs: 300,
            memory_bytes_max: 160 << 20,
            open_splits_max: 256,
            block_cache_bytes_max: 96 << 20,
            merge_events_max: 500_000,
            merge_bytes_max: 96 << 20,
            retention: Vec::new(),
        }
    }
}
