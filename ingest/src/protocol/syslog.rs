//! Syslog over TCP and UDP: RFC 5424 and RFC 3164, framed by count, line or NUL.
//!
//! Senders have no token, so a listener must admit them by network or client certificate. UDP is
//! lossy and its sender can be forged: its events are marked, and the address identifies nobody.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::BytesMut;
use metrics::counter;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Protocol;
use super::framing::{Form, Framing};
use super::stream::{Connection, Content, Pump};
use crate::batch::Batch;
use crate::config::{ListenerConfig, ListenerKind};
use crate::metrics::{CONNECTIONS_REFUSED_TOTAL, DATAGRAMS_DROPPED_TOTAL};
use crate::normalize::{LOSSY_PROTOCOL, Origin};
use crate::pipeline::Pipeline;

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Syslog.
pub(crate) struct Syslog;

#[async_trait]
impl Protocol for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn recognises(&self, kind: ListenerKind, first: &[u8]) -> bool {
        match kind {
            ListenerKind::Auto => first.starts_with(b"<") || is_count(first),
            ListenerKind::Syslog => true,
            _ => false,
        }
    }

    async fn serve(&self, mut connection: Connection) {
        let Some(source) = connection.admitted_source().map(str::to_owned) else {
            counter!(CONNECTIONS_REFUSED_TOTAL, "reason" => "unauthorized").increment(1);
            connection
                .refuse("logwarden: this listener takes syslog from its `allow` networks only")
                .await;
            return;
        };
        let form = match connection.buffer.first() {
            _ if is_count(&connection.buffer) => Form::Counted,
            _ => Form::Undecided,
        };
        let limits = connection.pipeline.limits();
        let pump = Pump {
            framing: Framing::new(form, limits.record_bytes_max, limits.dead_letter_bytes_max),
            content: Content::Any,
            origin: Arc::new(connection.origin(&source, self)),
            quota: connection.pipeline.quotas.of(&source),
            acknowledges: false,
            token: None,
        };
        pump.run(&mut connection, None).await;
    }
}

/// `LENGTH SP <` begins a counted message; RELP begins with a number and a command.
fn is_count(first: &[u8]) -> bool {
    let digits = first.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=10).contains(&digits)
        && first.get(digits).is_none_or(|byte| *byte == b' ')
        && first.get(digits + 1).is_none_or(|byte| *byte == b'<')
}

/// Takes datagrams until `shutdown`. What cannot be stored at once is dropped and counted: nobody
/// waits for an answer.
pub(crate) async fn serve_datagrams(
    socket: UdpSocket,
    listener: Arc<ListenerConfig>,
    pipeline: Arc<Pipeline>,
    shutdown: CancellationToken,
) {
    let mut buffer = BytesMut::zeroed(DATAGRAM_BYTES_MAX);
    loop {
        let received = tokio::select! {
            () = shutdown.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        let (length, peer) = match received {
            Ok(received) => received,
            Err(error) => {
                warn!(error = %error, "datagram cannot be received: {error}");
                continue;
            }
        };
        let mut datagrams = vec![(buffer[..length].to_vec(), peer)];
        let mut bytes = length;
        // What has come meanwhile is appended together.
        while datagrams.len() < pipeline.limits().connection_records_max
            && bytes < pipeline.limits().connection_bytes_max
            && let Ok((length, peer)) = socket.try_recv_from(&mut buffer)
        {
            datagrams.push((buffer[..length].to_vec(), peer));
            bytes += length;
        }
        store_datagrams(&pipeline, &listener, datagrams).await;
    }
}

async fn store_datagrams(
    pipeline: &Arc<Pipeline>,
    listener: &ListenerConfig,
    datagrams: Vec<(Vec<u8>, SocketAddr)>,
) {
    let Some(source) = listener.source.clone() else { return };
    let zone = pipeline.config.zone_of(&source);
    let quota = pipeline.quotas.of(&source);
    let mut origin = Origin { source, peer: None, protocol: LOSSY_PROTOCOL, zone };
    if quota.check(pipeline.now()).is_err() {
        let count = datagrams.len() as u64;
        counter!(DATAGRAMS_DROPPED_TOTAL, "reason" => "quota_exceeded").increment(count);
        return;
    }
    let mut batch = Batch::default();
    for (datagram, peer) in &datagrams {
        let ip = peer.ip().to_canonical();
        if !listener.allow.iter().any(|network| network.contains(&ip)) {
            counter!(DATAGRAMS_DROPPED_TOTAL, "reason" => "not_allowed").increment(1);
            continue;
        }
        origin.peer = Some(ip);
        let record = datagram.trim_ascii_end();
        let record = record.strip_suffix(b"\0").unwrap_or(record);
        if !record.is_empty() {
            batch.add(pipeline.intake(&origin, &quota), 1, record);
        }
    }
    let count = batch.record_count();
    if count == 0 {
        return;
    }
    if let Err(refusal) = pipeline.append(batch, &origin, &quota, None, bytes::Bytes::new()).await {
        counter!(DATAGRAMS_DROPPED_TOTAL, "reason" => refusal.code()).increment(count);
    }
}
