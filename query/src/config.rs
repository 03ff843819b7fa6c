//! How much one query may take, and how many run at once.

use std::thread::available_parallelism;
use std::time::Duration;

use serde::Deserialize;

/// Bounds of queries. The defaults suit one node with 512 MB of memory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Pieces that are read at the same time, by all queries together; others wait. Default: the
    /// number of cores.
    pub threads_max: usize,
    /// Queries of one principal at the same time; others wait. Default 8.
    pub principal_queries_max: usize,
    /// Seconds after which a query answers with what it has. Default 10.
    pub deadline_secs: u64,
    /// Bytes that the groups or hits of one query may take. Default 64 MiB.
    pub memory_bytes_max: usize,
    /// Rows an aggregation may have. Default 10,000.
    pub groups_max: usize,
    /// Live tails at the same time. Default 64.
    pub tails_max: usize,
}

impl Config {
    /// Hits one search may ask for.
    pub const HITS_MAX: usize = 10_000;
    /// Buckets one histogram may ask for.
    pub const BUCKETS_MAX: usize = 10_000;
    /// Different values of one field that are counted exactly for a facet.
    pub const FACET_VALUES_MAX: usize = 50_000;
    /// Events that wait for one slow tail; what comes beyond is dropped and counted.
    pub const TAIL_EVENTS_MAX: usize = 1_000;

    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_secs)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            threads_max: available_parallelism().map_or(1, usize::from),
            principal_queries_max: 8,
            deadline_secs: 10,
            memory_bytes_max: 64 << 20,
            groups_max: 10_000,
            tails_max: 64,
        }
    }
}
