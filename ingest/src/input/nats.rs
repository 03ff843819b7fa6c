//! A JetStream stream as an input: every message is one record, each once.
//!
//! A durable pull consumer with explicit acknowledgements; a message is acknowledged after its record
//! is durable, and the acknowledgement itself is confirmed. What is durable is in the catalog by its
//! number in the stream, so that a message that comes again is acknowledged and not stored again. The connection is plain: off loopback the settings must allow that. Written
//! against nats-server 2.9.

mod ledger;
mod session;
mod wire;

use std::time::Duration;

use super::feed::{Feed, Stopped, new_nonce};
use super::settings::InputConfig;
use crate::batch::Batch;
use crate::deadletter::Rejection;
use crate::normalize::Wrapped;
use crate::protocol::documents;
use ledger::{Ledger, Pending};
use session::{Fault, Session};
use wire::Message;

/// The pause before the first and the longest before any further connection.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// The state in the catalog: there is one stream.
const ITEM: &str = "stream";

/// Follows the stream of `config` until the process stops.
pub(super) async fn run(feed: Feed, config: &InputConfig) {
    // Only a stop ends it; what was begun is settled at the next start.
    let _: Result<(), Stopped> = follow(&feed, config).await;
}

async fn follow(feed: &Feed, config: &InputConfig) -> Result<(), Stopped> {
    let loaded = feed.load::<Ledger>().await?.into_iter().find(|(item, _)| item == ITEM);
    let mut ledger = loaded.map(|(_, ledger)| ledger).unwrap_or_default();
    settle(feed, &mut ledger).await?;
    let mut backoff = BACKOFF.0;
    loop {
        let connected = tokio::select! {
            () = feed.shutdown.cancelled() => return Err(Stopped),
            connected = Session::open(config) => connected,
        };
        let fault = match connected {
            Err(fault) => fault,
            Ok(mut session) => {
                backoff = BACKOFF.0;
                feed.report(|report| report.problem.clear());
                ledger.meet(session.stream_created());
                match serve(feed, &mut session, &mut ledger).await {
                    Ok(stopped) => return Err(stopped),
                    Err(fault) => fault,
                }
            }
        };
        feed.trouble(&fault.to_string());
        feed.report(|report| report.restarts += 1);
        feed.pause(backoff).await?;
        backoff = (backoff * 2).min(BACKOFF.1);
    }
}

/// Finds out whether the batch under way at the last stop is durable.
async fn settle(feed: &Feed, ledger: &mut Ledger) -> Result<(), Stopped> {
    if let Some(pending) = ledger.pending.take() {
        if feed.was_stored(pending.nonce).await? {
            ledger.keep(pending.numbers);
        }
        feed.save(ITEM, Some(&*ledger)).await?;
    }
    Ok(())
}

/// Takes messages until the process stops or the connection fails.
async fn serve(feed: &Feed, session: &mut Session, ledger: &mut Ledger) -> Result<Stopped, Fault> {
    loop {
        let messages = tokio::select! {
            () = feed.shutdown.cancelled() => return Ok(Stopped),
            messages = session.fetch() => messages?,
        };
        let Some(last) = messages.last() else { continue };
        feed.report(|report| report.lag = last.waiting);
        if store(feed, ledger, &messages).await.is_err() {
            return Ok(Stopped);
        }
        session.confirm(&messages).await?;
    }
}

/// Makes durable those messages that are not.
async fn store(feed: &Feed, ledger: &mut Ledger, messages: &[Message]) -> Result<(), Stopped> {
    let new: Vec<&Message> =
        messages.iter().filter(|message| !ledger.has(message.number)).collect();
    let batch = batch_of(feed, &new);
    if batch.drafts.is_empty() {
        return Ok(());
    }
    let nonce = new_nonce();
    let numbers: Vec<u64> = new.iter().map(|message| message.number).collect();
    ledger.pending = Some(Pending { nonce, numbers });
    feed.save(ITEM, Some(&*ledger)).await?;
    feed.append(batch, nonce).await?;
    if let Some(pending) = ledger.pending.take() {
        ledger.keep(pending.numbers);
    }
    Ok(())
}

fn batch_of(feed: &Feed, messages: &[&Message]) -> Batch {
    let limits = feed.pipeline.limits();
    let intake = feed.pipeline.intake(&feed.origin, &feed.quota);
    let mut batch = Batch::default();
    for message in messages {
        let (line, record) = (message.number, message.payload.trim_ascii_end());
        if record.len() > limits.record_bytes_max {
            let (code, size_bytes) = ("line_too_long", record.len());
            let reason = documents::too_long(size_bytes, limits.record_bytes_max);
            batch.reject(intake, record, Rejection { line, code, reason, size_bytes });
            continue;
        }
        let envelope = serde_json::json!({ "nats.subject": message.subject }).to_string();
        let wrapped = Wrapped { envelope: &envelope, ..Wrapped::bare(record) };
        if !record.is_empty() && batch.add_wrapped(intake, line, &wrapped).is_err() {
            batch.add(intake, line, record);
        }
    }
    batch
}

#[cfg(test)]
mod tests;
