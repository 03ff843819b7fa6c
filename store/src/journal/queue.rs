//! Batches that wait for the writer, and when they are closed into a group.
//!
//! A group closes [`GROUP_WAIT_MAX`] after its first batch came, or with the batch that brings it
//! to [`GROUP_BYTES`] or [`GROUP_RECORDS`]. While one group is being synced the next one fills.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::batch::Batch;
use super::idempotency::Reservation;
use super::{AppendOutcome, JournalError};

/// How long a group waits for more.
pub(crate) const GROUP_WAIT_MAX: Duration = Duration::from_millis(2);
/// Bytes that close a group.
pub(crate) const GROUP_BYTES: usize = 1024 * 1024;
/// Records that close a group.
pub(crate) const GROUP_RECORDS: usize = 4096;

/// A batch that waits, and who waits for it.
pub(crate) struct Submission {
    pub(crate) batch: Batch,
    pub(crate) reservation: Option<Reservation>,
    pub(crate) answer: oneshot::Sender<Answer>,
    /// Its share of the bytes under way.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

/// What became of a batch.
pub(crate) struct Answer {
    pub(crate) outcome: Result<AppendOutcome, JournalError>,
    /// The batch again, unless it is durable.
    pub(crate) back: Option<Batch>,
}

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Submission>,
    bytes: usize,
    records: usize,
    first_at: Option<Instant>,
    is_closed: bool,
}

/// What the writer thread does next.
pub(crate) enum Next {
    /// Writes these.
    Group(Vec<Submission>),
    /// Nothing came for as long as it wanted to wait.
    Idle,
    /// Everything is written and nothing more comes.
    Closed,
}

impl Queue {
    /// Adds a batch; false when the queue is closed and the batch is gone.
    pub(crate) fn push(&self, submission: Submission) -> bool {
        let mut state = self.lock();
        if state.is_closed {
            return false;
        }
        state.bytes += submission.batch.group_bytes();
        state.records += submission.batch.len();
        state.first_at.get_or_insert_with(Instant::now);
        state.waiting.push_back(submission);
        // The writer wakes for the first batch of a group and for the one that fills it.
        if state.waiting.len() == 1 || state.is_full() {
            self.changed.notify_one();
        }
        true
    }

    /// Takes a group without waiting.
    pub(crate) fn take(&self) -> Vec<Submission> {
        self.lock().take_group()
    }

    /// Takes everything, for nobody will write it.
    pub(crate) fn take_all(&self) -> VecDeque<Submission> {
        std::mem::take(&mut self.lock().waiting)
    }

    /// Waits until a group is closed, at most `idle_max` while there is none.
    pub(crate) fn wait(&self, idle_max: Duration) -> Next {
        let mut state = self.lock();
        let idle_until = Instant::now() + idle_max;
        loop {
            let now = Instant::now();
            let deadline = match state.first_at {
                Some(first_at) => {
                    let closes_at = first_at + GROUP_WAIT_MAX;
                    if state.is_full() || state.is_closed || now >= closes_at {
                        return Next::Group(state.take_group());
                    }
                    closes_at
                }
                None if state.is_closed => return Next::Closed,
                None if now >= idle_until => return Next::Idle,
                None => idle_until,
            };
            state = self
                .changed
                .wait_timeout(state, deadline - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Refuses more batches; those that wait are still taken.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Whether it takes no more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.bytes >= GROUP_BYTES || self.records >= GROUP_RECORDS
    }

    fn take_group(&mut self) -> Vec<Submission> {
        let mut group = Vec::new();
        let (mut bytes, mut records) = (0, 0);
        while bytes < GROUP_BYTES && records < GROUP_RECORDS {
            let Some(submission) = self.waiting.pop_front() else {
                break;
            };
            bytes += submission.batch.group_bytes();
            records += submission.batch.len();
            group.push(submission);
        }
        self.bytes -= bytes;
        self.records -= records;
        // What is left has waited already: it closes as soon as the writer is back.
        self.first_at = if self.waiting.is_empty() { None } else { self.first_at };
        group
    }
}
