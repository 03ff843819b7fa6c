//! Hostile input at every door: afterwards the server is alive, its memory is bounded, and all that was good is stored.
//!
//! The inputs are tables, one per kind of door. A table is worked off to its end; what was answered
//! otherwise than it says is listed then.

mod bodies;
mod queries;
mod records;
mod requests;
mod slow;
mod streams;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;

use reqwest::Method;

use self::records::{Record, Verdict};
use crate::harness::client::Client;
use crate::harness::node::{Node, Place};
use crate::harness::wait::{LONG, until};
use crate::wire::{self, Lines, Then};

/// What one input may add to the memory in use, at its peak (security requirement for bombs).
const GROWTH_BYTES_MAX: u64 = 64 << 20;

/// A node under attack, and what was seen of it.
struct Siege {
    place: Place,
    node: Node,
    token: String,
    client: Client,
    inputs: u64,
    greatest_growth: (u64, &'static str),
    surprises: Vec<String>,
}

impl Siege {
    async fn begin(config: &str) -> Self {
        let place = Place::new(config);
        let token = place.token("admin", "operator");
        let node = place.start().await;
        let client = Client::new(&node, &token);
        Self {
            place,
            node,
            token,
            client,
            inputs: 0,
            greatest_growth: (0, "none"),
            surprises: Vec::new(),
        }
    }

    /// Another token, known to the running node.
    async fn another_token(&self, role: &str) -> String {
        let token = self.place.token(role, role);
        let client = Client::new(&self.node, &token);
        until("the token is known", LONG, async || {
            let answer = client.try_get("/api/v1/session", &[]).await.expect("an answer");
            (answer.status == 200).then_some(())
        })
        .await;
        token
    }

    fn http(&self) -> SocketAddr {
        let address = self.node.http().strip_prefix("http://").expect("plain HTTP");
        address.parse().expect("an address")
    }

    /// Notes what is not as expected.
    fn expect(&mut self, name: &str, is_expected: bool, seen: impl std::fmt::Display) {
        if !is_expected {
            self.surprises.push(format!("{name}: {seen}"));
        }
    }

    /// Before an input: from here on its memory is measured.
    fn memory_before(&self) -> u64 {
        // Linux, proc(5): 5 sets the peak to what is in use.
        fs::write(format!("/proc/{}/clear_refs", self.node.pid()), "5").expect("the peak is reset");
        self.node.rss_bytes()
    }

    /// After an input: another sender is served, and memory is bounded. Everything stored before is
    /// searchable then.
    async fn check(&mut self, name: &'static str, memory_before: u64) {
        let growth = self.peak_bytes().saturating_sub(memory_before);
        if growth > self.greatest_growth.0 {
            self.greatest_growth = (growth, name);
        }
        self.expect(
            name,
            growth <= GROWTH_BYTES_MAX,
            format_args!("{} MiB more in use", growth >> 20),
        );
        let other = self.client.request(Method::POST, "/api/v1/ingest?wait=searchable");
        let answer = Client::send(other.body(format!("{{\"other\":\"{name}\"}}"))).await;
        self.expect(name, answer.status == 200, format_args!("the next sender got {answer:?}"));
        let health = self.client.try_get("/api/v1/health", &[]).await.expect("it is alive");
        self.expect(name, health.status == 200, format_args!("health is {}", health.text));
        self.inputs += 1;
    }

    fn peak_bytes(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.node.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.trim().parse::<u64>().ok()).expect("a number") * 1024
    }

    /// How many dead letters there are of each code.
    async fn dead_letters(&self) -> BTreeMap<String, u64> {
        self.counts_by("lw.code", "dataset:logwarden.deadletter").await
    }

    /// How many events of a query there are of each value of a field.
    async fn counts_by(&self, field: &str, query: &str) -> BTreeMap<String, u64> {
        let query = format!("{query} | stats count() by {field}");
        let table = self.client.get("/api/v1/search", &[("q", &query)]).await;
        let rows = table["rows"].as_array().expect("rows").clone();
        let row = |row: serde_json::Value| {
            let value = row[0].as_str().map_or_else(|| row[0].to_string(), str::to_owned);
            (value, row[1].as_u64().expect("a count"))
        };
        rows.into_iter().map(row).collect()
    }

    /// Everybody else's records are there, and nothing was a surprise.
    async fn end(mut self, kind: &str) {
        self.client.wait_for("other:*", self.inputs).await;
        let others = self.counts_by("other", "other:*").await;
        let inputs = self.inputs;
        let is_whole = others.len() as u64 == inputs && others.values().all(|count| *count == 1);
        self.expect("other senders", is_whole, format_args!("{others:?}"));
        let panics = self.node.log().matches("panicked").count();
        self.expect("panics", panics == 0, panics);
        let (growth, name) = self.greatest_growth;
        println!("{inputs} hostile {kind}: at most {} MiB more in use, at {name}", growth >> 20);
        let surprises = self.surprises.join("\n  ");
        assert!(self.surprises.is_empty(), "not as expected:\n  {surprises}");
        drop(self.place);
    }

