//! Pieces of one record become one event, at the doors where they come.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::tcp::open;
use super::{lines, node};
use crate::config::{ListenerConfig, ListenerKind};

const NAMES: &str = "message lw.joined lw.partial";
const CRI: &str = "2026-01-02T03:04:05.1Z stdout P one 
2026-01-02T03:04:05.2Z stderr F Error: no card
2026-01-02T03:04:05.3Z stderr F     at pay (/app/pay.js:1:2)
2026-01-02T03:04:05.4Z stdout F two
";

#[tokio::test]
async fn container_lines_over_tcp_are_whole_again_and_acknowledged_as_lines() {
    let node = node(|_| {}).await;
    let auth = format!("{{\"auth\":\"{}\",\"ack\":true}}\n", node.token);
    let lines_of_docker = r#"{"log":"one ","stream":"stdout","time":"2026-01-02T03:04:05.1Z"}
{"log":"two\n","stream":"stdout","time":"2026-01-02T03:04:05.2Z"}
"#;
    let said = node.talk(Default::default(), &[auth.as_bytes(), lines_of_docker.as_bytes()]).await;
    assert!(said.ends_with("{\"ack\":2}\n"), "{said}");
    assert_eq!(node.shown(NAMES).await, "one two | 2 | -");
    assert_eq!(node.events().await[0].raw(), lines_of_docker.trim_end().as_bytes());
}

