//! `POST /api/v1/ingest`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use logwarden_event::Position;
use logwarden_store::config::Durability;
use logwarden_store::identity::Role;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Node, lines, node, token};
use crate::pipeline::{Pipeline, Progress};
use crate::protocol;

struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: Value,
}

impl Node {
    fn request(&self) -> http::request::Builder {
        self.request_as(&self.token)
    }

    fn request_as(&self, token: &str) -> http::request::Builder {
        Request::post("/api/v1/ingest").header("authorization", format!("Bearer {token}"))
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let router = protocol::routes(&self.pipeline);
        let response = router.oneshot(request).await.expect("an answer");
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().expect("ASCII").to_owned());
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        Answer { status, retry_after, body: serde_json::from_slice(&bytes).expect("JSON") }
    }

    async fn post(&self, body: impl Into<Body>) -> Answer {
        self.send(self.request().body(body.into()).expect("a request")).await
    }
}

impl Answer {
    fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// `accepted/rejected/dead_lettered seq_first-seq_last`, and `dup` for a duplicate.
    fn counts(&self) -> String {
        let number = |name: &str| self.body[name].as_u64().map_or("-".into(), |n| n.to_string());
        let dup = if self.body["duplicate"] == true { " dup" } else { "" };
        let [accepted, rejected, dead, first, last] =
            ["accepted", "rejected", "dead_lettered", "seq_first", "seq_last"].map(number);
        format!("{accepted}/{rejected}/{dead} {first}-{last}{dup}")
    }
}

