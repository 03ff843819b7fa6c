//! Files as an input: new lines of every file that a path means, through rotation and restarts.
//!
//! A file is known by its inode and by what its first bytes and those before our position say, not by
//! its name. So a file that is renamed is read on, one that is cut to nothing and written again is
//! begun anew, and a copy of one that was read (`copytruncate`) goes on where its original was. Each
//! line is one record, of whatever form: JSON, syslog, text. A last line without its end waits for it,
//! until the file has been rotated away. A line that is too long becomes a dead letter with its
//! beginning. Reading blocks, so it is done off the async threads.

mod follower;
mod lines;
mod place;

use std::time::Duration;

use super::feed::{Feed, Stopped, new_nonce};
use super::settings::InputConfig;
use crate::batch::Batch;
use crate::config::Limits;
use crate::deadletter::Rejection;
use crate::normalize::Wrapped;
use crate::protocol::documents;
use crate::protocol::stream::without_line_end;
use follower::{Chunk, Follower};
use lines::Line;
use place::{Intent, Place};

/// Between two looks at files that had nothing new.
const POLL: Duration = Duration::from_millis(250);

/// Follows the files of `config` until the process stops.
pub(super) async fn run(feed: Feed, config: &InputConfig) {
    let Some(path) = config.path.clone() else { return };
    // Only a stop ends it; what was begun is settled at the next start.
    let _: Result<(), Stopped> = follow(&feed, Follower::new(path, feed.pipeline.limits())).await;
}

async fn follow(feed: &Feed, mut follower: Follower) -> Result<(), Stopped> {
    for (item, place) in feed.load::<Place>().await? {
        let settled = settle(feed, place).await?;
        feed.save(&item, Some(&settled)).await?;
        follower.remember(item, settled);
    }
    loop {
        let (returned, found) = work(follower, Follower::next).await;
        follower = returned;
        let (lag, restarts) = (follower.lag(), follower.restarts());
        feed.report(|report| (report.lag, report.restarts) = (lag, restarts));
        if let Some(problem) = follower.problem() {
            feed.trouble(&problem);
        }
        match found {
            Some(chunk) => {
                let place = store(feed, &chunk).await?;
                follower.advance(&chunk, place);
            }
            None => {
                for item in follower.take_forgotten() {
                    feed.save::<Place>(&item, None).await?;
                }
                for (item, place) in follower.unsaved() {
                    feed.save(&item, Some(&place)).await?;
                }
                feed.pause(POLL).await?;
            }
        }
    }
}

/// Does the blocking part of the work.
async fn work<T: Send + 'static>(
    mut follower: Follower,
    work: impl FnOnce(&mut Follower) -> T + Send + 'static,
) -> (Follower, T) {
    let done = tokio::task::spawn_blocking(move || {
        let result = work(&mut follower);
        (follower, result)
    });
    match done.await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Finds out whether the batch under way at the last stop is durable.
async fn settle(feed: &Feed, mut place: Place) -> Result<Place, Stopped> {
    if let Some(intent) = place.pending.take()
        && feed.was_stored(intent.nonce).await?
    {
        (place.done, place.tail) = (intent.end, intent.tail);
    }
    Ok(place)
}

/// Makes the records of a chunk durable; the place after it.
async fn store(feed: &Feed, chunk: &Chunk) -> Result<Place, Stopped> {
    let mut place = chunk.before.clone();
    let batch = batch_of(feed, chunk);
    if !batch.drafts.is_empty() {
        let nonce = new_nonce();
        place.pending = Some(Intent { nonce, end: chunk.end, tail: chunk.tail.clone() });
        place.saved_at = feed.pipeline.now().nanos();
        feed.save(&chunk.item, Some(&place)).await?;
        feed.append(batch, nonce).await?;
    }
    place.pending = None;
    (place.done, place.tail) = (chunk.end, chunk.tail.clone());
    Ok(place)
}

fn batch_of(feed: &Feed, chunk: &Chunk) -> Batch {
    let limits: &Limits = feed.pipeline.limits();
    let mut batch = Batch::joining();
    let intake = feed.pipeline.intake(&feed.origin, &feed.quota);
    let path = chunk.path.to_string_lossy();
    let envelope = serde_json::json!({ "log.file.path": path }).to_string();
    for (number, line) in (1..).zip(&chunk.lines) {
        match line {
            Line::Whole(record) => {
                let record = without_line_end(record);
                let wrapped = Wrapped { envelope: &envelope, ..Wrapped::bare(record) };
                let is_empty = record.trim_ascii().is_empty();
                if !is_empty && batch.add_wrapped(intake, number, &wrapped).is_err() {
                    batch.add(intake, number, record);
                }
            }
            Line::TooLong(beginning, size_bytes) => {
                let reason = documents::too_long(*size_bytes, limits.record_bytes_max);
                let (code, size_bytes) = ("line_too_long", *size_bytes);
                let rejection = Rejection { line: number, code, reason, size_bytes };
                batch.reject(intake, beginning, rejection);
            }
        }
    }
    batch.finish(intake);
    batch
}

#[cfg(test)]
mod tests;
