//! One process with every role: opens the store, starts the roles in order, stops them in order.
//!
//! Start: HTTP front (answers "recovering") → store → identity → index → alerting → self-test →
//! ingest → API.
//! Stop: listeners and HTTP → pipelines → consumers (index, detector, notifiers) → store.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use logwarden_alerting::Alerting;
use logwarden_event::{Clock, SystemClock};
use logwarden_index::Index;
use logwarden_ingest::{Handle, Ingest, Normalizer, Origin, Progress};
use logwarden_query::Engine;
use logwarden_store::identity::{Identity, IdentityError, REFRESH_INTERVAL};
use logwarden_store::seal::Seal;
use logwarden_store::{CatalogError, JournalState, Store};
use logwarden_web::{
    Audit, DetectorDetails, Entry, HealthDetails, HealthReport, IndexDetails, JournalDetails,
    Providers, Saved,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::replays;
use crate::retro;
use crate::selftest;
use crate::server::Server;
use crate::sources;
use crate::telemetry;
use crate::troubles;

/// How long consumers may take to finish what they hold.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// How often is looked for what late events should have told.
const LATE_INTERVAL: Duration = Duration::from_secs(3_600);
/// How often the journal is looked at with `fail_fast`.
const JOURNAL_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The embedded journal has one lane.
const LANE: u32 = 0;

/// A running process.
pub(crate) struct Node {
    http_url: String,
    setup_link: Option<String>,
    server: Arc<Server>,
    store: Store,
    identity: Arc<Identity>,
    providers: Arc<Providers>,
    alerting: Arc<Alerting>,
    ingest: Ingest,
    audit: Arc<Audit>,
    saved: Arc<Saved>,
    shown: Arc<Mutex<serde_json::Value>>,
    roles: Roles,
}

/// The tasks of a node and what ends them.
struct Roles {
    /// Stops listeners and the HTTP front.
    doors: CancellationToken,
    /// Stops those who follow the journal.
    consumers: CancellationToken,
    /// Cancelled when a role ended without being asked to.
    broken: CancellationToken,
    front: TaskTracker,
    followers: TaskTracker,
}

impl Roles {
    fn new() -> Self {
        Self {
            doors: CancellationToken::new(),
            consumers: CancellationToken::new(),
            broken: CancellationToken::new(),
            front: TaskTracker::new(),
            followers: TaskTracker::new(),
        }
    }

    /// Runs a role that follows the journal. If it ends by itself, the node is broken.
    fn follow(
        &self,
        name: &'static str,
        work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let (consumers, broken) = (self.consumers.clone(), self.broken.clone());
        let task = tokio::spawn(work);
        self.followers.spawn(async move {
            let ended = task.await;
            if !consumers.is_cancelled() {
                error!(role = name, "role `{name}` ended by itself: {ended:?}");
                broken.cancel();
            }
        });
    }

    /// Waits for a group of tasks, not for ever.
    async fn finish(name: &str, tasks: &TaskTracker) {
        tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, tasks.wait()).await.is_err() {
            warn!(
                "{name} did not stop in time; what they had not finished is done after the next start"
            );
        }
    }
}

