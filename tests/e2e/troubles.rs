//! What is wrong with the server itself is told like anything else, and never only where it cannot be heard.

use std::fs;

use serde_json::Value;

use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, until};
use crate::hook::{Manner, Receiver};

/// The alert of a rule, when there is one.
async fn alert_of(client: &Client, rule: &str) -> Option<Value> {
    let found = client.get("/api/v1/alerts", &[("rule", rule)]).await;
    found["items"].as_array().expect("a list").first().cloned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_notifier_and_a_refused_rule_are_told_through_one_that_gets_through() {
    let place = Place::new("");
    let (dead, alive) =
        (Receiver::start(Manner::Status(500)).await, Receiver::start(Manner::Status(204)).await);
    // Nothing goes to the one that works.
    let config = dead.notifier("dead", place.root(), "s3cret")
        + &alive.notifier("alive", place.root(), "s3cret")
        + "[rules]\ndirs = [\"rules\"]\n[[routes]]\nnotify = [\"dead\"]\n";
    fs::create_dir(place.file("rules")).expect("a directory");
    place.configure(&config);
    let token = place.token("admin", "operator");
    let node = place.start().await;
    let client = Client::new(&node, &token);
    fs::write(place.file("rules/broken.yml"), "title: Broken\ndetection: {}\n").expect("a rule");
    let refused =
        until("the refused rule", LONG, async || alert_of(&client, "rule_refused").await).await;
    let title = refused["title"].as_str().expect("a title");
    assert!(title.contains("broken.yml are left out"), "{title}");
    let failing =
        until("the failing notifier", LONG, async || alert_of(&client, "notifier_failing").await)
            .await;
    assert_eq!(failing["title"], "Notifier dead does not get through");
    let told = until("somebody hears of it", LONG, async || alive.taken().first().cloned()).await;
    assert_eq!(told.json()["alert"]["id"], failing["id"]);
    let what_to_do = told.json()["what_to_do"].as_str().expect("a text").to_owned();
    assert!(what_to_do.starts_with("1. Nothing is lost"), "{what_to_do}");

    // The rule is put right, the receiver is back: nothing more is told, all that waited is.
    fs::remove_file(place.file("rules/broken.yml")).expect("removed");
    dead.answer(Manner::Status(204));
    until("what waited is told", LONG, async || {
        dead.taken().iter().any(|call| call.json()["alert"]["id"] == refused["id"]).then_some(())
    })
    .await;
    assert_eq!(alive.calls().len(), 1, "it was told once");
    assert_eq!(node.stop().await, Some(0));
}
