//! Thousands of lives of a journal over a disk that loses, tears, flips and refuses, each repeatable
//! from its seed: `LOGWARDEN_SEED=N` replays one, `LOGWARDEN_SEEDS=N` tries so many.
//!
//! After every start the journal is compared with a model of what was promised: whatever was
//! acknowledged is there once and in order, no batch is there by half, nothing is there that was
//! refused, keys are answered, and no checkpoint stands behind the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use logwarden_event::{Clock as _, EventBuilder, Position, Timestamp};
use logwarden_store::config::OnForeignJournal;
use logwarden_store::simulation::{DiskFaults, Faults};
use logwarden_store::{
    Append, AppendOutcome, CatalogError, Checkpoint, Chunk, Draft, IdempotencyKey, Journal,
    JournalError, JournalState, Receipt, RecordKind, Recovery, Simulation, Step, StepOutcome,
    Store,
};

const SEEDS: u64 = 2_000;
const STARTS_MAX: u32 = 20;

#[test]
fn what_is_acknowledged_survives_every_accident() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("LOGWARDEN_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LOGWARDEN_SEEDS").unwrap_or(SEEDS),
    };
    let is_complete = seeds.end - seeds.start >= SEEDS;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut seen = Seen::default();
    for seed in seeds {
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
    duplicates: u64,
    key_conflicts: u64,
    duplicates_from_catalog: u64,
    unknown_stored: u64,
    unknown_not_stored: u64,
    refused_full: u64,
    stopped: u64,
    torn_tails: u64,
    gaps: u64,
    quarantined: u64,
    lost_tails: u64,
    sync_failures: u64,
    sync_failures_survived: u64,
    no_room_errors: u64,
    crashes_in_recovery: u64,
    crashes_by_operation: u64,
    trimmed: u64,
    steps_unknown: u64,
    steps_repeated: u64,
    audit_records: u64,
    shared_groups: u64,
}

impl Seen {
    fn check(&self) {
        for (count, what) in [
            (self.acknowledged, "acknowledged"),
            (self.duplicates, "duplicate"),
            (self.key_conflicts, "key conflict"),
            (self.duplicates_from_catalog, "duplicate of a trimmed batch"),
            (self.unknown_stored, "unknown, stored"),
            (self.unknown_not_stored, "unknown, not stored"),
            (self.refused_full, "refused for room"),
            (self.stopped, "stopped for good"),
            (self.torn_tails, "torn tail"),
            (self.gaps, "gap"),
            (self.quarantined, "quarantine"),
            (self.lost_tails, "damage at the end"),
            (self.sync_failures_survived, "failed sync that was survived"),
            (self.no_room_errors, "no room"),
            (self.crashes_in_recovery, "crash in recovery"),
            (self.crashes_by_operation, "crash between two writes"),
            (self.trimmed, "trim"),
            (self.steps_unknown, "unknown step"),
            (self.steps_repeated, "repeated step"),
            (self.audit_records, "gap on record"),
            (self.shared_groups, "several batches at once"),
        ] {
            assert!(count > 0, "no run reached: {what}");
        }
    }
}

/// Appends a batch and checks that it has it again, as it was, when it may have to be sent again.
async fn offer(journal: &dyn Journal, batch: Append) -> Result<AppendOutcome, JournalError> {
    let mut offered = batch.clone();
    let outcome = journal.offer(&mut offered).await;
    let raw = |append: &Append| -> Vec<Vec<u8>> {
        append.drafts.iter().map(|draft| draft.event.raw().to_vec()).collect()
    };
    match &outcome {
        Ok(AppendOutcome::Appended(_)) => assert!(offered.drafts.is_empty()),
        Ok(AppendOutcome::Duplicate(_)) | Err(_) => {}
        Ok(refused) => {
            assert_eq!(raw(&offered), raw(&batch), "{refused:?}");
            assert_eq!(offered.receipt, batch.receipt, "{refused:?}");
        }
    }
    outcome
}

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn once_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// What was promised about a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Promise {
    /// It is there.
    Stored(Receipt),
    /// It may be there or not.
    Unknown,
    /// It is not there.
    NotStored,
    /// It was there, until a flipped bit took it.
    Lost,
}

