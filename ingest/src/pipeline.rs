//! From converted records to durable ones: the one place that appends to the journal.
//!
//! Input: a [`Batch`] of one source. Output: where it went, or why nothing of it was stored. Over
//! HTTP a refusal is the answer; over TCP it is waited out, which stops the reading.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use logwarden_event::{Clock, Position, Timestamp};
use logwarden_store::config::Durability;
use logwarden_store::identity::Identity;
use logwarden_store::{
    Append, AppendOutcome, Catalog, Fullness, IdempotencyKey, Journal, JournalError, JournalState,
    Receipt, Store,
};
use metrics::{counter, histogram};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::batch::{Batch, Intake};
use crate::config::{Config, Limits};
use crate::doubt::Doubts;
use crate::enrich::Enrichment;
use crate::health::{Glance, Health};
use crate::input::Reports;
use crate::metrics::{
    APPEND_SECONDS, BATCHES_REFUSED_TOTAL, BYTES_TOTAL, EVENTS_TOTAL, PACE_EXCEEDED_TOTAL,
    WAITS_TOTAL,
};
use crate::normalize::Origin;
use crate::quota::{Cost, OverQuota, Quota, Quotas};
use crate::remembered::Remembered;

/// The longest pause of a connection between two tries to append.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The shortest pause of a source that is over its rate: it then has a batch to send.
const QUOTA_PAUSE_MIN: Duration = Duration::from_millis(10);
/// How long a durable batch is not answered because index or rules are behind.
const PACE_MAX: Duration = Duration::from_secs(1);
/// Records that rules may be behind before senders wait for them: they are still in memory then, and looked at in
/// less than a second. Beyond the second number it is a backlog from before a start, which nobody waits for.
const RULES_BEHIND: (u64, u64) = (16_384, 1 << 20);
/// The pause after a failure that names none.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Work on fewer bytes than this does not leave the async threads: it takes less than half a
/// millisecond.
const INLINE_BYTES_MAX: usize = 32 << 10;

/// The embedded journal has one lane.
const LANE: u32 = 0;

/// What every protocol works with.
pub(crate) struct Pipeline {
    pub(crate) config: Arc<Config>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) quotas: Quotas,
    pub(crate) health: Arc<Health>,
    pub(crate) inputs: Reports,
    pub(crate) remembered: Remembered,
    pub(crate) doubts: Arc<Doubts>,
    /// What is known besides the records, when files of it are configured.
    pub(crate) enrichment: Option<Arc<Enrichment>>,
    pub(crate) catalog: Arc<dyn Catalog>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    index: Pace,
    rules: Pace,
    on_denial: OnceLock<OnDenial>,
}

/// A connection or call that was turned away for its credential, at a door that is none of HTTP/1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Where it came from.
    pub peer: IpAddr,
    /// What it spoke, such as `tcp_json`.
    pub protocol: &'static str,
    /// Whose token it brought, when that is one; then its role does not let it write.
    pub principal: Option<String>,
}

/// Is told of every [`Denial`]; must not wait.
pub(crate) type OnDenial = Box<dyn Fn(Denial) + Send + Sync>;

/// How far what follows the journal has come.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The index: what is before it can be searched.
    pub searchable: watch::Receiver<Position>,
    /// The rules: what is before it was looked at.
    pub looked_at: watch::Receiver<Position>,
}

#[cfg(any(test, feature = "fuzzing"))]
impl Progress {
    /// Where index and rules are equally far.
    pub(crate) fn of_all(reached: watch::Receiver<Position>) -> Self {
        Self { searchable: reached.clone(), looked_at: reached }
    }
}

/// One that follows the journal, at whose pace senders go.
#[derive(Debug)]
struct Pace {
    name: &'static str,
    reached: watch::Receiver<Position>,
    /// Records it may be behind before it is waited for; with more than the second it is not waited for either.
    behind: (u64, u64),
    /// Where it stood still when it was last waited for in vain.
    stuck_at: AtomicU64,
}

