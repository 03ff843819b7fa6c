//! Amazon Data Firehose, as its specification of HTTP endpoints has it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::shipping::gzip;
use super::{lines, node};

const FIREHOSE: &str = "POST /aws/firehose
    x-amz-firehose-access-key: TOKEN
    x-amz-firehose-protocol-version: 1.0
    content-type: application/json";

fn request(id: &str) -> String {
    format!("{FIREHOSE}\nx-amz-firehose-request-id: {id}")
}

fn body(records: &[&[u8]]) -> String {
    let records: Vec<_> =
        records.iter().map(|data| json!({"data": STANDARD.encode(data)})).collect();
    json!({"requestId": "r", "timestamp": 1_735_787_045_000_u64, "records": records}).to_string()
}

#[tokio::test]
async fn records_are_objects_or_lines() {
    let node = node(|_| {}).await;
    let body = body(&[
        b"{\"message\":\"a\"}{\"message\":\"b\"}\n",
        b"2 123 eni-1 10.0.0.1 ACCEPT OK\nsecond\n",
    ]);
    let attributes = r#"x-amz-firehose-common-attributes: {"commonAttributes":{"env":"prod"}}"#;
    let request = format!("{}\n{attributes}", request("r1"));
    for _ in 0..2 {
        // Sent again until it is answered: stored once.
        let answer = node.ship(&request, body.clone()).await;
        assert_eq!((answer.status, &answer.json()["requestId"]), (200, &json!("r1")));
        assert!(answer.json()["timestamp"].is_u64());
    }
    let expected = "a | prod
        b | prod
        2 123 eni-1 10.0.0.1 ACCEPT OK | prod
        second | prod";
    assert_eq!(node.shown("message service.environment").await, lines(expected));
}

#[tokio::test]
async fn what_cloudwatch_logs_subscribes_out_is_taken_apart() {
    let node = node(|_| {}).await;
    let cloudwatch = json!({
        "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/aws/lambda/pay",
        "logStream": "s1", "subscriptionFilters": ["all"],
        "logEvents": [
            {"id": "1", "timestamp": 1_735_787_045_250_u64, "message": "plain"},
            {"id": "2", "timestamp": 1_735_787_045_250_u64, "message": "{\"msg\":\"json\",\"level\":\"error\"}"},
        ],
    });
    let control = json!({"messageType": "CONTROL_MESSAGE", "logEvents": [{"message": "check"}]});
    let [cloudwatch, control] = [cloudwatch, control].map(|v| gzip(v.to_string().as_bytes()));
    assert_eq!(node.ship(&request("r2"), body(&[&cloudwatch, &control])).await.status, 200);
    let expected = "plain | info | 2025-01-02T03:04:05.250Z | /aws/lambda/pay | s1 | 1
        json | error | 2025-01-02T03:04:05.250Z | /aws/lambda/pay | s1 | 2";
    assert_eq!(
        node.shown("message severity timestamp logGroup logStream id").await,
        lines(expected)
    );
}

#[tokio::test]
async fn what_is_broken_is_kept_and_does_not_come_back() {
    let node = node(|_| {}).await;
    let broken = r#"{"requestId":"r","records":[{"data":"?"},{"data":"eyJtZXNzYWdlIjoiYSJ9"},7]}"#;
    assert_eq!(node.ship(&request("r3"), broken).await.status, 200);
    let expected = "{\"data\":\"?\"} | not_a_record\na | -\n7 | not_a_record";
    assert_eq!(node.shown("message lw.code").await, expected);
}

#[tokio::test]
async fn refusals_repeat_the_request() {
    let node = node(|_| {}).await;
    let without = "POST /aws/firehose\nx-amz-firehose-request-id: r4";
    let answer = node.ship(without, "").await;
    assert_eq!((answer.status, &answer.json()["requestId"]), (401, &json!("r4")));
    assert!(answer.json()["errorMessage"].is_string());
    let bombs = vec![gzip(&vec![b' '; 1 << 20]); 20];
    let bombs: Vec<_> = bombs.iter().map(Vec::as_slice).collect();
    assert_eq!(node.ship(&request("r5"), body(&bombs)).await.status, 413);
}
