//! What was stored and not heard of comes again over another connection, as shippers send it when one
//! breaks between our disk and their ear.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;

use super::tcp::open;
use super::{Node, lines, node};

/// One way to send records and to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Windows of Filebeat, which keeps its connection.
    Filebeat,
    /// Windows of a client that goes when it was answered.
    Beats,
    Relp,
    /// Our own lines, with answers.
    Lines,
}

const WAYS: [Way; 4] = [Way::Filebeat, Way::Beats, Way::Relp, Way::Lines];
const OFFERS: &str = "relp_version=0\ncommands=syslog";

impl Way {
    /// Everything that a connection begins with, these records, and the end of the last answer.
    fn stream(self, token: &str, records: &[&str]) -> (Vec<u8>, Vec<u8>) {
        let count = u32::try_from(records.len()).expect("few");
        match self {
            Self::Filebeat | Self::Beats => {
                let mut bytes = [&b"2W"[..], &count.to_be_bytes()].concat();
                for (sequence, record) in (1u32..).zip(records) {
                    let event = self.event(record);
                    let length = u32::try_from(event.len()).expect("short").to_be_bytes();
                    bytes.extend([&b"2J"[..], &sequence.to_be_bytes(), &length].concat());
                    bytes.extend_from_slice(event.as_bytes());
                }
                (bytes, [&b"2A"[..], &count.to_be_bytes()].concat())
            }
            Self::Relp => {
                let mut bytes = format!("1 open {} {OFFERS}\n", OFFERS.len());
                for (number, record) in (2..).zip(records) {
                    let text = format!("<14>2026-11-22T04:22:59Z web1 shop: {record}");
                    bytes.push_str(&format!("{number} syslog {} {text}\n", text.len()));
                }
                (bytes.into_bytes(), format!("{} rsp 6 200 OK\n", count + 1).into_bytes())
            }
            Self::Lines => {
                let mut bytes = format!("{{\"auth\":\"{token}\",\"ack\":true}}\n");
                for record in records {
                    bytes.push_str(&format!("{{\"message\":\"{record}\"}}\n"));
                }
                (bytes.into_bytes(), format!("{{\"ack\":{count}}}\n").into_bytes())
            }
        }
    }

