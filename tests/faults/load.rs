//! A load that keeps a ledger: what was sent, what was acknowledged, and the reckoning with what is stored.
//!
//! Every record has an id of its own. Senders over HTTP send a batch again, under its key, until
//! it is acknowledged. Senders over TCP never send a line twice: what was not acknowledged when
//! the connection broke may be stored or not. After all, each acknowledged id must be there once,
//! and none twice.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::client::Client;
use crate::harness::node::Node;
use crate::harness::wait::pass;
use crate::wire::Lines;

/// Records of one batch over HTTP, and lines sent at once over TCP.
const BATCH: usize = 20;
/// Between two batches of one sender.
const PACE: Duration = Duration::from_millis(15);
/// Before a batch is sent again that was refused or whose answer was lost.
const RETRY: Duration = Duration::from_millis(50);

/// Settings under which a short load fills segments, publishes splits, merges them and trims the
/// journal, so that faults meet all of that.
pub(crate) const SMALL_PIECES: &str =
    "[storage]\nsegment_bytes = 262144\n[index]\nhead_events_max = 200\n";

/// Where the node is; nowhere while there is none.
type Target = watch::Receiver<Option<Doors>>;

#[derive(Clone)]
struct Doors {
    http: Client,
    tcp: SocketAddr,
    token: String,
}

/// What is known of every id.
#[derive(Debug, Default)]
struct Ledger {
    sent: HashSet<String>,
    acked: HashSet<String>,
    newest_acked: String,
    counts: Counts,
}

/// What happened on the way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Batches whose answer was lost, so that they were sent again.
    pub(crate) unknown: usize,
    /// Of these, the batches that turned out to be stored already.
    pub(crate) duplicates: usize,
    /// Answers 429, 503 and 507.
    pub(crate) refused: usize,
    /// Connections over TCP that broke.
    pub(crate) broken: usize,
}

/// Senders under way.
pub(crate) struct Load {
    doors: watch::Sender<Option<Doors>>,
    is_over: watch::Sender<bool>,
    ledger: Arc<Mutex<Ledger>>,
    senders: JoinSet<()>,
    token: String,
}

/// What a reckoning found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reckoning {
    /// Ids that were acknowledged.
    pub(crate) acked: usize,
    /// Ids that are stored.
    pub(crate) found: usize,
    /// Acknowledged and not stored.
    pub(crate) lost: usize,
    /// Stored more than once.
    pub(crate) doubled: usize,
    /// Stored and never sent.
    pub(crate) foreign: usize,
}

impl Load {
    /// Starts senders with this token of role `ingest`; they wait for a node.
    pub(crate) fn start(token: &str, over_http: usize, over_tcp: usize) -> Self {
        let doors = watch::Sender::new(None);
        let is_over = watch::Sender::new(false);
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let mut senders = JoinSet::new();
        let sender = |name| Sender {
            name,
            target: doors.subscribe(),
            is_over: is_over.subscribe(),
            ledger: Arc::clone(&ledger),
        };
        for number in 0..over_http {
            senders.spawn(sender(format!("http{number}")).run_http());
        }
        for number in 0..over_tcp {
            senders.spawn(sender(format!("tcp{number}")).run_tcp());
        }
        Self { doors, is_over, ledger, senders, token: token.to_owned() }
    }

    /// Sends to this node from now on.
    pub(crate) fn aim_at(&self, node: &Node) {
        let (http, tcp) = (Client::new(node, &self.token), node.tcp());
        self.doors.send_replace(Some(Doors { http, tcp, token: self.token.clone() }));
    }

    /// There is no node for a while.
    pub(crate) fn aim_at_nothing(&self) {
        self.doors.send_replace(None);
    }

    /// Ids acknowledged so far.
    pub(crate) fn acked(&self) -> usize {
        self.ledger.lock().expect("no sender panicked").acked.len()
    }

    /// The id that was acknowledged last.
    pub(crate) fn newest_acked(&self) -> String {
        self.ledger.lock().expect("no sender panicked").newest_acked.clone()
    }

    /// What happened so far.
    pub(crate) fn counts(&self) -> Counts {
        self.ledger.lock().expect("no sender panicked").counts
    }

    /// Lets every sender finish: over HTTP with an acknowledgement.
    pub(crate) async fn finish(&mut self) {
        self.is_over.send_replace(true);
        while let Some(ended) = self.senders.join_next().await {
            ended.expect("no sender panics");
        }
    }

    /// Compares the ledger with everything that an export gives.
    pub(crate) async fn reckon(&self, reader: &Client) -> Reckoning {
        let stored = exported_ids(reader).await;
        let ledger = self.ledger.lock().expect("no sender panicked");
        Reckoning {
            acked: ledger.acked.len(),
            found: stored.len(),
            lost: ledger.acked.iter().filter(|id| !stored.contains_key(*id)).count(),
            doubled: stored.values().filter(|times| **times > 1).count(),
            foreign: stored.keys().filter(|id| !ledger.sent.contains(*id)).count(),
        }
    }
}

impl Reckoning {
    /// Fails unless everything acknowledged is there once.
    pub(crate) fn assert_sound(&self) {
        assert_eq!((self.lost, self.doubled, self.foreign), (0, 0, 0), "{self:?}");
        assert!(self.acked > 0, "the load sent nothing");
    }
}

