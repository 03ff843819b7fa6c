//! Follows the journal, fills the head, and turns full heads into splits.
//!
//! Events are searchable as soon as their batch is in the head. A full head is sealed: it stays
//! searchable while one task builds, stores and publishes it as a split, and the next head fills.
//! In the moment in which the split becomes part of snapshots its head leaves them. While events in
//! memory are at their bound the journal is not read on: it keeps them, and they become visible
//! later.
//!
//! Whatever was not published is read again from the journal after a crash; an event of which the
//! process dies again and again is left out ([`Replay`]).

use std::sync::Arc;
use std::time::Duration;

use logwarden_event::{Position, SplitId};
use logwarden_store::{Chunk, JournalError, Replay};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::builder::{BuiltSplit, SplitBuilder};
use crate::columnstore::writer::{DISSECT, Dissect};
use crate::error::IndexError;
use crate::head::Head;
use crate::index::{CONSUMER, Index, off_async};
use crate::metrics::{
    BUILD_RETRIES_TOTAL, EVENTS_TOTAL, GAP_RECORDS_TOTAL, HEAD_BYTES, MEMORY_FULL_TOTAL,
    READ_RETRIES_TOTAL, SPLITS, SPLITS_PUBLISHED_TOTAL,
};
use crate::publish::{Backoff, publish_split};
use crate::reader::SplitPiece;
use crate::split::SplitMeta;

/// Records asked of the journal at once.
const READ_RECORDS_MAX: usize = 4_096;
/// How long to wait before a failed read is tried again.
const READ_RETRY_DELAY: Duration = Duration::from_secs(1);

/// How often it is said that events wait for memory: a sender that is faster than the index sees to it
/// several times a second.
const FULL_TOLD_INTERVAL: Duration = Duration::from_secs(60);

/// A head on its way to a split.
type Sealing = JoinHandle<Result<(), IndexError>>;

/// Follows the journal until `shutdown`.
pub(crate) async fn follow(
    index: &Arc<Index>,
    shutdown: &CancellationToken,
) -> Result<(), IndexError> {
    let mut sealing = None;
    let followed = fill_and_seal(index, shutdown, &mut sealing).await;
    // A split under way is finished, unless it waits for something that fails.
    let sealed = match sealing {
        Some(sealing) => join(sealing).await,
        None => Ok(()),
    };
    followed.and(sealed)
}

async fn fill_and_seal(
    index: &Arc<Index>,
    shutdown: &CancellationToken,
    sealing: &mut Option<Sealing>,
) -> Result<(), IndexError> {
    let mut seal_at = Instant::now() + index.config.head_age_max();
    let (mut was_full, mut told_at) = (false, None);
    loop {
        if sealing.is_none()
            && let Some(head) = seal_when_due(index, seal_at)
        {
            let publish = publish_head(Arc::clone(index), head, shutdown.clone());
            *sealing = Some(tokio::spawn(publish));
        }
        let (from, is_empty, memory_bytes) = {
            let state = index.state();
            (state.filling.next, state.filling.is_empty(), state.memory_bytes())
        };
        if is_empty {
            seal_at = Instant::now() + index.config.head_age_max();
        }
        let is_full = memory_bytes >= index.config.memory_bytes_max;
        if is_full && !was_full {
            ::metrics::counter!(MEMORY_FULL_TOTAL).increment(1);
            if told_at.is_none_or(|at: Instant| at.elapsed() >= FULL_TOLD_INTERVAL) {
                warn!("events in memory are at their bound, new events become searchable later");
                told_at = Some(Instant::now());
            }
        }
        was_full = is_full;
        let is_sealing = sealing.is_some();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            done = finished(sealing), if is_sealing => { *sealing = None; done?; }
            () = tokio::time::sleep_until(seal_at), if !is_sealing && !is_empty => {}
            chunk = index.replay.read(from, READ_RECORDS_MAX), if !is_full => match chunk {
                Ok(chunk) => take(index, &chunk),
                Err(JournalError::Closed) => return Ok(()),
                Err(error) => pause_after(&error, shutdown).await,
            },
        }
    }
}

async fn finished(sealing: &mut Option<Sealing>) -> Result<(), IndexError> {
    match sealing {
        Some(sealing) => join(sealing).await,
        None => std::future::pending().await,
    }
}

async fn join(
    sealing: impl Future<Output = Result<Result<(), IndexError>, tokio::task::JoinError>>,
) -> Result<(), IndexError> {
    match sealing.await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down and waits for nobody.
            Err(_) => std::future::pending().await,
        },
    }
}

async fn pause_after(error: &JournalError, shutdown: &CancellationToken) {
    ::metrics::counter!(READ_RETRIES_TOTAL).increment(1);
    warn!(%error, "journal cannot be read, will try again");
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(READ_RETRY_DELAY) => {}
    }
}

/// Makes a chunk searchable.
fn take(index: &Index, chunk: &Chunk) {
    let (visible, size_bytes) = {
        let mut state = index.state();
        match chunk {
            Chunk::Records { records, next } => {
                state.filling.push(records, *next);
                ::metrics::counter!(EVENTS_TOTAL).increment(records.len() as u64);
            }
            Chunk::Gap { from, to } => {
                note_gap(*from, *to);
                state.filling.skip(*to);
            }
        }
        (state.filling.next, state.memory_bytes())
    };
    ::metrics::gauge!(HEAD_BYTES).set(size_bytes as f64);
    index.visible.send_replace(visible);
}

