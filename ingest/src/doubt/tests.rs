//! Sessions against one another.

use logwarden_event::ManualClock;

use super::*;

fn doubts() -> Arc<Doubts> {
    Arc::new(Doubts::new(Arc::new(ManualClock::new(Timestamp::from_secs(1)))))
}

fn session(doubts: &Arc<Doubts>) -> Session {
    doubts.session(&Origin { protocol: "relp", ..Origin::new("hosts") })
}

fn names(session: &Session, records: &[&str]) -> Vec<Name> {
    session.names().of(records.iter().map(|record| record.as_bytes()))
}

async fn store(session: &mut Session, records: &[&str]) -> Vec<bool> {
    let repeats = session.hold(names(session, records)).await;
    session.keep();
    repeats
}

/// Whether `session` still waits after everybody had a turn.
async fn waits(session: &mut Session, records: &[&str]) -> bool {
    let names = names(session, records);
    let held = session.hold(names);
    tokio::pin!(held);
    tokio::select! {
        biased;
        _ = &mut held => false,
        () = tokio::task::yield_now() => true,
    }
}

#[tokio::test]
async fn a_record_is_taken_for_a_repetition_as_often_as_it_is_in_doubt() {
    let doubts = doubts();
    let mut first = session(&doubts);
    assert_eq!(store(&mut first, &["a", "a", "b"]).await, [false; 3]);
    assert_eq!(store(&mut first, &["a"]).await, [false], "its own");
    drop(first);
    let mut second = session(&doubts);
    assert_eq!(store(&mut second, &["a", "c", "a"]).await, [true, false, true]);
    assert_eq!(store(&mut second, &["a", "a"]).await, [true, false]);
    // What came again may come again.
    drop(second);
    let mut third = session(&doubts);
    assert_eq!(store(&mut third, &["c", "b", "b"]).await, [true, true, false]);
    third.leave();
    drop(third);
    assert_eq!(store(&mut session(&doubts), &["b"]).await, [false]);
}

#[tokio::test]
async fn who_sends_the_same_waits_until_the_other_is_seen_to_live_or_ends() {
    for ends in [false, true] {
        let doubts = doubts();
        let (mut first, mut second) = (session(&doubts), session(&doubts));
        store(&mut first, &["a"]).await;
        assert!(!waits(&mut second, &["b"]).await);
        assert!(waits(&mut second, &["a"]).await);
        if ends {
            drop(first);
        } else {
            first.live();
        }
        assert_eq!(store(&mut second, &["a"]).await, [ends]);
    }
}

#[tokio::test]
async fn who_waits_holds_nothing() {
    let doubts = doubts();
    let (mut first, mut second) = (session(&doubts), session(&doubts));
    store(&mut first, &["a"]).await;
    store(&mut second, &["b"]).await;
    assert!(waits(&mut first, &["b"]).await);
    assert_eq!(store(&mut second, &["a"]).await, [false]);
}

#[tokio::test]
async fn what_was_not_stored_is_new() {
    let doubts = doubts();
    let mut first = session(&doubts);
    let held = names(&first, &["a"]);
    first.hold(held).await;
    drop(first);
    assert_eq!(store(&mut session(&doubts), &["a"]).await, [false]);
}

#[tokio::test]
async fn the_oldest_are_forgotten_first() {
    let doubts = doubts();
    let mut first = session(&doubts);
    let names: Vec<_> = (0..=512).map(|number| number.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    store(&mut first, &names).await;
    drop(first);
    assert_eq!(store(&mut session(&doubts), &["0", "1"]).await, [false, true]);
    let filler = (0..RECORDS_MAX as u64).map(RecordId);
    doubts.state().doubt(filler, Timestamp::from_secs(1));
    assert_eq!(doubts.state().order.len(), RECORDS_MAX);
    assert_eq!(store(&mut session(&doubts), &["2"]).await, [false]);
}
