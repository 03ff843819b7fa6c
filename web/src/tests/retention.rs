//! Retention through the API: one document, changed by administrators, and a dry run.

use logwarden_store::identity::Role;

use super::harness::Harness;

#[tokio::test]
async fn policies_are_tried_set_and_shown() {
    let harness = Harness::new().await;
    let admin = harness.token(Role::Admin).await;
    let call = async |method, path, body| harness.call(method, path, Some(&admin), body).await;
    let wanted = r#"{"policies":[{"dataset":"sshd.*","keep_days":90}]}"#;
    let tried = call("PUT", "/api/v1/retention?dry_run=true", wanted).await;
    assert_eq!(tried.json()["policies"][0]["keep_days"], 90);
    assert_eq!(
        call("GET", "/api/v1/retention", "").await.json()["policies"],
        serde_json::json!([])
    );

    let set = call("PUT", "/api/v1/retention", wanted).await.json();
    assert_eq!(set["policies"][0]["origin"], "api");
    assert!(set["change_waits_until"].is_string(), "{set}");
    assert_eq!(set, call("GET", "/api/v1/retention", "").await.json());
    assert_eq!(call("POST", "/api/v1/retention/confirm", "").await.json()["due"]["splits"], 0);
    let records = harness.audit_records().await;
    assert!(records[0].starts_with("retention.replace success admin"), "{records:?}");
    assert_eq!(records[1], "retention.confirm success admin retention");
}

#[tokio::test]
async fn a_policy_that_says_nothing_is_refused() {
    let harness = Harness::new().await;
    let admin = harness.token(Role::Admin).await;
    let wrong = r#"{"policies":[{"dataset":"sshd.*"}]}"#;
    let answer = harness.call("PUT", "/api/v1/retention", Some(&admin), wrong).await;
    assert_eq!(answer.status, 400);
    assert!(answer.json()["error"]["message"].as_str().is_some_and(|text| text.contains("either")));
}
