//! Who did what is in the journal before the answer is out.

use axum::Router;
use http::{StatusCode, Uri};
use logwarden_store::identity::Role;

use super::harness::{Harness, PASSWORD};

#[tokio::test]
async fn sign_ins_denials_and_changes_are_recorded_before_the_answer() {
    let harness = Harness::new().await;
    harness.identity.create_user("ana", Role::Admin.as_str(), PASSWORD).await.expect("created");
    let reader = harness.token(Role::Reader).await;
    let admin = harness.token(Role::Admin).await;
    let wrong = r#"{"name":"ana","password":"wrong"}"#;
    let right = format!(r#"{{"name":"ana","password":"{PASSWORD}"}}"#);
    harness.call("POST", "/api/v1/session", None, wrong).await;
    harness.call("POST", "/api/v1/session", None, &right).await;
    harness.call("GET", "/api/v1/tokens", Some(&reader), "").await;
    harness.call("POST", "/api/v1/tokens", Some(&admin), r#"{"name":"t","role":"ingest"}"#).await;
    harness.call("DELETE", "/api/v1/tokens/t", Some(&admin), "").await;
    assert_eq!(
        harness.audit_records().await,
        [
            "session.create failure ana ana",
            "session.create success ana ana",
            "access failure reader GET /api/v1/tokens",
            "token.create success admin t",
            "token.revoke success admin t",
        ]
    );
}

#[tokio::test]
async fn whom_a_door_of_senders_turns_away_is_on_record() {
    let mut harness = Harness::new().await;
    let reader = harness.token(Role::Reader).await;
    let door = async |uri: Uri| match uri.path() {
        "/_bulk" => StatusCode::UNAUTHORIZED,
        "/gelf" => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    harness.app = crate::on_record(Router::new().fallback(door), &harness.state);
    for (path, token) in [
        ("/_bulk?token=lw_x", None),
        ("/_bulk", Some("lw_nobody")),
        ("/gelf", Some(&*reader)),
        ("/v1/logs", Some(&*reader)),
    ] {
        harness.head("POST", path, token).await;
    }
    let expected = [
        "access failure - POST /_bulk",
        "access failure - POST /_bulk",
        "access failure reader POST /gelf",
    ];
    // They are written by a task of their own.
    let mut records = Vec::new();
    for _ in 0..10_000 {
        records = harness.audit_records().await;
        if records.len() >= expected.len() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(records, expected);
}

#[tokio::test]
async fn a_full_disk_keeps_nobody_from_signing_in() {
    let harness = Harness::new().await;
    let admin = harness.token(Role::Admin).await;
    harness.fill_disk();
    let answer = harness.call("GET", "/api/v1/session", Some(&admin), "").await;
    assert_eq!(answer.status, 200);
    let reader = harness.call("GET", "/api/v1/nobody", Some("lw_unknown"), "").await;
    assert_eq!(reader.status, 401);
}

#[tokio::test]
async fn taking_note_of_damage_is_on_record() {
    let harness = Harness::new().await;
    let admin = harness.token(Role::Admin).await;
    let path = "/api/v1/health/acknowledge-damage";
    let answer = harness.call("POST", path, Some(&admin), "").await;
    assert_eq!((answer.status.as_u16(), answer.json()["status"].as_str()), (200, Some("ready")));
    assert_eq!(answer.json()["details"]["journal"]["durability"], "fsync");
    assert_eq!(harness.audit_records().await, ["journal.acknowledge_damage success admin -"]);
}
