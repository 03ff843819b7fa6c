//! A disk that fills up to the last byte: nothing acknowledged is lost, everything but taking goes on, and it heals by itself.

use reqwest::Method;

use crate::harness::client::{Answer, Client};
use crate::harness::node::Place;
use crate::harness::wait::{LONG, until};
use crate::hook::{Call, Manner, Receiver};
use crate::load::Load;
use crate::receivers::attack;
use crate::volume::Volume;

const VOLUME_MIB: u64 = 96;
/// What somebody else has on the volume from the beginning.
const FOREIGN_BYTES: u64 = 16 << 20;
/// Batches that would fill any such volume.
const BATCHES_MAX: usize = 200;
/// What takes the last byte while the server is down, once for each time it is killed.
const FILLERS_AFTER_KILLS: [&str; 3] = ["filler-1", "filler-2", "filler-3"];
/// Records of a large batch, and bytes of one.
const LARGE: (usize, usize) = (64, 8 << 10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_ext4_loses_nothing_and_heals() {
    let place = Place::new("");
    let Some(volume) = Volume::ext4(&place.data_dir(), VOLUME_MIB) else { return };
    fill_and_free(&place, &volume).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_tmpfs_loses_nothing_and_heals() {
    let place = Place::new("");
    let Some(volume) = Volume::tmpfs(&place.data_dir(), VOLUME_MIB) else { return };
    fill_and_free(&place, &volume).await;
}

async fn fill_and_free(place: &Place, volume: &Volume) {
    let receiver = Receiver::start(Manner::Status(500)).await;
    place.configure(&receiver.notifier("pager", place.root(), "s3cret"));
    let token = place.token("admin", "operator");
    let node = place.start().await;
    let client = Client::new(&node, &token);
    let mut load = Load::start(&token, 2, 1);
    load.aim_at(&node);
    assert_eq!(client.ingest(attack("203.0.113.9")).await.status, 200);
    until("the receiver is tried", LONG, async || (!receiver.calls().is_empty()).then_some(()))
        .await;

    // By our own hand, then by somebody else's.
    volume.fill("foreign", FOREIGN_BYTES);
    let (large, refused) = ingest_until_refused(&client).await;
    // What is given up for the server's own work is left to it for now. When our own hand has made it
    // do that, it has been full to the last byte already.
    let is_low = refused.starts_with("429");
    volume.fill("filler", if is_low { volume.free_bytes() } else { 0 });
    wait_until_full(&client).await;
    let acked = load.acked();
    assert_eq!(health(&client).await, "503 disk_full");
    assert_search_answers(&client, acked, large).await;

    // Told while the disk is full.
    receiver.answer(Manner::Status(204));
    until("the alert is delivered", LONG, async || {
        (told(&receiver, "alert.opened") > 0 && is_delivered(&client).await).then_some(())
    })
    .await;
    assert_eq!(post(&client).await.status, 507, "the disk is not full any more");

    // What was held in reserve goes too, to the last byte.
    volume.fill("filler-of-the-reserve", u64::MAX);
    assert_search_answers(&client, acked, large).await;
    let before = told(&receiver, "server.trouble");
    load.aim_at_nothing();
    let (mut node, mut client) = (node, client);
    for filler in FILLERS_AFTER_KILLS {
        node.kill9();
        // Whatever a start before gave up or freed is gone.
        volume.fill(filler, u64::MAX);
        node = place.start().await;
        client = client.at(&node);
        wait_until_full(&client).await;
        assert_search_answers(&client, acked, large).await;
    }
    load.aim_at(&node);
    // So is the disk itself, of which no alert can tell.
    until("the full disk is told of", LONG, async || {
        (told(&receiver, "server.trouble") > before).then_some(())
    })
    .await;

    for foreign in ["filler", "filler-of-the-reserve", "foreign"] {
        volume.free_room(foreign);
    }
    for filler in FILLERS_AFTER_KILLS {
        volume.free_room(filler);
    }
    until("batches are taken again", LONG, async || {
        (post(&client).await.status == 200 && health(&client).await == "200 ready").then_some(())
    })
    .await;
    load.finish().await;
    until("the end of it is told of", LONG, async || {
        (told(&receiver, "server.recovered") > 0).then_some(())
    })
    .await;
    client.wait_for("load.id:*", load.acked() as u64).await;
    assert_eq!(client.count("large.id:*").await, large);
    let found = load.reckon(&client).await;
    println!(
        "a full disk: first refusal {refused}, {large} large records and {acked} others acked before it was full, at the end {found:?} {:?}",
        load.counts()
    );
    found.assert_sound();
    drop(node);
}

/// Sends large batches until one is refused; how many records were taken, and the refusal.
async fn ingest_until_refused(client: &Client) -> (u64, String) {
    let mut taken = 0;
    for batch in 0..BATCHES_MAX {
        let (records, bytes) = LARGE;
        let line =
            |n| format!("{{\"large\":{{\"id\":\"{batch}-{n}\"}},\"text\":\"{}\"}}\n", noise(bytes));
        let answer = client.ingest((0..records).map(line).collect::<String>()).await;
        if answer.status != 200 {
            return (taken, assert_refused(&answer));
        }
        taken += records as u64;
    }
    panic!("the volume takes more than it has room for");
}

/// Text that does not compress.
fn noise(bytes: usize) -> String {
    let mut noise = vec![0; bytes / 2];
    getrandom::fill(&mut noise).expect("the system gives random bytes");
    noise.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A refusal for want of room says when to come again.
fn assert_refused(answer: &Answer) -> String {
    assert!([429, 507].contains(&answer.status), "{answer:?}");
    let retry_after = answer.headers.get("retry-after").and_then(|secs| secs.to_str().ok());
    let secs = retry_after.and_then(|secs| secs.parse::<u64>().ok());
    assert!(secs.is_some_and(|secs| secs > 0), "{answer:?}");
    answer.refusal()
}

async fn post(client: &Client) -> Answer {
    Client::send(client.request(Method::POST, "/api/v1/ingest").body("{\"message\":\"one more\"}"))
        .await
}

async fn wait_until_full(client: &Client) {
    until("the disk counts as full", LONG, async || {
        let answer = post(client).await;
        let is_refused = answer.status != 200;
        (is_refused && assert_refused(&answer) == "507 disk_full").then_some(())
    })
    .await;
}

/// Status and state.
async fn health(client: &Client) -> String {
    let answer = client.try_get("/api/v1/health", &[]).await.expect("an answer");
    format!("{} {}", answer.status, answer.json()["status"].as_str().unwrap_or_default())
}

async fn assert_search_answers(client: &Client, acked: usize, large: u64) {
    client.wait_for("load.id:*", acked as u64).await;
    client.wait_for("large.id:*", large).await;
}

/// How often the receiver took a message of this kind; about the disk, where it is about the server.
fn told(receiver: &Receiver, kind: &str) -> usize {
    let taken = receiver.taken();
    let is_it = |message: &serde_json::Value| {
        message["type"] == kind
            && (kind.starts_with("alert.") || message["trouble"]["rule"] == "disk_full")
    };
    taken.iter().map(Call::json).filter(is_it).count()
}

/// Whether the one notification is known to have arrived.
async fn is_delivered(client: &Client) -> bool {
    let alerts = client.get("/api/v1/alerts", &[]).await;
    let id = alerts["items"][0]["id"].as_str().expect("an alert").to_owned();
    let alert = client.get(&format!("/api/v1/alerts/{id}"), &[]).await;
    let notifications = alert["notifications"].as_array().expect("a list").clone();
    notifications.iter().any(|notification| notification["state"] == "sent")
}
