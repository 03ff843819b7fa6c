//! What was detected is told, also by a process that was killed before it could.

use std::collections::BTreeSet;

use logwarden_event::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::certificates::make_own_certificate;
use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, until};
use crate::hook::{Call, Manner, Receiver};
use crate::mail::MailServer;
use crate::programs;

const ADDRESS: &str = "203.0.113.80";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_receivers_fail_it_tells_once_after_its_start() {
    if programs::has("a kill between detection and mail", &["openssl"]) {
        told_after_a_kill(Manner::Status(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_receiver_is_silent_it_tells_once_after_its_start() {
    if programs::has("a kill in the middle of a delivery", &["openssl"]) {
        told_after_a_kill(Manner::Silent).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_known_by_its_own_certificate_is_trusted_and_another_is_not() {
    if !programs::has("mails to a server with a certificate of its own", &["openssl"]) {
        return;
    }
    let place = Place::new("");
    let (known, other) = (place.root().join("known"), place.root().join("other"));
    for folder in [&known, &other] {
        std::fs::create_dir(folder).expect("a new folder");
    }
    let good = MailServer::start_with(&known, make_own_certificate).await;
    let bad = MailServer::start_with(&other, make_own_certificate).await;
    // The file of the other names a certificate that it does not show.
    std::fs::copy(known.join("mail/ca.pem"), other.join("mail/ca.pem")).expect("a copy");
    place.configure(&format!("{}{}", good.notifier("good"), bad.notifier("bad")));
    let sender = place.token("ingest", "auth");
    let reader = place.token("reader", "desk");

    let node = place.start().await;
    let desk = Client::new(&node, &reader);
    assert_eq!(Client::new(&node, &sender).ingest(failures(12)).await.status, 200);
    let mail = until("the mail arrives", LONG, async || good.mails().pop()).await;
    let alert = mail.header("X-Logwarden-Alert");
    let refused = until("the other is tried", LONG, async || {
        let alert = desk.get(&format!("/api/v1/alerts/{alert}"), &[]).await;
        let tries = alert["notifications"].as_array().cloned().unwrap_or_default();
        tries.into_iter().find(|one| one["notifier"] == "bad" && one["answer"] != "")
    })
    .await;
    let answer = refused["answer"].as_str().expect("an answer");
    assert!(answer.contains("certificate") && bad.mails().is_empty(), "{refused}");
}

/// Kills the node while its notifications are not taken, lets them be taken, and starts it again.
async fn told_after_a_kill(manner: Manner) {
    let place = Place::new("");
    let mail = MailServer::start(place.root()).await;
    let hook = Receiver::start(manner).await;
    place.configure(&format!(
        "{}{}",
        mail.notifier("oncall"),
        hook.notifier("pager", place.root(), "a secret of the receiver")
    ));
    mail.refuse(true);
    let sender = place.token("ingest", "auth");
    let reader = place.token("reader", "desk");

    let node = place.start().await;
    let desk = Client::new(&node, &reader);
    let answer = Client::new(&node, &sender).ingest(failures(12)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let tried = until("the webhook is tried", LONG, async || hook.calls().pop()).await;
    until("the mail is tried", LONG, async || {
        let alert = alert_of(&desk, &tried).await;
        let mails = alert["notifications"].as_array().expect("notifications").iter();
        mails.filter(|one| one["kind"] == "email").find(|one| one["answer"] != "").cloned()
    })
    .await;
    let before = alert_of(&desk, &tried).await;
    node.kill9();
    assert!(hook.taken().is_empty() && mail.mails().is_empty(), "it was told before the kill");

    hook.answer(Manner::Status(200));
    mail.refuse(false);
    let started_at = SystemClock.now();
    let node = place.start().await;
    let desk = desk.at(&node);
    let taken = until("the webhook", LONG, async || hook.taken().pop()).await;
    until("the mail", LONG, async || mail.mails().pop()).await;
    println!(
        "{manner:?}: told {:?} after it began to start (promised: 5 s)",
        taken.received_at.since(started_at)
    );
    assert_eq!(taken.id(), tried.id(), "the same notification has another id");

    // More of the same joins the alert, which is neither opened anew nor told anew.
    let answer = Client::new(&node, &sender).ingest(failures(5)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let after = until("the alert grows", LONG, async || {
        let alert = alert_of(&desk, &tried).await;
        (alert["events"].as_u64() >= Some(17)).then_some(alert)
    })
    .await;
    assert_eq!((&after["id"], &after["opened_at"]), (&before["id"], &before["opened_at"]));
    let list = desk.get("/api/v1/alerts", &[("rule", "failed_login_spike")]).await;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(node.stop().await, Some(0));
    let ids: BTreeSet<String> = hook.calls().iter().map(Call::id).collect();
    assert_eq!(ids, BTreeSet::from([tried.id()]));
    assert_eq!((hook.taken().len(), mail.mails().len()), (1, 1), "told more than once");
}

/// The single view of the alert that a webhook is about.
async fn alert_of(desk: &Client, call: &Call) -> Value {
    let body = call.json();
    let id = body["alert"]["id"].as_str().expect("an id");
    desk.get(&format!("/api/v1/alerts/{id}"), &[]).await
}

/// Failed sign-ins of one user from one address, now.
fn failures(count: usize) -> String {
    let record = json!({ "timestamp": SystemClock.now().to_string(), "service": "auth",
        "message": "sign-in of root failed", "user": { "name": "root" },
        "source": { "ip": ADDRESS },
        "event": { "category": "authentication", "outcome": "failure" } });
    format!("{record}\n").repeat(count)
}
