//! What an administrator asks of a running node: to stop, and to read its files again.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::certificates::make_certificates;
use crate::harness::client::Client;
use crate::harness::node::{Node, Place};
use crate::harness::wait::{LONG, pass, until};
use crate::load::Load;
use crate::programs;

/// How long it may take records before it is asked to stop.
const LOAD_SPAN: Duration = Duration::from_millis(800);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_stop_under_load_it_loses_nothing() {
    let place = Place::new("");
    let sender = place.token("ingest", "load");
    let reader = place.token("reader", "desk");
    let node = place.start().await;
    let load = Load::start(Client::new(&node, &sender));
    let stream = tokio::spawn(stream_until_the_end(node.tcp(), sender.clone()));
    pass(LOAD_SPAN).await;
    assert_eq!(node.stop().await, Some(0), "it did not stop in order");
    let acknowledged = stream.await.expect("the stream ended");
    assert!(acknowledged > 0, "nothing was acknowledged over TCP");

    let node = place.start().await;
    load.moves_to(Client::new(&node, &sender));
    let desk = Client::new(&node, &reader);
    let batches = load.finish(&desk).await;
    // What was durable but not acknowledged any more may be there as well, once.
    desk.wait_for("run:stream", acknowledged).await;
    let counts = crate::load::counts(&desk, "run:stream").await;
    assert!(counts.values().all(|count| *count == 1), "a line is there twice");
    let numbers: BTreeSet<u64> = counts.into_keys().map(|(_, number)| number).collect();
    let missing: Vec<u64> = (0..acknowledged).filter(|number| !numbers.contains(number)).collect();
    assert!(missing.is_empty(), "acknowledged lines are missing: {missing:?}");
    println!("{batches} batches over HTTP and {acknowledged} lines over TCP, all there once");
}

/// Sends lines until the node closes the connection; gives how many it acknowledged.
async fn stream_until_the_end(to: SocketAddr, token: String) -> u64 {
    let (reading, mut writing) = TcpStream::connect(to).await.expect("it listens").into_split();
    let writer = tokio::spawn(async move {
        let auth = json!({ "auth": token, "ack": true });
        let mut text = format!("{auth}\n");
        let mut number = 0;
        while writing.write_all(text.as_bytes()).await.is_ok() {
            text = json!({ "run": "stream", "batch": 0, "number": number }).to_string() + "\n";
            number += 1;
        }
    });
    let mut lines = BufReader::new(reading).lines();
    let mut acknowledged = 0;
    while let Ok(Some(line)) = lines.next_line().await {
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        acknowledged =
            answer["ack"].as_u64().unwrap_or_else(|| panic!("no acknowledgement: {line}"));
    }
    writer.await.expect("the writer ends when the connection does");
    acknowledged
}

/// A rule that opens an alert at this word.
fn rule(name: &str, word: &str) -> String {
    format!(
        "title: Canary {name}\nid: {name}\nlogsource: {{}}\ndetection:\n  word:\n    message|contains: {word}\n  condition: word\nlevel: high\n"
    )
}

#[tokio::test]
async fn on_a_hangup_it_reads_rules_and_configuration_again() {
    let place = Place::new("");
    let sender = place.token("ingest", "canary");
    let reader = place.token("admin", "desk");
    let node = place.start().await;
    let (sender, desk) = (Client::new(&node, &sender), Client::new(&node, &reader));

    fs::create_dir(place.file("rules")).expect("a folder");
    fs::write(place.file("rules/one.yml"), rule("one", "canarybird")).expect("a rule");
    place.configure("public_url = \"https://logs.example\"\n[rules]\ndirs = [\"rules\"]\n");
    hang_up(&node, "notifiers and routes reloaded").await;
    assert_eq!(desk.get("/api/v1/config", &[]).await["public_url"], "https://logs.example");
    opens_an_alert(&sender, &desk, "one", "canarybird").await;

    // A file with a mistake changes nothing, and the log says which.
    place.configure("[rules]\ndirs = [\"rules\"]\nnonsense = 1\n");
    hang_up(&node, "configuration was not reloaded").await;
    assert!(node.log().contains("nonsense"), "the mistake is not named");
    assert_eq!(desk.get("/api/v1/config", &[]).await["public_url"], "https://logs.example");

    // Rules alone are in force without being asked for.
    fs::write(place.file("rules/two.yml"), rule("two", "songbird")).expect("a rule");
    until("the new file is seen", LONG, async || {
        let rules = desk.get("/api/v1/rules", &[]).await;
        let items = rules["items"].as_array().expect("items").clone();
        items.iter().any(|rule| rule["id"] == "two").then_some(())
    })
    .await;
    opens_an_alert(&sender, &desk, "two", "songbird").await;
    assert_eq!(node.stop().await, Some(0));
}

#[tokio::test]
async fn on_a_hangup_it_shows_the_new_certificate() {
    if !programs::has("a new certificate", &["openssl"]) {
        return;
    }
    let place = Place::new("[http]\ntls = { cert = \"server.pem\", key = \"server.key\" }\n");
    make_certificates(place.root());
    let node = place.start().await;
    assert!(node.http().starts_with("https://"), "{}", node.http());
    fs::copy(place.file("ca.pem"), place.file("old.pem")).expect("copied");
    assert!(is_signed_by(&node, &place.file("old.pem")), "not the certificate of the file");

    make_certificates(place.root());
    hang_up(&node, "notifiers and routes reloaded").await;
    assert!(is_signed_by(&node, &place.file("ca.pem")), "not the new certificate");
    assert!(!is_signed_by(&node, &place.file("old.pem")), "any certificate is good");

    // One that cannot be read leaves the last good one in force.
    fs::write(place.file("server.pem"), "no certificate").expect("written");
    hang_up(&node, "certificate was not reloaded").await;
    assert!(is_signed_by(&node, &place.file("ca.pem")), "no certificate any more");
}

/// Whether a stranger who trusts this authority alone gets a connection over TLS.
fn is_signed_by(node: &Node, authority: &Path) -> bool {
    let address = node.http().trim_start_matches("https://");
    let mut command = Command::new(programs::find("openssl").expect("it is there"));
    command
        .args(["s_client", "-verify_return_error", "-no-CApath", "-no-CAstore", "-connect"])
        .arg(address)
        .arg("-CAfile")
        .arg(authority)
        .stdin(Stdio::null());
    command.output().expect("openssl runs").status.success()
}

/// Sends the signal and waits until the log says what came of it.
async fn hang_up(node: &Node, outcome: &str) {
    let before = node.log().matches(outcome).count();
    node.signal(Signal::HUP);
    until(outcome, LONG, async || (node.log().matches(outcome).count() > before).then_some(()))
        .await;
}

async fn opens_an_alert(sender: &Client, desk: &Client, rule: &str, word: &str) {
    let answer = sender.ingest(json!({ "message": format!("a {word} sings") }).to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let what = format!("an alert of rule {rule}");
    until(&what, LONG, async || {
        let list = desk.get("/api/v1/alerts", &[("rule", rule)]).await;
        (list["items"].as_array().map(Vec::len) == Some(1)).then_some(())
    })
    .await;
}
