//! How each source is: how much it sends, what of it could not be read, which fields it has, whether
//! it has gone silent.
//!
//! Input: a [`Glance`] at every batch that became durable, and the passing of time. Output: a report
//! per source, and events of dataset `logwarden.source` when one goes silent, comes back or sends
//! other fields than before, so that rules can tell people. At most [`SOURCES_MAX`] sources are
//! watched; others are counted. What must outlive a restart is in the catalog: a source that is
//! silent when we stop is still silent when we start. Time in which we do not run is nobody's
//! silence, and neither is a jump of the clock.

mod fields;
mod record;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logwarden_event::{Event, Timestamp};
use logwarden_store::{CatalogError, RecordKind, SqlValue, Statement, Step, Store};
use metrics::counter;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::batch::Batch;
use crate::config::Config;
use crate::metrics::{SOURCE_EVENTS_LOST_TOTAL, SOURCES_UNWATCHED_TOTAL};

pub use fields::FieldReport;
pub use record::SOURCE_DATASET;

use fields::{Drift, Fields, Kind};
use record::Finding;

/// Sources that are watched; there are as many as tokens, listeners and inputs name.
const SOURCES_MAX: usize = 1_000;
/// Between two looks at the clock.
const TICK: Duration = Duration::from_secs(10);
/// Ticks between two writes to the catalog: a crash forgets a minute at most.
const TICKS_PER_SAVE: u64 = 6;
/// Events of one batch whose fields are looked at.
const SAMPLES_PER_BATCH: usize = 8;
/// Batches of one source per second whose fields are looked at: many small ones cost no more.
const SAMPLED_PER_SEC_MAX: u32 = 4;
/// Reasons of one source that are told apart.
const REASONS_MAX: usize = 16;
/// Bytes that are kept of an example.
const EXAMPLE_BYTES_MAX: usize = 256;
/// A source that sent fewer batches was a try, and is not missed.
const BATCHES_MIN: u64 = 10;
/// A source is missed after a multiple of its longest pause, within these bounds.
const SILENT_AFTER: (Duration, Duration) =
    (Duration::from_secs(900), Duration::from_secs(24 * 3_600));
const PAUSES: u32 = 3;
/// The longest pause counts half as much after so long.
const PAUSE_HALF_LIFE: Duration = Duration::from_secs(24 * 3_600);
/// Fields of one source are told about so often at most.
const DRIFT_INTERVAL: Duration = Duration::from_secs(600);
/// Findings that wait for the journal; of more the newest are lost and counted.
const FINDINGS_MAX: usize = 1_000;

/// What is known of the sources, in the catalog, one JSON document each.
pub(crate) const SOURCES_TABLE: &str = "
    CREATE TABLE ingest_sources (
        name TEXT NOT NULL PRIMARY KEY,
        state TEXT NOT NULL
    );
";

/// What a batch says about its source.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    events: u64,
    bytes: u64,
    rejected: BTreeMap<&'static str, (u64, String)>,
    /// The smallest `received - timestamp`, in milliseconds.
    skew_ms: Option<i64>,
    samples: Vec<Vec<(String, Kind)>>,
}

/// Records of a source that could not be read, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How many.
    pub count: u64,
    /// What was wrong with the last one.
    pub example: String,
    /// When the last one came, in nanoseconds since the epoch.
    pub last_at: i64,
}

/// How a source is.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// When its first record came; `None`: none came yet.
    pub first_received_at: Option<Timestamp>,
    /// When its last record came.
    pub last_received_at: Option<Timestamp>,
    /// Records since then, good and bad.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records that became dead letters, or could not be kept.
    pub rejected: u64,
    /// Nothing has come for longer than [`SourceReport::silent_after`].
    pub is_silent: bool,
    /// How long nothing has come.
    pub quiet: Duration,
    /// After how long it is missed; `None`: never.
    pub silent_after: Option<Duration>,
    /// Events per second, over the last minute or so.
    pub events_per_sec: f64,
    /// Events per second, over the last day or so.
    pub events_per_sec_usual: f64,
    /// The smallest difference between our time and that of its events in the last minutes, in
    /// milliseconds; negative: its clock is ahead of ours.
    pub clock_skew_ms: Option<i64>,
    /// What could not be read, by reason.
    pub failures: BTreeMap<String, Failures>,
    /// Fields of its events, by name.
    pub fields: Vec<FieldReport>,
    /// Sightings of fields beyond those that are kept.
    pub fields_beyond: u64,
}

