//! Dead letters through the API: by source and reason, replayed, and said to be.

use logwarden_event::{Event, EventBuilder, Value};
use logwarden_store::identity::Role;

use super::harness::Harness;

fn letter(source: &str, code: &str, message: &str) -> Event {
    let mut event = EventBuilder::new(b"{");
    event.source(source).dataset("logwarden.deadletter").message(message);
    event.field("lw.code", Value::String(code));
    event.build()
}

#[tokio::test]
async fn letters_are_found_by_source_and_reason() {
    let mut harness = Harness::new().await;
    let letters = vec![
        letter("shop", "invalid_json", "good"),
        letter("shop", "bad_framing", "bad"),
        letter("depot", "invalid_json", "before"),
    ];
    harness.ship(letters).await;
    let admin = harness.token(Role::Admin).await;
    let get = async |path: &str| harness.call("GET", path, Some(&admin), "").await.json();
    let count = |json: &serde_json::Value| json["items"].as_array().map(Vec::len);
    let all = get("/api/v1/deadletters").await;
    assert_eq!(count(&all), Some(3), "{all}");
    assert_eq!(all["items"][0]["replayed_at"], "1970-01-01T00:00:00Z");
    assert!(all["items"][1]["replayed_at"].is_null(), "{all}");
    assert_eq!(count(&get("/api/v1/deadletters?source=shop").await), Some(2));
    assert_eq!(count(&get("/api/v1/deadletters?code=invalid_json").await), Some(2));
    let one = get("/api/v1/deadletters?source=shop&code=bad_framing&q=bad").await;
    assert_eq!((count(&one), &one["items"][0]["message"]), (Some(1), &"bad".into()));

    let replay =
        async |body| harness.call("POST", "/api/v1/deadletters/replay", Some(&admin), body).await;
    let answer = replay("{}").await.json();
    assert_eq!((&answer["letters"], &answer["replayed"]), (&3.into(), &1.into()), "{answer}");
    assert_eq!((&answer["events"], &answer["replayed_before"]), (&2.into(), &1.into()));
    assert_eq!(answer["problems"][0]["reason"], "it is bad");
    assert_eq!(replay(r#"{"source":"depot"}"#).await.json()["letters"], 1);
    assert_eq!(replay(r#"{"limit":1001}"#).await.status, 400);
    assert_eq!(replay(r#"{"q":"* | head 1"}"#).await.status, 400);
    let records = harness.audit_records().await;
    let noted =
        records.iter().filter(|record| record.starts_with("deadletter.replay success admin"));
    assert_eq!(noted.count(), 2, "{records:?}");

    // It is an event like others, to those who may see it.
    let id = all["items"][0]["id"].as_str().expect("an id");
    let shown = get(&format!("/api/v1/events/{id}")).await;
    assert_eq!(shown["raw"], "{", "{shown}");
}
