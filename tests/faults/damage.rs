//! A damaged journal: what can be read is there, what is lost is said, what was never acknowledged is not missed.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::harness::client::Client;
use crate::harness::node::Place;

const BATCHES: u64 = 30;
const BATCH: u64 = 10;
/// Of a group that the power cut off: not even its first record.
const TORN_BYTES: usize = 100;
/// The journal writes whole blocks.
const BLOCK_BYTES: u64 = 4_096;

/// Starts a node, sends batches one after the other, each one group of the journal, and stops it.
async fn fill(place: &Place) {
    let token = place.token("ingest", "sender");
    let node = place.start().await;
    let sender = Client::new(&node, &token);
    for batch in 0..BATCHES {
        let line = |n| format!("{{\"batch\":{batch},\"n\":{n},\"mark\":\"batch-{batch:03}\"}}\n");
        let answer = sender.ingest((0..BATCH).map(line).collect::<String>()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    assert_eq!(node.stop().await, Some(0));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// Flips one bit of the journal where `mark` stands for the first time.
fn flip_bit(place: &Place, mark: &[u8]) {
    for path in files(&place.data_dir().join("wal")) {
        let mut bytes = fs::read(&path).expect("a segment");
        if let Some(at) = bytes.windows(mark.len()).position(|window| window == mark) {
            bytes[at] ^= 0b100;
            fs::write(&path, bytes).expect("the segment is written");
            return;
        }
    }
    panic!("the mark is in no segment");
}

#[tokio::test]
async fn a_flipped_bit_costs_its_batch_alone_and_is_told() {
    let place = Place::new("");
    fill(&place).await;
    flip_bit(&place, b"batch-015");
    let token = place.token("admin", "operator");
    for start in ["first", "second"] {
        let node = place.start().await;
        let admin = Client::new(&node, &token);
        admin.wait_for("batch:*", (BATCHES - 1) * BATCH).await;
        assert_eq!(admin.count("batch:*").await, (BATCHES - 1) * BATCH, "{start}");
        assert_eq!(admin.count("mark:batch-015").await, 0, "{start}");
        let health = admin.try_get("/api/v1/health", &[]).await.expect("an answer");
        assert_eq!((health.status, &health.json()["status"]), (503, &"degraded".into()), "{start}");
        let gap = "dataset:logwarden.audit AND event.action:journal_gap";
        admin.wait_for(gap, 1).await;
        assert_eq!(admin.count(gap).await, 1, "{start}: told once");
        let lost = &admin.search(gap, 1).await["hits"][0]["fields"];
        let (first, last) = (&lost["lw.gap.seq_first"], &lost["lw.gap.seq_last"]);
        let records = last.as_u64().zip(first.as_u64()).map(|(last, first)| last + 1 - first);
        assert_eq!(records, Some(BATCH), "{start}: {lost}");
        let quarantined = files(&place.data_dir().join("quarantine"));
        assert_eq!(quarantined.len(), 1, "{start}: {quarantined:?}");
        println!(
            "{start} start with a flipped bit: records {first} to {last} lost, {quarantined:?}"
        );
        let after = format!("{{\"after\":\"{start}\"}}");
        assert_eq!(
            admin.ingest(after).await.status,
            200,
            "{start}: damage of the past refuses nothing"
        );
        assert_eq!(node.stop().await, Some(0));
    }
    let node = place.start().await;
    let admin = Client::new(&node, &token);
    let alerts = admin.get("/api/v1/alerts", &[]).await;
    let alerts = alerts["items"].as_array().expect("a list");
    let told = alerts.iter().filter(|alert| alert["rule"]["name"] == "journal_gap").count();
    assert_eq!(told, 1, "{alerts:?}");
    let acknowledge = "/api/v1/health/acknowledge-damage";
    let answer = Client::send(admin.request(reqwest::Method::POST, acknowledge)).await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &"ready".into()));
    assert_eq!(node.stop().await, Some(0));
    let node = place.start().await;
    let health = admin.at(&node).try_get("/api/v1/health", &[]).await.expect("an answer");
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &"ready".into()),
        "{}",
        health.text
    );
    assert_eq!(node.stop().await, Some(0));
}

#[tokio::test]
async fn a_torn_tail_is_cut_without_a_word() {
    let place = Place::new("");
    fill(&place).await;
    let segments = files(&place.data_dir().join("wal"));
    let newest = segments.last().expect("a segment");
    let bytes = fs::read(newest).expect("the segment");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("it holds groups") as u64 + 1;
    let end = end.next_multiple_of(BLOCK_BYTES);
    // As if the power had gone while another such group was written.
    let block = usize::try_from(end - BLOCK_BYTES).expect("a small file");
    let file = fs::File::options().write(true).open(newest).expect("the segment");
    file.write_all_at(&bytes[block..block + TORN_BYTES], end).expect("written");

    let token = place.token("admin", "operator");
    let node = place.start().await;
    let admin = Client::new(&node, &token);
    admin.wait_for("batch:*", BATCHES * BATCH).await;
    assert_eq!(admin.count("batch:*").await, BATCHES * BATCH);
    let health = admin.try_get("/api/v1/health", &[]).await.expect("an answer");
    assert_eq!((health.status, &health.json()["status"]), (200, &"ready".into()));
    assert!(files(&place.data_dir().join("quarantine")).is_empty());
    assert!(node.log().contains("torn"), "{}", node.log());
}
