//! The protocols senders speak: one file each, and the list of them.
//!
//! A protocol over a byte stream knows itself by the first bytes; one over HTTP brings its routes.
//! Both make batches of records and hand them to the pipeline. Who sends, and as which source, is
//! decided by a token or by the network of the peer, never by what a record says.

mod answer;
mod beats;
mod body;
mod datadog;
pub(crate) mod datagrams;
pub(crate) mod documents;
mod door;
mod elastic_bulk;
mod firehose;
mod form;
mod forward;
pub(crate) mod framing;
mod gelf;
mod http_json;
mod journal_upload;
mod loki;
pub(crate) mod members;
mod msgpack;
mod otlp;
mod protobuf;
mod relp;
mod sender;
mod splunk_hec;
pub(crate) mod stream;
pub(crate) mod syslog;
mod tcp_json;
mod unfold;

use std::sync::Arc;

use async_trait::async_trait;
use axum::{Router, middleware};

use crate::config::{ListenerConfig, ListenerKind};
use crate::pipeline::Pipeline;
use stream::Connection;
pub(crate) use tcp_json::source_if_allowed;

/// Every protocol Logwarden can listen to, in the order of the manual.
pub(crate) static PROTOCOLS: &[&dyn Protocol] = &[
    &http_json::HttpJson,
    &tcp_json::TcpJson,
    &syslog::Syslog,
    &elastic_bulk::ElasticBulk,
    &splunk_hec::SplunkHec,
    &loki::Loki,
    &otlp::Otlp,
    &gelf::Gelf,
    &datadog::Datadog,
    &firehose::Firehose,
    &journal_upload::JournalUpload,
    &forward::Forward,
    &beats::Beats,
    &relp::Relp,
];

/// A way in which senders ship records.
#[async_trait]
pub(crate) trait Protocol: Sync {
    /// The name, as in metrics and dead letters.
    fn name(&self) -> &'static str;

    /// Its paths, when it is spoken over HTTP.
    fn routes(&self, _pipeline: &Arc<Pipeline>) -> Option<Router> {
        None
    }

    /// Whether a connection to a listener of this kind speaks it, by its first bytes.
    fn recognises(&self, _kind: ListenerKind, _first: &[u8]) -> bool {
        false
    }

    /// Whether peers of this listener wait for our first word.
    fn speaks_first(&self, _listener: &ListenerConfig) -> bool {
        false
    }

    /// Serves a connection that it recognised until its end.
    async fn serve(&self, _connection: Connection) {}
}

/// The routes of all protocols.
pub(crate) fn routes(pipeline: &Arc<Pipeline>) -> Router {
    PROTOCOLS
        .iter()
        .filter_map(|protocol| protocol.routes(pipeline))
        .fold(Router::new(), Router::merge)
        .layer(middleware::from_fn(door::see_through))
}

/// `others` with the answers that the senders' own first questions need, where the paths are not
/// ours alone.
pub(crate) fn greet(pipeline: &Arc<Pipeline>, others: Router) -> Router {
    elastic_bulk::greet(pipeline, others)
}

/// The protocol that begins with these bytes. Text that begins like none is lines of syslog whose sender
/// leaves the priority out.
pub(crate) fn recognise(kind: ListenerKind, first: &[u8]) -> Option<&'static dyn Protocol> {
    let found = PROTOCOLS.iter().copied().find(|protocol| protocol.recognises(kind, first));
    let is_text = kind == ListenerKind::Auto && syslog::is_text(first);
    found.or(if is_text { Some(&syslog::Syslog) } else { None })
}

/// The protocol in which we speak first to peers of this listener.
pub(crate) fn speaking_first(listener: &ListenerConfig) -> Option<&'static dyn Protocol> {
    PROTOCOLS.iter().copied().find(|protocol| protocol.speaks_first(listener))
}

#[cfg(test)]
mod tests;
