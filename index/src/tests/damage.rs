//! A damaged block costs its own events and no others, and they come back when the journal has them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use logwarden_event::{Event, EventBuilder, TimeRange, Value};
use logwarden_store::{Append, AppendOutcome, Draft, RecordKind, Simulation, Store};
use tokio_util::sync::CancellationToken;

use super::accidents::Dice;
use super::recovery::Torn;
use super::world::{has_settled, until};
use crate::columnstore::BLOCK_ROWS;
use crate::config::Config;
use crate::index::{Index, Snapshot};
use crate::lookup::Lookup;

/// Blocks of rows in the split.
const BLOCKS: usize = 12;
const EVENTS: usize = BLOCKS * BLOCK_ROWS;

/// Nothing becomes a split but what is complete; nothing happens because of age.
fn config() -> Config {
    Config { head_events_max: EVENTS, head_age_max_secs: 100_000_000, ..Config::default() }
}

/// A batch that makes one split, with texts that fill more than one block of the blob per column.
async fn append(store: &Store, dice: &mut Dice) {
    let mut draft = |number: usize| {
        let secret: String = (0..40).map(|_| format!("{:016x} ", dice.below(u64::MAX))).collect();
        let message = format!("number{number} says {secret}");
        let mut event = EventBuilder::new(message.as_bytes());
        event.message(&message).dataset("test.log");
        event.field("test.number", Value::Integer(number as i128));
        event.field("test.secret", Value::String(&secret));
        Draft { kind: RecordKind::Event, event: event.build() }
    };
    let append = Append { drafts: (0..EVENTS).map(&mut draft).collect(), ..Append::default() };
    let outcome = store.journal.append(append).await.expect("an open journal");
    assert!(matches!(outcome, AppendOutcome::Appended(_)));
}

struct Node {
    index: Arc<Index>,
    shutdown: CancellationToken,
}

impl Node {
    /// Follows the journal only when asked to: what runs also makes damaged splits anew.
    async fn start(store: &Store) -> Self {
        let index = Index::open(store.clone(), config()).await.expect("a store that fits");
        Self { index, shutdown: CancellationToken::new() }
    }

    fn run(&self) {
        tokio::spawn(Arc::clone(&self.index).run(self.shutdown.clone()));
    }
}

/// A store with one split, of which a bit was flipped.
async fn damaged(seed: u64) -> (Store, Simulation, u64) {
    let mut dice = Dice::new(seed);
    let (store, simulation) = Store::simulated(seed);
    let node = Node::start(&store).await;
    node.run();
    append(&store, &mut dice).await;
    until(&node.index, |index| has_settled(index, 1)).await;
    node.shutdown.cancel();
    drop(store);
    simulation.kill();
    let (_, offset) = simulation.flip_bit("blobs/").expect("there is a split");
    (simulation.reopen().expect("opened").0, simulation, offset)
}

