//! Requests whose answer was lost come again, as OpenTelemetry, Loki and Splunk's senders send them.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use logwarden_event::Position;
use logwarden_store::Chunk;
use serde_json::json;

use super::counting::Counters;
use super::grpc::{self, PATH, framed};
use super::otlp::{export, record, text};
use super::{Node, node};

const HEC: &str = "POST /services/collector?channel=c1\nauthorization: Splunk TOKEN";

/// A request, and its body around the record `a`.
fn requests() -> [(&'static str, Vec<u8>); 4] {
    let otlp = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "a"}}]}]}]});
    let loki =
        json!({"streams": [{"stream": {"app": "shop"}, "values": [["1766000000000000000", "a"]]}]});
    [
        (
            "POST /v1/logs\nauthorization: Bearer TOKEN\ncontent-type: application/json",
            otlp.to_string().into_bytes(),
        ),
        (
            "POST /v1/logs\nauthorization: Bearer TOKEN\ncontent-type: application/x-protobuf",
            export(vec![record(text("a"))]),
        ),
        (
            "POST /loki/api/v1/push\nauthorization: Bearer TOKEN\ncontent-type: application/json",
            loki.to_string().into_bytes(),
        ),
        (HEC, br#"{"event":"a"}"#.to_vec()),
    ]
}

impl Node {
    pub(super) async fn records(&self) -> usize {
        self.events().await.len()
    }

    /// Sends a request and goes before it is answered.
    async fn ship_and_go(&self, request: &str, body: &[u8]) {
        tokio::select! {
            biased;
            answer = self.ship(request, body.to_vec()) => panic!("answered {}", answer.status),
            () = tokio::task::yield_now() => {}
        }
    }
}

#[tokio::test]
async fn a_batch_whose_sender_went_before_the_answer_is_stored_once() {
    for (request, body) in requests() {
        let node = node(|_| {}).await;
        node.ship_and_go(request, &body).await;
        let answer = node.ship(request, body.clone()).await;
        assert!((200..300).contains(&answer.status), "{request}: {}", answer.status);
        assert_eq!(node.records().await, 1, "{request}");
        // It was heard of now: what is sent again is sent on purpose.
        node.ship(request, body).await;
        assert_eq!(node.records().await, 2, "{request}");
    }
}

#[tokio::test]
async fn equal_batches_that_were_answered_stay_two() {
    for (request, body) in requests() {
        let node = node(|_| {}).await;
        tokio::join!(node.ship(request, body.clone()), node.ship(request, body.clone()));
        assert_eq!(node.records().await, 2, "{request}");
    }
}

#[tokio::test]
async fn after_a_restart_what_was_stored_last_is_in_doubt() {
    for (request, body) in requests() {
        let node = node(|_| {}).await;
        let first = node.ship(request, body.clone()).await;
        let node = node.restarted().await;
        let again = node.ship(request, body.clone()).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{request}");
        assert_eq!(node.records().await, 1, "{request}");
        node.ship(request, body).await;
        assert_eq!(node.records().await, 2, "{request}");
    }
}

#[tokio::test]
async fn what_was_stored_long_before_the_end_was_heard() {
    for (request, body) in requests() {
        let node = node(|_| {}).await;
        node.ship(request, body.clone()).await;
        node.simulation.advance(Duration::from_secs(11));
        node.ship("POST /api/v1/ingest\nauthorization: Bearer TOKEN", "{}\n").await;
        let node = node.restarted().await;
        node.ship(request, body).await;
        assert_eq!(node.records().await, 3, "{request}");
    }
}

#[tokio::test]
async fn what_a_masked_batch_is_known_by_does_not_tell_its_secrets() {
    let mut known = Vec::new();
    for secret in ["hunter2", "hunter3"] {
        let node = super::again::masking().await;
        let said = format!("a password={secret}");
        node.ship(requests()[1].0, export(vec![record(text(&said))])).await;
        let chunk = node.store.journal.read(Position { lane: 0, seq: 1 }, 10).await;
        let Ok(Chunk::Records { records, .. }) = chunk else { panic!("no record") };
        known.push(records[0].batch_id.expect("an id"));
        // By a key: a body with another secret is no conflict, one with another word is.
        let keyed = "POST /api/v1/ingest\nauthorization: Bearer TOKEN\nidempotency-key: k";
        for (body, status) in [(&*said, 200), ("a password=hunter4", 200), ("b password=x123", 422)]
        {
            let answer = node.ship(keyed, json!({"message": body}).to_string()).await;
            assert_eq!(answer.status, status, "{body}");
        }
    }
    assert_eq!(known[0], known[1]);
}

