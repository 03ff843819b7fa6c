//! What every answer carries, and the dashboard's files.

use logwarden_store::identity::Role;

use super::harness::Harness;
use crate::frame::{CONTENT_SECURITY_POLICY, DATA_SECURITY_POLICY};

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    for (method, path, token, status) in [
        ("GET", "/api/v1/session", Some(token.as_str()), 200),
        ("GET", "/api/v1/session", None, 401),
        ("GET", "/api/v1/tokens", Some(token.as_str()), 403),
        ("GET", "/api/v1/nobody", Some(token.as_str()), 404),
        ("PATCH", "/api/v1/session", Some(token.as_str()), 405),
        ("POST", "/api/v1/session", None, 415),
        ("GET", "/livez", None, 200),
    ] {
        let answer = harness.call(method, path, token, "").await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        let header = |name: &str| answer.headers[name].to_str().expect("text").to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("content-security-policy"), DATA_SECURITY_POLICY);
        assert!(header("permissions-policy").contains("camera=()"));
        assert!(!answer.headers.contains_key("strict-transport-security"));
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
        assert!(!answer.headers.contains_key("server"));
        if status >= 400 {
            assert_eq!(header("content-type"), "application/json");
            let id = answer.json()["error"]["request_id"].as_str().expect("an id").to_owned();
            assert_eq!((id.len(), header("x-request-id")), (16, id.clone()), "{path}");
        }
    }
}

#[tokio::test]
async fn what_a_proxy_could_read_otherwise_is_refused() {
    let harness = Harness::new().await;
    for (name, values, status) in [
        ("host", &["a", "b"][..], 400),
        ("host", &["a"], 200),
        ("transfer-encoding", &["gzip, chunked"], 400),
        ("transfer-encoding", &["chunked", "chunked"], 400),
        ("transfer-encoding", &["Chunked"], 200),
    ] {
        let mut request = http::Request::get("/livez");
        for value in values {
            request = request.header(name, *value);
        }
        let request = request.body(axum::body::Body::empty()).expect("a request");
        let answer = harness.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {values:?}");
        assert_eq!(answer.headers.contains_key("connection"), status == 400);
    }
}

/// The body of an answer that has the headers of every answer, with its request id cut out.
async fn framed_body(response: axum::response::Response) -> String {
    let (parts, body) = response.into_parts();
    assert_eq!(parts.headers["content-security-policy"], DATA_SECURITY_POLICY);
    assert_eq!(parts.headers["x-content-type-options"], "nosniff");
    assert_eq!(parts.headers["content-type"], "application/json");
    let id = parts.headers["x-request-id"].to_str().expect("text").to_owned();
    let body = axum::body::to_bytes(body, 1_000).await.expect("read");
    String::from_utf8_lossy(&body).replace(&id, "ID")
}

#[tokio::test]
async fn what_is_refused_before_any_route_is_framed_as_well() {
    let refused = crate::refusal(http::StatusCode::BAD_REQUEST, "url_too_long", "too long", true);
    assert_eq!(refused.headers()["connection"], "close");
    assert_eq!(refused.headers()["strict-transport-security"], "max-age=63072000");
    let expected = r#"{"error":{"code":"url_too_long","message":"too long","request_id":"ID"}}"#;
    assert_eq!(framed_body(refused).await, expected);
}

