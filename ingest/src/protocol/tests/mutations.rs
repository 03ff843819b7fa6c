//! Hostile input by the thousand: what clients send, damaged by a seeded generator, at every door.
//!
//! Whatever comes, the door answers and ends, nothing panics, and what it took is an event or a dead
//! letter. The same seed makes the same input.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::shipping::gzip;
use super::tcp::open;
use super::{Node, node};
use crate::config::{ListenerConfig, ListenerKind};

/// Damaged inputs of each door.
const ROUNDS: u64 = 60;
/// No door takes this long, not even in a debug build on a machine that does much else.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// Numbers of a seed (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }

    /// Damages `bytes` in one to six places.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        for _ in 0..=self.below(6) {
            let (from, length) = (self.below(damaged.len()), 1 + self.below(9));
            let to = (from + length).min(damaged.len());
            match self.below(7) {
                0 if !damaged.is_empty() => damaged[from] ^= 1 << self.below(8),
                1 => drop(damaged.drain(from..to)),
                2 => damaged.truncate(from),
                3 => {
                    let copy = damaged[from..to].to_vec();
                    let copies = 1 + self.below(40);
                    damaged.splice(from..from, copy.repeat(copies));
                }
                // What may be a length becomes a large one.
                4 => damaged[from..to].fill(0xFF),
                5 => damaged[from..to].fill(b'9'),
                _ => {
                    let open = [&b"{\"a\":"[..], b"[", b"\"", b"\n", b"\0", b"\xC3", b"\x81\xA1"];
                    let piece = open[self.below(open.len())].repeat(1 + self.below(200));
                    damaged.splice(from..from, piece);
                }
            }
        }
        damaged
    }
}

/// No record met a mistake of ours, and the node still takes good ones.
async fn check(node: &Node, door: &str) {
    let codes = node.shown("lw.code").await;
    assert!(!codes.contains("conversion_failed"), "{door}: a record made the parser panic");
    let request = "POST /api/v1/ingest\nauthorization: Bearer TOKEN";
    assert_eq!(node.ship(request, "{\"message\":\"good\"}").await.status, 200, "{door}");
}

#[tokio::test]
async fn damaged_bodies_are_answered_at_every_path() {
    let json = r#"{"Records":[{"eventName":"A","eventTime":"2025-01-02T03:04:05Z","n":9007199254740991}]}"#;
    let pairs = "{\"index\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"message\":\"zażółć\",\"a\":{\"b\":[1,2]}}\n";
    let hec =
        r#"{"event":{"message":"a"},"time":"1735787045.25"}{"event":"{\"b\":1}","fields":{"c":2}}"#;
    let loki =
        r#"{"streams":[{"stream":{"a":"b"},"values":[["1735787045000000000","line",{"c":"d"}]]}]}"#;
    let otlp = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"5"}}]}}}]}]}]}"#;
    let protobuf = b"\x0A\x14\x12\x12\x12\x10\x2A\x0E\x0A\x0Ca\xC5\xBCb\xF0\x9F\x92\xA1cdef";
    let snappy = b"\x10\x3C\x0A\x0E\x0A\x04{a=}\x12\x06\x12\x04line";
    let journal = b"__CURSOR=a\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nPRIORITY=3\n\n";
    let firehose = r#"{"requestId":"r","records":[{"data":"eyJhIjoxfQ=="},{"data":"bGluZQ=="}]}"#;
    let form = "name=a&msg=%25s+b&args=%28%27c%27%2C%29&created=1735787045.25";
    let gelf = r#"{"version":"1.1","short_message":"a","_b":{"c":1},"level":3}"#;
    let datadog = r#"[{"message":"{\"a\":1}","ddtags":"a:b,c","status":"warn"}]"#;
    let doors: [(&str, &str, &[u8]); 13] = [
        ("POST /api/v1/ingest", "application/json", json.as_bytes()),
        ("POST /api/v1/ingest", "application/x-www-form-urlencoded", form.as_bytes()),
        ("POST /_bulk", "application/json", pairs.as_bytes()),
        ("POST /services/collector", "text/plain", hec.as_bytes()),
        (
            "POST /services/collector/raw",
            "text/plain",
            b"<13>a: b\n2025-01-02T03:04:05.1Z stdout P c\n",
        ),
        ("POST /loki/api/v1/push", "application/json", loki.as_bytes()),
        ("POST /loki/api/v1/push", "application/x-protobuf", snappy),
        ("POST /v1/logs", "application/json", otlp.as_bytes()),
        ("POST /v1/logs", "application/x-protobuf", protobuf),
        ("POST /upload", "application/vnd.fdo.journal", journal),
        ("POST /aws/firehose", "application/json", firehose.as_bytes()),
        ("POST /gelf", "application/json", gelf.as_bytes()),
        ("POST /api/v2/logs", "application/json", datadog.as_bytes()),
    ];
    for (seed, (path, kind, good)) in (1..).zip(doors) {
        let node = node(|_| {}).await;
        let mut numbers = Numbers(seed);
        for round in 0..ROUNDS {
            let mut request = format!("{path}\nauthorization: Bearer TOKEN\ncontent-type: {kind}");
            let mut body = numbers.damage(good);
            if round % 4 == 3 && !kind.contains("protobuf") {
                request.push_str("\ncontent-encoding: gzip");
                body = numbers.damage(&gzip(&body));
            }
            let shown = String::from_utf8_lossy(&body).into_owned();
            let answer = tokio::time::timeout(ANSWER_MAX, node.ship(&request, body)).await;
            let status = answer.unwrap_or_else(|_| panic!("{path} hangs at {shown:?}")).status;
            assert!(
                [200, 202, 204, 400, 413, 415].contains(&status),
                "{path}: {status} to {shown:?}"
            );
        }
        check(&node, path).await;
    }
}

