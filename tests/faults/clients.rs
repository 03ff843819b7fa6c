//! SIGKILL while clients send that hear of their records: Beats, Fluent forward with chunks, RELP, JSON
//! lines with answers, Elasticsearch bulk with ids, OTLP over HTTP, Loki, Splunk HEC with
//! acknowledgements. Each sends a batch again until it has heard that it is stored. Nothing may be lost
//! and nothing may be there twice.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, pass, until};

const KILLS: usize = 8;
/// Records of one batch.
const BATCH: usize = 25;
/// Batches of all clients between two kills.
const BATCHES_PER_KILL: usize = 60;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Before a batch is sent again.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Beats,
    Forward,
    Relp,
    Lines,
    Bulk,
    Otlp,
    Loki,
    Hec,
}

const KINDS: [Kind; 8] = [
    Kind::Beats,
    Kind::Forward,
    Kind::Relp,
    Kind::Lines,
    Kind::Bulk,
    Kind::Otlp,
    Kind::Loki,
    Kind::Hec,
];

#[derive(Debug, Clone)]
struct Doors {
    http: SocketAddr,
    tcp: SocketAddr,
    token: String,
}

impl Doors {
    /// Writes to the TCP port until `answer` is heard.
    async fn write(&self, bytes: &[u8], answer: &[u8]) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.tcp).await?;
        stream.write_all(bytes).await?;
        let mut said = Vec::new();
        while !said.windows(answer.len()).any(|window| window == answer) {
            if stream.read_buf(&mut said).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Posts, and gives the body of a good answer, if it has one.
    async fn post(&self, path: &str, headers: &str, body: &str) -> io::Result<Value> {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.http).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        match said.split_once("\r\n\r\n") {
            Some((head, "")) if head.starts_with("HTTP/1.1 204") => Ok(Value::Null),
            Some((head, body)) if head.starts_with("HTTP/1.1 200") => {
                Ok(serde_json::from_str(body)?)
            }
            _ => Err(io::Error::other(said)),
        }
    }

    async fn send(&self, kind: Kind, ids: &[String], is_again: bool) -> io::Result<()> {
        let objects = ids.iter().map(|id| json!({ "kill_id": id }).to_string());
        let bearer = format!("Authorization: Bearer {}", self.token);
        match kind {
            Kind::Beats => {
                let (bytes, answer) = beats(objects);
                self.write(&bytes, &answer).await
            }
            Kind::Forward => self.write(&forward(ids), ids[0].as_bytes()).await,
            Kind::Relp => {
                let (bytes, answer) = relp(objects);
                self.write(&bytes, &answer).await
            }
            Kind::Lines => {
                let mut bytes = format!("{{\"auth\":\"{}\",\"ack\":true}}\n", self.token);
                objects.for_each(|object| bytes.push_str(&format!("{object}\n")));
                let answer = format!("{{\"ack\":{BATCH}}}\n");
                self.write(bytes.as_bytes(), answer.as_bytes()).await
            }
            Kind::Bulk => {
                // Clients send again what they have not heard of, in other company.
                let at = if is_again { BATCH / 3 } else { 0 };
                for part in [&ids[..at], &ids[at..]].into_iter().filter(|part| !part.is_empty()) {
                    let said = self.post("/_bulk", &bearer, &bulk(part)).await?;
                    if said["errors"] != false {
                        return Err(io::Error::other(said.to_string()));
                    }
                }
                Ok(())
            }
            Kind::Otlp => {
                let records: Vec<_> =
                    objects.map(|object| json!({"body": {"stringValue": object}})).collect();
                let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
                let headers = format!("{bearer}\r\nContent-Type: application/json");
                self.post("/v1/logs", &headers, &body.to_string()).await.map(drop)
            }
            Kind::Loki => {
                let values: Vec<_> =
                    objects.map(|object| json!(["1766000000000000000", object])).collect();
                let body = json!({"streams": [{"stream": {"app": "kills"}, "values": values}]});
                let headers = format!("{bearer}\r\nContent-Type: application/json");
                self.post("/loki/api/v1/push", &headers, &body.to_string()).await.map(drop)
            }
            Kind::Hec => {
                let body: String =
                    objects.map(|object| format!("{{\"event\":{object}}}")).collect();
                let headers = format!("{bearer}\r\nX-Splunk-Request-Channel: c1");
                let said = self.post("/services/collector", &headers, &body).await?;
                let asked = json!({"acks": [said["ackId"]]}).to_string();
                let said = self.post("/services/collector/ack", &headers, &asked).await?;
                let is_stored = said["acks"]
                    .as_object()
                    .is_some_and(|acks| acks.values().all(|ack| *ack == true));
                if is_stored { Ok(()) } else { Err(io::Error::other(said.to_string())) }
            }
        }
    }
}

/// A window of events, and the answer to it.
fn beats(objects: impl Iterator<Item = String>) -> (Vec<u8>, Vec<u8>) {
    let count = u32::try_from(BATCH).expect("small").to_be_bytes();
    let mut bytes = [&b"2W"[..], &count].concat();
    for (sequence, object) in (1u32..).zip(objects) {
        let length = u32::try_from(object.len()).expect("small").to_be_bytes();
        bytes.extend([&b"2J"[..], &sequence.to_be_bytes(), &length, object.as_bytes()].concat());
    }
    (bytes, [&b"2A"[..], &count].concat())
}

