//! Which record a consumer of the journal dies of, found out over several starts.
//!
//! A consumer that dies of a record (it aborts, its stack or the memory runs out) is given the same
//! record again at the next start, and would die for ever. So while it reads what the journal held
//! when it started, it notes which record it is at work on; a note that the next start finds is a
//! death. A record at which a consumer died [`DEATHS_MAX`] times is left out for that consumer from
//! then on: it reads a gap of one. The record stays in the journal. A dead letter keeps its
//! beginning, and an audit record says that it was left out.
//!
//! Records that came after the start are not noted: working on them costs nothing more.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use logwarden_event::{Event, EventBuilder, Position, Severity, Value};
use metrics::counter;
use sha2::{Digest, Sha256};
use tracing::{error, warn};

use crate::disk::{Disk, DiskFile};
use crate::metrics::{REPLAY_NOTES_FAILED, REPLAY_RECORDS_LEFT_OUT};
use crate::{
    Append, AppendOutcome, Chunk, Draft, IdempotencyKey, Journal, JournalError, RecordKind,
};

/// Deaths at one record after which it is left out.
const DEATHS_MAX: u32 = 2;
/// Records at which one consumer died that are remembered; of more the oldest are forgotten.
const SUSPECTS_MAX: usize = 1_000;
/// Bytes of a record that its dead letter keeps.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// Most that is read of the list of suspects.
const LIST_BYTES_MAX: u64 = 1024 * 1024;
/// The embedded journal has one lane.
const LANE: u32 = 0;
const DIR: &str = "replay";

/// Where consumers note what they are at work on; cheap to clone.
#[derive(Clone)]
pub struct Replays {
    disk: Arc<dyn Disk>,
}

/// One consumer's way through the journal.
pub struct Replay {
    journal: Arc<dyn Journal>,
    consumer: &'static str,
    /// Where the record at work is noted; nothing is noted when the disk does not let us.
    note: Option<Arc<dyn DiskFile>>,
    is_at_work: AtomicBool,
    /// The first position that is not noted any more.
    end: u64,
    left_out: BTreeSet<u64>,
}

/// A record at which a consumer died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Suspect {
    seq: u64,
    deaths: u32,
    /// An audit record says that it is left out.
    is_told: bool,
}

impl Replays {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk }
    }

    /// Counts the death that the last start left behind, if any, and puts on record what is left
    /// out from now on. What cannot be read or written is said in our log; the consumer then works
    /// without.
    pub(crate) async fn open(&self, journal: Arc<dyn Journal>, consumer: &'static str) -> Replay {
        let disk = &*self.disk;
        let end = journal.end(LANE).seq;
        let (suspects, note) = match find_suspects(disk, consumer, journal.start(LANE).seq) {
            Ok(found) => found,
            Err(error) => {
                error!(
                    consumer, error = %error,
                    "consumer `{consumer}` works without notes of what it dies of: {error}"
                );
                (Vec::new(), None)
            }
        };
        let left_out = suspects.iter().filter(|suspect| suspect.deaths >= DEATHS_MAX);
        let replay = Replay {
            journal,
            consumer,
            note,
            is_at_work: AtomicBool::new(false),
            end,
            left_out: left_out.map(|suspect| suspect.seq).collect(),
        };
        replay.put_on_record(disk, suspects).await;
        replay
    }
}

impl Replay {
    /// Reads as [`Journal::read`]; what is left out is a gap of one position.
    ///
    /// # Errors
    ///
    /// As [`Journal::read`].
    pub async fn read(&self, from: Position, records_max: usize) -> Result<Chunk, JournalError> {
        let records_max = match self.left_out.range(from.seq..).next() {
            Some(seq) if *seq == from.seq => {
                counter!(REPLAY_RECORDS_LEFT_OUT, "consumer" => self.consumer).increment(1);
                return Ok(Chunk::Gap { from, to: Position { seq: seq + 1, ..from } });
            }
            Some(seq) => {
                let before = usize::try_from(seq - from.seq).unwrap_or(usize::MAX);
                records_max.min(before)
            }
            None => records_max,
        };
        self.journal.read(from, records_max).await
    }

