//! Searching: the shapes of the answers, and who sees what.

use logwarden_event::{Event, EventBuilder, FieldOptions, Severity, Timestamp, Value};
use logwarden_store::identity::{NewToken, Role};

use super::harness::Harness;

const ITEM: FieldOptions = FieldOptions { is_array_item: true, is_inner: false };

/// A failed login at this second of 2026-01-01.
fn failure(second: i64, source: &str, user: &str) -> Event {
    let mut event = EventBuilder::new(b"the record");
    event.timestamp(Some(Timestamp::from_secs(1_767_225_600 + second)));
    event.source(source).dataset("shop.auth").severity(Severity::Error).message("login failed");
    event.field_with("user.name", Some("usr"), Value::String(user), FieldOptions::default());
    event.field("source.ip", Value::Ip([10, 2, 0, 9].into()));
    event.field("bytes", Value::Integer(i128::from(u64::MAX)));
    event.field_with("tags", None, Value::String("a"), ITEM);
    event.field("items", Value::Json(r#"[{"x": 1.50}]"#));
    event.build()
}

async fn node() -> (Harness, String) {
    let mut harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    harness
        .ship(vec![
            failure(0, "edge", "root"),
            failure(1, "edge", "ana"),
            failure(2, "core", "root"),
        ])
        .await;
    (harness, token)
}

#[tokio::test]
async fn a_hit_has_the_shape_that_was_promised() {
    let (harness, token) = node().await;
    let answer =
        harness.call("GET", "/api/v1/search?q=user.name:root&limit=1", Some(&token), "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let json = answer.json();
    assert_eq!((&json["total"], &json["complete"]), (&2.into(), &true.into()));
    assert!(json["took_ms"].is_number() && json["next"].is_string(), "{json}");
    assert_eq!(json["splits"]["read"], json["splits"]["of"]);
    let rest = r#""seq":3,"timestamp":"2026-01-01T00:00:02Z","observed_at":"2026-01-01T00:00:00.000000002Z","source":"core","dataset":"shop.auth","severity":"error","message":"login failed","fields":{"user.name":"root","source.ip":"10.2.0.9","bytes":18446744073709551615,"tags":["a"],"items":[{"x": 1.50}]}}"#;
    assert!(answer.text.contains(rest), "{}", answer.text);

    let next = json["next"].as_str().expect("a cursor");
    let path = format!("/api/v1/search?q=user.name:root&limit=1&cursor={next}");
    let second = harness.call("GET", &path, Some(&token), "").await;
    assert_eq!(second.json()["hits"][0]["seq"], 1, "{}", second.text);
}

#[tokio::test]
async fn get_and_post_ask_the_same() {
    let (harness, token) = node().await;
    let path = "/api/v1/search?q=*&from=1767225601&to=2026-01-01T00:00:02Z&fields=user.name";
    let by_url = harness.call("GET", path, Some(&token), "").await.json();
    let body = r#"{"q":"*","from":1767225601,"to":"2026-01-01T00:00:02Z","fields":["user.name"]}"#;
    let by_body = harness.call("POST", "/api/v1/search", Some(&token), body).await.json();
    assert_eq!(by_url["hits"], by_body["hits"]);
    assert_eq!(by_url["total"], 1);
    assert_eq!(by_url["hits"][0]["fields"], serde_json::json!({ "user.name": "ana" }));
    let misnamed = r#"{"query":"user.name:ana"}"#;
    let answer = harness.call("POST", "/api/v1/search", Some(&token), misnamed).await;
    assert!(answer.status.is_client_error() && answer.text.contains("`query`"), "{}", answer.text);
}

#[tokio::test]
async fn an_aggregation_gives_columns_and_rows() {
    let (harness, token) = node().await;
    let path = "/api/v1/search?q=*%20%7C%20stats%20count()%20by%20user.name";
    let json = harness.call("GET", path, Some(&token), "").await.json();
    assert_eq!(
        json["columns"],
        serde_json::json!([
            { "name": "user.name", "type": "string" },
            { "name": "count", "type": "integer" }
        ])
    );
    let mut rows = json["rows"].as_array().expect("rows").clone();
    rows.sort_by_key(ToString::to_string);
    assert_eq!(serde_json::json!(rows), serde_json::json!([["ana", 1], ["root", 2]]));
    assert!(json.get("hits").is_none());
}

#[tokio::test]
async fn a_wrong_query_says_where() {
    let (harness, token) = node().await;
    for path in ["/api/v1/search", "/api/v1/histogram", "/api/v1/facets", "/api/v1/tail"] {
        let answer = harness.call("GET", &format!("{path}?q=a%20)"), Some(&token), "").await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "syntax_error".to_owned()));
        assert!(answer.json()["error"]["position"].is_number(), "{}", answer.text);
    }
    for (query, position) in [("a%20)", Some(2)), ("*%20%7C%20nosuch", Some(4)), ("a%20b", None)] {
        let path = format!("/api/v1/search/check?q={query}");
        let answer = harness.call("GET", &path, Some(&token), "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let found = answer.json()["problem"]["position"].as_u64();
        assert_eq!(found, position, "{query}: {}", answer.text);
    }
    let deep = "(".repeat(20_000);
    let body = format!(r#"{{"q":"{deep}"}}"#);
    let answer = harness.call("POST", "/api/v1/search", Some(&token), &body).await;
    assert_eq!(answer.status, 400);
    let long = harness.call("GET", "/api/v1/search?limit=10001", Some(&token), "").await;
    assert_eq!(long.status, 400);
    let time = harness.call("GET", "/api/v1/search?from=yesterday", Some(&token), "").await;
    assert_eq!((time.status.as_u16(), time.code()), (400, "bad_request".to_owned()));
}

#[tokio::test]
async fn counts_facets_fields_and_values_have_their_shapes() {
    let (harness, token) = node().await;
    let get = async |path: &str| {
        let answer = harness.call("GET", path, Some(&token), "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    };
    let range = "from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:04Z";
    let histogram = get(&format!("/api/v1/histogram?q=*&{range}&buckets=2&by=user.name")).await;
    assert_eq!(
        histogram,
        serde_json::json!({
            "buckets": [
                { "timestamp": "2026-01-01T00:00:00Z", "count": 2, "by": { "root": 1, "ana": 1 } },
                { "timestamp": "2026-01-01T00:00:02Z", "count": 1, "by": { "root": 1 } }
            ],
            "interval_ms": 2_000, "complete": true, "total": 3
        })
    );
    let facets = get("/api/v1/facets?q=*&fields=user.name,source.ip&limit=1").await;
    assert_eq!(
        facets,
        serde_json::json!({ "complete": true, "fields": [
            { "name": "user.name", "type": "string", "distinct": 2, "exact": true,
              "values": [{ "value": "root", "count": 2 }] },
            { "name": "source.ip", "type": "ip", "distinct": 1, "exact": true,
              "values": [{ "value": "10.2.0.9", "count": 3 }] }
        ]})
    );
    let fields = get("/api/v1/fields?prefix=user").await;
    assert_eq!(fields["items"][0]["name"], "user.name");
    assert_eq!(fields["items"][0]["types"], serde_json::json!(["string"]));
    let values = get("/api/v1/fields/user.name/values?prefix=ro").await;
    let expected = serde_json::json!({ "items": [{ "value": "root", "count": 2 }], "next": null });
    assert_eq!(values, expected);
    let sources = get("/api/v1/sources").await;
    assert_eq!(sources["items"][0]["name"], "edge");
    assert_eq!(sources["items"][0]["last_event_at"], "2026-01-01T00:00:01Z");
}

#[tokio::test]
async fn one_event_has_its_record_and_its_neighbours() {
    let (harness, token) = node().await;
    let found = harness.call("GET", "/api/v1/search?q=user.name:ana", Some(&token), "").await;
    let id = found.json()["hits"][0]["id"].as_str().expect("an id").to_owned();
    let event = harness.call("GET", &format!("/api/v1/events/{id}"), Some(&token), "").await.json();
    assert_eq!(
        (&event["raw"], &event["raw_base64"]),
        (&"the record".into(), &"dGhlIHJlY29yZA==".into())
    );
    assert_eq!(event["aliases"], serde_json::json!({ "user.name": "usr" }));
    // A field that the event does not have is not named.
    assert_eq!(event["parsers"], serde_json::json!({ "user.name": "sshd" }));
    let path = format!("/api/v1/events/{id}/context?before=5&after=5&by=source");
    let context = harness.call("GET", &path, Some(&token), "").await.json();
    assert_eq!(context["anchor"]["id"], id);
    assert_eq!(context["before"][0]["seq"], 1);
    assert_eq!(context["after"], serde_json::json!([]));
    for path in ["/api/v1/events/nobody", "/api/v1/events/00000000000000000000000000"] {
        assert_eq!(harness.call("GET", path, Some(&token), "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_bound_token_sees_its_part_and_nothing_else() {
    let (harness, admin_like) = node().await;
    let new = |name: &str, source: Option<&str>, filter: Option<&str>| NewToken {
        name: name.to_owned(),
        role: Role::Admin.to_string(),
        source: source.map(str::to_owned),
        filter: filter.map(str::to_owned),
        expires_at: None,
    };
    let by_source = harness.token_like(new("by-source", Some("edge"), None)).await;
    let by_filter = harness.token_like(new("by-filter", None, Some("user.name:ana"))).await;
    let both = harness.token_like(new("both", Some("core"), Some("user.name:ana"))).await;
    let total = async |token: &str, query: &str| {
        let path = format!("/api/v1/search?q={query}");
        harness.call("GET", &path, Some(token), "").await.json()["total"].as_u64()
    };
    assert_eq!(total(&admin_like, "*").await, Some(3));
    assert_eq!(total(&by_source, "*").await, Some(2));
    assert_eq!(total(&by_source, "*%20OR%20lw.source:core").await, Some(2));
    assert_eq!(total(&by_filter, "*").await, Some(1));
    assert_eq!(total(&both, "*").await, Some(0));
    let values = "/api/v1/fields/user.name/values";
    let values = harness.call("GET", values, Some(&by_filter), "").await;
    assert!(!values.text.contains("root"), "{}", values.text);
    let all = harness.call("GET", "/api/v1/search?q=user.name:root", Some(&admin_like), "").await;
    let id = all.json()["hits"][0]["id"].as_str().expect("an id").to_owned();
    let foreign = harness.call("GET", &format!("/api/v1/events/{id}"), Some(&by_filter), "").await;
    assert_eq!(foreign.status, 404);
    for path in ["/api/v1/audit", "/api/v1/deadletters"] {
        let answer = harness.call("GET", path, Some(&by_filter), "").await;
        assert_eq!(answer.status, 403, "{path}");
    }
}

#[tokio::test]
async fn what_was_searched_is_recorded_and_only_administrators_see_it() {
    let (mut harness, reader) = node().await;
    let admin = harness.token(Role::Admin).await;
    harness.call("GET", "/api/v1/search?q=user.name:root", Some(&reader), "").await;
    // The queue has handed the entry over once an entry that waits is durable behind it.
    harness.call("GET", "/api/v1/tokens", Some(&reader), "").await;
    harness.catch_up().await;
    let audit = "/api/v1/search?q=dataset:logwarden.audit%20event.action:access";
    let seen = harness.call("GET", audit, Some(&admin), "").await;
    assert_eq!(seen.json()["total"], 1, "{}", seen.text);
    let hidden = harness.call("GET", audit, Some(&reader), "").await;
    assert_eq!(hidden.json()["total"], 0);
    let list = harness.call("GET", "/api/v1/audit?q=event.action:access", Some(&admin), "").await;
    let fields = &list.json()["items"][0]["fields"];
    assert_eq!(
        (&fields["event.outcome"], &fields["lw.object"]),
        (&"failure".into(), &"GET /api/v1/tokens".into())
    );
    let escape = "/api/v1/audit?q=*)%20OR%20(dataset:shop.auth";
    let refused = harness.call("GET", escape, Some(&admin), "").await;
    assert_eq!(refused.code(), "syntax_error");
}
