//! Follows the journal and fills the head.
//!
//! Events are searchable as soon as their batch is in the head. While events in memory are at their
//! bound the journal is not read on: it keeps them, and they become visible later.

use std::time::Duration;

use logwarden_event::Position;
use logwarden_store::{Chunk, JournalError};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::error::IndexError;
use crate::index::Index;
use crate::metrics::{
    EVENTS_TOTAL, GAP_RECORDS_TOTAL, HEAD_BYTES, MEMORY_FULL_TOTAL, READ_RETRIES_TOTAL,
};

/// Records asked of the journal at once.
const READ_RECORDS_MAX: usize = 4_096;
/// How long to wait before a failed read is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Follows the journal until `shutdown`.
pub(crate) async fn follow(index: &Index, shutdown: &CancellationToken) -> Result<(), IndexError> {
    loop {
        if index.state().filling.size_bytes >= index.config.memory_bytes_max {
            ::metrics::counter!(MEMORY_FULL_TOTAL).increment(1);
            warn!("events in memory are at their bound, new events are not searchable");
            shutdown.cancelled().await;
            return Ok(());
        }
        let from = index.state().filling.next;
        let chunk = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            chunk = index.store.journal.read(from, READ_RECORDS_MAX) => chunk,
        };
        match chunk {
            Ok(chunk) => take(index, chunk),
            Err(JournalError::Closed) => return Ok(()),
            Err(error) => {
                ::metrics::counter!(READ_RETRIES_TOTAL).increment(1);
                warn!(%error, "journal cannot be read, will try again");
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    () = tokio::time::sleep(RETRY_DELAY) => {}
                }
            }
        }
    }
}

/// Makes a chunk searchable.
fn take(index: &Index, chunk: Chunk) {
    let (visible, size_bytes) = {
        let mut state = index.state();
        match &chunk {
            Chunk::Records { records, next } => {
                state.filling.push(records, *next);
                ::metrics::counter!(EVENTS_TOTAL).increment(records.len() as u64);
            }
            Chunk::Gap { from, to } => {
                note_gap(*from, *to);
                state.filling.skip(*to);
            }
        }
        (state.filling.next, state.filling.size_bytes)
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
