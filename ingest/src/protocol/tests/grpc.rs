//! OpenTelemetry logs over gRPC: calls as exporters make them, over a pipe and over TLS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Request};
use logwarden_store::identity::Role;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::counting::Counters;
use super::listening::{connect, start, tls};
use super::otlp::{export, noise, record, text};
use super::shipping::{gzip, node_over_quota};
use super::tcp::open;
use super::{Node, lines, node, token};
use crate::config::{ListenerConfig, ListenerKind};

pub(super) const PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// An answer: the messages, and status, words and details as they stand in its last headers.
struct Answer {
    body: Vec<u8>,
    headers: HeaderMap,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    fn status(&self) -> &str {
        self.header("grpc-status")
    }
}

/// A message with what stands before it.
pub(super) fn framed(message: &[u8], is_compressed: bool) -> Bytes {
    let length = u32::try_from(message.len()).expect("32 bits").to_be_bytes();
    Bytes::from([&[u8::from(is_compressed)], &length[..], message].concat())
}

/// Makes one call on a connection of its own; `headers` stand one in a line.
async fn call(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
    headers: &str,
    pieces: &[Bytes],
) -> Answer {
    let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let driven = tokio::spawn(connection);
    let mut request = Request::post(format!("http://localhost{path}")).header("te", "trailers");
    for line in headers.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").expect("a header");
        request = request.header(name, value);
    }
    let mut sender = sender.ready().await.expect("open");
    let request = request.body(()).expect("a request");
    let (response, mut sending) = sender.send_request(request, false).expect("open");
    for piece in pieces {
        // A server that has refused us need not read on.
        if sending.send_data(piece.clone(), false).is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let _ = sending.send_data(Bytes::new(), true);
    let response = response.await.expect("an answer");
    let (parts, mut stream) = response.into_parts();
    let (mut body, mut headers) = (Vec::new(), parts.headers);
    while let Some(chunk) = stream.data().await {
        let chunk = chunk.expect("whole");
        stream.flow_control().release_capacity(chunk.len()).expect("open");
        body.extend_from_slice(&chunk);
    }
    headers.extend(stream.trailers().await.expect("whole").unwrap_or_default());
    drop((sender, sending, stream));
    driven.await.expect("no panic").expect("an orderly end");
    Answer { body, headers }
}

impl Node {
    /// Calls with the token of the node in place of `TOKEN`.
    async fn call(&self, listener: ListenerConfig, headers: &str, pieces: &[Bytes]) -> Answer {
        let (peer, served) = self.connect(listener);
        let headers = headers.replace("TOKEN", &self.token);
        let answer = call(peer, PATH, &headers, pieces).await;
        served.await.expect("no panic");
        answer
    }
}

pub(super) fn otlp() -> ListenerConfig {
    ListenerConfig { kind: ListenerKind::Otlp, ..ListenerConfig::default() }
}

const PLAIN: &str = "content-type: application/grpc\nauthorization: Bearer TOKEN";

#[tokio::test]
async fn records_come_plain_and_compressed() {
    let node = node(|_| {}).await;
    let message = export(vec![record(text("a")), record(text("b"))]);
    let zstd = zstd::encode_all(&message[..], 0).expect("memory");
    for (encoding, body) in [
        ("", framed(&message, false)),
        ("\ngrpc-encoding: gzip", framed(&gzip(&message), true)),
        ("\ngrpc-encoding: gzip", framed(&message, false)),
        ("\ngrpc-encoding: zstd", framed(&zstd, true)),
    ] {
        for listener in [otlp(), ListenerConfig::default()] {
            let headers = format!("{PLAIN}{encoding}");
            let answer = node.call(listener, &headers, std::slice::from_ref(&body)).await;
            assert_eq!((answer.status(), &answer.body[..]), ("0", &[0; 5][..]), "{encoding}");
            assert_eq!(answer.header("content-type"), "application/grpc");
            assert_eq!(answer.header("grpc-accept-encoding"), "identity,gzip,deflate,zstd");
        }
    }
    let once = "a | shop | web1 | error\nb | shop | web1 | error\n";
    let shown = node.shown("message service.name host.name severity").await;
    assert_eq!(shown, once.repeat(8).trim_end());
}

