//! Follows the journal and runs the rules over every event.
//!
//! Input: records from the checkpoint of consumer `detector` on, in batches as they come. Output:
//! one catalog step per batch that holds the new checkpoint, the groups that changed, the alerts
//! opened or joined and the notifications about them. A crash before the step repeats the batch, a
//! crash after it repeats nothing: ids are worked out from the events, so a repeated batch comes to
//! the same alerts. After the step each new alert is told to the journal as well; an alert that the
//! journal knows and the catalog does not is put back.
//!
//! An event of which the process dies, or that breaks the detector, again and again is left out
//! ([`Replay`]). Of our own records only those are looked at that say what is wrong with the server.
//!
//! Batches in which nothing was found move the checkpoint at most once per [`IDLE_SAVE_INTERVAL`].

mod fired;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use logwarden_event::{AlertId, Event, Position, Severity, Timestamp};
use logwarden_store::{
    Append, AppendOutcome, CatalogError, Checkpoint, Chunk, Draft, IdempotencyKey, JournalError,
    Record, RecordKind, Replay, SqlValue, Statement, Step, StepOutcome,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::Shared;
use crate::alert::desk::{Desk, Opened, Pending};
use crate::alert::tables::{self, AlertRow, Columns, integer, rows, text};
use crate::alert::{Evidence, lifecycle, writing};
use crate::engine::{Engine, Finding, GroupRow};
use crate::error::AlertingError;
use crate::identity::hash;
use crate::metrics;
use crate::noise;
use crate::notify::Quiet;
use crate::rule::RuleSet;
use crate::silence;

use fired::{fired_event, put_back};

/// The detector's name as a consumer of the journal.
pub(crate) const CONSUMER: &str = "detector";
/// Records taken from the journal at a time.
const BATCH_RECORDS_MAX: usize = 2_048;
/// Batches up to this size are worked off where they arrive; larger ones leave the async threads.
const INLINE_RECORDS_MAX: usize = 32;
/// How often the checkpoint moves while nothing is found, and windows are looked at for their end.
const IDLE_SAVE_INTERVAL: Duration = Duration::from_secs(1);
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
    /// What the catalog holds.
    saved: Option<Position>,
    saved_at: Timestamp,
    position: Position,
    replay: Arc<Replay>,
    /// Alerts that the journal was not told of yet.
    untold: Vec<Opened>,
}

/// What a batch came to, before any of it is written.
#[derive(Default)]
struct Work {
    findings: Vec<Finding>,
    kept: Vec<(u128, Pending)>,
    waiting: Vec<u128>,
    told: Vec<Event>,
    /// Events that came too late for a rule: its place, and when they happened.
    late: Vec<(usize, i64)>,
}

impl Detector {
    /// Loads what is durable: checkpoint, groups, events kept for evidence.
    pub(crate) async fn open(shared: Arc<Shared>) -> Result<Self, AlertingError> {
        let store = &shared.store;
        let rules = shared.rules();
        let checkpoint = store.catalog.checkpoint(CONSUMER, LANE).await?;
        if let Some(checkpoint) = &checkpoint
            && checkpoint.journal != store.journal.identity()
        {
            return Err(AlertingError::ForeignJournal);
        }
        let saved = checkpoint.map(|checkpoint| checkpoint.position);
        let position = saved.unwrap_or_else(|| store.journal.start(LANE));
        store.journal.hold(CONSUMER, position);
        let mut engine = Engine::with_lateness(rules.clone(), shared.lateness());
        let (groups, pending) = load_state(&shared).await?;
        let mut obsolete = 0u64;
        for group in &groups {
            obsolete += u64::from(!engine.restore(group));
        }
        if obsolete > 0 {
            info!(groups = obsolete, "state of rules that changed is forgotten");
        }
        let versions = save_versions(&shared, &rules).await?;
        let untold = load_untold(&shared).await?;
        let replay = Arc::new(store.replay(CONSUMER).await);
        Ok(Self {
            saved_at: store.clock.now(),
            shared,
            rules,
            engine: Some(engine),
            desk: Desk::new(pending),
            versions,
            saved,
            position,
            replay,
            untold,
        })
    }