impl Node {
    /// Starts everything; returns when the node takes records.
    ///
    /// # Errors
    ///
    /// When a port is taken, the data directory cannot be used, or the configuration contradicts it.
    pub(crate) async fn start(mut config: Config) -> anyhow::Result<Self> {
        telemetry::log_panics();
        let metrics = telemetry::start_metrics()?;
        let server = Arc::new(Server::bind(&config.http).await?);
        let scheme = if config.http.tls.is_some() { "https" } else { "http" };
        let http_url = format!("{scheme}://{}", server.address()?);
        let roles = Roles::new();
        config.alerting.public_url.get_or_insert_with(|| http_url.clone());
        let settings = logwarden_web::Settings {
            public_url: config.public_url.clone(),
            own_url: config.public_url.clone().unwrap_or_else(|| http_url.clone()),
            trusted_proxies: config.http.trusted_proxies.clone(),
            security_contact: config.security_contact.clone(),
            exports_dir: config.store.data_dir.join("exports"),
        };
        let (router, routes) = watch::channel(logwarden_web::recovering(&settings));
        roles.front.spawn({
            let (server, doors) = (Arc::clone(&server), roles.doors.clone());
            async move { server.serve(routes, doors).await }
        });

        let fail_fast = config.store.fail_fast;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let place = config.store.data_dir.display().to_string();
        let (store, recovery) = Store::embedded(&config.store, Arc::clone(&clock))
            .await
            .with_context(|| format!("cannot open the data directory `{place}`"))?;
        info!(recovery = ?recovery, "journal is open with {} records", recovery.records);
        let seal = master(&config.store)?;
        let identity = Identity::open(Arc::clone(&store.catalog), clock, seal).await?;
        identity.set_roles(config.roles);
        identity.set_certificates(config.certificates);
        identity.set_breached_passwords(config.users.breached_passwords_file);
        let providers = Providers::new(config.providers, Arc::clone(&store.clock))?;
        let vouching = Arc::clone(&providers);
        identity.set_external_tokens(Arc::new(move |token| vouching.program(token)));
        let index = Index::open(store.clone(), config.index).await?;
        let alerting = Alerting::open(store.clone(), config.alerting).await?;
        let engine = Engine::new(Arc::clone(&index), store.clone(), config.query);
        alerting.search_in(Arc::clone(&engine));

        roles.follow("identity", run_identity(Arc::clone(&identity), roles.consumers.clone()));
        roles.follow("providers", run_providers(Arc::clone(&providers), roles.consumers.clone()));
        roles.follow("index", run_index(Arc::clone(&index), roles.consumers.clone()));
        roles.follow("alerting", run_alerting(Arc::clone(&alerting), roles.consumers.clone()));
        if fail_fast {
            roles.follow("journal", run_until_failure(store.clone(), roles.consumers.clone()));
        }
        tokio::select! {
            tested = selftest::run(&store, &index, &engine) => {
                info!(outcome = ?tested.context("self-test failed")?, "self-test done");
            }
            () = roles.broken.cancelled() => {
                anyhow::bail!("a part of the server ended while it started; see the log");
            }
        }
        let ingest = Ingest::start(
            config.ingest,
            store.clone(),
            Arc::clone(&identity),
            Progress { searchable: index.visible(), looked_at: alerting.looked_at() },
            roles.doors.clone(),
        )
        .await
        .context("cannot take records")?;

        let setup_link = setup_link(&identity, &settings.own_url).await?;
        let audit = Audit::new(store.clone());
        roles.follow("audit", run_audit(Arc::clone(&audit), roles.consumers.clone()));
        let told =
            take_over_told(Arc::clone(&identity), Arc::clone(&audit), roles.consumers.clone());
        roles.follow("told", told);
        let saved = Saved::open(Arc::clone(&store.catalog), Arc::clone(&store.clock)).await?;
        let node = Self {
            http_url,
            setup_link,
            server,
            store,
            identity,
            providers,
            alerting,
            ingest,
            audit,
            saved,
            shown: Arc::new(Mutex::new(config.shown)),
            roles,
        };
        let (looker, events) = (node.ingest.handle(), node.store.clone());
        let stop = node.roles.consumers.clone();
        node.roles.follow("retro", retro::run(looker, Arc::clone(&engine), events, stop));
        let watched = (node.store.clone(), index.visible(), Arc::clone(&node.alerting));
        let stop = node.roles.consumers.clone();
        node.roles.follow("troubles", troubles::run(watched, node.ingest.handle(), stop));
        let (alerting, stop) = (Arc::clone(&node.alerting), node.roles.consumers.clone());
        node.roles.follow("late", look_again(alerting, Arc::clone(&engine), stop));
        node.put_denials_on_record();
        node.note("server.start", "started").await;
        let _ = router.send_replace(node.router(engine, &index, metrics, settings));
        Ok(node)
    }

    /// Where the API and the dashboard are.
    pub(crate) fn http_url(&self) -> &str {
        &self.http_url
    }

    /// Where records are taken over TCP.
    pub(crate) fn tcp_addresses(&self) -> Vec<SocketAddr> {
        self.ingest.tcp_addresses().to_vec()
    }

    /// The one-time link of the first start.
    pub(crate) fn setup_link(&self) -> Option<&str> {
        self.setup_link.as_deref()
    }

    /// Who is known here.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns when a role ended without being asked to.
    pub(crate) async fn failed(&self) {
        self.roles.broken.cancelled().await;
    }

    /// Takes what can be changed in a running node: certificates, the master key, roles, rules,
    /// notifiers, routes.
    pub(crate) async fn reload(&self, mut config: Config) {
        config.alerting.public_url.get_or_insert_with(|| self.http_url.clone());
        if let Err(error) = self.server.reload_tls() {
            warn!("certificate was not reloaded: {error:#}");
        }
        if let Err(error) = self.ingest.reload_certificates() {
            warn!("certificates of listeners were not reloaded: {error}");
        }
        if let Err(error) = self.reload_seal(config.store).await {
            warn!("the master key was not reloaded: {error:#}");
        }
        self.identity.set_roles(config.roles);
        self.identity.set_certificates(config.certificates);
        self.identity.set_breached_passwords(config.users.breached_passwords_file);
        match self.alerting.reload(config.alerting).await {
            Ok(()) => info!("rules, notifiers and routes reloaded"),
            Err(error) => warn!("rules, notifiers and routes were not reloaded: {error}"),
        }
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = config.shown;
        self.note("config.reload", "read its configuration again").await;
    }

