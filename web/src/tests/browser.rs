//! People with a browser: set-up, signing in and out, cookies, other sites.

use super::harness::{Answer, Harness, PASSWORD};

fn cookie(answer: &Answer) -> String {
    let value = answer.headers["set-cookie"].to_str().expect("text");
    value.split(';').next().expect("a pair").to_owned()
}

async fn set_up(harness: &Harness) -> String {
    let code = harness.identity.setup_code().await.expect("kept").expect("needed");
    let body = serde_json::json!({ "code": code, "name": "ana", "password": PASSWORD });
    let answer = harness.call("POST", "/api/v1/setup", None, &body.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    cookie(&answer)
}

#[tokio::test]
async fn the_first_administrator_is_made_once() {
    let harness = Harness::new().await;
    let needed = harness.call("GET", "/api/v1/setup", None, "").await;
    assert_eq!(needed.text, r#"{"needed":true}"#);
    harness.identity.setup_code().await.expect("kept");
    let body = |code: &str| format!(r#"{{"code":"{code}","name":"eve","password":"{PASSWORD}"}}"#);
    let wrong = harness.call("POST", "/api/v1/setup", None, &body("guessed")).await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (403, "wrong_code".to_owned()));
    let cookie = set_up(&harness).await;
    let who = harness.call_with("GET", "/api/v1/session", &[("cookie", &cookie)], "").await;
    assert_eq!(
        who.text,
        r#"{"name":"ana","role":"admin","role_name":"admin","sees_everything":true,"kind":"user","time_zone":null}"#
    );
    let again = harness.call("POST", "/api/v1/setup", None, &body("guessed")).await;
    assert_eq!(again.status, 409);
    let needed = harness.call("GET", "/api/v1/setup", None, "").await;
    assert_eq!(needed.text, r#"{"needed":false}"#);
}

#[tokio::test]
async fn a_session_begins_with_the_password_and_ends_at_once() {
    let harness = Harness::new().await;
    set_up(&harness).await;
    let wrong = r#"{"name":"ana","password":"wrong"}"#;
    let refused = harness.call("POST", "/api/v1/session", None, wrong).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (401, "bad_credentials".to_owned()));
    let right = format!(r#"{{"name":"ana","password":"{PASSWORD}"}}"#);
    let signed_in = harness.call("POST", "/api/v1/session", None, &right).await;
    assert_eq!(signed_in.status, 200);
    let set = signed_in.headers["set-cookie"].to_str().expect("text");
    assert!(set.starts_with("__Host-session="), "{set}");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{set}");
    let cookie = cookie(&signed_in);
    let ours = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
    let signed_out = harness.call_with("DELETE", "/api/v1/session", &ours, "").await;
    assert_eq!(signed_out.status, 204);
    let replayed = harness.call_with("GET", "/api/v1/session", &ours, "").await;
    assert_eq!(replayed.status, 401);
}

#[tokio::test]
async fn plain_http_off_loopback_gets_the_plain_cookie_and_no_other() {
    let harness = Harness::new().await;
    set_up(&harness).await;
    let right = format!(r#"{{"name":"ana","password":"{PASSWORD}"}}"#);
    let remote = [("host", "10.0.0.5:7514")];
    let signed_in = harness.call_with("POST", "/api/v1/session", &remote, &right).await;
    let set = signed_in.headers["set-cookie"].to_str().expect("text");
    assert!(set.starts_with("session=") && set.ends_with("; SameSite=Lax"), "{set}");
    let cookie = cookie(&signed_in);
    let there = [("host", "10.0.0.5:7514"), ("cookie", cookie.as_str())];
    assert_eq!(harness.call_with("GET", "/api/v1/session", &there, "").await.status, 200);
    let here = [("host", "localhost"), ("cookie", cookie.as_str())];
    assert_eq!(harness.call_with("GET", "/api/v1/session", &here, "").await.status, 401);
}

#[tokio::test]
async fn a_change_by_cookie_must_come_from_our_own_pages() {
    let harness = Harness::new().await;
    let cookie = set_up(&harness).await;
    let body = r#"{"name":"t","role":"reader"}"#;
    let check = async |headers: &[(&str, &str)], status: u16| {
        let headers: Vec<_> =
            headers.iter().copied().chain([("cookie", cookie.as_str())]).collect();
        let answer = harness.call_with("POST", "/api/v1/tokens", &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}: {}", answer.text);
    };
    check(&[], 403).await;
    check(&[("sec-fetch-site", "cross-site")], 403).await;
    check(&[("sec-fetch-site", "same-site")], 403).await;
    check(&[("sec-fetch-site", "none")], 403).await;
    check(&[("origin", "https://evil.example")], 403).await;
    check(&[("origin", "null")], 403).await;
    check(&[("sec-fetch-site", "same-origin"), ("content-type", "text/plain")], 403).await;
    let form = "application/x-www-form-urlencoded";
    check(&[("sec-fetch-site", "same-origin"), ("content-type", form)], 403).await;
    check(&[("origin", "http://127.0.0.1:7514")], 201).await;
}

#[tokio::test]
async fn another_site_cannot_sign_somebody_in() {
    let harness = Harness::new().await;
    set_up(&harness).await;
    let right = format!(r#"{{"name":"ana","password":"{PASSWORD}"}}"#);
    let evil = [("sec-fetch-site", "cross-site")];
    let refused = harness.call_with("POST", "/api/v1/session", &evil, &right).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "cross_site".to_owned()));
    let form = [("content-type", "text/plain")];
    let refused = harness.call_with("POST", "/api/v1/session", &form, &right).await;
    assert_eq!(refused.status, 415);
}

#[tokio::test]
async fn tokens_and_users_come_and_go() {
    let harness = Harness::new().await;
    let cookie = set_up(&harness).await;
    let ours = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
    let call = async |method: &str, path: &str, body: &str| {
        harness.call_with(method, path, &ours, body).await
    };
    let made =
        call("POST", "/api/v1/tokens", r#"{"name":"ci","role":"reader","expires":"90d"}"#).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let token = made.json()["token"].as_str().expect("shown once").to_owned();
    assert!(token.starts_with("lw_"));
    let list = call("GET", "/api/v1/tokens", "").await;
    assert_eq!(list.json()["items"][0]["expires_at"], "2026-04-01T00:00:00Z");
    assert!(!list.text.contains(&token));
    assert_eq!(harness.call("GET", "/api/v1/alerts", Some(&token), "").await.status, 200);
    assert_eq!(call("DELETE", "/api/v1/tokens/ci", "").await.status, 204);
    assert_eq!(harness.call("GET", "/api/v1/alerts", Some(&token), "").await.status, 401);

    let body = format!(r#"{{"name":"bob","role":"analyst","password":"{PASSWORD}"}}"#);
    assert_eq!(call("POST", "/api/v1/users", &body).await.status, 201);
    assert_eq!(call("POST", "/api/v1/users", &body).await.status, 409);
    let weak = r#"{"name":"eve","role":"analyst","password":"short"}"#;
    assert_eq!(call("POST", "/api/v1/users", weak).await.status, 400);
    let changed = call("PUT", "/api/v1/users/bob", r#"{"role":"reader"}"#).await;
    assert_eq!(changed.json()["role"], "reader");
    assert_eq!(call("DELETE", "/api/v1/users/bob", "").await.status, 204);
    assert_eq!(call("DELETE", "/api/v1/users/ana", "").await.status, 409);
}
