//! Saved searches and dashboards: who sees them, who changes them.

use logwarden_store::identity::{NewToken, Role};

use super::harness::Harness;

async fn token(harness: &Harness, name: &str, role: Role) -> String {
    let (name, role) = (name.to_owned(), role.to_string());
    let new = NewToken { name, role, source: None, filter: None, expires_at: None };
    harness.token_like(new).await
}

#[tokio::test]
async fn what_is_shared_is_seen_by_all_and_changed_by_its_owner() {
    let harness = Harness::new().await;
    let ana = token(&harness, "ana", Role::Analyst).await;
    let bob = token(&harness, "bob", Role::Analyst).await;
    let admin = token(&harness, "root", Role::Admin).await;
    for path in ["/api/v1/saved-searches", "/api/v1/dashboards"] {
        let private = r#"{"name":"<b>mine</b>","content":{"q":"user.name:root"}}"#;
        let made = harness.call("POST", path, Some(&ana), private).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let one = format!("{path}/{}", made.json()["id"].as_str().expect("text"));
        let names = async |who: &str| {
            let list = harness.call("GET", path, Some(who), "").await.json();
            list["items"].as_array().expect("a list").len()
        };
        assert_eq!((names(&ana).await, names(&bob).await), (1, 0));
        assert_eq!(harness.call("GET", &one, Some(&bob), "").await.status, 404);

        let shared = r#"{"name":"ours","shared":true,"content":{"q":"user.name:root"}}"#;
        let put = async |who: &str| harness.call("PUT", &one, Some(who), shared).await.status;
        assert_eq!(put(&bob).await, 404);
        assert_eq!(put(&ana).await, 200);
        assert_eq!(names(&bob).await, 1);
        let seen = harness.call("GET", &one, Some(&bob), "").await.json();
        assert_eq!(
            (seen["owner"].as_str(), seen["name"].as_str()),
            (Some("token ana"), Some("ours"))
        );
        assert_eq!(put(&bob).await, 403);
        assert_eq!(harness.call("DELETE", &one, Some(&bob), "").await.status, 403);
        assert_eq!(harness.call("DELETE", &one, Some(&admin), "").await.status, 204);
        assert_eq!(names(&ana).await, 0);
    }
}

#[tokio::test]
async fn a_thing_without_a_name_or_content_is_refused() {
    let harness = Harness::new().await;
    let ana = token(&harness, "ana", Role::Analyst).await;
    for body in [
        r#"{"name":" ","content":{}}"#,
        r#"{"name":"x","content":"text"}"#,
        r#"{"name":"x","content":{},"owner":"bob"}"#,
    ] {
        let refused = harness.call("POST", "/api/v1/dashboards", Some(&ana), body).await;
        assert_eq!(refused.status, 400, "{body}");
    }
}
