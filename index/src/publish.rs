//! Splits in the catalog: which exist, and how one becomes part of every later snapshot.
//!
//! A blob is stored first. Then one transaction writes its row and moves the checkpoint. Blobs
//! without a row are what a crash in between left; start-up removes them.

use std::collections::HashSet;
use std::time::Duration;

use logwarden_event::{Position, SplitId, Timestamp};
use logwarden_store::{
    Blobs, CatalogError, Checkpoint, Migration, Row, SqlValue, Statement, Step, StepOutcome, Store,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::IndexError;
use crate::index::{CONSUMER, LANE};
use crate::metrics::{ORPHANS_REMOVED_TOTAL, PUBLISH_RETRIES_TOTAL};
use crate::split::{BLOB_PREFIX, SplitMeta};

/// The tables of this crate.
pub(crate) const MIGRATIONS: &[Migration] = &[
    "CREATE TABLE index_splits (
    id TEXT PRIMARY KEY,
    lane BIGINT NOT NULL,
    seq_first BIGINT NOT NULL,
    seq_last BIGINT NOT NULL,
    event_count BIGINT NOT NULL,
    time_first BIGINT NOT NULL,
    time_last BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    raw_bytes BIGINT NOT NULL
)",
    "CREATE TABLE index_retention (
    id TEXT PRIMARY KEY,
    value TEXT NOT NULL
)",
    "CREATE TABLE index_tombstones (
    split TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    told BIGINT NOT NULL
)",
];
/// The name under which the tables are migrated.
pub(crate) const ROOM: &str = "index";

const SELECT_SPLITS: &str = "SELECT id, lane, seq_first, seq_last, event_count, time_first, \
     time_last, size_bytes, raw_bytes FROM index_splits ORDER BY id";
const SELECT_SPLIT: &str = "SELECT id FROM index_splits WHERE id = ?1";
const INSERT_SPLIT: &str = "INSERT INTO index_splits (id, lane, seq_first, seq_last, event_count, \
     time_first, time_last, size_bytes, raw_bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
     ON CONFLICT (id) DO NOTHING";
const SELECT_DAMAGED: &str =
    "SELECT split FROM index_tombstones WHERE record LIKE '%\"event.action\":\"split.damaged\"%'";
const DELETE_SPLIT: &str = "DELETE FROM index_splits WHERE id = ?1";

/// The first and the longest wait before something that failed is tried again.
const RETRY_DELAYS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// How long to wait before the next attempt.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    /// No attempt failed yet.
    pub(crate) fn new() -> Self {
        Self(RETRY_DELAYS.0)
    }

    /// Waits, longer every time; `false` when `shutdown` came first.
    pub(crate) async fn wait(&mut self, shutdown: &CancellationToken) -> bool {
        let delay = self.0;
        self.0 = (delay * 2).min(RETRY_DELAYS.1);
        tokio::select! {
            () = shutdown.cancelled() => false,
            () = tokio::time::sleep(delay) => true,
        }
    }
}

/// Every published split.
pub(crate) async fn load_splits(store: &Store) -> Result<Vec<SplitMeta>, IndexError> {
    let select = Statement { sql: SELECT_SPLITS, values: Vec::new() };
    let answers = store.catalog.query(vec![select]).await?;
    let rows = answers.into_iter().flatten();
    rows.map(|row| from_row(&row).ok_or_else(malformed)).collect()
}

fn malformed() -> IndexError {
    CatalogError::Failed("a row of `index_splits` makes no sense".to_owned()).into()
}

/// The splits of which a record says that they were damaged.
pub(crate) async fn load_damaged(store: &Store) -> Result<HashSet<String>, IndexError> {
    let select = Statement { sql: SELECT_DAMAGED, values: Vec::new() };
    let rows = store.catalog.query(vec![select]).await?.into_iter().flatten();
    let id = |row: Row| match row.0.into_iter().next() {
        Some(SqlValue::Text(id)) => Some(format!("{BLOB_PREFIX}{id}.lws")),
        _ => None,
    };
    Ok(rows.filter_map(id).collect())
}

/// Removes blobs that no row names, and puts those aside that were `damaged`; returns how many. Blocks.
pub(crate) fn remove_orphans(
    blobs: &dyn Blobs,
    known: &[SplitMeta],
    damaged: &HashSet<String>,
) -> usize {
    let known: HashSet<String> = known.iter().map(SplitMeta::blob).collect();
    let names = blobs.list(BLOB_PREFIX).unwrap_or_else(|error| {
        warn!(%error, "blobs cannot be listed, orphans stay");
        Vec::new()
    });
    let mut removed = 0;
    for name in names.into_iter().filter(|name| !known.contains(name)) {
        let gone = match damaged.contains(&name) {
            true => blobs.put_aside(&name),
            false => blobs.delete(&name),
        };
        match gone {
            Ok(()) => removed += 1,
            Err(error) => warn!(%error, blob = name, "orphan cannot be removed"),
        }
    }
    if removed > 0 {
        ::metrics::counter!(ORPHANS_REMOVED_TOTAL).increment(removed as u64);
        info!(removed, "{removed} blobs of unfinished splits removed");
    }
    removed
}