#[tokio::test]
async fn a_node_that_starts_says_so_on_every_path() {
    for path in ["/api/v1/health", "/search", "/api/v1/ingest"] {
        let app = crate::recovering(&crate::Settings::default());
        let request = http::Request::get(path).body(axum::body::Body::empty()).expect("valid");
        let response = tower::ServiceExt::oneshot(app, request).await.expect("infallible");
        assert_eq!(response.status(), 503, "{path}");
        assert_eq!(response.headers()["retry-after"], "1");
        let expected = r#"{"status":"recovering","error":{"code":"recovering","message":"the server is starting","request_id":"ID"}}"#;
        assert_eq!(framed_body(response).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_browser_keeps_to_tls_once_it_spoke_it() {
    let harness = Harness::new().await;
    let mut request = http::Request::get("/livez").body(axum::body::Body::empty()).expect("valid");
    request.extensions_mut().insert(crate::OverTls);
    let answer = harness.send(request).await;
    assert_eq!(answer.headers["strict-transport-security"], "max-age=63072000");
}

#[tokio::test]
async fn other_methods_are_refused_with_those_that_work() {
    let harness = Harness::new().await;
    let token = harness.token(Role::Admin).await;
    let head = harness.call("HEAD", "/api/v1/session", Some(&token), "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    for method in ["OPTIONS", "PATCH", "TRACE"] {
        let answer = harness.call(method, "/api/v1/session", Some(&token), "").await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.code(), "method_not_allowed");
        assert!(answer.headers["allow"].to_str().expect("text").contains("GET"), "{method}");
        assert_eq!(harness.call(method, "/api/v1/session", None, "").await.status, 401);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_by_any_method() {
    let harness = Harness::new().await;
    let token = harness.token(Role::Admin).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        for (path, token) in [("/nobody", None), ("/api/v1/nobody", Some(&*token))] {
            let answer = harness.call(method, path, token, "").await;
            let found = (answer.status.as_u16(), answer.code());
            assert_eq!(found, (404, "not_found".to_owned()), "{method} {path}");
        }
        assert_eq!(harness.call(method, "/api/v1/nobody", None, "").await.status, 401, "{method}");
    }
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_not_how_it_was_read() {
    let harness = Harness::new().await;
    let token = harness.token(Role::Admin).await;
    for (method, path, body, said) in [
        ("POST", "/api/v1/tokens", "{\"name\":", "the body is not JSON: line 1, column 8"),
        ("POST", "/api/v1/tokens", "5", "the body is not as expected: an object is expected"),
        ("POST", "/api/v1/tokens", "{}", "missing field `name`"),
        ("POST", "/api/v1/search", "{\"from\":{}}", "a value is of a kind that is not taken"),
        ("POST", "/api/v1/search", "{\"limit\":\"x\"}", "expected a number at line 1"),
        ("GET", "/api/v1/alerts?limit=x", "", "the parameters are not as expected: limit: "),
    ] {
        let answer = harness.call(method, path, Some(&token), body).await;
        assert_eq!(answer.status, 400, "{path} {body}");
        let message = answer.json()["error"]["message"].as_str().expect("text").to_owned();
        assert!(message.contains(said), "{message}");
        for internal in ["struct", "enum", "serialize", "EOF", "usize"] {
            assert!(!message.contains(internal), "{message}");
        }
    }
}

#[tokio::test]
async fn whom_to_tell_about_a_weakness_is_said_where_the_operator_says_it() {
    let mut harness = Harness::new().await;
    let path = "/.well-known/security.txt";
    assert_eq!(harness.call("GET", path, None, "").await.status, 404);
    let mut state = harness.state.clone();
    state.settings.security_contact = Some("mailto:security@example.org".to_owned());
    harness.app = crate::router(state);
    let answer = harness.call("GET", path, None, "").await;
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert!(answer.text.starts_with("Contact: mailto:security@example.org\nExpires: "));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let harness = Harness::new().await;
    let token = harness.token(Role::Admin).await;
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(70_000));
    let answer = harness.call("POST", "/api/v1/tokens", Some(&token), &large).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (413, "too_large".to_owned()));
    let broken = harness.call("POST", "/api/v1/tokens", Some(&token), "{").await;
    assert_eq!((broken.status.as_u16(), broken.code()), (400, "bad_request".to_owned()));
}

#[tokio::test]
async fn a_panic_is_an_answer_without_its_reason() {
    async fn defect() -> &'static str {
        panic!("a secret")
    }
    let routes = axum::Router::new().route("/defect", axum::routing::get(defect));
    let app = crate::framed(routes, &crate::Settings::default());
    let request = http::Request::get("/defect").body(axum::body::Body::empty()).expect("valid");
    let response = tower::ServiceExt::oneshot(app, request).await.expect("infallible");
    assert_eq!(response.status(), 500);
    let body = axum::body::to_bytes(response.into_body(), 1_000).await.expect("read");
    let text = String::from_utf8_lossy(&body);
    assert!(text.contains("\"code\":\"internal\"") && !text.contains("secret"), "{text}");
}

#[cfg(feature = "ui")]
#[tokio::test]
async fn pages_have_their_policy_and_unknown_ones_are_not_found() {
    let harness = Harness::new().await;
    for (path, status) in [("/", 200), ("/alerts/01ABC", 200), ("/nobody", 404), ("//", 404)] {
        let answer = harness.call("GET", path, None, "").await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(answer.headers["content-security-policy"], CONTENT_SECURITY_POLICY);
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(answer.text.contains("<!doctype html>") || answer.text.contains("<!DOCTYPE html>"));
    }
}

#[cfg(not(feature = "ui"))]
#[tokio::test]
async fn without_the_dashboard_there_is_nothing_at_the_root() {
    let harness = Harness::new().await;
    let answer = harness.call("GET", "/", None, "").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (404, "not_found".to_owned()));
    let _ = CONTENT_SECURITY_POLICY;
}
