//! Splunk's HTTP event collector, in the words of the clients that were recorded.

use serde_json::{Value, json};

use super::shipping::node_over_quota;
use super::{lines, node};

/// splunk-handler for Python names no content type.
const HANDLER: &str = "POST /services/collector/event\nauthorization: Splunk TOKEN";
/// splunk-logging for JavaScript names a wrong one.
const LOGGING: &str = "POST /services/collector
    authorization: Splunk TOKEN
    content-type: application/x-www-form-urlencoded";

fn success() -> Value {
    json!({"text": "Success", "code": 0})
}

#[tokio::test]
async fn events_come_without_separator_and_as_json_in_text() {
    let node = node(|_| {}).await;
    let body = concat!(
        r#"{"event":"{\"message\":\"paid\",\"level\":\"error\",\"user\":\"ann\"}","host":"web1","index":"main","source":"shop","sourcetype":"_json","time":1735787045.25}"#,
        r#"{"event":"plain text","host":"web1","time":1735787046,"fields":{"team":"a"}}"#,
    );
    let answer = node.ship(HANDLER, body).await;
    assert_eq!((answer.status, answer.json()), (200, success()));
    let expected = "2025-01-02T03:04:05.250Z | paid | error | ann | web1 | main | _json | -
        2025-01-02T03:04:06Z | plain text | info | - | web1 | - | - | a";
    let names = "timestamp message severity user.name host.name index sourcetype team";
    assert_eq!(node.shown(names).await, lines(expected));
    let events = node.events().await;
    assert_eq!(events[0].raw(), &body.as_bytes()[..body.find("}{").expect("two") + 1]);
}

#[tokio::test]
async fn splunk_logging_puts_the_record_under_message() {
    let node = node(|_| {}).await;
    let body = r#"{"time":"1735787045.250","host":"web2","event":{"message":{"message":"paid","order":{"id":7}},"severity":"warn"}}"#;
    assert_eq!(node.ship(LOGGING, body).await.json(), success());
    let body = r#"{"time":"1735787045.250","event":{"message":"text","severity":"info"}}"#;
    assert_eq!(node.ship(LOGGING, body).await.json(), success());
    let expected = "2025-01-02T03:04:05.250Z | paid | warning | 7 | web2
        2025-01-02T03:04:05.250Z | text | info | - | -";
    assert_eq!(node.shown("timestamp message severity order.id host.name").await, lines(expected));
}

