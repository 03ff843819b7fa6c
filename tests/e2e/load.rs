//! Senders that keep on through kills and stops, and what must be there in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use logwarden_event::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::client::Client;

/// Senders at once.
pub(crate) const SENDERS: u64 = 3;
/// Records in one request.
const BATCH: u64 = 40;

/// Senders under way.
pub(crate) struct Load {
    node: watch::Sender<Client>,
    stop: Arc<AtomicBool>,
    senders: JoinSet<(u64, u64)>,
}

impl Load {
    /// Starts sending with the token of `client`.
    pub(crate) fn start(client: Client) -> Self {
        let (node, told) = watch::channel(client);
        let stop = Arc::new(AtomicBool::new(false));
        let mut senders = JoinSet::new();
        for number in 0..SENDERS {
            senders.spawn(send(number, told.clone(), Arc::clone(&stop)));
        }
        Self { node, stop, senders }
    }

    /// Says where the node is now.
    pub(crate) fn moves_to(&self, client: Client) {
        self.node.send_replace(client);
    }

    /// Ends it: every batch under way is acknowledged, and then each record of each acknowledged
    /// batch is there exactly once. Gives the number of batches.
    pub(crate) async fn finish(self, desk: &Client) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let acknowledged = self.senders.join_all().await;
        for (sender, batches) in &acknowledged {
            assert!(*batches > 0, "sender {sender} got nothing through");
            let query = format!("sender:{sender}");
            desk.wait_for(&query, batches * BATCH).await;
            let counts = counts(desk, &query).await;
            let twice: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
            assert!(twice.is_empty(), "batch and number of what is there twice: {twice:?}");
            let there = u64::try_from(counts.len()).expect("a number");
            assert_eq!(there, batches * BATCH, "records of sender {sender} are missing");
        }
        acknowledged.iter().map(|(_, batches)| batches).sum()
    }
}

/// The address that the failures of a sender come from.
pub(crate) fn address_of(sender: u64) -> String {
    format!("203.0.113.{}", 90 + sender)
}

/// Sends batches until told to stop, each under a key of its own until it is acknowledged.
async fn send(number: u64, mut node: watch::Receiver<Client>, stop: Arc<AtomicBool>) -> (u64, u64) {
    let mut batch = 0;
    while !stop.load(Ordering::Relaxed) {
        let (body, key) = (records(number, batch), format!("{number}-{batch}"));
        loop {
            let client = node.borrow_and_update().clone();
            let request = client.request(Method::POST, "/api/v1/ingest").body(body.clone());
            match Client::try_send(request.header("idempotency-key", &key)).await {
                Ok(answer) if answer.status == 200 => break,
                Ok(answer) => assert!([429, 503].contains(&answer.status), "{answer:?}"),
                // Gone: only the next node can say whether it has the batch.
                Err(_) => node.changed().await.expect("the story goes on"),
            }
        }
        batch += 1;
    }
    (number, batch)
}

/// One batch; each holds failures of the same address, so that one alert stays open throughout.
fn records(sender: u64, batch: u64) -> String {
    let now = SystemClock.now().to_string();
    let record = |number: u64| {
        json!({ "timestamp": now, "sender": sender, "batch": batch, "number": number,
            "message": "sign-in of root failed", "user.name": "root",
            "source.ip": address_of(sender),
            "event.category": "authentication", "event.outcome": "failure" })
        .to_string()
            + "\n"
    };
    (0..BATCH).map(record).collect()
}

/// How often each record that a query finds is there, by batch and number.
pub(crate) async fn counts(desk: &Client, query: &str) -> BTreeMap<(u64, u64), u64> {
    let body = json!({ "q": query, "format": "ndjson" });
    let answer = Client::send(desk.request(Method::POST, "/api/v1/export").json(&body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut counts = BTreeMap::new();
    for line in answer.text.lines() {
        let hit: Value = serde_json::from_str(line).expect("JSON");
        let number = |name: &str| hit["fields"][name].as_u64().unwrap_or_else(|| panic!("{line}"));
        *counts.entry((number("batch"), number("number"))).or_default() += 1;
    }
    counts
}
