//! What the tests of all HTTP protocols need: requests as shippers send them, and what the journal
//! then holds.

use std::io::Write as _;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use logwarden_event::{Event, Position};
use logwarden_store::Chunk;
use serde_json::Value;
use tower::ServiceExt as _;

use super::Node;
use crate::protocol;

/// An answer as a shipper gets it.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }
}

impl Node {
    /// Sends `request`, which stands as `METHOD PATH` and lines of headers; `TOKEN` in it is the
    /// node's own.
    pub(super) async fn ship(&self, request: &str, body: impl Into<Body>) -> Answer {
        let request = request.replace("TOKEN", &self.token);
        let mut lines = request.lines().map(str::trim).filter(|line| !line.is_empty());
        let (method, path) = lines.next().expect("a request").split_once(' ').expect("a path");
        let mut builder = Request::builder().method(method).uri(path);
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a header");
            builder = builder.header(name, value);
        }
        let elsewhere = Router::new().fallback(async || "the dashboard");
        let router = protocol::routes(&self.pipeline).fallback_service(elsewhere);
        let router = protocol::greet(&self.pipeline, router);
        let request = builder.body(body.into()).expect("a request");
        let response = router.oneshot(request).await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await.expect("a body").to_bytes().to_vec();
        Answer { status, headers, body }
    }

    /// Everything in the journal, in order.
    pub(super) async fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut at = Position { lane: 0, seq: 1 };
        while at < self.store.journal.end(0) {
            let chunk = self.store.journal.read(at, 100_000).await.expect("records");
            let Chunk::Records { records, next } = chunk else { panic!("a gap") };
            events.extend(records.iter().map(|record| record.event.clone()));
            at = next;
        }
        events
    }

    /// The values of `names` of every event, one line each, `-` for what is not there.
    pub(super) async fn shown(&self, names: &str) -> String {
        let shown = |event: &Event| {
            let values: Vec<_> = names.split(' ').map(|name| value(event, name)).collect();
            values.join(" | ")
        };
        self.events().await.iter().map(shown).collect::<Vec<_>>().join("\n")
    }
}

fn value(event: &Event, name: &str) -> String {
    match name {
        "message" => event.message().to_owned(),
        "severity" => event.severity().to_string(),
        "timestamp" => event.timestamp().to_string(),
        "dataset" => event.dataset().to_owned(),
        "raw" => String::from_utf8_lossy(event.raw()).into_owned(),
        name => {
            let values: Vec<_> = event.values(name).map(|value| value.to_string()).collect();
            if values.is_empty() { "-".to_owned() } else { values.join(",") }
        }
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

/// A node of which the source `shop` has used its quota up.
pub(super) async fn node_over_quota() -> Node {
    let node = super::node(|config| {
        let source = serde_json::json!({"name": "shop", "events_per_sec_max": 1, "burst_secs": 0});
        config.sources = vec![serde_json::from_value(source).expect("a source")];
    })
    .await;
    let request = "POST /api/v1/ingest\nauthorization: Bearer TOKEN";
    assert_eq!(node.ship(request, "{}\n{}\n{}\n").await.status, 200);
    node
}
