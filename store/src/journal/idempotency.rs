//! Idempotency: a batch sent again with the same key is stored once.
//!
//! Keys of the segments that are still there are in memory, rebuilt from the journal at start;
//! older ones are in the catalog, put there before their segment is removed. A key counts for
//! [`WINDOW`]. While a batch is under way, the same key waits for what becomes of it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use logwarden_event::{Position, Timestamp};
use metrics::counter;
use tokio::sync::watch;

use super::format::{RECEIPT_PREFIX_BYTES, RecordHeader, RecordType};
use super::{AppendOutcome, IdempotencyKey, Receipt};
use crate::catalog::{
    Catalog, CatalogError, Migration, Row, SqlValue, Statement, Step, StepOutcome,
};
use crate::metrics::{IDEMPOTENCY_KEYS_FORGOTTEN, JOURNAL_DUPLICATES, JOURNAL_KEY_CONFLICTS};

/// How long a key counts.
pub(crate) const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Keys remembered at most; the oldest are forgotten first, and counted.
const KEYS_MAX: i64 = 10_000_000;
/// Memory for keys and receipts; above it the oldest move to the catalog.
const MEMORY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What an entry takes besides its receipt, roughly.
const ENTRY_BYTES: usize = 160;
/// Keys that move to the catalog in one step.
const SPILL_KEYS_MAX: usize = 2_000;
/// Repetitions of a step whose outcome is unknown.
const STEP_ATTEMPTS_MAX: usize = 5;

/// The name under which the journal keeps its tables.
pub(crate) const ROOM: &str = "journal";

/// The journal's tables in the catalog.
pub(crate) const MIGRATIONS: &[Migration] = &["
    CREATE TABLE idempotency_keys (
        id BLOB NOT NULL PRIMARY KEY,
        body BLOB NOT NULL,
        seq BIGINT NOT NULL,
        records BIGINT NOT NULL,
        receipt BLOB NOT NULL,
        observed_at BIGINT NOT NULL
    );
    CREATE INDEX idempotency_keys_by_age ON idempotency_keys (observed_at);
"];

/// A batch that was stored with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) key: IdempotencyKey,
    pub(crate) receipt: Receipt,
    pub(crate) observed_at: Timestamp,
}

impl Known {
    /// Reads a receipt record; `None` for any other record.
    pub(crate) fn read(header: &RecordHeader, payload: &[u8]) -> Option<Self> {
        if header.record_type != RecordType::Receipt || payload.len() < RECEIPT_PREFIX_BYTES {
            return None;
        }
        let body = payload[..RECEIPT_PREFIX_BYTES].try_into().ok()?;
        Some(Self {
            key: IdempotencyKey { key: header.batch_id, body },
            receipt: Receipt {
                first: Position { lane: 0, seq: header.seq },
                records: u64::from(header.batch_len),
                receipt: Bytes::copy_from_slice(&payload[RECEIPT_PREFIX_BYTES..]),
            },
            observed_at: header.observed_at,
        })
    }

    /// The answer to the same key with this body.
    fn answer(&self, body: [u8; 16]) -> AppendOutcome {
        if self.key.body == body {
            counter!(JOURNAL_DUPLICATES).increment(1);
            AppendOutcome::Duplicate(self.receipt.clone())
        } else {
            counter!(JOURNAL_KEY_CONFLICTS).increment(1);
            AppendOutcome::KeyConflict
        }
    }

    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.receipt.receipt.len()
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        now.since(self.observed_at) >= WINDOW
    }
}

/// The keys in memory and under way.
#[derive(Default)]
pub(crate) struct Keys {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<[u8; 16], Known>,
    /// Keys by age; one that was used again after its time stands here twice.
    by_age: VecDeque<([u8; 16], u64)>,
    bytes: usize,
    under_way: HashMap<[u8; 16], watch::Receiver<()>>,
    /// Keys of the group that may be durable or not; after it nothing is written in this life.
    unknown: HashSet<[u8; 16]>,
    /// Whether the catalog holds any key; `None` until it was asked.
    has_spilled: Option<bool>,
}

/// What a key comes to.
pub(crate) enum Claim {
    /// The batch is this caller's to store.
    Mine(Reservation),
    /// It was stored before.
    Answer(AppendOutcome),
    /// Somebody else is storing it: wait, then ask again.
    Wait(watch::Receiver<()>),
}

