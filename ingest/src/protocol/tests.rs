//! The doors, tried from outside: requests and streams in, answers and records of the journal out.

mod again;
mod applications;
mod beats;
mod counting;
mod datadog;
mod datagrams;
mod elastic_bulk;
mod firehose;
mod forward;
mod gelf;
mod grpc;
mod http;
mod joining;
mod journal_upload;
mod listening;
mod lists;
mod loki;
mod mutations;
mod otlp;
mod proxied;
mod relp;
mod secured;
mod shipping;
mod splunk_hec;
mod tcp;
mod unheard;

use std::sync::{Arc, Mutex};

use logwarden_event::Position;
use logwarden_store::identity::{Identity, NewToken, Role};
use logwarden_store::seal::Seal;
use logwarden_store::{Chunk, Simulation, Store};
use tokio::sync::watch;

use crate::config::{Config, HttpConfig};
use crate::pipeline::{Pipeline, Progress};

/// A store, its identity and the pipeline over them.
struct Node {
    store: Store,
    simulation: Simulation,
    identity: Arc<Identity>,
    pipeline: Arc<Pipeline>,
    searchable: watch::Sender<Position>,
    /// May write as `shop`.
    token: String,
}

async fn node(change: impl FnOnce(&mut Config)) -> Node {
    let (store, simulation) = Store::simulated(7);
    let catalog = Arc::clone(&store.catalog);
    let identity = Identity::open(catalog, Arc::clone(&store.clock), Seal::ephemeral())
        .await
        .expect("identity");
    let mut config = Config {
        http: HttpConfig {
            allow: vec!["10.2.0.0/16".parse().expect("a network")],
            source: Some("edge".into()),
        },
        ..Config::default()
    };
    change(&mut config);
    // An index that is never behind.
    let (searchable, seen) = watch::channel(Position { lane: 0, seq: u64::MAX });
    let pipeline =
        Pipeline::new(Arc::new(config), &store, Arc::clone(&identity), Progress::of_all(seen));
    let token = token(&identity, "shipper", Role::Ingest, Some("shop")).await;
    Node { store, simulation, identity, pipeline: Arc::new(pipeline), searchable, token }
}

async fn token(identity: &Identity, name: &str, role: Role, source: Option<&str>) -> String {
    let source = source.map(str::to_owned);
    let role = role.to_string();
    let new = NewToken { name: name.into(), role, source, filter: None, expires_at: None };
    identity.create_token(new).await.expect("a token")
}

/// Whom the doors of a node have turned away.
#[derive(Clone, Default)]
struct Denials(Arc<Mutex<Vec<String>>>);

impl Denials {
    /// Protocol and principal of each so far.
    fn told(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

impl Node {
    /// Listens to what is told of denials from now on.
    fn denials(&self) -> Denials {
        let denials = Denials::default();
        let told = denials.clone();
        self.pipeline.set_on_denial(Box::new(move |denial| {
            let name = denial.principal.as_deref().unwrap_or("-");
            told.0.lock().expect("no panic").push(format!("{} {name}", denial.protocol));
        }));
        denials
    }

    /// Another node over the same store, as after a restart.
    async fn restarted(self) -> Self {
        let (searchable, seen) = watch::channel(Position { lane: 0, seq: u64::MAX });
        let (config, identity) = (Arc::clone(&self.pipeline.config), Arc::clone(&self.identity));
        let pipeline =
            Pipeline::new(config, &self.store, Arc::clone(&identity), Progress::of_all(seen));
        crate::recall::recall(&pipeline, &self.store).await;
        Self { identity, pipeline: Arc::new(pipeline), searchable, ..self }
    }

    /// What the journal holds, one record per line: `dataset source message` and, of dead letters,
    /// their line, code and length.
    async fn journal(&self) -> String {
        let mut shown = Vec::new();
        let mut at = Position { lane: 0, seq: 1 };
        while at < self.store.journal.end(0) {
            let chunk = self.store.journal.read(at, 100_000).await.expect("records");
            let Chunk::Records { records, next } = chunk else { panic!("a gap") };
            for record in records.iter() {
                let event = &record.event;
                let field =
                    |name| event.value_of(name).map(|value| value.to_string()).unwrap_or_default();
                let mut message: String = event.message().chars().take(24).collect();
                if event.dataset() == crate::DEAD_LETTER_DATASET {
                    message =
                        format!("{}:{} {}", field("lw.line"), field("lw.code"), event.raw().len());
                }
                shown.push(format!("{} {} {message}", event.dataset(), event.source()));
            }
            at = next;
        }
        shown.join("\n")
    }
}

fn lines(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}