/// Frames of one session, and the answer to the last.
fn relp(objects: impl Iterator<Item = String>) -> (Vec<u8>, Vec<u8>) {
    let offers = "relp_version=0\ncommands=syslog";
    let mut bytes = format!("1 open {} {offers}\n", offers.len());
    for (number, object) in (2..).zip(objects) {
        let text = format!("<14>2026-11-22T04:22:59Z web1 shop: {object}");
        bytes.push_str(&format!("{number} syslog {} {text}\n", text.len()));
    }
    (bytes.into_bytes(), format!("\n{} rsp 6 200 OK\n", BATCH + 1).into_bytes())
}

/// A message with its chunk, named after the first record.
fn forward(ids: &[String]) -> Vec<u8> {
    let short = |text: &str| {
        [&[0xD9, u8::try_from(text.len()).expect("short")][..], text.as_bytes()].concat()
    };
    let mut bytes = [&[0x93][..], &short("kills"), &[0xDC, 0, BATCH as u8]].concat();
    for id in ids {
        bytes.extend(
            [&[0x92, 0xCE, 0x6A, 0, 0, 0, 0x81][..], &short("kill_id"), &short(id)].concat(),
        );
    }
    bytes.extend([&[0x81][..], &short("chunk"), &short(&ids[0])].concat());
    bytes
}

fn bulk(ids: &[String]) -> String {
    let pair = |id: &String| {
        let (action, document) =
            (json!({"index": {"_index": "kills", "_id": id}}), json!({"kill_id": id}));
        format!("{action}\n{document}\n")
    };
    ids.iter().map(pair).collect()
}

/// What a client has heard of: its batches, and whether each had to be sent again.
async fn run(
    kind: Kind,
    mut node: watch::Receiver<Option<Doors>>,
    (stop, heard): (Arc<AtomicBool>, Arc<AtomicUsize>),
) -> (Kind, Vec<bool>) {
    let mut batches = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let ids: Vec<_> = (0..BATCH).map(|n| format!("{kind:?}-{}-{n}", batches.len())).collect();
        let mut is_again = false;
        loop {
            let doors = node.wait_for(Option::is_some).await.expect("the story goes on").clone();
            let doors = doors.expect("it was waited for");
            if matches!(timeout(PATIENCE, doors.send(kind, &ids, is_again)).await, Ok(Ok(()))) {
                break;
            }
            is_again = true;
            pass(PAUSE).await;
        }
        batches.push(is_again);
        heard.fetch_add(1, Ordering::Relaxed);
    }
    (kind, batches)
}

/// How often each record is there.
async fn counts(reader: &Client) -> HashMap<String, usize> {
    let body = json!({ "q": "kill_id:*", "format": "ndjson" });
    let answer = Client::send(reader.request(Method::POST, "/api/v1/export").json(&body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut counts = HashMap::new();
    for line in answer.text.lines() {
        let hit: Value = serde_json::from_str(line).expect("JSON");
        let id = hit["fields"]["kill_id"].as_str().unwrap_or_else(|| panic!("{line}")).to_owned();
        *counts.entry(id).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_of_clients_that_send_again() {
    let listener =
        "[[listeners]]\ntcp = \"127.0.0.1:0\"\nallow = [\"127.0.0.0/8\"]\nsource = \"hosts\"\n";
    let place = Place::new(listener);
    let token = place.token("ingest", "sender");
    let reader_token = place.token("analyst", "reader");
    let (target, seen) = watch::channel(None);
    let (stop, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for kind in KINDS {
        clients.spawn(run(kind, seen.clone(), (Arc::clone(&stop), Arc::clone(&heard))));
    }
    let aim = |node: &crate::harness::node::Node| {
        let http = node.http().trim_start_matches("http://").parse().expect("an address");
        target.send_replace(Some(Doors { http, tcp: node.tcp(), token: token.clone() }));
    };
    for kill in 1..=KILLS {
        let node = place.start().await;
        aim(&node);
        let wanted = heard.load(Ordering::Relaxed) + BATCHES_PER_KILL;
        let is_reached = async || (heard.load(Ordering::Relaxed) >= wanted).then_some(());
        until("batches are heard of", LONG, is_reached).await;
        node.kill9();
        target.send_replace(None);
        println!("kill {kill}: {} batches", heard.load(Ordering::Relaxed));
    }
    let node = place.start().await;
    aim(&node);
    stop.store(true, Ordering::Relaxed);
    let heard = clients.join_all().await;
    node.kill9();

    let node = place.start().await;
    let reader = Client::new(&node, &reader_token);
    let total: usize = heard.iter().map(|(_, batches)| batches.len() * BATCH).sum();
    reader.wait_for("kill_id:*", total as u64).await;
    let counts = counts(&reader).await;
    let mut unheard = 0;
    for (kind, batches) in heard {
        let mut again = 0;
        for (batch, is_again) in batches.iter().enumerate() {
            again += usize::from(*is_again);
            for n in 0..BATCH {
                let count = counts.get(&format!("{kind:?}-{batch}-{n}")).copied().unwrap_or(0);
                assert!(count > 0, "{kind:?}: record {n} of batch {batch} is lost");
                assert!(count == 1, "{kind:?}: batch {batch} is there {count} times");
            }
        }
        unheard += again;
        println!("{kind:?}: {} batches, {again} sent again", batches.len());
    }
    assert!(unheard > 0, "no kill met a batch under way");
}
