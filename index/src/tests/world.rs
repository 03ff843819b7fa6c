//! A store whose power can go at any of its writes, and an index on it.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use logwarden_event::{Event, EventBuilder, TimeRange};
use logwarden_store::{
    Append, AppendOutcome, BlobError, Blobs, Catalog, CatalogError, Checkpoint, Draft, Migration,
    RecordKind, Row, Statement, Step, StepOutcome, Store,
};

use crate::config::Config;
use crate::index::{Index, Snapshot};
use crate::lookup::Lookup;

/// Which write is the last one, and whether it is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crash {
    /// Writes before it.
    pub(super) after_writes: i64,
    /// Whether that write is done although nobody hears of it.
    pub(super) is_done: bool,
}

/// Counts writes until the power goes.
#[derive(Debug)]
pub(super) struct Power {
    left: AtomicI64,
    is_last_done: bool,
}

impl Power {
    /// Power that goes as `crash` says.
    pub(super) fn until(crash: Crash) -> Arc<Self> {
        let left = AtomicI64::new(crash.after_writes);
        Arc::new(Self { left, is_last_done: crash.is_done })
    }

    /// Power that does not go.
    pub(super) fn endless() -> Arc<Self> {
        Self::until(Crash { after_writes: i64::MAX, is_done: true })
    }

    /// Whether it is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }

    /// Whether this write is done, and whether its caller hears of it.
    fn write(&self) -> (bool, bool) {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1.. => (true, true),
            0 => (self.is_last_done, false),
            _ => (false, false),
        }
    }
}

/// The same store, with this power.
pub(super) fn powered(store: &Store, power: &Arc<Power>) -> Store {
    let blobs = PoweredBlobs { inner: Arc::clone(&store.blobs), power: Arc::clone(power) };
    let catalog = PoweredCatalog { inner: Arc::clone(&store.catalog), power: Arc::clone(power) };
    Store { blobs: Arc::new(blobs), catalog: Arc::new(catalog), ..store.clone() }
}

struct PoweredBlobs {
    inner: Arc<dyn Blobs>,
    power: Arc<Power>,
}

impl PoweredBlobs {
    fn gone<T>(&self, name: &str) -> Result<T, BlobError> {
        Err(BlobError::Io { name: name.to_owned(), reason: "no power".to_owned() })
    }

    fn alive<T>(&self, name: &str, read: Result<T, BlobError>) -> Result<T, BlobError> {
        if self.power.is_gone() { self.gone(name) } else { read }
    }
}

impl Blobs for PoweredBlobs {
    fn put_new(&self, name: &str, content: &mut dyn Read) -> Result<(), BlobError> {
        let (is_done, is_told) = self.power.write();
        let outcome = if is_done { self.inner.put_new(name, content) } else { Ok(()) };
        if is_told { outcome } else { self.gone(name) }
    }

    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        self.alive(name, self.inner.get_range(name, range))
    }

    fn size_bytes(&self, name: &str) -> Result<u64, BlobError> {
        self.alive(name, self.inner.size_bytes(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        self.alive(prefix, self.inner.list(prefix))
    }

    fn delete(&self, name: &str) -> Result<(), BlobError> {
        let (is_done, is_told) = self.power.write();
        let outcome = if is_done { self.inner.delete(name) } else { Ok(()) };
        if is_told { outcome } else { self.gone(name) }
    }

    fn put_aside(&self, name: &str) -> Result<(), BlobError> {
        let (is_done, is_told) = self.power.write();
        let outcome = if is_done { self.inner.put_aside(name) } else { Ok(()) };
        if is_told { outcome } else { self.gone(name) }
    }
}

struct PoweredCatalog {
    inner: Arc<dyn Catalog>,
    power: Arc<Power>,
}

#[async_trait]
impl Catalog for PoweredCatalog {
    async fn migrate(
        &self,
        room: &'static str,
        migrations: &'static [Migration],
    ) -> Result<(), CatalogError> {
        self.inner.migrate(room, migrations).await
    }

    async fn step(&self, step: Step) -> Result<StepOutcome, CatalogError> {
        let (is_done, is_told) = self.power.write();
        if !is_done {
            return Err(CatalogError::Unknown);
        }
        let outcome = self.inner.step(step).await;
        if is_told { outcome } else { Err(CatalogError::Unknown) }
    }

    async fn query(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, CatalogError> {
        self.inner.query(statements).await
    }

    async fn checkpoint(&self, name: &str, lane: u32) -> Result<Option<Checkpoint>, CatalogError> {
        self.inner.checkpoint(name, lane).await
    }
}

/// Heads of ten events; nothing happens because of age.
pub(super) fn small_heads() -> Config {
    Config { head_events_max: 10, head_age_max_secs: 100_000_000, ..Config::default() }
}

/// Appends a batch of ten events.
pub(super) async fn append(store: &Store) {
    let draft = |number: usize| {
        let message = format!("event {number} of a batch");
        let mut event = EventBuilder::new(message.as_bytes());
        event.message(&message).dataset("test.log");
        Draft { kind: RecordKind::Event, event: event.build() }
    };
    let append = Append { drafts: (0..10).map(draft).collect(), ..Append::default() };
    let outcome = store.journal.append(append).await.expect("an open journal");
    assert!(matches!(outcome, AppendOutcome::Appended(_)));
}

/// How often each event is in the snapshot, by seq.
pub(super) fn found(snapshot: &Snapshot) -> BTreeMap<u64, usize> {
    let mut found = BTreeMap::new();
    for piece in &snapshot.pieces {
        let mut note = |event: &Event| {
            *found.entry(event.seq()).or_default() += 1;
            ControlFlow::Continue(())
        };
        piece.search(&Lookup::All, TimeRange::ALL, &mut note).expect("a readable piece");
    }
    found
}

/// Asserts that the snapshot shows every event before its position exactly once.
pub(super) fn assert_whole(snapshot: &Snapshot) {
    let expected: BTreeMap<u64, usize> = (1..snapshot.visible.seq).map(|seq| (seq, 1)).collect();
    assert_eq!(found(snapshot), expected);
    assert_eq!(snapshot.unreadable, []);
}

/// Waits, in paused time, until the index is as wanted.
pub(super) async fn until(index: &Index, is_so: impl Fn(&Index) -> bool) {
    // An hour of paused time; a split takes some of it for itself when writes fail.
    for _ in 0..72_000 {
        if is_so(index) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let state = index.state();
    panic!(
        "the index does not become what it should: checkpoint {:?} of {:?}, {} splits, {} retired, \
         {:?}",
        state.checkpoint,
        index.store.journal.end(0),
        state.splits.len(),
        state.retired.len(),
        index.store.blobs.list("splits/").map(|blobs| blobs.len()),
    );
}

/// Whether every event is in a split.
pub(super) fn has_published(index: &Index) -> bool {
    let state = index.state();
    state.checkpoint == Some(index.store.journal.end(0)) && state.sealed.is_none()
}

/// Whether every event is in a split and there is no blob but theirs.
pub(super) fn is_tidy(index: &Index) -> bool {
    let blobs = index.store.blobs.list("splits/").map_or(0, |blobs| blobs.len());
    let is_published = has_published(index);
    let state = index.state();
    is_published && state.retired.is_empty() && blobs == state.splits.len()
}

/// Whether that many splits are left, all of them tidy.
pub(super) fn has_settled(index: &Index, splits: usize) -> bool {
    is_tidy(index) && index.state().splits.len() == splits
}