#[tokio::test]
async fn a_trace_in_syslog_is_one_event_of_its_program() {
    let node = node(|_| {}).await;
    let trace = "<11>Oct 11 22:14:15 web1 shop[7]: Error: no card
<11>Oct 11 22:14:15 web1 shop[7]: #011at pay (/app/pay.js:1:2)
";
    let stream = format!("<11>Oct 11 22:14:14 web1 other[8]: Error: another\n{trace}");
    node.talk(open(), &[stream.as_bytes()]).await;
    assert_eq!(
        node.shown("process.name message lw.joined").await.replace('\n', "/"),
        "other | Error: another | -/shop | Error: no card/\tat pay (/app/pay.js:1:2) | 2"
    );
    assert_eq!(node.events().await[1].raw(), trace.trim_end().as_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_trace_in_relp_is_one_event_however_it_comes() {
    let node = node(|_| {}).await;
    let (mut peer, served) = node.connect(open());
    let frame = |number: u8, text: &str| {
        let text = format!("<11>Oct 11 22:14:15 web1 shop[7]: {text}");
        format!("{number} syslog {} {text}\n", text.len())
    };
    let offers = "relp_version=0";
    let opening = format!("1 open {} {offers}\n", offers.len());
    let frames = [
        opening + &frame(2, "Error: no card"),
        frame(3, "\tat pay (/app/pay.js:1:2)"),
        frame(4, "going on"),
    ];
    for frame in frames {
        peer.write_all(frame.as_bytes()).await.expect("open");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut said = Vec::new();
    while !said.ends_with(b"\n4 rsp 6 200 OK\n") {
        peer.read_buf(&mut said).await.expect("open");
    }
    let shown = node.shown("message lw.joined").await.replace('\n', "/");
    assert_eq!(shown, "Error: no card/\tat pay (/app/pay.js:1:2) | 2/going on | -");
    // Who sends one by one is not made to wait each time.
    let began = tokio::time::Instant::now();
    for number in 5..25 {
        peer.write_all(frame(number, "Error: alone").as_bytes()).await.expect("open");
        let answer = format!("\n{number} rsp 6 200 OK\n");
        while !said.ends_with(answer.as_bytes()) {
            peer.read_buf(&mut said).await.expect("open");
        }
    }
    assert!(began.elapsed() < 5 * crate::join::WAIT, "{:?}", began.elapsed());
    drop(peer);
    served.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn what_may_go_on_does_not_wait_for_ever_while_others_come() {
    let node = node(|_| {}).await;
    let (mut peer, served) = node.connect(open());
    let first = "<11>Oct 11 22:14:15 web1 shop[7]: Error: no card\n";
    peer.write_all(first.as_bytes()).await.expect("open");
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let other = "<14>Oct 11 22:14:15 web1 other[8]: a line\n";
        peer.write_all(other.as_bytes()).await.expect("open");
    }
    assert!(node.shown("message").await.contains("Error: no card"));
    drop(peer);
    served.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn what_may_go_on_is_waited_for_and_no_longer_than_said() {
    let node = node(|_| {}).await;
    let (mut peer, served) = node.connect(open_for_lines());
    peer.write_all(b"{\"log\":\"a\",\"stream\":\"stdout\",\"time\":\"t\"}\n").await.expect("open");
    let began = tokio::time::Instant::now();
    while node.events().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(began.elapsed().as_secs() < 60, "it never came");
    }
    assert!(began.elapsed() >= crate::join::WAIT, "it was not waited for");
    assert_eq!(node.shown(NAMES).await, "a | - | true");
    drop(peer);
    served.await.expect("no panic");
}

fn open_for_lines() -> ListenerConfig {
    ListenerConfig { kind: ListenerKind::Json, ..open() }
}

#[tokio::test]
async fn pieces_in_one_request_are_joined() {
    let node = node(|_| {}).await;
    let request = "POST /api/v1/ingest\nauthorization: Bearer TOKEN";
    let piece = |id: u8, text: &str, is_last: bool| {
        format!(
            r#"{{"container_id":"c{id}","log":"{text}","partial_message":"true","partial_id":"p{id}","partial_ordinal":"1","partial_last":"{is_last}"}}"#
        )
    };
    let body = [
        piece(1, "a", false),
        piece(2, "x", false),
        r#"{"message":"alone"}"#.to_owned(),
        piece(1, "b", true),
    ];
    let answer = node.ship(request, body.join("\n")).await;
    assert_eq!(answer.json()["accepted"], 3);
    assert_eq!(node.shown(NAMES).await, lines("alone | - | -\nab | 2 | -\nx | - | true"));
}

#[tokio::test]
async fn pieces_of_dockers_driver_come_as_messages() {
    let node = node(|_| {}).await;
    let piece = |text: &str, is_last: &str| {
        let mut message = b"\x93\xA1t\xCE\x65\x53\xF1\x00\x85".to_vec();
        for (key, value) in [
            ("container_id", "c1"),
            ("log", text),
            ("partial_message", "true"),
            ("partial_id", "p1"),
            ("partial_last", is_last),
        ] {
            message.push(0xA0 | key.len() as u8);
            message.extend_from_slice(key.as_bytes());
            message.push(0xA0 | value.len() as u8);
            message.extend_from_slice(value.as_bytes());
        }
        message
    };
    let other = b"\x93\xA1t\xCE\x65\x53\xF1\x00\x81\xA3log\xA1z";
    let pieces = [piece("a", "false"), piece("b", "false"), piece("c", "true"), other.to_vec()];
    node.talk(open(), &pieces.each_ref().map(Vec::as_slice)).await;
    assert_eq!(node.shown(NAMES).await, lines("abc | 3 | -\nz | - | -"));
    node.talk(open(), &[&piece("d", "false"), other]).await;
    let shown = node.shown(NAMES).await;
    assert!(
        shown.ends_with("z | - | -\nd | - | true") || shown.ends_with("d | - | true\nz | - | -"),
        "{shown}"
    );
}

#[tokio::test]
async fn lines_of_a_runtime_are_joined_by_output() {
    let node = node(|_| {}).await;
    let lines_of_text = ListenerConfig { kind: ListenerKind::Syslog, ..open() };
    node.talk(lines_of_text, &[CRI.as_bytes()]).await;
    let shown = node.shown("stream message lw.joined").await.replace('\n', "⏎");
    let trace = "stderr | Error: no card⏎    at pay (/app/pay.js:1:2) | 2";
    assert_eq!(shown, format!("stdout | one two | 2⏎{trace}"));
}

#[tokio::test]
async fn a_key_sent_line_by_line_is_masked_whole() {
    for end in ["-----END PRIVATE KEY-----", "cut off"] {
        let node = super::again::masking().await;
        let said =
            ["-----BEGIN PRIVATE KEY-----", "MIIEowIBAAKCAQEAx", "Zm9vYmFyZm9vYmFyZm9v", end];
        let body = said.map(|said| format!("{{\"level\":\"info\",\"msg\":\"{said}\"}}\n")).concat();
        node.ship("POST /api/v1/ingest\nauthorization: Bearer TOKEN", body).await;
        for event in node.events().await {
            let mut encoded = Vec::new();
            event.encode(&mut encoded);
            for line in &said[1..3] {
                let found = memchr::memmem::find(&encoded, line.as_bytes());
                assert!(found.is_none(), "{line} with {end}");
            }
        }
        let shown = node.shown("lw.secrets lw.joined").await;
        assert!(shown.starts_with("private_key:msg | "), "{shown}");
    }
}