impl Pace {
    fn of(name: &'static str, reached: watch::Receiver<Position>, behind: (u64, u64)) -> Self {
        Self { name, reached, behind, stuck_at: AtomicU64::new(u64::MAX) }
    }

    /// Waits until it is as far as it must be when the journal ends at `end`, at most [`PACE_MAX`]. One that
    /// stands still is waited for once, until it moves again.
    async fn keep(&self, end: u64) {
        let needed = end.saturating_sub(self.behind.0);
        let mut reached = self.reached.clone();
        let before = reached.borrow_and_update().seq;
        let is_far = end.saturating_sub(before) > self.behind.1;
        if before >= needed || is_far || before == self.stuck_at.load(Ordering::Relaxed) {
            return;
        }
        let seen = reached.wait_for(|position| position.seq >= needed);
        if tokio::time::timeout(PACE_MAX, seen).await.is_err() {
            counter!(PACE_EXCEEDED_TOTAL, "behind" => self.name).increment(1);
            let now = self.reached.borrow().seq;
            if now == before {
                self.stuck_at.store(now, Ordering::Relaxed);
            }
        }
    }
}

/// A batch that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) receipt: Receipt,
    /// It was stored before, with the same key.
    pub(crate) is_duplicate: bool,
}

/// Why nothing of a batch was stored, or may have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The source sends too much.
    Quota(OverQuota),
    /// The key was used with another body.
    KeyConflict,
    /// The disk has no room.
    Full(Fullness),
    /// With what normalization added the batch is beyond the journal's bounds.
    TooLarge,
    /// It may be stored or not.
    Unknown,
    /// The journal does not take batches now: it failed, is closing, or another node writes.
    Unavailable,
}

