//! A router over a simulated store, with one token per role.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Method, Request, StatusCode, header};
use logwarden_alerting::Alerting;
use logwarden_event::{Event, EventBuilder, Position, Timestamp};
use logwarden_query::Engine;
use logwarden_store::identity::{Identity, NewToken, Role};
use logwarden_store::seal::Seal;
use logwarden_store::{Append, AppendOutcome, Chunk, Draft, RecordKind, Simulation, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use crate::{
    Audit, DetectorDetails, HealthDetails, HealthReport, IndexDetails, JournalDetails, Providers,
    ReplayOutcome, Saved, Settings, SourceField, SourceHealth, SourceQuota, State,
};

/// A password that is good enough.
pub(super) const PASSWORD: &str = "correct horse battery staple";

/// Everything a story needs.
pub(super) struct Harness {
    pub(super) app: Router,
    pub(super) store: Store,
    pub(super) identity: Arc<Identity>,
    pub(super) alerting: Arc<Alerting>,
    pub(super) state: State,
    simulation: Simulation,
    visible: watch::Receiver<Position>,
    _shutdown: DropGuard,
    _exports: TempDir,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    /// The body as JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The code of an error.
    pub(super) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

fn normalize(record: &[u8]) -> Event {
    let mut event = EventBuilder::new(record);
    event.source("test").message(&String::from_utf8_lossy(record));
    event.build()
}

impl Harness {
    /// An empty node.
    pub(super) async fn new() -> Self {
        let (store, simulation) = Store::simulated(7);
        let catalog = Arc::clone(&store.catalog);
        let identity = Identity::open(catalog, Arc::clone(&store.clock), Seal::ephemeral())
            .await
            .expect("opened");
        let (engine, index) = Engine::over_store(store.clone()).await.expect("opened");
        let visible = index.visible();
        let shutdown = CancellationToken::new();
        tokio::spawn(index.run(shutdown.clone()));
        let exports = tempfile::tempdir().expect("a folder");
        let audit = Audit::new(store.clone());
        tokio::spawn(Arc::clone(&audit).run(shutdown.clone()));
        let config = logwarden_alerting::Config::default();
        let alerting = Alerting::open(store.clone(), config).await.expect("opened");
        alerting.search_in(Arc::clone(&engine));
        let saved = Saved::open(Arc::clone(&store.catalog), Arc::clone(&store.clock)).await;
        let state = State {
            identity: Arc::clone(&identity),
            providers: Providers::new(Vec::new(), Arc::clone(&store.clock)).expect("none"),
            saved: saved.expect("opened"),
            alerting: Arc::clone(&alerting),
            engine,
            audit,
            journal: Arc::clone(&store.journal),
            normalize: Arc::new(normalize),
            found_by: Arc::new(|_| BTreeMap::from([("user.name", "sshd"), ("host.name", "sshd")])),
            health: Arc::new(report),
            sources: Arc::new(sources),
            replay: Arc::new(|letters| Box::pin(std::future::ready(Ok(replay(&letters))))),
            replayed_at: Arc::new(|letters| {
                let at = letters.into_iter().take(1).map(|id| (id, Timestamp::from_secs(0)));
                Box::pin(std::future::ready(Ok(at.collect())))
            }),
            metrics: Arc::new(|| "logwarden_up 1\n".to_owned()),
            config_view: Arc::new(|| serde_json::json!({ "data_dir": "logwarden-data" })),
            settings: Settings { exports_dir: exports.path().to_owned(), ..Settings::default() },
        };
        let app = crate::router(state.clone());
        Self {
            app,
            store,
            identity,
            alerting,
            state,
            simulation,
            visible,
            _shutdown: shutdown.drop_guard(),
            _exports: exports,
        }
    }

    /// Makes events durable and waits until they are searchable.
    pub(super) async fn ship(&mut self, events: Vec<Event>) {
        let drafts = events.into_iter().map(|event| Draft { kind: RecordKind::Event, event });
        let batch = Append { drafts: drafts.collect(), ..Append::default() };
        let outcome = self.store.journal.append(batch).await.expect("durable");
        assert!(matches!(outcome, AppendOutcome::Appended(_)), "{outcome:?}");
        self.catch_up().await;
    }

    /// Waits until everything that is durable is searchable.
    pub(super) async fn catch_up(&mut self) {
        let end = self.store.journal.end(0);
        self.visible.wait_for(|visible| *visible >= end).await.expect("the index follows");
    }

    /// A token of this role, named by it.
    pub(super) async fn token(&self, role: Role) -> String {
        self.token_like(NewToken {
            name: role.to_string(),
            role: role.to_string(),
            source: None,
            filter: None,
            expires_at: None,
        })
        .await
    }

    /// A token like this one.
    pub(super) async fn token_like(&self, new: NewToken) -> String {
        self.identity.create_token(new).await.expect("created")
    }

    /// What the journal has of the audit records: action, outcome, principal, object.
    pub(super) async fn audit_records(&self) -> Vec<String> {
        let (start, end) = (self.store.journal.start(0), self.store.journal.end(0));
        let mut lines = Vec::new();
        let mut at = start;
        while at < end {
            let Chunk::Records { records, next } =
                self.store.journal.read(at, 1_000).await.expect("readable")
            else {
                panic!("a gap");
            };
            at = next;
            let audit = records.iter().filter(|record| record.kind == RecordKind::Audit);
            lines.extend(audit.map(|record| {
                assert_eq!(record.event.dataset(), crate::AUDIT_DATASET);
                let field = |name| record.event.value_of(name).map(|value| value.to_string());
                ["event.action", "event.outcome", "lw.principal", "lw.object"]
                    .map(|name| field(name).unwrap_or_else(|| "-".to_owned()))
                    .join(" ")
            }));
        }
        lines
    }

    /// Lets time pass.
    pub(super) fn advance(&self, span: std::time::Duration) {
        self.simulation.advance(span);
    }

    /// Fills the disk.
    pub(super) fn fill_disk(&self) {
        self.simulation.set_free_bytes(0);
    }

    /// Sends a request.
    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.app.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 16 << 20).await.expect("read");
        let text = String::from_utf8(body.to_vec()).expect("text");
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// Sends a request and, when it is let in, leaves the body alone.
    pub(super) async fn head(&self, method: &str, path: &str, token: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = self.app.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let mut text = String::new();
        if !parts.status.is_success() {
            let body = to_bytes(body, 1 << 20).await.expect("read");
            text = String::from_utf8(body.to_vec()).expect("text");
        }
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// Sends a request with a token and, unless `body` is empty, JSON.
    pub(super) async fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> Answer {
        let headers: Vec<(&str, String)> =
            token.map(|token| ("authorization", format!("Bearer {token}"))).into_iter().collect();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.call_with(method, path, &headers, body).await
    }

    /// Sends a request with headers and, unless `body` is empty, JSON.
    pub(super) async fn call_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let method: Method = method.parse().expect("a method");
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header(header::HOST, "127.0.0.1:7514");
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).expect("a request")).await
    }
}

