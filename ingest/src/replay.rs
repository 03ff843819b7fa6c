//! Dead letters on their way through the present parser once more.
//!
//! Input: dead letters as searches find them. Output: what became of each. The bytes that were kept
//! are read again; what is a record now becomes an event of the letter's source, received when it was
//! replayed, dated as if it had come with the letter. A letter is stored once, however often and at
//! how many places at once it is replayed: its mark is in the catalog, and a replay that a crash cut
//! off is settled by the idempotency key that both tries have. Neither quotas nor the health of the
//! source are touched: the sender did nothing.

use std::collections::HashMap;

use logwarden_event::{Event, EventId, Timestamp, Value};
use logwarden_store::{
    Append, CatalogError, IdempotencyKey, Row, SqlValue, Statement, Step, StepOutcome,
};
use sha2::{Digest as _, Sha256};

use crate::batch::Batch;
use crate::deadletter::DEAD_LETTER_DATASET;
use crate::normalize::Origin;
use crate::pipeline::{Pipeline, Refusal};
use crate::protocol::documents;
use crate::protocol::stream::Taker;

/// A replay that was begun and never finished is settled by its key, which counts for 24 hours.
const UNSETTLED_AFTER: std::time::Duration = std::time::Duration::from_secs(23 * 3_600);
/// Steps are repeated when nobody knows what became of them.
const STEP_ATTEMPTS_MAX: usize = 5;
/// The code of records that are events already, and were left out of index or rules.
const LEFT_OUT: &str = "left_out";
/// The code of records whose conversion panicked: any record may be that.
const CONVERSION_FAILED: &str = "conversion_failed";

/// Which letters were replayed.
pub(crate) const REPLAYS_TABLE: &str = "
    CREATE TABLE ingest_replays (
        letter BLOB NOT NULL PRIMARY KEY,
        begun_at BIGINT NOT NULL,
        is_done BIGINT NOT NULL
    );
";

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// Its record is so many events now.
    Stored {
        /// At least one.
        events: u64,
    },
    /// It was replayed before; nothing was done.
    Before,
    /// It still is no record.
    StillBad {
        /// What is wrong with it.
        reason: String,
    },
    /// Only its beginning was kept, or it is no record that was refused.
    NotReplayable,
    /// A replay was cut off too long ago to tell whether it was stored; nothing was done.
    Unsettled,
}

/// Why letters cannot be replayed now. Those before it in the same call may have been.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplayError {
    /// The marks cannot be read or written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The journal takes nothing now.
    #[error("the journal takes nothing now: {0}")]
    Journal(&'static str),
}

/// What a letter holds, read again.
enum Reread {
    Records(Batch),
    Not(Replayed),
}

/// Replays letters, one after another.
pub(crate) async fn replay(
    pipeline: &Pipeline,
    letters: &[Event],
) -> Result<Vec<Replayed>, ReplayError> {
    let mut outcomes = Vec::with_capacity(letters.len());
    let mut batches = Vec::new();
    for letter in letters {
        match reread(pipeline, letter) {
            Reread::Not(outcome) => outcomes.push(outcome),
            Reread::Records(batch) => {
                batches.push((outcomes.len(), letter.id(), batch));
                outcomes.push(Replayed::Before);
            }
        }
    }
    let now = pipeline.now();
    let ids: Vec<EventId> = batches.iter().map(|(_, id, _)| *id).collect();
    let begun = begin(pipeline, &ids, now).await?;
    let mut done = Vec::new();
    for (place, id, batch) in batches {
        let (begun_at, is_done) = begun.get(&id).copied().unwrap_or((now, false));
        if is_done {
            continue;
        }
        if now.since(begun_at) > UNSETTLED_AFTER {
            outcomes[place] = Replayed::Unsettled;
            continue;
        }
        let events = batch.record_count();
        if let Err(refusal) = store(pipeline, id, batch).await {
            finish(pipeline, &done).await?;
            return Err(ReplayError::Journal(refusal.code()));
        }
        outcomes[place] = Replayed::Stored { events };
        done.push(id);
    }
    finish(pipeline, &done).await?;
    Ok(outcomes)
}