impl Refusal {
    /// The reason as metrics and answers name it.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Quota(_) => "quota_exceeded",
            Self::KeyConflict => "key_conflict",
            Self::Full(_) => "disk_full",
            Self::TooLarge => "too_large",
            Self::Unknown => "outcome_unknown",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Pipeline {
    pub(crate) fn new(
        config: Arc<Config>,
        store: &Store,
        identity: Arc<Identity>,
        progress: Progress,
    ) -> Self {
        Self {
            quotas: Quotas::new(Arc::clone(&config)),
            inputs: Reports::default(),
            remembered: Remembered::default(),
            doubts: Arc::new(Doubts::new(Arc::clone(&store.clock))),
            enrichment: Enrichment::open(config.enrich.clone()),
            health: Arc::new(Health::new(Arc::clone(&config))),
            config,
            identity,
            catalog: Arc::clone(&store.catalog),
            journal: Arc::clone(&store.journal),
            clock: Arc::clone(&store.clock),
            index: Pace::of("index", progress.searchable, (0, u64::MAX)),
            rules: Pace::of("rules", progress.looked_at, RULES_BEHIND),
            on_denial: OnceLock::new(),
        }
    }

    /// From now on `tell` hears of every denial; the first to ask is the one.
    pub(crate) fn set_on_denial(&self, tell: OnDenial) {
        let _ = self.on_denial.set(tell);
    }

    /// Tells of somebody who was turned away with this token, or without one.
    pub(crate) fn note_denial(&self, peer: IpAddr, protocol: &'static str, token: Option<&str>) {
        let Some(tell) = self.on_denial.get() else { return };
        let principal = token.and_then(|token| self.identity.authenticate_token(token));
        let principal = principal.map(|principal| principal.name);
        tell(Denial { peer: peer.to_canonical(), protocol, principal });
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// When a batch that is answered is durable.
    pub(crate) fn durability(&self) -> Durability {
        self.journal.health().durability
    }

    /// The number after the last durable record.
    pub(crate) fn durable_end(&self) -> u64 {
        self.journal.end(LANE).seq
    }

    /// Whether a batch has a chance to be stored now.
    pub(crate) fn takes_records(&self) -> bool {
        !matches!(self.journal.health().state, JournalState::Failed | JournalState::DiskFull)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// By what bounds records of this origin are taken now.
    pub(crate) fn intake<'a>(&'a self, origin: &'a Origin, quota: &'a Quota) -> Intake<'a> {
        let dead_letter_bytes_max = self.limits().dead_letter_bytes_max;
        let known = self.enrichment.as_deref();
        Intake { origin, quota, now: self.now(), dead_letter_bytes_max, known }
    }

    /// Makes a batch durable.
    pub(crate) async fn append(
        &self,
        batch: Batch,
        origin: &Origin,
        quota: &Quota,
        idempotency: Option<IdempotencyKey>,
        receipt: Bytes,
    ) -> Result<Stored, Refusal> {
        let (cost, glance) = (batch.cost(), self.glance(origin, &batch));
        let mut append = Append { drafts: batch.drafts, idempotency, batch_id: batch.id, receipt };
        let stored = self.try_append(&mut append).await.inspect_err(|refusal| {
            counter!(BATCHES_REFUSED_TOTAL, "reason" => refusal.code()).increment(1);
        })?;
        if !stored.is_duplicate {
            self.count(origin, quota, cost, glance);
        }
        Ok(stored)
    }

    fn glance(&self, origin: &Origin, batch: &Batch) -> Glance {
        let now = self.now();
        Glance::at(batch, now, self.health.wants_samples(&origin.source, now))
    }

    fn count(&self, origin: &Origin, quota: &Quota, cost: Cost, glance: Glance) {
        let now = self.now();
        quota.charge(now, cost);
        self.health.observe(&origin.source, now, glance);
        let labels = [("source", origin.source.clone()), ("protocol", origin.protocol.to_owned())];
        counter!(EVENTS_TOTAL, &labels).increment(cost.events);
        counter!(BYTES_TOTAL, &labels).increment(cost.bytes);
    }

    /// Makes records durable that nobody is charged for; what is refused is in `append` again, see
    /// [`Journal::offer`](logwarden_store::journal::Journal::offer).
    pub(crate) async fn try_append(&self, append: &mut Append) -> Result<Stored, Refusal> {
        let started = Instant::now();
        let outcome = self.journal.offer(append).await;
        histogram!(APPEND_SECONDS).record(started.elapsed().as_secs_f64());
        match outcome {
            Ok(AppendOutcome::Appended(receipt)) => {
                self.keep_pace(&receipt).await;
                Ok(Stored { receipt, is_duplicate: false })
            }
            Ok(AppendOutcome::Duplicate(receipt)) => Ok(Stored { receipt, is_duplicate: true }),
            Ok(AppendOutcome::KeyConflict) => Err(Refusal::KeyConflict),
            Ok(AppendOutcome::Full(fullness)) => Err(Refusal::Full(fullness)),
            Ok(AppendOutcome::Fenced) => Err(Refusal::Unavailable),
            Ok(AppendOutcome::Unknown) => Err(Refusal::Unknown),
            Err(JournalError::TooLarge { .. }) => Err(Refusal::TooLarge),
            Err(error @ (JournalError::Failed(_) | JournalError::Closed)) => {
                warn!(error = %error, "batch refused: {error}");
                Err(Refusal::Unavailable)
            }
        }
    }

    /// Makes a batch durable, however long that takes; false when `shutdown` came first or the
    /// journal will never take it. A batch of unknown outcome is appended again: at least once, and
    /// once with a key. A key that was used with other records does not count.
    pub(crate) async fn append_patiently(
        &self,
        batch: Batch,
        origin: &Origin,
        quota: &Quota,
        idempotency: Option<IdempotencyKey>,
        shutdown: &CancellationToken,
    ) -> bool {
        if batch.drafts.is_empty() {
            return true;
        }
        let (cost, glance) = (batch.cost(), self.glance(origin, &batch));
        let mut append = Append { drafts: batch.drafts, idempotency, ..Append::default() };
        loop {
            let refusal = match self.within_quota(quota) {
                Err(over) => Refusal::Quota(over),
                Ok(()) => match self.try_append(&mut append).await {
                    Ok(stored) => {
                        if !stored.is_duplicate {
                            self.count(origin, quota, cost, glance);
                        }
                        return true;
                    }
                    Err(Refusal::KeyConflict) if append.idempotency.take().is_some() => continue,
                    Err(refusal) => refusal,
                },
            };
            counter!(WAITS_TOTAL, "reason" => refusal.code()).increment(1);
            let is_gone = append.drafts.is_empty();
            if is_gone || matches!(refusal, Refusal::TooLarge | Refusal::KeyConflict) {
                warn!(source.id = %origin.source, "batch of a connection refused: {}", refusal.code());
                return false;
            }
            tokio::select! {
                () = shutdown.cancelled() => return false,
                () = tokio::time::sleep(pause(refusal)) => {}
            }
        }
    }

    fn within_quota(&self, quota: &Quota) -> Result<(), OverQuota> {
        quota.check(self.now())
    }

    /// Senders go at the pace of the index and of the rules: a batch is answered when it can be searched and
    /// rules are close behind it.
    async fn keep_pace(&self, receipt: &Receipt) {
        let end = receipt.first.seq + receipt.records;
        self.index.keep(end).await;
        self.rules.keep(end).await;
    }

    /// Waits until everything before `position` is searchable; false when that takes too long.
    pub(crate) async fn wait_searchable(&self, position: Position) -> bool {
        let mut searchable = self.index.reached.clone();
        let seen =
            searchable.wait_for(|visible| visible.lane == position.lane && *visible >= position);
        matches!(tokio::time::timeout(self.limits().searchable_wait, seen).await, Ok(Ok(_)))
    }

    /// Does work on `bytes` bytes of records, off the async threads when it may take long.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        if bytes <= INLINE_BYTES_MAX {
            return Ok(work());
        }
        // Conversion catches its own panics, so a failure here means that the runtime ends.
        tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Unavailable)
    }
}

