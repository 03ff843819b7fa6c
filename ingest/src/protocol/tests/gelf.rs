//! GELF over HTTP and TCP, in the words of the clients that were recorded.

use std::io::Write as _;

use super::shipping::gzip;
use super::tcp::open;
use super::{lines, node};
use crate::config::{ListenerConfig, ListenerKind};

const GELF: &str = "POST /gelf\nauthorization: Bearer TOKEN";

#[tokio::test]
async fn graypy_compresses_without_saying_so() {
    let node = node(|_| {}).await;
    // graypy: version 1.0, an object as additional field.
    let graypy = r#"{"version":"1.0","short_message":"paid","full_message":"paid\nin full","timestamp":1735787045.25,"level":4,"host":"web1","facility":"shop","_service":{"name":"shop","version":"1.2"},"_user_name":"ann","_stack_info":null,"_order":{"id":5}}"#;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
    zlib.write_all(graypy.as_bytes()).expect("memory");
    let zlib = zlib.finish().expect("memory");
    for body in [zlib, gzip(graypy.as_bytes()), graypy.as_bytes().to_vec()] {
        let answer = node.ship(GELF, body).await;
        assert_eq!((answer.status, answer.text()), (202, ""));
    }
    let wrong = format!("{GELF}\ncontent-encoding: gzip,deflate");
    assert_eq!(node.ship(&wrong, gzip(graypy.as_bytes())).await.status, 202);
    let once = "2025-01-02T03:04:05.250Z | paid | warning | web1 | shop | ann | 4 | 5";
    let names = "timestamp message severity host.name service.name user.name log.level _order.id";
    assert_eq!(node.shown(names).await, lines(&format!("{once}\n{once}\n{once}\n{once}")));
    assert_eq!(node.events().await[0].raw(), graypy.as_bytes());
}

#[tokio::test]
async fn a_bomb_without_a_name_stops_at_the_bound() {
    let node = node(|_| {}).await;
    let answer = node.ship(GELF, gzip(&vec![b' '; 64 << 20])).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (413, &"too_compressed".into()));
}

#[tokio::test]
async fn what_is_no_object_is_a_dead_letter() {
    let node = node(|_| {}).await;
    assert_eq!(node.ship(GELF, "nonsense").await.status, 400);
    assert_eq!(node.ship(GELF, "{\"short_message\":\"a\"}\nnonsense").await.status, 202);
    let expected = "nonsense | invalid_json\na | -\nnonsense | invalid_json";
    assert_eq!(node.shown("message lw.code").await, expected);
}

#[tokio::test]
async fn a_sender_that_does_not_wait_for_the_answer_has_sent_nevertheless() {
    let node = node(|_| {}).await;
    let mut request = Box::pin(node.ship(GELF, "{\"short_message\":\"a\"}"));
    assert!(
        futures_util::poll!(request.as_mut()).is_pending(),
        "it is stored in a task of its own"
    );
    drop(request);
    let stored = async {
        while node.store.journal.end(0).seq < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), stored).await.expect("stored");
    assert_eq!(node.shown("message").await, "a");
}

#[tokio::test]
async fn over_tcp_objects_end_in_nul() {
    let gelf = ListenerConfig { kind: ListenerKind::Gelf, ..open() };
    for listener in [open(), gelf] {
        let node = node(|_| {}).await;
        // graypy and Log4j2 end each with NUL.
        let pieces = [
            &b"{\"version\":\"1.0\",\"short_message\":\"a\",\"_user"[..],
            b"_name\":\"ann\"}\0{\"short_message\":\"b\\nb\"}\0nonsense\0{\"short_message\":\"c\"}",
        ];
        assert_eq!(node.talk(listener, &pieces).await, "");
        let expected = "a | ann | -\nb\nb | - | -\nnonsense | - | invalid_json\nc | - | -";
        assert_eq!(node.shown("message user.name lw.code").await, expected);
    }
}

#[tokio::test]
async fn a_port_of_its_own_takes_lines_and_objects_over_lines() {
    let gelf = || ListenerConfig { kind: ListenerKind::Gelf, ..open() };
    let node = node(|_| {}).await;
    node.check(
        gelf(),
        b"{\"short_message\":\"a\"}\n{\"short_message\":\"b\"}\n",
        "edge edge a\nedge edge b",
    )
    .await;
    node.check(
        gelf(),
        b"{\n \"short_message\":\"a\"\n}\0{\"short_message\":\n\"b\"}\0",
        "edge edge a\nedge edge b",
    )
    .await;
    node.check(gelf(), b"<13>a\0", "logwarden.deadletter edge 1:invalid_json 5").await;
}

#[tokio::test]
async fn over_tcp_senders_must_be_admitted() {
    let node = node(|_| {}).await;
    for kind in [ListenerKind::Auto, ListenerKind::Gelf] {
        let listener = ListenerConfig { kind, ..ListenerConfig::default() };
        let said = node.talk(listener, &[b"{\"short_message\":\"a\"}\0"]).await;
        assert!(said.contains("`allow` networks only"), "{said}");
    }
    assert_eq!(node.journal().await, "");
}
