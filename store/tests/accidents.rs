//! Accidents one by one: a full disk, a damaged segment, a start that has no room.

use std::time::Duration;

use logwarden_event::{EventBuilder, Position, Value};
use logwarden_store::config::{Durability, OnCorruption, OnFull};
use logwarden_store::simulation::{DiskFaults, Faults};
use logwarden_store::{
    Append, AppendOutcome, Chunk, Draft, IdempotencyKey, JournalError, JournalState, OpenError,
    RecordKind, Simulation, Store,
};

const MIB: u64 = 1024 * 1024;

fn batch(text: &str) -> Append {
    let mut event = EventBuilder::new(text.as_bytes());
    event.source("shop").dataset("shop.auth").message(text);
    let draft = Draft { kind: RecordKind::Event, event: event.build() };
    Append { drafts: vec![draft], ..Append::default() }
}

fn at(seq: u64) -> Position {
    Position { lane: 0, seq }
}

/// Appends until the journal is full; answers how many batches it took.
async fn fill(store: &Store, text: &str) -> u64 {
    let mut taken = 0;
    loop {
        match store.journal.append(batch(text)).await.expect("answered") {
            AppendOutcome::Appended(_) => taken += 1,
            AppendOutcome::Full(fullness) => {
                assert!(fullness.retry_after_secs > 0);
                return taken;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The seqs that can be read, and the gaps.
async fn read_all(store: &Store) -> (Vec<u64>, Vec<(u64, u64)>) {
    let (mut seqs, mut gaps) = (Vec::new(), Vec::new());
    let mut from = at(1);
    while from < store.journal.end(0) {
        from = match store.journal.read(from, 100).await.expect("read") {
            Chunk::Records { records, next } => {
                seqs.extend(records.iter().map(|record| record.event.seq()));
                next
            }
            Chunk::Gap { from, to } => {
                gaps.push((from.seq, to.seq));
                to
            }
        };
    }
    (seqs, gaps)
}

fn small_volume(seed: u64, volume_mib: u64) -> (Store, Simulation) {
    let (store, mut simulation) = Store::simulated(seed);
    drop(store);
    simulation.set_volume_bytes(volume_mib * MIB);
    simulation.config().segment_bytes = 64 * MIB;
    simulation.config().reserve_bytes = 64 * MIB;
    let (store, _) = simulation.reopen().expect("opened");
    (store, simulation)
}

#[tokio::test]
async fn a_volume_of_96_mib_fills_and_heals() {
    let (store, simulation) = small_volume(1, 96);
    let text = "x".repeat(100_000);
    let taken = fill(&store, &text).await;
    assert!(taken > 300, "{taken}");
    assert_eq!(store.journal.health().state, JournalState::DiskFull);
    assert_eq!(read_all(&store).await.0.len() as u64, taken);

    // It starts on the full disk, and nothing is lost.
    simulation.crash();
    simulation.set_free_bytes(0);
    let (store, recovery) = simulation.reopen().expect("opened on a full disk");
    assert_eq!(recovery.records, taken);
    assert_eq!(fill(&store, &text).await, 0);

    // It heals by itself when there is room.
    simulation.set_free_bytes(96 * MIB);
    store.journal.hold("index", store.journal.end(0));
    store.journal.trim().await.expect("trimmed");
    assert!(fill(&store, &text).await > 100);
}

#[tokio::test]
async fn a_disk_filled_to_the_last_byte_by_others_starts_and_heals() {
    for seed in 0..20 {
        let (store, simulation) = small_volume(seed, 96);
        let mut taken = 0;
        for _ in 0..seed {
            let outcome = store.journal.append(batch(&"x".repeat(50_000))).await.expect("taken");
            assert!(matches!(outcome, AppendOutcome::Appended(_)));
            taken += 1;
        }
        simulation.set_free_bytes(0);
        if seed % 2 == 0 {
            simulation.crash();
        } else {
            simulation.kill();
        }
        let (store, recovery) = simulation.reopen().expect("opened on a full disk");
        assert_eq!(recovery.records, taken, "seed {seed}");
        assert_eq!(store.journal.health().state, JournalState::DiskFull, "seed {seed}");
        assert_eq!(fill(&store, "x").await, 0, "seed {seed}");
        simulation.set_free_bytes(90 * MIB);
        simulation.advance(Duration::from_secs(60));
        let outcome = store.journal.append(batch("y")).await.expect("answered");
        assert!(matches!(outcome, AppendOutcome::Appended(_)), "seed {seed}: {outcome:?}");
        assert_eq!(read_all(&store).await.0.len() as u64, taken + 1, "seed {seed}");
    }
}

#[tokio::test]
async fn the_oldest_go_when_that_was_asked_for() {
    let (store, mut simulation) = small_volume(2, 96);
    drop(store);
    simulation.config().on_full = OnFull::DropOldest;
    let (store, _) = simulation.reopen().expect("opened");
    store.journal.hold("index", at(1));
    for round in 0..1_200 {
        let outcome = store.journal.append(batch(&"x".repeat(100_000))).await.expect("answered");
        assert!(
            matches!(outcome, AppendOutcome::Appended(_) | AppendOutcome::Full(_)),
            "{round}: {outcome:?}"
        );
    }
    let (seqs, gaps) = read_all(&store).await;
    assert!(gaps.len() == 1 && gaps[0].0 == 1, "{gaps:?}");
    assert_eq!(seqs.first(), Some(&gaps[0].1));
    assert!(seqs.len() > 300 && store.journal.end(0) > at(900), "{}", seqs.len());
    let dropped = tombstones(&store).await;
    // The records of what went first are gone themselves.
    assert!(dropped.len() > 1, "{dropped:?}");
    assert_eq!(dropped.last().map(|(_, last)| last + 1), seqs.first().copied());
    assert!(dropped.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{dropped:?}");
}

/// First and last seq of what the audit records say was dropped.
async fn tombstones(store: &Store) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut next = store.journal.start(0);
    while next < store.journal.end(0) {
        let Chunk::Records { records, next: after } =
            store.journal.read(next, 1_000).await.expect("read")
        else {
            panic!("a gap");
        };
        let audit = records.iter().filter(|record| record.kind == RecordKind::Audit);
        found.extend(audit.map(|record| {
            let event = &record.event;
            assert_eq!(event.value_of("event.action"), Some(Value::String("journal_dropped")));
            assert_eq!(event.value_of("lw.reason"), Some(Value::String("disk_full")));
            let number = |name| match event.value_of(name) {
                Some(Value::Integer(number)) => u64::try_from(number).expect("not negative"),
                other => panic!("{name}: {other:?}"),
            };
            assert!(number("lw.dropped.bytes") > 0);
            (number("lw.dropped.seq_first"), number("lw.dropped.seq_last"))
        }));
        next = after;
    }
    found
}

/// A journal of many groups in several segments, one of them with a flipped bit inside a record.
async fn damaged(seed: u64) -> (Simulation, u64) {
    let (store, simulation) = Store::simulated(seed);
    for _ in 0..60 {
        store.journal.append(batch(&"x".repeat(20_000))).await.expect("taken");
    }
    let end = store.journal.end(0).seq;
    drop(store);
    // Every group is almost full, so that a bit is hardly ever in the padding.
    simulation.flip_bit("wal/00000000000000000001");
    simulation.kill();
    (simulation, end)
}

#[tokio::test]
async fn damage_is_a_gap_on_record_until_somebody_takes_note() {
    let mut with_gap = 0;
    for seed in 0..20 {
        let (simulation, end) = damaged(seed).await;
        let (store, recovery) = simulation.reopen().expect("opened");
        if recovery.gaps.is_empty() {
            continue;
        }
        with_gap += 1;
        assert_eq!(recovery.quarantined.len(), 1);
        assert_eq!(store.journal.health().state, JournalState::Degraded);
        let (seqs, _) = read_all(&store).await;
        assert_eq!(seqs.len() as u64, end - 1, "one is lost, one is on record");
        let Chunk::Records { records, .. } = store.journal.read(at(end), 1).await.expect("read")
        else {
            panic!("no audit record");
        };
        assert_eq!(records[0].kind, RecordKind::Audit);
        assert_eq!(records[0].event.dataset(), "logwarden.audit");
        drop(store);

        // The next start finds nothing new, and it is still degraded.
        let (store, recovery) = simulation.reopen().expect("opened");
        assert!(recovery.gaps.is_empty() && recovery.quarantined.is_empty(), "{recovery:?}");
        assert_eq!(store.journal.end(0), at(end + 1));
        assert_eq!(store.journal.health().state, JournalState::Degraded);
        store.journal.acknowledge_damage().await.expect("acknowledged");
        assert_eq!(store.journal.health().state, JournalState::Ready);
        drop(store);
        let (store, _) = simulation.reopen().expect("opened");
        assert_eq!(store.journal.health().state, JournalState::Ready);
    }
    assert!(with_gap > 0);
}

#[tokio::test]
async fn damage_that_a_reader_finds_is_on_record_too() {
    let mut found = 0;
    for seed in 0..20 {
        let (store, mut simulation) = Store::simulated(seed);
        drop(store);
        simulation.config().cache_bytes_max = 0;
        let (store, _) = simulation.reopen().expect("opened");
        for _ in 0..60 {
            store.journal.append(batch(&"x".repeat(20_000))).await.expect("taken");
        }
        simulation.flip_bit("wal/00000000000000000001");
        let end = store.journal.end(0).seq;
        let (seqs, gaps) = read_all(&store).await;
        if gaps.is_empty() {
            continue;
        }
        found += 1;
        assert_eq!(store.journal.health().state, JournalState::Degraded);
        let reread = read_all(&store).await;
        assert_eq!((&reread.0, &reread.1), (&seqs, &gaps), "it is noted once");
        assert_eq!(store.journal.end(0), at(end + 1));
        let Chunk::Records { records, .. } = store.journal.read(at(end), 1).await.expect("read")
        else {
            panic!("no audit record");
        };
        let said = records[0].event.value_of("lw.gap.seq_first").map(|value| value.to_string());
        assert_eq!(said, Some(gaps[0].0.to_string()));
        drop(store);
        let (store, _) = simulation.reopen().expect("opened");
        assert_eq!(store.journal.health().state, JournalState::Degraded);
    }
    assert!(found > 0);
}

#[tokio::test]
async fn a_key_of_unknown_outcome_stays_so_until_the_next_start() {
    let (store, simulation) = Store::simulated(5);
    let keyed = |key: u8| {
        let idempotency = Some(IdempotencyKey { key: [key; 16], body: [1; 16] });
        Append { idempotency, ..batch("a") }
    };
    let disk = DiskFaults { sync_fails_per_mille: 1_000, ..DiskFaults::default() };
    simulation.set_faults(Faults { disk, ..Faults::default() });
    // The open segment takes the bytes, and no other can be made.
    let outcome = store.journal.append(keyed(1)).await.expect("answered");
    assert_eq!(outcome, AppendOutcome::Unknown);
    simulation.set_faults(Faults::default());
    let again = store.journal.append(keyed(1)).await.expect("answered");
    assert_eq!(again, AppendOutcome::Unknown, "it may be stored, so nobody may say it is not");
    let other = store.journal.append(keyed(2)).await;
    assert!(matches!(other, Err(JournalError::Failed(_))), "{other:?}");
    assert_eq!(store.journal.health().state, JournalState::Failed);
    drop(store);
    simulation.kill();
    let (store, _) = simulation.reopen().expect("opened");
    let known = store.journal.append(keyed(1)).await.expect("answered");
    assert!(matches!(known, AppendOutcome::Appended(_) | AppendOutcome::Duplicate(_)));
    assert_eq!(read_all(&store).await.0, [1]);
}

#[tokio::test]
async fn damage_stops_the_start_when_that_was_asked_for() {
    let mut refused = 0;
    for seed in 0..20 {
        let (mut simulation, _) = damaged(seed).await;
        simulation.config().on_corruption = OnCorruption::Refuse;
        match simulation.reopen() {
            Err(OpenError::Damaged { path, from, to, .. }) => {
                assert!(path.starts_with("wal/") && from <= to);
                refused += 1;
            }
            Err(error) => panic!("{error}"),
            Ok(_) => {}
        }
    }
    assert!(refused > 0);
}

#[tokio::test]
async fn a_reader_without_memory_sees_the_same() {
    let (store, mut simulation) = Store::simulated(3);
    drop(store);
    simulation.config().cache_bytes_max = 0;
    let (store, _) = simulation.reopen().expect("opened");
    for index in 0..200 {
        store.journal.append(batch(&format!("record {index}"))).await.expect("taken");
    }
    assert_eq!(read_all(&store).await.0, (1..=200).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_syncs_a_close_keeps_everything() {
    let (store, mut simulation) = Store::simulated(4);
    drop(store);
    simulation.config().durability = Durability::UnsafeIntervalMs;
    let (store, _) = simulation.reopen().expect("opened");
    for _ in 0..100 {
        store.journal.append(batch(&"x".repeat(10_000))).await.expect("taken");
    }
    store.journal.close().await;
    simulation.crash();
    let (store, _) = simulation.reopen().expect("opened");
    assert_eq!(read_all(&store).await.0.len(), 100);
}
