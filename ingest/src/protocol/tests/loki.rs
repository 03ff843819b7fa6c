//! Loki's push API, in the words of the clients that were recorded.

use prost::Message as _;

use super::{lines, node};

/// python-logging-loki and pino-loki.
const JSON: &str = "POST /loki/api/v1/push
    authorization: Bearer TOKEN
    content-type: application/json";
/// winston-loki says nothing of the compression.
const PROTOBUF: &str = "POST /loki/api/v1/push
    authorization: Bearer TOKEN
    content-type: application/x-protobuf";

#[derive(Clone, PartialEq, prost::Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Stream {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<At>,
    #[prost(bytes = "vec", tag = "2")]
    line: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Pair>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct At {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

fn entry(line: &[u8]) -> Entry {
    let timestamp = Some(At { seconds: 1_735_787_045, nanos: 123_456_789 });
    let metadata = vec![Pair { name: "trace_id".into(), value: "abc".into() }];
    Entry { timestamp, line: line.to_vec(), metadata }
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("memory")
}

#[tokio::test]
async fn entries_of_json_streams_are_events_with_labels() {
    let node = node(|_| {}).await;
    let body = r#"{"streams":[
        {"stream":{"app":"shop","env":"prod","level":"warn"},"values":[
            ["1735787045123456789","{\"msg\":\"paid\",\"time\":\"2020-01-01T00:00:00Z\"}"],
            ["1735787045123000000","two\nlines",{"user":"ann","env":"prod","order":"{\"id\":5}"}]]},
        {"values":[["1735787046000000000","first comes the line"]],"stream":{"app":"other"}}]}"#;
    let answer = node.ship(JSON, body).await;
    assert_eq!((answer.status, answer.text()), (204, ""));
    let expected = "2025-01-02T03:04:05.123456789Z | paid | warning | shop | prod | -
        2025-01-02T03:04:05.123Z | two⏎lines | warning | shop | prod | ann
        2025-01-02T03:04:06Z | first comes the line | info | other | - | -";
    let names = "timestamp message severity service.name service.environment user.name";
    assert!(!node.shown("lw.duplicate_keys").await.contains("env"));
    assert_eq!(node.shown(names).await.replace("two\nlines", "two⏎lines"), lines(expected));
    let events = node.events().await;
    assert_eq!(events[0].raw(), br#"{"msg":"paid","time":"2020-01-01T00:00:00Z"}"#);
    assert_eq!(events[1].raw(), b"two\nlines");
}

#[tokio::test]
async fn events_of_windows_have_their_data_as_xml() {
    let node = node(|_| {}).await;
    let line = serde_json::json!({
        "source": "p", "channel": "Security", "computer": "dc-9", "event_id": 4625,
        "event_data": "<Data Name='TargetUserName'>bob</Data><Data Name='LogonType'>3</Data>",
    });
    let stream = serde_json::json!({"stream": {"job": "windows"}, "values": [["1735787045123456789", line.to_string()]]});
    let body = serde_json::json!({"streams": [stream]}).to_string();
    assert_eq!(node.ship(JSON, body).await.status, 204);
    let names = "user.name host.name event.provider event.outcome dataset LogonType";
    assert_eq!(node.shown(names).await, "bob | dc-9 | p | failure | windows.security | 3");
}

#[tokio::test]
async fn protobuf_is_a_snappy_block_without_saying_so() {
    let node = node(|_| {}).await;
    let labels = r#"{app="shop", env="prod"}"#.to_owned();
    let entries = vec![entry(b"{\"message\":\"paid\",\"level\":\"error\"}"), entry(b"caf\xE9")];
    let request = PushRequest { streams: vec![Stream { labels, entries }] };
    let body = snappy(&request.encode_to_vec());
    assert_eq!(node.ship(PROTOBUF, body.clone()).await.status, 204);
    assert_eq!(node.ship(&format!("{PROTOBUF}\ncontent-encoding: snappy"), body).await.status, 204);
    let once = "paid | error | 2025-01-02T03:04:05.123456789Z | shop | abc
        caf\u{FFFD} | info | 2025-01-02T03:04:05.123456789Z | shop | abc";
    let shown = node.shown("message severity timestamp service.name trace.id").await;
    assert_eq!(shown, lines(&format!("{once}\n{once}")));
    assert_eq!(node.events().await[1].raw(), b"caf\xE9");
}