/// The right to store the batch of a key; gone when dropped.
pub(crate) struct Reservation {
    keys: Arc<Keys>,
    key: [u8; 16],
    /// Dropped with the reservation, which wakes everybody who waits.
    _done: watch::Sender<()>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.keys.lock().under_way.remove(&self.key);
    }
}

impl Keys {
    /// Takes the keys that recovery found.
    pub(crate) fn new(known: Vec<Known>, now: Timestamp) -> Self {
        let keys = Self::default();
        for known in known {
            if !known.has_expired(now) {
                keys.insert(known);
            }
        }
        keys
    }

    /// Claims a key against what is in memory.
    pub(crate) fn claim(self: &Arc<Self>, key: IdempotencyKey, now: Timestamp) -> Claim {
        let mut state = self.lock();
        if let Some(known) = state.known.get(&key.key).filter(|known| !known.has_expired(now)) {
            return Claim::Answer(known.answer(key.body));
        }
        if state.unknown.contains(&key.key) {
            return Claim::Answer(AppendOutcome::Unknown);
        }
        if let Some(under_way) = state.under_way.get(&key.key) {
            return Claim::Wait(under_way.clone());
        }
        let (done, waiting) = watch::channel(());
        state.under_way.insert(key.key, waiting);
        Claim::Mine(Reservation { keys: Arc::clone(self), key: key.key, _done: done })
    }

    /// What the catalog knows about a key.
    pub(crate) async fn find_spilled(
        &self,
        catalog: &dyn Catalog,
        key: IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<AppendOutcome>, CatalogError> {
        let has_spilled = self.lock().has_spilled;
        if has_spilled == Some(false) {
            return Ok(None);
        }
        let answers = catalog.query(vec![select(&key, now), select_any()]).await?;
        let [found, any] = answers.as_slice() else {
            return Err(unexpected());
        };
        if has_spilled.is_none() && any.is_empty() {
            // Nothing was spilled in between: a spill says so before it begins.
            self.lock().has_spilled.get_or_insert(false);
        }
        found.first().map(|row| Ok(read(row, key.key)?.answer(key.body))).transpose()
    }

    /// Remembers a batch that is durable.
    pub(crate) fn insert(&self, known: Known) {
        let mut state = self.lock();
        let (key, first) = (known.key.key, known.receipt.first.seq);
        state.bytes += known.bytes();
        let before = state.known.insert(key, known);
        state.bytes -= before.as_ref().map_or(0, Known::bytes);
        // The same batch again: a receipt that was written twice because its first sync failed.
        if before.is_none_or(|before| before.receipt.first.seq != first) {
            state.by_age.push_back((key, first));
        }
    }

    /// Remembers that nobody knows whether the batch of this key is durable: the next start does.
    pub(crate) fn insert_unknown(&self, key: IdempotencyKey) {
        self.lock().unknown.insert(key.key);
    }

    /// Whether keys must move to the catalog before more are taken.
    pub(crate) fn is_over_memory(&self) -> bool {
        self.lock().bytes > MEMORY_BYTES_MAX
    }

    /// Moves every key of records up to `seq` to the catalog, and with `to_half` the oldest until
    /// half of the memory is free.
    ///
    /// A key leaves the memory only after the catalog has it durably.
    pub(crate) async fn spill(
        &self,
        catalog: &dyn Catalog,
        seq: u64,
        to_half: bool,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        loop {
            let oldest = self.oldest(seq, to_half, now);
            if oldest.is_empty() {
                return Ok(());
            }
            self.lock().has_spilled = Some(true);
            let statements: Vec<Statement> =
                oldest.iter().filter_map(Option::as_ref).map(insert).collect();
            if !statements.is_empty() {
                repeat(catalog, statements).await?;
            }
            self.forget_oldest(&oldest);
        }
    }

    /// Removes keys whose time is over from the catalog, and the oldest when there are too many.
    pub(crate) async fn expire(
        &self,
        catalog: &dyn Catalog,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        if self.lock().has_spilled == Some(false) {
            return Ok(());
        }
        let expired = Statement {
            sql: "DELETE FROM idempotency_keys WHERE observed_at <= ?1",
            values: vec![SqlValue::Integer(now.saturating_sub(WINDOW).nanos())],
        };
        let too_many = Statement {
            sql: "DELETE FROM idempotency_keys WHERE observed_at < (SELECT observed_at
                  FROM idempotency_keys ORDER BY observed_at DESC LIMIT 1 OFFSET ?1)",
            values: vec![SqlValue::Integer(KEYS_MAX)],
        };
        let changed = repeat(catalog, vec![expired, too_many]).await?;
        counter!(IDEMPOTENCY_KEYS_FORGOTTEN)
            .increment(changed.get(1).copied().unwrap_or_default() as u64);
        Ok(())
    }

