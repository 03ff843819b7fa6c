//! Receivers as they are: flaky, hanging, killed in between, and Debian's Alertmanager.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use logwarden_event::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, until};
use crate::hook::{Call, Manner, Receiver};
use crate::mail::MailServer;
use crate::programs::{self, Running};

/// Alerts between two kills.
const ALERTS: usize = 3;
/// Kills.
const KILLS: usize = 2;

/// Failed sign-ins from one address, enough for the bundled rule.
fn failures(address: &str) -> String {
    let record = json!({ "timestamp": SystemClock.now().to_string(), "service": "auth",
        "message": "sign-in of root failed", "user": { "name": "root" },
        "source": { "ip": address },
        "event": { "category": "authentication", "outcome": "failure" } });
    format!("{record}\n").repeat(12)
}

/// The notifications about new alerts, each with the ids under which it came.
fn opened(calls: &[Call]) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in calls {
        let body = call.json();
        if body["type"] == "alert.opened" && body["rule"]["name"] == "Failed-login spike" {
            let alert = body["alert"]["id"].as_str().expect("an id").to_owned();
            told.entry(alert).or_default().insert(call.id());
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flaky_receiver_gets_every_alert_under_one_id_over_kills_and_delays_nobody() {
    if !programs::has("a flaky receiver over kills", &["openssl"]) {
        return;
    }
    let place = Place::new("");
    let mail = MailServer::start(place.root()).await;
    let flaky = Receiver::start(Manner::Flaky).await;
    let hanging = Receiver::start(Manner::Silent).await;
    let good = Receiver::start(Manner::Status(200)).await;
    place.configure(&format!(
        "{}{}{}{}",
        mail.notifier("oncall"),
        flaky.notifier("flaky", place.root(), "one"),
        hanging.notifier("hanging", place.root(), "two"),
        good.notifier("good", place.root(), "three"),
    ));
    let sender = place.token("ingest", "auth");
    let mut wanted = 0;
    for round in 0..=KILLS {
        let node = place.start().await;
        let client = Client::new(&node, &sender);
        for number in 0..ALERTS {
            let answer =
                client.ingest(failures(&format!("203.0.113.{}", 10 * round + number))).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        wanted += ALERTS;
        until("the good receiver has them", LONG, async || {
            (opened(&good.taken()).len() >= wanted).then_some(())
        })
        .await;
        assert!(hanging.taken().is_empty(), "the good one waited for the one that hangs");
        if round < KILLS {
            node.kill9();
            continue;
        }
        until("the flaky receiver has them", 2 * LONG, async || {
            (opened(&flaky.taken()).len() >= wanted).then_some(())
        })
        .await;
        until("the mails are there", LONG, async || {
            let alerts: BTreeSet<String> =
                mail.mails().iter().map(|mail| mail.header("X-Logwarden-Alert")).collect();
            (alerts.len() >= wanted).then_some(())
        })
        .await;
        assert_eq!(node.stop().await, Some(0));
    }
    let calls = flaky.calls();
    for (alert, ids) in opened(&calls) {
        assert_eq!(ids.len(), 1, "alert {alert} was told under several ids: {ids:?}");
    }
    assert_eq!(
        opened(&good.taken()).keys().collect::<Vec<_>>(),
        opened(&flaky.taken()).keys().collect::<Vec<_>>()
    );
    println!(
        "{wanted} alerts, {KILLS} kills: flaky {} requests of which {} taken, hanging {} requests",
        calls.len(),
        flaky.taken().len(),
        hanging.calls().len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alertmanager_of_debian_fires_and_resolves_with_the_alert() {
    if !programs::has("alerts at Debian's Alertmanager", &["prometheus-alertmanager"]) {
        return;
    }
    let place = Place::new("");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = port.expect("a free port");
    let folder = place.root().join("alertmanager");
    fs::create_dir(&folder).expect("a new folder");
    fs::write(
        folder.join("config.yml"),
        "route: { receiver: nobody }\nreceivers: [ { name: nobody } ]\n",
    )
    .expect("a configuration");
    let program = programs::find("prometheus-alertmanager").expect("it is there");
    let child = Command::new(program)
        .arg(format!("--config.file={}", folder.join("config.yml").display()))
        .arg(format!("--storage.path={}", folder.display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log")).expect("a file for its log"))
        .spawn();
    let _running = Running(child.expect("Alertmanager starts"));
    place.configure(&format!(
        "[[notifiers]]\nname = \"am\"\nkind = \"alertmanager\"\nurl = \"http://{address}/\"\n\
         allow_http = true\nallow_networks = [\"127.0.0.0/8\"]\nlabels = {{ team = \"ops\" }}\n"
    ));
    let sender = place.token("ingest", "auth");
    let analyst = place.token("analyst", "desk");
    let node = place.start().await;
    let desk = Client::new(&node, &analyst);
    assert_eq!(Client::new(&node, &sender).ingest(failures("203.0.113.99")).await.status, 200);

    let http = reqwest::Client::new();
    let known = async || -> Vec<Value> {
        let answer = http.get(format!("http://{address}/api/v2/alerts")).send().await;
        match answer {
            Ok(answer) => {
                let text = answer.text().await.unwrap_or_default();
                serde_json::from_str(&text).unwrap_or_default()
            }
            Err(_) => Vec::new(),
        }
    };
    let alert = until("Alertmanager knows the alert", LONG, async || known().await.pop()).await;
    assert_eq!(alert["labels"]["team"], "ops", "{alert}");
    assert_eq!(alert["labels"]["severity"], "high", "{alert}");
    let id = alert["labels"]["alert_id"].as_str().expect("an id").to_owned();
    until("its answer is kept", LONG, async || {
        let view = desk.get(&format!("/api/v1/alerts/{id}"), &[]).await;
        (view["notifications"][0]["answer"] == "200").then_some(())
    })
    .await;

    let path = format!("/api/v1/alerts/{id}/resolve");
    let request = desk.request(Method::POST, &path).header("content-type", "application/json");
    let resolved = Client::send(request.body(json!({ "reason": "benign" }).to_string())).await;
    assert_eq!(resolved.status, 200, "{}", resolved.text);
    until("it is over there too", LONG, async || known().await.is_empty().then_some(())).await;
    assert_eq!(node.stop().await, Some(0));
}
