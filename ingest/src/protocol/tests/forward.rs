//! Fluent forward: every mode, acknowledgements, the handshake, and what is no message.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use logwarden_event::{Event, Position};
use logwarden_store::Chunk;
use proptest::prelude::*;
use sha2::{Digest as _, Sha512};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::tcp::open;
use super::{Node, lines, node};
use crate::config::{ListenerConfig, ListenerKind};

/// Text of up to 255 bytes.
fn text(text: &str) -> Vec<u8> {
    [&[0xD9, u8::try_from(text.len()).expect("short")], text.as_bytes()].concat()
}

fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [vec![0x90 | u8::try_from(items.len()).expect("few")], items.concat()].concat()
}

fn map(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let members: Vec<_> =
        members.iter().flat_map(|(key, value)| [text(key), value.clone()]).collect();
    [vec![0x80 | u8::try_from(members.len() / 2).expect("few")], members.concat()].concat()
}

fn binary(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("short").to_be_bytes();
    [&[0xC6][..], &length, bytes].concat()
}

/// 2025-11-22T04:22:59.5Z
fn event_time() -> Vec<u8> {
    let (seconds, nanos) = (1_763_785_379u32.to_be_bytes(), 500_000_000u32.to_be_bytes());
    [&[0xD7, 0][..], &seconds, &nanos].concat()
}

fn record(message: &str) -> Vec<u8> {
    map(&[("message", text(message))])
}

