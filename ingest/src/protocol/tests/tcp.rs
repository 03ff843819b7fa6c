//! Streams: JSON lines, syslog and what is neither.

use std::sync::Arc;

use bytes::BytesMut;
use logwarden_store::identity::Role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_util::sync::CancellationToken;

use super::{Node, lines, node, token};
use crate::config::{ListenerConfig, ListenerKind};
use crate::listener;
use crate::protocol::stream::{Connection, Reading, Stream};

/// A listener that admits loopback as `edge`.
pub(super) fn open() -> ListenerConfig {
    ListenerConfig {
        allow: vec!["127.0.0.0/8".parse().expect("a network")],
        source: Some("edge".into()),
        ..ListenerConfig::default()
    }
}

impl Node {
    /// Serves one end of a duplex; gives the other.
    pub(super) fn connect(
        &self,
        listener: ListenerConfig,
    ) -> (DuplexStream, tokio::task::JoinHandle<()>) {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        (theirs, self.serve(Box::new(ours), listener))
    }

    /// Serves a stream.
    pub(super) fn serve(
        &self,
        stream: Box<dyn Stream>,
        listener: ListenerConfig,
    ) -> tokio::task::JoinHandle<()> {
        tokio::spawn(listener::serve(self.accepted(stream, listener)))
    }

    /// A stream that was accepted.
    fn accepted(&self, stream: Box<dyn Stream>, listener: ListenerConfig) -> Connection {
        Connection {
            stream,
            buffer: BytesMut::new(),
            ended: None,
            listener: Arc::new(listener),
            peer: "127.0.0.1:5".parse().expect("an address"),
            certified: None,
            pipeline: Arc::clone(&self.pipeline),
            shutdown: CancellationToken::new(),
        }
    }

