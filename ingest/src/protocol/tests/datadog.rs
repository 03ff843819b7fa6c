//! Datadog's log intake, in the words of the client that was recorded.

use super::shipping::gzip;
use super::{lines, node};

const V2: &str = "POST /api/v2/logs
    dd-api-key: TOKEN
    content-type: application/json
    content-encoding: gzip";

#[tokio::test]
async fn an_array_of_records_with_tags() {
    let node = node(|_| {}).await;
    let body = r#"[{"ddsource":"python","ddtags":"env:prod,team:a,kube:x,kube:y,bare","hostname":"web1","service":"shop","status":"warn","message":"paid"},
        {"ddsource":"python","hostname":"web1","service":"shop","message":"{\"msg\":\"inner\",\"level\":\"error\",\"user\":\"ann\"}"}]"#;
    let answer = node.ship(V2, gzip(body.as_bytes())).await;
    assert_eq!((answer.status, answer.text()), (202, "{}"));
    let expected = "paid | warning | shop | web1 | prod | a | x,y | - | python
        inner | error | shop | web1 | - | - | - | ann | python";
    let names =
        "message severity service.name host.name service.environment team kube user.name ddsource";
    assert_eq!(node.shown(names).await, lines(expected));
    let events = node.events().await;
    assert!(events[0].raw().starts_with(b"{\"ddsource\":\"python\",\"ddtags\""));
    assert_eq!(events[1].raw(), br#"{"msg":"inner","level":"error","user":"ann"}"#);
    let no_object = r#"[{"message":"{ no object","service":"shop"}]"#;
    assert_eq!(node.ship(V2, gzip(no_object.as_bytes())).await.status, 202);
    let last = node.events().await.pop().expect("stored");
    let document = no_object.trim_matches(['[', ']']);
    assert_eq!((last.message(), last.raw()), ("{ no object", document.as_bytes()));
}

#[tokio::test]
async fn lines_and_records_have_what_the_query_says() {
    let node = node(|_| {}).await;
    let v1 = "POST /v1/input?ddsource=nginx&service=shop&ddtags=env:prod
        dd-api-key: TOKEN
        content-type: text/plain";
    assert_eq!(node.ship(v1, "one\ntwo\r\n").await.status, 202);
    assert_eq!(node.ship(v1, "{\"message\":\"three\"}").await.status, 202);
    let expected =
        "one | nginx | shop | prod\ntwo | nginx | shop | prod\nthree | nginx | shop | prod";
    assert_eq!(node.shown("message ddsource service.name service.environment").await, expected);
}

#[tokio::test]
async fn an_agent_looks_whether_somebody_is_there() {
    let node = node(|_| {}).await;
    assert_eq!(node.ship("POST /api/v2/logs\ndd-api-key: TOKEN", "{}").await.status, 202);
    assert_eq!(node.events().await.len(), 0);
    let in_url = "POST /api/v2/logs?dd-api-key=TOKEN";
    assert_eq!(node.ship(in_url, "{}").await.status, 401);
    assert_eq!(node.ship("POST /api/v2/logs\ndd-api-key: TOKEN", "[{]").await.status, 400);
}