fn note_gap(from: Position, to: Position) {
    let records = to.seq.saturating_sub(from.seq);
    ::metrics::counter!(GAP_RECORDS_TOTAL).increment(records);
    warn!(
        gap.from = %from, gap.to = %to,
        "journal has no records from {from} to {to}, {records} positions are stepped over",
    );
}

/// Seals the head when a bound is hit: the next one takes over where it ends.
fn seal_when_due(index: &Index, seal_at: Instant) -> Option<Arc<Head>> {
    let config = &index.config;
    let mut state = index.state();
    let head = &state.filling;
    let is_due = head.len() >= config.head_events_max
        || head.size_bytes >= config.head_bytes_max
        || Instant::now() >= seal_at;
    if !is_due || head.is_empty() || state.sealed.is_some() {
        return None;
    }
    let next = Head::new(state.filling.next);
    let sealed = Arc::new(std::mem::replace(&mut state.filling, next));
    state.sealed = Some(Arc::clone(&sealed));
    Some(sealed)
}

/// Builds, stores and publishes a sealed head; when `shutdown` comes first it stays in memory and
/// in the journal.
async fn publish_head(
    index: Arc<Index>,
    head: Arc<Head>,
    shutdown: CancellationToken,
) -> Result<(), IndexError> {
    let Some(built) = build(&index, &head, &shutdown).await else { return Ok(()) };
    let Some(split) = store_split(&index, built, &shutdown).await else { return Ok(()) };
    let expected = index.state().checkpoint;
    if !publish_split(&index.store, &split.meta, expected, head.next, &shutdown).await? {
        return Ok(());
    }
    let splits = {
        let mut state = index.state();
        state.checkpoint = Some(head.next);
        state.sealed = None;
        state.splits.push(Arc::new(split));
        state.splits.len()
    };
    ::metrics::counter!(SPLITS_PUBLISHED_TOTAL).increment(1);
    ::metrics::gauge!(SPLITS).set(splits as f64);
    index.published.notify_one();
    index.store.journal.hold(CONSUMER, head.next);
    if let Err(error) = index.store.journal.trim().await {
        warn!(%error, "journal cannot be trimmed");
    }
    Ok(())
}

/// Builds the split; of verbatim events when it cannot be built of columns. `None`: `shutdown` came.
async fn build(
    index: &Index,
    head: &Arc<Head>,
    shutdown: &CancellationToken,
) -> Option<BuiltSplit> {
    let mut backoff = Backoff::new();
    loop {
        for dissect in [Some(DISSECT), None] {
            let (head, replay) = (Arc::clone(head), Arc::clone(&index.replay));
            let build = move || build_from_head(&head, dissect, &replay);
            let built = tokio::task::spawn_blocking(build);
            let reason = match built.await {
                Ok(Ok(built)) => return Some(built),
                Ok(Err(reason)) => reason,
                Err(panic) => panic.to_string(),
            };
            ::metrics::counter!(BUILD_RETRIES_TOTAL).increment(1);
            error!(reason, "split cannot be built, will try again");
        }
        if !backoff.wait(shutdown).await {
            return None;
        }
    }
}

fn build_from_head(
    head: &Head,
    dissect: Option<Dissect>,
    replay: &Replay,
) -> Result<BuiltSplit, String> {
    let mut builder = SplitBuilder::new(dissect)?;
    let mut events = head.every_event();
    let added = events.try_for_each(|event| {
        replay.begin(event.seq());
        builder.add(event)
    });
    replay.rest();
    added?;
    builder.finish(SplitId::default(), head.gaps.clone())
}

/// Stores the split under a new name and opens it again, so that what is published is known to be
/// readable. `None`: `shutdown` came.
pub(crate) async fn store_split(
    index: &Arc<Index>,
    built: BuiltSplit,
    shutdown: &CancellationToken,
) -> Option<SplitPiece> {
    let mut backoff = Backoff::new();
    let content = Arc::new(built.content);
    loop {
        let meta = SplitMeta { id: new_split_id(index), ..built.meta.clone() };
        let (index, content) = (Arc::clone(index), Arc::clone(&content));
        let stored = off_async(move || {
            let name = meta.blob();
            let piece = SplitPiece::new(meta, Arc::clone(&index.readers));
            let put = index.store.blobs.put_new(&name, &mut content.as_slice());
            let opened = put
                .map_err(|error| error.to_string())
                .and_then(|()| piece.open().map_err(|error| error.to_string()));
            if opened.is_err() {
                // What lies there, if anything, is removed at the next start otherwise.
                drop(index.store.blobs.delete(&name));
            }
            opened.map(|_| piece)
        });
        match stored.await {
            Ok(piece) => return Some(piece),
            Err(reason) => {
                ::metrics::counter!(BUILD_RETRIES_TOTAL).increment(1);
                warn!(reason, "split cannot be stored, will try again");
            }
        }
        if !backoff.wait(shutdown).await {
            return None;
        }
    }
}

/// An id that was never used: names of blobs are not used twice, not even after a crash.
fn new_split_id(index: &Index) -> SplitId {
    let mut entropy = [0; 16];
    getrandom::fill(&mut entropy).expect("the system gives random bytes");
    SplitId::from_parts(index.store.clock.now(), u128::from_le_bytes(entropy))
}
