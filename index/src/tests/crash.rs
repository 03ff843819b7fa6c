//! Hundreds of lives of an index over a store that dies, tears, refuses and does not answer, each with
//! the accidents of its seed: `LOGWARDEN_SEED=N` repeats one, `LOGWARDEN_SEEDS=N` tries so many.
//!
//! The process ends between any two steps of building, storing, publishing, merging and removing
//! splits. After every start no published split lacks its blob; at the end, when nothing goes wrong
//! any more, whatever was acknowledged is found once, and there is no blob but those of splits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use logwarden_event::{Event, EventBuilder, TimeRange, Value};
use logwarden_store::simulation::{DiskFaults, Faults};
use logwarden_store::{
    Append, AppendOutcome, Draft, RecordKind, Simulation, SqlValue, Statement, Store,
};
use tokio_util::sync::CancellationToken;

use super::accidents::{Accidents, Dice, accident_prone};
use super::world::{has_published, is_tidy, until};
use crate::config::Config;
use crate::index::{Index, Snapshot};
use crate::lookup::Lookup;
use crate::publish::load_splits;
use crate::retention::Policy;

const SEEDS: u64 = 200;
const LIVES_MAX: u64 = 5;
const STEPS_MAX: u64 = 12;

#[test]
fn every_accident_leaves_each_event_once() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("LOGWARDEN_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LOGWARDEN_SEEDS").unwrap_or(SEEDS),
    };
    let is_complete = seeds.end - seeds.start >= SEEDS;
    let mut seen = Seen::default();
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        let run = std::panic::AssertUnwindSafe(|| runtime.block_on(Run::new(seed).live(&mut seen)));
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("failed with LOGWARDEN_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
    println!("{seen:#?}");
    if is_complete {
        seen.check();
    }
}

/// What happened at least once in all runs together: a rare path nobody took proves nothing.
#[derive(Debug, Default)]
struct Seen {
    acknowledged: u64,
    unknown: u64,
    refused: u64,
    crashes: u64,
    kills: u64,
    ordered_stops: u64,
    failed_starts: u64,
    orphans: u64,
    merged: u64,
    removed: u64,
}

impl Seen {
    fn check(&self) {
        for (count, what) in [
            (self.acknowledged, "acknowledged"),
            (self.unknown, "append without an answer"),
            (self.refused, "refused append"),
            (self.crashes, "power cut"),
            (self.kills, "killed process"),
            (self.ordered_stops, "ordered stop"),
            (self.failed_starts, "start that failed"),
            (self.orphans, "blob without a row at a start"),
            (self.merged, "merged split"),
            (self.removed, "split removed by retention"),
        ] {
            assert!(count > 0, "no run reached: {what}");
        }
    }
}

/// What was promised about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// It is there, at this position.
    Stored(u64),
    /// It may be there or not.
    Unknown,
    /// It is not there.
    NotStored,
}

