//! Some sixty configurations of clients send the same events, in the bytes that were recorded from them,
//! over real sockets; each event is there exactly once, with what the client says of it.
//!
//! In the first story no client runs: what is tried is that their bytes are taken, and in [`broken`] what
//! becomes of them when they are broken. Real ones run in [`real`], those of the manual in [`manual`] and [`daemons`],
//! NATS in another story. UDP is loopback's, which loses nothing that is read in time.

mod broken;
mod daemons;
mod encode;
mod events;
mod http;
mod manual;
mod real;
mod wire;

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use self::events::{Event, Says, check, events};
use crate::harness::client::Client;
use crate::harness::node::{Node, Place};
use crate::harness::wait::LONG;

/// What goes over one connection; `TOKEN` stands for the token, `PAIR` for it as a password.
enum Send {
    Http {
        head: String,
        body: Vec<u8>,
        answer: &'static str,
    },
    Tcp {
        bytes: Vec<u8>,
        answer: Vec<u8>,
    },
    Udp(Vec<Vec<u8>>),
    /// One call, with its message.
    Grpc {
        path: &'static str,
        message: Vec<u8>,
    },
}

/// What a client makes of events.
type Sends = dyn Fn(&[Event]) -> Vec<Send>;

/// One configuration of a client.
struct Recording {
    client: &'static str,
    says: Says,
    sends: Box<Sends>,
}

impl Recording {
    fn new(
        client: &'static str,
        says: Says,
        sends: impl Fn(&[Event]) -> Vec<Send> + 'static,
    ) -> Self {
        Self { client, says, sends: Box::new(sends) }
    }

    /// The name under which the number stands.
    fn numbered(mut self, name: &'static str) -> Self {
        self.says.number = name;
        self
    }

    /// The name under which the number inside the object stands.
    fn ordered(mut self, name: &'static str) -> Self {
        self.says.order = name;
        self
    }
}

/// Where everything goes.
struct Doors {
    http: SocketAddr,
    tcp: SocketAddr,
    udp: SocketAddr,
    token: String,
}

impl Doors {
    async fn send(&self, client: &str, send: Send) {
        match send {
            Send::Http { head, body, answer } => self.post(client, &head, &body, answer).await,
            Send::Tcp { bytes, answer } => self.write(client, &bytes, &answer).await,
            Send::Grpc { path, message } => {
                // The head of a frame of trailers that ends stream 1.
                let end = [1, 5, 0, 0, 0, 1];
                self.write(client, &encode::grpc(path, &self.token, &message), &end).await;
            }
            Send::Udp(datagrams) => {
                let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
                for datagram in datagrams {
                    socket.send_to(&datagram, self.udp).await.expect("sent");
                }
            }
        }
    }

    /// A request as it stands on the wire.
    fn request(&self, head: &str, body: &[u8]) -> Vec<u8> {
        let pair = encode::base64(format!("shop:{}", self.token).as_bytes());
        let head = head.replace("TOKEN", &self.token).replace("PAIR", &pair).replace('\n', "\r\n");
        let (request, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
        let is_chunked = headers.contains("chunked");
        let mut bytes =
            format!("{request} HTTP/1.1\r\nHost: logwarden\r\n{headers}\r\n").into_bytes();
        if is_chunked {
            bytes.extend(b"Connection: close\r\n\r\n");
            for chunk in body.chunks(8_000) {
                bytes
                    .extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
            }
            bytes.extend(b"0\r\n\r\n");
        } else {
            bytes.extend(
                format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).bytes(),
            );
            bytes.extend(body);
        }
        bytes
    }

    async fn post(&self, client: &str, head: &str, body: &[u8], answer: &str) {
        let bytes = self.request(head, body);
        let mut stream = TcpStream::connect(self.http).await.expect("open");
        stream.write_all(&bytes).await.expect("read");
        let mut said = Vec::new();
        let read = tokio::time::timeout(LONG, stream.read_to_end(&mut said));
        read.await.expect("an answer in time").expect("an answer");
        let said = String::from_utf8_lossy(&said);
        let is_good = said.starts_with("HTTP/1.1 2") || said.starts_with("HTTP/1.1 100");
        let lower = said.to_ascii_lowercase();
        assert!(
            is_good && lower.contains(&answer.to_ascii_lowercase()),
            "{client}, {head}: {said}"
        );
    }

    async fn write(&self, client: &str, bytes: &[u8], answer: &[u8]) {
        let mut stream = TcpStream::connect(self.tcp).await.expect("open");
        stream.write_all(bytes).await.expect("read");
        let mut said = Vec::new();
        while !answer.is_empty() && !said.windows(answer.len()).any(|window| window == answer) {
            let read = tokio::time::timeout(LONG, stream.read_buf(&mut said)).await;
            let count = read.expect("an answer in time").expect("an answer");
            assert!(count > 0, "{client}: {}", String::from_utf8_lossy(&said));
        }
        stream.shutdown().await.expect("open");
    }
}

/// All of them.
fn recordings() -> Vec<Recording> {
    let groups = [
        http::plain(),
        http::services(),
        http::elastic(),
        http::splunk(),
        http::loki(),
        http::others(),
        wire::graylog(),
        wire::syslog(),
        wire::forward(),
        wire::objects(),
    ];
    groups.into_iter().flatten().collect()
}

/// A node whose network may send without a token; its doors, and a token that may read.
async fn node() -> (Place, Node, Doors, String) {
    let free = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let udp = free.local_addr().expect("bound");
    drop(free);
    let place = Place::new(&format!(
        "[http]\nallow = [\"127.0.0.0/8\"]\nsource = \"journal\"\n[[listeners]]\nkind = \"auto\"\ntcp = \"127.0.0.1:0\"\nudp = \"{udp}\"\nallow = [\"127.0.0.0/8\"]\nsource = \"hosts\"\n"
    ));
    let token = place.token("ingest", "shop");
    let reader = place.token("reader", "desk");
    let node = place.start().await;
    let http = node.http().trim_start_matches("http://").parse().expect("an address");
    let doors = Doors { http, tcp: node.tcp(), udp, token };
    (place, node, doors, reader)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_is_taken_as_it_is() {
    let (_place, node, doors, reader) = node().await;
    let recordings = recordings();
    let desk = Client::new(&node, &reader);
    let mut sent = Vec::new();
    for (number, recording) in (0..).zip(&recordings) {
        let mark = format!("mark{number:03}");
        let mut known = events(&mark);
        if recording.says.only_lines {
            known.retain(Event::is_one_line);
        }
        for send in (recording.sends)(&known) {
            doors.send(recording.client, send).await;
        }
        desk.wait_for(&mark, known.len() as u64).await;
        sent.push((recording, mark, known));
    }
    assert!(sent.len() >= 60, "{} configurations", sent.len());
    let mut wrong = Vec::new();
    for (recording, mark, known) in &sent {
        let found = check(&desk, mark, known, recording.says).await;
        wrong.extend(found.into_iter().map(|what| format!("{}: {what}", recording.client)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!(
        "{} configurations, {} events",
        sent.len(),
        sent.iter().map(|one| one.2.len()).sum::<usize>()
    );
}