fn entry(message: &str) -> Vec<u8> {
    array(&[event_time(), record(message)])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

fn acknowledgement(chunk: &str) -> Vec<u8> {
    [b"\x81\xa3ack", &text(chunk)[..]].concat()
}

impl Node {
    /// Sends a stream, ends it, and gives the answer.
    async fn forward(&self, listener: ListenerConfig, stream: &[u8]) -> Vec<u8> {
        let (mut peer, served) = self.connect(listener);
        peer.write_all(stream).await.expect("open");
        peer.shutdown().await.expect("open");
        let mut said = Vec::new();
        peer.read_to_end(&mut said).await.expect("an answer");
        served.await.expect("no panic");
        said
    }
}

/// What a mode's message does in the journal.
async fn check(message: &[Vec<u8>], journal: &str) {
    let node = node(|_| {}).await;
    let said = node.forward(open(), &array(message)).await;
    assert_eq!(said, b"", "nobody asked for an answer");
    assert_eq!(node.journal().await, lines(journal), "{message:02x?}");
}

#[tokio::test]
async fn every_mode_is_taken() {
    let both = [entry("a"), entry("b")].concat();
    check(&[text("t"), event_time(), record("a")], "edge edge a").await;
    check(&[text("t"), vec![0xCE, 0x6B, 1, 2, 3], record("a"), map(&[])], "edge edge a").await;
    check(&[text("t"), array(&[entry("a"), entry("b")])], "edge edge a\nedge edge b").await;
    check(&[text("t"), binary(&both), map(&[])], "edge edge a\nedge edge b").await;
    let options = map(&[("compressed", text("gzip")), ("size", vec![2])]);
    check(&[text("t"), binary(&gzip(&both)), options], "edge edge a\nedge edge b").await;
    let with_metadata = array(&[array(&[event_time(), map(&[])]), record("a")]);
    check(&[text("t"), array(&[with_metadata])], "edge edge a").await;
}

#[tokio::test]
async fn a_record_has_its_tag_time_and_bytes() {
    let inner = r#"{"msg":"paid","user_name":"ann"}"#;
    let record = check_record(inner).await;
    assert_eq!(record.raw(), inner.as_bytes());
    // Text that is no object after all.
    let (text, whole) =
        ("{ paid", map(&[("log", text("{ paid")), ("container_name", text("/shop"))]));
    let record = check_record(text).await;
    assert_eq!((record.message(), record.raw()), (text, &whole[..]));
}

/// Sends a record with the text `inner`, and gives the event with the marks of its envelope.
async fn check_record(inner: &str) -> Event {
    let node = node(|_| {}).await;
    let record = map(&[("log", text(inner)), ("container_name", text("/shop"))]);
    let message = array(&[text("docker.shop"), event_time(), record.clone()]);
    node.forward(open(), &message).await;
    let read = node.store.journal.read(Position { lane: 0, seq: 1 }, 10).await.expect("records");
    let Chunk::Records { records, .. } = read else { panic!("a gap") };
    let event = &records[0].event;
    let field = |name| event.value_of(name).map(|value| value.to_string()).unwrap_or_default();
    assert!(event.message().ends_with("paid"));
    assert_eq!(event.timestamp().to_string(), "2025-11-22T04:22:59.500Z");
    assert_eq!(field("fluent.tag"), "docker.shop");
    assert_eq!(field("user.name"), if inner.contains("ann") { "ann" } else { "" });
    assert_eq!(field("container.name"), "/shop");
    event.clone()
}

#[tokio::test]
async fn a_chunk_is_acknowledged_and_stored_once() {
    let node = node(|_| {}).await;
    let option = map(&[("chunk", text("abc="))]);
    let message = array(&[text("t"), binary(&[entry("a"), entry("a")].concat()), option.clone()]);
    assert_eq!(node.forward(open(), &message).await, acknowledgement("abc="));
    assert_eq!(node.forward(open(), &message).await, acknowledgement("abc="), "sent again");
    assert_eq!(node.journal().await, "edge edge a\nedge edge a", "two that are equal stay two");
    let other = array(&[text("t"), binary(&entry("b")), option]);
    assert_eq!(node.forward(open(), &other).await, acknowledgement("abc="), "a chunk used again");
    assert_eq!(node.journal().await, "edge edge a\nedge edge a\nedge edge b");
}

#[tokio::test]
async fn what_is_bad_is_kept_and_its_neighbours_are_taken() {
    let bad = array(&[event_time(), text("no map")]);
    check(
        &[text("t"), binary(&[entry("a"), bad, vec![7], entry("b"), vec![0xC1]].concat())],
        "edge edge a
         edge edge no map
         logwarden.deadletter edge 3:bad_entry 1
         edge edge b
         logwarden.deadletter edge 5:bad_framing 1",
    )
    .await;
    let options = map(&[("compressed", text("gzip"))]);
    check(&[text("t"), binary(b"nonsense"), options], "logwarden.deadletter edge 1:bad_encoding 8")
        .await;
    check(&[text("t"), vec![1]], "logwarden.deadletter edge 1:bad_message 5").await;
    let node = node(|config| config.limits.record_bytes_max = 100).await;
    let long = array(&[text("t"), array(&[entry(&"x".repeat(200)), entry("b")])]);
    node.forward(open(), &[&long[..], &[0xC1]].concat()).await;
    let kept = "logwarden.deadletter edge 1:line_too_long 212
                edge edge b
                logwarden.deadletter edge 3:bad_framing 1";
    assert_eq!(node.journal().await, lines(kept));
}

#[tokio::test]
async fn messages_on_end_are_taken_in_their_order() {
    let node = node(|_| {}).await;
    let one = |message: &str| array(&[text("t"), event_time(), record(message)]);
    let options = map(&[("chunk", text("abc="))]);
    let asked = array(&[text("t"), binary(&entry("c")), options]);
    let bad = array(&[text("t"), vec![1]]);
    let nil = vec![0xC0];
    let stream = [one("a"), nil, bad, one("b"), asked, one("d"), one("e")].concat();
    assert_eq!(node.forward(open(), &stream).await, acknowledgement("abc="));
    let kept = "edge edge a
                logwarden.deadletter edge 2:bad_message 5
                edge edge b
                edge edge c
                edge edge d
                edge edge e";
    assert_eq!(node.journal().await, lines(kept));
}

#[tokio::test]
async fn behind_what_is_no_message_nothing_is_read() {
    let node = node(|_| {}).await;
    let noise = b"\xFE\x00{[\"<13>".repeat(5_000);
    let message = array(&[text("t"), event_time(), record("a")]);
    node.forward(open(), &[&message[..], &noise].concat()).await;
    let kept = format!("edge edge a\nlogwarden.deadletter edge 2:bad_framing {}", noise.len());
    assert_eq!(node.journal().await, kept);
}

#[tokio::test]
async fn a_bomb_is_kept_as_it_came() {
    let options = map(&[("compressed", text("gzip")), ("chunk", text("x"))]);
    let bomb = gzip(&vec![0xC0; 32 << 20]);
    let node = node(|_| {}).await;
    let said = node.forward(open(), &array(&[text("t"), binary(&bomb), options])).await;
    assert_eq!(said, acknowledgement("x"), "sent again it would be the same");
    let expected = format!("logwarden.deadletter edge 1:too_large {}", bomb.len());
    assert_eq!(node.journal().await, expected);
}

#[tokio::test]
async fn a_message_of_millions_of_entries_is_cut() {
    let options = map(&[("compressed", text("gzip"))]);
    let entries = gzip(&vec![0xC0; 150_000]);
    let node = node(|_| {}).await;
    node.forward(open(), &array(&[text("t"), binary(&entries), options])).await;
    let journal = node.journal().await;
    assert_eq!(journal.lines().count(), 100_001);
    assert!(journal.ends_with(":too_many_records 1"), "{:?}", journal.lines().last());
}

#[tokio::test]
async fn many_entries_are_taken_in_their_order() {
    let node = node(|config| config.limits.batch_records_max = 7).await;
    let entries: Vec<u8> = (0..50).flat_map(|number| entry(&number.to_string())).collect();
    node.forward(open(), &array(&[text("t"), binary(&entries)])).await;
    let expected: Vec<_> = (0..50).map(|number| format!("edge edge {number}")).collect();
    assert_eq!(node.journal().await, expected.join("\n"));
}

#[tokio::test]
async fn a_peer_that_is_not_admitted_is_not_heard() {
    let node = node(|_| {}).await;
    let said = node.forward(ListenerConfig::default(), &array(&[text("t"), event_time()])).await;
    assert_eq!((said, node.journal().await), (Vec::new(), String::new()));
}

/// A handshake with `key`, then a message; whether the server agreed.
async fn shake_hands(node: &Node, key: &str) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    std::fs::write(&file, "a secret\n").expect("written");
    let listener = ListenerConfig {
        kind: ListenerKind::Forward,
        source: Some("edge".into()),
        shared_key: Some(format!("file:{}", file.display()).parse().expect("a reference")),
        ..ListenerConfig::default()
    };
    let (mut peer, served) = node.connect(listener);
    let mut hello = [0; 48];
    peer.read_exact(&mut hello).await.expect("a greeting");
    assert!(hello.starts_with(b"\x92\xa4HELO\x83\xa5nonce"), "{hello:02x?}");
    let nonce = &hello[15..31];
    let digest = |hostname: &str| {
        let parts = [b"salt", hostname.as_bytes(), nonce, key.as_bytes()].concat();
        Sha512::digest(parts).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let parts = ["PING", "shop", "salt", &digest("shop"), "", ""].map(text);
    peer.write_all(&array(&parts)).await.expect("open");
    let message = array(&[text("t"), event_time(), record("a")]);
    // A server that has refused us need not read on.
    let _ = peer.write_all(&message).await;
    let _ = peer.shutdown().await;
    let mut pong = Vec::new();
    peer.read_to_end(&mut pong).await.expect("an answer");
    served.await.expect("no panic");
    let good =
        array(&[b"\xa4PONG\xc3".to_vec(), text(""), text("logwarden"), text(&digest("logwarden"))]);
    // What stands first are two values.
    let is_good = pong.starts_with(b"\x95") && pong[1..] == good[1..];
    assert!(
        is_good || pong.starts_with(b"\x95\xa4PONG\xc2\xd9\x13shared_key mismatch"),
        "{pong:02x?}"
    );
    is_good
}

#[tokio::test]
async fn a_shared_key_is_asked_for_and_proven() {
    let node = node(|_| {}).await;
    assert!(!shake_hands(&node, "another").await);
    assert_eq!(node.journal().await, "");
    assert!(shake_hands(&node, "a secret").await);
    assert_eq!(node.journal().await, "edge edge a");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        is_packed in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let node = node(|_| {}).await;
            let listener = ListenerConfig { kind: ListenerKind::Forward, ..open() };
            let stream =
                if is_packed { array(&[text("t"), binary(&bytes)]) } else { bytes.clone() };
            let (mut peer, served) = node.connect(listener);
            // A server that cannot read on has closed.
            let _ = peer.write_all(&stream).await;
            let _ = peer.shutdown().await;
            let _ = peer.read_to_end(&mut Vec::new()).await;
            served.await.expect("no panic");
        });
    }
}

#[tokio::test]
async fn what_a_masked_chunk_is_known_by_does_not_tell_its_secrets() {
    let node = super::again::masking().await;
    for secret in ["hunter2", "hunter3"] {
        let said = map(&[("message", text("signed in")), ("password", text(secret))]);
        let entries = array(&[array(&[event_time(), said])]);
        let message = array(&[text("t"), entries, map(&[("chunk", text("abc="))])]);
        assert_eq!(node.forward(open(), &message).await, acknowledgement("abc="));
    }
    assert_eq!(node.records().await, 1, "what differs in a secret alone is known by the same");
}