    /// Seals with the master key of `store` from now on, and what was sealed before, too.
    async fn reload_seal(&self, store: logwarden_store::Config) -> anyhow::Result<()> {
        let read = move || {
            let (key, before) = (store.master_key.as_ref(), &store.master_keys_before);
            Seal::master_again(&store.data_dir, key, before)
        };
        let seal = tokio::task::spawn_blocking(read).await??;
        Ok(self.identity.set_seal(seal).await?)
    }

    /// Stops in order; what was acknowledged is on disk.
    pub(crate) async fn stop(self) {
        self.roles.doors.cancel();
        Roles::finish("connections", &self.roles.front).await;
        self.note("server.stop", "is stopping").await;
        self.ingest.join().await;
        self.roles.consumers.cancel();
        Roles::finish("consumers", &self.roles.followers).await;
        self.store.journal.close().await;
    }

    /// Has the audit records tell whom the doors of senders turn away that speak no HTTP/1.1.
    fn put_denials_on_record(&self) {
        let audit = Arc::clone(&self.audit);
        self.ingest.handle().on_denial(move |denial| {
            let (name, message) = match denial.principal {
                Some(name) => (name, "was denied"),
                None => (String::new(), "came without a credential that counts"),
            };
            let entry = Entry::new("access", &name, denial.protocol, message);
            audit.note_stranger(entry.failed().from_peer(Some(denial.peer)));
        });
    }

    /// Writes down what became of the server itself.
    async fn note(&self, action: &'static str, message: &str) {
        self.audit.record(Entry::new(action, "server", env!("CARGO_PKG_VERSION"), message)).await;
    }

    fn router(
        &self,
        engine: Arc<Engine>,
        index: &Arc<Index>,
        metrics: PrometheusHandle,
        settings: logwarden_web::Settings,
    ) -> Router {
        let normalizer = Normalizer;
        let (shown, store) = (Arc::clone(&self.shown), self.store.clone());
        let (index, alerting) = (Arc::clone(index), Arc::clone(&self.alerting));
        let state = logwarden_web::State {
            identity: Arc::clone(&self.identity),
            providers: Arc::clone(&self.providers),
            saved: Arc::clone(&self.saved),
            engine,
            alerting: Arc::clone(&self.alerting),
            audit: Arc::clone(&self.audit),
            journal: Arc::clone(&store.journal),
            found_by: Arc::new(move |record| {
                normalizer.found_by(record, &Origin::new("shown"), SystemClock.now())
            }),
            normalize: Arc::new(move |record| {
                normalizer.normalize(record, &Origin::new("test"), SystemClock.now())
            }),
            health: {
                let ingest = self.ingest.handle();
                Arc::new(move || health(&store, &index, &alerting, &ingest))
            },
            sources: {
                let ingest = self.ingest.handle();
                Arc::new(move || sources::health(&ingest))
            },
            replay: replays::replay(self.ingest.handle()),
            replayed_at: replays::replayed_at(self.ingest.handle()),
            metrics: Arc::new(move || metrics.render()),
            config_view: Arc::new(move || {
                shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
            }),
            settings: settings.clone(),
        };
        let doors = logwarden_web::on_record(self.ingest.http_routes(), &state);
        let router = logwarden_web::framed(doors, &settings).merge(logwarden_web::router(state));
        logwarden_web::framed(self.ingest.greet_clients(router), &settings)
    }
}

/// What seals with the master key.
fn master(store: &logwarden_store::Config) -> Result<Seal, logwarden_store::seal::KeyError> {
    Seal::master(&store.data_dir, store.master_key.as_ref(), &store.master_keys_before)
}

/// How the node is, worst first.
fn health(store: &Store, index: &Index, alerting: &Alerting, ingest: &Handle) -> HealthReport {
    let journal = store.journal.health();
    let alerting = alerting.health();
    let end = store.journal.end(LANE).seq;
    let visible = index.visible().borrow().seq;
    let status = match journal.state {
        JournalState::Failed => "journal_failed",
        JournalState::DiskFull => "disk_full",
        JournalState::Degraded => "degraded",
        JournalState::Ready if alerting.stalled.is_some() || index.damaged_splits() > 0 => {
            "degraded"
        }
        JournalState::Ready => "ready",
    };
    HealthReport {
        status,
        details: HealthDetails {
            journal: Some(JournalDetails {
                end,
                free_bytes: journal.free_bytes,
                durability: journal.durability.as_str(),
            }),
            index: Some(IndexDetails {
                visible,
                lag_events: end.saturating_sub(visible),
                splits: index.split_count(),
                size_bytes: index.split_bytes(),
                day_bytes: index.split_bytes_of_a_day(),
            }),
            detector: Some(DetectorDetails { lag_events: alerting.lag_events }),
            inputs: sources::inputs(ingest),
            enrichments: sources::enrichments(ingest),
            version: env!("CARGO_PKG_VERSION"),
        },
    }
}

