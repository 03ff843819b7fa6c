//! What a start takes up again: groups from the last snapshot, what was written since by looking again,
//! events from where they are durable.

use logwarden_event::EventId;
use logwarden_query::Engine as Searches;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::alert::kept::{Kept, indexed};
use crate::detector::{ALERTS, CONSUMER};
use crate::window::Member;

async fn position(world: &World, name: &str) -> Option<u64> {
    let checkpoint = world.store.catalog.checkpoint(name, 0).await.expect("answered");
    checkpoint.map(|checkpoint| checkpoint.position.seq)
}

#[tokio::test]
async fn an_alert_goes_on_after_a_crash_between_two_snapshots() {
    let mut world = World::new(31).await;
    let now = world.now_secs();
    world.append(&attack(now - 60, "10.2.0.9", 7)).await;
    world.detector.catch_up().await.expect("detector");
    world.detector.catch_up().await.expect("detector");
    assert_eq!(position(&world, CONSUMER).await, Some(8), "a snapshot when it is quiet");
    world.append(&attack(now - 50, "10.2.0.9", 5)).await;
    world.detector.take_next().await.expect("detector");
    assert_eq!(position(&world, ALERTS).await, Some(13), "an alert is written at once");
    assert_eq!(position(&world, CONSUMER).await, Some(8), "and the groups later");

    world.crash().await;
    world.append(&attack(now - 40, "10.2.0.9", 4)).await;
    world.detector.catch_up().await.expect("detector");
    let [alert] = world.alerts().await.try_into().expect("the same alert");
    assert_eq!((alert.summary.events, alert.summary.detections), (16, 1));
    assert_eq!(alert.evidence.len(), 16, "with what was received before the crash");
    world.send().await;
    assert_eq!(world.receiver.taken.lock().expect("not poisoned").len(), 1);

    // What came before the snapshot of this stop is no longer in memory, and is shown all the same.
    world.append(&attack(now - 30, "10.2.0.7", 9)).await;
    world.detector.catch_up().await.expect("detector");
    world.detector.catch_up().await.expect("detector");
    world.crash().await;
    world.append(&attack(now - 20, "10.2.0.7", 1)).await;
    world.detector.catch_up().await.expect("detector");
    let alerts = world.alerts().await;
    let other = alerts.iter().find(|other| other.summary.id != alert.summary.id).expect("opened");
    assert_eq!((other.summary.events, other.evidence.len()), (10, 10));
}

#[tokio::test]
async fn events_are_found_again_in_the_journal_and_among_the_indexed() {
    let mut world = World::new(32).await;
    let stop = CancellationToken::new();
    let (searches, index) = Searches::over_store(world.store.clone()).await.expect("opened");
    let mut visible = index.visible();
    tokio::spawn(index.run(stop.clone()));
    world.append(&attack(world.now_secs() - 60, "10.2.0.9", 5)).await;
    let end = world.store.journal.end(0);
    visible.wait_for(|visible| visible.seq >= end.seq).await.expect("the index runs");
    let read = world.store.journal.read(world.store.journal.start(0), 10).await.expect("read");
    let logwarden_store::Chunk::Records { records, .. } = read else { panic!("no gap") };
    let ids: Vec<EventId> = records.iter().map(|record| record.event.id()).collect();

    let found = indexed(&searches, &ids[1..3]).await;
    assert_eq!(found.iter().map(|event| event.id()).collect::<Vec<_>>(), ids[1..3]);
    let member = |id: &EventId| Member { at: 0, id: id.to_u128(), weight: 1 };
    let mut kept = Kept::default();
    kept.bring(&*world.store.journal, None, &ids.iter().map(member).collect::<Vec<_>>()).await;
    assert!(ids.iter().all(|id| kept.get(id.to_u128()).is_some()));
    stop.cancel();
}