#[tokio::test]
async fn nothing_is_refused_for_its_depth_or_its_names() {
    let node = node(|_| {}).await;
    let deep = format!("{}1{}", r#"{"a":["#.repeat(10_000), "]}".repeat(10_000));
    let named = format!(r#"{{"{}":1,"user":"bob"}}"#, "k".repeat(10_000));
    let answer = node.post(format!("{{\"b\":1}}\n{deep}\n{named}\n{deep} {deep}\n")).await;
    assert_eq!((answer.status, answer.counts().as_str()), (200, "5/0/0 1-5"));
    let shown = node.shown("user.name lw.truncated").await;
    assert_eq!(shown, "- | -\n- | true\nbob | true\n- | true\n- | true");
    assert_eq!(node.events().await[1].raw(), deep.as_bytes());
}

#[tokio::test]
async fn good_lines_are_stored_and_bad_ones_named() {
    let node = node(|_| {}).await;
    let answer =
        node.post("{\"message\":\"a\"}\n{\"b\":1 2}\nnonsense\n{\"message\":\"c\"}\n").await;
    assert_eq!((answer.status, answer.counts().as_str()), (200, "2/2/2 1-4"));
    let expected = serde_json::json!([
        {"line": 2, "code": "invalid_json", "reason": "expected `,` or `}` at column 8"},
        {"line": 3, "code": "invalid_json", "reason": "expected an object at column 1"},
    ]);
    assert_eq!(answer.body["errors"], expected);
    let journal = "shop shop a
         logwarden.deadletter shop 2:invalid_json 9
         logwarden.deadletter shop 3:invalid_json 8
         shop shop c";
    assert_eq!(node.journal().await, lines(journal));
}

#[tokio::test]
async fn every_form_of_a_body_is_taken() {
    let node = node(|_| {}).await;
    for (body, expected) in [
        ("[{\"message\":\"a\"},{\"message\":\"b\"}]", "2/0/0 1-2"),
        ("{\n  \"message\": \"c\"\n}", "1/0/0 3-3"),
        ("{\"message\":\"d\"}{\"message\":\"e\"}", "2/0/0 4-5"),
        ("{\"message\":\"f\"}", "1/0/0 6-6"),
    ] {
        assert_eq!(node.post(body).await.counts(), expected, "{body}");
    }
}

#[tokio::test]
async fn a_body_without_anything_usable_is_an_error_and_kept() {
    let node = node(|_| {}).await;
    let answer = node.post("nonsense").await;
    assert_eq!((answer.status, answer.code()), (400, "nothing_usable"));
    assert_eq!(answer.counts(), "0/1/1 1-1");
    assert_eq!(node.journal().await, "logwarden.deadletter shop 1:invalid_json 8");
    let answer = node.post("\n\n").await;
    assert_eq!((answer.status, answer.counts().as_str()), (400, "0/0/0 ---"));
    assert!(answer.body["error"]["request_id"].as_str().is_some_and(|id| id.len() == 16));
}

#[tokio::test]
async fn a_line_beyond_the_bound_costs_itself_alone() {
    let node = node(|_| {}).await;
    let long = format!("{{\"message\":\"{}\"}}", "x".repeat(1 << 20));
    let answer = node.post(format!("{{\"message\":\"a\"}}\n{long}\n{{\"message\":\"b\"}}")).await;
    assert_eq!((answer.status, answer.counts().as_str()), (200, "2/1/1 1-3"));
    assert_eq!(answer.body["errors"][0]["code"], "line_too_long");
    let journal = "shop shop a
         logwarden.deadletter shop 2:line_too_long 65536
         shop shop b";
    assert_eq!(node.journal().await, lines(journal));
}

#[tokio::test]
async fn too_much_is_refused_whole() {
    let node = node(|_| {}).await;
    let answer = node.post("{}\n".repeat(10_001)).await;
    assert_eq!((answer.status, answer.code()), (413, "too_many_records"));
    let answer = node.post(vec![b' '; (16 << 20) + 1]).await;
    assert_eq!((answer.status, answer.code()), (413, "too_large"));
    let request = node.request().header("content-length", 17 << 20).body(Body::empty());
    assert_eq!(node.send(request.expect("a request")).await.status, 413);
    // The beginning of what came is kept.
    let journal = "logwarden.deadletter shop 1:too_many_records 30003
         logwarden.deadletter shop 1:too_large 65536
         logwarden.deadletter shop 1:too_large 0";
    assert_eq!(node.journal().await, lines(journal));
    assert_eq!(node.post("{}\n".repeat(10_000)).await.counts(), "10000/0/0 4-10003");
}

#[tokio::test]
async fn of_what_is_refused_no_secret_is_kept() {
    let node = super::again::masking().await;
    let body = format!("password=hunter2{}", " ".repeat(16 << 20));
    assert_eq!(node.post(body).await.status, 413);
    assert_eq!(node.journal().await, "logwarden.deadletter shop 1:too_large 0");
}

#[tokio::test]
async fn compressed_bodies_are_taken_and_bombs_are_not() {
    let node = node(|_| {}).await;
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
    };
    let send = async |encoding: &str, body: Vec<u8>| {
        let request = node.request().header("content-encoding", encoding).body(body.into());
        node.send(request.expect("a request")).await
    };
    let line = b"{\"message\":\"a\"}\n";
    assert_eq!(send("gzip", gzip(line)).await.counts(), "1/0/0 1-1");
    let zstd = zstd::encode_all(&line[..], 3).expect("memory");
    assert_eq!(send("zstd", zstd).await.counts(), "1/0/0 2-2");
    let bomb = send("gzip", gzip(&vec![b' '; 64 << 20])).await;
    assert_eq!((bomb.status, bomb.code()), (413, "too_compressed"));
    let broken = send("gzip", b"nonsense".to_vec()).await;
    assert_eq!((broken.status, broken.code()), (400, "bad_encoding"));
    for encoding in ["br", "gzip, gzip", "snappy"] {
        assert_eq!(send(encoding, gzip(line)).await.status, 415);
    }
}

#[tokio::test]
async fn an_answer_says_when_it_does_not_mean_durable() {
    let mut node = node(|_| {}).await;
    assert!(node.post("{}").await.body.get("durability").is_none());
    node.simulation.config().durability = Durability::UnsafeIntervalMs;
    let (store, _) = node.simulation.reopen().expect("opened");
    let (_searchable, seen) = tokio::sync::watch::channel(Position { lane: 0, seq: u64::MAX });
    let config = Arc::clone(&node.pipeline.config);
    node.pipeline =
        Arc::new(Pipeline::new(config, &store, Arc::clone(&node.identity), Progress::of_all(seen)));
    let answer = node.post("{}").await;
    assert_eq!(answer.body["durability"], "unsafe_interval_ms");
}

#[tokio::test]
async fn the_same_key_and_body_are_stored_once() {
    let node = node(|_| {}).await;
    let send = async |key: &str, body: &'static str| {
        let request = node.request().header("idempotency-key", key).body(Body::from(body));
        node.send(request.expect("a request")).await
    };
    let body = "{\"message\":\"a\"}\nnonsense\n";
    let first = send("k1", body).await;
    assert_eq!((first.status, first.counts().as_str()), (200, "1/1/1 1-2"));
    let again = send("k1", body).await;
    assert_eq!((again.status, again.counts().as_str()), (200, "1/1/1 1-2 dup"));
    assert_eq!(again.body["errors"], first.body["errors"]);
    let other = send("k1", "{\"message\":\"b\"}").await;
    assert_eq!((other.status, other.code()), (422, "key_conflict"));
    assert_eq!(send("k2", body).await.counts(), "1/1/1 3-4");
    assert_eq!(send(&"k".repeat(129), body).await.code(), "bad_idempotency_key");
    // Keys of another source are its own.
    let other = token(&node.identity, "other", Role::Ingest, Some("other")).await;
    let request = node.request_as(&other).header("idempotency-key", "k1").body(Body::from(body));
    assert_eq!(node.send(request.expect("a request")).await.counts(), "1/1/1 5-6");
}