/// What is known of one source. What is not kept over a restart is of the last minutes.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Watched {
    first_at: Option<i64>,
    last_at: Option<i64>,
    events: u64,
    bytes: u64,
    rejected: u64,
    batches: u64,
    quiet_ms: u64,
    is_silent: bool,
    /// The longest pause, and when it ended.
    pause_ms: u64,
    pause_at: i64,
    per_sec_usual: f64,
    failures: BTreeMap<String, Failures>,
    fields: Fields,
    drift: Drift,
    drift_told_at: i64,
    #[serde(skip)]
    per_sec: f64,
    #[serde(skip)]
    since_tick: u64,
    /// The smallest skew of this minute and of the one before.
    #[serde(skip)]
    skew_ms: [Option<i64>; 2],
    #[serde(skip)]
    sampled: (i64, u32),
    /// It came back after so long.
    #[serde(skip)]
    returned_after: Option<Duration>,
    #[serde(skip)]
    is_dirty: bool,
}

/// How all sources are.
pub(crate) struct Health {
    config: Arc<Config>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sources: HashMap<String, Watched>,
    findings: Vec<Finding>,
    ticked_at: Option<Timestamp>,
    ticks: u64,
}

impl Glance {
    /// Looks at a batch before it goes to the journal; `samples`: also at its fields.
    pub(crate) fn at(batch: &Batch, now: Timestamp, samples: bool) -> Self {
        let events = || {
            let events = batch.drafts.iter().filter(|draft| draft.kind == RecordKind::Event);
            events.map(|draft| &draft.event)
        };
        let skew_ms = events()
            .filter(|event| event.timestamp() != Timestamp::default())
            .map(|event| now.millis().saturating_sub(event.timestamp().millis()))
            .min();
        let step = (batch.drafts.len() / SAMPLES_PER_BATCH).max(1);
        let sampled = events().step_by(step).take(if samples { SAMPLES_PER_BATCH } else { 0 });
        Self {
            events: batch.record_count(),
            bytes: batch.bytes,
            rejected: batch.rejected_by_code().clone(),
            skew_ms,
            samples: sampled.map(sketch).collect(),
        }
    }
}

/// The names and kinds of an event's fields.
fn sketch(event: &Event) -> Vec<(String, Kind)> {
    let fields = event.fields().filter(|field| !field.options.is_inner);
    fields.filter_map(|field| Some((field.path.to_owned(), Kind::of(&field.value)?))).collect()
}