async fn run_audit(audit: Arc<Audit>, shutdown: CancellationToken) -> anyhow::Result<()> {
    audit.run(shutdown).await;
    Ok(())
}

/// Writes down what commands did in the data directory.
async fn take_over_told(
    identity: Arc<Identity>,
    audit: Arc<Audit>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        match identity.told().await {
            Ok(told) => {
                for line in told {
                    let entry = Entry::new(
                        audit_action(&line.action),
                        "command line",
                        &line.object,
                        format!("{} at {}", line.message, line.at),
                    );
                    audit.record(entry).await;
                    if let Err(error) = identity.forget(&line).await {
                        warn!(%error, "what a command did may be written down twice");
                    }
                }
            }
            Err(error) => warn!(%error, "what commands did cannot be read"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(REFRESH_INTERVAL) => {}
        }
    }
}

/// The actions of commands; what another version left has a word for all.
fn audit_action(name: &str) -> &'static str {
    let known = ["token.create", "token.revoke", "user.create"];
    known.into_iter().find(|known| *known == name).unwrap_or("command")
}

async fn run_identity(identity: Arc<Identity>, shutdown: CancellationToken) -> anyhow::Result<()> {
    identity.run(shutdown).await;
    Ok(())
}

async fn run_providers(
    providers: Arc<Providers>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    providers.run(shutdown).await;
    Ok(())
}

async fn run_index(index: Arc<Index>, shutdown: CancellationToken) -> anyhow::Result<()> {
    Ok(index.run(shutdown).await?)
}

async fn run_alerting(alerting: Arc<Alerting>, shutdown: CancellationToken) -> anyhow::Result<()> {
    alerting.run(shutdown).await;
    Ok(())
}

/// Looks for what late events should have told, every hour.
async fn look_again(
    alerting: Arc<Alerting>,
    engine: Arc<Engine>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(LATE_INTERVAL) => {}
        }
        if let Err(error) = alerting.look_again(&engine).await {
            warn!(%error, "late events were not looked at again, they will be");
        }
    }
}

/// Ends when the journal cannot write any more, which ends the process.
async fn run_until_failure(store: Store, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut looks = tokio::time::interval(JOURNAL_LOOK_INTERVAL);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = looks.tick() => {}
        }
        if store.journal.health().state == JournalState::Failed {
            anyhow::bail!("the journal cannot write any more");
        }
    }
}

/// The code travels in the fragment, which browsers never send. While the disk has no room for another
/// one, that of the start before stays.
async fn setup_link(identity: &Identity, url: &str) -> anyhow::Result<Option<String>> {
    let code = match identity.setup_code().await {
        Err(IdentityError::Catalog(CatalogError::Full)) => {
            warn!("no room is left for a new set-up link; the one before it stays good");
            None
        }
        code => code?,
    };
    Ok(code.map(|code| format!("{}/setup#code={code}", url.trim_end_matches('/'))))
}

#[cfg(test)]
mod tests {
    use logwarden_event::EventBuilder;
    use logwarden_store::simulation::{DiskFaults, Faults};
    use logwarden_store::{Append, AppendOutcome, Draft, RecordKind};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn with_fail_fast_a_journal_that_cannot_write_ends_the_node() {
        let (store, simulation) = Store::simulated(1);
        let roles = Roles::new();
        roles.follow("journal", run_until_failure(store.clone(), roles.consumers.clone()));
        tokio::time::advance(JOURNAL_LOOK_INTERVAL * 3).await;
        assert!(!roles.broken.is_cancelled(), "the journal can write");

        let disk = DiskFaults { sync_fails_per_mille: 1_000, ..DiskFaults::default() };
        simulation.set_faults(Faults { disk, ..Faults::default() });
        let draft = Draft { kind: RecordKind::Event, event: EventBuilder::new(b"x").build() };
        let append = Append { drafts: vec![draft], ..Append::default() };
        let outcome = store.journal.append(append).await.expect("answered");
        assert_eq!(outcome, AppendOutcome::Unknown);
        let ended = roles.broken.cancelled();
        tokio::time::timeout(JOURNAL_LOOK_INTERVAL * 3, ended).await.expect("the node ends");
    }

    #[tokio::test(start_paused = true)]
    async fn an_ordered_stop_is_no_failure() {
        let (store, _simulation) = Store::simulated(1);
        let roles = Roles::new();
        roles.follow("journal", run_until_failure(store, roles.consumers.clone()));
        roles.consumers.cancel();
        Roles::finish("consumers", &roles.followers).await;
        assert!(!roles.broken.is_cancelled());
    }
}