struct Run {
    dice: Dice,
    store: Store,
    simulation: Simulation,
    config: Config,
    promises: Vec<Promise>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (store, simulation) = Store::simulated(seed);
        let retention = match dice.once_in(3) {
            true => vec![Policy {
                dataset: "test.*".to_owned(),
                keep_days: None,
                bytes_max: Some(4_096 + dice.below(16_384)),
            }],
            false => Vec::new(),
        };
        let config = Config {
            head_events_max: 4 + dice.below(12) as usize,
            head_age_max_secs: 60,
            retention,
            ..Config::default()
        };
        Self { dice, store, simulation, config, promises: Vec::new() }
    }

    async fn live(mut self, seen: &mut Seen) {
        for _ in 0..1 + self.dice.below(LIVES_MAX) {
            self.live_once(seen).await;
            self.restart(seen).await;
        }
        let (index, running, shutdown) = self.start(self.store.clone()).await.expect("a start");
        self.append(seen).await;
        let end = self.store.journal.end(0);
        index.visible().wait_for(|visible| *visible == end).await.expect("the index lives");
        self.check(&index.snapshot().await.expect("a snapshot"), seen).await;
        until(&index, has_published).await;
        until(&index, is_tidy).await;
        self.check(&index.snapshot().await.expect("a snapshot"), seen).await;
        shutdown.cancel();
        running.await.expect("no panic").expect("an ordered stop");
        // A merge may just have been done: the blobs of its old splits go now.
        let again = Index::open(self.store.clone(), self.config.clone()).await.expect("a start");
        let doubled = self.check(&again.snapshot().await.expect("a snapshot"), seen).await;
        assert_eq!(doubled, 0, "more is said to be gone than there was");
        self.check_blobs(seen).await;
        let blobs = self.store.blobs.list("splits/").expect("power");
        assert_eq!(blobs.len(), load_splits(&self.store).await.expect("power").len());
    }

    /// Starts an index, works, and ends somehow.
    async fn live_once(&mut self, seen: &mut Seen) {
        let accidents = Arc::new(Accidents::new(&mut self.dice));
        let store = accident_prone(&self.store, &accidents);
        self.simulation.set_faults(faults(&mut self.dice));
        let Some((index, running, shutdown)) = self.start(store).await else {
            seen.failed_starts += 1;
            return;
        };
        for _ in 0..self.dice.below(STEPS_MAX) {
            self.append(seen).await;
            if self.dice.once_in(3) {
                index.confirm_retention();
            }
            tokio::time::sleep(Duration::from_secs(self.dice.below(30))).await;
            self.simulation.advance(Duration::from_secs(self.dice.below(30)));
        }
        if self.dice.once_in(4) {
            seen.ordered_stops += 1;
        } else {
            // The next operation is not done, nor any after it.
            let disk = DiskFaults { crash_after_operations: Some(0), ..DiskFaults::default() };
            self.simulation.set_faults(Faults { disk, ..Faults::default() });
            assert_eq!(self.simulation.free_bytes(), 0, "nobody is there to ask");
        }
        shutdown.cancel();
        running.await.expect("no panic").expect("no other indexer is there");
    }

    async fn start(
        &self,
        store: Store,
    ) -> Option<(Arc<Index>, super::recovery::Running, CancellationToken)> {
        let index = Index::open(store, self.config.clone()).await.ok()?;
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&index).run(shutdown.clone()));
        Some((index, running, shutdown))
    }

    async fn restart(&mut self, seen: &mut Seen) {
        match self.dice.below(2) {
            0 => {
                seen.crashes += 1;
                self.simulation.crash();
            }
            _ => {
                seen.kills += 1;
                self.simulation.kill();
            }
        }
        self.simulation.set_faults(Faults::default());
        self.store = self.simulation.reopen().expect("nothing goes wrong now").0;
        self.check_blobs(seen).await;
    }

    /// Appends some events, each with a word of its own.
    async fn append(&mut self, seen: &mut Seen) {
        let count = 1 + self.dice.below(12);
        let first = self.promises.len();
        let padding = "x".repeat(self.dice.below(300) as usize);
        let draft = |number: usize| {
            let message = format!("accident number{number} of {padding}");
            let mut event = EventBuilder::new(message.as_bytes());
            event.message(&message).dataset("test.log");
            event.field("test.number", Value::Integer(number as i128));
            Draft { kind: RecordKind::Event, event: event.build() }
        };
        let drafts = (first..first + count as usize).map(draft).collect();
        let outcome = self.store.journal.append(Append { drafts, ..Append::default() }).await;
        let promise = |place: u64| match &outcome {
            Ok(AppendOutcome::Appended(receipt)) => Promise::Stored(receipt.first.seq + place),
            Ok(AppendOutcome::Full(_)) => Promise::NotStored,
            Ok(AppendOutcome::Unknown) | Err(_) => Promise::Unknown,
            Ok(outcome) => panic!("nobody asked for {outcome:?}"),
        };
        self.promises.extend((0..count).map(promise));
        match promise(0) {
            Promise::Stored(_) => seen.acknowledged += count,
            Promise::Unknown => seen.unknown += count,
            Promise::NotStored => seen.refused += count,
        }
    }

    /// Every published split has its blob.
    async fn check_blobs(&self, seen: &mut Seen) {
        let blobs = self.store.blobs.list("splits/").expect("power");
        let blobs: BTreeSet<String> = blobs.into_iter().collect();
        let splits = load_splits(&self.store).await.unwrap_or_default();
        for split in &splits {
            assert!(blobs.contains(&split.blob()), "{split:?} lacks its blob");
            let spans = split.seq_last - split.seq_first + 1;
            seen.merged += u64::from(spans > 40);
        }
        seen.orphans += (blobs.len() - splits.len()) as u64;
    }

    /// What was promised holds. Tells how many events are both in the snapshot and said to be gone:
    /// retention may have removed some since.
    async fn check(&self, snapshot: &Snapshot, seen: &mut Seen) -> u64 {
        assert_eq!(snapshot.unreadable, []);
        let mut times_by_seq: BTreeMap<u64, u32> = BTreeMap::new();
        let mut times_by_number: HashMap<u64, u32> = HashMap::new();
        let mut left_out: BTreeSet<u64> = BTreeSet::new();
        visit(snapshot, &Lookup::All, |event| {
            *times_by_seq.entry(event.seq()).or_default() += 1;
            if let Some(Value::Integer(number)) = event.value_of("test.number") {
                *times_by_number.entry(number as u64).or_default() += 1;
            }
            if let Some(Value::Integer(seq)) = event.value_of("lw.left_out.seq") {
                left_out.insert(seq as u64);
            }
        });
        assert_eq!(times_by_seq.values().find(|times| **times != 1), None, "{times_by_seq:?}");
        let tombstones = self.tombstones().await;
        seen.removed += tombstones.len() as u64;
        let is_removed = |seq: u64| {
            left_out.contains(&seq)
                || tombstones.iter().any(|(first, last, _)| (*first..=*last).contains(&seq))
        };
        for (number, promise) in self.promises.iter().enumerate() {
            let times = times_by_number.get(&(number as u64)).copied().unwrap_or_default();
            match promise {
                Promise::Stored(seq) if is_removed(*seq) => assert!(times <= 1),
                Promise::Stored(seq) => {
                    assert_eq!(times, 1, "event {number}, acknowledged at {seq}");
                }
                Promise::Unknown => assert!(times <= 1, "event {number} is doubled"),
                Promise::NotStored => assert_eq!(times, 0, "event {number} was refused"),
            }
        }
        let removed: u64 = tombstones.iter().map(|(_, _, count)| count).sum();
        let found = times_by_seq.len() as u64;
        let all = found + removed + left_out.len() as u64;
        let doubled = all.checked_sub(snapshot.visible.seq - 1);
        let doubled = doubled.expect("no more is gone than what is said to be");
        for number in (0..self.promises.len()).step_by(7) {
            let word = format!("number{number}");
            let mut times = 0;
            visit(
                snapshot,
                &Lookup::Word { field: Some("message"), word: word.clone() },
                |event| {
                    times += u32::from(event.message().contains(&format!("{word} ")));
                },
            );
            let expected = times_by_number.get(&(number as u64)).copied().unwrap_or_default();
            assert_eq!(times, expected, "`{word}` is found as often as it is there");
        }
        doubled
    }

    /// First and last position and number of events of every split that retention removed.
    async fn tombstones(&self) -> Vec<(u64, u64, u64)> {
        let select = Statement { sql: "SELECT record FROM index_tombstones", values: Vec::new() };
        let rows = self.store.catalog.query(vec![select]).await.expect("power");
        let rows = rows.into_iter().flatten().flat_map(|row| row.0);
        rows.map(|value| {
            let SqlValue::Text(text) = value else { panic!("a record is a text") };
            let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let number = |name: &str| record[name].as_u64().expect("a number");
            (number("lw.seq_first"), number("lw.seq_last"), number("lw.count"))
        })
        .collect()
    }
}

fn visit(snapshot: &Snapshot, lookup: &Lookup, mut found: impl FnMut(&Event)) {
    for piece in &snapshot.pieces {
        let mut note = |event: &Event| {
            found(event);
            ControlFlow::Continue(())
        };
        piece.search(lookup, TimeRange::ALL, &mut note).expect("a readable piece");
    }
}

fn faults(dice: &mut Dice) -> Faults {
    let mut at_times = |one_in: u64, bound: u64| match dice.once_in(one_in) {
        true => dice.below(bound) as u32,
        false => 0,
    };
    let disk = DiskFaults {
        sync_fails_per_mille: at_times(5, 60),
        no_room_per_mille: at_times(5, 60),
        crash_after_operations: match (at_times(2, 600), at_times(4, 4)) {
            (0, 0) => None,
            (0, soon) => Some(u64::from(soon)),
            (later, _) => Some(u64::from(later)),
        },
    };
    Faults { disk, catalog_unknown_per_mille: at_times(3, 500) }
}
