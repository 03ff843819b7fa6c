//! Which rules cannot match what is received.

use logwarden_event::{EventBuilder, Timestamp, Value};
use logwarden_store::identity::Role;

use super::harness::Harness;

#[tokio::test]
async fn a_rule_whose_field_no_event_has_is_named_until_one_has_it() {
    let mut harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    let verdict = async |harness: &Harness| {
        let path = "/api/v1/rules/coverage?from=2025-12-01T00:00:00Z";
        let answer = harness.call("GET", path, Some(&token), "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let json = answer.json();
        let items = json["items"].as_array().expect("items").clone();
        let rule =
            items.iter().find(|rule| rule["title"] == "Login from a country new to the account");
        let rule = rule.expect("it is bundled");
        let text = |key: &str| rule[key].as_str().expect("a text").to_owned();
        (text("verdict"), text("reason"))
    };
    let (found, reason) = verdict(&harness).await;
    assert_eq!(found, "no_field");
    assert!(reason.contains("source.geo.country_iso_code"), "{reason}");
    let mut event = EventBuilder::new(b"the record");
    event.timestamp(Some(Timestamp::from_secs(1_767_225_540))).source("edge");
    for (name, value) in [
        ("event.category", "authentication"),
        ("event.outcome", "success"),
        ("source.geo.country_iso_code", "NZ"),
        ("user.name", "ana"),
    ] {
        event.field(name, Value::String(value));
    }
    harness.ship(vec![event.build()]).await;
    assert_eq!(verdict(&harness).await.0, "alive");
}

#[tokio::test]
async fn a_field_that_no_event_has_is_told_of_with_its_line_and_what_was_meant() {
    let mut harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    let mut event = EventBuilder::new(b"the record");
    event.timestamp(Some(Timestamp::from_secs(1_767_225_540))).source("edge");
    event.field("tenant.name", Value::String("t1"));
    harness.ship(vec![event.build()]).await;
    let rule = "title: T\nid: t\nlogsource: {}\ndetection:\n  a:\n    sorce.ip: 10.0.0.1\n    \
                tenant.name: t1\n    user.name: ana\n  condition: a\n";
    let bearer = format!("Bearer {token}");
    let yaml = [("authorization", bearer.as_str()), ("content-type", "application/yaml")];
    let path = "/api/v1/rules/check?beside=true";
    let answer = harness.call_with("POST", path, &yaml, rule).await.json();
    assert_eq!((&answer["problems"], &answer["rules"]), (&serde_json::json!([]), &1.into()));
    let warnings = answer["warnings"].as_array().expect("warnings");
    assert_eq!((warnings.len(), &warnings[0]["line"]), (1, &6.into()), "{answer}");
    let message = warnings[0]["message"].as_str().expect("a text");
    assert!(message.contains("`sorce.ip`") && message.contains("`source.ip`?"), "{message}");
}
