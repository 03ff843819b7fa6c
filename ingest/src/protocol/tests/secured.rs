//! Every protocol over a byte stream, over TLS with a client certificate, on a listener of its own and
//! where protocols are told apart.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::listening::{connect, start, tls};
use super::node;
use crate::config::{ListenerConfig, ListenerKind};

const BEATS: &[u8] = b"2W\0\0\0\x012J\0\0\0\x01\0\0\0\x0F{\"message\":\"a\"}";
const FORWARD: &[u8] = b"\x94\xA1t\xCE\x65\x53\xF1\x00\x81\xA7message\xA1a\x81\xA5chunk\xA2c1";
const RELP: &[u8] = b"1 open 14 relp_version=0\n2 syslog 8 <13>p: a\n";

#[tokio::test]
async fn protocols_over_a_stream_come_over_tls_too() {
    for (kind, sent, answer) in [
        (ListenerKind::Json, &b"{\"message\":\"a\"}\n"[..], &b""[..]),
        (ListenerKind::Syslog, b"8 <13>p: a", b""),
        (ListenerKind::Gelf, b"{\"short_message\":\"a\"}\0", b""),
        (ListenerKind::Beats, BEATS, b"2A\0\0\0\x01"),
        (ListenerKind::Forward, FORWARD, b"\x81\xA3ack\xA2c1"),
        (ListenerKind::Relp, RELP, b"2 rsp 6 200 OK\n"),
    ] {
        for kind in [kind, ListenerKind::Auto] {
            let node = node(|_| {}).await;
            let listener = ListenerConfig { kind, ..tls(Some("ca.pem")) };
            let (ingest, shutdown) = start(&node, listener).await;
            let address = ingest.tcp_addresses()[0];
            let mut peer = connect("", address, Some("client"), &[]).await.expect("let in");
            peer.write_all(sent).await.expect("open");
            let mut said = Vec::new();
            while !said.ends_with(answer) {
                assert!(peer.read_buf(&mut said).await.expect("open") > 0, "{kind:?}: {said:?}");
            }
            peer.shutdown().await.expect("open");
            peer.read_to_end(&mut said).await.expect("an orderly end");
            assert_eq!(node.shown("message").await, "a", "{kind:?}");
            shutdown.cancel();
            ingest.join().await;
        }
    }
}