/// When letters were replayed; those that were not are not in it.
pub(crate) async fn replayed_at(
    pipeline: &Pipeline,
    letters: &[EventId],
) -> Result<HashMap<EventId, Timestamp>, CatalogError> {
    let marks = marks(pipeline, letters).await?;
    let done = marks.into_iter().filter(|(_, (_, is_done))| *is_done);
    Ok(done.map(|(id, (at, _))| (id, at)).collect())
}

fn reread(pipeline: &Pipeline, letter: &Event) -> Reread {
    let field = |name| match letter.value_of(name) {
        Some(Value::String(text)) => text,
        _ => "",
    };
    let code = field("lw.code");
    let is_cut = letter.value_of("lw.truncated") == Some(Value::Bool(true));
    if letter.dataset() != DEAD_LETTER_DATASET || is_cut || code == LEFT_OUT {
        return Reread::Not(Replayed::NotReplayable);
    }
    let source = letter.source();
    let origin = Origin {
        source: source.to_owned(),
        peer: field("lw.peer").parse().ok(),
        protocol: "replay",
        zone: pipeline.config.zone_of(source),
        mask_secrets: pipeline.config.masks_secrets_of(source),
        comes_again: false,
    };
    let quota = pipeline.quotas.of(source);
    let mut intake = pipeline.intake(&origin, &quota);
    // A year or a zone that the record leaves out is that of the day on which it came.
    intake.now = letter.observed_at();
    let record_bytes_max = pipeline.limits().record_bytes_max;
    let mut taker = Taker { batch: Batch::default(), intake, record_bytes_max };
    let record = letter.raw();
    if code == CONVERSION_FAILED {
        taker.batch.add(intake, 1, record);
    } else {
        documents::cut(record, record_bytes_max, &mut taker);
    }
    let batch = taker.batch;
    match batch.tally.errors.first() {
        Some(error) => Reread::Not(Replayed::StillBad { reason: error.reason.clone() }),
        None if batch.drafts.is_empty() => {
            Reread::Not(Replayed::StillBad { reason: "it holds no record".to_owned() })
        }
        None => Reread::Records(batch),
    }
}

async fn store(pipeline: &Pipeline, id: EventId, batch: Batch) -> Result<(), Refusal> {
    let mut hasher = Sha256::new();
    hasher.update(b"\0\0dead letter\0");
    hasher.update(id.to_u128().to_be_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize()[..16]);
    // The parser may have changed between two tries; the letter has not.
    let idempotency = Some(IdempotencyKey { key, body: key });
    let mut append = Append { drafts: batch.drafts, idempotency, ..Append::default() };
    pipeline.try_append(&mut append).await.map(|_| ())
}

/// Marks letters as begun, and says since when each is and whether it is done.
async fn begin(
    pipeline: &Pipeline,
    ids: &[EventId],
    now: Timestamp,
) -> Result<HashMap<EventId, (Timestamp, bool)>, CatalogError> {
    let begin = |id: &EventId| Statement {
        sql: "INSERT INTO ingest_replays (letter, begun_at, is_done) VALUES (?1, ?2, 0)
              ON CONFLICT (letter) DO NOTHING",
        values: vec![blob(*id), SqlValue::Integer(now.nanos())],
    };
    commit(pipeline, ids.iter().map(begin).collect()).await?;
    marks(pipeline, ids).await
}

async fn finish(pipeline: &Pipeline, ids: &[EventId]) -> Result<(), CatalogError> {
    let finish = |id: &EventId| Statement {
        sql: "UPDATE ingest_replays SET is_done = 1 WHERE letter = ?1",
        values: vec![blob(*id)],
    };
    commit(pipeline, ids.iter().map(finish).collect()).await
}

