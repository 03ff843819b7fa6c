//! What was acknowledged is told: over power cuts, by way of a receiver that is flaky and beside one that hangs.

use std::collections::{BTreeMap, BTreeSet};

use logwarden_event::{Clock, SystemClock};
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, until};
use crate::hook::{Call, Manner, Receiver};
use crate::volume::{Cut, Volume};

const VOLUME_MIB: u64 = 512;
const CUTS: [Cut; 4] = [Cut::AtOnce, Cut::AfterLog, Cut::AfterSync, Cut::AtOnce];
/// Failures that are too many, and failures that are nobody's business.
const MANY: usize = 12;
const FEW: usize = 3;

fn failures(address: &str, count: usize) -> String {
    let record = json!({ "timestamp": SystemClock.now().to_string(), "service": "auth",
        "message": "sign-in of root failed", "user": { "name": "root" },
        "source": { "ip": address },
        "event": { "category": "authentication", "outcome": "failure" } });
    format!("{record}\n").repeat(count)
}

/// Addresses that a receiver was told of, each with the ids under which it was.
fn told(calls: &[Call], secret: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in calls {
        assert!(call.is_signed_with(secret), "{}", call.header("x-logwarden-signature"));
        let body = call.json();
        if body["rule"]["name"] == "Failed-login spike" && body["type"] == "alert.opened" {
            let address = body["why"]["group"]["source.ip"].as_str().expect("an address");
            told.entry(address.to_owned()).or_default().insert(call.id());
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_over_power_cuts_are_told_under_one_id_and_quiet_users_are_not() {
    let place = Place::new("");
    let Some(mut volume) = Volume::ext4(&place.data_dir(), VOLUME_MIB) else { return };
    let flaky = Receiver::start(Manner::Flaky).await;
    let hanging = Receiver::start(Manner::Silent).await;
    let good = Receiver::start(Manner::Status(200)).await;
    place.configure(&format!(
        "{}{}{}",
        flaky.notifier("flaky", place.root(), "one"),
        hanging.notifier("hanging", place.root(), "two"),
        good.notifier("good", place.root(), "three"),
    ));
    let token = place.token("ingest", "auth");
    let mut wanted = BTreeSet::new();
    for (number, cut) in CUTS.into_iter().enumerate() {
        let node = place.start().await;
        let client = Client::new(&node, &token);
        let address = format!("203.0.113.{number}");
        let body = failures(&address, MANY) + &failures(&format!("198.51.100.{number}"), FEW);
        assert_eq!(client.ingest(body).await.status, 200);
        wanted.insert(address);
        // Before anything is detected, while it is told, and after.
        let before = flaky.calls().len();
        match number % 3 {
            0 => {}
            1 => {
                let is_tried = async || (flaky.calls().len() > before).then_some(());
                until("the flaky receiver is tried", LONG, is_tried).await;
            }
            _ => {
                let is_told =
                    async || (told(&good.taken(), "three").len() >= wanted.len()).then_some(());
                until("the good receiver has it", LONG, is_told).await;
            }
        }
        volume.cut_power(cut);
        node.kill9();
        volume.restore_power();
    }
    let node = place.start().await;
    for (receiver, secret) in [(&good, "three"), (&flaky, "one")] {
        until("everything is told", 2 * LONG, async || {
            (told(&receiver.taken(), secret).len() >= wanted.len()).then_some(())
        })
        .await;
        let found = told(&receiver.calls(), secret);
        assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), wanted, "quiet ones are not");
        assert!(found.values().all(|ids| ids.len() == 1), "several ids for one: {found:?}");
    }
    assert!(hanging.taken().is_empty() && !hanging.calls().is_empty());
    hanging.answer(Manner::Status(200));
    println!(
        "{} power cuts: flaky {} requests of which {} taken, hanging {} requests",
        CUTS.len(),
        flaky.calls().len(),
        flaky.taken().len(),
        hanging.calls().len()
    );
    drop(node);
}
