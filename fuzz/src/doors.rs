//! A node in memory that lives over many inputs of one target.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use logwarden_ingest::config::ListenerKind;
use logwarden_ingest::fuzzing::{self, Doors};
use logwarden_store::{Simulation, Store};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use crate::targets::Kind;

/// Inputs after which a new node is made: the simulated disk keeps everything.
const INPUTS_MAX: u32 = 2_000;

/// See the module.
pub struct Node {
    runtime: Runtime,
    doors: Doors,
    _store: (Store, Simulation),
    inputs: u32,
}

impl Node {
    /// An empty one. Its time stands still but when everybody waits.
    pub fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let store = Store::simulated(7);
        let doors = runtime.block_on(Doors::open(&store.0)).expect("a simulated store");
        Self { runtime, doors, _store: store, inputs: 0 }
    }

    /// Whether it has taken enough.
    pub fn is_worn(&self) -> bool {
        self.inputs >= INPUTS_MAX
    }

    /// Takes one input.
    pub fn take(&mut self, kind: Kind, bytes: &[u8]) {
        self.inputs += 1;
        let doors = &self.doors;
        self.runtime.block_on(async {
            match kind {
                Kind::Http { path, content_type } => post(doors, path, content_type, bytes).await,
                Kind::Stream(kind) => {
                    // The first byte decides how much comes at once.
                    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
                    doors.stream(kind, rest, usize::from(*first) * 8 + 1).await;
                }
                Kind::Datagrams(kind) => datagrams(doors, kind, bytes).await,
                Kind::Proxied => fuzzing::proxied(bytes).await,
                Kind::Record { .. }
                | Kind::Secret
                | Kind::Query
                | Kind::Configuration
                | Kind::Rules => {}
            }
        });
    }
}

async fn post(doors: &Doors, path: &str, content_type: &str, bytes: &[u8]) {
    let request = Request::post(path)
        .header("content-type", content_type)
        .body(Body::from(bytes.to_vec()))
        .expect("a request");
    let response = doors.routes().oneshot(request).await.expect("an answer");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let is_known = [200, 202, 204, 400, 413, 415].contains(&status);
    assert!(is_known, "{path}: {status} {}", String::from_utf8_lossy(&body));
}

/// Each datagram has its length in two bytes before it.
async fn datagrams(doors: &Doors, kind: ListenerKind, mut bytes: &[u8]) {
    let mut all = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        all.push(rest[..length].to_vec().into());
        bytes = &rest[length..];
    }
    doors.datagrams(kind, all).await;
}
