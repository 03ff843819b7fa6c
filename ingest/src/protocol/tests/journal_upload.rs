//! systemd's journal upload, in the words of the client that was recorded.

use axum::body::Body;

use super::{lines, node};

const UPLOAD: &str = "POST /upload
    authorization: Bearer TOKEN
    content-type: application/vnd.fdo.journal";

fn entry(cursor: u32, message: &str) -> String {
    format!(
        "__CURSOR=s={cursor}\n__REALTIME_TIMESTAMP=1735787045250000\n__MONOTONIC_TIMESTAMP=5\nPRIORITY=3\n_HOSTNAME=web1\nSYSLOG_IDENTIFIER=shop\n_PID=42\nMESSAGE={message}\n\n"
    )
}

fn chunks(stream: Vec<u8>, size: usize) -> Body {
    let chunks: Vec<_> =
        stream.chunks(size).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    Body::from_stream(futures_util::stream::iter(chunks))
}

#[tokio::test]
async fn entries_are_events_with_their_fields() {
    let node = node(|_| {}).await;
    let binary = b"__CURSOR=b\nMESSAGE\n\x08\0\0\0\0\0\0\0two\n\nlin\nPRIORITY=6\n\n";
    let stream = [entry(1, "paid").as_bytes(), binary, b"MESSAGE=without an end"].concat();
    let answer = node.ship(UPLOAD, chunks(stream, 7)).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let expected = "paid | error | 2025-01-02T03:04:05.250Z | web1 | shop | 42
        two⏎⏎lin | info | - | - | - | -
        without an end | info | - | - | - | -";
    let shown = node.shown("message severity timestamp host.name process.name process.pid").await;
    let shown = shown.replace("two\n\nlin", "two⏎⏎lin");
    let shown: Vec<_> = shown
        .lines()
        .map(|line| {
            line.replace("2026-01-01T00:00:00.000000001Z", "-")
                .replace("2026-01-01T00:00:00.000000002Z", "-")
        })
        .collect();
    assert_eq!(shown.join("\n"), lines(expected));
    assert_eq!(
        node.events().await[0].raw(),
        entry(1, "paid")
            .trim_end_matches('\n')
            .to_owned()
            .into_bytes()
            .into_iter()
            .chain([b'\n'])
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_journal_of_any_length_is_stored_part_by_part_and_once() {
    let node = node(|_| {}).await;
    let stream: String = (0..2_500).map(|cursor| entry(cursor, "x")).collect();
    assert_eq!(node.ship(UPLOAD, chunks(stream.clone().into_bytes(), 60_000)).await.status, 202);
    assert_eq!(node.events().await.len(), 2_500);
    // It broke off after the first parts; their entries are known when they come again.
    assert_eq!(node.ship(UPLOAD, chunks(stream.into_bytes(), 9_000)).await.status, 202);
    assert_eq!(node.events().await.len(), 2_500);
}

#[tokio::test]
async fn an_entry_beyond_the_bound_costs_itself_alone() {
    let node = node(|_| {}).await;
    let stream = [entry(1, "a"), entry(2, &"x".repeat(2 << 20)), entry(3, "c")].concat();
    assert_eq!(node.ship(UPLOAD, chunks(stream.into_bytes(), 50_000)).await.status, 202);
    assert_eq!(
        node.shown("dataset lw.code").await,
        "shop | -\nlogwarden.deadletter | line_too_long\nshop | -"
    );
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_falls_silent_is_given_up() {
    let node = node(|_| {}).await;
    let never = futures_util::stream::pending::<Result<&str, std::convert::Infallible>>();
    assert_eq!(node.ship(UPLOAD, Body::from_stream(never)).await.status, 408);
}
