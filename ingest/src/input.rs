//! Inputs: what Logwarden fetches by itself, from files and from NATS.
//!
//! Input: the tables `[[inputs]]`. Output: records in the journal, each once. How far an input came
//! is in the catalog, and moves only after the durable write: before a batch is appended its intent
//! is saved with a key drawn for it, and after a crash the journal is asked whether it has a batch of
//! that key ([`Feed::was_stored`]). Nothing is lost or stored twice over `kill -9`. While the source
//! is over its quota or the disk is full an input waits; it never drops anything.

mod feed;
mod file;
mod nats;
mod settings;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use logwarden_store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use settings::{InputConfig, InputKind};

use crate::normalize::Origin;
use crate::pipeline::Pipeline;
use feed::Feed;

/// How far inputs came, one JSON document for each thing they read from.
pub(crate) const INPUTS_TABLE: &str = "
    CREATE TABLE ingest_inputs (
        input TEXT NOT NULL,
        item TEXT NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (input, item)
    );
";

/// How an input is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputReport {
    /// Its name.
    pub name: String,
    /// `file` or `nats`.
    pub kind: &'static str,
    /// What is wrong with it now; empty when nothing is.
    pub problem: String,
    /// Records it made durable since the start of the process.
    pub records: u64,
    /// Bytes (files) or messages (NATS) that it has still to read, as far as it knows.
    pub lag: u64,
    /// Times it had to begin anew: connections, files that were cut short.
    pub restarts: u64,
}

/// The reports of all inputs, which they write themselves.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<Vec<InputReport>>);

impl Reports {
    pub(crate) fn all(&self) -> Vec<InputReport> {
        self.lock().clone()
    }

    fn change(&self, place: usize, change: impl FnOnce(&mut InputReport)) {
        if let Some(report) = self.lock().get_mut(place) {
            change(report);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<InputReport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs every configured input until `shutdown`.
pub(crate) fn start(
    pipeline: &Arc<Pipeline>,
    store: &Store,
    shutdown: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let inputs = pipeline.config.inputs.iter().enumerate();
    let run = |(place, config): (usize, &InputConfig)| {
        let kind = config.kind.name();
        let report = InputReport {
            name: config.name.clone(),
            kind,
            problem: String::new(),
            records: 0,
            lag: 0,
            restarts: 0,
        };
        pipeline.inputs.lock().push(report);
        let origin = Origin {
            source: config.source.clone(),
            peer: None,
            protocol: kind,
            zone: pipeline.config.zone_of(&config.source),
            mask_secrets: pipeline.config.masks_secrets_of(&config.source),
            comes_again: false,
        };
        let feed = Feed {
            quota: pipeline.quotas.of(&config.source),
            pipeline: Arc::clone(pipeline),
            store: store.clone(),
            origin,
            name: config.name.clone(),
            place,
            shutdown: shutdown.clone(),
        };
        let config = config.clone();
        tokio::spawn(async move {
            match config.kind {
                InputKind::File => file::run(feed, &config).await,
                InputKind::Nats => nats::run(feed, &config).await,
            }
        })
    };
    inputs.map(run).collect()
}
