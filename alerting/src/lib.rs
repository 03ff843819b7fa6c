//! Rules, detections, alerts and notifications.
//!
//! One direction: rule files become rules ([`rule`]), the detector follows the journal and runs
//! them over every event, a detection opens or joins an alert ([`alert`]), and notifiers tell
//! people about it from an outbox that shares the alert's transaction ([`notify`]).

pub mod alert;
mod bundled;
pub mod config;
mod coverage;
mod detector;
pub mod engine;
mod error;
mod explain;
mod history;
mod identity;
mod import;
mod late;
pub mod matcher;
pub mod metrics;
mod noise;
pub mod notify;
pub mod rule;
#[cfg(test)]
mod sample;
pub mod silence;
#[cfg(test)]
mod simulation;
mod testing;
mod trend;
mod trial;
pub mod window;
mod written;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use logwarden_event::{AlertId, Event, Position};
use logwarden_query::Engine as Searches;
use logwarden_store::{Statement, Store};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use notify::Routing;
use notify::stored::Stored;

pub use alert::latency::AlertLatency;
pub use alert::lifecycle::{Act, NOTE_BYTES_MAX};
pub use alert::link::{KnownLink, Link, LinkState};
pub use alert::sight::Viewer;
pub use alert::statistics::RuleStatistics;
pub use alert::tables::{DeliveryPage, DeliveryQuery};
pub use alert::{Alert, AlertOrder, AlertPage, AlertQuery, AlertState, AlertSummary, Resolution};
pub use config::{Config, NotifierConfig, RotaConfig, RouteConfig, RulesConfig};
pub use coverage::{NamedField, RuleCoverage, Seen, Verdict, coverage, unseen_fields};
pub use error::AlertingError;
pub use explain::{Reason, explain};
pub use import::{Foreign, Imported, ImportedRule, import_rules};
pub use notify::rota::Turn;
pub use notify::stored::{Both, Document, Duty};
pub use notify::{
    NOTIFIERS, NotifierState, NotifierSummary, RouteAnswer, TestAnswer, ToldNames, Trouble,
};
pub use rule::{
    Level, Match, Problem, Report, RuleFile, RuleSet, RuleState, RuleSummary, RuleTest, StateBound,
    read_rule_files,
};
pub use silence::{Muted, Silence};
pub use trial::{Span, Trial, TrialDetection, agreeing};
pub use written::{CheckedText, RuleText, WriteRuleError};

/// How alerting is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Up to where the detector's effects are durable.
    pub position: Position,
    /// Records of the journal it has yet to look at.
    pub lag_events: u64,
    /// Rules in use.
    pub rules: usize,
    /// What is wrong with rule files.
    pub rule_problems: usize,
    /// Notifiers whose last attempt failed.
    pub notifiers_failing: usize,
    /// Why the detector stands still, when it does.
    pub stalled: Option<String>,
}

/// How often rule directories are looked at for changes.
const RULES_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// How often is looked for alerts that go on and for who comes on duty.
const TELL_AGAIN_INTERVAL: Duration = Duration::from_secs(30);
/// The pause after the detector broke.
const DETECTOR_PAUSE: Duration = Duration::from_secs(5);

/// What the tasks of this role share.
pub(crate) struct Shared {
    pub store: Store,
    /// Held by whoever writes alerts, so that what was read stays true until it is written.
    pub writing: Mutex<()>,
    /// Held by whoever changes a written rule file.
    pub rule_writing: std::sync::Mutex<()>,
    /// Events that came after their time was judged, and what was found of them since.
    pub late: late::Late,
    /// Where events are found that the journal has let go of.
    searches: OnceLock<Arc<Searches>>,
    settings: RwLock<Settings>,
    rule_changes: watch::Sender<u64>,
    routing_changes: watch::Sender<u64>,
    outbox_changes: watch::Sender<u64>,
    /// What no alert can tell of.
    troubles: watch::Sender<Vec<Trouble>>,
    /// Up to where rules have looked, whether or not what they found is written.
    looked_at: watch::Sender<Position>,
    status: RwLock<Status>,
}