#[tokio::test]
async fn another_channel_or_none_is_another_sender() {
    let node = node(|_| {}).await;
    let body = br#"{"event":"a"}"#;
    let none = "POST /services/collector\nauthorization: Splunk TOKEN";
    for request in
        [HEC, "POST /services/collector?channel=c2\nauthorization: Splunk TOKEN", none, none]
    {
        node.ship_and_go(request, body).await;
        // Everything has its turn.
        node.ship(&HEC.replace("c1", "other"), r#"{"event":"b"}"#).await;
    }
    assert_eq!(node.records().await, 8);
}

#[tokio::test]
async fn a_call_whose_sender_went_is_stored_once() {
    let node = node(|_| {}).await;
    let message = framed(&export(vec![record(text("a"))]), false);
    for is_heard in [false, true, true] {
        let (peer, served) = node.connect(grpc::otlp());
        let (sender, connection) = h2::client::handshake(peer).await.expect("HTTP/2");
        let driven = tokio::spawn(connection);
        let mut sender = sender.ready().await.expect("open");
        let request = Request::post(format!("http://localhost{PATH}"))
            .header("content-type", "application/grpc")
            .header("authorization", format!("Bearer {}", node.token));
        let request = request.body(()).expect("a request");
        let (response, mut sending) = sender.send_request(request, false).expect("open");
        sending.send_data(message.clone(), true).expect("open");
        if is_heard {
            assert_eq!(response.await.expect("an answer").status(), 200);
            drop((sender, sending));
            driven.await.expect("no panic").expect("an orderly end");
        } else {
            tokio::task::yield_now().await;
            driven.abort();
        }
        served.await.expect("no panic");
    }
    assert_eq!(node.records().await, 2);
}

#[tokio::test(start_paused = true)]
async fn equal_calls_of_a_connection_that_ends_do_not_wait_for_each_other() {
    let message = framed(&export(vec![record(text("a"))]), false);
    // Ends at every point between the first byte and the answers.
    for moments in 0..64 {
        let node = node(|_| {}).await;
        let (peer, served) = node.connect(grpc::otlp());
        let (sender, connection) = h2::client::handshake(peer).await.expect("HTTP/2");
        let driven = tokio::spawn(connection);
        let mut sender = sender.ready().await.expect("open");
        let mut calls = Vec::new();
        for _ in 0..2 {
            let request = Request::post(format!("http://localhost{PATH}"))
                .header("content-type", "application/grpc")
                .header("authorization", format!("Bearer {}", node.token));
            let request = request.body(()).expect("a request");
            let (response, mut sending) = sender.send_request(request, false).expect("open");
            sending.send_data(message.clone(), true).expect("open");
            calls.push((response, sending));
        }
        for _ in 0..moments {
            tokio::task::yield_now().await;
        }
        driven.abort();
        let ended = tokio::time::timeout(Duration::from_secs(3_600), served).await;
        ended.unwrap_or_else(|_| panic!("waits after {moments} moments")).expect("no panic");
    }
}

#[tokio::test]
async fn a_request_that_is_refused_is_counted_when_its_sender_has_gone() {
    let request = "POST /api/v1/ingest\nauthorization: Bearer TOKEN";
    let begun = || {
        let broken = Err(std::io::Error::other("the sender has gone"));
        Body::from_stream(futures_util::stream::iter([Ok(Bytes::from_static(b"{}")), broken]))
    };
    for (request, body, counted) in [
        (request, begun(), "incomplete_body 1"),
        ("POST /api/v1/ingest\nauthorization: Bearer lw_x", Body::empty(), "unauthorized 1"),
        (&format!("{request}\ncontent-encoding: gzip"), Body::from("no"), "bad_encoding 1"),
        ("POST /upload\nauthorization: Bearer TOKEN", begun(), "incomplete_body 1"),
    ] {
        let counters = Counters::default();
        let _counting = counters.start();
        let node = node(|_| {}).await;
        tokio::select! {
            biased;
            answer = node.ship(request, body) => panic!("answered {}", answer.status),
            () = std::future::ready(()) => {}
        }
        counters.wait_for("batches_refused", counted).await;
    }
}