    /// Notes that work on this record begins; the one before is done.
    pub fn begin(&self, seq: u64) {
        if seq < self.end {
            self.is_at_work.store(true, Ordering::Relaxed);
            self.write(seq);
        }
    }

    /// Notes that nothing is being worked on.
    pub fn rest(&self) {
        if self.is_at_work.swap(false, Ordering::Relaxed) {
            self.write(0);
        }
    }

    /// It need not be synced: the death of a process leaves what was written.
    fn write(&self, seq: u64) {
        let Some(note) = &self.note else { return };
        if note.write_all_at(&note_of(seq), 0).is_err() {
            counter!(REPLAY_NOTES_FAILED, "consumer" => self.consumer).increment(1);
        }
    }

    /// Says which records are left out, each once. What the journal does not take now is said at
    /// the next start.
    async fn put_on_record(&self, disk: &dyn Disk, mut suspects: Vec<Suspect>) {
        let mut has_changed = false;
        for suspect in &mut suspects {
            if suspect.deaths < DEATHS_MAX || suspect.is_told {
                continue;
            }
            let (consumer, seq) = (self.consumer, suspect.seq);
            error!(consumer, seq, "consumer `{consumer}` died of record {seq}, it is left out");
            match self.journal.append(self.finding(seq).await).await {
                Ok(AppendOutcome::Appended(_) | AppendOutcome::Duplicate(_)) => {
                    suspect.is_told = true;
                    has_changed = true;
                }
                other => warn!("that record {seq} is left out is not on record yet: {other:?}"),
            }
        }
        if has_changed && let Err(error) = write_suspects(disk, self.consumer, &suspects) {
            warn!(error = %error, "that a record is left out may be on record twice: {error}");
        }
    }

    async fn finding(&self, seq: u64) -> Append {
        let at = Position { lane: LANE, seq };
        let mut drafts = vec![audit_record(self.consumer, seq)];
        if let Ok(Chunk::Records { records, .. }) = self.journal.read(at, 1).await
            && let Some(record) = records.first()
        {
            drafts.push(dead_letter(self.consumer, seq, &record.event));
        }
        let digest = Sha256::digest(format!("left out {} {seq}", self.consumer));
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Append { drafts, idempotency: Some(IdempotencyKey { key, body: key }), ..Append::default() }
    }
}

fn audit_record(consumer: &str, seq: u64) -> Draft {
    let message = format!("`{consumer}` died {DEATHS_MAX} times of record {seq}, it is left out");
    let record = serde_json::json!({
        "event.action": "record_left_out", "lw.left_out.consumer": consumer,
        "lw.left_out.seq": seq, "message": message,
    })
    .to_string();
    let mut event = EventBuilder::new(record.as_bytes());
    event
        .severity(Severity::Critical)
        .source("logwarden")
        .dataset("logwarden.audit")
        .message(&message)
        .field("event.action", Value::String("record_left_out"))
        .field("lw.left_out.consumer", Value::String(consumer))
        .field("lw.left_out.seq", Value::Integer(i128::from(seq)));
    Draft { kind: RecordKind::Audit, event: event.build() }
}

/// The beginning of the record in base64, so that nothing reads it again as what it was.
fn dead_letter(consumer: &str, seq: u64, event: &Event) -> Draft {
    let kept = &event.raw()[..event.raw().len().min(KEPT_BYTES_MAX)];
    let reason = format!("`{consumer}` died of record {seq}");
    let record = serde_json::json!({
        "lw.code": "left_out", "lw.reason": reason, "lw.left_out.seq": seq,
        "lw.raw_base64": STANDARD.encode(kept),
    })
    .to_string();
    let mut letter = EventBuilder::new(record.as_bytes());
    letter
        .severity(Severity::Warning)
        .source(event.source())
        .dataset("logwarden.deadletter")
        .message(&reason)
        .field("lw.reason", Value::String(&reason))
        .field("lw.code", Value::String("left_out"))
        .field("lw.left_out.seq", Value::Integer(i128::from(seq)));
    if kept.len() < event.raw().len() {
        letter.field("lw.truncated", Value::Bool(true));
    }
    Draft { kind: RecordKind::DeadLetter, event: letter.build() }
}

