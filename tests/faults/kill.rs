//! SIGKILL at any moment: what was acknowledged is there once, before the kill and after it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::Method;

use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, pass, until};
use crate::load::{Load, SMALL_PIECES, splits};
use crate::wire::{self, Then};

const CYCLES: usize = 20;
/// One of so many starts is killed too.
const STARTS_PER_KILL: u64 = 3;

/// A number below `bound`, of chance.
fn chance(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    u64::from_le_bytes(bytes) % bound
}

/// Starts a node and kills it at some moment of its recovery, or soon after.
async fn kill_while_starting(place: &Place) {
    let config = place.file("logwarden.toml");
    let mut command = place.command(&["serve", "--http", "127.0.0.1:0", "--tcp", "127.0.0.1:0"]);
    command.arg("--config").arg(config).arg("--data-dir").arg(place.data_dir());
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
    pass(Duration::from_millis(chance(300))).await;
    child.kill().expect("it is killed");
    child.wait().expect("it ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_nothing_and_store_nothing_twice() {
    let place = Place::new(SMALL_PIECES);
    let token = place.token("ingest", "load");
    let reader_token = place.token("analyst", "reader");
    let mut load = Load::start(&token, 3, 2);
    let mut slowest = Duration::ZERO;
    for cycle in 1..=CYCLES {
        let before = load.acked();
        if chance(STARTS_PER_KILL) == 0 {
            kill_while_starting(&place).await;
        }
        let node = place.start().await;
        let reader = Client::new(&node, &reader_token);
        // What was acknowledged before the kill is found after it, while new events come.
        load.aim_at(&node);
        reader.wait_for("load.id:*", before as u64).await;
        let wanted = before + 100 + usize::try_from(chance(300)).expect("small");
        until("the load goes on", LONG, async || (load.acked() >= wanted).then_some(())).await;
        // And what was acknowledged since is found before the next one.
        let began = Instant::now();
        reader.wait_for(&format!("load.id:{}", load.newest_acked()), 1).await;
        slowest = slowest.max(began.elapsed());
        pass(Duration::from_millis(chance(100))).await;
        node.kill9();
        load.aim_at_nothing();
        println!("kill {cycle}: {} acked", load.acked());
    }
    let node = place.start().await;
    load.aim_at(&node);
    load.finish().await;
    node.kill9();

    let node = place.start().await;
    let reader = Client::new(&node, &reader_token);
    reader.wait_for("load.id:*", load.acked() as u64).await;
    let found = load.reckon(&reader).await;
    let counts = load.counts();
    let splits = splits(&reader).await;
    println!(
        "{} kills: {found:?} {counts:?}, {splits} splits, at most {slowest:?} from acked to found",
        CYCLES + 1
    );
    assert_eq!(reader.count("load.id:*").await, found.found as u64, "search and export differ");
    found.assert_sound();
    assert!(counts.unknown > 0, "no kill met a batch under way: {counts:?}");
    assert!(splits > 0, "no kill met an index at work");
}

#[tokio::test]
async fn a_batch_of_unknown_outcome_is_stored_once_when_it_is_sent_again() {
    let place = Place::new("");
    let token = place.token("ingest", "sender");
    let reader_token = place.token("analyst", "reader");
    let rounds = 5;
    for round in 0..rounds {
        let body = format!("{{\"round\":{round},\"n\":1}}\n{{\"round\":{round},\"n\":2}}\n");
        let key = format!("round-{round}");
        let node = place.start().await;
        let address =
            node.http().strip_prefix("http://").expect("plain").parse().expect("an address");
        // The connection ends before the answer, the process soon after.
        let request = format!(
            "POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let sending = tokio::time::timeout(
            Duration::from_millis(chance(20)),
            wire::exchange(address, request.as_bytes(), Then::Listen),
        );
        let was_answered = sending.await.is_ok();
        node.kill9();

        let node = place.start().await;
        let sender = Client::new(&node, &token);
        let again = sender.request(Method::POST, "/api/v1/ingest");
        let again = Client::send(again.header("idempotency-key", &key).body(body.clone())).await;
        assert_eq!(again.status, 200, "{}", again.text);
        let is_duplicate = again.json()["duplicate"] == true;
        assert!(is_duplicate || !was_answered, "acknowledged and forgotten: {}", again.text);
        println!("round {round}: answered {was_answered}, stored before the kill {is_duplicate}");
        let reader = Client::new(&node, &reader_token);
        reader.wait_for("n:*", 2 * (round + 1)).await;
        assert_eq!(reader.count(&format!("round:{round}")).await, 2);
        let other = sender.request(Method::POST, "/api/v1/ingest");
        let other = other.header("idempotency-key", &key).body("{\"another\":\"body\"}");
        assert_eq!(Client::send(other).await.refusal(), "422 key_conflict");
    }
}