async fn commit(pipeline: &Pipeline, statements: Vec<Statement>) -> Result<(), CatalogError> {
    if statements.is_empty() {
        return Ok(());
    }
    let step = Step { statements, ..Step::default() };
    for _ in 1..STEP_ATTEMPTS_MAX {
        match pipeline.catalog.step(step.clone()).await {
            Err(CatalogError::Unknown) => {}
            Ok(StepOutcome::Done { .. } | StepOutcome::AlreadyDone) => return Ok(()),
            Ok(StepOutcome::Stale(_)) => break,
            Err(error) => return Err(error),
        }
    }
    Err(CatalogError::Unknown)
}

async fn marks(
    pipeline: &Pipeline,
    ids: &[EventId],
) -> Result<HashMap<EventId, (Timestamp, bool)>, CatalogError> {
    let select = |id: &EventId| Statement {
        sql: "SELECT begun_at, is_done FROM ingest_replays WHERE letter = ?1",
        values: vec![blob(*id)],
    };
    let answers = pipeline.catalog.query(ids.iter().map(select).collect()).await?;
    let mut marks = HashMap::new();
    for (id, rows) in ids.iter().zip(answers) {
        if let Some(Row(values)) = rows.first()
            && let [SqlValue::Integer(at), SqlValue::Integer(is_done)] = values.as_slice()
        {
            marks.insert(*id, (Timestamp::from_nanos(*at), *is_done != 0));
        }
    }
    Ok(marks)
}