    /// Both neighbours of every record are there.
    async fn check_neighbours(&mut self, records: &[Record]) {
        self.client.wait_for("neighbour:*", 2 * records.len() as u64).await;
        let counts = self.counts_by("neighbour", "neighbour:*").await;
        for (number, record) in records.iter().enumerate() {
            let count = counts.get(&format!("n{number}")).copied().unwrap_or_default();
            self.expect(record.name, count == 2, format_args!("{count} of 2 neighbours stored"));
        }
    }
}

/// A record between two good ones.
fn between_neighbours(number: usize, record: &[u8]) -> Vec<u8> {
    let neighbour = format!("{{\"neighbour\":\"n{number}\"}}\n");
    [neighbour.as_bytes(), record, b"\n", neighbour.as_bytes()].concat()
}

#[tokio::test]
async fn hostile_records_over_http_cost_themselves_alone() {
    let mut siege = Siege::begin("").await;
    let records = records::all();
    for (number, record) in records.iter().enumerate() {
        let before = siege.memory_before();
        let answer = siege.client.ingest(between_neighbours(number, &record.bytes)).await;
        let said = if answer.status == 200 { answer.json() } else { answer.text.clone().into() };
        let codes: Vec<_> = said["errors"].as_array().into_iter().flatten().collect();
        let verdict = match (said["accepted"].as_u64(), &codes[..]) {
            (Some(3), []) => "event".to_owned(),
            (Some(2), []) => "nothing".to_owned(),
            (Some(2), [one]) if one["line"] == 2 => {
                one["code"].as_str().unwrap_or_default().to_owned()
            }
            _ => said.to_string().chars().take(300).collect(),
        };
        let expected = match record.verdict {
            Verdict::Event => "event",
            Verdict::DeadLetter(code) => code,
            Verdict::Nothing => "nothing",
        };
        let seen = format_args!("expected {expected}, got {verdict}");
        siege.expect(record.name, verdict == expected, seen);
        siege.check(record.name, before).await;
    }
    siege.check_neighbours(&records).await;
    siege.end("records over HTTP").await;
}

#[tokio::test]
async fn hostile_records_over_tcp_cost_themselves_alone() {
    let mut siege = Siege::begin("").await;
    let records = records::all();
    for (number, record) in records.iter().enumerate() {
        let before = siege.memory_before();
        let dead_before = siege.dead_letters().await;
        let mut lines =
            Lines::open(siege.node.tcp(), &siege.token).await.expect("the door is open");
        let sent = lines.send(&between_neighbours(number, &record.bytes)).await;
        let acked = lines.acked(3).await;
        let is_acked = sent.is_ok() && acked.as_ref().is_ok_and(|acked| *acked == 3);
        siege.expect(record.name, is_acked, format_args!("{sent:?}, {acked:?}"));
        siege.check(record.name, before).await;
        let mut expected = dead_before;
        if let Verdict::DeadLetter(code) = record.verdict {
            *expected.entry(code.to_owned()).or_default() += 1;
        }
        let dead = siege.dead_letters().await;
        let seen = format_args!("expected dead letters {expected:?}, found {dead:?}");
        siege.expect(record.name, dead == expected, seen);
    }
    siege.check_neighbours(&records).await;
    siege.end("records over TCP").await;
}

#[tokio::test]
async fn hostile_bodies_are_refused_whole() {
    let mut siege = Siege::begin("").await;
    for body in bodies::all() {
        let before = siege.memory_before();
        let head = format!(
            "POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Encoding: {}\r\nContent-Length: {}\r\n\r\n",
            siege.token,
            body.encoding,
            body.bytes.len()
        );
        let request = [head.as_bytes(), &body.bytes].concat();
        let reply = wire::exchange(siege.http(), &request, Then::Listen).await;
        let said: serde_json::Value = serde_json::from_str(&reply.body()).unwrap_or_default();
        let code = said["error"]["code"].as_str().unwrap_or_default();
        let refusal = format!("{} {code}", reply.status());
        let seen = format_args!("expected {}, got {refusal} {:.200}", body.refusal, reply.body());
        siege.expect(body.name, refusal == body.refusal, seen);
        siege.check(body.name, before).await;
    }
    siege.end("bodies").await;
}