    /// The oldest places of the order that may leave; `None` for those that need no spilling.
    fn oldest(&self, seq: u64, to_half: bool, now: Timestamp) -> Vec<Option<Known>> {
        let state = self.lock();
        let mut bytes = state.bytes;
        let mut oldest = Vec::new();
        for (key, first) in state.by_age.iter().take(SPILL_KEYS_MAX) {
            let is_over = to_half && bytes > MEMORY_BYTES_MAX / 2;
            if *first > seq && !is_over {
                break;
            }
            let known = state.known.get(key).filter(|known| known.receipt.first.seq == *first);
            bytes -= known.map_or(0, Known::bytes);
            oldest.push(known.filter(|known| !known.has_expired(now)).cloned());
        }
        oldest
    }

    fn forget_oldest(&self, oldest: &[Option<Known>]) {
        let mut state = self.lock();
        for _ in oldest {
            let Some((key, first)) = state.by_age.pop_front() else {
                return;
            };
            if state.known.get(&key).is_some_and(|known| known.receipt.first.seq == first)
                && let Some(known) = state.known.remove(&key)
            {
                state.bytes -= known.bytes();
            }
        }
    }

    // A panic while the lock was held can at worst forget a key of a batch that was not answered.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does statements that can be repeated; answers how many rows each changed.
async fn repeat(
    catalog: &dyn Catalog,
    statements: Vec<Statement>,
) -> Result<Vec<usize>, CatalogError> {
    let mut attempt = 1;
    loop {
        let step = Step { statements: statements.clone(), ..Step::default() };
        match catalog.step(step).await {
            Ok(StepOutcome::Done { changed, .. }) => return Ok(changed),
            Ok(_) => return Err(unexpected()),
            Err(CatalogError::Unknown) if attempt < STEP_ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

fn insert(known: &Known) -> Statement {
    Statement {
        sql: "INSERT INTO idempotency_keys (id, body, seq, records, receipt, observed_at)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE
              SET body = excluded.body, seq = excluded.seq, records = excluded.records,
                  receipt = excluded.receipt, observed_at = excluded.observed_at",
        values: vec![
            SqlValue::Blob(known.key.key.to_vec()),
            SqlValue::Blob(known.key.body.to_vec()),
            SqlValue::Integer(known.receipt.first.seq.cast_signed()),
            SqlValue::Integer(known.receipt.records.cast_signed()),
            SqlValue::Blob(known.receipt.receipt.to_vec()),
            SqlValue::Integer(known.observed_at.nanos()),
        ],
    }
}

fn select(key: &IdempotencyKey, now: Timestamp) -> Statement {
    Statement {
        sql: "SELECT body, seq, records, receipt, observed_at FROM idempotency_keys
              WHERE id = ?1 AND observed_at > ?2",
        values: vec![
            SqlValue::Blob(key.key.to_vec()),
            SqlValue::Integer(now.saturating_sub(WINDOW).nanos()),
        ],
    }
}

fn select_any() -> Statement {
    Statement { sql: "SELECT 1 FROM idempotency_keys LIMIT 1", values: Vec::new() }
}

fn read(row: &Row, key: [u8; 16]) -> Result<Known, CatalogError> {
    let [
        SqlValue::Blob(body),
        SqlValue::Integer(seq),
        SqlValue::Integer(records),
        SqlValue::Blob(receipt),
        SqlValue::Integer(observed_at),
    ] = row.0.as_slice()
    else {
        return Err(unexpected());
    };
    let body = body.as_slice().try_into().map_err(|_| unexpected())?;
    Ok(Known {
        key: IdempotencyKey { key, body },
        receipt: Receipt {
            first: Position { lane: 0, seq: seq.cast_unsigned() },
            records: records.cast_unsigned(),
            receipt: Bytes::copy_from_slice(receipt),
        },
        observed_at: Timestamp::from_nanos(*observed_at),
    })
}

fn unexpected() -> CatalogError {
    CatalogError::Failed("unexpected answer about idempotency keys".to_owned())
}
