//! Receivers that are slow, dead or broken: they keep nobody else waiting.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, until};
use crate::hook::{Manner, Receiver};

/// Nobody waits for a receiver this long: less than any of them is given.
const NOT_WAITING: Duration = Duration::from_secs(4);
/// Batches sent while the receivers hang.
const BATCHES: u64 = 50;

/// Failed logins from one address, enough for the bundled rule.
pub(crate) fn attack(address: &str) -> String {
    let line = |port| {
        format!(
            "{{\"program\":\"sshd\",\"host\":\"bastion\",\"message\":\"Failed password for root from {address} port {port} ssh2\"}}\n"
        )
    };
    (4_000..4_020).map(line).collect()
}

#[tokio::test]
async fn receivers_that_hang_keep_neither_senders_nor_searches_nor_each_other_waiting() {
    let hanging = Receiver::start(Manner::Silent).await;
    let failing = Receiver::start(Manner::Status(500)).await;
    let good = Receiver::start(Manner::Status(204)).await;
    let asked = |receiver: &Receiver| receiver.calls().len();
    // One that takes connections and says nothing, and a port that nobody listens on.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let silent_address = silent.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&connections);
    let holding = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok(connection) = silent.accept().await {
            held.push(connection);
            counting.store(held.len(), Ordering::Relaxed);
        }
    });
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("loopback").local_addr();
    let mail = |name: &str, smtp: SocketAddr| {
        format!(
            "[[notifiers]]\nname = \"{name}\"\nkind = \"email\"\nsmtp = \"{smtp}\"\ntls = \"none\"\n\
             from = \"lw@example.org\"\nto = [\"oncall@example.org\"]\n"
        )
    };
    let place = Place::new("");
    let notifiers = [
        hanging.notifier("hanging", place.root(), "s3cret"),
        failing.notifier("failing", place.root(), "s3cret"),
        mail("silent-mail", silent_address),
        mail("closed-mail", closed.expect("an address")),
        good.notifier("good", place.root(), "s3cret"),
    ];
    place.configure(&notifiers.concat());
    let token = place.token("admin", "operator");
    let node = place.start().await;
    let client = Client::new(&node, &token);
    assert_eq!(client.ingest(attack("203.0.113.7")).await.status, 200);
    let fired = Instant::now();
    until("the good receiver hears of it", LONG, async || (asked(&good) > 0).then_some(())).await;
    let told = fired.elapsed();
    until("the others are tried", LONG, async || {
        let is_mailed = connections.load(Ordering::Relaxed) > 0;
        (asked(&hanging) > 0 && asked(&failing) > 0 && is_mailed).then_some(())
    })
    .await;

    let (mut slowest_batch, mut slowest_search) = (Duration::ZERO, Duration::ZERO);
    for batch in 0..BATCHES {
        let began = Instant::now();
        assert_eq!(client.ingest(format!("{{\"batch\":{batch}}}")).await.status, 200);
        slowest_batch = slowest_batch.max(began.elapsed());
        let began = Instant::now();
        client.count("batch:*").await;
        slowest_search = slowest_search.max(began.elapsed());
    }
    client.wait_for("batch:*", BATCHES).await;
    // Another alert, while the first one still hangs elsewhere.
    let heard = asked(&good);
    assert_eq!(client.ingest(attack("203.0.113.8")).await.status, 200);
    until("the good receiver hears again", LONG, async || (asked(&good) > heard).then_some(()))
        .await;
    println!(
        "hanging receivers: the good one told after {told:?}, slowest batch {slowest_batch:?}, slowest search {slowest_search:?}, attempts: hanging {}, failing {}, silent mail {}",
        asked(&hanging),
        asked(&failing),
        connections.load(Ordering::Relaxed),
    );
    assert!(told < NOT_WAITING, "the good receiver waited for others: {told:?}");
    assert!(slowest_batch < NOT_WAITING, "a sender waited for receivers: {slowest_batch:?}");
    assert!(slowest_search < NOT_WAITING, "a search waited for receivers: {slowest_search:?}");
    assert_eq!(asked(&good), 2, "each alert is told once");
    holding.abort();
}
