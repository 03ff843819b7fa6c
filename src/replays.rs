//! Dead letters on their way from the API to ingest and back.

use std::sync::Arc;

use logwarden_ingest::{Handle, Replayed};
use logwarden_web::{Replay, ReplayOutcome, ReplayedAt};

/// Sends letters through the present parser. A caller that goes away does not stop it half-way.
pub(crate) fn replay(ingest: Handle) -> Replay {
    Arc::new(move |letters| {
        let ingest = ingest.clone();
        Box::pin(async move {
            let work = tokio::spawn(async move { ingest.replay(&letters).await });
            let outcomes = work.await.map_err(|error| error.to_string())?;
            let outcomes = outcomes.map_err(|error| error.to_string())?;
            Ok(outcomes.into_iter().map(show).collect())
        })
    })
}

/// Says when letters were replayed.
pub(crate) fn replayed_at(ingest: Handle) -> ReplayedAt {
    Arc::new(move |letters| {
        let ingest = ingest.clone();
        Box::pin(
            async move { ingest.replayed_at(&letters).await.map_err(|error| error.to_string()) },
        )
    })
}

fn show(outcome: Replayed) -> ReplayOutcome {
    match outcome {
        Replayed::Stored { events } => ReplayOutcome::Stored(events),
        Replayed::Before => ReplayOutcome::Before,
        Replayed::StillBad { reason } => ReplayOutcome::StillBad(reason),
        Replayed::NotReplayable => ReplayOutcome::NotReplayable,
        Replayed::Unsettled => ReplayOutcome::Unsettled,
    }
}