impl Health {
    /// Watches nothing yet.
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self { config, state: Mutex::default() }
    }

    /// Takes what was known at the last stop, and those sources that the configuration wants missed.
    ///
    /// # Errors
    ///
    /// [`CatalogError`] when it cannot be read.
    pub(crate) async fn load(&self, store: &Store) -> Result<(), CatalogError> {
        let select = "SELECT name, state FROM ingest_sources ORDER BY name LIMIT ?1";
        let limit = SqlValue::Integer(i64::try_from(SOURCES_MAX).unwrap_or(i64::MAX));
        let statement = Statement { sql: select, values: vec![limit] };
        let answers = store.catalog.query(vec![statement]).await?;
        let mut state = self.lock();
        for row in answers.into_iter().flatten() {
            let [SqlValue::Text(name), SqlValue::Text(text)] = row.0.as_slice() else { continue };
            match serde_json::from_str(text) {
                Ok(watched) => drop(state.sources.insert(name.clone(), watched)),
                Err(error) => warn!(
                    source.id = %name, error = %error,
                    "what was known of source `{name}` cannot be read: {error}"
                ),
            }
        }
        for source in &self.config.sources {
            if source.silent_after_secs.is_some_and(|secs| secs > 0) {
                state.sources.entry(source.name.clone()).or_default();
            }
        }
        Ok(())
    }

    /// Whether the fields of the next batch of `source` are to be looked at.
    pub(crate) fn wants_samples(&self, source: &str, now: Timestamp) -> bool {
        let mut state = self.lock();
        let Some(watched) = state.sources.get_mut(source) else { return true };
        if watched.sampled.0 != now.secs() {
            watched.sampled = (now.secs(), 0);
        }
        watched.sampled.1 += 1;
        watched.sampled.1 <= SAMPLED_PER_SEC_MAX
    }

    /// Takes note of a batch that became durable.
    pub(crate) fn observe(&self, source: &str, now: Timestamp, glance: Glance) {
        let mut state = self.lock();
        if !state.sources.contains_key(source) {
            if state.sources.len() >= SOURCES_MAX {
                counter!(SOURCES_UNWATCHED_TOTAL).increment(1);
                return;
            }
            state.sources.insert(source.to_owned(), Watched::default());
        }
        if let Some(watched) = state.sources.get_mut(source) {
            watched.observe(now, glance);
        }
    }

    /// Lets time pass: rates, silence, and what is to be told. Called every [`TICK`].
    fn tick(&self, now: Timestamp) {
        let mut state = self.lock();
        let State { sources, findings, ticked_at, ticks } = &mut *state;
        // We stood still, or the clock jumped: neither says anything about a source.
        let passed = ticked_at.map_or(TICK, |last| now.since(last)).min(TICK * 2);
        *ticked_at = Some(now);
        *ticks += 1;
        for (name, watched) in sources.iter_mut() {
            let silent_after = self.silent_after(name, watched, now);
            watched.pass(passed, ticks.is_multiple_of(TICKS_PER_SAVE));
            for finding in watched.find(name, now, silent_after) {
                if findings.len() < FINDINGS_MAX {
                    findings.push(finding);
                } else {
                    counter!(SOURCE_EVENTS_LOST_TOTAL).increment(1);
                }
            }
        }
    }

    /// After how long without a record a source is missed.
    fn silent_after(&self, name: &str, watched: &Watched, now: Timestamp) -> Option<Duration> {
        let configured = self.config.source(name).and_then(|source| source.silent_after_secs);
        match configured {
            Some(0) => None,
            Some(secs) => Some(Duration::from_secs(secs)),
            None if watched.batches < BATCHES_MIN => None,
            None => {
                let pause = watched.pause(now) * PAUSES;
                Some(pause.clamp(SILENT_AFTER.0, SILENT_AFTER.1))
            }
        }
    }

    /// Ticks, tells and saves until `shutdown`.
    pub(crate) async fn run(self: Arc<Self>, store: Store, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = ticks.tick() => {}
            }
            self.tick(store.clock.now());
            self.tell(&store).await;
            if self.lock().ticks.is_multiple_of(TICKS_PER_SAVE) {
                self.save(&store).await;
            }
        }
        self.save(&store).await;
    }

    /// Appends what was found; what the journal does not take now is tried again at the next tick.
    async fn tell(&self, store: &Store) {
        let findings = std::mem::take(&mut self.lock().findings);
        let mut untold = Vec::new();
        for finding in findings {
            if let Err(reason) = finding.append(store).await {
                warn!("`{}` cannot be told: {reason}", finding.text());
                untold.push(finding);
            }
        }
        let mut state = self.lock();
        untold.append(&mut state.findings);
        state.findings = untold;
    }

    /// Writes what changed to the catalog. While anything is untold nothing is written: the next
    /// start finds it again then.
    async fn save(&self, store: &Store) {
        let statements: Vec<Statement> = {
            let mut state = self.lock();
            if !state.findings.is_empty() {
                return;
            }
            let dirty = state.sources.iter_mut().filter(|(_, watched)| watched.is_dirty);
            dirty
                .filter_map(|(name, watched)| {
                    watched.is_dirty = false;
                    upsert(name, watched)
                })
                .collect()
        };
        if statements.is_empty() {
            return;
        }
        let step = Step { statements, ..Step::default() };
        if let Err(error) = store.catalog.step(step).await {
            warn!(error = %error, "what is known of sources was not saved: {error}");
            self.lock().sources.values_mut().for_each(|watched| watched.is_dirty = true);
        }
    }

    /// How every source is, by name.
    pub(crate) fn reports(&self, now: Timestamp) -> Vec<SourceReport> {
        let state = self.lock();
        let mut reports: Vec<_> = state
            .sources
            .iter()
            .map(|(name, watched)| watched.report(name, self.silent_after(name, watched, now)))
            .collect();
        reports.sort_by(|one, other| one.name.cmp(&other.name));
        reports
    }

    /// Nothing is left half done by a panic of another holder: at worst a batch is not counted.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn upsert(name: &str, watched: &Watched) -> Option<Statement> {
    let state = serde_json::to_string(watched).ok()?;
    Some(Statement {
        sql: "INSERT INTO ingest_sources (name, state) VALUES (?1, ?2)
              ON CONFLICT (name) DO UPDATE SET state = excluded.state",
        values: vec![SqlValue::Text(name.to_owned()), SqlValue::Text(state)],
    })
}

