//! Streams: a search as it is found, a live tail, an export.

use axum::body::Body;
use futures_util::StreamExt;
use http::Request;
use logwarden_event::{Event, EventBuilder, Value};
use logwarden_store::identity::Role;
use tower::ServiceExt;

use super::harness::Harness;

fn event(message: &str) -> Event {
    let mut event = EventBuilder::new(message.as_bytes());
    event.source("shop").dataset("shop").message(message).field("a", Value::String("=1"));
    event.build()
}

#[tokio::test]
async fn a_search_can_be_followed_until_it_is_done() {
    let mut harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    harness.ship(vec![event("one"), event("two")]).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("accept", "text/event-stream")];
    let answer = harness.call_with("GET", "/api/v1/search?q=two", &headers, "").await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let done = answer.text.split("event: done\ndata: ").nth(1).expect("it ends");
    let done: serde_json::Value = serde_json::from_str(done.trim()).expect("JSON");
    assert_eq!((&done["total"], &done["hits"][0]["message"]), (&1.into(), &"two".into()));
    assert!(
        answer.text.contains("event: progress\ndata: {\"splits\":{\"read\":"),
        "{}",
        answer.text
    );
    let wrong = harness.call_with("GET", "/api/v1/search?q=)", &headers, "").await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (400, "syntax_error".to_owned()));
}

#[tokio::test]
async fn a_tail_gives_new_events_and_ends_with_its_credential() {
    let mut harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    let request = Request::get("/api/v1/tail?q=wanted")
        .header("authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .expect("a request");
    let response = harness.app.clone().oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), 200);
    let mut body = response.into_body().into_data_stream();
    harness.ship(vec![event("other"), event("wanted")]).await;
    let first = body.next().await.expect("an event").expect("sound");
    let first = String::from_utf8_lossy(&first);
    assert!(first.starts_with("event: hit\ndata: {\"id\":"), "{first}");
    assert!(first.contains("\"message\":\"wanted\""), "{first}");
    harness.identity.revoke_token("reader").await.expect("revoked");
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn an_export_gives_everything_as_lines_or_as_cells() {
    let mut harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    harness.ship((0..6_000).map(|number| event(&format!("number {number}"))).collect()).await;
    let lines = r#"{"q":"*","format":"ndjson"}"#;
    let answer = harness.call("POST", "/api/v1/export", Some(&token), lines).await;
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let disposition = answer.headers["content-disposition"].to_str().expect("text");
    assert_eq!(disposition, "attachment; filename=\"logwarden-20260101T000000Z.ndjson\"");
    assert!(answer.headers["content-security-policy"].to_str().expect("text").contains("sandbox"));
    let mut messages: Vec<String> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|hit| hit["message"].as_str().expect("text").to_owned())
        .collect();
    messages.sort_unstable();
    messages.dedup();
    assert_eq!(messages.len(), 6_000);

    let cells = r#"{"q":"\"number 7\"","format":"csv","fields":["message","a"],"raw":true}"#;
    let answer = harness.call("POST", "/api/v1/export", Some(&token), cells).await;
    assert_eq!(answer.text, "\"message\",\"a\",\"raw\"\r\n\"number 7\",\"'=1\",\"number 7\"\r\n");
    let aggregates = r#"{"q":"* | stats count()"}"#;
    let refused = harness.call("POST", "/api/v1/export", Some(&token), aggregates).await;
    assert_eq!(refused.status, 400);
    let audit = harness.audit_records().await;
    assert_eq!(audit[0], "export.begin success reader *");
}

#[tokio::test]
async fn an_export_in_the_background_is_fetched_by_who_began_it() {
    let mut harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    harness.ship((0..6_000).map(|number| event(&format!("number {number}"))).collect()).await;
    let asked =
        r#"{"q":"number","from":"2020-01-01T00:00:00Z","format":"csv","fields":["message","a"]}"#;
    let begun = harness.call("POST", "/api/v1/exports", Some(&token), asked).await;
    assert_eq!((begun.status.as_u16(), &begun.json()["state"]), (202, &"running".into()));
    let path = format!("/api/v1/exports/{}", begun.json()["id"].as_str().expect("an id"));
    let ended = loop {
        let item = harness.call("GET", &path, Some(&token), "").await.json();
        if item["state"] != "running" {
            break item;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (&ended["state"], &ended["total"], &ended["events"]),
        (&"done".into(), &6_000.into(), &6_000.into()),
        "{ended}"
    );
    let file = harness.call("GET", &format!("{path}/file"), Some(&token), "").await;
    assert_eq!(file.text.lines().count(), 6_001);
    assert!(file.text.starts_with("\"message\",\"a\"\r\n") && file.text.contains("\"'=1\""));
    assert_eq!(ended["size_bytes"], file.text.len());
    let head = harness.call("GET", &format!("{path}/header"), Some(&token), "").await;
    let disposition = head.headers["content-disposition"].to_str().expect("text");
    assert!(disposition.ends_with(".csv.header.json\""), "{disposition}");
    let (head, fields) = (head.json(), serde_json::json!(["message", "a"]));
    assert_eq!(
        (&head["q"], &head["from"], &head["fields"]),
        (&"number".into(), &"2020-01-01T00:00:00Z".into(), &fields)
    );

    let other = harness.token(Role::Analyst).await;
    for place in [path.clone(), format!("{path}/file"), format!("{path}/header")] {
        assert_eq!(harness.call("GET", &place, Some(&other), "").await.status, 404, "{place}");
    }
    assert_eq!(harness.call("DELETE", &path, Some(&other), "").await.status, 404);
    let list = harness.call("GET", "/api/v1/exports", Some(&other), "").await;
    assert_eq!(list.json()["items"], serde_json::json!([]));
    assert_eq!(harness.call("DELETE", &path, Some(&token), "").await.status, 204);
    assert_eq!(harness.call("GET", &format!("{path}/file"), Some(&token), "").await.status, 404);
    let audit = harness.audit_records().await;
    for action in ["export.begin", "export.fetch", "export.remove"] {
        assert!(audit.contains(&format!("{action} success reader number")), "{audit:?}");
    }
}

#[tokio::test]
async fn exports_in_the_background_are_bounded() {
    let mut harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    harness.ship(vec![event("one")]).await;
    let mut answers = Vec::new();
    for _ in 0..12 {
        let begun = harness.call("POST", "/api/v1/exports", Some(&token), "{}").await;
        answers.push(begun.status.as_u16());
    }
    assert_eq!(&answers[..2], [202, 202]);
    let list = harness.call("GET", "/api/v1/exports", Some(&token), "").await;
    assert!(list.json()["items"].as_array().expect("items").len() <= 8, "{answers:?}");
    let aggregates = r#"{"q":"* | stats count()"}"#;
    let refused = harness.call("POST", "/api/v1/exports", Some(&token), aggregates).await;
    assert_eq!(refused.status, 400);
}
