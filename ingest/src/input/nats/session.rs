//! One connection to a server, and the durable consumer on it.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::wire::{self, Delivery, Message, Said};
use crate::input::settings::InputConfig;

/// Time for a connection, and for each answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the server keeps a request for messages open; it says so when that is over.
const PULL_EXPIRES: Duration = Duration::from_secs(10);
/// How long after that it may stay silent.
const PULL_GRACE: Duration = Duration::from_secs(10);
/// Messages of one batch.
const BATCH_MESSAGES_MAX: usize = 500;
/// Bytes of one batch, but for its last message.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Messages that the server leaves unacknowledged.
const UNACKNOWLEDGED_MAX: usize = 1_000;
/// How long the server waits for an acknowledgement before it sends a message again.
const ACK_WAIT: Duration = Duration::from_secs(60);
/// Subscriptions: messages, answers to requests, confirmations.
const MESSAGES: u64 = 1;
const ANSWERS: u64 = 2;
const CONFIRMATIONS: u64 = 3;

/// Why a connection ended or was not made. Another one is tried.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the connection failed: {0}")]
    Connection(#[from] io::Error),
    #[error("the server did not answer in time")]
    Timeout,
    #[error("the server says: {0}")]
    Refused(String),
    #[error("the secret cannot be read: {0}")]
    Secret(String),
}

/// A connection with a consumer.
pub(super) struct Session {
    stream: TcpStream,
    buffer: BytesMut,
    inbox: String,
    pull: String,
    created: String,
    /// Messages that the open request still may bring.
    open: usize,
    /// What it brought while confirmations were waited for.
    early: VecDeque<Delivery>,
}

#[derive(Deserialize)]
struct Answer<T> {
    error: Option<Complaint>,
    #[serde(flatten)]
    content: Option<T>,
}

#[derive(Deserialize)]
struct Complaint {
    description: String,
}

#[derive(Deserialize)]
struct StreamInfo {
    created: String,
}

impl Session {
    /// Connects, and makes the consumer unless it is there.
    pub(super) async fn open(config: &InputConfig) -> Result<Self, Fault> {
        let opening = Self::connect(config);
        tokio::time::timeout(ANSWER_TIMEOUT * 2, opening).await.map_err(|_| Fault::Timeout)?
    }

    async fn connect(config: &InputConfig) -> Result<Self, Fault> {
        let stream = TcpStream::connect(config.address().unwrap_or_default()).await?;
        let inbox = format!("_INBOX.{:032x}", u128::from_be_bytes(super::new_nonce()));
        let name = config.stream.clone().unwrap_or_default();
        let consumer = config.consumer();
        let mut session = Self {
            stream,
            buffer: BytesMut::new(),
            pull: format!("$JS.API.CONSUMER.MSG.NEXT.{name}.{consumer}"),
            inbox,
            created: String::new(),
            open: 0,
            early: VecDeque::new(),
        };
        session.greet(config).await?;
        let info: StreamInfo =
            session.request(&format!("$JS.API.STREAM.INFO.{name}"), String::new()).await?;
        session.created = info.created;
        let mut settings = json!({
            "durable_name": consumer, "deliver_policy": "all", "ack_policy": "explicit",
            "ack_wait": ACK_WAIT.as_nanos() as u64, "max_ack_pending": UNACKNOWLEDGED_MAX,
            "replay_policy": "instant",
        });
        if let Some(subject) = &config.subject {
            settings["filter_subject"] = subject.as_str().into();
        }
        let body = json!({ "stream_name": name, "config": settings }).to_string();
        let path = format!("$JS.API.CONSUMER.DURABLE.CREATE.{name}.{consumer}");
        session.request::<IgnoredAny>(&path, body).await?;
        Ok(session)
    }

    /// When the stream was made.
    pub(super) fn stream_created(&self) -> &str {
        &self.created
    }

    async fn greet(&mut self, config: &InputConfig) -> Result<(), Fault> {
        let Said::Info(info) = self.read().await? else {
            return Err(Fault::Refused("nothing that NATS begins with".to_owned()));
        };
        let info: serde_json::Value = serde_json::from_str(&info).unwrap_or_default();
        if info["tls_required"] == true {
            return Err(Fault::Refused("it wants TLS, which inputs do not speak".to_owned()));
        }
        let secret = async |secret: &Option<logwarden_store::SecretRef>| {
            let secret = secret.clone();
            // A program or Vault may take its time.
            let resolving = tokio::task::spawn_blocking(move || {
                secret.as_ref().map(logwarden_store::SecretRef::resolve).transpose()
            });
            let resolved = resolving.await.map_err(|error| Fault::Secret(error.to_string()))?;
            resolved.map_err(|error| Fault::Secret(error.to_string()))
        };
        let mut connect = json!({
            "verbose": false, "pedantic": false, "tls_required": false, "headers": true,
            "no_responders": true, "protocol": 1, "lang": "rust",
            "name": "logwarden", "version": env!("CARGO_PKG_VERSION"),
        });
        if let Some(username) = &config.username {
            connect["user"] = username.as_str().into();
        }
        if let Some(password) = secret(&config.password).await? {
            connect["pass"] = password.expose().as_str().into();
        }
        if let Some(token) = secret(&config.token).await? {
            connect["auth_token"] = token.expose().as_str().into();
        }
        let inbox = &self.inbox;
        let hello = format!(
            "CONNECT {connect}\r\nSUB {inbox}.m {MESSAGES}\r\nSUB {inbox}.a {ANSWERS}\r\n\
             SUB {inbox}.c {CONFIRMATIONS}\r\nPING\r\n"
        );
        self.stream.write_all(hello.as_bytes()).await?;
        loop {
            match self.answer().await? {
                Said::Pong => return Ok(()),
                Said::Error(reason) => return Err(Fault::Refused(reason)),
                _ => {}
            }
        }
    }