/// What a reload replaces.
struct Settings {
    config: Config,
    rules: Arc<RuleSet>,
    problems: Vec<Problem>,
    files: Vec<RuleFile>,
    /// The files and directories of rules that could not be read the last time.
    unreadable: Vec<Problem>,
    /// What administrators wrote over the API.
    stored: Stored,
    routing: Arc<Routing>,
}

#[derive(Default)]
struct Status {
    position: Position,
    stalled: Option<String>,
    failing: HashMap<String, NotifierState>,
    /// The rules that the detector runs, and how long events take in each.
    timings: Option<(Arc<RuleSet>, Arc<[engine::Timing]>)>,
    is_unwell: bool,
    is_stopping: bool,
}

impl Shared {
    pub(crate) fn rules(&self) -> Arc<RuleSet> {
        read(&self.settings).rules.clone()
    }

    pub(crate) fn routing(&self) -> Arc<Routing> {
        read(&self.settings).routing.clone()
    }

    /// How late the events of each source may come.
    pub(crate) fn lateness(&self) -> Arc<engine::Lateness> {
        Arc::new(read(&self.settings).config.lateness.clone())
    }

    pub(crate) fn searches(&self) -> Option<&Searches> {
        self.searches.get().map(|searches| &**searches)
    }

    pub(crate) fn rule_changes(&self) -> watch::Receiver<u64> {
        self.rule_changes.subscribe()
    }