#[tokio::test]
async fn damaged_streams_end_at_every_listener() {
    let beats = b"2W\0\0\0\x022J\0\0\0\x01\0\0\0\x07{\"a\":1}2J\0\0\0\x02\0\0\0\x07{\"a\":2}";
    let forward = b"\x93\xA1t\x92\x92\xCE\x65\x53\xF1\x00\x81\xA3log\xA1a\x92\xD7\x00\x65\x53\xF1\x00\0\0\0\0\x81\xA1b\xC3\x82\xA5chunk\xA2c1\xA4size\x02";
    let relp = b"1 open 14 relp_version=0\n2 syslog 8 <13>a: b\n3 close 0\n";
    let grpc = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x04\x01\x05\0\0\0\x01\x82\x86\x84\x83";
    let doors: [(ListenerKind, &[u8]); 9] = [
        (ListenerKind::Json, b"{\"a\":1}\n{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"t\"}\n"),
        (ListenerKind::Syslog, b"<13>1 2025-01-02T03:04:05Z h a 1 - [x@1 k=\"v\\\"\"] b\n<34>Oct  1 00:00:00 h sshd[1]: c\n"),
        (ListenerKind::Syslog, b"15 <13>a: b\xC5\xBC\n c\n20 CEF:0|a|b|c|d|e|f|g=h"),
        (ListenerKind::Gelf, b"{\"short_message\":\"a\"}\0{\"short_message\":\"b\",\n\"_c\":1}\0"),
        (ListenerKind::Beats, beats),
        (ListenerKind::Forward, forward),
        (ListenerKind::Relp, relp),
        (ListenerKind::Otlp, grpc),
        (ListenerKind::Auto, b"ERROR a\n\tat b.C.d(E.java:1)\n2025-01-02T03:04:05.1Z stdout P c\n"),
    ];
    for (seed, (kind, good)) in (100..).zip(doors) {
        let node = node(|_| {}).await;
        let mut numbers = Numbers(seed);
        for _ in 0..ROUNDS {
            let stream = numbers.damage(good);
            let (mut peer, served) = node.connect(ListenerConfig { kind, ..open() });
            let talk = async {
                let size = 1 + numbers.below(stream.len() + 1);
                for piece in stream.chunks(size) {
                    // A door may close before it has heard everything.
                    if peer.write_all(piece).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                let _ = peer.shutdown().await;
                let _ = peer.read_to_end(&mut Vec::new()).await;
            };
            let shown = String::from_utf8_lossy(&stream).into_owned();
            let ended = tokio::time::timeout(ANSWER_MAX, async { tokio::join!(talk, served).1 });
            let ended = ended.await.unwrap_or_else(|_| panic!("{kind:?} hangs at {shown:?}"));
            ended.unwrap_or_else(|error| panic!("{kind:?}: {error} at {shown:?}"));
        }
        check(&node, &format!("{kind:?}")).await;
    }
}