fn blob(id: EventId) -> SqlValue {
    SqlValue::Blob(id.to_u128().to_be_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use logwarden_event::Position;
    use logwarden_store::identity::Identity;
    use logwarden_store::seal::Seal;
    use logwarden_store::{Chunk, Draft, RecordKind, Simulation, Store};
    use tokio::sync::watch;

    use super::*;
    use crate::config::Config;
    use crate::deadletter::{self, Rejection};
    use crate::pipeline::Progress;
    use crate::tables;

    async fn node() -> (Pipeline, Store, Simulation) {
        let (store, simulation) = Store::simulated(5);
        store.catalog.migrate(tables::ROOM, tables::MIGRATIONS).await.expect("migrated");
        let catalog = Arc::clone(&store.catalog);
        let identity = Identity::open(catalog, Arc::clone(&store.clock), Seal::ephemeral())
            .await
            .expect("identity");
        let (_, seen) = watch::channel(Position::default());
        let pipeline =
            Pipeline::new(Arc::new(Config::default()), &store, identity, Progress::of_all(seen));
        (pipeline, store, simulation)
    }

    /// Keeps records as dead letters of this code, as an older parser would have.
    async fn keep(store: &Store, records: &[&[u8]], code: &'static str, cut: usize) {
        let letter = |record: &&[u8]| {
            let reason = "an older parser did not read it".to_owned();
            let size_bytes = record.len() + cut;
            let rejection = Rejection { line: 1, code, reason, size_bytes };
            let event = deadletter::make(record, &rejection, &Origin::new("shop"));
            Draft { kind: RecordKind::DeadLetter, event }
        };
        let drafts = records.iter().map(letter).collect();
        let append = Append { drafts, ..Append::default() };
        store.journal.append(append).await.expect("appended");
    }

    /// The events of the journal: dead letters, and what is none.
    async fn events(store: &Store) -> (Vec<Event>, Vec<String>) {
        let (mut letters, mut others) = (Vec::new(), Vec::new());
        let mut at = Position { lane: 0, seq: 1 };
        while at < store.journal.end(0) {
            let chunk = store.journal.read(at, 1_000).await.expect("records");
            let Chunk::Records { records, next } = chunk else { panic!("a gap") };
            for record in records.iter() {
                let event = record.event.clone();
                match record.kind {
                    RecordKind::DeadLetter => letters.push(event),
                    _ => others.push(format!("{} {}", event.source(), event.message())),
                }
            }
            at = next;
        }
        (letters, others)
    }

    #[tokio::test]
    async fn what_reads_now_is_stored_once_and_marked() {
        let (pipeline, store, _simulation) = node().await;
        let records: [&[u8]; 3] =
            [br#"{"message":"a"}"#, br#"{"message":"b"}{"message":"c"}"#, b"{no"];
        keep(&store, &records, "invalid_json", 0).await;
        let (letters, _) = events(&store).await;
        let outcomes = replay(&pipeline, &letters).await.expect("replayed");
        assert_eq!(outcomes[..2], [Replayed::Stored { events: 1 }, Replayed::Stored { events: 2 }]);
        assert!(matches!(&outcomes[2], Replayed::StillBad { reason } if reason.contains("column")));
        let again = replay(&pipeline, &letters).await.expect("replayed");
        assert_eq!(again[..2], [Replayed::Before, Replayed::Before]);
        assert_eq!(events(&store).await.1, ["shop a", "shop b", "shop c"]);
        let ids: Vec<EventId> = letters.iter().map(Event::id).collect();
        let marked = replayed_at(&pipeline, &ids).await.expect("read");
        assert!(marked.contains_key(&ids[0]) && !marked.contains_key(&ids[2]));
    }

    #[tokio::test]
    async fn a_replay_that_was_cut_off_is_settled_by_its_key() {
        let (pipeline, store, simulation) = node().await;
        keep(&store, &[br#"{"message":"a"}"#], "invalid_json", 0).await;
        let (letters, _) = events(&store).await;
        let Reread::Records(batch) = reread(&pipeline, &letters[0]) else { panic!("it reads") };
        begin(&pipeline, &[letters[0].id()], pipeline.now()).await.expect("begun");
        super::store(&pipeline, letters[0].id(), batch).await.expect("stored");
        // The process ended here, before the mark.
        let outcomes = replay(&pipeline, &letters).await.expect("replayed");
        assert_eq!(outcomes, [Replayed::Stored { events: 1 }]);
        assert_eq!(events(&store).await.1, ["shop a"]);

        keep(&store, &[br#"{"message":"b"}"#], "invalid_json", 0).await;
        let letter = events(&store).await.0.remove(1);
        begin(&pipeline, &[letter.id()], pipeline.now()).await.expect("begun");
        simulation.advance(Duration::from_secs(24 * 3_600));
        let outcomes = replay(&pipeline, &[letter]).await.expect("replayed");
        assert_eq!(outcomes, [Replayed::Unsettled], "nobody can tell any more");
    }

    #[tokio::test]
    async fn what_is_no_whole_record_is_not_replayed() {
        let (pipeline, store, _simulation) = node().await;
        keep(&store, &[br#"{"message":"a"}"#], "line_too_long", 10).await;
        keep(&store, &[br#"{"message":"b"}"#], "left_out", 0).await;
        keep(&store, &[b"any text"], "conversion_failed", 0).await;
        let (letters, _) = events(&store).await;
        let outcomes = replay(&pipeline, &letters).await.expect("replayed");
        let not = Replayed::NotReplayable;
        assert_eq!(outcomes, [not.clone(), not, Replayed::Stored { events: 1 }]);
        assert_eq!(events(&store).await.1, ["shop any text"]);
    }

    #[tokio::test]
    async fn a_full_disk_leaves_letters_to_be_replayed_later() {
        let (pipeline, store, simulation) = node().await;
        keep(&store, &[br#"{"message":"a"}"#], "invalid_json", 0).await;
        let (letters, _) = events(&store).await;
        simulation.set_free_bytes(0);
        simulation.advance(Duration::from_secs(60));
        let refused = replay(&pipeline, &letters).await.expect_err("no room");
        assert_eq!(refused.to_string(), "the journal takes nothing now: disk_full");
        simulation.set_free_bytes(1 << 40);
        simulation.advance(Duration::from_secs(60));
        let outcomes = replay(&pipeline, &letters).await.expect("replayed");
        assert_eq!(outcomes, [Replayed::Stored { events: 1 }]);
    }
}
