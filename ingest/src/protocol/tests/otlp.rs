//! OpenTelemetry logs over HTTP, in the words of the SDKs that were recorded.

use prost::Message as _;
use serde_json::json;

use super::shipping::{gzip, node_over_quota};
use super::{lines, node};

/// The JavaScript SDK.
const JSON: &str = "POST /v1/logs\nauthorization: Bearer TOKEN\ncontent-type: application/json";
/// The Python SDK.
const BINARY: &str = "POST /v1/logs
    authorization: Bearer TOKEN
    content-type: application/x-protobuf
    content-encoding: gzip";

#[derive(Clone, PartialEq, prost::Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    log_records: Vec<LogRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LogRecord {
    #[prost(fixed64, tag = "1")]
    time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    severity_number: i32,
    #[prost(string, tag = "3")]
    severity_text: String,
    #[prost(message, optional, tag = "5")]
    body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    attributes: Vec<KeyValue>,
    #[prost(bytes = "vec", tag = "9")]
    trace_id: Vec<u8>,
    #[prost(fixed64, tag = "11")]
    observed_time_unix_nano: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AnyValue {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Flag(bool),
    #[prost(int64, tag = "3")]
    Whole(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(Array),
    #[prost(message, tag = "6")]
    List(List),
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Array {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct List {
    #[prost(message, repeated, tag = "1")]
    values: Vec<KeyValue>,
}

fn value(kind: Kind) -> AnyValue {
    AnyValue { kind: Some(kind) }
}

pub(super) fn text(text: &str) -> AnyValue {
    value(Kind::Text(text.to_owned()))
}

fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value) }
}

/// Text that hardly compresses.
pub(super) fn noise(length: u32) -> String {
    let letter = |n: u32| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 26);
    (0..length).map(letter).collect()
}

/// One resource and scope with these records.
pub(super) fn export(log_records: Vec<LogRecord>) -> Vec<u8> {
    let attributes = vec![pair("service.name", text("shop")), pair("host.name", text("web1"))];
    let resource = Some(Resource { attributes });
    let scope = Some(Scope { name: "shop.pay".into() });
    let scope_logs = vec![ScopeLogs { scope, log_records }];
    Export { resource_logs: vec![ResourceLogs { resource, scope_logs }] }.encode_to_vec()
}

pub(super) fn record(body: AnyValue) -> LogRecord {
    LogRecord {
        time_unix_nano: 1_735_787_045_123_456_789,
        severity_number: 17,
        severity_text: "ERROR".into(),
        body: Some(body),
        trace_id: vec![0xAB; 16],
        ..LogRecord::default()
    }
}

/// The members of both encodings.
const RECORD: &str = r#"{"timeUnixNano":"1735787045123456789","severityNumber":17,"severityText":"ERROR","body":{"stringValue":"paid\n\"all\""},"attributes":[{"key":"user.name","value":{"stringValue":"ann"}},{"key":"big","value":{"intValue":"9007199254740993"}},{"key":"rate","value":{"doubleValue":0.5}},{"key":"order","value":{"kvlistValue":{"values":[{"key":"ids","value":{"arrayValue":{"values":[{"intValue":"1"},{"boolValue":true}]}}}]}}},{"key":"blob","value":{"bytesValue":"AP8="}}],"traceId":"abababababababababababababababab"}"#;

fn attributes() -> Vec<KeyValue> {
    let ids = Array { values: vec![value(Kind::Whole(1)), value(Kind::Flag(true))] };
    let order = List { values: vec![pair("ids", value(Kind::Array(ids)))] };
    vec![
        pair("user.name", text("ann")),
        pair("big", value(Kind::Whole(9_007_199_254_740_993))),
        pair("rate", value(Kind::Double(0.5))),
        pair("order", value(Kind::List(order))),
        pair("blob", value(Kind::Bytes(vec![0, 0xFF]))),
    ]
}