/// How often each id is stored.
async fn exported_ids(reader: &Client) -> HashMap<String, usize> {
    let body = r#"{"q":"load.id:*","fields":["load.id"]}"#;
    let request = reader.request(Method::POST, "/api/v1/export");
    let request = request.header("content-type", "application/json").body(body);
    let answer = Client::send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut ids = HashMap::new();
    for line in answer.text.lines() {
        let hit: Value = serde_json::from_str(line).expect("a line of JSON");
        let id = hit["fields"]["load.id"].as_str();
        let id = id.unwrap_or_else(|| panic!("an export without an id: {line}"));
        *ids.entry(id.to_owned()).or_default() += 1;
    }
    ids
}

/// How many splits there are.
pub(crate) async fn splits(reader: &Client) -> u64 {
    let answer = reader.try_get("/api/v1/health", &[]).await.expect("an answer");
    answer.json()["details"]["index"]["splits"].as_u64().expect("details for holders of a token")
}

struct Sender {
    name: String,
    target: Target,
    is_over: watch::Receiver<bool>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Sender {
    /// The node, as soon as there is one; nothing when the load is over before.
    async fn doors(&mut self) -> Option<Doors> {
        loop {
            if let Some(doors) = self.target.borrow_and_update().clone() {
                return Some(doors);
            }
            if self.is_over() {
                return None;
            }
            tokio::select! {
                _ = self.target.changed() => {}
                _ = self.is_over.changed() => {}
            }
        }
    }

    fn is_over(&self) -> bool {
        *self.is_over.borrow()
    }

    fn note(&self, change: impl FnOnce(&mut Ledger)) {
        change(&mut self.ledger.lock().expect("no sender panicked"));
    }

    /// Makes the next batch and enters it into the ledger.
    fn batch(&self, number: u64) -> (Vec<String>, String) {
        let ids: Vec<_> = (0..BATCH).map(|line| format!("{}-{number}-{line}", self.name)).collect();
        let lines = ids.iter().map(|id| {
            format!("{{\"load\":{{\"id\":\"{id}\"}},\"message\":\"order {id} was shipped to its customer\"}}\n")
        });
        let body = lines.collect();
        self.note(|ledger| ledger.sent.extend(ids.iter().cloned()));
        (ids, body)
    }

    fn acknowledge(&self, ids: &[String]) {
        self.note(|ledger| {
            ledger.acked.extend(ids.iter().cloned());
            ledger.newest_acked = ids.last().cloned().unwrap_or_default();
        });
    }

    async fn run_http(mut self) {
        for number in 0.. {
            if self.is_over() {
                return;
            }
            let (ids, body) = self.batch(number);
            if !self.post_until_acked(&ids, &body, number).await {
                return;
            }
            pass(PACE).await;
        }
    }

    /// False when there is no node any more.
    async fn post_until_acked(&mut self, ids: &[String], body: &str, number: u64) -> bool {
        let key = format!("{}-{number}", self.name);
        let mut is_unknown = false;
        loop {
            let Some(doors) = self.doors().await else { return false };
            let request = doors.http.request(Method::POST, "/api/v1/ingest");
            let request = request.header("idempotency-key", &key).body(body.to_owned());
            match Client::try_send(request).await {
                Ok(answer) if answer.status == 200 => {
                    let said = answer.json();
                    assert_eq!(said["accepted"], BATCH, "{}", answer.text);
                    let is_duplicate = said["duplicate"] == true;
                    assert!(is_unknown || !is_duplicate, "a new batch is no duplicate: {said}");
                    self.note(|ledger| ledger.counts.duplicates += usize::from(is_duplicate));
                    self.acknowledge(ids);
                    return true;
                }
                Ok(answer) => {
                    let is_refusal = [429, 503, 507].contains(&answer.status);
                    assert!(is_refusal, "{} {}", answer.status, answer.text);
                    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
                    // Only this refusal leaves open what became of the batch.
                    is_unknown |= answer.text.contains("outcome_unknown");
                    self.note(|ledger| ledger.counts.refused += 1);
                }
                Err(_) => {
                    is_unknown = true;
                    self.note(|ledger| ledger.counts.unknown += 1);
                }
            }
            pass(RETRY).await;
        }
    }

    async fn run_tcp(mut self) {
        let mut number = 0;
        while !self.is_over() {
            let Some(doors) = self.doors().await else { return };
            if self.ship_lines(&doors, &mut number).await.is_err() {
                self.note(|ledger| ledger.counts.broken += 1);
                pass(RETRY).await;
            }
        }
    }

    /// Sends lines over one connection until it breaks or the load is over.
    async fn ship_lines(&self, doors: &Doors, number: &mut u64) -> std::io::Result<()> {
        let mut lines = Lines::open(doors.tcp, &doors.token).await?;
        let mut sent = 0;
        while !self.is_over() {
            let (ids, body) = self.batch(*number);
            *number += 1;
            lines.send(body.as_bytes()).await?;
            let before = sent;
            sent += ids.len() as u64;
            // An acknowledgement may cover a part of what was sent at once.
            let mut acked = before;
            while acked < sent {
                let now = lines.acked(acked + 1).await?;
                let from = usize::try_from(acked - before).expect("a batch is small");
                let to = usize::try_from(now - before).expect("a batch is small");
                self.acknowledge(&ids[from..to]);
                acked = now;
            }
            pass(PACE).await;
        }
        Ok(())
    }
}