    pub(crate) fn wake_workers(&self) {
        self.outbox_changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn set_position(&self, position: Position) {
        write(&self.status).position = position;
    }

    pub(crate) fn set_looked_at(&self, position: Position) {
        self.looked_at.send_replace(position);
    }

    pub(crate) fn set_stalled(&self, reason: Option<String>) {
        write(&self.status).stalled = reason;
    }

    pub(crate) fn set_timings(&self, rules: Arc<RuleSet>, timings: Arc<[engine::Timing]>) {
        write(&self.status).timings = Some((rules, timings));
    }

    pub(crate) fn is_stopping(&self) -> bool {
        read(&self.status).is_stopping
    }

    fn set_notifier_state(&self, notifier: &str, state: NotifierState) {
        let mut status = write(&self.status);
        match state {
            NotifierState::Ok => status.failing.remove(notifier),
            state => status.failing.insert(notifier.to_owned(), state),
        };
    }

    /// Tells of the rules that were put out of use as of those that are left out.
    pub(crate) fn note_broken(&self, engine: &mut engine::Engine) {
        for place in engine.take_broken() {
            let rule = &engine.rules().rules()[place];
            write(&self.settings).problems.push(Problem {
                file: rule.file.clone(),
                line: rule.at.line,
                column: rule.at.column,
                message: format!("`{}` is out of use: judging it failed, see the log", rule.title),
            });
        }
    }

    /// Reads the rule files again; answers whether they changed.
    fn reload_rules(&self) -> bool {
        let rules = read(&self.settings).config.rules.clone();
        let (mut files, mut unreadable) = rule_files(&rules);
        {
            let settings = read(&self.settings);
            rule::keep_unreadable(&settings.files, &mut files, &mut unreadable);
            if settings.files == files && settings.unreadable == unreadable {
                return false;
            }
        }
        let (loaded, problems) = load_rules(&files, &unreadable);
        {
            let mut settings = write(&self.settings);
            settings.rules = Arc::new(loaded);
            settings.problems = problems;
            settings.files = files;
            settings.unreadable = unreadable;
        }
        self.rule_changes.send_modify(|count| *count += 1);
        true
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a routing where it may wait for those who give secrets: a program, or Vault.
async fn resolving(
    make: impl FnOnce() -> Result<Routing, AlertingError> + Send + 'static,
) -> Result<Arc<Routing>, AlertingError> {
    let made = tokio::task::spawn_blocking(make).await;
    made.map_err(|error| AlertingError::Invalid(error.to_string()))?.map(Arc::new)
}

fn rule_files(config: &RulesConfig) -> (Vec<RuleFile>, Vec<Problem>) {
    let mut files = if config.bundled { bundled::files() } else { Vec::new() };
    files.push(bundled::own());
    let (own, mut problems) = read_rule_files(&config.dirs);
    files.extend(own);
    if let Some(dir) = &config.written {
        let (written, unreadable) = written::written_files(dir);
        files.extend(written);
        problems.extend(unreadable);
    }
    (files, problems)
}

fn load_rules(files: &[RuleFile], unreadable: &[Problem]) -> (RuleSet, Vec<Problem>) {
    let (rules, mut problems) = RuleSet::load(files);
    problems.extend_from_slice(unreadable);
    for problem in &problems {
        warn!(%problem, "problem in a rule file");
    }
    ::metrics::gauge!(metrics::RULE_PROBLEMS).set(problems.len() as f64);
    ::metrics::gauge!(metrics::RULES_ACTIVE).set(rules.rules().len() as f64);
    (rules, problems)
}

/// The role: rules, alerts and notifications on one store.
pub struct Alerting {
    shared: Arc<Shared>,
}

impl Alerting {
    /// Opens the tables and loads rules and notifiers.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Config`] when the configuration cannot be used, [`AlertingError::Catalog`]
    /// when the tables cannot be opened, [`AlertingError::ForeignJournal`] when the journal is not
    /// the one that was followed before.
    pub async fn open(store: Store, config: Config) -> Result<Arc<Self>, AlertingError> {
        store.catalog.migrate(alert::tables::ROOM, alert::tables::MIGRATIONS).await?;
        store.catalog.migrate(silence::ROOM, silence::MIGRATIONS).await?;
        notify::outbox::free_leases(&*store.catalog).await?;
        let checkpoint = store.catalog.checkpoint(detector::CONSUMER, 0).await?;
        if checkpoint.as_ref().is_some_and(|known| known.journal != store.journal.identity()) {
            return Err(AlertingError::ForeignJournal);
        }
        let position = checkpoint.map_or(store.journal.start(0), |known| known.position);
        store.journal.hold(detector::CONSUMER, position);
        let stored = Stored::load(&*store.catalog).await?;
        let late = late::Late::load(&*store.catalog).await?;
        let both = (config.clone(), stored.clone());
        let routing = resolving(move || Routing::new(&both.0, &both.1)).await?;
        let rules = config.rules.clone();
        let loading = tokio::task::spawn_blocking(move || {
            let (files, unreadable) = rule_files(&rules);
            let (rules, problems) = load_rules(&files, &unreadable);
            (files, unreadable, Arc::new(rules), problems)
        });
        let (files, unreadable, rules, problems) =
            loading.await.map_err(|error| AlertingError::Invalid(error.to_string()))?;
        let settings = Settings { config, rules, problems, files, unreadable, stored, routing };
        let shared = Shared {
            store,
            writing: Mutex::new(()),
            rule_writing: std::sync::Mutex::new(()),
            late,
            searches: OnceLock::new(),
            settings: RwLock::new(settings),
            rule_changes: watch::Sender::new(0),
            routing_changes: watch::Sender::new(0),
            outbox_changes: watch::Sender::new(0),
            troubles: watch::Sender::default(),
            looked_at: watch::Sender::new(position),
            status: RwLock::new(Status { position, ..Status::default() }),
        };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// Events that an alert should show and that the journal has let go of are searched for there, and
    /// what somebody sees of alerts who sees a part of the events; to be said once, before [`Alerting::run`].
    pub fn search_in(&self, searches: Arc<Searches>) {
        let _ = self.shared.searches.set(searches);
    }

    /// Works until `shutdown`: follows the journal, sends notifications, watches rule files.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let shared = self.shared.clone();
        let detector = tokio::spawn(detect(shared.clone(), shutdown.clone()));
        let watcher = tokio::spawn(watch_rules(shared.clone(), shutdown.clone()));
        let woken = shared.outbox_changes.subscribe();
        let escalating =
            tokio::spawn(notify::escalation::run(shared.clone(), woken, shutdown.clone()));
        let telling = tokio::spawn(tell_again(shared.clone(), shutdown.clone()));
        let troubles = shared.troubles.subscribe();
        let direct = tokio::spawn(notify::direct::run(shared.clone(), troubles, shutdown.clone()));
        let stopping = async {
            shutdown.cancelled().await;
            write(&shared.status).is_stopping = true;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = send_notifications(shared.clone(), shutdown.clone()) => {}
            () = stopping => {}
        }
        write(&shared.status).is_stopping = true;
        for task in [detector, watcher, escalating, telling, direct] {
            if let Err(error) = task.await {
                warn!(%error, "a task of alerting ended early");
            }
        }
    }

    /// Takes a new configuration and reads the rule files again.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Config`]; the old configuration then stays in force.
    pub async fn reload(&self, config: Config) -> Result<(), AlertingError> {
        {
            let _writing = self.shared.writing.lock().await;
            let stored = read(&self.shared.settings).stored.clone();
            let given = config.clone();
            let routing = resolving(move || Routing::new(&given, &stored)).await?;
            let mut settings = write(&self.shared.settings);
            settings.config = config;
            settings.routing = routing;
        }
        self.shared.routing_changes.send_modify(|count| *count += 1);
        let shared = self.shared.clone();
        let reading = tokio::task::spawn_blocking(move || shared.reload_rules());
        reading.await.map(drop).map_err(|error| AlertingError::Invalid(error.to_string()))
    }

    /// The alerts that `viewer` sees, newest first.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Cursor`], [`AlertingError::Catalog`], and [`AlertingError::Evidence`] when it
    /// cannot be told what somebody sees who sees a part.
    pub async fn alerts(
        &self,
        query: &AlertQuery,
        viewer: &Viewer,
    ) -> Result<AlertPage, AlertingError> {
        if viewer.visibility.is_partial() {
            return alert::sight::page(&self.shared, query, viewer).await;
        }
        alert::tables::page(&*self.shared.store.catalog, query).await
    }

    /// All there is to know about one alert, for `viewer`.
    ///
    /// # Errors
    ///
    /// [`AlertingError::NotFound`], also when `viewer` sees nothing of it; otherwise as
    /// [`Alerting::alerts`].
    pub async fn alert(&self, id: AlertId, viewer: &Viewer) -> Result<Alert, AlertingError> {
        if viewer.visibility.is_partial() {
            return alert::sight::one(&self.shared, id, viewer).await;
        }
        let mut alert = alert::tables::load(&*self.shared.store.catalog, id).await?;
        alert::usual::tell(self.shared.searches(), &mut alert).await;
        if !viewer.sees_answers {
            alert.notifications.iter_mut().for_each(alert::Delivery::cut_answer);
        }
        Ok(alert)
    }

    /// Does something with an alert on behalf of `viewer`; answers the alert as they see it then.
    /// Those who were told of its opening are told of this, if they want to know.
    ///
    /// # Errors
    ///
    /// As [`Alerting::alert`]; [`AlertingError::Conflict`] when its state does not allow it,
    /// [`AlertingError::Invalid`] when a text breaks a bound.
    pub async fn act(
        &self,
        id: AlertId,
        act: Act<'_>,
        viewer: &Viewer,
    ) -> Result<Alert, AlertingError> {
        if viewer.visibility.is_partial() {
            alert::sight::one(&self.shared, id, viewer).await?;
        }
        self.act_with(id, act, &viewer.name, Vec::new()).await?;
        self.alert(id, viewer).await
    }

    /// Does something with an alert, with further statements in the same transaction if it changes
    /// anything.
    async fn act_with(
        &self,
        id: AlertId,
        act: Act<'_>,
        actor: &str,
        more: Vec<Statement>,
    ) -> Result<(), AlertingError> {
        {
            let _writing = self.shared.writing.lock().await;
            let now = self.shared.store.clock.now();
            let catalog = &*self.shared.store.catalog;
            let told = alert::tables::told_about(catalog, id).await?;
            let routing = self.shared.routing();
            let notify = |row: &alert::tables::AlertRow| {
                let mut statements = more;
                if let Some(event) = act.event() {
                    statements.extend(routing.statements_for_told(&told, &row.summary, event, now));
                }
                let state = act.leads_to();
                statements.extend(state.map(|to| notify::escalation::after_act(id, to, now)));
                statements
            };
            alert::lifecycle::perform(catalog, id, act, actor, now, notify).await?;
        }
        self.shared.wake_workers();
        Ok(())
    }

    /// The rules in use, testing and disabled, in the order they were loaded.
    pub fn rules(&self) -> Vec<RuleSummary> {
        self.shared.rules().summaries()
    }

    /// The rules in use as a whole, with what they look for.
    pub fn rule_set(&self) -> Arc<RuleSet> {
        self.shared.rules()
    }

    /// What is wrong with the rule files.
    pub fn rule_problems(&self) -> Vec<Problem> {
        read(&self.shared.settings).problems.clone()
    }

    /// Those of them that are about files and directories that cannot be read.
    pub fn unreadable_rule_files(&self) -> Vec<Problem> {
        read(&self.shared.settings).unreadable.clone()
    }

    /// Who can be told about alerts.
    pub fn notifiers(&self) -> Vec<NotifierSummary> {
        let routing = self.shared.routing();
        let status = read(&self.shared.status);
        let summary = |named: &notify::Named| NotifierSummary {
            id: named.name.clone(),
            name: named.name.clone(),
            kind: named.kind,
            target: named.notifier.target(),
            state: status.failing.get(&named.name).copied().unwrap_or(NotifierState::Ok),
        };
        routing.notifiers().iter().map(summary).collect()
    }

    /// Notifications about alerts that `viewer` sees, newest first. Who sees a part is not told what
    /// receivers said.
    ///
    /// # Errors
    ///
    /// As [`Alerting::alerts`].
    pub async fn deliveries(
        &self,
        query: &DeliveryQuery,
        viewer: &Viewer,
    ) -> Result<DeliveryPage, AlertingError> {
        let mut page = alert::tables::deliveries(&*self.shared.store.catalog, query).await?;
        if viewer.visibility.is_partial() {
            let mut ids: Vec<AlertId> = page.items.iter().map(|item| item.alert_id).collect();
            ids.sort_unstable();
            ids.dedup();
            let seen = alert::sight::visible_of(&self.shared, &ids, viewer).await?;
            page.items.retain(|item| seen.contains(&item.alert_id));
            for item in &mut page.items {
                item.answer.clear();
                item.title = None;
            }
        }
        if !viewer.sees_answers {
            page.items.iter_mut().for_each(alert::Delivery::cut_answer);
        }
        Ok(page)
    }

    /// Says which troubles there are now that no alert can tell of; they are told without one.
    pub fn tell_directly(&self, troubles: Vec<Trouble>) {
        self.shared.troubles.send_if_modified(|known| {
            let is_new = *known != troubles;
            *known = troubles;
            is_new
        });
    }

    /// While the node could not tell of an alert in time, notifiers give no sign of life: who waits for one
    /// learns of it by its absence.
    pub fn withhold_signs_of_life(&self, is_unwell: bool) {
        write(&self.shared.status).is_unwell = is_unwell;
    }

    /// Up to where rules have looked at the journal.
    pub fn looked_at(&self) -> watch::Receiver<Position> {
        self.shared.looked_at.subscribe()
    }

    /// How alerting is doing.
    pub fn health(&self) -> Health {
        let status = read(&self.shared.status);
        let settings = read(&self.shared.settings);
        let end = self.shared.store.journal.end(status.position.lane);
        Health {
            position: status.position,
            lag_events: end.seq.saturating_sub(status.position.seq),
            rules: settings.rules.rules().len(),
            rule_problems: settings.problems.len(),
            notifiers_failing: status.failing.len(),
            stalled: status.stalled.clone(),
        }
    }
}

/// Looks at the rule directories now and then.
async fn watch_rules(shared: Arc<Shared>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(RULES_POLL_INTERVAL) => {}
        }
        if read(&shared.settings).config.rules.dirs.is_empty() {
            continue;
        }
        let reading = shared.clone();
        if let Ok(true) = tokio::task::spawn_blocking(move || reading.reload_rules()).await {
            info!("rule files changed");
        }
    }
}

/// Runs the detector; one that broke starts over from what is durable.
async fn detect(shared: Arc<Shared>, shutdown: CancellationToken) {
    loop {
        let running = tokio::spawn(detector::run(shared.clone(), shutdown.clone()));
        let Err(error) = running.await else { return };
        tracing::error!(%error, "the detector broke and starts over");
        shared.set_stalled(Some(String::from("the detector broke, see the log")));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(DETECTOR_PAUSE) => {}
        }
    }
}

