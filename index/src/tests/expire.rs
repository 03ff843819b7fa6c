//! What is due goes, once and with a tombstone; what a guard holds stays until it is confirmed.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use logwarden_event::{Event, TimeRange};
use logwarden_store::{Simulation, Store};
use tokio_util::sync::CancellationToken;

use super::world::{append, found, has_published, small_heads, until};
use crate::config::Config;
use crate::index::Index;
use crate::lookup::Lookup;
use crate::retention::{Policy, Refusal};

const HOUR: Duration = Duration::from_secs(3_600);

fn keep_a_day() -> Policy {
    Policy { dataset: "test.*".to_owned(), keep_days: Some(1), bytes_max: None }
}

async fn start(store: &Store, config: Config) -> (Arc<Index>, CancellationToken) {
    let index = Index::open(store.clone(), config).await.expect("a store that fits");
    let shutdown = CancellationToken::new();
    tokio::spawn(Arc::clone(&index).run(shutdown.clone()));
    (index, shutdown)
}

/// Time passes: for the wall clock, and for the one that nobody sets.
async fn pass(simulation: &Simulation, time: Duration) {
    simulation.advance(time);
    tokio::time::advance(time).await;
}

async fn publish_batches(index: &Index, batches: usize) {
    for _ in 0..batches {
        append(&index.store).await;
        until(index, has_published).await;
    }
}

/// The objects of audit records that tell of something removed.
async fn tombstones(index: &Index) -> Vec<String> {
    let snapshot = index.snapshot().await.expect("a snapshot");
    let mut objects = Vec::new();
    for piece in &snapshot.pieces {
        let mut note = |event: &Event| {
            if event.dataset() == "logwarden.audit" {
                objects.extend(event.value_of("lw.object").map(|object| object.to_string()));
            }
            ControlFlow::Continue(())
        };
        piece.search(&Lookup::All, TimeRange::ALL, &mut note).expect("a readable piece");
    }
    objects
}

#[tokio::test(start_paused = true)]
async fn what_is_due_goes_and_leaves_a_tombstone() {
    let (store, simulation) = Store::simulated(1);
    let config = Config { retention: vec![keep_a_day()], ..small_heads() };
    let (index, shutdown) = start(&store, config.clone()).await;
    publish_batches(&index, 1).await;
    let old = index.state().splits[0].meta.id.to_string();
    // Not in one leap: the clock is looked at now and then.
    for _ in 0..25 {
        pass(&simulation, HOUR).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        simulation.advance(Duration::from_secs(20));
    }
    // A fifth of everything, all of it at once, would have to be confirmed.
    let preview = index.preview_retention(None).await;
    assert!(matches!(preview.refusal, Some(Refusal::Share { .. })), "{preview:?}");
    publish_batches(&index, 6).await;
    until(&index, |index| index.state().splits.iter().all(|split| split.meta.seq_first > 10)).await;
    until(&index, |index| index.visible.borrow().seq > 71 && index.state().retired.is_empty())
        .await;
    assert_eq!(tombstones(&index).await, [old]);
    shutdown.cancel();

    let again = Index::open(store, config).await.expect("the same store");
    let snapshot = again.snapshot().await.expect("a snapshot");
    assert_eq!(found(&snapshot).keys().next(), Some(&11));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumped_removes_nothing_before_somebody_confirms() {
    let (store, simulation) = Store::simulated(2);
    let config = Config { retention: vec![keep_a_day()], ..small_heads() };
    let (index, shutdown) = start(&store, config).await;
    publish_batches(&index, 2).await;
    simulation.advance(HOUR * 24 * 365 * 70);
    until(&index, |index| matches!(index.retention().refusal, Some(Refusal::Clock { .. }))).await;
    assert_eq!(found(&index.snapshot().await.expect("a snapshot")).len(), 20);
    index.confirm_retention();
    until(&index, |index| index.state().splits.is_empty()).await;
    shutdown.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_change_that_removes_more_waits_a_day() {
    let (store, simulation) = Store::simulated(3);
    let (index, shutdown) = start(&store, small_heads()).await;
    publish_batches(&index, 2).await;
    for _ in 0..30 {
        pass(&simulation, HOUR).await;
    }
    index.set_retention(vec![keep_a_day()]).await.expect("a catalog");
    assert_eq!(index.preview_retention(None).await.due, []);
    assert_eq!(index.preview_retention(Some(vec![keep_a_day()])).await.due.len(), 2);
    assert!(index.retention().change_waits_until.is_some());
    for _ in 0..25 {
        pass(&simulation, HOUR).await;
    }
    assert_eq!(index.preview_retention(None).await.due.len(), 2);
    shutdown.cancel();
    let again = Index::open(store, small_heads()).await.expect("the same store");
    assert_eq!(again.retention().set, [keep_a_day()]);
}
