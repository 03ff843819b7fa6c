//! Receivers that are slow, dead or broken: they keep nobody else waiting.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, until};

/// Nobody waits for a receiver this long: less than any of them is given.
const NOT_WAITING: Duration = Duration::from_secs(4);
/// Batches sent while the receivers hang.
const BATCHES: u64 = 50;

/// A receiver of webhooks, on loopback.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Receiver {
    /// Answers every request with `status`; with 0 it takes the request and says nothing.
    pub(crate) async fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("an address");
        let status = Arc::new(AtomicU16::new(status));
        let asked = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn({
            let (status, asked) = (Arc::clone(&status), Arc::clone(&asked));
            async move {
                let mut held = Vec::new();
                while let Ok((mut stream, _)) = listener.accept().await {
                    asked.fetch_add(1, Ordering::Relaxed);
                    match status.load(Ordering::Relaxed) {
                        0 => held.push(stream),
                        // The sender may have given up.
                        status => drop(answer(&mut stream, status).await),
                    }
                }
            }
        });
        Self { address, status, asked, task: task.abort_handle() }
    }

    /// From now on requests are answered so.
    pub(crate) fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// Requests so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// The table of a notifier that posts to it.
    pub(crate) fn notifier(&self, name: &str) -> String {
        format!(
            "[[notifiers]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"http://{}/\"\n\
             allow_http = true\nallow_networks = [\"127.0.0.0/8\"]\n",
            self.address
        )
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a request to the end of its body and answers it.
async fn answer(stream: &mut TcpStream, status: u16) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0) {
                break;
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
    let answer =
        format!("HTTP/1.1 {status} Answer\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await
}

/// Failed logins from one address, enough for the bundled rule.
pub(crate) fn attack(address: &str) -> String {
    let line = |port| {
        format!(
            "{{\"program\":\"sshd\",\"host\":\"bastion\",\"message\":\"Failed password for root from {address} port {port} ssh2\"}}\n"
        )
    };
    (4_000..4_020).map(line).collect()
}

#[tokio::test]
async fn receivers_that_hang_keep_neither_senders_nor_searches_nor_each_other_waiting() {
    let (hanging, failing, good) =
        (Receiver::start(0).await, Receiver::start(500).await, Receiver::start(204).await);
    let silent_mail = Receiver::start(0).await;
    // A port that nobody listens on.
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("loopback").local_addr();
    let mail = |name: &str, smtp: SocketAddr| {
        format!(
            "[[notifiers]]\nname = \"{name}\"\nkind = \"email\"\nsmtp = \"{smtp}\"\ntls = \"none\"\n\
             from = \"lw@example.org\"\nto = [\"oncall@example.org\"]\n"
        )
    };
    let notifiers = [
        hanging.notifier("hanging"),
        failing.notifier("failing"),
        mail("silent-mail", silent_mail.address),
        mail("closed-mail", closed.expect("an address")),
        good.notifier("good"),
    ];
    let place = Place::new(&notifiers.concat());
    let token = place.token("admin", "operator");
    let node = place.start().await;
    let client = Client::new(&node, &token);
    assert_eq!(client.ingest(attack("203.0.113.7")).await.status, 200);
    let fired = Instant::now();
    until("the good receiver hears of it", LONG, async || (good.asked() > 0).then_some(())).await;
    let told = fired.elapsed();
    until("the others are tried", LONG, async || {
        (hanging.asked() > 0 && failing.asked() > 0 && silent_mail.asked() > 0).then_some(())
    })
    .await;

    let (mut slowest_batch, mut slowest_search) = (Duration::ZERO, Duration::ZERO);
    for batch in 0..BATCHES {
        let began = Instant::now();
        assert_eq!(client.ingest(format!("{{\"batch\":{batch}}}")).await.status, 200);
        slowest_batch = slowest_batch.max(began.elapsed());
        let began = Instant::now();
        client.count("batch:*").await;
        slowest_search = slowest_search.max(began.elapsed());
    }
    client.wait_for("batch:*", BATCHES).await;
    // Another alert, while the first one still hangs elsewhere.
    let heard = good.asked();
    assert_eq!(client.ingest(attack("203.0.113.8")).await.status, 200);
    until("the good receiver hears again", LONG, async || (good.asked() > heard).then_some(()))
        .await;
    println!(
        "hanging receivers: the good one told after {told:?}, slowest batch {slowest_batch:?}, slowest search {slowest_search:?}, attempts: hanging {}, failing {}, silent mail {}",
        hanging.asked(),
        failing.asked(),
        silent_mail.asked(),
    );
    assert!(told < NOT_WAITING, "the good receiver waited for others: {told:?}");
    assert!(slowest_batch < NOT_WAITING, "a sender waited for receivers: {slowest_batch:?}");
    assert!(slowest_search < NOT_WAITING, "a search waited for receivers: {slowest_search:?}");
    assert_eq!(good.asked(), 2, "each alert is told once");
}