#[tokio::test]
async fn the_time_of_the_protocol_counts_more_than_the_events_own() {
    let node = node(|_| {}).await;
    let body = r#"{"time":1735787045,"event":{"when":1,"time":"2020-01-01T00:00:00Z","message":"a"}}
        {"event":{"time":"2020-01-01T00:00:00Z","message":"b"}}
        {"message":"no event at all","time":1735787045}"#;
    assert_eq!(node.ship(HANDLER, body).await.json(), success());
    let expected = "a | 2025-01-02T03:04:05Z | 2020-01-01T00:00:00Z
        b | 2020-01-01T00:00:00Z | -
        no event at all | 2025-01-02T03:04:05Z | -";
    assert_eq!(node.shown("message timestamp time").await, lines(expected));
    node.ship(HANDLER, r#"{"time":"yesterday","event":{"message":"c"}}"#).await;
    let marked = node.shown("message lw.time_suspect lw.original_time").await;
    assert!(marked.ends_with("c | true | yesterday"), "{marked}");
}

#[tokio::test]
async fn a_bad_event_is_named_and_its_neighbours_kept() {
    let node = node(|_| {}).await;
    let body = "{\"event\":\"a\"}\n{\"event\":broken}\n{\"event\":\"c\"}\n";
    let answer = node.ship(HANDLER, body).await;
    let expected = json!({"text": "Success", "code": 0, "invalid-event-number": 1});
    assert_eq!((answer.status, answer.json()), (200, expected));
    let expected = "shop | a\nlogwarden.deadletter | {\"event\":broken}\nshop | c";
    assert_eq!(node.shown("dataset message").await, expected);
    let answer = node.ship(HANDLER, "nonsense").await;
    let expected = json!({"text": "Invalid data format", "code": 6, "invalid-event-number": 0});
    assert_eq!((answer.status, answer.json()), (400, expected));
}

#[tokio::test]
async fn raw_lines_have_their_settings_in_the_query() {
    let node = node(|_| {}).await;
    let request =
        "POST /services/collector/raw?channel=c1&host=db%201&sourcetype=audit&time=1735787045
        authorization: Splunk TOKEN";
    let answer = node.ship(request, "first line\r\n\nsecond {line}\n").await;
    let expected = json!({"text": "Success", "code": 0, "ackId": 2});
    assert_eq!((answer.status, answer.json()), (200, expected));
    let expected = "first line | db 1 | audit | 2025-01-02T03:04:05Z | first line
        second {line} | db 1 | audit | 2025-01-02T03:04:05Z | second {line}";
    assert_eq!(node.shown("message host.name sourcetype timestamp raw").await, lines(expected));
}

#[tokio::test]
async fn an_event_object_among_raw_lines_is_taken_apart() {
    let node = node(|_| {}).await;
    let request = "POST /services/collector/raw?host=asked&sourcetype=pay
        authorization: Splunk TOKEN";
    let body = r#"{"event":{"message":"paid","log_level":"ERROR"},"time":1735787045,"host":"db"}
{"event":"said"}
{"event":"login","user":"ann"}
"#;
    assert_eq!(node.ship(request, body).await.status, 200);
    let expected = "paid | error | db | pay
        said | info | asked | pay
        login | info | asked | pay";
    assert_eq!(node.shown("message severity host.name sourcetype").await, lines(expected));
    let times = node.shown("timestamp").await;
    assert_eq!(times.lines().next(), Some("2025-01-02T03:04:05Z"));
    assert!(node.events().await[0].raw().starts_with(b"{\"event\""));
}

#[tokio::test]
async fn an_acknowledgement_is_of_what_is_durable() {
    let node = node(|_| {}).await;
    let channel = "x-splunk-request-channel: 0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba";
    let answer = node.ship(&format!("{HANDLER}\n{channel}"), "{\"event\":1}{\"event\":2}").await;
    assert_eq!(answer.json()["ackId"], 2);
    let ask = "POST /services/collector/ack?channel=c\nauthorization: Splunk TOKEN";
    let answer = node.ship(ask, r#"{"acks":[1,2,3]}"#).await;
    assert_eq!(answer.json(), json!({"acks": {"1": true, "2": true, "3": false}}));
    let without = "POST /services/collector/ack\nauthorization: Splunk TOKEN";
    let answer = node.ship(without, r#"{"acks":[1]}"#).await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(10)));
    assert_eq!(node.ship(ask, "[1]").await.json()["code"], 6);
}

#[tokio::test]
async fn refusals_have_splunks_codes() {
    let node = node(|_| {}).await;
    for (request, status, code) in [
        ("POST /services/collector", 401, 2),
        ("POST /services/collector\nauthorization: Nonsense", 401, 3),
        ("POST /services/collector\nauthorization: Splunk nonsense", 403, 4),
        ("POST /services/collector\nauthorization: Splunk TOKEN", 400, 5),
        ("GET /services/collector\nauthorization: Splunk TOKEN", 405, 6),
        ("OPTIONS /services/collector/event/1.0\nauthorization: Splunk TOKEN", 200, 0),
        ("GET /services/collector/health", 200, 17),
    ] {
        let answer = node.ship(request, "").await;
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)), "{request}");
    }
}

#[tokio::test]
async fn over_quota_it_is_busy() {
    let node = node_over_quota().await;
    let answer = node.ship(HANDLER, "{\"event\":1}").await;
    let expected = json!({"text": "Server is busy", "code": 9});
    assert_eq!((answer.status, answer.json()), (503, expected));
    assert_eq!(answer.header("retry-after"), "4");
}