#[tokio::test]
async fn a_message_in_pieces_and_in_several_calls_is_taken_once() {
    let node = node(|_| {}).await;
    let message = framed(&export(vec![record(text(&noise(300_000))), record(text("b"))]), false);
    let pieces: Vec<_> = message.chunks(7_001).map(Bytes::copy_from_slice).collect();
    assert_eq!(node.call(otlp(), PLAIN, &pieces).await.status(), "0");
    let slowly: Vec<_> = message[..20].chunks(1).map(Bytes::copy_from_slice).collect();
    let rest = message.slice(20..);
    assert_eq!(node.call(otlp(), PLAIN, &[slowly, vec![rest]].concat()).await.status(), "0");
    assert_eq!(node.events().await.len(), 4);
}

#[tokio::test]
async fn who_sends_must_be_known() {
    let node = node(|_| {}).await;
    let message = framed(&export(vec![record(text("a"))]), false);
    let message = std::slice::from_ref(&message);
    let denials = node.denials();
    let bare = "content-type: application/grpc+proto";
    let wrong = format!("{bare}\nauthorization: Bearer lw_nonsense");
    for headers in [bare, &wrong] {
        let answer = node.call(otlp(), headers, message).await;
        assert_eq!(answer.status(), "16");
        assert_eq!(answer.header("grpc-message"), "a token that may write is needed");
    }
    let reader = token(&node.identity, "reader", Role::Reader, None).await;
    let denied = format!("{bare}\nauthorization: Bearer {reader}");
    assert_eq!(node.call(otlp(), &denied, message).await.status(), "7");
    assert_eq!(denials.told(), ["otlp -", "otlp -", "otlp reader"]);
    let admitted = ListenerConfig { kind: ListenerKind::Otlp, ..open() };
    assert_eq!(node.call(admitted.clone(), &wrong, message).await.status(), "16");
    assert_eq!(node.journal().await, "");
    assert_eq!(node.call(admitted, bare, message).await.status(), "0");
    assert_eq!(node.journal().await, "edge edge a");
}

#[tokio::test]
async fn overload_is_unavailable_and_says_when_to_come_again() {
    let node = node_over_quota().await;
    let message = framed(&export(vec![record(text("a"))]), false);
    let answer = node.call(otlp(), PLAIN, &[message]).await;
    assert_eq!(answer.status(), "14");
    let details = STANDARD_NO_PAD.decode(answer.header("grpc-status-details-bin")).expect("Base64");
    let details = String::from_utf8_lossy(&details).into_owned();
    assert!(details.contains("type.googleapis.com/google.rpc.RetryInfo"), "{details}");
    // `RetryInfo` with a `Duration` of so many seconds.
    assert!(details.ends_with("\u{12}\u{4}\u{a}\u{2}\u{8}\u{4}"), "{details:?}");
}

#[tokio::test]
async fn records_that_can_never_be_stored_are_counted() {
    let node = node(|_| {}).await;
    let long = record(text(&noise(2 << 20)));
    let message = framed(&gzip(&export(vec![record(text("a")), long])), true);
    let headers = format!("{PLAIN}\ngrpc-encoding: gzip");
    let answer = node.call(otlp(), &headers, &[message]).await;
    assert_eq!(answer.status(), "0");
    assert_eq!(answer.body[5..9], [0x0A, answer.body.len() as u8 - 7, 0x08, 1]);
    let expected = "shop | -\nlogwarden.deadletter | line_too_long";
    assert_eq!(node.shown("dataset lw.code").await, expected);
}