#[tokio::test]
async fn who_may_not_write_is_refused_before_the_body() {
    let node = node(|_| {}).await;
    let never = || {
        let body = futures_util::stream::pending::<Result<&str, std::convert::Infallible>>();
        Body::from_stream(body)
    };
    let reader = token(&node.identity, "reader", Role::Reader, None).await;
    let plain = || Request::post("/api/v1/ingest");
    for (request, status) in [
        (plain().body(never()), 401),
        (node.request_as("lw_nonsense").body(never()), 401),
        (plain().header("authorization", "Bearer").body(never()), 401),
        (Request::get("/api/v1/ingest").body(never()), 401),
        (node.request().uri(format!("/api/v1/ingest?token={}", node.token)).body(never()), 401),
        (node.request_as(&reader).body(never()), 403),
        (node.request().method("GET").body(never()), 405),
    ] {
        let answer = node.send(request.expect("a request")).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn the_source_is_of_the_credential_or_the_network() {
    let node = node(|_| {}).await;
    let named = token(&node.identity, "named", Role::Ingest, None).await;
    let body =
        || Body::from("{\"message\":\"a\",\"source\":\"spoof\",\"lw\":{\"source\":\"spoof\"}}");
    let request = node.request_as(&named).body(body()).expect("a request");
    assert_eq!(node.send(request).await.status, 200);
    let from = |peer: &str| {
        let peer: SocketAddr = peer.parse().expect("an address");
        let request = Request::post("/api/v1/ingest").extension(ConnectInfo(peer));
        request.body(body()).expect("a request")
    };
    assert_eq!(node.send(from("10.2.3.4:5")).await.status, 200);
    assert_eq!(node.send(from("[::ffff:10.2.3.4]:5")).await.status, 200);
    assert_eq!(node.send(from("10.3.3.4:5")).await.status, 401);
    assert_eq!(node.journal().await, "named named a\nedge edge a\nedge edge a");
}

#[tokio::test]
async fn a_source_over_its_quota_is_told_when_to_come_back() {
    let node = node(|config| {
        let source = serde_json::json!({"name": "shop", "events_per_sec_max": 1, "burst_secs": 0});
        config.sources = vec![serde_json::from_value(source).expect("a source")];
    })
    .await;
    assert_eq!(node.post("{}\n{}\n{}\n").await.status, 200);
    let answer = node.post("{}").await;
    assert_eq!((answer.status, answer.code()), (429, "quota_exceeded"));
    assert_eq!(answer.retry_after.as_deref(), Some("4"));
    node.simulation.advance(std::time::Duration::from_secs(3));
    assert_eq!(node.post("{}").await.status, 200);
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_stored() {
    let node = node(|_| {}).await;
    assert_eq!(node.post("{}").await.status, 200);
    let end = node.store.journal.end(0);
    node.simulation.set_free_bytes(0);
    node.simulation.advance(std::time::Duration::from_secs(60));
    let answer = node.post("{}").await;
    assert!(matches!(answer.status, 429 | 507), "{}", answer.body);
    assert!(answer.retry_after.is_some());
    assert_eq!(node.store.journal.end(0), end);
}

#[tokio::test]
async fn a_refused_batch_does_not_use_up_the_dead_letters_of_the_day() {
    let node = node(|config| config.limits.dead_letter_bytes_per_day_max = 20).await;
    let body = "{\"message\":\"a\"}\nnonsense\n";
    node.simulation.set_free_bytes(0);
    node.simulation.advance(std::time::Duration::from_secs(60));
    for _ in 0..5 {
        assert!(matches!(node.post(body).await.status, 429 | 507));
    }
    node.simulation.set_free_bytes(1 << 30);
    node.simulation.advance(std::time::Duration::from_secs(60));
    // Two of eight bytes fit into twenty, a third does not.
    for expected in ["1/1/1 1-2", "1/1/1 3-4", "1/1/0 5-5"] {
        assert_eq!(node.post(body).await.counts(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_may_wait_until_it_can_be_searched() {
    let node = node(|_| {}).await;
    node.searchable.send_replace(Position::default());
    let wait = || {
        let request = node.request().uri("/api/v1/ingest?wait=searchable");
        node.send(request.body(Body::from("{}")).expect("a request"))
    };
    let (answer, ()) = tokio::join!(wait(), async {
        while node.store.journal.end(0).seq < 2 {
            tokio::task::yield_now().await;
        }
        node.searchable.send_replace(Position { lane: 0, seq: 2 });
    });
    assert_eq!((answer.status, &answer.body["searchable"]), (200, &Value::Bool(true)));
    let late = wait().await;
    assert_eq!((late.status, &late.body["searchable"]), (200, &Value::Bool(false)));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_answered_when_it_can_be_searched() {
    let node = node(|_| {}).await;
    node.searchable.send_replace(Position::default());
    let (answer, ()) = tokio::join!(node.post("{}"), async {
        while node.store.journal.end(0).seq < 2 {
            tokio::task::yield_now().await;
        }
        node.searchable.send_replace(Position { lane: 0, seq: 2 });
    });
    assert_eq!(answer.counts(), "1/0/0 1-1");
    // An index that stands still holds up one batch, not all that follow.
    let begun = tokio::time::Instant::now();
    assert_eq!(node.post("{}").await.counts(), "1/0/0 2-2");
    let held_up = begun.elapsed();
    assert_eq!(node.post("{}").await.counts(), "1/0/0 3-3");
    assert!(begun.elapsed() < held_up * 2, "{held_up:?}, then {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_slowly_is_given_up() {
    let node = node(|_| {}).await;
    let never = futures_util::stream::pending::<Result<&str, std::convert::Infallible>>();
    let answer = node.post(Body::from_stream(never)).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::REQUEST_TIMEOUT.as_u16(), "too_slow"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_upload_leaves_room_for_others_of_its_source() {
    let node = node(|_| {}).await;
    let never = futures_util::stream::pending::<Result<&str, std::convert::Infallible>>();
    let slow = node.request().header("content-length", 16 << 20);
    let slow = node.send(slow.body(Body::from_stream(never)).expect("a request"));
    // Polled after the slow one has taken room for all it announced.
    let (slow, good) = tokio::join!(biased; slow, node.post("{\"message\":\"in time\"}"));
    assert_eq!((good.status, slow.status), (200, StatusCode::REQUEST_TIMEOUT.as_u16()));
}

#[tokio::test]
async fn hostile_lines_leave_their_neighbours_alone() {
    let node = node(|_| {}).await;
    let hostile: Vec<Vec<u8>> = vec![
        "[".repeat(100_000).into_bytes(),
        "{\"a\":".repeat(50_000).into_bytes(),
        b"{\"a\":\"\xFF\xFE\"".to_vec(),
        b"{\"a\":1e999999999999999999999".to_vec(),
        b"\x00\x01\x02".to_vec(),
        b"<script>alert(1)</script>".to_vec(),
        b"{\"a\":\"\\ud800\\ud800".to_vec(),
    ];
    for line in hostile {
        let body =
            [b"{\"message\":\"a\"}\n".to_vec(), line.clone(), b"\n{\"message\":\"b\"}\n".to_vec()];
        let answer = node.post(body.concat()).await;
        let shown = String::from_utf8_lossy(&line[..line.len().min(20)]).into_owned();
        assert_eq!(answer.status, 200, "{shown}");
        assert!(answer.body["rejected"].as_u64() >= Some(1), "{shown}");
        let accepted = answer.body["accepted"].as_u64();
        assert!(line.starts_with(b"[") || accepted == Some(2), "{shown}: {}", answer.body);
    }
}
