//! Beats: windows, compression, acknowledgements, and what is no frame.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use rustix::net::sockopt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::listening::ANY_PORT;
use super::tcp::open;
use super::{Node, lines, node};
use crate::config::{ListenerConfig, ListenerKind};

fn window(size: u32) -> Vec<u8> {
    [&b"2W"[..], &size.to_be_bytes()].concat()
}

fn event(sequence: u32, json: &str) -> Vec<u8> {
    let length = u32::try_from(json.len()).expect("short").to_be_bytes();
    [&b"2J"[..], &sequence.to_be_bytes(), &length, json.as_bytes()].concat()
}

fn compressed(frames: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let frames = encoder.write_all(frames).and_then(|()| encoder.finish()).expect("memory");
    let length = u32::try_from(frames.len()).expect("short").to_be_bytes();
    [&b"2C"[..], &length, &frames].concat()
}

impl Node {
    /// Sends a stream in pieces, ends it, and gives the answer.
    async fn beats(&self, stream: &[u8], size: usize) -> Vec<u8> {
        let (mut peer, served) =
            self.connect(ListenerConfig { kind: ListenerKind::Beats, ..open() });
        for piece in stream.chunks(size) {
            // A server that cannot read on has closed.
            let _ = peer.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let _ = peer.shutdown().await;
        let mut said = Vec::new();
        peer.read_to_end(&mut said).await.expect("an answer");
        served.await.expect("no panic");
        said
    }
}

async fn check(stream: &[Vec<u8>], answer: &[u8], journal: &str) {
    for size in [5, 1 << 20] {
        let node = node(|config| config.limits.record_bytes_max = 100).await;
        let said = node.beats(&stream.concat(), size).await;
        assert_eq!((said.as_slice(), node.journal().await), (answer, lines(journal)));
    }
}

#[tokio::test]
async fn a_window_is_answered_once_it_is_durable() {
    let both = [event(1, r#"{"message":"a"}"#), event(2, r#"{"message":"a"}"#)];
    check(&[window(2), both.concat()], b"2A\0\0\0\x02", "edge edge a\nedge edge a").await;
    check(&[window(2), compressed(&both.concat())], b"2A\0\0\0\x02", "edge edge a\nedge edge a")
        .await;
    check(&[window(3), both.concat()], b"", "edge edge a\nedge edge a").await;
    let next = event(1, r#"{"message":"{\"msg\":\"inner\"}"}"#);
    check(
        &[window(1), compressed(&event(7, r#"{"message":"a"}"#)), window(1), next],
        b"2A\0\0\0\x072A\0\0\0\x01",
        "edge edge a\nedge edge inner",
    )
    .await;
}

#[tokio::test]
async fn what_is_bad_is_kept_and_its_neighbours_are_taken() {
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(200));
    let frames =
        [event(1, "nonsense"), event(2, &long), event(3, r#"{"message":"a"}"#), b"3X".to_vec()];
    check(
        &[window(3), compressed(&frames.concat())],
        b"2A\0\0\0\x03",
        "logwarden.deadletter edge 1:invalid_json 8
         logwarden.deadletter edge 2:line_too_long 214
         edge edge a
         logwarden.deadletter edge 4:bad_framing 2",
    )
    .await;
    check(&[b"2C\0\0\0\x03abc".to_vec()], b"", "logwarden.deadletter edge 1:bad_encoding 3").await;
    check(&[b"2J\0\0\0\x01\0\0".to_vec()], b"", "logwarden.deadletter edge 1:truncated 8").await;
}

#[tokio::test]
async fn a_bomb_is_kept_as_it_came() {
    let bomb = compressed(&vec![b' '; 32 << 20]);
    let node = node(|_| {}).await;
    assert_eq!(node.beats(&bomb, 1 << 20).await, b"");
    let expected = format!("logwarden.deadletter edge 1:bad_encoding {}", bomb.len() - 6);
    assert_eq!(node.journal().await, expected);
}

#[tokio::test]
async fn the_first_bytes_tell_it_on_a_shared_port() {
    let node = node(|_| {}).await;
    let (mut peer, served) = node.connect(open());
    let stream = [window(1), event(1, r#"{"message":"a"}"#)].concat();
    peer.write_all(&stream).await.expect("open");
    let mut said = [0; 6];
    peer.read_exact(&mut said).await.expect("an answer");
    assert_eq!(&said, b"2A\0\0\0\x01");
    peer.shutdown().await.expect("open");
    served.await.expect("no panic");
    assert_eq!(node.journal().await, "edge edge a");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        head in proptest::sample::select(vec!["", "2W", "2J", "2C", "2J\0\0\0\u{1}\0\0\0"]),
        is_compressed in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let node = node(|_| {}).await;
            let frames = [head.as_bytes(), &bytes].concat();
            let stream = if is_compressed { compressed(&frames) } else { frames };
            node.beats(&stream, 17).await;
        });
    }
}

#[tokio::test]
async fn a_peer_that_vanishes_is_missed_before_it_comes_again() {
    let node = node(|_| {}).await;
    let listening = TcpListener::bind(ANY_PORT).await.expect("a port");
    let address = listening.local_addr().expect("bound");
    let mut peer = TcpStream::connect(address).await.expect("there");
    let (socket, _) = listening.accept().await.expect("a connection");
    let socket = socket.into_std().expect("a socket");
    let shown = socket.try_clone().expect("a descriptor");
    let socket = TcpStream::from_std(socket).expect("a socket");
    let served =
        node.serve(Box::new(socket), ListenerConfig { kind: ListenerKind::Beats, ..open() });
    let stream = [window(1), event(1, "{}")].concat();
    peer.write_all(&stream).await.expect("open");
    let mut answer = [0; 6];
    peer.read_exact(&mut answer).await.expect("an answer");
    assert!(sockopt::socket_keepalive(&shown).expect("a socket"));
    // Elastic's Beats come again after 30 s.
    assert_eq!(sockopt::tcp_user_timeout(&shown), Ok(20_000));
    let probed = [sockopt::tcp_keepidle(&shown), sockopt::tcp_keepintvl(&shown)];
    assert_eq!(probed, [Ok(Duration::from_secs(5)); 2]);
    drop(peer);
    served.await.expect("no panic");
}
