//! The index as others see it: open, follow, take snapshots.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logwarden_event::Position;
use logwarden_store::{Checkpoint, Replay, Store};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::error::IndexError;
use crate::expire::Retention;
use crate::head::Head;
use crate::indexer;
use crate::merge;
use crate::piece::{Piece, UnreadableSplit};
use crate::publish::{MIGRATIONS, ROOM, load_damaged, load_splits, remove_orphans};
use crate::reader::{Readers, SplitPiece};

/// The consumer under whose name the checkpoint stands.
pub(crate) const CONSUMER: &str = "index";
/// The lane that is followed; the embedded journal has only this one.
pub(crate) const LANE: u32 = 0;
const DAY: Duration = Duration::from_secs(86_400);

/// Everything that is searchable at one moment: each event in exactly one piece.
pub struct Snapshot {
    /// What can be searched, newest first; their time spans may overlap.
    pub pieces: Vec<Arc<dyn Piece>>,
    /// Every event before this position is in it, less what retention removed.
    pub visible: Position,
    /// Splits that belong to it but cannot be read.
    pub unreadable: Vec<UnreadableSplit>,
}

/// Head and splits of one journal.
pub struct Index {
    pub(crate) store: Store,
    pub(crate) config: Config,
    pub(crate) readers: Arc<Readers>,
    pub(crate) visible: watch::Sender<Position>,
    /// Told at every publication.
    pub(crate) published: Notify,
    pub(crate) retention: Retention,
    pub(crate) replay: Arc<Replay>,
    state: Mutex<State>,
}

/// What a snapshot shows; changes in one step from one consistent whole to the next.
pub(crate) struct State {
    /// The head that takes new events.
    pub(crate) filling: Head,
    /// The head before it, while it is becoming a split.
    pub(crate) sealed: Option<Arc<Head>>,
    /// Every published split.
    pub(crate) splits: Vec<Arc<SplitPiece>>,
    /// Splits that were merged into others and that snapshots may still hold.
    pub(crate) retired: Vec<Arc<SplitPiece>>,
    /// Where the checkpoint stands; what lies before it is in splits.
    pub(crate) checkpoint: Option<Position>,
}

impl State {
    /// Bytes of events in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.filling.size_bytes + self.sealed.as_ref().map_or(0, |head| head.size_bytes)
    }
}

impl Index {
    /// Reads what is published from the catalog and removes blobs of unfinished splits. Nothing is
    /// followed until [`Index::run`].
    ///
    /// # Errors
    ///
    /// [`IndexError::ForeignJournal`] and [`IndexError::JournalBehind`] when catalog and journal do
    /// not belong together; [`IndexError::Catalog`] when the catalog cannot serve.
    pub async fn open(store: Store, config: Config) -> Result<Arc<Self>, IndexError> {
        store.catalog.migrate(ROOM, MIGRATIONS).await?;
        let checkpoint = store.catalog.checkpoint(CONSUMER, LANE).await?;
        let start = start_position(&store, checkpoint.as_ref())?;
        let checkpoint = checkpoint.map(|checkpoint| checkpoint.position);
        let metas = load_splits(&store).await?;
        let readers = Arc::new(Readers::new(Arc::clone(&store.blobs), &config));
        let piece = |meta| Arc::new(SplitPiece::new(meta, Arc::clone(&readers)));
        let splits = metas.iter().cloned().map(piece).collect();
        let (blobs, damaged) = (Arc::clone(&store.blobs), load_damaged(&store).await?);
        off_async(move || remove_orphans(&*blobs, &metas, &damaged)).await;
        store.journal.hold(CONSUMER, start);
        let retention = Retention::open(&store).await?;
        let replay = Arc::new(store.replay(CONSUMER).await);
        let filling = Head::new(start);
        Ok(Arc::new(Self {
            store,
            config,
            readers,
            visible: watch::Sender::new(start),
            published: Notify::new(),
            retention,
            replay,
            state: Mutex::new(State {
                filling,
                sealed: None,
                splits,
                retired: Vec::new(),
                checkpoint,
            }),
        }))
    }

