//! Connections through a proxy that says who it connects for.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::counting::Counters;
use super::listening::{ANY_PORT, send_after, start, tls};
use super::{Node, node};
use crate::config::ListenerConfig;

/// Admits one network alone, for which loopback is a proxy.
fn proxied(listener: ListenerConfig) -> ListenerConfig {
    ListenerConfig {
        allow: vec!["192.0.2.0/24".parse().expect("a network")],
        source: Some("edge".into()),
        trusted_proxies: vec!["127.0.0.0/8".parse().expect("a network")],
        ..listener
    }
}

/// Sends `text` to a listener and gives what it said.
async fn talk(node: &Node, listener: ListenerConfig, text: &[u8]) -> String {
    let (ingest, shutdown) = start(node, listener).await;
    let mut stream = TcpStream::connect(ingest.tcp_addresses()[0]).await.expect("open");
    stream.write_all(text).await.expect("open");
    stream.shutdown().await.expect("open");
    let mut said = Vec::new();
    // A connection that is refused may be reset with what it did not read.
    let _ = stream.read_to_end(&mut said).await;
    shutdown.cancel();
    ingest.join().await;
    String::from_utf8(said).expect("text")
}

const RECORD: &str = "<13>Jan  1 00:00:00 host p: a\n";

#[tokio::test]
async fn the_sender_is_who_the_proxy_says() {
    let node = node(|_| {}).await;
    let listener = || proxied(ListenerConfig::auto(ANY_PORT));
    let binary =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0F\xC0\0\x02\x08\x7F\0\0\x01\x01\x02\x02\x02\xEE\0\0";
    for header in [&b"PROXY TCP4 192.0.2.7 127.0.0.1 258 514\r\n"[..], binary] {
        let said = talk(&node, listener(), &[header, RECORD.as_bytes()].concat()).await;
        assert_eq!(said, "");
    }
    let stranger = format!("PROXY TCP4 198.51.100.7 127.0.0.1 258 514\r\n{RECORD}");
    let said = talk(&node, listener(), stranger.as_bytes()).await;
    assert!(said.contains("`allow` networks only"), "{said}");
    assert_eq!(node.shown("message").await, "a\na");
    let dead = b"PROXY TCP4 192.0.2.7 127.0.0.1 258 514\r\n{\"a\":}\n";
    talk(&node, listener(), dead).await;
    let shown = node.shown("dataset lw.peer").await;
    assert!(shown.ends_with("logwarden.deadletter | 192.0.2.7"), "{shown}");
}

#[tokio::test]
async fn a_proxy_must_say_it_and_nobody_else_can() {
    let counters = Counters::default();
    let _counting = counters.start();
    let node = node(|_| {}).await;
    let listener = proxied(ListenerConfig::auto(ANY_PORT));
    for bad in [RECORD.to_owned(), format!("PROXY TCP4 192.0.2.7\r\n{RECORD}")] {
        assert_eq!(talk(&node, listener.clone(), bad.as_bytes()).await, "");
    }
    assert_eq!(counters.of("connections_refused"), "proxy_header 2");
    let header = format!("PROXY TCP4 192.0.2.7 127.0.0.1 258 514\r\n{RECORD}");
    let untrusted = ListenerConfig { trusted_proxies: Vec::new(), ..listener };
    let said = talk(&node, untrusted, header.as_bytes()).await;
    assert!(said.contains("these bytes begin no protocol of this port"), "{said}");
    assert_eq!(node.journal().await, "");
}

#[tokio::test]
async fn the_header_comes_before_tls() {
    let node = node(|_| {}).await;
    let (ingest, shutdown) = start(&node, proxied(tls(None))).await;
    let header = "PROXY TCP4 192.0.2.7 127.0.0.1 258 514\r\n";
    let address = ingest.tcp_addresses()[0];
    assert_eq!(send_after(header, address, None, RECORD).await.expect("let in"), "");
    assert!(send_after("", address, None, RECORD).await.is_err(), "TLS is no header");
    shutdown.cancel();
    ingest.join().await;
    assert_eq!(node.shown("message").await, "a");
}