#[tokio::test]
async fn both_encodings_give_the_same_event() {
    let node = node(|_| {}).await;
    let record = LogRecord { attributes: attributes(), ..record(text("paid\n\"all\"")) };
    let answer = node.ship(BINARY, gzip(&export(vec![record]))).await;
    assert_eq!((answer.status, answer.text()), (200, ""));
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    let resource = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"host.name","value":{"stringValue":"web1"}}]}"#;
    let scopes = format!(r#"[{{"scope":{{"name":"shop.pay"}},"logRecords":[ {RECORD} ]}}]"#);
    for body in [
        format!(r#"{{"resourceLogs":[{{"resource":{resource},"scopeLogs":{scopes}}}]}}"#),
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":{scopes},"resource":{resource},"scopeLogs":[]}}]}}"#
        ),
    ] {
        let answer = node.ship(JSON, body).await;
        assert_eq!((answer.status, answer.json()), (200, json!({})));
    }
    let names = "timestamp severity service.name host.name otel.scope.name user.name big rate order.ids blob trace.id log.level";
    let once = "2025-01-02T03:04:05.123456789Z | error | shop | web1 | shop.pay | ann | 9007199254740993 | 0.5 | 1,true | AP8= | abababababababababababababababab | ERROR";
    assert_eq!(node.shown(names).await, lines(&format!("{once}\n{once}\n{once}")));
    let events = node.events().await;
    assert!(events.iter().all(|event| event.message() == "paid\n\"all\""));
    let raw = |index: usize| serde_json::from_slice::<serde_json::Value>(events[index].raw());
    assert_eq!(raw(0).expect("JSON"), raw(1).expect("JSON"));
    assert_eq!(events[1].raw(), RECORD.as_bytes());
}

#[tokio::test]
async fn a_body_may_be_an_object_or_hold_one() {
    let node = node(|_| {}).await;
    let object = List { values: vec![pair("message", text("a")), pair("user", text("ann"))] };
    let records = vec![
        record(value(Kind::List(object))),
        record(text(r#"{"msg":"b","user":"bob","time":"2020-01-01T00:00:00Z"}"#)),
        record(value(Kind::Double(f64::NAN))),
        LogRecord {
            time_unix_nano: 0,
            observed_time_unix_nano: 1_735_787_046_000_000_000,
            ..record(text("d"))
        },
    ];
    assert_eq!(node.ship(BINARY, gzip(&export(records))).await.status, 200);
    let expected = "a | ann | 2025-01-02T03:04:05.123456789Z
        b | bob | 2025-01-02T03:04:05.123456789Z
        \"NaN\" | - | 2025-01-02T03:04:05.123456789Z
        d | - | 2025-01-02T03:04:06Z";
    assert_eq!(node.shown("message user.name timestamp").await, lines(expected));
}

#[tokio::test]
async fn events_of_windows_come_as_a_map_or_as_xml() {
    let node = node(|_| {}).await;
    let text = |text: &str| json!({"stringValue": text});
    let map = |members: &[(&str, serde_json::Value)]| {
        let values: Vec<_> =
            members.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        json!({"kvlistValue": {"values": values}})
    };
    let named = map(&[("TargetUserName", text("bob")), ("LogonType", text("3"))]);
    let listed = [map(&[("TargetUserName", text("ann"))]), map(&[("LogonType", text("3"))])];
    let listed = map(&[("data", json!({"arrayValue": {"values": listed}}))]);
    let body = |data| {
        map(&[
            ("channel", text("Security")),
            ("computer", text("dc-9")),
            ("event_id", map(&[("id", json!({"intValue": "4625"}))])),
            ("event_data", data),
        ])
    };
    let xml = "<Event xmlns='u'><System><Provider Name='p'/><EventID>4625</EventID><Channel>Security</Channel>\
        <Computer>dc-9</Computer></System><EventData><Data Name='TargetUserName'>eve</Data>\
        <Data Name='LogonType'>3</Data></EventData></Event>";
    let records = [body(named), body(listed), text(xml)]
        .map(|body| json!({"timeUnixNano": "1", "body": body}));
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
    assert_eq!(node.ship(JSON, body.to_string()).await.status, 200);
    let expected = "bob | dc-9 | failure | windows.security
        ann | dc-9 | failure | windows.security
        eve | dc-9 | failure | windows.security";
    assert_eq!(node.shown("user.name host.name event.outcome dataset").await, lines(expected));
}

#[tokio::test]
async fn records_that_can_never_be_stored_are_counted() {
    let node = node(|_| {}).await;
    let long = record(text(&noise(2 << 20)));
    let answer =
        node.ship(BINARY, gzip(&export(vec![record(text("a")), long, record(text("b"))]))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body[..4], [0x0A, answer.body.len() as u8 - 2, 0x08, 1]);
    assert!(String::from_utf8_lossy(&answer.body).contains("the limit is 1048576"));
    assert_eq!(
        node.shown("dataset lw.code").await,
        "shop | -\nlogwarden.deadletter | line_too_long\nshop | -"
    );
    let body =
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"c"}},7]}]}]}"#;
    let answer = node.ship(JSON, body).await;
    let said = json!({"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": "expected an object at column 1"}});
    assert_eq!((answer.status, answer.json()), (200, said));
}