    /// Asks JetStream for something.
    async fn request<T: for<'de> Deserialize<'de>>(
        &mut self,
        subject: &str,
        body: String,
    ) -> Result<T, Fault> {
        let answers = format!("{}.a", self.inbox);
        self.publish(subject, &answers, body.as_bytes()).await?;
        loop {
            let Said::Delivery(delivery) = self.answer().await? else { continue };
            if delivery.subscription != ANSWERS {
                continue;
            }
            if delivery.status == 503 {
                return Err(Fault::Refused("there is no JetStream here".to_owned()));
            }
            let answer: Answer<T> = serde_json::from_slice(&delivery.payload)
                .map_err(|error| Fault::Refused(format!("an answer that is none: {error}")))?;
            return match answer {
                Answer { error: Some(complaint), .. } => Err(Fault::Refused(complaint.description)),
                Answer { content: Some(content), .. } => Ok(content),
                _ => Err(Fault::Refused("an answer that says nothing".to_owned())),
            };
        }
    }

    /// The next messages, as many as are there; none when none came for a while.
    pub(super) async fn fetch(&mut self) -> Result<Vec<Message>, Fault> {
        let mut messages: Vec<Message> = Vec::new();
        let mut bytes = 0;
        if self.open == 0 && self.early.is_empty() {
            let expires = PULL_EXPIRES.as_nanos() as u64;
            let body = json!({ "batch": BATCH_MESSAGES_MAX, "expires": expires }).to_string();
            let (pull, replies) = (self.pull.clone(), format!("{}.m", self.inbox));
            self.publish(&pull, &replies, body.as_bytes()).await?;
            self.open = BATCH_MESSAGES_MAX;
        }
        let deadline = Instant::now() + PULL_EXPIRES + PULL_GRACE;
        loop {
            let delivery = match self.early.pop_front() {
                Some(delivery) => delivery,
                None => self.delivery(MESSAGES, deadline).await?,
            };
            if delivery.status != 0 {
                // The request is over. A conflict means that the consumer was changed or removed.
                self.open = 0;
                return match delivery.status {
                    404 | 408 => Ok(messages),
                    status if messages.is_empty() => {
                        Err(Fault::Refused(format!("the request for messages ended with {status}")))
                    }
                    _ => Ok(messages),
                };
            }
            let Some(message) = Message::of(delivery) else { continue };
            self.open = self.open.saturating_sub(1);
            bytes += message.payload.len();
            let is_last = message.waiting == 0;
            messages.push(message);
            let is_last = is_last && self.early.is_empty();
            if is_last || self.open == 0 || bytes >= BATCH_BYTES_MAX {
                return Ok(messages);
            }
        }
    }

    /// Acknowledges messages and waits until the server has confirmed each.
    pub(super) async fn confirm(&mut self, messages: &[Message]) -> Result<(), Fault> {
        let confirmations = format!("{}.c", self.inbox);
        let mut out = String::new();
        for message in messages {
            out.push_str(&format!("PUB {} {confirmations} 4\r\n+ACK\r\n", message.reply));
        }
        self.stream.write_all(out.as_bytes()).await?;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        for _ in messages {
            self.delivery(CONFIRMATIONS, deadline).await?;
        }
        Ok(())
    }

    /// The next delivery to a subscription. Messages that come while confirmations are waited for are
    /// kept: at most as many as the open request may bring.
    async fn delivery(&mut self, subscription: u64, deadline: Instant) -> Result<Delivery, Fault> {
        loop {
            let said = tokio::time::timeout_at(deadline, self.read()).await;
            match said.map_err(|_| Fault::Timeout)?? {
                Said::Delivery(delivery) if delivery.subscription == subscription => {
                    return Ok(delivery);
                }
                Said::Delivery(delivery) if delivery.subscription == MESSAGES => {
                    self.early.push_back(delivery);
                }
                Said::Error(reason) => return Err(Fault::Refused(reason)),
                _ => {}
            }
        }
    }

    async fn publish(&mut self, subject: &str, reply: &str, body: &[u8]) -> Result<(), Fault> {
        let mut out = format!("PUB {subject} {reply} {}\r\n", body.len()).into_bytes();
        out.extend_from_slice(body);
        out.extend_from_slice(b"\r\n");
        self.stream.write_all(&out).await?;
        Ok(())
    }

    async fn answer(&mut self) -> Result<Said, Fault> {
        let said = tokio::time::timeout(ANSWER_TIMEOUT, self.read()).await;
        said.map_err(|_| Fault::Timeout)?
    }

    /// What the server says next; its questions are answered on the way.
    async fn read(&mut self) -> Result<Said, Fault> {
        loop {
            match wire::read(&mut self.stream, &mut self.buffer).await? {
                Said::Ping => self.stream.write_all(b"PONG\r\n").await?,
                said => return Ok(said),
            }
        }
    }
}