/// Tells of alerts that go on, and of what is open when somebody comes on duty.
async fn tell_again(shared: Arc<Shared>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(TELL_AGAIN_INTERVAL) => {}
        }
        let told = match notify::growth::tell(&shared).await {
            Ok(()) => notify::handover::tell(&shared).await,
            failed => failed,
        };
        if let Err(error) = told {
            warn!(%error, "nobody is told of what goes on and of what is handed over; tried again");
        }
    }
}

/// Runs one worker per notifier; starts them anew when the configuration changes.
async fn send_notifications(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut changes = shared.routing_changes.subscribe();
    loop {
        changes.mark_unchanged();
        let routing = shared.routing();
        let stop = shutdown.child_token();
        let mut workers = JoinSet::new();
        for named in routing.notifiers() {
            let (status, waking, well) = (shared.clone(), shared.clone(), shared.clone());
            let worker = notify::outbox::Worker {
                store: shared.store.clone(),
                shared: shared.clone(),
                named: named.clone(),
                public_url: routing.public_url.clone(),
                others: routing.others(&named.name),
                report: Arc::new(move |name, state| status.set_notifier_state(name, state)),
                breaker: std::sync::Mutex::default(),
                wake_others: Arc::new(move || waking.wake_workers()),
                is_well: Arc::new(move || !read(&well.status).is_unwell),
            };
            workers.spawn(worker.run(shared.outbox_changes.subscribe(), stop.clone()));
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = changes.changed() => {}
        }
        stop.cancel();
        while workers.join_next().await.is_some() {}
        if shutdown.is_cancelled() {
            return;
        }
    }
}

