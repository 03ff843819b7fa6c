//! Roles that see a part of the events: no endpoint tells them of the rest.

use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt;
use http::Request;
use logwarden_event::{Event, EventBuilder, FieldOptions, Value};
use logwarden_store::identity::{NewToken, Role, RoleConfig, Roles};
use tower::ServiceExt;

use super::harness::{Harness, PASSWORD};
use crate::route::Permission;

/// It stands in events of other sources and in hidden fields.
const CANARY: &str = "zq9canary";

fn login(source: &str, user: &str) -> Event {
    let mut event = EventBuilder::new(b"record of zq9canary");
    event.source(source).dataset("shop.auth").message(&format!("login of {user}"));
    event.field_with("user.name", Some("usr"), Value::String(user), FieldOptions::default());
    let zone = if source == "shop" { "eu" } else { user };
    event.field("zone", Value::String(zone));
    event.build()
}

fn shop() -> Roles {
    let config = RoleConfig {
        name: "shop".to_owned(),
        base: "analyst".to_owned(),
        filter: Some("lw.source:shop".to_owned()),
        mask: vec!["user".to_owned()],
    };
    Roles::new(&[config]).expect("roles")
}

async fn node() -> (Harness, String) {
    let mut harness = Harness::new().await;
    harness.identity.set_roles(shop());
    harness.ship(vec![login("shop", CANARY), login("bank", CANARY)]).await;
    let token = NewToken {
        name: "shop-keeper".to_owned(),
        role: "shop".to_owned(),
        source: None,
        filter: None,
        expires_at: None,
    };
    let token = harness.token_like(token).await;
    (harness, token)
}

/// What a role without bounds learns, the same way.
async fn ids(harness: &Harness) -> Vec<String> {
    let admin = harness.token(Role::Admin).await;
    let found = harness.call("GET", "/api/v1/search?q=*", Some(&admin), "").await.json();
    let hits = found["hits"].as_array().expect("hits").iter();
    hits.map(|hit| hit["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn no_endpoint_tells_of_what_a_role_does_not_see() {
    let (harness, token) = node().await;
    let ids = ids(&harness).await;
    let parameters = "q=zone:*&fields=user.name,zone,lw.source&by=zone&prefix=z&name=user.name";
    let body = r#"{"q":"NOT zq9* OR user.name:*","format":"csv","raw":true}"#;
    let mut answered = 0;
    for (method, path, permission) in crate::api::routes().declared() {
        let is_stream = path.ends_with("/tail");
        if permission == Permission::Open || is_stream || path.contains("/session") {
            continue;
        }
        let named = path.replace("{token}", "none");
        let places = if named.contains("{id}") { ids.as_slice() } else { &ids[..1] };
        for id in places {
            for name in ["user.name", "zone", "bank"] {
                let path = named.replace("{id}", id).replace("{name}", name);
                let path = format!("{path}?{parameters}");
                let body = if method == http::Method::POST { body } else { "" };
                let answer = harness.call(method.as_str(), &path, Some(&token), body).await;
                assert!(!answer.text.contains(CANARY), "{method} {path}: {}", answer.text);
                assert!(!answer.text.contains("enpxOWNhbmFyeQ"), "{method} {path}");
                answered += usize::from(answer.status == 200);
            }
        }
    }
    assert!(answered > 30, "{answered} answers looked at");
    let export = harness.call("POST", "/api/v1/export", Some(&token), r#"{"raw":true}"#).await;
    assert!(export.text.contains("login of ***"), "{}", export.text);
    assert!(!export.text.contains("bank") && !export.text.contains(CANARY), "{}", export.text);
    for (path, status) in [
        ("audit", 403),
        ("deadletters", 403),
        ("alerts/latency", 403),
        ("rules", 200),
        ("silences", 200),
        ("notifiers", 200),
        ("deliveries", 200),
    ] {
        let answer = harness.call("GET", &format!("/api/v1/{path}"), Some(&token), "").await;
        assert_eq!(answer.status, status, "{path}");
    }
    let rules = harness.call("GET", "/api/v1/rules", Some(&token), "").await.json();
    let items = rules["items"].as_array().expect("rules");
    assert!(items.iter().all(|rule| rule["statistics"].is_null()), "how often a rule fired is not");
}

#[tokio::test]
async fn a_role_that_changes_ends_open_tails_at_once() {
    let (mut harness, token) = node().await;
    let request = Request::get("/api/v1/tail?q=*")
        .header("authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .expect("a request");
    let response = harness.app.clone().oneshot(request).await.expect("infallible");
    let mut body = response.into_body().into_data_stream();
    harness.ship(vec![login("bank", CANARY), login("shop", CANARY)]).await;
    let first = body.next().await.expect("an event").expect("sound");
    let first = String::from_utf8_lossy(&first);
    assert!(first.contains("login of ***") && !first.contains(CANARY), "{first}");
    harness.identity.set_roles(Roles::default());
    let ended = tokio::time::timeout(Duration::from_secs(1), body.next()).await;
    assert!(ended.expect("within a second").is_none());
}

#[tokio::test]
async fn administrators_see_the_roles_and_give_them_to_people() {
    let (harness, _) = node().await;
    let admin = harness.token(Role::Admin).await;
    let list = harness.call("GET", "/api/v1/roles", Some(&admin), "").await.json();
    let expected = serde_json::json!({
        "name": "shop", "role": "analyst", "filters": ["lw.source:shop"], "mask": ["user"]
    });
    assert!(list["items"].as_array().expect("roles").contains(&expected), "{list}");
    let make = async |role: &str| {
        let user = serde_json::json!({ "name": role, "role": role, "password": PASSWORD });
        harness.call("POST", "/api/v1/users", Some(&admin), &user.to_string()).await
    };
    assert_eq!(make("shop").await.status, 201);
    for role in ["metrics", "nobody"] {
        assert_eq!(make(role).await.status, 400, "{role}");
    }
    let body = serde_json::json!({ "name": "shop", "password": PASSWORD }).to_string();
    let signed_in = harness.call("POST", "/api/v1/session", None, &body).await;
    let who = signed_in.json();
    assert_eq!((&who["role"], &who["role_name"]), (&"analyst".into(), &"shop".into()));
    assert_eq!(who["sees_everything"], false);
    let cookie = signed_in.headers["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a pair");
    let health = harness.call_with("GET", "/api/v1/health", &[("cookie", cookie)], "").await.json();
    let names: Vec<&String> = health["details"].as_object().expect("details").keys().collect();
    assert_eq!(names, ["enrichments", "inputs", "version"], "nothing counts all events");
}