    /// Follows the journal until `shutdown`. At most one call at a time.
    ///
    /// # Errors
    ///
    /// [`IndexError::Stale`] when another indexer moved the checkpoint.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), IndexError> {
        // When one of them fails the other must not go on.
        let stop = shutdown.child_token();
        let until_failed = |result: Result<(), IndexError>| {
            stop.cancel();
            result
        };
        let (followed, merged) =
            tokio::join!(async { until_failed(indexer::follow(&self, &stop).await) }, async {
                until_failed(merge::keep_merged(&self, &stop).await)
            },);
        followed.and(merged)
    }

    /// Tells the position before which every event is searchable, whenever it moves.
    pub fn visible(&self) -> watch::Receiver<Position> {
        self.visible.subscribe()
    }

    /// Splits of which something cannot be read, for good, and that are not made anew yet.
    pub fn damaged_splits(&self) -> u64 {
        let state = self.state();
        state.splits.iter().filter(|split| split.is_damaged()).count() as u64
    }

    /// Splits published.
    pub fn split_count(&self) -> u64 {
        self.state().splits.len() as u64
    }

    /// Bytes of the splits published.
    pub fn split_bytes(&self) -> u64 {
        self.state().splits.iter().map(|split| split.meta.size_bytes).sum()
    }

    /// Bytes of splits that the events of the last 24 hours take, by their own time; `None` while no event is older.
    pub fn split_bytes_of_a_day(&self) -> Option<u64> {
        let since = self.store.clock.now().saturating_sub(DAY);
        let state = self.state();
        let metas = || state.splits.iter().map(|split| &split.meta);
        let is_a_day_known = metas().any(|meta| meta.first < since);
        is_a_day_known.then(|| metas().map(|meta| meta.bytes_since(since)).sum())
    }

    /// Everything that is searchable now. Later events never appear in it.
    ///
    /// # Errors
    ///
    /// None today; a clustered index reads the catalog here.
    pub async fn snapshot(&self) -> Result<Snapshot, IndexError> {
        let (filling, sealed, splits) = {
            let state = self.state();
            (state.filling.clone(), state.sealed.clone(), state.splits.clone())
        };
        let visible = filling.next;
        let unopened: Vec<_> =
            splits.iter().filter(|split| split.needs_opening()).cloned().collect();
        if !unopened.is_empty() {
            // The outcome is remembered by the split.
            off_async(move || unopened.iter().for_each(|split| drop(split.open()))).await;
        }
        let mut readable = Vec::with_capacity(splits.len());
        let mut unreadable = Vec::new();
        for split in splits {
            match split.unreadable() {
                Some(reason) => unreadable.push(reason),
                None => readable.push(split),
            }
        }
        readable.sort_by_key(|split| Reverse((split.meta.last, split.meta.id)));
        let filling = Some(filling).filter(|head| !head.is_empty()).map(Arc::new);
        let heads = [filling, sealed].into_iter().flatten().map(|head| head as Arc<dyn Piece>);
        let splits = readable.into_iter().map(|split| split as Arc<dyn Piece>);
        Ok(Snapshot { pieces: heads.chain(splits).collect(), visible, unreadable })
    }

    /// The state, for a moment; never held across a wait.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what blocks or computes on a thread of its own.
pub(crate) async fn off_async<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down and waits for nobody.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Where to read on: at the checkpoint, which must belong to this journal.
fn start_position(store: &Store, checkpoint: Option<&Checkpoint>) -> Result<Position, IndexError> {
    let Some(checkpoint) = checkpoint else { return Ok(Position { lane: LANE, seq: 1 }) };
    let (found, position) = (store.journal.identity(), checkpoint.position);
    if checkpoint.journal != found {
        let expected = hex(checkpoint.journal);
        return Err(IndexError::ForeignJournal { expected, found: hex(found), position });
    }
    let end = store.journal.end(LANE);
    if end < position {
        return Err(IndexError::JournalBehind { end, position });
    }
    Ok(position)
}

fn hex(bytes: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}