    /// Sends `stream` in pieces, ends it, and gives what the server said.
    pub(super) async fn talk(&self, listener: ListenerConfig, pieces: &[&[u8]]) -> String {
        let (mut peer, served) = self.connect(listener);
        for piece in pieces {
            // A server that has refused us need not read on.
            if peer.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = peer.shutdown().await;
        let mut said = String::new();
        peer.read_to_string(&mut said).await.expect("text");
        served.await.expect("no panic");
        said
    }

    pub(super) async fn check(&self, listener: ListenerConfig, stream: &[u8], journal: &str) {
        let before = self.journal().await;
        self.talk(listener, &[stream]).await;
        let after = self.journal().await;
        let new = after.strip_prefix(before.as_str()).expect("a journal only grows");
        assert_eq!(new.trim_start(), lines(journal), "{}", String::from_utf8_lossy(stream));
    }
}

#[tokio::test]
async fn lines_are_acknowledged_once_they_are_durable() {
    let node = node(|_| {}).await;
    let (mut peer, served) = node.connect(ListenerConfig::default());
    let auth = format!("{{\"auth\":\"{}\",\"ack\":true}}\n", node.token);
    peer.write_all(auth.as_bytes()).await.expect("open");
    peer.write_all(b"{\"message\":\"a\"}\nnonsense\n\n{\"mess").await.expect("open");
    let mut said = [0; 12];
    let mut text = String::new();
    while !text.contains("{\"ack\":3}\n") {
        let length = peer.read(&mut said).await.expect("open");
        assert!(length > 0, "closed after {text}");
        text.push_str(std::str::from_utf8(&said[..length]).expect("text"));
    }
    let journal = "shop shop a
         logwarden.deadletter shop 2:invalid_json 8";
    assert_eq!(node.journal().await, lines(journal));
    peer.write_all(b"age\":\"b\"}\n").await.expect("open");
    peer.shutdown().await.expect("open");
    let mut rest = String::new();
    peer.read_to_string(&mut rest).await.expect("text");
    assert_eq!(rest, "{\"ack\":4}\n");
    served.await.expect("no panic");
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_its_connections() {
    let node = node(|_| {}).await;
    let (mut peer, served) = node.connect(ListenerConfig::default());
    let auth = format!("{{\"auth\":\"{}\",\"ack\":true}}\n{{\"message\":\"a\"}}\n", node.token);
    peer.write_all(auth.as_bytes()).await.expect("open");
    let mut said = [0; 10];
    peer.read_exact(&mut said).await.expect("open");
    assert_eq!(&said, b"{\"ack\":1}\n");
    node.identity.revoke_token("shipper").await.expect("revoked");
    peer.write_all(b"{\"message\":\"b\"}\n").await.expect("open");
    let mut rest = String::new();
    peer.read_to_string(&mut rest).await.expect("text");
    assert!(rest.contains("\"code\":\"unauthorized\""), "{rest}");
    served.await.expect("no panic");
    assert_eq!(node.journal().await, "shop shop a");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_no_acknowledgement_is_let_go() {
    let node = node(|config| config.limits.connection_records_max = 1).await;
    let (mut peer, served) = node.connect(ListenerConfig::default());
    let auth = format!("{{\"auth\":\"{}\",\"ack\":true}}\n", node.token);
    peer.write_all(auth.as_bytes()).await.expect("open");
    // Acknowledgements fill the pipe back, then records the one forth.
    let line = b"{\"message\":\"a\"}\n".repeat(1_000);
    while peer.write_all(&line).await.is_ok() {}
    served.await.expect("no panic");
}

#[tokio::test]
async fn without_a_good_token_nothing_is_taken() {
    let node = node(|_| {}).await;
    let (reader, denials) =
        (token(&node.identity, "reader", Role::Reader, None).await, node.denials());
    for first in [
        "{\"message\":\"a\"}\n".to_owned(),
        "{\"auth\":\"lw_nonsense\"}\n{\"message\":\"a\"}\n".to_owned(),
        format!("{{\"auth\":\"{reader}\"}}\n{{\"message\":\"a\"}}\n"),
        "{".repeat(10_000),
    ] {
        let said = node.talk(ListenerConfig::default(), &[first.as_bytes()]).await;
        assert!(said.contains("\"code\":\"unauthorized\""), "{said}");
    }
    let said = node.talk(ListenerConfig::default(), &[b"<13>Jan  1 00:00:00 h p: x\n"]).await;
    assert!(said.contains("`allow`"), "{said}");
    let json = ["tcp_json -", "tcp_json -", "tcp_json reader", "tcp_json -"];
    assert_eq!(denials.told(), [&json[..], &["syslog -"]].concat());
    assert_eq!(node.journal().await, "");
}

#[tokio::test]
async fn a_last_line_that_does_not_end_is_a_dead_letter() {
    let node = node(|_| {}).await;
    node.check(
        open(),
        b"{\"message\":\"a\"}\n{\"message\":\"b\"}",
        "edge edge a
         logwarden.deadletter edge 2:truncated 15",
    )
    .await;
    node.check(open(), b"{\"message\":\"a\"}{\"message\":\"b\"}\n", "edge edge a\nedge edge b")
        .await;
}

#[tokio::test]
async fn syslog_is_cut_as_its_sender_means_it() {
    let node = node(|_| {}).await;
    node.check(open(), b"<13>one\n<13>two\n", "syslog edge one\nsyslog edge two").await;
    node.check(
        open(),
        b"<13>p: one\n<13>forged\0<13>p: two\0",
        "syslog edge one\n<13>forged\nsyslog edge two",
    )
    .await;
    node.check(
        open(),
        b"12 <13>p: one\nx14 <13>p: two\nxyz",
        "syslog edge one\nx\nsyslog edge two\nxyz",
    )
    .await;
    node.check(open(), b"<13>one\n<13>two", "syslog edge one\nsyslog edge two").await;
    node.check(
        open(),
        b"8 <13>wxyz<13>x",
        "syslog edge wxyz\nlogwarden.deadletter edge 2:bad_framing 5",
    )
    .await;
    let syslog = ListenerConfig { kind: ListenerKind::Syslog, ..open() };
    node.check(syslog, b"plain text\n", "edge edge plain text").await;
}

#[tokio::test]
async fn what_is_too_long_is_kept_in_part_and_its_neighbours_whole() {
    let node = node(|config| {
        config.limits.record_bytes_max = 100;
        config.limits.dead_letter_bytes_max = 10;
    })
    .await;
    let long = "x".repeat(200_000);
    let stream = format!("<13>a\n<13>{long}\n<13>b\n");
    node.check(
        open(),
        stream.as_bytes(),
        "syslog edge a\nlogwarden.deadletter edge 2:line_too_long 10\nsyslog edge b",
    )
    .await;
    let stream = format!("5 <13>a200004 <13>{long}5 <13>b");
    node.check(
        open(),
        stream.as_bytes(),
        "syslog edge a\nlogwarden.deadletter edge 2:line_too_long 10\nsyslog edge b",
    )
    .await;
}

#[tokio::test]
async fn what_speaks_no_protocol_of_ours_is_told_where_it_can_read() {
    let node = node(|_| {}).await;
    for (first, expected) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "HTTP/1.1 400 Bad Request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", ""),
        (b"\x00\x00\x01\x02\x80\x04", ""),
        (b"\x01\x02 hello\n", "logwarden: these bytes begin no protocol of this port"),
    ] {
        let said = node.talk(open(), &[first]).await;
        assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{said}");
    }
    assert_eq!(node.journal().await, "");
}

#[tokio::test]
async fn text_without_a_priority_is_lines() {
    let node = node(|_| {}).await;
    for (stream, journal) in [
        (&b"hello there, friend\nhi\n"[..], "edge edge hello there, friend\nedge edge hi"),
        (b"a\n", "edge edge a"),
        ("żółć\n".as_bytes(), "edge edge żółć"),
        (b"2026-11-22T04:22:59Z late\n", "edge edge 2026-11-22T04:22:59Z lat"),
        (b"\x1b[32mhi\x1b[0m\n", "edge edge \u{1b}[32mhi\u{1b}[0m"),
        (b"GO\nGETTING on\n", "edge edge GO\nedge edge GETTING on"),
    ] {
        node.check(open(), stream, journal).await;
    }
    let said = node.talk(ListenerConfig::default(), &[b"hello there\n"]).await;
    assert!(said.contains("takes syslog from its `allow` networks only"), "{said}");
}

#[tokio::test]
async fn many_records_keep_their_order() {
    let node = node(|config| config.limits.connection_records_max = 7).await;
    let stream: String = (0..100).map(|number| format!("{{\"message\":\"{number}\"}}\n")).collect();
    let pieces: Vec<&[u8]> = stream.as_bytes().chunks(13).collect();
    node.talk(open(), &pieces).await;
    let expected: Vec<_> = (0..100).map(|number| format!("edge edge {number}")).collect();
    assert_eq!(node.journal().await, expected.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn what_flows_is_read_together_up_to_its_bound_and_its_end_comes_last() {
    let node = node(|_| {}).await;
    let (ours, mut peer) = tokio::io::duplex(1 << 16);
    let mut connection = node.accepted(Box::new(ours), open());
    let half = connection.pipeline.limits().connection_bytes_max / 2;
    let sent = half + 200_000;
    let send = tokio::spawn(async move {
        peer.write_all(&vec![b'a'; sent]).await.expect("open");
        peer.shutdown().await.expect("open");
    });
    assert_eq!(connection.read_in(None).await, Reading::More);
    let first = connection.buffer.split().len();
    assert!(first >= half && first < half + (1 << 17), "{first} bytes");
    assert_eq!(connection.read_in(None).await, Reading::More);
    assert_eq!(first + connection.buffer.len(), sent, "the rest");
    assert_eq!(connection.read_in(None).await, Reading::End);
    assert_eq!(connection.read_in(None).await, Reading::End, "it stays so");
    send.await.expect("no panic");
}
