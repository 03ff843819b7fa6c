//! Lists of records, as clouds hand them on: each record is an event with its own bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::tcp::open;
use super::{lines, node};

const INGEST: &str = "POST /api/v1/ingest\nauthorization: Bearer TOKEN";
/// Two records of CloudTrail, as in its files.
const TRAIL: &str = r#"{"Records": [{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","userName":"ann"},"eventTime":"2025-11-22T03:04:05Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","sourceIPAddress":"192.0.2.7"},
 {"eventVersion":"1.08","userIdentity":{"type":"Root"},"eventTime":"2025-11-22T03:04:06Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","responseElements":{"ConsoleLogin":"Failure"}}]}"#;
const TRAIL_SHOWN: &str = "aws.cloudtrail | CreateUser | 2025-11-22T03:04:05Z | -
    aws.cloudtrail | ConsoleLogin | 2025-11-22T03:04:06Z | -";

#[tokio::test]
async fn whatever_door_they_come_by() {
    let names = "dataset event.action timestamp lw.code";
    let line = TRAIL.replace('\n', "");
    let hec = format!(r#"{{"time":1700000000,"event":{line}}}"#);
    let bulk = format!("{{\"create\":{{}}}}\n{line}\n");
    let firehose = format!(r#"{{"records":[{{"data":"{}"}}]}}"#, STANDARD.encode(TRAIL));
    for (request, body) in [
        (INGEST, TRAIL),
        ("POST /services/collector\nauthorization: Splunk TOKEN", &hec),
        ("POST /_bulk\nauthorization: Bearer TOKEN", &bulk),
        ("POST /aws/firehose\nx-amz-firehose-access-key: TOKEN", &firehose),
    ] {
        let node = node(|_| {}).await;
        let answer = node.ship(request, body.to_owned()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(node.shown(names).await, lines(TRAIL_SHOWN), "{request}");
        let events = node.events().await;
        let (start, end) =
            (TRAIL.find("{\"eventVersion").expect("one"), TRAIL.find(",\n").expect("two"));
        assert_eq!(events[0].raw(), &TRAIL.as_bytes()[start..end], "{request}");
    }
    let node = node(|_| {}).await;
    node.talk(open(), &[line.as_bytes(), b"\n"]).await;
    assert_eq!(node.shown(names).await, lines(TRAIL_SHOWN));
}

#[tokio::test]
async fn azures_lists_are_taken_apart_and_other_objects_are_not() {
    let node = node(|_| {}).await;
    let body = r#"{"records":[{"time":"2025-11-22T03:04:05Z","category":"SignInLogs","operationName":"Sign-in activity","resultType":"50126"}]}
{"records":[{"a":1}],"next":"x"}
{"records":[1]}"#;
    let answer = node.ship(INGEST, body).await;
    assert_eq!(answer.json()["accepted"], 3);
    let shown = node.shown("dataset event.outcome next").await;
    assert_eq!(shown, lines("azure | failure | -\nshop | - | x\nshop | - | -"));
}

#[tokio::test]
async fn a_bad_record_of_a_list_costs_itself_alone() {
    let node = node(|config| config.limits.record_bytes_max = 64).await;
    let long = "x".repeat(70);
    let body = format!(r#"{{"Records":[{{"m":"a"}},{{"m":"{long}"}},{{"m":"b"}}]}}"#);
    let answer = node.ship(INGEST, body).await;
    assert_eq!((&answer.json()["accepted"], &answer.json()["rejected"]), (&2.into(), &1.into()));
    assert_eq!(node.shown("m lw.code").await, lines("a | -\n- | line_too_long\nb | -"));
}

#[tokio::test]
async fn a_list_of_too_many_is_refused_or_kept_whole() {
    let node = node(|_| {}).await;
    let list = |records: usize| format!(r#"{{"Records":[{}{{}}]}}"#, "{},".repeat(records - 1));
    let answer = node.ship(INGEST, list(9_001)).await;
    assert_eq!(answer.json()["accepted"], 1);
    assert_eq!(node.ship(INGEST, list(9_000)).await.json()["accepted"], 9_000);
    let two = [list(9_000), format!("\n{}", "{}\n".repeat(1_001))].concat();
    assert_eq!(node.ship(INGEST, two).await.status, 413);
}

#[tokio::test]
async fn each_event_of_a_kubernetes_list_is_an_event() {
    let node = node(|_| {}).await;
    let event = |name: &str| {
        format!(
            r#"{{"level":"Metadata","auditID":"{name}","stage":"ResponseComplete","verb":"get"}}"#
        )
    };
    let body = format!(
        r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{},{}]}}"#,
        event("a"),
        event("b"),
    );
    assert_eq!(node.ship(INGEST, body).await.json()["accepted"], 2);
    assert_eq!(
        node.shown("dataset event.id event.action").await,
        lines("kubernetes.audit | a | get\nkubernetes.audit | b | get")
    );
    assert_eq!(node.events().await[1].raw(), event("b").as_bytes());
}
