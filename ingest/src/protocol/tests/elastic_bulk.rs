//! Elasticsearch and OpenSearch bulk, in the words of the clients that were recorded.

use logwarden_store::identity::Role;
use serde_json::json;

use super::shipping::{gzip, node_over_quota};
use super::{lines, node};
use crate::remembered::Known;

/// elasticsearch-py 9 and elasticsearch-js 9.
const PYTHON: &str = "PUT /_bulk
    accept: application/vnd.elasticsearch+json; compatible-with=9
    content-type: application/vnd.elasticsearch+x-ndjson; compatible-with=9
    authorization: ApiKey TOKEN";
/// winston-elasticsearch over elasticsearch-js 8.
const WINSTON: &str = "POST /_bulk?wait_for_active_shards=1&timeout=400ms
    accept: application/vnd.elasticsearch+json; compatible-with=8,text/plain
    content-type: application/vnd.elasticsearch+x-ndjson; compatible-with=8
    authorization: Bearer TOKEN";
const OPENSEARCH: &str = "POST /_bulk
    content-type: application/json
    content-encoding: gzip
    authorization: Bearer TOKEN";
const RSYSLOG: &str = "POST /logs/_bulk
    content-type: application/json; charset=utf-8
    authorization: Bearer TOKEN";

#[tokio::test]
async fn every_action_has_its_item_in_order() {
    let node = node(|_| {}).await;
    let body = r#"{"index":{"_index":"logs-shop","_id":"a1"}}
{"message":"first","level":"warn"}
{"create":{"_index":"logs-shop"}}
{"message":broken}
{"update":{"_index":"logs-shop","_id":7}}
{"doc":{"message":"changed"},"doc_as_upsert":true}
{"delete":{"_index":"logs-shop","_id":"a1"}}
{"index":{}}
{"@timestamp":"2025-01-02T03:04:05Z","message":"last"}
"#;
    let answer = node.ship(PYTHON, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-elastic-product"), "Elasticsearch");
    let vendor = "application/vnd.elasticsearch+json;compatible-with=9";
    assert_eq!(answer.header("content-type"), vendor);
    let said = answer.json();
    assert_eq!(said["errors"], true);
    let done = |index, id, result, seq| {
        let status = if result == "updated" { 200 } else { 201 };
        json!({"_index": index, "_id": id, "status": status, "_version": 1, "result": result,
            "_seq_no": seq, "_primary_term": 1})
    };
    let failed = |id, reason: &str| {
        json!({"_index": "logs-shop", "_id": id, "status": 400,
            "error": {"type": "document_parsing_exception", "reason": reason}})
    };
    let expected = json!([
        {"index": done("logs-shop", "a1", "created", 1)},
        {"create": failed("2", "expected a value at column 12")},
        {"update": done("logs-shop", "7", "updated", 3)},
        {"delete": failed("a1", "events are not deleted")},
        {"index": done("", "5", "created", 5)},
    ]);
    assert_eq!(said["items"], expected);
    let expected = "first | warning | logs-shop | a1 | {\"message\":\"first\",\"level\":\"warn\"}
        {\"message\":broken} | warning | - | - | {\"message\":broken}
        changed | info | logs-shop | 7 | {\"doc\":{\"message\":\"changed\"},\"doc_as_upsert\":true}
        {\"delete\":{\"_index\":\"logs-shop\",\"_id\":\"a1\"}} | warning | - | - | {\"delete\":{\"_index\":\"logs-shop\",\"_id\":\"a1\"}}
        last | info | - | - | {\"@timestamp\":\"2025-01-02T03:04:05Z\",\"message\":\"last\"}";
    assert_eq!(node.shown("message severity _index _id raw").await, lines(expected));
}

#[tokio::test]
async fn winston_puts_a_stray_member_beside_the_action() {
    let node = node(|_| {}).await;
    let body = r#"{"index":{"_index":"logs-shop-2026.11.22","pipeline":null},"attempts":0}
{"@timestamp":"2026-11-22T04:22:59.961Z","message":"paid","severity":"error","fields":{"user":"ann","order":{"id":5}}}
"#;
    let answer = node.ship(WINSTON, body).await;
    assert_eq!((answer.status, &answer.json()["errors"]), (200, &json!(false)));
    let vendor = "application/vnd.elasticsearch+json;compatible-with=8";
    assert_eq!(answer.header("content-type"), vendor);
    let shown = node.shown("message severity user.name fields.order.id _index pipeline").await;
    assert_eq!(shown, "paid | error | ann | 5 | logs-shop-2026.11.22 | -");
}

#[tokio::test]
async fn opensearch_and_rsyslog_send_plain_types() {
    let node = node(|_| {}).await;
    let body = "{\"index\":{\"_index\":\"a\"}}\n{\"message\":\"one\"}\n";
    let answer = node.ship(OPENSEARCH, gzip(body.as_bytes())).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let body = "{\"index\": {\"_type\":\"events\"}}\r\n{\"message\":\"two\"}\r\n\r\n\n";
    let answer = node.ship(RSYSLOG, body).await;
    assert_eq!(answer.json()["items"][0]["index"]["_index"], "logs");
    assert_eq!(node.shown("message _index").await, "one | a\ntwo | logs");
}

#[tokio::test]
async fn documents_without_actions_are_not_lost() {
    let node = node(|_| {}).await;
    let body = "{\"message\":\"a\"}\nnonsense\n{\"index\":{\"_index\":\"x\"}}\n{\"message\":\"b\"}\n{\"create\":{}}";
    let answer = node.ship(WINSTON, body).await;
    let statuses: Vec<_> = answer.json()["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item.as_object().expect("one").values().next().expect("one")["status"].clone())
        .collect();
    assert_eq!(statuses, [201, 400, 201, 400]);
    let expected = "shop | a
        logwarden.deadletter | nonsense
        shop | b
        logwarden.deadletter | {\"create\":{}}";
    assert_eq!(node.shown("dataset message").await, lines(expected));
}

#[tokio::test]
async fn a_body_whose_documents_have_ids_is_stored_once() {
    let node = node(|_| {}).await;
    let with_ids =
        "{\"create\":{\"_id\":\"1\"}}\n{\"m\":1}\n{\"create\":{\"_id\":\"2\"}}\n{\"m\":2}\n";
    let first = node.ship(PYTHON, with_ids).await.json()["items"].clone();
    assert_eq!(node.ship(PYTHON, with_ids).await.json()["items"], first);
    assert_eq!(node.events().await.len(), 2);
    let without = "{\"create\":{\"_id\":\"1\"}}\n{\"m\":1}\n{\"create\":{}}\n{\"m\":2}\n";
    node.ship(PYTHON, without).await;
    node.ship(PYTHON, without).await;
    assert_eq!(node.shown("m").await, "1\n2\n2\n2", "two without ids may well be two");
}

#[tokio::test]
async fn a_document_that_comes_again_in_other_company_is_stored_once() {
    let node = node(|_| {}).await;
    let pair = |id: &str, m: u8| format!("{{\"index\":{{\"_id\":\"{id}\"}}}}\n{{\"m\":{m}}}\n");
    let first = node.ship(PYTHON, [pair("1", 1), pair("2", 2)].concat()).await.json();
    let body = [pair("3", 3), pair("2", 2), "{\"index\":{}}\n{\"m\":2}\n".into(), pair("3", 3)];
    let second = node.ship(PYTHON, body.concat()).await.json();
    assert_eq!(second["errors"], false);
    assert_eq!(second["items"][1], first["items"][1]);
    let seqs: Vec<_> = (0..4).map(|n| second["items"][n]["index"]["_seq_no"].clone()).collect();
    assert_eq!(seqs, [3, 2, 4, 3]);
    // The id of another document, of another index, of another source.
    node.ship(PYTHON, pair("2", 9)).await;
    node.ship(&PYTHON.replace("/_bulk", "/other/_bulk"), pair("2", 2)).await;
    let depot = super::token(&node.identity, "carrier", Role::Ingest, Some("depot")).await;
    let request = format!("POST /_bulk\nauthorization: Bearer {depot}");
    node.ship(&request, pair("2", 2)).await;
    assert_eq!(node.shown("_id m").await, lines("1 | 1\n2 | 2\n3 | 3\n- | 2\n2 | 9\n2 | 2\n2 | 2"));
    // After a restart the journal tells.
    let after = node.restarted().await;
    let remembered = &after.pipeline.remembered;
    let known = async |index, id, record: &[u8]| {
        let id = remembered.id("shop", index, id, record);
        remembered.hold(&[id]).await.0[0]
    };
    assert_eq!(known("", "2", b"{\"m\":2}").await, Known::Stored(2));
    assert_eq!(known("other", "2", b"{\"m\":2}").await, Known::Stored(6));
    assert_eq!(known("", "2", b"{\"m\":3}").await, Known::New);
}

#[tokio::test]
async fn over_quota_every_item_says_so() {
    let node = node_over_quota().await;
    let body =
        "{\"index\":{\"_id\":\"1\"}}\n{\"message\":\"a\"}\n{\"create\":{}}\n{\"message\":\"b\"}\n";
    let answer = node.ship(WINSTON, body).await;
    assert_eq!((answer.status, &answer.json()["errors"]), (200, &json!(true)));
    let items = &answer.json()["items"];
    assert_eq!(items[0]["index"]["status"], 429);
    assert_eq!(items[1]["create"]["error"]["type"], "es_rejected_execution_exception");
    assert_eq!(node.events().await.len(), 3, "nothing of it was stored");
}

#[tokio::test]
async fn what_concerns_the_whole_request_is_503() {
    let node = node(|_| {}).await;
    node.simulation.set_free_bytes(0);
    node.simulation.advance(std::time::Duration::from_secs(60));
    let answer = node.ship(PYTHON, "{\"index\":{}}\n{}\n").await;
    assert_eq!((answer.status, answer.header("retry-after").is_empty()), (503, false));
    assert_eq!(answer.header("x-elastic-product"), "Elasticsearch");
}

#[tokio::test]
async fn the_calls_around_a_bulk_are_answered() {
    let node = node(|_| {}).await;
    for (call, member) in [
        ("GET /_cluster/health?timeout=30s&wait_for_status=yellow", "status"),
        ("GET /_license?human=false", "license"),
        ("PUT /_index_template/logs", "acknowledged"),
        ("GET /logs-shop/_refresh", "_shards"),
        ("GET /", "version"),
    ] {
        let answer = node.ship(&format!("{call}\nauthorization: Bearer TOKEN"), "").await;
        assert_eq!(answer.status, 200, "{call}");
        assert_eq!(answer.header("x-elastic-product"), "Elasticsearch", "{call}");
        assert!(!answer.json()[member].is_null(), "{call}: {}", answer.text());
        assert_eq!(
            node.ship(&format!("{call}\naccept: application/vnd.elasticsearch+json"), "")
                .await
                .status,
            401,
            "{call}"
        );
    }
    let head = "HEAD /_index_template/logs\nauthorization: Bearer TOKEN";
    assert_eq!(node.ship(head, "").await.status, 200);
}

#[tokio::test]
async fn browsers_get_the_dashboard() {
    let node = node(|_| {}).await;
    for request in ["GET /\naccept: text/html,*/*", "GET /", "GET /search"] {
        assert_eq!(node.ship(request, "").await.text(), "the dashboard", "{request}");
    }
}

#[tokio::test]
async fn every_spelling_of_a_token_is_taken() {
    use base64::Engine as _;
    let node = node(|_| {}).await;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("any:{}", node.token));
    for credential in [
        "authorization: Bearer TOKEN".to_owned(),
        "authorization: bearer TOKEN".to_owned(),
        format!("authorization: Basic {pair}"),
        format!("authorization: ApiKey {pair}"),
        "authorization: ApiKey TOKEN".to_owned(),
        "authorization: Splunk TOKEN".to_owned(),
        "dd-api-key: TOKEN".to_owned(),
        "x-amz-firehose-access-key: TOKEN".to_owned(),
    ] {
        let answer = node.ship(&format!("POST /_bulk\n{credential}"), "{\"index\":{}}\n{}\n").await;
        assert_eq!(answer.status, 200, "{credential}");
    }
    for credential in
        ["authorization: Digest TOKEN", "authorization: TOKEN", "dd-api-key: x", "x-y: TOKEN"]
    {
        let answer = node.ship(&format!("POST /_bulk\n{credential}"), "").await;
        assert_eq!(answer.status, 401, "{credential}");
    }
}

#[tokio::test]
async fn a_document_may_come_alone() {
    let node = node(|_| {}).await;
    let head = |call: &str| {
        format!("{call}\n    content-type: application/json\n    authorization: Bearer TOKEN")
    };
    let document = "{\n  \"message\": \"alone\"\n}\n";
    let answer = node.ship(&head("POST /logs/_doc"), document).await;
    let done = |id: &str, seq: u64| {
        json!({"_index": "logs", "_id": id, "status": 201, "_version": 1, "result": "created",
            "_seq_no": seq, "_primary_term": 1})
    };
    assert_eq!((answer.status, answer.json()), (201, done("1", 1)));
    for _ in 0..2 {
        let answer = node.ship(&head("PUT /logs/_doc/a%20b"), document).await;
        assert_eq!((answer.status, answer.json()), (201, done("a b", 2)), "sent again");
    }
    let answer = node.ship(&head("PUT /logs/_create/c"), document).await;
    assert_eq!((answer.status, answer.json()), (201, done("c", 3)));
    assert_eq!(node.ship(&head("POST /logs/_doc"), "{broken").await.status, 400);
    let shown = node.shown("message _index _id lw.code").await;
    let expected = "alone | logs | - | -
        alone | logs | a b | -
        alone | logs | c | -";
    assert!(shown.starts_with(&lines(expected)), "{shown}");
    assert_eq!(shown.lines().count(), 4, "{shown}");
}