#[derive(Debug, Clone)]
struct Sent {
    id: u64,
    records: usize,
    padding: usize,
    is_keyed: bool,
    promise: Promise,
}

impl Sent {
    fn texts(&self) -> impl Iterator<Item = String> {
        let (id, padding) = (self.id, self.padding);
        (0..self.records).map(move |index| format!("{id}.{index} {}", "x".repeat(padding)))
    }

    fn append(&self, body: u8) -> Append {
        let drafts = self
            .texts()
            .map(|text| {
                let mut event = EventBuilder::new(text.as_bytes());
                event.source("shop").dataset("shop.auth").message(&text);
                Draft { kind: RecordKind::Event, event: event.build() }
            })
            .collect();
        let body = [body; 16];
        let idempotency = self.is_keyed.then(|| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&self.id.to_le_bytes());
            IdempotencyKey { key: id, body }
        });
        let receipt = Bytes::copy_from_slice(&self.id.to_le_bytes());
        Append { drafts, idempotency, receipt, ..Append::default() }
    }
}

/// What a journal holds.
#[derive(Default)]
struct Found {
    /// The first seq of every batch, and how many records it has.
    batches: BTreeMap<u64, (u64, usize)>,
    /// Ranges that cannot be read.
    lost: Vec<(u64, u64)>,
    /// Seqs of records about gaps.
    audits: BTreeSet<u64>,
}