fn pause(refusal: Refusal) -> Duration {
    match refusal {
        Refusal::Quota(over) => over.wait.clamp(QUOTA_PAUSE_MIN, PAUSE_MAX),
        Refusal::Full(full) => Duration::from_secs(full.retry_after_secs.max(1)).min(PAUSE_MAX),
        _ => PAUSE_AFTER_FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64) -> Position {
        Position { lane: 0, seq }
    }

    #[tokio::test(start_paused = true)]
    async fn senders_wait_for_one_that_is_a_little_behind_and_moves() {
        let (reached, seen) = watch::channel(at(0));
        let pace = Pace::of("rules", seen, (100, 10_000));
        // Near enough, and too far to wait for.
        for end in [100, 10_001] {
            let started = Instant::now();
            pace.keep(end).await;
            assert_eq!(started.elapsed(), Duration::ZERO, "{end}");
        }
        let started = Instant::now();
        let moved = async {
            tokio::time::sleep(PACE_MAX / 2).await;
            reached.send_replace(at(400));
        };
        tokio::join!(pace.keep(500), moved);
        assert_eq!(started.elapsed(), PACE_MAX / 2);
        // One that stands still costs one wait, until it moves again.
        for (end, waited) in [(501, PACE_MAX), (502, Duration::ZERO)] {
            let started = Instant::now();
            pace.keep(end).await;
            assert_eq!(started.elapsed(), waited, "{end}");
        }
        reached.send_replace(at(401));
        let started = Instant::now();
        pace.keep(502).await;
        assert_eq!(started.elapsed(), PACE_MAX);
    }
}
