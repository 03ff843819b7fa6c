//! Waiting for what becomes true: the only place in the tests that lets real time pass.

use std::time::{Duration, Instant};

/// Between two looks: short against everything a story measures.
const PAUSE: Duration = Duration::from_millis(20);

/// What a step may take on a machine that does much else. Nothing is judged by it.
pub(crate) const LONG: Duration = Duration::from_secs(90);

/// Asks `look` until it answers, and gives the answer.
///
/// # Panics
///
/// When `deadline` has passed, with `what` was waited for.
pub(crate) async fn until<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < deadline, "waited {deadline:?} in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Lets `span` pass: between the batches of a load, or before a kill at a moment of chance.
pub(crate) async fn pass(span: Duration) {
    tokio::time::sleep(span).await;
}
