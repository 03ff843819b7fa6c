//! Sources: one that floods slows nobody else, and what was refused can be tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, until};

/// What another source may wait for an answer while one floods (R29), in a debug build on a machine
/// that does much else.
const ANSWER_MAX: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_floods_slows_no_other() {
    let place = Place::new(
        "[[sources]]\nname = \"flood\"\nevents_per_sec_max = 500\nbytes_per_sec_max = 100000\n",
    );
    let flood = place.token("ingest", "flood");
    let shop = place.token("ingest", "shop");
    let reader = place.token("reader", "desk");
    let node = place.start().await;
    let is_over = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let (client, is_over) = (Client::new(&node, &flood), Arc::clone(&is_over));
            tokio::spawn(async move {
                let body = "{\"flood\":1}\n".repeat(2_000);
                let (mut taken, mut refused) = (0u32, 0u32);
                while !is_over.load(Ordering::Relaxed) {
                    match client.ingest(body.clone()).await.status {
                        200 => taken += 1,
                        429 => refused += 1,
                        status => panic!("{status}"),
                    }
                }
                (taken, refused)
            })
        })
        .collect();
    let (client, mut slowest, began) = (Client::new(&node, &shop), Duration::ZERO, Instant::now());
    for number in 0..60 {
        let asked = Instant::now();
        let answer = client.ingest(json!({ "order": number }).to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        slowest = slowest.max(asked.elapsed());
    }
    let took = began.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let (mut taken, mut refused) = (0, 0);
    for sender in senders {
        let (more_taken, more_refused) = sender.await.expect("it ended well");
        (taken, refused) = (taken + more_taken, refused + more_refused);
    }
    println!(
        "60 batches beside a flood in {took:?}, the slowest {slowest:?}; of the flood {taken} taken, {refused} refused"
    );
    assert!(slowest < ANSWER_MAX, "{slowest:?}");
    assert!(refused > 0, "nothing of the flood was refused");
    let desk = Client::new(&node, &reader);
    desk.wait_for("order:*", 60).await;
    let source = desk.get("/api/v1/sources/flood", &[]).await;
    assert!(source["health"]["quota"]["refused"].as_u64() >= Some(1), "{source}");
    assert_eq!(source["health"]["state"], "active");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_listed_shown_and_replayed_once() {
    let place = Place::new("");
    let sender = place.token("ingest", "shop");
    let admin = place.token("admin", "boss");
    std::fs::write(place.file("token"), &admin).expect("written");
    let node = place.start().await;
    // A stream that ends inside a line: what came of it happens to be whole.
    let mut stream = TcpStream::connect(node.tcp()).await.expect("connected");
    let text = format!("{{\"auth\":\"{sender}\"}}\n{{\"a\":1}}\n{{\"order\":7}}");
    stream.write_all(text.as_bytes()).await.expect("written");
    stream.shutdown().await.expect("shut down");
    let desk = Client::new(&node, &admin);
    let letter = until("the letter", LONG, async || {
        let list = desk.get("/api/v1/deadletters", &[("source", "shop")]).await;
        list["items"].get(0).cloned()
    })
    .await;
    assert_eq!(letter["fields"]["lw.code"], "truncated", "{letter}");

    let ask = |arguments: &[&str]| {
        let mut command = place.command(&["--log", "error", "deadletters"]);
        command.args(arguments).args(["--url", node.http(), "--token-file", "token"]);
        let output = command.output().expect("the binary starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let listed = ask(&["list", "--code", "truncated"]);
    assert!(listed.contains("shop  truncated: ") && listed.lines().count() == 1, "{listed}");
    let shown = ask(&["show", letter["id"].as_str().expect("an id")]);
    assert!(shown.contains("\\\"order\\\":7"), "{shown}");
    let first = ask(&["replay", "--source", "shop"]);
    assert!(first.contains("letters 1, replayed 1, events 1"), "{first}");
    let second = ask(&["replay"]);
    assert!(second.contains("replayed 0, events 0, replayed_before 1"), "{second}");
    desk.wait_for("order:7", 1).await;
    assert_eq!(desk.count("lw.source:shop AND order:7").await, 1);
    assert!(ask(&["list"]).contains("(replayed)"));
}