struct Run {
    dice: Dice,
    simulation: Simulation,
    store: Store,
    sent: Vec<Sent>,
    /// Bits may flip in this run, so records may be lost, if it is said which.
    may_flip: bool,
    has_flipped: bool,
    consumed: u64,
    sync_failures_before: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let (store, mut simulation) = Store::simulated(seed);
        let mut dice = Dice(seed ^ 0x5EED);
        let may_flip = dice.once_in(4);
        if may_flip {
            simulation.config().on_foreign_journal = OnForeignJournal::Accept;
        }
        Self {
            dice,
            simulation,
            store,
            sent: Vec::new(),
            may_flip,
            has_flipped: false,
            consumed: 1,
            sync_failures_before: 0,
        }
    }

    async fn live(mut self, seen: &mut Seen) {
        for _ in 0..1 + self.dice.below(4) {
            self.arrange_faults();
            for _ in 0..2 + self.dice.below(20) {
                self.act(seen).await;
            }
            self.die(seen).await;
            let recovery = self.start(seen);
            self.compare(&recovery, seen).await;
        }
        seen.sync_failures += self.simulation.sync_failures();
        seen.no_room_errors += self.simulation.no_room_errors();
    }

    fn arrange_faults(&mut self) {
        let dice = &mut self.dice;
        let faults = Faults {
            disk: DiskFaults {
                sync_fails_per_mille: [0, 0, 30, 200][dice.below(4) as usize],
                no_room_per_mille: [0, 0, 0, 30][dice.below(4) as usize],
                crash_after_operations: dice.once_in(2).then(|| dice.below(150)),
            },
            catalog_unknown_per_mille: [0, 200][dice.below(2) as usize],
        };
        self.simulation.set_faults(faults);
    }

    async fn act(&mut self, seen: &mut Seen) {
        match self.dice.below(16) {
            0..=8 => self.send_new(seen).await,
            9..=10 => self.send_again(seen).await,
            11 => self.send_other_body(seen).await,
            12..=13 => self.consume(seen).await,
            14 => {
                let free_bytes = [0, 100_000, 50 << 20, 1 << 30][self.dice.below(4) as usize];
                self.simulation.set_free_bytes(free_bytes);
            }
            _ => {
                let now = self.simulation.clock().now();
                let span = Duration::from_secs(self.dice.below(100));
                let is_forward = self.dice.once_in(2);
                let then =
                    if is_forward { now.saturating_add(span) } else { now.saturating_sub(span) };
                self.simulation.clock().set(then);
            }
        }
    }

    fn new_batch(&mut self) -> usize {
        let dice = &mut self.dice;
        let sent = Sent {
            id: self.sent.len() as u64,
            records: dice.below(8) as usize,
            padding: [0, 10, 4_000, 20_000][dice.below(4) as usize],
            is_keyed: !dice.once_in(3),
            promise: Promise::NotStored,
        };
        self.sent.push(sent);
        self.sent.len() - 1
    }

    /// One to three at once, sometimes the same twice.
    async fn send_new(&mut self, seen: &mut Seen) {
        let one = self.new_batch();
        let two = self.dice.once_in(3).then(|| self.new_batch());
        let twice = self.dice.once_in(5) && self.sent[one].is_keyed;
        let append = |index: Option<usize>| {
            let append = index.map(|index| self.sent[index].append(1));
            let journal = self.store.journal.clone();
            async move {
                match append {
                    Some(append) => Some(offer(&*journal, append).await),
                    None => None,
                }
            }
        };
        let (first, second, again) =
            tokio::join!(append(Some(one)), append(two), append(twice.then_some(one)));
        seen.shared_groups += u64::from(second.is_some());
        for (index, outcome) in [(Some(one), first), (two, second), (Some(one), again)] {
            if let (Some(index), Some(outcome)) = (index, outcome) {
                self.note(index, outcome, seen);
            }
        }
    }

    async fn send_again(&mut self, seen: &mut Seen) {
        if let Some(index) = self.any_keyed() {
            let outcome = offer(&*self.store.journal, self.sent[index].append(1)).await;
            self.note(index, outcome, seen);
        }
    }

    async fn send_other_body(&mut self, seen: &mut Seen) {
        let Some(index) = self.any_keyed() else {
            return;
        };
        if !matches!(self.sent[index].promise, Promise::Stored(_)) {
            return;
        }
        match offer(&*self.store.journal, self.sent[index].append(2)).await {
            Ok(AppendOutcome::KeyConflict) => seen.key_conflicts += 1,
            Err(JournalError::Failed(_)) => {}
            other => panic!("{:?} with another body: {other:?}", self.sent[index]),
        }
    }

    fn any_keyed(&mut self) -> Option<usize> {
        let keyed: Vec<usize> =
            (0..self.sent.len()).filter(|index| self.sent[*index].is_keyed).collect();
        let pick = self.dice.below(keyed.len().max(1) as u64) as usize;
        keyed.get(pick).copied()
    }

    /// Checks an answer against what was promised before, and promises what it says.
    fn note(
        &mut self,
        index: usize,
        outcome: Result<AppendOutcome, JournalError>,
        seen: &mut Seen,
    ) {
        let start = self.store.journal.start(0).seq;
        let sent = &mut self.sent[index];
        let id = Bytes::copy_from_slice(&sent.id.to_le_bytes());
        match outcome {
            Ok(AppendOutcome::Appended(receipt)) => {
                assert!(!matches!(sent.promise, Promise::Stored(_)), "{sent:?} stored twice");
                assert_eq!((receipt.records, &receipt.receipt), (sent.records as u64, &id));
                seen.acknowledged += 1;
                sent.promise = Promise::Stored(receipt);
            }
            Ok(AppendOutcome::Duplicate(receipt)) => {
                match &sent.promise {
                    Promise::Stored(known) => assert_eq!(&receipt, known),
                    Promise::Lost => return,
                    // It was stored after all; the next comparison looks for it.
                    Promise::Unknown => assert_eq!(receipt.receipt, id),
                    Promise::NotStored => panic!("{sent:?} was never stored"),
                }
                seen.duplicates += 1;
                seen.duplicates_from_catalog += u64::from(receipt.first.seq < start);
                sent.promise = Promise::Stored(receipt);
            }
            Ok(AppendOutcome::Full(_)) => seen.refused_full += 1,
            Ok(AppendOutcome::Unknown) => {
                assert!(!matches!(sent.promise, Promise::Stored(_)), "{sent:?} written again");
                sent.promise = Promise::Unknown;
            }
            Err(JournalError::Failed(_)) => seen.stopped += 1,
            other => panic!("{sent:?}: {other:?}"),
        }
    }

    /// Reads on, moves the checkpoint, lets the journal trim.
    async fn consume(&mut self, seen: &mut Seen) {
        let journal = self.store.journal.clone();
        let mut from = Position { lane: 0, seq: self.consumed };
        for _ in 0..1 + self.dice.below(10) {
            if from >= journal.end(0) {
                break;
            }
            from = match journal.read(from, 1 + self.dice.below(50) as usize).await {
                Ok(Chunk::Records { next, .. }) => next,
                Ok(Chunk::Gap { to, .. }) => to,
                Err(_) => return,
            };
        }
        if !self.move_checkpoint(from, seen).await {
            return;
        }
        self.consumed = from.seq;
        journal.hold("index", from);
        let before = journal.start(0);
        // A crash or an unknown step may stop it half-way.
        let _ = journal.trim().await;
        seen.trimmed += u64::from(journal.start(0) > before);
    }

    async fn move_checkpoint(&mut self, to: Position, seen: &mut Seen) -> bool {
        let catalog = self.store.catalog.clone();
        let Ok(current) = catalog.checkpoint("index", 0).await else {
            return false;
        };
        let step = Step {
            expected: vec![("index".to_owned(), 0, current.map(|current| current.position))],
            advance: vec![Checkpoint {
                consumer: "index".to_owned(),
                journal: self.store.journal.identity(),
                position: to,
            }],
            statements: Vec::new(),
        };
        for _ in 0..3 {
            match catalog.step(step.clone()).await {
                Ok(StepOutcome::Done { .. }) => return true,
                Ok(StepOutcome::AlreadyDone) => {
                    seen.steps_repeated += 1;
                    return true;
                }
                Err(CatalogError::Unknown) => seen.steps_unknown += 1,
                other => panic!("step to {to}: {other:?}"),
            }
        }
        false
    }

    async fn die(&mut self, seen: &mut Seen) {
        let is_well = self.store.journal.health().state != JournalState::Failed;
        let failures = self.simulation.sync_failures() - self.sync_failures_before;
        self.sync_failures_before += failures;
        seen.sync_failures_survived += u64::from(is_well && failures > 0);
        seen.crashes_by_operation += u64::from(self.simulation.has_crashed());
        match self.dice.below(4) {
            0 => self.simulation.kill(),
            1 if !self.simulation.has_crashed() => {
                self.store.journal.close().await;
                self.simulation.crash();
            }
            _ => self.simulation.crash(),
        }
        if self.may_flip && self.dice.once_in(2) {
            for _ in 0..1 + self.dice.below(3) {
                self.has_flipped |= self.simulation.flip_bit("wal/").is_some();
            }
        }
    }

    /// Starts until it works; the first starts may die too.
    fn start(&mut self, seen: &mut Seen) -> Recovery {
        for attempt in 0..STARTS_MAX {
            if attempt < 3 && self.dice.once_in(2) {
                self.simulation.set_faults(Faults {
                    disk: DiskFaults {
                        sync_fails_per_mille: 50,
                        no_room_per_mille: 50,
                        crash_after_operations: Some(self.dice.below(60)),
                    },
                    ..Faults::default()
                });
            } else {
                self.simulation.set_faults(Faults::default());
            }
            match self.simulation.reopen() {
                Ok((store, recovery)) if !self.simulation.has_crashed() => {
                    self.simulation.set_faults(Faults::default());
                    self.store = store;
                    return recovery;
                }
                Ok(_) => {}
                Err(error) => {
                    assert!(attempt < STARTS_MAX / 2, "the store does not open: {error}");
                }
            }
            seen.crashes_in_recovery += 1;
            if self.dice.once_in(3) {
                self.simulation.kill();
            } else {
                self.simulation.crash();
            }
        }
        panic!("the store does not open");
    }

    /// Compares everything in the journal with what was promised.
    async fn compare(&mut self, recovery: &Recovery, seen: &mut Seen) {
        seen.torn_tails += u64::from(recovery.torn_tail_bytes > 0);
        seen.gaps += recovery.gaps.len() as u64;
        seen.quarantined += recovery.quarantined.len() as u64;
        let journal = self.store.journal.clone();
        let (start, end) = (journal.start(0).seq, journal.end(0).seq);
        let Found { batches: found, lost, audits } = self.read_everything(start, end, seen).await;
        assert!(lost.is_empty() || self.has_flipped, "gaps without damage: {lost:?}");
        let mut ids: BTreeSet<u64> = found.keys().copied().collect();
        let has_flipped = self.has_flipped;
        for sent in &mut self.sent {
            ids.remove(&sent.id);
            let place = found.get(&sent.id);
            if let Some((_, count)) = place {
                assert_eq!(*count, sent.records, "{sent:?} is there by half");
            }
            match (&sent.promise, place) {
                (Promise::Stored(receipt), Some((first, _))) => {
                    assert_eq!(receipt.first.seq, *first, "{sent:?}");
                }
                (Promise::Stored(receipt), None) => {
                    let first = receipt.first.seq;
                    let is_trimmed = first < start || sent.records == 0;
                    let is_in_gap = lost.iter().any(|(from, to)| (*from..*to).contains(&first));
                    // What damage cut off at the end, audit records may have taken the place of.
                    let is_cut_off = has_flipped && (first >= end || audits.contains(&first));
                    assert!(
                        is_trimmed || (has_flipped && (is_in_gap || is_cut_off)),
                        "{sent:?} is not there; the journal holds {start}..{end}, lost {lost:?}",
                    );
                    seen.lost_tails += u64::from(is_cut_off && !is_trimmed);
                    // Damage at the very start looks like a trim; its keys are gone all the same.
                    if has_flipped {
                        sent.promise = Promise::Lost;
                    }
                }
                (Promise::Unknown, Some((first, count))) => {
                    seen.unknown_stored += 1;
                    sent.promise = Promise::Stored(Receipt {
                        first: Position { lane: 0, seq: *first },
                        records: *count as u64,
                        receipt: Bytes::copy_from_slice(&sent.id.to_le_bytes()),
                    });
                }
                // Whether an empty batch was stored, only its key tells.
                (Promise::Unknown, None) if sent.records == 0 => {}
                (Promise::Unknown, None) => {
                    seen.unknown_not_stored += 1;
                    sent.promise = Promise::NotStored;
                }
                (Promise::NotStored, Some(_)) => panic!("{sent:?} was refused and is there"),
                (Promise::Lost, Some(_)) => panic!("{sent:?} was lost and is there"),
                (Promise::NotStored | Promise::Lost, None) => {}
            }
        }
        assert!(ids.is_empty(), "batches nobody sent: {ids:?}");
        self.check_checkpoint(end).await;
    }

    /// Where every batch is and how many records it has, and what is lost in between.
    async fn read_everything(&self, start: u64, end: u64, seen: &mut Seen) -> Found {
        let mut found = Found::default();
        let mut seq = start;
        let mut last_observed = Timestamp::MIN;
        while seq < end {
            let from = Position { lane: 0, seq };
            let chunk = self.store.journal.read(from, 7).await.expect("recovered records are read");
            let records = match chunk {
                Chunk::Records { records, .. } => records,
                Chunk::Gap { from, to } => {
                    assert!(from.seq == seq && to.seq > seq && to.seq <= end);
                    found.lost.push((seq, to.seq));
                    seq = to.seq;
                    continue;
                }
            };
            for record in records.iter() {
                assert_eq!(record.event.seq(), seq);
                assert!(record.event.observed_at() > last_observed);
                last_observed = record.event.observed_at();
                if record.kind == RecordKind::Audit {
                    seen.audit_records += 1;
                    found.audits.insert(seq);
                } else {
                    self.place(record.event.message(), seq, &mut found.batches);
                }
                seq += 1;
            }
        }
        assert_eq!(seq, end);
        found
    }

    fn place(&self, text: &str, seq: u64, found: &mut BTreeMap<u64, (u64, usize)>) {
        let (id, rest) = text.split_once('.').expect("our own text");
        let id: u64 = id.parse().expect("our own text");
        let sent = &self.sent[id as usize];
        let (first, count) = found.entry(id).or_insert((seq, 0));
        assert_eq!(seq, *first + *count as u64, "{sent:?} is not in one piece");
        let index = rest.split(' ').next().and_then(|index| index.parse::<usize>().ok());
        assert_eq!(index, Some(*count), "{sent:?} is not in order");
        assert_eq!(Some(text.to_owned()), sent.texts().nth(*count), "{sent:?} is altered");
        *count += 1;
    }

    async fn check_checkpoint(&mut self, end: u64) {
        let checkpoint = self.store.catalog.checkpoint("index", 0).await.expect("read");
        let seq = checkpoint.map_or(1, |checkpoint| checkpoint.position.seq);
        assert!(seq <= end || self.has_flipped, "the checkpoint {seq} stands behind {end}");
        self.consumed = seq.min(end);
    }
}
