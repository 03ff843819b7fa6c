//! A person's own settings, password and sessions.

use logwarden_store::identity::Role;
use serde_json::Value;

use super::harness::{Answer, Harness, PASSWORD};

async fn sign_in(harness: &Harness, password: &str) -> Answer {
    let body = serde_json::json!({ "name": "ana", "password": password });
    harness.call("POST", "/api/v1/session", None, &body.to_string()).await
}

fn cookie(answer: &Answer) -> String {
    let value = answer.headers["set-cookie"].to_str().expect("text");
    value.split(';').next().expect("a pair").to_owned()
}

async fn call(harness: &Harness, cookie: &str, method: &str, path: &str, body: &str) -> Answer {
    let ours = [("cookie", cookie), ("sec-fetch-site", "same-origin")];
    harness.call_with(method, path, &ours, body).await
}

async fn with_ana() -> Harness {
    let harness = Harness::new().await;
    harness.identity.create_user("ana", Role::Analyst.as_str(), PASSWORD).await.expect("made");
    harness
}

#[tokio::test]
async fn settings_are_kept_per_person() {
    let harness = with_ana().await;
    let ana = cookie(&sign_in(&harness, PASSWORD).await);
    let none = call(&harness, &ana, "GET", "/api/v1/me/settings", "").await;
    assert_eq!(none.text, "{}");
    let kept = call(&harness, &ana, "PUT", "/api/v1/me/settings", r#"{"zone":"UTC"}"#).await;
    assert_eq!(kept.status, 200, "{}", kept.text);
    let read = call(&harness, &ana, "GET", "/api/v1/me/settings", "").await;
    assert_eq!(read.text, r#"{"zone":"UTC"}"#);
    let refused = call(&harness, &ana, "PUT", "/api/v1/me/settings", "[1]").await;
    assert_eq!(refused.status, 400);
    let token = harness.token(Role::Admin).await;
    let program = harness.call("GET", "/api/v1/me/settings", Some(&token), "").await;
    assert_eq!((program.status.as_u16(), program.code()), (403, "not_a_person".to_owned()));
}

#[tokio::test]
async fn one_sees_and_ends_ones_own_sessions_only() {
    let harness = with_ana().await;
    let (here, there) = (sign_in(&harness, PASSWORD).await, sign_in(&harness, PASSWORD).await);
    let (here, there) = (cookie(&here), cookie(&there));
    harness.identity.create_user("bob", Role::Analyst.as_str(), PASSWORD).await.expect("made");
    let body = serde_json::json!({ "name": "bob", "password": PASSWORD }).to_string();
    let bob = cookie(&harness.call("POST", "/api/v1/session", None, &body).await);

    let list = call(&harness, &here, "GET", "/api/v1/sessions", "").await.json();
    let sessions = list["items"].as_array().expect("a list").clone();
    assert_eq!(sessions.len(), 2);
    let other = sessions.iter().find(|session| session["current"] == false).expect("another one");
    let path = format!("/api/v1/sessions/{}", other["id"].as_str().expect("text"));
    assert_eq!(call(&harness, &here, "GET", &path, "").await.json(), *other);
    assert_eq!(call(&harness, &bob, "GET", &path, "").await.status, 404);
    assert_eq!(call(&harness, &bob, "DELETE", &path, "").await.status, 404);
    assert_eq!(call(&harness, &here, "DELETE", &path, "").await.status, 204);
    assert_eq!(call(&harness, &there, "GET", "/api/v1/session", "").await.status, 401);
    assert_eq!(call(&harness, &here, "GET", "/api/v1/session", "").await.status, 200);
}

#[tokio::test]
async fn administrators_see_and_end_the_sessions_of_everybody() {
    let harness = with_ana().await;
    let ana = cookie(&sign_in(&harness, PASSWORD).await);
    let admin = harness.token(Role::Admin).await;
    let list = harness.call("GET", "/api/v1/sessions", Some(&admin), "").await.json();
    assert_eq!((&list["items"][0]["user"], &list["items"][1]), (&"ana".into(), &Value::Null));
    let of_bob = harness.call("GET", "/api/v1/sessions?user=bob", Some(&admin), "").await.json();
    assert_eq!(of_bob["items"], serde_json::json!([]));
    let others = call(&harness, &ana, "GET", "/api/v1/sessions?user=bob", "").await;
    assert_eq!(others.status, 403);
    let path = format!("/api/v1/sessions/{}", list["items"][0]["id"].as_str().expect("text"));
    assert_eq!(harness.call("DELETE", &path, Some(&admin), "").await.status, 204);
    assert_eq!(call(&harness, &ana, "GET", "/api/v1/session", "").await.status, 401);
}

#[tokio::test]
async fn another_password_needs_the_present_one_and_ends_every_other_session() {
    let harness = with_ana().await;
    let (here, there) = (sign_in(&harness, PASSWORD).await, sign_in(&harness, PASSWORD).await);
    let (here, there) = (cookie(&here), cookie(&there));
    let change = |current: &str, password: &str| {
        serde_json::json!({ "current": current, "password": password }).to_string()
    };
    let path = "/api/v1/me/password";
    let wrong = change("not this one", "another long passphrase");
    let refused = call(&harness, &here, "PUT", path, &wrong).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "bad_credentials".to_owned()));
    let weak = call(&harness, &here, "PUT", path, &change(PASSWORD, "short")).await;
    assert_eq!(weak.status, 400);
    assert_eq!(call(&harness, &there, "GET", "/api/v1/session", "").await.status, 200);

    let changed =
        call(&harness, &here, "PUT", path, &change(PASSWORD, "another long passphrase")).await;
    assert_eq!(changed.status, 204, "{}", changed.text);
    let renewed = cookie(&changed);
    assert_eq!(call(&harness, &renewed, "GET", "/api/v1/session", "").await.status, 200);
    for old in [&here, &there] {
        assert_eq!(call(&harness, old, "GET", "/api/v1/session", "").await.status, 401);
    }
    assert_eq!(sign_in(&harness, PASSWORD).await.status, 401);
    assert_eq!(sign_in(&harness, "another long passphrase").await.status, 200);
}

