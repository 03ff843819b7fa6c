//! Whatever goes wrong between a journal batch and a merged split, every event is shown once.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use logwarden_event::Position;
use logwarden_store::simulation::{DiskFaults, Faults};
use logwarden_store::{
    Append, AppendOutcome, Checkpoint, Chunk, Journal, JournalError, Step, Store,
    journal::JournalHealth,
};
use tokio_util::sync::CancellationToken;

use super::world::{
    Crash, Power, append, assert_whole, found, has_published, has_settled, is_tidy, powered,
    small_heads, until,
};
use crate::config::Config;
use crate::error::IndexError;
use crate::index::{CONSUMER, Index};

/// A hundred events make ten splits, of which eight become one.
const BATCHES: usize = 10;
const SETTLED_SPLITS: usize = 3;

pub(super) type Running = tokio::task::JoinHandle<Result<(), IndexError>>;

async fn start(store: Store) -> (Arc<Index>, Running, CancellationToken) {
    start_with(store, small_heads()).await
}

async fn start_with(store: Store, config: Config) -> (Arc<Index>, Running, CancellationToken) {
    let index = Index::open(store, config).await.expect("a store that fits");
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&index).run(shutdown.clone()));
    (index, running, shutdown)
}

async fn stop(running: Running, shutdown: &CancellationToken) {
    shutdown.cancel();
    running.await.expect("no panic").expect("an ordered stop");
}

/// Appends one batch after another, each when the last one is published.
async fn append_slowly(index: &Index, power: &Power) {
    for _ in 0..BATCHES {
        append(&index.store).await;
        until(index, |index| power.is_gone() || has_published(index)).await;
    }
}