type Found = (Vec<Suspect>, Option<Arc<dyn DiskFile>>);

/// The suspects, with the death that the last start left behind, and the file for the next note.
fn find_suspects(disk: &dyn Disk, consumer: &str, start: u64) -> io::Result<Found> {
    disk.create_dir(DIR)?;
    let mut suspects = read_suspects(disk, consumer)?;
    let path = format!("{DIR}/{consumer}");
    let (note, died_at) = match disk.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => (disk.create_new(&path)?, None),
        opened => {
            let note = opened?;
            let died_at = read_note(&*note)?;
            (note, died_at)
        }
    };
    if let Some(seq) = died_at {
        warn!(consumer, seq, "consumer `{consumer}` did not get over record {seq} the last time");
        match suspects.iter_mut().find(|suspect| suspect.seq == seq) {
            Some(suspect) => suspect.deaths = suspect.deaths.saturating_add(1),
            None => suspects.push(Suspect { seq, deaths: 1, is_told: false }),
        }
        // What was trimmed is not read again.
        suspects.retain(|suspect| suspect.seq >= start);
        suspects.sort_by_key(|suspect| suspect.seq);
        suspects.drain(..suspects.len().saturating_sub(SUSPECTS_MAX));
        // First the list: a death that is counted twice is better than one that is not.
        write_suspects(disk, consumer, &suspects)?;
    }
    note.write_all_at(&note_of(0), 0)?;
    Ok((suspects, Some(note)))
}

/// The seq and its complement: anything else is no note.
fn note_of(seq: u64) -> [u8; 16] {
    let mut note = [0; 16];
    note[..8].copy_from_slice(&seq.to_le_bytes());
    note[8..].copy_from_slice(&(!seq).to_le_bytes());
    note
}

fn read_note(note: &dyn DiskFile) -> io::Result<Option<u64>> {
    let mut bytes = [0; 16];
    match note.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut seq = [0; 8];
    seq.copy_from_slice(&bytes[..8]);
    let seq = u64::from_le_bytes(seq);
    Ok((seq != 0 && bytes == note_of(seq)).then_some(seq))
}