#[tokio::test]
async fn a_second_factor_is_confirmed_asked_for_and_taken_away_by_an_administrator() {
    let harness = with_ana().await;
    let here = cookie(&sign_in(&harness, PASSWORD).await);
    let path = "/api/v1/me/second-factor";
    let begun = call(&harness, &here, "POST", path, "{}").await.json();
    let url = begun["url"].as_str().expect("text");
    let secret = begun["secret"].as_str().expect("text");
    assert!(
        url.starts_with("otpauth://totp/Logwarden:ana?secret=") && url.contains(secret),
        "{url}"
    );
    let wrong =
        serde_json::json!({ "secret": secret, "code": "12345", "current": PASSWORD }).to_string();
    assert_eq!(call(&harness, &here, "PUT", path, &wrong).await.status, 400);
    let taken_over =
        serde_json::json!({ "secret": secret, "code": "123456", "current": "guessed" });
    let refused = call(&harness, &here, "PUT", path, &taken_over.to_string()).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "bad_credentials".to_owned()));
    let state = call(&harness, &here, "GET", path, "").await;
    assert_eq!(state.text, r#"{"enabled":false}"#);
    assert_eq!(sign_in(&harness, PASSWORD).await.status, 200);

    let refused = call(&harness, &here, "DELETE", path, r#"{"current":"not this one"}"#).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "bad_credentials".to_owned()));
    let admin = harness.token(Role::Admin).await;
    let path = "/api/v1/users/ana/second-factor";
    assert_eq!(harness.call("DELETE", path, Some(&admin), "").await.status, 204);
    let path = "/api/v1/users/nobody/second-factor";
    assert_eq!(harness.call("DELETE", path, Some(&admin), "").await.status, 404);
}
