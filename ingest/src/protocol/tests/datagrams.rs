//! Datagrams over real sockets on loopback: syslog and GELF, admitted, bounded, stored at the stop.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::counting::Counters;
use super::listening::{ANY_PORT, start};
use super::shipping::gzip;
use super::{Node, lines, node};
use crate::Ingest;
use crate::config::{ListenerConfig, ListenerKind};

const WAIT: Duration = Duration::from_secs(60);

fn listener(kind: ListenerKind) -> ListenerConfig {
    ListenerConfig {
        kind,
        udp: Some(ANY_PORT),
        allow: vec!["127.0.0.0/8".parse().expect("a network")],
        source: Some("edge".into()),
        ..ListenerConfig::default()
    }
}

/// Sends datagrams, waits for so many events, stops, and shows them.
async fn check(kind: ListenerKind, datagrams: &[Vec<u8>], names: &str, expected: &str) {
    check_on(node(|_| {}).await, kind, datagrams, names, expected).await;
}

async fn check_on(
    node: Node,
    kind: ListenerKind,
    datagrams: &[Vec<u8>],
    names: &str,
    expected: &str,
) {
    let (ingest, shutdown) = start(&node, listener(kind)).await;
    send(&ingest, datagrams).await;
    let expected = lines(expected);
    node.wait_for(expected.lines().count() as u64).await;
    shutdown.cancel();
    ingest.join().await;
    assert_eq!(node.shown(names).await, expected);
}

async fn send(ingest: &Ingest, datagrams: &[Vec<u8>]) {
    let socket = UdpSocket::bind(ANY_PORT).await.expect("a socket");
    let address: SocketAddr = ingest.udp_addresses()[0];
    for datagram in datagrams {
        socket.send_to(datagram, address).await.expect("sent");
    }
}

