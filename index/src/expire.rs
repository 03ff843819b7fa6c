//! Retention at work: lets splits go that are due, and leaves a tombstone for each.
//!
//! One transaction removes the rows of splits and writes their tombstones; the blobs go when no
//! snapshot holds them any more. Tombstones are then told to the audit records; one that a crash or
//! a full journal kept from being told is told at the next run. Runs between two merges, so that no
//! merge brings back what was removed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logwarden_event::{EventBuilder, Severity, SplitId, Timestamp, Value};
use logwarden_store::{
    Append, AppendOutcome, CatalogError, Draft, RecordKind, Row, SqlValue, Statement, Step, Store,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::IndexError;
use crate::index::{Index, off_async};
use crate::metrics::{
    RETENTION_BYTES_TOTAL, RETENTION_EVENTS_TOTAL, RETENTION_REFUSED, RETENTION_SPLITS_TOTAL,
    SPLITS,
};
use crate::publish::remove_splits;
use crate::reader::SplitPiece;
use crate::retention::{ClockWatch, Due, Holding, Policy, Reason, Refusal, check, plan};
use crate::split::SplitMeta;

/// How often it is looked whether something is due.
const RUN_EVERY: Duration = Duration::from_secs(600);
/// Splits that go in one transaction; more go in the next run, which follows at once.
const RUN_SPLITS_MAX: usize = 500;
/// How long a change of policies waits before it may remove more than those before it.
const CHANGE_DELAY: Duration = Duration::from_secs(24 * 3_600);
/// The action of a record that says that a split was damaged.
const SPLIT_DAMAGED: &str = "split.damaged";
const AUDIT_DATASET: &str = "logwarden.audit";

const SELECT_VALUES: &str = "SELECT id, value FROM index_retention ORDER BY id";
const PUT_VALUE: &str = "INSERT INTO index_retention (id, value) VALUES (?1, ?2) \
     ON CONFLICT (id) DO UPDATE SET value = excluded.value";
const INSERT_TOMBSTONE: &str = "INSERT INTO index_tombstones (split, record, told) \
     VALUES (?1, ?2, 0) ON CONFLICT (split) DO NOTHING";
const SELECT_UNTOLD: &str =
    "SELECT split, record FROM index_tombstones WHERE told = 0 ORDER BY split LIMIT 500";
const MARK_TOLD: &str = "UPDATE index_tombstones SET told = 1 WHERE split = ?1";

/// Policies set while the node runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Settings {
    /// Behind those of the configuration.
    policies: Vec<Policy>,
    /// What was in force before, until [`CHANGE_DELAY`] is over.
    before: Option<(i64, Vec<Policy>)>,
}

/// The clock as it was seen last, in nanoseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct SeenClock {
    last: i64,
    distrusted_until: Option<i64>,
}

/// What retention remembers.
pub(crate) struct Retention {
    state: Mutex<State>,
}

struct State {
    settings: Settings,
    clock: ClockWatch,
    looked_at: Instant,
    next_run: Instant,
    is_confirmed: bool,
    refusal: Option<Refusal>,
    /// What was read from splits that are still there.
    known: HashMap<SplitId, Holding>,
}

/// Retention as it is, for those who administer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionView {
    /// Policies of the configuration, the first that matches governs.
    pub configured: Vec<Policy>,
    /// Policies set while the node ran, behind them.
    pub set: Vec<Policy>,
    /// Until when no more is removed than by the policies before the last change.
    pub change_waits_until: Option<Timestamp>,
    /// Why what is due is not removed.
    pub refusal: Option<Refusal>,
}

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPreview {
    /// The splits that would go, oldest first.
    pub due: Vec<Due>,
    /// Bytes of all splits.
    pub held_bytes: u64,
    /// Splits.
    pub held_splits: usize,
    /// Why they would not go without being confirmed.
    pub refusal: Option<Refusal>,
}