#[tokio::test]
async fn what_is_no_good_call_is_refused_for_good() {
    let node = node(|config| config.limits.body_bytes_max = 3 << 20).await;
    let good = framed(&export(vec![record(text("a"))]), false);
    let too_long = Bytes::from_static(&[0, 0xFF, 0xFF, 0xFF, 0xFF]);
    let bomb = framed(&gzip(&vec![0; 32 << 20]), true);
    let two = Bytes::from([&good[..], &good[..]].concat());
    let gzip_of = "\ngrpc-encoding: gzip";
    for (headers, body, status) in [
        ("", framed(b"nonsense", false), "3"),
        ("", too_long, "3"),
        ("", two, "3"),
        ("", good.slice(..good.len() - 1), "3"),
        ("", Bytes::from_static(&[0, 0]), "3"),
        ("", framed(b"x", true), "13"),
        (gzip_of, framed(b"x", true), "3"),
        (gzip_of, bomb, "3"),
        ("\ngrpc-encoding: snappy", good.clone(), "12"),
        ("\nidempotency-key: é", good.clone(), "3"),
    ] {
        let answer = node.call(otlp(), &format!("{PLAIN}{headers}"), &[body]).await;
        assert_eq!(answer.status(), status, "{headers} {}", answer.header("grpc-message"));
        assert_eq!(answer.header("grpc-status-details-bin"), "");
    }
    let kept = node.shown("dataset lw.code").await.replace("logwarden.deadletter | ", "");
    assert_eq!(kept, "invalid_protobuf\ntoo_large\ntoo_large");
    let (peer, _served) = node.connect(otlp());
    let headers = PLAIN.replace("TOKEN", &node.token);
    let traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let answer = call(peer, traces, &headers, std::slice::from_ref(&good)).await;
    assert_eq!((answer.status(), answer.body.len()), ("12", 0));
    let answer = node.call(otlp(), "content-type: application/json", &[good]).await;
    assert_eq!((answer.status(), answer.headers.get("content-type")), ("", None));
}

#[tokio::test]
async fn calls_that_are_refused_are_counted() {
    let good = framed(&export(vec![record(text("a"))]), false);
    let bare = "content-type: application/grpc";
    for (headers, body, counted) in [
        (bare, good.clone(), "unauthorized 1"),
        (&format!("{bare}\nauthorization: Bearer lw_nonsense"), good.clone(), "unauthorized 1"),
        (&format!("{PLAIN}\nidempotency-key: é"), good.clone(), "bad_idempotency_key 1"),
        (&format!("{PLAIN}\ngrpc-encoding: snappy"), good.clone(), "unsupported_encoding 1"),
        (PLAIN, framed(b"x", true), "bad_encoding 1"),
        (PLAIN, good.slice(..good.len() - 1), "incomplete_body 1"),
        (PLAIN, Bytes::from([&good[..], &good[..]].concat()), "incomplete_body 1"),
    ] {
        let counters = Counters::default();
        let _counting = counters.start();
        let node = node(|_| {}).await;
        node.call(otlp(), headers, &[body]).await;
        assert_eq!(counters.of("batches_refused"), counted, "{headers}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_let_go() {
    let node = node(|_| {}).await;
    let (mut silent, served) = node.connect(otlp());
    silent.write_all(b"PRI * HTTP/2.0\r\n").await.expect("open");
    served.await.expect("no panic");
    let (idle, served) = node.connect(otlp());
    let (_sender, connection) = h2::client::handshake(idle).await.expect("HTTP/2");
    let driven = tokio::spawn(connection);
    served.await.expect("no panic");
    driven.await.expect("no panic").expect("an orderly end");
}

#[tokio::test]
async fn it_is_spoken_over_tls_with_and_without_a_client_certificate() {
    let node = node(|_| {}).await;
    let message = framed(&export(vec![record(text("a"))]), false);
    let message = std::slice::from_ref(&message);
    let otlp = |listener| ListenerConfig { kind: ListenerKind::Otlp, ..listener };
    let (ingest, shutdown) = start(&node, otlp(tls(None))).await;
    let stream = connect("", ingest.tcp_addresses()[0], None, &[b"h2"]).await.expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let headers = PLAIN.replace("TOKEN", &node.token);
    assert_eq!(call(stream, PATH, &headers, message).await.status(), "0");
    shutdown.cancel();
    ingest.join().await;

    let (ingest, shutdown) = start(&node, otlp(tls(Some("ca.pem")))).await;
    let address = ingest.tcp_addresses()[0];
    let stream = connect("", address, Some("client"), &[b"h2"]).await.expect("let in");
    assert_eq!(call(stream, PATH, "content-type: application/grpc", message).await.status(), "0");
    shutdown.cancel();
    ingest.join().await;
    assert_eq!(node.journal().await, lines("shop shop a\nedge edge a"));
}