/// Stores what says `good`.
fn replay(letters: &[Event]) -> Vec<ReplayOutcome> {
    let outcome = |letter: &Event| match letter.message() {
        "good" => ReplayOutcome::Stored(2),
        "before" => ReplayOutcome::Before,
        _ => ReplayOutcome::StillBad("it is bad".to_owned()),
    };
    letters.iter().map(outcome).collect()
}

fn sources() -> Vec<SourceHealth> {
    let source = |name: &str| SourceHealth {
        name: name.to_owned(),
        state: "silent",
        first_received_at: None,
        last_received_at: None,
        quiet_secs: 900,
        silent_after_secs: Some(60),
        events: 7,
        bytes: 70,
        rejected: 1,
        events_per_sec: 0.0,
        events_per_sec_usual: 0.5,
        clock_skew_ms: None,
        failures: BTreeMap::new(),
        quota: SourceQuota {
            events_per_sec_max: None,
            bytes_per_sec_max: Some(1_000),
            bytes_per_day_max: None,
            bytes_today: 70,
            refused: 0,
        },
        fields_new: vec!["zone".to_owned()],
        fields_gone: Vec::new(),
        fields_retyped: Vec::new(),
        fields: vec![SourceField {
            name: "zone".to_owned(),
            kinds: vec!["text"],
            share: 1.0,
            first_seen_at: "2026-01-01T00:00:00Z".to_owned(),
            last_seen_at: "2026-01-01T00:00:00Z".to_owned(),
        }],
        fields_beyond: 0,
    };
    vec![source("depot"), source("shop")]
}

fn report() -> HealthReport {
    HealthReport {
        status: "ready",
        details: HealthDetails {
            journal: Some(JournalDetails { end: 1, free_bytes: 2, durability: "fsync" }),
            index: Some(IndexDetails {
                visible: 1,
                lag_events: 0,
                splits: 0,
                size_bytes: 0,
                day_bytes: None,
            }),
            detector: Some(DetectorDetails { lag_events: 0 }),
            inputs: Vec::new(),
            enrichments: Vec::new(),
            version: "0.0.0",
        },
    }
}
