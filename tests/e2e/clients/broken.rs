//! What clients send, broken on its way: cut, turned, with false lengths, with garbage around it. The
//! server lives, each client whose bytes are whole is served as before, and nothing of what came is lost
//! without a word: it is stored, kept as a dead letter, refused in the answer, or counted.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::events::events;
use super::{Doors, Send, encode, node, recordings};
use crate::harness::client::Client;
use crate::harness::wait::{LONG, until};

/// Breaks what is sent.
type Breaking = fn(&[u8]) -> Vec<u8>;

/// Ways to do so.
const WAYS: [(&str, Breaking); 9] = [
    ("its first half", |bytes| bytes[..bytes.len() / 2].to_vec()),
    ("without its last byte", |bytes| bytes[..bytes.len().saturating_sub(1)].to_vec()),
    ("without its first byte", |bytes| bytes.get(1..).unwrap_or_default().to_vec()),
    ("with great lengths", |bytes| over(bytes, 2, &[0xFF; 4])),
    ("with zeros inside", |bytes| over(bytes, bytes.len() / 3, &[0; 16])),
    ("with every eighth byte turned", |bytes| {
        (0..).zip(bytes).map(|(at, byte)| if at % 8 == 7 { !byte } else { *byte }).collect()
    }),
    ("backwards", |bytes| bytes.iter().rev().copied().collect()),
    ("inside itself", |bytes| {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        [first, bytes, second].concat()
    }),
    ("with garbage behind it", |bytes| [bytes, &b"\xFE\x00{[\"<13>".repeat(5_000)].concat()),
];

/// Names of metrics that tell what became of what came.
const TELLING: [&str; 5] = [
    "logwarden_ingest_events_total",
    "logwarden_ingest_dead_letters_total",
    "logwarden_ingest_connections_refused_total",
    "logwarden_ingest_datagrams_dropped_total",
    "logwarden_ingest_batches_refused_total",
];

fn over(bytes: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for (byte, new) in changed.iter_mut().skip(at).zip(with) {
        *byte = *new;
    }
    changed
}

impl Doors {
    /// Sends what is broken, and gives what was said to it.
    async fn offer(&self, name: &str, send: Send, breaking: Breaking) -> Vec<u8> {
        match send {
            Send::Http { head, body, .. } => {
                // Under an id of its own: what is whole must not count as this again.
                let head = head.replace("Request-Id: r-", "Request-Id: broken-");
                let request = self.request(&head, &breaking(&body));
                // Whole as HTTP: the answer ends the connection.
                talk(name, self.http, &request, false).await
            }
            Send::Tcp { bytes, .. } => talk(name, self.tcp, &breaking(&bytes), true).await,
            Send::Grpc { path, message } => {
                let bytes = breaking(&encode::grpc(path, &self.token, &message));
                talk(name, self.tcp, &bytes, true).await
            }
            Send::Udp(datagrams) => {
                let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
                for datagram in datagrams {
                    socket.send_to(&breaking(&datagram), self.udp).await.expect("sent");
                }
                Vec::new()
            }
        }
    }
}

/// Sends bytes, `ends` its side of the connection then or not, and reads to the end of it.
async fn talk(name: &str, address: std::net::SocketAddr, bytes: &[u8], ends: bool) -> Vec<u8> {
    let (mut reader, mut writer) = TcpStream::connect(address).await.expect("open").into_split();
    let send = async {
        // A door may close before it has heard everything.
        let _ = writer.write_all(bytes).await;
        if ends {
            let _ = writer.shutdown().await;
        }
        writer
    };
    let mut said = Vec::new();
    let read = async { while reader.read_buf(&mut said).await.is_ok_and(|read| read > 0) {} };
    let both = tokio::time::timeout(LONG, async { tokio::join!(send, read) });
    assert!(both.await.is_ok(), "{name}: the connection does not end");
    said
}

/// Whether something answered: a status of HTTP, or a frame of HTTP/2 that answers, resets or ends.
fn is_answer(said: &[u8]) -> bool {
    let text = String::from_utf8_lossy(said);
    let mut rest = said;
    let mut has_frame = false;
    while let [a, b, c, kind, _, _, _, _, _, after @ ..] = rest {
        has_frame |= [1, 3, 7].contains(kind);
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        rest = after.get(length..).unwrap_or_default();
    }
    text.contains("HTTP/1.1 4") || text.contains("HTTP/1.1 2") || has_frame
}

/// What the counters say together.
async fn told(desk: &Client) -> f64 {
    let metrics = desk.try_get("/metrics", &[]).await.expect("an answer").text;
    let lines = metrics.lines().filter(|line| TELLING.iter().any(|name| line.starts_with(name)));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_broken_messages_cost_themselves_alone() {
    let (place, server, doors, reader) = node().await;
    let (desk, operator) = (Client::new(&server, &reader), place.token("admin", "operator"));
    let operator = Client::new(&server, &operator);
    until("the token is known", LONG, async || {
        let answer = operator.try_get("/metrics", &[]).await.expect("an answer");
        (answer.status == 200).then_some(())
    })
    .await;
    let (mut inputs, mut wrong) = (0, Vec::new());
    for (number, recording) in (0..).zip(recordings()) {
        for (way, breaking) in WAYS {
            let name = format!("{}, {way}", recording.client);
            let before = told(&operator).await;
            let sends = (recording.sends)(&events(&format!("broken{number:03}"))[..1]);
            let mut said = Vec::new();
            for send in sends {
                said.extend(doors.offer(&name, send, breaking).await);
            }
            let text = String::from_utf8_lossy(&said);
            if text.contains("HTTP/1.1 500") {
                wrong.push(format!("{name}: {text}"));
            }
            // A request that was cut off is none, and there is nobody left to be told.
            let is_cut = recording.client.contains("gRPC")
                && ["its first half", "without its last byte"].contains(&way);
            if !is_cut && !is_answer(&said) {
                until(&format!("something tells of {name}"), LONG, async || {
                    (told(&operator).await > before).then_some(())
                })
                .await;
            }
            inputs += 1;
        }
        let mark = format!("whole{number:03}");
        for send in (recording.sends)(&events(&mark)[..1]) {
            doors.send(recording.client, send).await;
        }
        desk.wait_for(&mark, 1).await;
        assert_eq!(desk.count(&mark).await, 1, "{}", recording.client);
        let health = desk.try_get("/api/v1/health", &[]).await.expect("it is alive");
        assert_eq!(health.status, 200, "{}: {}", recording.client, health.text);
    }
    assert!(!server.log().contains("panicked"));
    assert!(wrong.is_empty(), "{} of {inputs}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(inputs >= 500, "{inputs} inputs");
    println!("{inputs} broken messages");
}