fn read_suspects(disk: &dyn Disk, consumer: &str) -> io::Result<Vec<Suspect>> {
    let file = match disk.open(&format!("{DIR}/{consumer}.deaths")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut bytes = vec![0; file.size_bytes()?.min(LIST_BYTES_MAX) as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(Suspect::from_line).collect())
}

fn write_suspects(disk: &dyn Disk, consumer: &str, suspects: &[Suspect]) -> io::Result<()> {
    let (path, new) = (format!("{DIR}/{consumer}.deaths"), format!("{DIR}/{consumer}.tmp"));
    match disk.remove(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create_new(&new)?;
    let lines: String = suspects.iter().copied().map(Suspect::to_line).collect();
    file.write_all_at(lines.as_bytes(), 0)?;
    file.sync()?;
    disk.rename(&new, &path)?;
    disk.sync_dir(DIR)
}

impl Suspect {
    fn to_line(self) -> String {
        format!("{} {} {}\n", self.seq, self.deaths, u8::from(self.is_told))
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self {
            seq: words.next()?.parse().ok()?,
            deaths: words.next()?.parse().ok()?,
            is_told: words.next()? == "1",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Simulation, Store};

    fn batch(text: &str) -> Append {
        let mut event = EventBuilder::new(text.as_bytes());
        event.source("shop");
        let draft = Draft { kind: RecordKind::Event, event: event.build() };
        Append { drafts: vec![draft], ..Append::default() }
    }

    fn at(seq: u64) -> Position {
        Position { lane: LANE, seq }
    }

    /// A start at which the consumer dies of record `seq`.
    async fn die_of(simulation: &Simulation, seq: u64) {
        let (store, _) = simulation.reopen().expect("opened");
        let replay = store.replay("index").await;
        replay.begin(1);
        replay.begin(seq);
        simulation.kill();
    }

    async fn own_records(store: &Store, from: u64) -> Vec<String> {
        let mut said = Vec::new();
        let mut next = at(from);
        while next < store.journal.end(LANE) {
            let chunk = store.journal.read(next, 100).await.expect("read");
            let Chunk::Records { records, next: after } = chunk else { panic!("a gap") };
            said.extend(
                records
                    .iter()
                    .map(|record| format!("{} {}", record.event.dataset(), record.event.message())),
            );
            next = after;
        }
        said
    }

    #[tokio::test]
    async fn a_record_of_which_a_consumer_died_twice_is_left_out_and_on_record_once() {
        let (store, simulation) = Store::simulated(1);
        for text in ["a", "b", "c", "d"] {
            store.journal.append(batch(text)).await.expect("taken");
        }
        drop(store);
        die_of(&simulation, 3).await;
        die_of(&simulation, 2).await;
        {
            let (store, _) = simulation.reopen().expect("opened");
            let replay = store.replay("index").await;
            let chunk = replay.read(at(1), 100).await.expect("read");
            assert!(matches!(chunk, Chunk::Records { next, .. } if next == at(5)), "{chunk:?}");
            // An ordered stop is no death.
            replay.begin(3);
            replay.rest();
            simulation.kill();
        }
        die_of(&simulation, 3).await;
        for _ in 0..2 {
            let (store, _) = simulation.reopen().expect("opened");
            let replay = store.replay("index").await;
            let chunk = replay.read(at(1), 100).await.expect("read");
            assert!(matches!(chunk, Chunk::Records { next, .. } if next == at(3)), "{chunk:?}");
            let chunk = replay.read(at(3), 100).await.expect("read");
            let is_gap = matches!(chunk, Chunk::Gap { from, to } if from == at(3) && to == at(4));
            assert!(is_gap, "{chunk:?}");
            let others = store.replay("detector").await.read(at(3), 1).await.expect("read");
            assert!(matches!(others, Chunk::Records { .. }), "only this consumer dies of it");
            let said = own_records(&store, 5).await;
            let expected = [
                "logwarden.audit `index` died 2 times of record 3, it is left out",
                "logwarden.deadletter `index` died of record 3",
            ];
            assert_eq!(said, expected);
        }
    }

    #[tokio::test]
    async fn what_came_after_the_start_is_not_noted() {
        let (store, simulation) = Store::simulated(2);
        store.journal.append(batch("a")).await.expect("taken");
        drop(store);
        for _ in 0..3 {
            let (store, _) = simulation.reopen().expect("opened");
            let replay = store.replay("index").await;
            store.journal.append(batch("b")).await.expect("taken");
            replay.begin(store.journal.end(LANE).seq - 1);
            assert!(replay.left_out.is_empty());
            simulation.kill();
        }
    }

    #[tokio::test]
    async fn on_a_full_disk_it_is_left_out_and_said_later() {
        let (store, simulation) = Store::simulated(3);
        store.journal.append(batch("a")).await.expect("taken");
        drop(store);
        die_of(&simulation, 1).await;
        die_of(&simulation, 1).await;
        simulation.set_free_bytes(0);
        for (free_bytes, said) in [(0, 0), (crate::simulation::VOLUME_BYTES, 2)] {
            simulation.set_free_bytes(free_bytes);
            simulation.advance(std::time::Duration::from_secs(60));
            let (store, _) = simulation.reopen().expect("opened");
            let chunk = store.replay("index").await.read(at(1), 1).await.expect("read");
            assert!(matches!(chunk, Chunk::Gap { .. }), "{chunk:?}");
            assert_eq!(own_records(&store, 2).await.len(), said);
            simulation.kill();
        }
    }
}
