//! Alerts for somebody who sees a part of the events.

use std::time::Duration;

use logwarden_alerting::{
    Act, AlertQuery, Config, NotifierConfig, Resolution, RulesConfig, Viewer,
};
use logwarden_event::{Event, EventBuilder, FieldOptions, Timestamp, Value};
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
    // Nobody is there: what is told about alerts waits.
    let settings = serde_json::json!({ "url": "https://hooks.invalid/x" });
    let pager = NotifierConfig {
        name: "pager".to_owned(),
        kind: "webhook".to_owned(),
        settings: settings.as_object().expect("an object").clone(),
    };
    let config = Config {
        rules: RulesConfig { bundled: false, dirs, written: None },
        notifiers: vec![pager],
        ..Config::default()
    };
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
    let by_severity: u64 = list["counts"]["open_by_severity"]
        .as_object()
        .expect("by severity")
        .values()
        .filter_map(serde_json::Value::as_u64)
        .sum();
    assert_eq!((by_severity, &list["counts"]["complete"]), (2, &true.into()), "{list}");
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

#[tokio::test]
async fn who_sees_a_part_sees_silences_and_deliveries_of_what_they_see() {
    let world = world().await;
    let admin = world.harness.token(Role::Admin).await;
    for (entity, reason) in [("eu", "planned"), (CANARY, "of others")] {
        let body = format!(r#"{{"entity":"{entity}","reason":"{reason}"}}"#);
        let begun = world.harness.call("POST", "/api/v1/silences", Some(&admin), &body).await;
        assert_eq!(begun.status, 201, "{}", begun.text);
    }
    let silences = world.get("silences").await["items"].clone();
    let entities: Vec<&Json> =
        silences.as_array().expect("a list").iter().map(|one| &one["entity"]).collect();
    assert_eq!(entities, ["eu"]);
    assert_eq!(silences[0]["reason"], "", "the words of others are not theirs to read");
    let body = format!(r#"{{"entity":"{CANARY}"}}"#);
    let path = "/api/v1/silences/preview";
    let preview = world.harness.call("POST", path, Some(&world.token), &body).await;
    assert_eq!(preview.json()["items"], serde_json::json!([]));
    let refused = world.harness.call("POST", "/api/v1/silences", Some(&world.token), &body).await;
    assert_eq!(refused.status, 403, "a silence mutes alerts of all events");

    let all = world.harness.call("GET", "/api/v1/deliveries", Some(&admin), "").await.json();
    assert_eq!(all["items"].as_array().map(Vec::len), Some(3), "{all}");
    let seen = world.get("deliveries").await["items"].clone();
    assert_eq!(seen.as_array().map(Vec::len), Some(2), "{seen}");
    let seen = seen.as_array().expect("a list");
    assert!(seen.iter().all(|one| one["answer"] == ""), "{seen:?}");
    // Sending goes on meanwhile, and fails.
    let known = |delivery: &Json| ["id", "alert_id", "notifier"].map(|name| delivery[name].clone());
    for one in all["items"].as_array().expect("a list") {
        let path = format!("/api/v1/deliveries/{}", one["id"].as_str().expect("an id"));
        let whole = world.harness.call("GET", &path, Some(&admin), "").await.json();
        assert_eq!(known(&whole), known(one));
        let answer = world.harness.call("GET", &path, Some(&world.token), "").await;
        match seen.iter().find(|seen| seen["id"] == one["id"]) {
            Some(seen) => {
                let answer = answer.json();
                assert_eq!((known(&answer), &answer["answer"]), (known(seen), &"".into()));
            }
            None => assert_eq!(answer.status, 404, "it is about what they do not see"),
        }
    }
}

#[tokio::test]
async fn alerts_are_listed_in_the_order_that_is_asked_for_and_by_the_event_that_proves_them() {
    let world = world().await;
    let admin = world.harness.token(Role::Admin).await;
    let list = async |query: &str| {
        let path = format!("/api/v1/alerts?{query}");
        world.harness.call("GET", &path, Some(&admin), "").await
    };
    let titles = async |query: &str| {
        let page = list(query).await.json();
        let items = page["items"].as_array().expect("a list").clone();
        let events = items.iter().map(|item| item["events"].as_u64().expect("a number"));
        (events.collect::<Vec<u64>>(), page["next"].clone(), items)
    };
    assert_eq!(titles("sort=-events").await.0, [9, 5, 4]);
    assert_eq!(titles("sort=events").await.0, [4, 5, 9]);
    let severities = titles("sort=-severity").await.2;
    assert_eq!(severities[2]["severity"], "low");
    // Page after page in that order.
    let (first, next, _) = titles("sort=events&limit=2").await;
    assert_eq!(first, [4, 5]);
    let next = next.as_str().expect("a next page").to_owned();
    assert_eq!(titles(&format!("sort=events&limit=2&cursor={next}")).await.0, [9]);
    assert_eq!(list("sort=title").await.status, 400);

    let took = world.harness.call("GET", "/api/v1/alerts/latency", Some(&admin), "").await.json();
    assert_eq!(took["alerts"], 3, "{took}");
    assert!(
        took["p50_ms"].as_i64() <= took["p99_ms"].as_i64() && took["p50_ms"].is_i64(),
        "{took}"
    );

    let id = severities[0]["id"].as_str().expect("an id");
    let one = world.harness.call("GET", &format!("/api/v1/alerts/{id}"), Some(&admin), "").await;
    let event = one.json()["evidence"][0]["event_id"].as_str().expect("an id").to_owned();
    let proven = titles(&format!("event={event}")).await.2;
    assert_eq!(proven.len(), 2, "that of its zone and that of all");
    assert_eq!(list("event=none").await.status, 400);
    // Who does not see the event does not learn which alerts it proves.
    let foreign = one.json()["group"]["zone"] == CANARY;
    let seen = world.titles(&format!("alerts?event={event}")).await;
    assert_eq!(seen.is_empty(), foreign);
}

#[tokio::test]
async fn alerts_can_be_given_to_those_who_may_handle_them() {
    let harness = Harness::new().await;
    for (name, role) in [("ana", "analyst"), ("rita", "reader"), ("adam", "admin")] {
        harness.identity.create_user(name, role, super::harness::PASSWORD).await.expect("made");
    }
    let token = harness.token(Role::Analyst).await;
    let list = harness.call("GET", "/api/v1/alerts/assignees", Some(&token), "").await.json();
    let names: Vec<&Json> =
        list["items"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert!(names.contains(&&"ana".into()) && names.contains(&&"adam".into()), "{list}");
    assert!(!names.contains(&&"rita".into()), "{list}");
    for name in ["rita", "nobody"] {
        let (path, body) = ("/api/v1/alerts/none/assign", format!("{{\"assignee\":\"{name}\"}}"));
        let refused = harness.call("POST", path, Some(&token), &body).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (400, "bad_request".to_owned()));
    }
}

#[tokio::test]
async fn ten_thousand_ways_to_ask_for_alerts_tell_nothing_foreign() {
    let world = world().await;
    let admin = world.harness.token(Role::Admin).await;
    let all = world.harness.call("GET", "/api/v1/alerts", Some(&admin), "").await.json();
    let alerts = all["items"].as_array().expect("a list");
    let ids: Vec<String> =
        alerts.iter().map(|alert| alert["id"].as_str().expect("an id").to_owned()).collect();
    let own = ["Login: 4 events", "Logins in a zone: 4 events, zone eu"];
    let mut events = Vec::new();
    for id in &ids {
        let path = format!("/api/v1/alerts/{id}");
        let one = world.harness.call("GET", &path, Some(&admin), "").await.json();
        events.extend(one["evidence"].as_array().expect("evidence").clone());
    }
    let events: Vec<&str> =
        events.iter().map(|event| event["event_id"].as_str().expect("an id")).collect();
    // Numbers of a linear congruential generator (Knuth's), so that every run asks the same.
    let mut state: u64 = 7;
    let mut next = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let words = [CANARY, "bank", "shop", "eu", "login", "zone", "4", "5", "9", "%25", "_", "zq9*"];
    let sorts = ["opened_at", "-opened_at", "severity", "-severity", "events", "-last_event_at"];
    let states = ["open", "acknowledged", "resolved", "open,resolved"];
    let severities = ["low", "high", "critical", "low,high"];
    for _ in 0..10_000 {
        let mut query = Vec::new();
        for place in 0..8 {
            if next(3) > 0 {
                continue;
            }
            query.push(match place {
                0 => format!("q={}", words[next(words.len())]),
                1 => format!("entity={}", words[next(words.len())]),
                2 => format!("sort={}", sorts[next(sorts.len())]),
                3 => format!("state={}", states[next(states.len())]),
                4 => format!("severity={}", severities[next(severities.len())]),
                5 => format!("rule={}", ["login", "logins", "none"][next(3)]),
                6 => format!("event={}", events[next(events.len())]),
                _ => format!("limit={}", 1 + next(3)),
            });
        }
        let query = query.join("&");
        let list = world.get(&format!("alerts?{query}")).await;
        assert_eq!(list["counts"]["open"], 2, "{query}");
        for item in list["items"].as_array().expect("a list") {
            let title = item["title"].as_str().expect("a title");
            assert!(own.contains(&title), "{query}: {item}");
            assert_eq!(item["events"], 4, "{query}");
        }
    }
}

#[tokio::test]
async fn a_backtest_says_which_known_alerts_it_misses() {
    let world = world().await;
    let token = world.harness.token(Role::Analyst).await;
    world.harness.advance(Duration::from_secs(1));
    let everybody = Viewer::of_everything("ana");
    let query = AlertQuery { rule: Some("logins".to_owned()), ..AlertQuery::default() };
    let opened = world.harness.alerting.alerts(&query, &everybody).await.expect("a page").items;
    assert_eq!(opened.len(), 2, "one per zone");
    let known = async |least: u32, token: &str| {
        let rules = RULES.replace("gte: 3", &format!("gte: {least}"));
        let body = serde_json::json!({ "rules": rules, "from": "now-1h", "to": "now+1h",
            "replaces": "5a2f8f2e-6b63-4f0e-9a55-1f6c0e0b7b02" });
        let path = "/api/v1/rules/backtest";
        let answer = world.harness.call("POST", path, Some(token), &body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["known"].clone()
    };
    let counts = |known: &Json| ["alerts", "missed", "quieted"].map(|key| known[key].as_u64());
    assert_eq!(counts(&known(3, &token).await), [Some(3), Some(0), Some(0)]);
    let missed = known(5, &token).await;
    assert_eq!(counts(&missed), [Some(3), Some(1), Some(0)], "{missed}");
    let shop = opened.iter().find(|alert| alert.events == 4).expect("four logins at the shop");
    assert_eq!(missed["items"][0]["id"], shop.id.to_string());
    let benign = Act::Resolve { reason: Resolution::Benign, note: None };
    world.harness.alerting.act(shop.id, benign, &everybody).await.expect("resolved");
    assert_eq!(counts(&known(5, &token).await), [Some(3), Some(0), Some(1)]);
    assert_eq!(known(5, &world.token).await, Json::Null, "of a part of the events nothing is said");
}

#[tokio::test]
async fn an_alert_says_what_was_usual_for_its_group() {
    let mut world = world().await;
    let token = world.harness.token(Role::Analyst).await;
    let everybody = Viewer::of_everything("ana");
    let query = AlertQuery { rule: Some("logins".to_owned()), ..AlertQuery::default() };
    let opened = world.harness.alerting.alerts(&query, &everybody).await.expect("a page").items;
    let shop = opened.iter().find(|alert| alert.events == 4).expect("four logins at the shop");
    let path = format!("/api/v1/alerts/{}", shop.id);
    let why = world.harness.call("GET", &path, Some(&token), "").await.json()["why"].clone();
    assert_eq!(why["usual"], serde_json::json!([0.0, 0.0]), "nothing came before: {why}");
    // Two in each of thirty windows of five minutes, far enough in the past to open nothing.
    let before = (0..60_i64).map(|n| {
        let at = shop.first_event_at.nanos() - (12 * 3_600 + n / 2 * 300 - n % 2) * 1_000_000_000;
        let mut event = EventBuilder::new(b"record");
        event.timestamp(Some(Timestamp::from_nanos(at))).source("shop").dataset("shop.auth");
        event.field("kind", Value::String("login")).field("zone", Value::String("eu"));
        event.build()
    });
    world.harness.ship(before.collect()).await;
    let why = world.harness.call("GET", &path, Some(&token), "").await.json()["why"].clone();
    assert_eq!(why["usual"], serde_json::json!([0.0, 2.0]), "{why}");
    let text = why["text"].as_str().expect("text");
    assert!(text.ends_with("Usual for this group: 0 to 2 in 5 min."), "{text}");
}
