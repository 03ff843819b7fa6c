//! Senders that take their time (slowloris), at both doors at once: they are cut off, others are not held up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Siege;
use crate::harness::wait::pass;

/// Slow connections of each kind; there are four.
const OF_EACH: usize = 16;
/// Between two bytes.
const DRIP: Duration = Duration::from_millis(300);
/// Header, first bytes and the first ten seconds of a body have this long (security requirement),
/// and the machine may do much else.
const CUT_OFF_AFTER_MAX: Duration = Duration::from_secs(25);
/// Nine of ten good requests are faster (security requirement).
const GOOD_MAX: Duration = Duration::from_secs(2);

/// Sends `first` at once and then one byte after the other until the door closes; gives how long
/// that took.
async fn drip(address: SocketAddr, first: String) -> Duration {
    let began = Instant::now();
    let (mut reader, mut writer) =
        TcpStream::connect(address).await.expect("the door is open").into_split();
    writer.write_all(first.as_bytes()).await.expect("the door listens");
    let dripping = async {
        while writer.write_all(b"a").await.is_ok() {
            pass(DRIP).await;
        }
    };
    let mut said = Vec::new();
    let closing = async { while reader.read_buf(&mut said).await.is_ok_and(|read| read > 0) {} };
    tokio::select! {
        () = dripping => {}
        () = closing => {}
    }
    began.elapsed()
}

#[tokio::test]
async fn slow_senders_are_cut_off_and_hold_up_nobody() {
    let mut siege = Siege::begin("").await;
    let before = siege.memory_before();
    // Of a source of their own: what a source has under way is bounded, and shared by its senders.
    let slow_token = siege.another_token("ingest").await;
    let head = format!(
        "POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {slow_token}\r\n"
    );
    let kinds = [
        (siege.http(), "GET / HTTP/1.1\r\nX-Slow: ".to_owned()),
        (siege.http(), format!("{head}Content-Length: 100000\r\n\r\n")),
        (siege.http(), format!("{head}Transfer-Encoding: chunked\r\n\r\nffff\r\n")),
        (siege.node.tcp(), "{\"auth\":\"".to_owned()),
    ];
    let mut slow = JoinSet::new();
    for (address, first) in &kinds {
        (0..OF_EACH).for_each(|_| drop(slow.spawn(drip(*address, first.clone()))));
    }
    let mut good = Vec::new();
    let mut lived = Vec::new();
    while !slow.is_empty() {
        let began = Instant::now();
        let answer = siege.client.ingest("{\"message\":\"good\"}").await;
        siege.expect("a good sender", answer.status == 200, format_args!("{answer:?}"));
        good.push(began.elapsed());
        let one_ended = tokio::time::timeout(DRIP, slow.join_next()).await;
        lived.extend(one_ended.ok().flatten().map(|ended| ended.expect("no panic")));
    }
    good.sort();
    let (p90, slowest) = (good[good.len() * 9 / 10], good[good.len() - 1]);
    let longest = lived.iter().max().copied().unwrap_or_default();
    println!(
        "{} slow connections: cut off after at most {longest:?}; {} good batches meanwhile, p90 {p90:?}, slowest {slowest:?}",
        lived.len(),
        good.len()
    );
    siege.expect("slow senders", longest < CUT_OFF_AFTER_MAX, format_args!("{longest:?}"));
    siege.expect("good senders", p90 < GOOD_MAX, format_args!("{p90:?}"));
    siege.check("slow senders", before).await;
    siege.end("slow senders").await;
}
