//! The power goes: the file system under the running server is shut down, mounted again, reckoned with.

use reqwest::Method;

use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, until};
use crate::load::{Load, SMALL_PIECES, splits};
use crate::volume::{Cut, Volume};

const VOLUME_MIB: u64 = 512;
const CUTS: [Cut; 5] = [Cut::AtOnce, Cut::AfterLog, Cut::AtOnce, Cut::AfterSync, Cut::AtOnce];
/// Acknowledged between two cuts, at least.
const ACKED_MIN: usize = 500;
/// Batches sent to a server whose disk is gone.
const ATTEMPTS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_under_load_lose_nothing_and_store_nothing_twice() {
    let place = Place::new(SMALL_PIECES);
    let Some(mut volume) = Volume::ext4(&place.data_dir(), VOLUME_MIB) else { return };
    let token = place.token("ingest", "load");
    let reader_token = place.token("analyst", "reader");
    let mut load = Load::start(&token, 3, 2);
    for (number, cut) in CUTS.into_iter().enumerate() {
        let before = load.acked();
        let node = place.start().await;
        load.aim_at(&node);
        let reader = Client::new(&node, &reader_token);
        reader.wait_for("load.id:*", before as u64).await;
        let wanted = before + ACKED_MIN;
        until("the load goes on", LONG, async || (load.acked() >= wanted).then_some(())).await;
        volume.cut_power(cut);
        // Whoever is still connected must not be told that anything is durable.
        let refused = load.counts().refused;
        let is_refused = async || (load.counts().refused > refused).then_some(());
        until("a batch is refused", LONG, is_refused).await;
        node.kill9();
        load.aim_at_nothing();
        volume.restore_power();
        println!("cut {}, {cut:?}: {} acked", number + 1, load.acked());
    }
    let node = place.start().await;
    load.aim_at(&node);
    load.finish().await;
    let reader = Client::new(&node, &reader_token);
    reader.wait_for("load.id:*", load.acked() as u64).await;
    let found = load.reckon(&reader).await;
    let splits = splits(&reader).await;
    println!("{} power cuts: {found:?} {:?}, {splits} splits", CUTS.len(), load.counts());
    found.assert_sound();
    assert!(splits > 0, "no cut met an index at work");
    drop(node);
}

#[tokio::test]
async fn senders_to_a_disk_that_is_gone_are_told_so_by_a_server_that_stays() {
    let place = Place::new("");
    let Some(volume) = Volume::ext4(&place.data_dir(), VOLUME_MIB) else { return };
    let token = place.token("admin", "operator");
    let node = place.start().await;
    let client = Client::new(&node, &token);
    assert_eq!(client.ingest("{\"message\":\"before\"}").await.status, 200);
    client.wait_for("before", 1).await;
    volume.cut_power(Cut::AtOnce);
    let mut codes = std::collections::BTreeMap::new();
    for number in 0..ATTEMPTS {
        let request = client.request(Method::POST, "/api/v1/ingest");
        let answer =
            Client::send(request.body(format!("{{\"message\":\"after {number}\"}}"))).await;
        assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
        *codes.entry(answer.refusal()).or_insert(0) += 1;
        let health = client.try_get("/api/v1/health", &[]).await.expect("an answer");
        assert_eq!((health.status, &health.json()["status"]), (503, &"journal_failed".into()));
    }
    let found = client.try_get("/api/v1/search", &[("q", "before")]).await.expect("an answer");
    println!("a disk that is gone: {codes:?}, a search answers {}", found.status);
    assert_eq!(found.status, 200, "{}", found.text);
    assert!(codes.keys().all(|code| code.starts_with("503 ")), "{codes:?}");
    // A file system that is gone cannot be unmounted while somebody has files open there.
    node.kill9();
}
