//! What rules would have found in the past.

use logwarden_event::{Event, EventBuilder, Timestamp, Value};
use logwarden_store::identity::{NewToken, Role};

use super::harness::Harness;

const RULE: &str = "title: Root login\nid: root-login\nlogsource: {}\ndetection:\n  \
                    a: { user.name: root }\n  condition: a\n";

fn login(second: i64, user: &str, address: [u8; 4]) -> Event {
    let mut event = EventBuilder::new(b"the record");
    event.timestamp(Some(Timestamp::from_secs(1_767_225_540 + second))).source("edge");
    event.field("user.name", Value::String(user));
    event.field("source.ip", Value::Ip(address.into()));
    event.build()
}

fn asked(rules: &str) -> String {
    let (from, to) = ("2025-12-31T23:59:00Z", "2026-01-01T00:00:00Z");
    serde_json::json!({ "rules": rules, "from": from, "to": to }).to_string()
}

#[tokio::test]
async fn a_backtest_counts_what_would_have_been_opened_and_opens_nothing() {
    let mut harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    let events = vec![
        login(0, "root", [10, 0, 0, 1]),
        login(1, "root", [10, 0, 0, 1]),
        login(2, "ana", [10, 0, 0, 2]),
        login(31, "root", [10, 0, 0, 3]),
    ];
    harness.ship(events).await;
    let path = "/api/v1/rules/backtest";
    let answer = harness.call("POST", path, Some(&token), &asked(RULE)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let json = answer.json();
    assert_eq!((&json["events"], &json["complete"]), (&4.into(), &true.into()), "{json}");
    assert_eq!(json["alerts"], 2);
    assert_eq!(json["groups"][0], serde_json::json!({ "group": "10.0.0.1", "count": 1 }));
    let buckets = json["per_bucket"].as_array().expect("buckets");
    let counted: Vec<usize> = (0..buckets.len()).filter(|at| buckets[*at]["count"] == 1).collect();
    assert_eq!((buckets.len(), counted), (60, vec![0, 31]));
    assert_eq!(json["examples"][0]["title"], "Root login: 10.0.0.3");
    let alerts = harness.call("GET", "/api/v1/alerts", Some(&token), "").await.json();
    assert_eq!(alerts["items"], serde_json::json!([]));
}

#[tokio::test]
async fn a_backtest_says_what_differs_from_another_version() {
    let mut harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    let users = ["root", "ana", "root", "bob"];
    let logins = users.iter().enumerate();
    let logins = logins.map(|(n, user)| login(10 * n as i64, user, [10, 0, 0, n as u8]));
    harness.ship(logins.collect()).await;
    let mut body: serde_json::Value = serde_json::from_str(&asked(RULE)).expect("JSON");
    body["against"] =
        RULE.replace("root }", "[ana, bob, root], source.ip|cidr: 10.0.0.0/31 }").into();
    let path = "/api/v1/rules/backtest";
    let json = harness.call("POST", path, Some(&token), &body.to_string()).await.json();
    assert_eq!(json["alerts"], 2, "{json}");
    let found = &json["difference"];
    let expected = serde_json::json!({ "alerts": 2, "gained": 1, "lost": 1, "problems": [] });
    assert_eq!(*found, expected, "10.0.0.0 both, 10.0.0.1 the other alone, 10.0.0.2 this alone");
    body["against"] = RULE.replace("condition: a", "condition: b").into();
    let json = harness.call("POST", path, Some(&token), &body.to_string()).await.json();
    assert_eq!(
        (&json["alerts"], &json["difference"]["problems"][0]["line"]),
        (&2.into(), &6.into())
    );
}

#[tokio::test]
async fn a_text_with_faults_is_not_run_and_says_where() {
    let mut harness = Harness::new().await;
    harness.ship(vec![login(0, "root", [10, 0, 0, 1]), login(1, "ana", [10, 0, 0, 2])]).await;
    let token = harness.token(Role::Reader).await;
    let wrong = asked(&RULE.replace("condition: a", "condition: b"));
    let path = "/api/v1/rules/backtest";
    let json = harness.call("POST", path, Some(&token), &wrong).await.json();
    assert_eq!((&json["problems"][0]["line"], &json["events"]), (&6.into(), &0.into()), "{json}");
    let filter = Some("user.name:ana".to_owned());
    let new = NewToken {
        name: "part".into(),
        role: Role::Reader.to_string(),
        source: None,
        filter,
        expires_at: None,
    };
    let part = harness.token_like(new).await;
    // Who sees a part tries rules over that part.
    let json = harness.call("POST", path, Some(&part), &asked(RULE)).await.json();
    assert_eq!((&json["events"], &json["alerts"]), (&1.into(), &0.into()), "{json}");
}

#[tokio::test]
async fn a_backtest_can_be_followed_until_it_is_done() {
    let mut harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    harness.ship((0..6_000).map(|n| login(n % 50, "root", [10, 0, 0, 1])).collect()).await;
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("accept", "text/event-stream"),
        ("content-type", "application/json"),
    ];
    let path = "/api/v1/rules/backtest";
    let answer = harness.call_with("POST", path, &headers, &asked(RULE)).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream", "{}", answer.text);
    let steps: Vec<(&str, serde_json::Value)> = answer
        .text
        .split("event: ")
        .filter_map(|event| event.trim().split_once("\ndata: "))
        .map(|(name, data)| (name, serde_json::from_str(data).expect("JSON")))
        .collect();
    assert!(steps.len() >= 2, "{}", answer.text);
    let (first, last) = (&steps[0], &steps[steps.len() - 1]);
    assert_eq!((first.0, &first.1["of"]), ("progress", &6_000.into()), "{}", answer.text);
    assert_eq!((last.0, &last.1["events"], &last.1["alerts"]), ("done", &6_000.into(), &1.into()));
}