/// Publishes a split and moves the checkpoint, in one transaction; tries until it is known to be
/// done. `false`: `shutdown` came first, and it may be done or not.
///
/// # Errors
///
/// [`IndexError::Stale`] when another indexer moved the checkpoint.
pub(crate) async fn publish_split(
    store: &Store,
    split: &SplitMeta,
    expected: Option<Position>,
    next: Position,
    shutdown: &CancellationToken,
) -> Result<bool, IndexError> {
    let checkpoint = Checkpoint {
        consumer: CONSUMER.to_owned(),
        journal: store.journal.identity(),
        position: next,
    };
    let step = Step {
        expected: vec![(CONSUMER.to_owned(), LANE, expected)],
        advance: vec![checkpoint],
        statements: vec![insert(split)],
    };
    let Some(outcome) = step_until_known(store, step, shutdown).await? else { return Ok(false) };
    match outcome {
        StepOutcome::Done { .. } => Ok(true),
        // Another indexer that ended at the same position would look the same.
        StepOutcome::AlreadyDone if is_published(store, split.id).await? => Ok(true),
        StepOutcome::AlreadyDone => Err(IndexError::Stale { expected, found: Some(next) }),
        StepOutcome::Stale(found) => {
            let found = found.first().map(|checkpoint| checkpoint.position);
            Err(IndexError::Stale { expected, found })
        }
    }
}

/// Puts splits in the place of others and writes what is said of it, in one transaction; tries until
/// it is known to be done. `false`: `shutdown` came first, and it may be done or not.
pub(crate) async fn replace_splits(
    store: &Store,
    old: &[SplitId],
    new: &[&SplitMeta],
    said: Option<Statement>,
    shutdown: &CancellationToken,
) -> Result<bool, IndexError> {
    let new = new.iter().map(|split| insert(split));
    let statements = new.chain(old.iter().map(delete)).chain(said).collect();
    let step = Step { statements, ..Step::default() };
    Ok(step_until_known(store, step, shutdown).await?.is_some())
}

/// Removes splits and writes what is said of it, in one transaction; tries until it is known to be
/// done. `false`: `shutdown` came first, and it may be done or not.
pub(crate) async fn remove_splits(
    store: &Store,
    going: &[SplitId],
    tombstones: Vec<Statement>,
    shutdown: &CancellationToken,
) -> Result<bool, IndexError> {
    let statements = tombstones.into_iter().chain(going.iter().map(delete)).collect();
    let step = Step { statements, ..Step::default() };
    Ok(step_until_known(store, step, shutdown).await?.is_some())
}

fn delete(id: &SplitId) -> Statement {
    Statement { sql: DELETE_SPLIT, values: vec![SqlValue::Text(id.to_string())] }
}

async fn step_until_known(
    store: &Store,
    step: Step,
    shutdown: &CancellationToken,
) -> Result<Option<StepOutcome>, IndexError> {
    let mut backoff = Backoff::new();
    loop {
        let error = match store.catalog.step(step.clone()).await {
            Ok(outcome) => return Ok(Some(outcome)),
            Err(error @ (CatalogError::Conflict(_) | CatalogError::Version { .. })) => {
                return Err(error.into());
            }
            Err(error) => error,
        };
        ::metrics::counter!(PUBLISH_RETRIES_TOTAL).increment(1);
        warn!(%error, "split cannot be published, will try again");
        if !backoff.wait(shutdown).await {
            return Ok(None);
        }
    }
}

async fn is_published(store: &Store, id: SplitId) -> Result<bool, IndexError> {
    let values = vec![SqlValue::Text(id.to_string())];
    let answers = store.catalog.query(vec![Statement { sql: SELECT_SPLIT, values }]).await?;
    Ok(answers.iter().any(|rows| !rows.is_empty()))
}

fn insert(split: &SplitMeta) -> Statement {
    let number = |number: u64| SqlValue::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    Statement {
        sql: INSERT_SPLIT,
        values: vec![
            SqlValue::Text(split.id.to_string()),
            number(u64::from(split.lane)),
            number(split.seq_first),
            number(split.seq_last),
            number(split.event_count),
            SqlValue::Integer(split.first.nanos()),
            SqlValue::Integer(split.last.nanos()),
            number(split.size_bytes),
            number(split.raw_bytes),
        ],
    }
}

fn from_row(row: &Row) -> Option<SplitMeta> {
    let integer = |place: usize| match row.0.get(place) {
        Some(SqlValue::Integer(number)) => Some(*number),
        _ => None,
    };
    let number = |place: usize| integer(place).and_then(|number| u64::try_from(number).ok());
    let Some(SqlValue::Text(id)) = row.0.first() else { return None };
    Some(SplitMeta {
        id: id.parse().ok()?,
        lane: u32::try_from(number(1)?).ok()?,
        seq_first: number(2)?,
        seq_last: number(3)?,
        event_count: number(4)?,
        first: Timestamp::from_nanos(integer(5)?),
        last: Timestamp::from_nanos(integer(6)?),
        size_bytes: number(7)?,
        raw_bytes: number(8)?,
    })
}
