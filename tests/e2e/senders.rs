//! The door for senders over HTTP, as its manual describes it.

use std::io::Write;
use std::time::Instant;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::client::{Answer, Client};
use crate::harness::node::Place;

/// The largest body (security limit R26), in bytes.
const BODY_BYTES_MAX: usize = 16 << 20;
/// The most records of one body.
const RECORDS_MAX: usize = 10_000;

async fn post(client: &Client, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answer {
    let mut request = client.request(Method::POST, "/api/v1/ingest").body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Client::send(request).await
}

#[tokio::test]
async fn whom_a_door_turns_away_is_on_record_whatever_it_speaks() {
    let place = Place::new("");
    let auditor = place.token("admin", "auditor");
    let node = place.start().await;
    assert_eq!(Client::new(&node, "lw_nobody").ingest("{}").await.status, 401);
    let mut stream = TcpStream::connect(node.tcp()).await.expect("a connection");
    stream.write_all(b"{\"auth\":\"lw_nobody\"}\n").await.expect("sent");
    let mut said = String::new();
    stream.read_to_string(&mut said).await.expect("an answer");
    assert!(said.contains("unauthorized"), "{said}");
    let auditor = Client::new(&node, &auditor);
    let denied = "dataset:logwarden.audit event.action:access event.outcome:failure";
    for object in ["\"POST /api/v1/ingest\"", "tcp_json"] {
        auditor.wait_for(&format!("{denied} lw.object:{object} source.ip:127.0.0.1"), 1).await;
    }
}

#[tokio::test]
async fn a_batch_sent_again_under_its_key_is_stored_once() {
    let place = Place::new("");
    let sender = place.token("ingest", "shop");
    let other = place.token("ingest", "depot");
    let reader = place.token("reader", "desk");
    let node = place.start().await;
    let sender = Client::new(&node, &sender);
    let key = [("idempotency-key", "order-1")];
    let first = post(&sender, &key, "{\"n\":1}\n{\"n\":2}\nno JSON\n").await;
    assert_eq!((first.status, first.json()["duplicate"].clone()), (200, json!(false)));
    assert_eq!((&first.json()["accepted"], &first.json()["rejected"]), (&json!(2), &json!(1)));

    let again = |answer: &Answer| {
        assert_eq!(answer.status, 200, "{}", answer.text);
        let mut expected = first.json();
        expected["duplicate"] = json!(true);
        assert_eq!(answer.json(), expected, "another answer than the first");
    };
    again(&post(&sender, &key, "{\"n\":1}\n{\"n\":2}\nno JSON\n").await);
    let refused = post(&sender, &key, "{\"n\":3}\n").await;
    assert!(refused.refusal().starts_with("422 "), "{}", refused.text);
    // A key belongs to its source.
    let other = post(&Client::new(&node, &other), &key, "{\"n\":3}\n").await;
    assert_eq!((other.status, other.json()["duplicate"].clone()), (200, json!(false)));

    node.kill9();
    let node = place.start().await;
    let sender = sender.at(&node);
    again(&post(&sender, &key, "{\"n\":1}\n{\"n\":2}\nno JSON\n").await);
    assert_eq!(post(&sender, &key, "{\"n\":3}\n").await.status, 422);
    let desk = Client::new(&node, &reader);
    desk.wait_for("n:*", 3).await;
    assert_eq!(desk.count("n:*").await, 3);
}

#[tokio::test]
async fn whoever_waits_for_searchable_finds_the_batch_at_once() {
    let place = Place::new("");
    let sender = place.token("ingest", "shop");
    let reader = place.token("reader", "desk");
    let node = place.start().await;
    let (sender, desk) = (Client::new(&node, &sender), Client::new(&node, &reader));
    for number in 0..5 {
        let record = json!({ "round": number }).to_string() + "\n";
        let began = Instant::now();
        let path = "/api/v1/ingest?wait=searchable";
        let request = sender.request(Method::POST, path).body(record.repeat(20));
        let answer = Client::send(request).await;
        println!("searchable {:?} after it was sent (promised: 1 s)", began.elapsed());
        assert_eq!(answer.json()["searchable"], true, "{}", answer.text);
        assert_eq!(desk.count(&format!("round:{number}")).await, 20);
    }
}

#[tokio::test]
async fn every_form_and_every_encoding_is_taken() {
    let place = Place::new("");
    let sender = place.token("ingest", "shop");
    let reader = place.token("reader", "desk");
    let node = place.start().await;
    let (sender, desk) = (Client::new(&node, &sender), Client::new(&node, &reader));
    let forms = [
        ("lines", "{\"v\":1}\n{\"v\":2}\r\n\n{\"v\":3}"),
        ("one object over lines", "{\n \"v\": 1\n}"),
        ("an array", "[{\"v\":1}, {\"v\":2},\n{\"v\":3}]"),
        ("back to back", "{\"v\":1}{\"v\":2} {\"v\":3}"),
    ];
    let mut sent = 0;
    for (form, body) in forms {
        let answer = post(&sender, &[], body).await;
        let records = u64::try_from(body.matches("\"v\"").count()).expect("a number");
        assert_eq!(
            (answer.status, answer.json()["accepted"].as_u64()),
            (200, Some(records)),
            "{form}"
        );
        sent += records;
    }

    let body = "{\"v\":1}\n{\"v\":2}\n".repeat(100);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(body.as_bytes()).expect("memory");
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(body.as_bytes()).expect("memory");
    let encoded = [
        ("identity", body.clone().into_bytes()),
        ("gzip", gzip.finish().expect("memory")),
        ("deflate", deflate.finish().expect("memory")),
        ("zstd", zstd::encode_all(body.as_bytes(), 3).expect("memory")),
    ];
    for (encoding, bytes) in encoded {
        let answer = post(&sender, &[("content-encoding", encoding)], bytes).await;
        assert_eq!(
            (answer.status, answer.json()["accepted"].as_u64()),
            (200, Some(200)),
            "{encoding}"
        );
        sent += 200;
    }
    desk.wait_for("v:>=1", sent).await;
    assert_eq!(desk.count("v:>=1").await, sent);
}

#[tokio::test]
async fn each_refusal_says_what_is_wrong() {
    let place = Place::new("");
    let token = place.token("ingest", "shop");
    let reader = place.token("reader", "desk");
    let admin = place.token("admin", "root");
    let node = place.start().await;
    let sender = Client::new(&node, &token);
    let stranger = Client::new(&node, "");
    let bomb = zstd::encode_all(&*vec![b' '; BODY_BYTES_MAX * 2], 3).expect("memory");
    let many = "{}\n".repeat(RECORDS_MAX + 1);
    let one = "{\"v\":1}\n";
    let refusals = [
        ("nothing usable", "400 nothing_usable", post(&sender, &[], "not JSON\n").await),
        ("nothing", "400 nothing_usable", post(&sender, &[], "").await),
        ("no token", "401 unauthorized", post(&stranger, &[], one).await),
        (
            "a token that is none",
            "401 unauthorized",
            post(&Client::new(&node, "lw_none"), &[], one).await,
        ),
        ("a token in the URL", "401 credential_in_url", {
            let path = format!("/api/v1/ingest?token={token}");
            Client::send(stranger.request(Method::POST, &path).body(one)).await
        }),
        ("a reader", "403 forbidden", post(&Client::new(&node, &reader), &[], one).await),
        ("another method", "405 method_not_allowed", {
            Client::send(sender.request(Method::PUT, "/api/v1/ingest").body(one)).await
        }),
        ("a bomb", "413 ", post(&sender, &[("content-encoding", "zstd")], bomb).await),
        ("too many records", "413 too_many_records", post(&sender, &[], many).await),
        ("an unknown encoding", "415 unsupported_encoding", {
            post(&sender, &[("content-encoding", "br")], one).await
        }),
        ("another encoding than it says", "400 bad_encoding", {
            post(&sender, &[("content-encoding", "gzip")], one).await
        }),
        ("a key that is none", "400 bad_idempotency_key", {
            post(&sender, &[("idempotency-key", "")], one).await
        }),
    ];
    for (what, expected, answer) in refusals {
        let refusal = answer.refusal();
        assert!(refusal.starts_with(expected), "{what}: `{refusal}`, not `{expected}`: {answer:?}");
        let error = &answer.json()["error"];
        for name in ["message", "request_id"] {
            assert!(error[name].as_str().is_some_and(|text| !text.is_empty()), "{what}: no {name}");
        }
    }
    let head = format!(
        "POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
        BODY_BYTES_MAX + 1
    );
    assert!(status_of(&node, &head).await.starts_with("HTTP/1.1 413"));

    // Good lines are stored beside bad ones, which are kept where an administrator finds them.
    let answer = post(&sender, &[], "{\"v\":7}\n{\"v\":\n{\"v\":8}\n").await.json();
    assert_eq!(
        (&answer["accepted"], &answer["rejected"], &answer["dead_lettered"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(
        (&answer["errors"][0]["line"], &answer["errors"][0]["code"]),
        (&json!(2), &json!("invalid_json"))
    );
    let admin = Client::new(&node, &admin);
    admin.wait_for("v:>=7", 2).await;
    admin.wait_for("dataset:logwarden.deadletter", 2).await;
    assert_eq!(admin.count("*").await, 2, "a refused batch was stored in part");
}

/// Sends the head of a request and nothing of its body; gives the first line of the answer.
async fn status_of(node: &crate::harness::node::Node, head: &str) -> String {
    let address = node.http().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let mut answer = Vec::new();
    let mut bytes = [0; 1024];
    while !answer.ends_with(b"\r\n") && !answer.contains(&b'\n') {
        let count = stream.read(&mut bytes).await.expect("an answer");
        assert!(count > 0, "closed without an answer");
        answer.extend_from_slice(&bytes[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