fn numbers(snapshot: &Snapshot, lookup: &Lookup) -> BTreeSet<u64> {
    let mut numbers = BTreeSet::new();
    for piece in &snapshot.pieces {
        let mut note = |event: &Event| {
            if let Some(Value::Integer(number)) = event.value_of("test.number") {
                assert!(numbers.insert(number as u64), "{number} is there twice");
            }
            ControlFlow::Continue(())
        };
        piece.search(lookup, TimeRange::ALL, &mut note).expect("a readable piece");
    }
    numbers
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_costs_its_block_until_the_split_is_made_anew() {
    let (mut lost_blocks, mut lost_splits, mut harmless) = (0, 0, 0);
    for seed in 0..60 {
        let (store, _simulation, offset) = damaged(seed).await;
        let node = Node::start(&store).await;
        let snapshot = node.index.snapshot().await.expect("a snapshot");
        let found = numbers(&snapshot, &Lookup::All);
        let lost = EVENTS - found.len();
        assert!(lost.is_multiple_of(BLOCK_ROWS), "seed {seed}: {lost} at {offset}");
        let is_told = !snapshot.unreadable.is_empty()
            || snapshot.pieces.iter().any(|piece| piece.lacks(TimeRange::ALL));
        assert_eq!(lost > 0, is_told, "seed {seed}: whatever is lost is said");
        for number in found.iter().step_by(11) {
            let word = Lookup::Word { field: None, word: format!("number{number}") };
            assert!(numbers(&snapshot, &word).contains(number), "seed {seed}: {number}");
        }
        match (lost, snapshot.unreadable.is_empty()) {
            (0, _) => harmless += 1,
            (_, true) => lost_blocks += 1,
            (_, false) => lost_splits += 1,
        }
        drop(snapshot);

        let was_damaged = node.index.damaged_splits() > 0;
        assert!(was_damaged || lost == 0, "seed {seed}");
        node.run();
        until(&node.index, |index| index.damaged_splits() == 0).await;
        until(&node.index, |index| index.state().retired.is_empty()).await;
        let snapshot = node.index.snapshot().await.expect("a snapshot");
        assert_eq!(snapshot.unreadable, []);
        assert_eq!(numbers(&snapshot, &Lookup::All).len(), EVENTS, "seed {seed}: all is back");
        assert!(!snapshot.pieces.iter().any(|piece| piece.lacks(TimeRange::ALL)));
        node.shutdown.cancel();
    }
    println!("{lost_blocks} lost blocks, {lost_splits} lost splits, {harmless} harmless");
    assert!(lost_blocks > 30, "most bits are parts of blocks: {lost_blocks}");
    assert!(lost_splits > 0, "some are needed for all of it");
}

#[tokio::test(start_paused = true)]
async fn what_the_journal_does_not_have_any_more_is_a_gap_and_on_record() {
    let (mut seed, mut checked) = (0, 0);
    while checked < 3 {
        let (store, simulation, _) = damaged(seed).await;
        seed += 1;
        let lost = 1..EVENTS as u64 + 1;
        let journal = Torn { inner: Arc::clone(&store.journal), lost: lost.clone() };
        let store = Store { journal: Arc::new(journal), ..store };
        let node = Node::start(&store).await;
        let snapshot = node.index.snapshot().await.expect("a snapshot");
        let found = numbers(&snapshot, &Lookup::All);
        if found.is_empty() || found.len() == EVENTS {
            continue;
        }
        drop(snapshot);
        checked += 1;
        node.run();
        let index = &node.index;
        until(index, |index| index.visible.borrow().seq > lost.end).await;
        until(index, |index| index.damaged_splits() == 0 && index.state().retired.is_empty()).await;
        let snapshot = index.snapshot().await.expect("a snapshot");
        assert_eq!(numbers(&snapshot, &Lookup::All), found, "seed {seed}");
        assert!(!snapshot.pieces.iter().any(|piece| piece.lacks(TimeRange::ALL)));
        let splits = index.state().splits.clone();
        let gaps = splits.iter().flat_map(|split| split.open().expect("whole").footer.gaps.clone());
        let gone: BTreeSet<u64> = gaps.flat_map(|(first, last)| first..=last).collect();
        let expected = (0..EVENTS as u64).filter(|number| !found.contains(number));
        assert_eq!(gone, expected.map(|number| number + 1).collect(), "seed {seed}");
        let mut told = Vec::new();
        for piece in &snapshot.pieces {
            let mut note = |event: &Event| {
                told.extend(event.value_of("lw.lost").map(|lost| lost.to_string()));
                ControlFlow::Continue(())
            };
            piece.search(&Lookup::All, TimeRange::ALL, &mut note).expect("a readable piece");
        }
        assert_eq!(told, [gone.len().to_string()], "seed {seed}");
        node.shutdown.cancel();
        let kept = simulation.flip_bit("quarantine/");
        assert!(kept.is_some(), "the damaged blob is kept");
    }
}
