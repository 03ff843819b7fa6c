//! Listeners, protocols and normalization: from a record to the journal.
//!
//! A sender ships records over HTTP, TCP or UDP ([`Ingest`]); each becomes an [`Event`] or a dead
//! letter ([`Normalizer`]); batches of them are appended to the journal and acknowledged once they
//! are durable. How each source is, is watched on the way ([`health`]). This crate knows no index
//! and no rule: what it appended, others follow in the journal. It refuses what is over a quota or
//! beyond a bound, never a record for its shape.
//!
//! [`Event`]: logwarden_event::Event

pub mod config;
pub mod deadletter;
pub mod health;
pub mod metrics;
pub mod normalize;

#[cfg(feature = "fuzzing")]
pub mod fuzzing;

mod batch;
mod doubt;
mod enrich;
mod handle;
mod input;
mod join;
mod listed;
mod listener;
mod memory;
mod pipeline;
mod protocol;
mod proxy;
mod quota;
mod recall;
mod remembered;
mod replay;
mod tables;

use logwarden_store::identity::Identity;
use logwarden_store::{CatalogError, Store};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;

pub use config::{Config, ConfigError, Limits};
pub use deadletter::DEAD_LETTER_DATASET;
pub use enrich::{EnrichReport, IndicatorKind, ListMarks, ListNews, NewIndicator};
pub use handle::Handle;
pub use health::SourceReport;
pub use input::InputReport;
pub use listener::ListenError;
pub use normalize::{Normalizer, Origin};
pub use pipeline::{Denial, Progress};
pub use proxy::Proxies;
pub use quota::QuotaUse;
pub use replay::{ReplayError, Replayed};

use listener::{Certificates, Listener};
use pipeline::Pipeline;
use protocol::datagrams;

/// Why ingest cannot start.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address or certificate cannot be used.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// What is known of sources cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// The running listeners, and what HTTP needs of them.
pub struct Ingest {
    pipeline: Arc<Pipeline>,
    tcp_addresses: Vec<SocketAddr>,
    udp_addresses: Vec<SocketAddr>,
    certificates: Vec<Arc<Certificates>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Ingest {
    /// Binds all listeners and serves them until `shutdown`. Senders go at the pace of those whose
    /// `progress` this is.
    ///
    /// # Errors
    ///
    /// [`IngestError`] when the configuration cannot work, an address is taken, or a certificate or
    /// the catalog cannot be read. Nothing is served then.
    pub async fn start(
        config: Config,
        store: Store,
        identity: Arc<Identity>,
        progress: Progress,
        shutdown: CancellationToken,
    ) -> Result<Self, IngestError> {
        config.check()?;
        let config = Arc::new(config);
        let pipeline = Arc::new(Pipeline::new(Arc::clone(&config), &store, identity, progress));
        store.catalog.migrate(tables::ROOM, tables::MIGRATIONS).await?;
        pipeline.health.load(&store).await?;
        recall::recall(&pipeline, &store).await;
        let (mut listeners, mut sockets) = (Vec::new(), Vec::new());
        for listener in &config.listeners {
            let listener = Arc::new(listener.clone());
            if let Some(address) = listener.tcp {
                listeners.push(Listener::bind(&listener, address).await?);
            }
            if let Some(address) = listener.udp {
                sockets.push((listener::bind_udp(address).await?, listener));
            }
        }
        let tcp_addresses = listeners.iter().filter_map(|one| one.address().ok()).collect();
        let udp_addresses = sockets.iter().filter_map(|(one, _)| one.local_addr().ok()).collect();
        let certificates = listeners.iter().filter_map(Listener::certificates).collect();
        let health = Arc::clone(&pipeline.health);
        let mut tasks = input::start(&pipeline, &store, &shutdown);
        if let Some(enrichment) = pipeline.enrichment.clone() {
            tasks.push(tokio::spawn(enrichment.watch(shutdown.clone())));
        }
        tasks.push(tokio::spawn(health.run(store, shutdown.clone())));
        for listener in listeners {
            tasks.push(tokio::spawn(listener.run(Arc::clone(&pipeline), shutdown.clone())));
        }
        for (socket, listener) in sockets {
            let (pipeline, shutdown) = (Arc::clone(&pipeline), shutdown.clone());
            tasks.push(tokio::spawn(datagrams::serve(socket, listener, pipeline, shutdown)));
        }
        Ok(Self { pipeline, tcp_addresses, udp_addresses, certificates, tasks })
    }

    /// The TCP addresses listened on, in the order of the configuration.
    pub fn tcp_addresses(&self) -> &[SocketAddr] {
        &self.tcp_addresses
    }

    /// The UDP addresses listened on, in the order of the configuration.
    pub fn udp_addresses(&self) -> &[SocketAddr] {
        &self.udp_addresses
    }

    /// A way to ask it while it runs.
    pub fn handle(&self) -> Handle {
        Handle { pipeline: Arc::clone(&self.pipeline) }
    }

    /// The paths on which records are taken over HTTP. The peer's address must reach them as the
    /// extension `ConnectInfo<SocketAddr>`; without it no network is admitted.
    pub fn http_routes(&self) -> axum::Router {
        protocol::routes(&self.pipeline)
    }

    /// `others`, where `GET /` of Elasticsearch clients is answered as they expect and everybody
    /// else gets what `others` has.
    pub fn greet_clients(&self, others: axum::Router) -> axum::Router {
        protocol::greet(&self.pipeline, others)
    }

    /// Reads the certificates of the listeners again; new connections get them.
    ///
    /// # Errors
    ///
    /// [`ListenError::Tls`] with the first that cannot be used; it stays as it was.
    pub fn reload_certificates(&self) -> Result<(), ListenError> {
        self.certificates.iter().try_for_each(|one| one.reload())
    }

    /// Waits until every listener and connection has ended, after `shutdown`.
    pub async fn join(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                error!(error = %error, "listener failed: {error}");
            }
        }
    }
}
