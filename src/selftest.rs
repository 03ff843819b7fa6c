//! The self-test of a start: an event of our own goes through journal and index, and a search finds it.
//!
//! Only after it the node says that it is ready and takes records. A journal without room takes no
//! event, and one that cannot write does not either: the node starts all the same, searches and the
//! delivery of alerts go on, and its health says why records are refused.

use std::time::Duration;

use anyhow::{bail, ensure};
use logwarden_event::{EventBuilder, TimeRange};
use logwarden_index::Index;
use logwarden_query::{Control, Engine, SearchRequest, Visibility, parse_query};
use logwarden_store::{
    Append, AppendOutcome, Draft, JournalError, JournalState, RecordKind, Store,
};
use tracing::{info, warn};

/// The dataset of these events: they are in no answer to a query that does not name it.
const DATASET: &str = "logwarden.selftest";
/// How often is said how far the index is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// How it went, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SelfTest {
    /// The event was found.
    Passed,
    /// The journal takes no events now.
    Impossible,
}

/// Appends the event, waits until the index has it, and searches for it.
///
/// The index is running. Waits as long as the index has records to read: after a crash these may be
/// many.
///
/// # Errors
///
/// When the search fails or does not find the event.
pub(crate) async fn run(store: &Store, index: &Index, engine: &Engine) -> anyhow::Result<SelfTest> {
    let Some(seq) = append(store).await? else {
        warn!("the journal takes no event, the start goes on without a self-test");
        return Ok(SelfTest::Impossible);
    };
    let mut visible = index.visible();
    loop {
        let is_there = visible.wait_for(|visible| visible.seq > seq);
        if tokio::time::timeout(PROGRESS_INTERVAL, is_there).await.is_ok() {
            break;
        }
        let left = (seq + 1).saturating_sub(visible.borrow().seq);
        info!(lag.events = left, "the index has {left} records to read before the node is ready");
        // What the disk has no room for stays in the journal, and may be more than memory takes.
        if is_stuck(store) {
            warn!("there is no room for the index to go on, the start goes on without a self-test");
            return Ok(SelfTest::Impossible);
        }
    }
    find(store, engine, seq).await?;
    Ok(SelfTest::Passed)
}

/// The number of the event; `None` when the journal takes none.
async fn append(store: &Store) -> anyhow::Result<Option<u64>> {
    let mut event = EventBuilder::new(b"self-test");
    event.source("logwarden").dataset(DATASET).message("self-test");
    let draft = Draft { kind: RecordKind::Audit, event: event.build() };
    let append = Append { drafts: vec![draft], ..Append::default() };
    match store.journal.append(append).await {
        Ok(AppendOutcome::Appended(receipt)) => Ok(Some(receipt.first.seq)),
        Ok(AppendOutcome::Full(_) | AppendOutcome::Unknown) | Err(JournalError::Failed(_)) => {
            Ok(None)
        }
        other => bail!("the journal answered {other:?}"),
    }
}

fn is_stuck(store: &Store) -> bool {
    matches!(store.journal.health().state, JournalState::DiskFull | JournalState::Failed)
}

async fn find(store: &Store, engine: &Engine, seq: u64) -> anyhow::Result<()> {
    let query = parse_query(&format!("dataset:{DATASET} AND lw.seq:{seq}"), store.clock.now())
        .map_err(|error| anyhow::anyhow!("its query is refused: {}", error.message))?;
    let request = SearchRequest {
        query,
        range: TimeRange::ALL,
        limit: 1,
        sort: Vec::new(),
        cursor: None,
        visibility: Visibility::everything(),
    };
    let answer = engine.search(request, Control::default()).await?;
    let is_found = answer.hits.iter().any(|event| event.seq() == seq);
    ensure!(is_found, "event {seq} is in the index, and a search does not find it");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn the_event_is_found_and_in_no_other_answer() {
        let (store, simulation) = Store::simulated(1);
        let (engine, index) = Engine::over_store(store.clone()).await.expect("opened");
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&index).run(stop.clone()));
        for _ in 0..2 {
            assert_eq!(run(&store, &index, &engine).await.expect("found"), SelfTest::Passed);
        }
        let request = SearchRequest {
            query: parse_query("*", store.clock.now()).expect("a query"),
            range: TimeRange::ALL,
            limit: 0,
            sort: Vec::new(),
            cursor: None,
            visibility: Visibility::everything(),
        };
        let answer = engine.search(request, Control::default()).await.expect("an answer");
        assert_eq!(answer.total, 0);

        // On a full disk it starts without.
        simulation.set_free_bytes(0);
        simulation.advance(Duration::from_secs(60));
        assert_eq!(run(&store, &index, &engine).await.expect("no error"), SelfTest::Impossible);
        stop.cancel();
        running.await.expect("no panic").expect("no error");
    }
}
