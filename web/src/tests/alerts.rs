//! Alerts for somebody who sees a part of the events.

use std::time::Duration;

use logwarden_alerting::{AlertQuery, Config, RulesConfig, Viewer};
use logwarden_event::{Event, EventBuilder, FieldOptions, Value};
use logwarden_store::identity::{NewToken, Role, RoleConfig, Roles};
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::harness::Harness;

/// It stands in events of other sources and in hidden fields.
const CANARY: &str = "zq9canary";

/// One alert per zone of three logins, and one about all of them.
const RULES: &str = "
title: Login
id: 5a2f8f2e-6b63-4f0e-9a55-1f6c0e0b7b01
name: login
status: stable
logsource: {}
detection: { login: { kind: login }, condition: login }
level: low
logwarden: { title: 'Logins of {user.name} in {count(zone)} zones' }
---
title: Logins in a zone
id: 5a2f8f2e-6b63-4f0e-9a55-1f6c0e0b7b02
name: logins
status: stable
correlation:
  type: event_count
  rules: [login]
  group-by: [zone]
  timespan: 5m
  condition: { gte: 3 }
  generate: true
level: high
";

fn login(source: &str, user: &str) -> Event {
    let mut event = EventBuilder::new(b"record of zq9canary");
    event.source(source).dataset("shop.auth").message(&format!("login of {user}"));
    event.field_with("user.name", Some("usr"), Value::String(user), FieldOptions::default());
    event.field("kind", Value::String("login"));
    event.field("zone", Value::String(if source == "shop" { "eu" } else { user }));
    event.build()
}

struct World {
    harness: Harness,
    token: String,
    _rules: TempDir,
    _shutdown: DropGuard,
}

/// Four logins at the shop and five at the bank, and who sees those of the shop without users.
async fn world() -> World {
    let mut harness = Harness::new().await;
    let rules = tempfile::tempdir().expect("a directory");
    std::fs::write(rules.path().join("rules.yml"), RULES).expect("written");
    let dirs = vec![rules.path().to_owned()];
    let config =
        Config { rules: RulesConfig { bundled: false, dirs, written: None }, ..Config::default() };
    harness.alerting.reload(config).await.expect("taken");
    assert_eq!(harness.alerting.rule_problems(), []);
    let shutdown = CancellationToken::new();
    tokio::spawn(harness.alerting.clone().run(shutdown.clone()));
    let own = (0..4).map(|_| login("shop", CANARY));
    harness.ship(own.chain((0..5).map(|_| login("bank", CANARY))).collect()).await;
    let everybody = Viewer::of_everything("ana");
    tokio::time::timeout(Duration::from_secs(60), async {
        let query = AlertQuery::default();
        while harness.alerting.alerts(&query, &everybody).await.expect("a page").items.len() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("three alerts are opened");
    let role = RoleConfig {
        name: "shop".to_owned(),
        base: "analyst".to_owned(),
        filter: Some("lw.source:shop".to_owned()),
        mask: vec!["user".to_owned()],
    };
    harness.identity.set_roles(Roles::new(&[role]).expect("roles"));
    let token = NewToken {
        name: "shop-keeper".to_owned(),
        role: "shop".to_owned(),
        source: None,
        filter: None,
        expires_at: None,
    };
    let token = harness.token_like(token).await;
    World { harness, token, _rules: rules, _shutdown: shutdown.drop_guard() }
}

impl World {
    async fn get(&self, path: &str) -> Json {
        let path = format!("/api/v1/{path}");
        let answer = self.harness.call("GET", &path, Some(&self.token), "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(!answer.text.contains(CANARY), "{path}: {}", answer.text);
        answer.json()
    }

    async fn titles(&self, path: &str) -> Vec<String> {
        let list = self.get(path).await;
        let items = list["items"].as_array().expect("a list").iter();
        let mut titles: Vec<String> =
            items.map(|item| item["title"].as_str().expect("a title").to_owned()).collect();
        titles.sort();
        titles
    }
}

#[tokio::test]
async fn who_sees_a_part_sees_what_is_seen_of_an_alerts_evidence() {
    let world = world().await;
    let seen = ["Login: 4 events", "Logins in a zone: 4 events, zone eu"];
    assert_eq!(world.titles("alerts").await, seen);
    let list = world.get("alerts").await;
    assert_eq!(list["counts"]["open"], 2);
    assert_eq!(world.titles("alerts?limit=1").await.len(), 1);
    assert_eq!(world.titles("alerts?entity=eu").await, seen);
    assert_eq!(world.titles("alerts?q=zone").await, seen[1..]);
    // Nobody learns by asking what they would not be shown.
    for probe in ["q=zq9canary", "q=5+events", "entity=zq9canary", "entity=bank"] {
        assert!(world.titles(&format!("alerts?{probe}")).await.is_empty(), "{probe}");
    }
    for alert in list["items"].as_array().expect("a list") {
        assert_eq!(alert["events"], 4);
        let id = alert["id"].as_str().expect("an id");
        let one = world.get(&format!("alerts/{id}")).await;
        let evidence = one["evidence"].as_array().expect("evidence");
        assert_eq!((evidence.len(), &one["evidence_total"]), (4, &4.into()));
        assert!(evidence.iter().all(|event| event["message"] == "login of ***"), "{one}");
        assert_eq!(one["why"]["text"], "You see 4 of its events.");
    }
}

#[tokio::test]
async fn who_sees_a_part_handles_what_they_see_and_nothing_else() {
    let world = world().await;
    let admin = world.harness.token(Role::Admin).await;
    let call = async |token: &str, path: &str, body: &str| {
        world.harness.call("POST", path, Some(token), body).await
    };
    let all = world.harness.call("GET", "/api/v1/alerts", Some(&admin), "").await.json();
    let mut refused = 0;
    for alert in all["items"].as_array().expect("a list") {
        let path = format!("/api/v1/alerts/{}", alert["id"].as_str().expect("an id"));
        let note = format!("{path}/notes");
        let written = call(&admin, &note, &format!(r#"{{"text":"{CANARY} again"}}"#)).await;
        assert!(written.text.contains(CANARY));
        let is_foreign = alert["group"]["zone"] == CANARY;
        let acts = [("acknowledge", "{}"), ("notes", r#"{"text":"mine"}"#), ("reopen", "{}")];
        for (verb, body) in acts {
            let answer = call(&world.token, &format!("{path}/{verb}"), body).await;
            assert!(!answer.text.contains(CANARY), "{}", answer.text);
            assert_eq!(answer.status == 404, is_foreign, "{verb}: {}", answer.text);
            refused += usize::from(is_foreign);
        }
        if !is_foreign {
            let one = world.harness.call("GET", &path, Some(&world.token), "").await;
            let notes = one.json()["notes"].clone();
            assert_eq!(notes.as_array().map(Vec::len), Some(1), "{notes}");
            assert_eq!(
                (&notes[0]["text"], &one.json()["state"]),
                (&"mine".into(), &"acknowledged".into())
            );
            assert!(!one.text.contains(CANARY), "{}", one.text);
        }
    }
    assert_eq!(refused, 3);
}