/// Says whether [`Alerting::open`] would take a configuration, without opening anything.
///
/// # Errors
///
/// [`AlertingError::Config`] with the place of the setting that cannot be used.
pub fn check_config(config: &Config) -> Result<(), AlertingError> {
    Routing::strict(config, &Stored::default()).map(drop)
}

/// Parses rule files and says what is wrong with them.
pub fn check_rules(files: &[RuleFile]) -> Report {
    let (rules, problems) = RuleSet::load(files);
    Report { rules: rules.summaries(), problems, state: rules.state_bounds() }
}

/// Runs rules over events as the detector would; matches by event, then in the order of the rules.
///
/// A Sigma rule matches at each event it looks for, unless only correlations look at it. A
/// correlation matches once for each detection, at the event with which its condition held first. What
/// waits for the watermark is judged as if nothing came for `silence` after the last event.
pub fn test_rules(rules: &RuleSet, events: &[Event], silence: Duration) -> Vec<Match> {
    testing::run(&Arc::new(rules.clone()), events, silence)
}

/// Runs the tests that stand in the rule files; `normalize` makes an event of a JSON record.
pub fn run_rule_tests(rules: &RuleSet, normalize: &dyn Fn(&[u8]) -> Event) -> Vec<RuleTest> {
    testing::run_embedded(rules, normalize)
}

/// The rule files that come with the program.
pub fn bundled_rules() -> Vec<RuleFile> {
    bundled::files()
}
