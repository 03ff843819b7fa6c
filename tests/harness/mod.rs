//! What every story needs: a node in a folder of its own, a client for it, waiting.
//!
//! Each test binary includes this file. Ports are the system's choice, everything stays on
//! loopback, and what was started is killed when it is dropped, also by a failing test.

pub(crate) mod client;
pub(crate) mod node;
pub(crate) mod wait;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use self::client::Client;
use self::node::Place;
use self::wait::{LONG, until};

/// Holds this harness: a node starts, takes, finds, ends in both ways and starts again.
#[tokio::test]
async fn a_node_takes_and_finds_and_can_be_stopped_and_killed() {
    let place = Place::new("");
    let (token, reader) = (place.token("ingest", "sender"), place.token("reader", "reader"));
    let node = place.start().await;
    assert!(node.setup_code().await.len() > 8);
    let sender = Client::new(&node, &token);
    let reader = Client::new(&node, &reader);
    let answer = sender.ingest("{\"message\":\"one\"}\n{\"message\":\"two\"}\n").await;
    assert_eq!((answer.status, answer.json()["accepted"].as_u64()), (200, Some(2)));
    assert_eq!(Client::new(&node, "").ingest("{}").await.refusal(), "401 unauthorized");
    let mut stream = TcpStream::connect(node.tcp()).await.expect("a connection");
    let lines = format!("{{\"auth\":\"{token}\"}}\n{{\"message\":\"three\"}}\n");
    stream.write_all(lines.as_bytes()).await.expect("sent");
    reader.wait_for("one OR two OR three", 3).await;
    assert!(node.rss_bytes() > 1_000_000, "process {} uses no memory", node.pid());
    assert_eq!(node.stop().await, Some(0), "the node did not end by itself");

    let node = place.start().await;
    let reader = reader.at(&node);
    until("the events of before", LONG, async || (reader.count("*").await == 3).then_some(()))
        .await;
    node.kill9();
    assert!(reader.try_get("/api/v1/search", &[("q", "*")]).await.is_err(), "it still answers");
}
