//! Sources through the API: who has sent, who is only known, and who may see it.

use logwarden_event::EventBuilder;
use logwarden_store::identity::{NewToken, Role};

use super::harness::Harness;

#[tokio::test]
async fn a_source_is_shown_with_its_events_and_how_it_is() {
    let mut harness = Harness::new().await;
    let mut event = EventBuilder::new(b"x");
    event.source("shop").dataset("shop");
    harness.ship(vec![event.build()]).await;
    let reader = harness.token(Role::Reader).await;
    let list = harness.call("GET", "/api/v1/sources", Some(&reader), "").await.json();
    assert_eq!(
        (&list["items"][0]["name"], &list["items"][0]["events"]),
        (&"shop".into(), &1.into())
    );
    assert_eq!(list["items"][0]["health"]["quota"]["bytes_per_sec_max"], 1_000);
    assert_eq!(list["items"][0]["health"]["fields_new"][0], "zone");
    assert!(list["items"][0]["health"]["fields"].is_null(), "{list}");
    // Nothing of it is kept any more.
    assert_eq!(
        (&list["items"][1]["name"], &list["items"][1]["events"]),
        (&"depot".into(), &0.into())
    );
    assert_eq!(list["items"][1]["health"]["state"], "silent");

    let one = harness.call("GET", "/api/v1/sources/shop", Some(&reader), "").await.json();
    assert_eq!(one["health"]["fields"][0]["kinds"][0], "text", "{one}");
    let none = harness.call("GET", "/api/v1/sources/nobody", Some(&reader), "").await;
    assert_eq!(none.status, 404);
}

#[tokio::test]
async fn who_sees_a_part_of_the_events_sees_no_other_source() {
    let harness = Harness::new().await;
    let bound = |source: Option<&str>, filter: Option<&str>| NewToken {
        name: source.unwrap_or("filtered").to_owned(),
        role: Role::Reader.to_string(),
        source: source.map(str::to_owned),
        filter: filter.map(str::to_owned),
        expires_at: None,
    };
    let token = harness.token_like(bound(Some("depot"), None)).await;
    let list = harness.call("GET", "/api/v1/sources", Some(&token), "").await.json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(list["items"][0]["name"], "depot");
    let other = harness.call("GET", "/api/v1/sources/shop", Some(&token), "").await;
    assert_eq!(other.status, 404);
    let token = harness.token_like(bound(None, Some("a:b"))).await;
    let list = harness.call("GET", "/api/v1/sources", Some(&token), "").await.json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(0), "{list}");
}

#[tokio::test]
async fn a_source_is_made_with_a_token_that_writes_as_it_alone() {
    let harness = Harness::new().await;
    let admin = harness.token(Role::Admin).await;
    let path = "/api/v1/sources";
    let made =
        harness.call("POST", path, Some(&admin), r#"{"name":"vpn-eu","expires":"30d"}"#).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    assert_eq!((&made["name"], &made["source"]), (&"vpn-eu".into(), &"vpn-eu".into()));
    assert_eq!(made["role"], "ingest");
    let token = made["token"].as_str().expect("shown once");
    assert_eq!(harness.call("GET", "/api/v1/search?q=*", Some(token), "").await.status, 403);
    let named = r#"{"name":"Keller: Haus 1","token":"keller"}"#;
    assert_eq!(harness.call("POST", path, Some(&admin), named).await.json()["name"], "keller");
    for refused in [r#"{"name":"logwarden.audit"}"#, r#"{"name":"a b"}"#, r#"{"name":""}"#, "{}"] {
        let answer = harness.call("POST", path, Some(&admin), refused).await;
        assert_eq!(answer.status, 400, "{refused}: {}", answer.text);
    }
}
