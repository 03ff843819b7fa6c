//! Syslog over TCP: RFC 5424, RFC 3164 and text without a priority, framed by count, line or NUL. Over
//! UDP each datagram is one message; see [`datagrams`](super::datagrams).
//!
//! Senders have no token, so a listener must admit them by network or client certificate.

use std::sync::Arc;

use async_trait::async_trait;

use super::Protocol;
use super::framing::{Form, Framing};
use super::stream::{Connection, Content, Pump};
use crate::config::ListenerKind;

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
            connection.deny(self.name(), None);
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
            session: None,
            token: None,
        };
        pump.run(&mut connection, None).await;
    }
}

/// Text of no protocol of ours. A request of HTTP is none, since it has a port of its own and its sender
/// is told so, nor is the header of a proxy that is not trusted.
pub(super) fn is_text(first: &[u8]) -> bool {
    let beginning = first.trim_ascii_start().utf8_chunks().next();
    let character = beginning.and_then(|chunk| chunk.valid().chars().next());
    // Some loggers begin their lines with the colour of a terminal.
    character.is_some_and(|character| !character.is_control() || character == '\u{1b}')
        && !is_http(first)
        && !first.starts_with(b"PROX")
}

/// Whether a request of HTTP begins so.
pub(crate) fn is_http(first: &[u8]) -> bool {
    [&b"GET "[..], b"POST", b"PUT ", b"HEAD", b"OPTI", b"PRI "]
        .iter()
        .any(|method| first.starts_with(method))
}

/// `LENGTH SP <` begins a counted message; RELP begins with a number and a command.
fn is_count(first: &[u8]) -> bool {
    let digits = first.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=10).contains(&digits)
        && first.get(digits).is_none_or(|byte| *byte == b' ')
        && first.get(digits + 1).is_none_or(|byte| *byte == b'<')
}
