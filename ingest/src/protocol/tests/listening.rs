//! Real sockets on loopback: TLS, client certificates, and an ordered stop.
//!
//! The certificates in `tls/` are made for these tests alone and belong to nobody.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use logwarden_event::Position;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::{Node, node};
use crate::config::{Config, ListenerConfig, TlsConfig};
use crate::{Ingest, Progress};

pub(super) const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/protocol/tests/tls").join(name)
}

/// Starts a listener over the store of `node`.
pub(super) async fn start(node: &Node, listener: ListenerConfig) -> (Ingest, CancellationToken) {
    let limits = node.pipeline.limits().clone();
    let config = Config { listeners: vec![listener], limits, ..Config::default() };
    let (_searchable, seen) = watch::channel(Position { lane: 0, seq: u64::MAX });
    let shutdown = CancellationToken::new();
    let identity = Arc::clone(&node.identity);
    let ingest = Ingest::start(
        config,
        node.store.clone(),
        identity,
        Progress::of_all(seen),
        shutdown.clone(),
    );
    (ingest.await.expect("it starts"), shutdown)
}

pub(super) fn tls(client_ca: Option<&str>) -> ListenerConfig {
    let tls = TlsConfig {
        cert: file("server.pem"),
        key: file("server.key"),
        client_ca: client_ca.map(file),
        client_crl: None,
    };
    let source = client_ca.map(|_| "edge".to_owned());
    ListenerConfig { tls: Some(tls), source, ..ListenerConfig::auto(ANY_PORT) }
}

/// Sends `text` over TLS and gives the answer; an error when we are not let in.
async fn send(
    address: SocketAddr,
    certificate: Option<&str>,
    text: &str,
) -> std::io::Result<String> {
    send_after("", address, certificate, text).await
}

/// The same with a header before TLS begins.
pub(super) async fn send_after(
    header: &str,
    address: SocketAddr,
    certificate: Option<&str>,
    text: &str,
) -> std::io::Result<String> {
    let mut stream = connect(header, address, certificate, &[]).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    Ok(said)
}

/// A connection over TLS that agrees on one of `protocols`.
pub(super) async fn connect(
    header: &str,
    address: SocketAddr,
    certificate: Option<&str>,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.pem")).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = CertificateDer::from_pem_file(file(&format!("{name}.pem"))).expect("PEM");
            let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key"))).expect("PEM");
            builder.with_client_auth_cert(vec![chain], key).expect("a certificate")
        }
    };
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(header.as_bytes()).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn records_come_over_tls() {
    let node = node(|_| {}).await;
    let (ingest, shutdown) = start(&node, tls(None)).await;
    let lines = format!("{{\"auth\":\"{}\",\"ack\":true}}\n{{\"message\":\"a\"}}\n", node.token);
    let said = send(ingest.tcp_addresses()[0], None, &lines).await.expect("an answer");
    assert_eq!(said, "{\"ack\":1}\n");
    assert_eq!(node.journal().await, "shop shop a");
    ingest.reload_certificates().expect("the same files");
    shutdown.cancel();
    ingest.join().await;
}

#[tokio::test]
async fn a_client_certificate_stands_for_a_token() {
    let node = node(|_| {}).await;
    let (ingest, shutdown) = start(&node, tls(Some("ca.pem"))).await;
    let address = ingest.tcp_addresses()[0];
    let syslog = "<13>Jan  1 00:00:00 host p: a\n";
    assert!(send(address, None, syslog).await.is_err(), "nobody without a certificate");
    send(address, Some("client"), syslog).await.expect("let in");
    assert_eq!(node.journal().await, "syslog edge a");
    shutdown.cancel();
    ingest.join().await;
}

#[tokio::test]
async fn an_open_connection_does_not_hold_up_the_stop() {
    let node = node(|_| {}).await;
    let (ingest, shutdown) = start(&node, ListenerConfig::auto(ANY_PORT)).await;
    let mut idle = TcpStream::connect(ingest.tcp_addresses()[0]).await.expect("open");
    idle.write_all(b"{\"auth\":").await.expect("open");
    shutdown.cancel();
    ingest.join().await;
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let node = node(|_| {}).await;
    let (ingest, _shutdown) = start(&node, ListenerConfig::auto(ANY_PORT)).await;
    let taken = ListenerConfig::auto(ingest.tcp_addresses()[0]);
    let config = Config { listeners: vec![taken], ..Config::default() };
    let (_searchable, seen) = watch::channel(Position { lane: 0, seq: u64::MAX });
    let identity = Arc::clone(&node.identity);
    let again = Ingest::start(
        config,
        node.store.clone(),
        identity,
        Progress::of_all(seen),
        CancellationToken::new(),
    )
    .await;
    let error = again.err().expect("it is taken").to_string();
    assert!(error.contains("cannot be listened on"), "{error}");
}