#[tokio::test]
async fn an_object_that_is_the_text_of_a_body_is_the_record() {
    let node = node(|_| {}).await;
    let said = r#"{"msg":"paid","user":"ann"}"#;
    assert_eq!(node.ship(BINARY, gzip(&export(vec![record(text(said))]))).await.status, 200);
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
        {"body": {"stringValue": said}, "severityNumber": 17},
        {"body": {"stringValue": "{ no object"}},
    ]}]}]});
    assert_eq!(node.ship(JSON, body.to_string()).await.status, 200);
    let whole = r#"{"body":{"stringValue":"{ no object"}}"#;
    let shown = node.shown("message user.name raw").await;
    let expected = format!("paid | ann | {said}\npaid | ann | {said}\n{{ no object | - | {whole}");
    assert_eq!(shown, expected);
    assert_eq!(node.events().await[1].severity().to_string(), "error");
}

#[tokio::test]
async fn what_is_no_export_is_refused_and_kept() {
    let node = node(|_| {}).await;
    assert_eq!(node.ship(JSON, "nonsense").await.status, 400);
    assert_eq!(node.ship(BINARY, gzip(b"nonsense")).await.status, 400);
    assert_eq!(
        node.shown("message lw.code").await,
        "nonsense | not_an_object\nnonsense | invalid_protobuf"
    );
}

#[tokio::test]
async fn text_that_is_no_utf_8_keeps_its_bytes() {
    let node = node(|_| {}).await;
    // body (5): string (1) of two bytes.
    let record = [0x2A, 0x04, 0x0A, 0x02, b'x', 0xFF];
    let scope = [&[0x12, record.len() as u8], &record[..]].concat();
    let resource = [&[0x12, scope.len() as u8], &scope[..]].concat();
    let body = [&[0x0A, resource.len() as u8], &resource[..]].concat();
    assert_eq!(node.ship(BINARY, gzip(&body)).await.status, 200);
    assert_eq!(node.shown("message lw.invalid_utf8").await, "x\u{FFFD} | true");
    assert_eq!(node.events().await[0].raw(), record);
}

#[tokio::test]
async fn values_deep_inside_each_other_are_kept() {
    let node = node(|_| {}).await;
    let (mut deep, mut written) = (text("x"), r#"{"stringValue":"x"}"#.to_owned());
    for _ in 0..200 {
        deep = value(Kind::Array(Array { values: vec![deep] }));
        written = format!(r#"{{"arrayValue":{{"values":[{written}]}}}}"#);
    }
    let answer = node.ship(BINARY, gzip(&export(vec![record(deep), record(text("b"))]))).await;
    assert_eq!(answer.status, 200);
    let logs =
        format!(r#"{{"logRecords":[{{"body":{written}}},{{"body":{{"stringValue":"b"}}}}]}}"#);
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{logs}]}}]}}"#);
    assert_eq!(node.ship(JSON, body).await.status, 200);
    assert_eq!(node.shown("lw.code").await, "-\n-\n-\n-");
}

#[tokio::test]
async fn over_quota_it_is_unavailable() {
    let node = node_over_quota().await;
    let answer = node.ship(JSON, "{}").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "4"));
}

#[tokio::test]
async fn a_masked_secret_is_in_no_form_of_the_record() {
    let node = super::again::masking().await;
    let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"signed"},"attributes":[{"key":"passwd","value":{"stringValue":"hunter2abc"}},{"key":"password","value":{"intValue":"1234567"}}]}]}]}]}"#;
    assert_eq!(node.ship(JSON, body).await.status, 200);
    let events = node.events().await;
    let raw = String::from_utf8_lossy(events[0].raw());
    assert_eq!((events.len(), events[0].message()), (1, "signed"));
    assert!(!raw.contains("hunter2abc") && !raw.contains("1234567"), "{raw}");
    assert!(node.shown("passwd").await.starts_with("***password:"));
}
