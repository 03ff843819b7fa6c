//! Inputs that fetch: files that are rotated and a NATS stream, with kills in between; each record once.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::harness::client::Client;
use crate::harness::node::{Node, Place};
use crate::harness::wait::{LONG, until};
use crate::programs::{Running, find};

/// Lines or messages of one round.
const ROUND: usize = 3_000;
const ROUNDS: usize = 3;

/// Waits until the node has taken something of the present round.
async fn under_way(node: &Node, reader: &str, before: usize) {
    let desk = Client::new(node, reader);
    until("a part of the round", LONG, async || {
        (desk.count("n:*").await > before as u64).then_some(())
    })
    .await;
}

/// Everything of all rounds is there, and nothing twice.
async fn all_there_once(node: &Node, reader: &str, total: usize) {
    let desk = Client::new(node, reader);
    desk.wait_for("n:*", total as u64).await;
    let found =
        desk.get("/api/v1/search", &[("q", "n:* | stats count(), count_distinct(n)")]).await;
    assert_eq!(found["rows"][0], json!([total, total]), "{found}");
}

/// The input as `status` shows it.
async fn input(node: &Node, reader: &str) -> Value {
    Client::new(node, reader).get("/api/v1/health", &[]).await["details"]["inputs"][0].clone()
}

fn append(path: &Path, numbers: std::ops::Range<usize>) {
    let file = File::options().create(true).append(true).open(path);
    let lines: String = numbers.map(|number| json!({ "n": number }).to_string() + "\n").collect();
    file.expect("opened").write_all(lines.as_bytes()).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_read_once_through_rotation_and_kills() {
    let place = Place::new(
        "[[inputs]]\nname = \"app\"\nkind = \"file\"\npath = \"logs/app.log\"\nsource = \"shop\"\n",
    );
    fs::create_dir(place.file("logs")).expect("a folder");
    let log = place.file("logs/app.log");
    let reader = place.token("reader", "desk");
    let mut node = place.start().await;
    for round in 0..ROUNDS {
        let begin = round * ROUND;
        append(&log, begin..begin + ROUND / 2);
        under_way(&node, &reader, begin).await;
        append(&log, begin + ROUND / 2..begin + ROUND - 100);
        node.kill9();
        // Rotated while nobody looked, and written to after that.
        fs::rename(&log, place.file(&format!("logs/app.log.{round}"))).expect("renamed");
        append(
            &place.file(&format!("logs/app.log.{round}")),
            begin + ROUND - 100..begin + ROUND - 50,
        );
        append(&log, begin + ROUND - 50..begin + ROUND);
        node = place.start().await;
        all_there_once(&node, &reader, begin + ROUND).await;
    }
    let desk = Client::new(&node, &reader);
    assert_eq!(desk.count("lw.source:shop AND log.file.path:*").await, (ROUNDS * ROUND) as u64);
    let shown = input(&node, &reader).await;
    assert_eq!((&shown["name"], &shown["problem"]), (&json!("app"), &json!("")), "{shown}");
    assert_eq!(node.stop().await, Some(0));
}

/// A NATS server with JetStream, its files in a folder of the test.
struct Nats {
    server: Running,
    address: SocketAddr,
}

impl Nats {
    async fn start(folder: &Path, port: Option<u16>) -> Self {
        let port = port.map_or("-1".to_owned(), |port| port.to_string());
        let ports = folder.join("ports");
        let _ = fs::remove_dir_all(&ports);
        fs::create_dir(&ports).expect("a folder");
        let mut command = Command::new(find("nats-server").expect("it was looked for"));
        command.args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"]).arg(folder.join("jetstream"));
        command.arg("--ports_file_dir").arg(&ports);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Running(command.spawn().expect("it starts"));
        let address = until("nats-server says where it listens", LONG, async || {
            let file = fs::read_dir(&ports).ok()?.next()?.ok()?;
            let said: Value = serde_json::from_slice(&fs::read(file.path()).ok()?).ok()?;
            said["nats"][0].as_str()?.strip_prefix("nats://")?.parse().ok()
        })
        .await;
        Self { server, address }
    }

    /// Publishes messages, and returns when the stream has them.
    async fn publish(&self, numbers: std::ops::Range<usize>) {
        let count = numbers.len();
        let mut out = "SUB answers 1\r\n".to_owned();
        for number in numbers {
            let body = json!({ "n": number }).to_string();
            out.push_str(&format!("PUB logs.shop answers {}\r\n{body}\r\n", body.len()));
        }
        self.speak(&out, count).await;
    }

    async fn make_stream(&self) {
        let body = json!({ "name": "LOGS", "subjects": ["logs.>"], "storage": "file" }).to_string();
        let create = format!("PUB $JS.API.STREAM.CREATE.LOGS answers {}\r\n{body}\r\n", body.len());
        self.speak(&format!("SUB answers 1\r\n{create}"), 1).await;
    }

    /// Says something and waits for so many answers.
    async fn speak(&self, text: &str, answers: usize) {
        let stream = TcpStream::connect(self.address).await.expect("connected");
        let (read, mut write) = stream.into_split();
        write.write_all(b"CONNECT {\"verbose\":false}\r\n").await.expect("written");
        let mut lines = BufReader::new(read).lines();
        let text = text.to_owned();
        let writing = tokio::spawn(async move {
            write.write_all(text.as_bytes()).await.expect("written");
            write
        });
        let mut seen = 0;
        while seen < answers {
            let line = lines.next_line().await.expect("read").expect("the server is there");
            assert!(!line.contains("\"error\"") && !line.starts_with("-ERR"), "{line}");
            seen += usize::from(line.starts_with("MSG "));
        }
        drop(writing.await.expect("written"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_stream_is_read_once_through_kills_on_both_sides() {
    if find("nats-server").is_none() {
        println!("NOT TRIED: NATS: scripts/test-tools.sh installs nats-server");
        return;
    }
    let place = Place::new("");
    let mut nats = Nats::start(place.root(), None).await;
    nats.make_stream().await;
    place.configure(&format!(
        "[[inputs]]\nname = \"queue\"\nkind = \"nats\"\nurl = \"nats://{}\"\nstream = \"LOGS\"\n\
         subject = \"logs.>\"\nsource = \"shop\"\n",
        nats.address
    ));
    let reader = place.token("reader", "desk");
    let mut node = place.start().await;
    for round in 0..ROUNDS {
        let begin = round * ROUND;
        nats.publish(begin..begin + ROUND / 2).await;
        under_way(&node, &reader, begin).await;
        nats.publish(begin + ROUND / 2..begin + ROUND).await;
        if round % 2 == 0 {
            node.kill9();
            node = place.start().await;
        } else {
            let port = nats.address.port();
            drop(nats.server);
            nats = Nats::start(place.root(), Some(port)).await;
        }
        all_there_once(&node, &reader, begin + ROUND).await;
    }
    let desk = Client::new(&node, &reader);
    let subjects = desk.count("lw.source:shop AND nats.subject:\"logs.shop\"").await;
    assert_eq!(subjects, (ROUNDS * ROUND) as u64);
    let shown = input(&node, &reader).await;
    assert_eq!((&shown["kind"], &shown["problem"]), (&json!("nats"), &json!("")), "{shown}");
    assert!(
        shown["restarts"].as_u64() >= Some(1) || shown["records"].as_u64() > Some(0),
        "{shown}"
    );
    assert_eq!(node.stop().await, Some(0));
}