async fn all_visible(index: &Index) {
    let end = index.store.journal.end(0);
    index.visible().wait_for(|visible| *visible == end).await.expect("the index lives");
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_write_loses_and_doubles_nothing() {
    let mut was_cut_short = true;
    for after_writes in 0.. {
        if !was_cut_short {
            assert!(after_writes > 2 * BATCHES as i64, "puts, steps and deletes were cut");
            return;
        }
        for is_done in [false, true] {
            was_cut_short = check_crash(Crash { after_writes, is_done }).await;
        }
    }
}

/// Runs into the crash, starts again, and checks; tells whether there was a crash.
async fn check_crash(crash: Crash) -> bool {
    let (store, _simulation) = Store::simulated(1);
    let power = Power::until(crash);
    let (index, running, shutdown) = start(powered(&store, &power)).await;
    append_slowly(&index, &power).await;
    until(&index, |index| power.is_gone() || has_settled(index, SETTLED_SPLITS)).await;
    let was_cut_short = power.is_gone();
    stop(running, &shutdown).await;

    let (index, running, shutdown) = start(store).await;
    let published = found(&index.snapshot().await.expect("a snapshot"));
    assert!(published.values().all(|times| *times == 1), "{crash:?}");
    all_visible(&index).await;
    assert_whole(&index.snapshot().await.expect("a snapshot"));
    until(&index, has_published).await;
    assert_whole(&index.snapshot().await.expect("a snapshot"));
    until(&index, is_tidy).await;
    stop(running, &shutdown).await;
    was_cut_short
}

#[tokio::test(start_paused = true)]
async fn a_catalog_that_often_does_not_know_publishes_everything_once() {
    let (store, simulation) = Store::simulated(2);
    simulation.set_faults(Faults { catalog_unknown_per_mille: 500, ..Faults::default() });
    let (index, running, shutdown) = start(store.clone()).await;
    append_slowly(&index, &Power::endless()).await;
    until(&index, |index| has_settled(index, SETTLED_SPLITS)).await;
    stop(running, &shutdown).await;
    let again = Index::open(store, small_heads()).await.expect("the same store");
    assert_whole(&again.snapshot().await.expect("a snapshot"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_snapshot_shows_an_event_twice_or_not_at_all() {
    let (store, _simulation) = Store::simulated(3);
    let (index, running, shutdown) = start(store.clone()).await;
    let appending = tokio::spawn(async move {
        for _ in 0..3 * BATCHES {
            append(&store).await;
            tokio::task::yield_now().await;
        }
    });
    while !has_published(&index) || index.visible.borrow().seq < 300 {
        let snapshot = index.snapshot().await.expect("a snapshot");
        assert_whole(&snapshot);
        let times: Vec<_> = snapshot.pieces.iter().map(|piece| piece.time_span().1).collect();
        assert!(times.is_sorted_by(|a, b| a >= b), "pieces are newest first");
        tokio::task::yield_now().await;
    }
    appending.await.expect("no panic");
    stop(running, &shutdown).await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_old_becomes_a_split() {
    let (store, _simulation) = Store::simulated(9);
    let config = Config { head_age_max_secs: 60, ..Config::default() };
    let (index, running, shutdown) = start_with(store, config).await;
    append(&index.store).await;
    all_visible(&index).await;
    assert_eq!(index.state().splits.len(), 0, "it is young");
    until(&index, |index| has_settled(index, 1)).await;
    stop(running, &shutdown).await;
}

#[tokio::test(start_paused = true)]
async fn events_beyond_the_memory_bound_wait_in_the_journal() {
    let (store, _simulation) = Store::simulated(10);
    let no_writes = Power::until(Crash { after_writes: 0, is_done: false });
    let config = Config { memory_bytes_max: 1, ..small_heads() };
    let (index, running, shutdown) = start_with(powered(&store, &no_writes), config.clone()).await;
    append(&store).await;
    until(&index, |_| no_writes.is_gone()).await;
    append(&store).await;
    until(&index, |index| index.state().sealed.is_some()).await;
    let snapshot = index.snapshot().await.expect("a snapshot");
    assert_eq!(snapshot.visible.seq, 11, "the second batch waits");
    assert_whole(&snapshot);
    stop(running, &shutdown).await;

    let (index, running, shutdown) = start_with(store, config).await;
    all_visible(&index).await;
    until(&index, has_published).await;
    assert_whole(&index.snapshot().await.expect("a snapshot"));
    stop(running, &shutdown).await;
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_another_journal_is_refused() {
    let (store, _simulation) = Store::simulated(4);
    let checkpoint = |journal, seq| Step {
        advance: vec![Checkpoint {
            consumer: "index".to_owned(),
            journal,
            position: Position { lane: 0, seq },
        }],
        ..Step::default()
    };
    store.catalog.step(checkpoint([7; 16], 1)).await.expect("a new checkpoint");
    let error = Index::open(store, small_heads()).await.err().expect("another journal");
    assert!(matches!(error, IndexError::ForeignJournal { .. }), "{error}");

    let (store, _simulation) = Store::simulated(5);
    let step = checkpoint(store.journal.identity(), 12);
    store.catalog.step(step).await.expect("a new checkpoint");
    let error = Index::open(store, small_heads()).await.err().expect("an older journal");
    assert!(matches!(error, IndexError::JournalBehind { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_indexer_whose_checkpoint_was_moved_stops() {
    let (store, _simulation) = Store::simulated(6);
    let (_index, running, _shutdown) = start(store.clone()).await;
    let other = Checkpoint {
        consumer: "index".to_owned(),
        journal: store.journal.identity(),
        position: Position { lane: 0, seq: 3 },
    };
    let step = Step { advance: vec![other], ..Step::default() };
    store.catalog.step(step).await.expect("a new checkpoint");
    append(&store).await;
    let error = running.await.expect("no panic").expect_err("it must not go on");
    assert!(matches!(error, IndexError::Stale { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_split_that_cannot_be_read_is_named() {
    let (store, _simulation) = Store::simulated(7);
    let (index, running, shutdown) = start(store.clone()).await;
    for splits in 1..=2 {
        append(&store).await;
        until(&index, |index| has_settled(index, splits)).await;
    }
    stop(running, &shutdown).await;
    let lost = store.blobs.list("splits/").expect("power").remove(0);
    store.blobs.delete(&lost).expect("power");

    let index = Index::open(store, small_heads()).await.expect("the same store");
    let snapshot = index.snapshot().await.expect("a snapshot");
    let [unreadable] = snapshot.unreadable.as_slice() else { panic!("one is lost") };
    assert!(unreadable.reason.contains("does not exist"), "{}", unreadable.reason);
    assert_eq!(unreadable.event_count, 10);
    assert_eq!(found(&snapshot).len(), 10, "the other one is read");
}

#[tokio::test(start_paused = true)]
async fn what_the_journal_lost_is_stepped_over_and_noted() {
    let (store, _simulation) = Store::simulated(8);
    for _ in 0..3 {
        append(&store).await;
    }
    let journal = Torn { inner: Arc::clone(&store.journal), lost: 11..16 };
    let store = Store { journal: Arc::new(journal), ..store };
    let (index, running, shutdown) = start(store.clone()).await;
    all_visible(&index).await;
    until(&index, has_published).await;
    let snapshot = index.snapshot().await.expect("a snapshot");
    let seqs: Vec<u64> = found(&snapshot).into_keys().collect();
    assert_eq!(seqs, (1..11).chain(16..31).collect::<Vec<u64>>());
    let pieces = index.state().splits.clone();
    let gaps = pieces.iter().flat_map(|piece| piece.open().expect("readable").footer.gaps.clone());
    assert_eq!(gaps.collect::<Vec<_>>(), [(11, 15)]);
    stop(running, &shutdown).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_of_which_the_index_died_twice_is_left_out_and_no_other() {
    let (store, simulation) = Store::simulated(9);
    append(&store).await;
    append(&store).await;
    drop(store);
    for _ in 0..2 {
        let (store, _) = simulation.reopen().expect("opened");
        store.replay(CONSUMER).await.begin(13);
        simulation.kill();
    }
    let (store, _) = simulation.reopen().expect("opened");
    let (index, running, shutdown) = start(store).await;
    all_visible(&index).await;
    let left: Vec<u64> = found(&index.snapshot().await.expect("a snapshot")).into_keys().collect();
    assert_eq!(left, (1..13).chain(14..23).collect::<Vec<u64>>(), "and two records that say so");
    stop(running, &shutdown).await;
}

#[tokio::test(start_paused = true)]
async fn a_death_while_a_split_is_built_is_laid_to_the_event_at_work() {
    for operations in 0..100 {
        let (store, simulation) = Store::simulated(10);
        append(&store).await;
        drop(store);
        for _ in 0..2 {
            let (store, _) = simulation.reopen().expect("opened");
            let (index, running, shutdown) = start(store).await;
            let crash_after_operations = Some(operations);
            let disk = DiskFaults { crash_after_operations, ..DiskFaults::default() };
            simulation.set_faults(Faults { disk, ..Faults::default() });
            until(&index, |index| simulation.has_crashed() || has_published(index)).await;
            shutdown.cancel();
            running.abort();
            simulation.kill();
        }
        let (store, _) = simulation.reopen().expect("opened");
        let replay = store.replay(CONSUMER).await;
        for seq in 1..11 {
            let chunk = replay.read(Position { lane: 0, seq }, 1).await.expect("read");
            if matches!(chunk, Chunk::Gap { .. }) {
                return;
            }
        }
    }
    panic!("no death is laid to an event");
}

/// A journal that lost some of its records.
pub(super) struct Torn {
    /// The journal as it was.
    pub(super) inner: Arc<dyn Journal>,
    /// What it lost.
    pub(super) lost: Range<u64>,
}

#[async_trait]
impl Journal for Torn {
    async fn offer(&self, batch: &mut Append) -> Result<AppendOutcome, JournalError> {
        self.inner.offer(batch).await
    }

    async fn read(&self, from: Position, records_max: usize) -> Result<Chunk, JournalError> {
        if self.lost.contains(&from.seq) {
            return Ok(Chunk::Gap { from, to: Position { seq: self.lost.end, ..from } });
        }
        self.inner.read(from, records_max).await
    }

    fn end(&self, lane: u32) -> Position {
        self.inner.end(lane)
    }

    fn start(&self, lane: u32) -> Position {
        self.inner.start(lane)
    }

    fn identity(&self) -> [u8; 16] {
        self.inner.identity()
    }

    fn hold(&self, consumer: &str, position: Position) {
        self.inner.hold(consumer, position);
    }

    async fn trim(&self) -> Result<(), JournalError> {
        self.inner.trim().await
    }

    async fn acknowledge_damage(&self) -> Result<(), JournalError> {
        self.inner.acknowledge_damage().await
    }

    fn health(&self) -> JournalHealth {
        self.inner.health()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
