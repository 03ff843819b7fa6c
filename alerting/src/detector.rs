//! Follows the journal and runs the rules over every event.
//!
//! Input: records in batches as they come. Output: catalog steps. A step with what was found (alerts opened
//! or joined, notifications about them) moves the checkpoint of [`ALERTS`], at once when an alert opened.
//! A step that also holds every group that changed, a snapshot, moves the checkpoint of [`CONSUMER`] too,
//! once in [`SNAPSHOT_INTERVAL`] and when it is quiet. State is a function of the journal, so a start takes
//! the snapshot and looks again at what lies between the two: what it finds there is written already and
//! only remembered. Beyond that a crash repeats what was not written, and nothing else; ids are worked out
//! from the events. After a step each new alert is told to the journal as well; an alert that the journal
//! knows and the catalog does not is put back.
//!
//! An event of which the process dies, or that breaks the detector, again and again is left out
//! ([`Replay`]). Of our own records only those are looked at that say what is wrong with the server.

mod fired;
mod rebuild;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use logwarden_event::{AlertId, Event, Position, Severity, Timestamp};
use logwarden_store::{
    Append, AppendOutcome, CatalogError, Checkpoint, Chunk, Draft, IdempotencyKey, JournalError,
    Record, RecordKind, Replay, SqlValue, Statement, Step, StepOutcome, Store,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::Shared;
use crate::alert::desk::{Desk, Opened};
use crate::alert::tables::{self, AlertRow, Columns, integer, rows, text};
use crate::alert::{lifecycle, writing};
use crate::engine::{Engine, Finding, Found, Part};
use crate::error::AlertingError;
use crate::identity::hash;
use crate::metrics;
use crate::noise;
use crate::notify::Quiet;
use crate::rule::RuleSet;
use crate::silence;

use fired::{fired_event, put_back};

/// The detector's name as a consumer of the journal: up to where its snapshot goes.
pub(crate) const CONSUMER: &str = "detector";
/// The name under which is kept up to where everything found is written.
pub(crate) const ALERTS: &str = "alerts";
/// Records taken from the journal at a time.
const BATCH_RECORDS_MAX: usize = 2_048;
/// Batches up to this size are worked off where they arrive; larger ones leave the async threads.
const INLINE_RECORDS_MAX: usize = 32;
/// How often windows are looked at for their end, and what only grew is written.
const TICK: Duration = Duration::from_secs(1);
/// How often the groups are written while events come.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(10);
/// Records after which they are written in any case: the journal keeps what came since.
const SNAPSHOT_RECORDS_MAX: u64 = 500_000;
/// Findings that are written at the latest.
const FINDINGS_MAX: usize = 4_096;
/// The pause after a failure, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The lane that is followed; the embedded journal has no other.
const LANE: u32 = 0;

/// Why the detector starts over from what is durable.
enum Restart {
    /// The rules changed.
    Rules,
    /// Something else moved the checkpoint, or a constraint spoke: memory cannot be trusted.
    Reload(String),
    /// It is time to stop.
    Shutdown,
}

impl From<AlertingError> for Restart {
    fn from(error: AlertingError) -> Self {
        Self::Reload(error.to_string())
    }
}

/// Follows the journal until `shutdown`.
pub(crate) async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut pause = PAUSE.0;
    loop {
        let restart = match Detector::open(shared.clone()).await {
            Ok(mut detector) => detector.follow(&shutdown, &mut pause).await,
            Err(error) => Restart::Reload(error.to_string()),
        };
        match restart {
            Restart::Shutdown => return,
            Restart::Rules => {}
            Restart::Reload(reason) => {
                error!(%reason, "detector starts over from its checkpoint");
                shared.set_stalled(Some(reason));
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

pub(crate) struct Detector {
    shared: Arc<Shared>,
    rules: Arc<RuleSet>,
    engine: Option<Engine>,
    desk: Desk,
    versions: HashMap<String, u32>,
    /// Up to where everything found is written.
    written: Option<Position>,
    written_at: Timestamp,
    /// Up to where the groups are written.
    snapshot: Option<Position>,
    snapshot_at: Timestamp,
    position: Position,
    /// Where it stood at the last tick.
    ticked: Position,
    work: Work,
    replay: Arc<Replay>,
    /// Alerts that the journal was not told of yet.
    untold: Vec<Opened>,
}

/// What was found and is not written yet.
#[derive(Default)]
struct Work {
    findings: Vec<Finding>,
    /// Something is to be written without waiting.
    is_urgent: bool,
    told: Vec<Event>,
}

/// What a batch came to.
#[derive(Default)]
struct Looked {
    findings: Vec<Finding>,
    told: Vec<Event>,
    /// Events that came too late for a rule: its place, and when they happened.
    late: Vec<(usize, i64)>,
}

impl Work {
    fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.told.is_empty()
    }

    /// Takes a finding; one that goes on from the last of its group becomes part of it.
    fn take(&mut self, mut finding: Finding) {
        if let (Found::Grew { episode, fresh, absorbed, .. }, Some(last)) =
            (&mut finding.what, self.findings.last_mut())
            && let Found::Grew { episode: known, fresh: members, .. } = &mut last.what
            && (last.rule, &last.key, known.key) == (finding.rule, &finding.key, episode.key)
            && absorbed.is_empty()
        {
            *known = *episode;
            members.append(fresh);
            return;
        }
        self.is_urgent |= matches!(finding.what, Found::Began { .. });
        self.findings.push(finding);
    }
}

impl Detector {
    /// Loads what is durable: checkpoints and groups.
    pub(crate) async fn open(shared: Arc<Shared>) -> Result<Self, AlertingError> {
        let store = &shared.store;
        let rules = shared.rules();
        let snapshot = checkpoint(store, CONSUMER).await?;
        let written = checkpoint(store, ALERTS).await?;
        let position = snapshot.unwrap_or_else(|| store.journal.start(LANE));
        store.journal.hold(CONSUMER, position);
        let mut engine = Engine::with_lateness(rules.clone(), shared.lateness());
        engine.outlive_panics();
        shared.set_timings(rules.clone(), engine.timings());
        let outgrown = rebuild::restore(&mut engine, load_parts(&shared).await?);
        let versions = save_versions(&shared, &rules).await?;
        let (mut desk, mut work) = (Desk::default(), Work::default());
        for ongoing in rebuild::rebuild(&shared, &mut engine, &outgrown, position).await {
            match ongoing.is_known {
                true => desk.recall(&*store.catalog, &mut engine, ongoing.finding).await?,
                false => work.take(ongoing.finding),
            }
        }
        let untold = load_untold(&shared).await?;
        let replay = Arc::new(store.replay(CONSUMER).await);
        let now = store.clock.now();
        Ok(Self {
            shared,
            rules,
            engine: Some(engine),
            desk,
            versions,
            written,
            written_at: now,
            snapshot,
            snapshot_at: now,
            position,
            ticked: position,
            work,
            replay,
            untold,
        })
    }

    async fn follow(&mut self, shutdown: &CancellationToken, pause: &mut Duration) -> Restart {
        let mut changes = self.shared.rule_changes();
        changes.mark_unchanged();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if !Arc::ptr_eq(&self.rules, &self.shared.rules()) {
                return self.stop(Restart::Rules).await;
            }
            let replay = self.replay.clone();
            let chunk = tokio::select! {
                biased;
                () = shutdown.cancelled() => return self.stop(Restart::Shutdown).await,
                _ = changes.changed() => continue,
                chunk = replay.read(self.position, self.records_max()) => Some(chunk),
                _ = tick.tick() => None,
            };
            let done = match chunk {
                Some(Ok(chunk)) => self.take_chunk(chunk).await,
                Some(Err(JournalError::Closed)) => {
                    shutdown.cancelled().await;
                    return Restart::Shutdown;
                }
                Some(Err(error)) => Err(Restart::Reload(error.to_string())),
                None => self.idle().await,
            };
            match done {
                Ok(()) => *pause = PAUSE.0,
                Err(restart) => return restart,
            }
        }
    }

    /// How many records are looked at next: what was found in is told apart from what was not.
    fn records_max(&self) -> usize {
        let known = self.to_recall().unwrap_or(BATCH_RECORDS_MAX as u64);
        usize::try_from(known).unwrap_or(BATCH_RECORDS_MAX).min(BATCH_RECORDS_MAX)
    }

    /// Records of which everything found is written, while there are any.
    fn to_recall(&self) -> Option<u64> {
        let written = self.written?.seq;
        written.checked_sub(self.position.seq).filter(|records| *records > 0)
    }

    /// Whether the snapshot knows less than was looked at. Before the journal holds anything there
    /// is no place to remember.
    fn is_behind(&self) -> bool {
        let is_fresh =
            self.snapshot.is_none() && self.position == self.shared.store.journal.start(LANE);
        let has_changes = self.engine.as_ref().is_some_and(Engine::has_changes);
        !is_fresh && (self.snapshot != Some(self.position) || has_changes)
    }

    /// Writes everything, so that it is not looked at again.
    async fn stop(&mut self, restart: Restart) -> Restart {
        let is_written = !self.is_behind() && self.work.is_empty();
        if is_written || self.to_recall().is_some() {
            return restart;
        }
        match self.save(true).await {
            Ok(()) => restart,
            Err(failed) => failed,
        }
    }

    /// Works off one chunk and writes what came of it, when it is time.
    async fn take_chunk(&mut self, chunk: Chunk) -> Result<(), Restart> {
        let mut looked = match chunk {
            Chunk::Gap { from, to } => {
                let records = to.seq.saturating_sub(from.seq);
                error!(%from, %to, records, "journal has a gap, its events were not looked at");
                ::metrics::counter!(metrics::JOURNAL_GAP_TOTAL).increment(records);
                self.position = to;
                return match self.to_recall() {
                    Some(_) => Ok(()),
                    None => self.save(true).await,
                };
            }
            Chunk::Records { records, next } => {
                self.desk.read_at(self.shared.store.clock.now(), &records);
                let is_known = self.to_recall().is_some();
                let looked = self.look_at(records).await?;
                self.position = next;
                self.shared.set_looked_at(next);
                if is_known {
                    return self.recall(looked.findings).await;
                }
                looked
            }
        };
        looked.late.sort_unstable();
        for late in looked.late.chunk_by(|one, other| one.0 == other.0) {
            let ((place, from), (_, to)) = (late[0], late[late.len() - 1]);
            self.shared.late.note(&self.rules.rules()[place].id, (from, to), late.len() as u64);
        }
        for finding in looked.findings {
            self.work.take(finding);
        }
        self.work.is_urgent |= !looked.told.is_empty();
        self.work.told.extend(looked.told);
        let now = self.shared.store.clock.now();
        let is_due = self.work.is_urgent
            || self.work.findings.len() >= FINDINGS_MAX
            || (!self.work.is_empty() && now.since(self.written_at) >= TICK);
        let unsaved = self.position.seq.saturating_sub(self.snapshot.map_or(1, |at| at.seq));
        let takes_snapshot =
            now.since(self.snapshot_at) >= SNAPSHOT_INTERVAL || unsaved >= SNAPSHOT_RECORDS_MAX;
        if is_due || takes_snapshot {
            return self.save(takes_snapshot).await;
        }
        if self.work.is_empty() {
            self.shared.set_position(self.position);
        }
        Ok(())
    }

    /// Remembers what was found and written before a restart.
    async fn recall(&mut self, findings: Vec<Finding>) -> Result<(), Restart> {
        let Some(engine) = &mut self.engine else {
            return Err(Restart::Reload("no engine".into()));
        };
        for finding in findings {
            self.desk.recall(&*self.shared.store.catalog, engine, finding).await?;
        }
        Ok(())
    }

    /// Packing many groups takes longer than an async thread may.
    async fn take_changed_parts(&mut self) -> Result<Vec<Part>, Restart> {
        let mut engine = self.engine.take().ok_or_else(|| Restart::Reload("no engine".into()))?;
        let packing = tokio::task::spawn_blocking(move || {
            let parts = engine.take_changed_parts();
            (engine, parts)
        });
        let (engine, parts) = packing.await.map_err(|error| Restart::Reload(error.to_string()))?;
        self.engine = Some(engine);
        Ok(parts)
    }

    async fn look_at(&mut self, records: Arc<[Record]>) -> Result<Looked, Restart> {
        let engine = self.engine.take().ok_or_else(|| Restart::Reload("no engine".into()))?;
        let replay = self.replay.clone();
        let is_short = records.len() <= INLINE_RECORDS_MAX;
        // A panic leaves its note behind, as a death does.
        let look = AssertUnwindSafe(move || look_at(engine, &records, &replay));
        let looked = if is_short {
            catch_unwind(look).map_err(|_| String::from("a panic, see the log"))
        } else {
            tokio::task::spawn_blocking(look).await.map_err(|error| error.to_string())
        };
        let (mut engine, looked) = looked.map_err(Restart::Reload)?;
        self.shared.note_broken(&mut engine);
        self.engine = Some(engine);
        Ok(looked)
    }

    /// Nothing came for a while: windows that are over end, what was found is written.
    async fn idle(&mut self) -> Result<(), Restart> {
        if self.to_recall().is_some() {
            return Ok(());
        }
        let store = &self.shared.store;
        let now = store.clock.now();
        if self.position >= store.journal.end(LANE)
            && let Some(engine) = &mut self.engine
        {
            for finding in engine.expire(now) {
                self.work.take(finding);
            }
        }
        for found in self.shared.late.take_found() {
            // Places are those of the rules it was found with.
            if Arc::ptr_eq(&found.rules, &self.rules) {
                self.work.take(found.finding);
            }
        }
        self.desk.make_room();
        let is_quiet = std::mem::replace(&mut self.ticked, self.position) == self.position;
        let takes_snapshot = is_quiet && self.is_behind();
        if takes_snapshot || !self.work.is_empty() {
            self.save(takes_snapshot).await?;
        }
        self.tell_journal().await
    }

    /// Writes what was found, and the groups with it or not, in one step.
    async fn save(&mut self, takes_snapshot: bool) -> Result<(), Restart> {
        let shared = self.shared.clone();
        let writing = shared.writing.lock().await;
        let now = shared.store.clock.now();
        let work = std::mem::take(&mut self.work);
        let Some(engine) = &mut self.engine else {
            return Err(Restart::Reload("no engine".into()));
        };
        for finding in work.findings {
            self.desk.take(&shared, engine, &self.versions, finding, now).await?;
        }
        let suppressed = suppressed(&shared, &self.rules, &self.desk, now).await?;
        let routing = shared.routing();
        let (mut statements, opened) =
            self.desk.statements(&self.rules, &routing, &suppressed, now);
        for event in &work.told {
            statements.extend(put_back(&shared, &self.rules, event, &opened, now).await?);
        }
        statements.extend(shared.late.take_changed());
        let mut moved = vec![ALERTS];
        if takes_snapshot {
            statements
                .extend(self.take_changed_parts().await?.into_iter().map(writing::write_part));
            moved.push(CONSUMER);
        }
        let checkpoint = |consumer: &str| Checkpoint {
            consumer: consumer.to_owned(),
            journal: shared.store.journal.identity(),
            position: self.position,
        };
        let step = Step {
            expected: vec![
                (ALERTS.to_owned(), LANE, self.written),
                (CONSUMER.to_owned(), LANE, self.snapshot),
            ],
            advance: moved.into_iter().map(checkpoint).collect(),
            statements,
        };
        self.commit(step).await?;
        self.desk.written();
        (self.written, self.written_at) = (Some(self.position), now);
        if takes_snapshot {
            (self.snapshot, self.snapshot_at) = (Some(self.position), now);
            shared.store.journal.hold(CONSUMER, self.position);
            if let Err(error) = shared.store.journal.trim().await {
                warn!(%error, "journal cannot be trimmed");
            }
        }
        shared.set_position(self.position);
        shared.set_stalled(None);
        drop(writing);
        if !opened.is_empty() {
            shared.wake_workers();
            self.untold.extend(opened);
            self.tell_journal().await?;
        }
        Ok(())
    }

    /// Commits a step, again and again while the catalog cannot: the journal keeps what comes.
    async fn commit(&self, step: Step) -> Result<(), Restart> {
        let mut pause = PAUSE.0;
        loop {
            match self.shared.store.catalog.step(step.clone()).await {
                Ok(StepOutcome::Done { .. } | StepOutcome::AlreadyDone) => return Ok(()),
                Ok(StepOutcome::Stale(found)) => {
                    return Err(Restart::Reload(format!("the checkpoint was moved: {found:?}")));
                }
                Err(CatalogError::Unknown) => {}
                Err(CatalogError::Conflict(reason)) => return Err(Restart::Reload(reason)),
                Err(error) => {
                    self.shared.set_stalled(Some(error.to_string()));
                    warn!(%error, "detector waits for the catalog");
                    if self.shared.is_stopping() {
                        return Err(Restart::Shutdown);
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
            ::metrics::counter!(metrics::STEP_RETRIES_TOTAL).increment(1);
        }
    }

    /// Tells the journal of the alerts it does not know yet. What it does not take now is tried
    /// again when nothing else is to be done.
    async fn tell_journal(&mut self) -> Result<(), Restart> {
        while let Some(opened) = self.untold.first() {
            let id = opened.row.summary.id.to_u128().to_be_bytes();
            let append = Append {
                drafts: vec![Draft { kind: RecordKind::AlertFired, event: fired_event(opened) }],
                idempotency: Some(IdempotencyKey {
                    key: hash(&[b"alert fired", &id]).to_be_bytes(),
                    body: hash(&[&id]).to_be_bytes(),
                }),
                ..Append::default()
            };
            match self.shared.store.journal.append(append).await {
                Ok(
                    AppendOutcome::Appended(_)
                    | AppendOutcome::Duplicate(_)
                    | AppendOutcome::KeyConflict,
                ) => {}
                Ok(outcome) => {
                    warn!(?outcome, "journal does not take the record of an alert now");
                    return Ok(());
                }
                Err(error) => {
                    warn!(%error, "journal does not take the record of an alert now");
                    return Ok(());
                }
            }
            let told = Statement {
                sql: "UPDATE alerting_alerts SET in_journal = 1 WHERE id = ?1",
                values: vec![text(opened.row.summary.id.to_string())],
            };
            let step = Step { statements: vec![told], ..Step::default() };
            lifecycle::commit(&*self.shared.store.catalog, step).await?;
            self.untold.remove(0);
        }
        Ok(())
    }

    /// Works off everything the journal holds now; for tests, which have no time to wait.
    #[cfg(test)]
    pub(crate) async fn catch_up(&mut self) -> Result<(), String> {
        while self.position < self.shared.store.journal.end(LANE) {
            self.take_next().await?;
        }
        self.idle().await.map_err(|_| String::from("restart"))
    }

    /// Works off one chunk; for tests.
    #[cfg(test)]
    pub(crate) async fn take_next(&mut self) -> Result<(), String> {
        let read = self.replay.read(self.position, self.records_max()).await;
        let chunk = read.map_err(|error| error.to_string())?;
        self.take_chunk(chunk).await.map_err(|_| String::from("restart"))
    }
}

/// Runs the rules over a batch.
fn look_at(mut engine: Engine, records: &[Record], replay: &Replay) -> (Engine, Looked) {
    let mut looked = Looked::default();
    let mut events = 0u64;
    for record in records {
        match record.kind {
            RecordKind::Event => {}
            RecordKind::AlertFired => {
                looked.told.push(record.event.clone());
                continue;
            }
            // What the server finds wrong with itself; who did what is not for rules.
            RecordKind::Audit if record.event.severity() == Severity::Critical => {}
            RecordKind::DeadLetter | RecordKind::Audit => continue,
        }
        events += 1;
        replay.begin(record.event.seq());
        let findings = engine.process(&record.event);
        looked.findings.extend(findings.found);
        looked.late.extend(findings.late);
    }
    replay.rest();
    ::metrics::counter!(metrics::EVENTS_TOTAL).increment(events);
    (engine, looked)
}

/// Where a checkpoint of ours stands.
async fn checkpoint(store: &Store, name: &str) -> Result<Option<Position>, AlertingError> {
    match store.catalog.checkpoint(name, LANE).await? {
        Some(known) if known.journal != store.journal.identity() => {
            Err(AlertingError::ForeignJournal)
        }
        known => Ok(known.map(|known| known.position)),
    }
}

async fn load_parts(shared: &Shared) -> Result<Vec<Part>, AlertingError> {
    let all = Statement {
        sql: "SELECT rule_id, number, fingerprint, state FROM alerting_parts",
        values: Vec::new(),
    };
    let answers = shared.store.catalog.query(vec![all]).await?;
    let mut parts = Vec::new();
    for row in rows(&answers, 0) {
        let mut columns = Columns::of(row);
        parts.push(Part {
            rule_id: columns.text()?.to_owned(),
            number: u32::try_from(columns.count()?).unwrap_or(u32::MAX),
            fingerprint: columns.text()?.to_owned(),
            state: match row.0.get(3) {
                Some(SqlValue::Blob(bytes)) => Some(bytes.clone()),
                _ => None,
            },
        });
    }
    Ok(parts)
}

/// Counts the changes of each rule; answers the present versions.
async fn save_versions(
    shared: &Shared,
    rules: &RuleSet,
) -> Result<HashMap<String, u32>, AlertingError> {
    let all = Statement {
        sql: "SELECT rule_id, fingerprint, version FROM alerting_rules",
        values: Vec::new(),
    };
    let answers = shared.store.catalog.query(vec![all]).await?;
    let mut known: HashMap<String, (String, u32)> = HashMap::new();
    for row in rows(&answers, 0) {
        let mut columns = Columns::of(row);
        let [id, fingerprint] = [columns.text()?.to_owned(), columns.text()?.to_owned()];
        let version = u32::try_from(columns.integer()?).unwrap_or(1);
        known.insert(id, (fingerprint, version));
    }
    let mut versions = HashMap::new();
    let mut statements = Vec::new();
    for rule in rules.rules() {
        let version = match known.get(&rule.id) {
            Some((fingerprint, version)) if *fingerprint == rule.fingerprint => *version,
            Some((_, version)) => version.saturating_add(1),
            None => 1,
        };
        if known.get(&rule.id).is_none_or(|(_, before)| *before != version) {
            statements.push(Statement {
                sql: "INSERT INTO alerting_rules (rule_id, fingerprint, version)
                    VALUES (?1, ?2, ?3) ON CONFLICT (rule_id) DO UPDATE
                    SET fingerprint = excluded.fingerprint, version = excluded.version",
                values: vec![
                    text(rule.id.clone()),
                    text(rule.fingerprint.clone()),
                    integer(version),
                ],
            });
        }
        versions.insert(rule.id.clone(), version);
    }
    if !statements.is_empty() {
        lifecycle::commit(&*shared.store.catalog, Step { statements, ..Step::default() }).await?;
    }
    Ok(versions)
}

/// The alerts that were opened and of which the journal was not told before a crash.
async fn load_untold(shared: &Shared) -> Result<Vec<Opened>, AlertingError> {
    let statement = Statement {
        sql: "SELECT id, group_key FROM alerting_alerts WHERE in_journal = 0 ORDER BY id LIMIT 1000",
        values: Vec::new(),
    };
    let answers = shared.store.catalog.query(vec![statement]).await?;
    let mut untold = Vec::new();
    for row in rows(&answers, 0) {
        let mut columns = Columns::of(row);
        let id: AlertId = columns.id()?;
        let group_key = columns.text()?.to_owned();
        if let Some(row) = tables::row_of(&*shared.store.catalog, id).await? {
            untold.push(Opened { row, group_key });
        }
    }
    Ok(untold)
}

/// The new alerts about which nobody is told at once, each with the reason: a silence, that their rule
/// says so for a while after the last alert of the same group, or that the rule is over its budget.
async fn suppressed(
    shared: &Shared,
    rules: &RuleSet,
    desk: &Desk,
    now: Timestamp,
) -> Result<HashMap<AlertId, Quiet>, AlertingError> {
    let mut suppressed = HashMap::new();
    let new = desk.new_alerts();
    if new.is_empty() {
        return Ok(suppressed);
    }
    let silences = silence::load(&*shared.store.catalog, now).await?;
    let counted: Vec<_> = new.iter().map(|(summary, place, _)| (*summary, *place)).collect();
    let mut demoted =
        noise::demoted(&*shared.store.catalog, rules, &shared.routing(), &counted, now).await?;
    for (summary, place, key) in new {
        if let Some(words) = demoted.remove(&summary.id) {
            ::metrics::counter!(metrics::DEMOTED_TOTAL).increment(1);
            suppressed.insert(summary.id, Quiet::Digest(words));
        }
        if let Some(silence) = silences.iter().find(|one| one.muted.covers(summary)) {
            suppressed.insert(summary.id, Quiet::Nobody(silence.words()));
            continue;
        }
        let rule = &rules.rules()[place];
        let Some(suppress) = rule.settings.suppress else { continue };
        let before = tables::newest_of_group(&*shared.store.catalog, &rule.id, &key).await?;
        let is_recent = |row: &AlertRow| now.since(row.summary.opened_at) < suppress;
        if before.iter().any(is_recent) {
            let words = "nobody is told: the rule's `suppress` since the last alert";
            suppressed.insert(summary.id, Quiet::Nobody(words.to_owned()));
        }
    }
    Ok(suppressed)
}
