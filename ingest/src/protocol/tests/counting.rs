//! What the counters of a test say, apart from those of all others.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, LocalRecorderGuard, Metadata, Recorder, SharedString,
    Unit,
};

/// The counters of the thread that started it.
#[derive(Default)]
pub(super) struct Counters(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Counters {
    /// Counts until the guard is dropped.
    pub(super) fn start(&self) -> LocalRecorderGuard<'_> {
        metrics::set_default_local_recorder(self)
    }

    /// The labels of counters whose name has `part` in it, and what they stand at.
    pub(super) fn of(&self, part: &str) -> String {
        let counters = self.0.lock().expect("nobody panics with it");
        let shown = counters.iter().filter_map(|(name, counter)| {
            let (name, labels) = name.split_once(' ')?;
            let number = counter.load(Ordering::Relaxed);
            name.contains(part).then(|| format!("{labels} {number}"))
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// Waits until [`Counters::of`] gives `expected`.
    pub(super) async fn wait_for(&self, part: &str, expected: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while self.of(part) != expected {
            assert!(std::time::Instant::now() < deadline, "counted: {}", self.of(part));
            tokio::task::yield_now().await;
        }
    }
}

impl Recorder for Counters {
    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        let labels: Vec<_> = key.labels().map(|label| label.value()).collect();
        let name = format!("{} {}", key.name(), labels.join("/"));
        let mut counters = self.0.lock().expect("nobody panics with it");
        Counter::from_arc(Arc::clone(counters.entry(name).or_default()))
    }

    fn register_gauge(&self, _key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }

    fn describe_counter(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}
    fn describe_gauge(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}
    fn describe_histogram(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}
}