impl Node {
    /// Waits until the journal holds so many records.
    async fn wait_for(&self, records: u64) {
        let stored = async {
            while self.store.journal.end(0).seq <= records {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(WAIT, stored).await.expect("the records are stored");
    }
}

fn chunks(id: u8, message: &[u8], size: usize) -> Vec<Vec<u8>> {
    let parts: Vec<_> = message.chunks(size).collect();
    let count = u8::try_from(parts.len()).expect("at most 128");
    let chunk = |(number, part): (u8, &&[u8])| {
        [&[0x1E, 0x0F], &[id; 8][..], &[number, count], *part].concat()
    };
    (0u8..).zip(&parts).map(chunk).collect()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

#[tokio::test]
async fn a_datagram_is_one_event_and_marked() {
    check(
        ListenerKind::Auto,
        &[b"<13>p: a\n".to_vec(), b"<13>p: two\r\n\0".to_vec(), b"plain".to_vec()],
        "message lw.protocol raw",
        "a | syslog_udp | <13>p: a
         two | syslog_udp | <13>p: two
         plain | syslog_udp | plain",
    )
    .await;
}

#[tokio::test]
async fn objects_on_lines_of_one_datagram_are_records() {
    for kind in [ListenerKind::Auto, ListenerKind::Json] {
        check(
            kind,
            &[b"{\"msg\":\"a\"}\n{\"msg\":\"b\"}\n".to_vec(), b"{\"msg\":\"c\"}".to_vec()],
            "message raw",
            "a | {\"msg\":\"a\"}\nb | {\"msg\":\"b\"}\nc | {\"msg\":\"c\"}",
        )
        .await;
    }
}

#[tokio::test]
async fn gelf_comes_plain_compressed_and_in_chunks() {
    let message = |text: &str| format!("{{\"short_message\":\"{text}\",\"_user_name\":\"ann\"}}");
    let compressed = zlib(message("chunked").as_bytes());
    let mut backwards = chunks(2, message("backwards").as_bytes(), 20);
    backwards.reverse();
    let doubled = backwards[1].clone();
    backwards.insert(1, doubled);
    let (mut one, other) = (chunks(3, message("one").as_bytes(), 9), chunks(4, b"{}", 1));
    one.insert(1, other[0].clone());
    let datagrams = [
        vec![message("plain").into_bytes(), gzip(message("gzip").as_bytes())],
        vec![zlib(message("zlib").as_bytes())],
        chunks(1, &compressed, 10),
        backwards,
        one,
    ]
    .concat();
    for kind in [ListenerKind::Auto, ListenerKind::Gelf] {
        check(
            kind,
            &datagrams,
            "message user.name lw.protocol",
            "plain | ann | gelf_udp
             gzip | ann | gelf_udp
             zlib | ann | gelf_udp
             chunked | ann | gelf_udp
             backwards | ann | gelf_udp
             one | ann | gelf_udp",
        )
        .await;
    }
}

#[tokio::test]
async fn what_is_no_object_is_a_dead_letter_that_costs_itself_alone() {
    let bomb = gzip(&vec![b' '; 8 << 20]);
    let mut torn = gzip(b"{\"short_message\":\"torn\"}");
    torn.truncate(20);
    let long = format!("{{\"short_message\":\"{}\"}}", "x".repeat(2_000_000));
    let datagrams = [
        vec![b"nonsense".to_vec(), bomb, torn, zlib(long.as_bytes())],
        chunks(1, &vec![b' '; 2_000], 100),
        vec![b"{\"short_message\":\"good\"}\0".to_vec()],
    ]
    .concat();
    let node = node(|config| config.limits.record_bytes_max = 1_000).await;
    check_on(
        node,
        ListenerKind::Gelf,
        &datagrams,
        "dataset lw.code",
        "logwarden.deadletter | invalid_json
         logwarden.deadletter | line_too_long
         logwarden.deadletter | bad_encoding
         logwarden.deadletter | line_too_long
         logwarden.deadletter | line_too_long
         edge | -",
    )
    .await;
}

#[tokio::test]
async fn what_finds_no_room_in_the_queue_is_counted() {
    let counters = Counters::default();
    let _counting = counters.start();
    let node = node(|config| config.limits.datagram_bytes_max = 10).await;
    let datagrams = [b"<13>much too long".to_vec(), b"<13>p: a".to_vec()];
    check_on(node, ListenerKind::Syslog, &datagrams, "message", "a").await;
    assert_eq!(counters.of("datagrams_dropped"), "queue_full 1");
}

#[tokio::test]
async fn datagrams_of_strangers_and_lost_chunks_are_counted() {
    let counters = Counters::default();
    let _counting = counters.start();
    let node = node(|_| {}).await;
    let strangers = vec!["10.0.0.0/8".parse().expect("a network")];
    let stranger = ListenerConfig { allow: strangers, ..listener(ListenerKind::Auto) };
    let (ingest, shutdown) = start(&node, stranger).await;
    send(&ingest, &[b"<13>p: a".to_vec()]).await;
    counters.wait_for("datagrams_dropped", "not_allowed 1").await;
    shutdown.cancel();
    ingest.join().await;

    let (ingest, shutdown) = start(&node, listener(ListenerKind::Auto)).await;
    send(&ingest, &[chunks(1, b"lost", 2)[1].clone(), b"\x1E\x0Fx".to_vec()]).await;
    counters.wait_for("datagrams_dropped", "bad_chunk 1, not_allowed 1").await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    let expected = "bad_chunk 1, expired_chunk 1, not_allowed 1";
    counters.wait_for("datagrams_dropped", expected).await;
    shutdown.cancel();
    ingest.join().await;
    assert_eq!(node.journal().await, "");
}

#[tokio::test]
async fn what_was_received_is_stored_at_the_stop() {
    let node = node(|_| {}).await;
    let (ingest, shutdown) = start(&node, listener(ListenerKind::Auto)).await;
    let datagrams: Vec<_> = (0..50).map(|number| format!("<13>p: {number}").into_bytes()).collect();
    send(&ingest, &datagrams).await;
    node.wait_for(1).await;
    shutdown.cancel();
    ingest.join().await;
    let shown = node.shown("message").await;
    let expected: Vec<_> = (0..50).map(|number: u32| number.to_string()).collect();
    assert!(expected.join("\n").starts_with(&shown), "in order and without a gap: {shown}");
}

#[tokio::test]
async fn a_trace_in_datagrams_is_one_event_of_its_program() {
    let line = |program: &str, text: &str| {
        format!("<11>Oct 11 22:14:15 web1 {program}: {text}\n").into_bytes()
    };
    let datagrams = [
        line("shop[7]", "Error: no card"),
        line("other[8]", "Error: another"),
        line("shop[7]", "\tat pay (/app/pay.js:1:2)"),
        line("shop[7]", "going on"),
    ];
    check(
        ListenerKind::Syslog,
        &datagrams,
        "process.name lw.joined lw.protocol",
        "shop | 2 | syslog_udp
         shop | - | syslog_udp
         other | - | syslog_udp",
    )
    .await;
}