impl Watched {
    fn observe(&mut self, now: Timestamp, glance: Glance) {
        self.is_dirty = true;
        self.first_at.get_or_insert(now.nanos());
        self.last_at = Some(now.nanos());
        self.events += glance.events;
        self.bytes += glance.bytes;
        self.batches += 1;
        self.since_tick += glance.events;
        let quiet = std::mem::take(&mut self.quiet_ms);
        if quiet as u128 > self.pause(now).as_millis() {
            (self.pause_ms, self.pause_at) = (quiet, now.nanos());
        }
        if std::mem::take(&mut self.is_silent) {
            self.returned_after = Some(Duration::from_millis(quiet));
        }
        for (code, (count, example)) in glance.rejected {
            self.rejected += count;
            self.fail(code, count, example, now);
        }
        if let Some(skew) = glance.skew_ms {
            let least = self.skew_ms[0].map_or(skew, |least| least.min(skew));
            self.skew_ms[0] = Some(least);
        }
        for sample in glance.samples {
            self.fields.take(sample, now, &mut self.drift);
        }
    }

    fn fail(&mut self, code: &str, count: u64, mut example: String, now: Timestamp) {
        let is_new = !self.failures.contains_key(code);
        let code = if is_new && self.failures.len() >= REASONS_MAX { "other" } else { code };
        example.truncate(example.floor_char_boundary(EXAMPLE_BYTES_MAX));
        let last_at = now.nanos();
        let none = Failures { count: 0, example: String::new(), last_at };
        let failures = self.failures.entry(code.to_owned()).or_insert(none);
        *failures = Failures { count: failures.count + count, example, last_at };
    }

    /// The longest pause, as much of it as still counts.
    fn pause(&self, now: Timestamp) -> Duration {
        let age = now.since(Timestamp::from_nanos(self.pause_at));
        let halves = age.as_secs_f64() / PAUSE_HALF_LIFE.as_secs_f64();
        Duration::from_millis(self.pause_ms).mul_f64(0.5f64.powf(halves))
    }

    fn pass(&mut self, passed: Duration, is_new_minute: bool) {
        let secs = passed.as_secs_f64().max(0.001);
        let rate = std::mem::take(&mut self.since_tick) as f64 / secs;
        self.per_sec += (rate - self.per_sec) * (secs / 60.0).min(1.0);
        self.per_sec_usual += (rate - self.per_sec_usual) * (secs / 86_400.0).min(1.0);
        self.quiet_ms += u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        self.is_dirty = true;
        if is_new_minute {
            self.skew_ms = [None, self.skew_ms[0]];
        }
    }

    /// What is to be told of it now.
    fn find(&mut self, name: &str, now: Timestamp, silent_after: Option<Duration>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(quiet) = self.returned_after.take() {
            findings.push(Finding::returned(name, self.last_at, quiet));
        }
        let quiet = Duration::from_millis(self.quiet_ms);
        if !self.is_silent && silent_after.is_some_and(|after| quiet > after) {
            self.is_silent = true;
            findings.push(Finding::silent(name, self.last_at, quiet));
        }
        let told_at = Timestamp::from_nanos(self.drift_told_at);
        if !self.drift.is_empty() && now.since(told_at) >= DRIFT_INTERVAL {
            self.drift_told_at = now.nanos();
            findings.push(Finding::drifted(name, now, std::mem::take(&mut self.drift)));
        }
        findings
    }

    fn report(&self, name: &str, silent_after: Option<Duration>) -> SourceReport {
        let [now, before] = self.skew_ms;
        SourceReport {
            name: name.to_owned(),
            first_received_at: self.first_at.map(Timestamp::from_nanos),
            last_received_at: self.last_at.map(Timestamp::from_nanos),
            events: self.events,
            bytes: self.bytes,
            rejected: self.rejected,
            is_silent: self.is_silent,
            quiet: Duration::from_millis(self.quiet_ms),
            silent_after,
            events_per_sec: self.per_sec,
            events_per_sec_usual: self.per_sec_usual,
            clock_skew_ms: now.into_iter().chain(before).min(),
            failures: self.failures.clone(),
            fields: self.fields.reports(),
            fields_beyond: self.fields.beyond(),
        }
    }
}

#[cfg(test)]
mod tests;
