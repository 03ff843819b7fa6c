//! A journal in memory only: nothing in it survives the process. A stand-in until the segments
//! are written to the disk; it is bounded by [`RECORDS_MAX`] and then answers that it is full.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use logwarden_event::{Clock, Position, Timestamp};
use tokio::sync::watch;

use super::{
    Append, AppendOutcome, Chunk, Fullness, Journal, JournalError, JournalHealth, JournalState,
    Receipt, Record,
};

/// Records it holds at most.
const RECORDS_MAX: u64 = 10_000_000;

pub(crate) struct MemoryJournal {
    clock: Arc<dyn Clock>,
    identity: [u8; 16],
    state: Mutex<State>,
    end: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    groups: Vec<(u64, Arc<[Record]>)>,
    last_observed: i64,
    is_closed: bool,
    keys: HashMap<[u8; 16], ([u8; 16], Receipt)>,
}

impl MemoryJournal {
    pub(crate) fn new(clock: Arc<dyn Clock>, identity: [u8; 16]) -> Self {
        Self { clock, identity, state: Mutex::default(), end: watch::Sender::new(1) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, batch: Append) -> Result<AppendOutcome, JournalError> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(JournalError::Closed);
        }
        let seq = *self.end.borrow();
        if seq > RECORDS_MAX {
            return Ok(AppendOutcome::Full(Fullness { is_full: true, retry_after_secs: 60 }));
        }
        if let Some(key) = batch.idempotency
            && let Some((body, receipt)) = state.keys.get(&key.key)
        {
            return Ok(if *body == key.body {
                AppendOutcome::Duplicate(receipt.clone())
            } else {
                AppendOutcome::KeyConflict
            });
        }
        let mut records = Vec::with_capacity(batch.drafts.len());
        for (index, mut draft) in batch.drafts.into_iter().enumerate() {
            state.last_observed = self.clock.now().nanos().max(state.last_observed + 1);
            let position = Position { lane: 0, seq: seq + index as u64 };
            draft.event.stamp(position, Timestamp::from_nanos(state.last_observed));
            records.push(Record { kind: draft.kind, event: draft.event });
        }
        let count = records.len() as u64;
        let first = Position { lane: 0, seq };
        let receipt = Receipt { first, records: count, receipt: batch.receipt };
        if let Some(key) = batch.idempotency {
            state.keys.insert(key.key, (key.body, receipt.clone()));
        }
        if count > 0 {
            state.groups.push((seq, records.into()));
            self.end.send_replace(seq + count);
        }
        Ok(AppendOutcome::Appended(receipt))
    }

    async fn read(&self, from: Position, records_max: usize) -> Result<Chunk, JournalError> {
        let seq = from.seq.max(1);
        let mut end = self.end.subscribe();
        end.wait_for(|end| *end > seq).await.map_err(|_| JournalError::Closed)?;
        let state = self.lock();
        let found = state.groups.partition_point(|(first, _)| *first <= seq) - 1;
        let (first, records) = &state.groups[found];
        let skip = (seq - first) as usize;
        let take = records_max.max(1).min(records.len() - skip);
        let part: Arc<[Record]> = if take == records.len() {
            Arc::clone(records)
        } else {
            records[skip..skip + take].into()
        };
        Ok(Chunk::Records { records: part, next: Position { lane: 0, seq: seq + take as u64 } })
    }

    fn end(&self, lane: u32) -> Position {
        Position { lane, seq: if lane == 0 { *self.end.borrow() } else { 1 } }
    }

    fn start(&self, lane: u32) -> Position {
        Position { lane, seq: 1 }
    }

    fn identity(&self) -> [u8; 16] {
        self.identity
    }

    fn hold(&self, _consumer: &str, _position: Position) {}

    async fn trim(&self) -> Result<(), JournalError> {
        Ok(())
    }

    fn health(&self) -> JournalHealth {
        JournalHealth {
            state: JournalState::Ready,
            free_bytes: u64::MAX,
            used_bytes: 0,
            last_append_at: Some(Timestamp::from_nanos(self.lock().last_observed)),
        }
    }

    async fn close(&self) {
        self.lock().is_closed = true;
    }
}
