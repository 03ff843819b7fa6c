//! Bytes as they are, to a door, and what comes back: no library stands between that would refuse to send them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No answer takes this long; a connection that gives none by then counts as hanging.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What a sender does after its last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Waits for an answer.
    Listen,
    /// Says that nothing more will come, and waits for an answer.
    End,
}

/// What came back before the connection ended, or up to the end of an answer of HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    /// All of it.
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    /// The status of the answer; 0 when the connection was closed without one.
    pub(crate) fn status(&self) -> u16 {
        let line = self.bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let words = String::from_utf8_lossy(line).into_owned();
        let status = words.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        status.and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// All of it as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The body.
    pub(crate) fn body(&self) -> String {
        let text = self.text();
        text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// Whether the answer is there to its end.
    fn is_whole(&self) -> bool {
        let text = String::from_utf8_lossy(&self.bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        match length.and_then(|length| length.parse::<usize>().ok()) {
            Some(length) => body.len() >= length,
            None => head.contains("chunked") && body.ends_with("0\r\n\r\n"),
        }
    }
}

/// Sends `bytes` over a new connection and reads what comes back.
///
/// # Panics
///
/// When nothing comes and the connection stays open.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8], then: Then) -> Reply {
    let stream = TcpStream::connect(address).await.expect("the door is open");
    let (mut reader, mut writer) = stream.into_split();
    let send = async {
        // A door may close before it has heard everything.
        let _ = writer.write_all(bytes).await;
        if then == Then::End {
            let _ = writer.shutdown().await;
        }
    };
    let receive = async {
        let mut reply = Reply { bytes: Vec::new() };
        while !reply.is_whole() {
            match reader.read_buf(&mut reply.bytes).await {
                Ok(read) if read > 0 => {}
                _ => break,
            }
        }
        reply
    };
    let both = async { tokio::join!(send, receive).1 };
    timeout(ANSWER_TIMEOUT, both).await.expect("the door neither answers nor closes")
}

/// A connection over which lines are sent and acknowledgements read.
pub(crate) struct Lines {
    reader: tokio::net::tcp::OwnedReadHalf,
    writer: tokio::net::tcp::OwnedWriteHalf,
    heard: Vec<u8>,
    acked: u64,
}

impl Lines {
    /// Connects and asks for acknowledgements.
    pub(crate) async fn open(address: SocketAddr, token: &str) -> io::Result<Self> {
        let (reader, writer) = TcpStream::connect(address).await?.into_split();
        let mut lines = Self { reader, writer, heard: Vec::new(), acked: 0 };
        lines.send(format!("{{\"auth\":\"{token}\",\"ack\":true}}\n").as_bytes()).await?;
        Ok(lines)
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// Reads until the first `lines` lines after the first are acknowledged; gives how many are.
    pub(crate) async fn acked(&mut self, lines: u64) -> io::Result<u64> {
        while self.acked < lines {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                let said: serde_json::Value = serde_json::from_slice(&line)?;
                let ack = said["ack"].as_u64();
                self.acked = ack.ok_or_else(|| io::Error::other(said.to_string()))?;
                continue;
            }
            let read = timeout(ANSWER_TIMEOUT, self.reader.read_buf(&mut self.heard));
            let read = read.await.map_err(|_| io::Error::other("no acknowledgement"))??;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.acked)
    }
}
