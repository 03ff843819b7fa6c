//! Silences through the API: begun with an end and a reason, listed, ended.

use logwarden_store::identity::Role;
use serde_json::Value;

use super::harness::Harness;

#[tokio::test]
async fn a_silence_is_begun_shown_and_ended() {
    let harness = Harness::new().await;
    let token = harness.token(Role::Analyst).await;
    let call =
        async |method, path: &str, body| harness.call(method, path, Some(&token), body).await;
    let body = r#"{"entity":"10.0.0.9","reason":"load test","lasts":"30m"}"#;
    let begun = call("POST", "/api/v1/silences", body).await;
    assert_eq!(begun.status, 201, "{}", begun.text);
    let begun = begun.json();
    assert_eq!((&begun["author"], &begun["active"]), (&"analyst".into(), &true.into()), "{begun}");
    let list = call("GET", "/api/v1/silences", "").await.json();
    assert_eq!(list["items"], serde_json::json!([begun]));
    let path = format!("/api/v1/silences/{}", begun["id"].as_str().expect("text"));
    assert_eq!(call("GET", &path, "").await.json(), begun);
    let body = r#"{"rule_id":"failed_login_spike","reason":"longer","lasts":"3h"}"#;
    let changed = call("PUT", &path, body).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let changed = changed.json();
    assert_eq!((&changed["entity"], &changed["reason"]), (&Value::Null, &"longer".into()));
    assert_eq!((&changed["id"], &changed["author"]), (&begun["id"], &begun["author"]));
    assert_eq!(call("GET", &path, "").await.json(), changed);
    assert_eq!(call("PUT", "/api/v1/silences/none", body).await.status, 404);
    assert_eq!(call("GET", "/api/v1/silences/none", "").await.status, 404);
    assert_eq!(call("DELETE", &path, "").await.status, 204);
    let list = call("GET", "/api/v1/silences", "").await.json();
    assert_eq!(list["items"][0]["active"], false);
    assert_eq!(list["items"][0]["ended_by"], "analyst");
    let records = harness.audit_records().await;
    assert!(records[0].starts_with("silence.create success analyst"), "{records:?}");
    assert!(records[1].starts_with("silence.change success analyst"), "{records:?}");
    assert!(records[2].starts_with("silence.end success analyst"), "{records:?}");
    assert_eq!(call("PUT", &path, body).await.status, 409, "it has ended");
}

#[tokio::test]
async fn a_silence_says_what_why_and_until_when() {
    let harness = Harness::new().await;
    let token = harness.token(Role::Analyst).await;
    for body in [
        r#"{"reason":"why"}"#,
        r#"{"rule_id":"no_such_rule","reason":"why"}"#,
        r#"{"entity":"10.0.0.9","reason":" "}"#,
        r#"{"entity":"10.0.0.9","reason":"why","lasts":"forever"}"#,
        r#"{"entity":"10.0.0.9","reason":"why","lasts":"91d"}"#,
    ] {
        let refused = harness.call("POST", "/api/v1/silences", Some(&token), body).await;
        assert_eq!(refused.status, 400, "{body}");
    }
    let preview = r#"{"entity":"10.0.0.9"}"#;
    let preview = harness.call("POST", "/api/v1/silences/preview", Some(&token), preview).await;
    assert_eq!(preview.text, r#"{"items":[],"next":null}"#);
}