    async fn follow(&mut self, shutdown: &CancellationToken, pause: &mut Duration) -> Restart {
        let mut changes = self.shared.rule_changes();
        changes.mark_unchanged();
        let mut tick = tokio::time::interval(IDLE_SAVE_INTERVAL);
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
                chunk = replay.read(self.position, BATCH_RECORDS_MAX) => Some(chunk),
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

    /// Whether the catalog knows less than was looked at. Before the journal holds anything there
    /// is no place to remember.
    fn is_behind(&self) -> bool {
        let is_fresh =
            self.saved.is_none() && self.position == self.shared.store.journal.start(LANE);
        !is_fresh && self.saved != Some(self.position)
    }

    /// Saves what was looked at and found nothing in, so that it is not looked at again.
    async fn stop(&mut self, restart: Restart) -> Restart {
        if !self.is_behind() {
            return restart;
        }
        match self.save(Work::default()).await {
            Ok(()) => restart,
            Err(failed) => failed,
        }
    }

    /// Works off one chunk and writes what came of it.
    async fn take_chunk(&mut self, chunk: Chunk) -> Result<(), Restart> {
        match chunk {
            Chunk::Gap { from, to } => {
                let records = to.seq.saturating_sub(from.seq);
                error!(%from, %to, records, "journal has a gap, its events were not looked at");
                ::metrics::counter!(metrics::JOURNAL_GAP_TOTAL).increment(records);
                self.position = to;
                self.save(Work::default()).await
            }
            Chunk::Records { records, next } => {
                self.desk.read_at(self.shared.store.clock.now());
                let work = self.look_at(records).await?;
                for (place, at) in &work.late {
                    self.shared.late.note(&self.rules.rules()[*place].id, *at);
                }
                self.position = next;
                self.shared.set_position(next);
                let has_changes = self.engine.as_ref().is_some_and(Engine::has_changes);
                let is_due =
                    self.shared.store.clock.now().since(self.saved_at) >= IDLE_SAVE_INTERVAL;
                if has_changes || !work.findings.is_empty() || !work.told.is_empty() || is_due {
                    self.save(work).await?;
                }
                Ok(())
            }
        }
    }

    async fn look_at(&mut self, records: Arc<[Record]>) -> Result<Work, Restart> {
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
        let (engine, work) = looked.map_err(Restart::Reload)?;
        self.engine = Some(engine);
        Ok(work)
    }

    /// Nothing came for a while: windows that are over end, the checkpoint moves.
    async fn idle(&mut self) -> Result<(), Restart> {
        let store = &self.shared.store;
        let mut work = Work::default();
        if self.position >= store.journal.end(LANE)
            && let Some(engine) = &mut self.engine
        {
            work.findings = engine.expire(store.clock.now());
        }
        for found in self.shared.late.take_found() {
            // Places are those of the rules it was found with.
            if Arc::ptr_eq(&found.rules, &self.rules) {
                work.kept.extend(found.evidence);
                work.findings.push(found.finding);
            }
        }
        self.desk.forget_before(store.clock.now().nanos());
        let has_changes = self.engine.as_ref().is_some_and(Engine::has_changes);
        if has_changes || !work.findings.is_empty() || self.is_behind() {
            self.save(work).await?;
        }
        self.tell_journal().await
    }

    /// Writes everything in one step.
    async fn save(&mut self, work: Work) -> Result<(), Restart> {
        let shared = self.shared.clone();
        let catalog = &*shared.store.catalog;
        let writing = shared.writing.lock().await;
        let now = shared.store.clock.now();
        let mut statements = Vec::new();
        for (id, pending) in work.kept {
            if work.waiting.contains(&id) {
                statements.push(writing::insert_pending(&pending));
            }
            if !self.desk.keep(id, pending) {
                ::metrics::counter!(metrics::EVIDENCE_DROPPED_TOTAL).increment(1);
            }
        }
        let Some(engine) = &mut self.engine else {
            return Err(Restart::Reload("no engine".into()));
        };
        for finding in work.findings {
            self.desk.take(catalog, engine, &self.versions, finding, now).await?;
        }
        let suppressed = suppressed(&shared, &self.rules, &self.desk, now).await?;
        let routing = shared.routing();
        let (alerts, opened) = self.desk.statements(&self.rules, &routing, &suppressed, now);
        statements.extend(alerts);
        for event in &work.told {
            statements.extend(put_back(&shared, &self.rules, event, &opened, now).await?);
        }
        statements.extend(engine.take_changed_rows().into_iter().map(writing::write_group));
        if self.shared.store.clock.now().since(self.saved_at) >= IDLE_SAVE_INTERVAL {
            statements.push(Statement {
                sql: "DELETE FROM alerting_pending WHERE keep_until_ns < ?1",
                values: vec![integer(now.nanos())],
            });
        }
        let step = Step {
            expected: vec![(CONSUMER.to_owned(), LANE, self.saved)],
            advance: vec![Checkpoint {
                consumer: CONSUMER.to_owned(),
                journal: shared.store.journal.identity(),
                position: self.position,
            }],
            statements,
        };
        self.commit(step).await?;
        self.desk.written();
        self.saved = Some(self.position);
        self.saved_at = now;
        shared.store.journal.hold(CONSUMER, self.position);
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
                receipt: Bytes::new(),
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
        let read = self.replay.read(self.position, BATCH_RECORDS_MAX).await;
        let chunk = read.map_err(|error| error.to_string())?;
        self.take_chunk(chunk).await.map_err(|_| String::from("restart"))
    }
}

/// Runs the rules over a batch.
fn look_at(mut engine: Engine, records: &[Record], replay: &Replay) -> (Engine, Work) {
    let mut work = Work::default();
    let mut events = 0u64;
    for record in records {
        match record.kind {
            RecordKind::Event => {}
            RecordKind::AlertFired => {
                work.told.push(record.event.clone());
                continue;
            }
            // What the server finds wrong with itself; who did what is not for rules.
            RecordKind::Audit if record.event.severity() == Severity::Critical => {}
            RecordKind::DeadLetter | RecordKind::Audit => continue,
        }
        events += 1;
        replay.begin(record.event.seq());
        let findings = engine.process(&record.event);
        if findings.is_kept {
            let evidence = Arc::new(writing::evidence_of(&record.event));
            let id = record.event.id().to_u128();
            let pending = Pending { keep_until: findings.keep_until, evidence };
            work.kept.push((id, pending));
            if findings.is_waiting {
                work.waiting.push(id);
            }
        }
        work.findings.extend(findings.found);
        work.late.extend(findings.late);
    }
    replay.rest();
    ::metrics::counter!(metrics::EVENTS_TOTAL).increment(events);
    (engine, work)
}

async fn load_state(
    shared: &Shared,
) -> Result<(Vec<GroupRow>, HashMap<u128, Pending>), AlertingError> {
    let all = |sql: &'static str| Statement { sql, values: Vec::new() };
    let answers = shared
        .store
        .catalog
        .query(vec![
            all("SELECT rule_id, group_key, fingerprint, state FROM alerting_groups"),
            all("SELECT keep_until_ns, body FROM alerting_pending ORDER BY event_id"),
        ])
        .await?;
    let mut groups = Vec::new();
    for row in rows(&answers, 0) {
        let mut columns = Columns::of(row);
        let [rule_id, key, fingerprint] = [columns.text()?, columns.text()?, columns.text()?];
        let state = match row.0.get(3) {
            Some(SqlValue::Blob(bytes)) => Some(bytes.clone()),
            _ => None,
        };
        groups.push(GroupRow {
            rule_id: rule_id.to_owned(),
            key: key.to_owned(),
            fingerprint: fingerprint.to_owned(),
            state,
        });
    }
    let mut pending = HashMap::new();
    for row in rows(&answers, 1) {
        let mut columns = Columns::of(row);
        let keep_until = columns.integer()?;
        let evidence: Evidence = columns.json()?;
        let id = evidence.event_id.to_u128();
        pending.insert(id, Pending { keep_until, evidence: Arc::new(evidence) });
    }
    Ok((groups, pending))
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
