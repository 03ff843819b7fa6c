//! RELP: sessions, answers, and what is no frame.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::tcp::open;
use super::{Node, lines, node};
use crate::config::{ListenerConfig, ListenerKind};

const OPEN: &str = "1 open 52 relp_version=0\nrelp_software=librelp\ncommands=syslog\n";
const OPENED: &str = "1 rsp 61 200 OK\nrelp_version=0\nrelp_software=logwarden\ncommands=syslog\n";

impl Node {
    /// Sends a stream in pieces, ends it, and gives the answer.
    async fn relp(&self, listener: ListenerConfig, stream: &[u8], size: usize) -> String {
        let (mut peer, served) = self.connect(listener);
        for piece in stream.chunks(size) {
            // A server that cannot read on has closed.
            let _ = peer.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let _ = peer.shutdown().await;
        let mut said = String::new();
        peer.read_to_string(&mut said).await.expect("an answer");
        served.await.expect("no panic");
        said
    }
}

async fn check(stream: &str, answer: &str, journal: &str) {
    for size in [5, 1 << 20] {
        let node = node(|config| config.limits.record_bytes_max = 100).await;
        let said = node.relp(open(), stream.as_bytes(), size).await;
        assert_eq!((said.as_str(), node.journal().await), (answer, lines(journal)), "{size}");
    }
}

#[tokio::test]
async fn every_transaction_is_answered() {
    check(
        &format!("{OPEN}2 syslog 10 <13>p: a\nb\n3 syslog 9 <13>p: c\n\n4 close 0\n"),
        &format!("{OPENED}2 rsp 6 200 OK\n3 rsp 6 200 OK\n4 rsp 0\n0 serverclose 0\n"),
        "syslog edge a\nb\nsyslog edge c",
    )
    .await;
    check(&format!("{OPEN}2 start 0\n"), &format!("{OPENED}2 rsp 21 500 command not known\n"), "")
        .await;
}

#[tokio::test]
async fn what_is_bad_is_kept_and_its_neighbours_are_taken() {
    let long = "x".repeat(200);
    check(
        &format!("{OPEN}2 syslog 200 {long}\n3 syslog 8 <13>p: a\n4 syslog 1 xy"),
        &format!("{OPENED}2 rsp 6 200 OK\n3 rsp 6 200 OK\n"),
        "logwarden.deadletter edge 1:line_too_long 200
         syslog edge a
         logwarden.deadletter edge 3:bad_framing 13",
    )
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        head in proptest::sample::select(vec!["", "1 ", "1 open ", "1 syslog 9", "1 syslog 9 "]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let node = node(|_| {}).await;
            let listener = ListenerConfig { kind: ListenerKind::Relp, ..open() };
            node.relp(listener, &[head.as_bytes(), &bytes].concat(), 7).await;
        });
    }
}