impl Retention {
    /// Goes on where the process before stopped.
    pub(crate) async fn open(store: &Store) -> Result<Self, IndexError> {
        let select = Statement { sql: SELECT_VALUES, values: Vec::new() };
        let rows = store.catalog.query(vec![select]).await?;
        let values: BTreeMap<String, String> =
            rows.into_iter().flatten().filter_map(texts).collect();
        let settings = match values.get("policies") {
            Some(text) => serde_json::from_str(text).map_err(|_| malformed())?,
            None => Settings::default(),
        };
        let now = store.clock.now();
        let clock = match values.get("clock") {
            Some(text) => {
                let seen: SeenClock = serde_json::from_str(text).map_err(|_| malformed())?;
                let until = seen.distrusted_until.map(Timestamp::from_nanos);
                ClockWatch::resume(Timestamp::from_nanos(seen.last), until, now)
            }
            None => ClockWatch::new(now),
        };
        let (looked_at, next_run) = (Instant::now(), Instant::now());
        let (known, refusal) = (HashMap::new(), None);
        let state =
            State { settings, clock, looked_at, next_run, is_confirmed: false, refusal, known };
        Ok(Self { state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn texts(row: Row) -> Option<(String, String)> {
    let mut cells = row.0.into_iter();
    match (cells.next()?, cells.next()?) {
        (SqlValue::Text(id), SqlValue::Text(value)) => Some((id, value)),
        _ => None,
    }
}

fn malformed() -> IndexError {
    CatalogError::Failed("a row of `index_retention` makes no sense".to_owned()).into()
}

fn put(id: &str, value: &impl Serialize) -> Statement {
    let text = serde_json::to_string(value).expect("plain data becomes JSON");
    let values = vec![SqlValue::Text(id.to_owned()), SqlValue::Text(text)];
    Statement { sql: PUT_VALUE, values }
}

impl Index {
    /// Retention as it is.
    pub fn retention(&self) -> RetentionView {
        let state = self.retention.state();
        let change_waits_until =
            state.settings.before.as_ref().map(|(at, _)| Timestamp::from_nanos(*at));
        RetentionView {
            configured: self.config.retention.clone(),
            set: state.settings.policies.clone(),
            change_waits_until: change_waits_until.filter(|until| *until > self.store.clock.now()),
            refusal: state.refusal,
        }
    }

    /// Sets the policies behind those of the configuration. For a day no more is removed than by
    /// those before; what is to be kept longer is kept longer at once.
    ///
    /// # Errors
    ///
    /// [`IndexError::Catalog`]; the policies before then stay in force.
    pub async fn set_retention(&self, policies: Vec<Policy>) -> Result<(), IndexError> {
        let now = self.store.clock.now();
        let settings = {
            let state = self.retention.state();
            // A second change within the day is held to what held before the first.
            let waiting = state.settings.before.clone().filter(|(until, _)| *until > now.nanos());
            let until = now.saturating_add(CHANGE_DELAY).nanos();
            let before = waiting.map_or(state.settings.policies.clone(), |(_, before)| before);
            Settings { policies, before: Some((until, before)) }
        };
        let statements = vec![put("policies", &settings)];
        self.store.catalog.step(Step { statements, ..Step::default() }).await?;
        let mut state = self.retention.state();
        state.settings = settings;
        state.next_run = Instant::now();
        Ok(())
    }

    /// Lets the next run go on although a guard refuses it.
    pub fn confirm_retention(&self) {
        let mut state = self.retention.state();
        state.is_confirmed = true;
        state.next_run = Instant::now();
    }

    /// What a run would do now: with the policies in force, or with others behind those of the
    /// configuration. Changes nothing.
    pub async fn preview_retention(
        self: &Arc<Self>,
        others: Option<Vec<Policy>>,
    ) -> RetentionPreview {
        let holdings = self.holdings().await;
        let now = self.store.clock.now();
        let state = self.retention.state();
        let due = match others {
            Some(others) => plan(&self.behind_configured(&others), &holdings, now),
            None => self.due(&state, &holdings, now),
        };
        let refusal = check(&due, &holdings, &state.clock, now).err();
        let held_bytes = holdings.iter().map(|held| held.size_bytes).sum();
        RetentionPreview { due, held_bytes, held_splits: holdings.len(), refusal }
    }

    fn behind_configured(&self, policies: &[Policy]) -> Vec<Policy> {
        self.config.retention.iter().chain(policies).cloned().collect()
    }

    /// What is due by the policies in force, and by those before while a change waits.
    fn due(&self, state: &State, holdings: &[Holding], now: Timestamp) -> Vec<Due> {
        let mut due = plan(&self.behind_configured(&state.settings.policies), holdings, now);
        if let Some((until, before)) = &state.settings.before
            && *until > now.nanos()
        {
            let by_before = plan(&self.behind_configured(before), holdings, now);
            let ids: HashSet<SplitId> = by_before.iter().map(|due| due.id).collect();
            due.retain(|due| ids.contains(&due.id));
        }
        due
    }

    /// What is known about every split that can be read; one that cannot stays where it is.
    async fn holdings(self: &Arc<Self>) -> Vec<Holding> {
        let splits: Vec<Arc<SplitPiece>> = self.state().splits.clone();
        let index = Arc::clone(self);
        off_async(move || {
            let mut known = std::mem::take(&mut index.retention.state().known);
            let here: HashSet<SplitId> = splits.iter().map(|split| split.meta.id).collect();
            known.retain(|id, _| here.contains(id));
            for split in &splits {
                if !known.contains_key(&split.meta.id)
                    && let Ok(open) = split.open()
                {
                    known.insert(split.meta.id, holding(&split.meta, &open.footer.datasets));
                }
            }
            let holdings = known.values().cloned().collect();
            index.retention.state().known = known;
            holdings
        })
        .await
    }
}

/// A split is made after the last of its events was received: at once when it is made of a head, and
/// of others as soon as the newest of them is there. So the time in its id is that of its newest
/// event, or a few minutes later.
fn holding(meta: &SplitMeta, datasets: &BTreeMap<String, u64>) -> Holding {
    let observed_last = Timestamp::from_millis((meta.id.to_u128() >> 80) as i64);
    Holding { id: meta.id, observed_last, size_bytes: meta.size_bytes, datasets: datasets.clone() }
}

/// Removes what is due, when it is time to look.
pub(crate) async fn expire_when_due(
    index: &Arc<Index>,
    shutdown: &CancellationToken,
) -> Result<(), IndexError> {
    if Instant::now() < index.retention.state().next_run {
        return Ok(());
    }
    let now = index.store.clock.now();
    let has_policies = {
        let mut state = index.retention.state();
        state.next_run = Instant::now() + RUN_EVERY;
        !index.config.retention.is_empty() || !state.settings.policies.is_empty()
    };
    if has_policies {
        note_clock(index, now).await;
        expire(index, now, shutdown).await?;
    }
    tell_tombstones(&index.store).await;
    Ok(())
}

async fn note_clock(index: &Index, now: Timestamp) {
    let seen = {
        let mut state = index.retention.state();
        let elapsed = state.looked_at.elapsed();
        state.looked_at = Instant::now();
        state.clock.observe(now, elapsed);
        let distrusted_until = state.clock.distrusted_until.map(Timestamp::nanos);
        SeenClock { last: now.nanos(), distrusted_until }
    };
    let statements = vec![put("clock", &seen)];
    if let Err(error) = index.store.catalog.step(Step { statements, ..Step::default() }).await {
        warn!(%error, "the time cannot be written down");
    }
}

async fn expire(
    index: &Arc<Index>,
    now: Timestamp,
    shutdown: &CancellationToken,
) -> Result<(), IndexError> {
    let holdings = index.holdings().await;
    let due = {
        let mut state = index.retention.state();
        let mut due = index.due(&state, &holdings, now);
        let is_confirmed = std::mem::take(&mut state.is_confirmed);
        let refusal = check(&due, &holdings, &state.clock, now).err();
        state.refusal = refusal.filter(|_| !is_confirmed && !due.is_empty());
        ::metrics::gauge!(RETENTION_REFUSED).set(f64::from(u8::from(state.refusal.is_some())));
        if let Some(refusal) = state.refusal {
            warn!("nothing is removed: {refusal}");
            return Ok(());
        }
        if due.len() > RUN_SPLITS_MAX {
            due.truncate(RUN_SPLITS_MAX);
            state.next_run = Instant::now();
            state.is_confirmed = is_confirmed;
        }
        due
    };
    if due.is_empty() {
        return Ok(());
    }
    let by_id: HashMap<SplitId, &Due> = due.iter().map(|due| (due.id, due)).collect();
    let going: Vec<Arc<SplitPiece>> = {
        let state = index.state();
        state.splits.iter().filter(|split| by_id.contains_key(&split.meta.id)).cloned().collect()
    };
    let tombstones = going.iter().map(|split| tombstone(&split.meta, by_id[&split.meta.id], now));
    let ids: Vec<SplitId> = going.iter().map(|split| split.meta.id).collect();
    if !remove_splits(&index.store, &ids, tombstones.collect(), shutdown).await? {
        return Ok(());
    }
    let left = {
        let mut state = index.state();
        state.splits.retain(|split| !by_id.contains_key(&split.meta.id));
        state.retired.extend(going);
        state.splits.len()
    };
    let (events, bytes) = due
        .iter()
        .fold((0, 0), |(events, bytes), due| (events + due.events, bytes + due.size_bytes));
    ::metrics::counter!(RETENTION_SPLITS_TOTAL).increment(due.len() as u64);
    ::metrics::counter!(RETENTION_EVENTS_TOTAL).increment(events);
    ::metrics::counter!(RETENTION_BYTES_TOTAL).increment(bytes);
    ::metrics::gauge!(SPLITS).set(left as f64);
    info!(splits = due.len(), events, bytes, "retention removed {} splits", due.len());
    Ok(())
}

fn tombstone(meta: &SplitMeta, due: &Due, now: Timestamp) -> Statement {
    let reasons: BTreeMap<&str, serde_json::Value> = due
        .reasons
        .iter()
        .map(|(dataset, (policy, reason))| {
            let reason = match reason {
                Reason::Age => "age",
                Reason::Size => "size",
            };
            (dataset.as_str(), serde_json::json!({ "policy": policy, "reason": reason }))
        })
        .collect();
    let record = serde_json::json!({
        "timestamp": now.to_string(), "event.action": "retention.remove", "event.outcome": "success",
        "lw.principal": "retention", "lw.object": meta.id.to_string(), "lw.lane": meta.lane,
        "lw.seq_first": meta.seq_first, "lw.seq_last": meta.seq_last, "lw.count": meta.event_count,
        "lw.size_bytes": meta.size_bytes, "lw.reasons": reasons,
        "message": format!("retention removed {} events of split {}", meta.event_count, meta.id),
    });
    let values = vec![SqlValue::Text(meta.id.to_string()), SqlValue::Text(record.to_string())];
    Statement { sql: INSERT_TOMBSTONE, values }
}

/// What is said of a split that was damaged and made anew: `damaged` of its events could not be read,
/// `lost` of them the journal did not have either.
pub(crate) fn damage_record(
    meta: &SplitMeta,
    (damaged, lost): (u64, u64),
    now: Timestamp,
) -> Statement {
    let id = meta.id.to_string();
    let record = serde_json::json!({
        "timestamp": now.to_string(), "event.action": SPLIT_DAMAGED, "event.outcome": "failure",
        "lw.principal": "index", "lw.object": id, "lw.lane": meta.lane,
        "lw.seq_first": meta.seq_first, "lw.seq_last": meta.seq_last, "lw.count": damaged,
        "lw.lost": lost,
        "message": format!(
            "{damaged} events of split {id} were damaged, {lost} of them are lost"
        ),
    });
    let values = vec![SqlValue::Text(id), SqlValue::Text(record.to_string())];
    Statement { sql: INSERT_TOMBSTONE, values }
}

/// Writes tombstones that nobody was told of into the audit records.
pub(crate) async fn tell_tombstones(store: &Store) {
    let select = Statement { sql: SELECT_UNTOLD, values: Vec::new() };
    let rows = match store.catalog.query(vec![select]).await {
        Ok(rows) => rows,
        Err(error) => return warn!(%error, "tombstones cannot be read"),
    };
    let untold: Vec<(String, String)> = rows.into_iter().flatten().filter_map(texts).collect();
    if untold.is_empty() {
        return;
    }
    let drafts = untold.iter().map(|(split, record)| Draft {
        kind: RecordKind::Audit,
        event: audit_event(split, record, store.clock.now()),
    });
    let append = Append { drafts: drafts.collect(), ..Append::default() };
    match store.journal.append(append).await {
        Ok(AppendOutcome::Appended(_) | AppendOutcome::Duplicate(_)) => {}
        // The disk may be full, which is what retention is about to help with.
        outcome => return warn!(?outcome, "tombstones are told later"),
    }
    let told = untold
        .into_iter()
        .map(|(split, _)| Statement { sql: MARK_TOLD, values: vec![SqlValue::Text(split)] });
    if let Err(error) =
        store.catalog.step(Step { statements: told.collect(), ..Step::default() }).await
    {
        warn!(%error, "tombstones may be told twice");
    }
}

fn audit_event(split: &str, record: &str, now: Timestamp) -> logwarden_event::Event {
    let parsed: serde_json::Value = serde_json::from_str(record).unwrap_or_default();
    let text = |name: &str| parsed[name].as_str().unwrap_or_default();
    let mut event = EventBuilder::new(record.as_bytes());
    event.timestamp(Timestamp::parse_rfc3339(text("timestamp")).or(Some(now)));
    event.source("logwarden").dataset(AUDIT_DATASET).message(text("message"));
    let is_damage = text("event.action") == SPLIT_DAMAGED;
    event.severity(if is_damage { Severity::Critical } else { Severity::Notice });
    for name in ["event.action", "event.outcome", "lw.principal"] {
        event.field(name, Value::String(text(name)));
    }
    event.field("lw.object", Value::String(split));
    for name in ["lw.seq_first", "lw.seq_last", "lw.count", "lw.size_bytes", "lw.lost"] {
        if let Some(number) = parsed[name].as_u64() {
            event.field(name, Value::Integer(i128::from(number)));
        }
    }
    event.build()
}