#[tokio::test]
async fn hostile_requests_are_refused_and_smuggle_nothing() {
    let mut siege = Siege::begin("").await;
    for request in requests::all(&siege.token.clone()) {
        let before = siege.memory_before();
        let reply = wire::exchange(siege.http(), &request.bytes, request.then).await;
        let status = reply.status();
        let seen =
            format_args!("expected {:?}, got {status} {:.300}", request.statuses, reply.text());
        siege.expect(request.name, request.statuses.contains(&status), seen);
        siege.check(request.name, before).await;
    }
    let smuggled = siege.client.count("smuggled").await;
    siege.expect("smuggled requests", smuggled == 0, smuggled);
    siege.end("requests").await;
}

#[tokio::test]
async fn hostile_queries_are_refused_or_answered() {
    let mut siege = Siege::begin("").await;
    for query in queries::all() {
        let before = siege.memory_before();
        let path = format!("/api/v1/{}", query.path);
        let parameters: Vec<_> =
            query.parameters.iter().map(|(key, value)| (*key, value.as_str())).collect();
        // What escapes make too long for a head goes as a body.
        let is_long = parameters.iter().any(|(_, value)| value.len() > 4_000);
        let answer = if is_long && query.path == "search" {
            let body: BTreeMap<_, _> = parameters.into_iter().collect();
            let request = siege.client.request(Method::POST, &path);
            let request = request.header("content-type", "application/json");
            Client::try_send(request.body(serde_json::to_string(&body).expect("text"))).await
        } else {
            siege.client.try_get(&path, &parameters).await
        };
        let answer = answer.expect("an answer");
        let seen = format_args!(
            "expected {:?}, got {} {:.300}",
            query.statuses, answer.status, answer.text
        );
        siege.expect(query.name, query.statuses.contains(&answer.status), seen);
        siege.check(query.name, before).await;
    }
    siege.end("queries").await;
}

#[tokio::test]
async fn hostile_streams_cost_themselves_alone() {
    let config = "[[listeners]]\nkind = \"auto\"\nallow = [\"127.0.0.0/8\"]\nsource = \"hosts\"\n";
    let mut siege = Siege::begin(config).await;
    let mut dead_before = 0;
    for (number, stream) in streams::all().into_iter().enumerate() {
        let before = siege.memory_before();
        let word = format!("st{number:04}");
        let bytes = replace(&stream.bytes, streams::WORD.as_bytes(), word.as_bytes());
        wire::exchange(siege.node.tcp(), &bytes, stream.then).await;
        siege.check(stream.name, before).await;
        let dead: u64 = siege.dead_letters().await.values().sum();
        let found = (siege.client.count(&word).await, dead - dead_before);
        let expected = (stream.events, stream.dead_letters);
        let seen = format_args!("expected {expected:?} events and dead letters, found {found:?}");
        siege.expect(stream.name, found == expected, seen);
        dead_before = dead;
    }
    siege.end("streams").await;
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "counts would no longer be right");
    let mut replaced = bytes.to_vec();
    let mut at = 0;
    while let Some(offset) = replaced[at..].windows(from.len()).position(|window| window == from) {
        replaced[at + offset..at + offset + to.len()].copy_from_slice(to);
        at += offset + to.len();
    }
    replaced
}

#[tokio::test]
async fn strangers_at_the_tcp_door_store_nothing() {
    let mut siege = Siege::begin("").await;
    let reader = siege.another_token("reader").await;
    let line = "{\"message\":\"stranger\"}\n";
    let inputs: Vec<(&str, String)> = vec![
        ("no token", line.to_owned()),
        ("a token nobody has", format!("{{\"auth\":\"lw_nobody\",\"ack\":true}}\n{line}")),
        ("a token of a reader", format!("{{\"auth\":\"{reader}\",\"ack\":true}}\n{line}")),
        ("a token that is a number", format!("{{\"auth\":1}}\n{line}")),
        ("a token of 3 MiB", format!("{{\"auth\":\"{}\"}}\n{line}", "x".repeat(3 << 20))),
        ("a first line without an end", "{".repeat(100_000)),
        ("100,000 empty lines first", format!("{}{line}", "\n".repeat(100_000))),
        ("syslog", "<13>app stranger\n".to_owned()),
        ("an acknowledgement without a token", format!("{{\"ack\":true}}\n{line}")),
    ];
    for (name, bytes) in inputs {
        let before = siege.memory_before();
        let reply = wire::exchange(siege.node.tcp(), bytes.as_bytes(), Then::Listen).await;
        let is_refused = !reply.text().contains("{\"ack\"");
        siege.expect(name, is_refused, format_args!("{:.200}", reply.text()));
        siege.check(name, before).await;
    }
    let stored = siege.client.count("stranger").await;
    siege.expect("strangers", stored == 0, stored);
    let dead = siege.client.count("dataset:logwarden.deadletter").await;
    siege.expect("dead letters of strangers", dead == 0, dead);
    siege.end("strangers").await;
}
