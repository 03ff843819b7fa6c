//! A file from its lines to the journal, with a crash at the worst moment.

use std::sync::Arc;

use logwarden_event::{Position, Value};
use logwarden_store::identity::Identity;
use logwarden_store::seal::Seal;
use logwarden_store::{Chunk as Read, RecordKind, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::Config;
use crate::normalize::Origin;
use crate::pipeline::{Pipeline, Progress};
use crate::tables;

async fn feed(store: &Store) -> Feed {
    let catalog = Arc::clone(&store.catalog);
    let identity = Identity::open(catalog, Arc::clone(&store.clock), Seal::ephemeral())
        .await
        .expect("identity");
    let (_, seen) = watch::channel(Position::default());
    let pipeline = Arc::new(Pipeline::new(
        Arc::new(Config::default()),
        store,
        identity,
        Progress::of_all(seen),
    ));
    Feed {
        quota: pipeline.quotas.of("shop"),
        pipeline,
        store: store.clone(),
        origin: Origin { protocol: "file", ..Origin::new("shop") },
        name: "app".to_owned(),
        place: 0,
        shutdown: CancellationToken::new(),
    }
}

/// The messages of all events of senders, and of the notes of our own.
async fn journal(store: &Store) -> Vec<String> {
    let (mut at, mut shown) = (Position { lane: 0, seq: 1 }, Vec::new());
    while at < store.journal.end(0) {
        let chunk = store.journal.read(at, 1_000).await.expect("records");
        let Read::Records { records, next } = chunk else { panic!("a gap") };
        shown.extend(records.iter().map(|record| match record.kind {
            RecordKind::Event => record.event.message().to_owned(),
            kind => format!("({kind:?})"),
        }));
        at = next;
    }
    shown
}

#[tokio::test]
async fn a_crash_before_or_after_the_durable_write_stores_each_line_once() {
    let (store, _simulation) = Store::simulated(11);
    store.catalog.migrate(tables::ROOM, tables::MIGRATIONS).await.expect("migrated");
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("app.log");
    std::fs::write(&path, "one\n{\"message\":\"two\"}\n<13>three\n").expect("written");
    let feed = feed(&store).await;
    let limits = Limits::default();
    let chunk = Follower::new(path.clone(), &limits).next().expect("lines");

    // The intent is saved, and nothing else.
    let nonce = new_nonce();
    let intent = Intent { nonce, end: chunk.end, tail: chunk.tail.clone() };
    let begun = Place { pending: Some(intent), ..chunk.before.clone() };
    feed.save(&chunk.item, Some(&begun)).await.expect("saved");
    let (_, loaded) = feed.load::<Place>().await.expect("loaded").remove(0);
    let place = settle(&feed, loaded.clone()).await.expect("settled");
    assert_eq!(place.done, 0);
    assert_eq!(settle(&feed, loaded).await.expect("settled").done, 0, "and so the next time");

    // It is read again, and stored; then the process ends before the position is saved.
    let mut follower = Follower::new(path.clone(), &limits);
    follower.remember(chunk.item.clone(), place);
    let chunk = follower.next().expect("lines");
    store_chunk(&feed, &chunk).await;
    let (_, loaded) = feed.load::<Place>().await.expect("loaded").remove(0);
    assert!(loaded.pending.is_some());
    let place = settle(&feed, loaded).await.expect("settled");
    assert_eq!(place.done, chunk.end);
    let mut follower = Follower::new(path, &limits);
    follower.remember(chunk.item.clone(), place);
    assert!(follower.next().is_none(), "everything was read");
    assert_eq!(journal(&store).await, ["(Audit)", "one", "two", "three"]);
}

async fn store_chunk(feed: &Feed, chunk: &Chunk) {
    let place = store(feed, chunk).await.expect("stored");
    assert_eq!((place.done, place.pending), (chunk.end, None));
}

#[tokio::test]
async fn a_line_says_in_which_file_it_stood() {
    let (store, _simulation) = Store::simulated(12);
    store.catalog.migrate(tables::ROOM, tables::MIGRATIONS).await.expect("migrated");
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("app.log");
    std::fs::write(&path, "plain\n\n{\"a\":1}\n").expect("written");
    let feed = feed(&store).await;
    let chunk = Follower::new(path.clone(), &Limits::default()).next().expect("lines");
    let batch = batch_of(&feed, &chunk);
    assert_eq!(batch.drafts.len(), 2, "an empty line is none");
    let path = path.to_string_lossy();
    for draft in &batch.drafts {
        assert_eq!(draft.event.value_of("log.file.path"), Some(Value::String(&path)));
    }
    assert_eq!(batch.drafts[0].event.raw(), b"plain");
}

#[tokio::test]
async fn pieces_of_one_record_are_one_event_once_nothing_more_can_follow() {
    let (store, _simulation) = Store::simulated(12);
    store.catalog.migrate(tables::ROOM, tables::MIGRATIONS).await.expect("migrated");
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("app.log");
    let split = "2026-01-02T03:04:05.1Z stdout P one \n2026-01-02T03:04:05.2Z stdout F two\n";
    let trace = "ERROR failed\n\tat shop.Pay.pay(Pay.java:12)\n";
    std::fs::write(&path, format!("{split}{trace}")).expect("written");
    let feed = feed(&store).await;
    let mut follower = Follower::new(path.clone(), &Limits::default());
    let chunk = follower.next().expect("lines");
    assert_eq!(chunk.end, split.len() as u64, "the trace may go on");
    let place = super::store(&feed, &chunk).await.expect("stored");
    follower.advance(&chunk, place);
    assert!(follower.next().is_none(), "nothing more came");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    let chunk = loop {
        if let Some(chunk) = follower.next() {
            break chunk;
        }
        assert!(std::time::Instant::now() < deadline, "it was held back for ever");
        tokio::task::yield_now().await;
    };
    super::store(&feed, &chunk).await.expect("stored");
    let expected = ["one two", "ERROR failed\n\tat shop.Pay.pay(Pay.java:12)"];
    assert_eq!(journal(&store).await, expected);
}