#[tokio::test]
async fn entries_of_old_senders_are_objects() {
    let node = node(|_| {}).await;
    let body = r#"{"streams":[{"labels":"{app=\"shop\", severity=\"warning\"}","entries":[
        {"ts":"2025-01-02T03:04:05.5+00:00","line":"paid"},{"ts":"2025-01-02T03:04:05Z"}]}]}"#;
    assert_eq!(node.ship(JSON, body).await.status, 204);
    assert_eq!(node.ship(&JSON.replace("loki/api/v1", "api/prom"), body).await.status, 204);
    let once = "shop | paid | warning | 2025-01-02T03:04:05.500Z | -
        - | {\"ts\":\"2025-01-02T03:04:05Z\"} | warning | - | not_an_entry";
    let shown = node.shown("service.name message severity timestamp lw.code").await;
    let shown: Vec<_> = shown.lines().map(|line| line.to_owned()).collect();
    assert_eq!(shown.len(), 4, "{shown:?}");
    for line in [0, 2] {
        assert_eq!(shown[line], lines(once).lines().next().expect("one"));
        assert!(shown[line + 1].ends_with("not_an_entry"), "{shown:?}");
    }
}

#[tokio::test]
async fn what_is_broken_is_named_and_the_rest_kept() {
    let node = node(|_| {}).await;
    let body = r#"{"streams":[{"stream":{"app":"a"},"values":[
        ["yesterday","kept"],["1735787045000000000"],["1735787045000000000","also kept"]]}, nonsense"#;
    assert_eq!(node.ship(JSON, body).await.status, 204);
    let expected = "a | kept | true | -
        - | [\"1735787045000000000\"] | - | not_an_entry
        a | also kept | - | -
        - | nonsense | - | not_an_object";
    let shown = node.shown("service.name message lw.time_suspect lw.code").await;
    assert_eq!(shown, lines(expected));
    assert_eq!(node.ship(JSON, "nonsense").await.status, 400);
}

#[tokio::test]
async fn a_broken_entry_costs_itself_alone() {
    let node = node(|_| {}).await;
    let good = entry(b"good").encode_to_vec();
    let entry = |bytes: &[u8]| [&[0x12, bytes.len() as u8], bytes].concat();
    let stream = [entry(&good), entry(&[0x12, 0x50, b'x']), entry(&good)].concat();
    let body = [&[0x0A, stream.len() as u8][..], &stream, &[0x0A, 0x7F]].concat();
    assert_eq!(node.ship(PROTOBUF, snappy(&body)).await.status, 204);
    let expected = "good | - | -
        \u{12}Px | invalid_protobuf | 2
        good | - | -
        \n\u{7f} | invalid_protobuf | 4";
    let shown = node.shown("message lw.code lw.line").await;
    assert_eq!(shown, expected.replace("\n        ", "\n"));
}

#[tokio::test]
async fn a_body_that_is_no_snappy_block_is_refused() {
    let node = node(|_| {}).await;
    let answer = node.ship(PROTOBUF, "nonsense").await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &"bad_encoding".into()));
    // 64 MiB of records that are not there.
    let answer = node.ship(PROTOBUF, vec![0x80, 0x80, 0x80, 0x20, 0]).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn many_empty_entries_stop_at_the_bound() {
    let node = node(|_| {}).await;
    let stream = [0x12, 0x00].repeat(1 << 20);
    let mut body = vec![0x0A];
    prost::encoding::encode_varint(stream.len() as u64, &mut body);
    body.extend(stream);
    let answer = node.ship(PROTOBUF, snappy(&body)).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (413, &"too_many_records".into()));
    assert_eq!(node.shown("lw.code").await, "too_many_records");
}

#[tokio::test]
async fn labels_count_for_every_entry() {
    let node = node(|_| {}).await;
    let labels = "x".repeat(8 << 10);
    let entries = vec![r#"["1735787045000000000","a"]"#; 9_000].join(",");
    let body = format!(r#"{{"streams":[{{"stream":{{"a":"{labels}"}},"values":[{entries}]}}]}}"#);
    let answer = node.ship(JSON, body).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (413, &"too_large".into()));
    assert_eq!(node.shown("lw.code").await, "too_large");
}
