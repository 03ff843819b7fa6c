//! Kills at moments of chance while records arrive: what was acknowledged is there, once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use logwarden_event::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, pass, until};
use crate::hook::{Call, Manner, Receiver};
use crate::load::{Load, SENDERS, address_of};
use crate::programs::has;
use crate::rsyslog::Rsyslog;
use crate::sshd::Random;

const KILLS: u64 = 5;
/// Lines that rsyslog is handed between two kills.
const LINES_PER_KILL: u64 = 2_000;
/// What rsyslog ships by RELP with.
const OMRELP: &str = "/usr/lib/x86_64-linux-gnu/rsyslog/omrelp.so";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_it_loses_nothing_and_tells_nothing_anew() {
    let mut random = Random(SystemClock.now().nanos().unsigned_abs());
    let place = Place::new("");
    let hook = Receiver::start(Manner::Status(200)).await;
    place.configure(&hook.notifier("pager", place.root(), "a secret of the receiver"));
    let sender = place.token("ingest", "load");
    let reader = place.token("reader", "desk");

    let mut node = place.start().await;
    let load = Load::start(Client::new(&node, &sender));
    let mut moments = Vec::new();
    for _ in 0..KILLS {
        let moment = Duration::from_millis(200 + random.below(1_500));
        pass(moment).await;
        node.kill9();
        node = place.start().await;
        load.moves_to(Client::new(&node, &sender));
        moments.push(moment);
    }
    let desk = Client::new(&node, &reader);
    println!("killed after {moments:?}");
    println!("{} batches, all there once", load.finish(&desk).await);
    for sender in 0..SENDERS {
        told_once(&desk, &hook, &address_of(sender)).await;
    }
}

/// The address has one alert, which was told under one id.
async fn told_once(desk: &Client, hook: &Receiver, address: &str) {
    let query = [("entity", address), ("rule", "failed_login_spike")];
    let list = desk.get("/api/v1/alerts", &query).await;
    let items = list["items"].as_array().expect("items");
    assert_eq!(items.len(), 1, "one alert about {address}: {list}");
    let is_of = |call: &&Call| {
        let body = call.json();
        body["alert"]["id"] == items[0]["id"] && body["type"] == "alert.opened"
    };
    until("its webhook", LONG, async || hook.taken().iter().find(is_of).map(|_| ())).await;
    let ids: BTreeSet<String> = hook.calls().iter().filter(is_of).map(Call::id).collect();
    assert_eq!(ids.len(), 1, "told anew about {address}: {ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rsyslog_ships_by_relp_over_kills_is_there_once() {
    if !has("rsyslog over kills", &["rsyslogd"]) || !Path::new(OMRELP).is_file() {
        println!("NOT TRIED: rsyslog over kills: scripts/test-tools.sh installs {OMRELP}");
        return;
    }
    let mut random = Random(SystemClock.now().nanos().unsigned_abs());
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let door = free.local_addr().expect("bound");
    drop(free);
    let place = Place::new(&format!(
        "[[listeners]]\nkind = \"auto\"\n[[listeners]]\nkind = \"relp\"\ntcp = \"{door}\"\nallow = [\"127.0.0.0/8\"]\nsource = \"hosts\"\n"
    ));
    let reader = place.token("analyst", "desk");
    let mut node = place.start().await;
    let rsyslog = Rsyslog::start_relp(place.root(), door).await;
    for kill in 0..KILLS {
        let numbers = kill * LINES_PER_KILL..(kill + 1) * LINES_PER_KILL;
        let lines: Vec<_> =
            numbers.map(|n| format!("Nov 22 04:22:59 web1 shop: relpkill {n}")).collect();
        rsyslog.log(&lines).await;
        pass(Duration::from_millis(50 + random.below(700))).await;
        node.kill9();
        node = place.start().await;
    }
    let desk = Client::new(&node, &reader);
    let total = KILLS * LINES_PER_KILL;
    desk.wait_for("relpkill", total).await;
    let body = json!({"q": "relpkill", "format": "ndjson"});
    let answer = Client::send(desk.request(Method::POST, "/api/v1/export").json(&body)).await;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in answer.text.lines() {
        let hit: Value = serde_json::from_str(line).expect("JSON");
        *counts.entry(hit["message"].as_str().expect("text").trim().to_owned()).or_default() += 1;
    }
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{} records are there twice: {:?}", twice.len(), twice.first());
    assert_eq!(counts.len() as u64, total, "records are lost");
    println!("{total} records of rsyslog over {KILLS} kills, each there once");
}
