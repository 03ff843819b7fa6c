//! The doors in memory, for a fuzzer: what it makes up comes in, and nothing but the process tells how it went.
//!
//! Input: bytes as a peer may send them. Output: none; a mistake is a panic, a hang or memory without end. There
//! is no socket and no disk: the store is a simulated one, and all peers are admitted by their network.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use bytes::{Bytes, BytesMut};
use logwarden_event::Position;
use logwarden_store::Store;
use logwarden_store::identity::{Identity, IdentityError};
use logwarden_store::seal::Seal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, HttpConfig, ListenerConfig, ListenerKind};
use crate::pipeline::{Pipeline, Progress};
use crate::protocol::stream::Connection;
use crate::protocol::{self, datagrams};
use crate::proxy::Proxies;
use crate::{listener, normalize};

/// Who sends everything.
pub const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5);
/// Bytes that wait in each direction of a stream.
const STREAM_BYTES: usize = 64 << 10;

/// All doors over one store.
pub struct Doors {
    pipeline: Arc<Pipeline>,
    _searchable: watch::Sender<Position>,
}

impl Doors {
    /// Opens them over `store`, with an index that is never behind.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] when the store cannot be read.
    pub async fn open(store: &Store) -> Result<Self, IdentityError> {
        let (catalog, clock) = (Arc::clone(&store.catalog), Arc::clone(&store.clock));
        let identity = Identity::open(catalog, clock, Seal::ephemeral()).await?;
        let http = HttpConfig { allow: loopback(), source: Some(String::from("fuzz")) };
        let config = Arc::new(Config { http, ..Config::default() });
        let (searchable, seen) = watch::channel(Position { lane: 0, seq: u64::MAX });
        let pipeline = Arc::new(Pipeline::new(config, store, identity, Progress::of_all(seen)));
        Ok(Self { pipeline, _searchable: searchable })
    }

    /// The paths of HTTP, with [`PEER`] at the other end of each request.
    pub fn routes(&self) -> Router {
        protocol::routes(&self.pipeline).layer(axum::Extension(ConnectInfo(PEER)))
    }

    /// Serves a stream that brings `bytes`, `piece_bytes` at once, until both sides have ended it.
    pub async fn stream(&self, kind: ListenerKind, bytes: &[u8], piece_bytes: usize) {
        let (ours, mut theirs) = tokio::io::duplex(STREAM_BYTES);
        let served = tokio::spawn(listener::serve(Connection {
            stream: Box::new(ours),
            buffer: BytesMut::new(),
            ended: None,
            listener: Arc::new(admitting(kind)),
            peer: PEER,
            certified: None,
            pipeline: Arc::clone(&self.pipeline),
            shutdown: CancellationToken::new(),
        }));
        for piece in bytes.chunks(piece_bytes.max(1)) {
            // A door may close before it has heard everything.
            if theirs.write_all(piece).await.is_err() {
                break;
            }
        }
        let _ = theirs.shutdown().await;
        let _ = theirs.read_to_end(&mut Vec::new()).await;
        if let Err(error) = served.await {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    /// Takes datagrams of one peer.
    pub async fn datagrams(&self, kind: ListenerKind, all: Vec<Bytes>) {
        datagrams::take(&admitting(kind), &self.pipeline, PEER.ip(), all).await;
    }
}

/// Reads the header that a proxy puts before a stream of `bytes`.
pub async fn proxied(bytes: &[u8]) {
    let proxies = Proxies::new(&loopback());
    let mut stream = bytes;
    // What is no header is refused, which is as good an answer as any.
    let _ = proxies.sender_of(&mut stream, PEER).await;
}

/// Masks the secrets in a record.
pub fn mask(record: &[u8]) {
    let _ = normalize::secret::mask(record);
}

fn loopback() -> Vec<ipnet::IpNet> {
    vec![ipnet::IpNet::from(PEER.ip())]
}

fn admitting(kind: ListenerKind) -> ListenerConfig {
    ListenerConfig {
        kind,
        allow: loopback(),
        source: Some(String::from("fuzz")),
        ..ListenerConfig::default()
    }
}
