//! Kills at moments of chance while records arrive: what was acknowledged is there, once.

use std::collections::BTreeSet;
use std::time::Duration;

use logwarden_event::{Clock, SystemClock};

use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, pass, until};
use crate::hook::{Call, Manner, Receiver};
use crate::load::{Load, SENDERS, address_of};
use crate::sshd::Random;

const KILLS: u64 = 5;

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