    fn event(self, record: &str) -> String {
        let beat = if self == Self::Filebeat { r#","@metadata":{"beat":"filebeat"}"# } else { "" };
        format!(r#"{{"@timestamp":"2026-11-22T04:22:59.961Z"{beat},"message":"{record}"}}"#)
    }
}

/// A connection and what it was told so far.
struct Peer {
    stream: DuplexStream,
    served: JoinHandle<()>,
}

impl Peer {
    /// Sends records, and waits for their answer.
    async fn send(node: &Node, way: Way, records: &[&str]) -> Self {
        let (mut peer, answer) = Self::begin(node, way, records).await;
        let mut said = Vec::new();
        while !said.ends_with(&answer) {
            let length = peer.stream.read_buf(&mut said).await.expect("open");
            assert!(length > 0, "{way:?} closed after {}", String::from_utf8_lossy(&said));
        }
        peer
    }

    /// Sends records; gives what would be their answer.
    async fn begin(node: &Node, way: Way, records: &[&str]) -> (Self, Vec<u8>) {
        let (mut stream, served) = node.connect(open());
        let (bytes, answer) = way.stream(&node.token, records);
        stream.write_all(&bytes).await.expect("open");
        (Self { stream, served }, answer)
    }

    /// Ends its side; what it does not hear is lost.
    async fn go(self) {
        drop(self.stream);
        self.served.await.expect("no panic");
    }
}

async fn messages(node: &Node) -> String {
    let shown = node.shown("message").await;
    let mut found: Vec<_> = shown.lines().collect();
    found.sort_unstable();
    found.join(" ")
}

#[tokio::test]
async fn what_a_broken_connection_left_in_doubt_is_stored_once() {
    for way in WAYS {
        let node = node(|_| {}).await;
        // The peer goes before it hears, and comes again at once, with more.
        let (first, _) = Peer::begin(&node, way, &["a", "b", "b"]).await;
        drop(first.stream);
        Peer::send(&node, way, &["a", "b", "b", "c"]).await.go().await;
        assert_eq!(messages(&node).await, "a b b c", "{way:?}");
        first.served.await.expect("no panic");
        // What comes again was in doubt as often as it had been sent.
        Peer::send(&node, way, &["d"]).await.go().await;
        assert_eq!(messages(&node).await, "a b b c d", "{way:?}");
    }
}

#[tokio::test]
async fn what_is_sent_twice_on_purpose_is_stored_twice() {
    for way in WAYS {
        let node = node(|_| {}).await;
        let mut peer = Peer::send(&node, way, &["a", "a"]).await;
        assert_eq!(messages(&node).await, "a a", "{way:?}");
        // Another connection that lives is another sender.
        let other = Peer::send(&node, way, &["a"]).await;
        assert_eq!(messages(&node).await, "a a a", "{way:?}");
        if way == Way::Relp {
            peer.stream.write_all(b"9 close 0\n").await.expect("open");
        }
        peer.go().await;
        other.go().await;
    }
}

#[tokio::test]
async fn who_was_answered_and_takes_its_leave_starts_anew() {
    for (way, is_new) in
        [(Way::Filebeat, false), (Way::Beats, true), (Way::Relp, false), (Way::Lines, true)]
    {
        let node = node(|_| {}).await;
        Peer::send(&node, way, &["a"]).await.go().await;
        Peer::send(&node, way, &["a"]).await.go().await;
        assert_eq!(messages(&node).await == "a a", is_new, "{way:?}");
    }
    let node = node(|_| {}).await;
    for _ in 0..2 {
        let mut peer = Peer::send(&node, Way::Relp, &["a"]).await;
        peer.stream.write_all(b"9 close 0\n").await.expect("open");
        let mut rest = Vec::new();
        peer.stream.read_to_end(&mut rest).await.expect("an end");
        peer.go().await;
    }
    assert_eq!(messages(&node).await, "a a");
}

#[tokio::test]
async fn another_source_or_peer_is_nobody_who_comes_again() {
    let node = node(|_| {}).await;
    Peer::send(&node, Way::Relp, &["a"]).await.go().await;
    let elsewhere = crate::config::ListenerConfig { source: Some("other".into()), ..open() };
    let (bytes, _) = Way::Relp.stream("", &["a"]);
    node.talk(elsewhere, &[&bytes]).await;
    assert_eq!(node.shown("message").await, lines("a\na"));
}

#[tokio::test]
async fn after_a_restart_the_newest_records_are_in_doubt() {
    for way in WAYS {
        let node = node(|_| {}).await;
        let peer = Peer::send(&node, way, &["a", "b", "Error: c", "    at d"]).await;
        let after = node.restarted().await;
        Peer::send(&after, way, &["b", "Error: c", "    at d", "e"]).await.go().await;
        let shown = after.shown("message").await.replace('\n', "⏎");
        assert_eq!(shown, "a⏎b⏎Error: c⏎    at d⏎e", "{way:?}");
        peer.go().await;
    }
}

#[tokio::test]
async fn what_is_masked_is_known_after_a_restart_too() {
    for way in WAYS {
        let node = masking().await;
        let records = ["a password=hunter2", "b", "c password=hunter2", "c password=hunter3"];
        let peer = Peer::send(&node, way, &records).await;
        let after = node.restarted().await;
        Peer::send(&after, way, &[&records[..], &["d password=hunter2"]].concat()).await.go().await;
        let shown = messages(&after).await;
        let shown: Vec<_> = shown.split(' ').filter(|word| !word.starts_with("pass")).collect();
        assert_eq!(shown, ["a", "b", "c", "c", "d"], "{way:?}");
        peer.go().await;
    }
}

#[tokio::test]
async fn what_differs_in_a_masked_secret_alone_is_another_record() {
    for way in WAYS {
        let node = masking().await;
        drop(Peer::send(&node, way, &["a password=hunter2"]).await.stream);
        Peer::send(&node, way, &["a password=hunter3"]).await.go().await;
        assert_eq!(node.events().await.len(), 2, "{way:?}");
    }
}

/// A node where nobody's secrets are kept.
pub(super) async fn masking() -> Node {
    node(|config| {
        let masks = |name| serde_json::from_value(json!({"name": name, "mask_secrets": true}));
        config.sources = ["edge", "shop"].map(|name| masks(name).expect("a source")).to_vec();
    })
    .await
}

#[tokio::test]
async fn doubt_ends_after_an_hour() {
    let node = node(|_| {}).await;
    Peer::send(&node, Way::Relp, &["a"]).await.go().await;
    node.simulation.advance(std::time::Duration::from_secs(3_599));
    Peer::send(&node, Way::Relp, &["a"]).await.go().await;
    assert_eq!(messages(&node).await, "a");
    node.simulation.advance(std::time::Duration::from_secs(3_601));
    Peer::send(&node, Way::Relp, &["a"]).await.go().await;
    assert_eq!(messages(&node).await, "a a");
}

#[tokio::test]
async fn members_in_another_order_are_the_same_event() {
    let node = node(|_| {}).await;
    Peer::send(&node, Way::Filebeat, &["a"]).await.go().await;
    let event = r#"{"message":"a","@metadata":{"beat":"filebeat"},"@timestamp":"2026-11-22T04:22:59.961Z"}"#;
    let length = u32::try_from(event.len()).expect("short").to_be_bytes();
    let bytes = [&b"2W\0\0\0\x012J\0\0\0\x01"[..], &length, event.as_bytes()].concat();
    let (mut peer, served) = node.connect(open());
    peer.write_all(&bytes).await.expect("open");
    let mut said = [0; 6];
    peer.read_exact(&mut said).await.expect("an answer");
    assert_eq!((&said, messages(&node).await.as_str()), (b"2A\0\0\0\x01", "a"));
    drop(peer);
    served.await.expect("no panic");
}

#[tokio::test]
async fn a_record_that_needs_many_reads_is_stored() {
    let long = "x".repeat(300 << 10);
    for way in WAYS {
        let node = node(|_| {}).await;
        Peer::send(&node, way, &[&long, "a"]).await.go().await;
        assert_eq!(messages(&node).await.len(), long.len() + 2, "{way:?}");
    }
}
