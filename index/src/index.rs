//! The index as others see it: open, follow, take snapshots.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use logwarden_event::Position;
use logwarden_store::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::error::IndexError;
use crate::head::Head;
use crate::indexer;
use crate::piece::{Piece, UnreadableSplit};

/// The consumer under whose name the checkpoint stands.
pub(crate) const CONSUMER: &str = "index";
/// The lane that is followed; the embedded journal has only this one.
pub(crate) const LANE: u32 = 0;

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
    pub(crate) visible: watch::Sender<Position>,
    state: Mutex<State>,
}

/// What a snapshot shows; changes in one step from one consistent whole to the next.
pub(crate) struct State {
    /// The head that takes new events.
    pub(crate) filling: Head,
}

impl Index {
    /// Reads where the index stands in the catalog. Nothing is followed until [`Index::run`].
    ///
    /// # Errors
    ///
    /// [`IndexError::ForeignJournal`] and [`IndexError::JournalBehind`] when catalog and journal do
    /// not belong together; [`IndexError::Catalog`] when the catalog cannot serve.
    pub async fn open(store: Store, config: Config) -> Result<Arc<Self>, IndexError> {
        let start = start_position(&store).await?;
        store.journal.hold(CONSUMER, start);
        Ok(Arc::new(Self {
            store,
            config,
            visible: watch::Sender::new(start),
            state: Mutex::new(State { filling: Head::new(start) }),
        }))
    }

    /// Follows the journal until `shutdown`. At most one call at a time.
    ///
    /// # Errors
    ///
    /// [`IndexError::Stale`] when another indexer moved the checkpoint.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), IndexError> {
        indexer::follow(&self, &shutdown).await
    }

    /// Tells the position before which every event is searchable, whenever it moves.
    pub fn visible(&self) -> watch::Receiver<Position> {
        self.visible.subscribe()
    }

    /// Everything that is searchable now. Later events never appear in it.
    ///
    /// # Errors
    ///
    /// None today; a clustered index reads the catalog here.
    pub async fn snapshot(&self) -> Result<Snapshot, IndexError> {
        let head = self.state().filling.clone();
        let visible = head.next;
        let pieces = if head.is_empty() { Vec::new() } else { vec![Arc::new(head) as _] };
        Ok(Snapshot { pieces, visible, unreadable: Vec::new() })
    }

    /// The state, for a moment; never held across a wait.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where to read on: at the checkpoint, which must belong to this journal.
async fn start_position(store: &Store) -> Result<Position, IndexError> {
    let Some(checkpoint) = store.catalog.checkpoint(CONSUMER, LANE).await? else {
        return Ok(Position { lane: LANE, seq: 1 });
    };
    let (found, position) = (store.journal.identity(), checkpoint.position);
    if checkpoint.journal != found {
        return Err(IndexError::ForeignJournal {
            expected: hex(checkpoint.journal),
            found: hex(found),
            position,
        });
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
