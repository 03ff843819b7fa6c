//! Loki's push API: `POST /loki/api/v1/push`, and `/api/prom/push` as it was called before.
//!
//! Input: streams of entries, as JSON or as Protocol Buffers in one raw Snappy block. Output: 204 and
//! nothing else, which some clients insist on. The record is the line of an entry, byte for byte what
//! the sender's program logged; labels and structured metadata become fields. The time of the entry is
//! the event's, whatever the line says itself. What is broken is a dead letter; what was read before it
//! is kept.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use logwarden_event::Timestamp;

use super::Protocol;
use super::answer::{self, Failure};
use super::body::Encoding;
use super::documents::{Sink as _, same_length_text};
use super::door::{Admission, Records};
use super::members::{Object, each_item, each_member, is_object, items, members, string};
use super::protobuf::{self, Broken, Value};
use crate::normalize::scan::{Malformed, Scanner};
use crate::normalize::{Wrapped, time};
use crate::pipeline::Pipeline;

/// The second is that of senders of before Loki 1.0.
const PATHS: [&str; 2] = ["/loki/api/v1/push", "/api/prom/push"];
/// Structured metadata that is looked for among the labels.
const REPEATED_MAX: usize = 64;

/// Loki's push API.
pub(super) struct Loki;

#[async_trait]
impl Protocol for Loki {
    fn name(&self) -> &'static str {
        "loki"
    }

    fn routes(&self, pipeline: &Arc<Pipeline>) -> Option<Router> {
        let mut router = Router::new();
        for path in PATHS {
            router = router.route(path, any(push));
        }
        Some(router.with_state(Arc::clone(pipeline)))
    }
}

async fn push(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response {
    match handle(&pipeline, request).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn handle(pipeline: &Arc<Pipeline>, request: Request) -> Result<Response, Failure> {
    let admission = Admission::of(pipeline, &request, Loki.name(), &[Method::POST])?;
    let mut admission = admission.that_comes_again("");
    admission.within_quota()?;
    let is_protobuf = is_protobuf(request.headers());
    if is_protobuf && admission.encoding == Encoding::Identity {
        // Senders do not say that the body is compressed: it always is.
        admission.encoding = Encoding::Snappy;
    }
    let shipment = admission.read(request.into_body()).await?;
    let mut cut = shipment
        .cut(move |body, records| {
            if is_protobuf {
                take_protobuf(body, records)
            } else {
                take_json(body, records)
            }
            Ok(())
        })
        .await?;
    let delivery = cut.store().await?;
    if delivery.tally.accepted == 0 && delivery.tally.rejected > 0 {
        let durability = pipeline.durability();
        return Ok(answer::stored(delivery.stored.as_ref(), &delivery.tally, None, durability));
    }
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// Whether the body is Protocol Buffers by its content type.
fn is_protobuf(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.to_ascii_lowercase().starts_with("application/x-protobuf")
}

/// Takes the entries of a JSON body one by one.
fn take_json(body: &Bytes, records: &mut Records<'_>) {
    let text = same_length_text(body);
    let mut scanner = Scanner::new(&text);
    let mut taker = Taker { records, entries: 0 };
    let walked = each_member(&mut scanner, |scanner, key| {
        if key != "streams" {
            return scanner.skip_value(1).map(drop);
        }
        each_item(scanner, |scanner| taker.stream(scanner))
    });
    if let Err(malformed) = walked {
        let (code, reason) = (malformed.problem.code(), malformed.to_string());
        let rest = &body[scanner.pos.min(body.len())..];
        taker.records.reject(taker.entries + 1, rest, code, reason);
    }
}

struct Taker<'r, 'a> {
    records: &'r mut Records<'a>,
    entries: u64,
}

impl Taker<'_, '_> {
    /// One stream: its labels, then its entries. The entries may stand first.
    fn stream(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        let (mut labels, mut early) = (None, None);
        each_member(scanner, |scanner, key| match (key, &labels) {
            ("stream", _) => {
                let object = Some(scanner.skip_value(3)?).filter(|labels| is_object(labels));
                labels = object.map(Cow::Borrowed);
                Ok(())
            }
            ("labels", _) => {
                let said = string(scanner.skip_value(3)?);
                labels = said.map(|labels| Cow::Owned(object_of_labels(&labels)));
                Ok(())
            }
            ("values" | "entries", Some(labels)) => self.entries(scanner, labels),
            ("values" | "entries", None) => {
                early = Some(scanner.pos);
                scanner.skip_value(3).map(drop)
            }
            _ => scanner.skip_value(3).map(drop),
        })?;
        if let Some(pos) = early {
            let mut again = *scanner;
            again.pos = pos;
            self.entries(&mut again, &labels.unwrap_or_default())?;
        }
        Ok(())
    }

    fn entries(&mut self, scanner: &mut Scanner<'_>, labels: &str) -> Result<(), Malformed> {
        each_item(scanner, |scanner| {
            let entry = scanner.skip_value(4)?;
            self.entry(entry, labels);
            Ok(())
        })
    }

    /// `["nanoseconds", "line", {structured metadata}]`, or as senders of before Loki 1.0 have it,
    /// `{"ts": "RFC 3339", "line": "line"}`.
    fn entry(&mut self, entry: &str, labels: &str) {
        if self.records.is_full() {
            return;
        }
        self.entries += 1;
        let number = self.entries;
        let parts: Vec<_> = if is_object(entry) {
            let of = |name: &str| {
                members(entry).filter_map(Result::ok).find(|(key, _)| key == name).map(|(_, v)| v)
            };
            of("ts").into_iter().chain(of("line")).collect()
        } else {
            items(entry).take(3).filter_map(Result::ok).collect()
        };
        let (Some(at), Some(line)) = (parts.first(), parts.get(1).and_then(|line| string(line)))
        else {
            let reason = "an entry is `[\"nanoseconds\", \"line\"]`".to_owned();
            return self.records.reject(number, entry.as_bytes(), "not_an_entry", reason);
        };
        let at = string(at).unwrap_or(Cow::Borrowed(at));
        let metadata = parts.get(2).copied().filter(|metadata| is_object(metadata));
        let time = time_of(&at);
        let envelope = envelope_of(labels, metadata, time.is_none().then_some(&*at));
        let wrapped = Wrapped { envelope: &envelope, time, ..Wrapped::bare(line.as_bytes()) };
        self.records.take_wrapped(number, &wrapped);
    }
}

/// Nanoseconds since 1970, or what a sender takes for it.
fn time_of(digits: &str) -> Option<Timestamp> {
    time::from_integer(digits.parse().ok()?)
}

/// Labels and structured metadata, both whole objects, as one, with a time that cannot be read.
fn envelope_of<'t>(
    labels: &'t str,
    metadata: Option<&str>,
    unread_time: Option<&str>,
) -> Cow<'t, str> {
    if metadata.is_none() && unread_time.is_none() {
        return Cow::Borrowed(labels);
    }
    let mut envelope = Object::default();
    let metadata = metadata.unwrap_or_default();
    // Some clients say everything twice.
    let said_twice: Vec<_> = members(metadata).map_while(Result::ok).take(REPEATED_MAX).collect();
    for (key, value) in members(labels).map_while(Result::ok) {
        if !said_twice.contains(&(key.clone(), value)) {
            envelope.put(&key, value);
        }
    }
    for (key, value) in members(metadata).map_while(Result::ok) {
        envelope.put(&key, value);
    }
    if let Some(at) = unread_time {
        envelope.put_text("timestamp", at);
    }
    Cow::Owned(envelope.finish())
}

/// `PushRequest` of Loki's `push.proto`: streams (1).
fn take_protobuf(body: &Bytes, records: &mut Records<'_>) {
    let mut entries = 0;
    let mut streams = protobuf::fields(body);
    while let Some(field) = streams.next() {
        match field {
            Ok((1, stream)) => take_stream(stream.bytes(), &mut entries, records),
            Ok(_) => {}
            Err(broken) => {
                records.reject(entries + 1, streams.rest(), "invalid_protobuf", broken.to_string());
            }
        }
        if records.is_full() {
            return;
        }
    }
}

/// `StreamAdapter`: labels (1), entries (2).
fn take_stream(stream: &[u8], entries: &mut u64, records: &mut Records<'_>) {
    let labels = protobuf::fields(stream)
        .filter_map(Result::ok)
        .find(|(number, _)| *number == 1)
        .map(|(_, labels)| object_of_labels(&String::from_utf8_lossy(labels.bytes())))
        .unwrap_or_default();
    let mut fields = protobuf::fields(stream);
    while let Some(field) = fields.next() {
        let (bytes, taken) = match field {
            Ok((2, entry)) => {
                (entry.bytes(), take_entry(entry.bytes(), *entries + 1, &labels, records))
            }
            Ok(_) => continue,
            Err(broken) => (fields.rest(), Err(broken)),
        };
        *entries += 1;
        if let Err(broken) = taken {
            records.reject(*entries, bytes, "invalid_protobuf", broken.to_string());
        }
        if records.is_full() {
            return;
        }
    }
}

/// `EntryAdapter`: timestamp (1), line (2), structured metadata (3).
fn take_entry(
    entry: &[u8],
    number: u64,
    labels: &str,
    records: &mut Records<'_>,
) -> Result<(), Broken> {
    let (mut time, mut line, mut metadata) = (None, &[][..], Object::default());
    for field in protobuf::fields(entry) {
        match field? {
            (1, at) => time = timestamp(at)?,
            (2, said) => line = said.bytes(),
            (3, pair) => {
                let (name, value) = pair_of(pair)?;
                metadata.put_text(&name, &value);
            }
            _ => {}
        }
    }
    let metadata = metadata.finish();
    let metadata = Some(&*metadata).filter(|metadata| !metadata.is_empty());
    let envelope = envelope_of(labels, metadata, None);
    let wrapped = Wrapped { envelope: &envelope, time, ..Wrapped::bare(line) };
    records.take_wrapped(number, &wrapped);
    Ok(())
}

/// `google.protobuf.Timestamp`: seconds (1), nanoseconds (2).
fn timestamp(value: Value<'_>) -> Result<Option<Timestamp>, Broken> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    for field in protobuf::fields(value.bytes()) {
        match field? {
            (1, number) => seconds = number.number().cast_signed(),
            (2, number) => nanos = number.number().cast_signed(),
            _ => {}
        }
    }
    let whole = seconds.checked_mul(1_000_000_000).and_then(|whole| whole.checked_add(nanos));
    Ok(whole.filter(|nanos| *nanos > 0).map(Timestamp::from_nanos))
}

/// `LabelPairAdapter`: name (1), value (2).
fn pair_of(pair: Value<'_>) -> Result<(Cow<'_, str>, Cow<'_, str>), Broken> {
    let (mut name, mut said) = (Cow::default(), Cow::default());
    for field in protobuf::fields(pair.bytes()) {
        match field? {
            (1, value) => name = String::from_utf8_lossy(value.bytes()),
            (2, value) => said = String::from_utf8_lossy(value.bytes()),
            _ => {}
        }
    }
    Ok((name, said))
}

/// `{app="shop", env="prod"}` as a JSON object. What is not written so is kept whole.
fn object_of_labels(labels: &str) -> String {
    let mut object = Object::default();
    let inner = labels.trim().strip_prefix('{').and_then(|labels| labels.strip_suffix('}'));
    let mut rest = inner.unwrap_or(labels).trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        let Some((name, value, after)) = label(rest) else {
            object.put_text("labels", labels);
            return object.finish();
        };
        object.put_text(name, &value);
        rest = after.trim_start_matches([' ', ',']);
    }
    object.finish()
}

/// One `name="value"`, its value in Go's quotes, and what follows it.
fn label(text: &str) -> Option<(&str, String, &str)> {
    let (name, quoted) = text.split_once('=')?;
    let quoted = quoted.trim_start().strip_prefix('"')?;
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    loop {
        match letters.next()? {
            (end, '"') => return Some((name.trim(), value, &quoted[end + 1..])),
            (_, '\\') => match letters.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                'u' => {
                    let digits: String = letters.by_ref().take(4).map(|(_, c)| c).collect();
                    let point = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                    value.push(point.unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                other => value.push(other),
            },
            (_, other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_prometheus_writes_them() {
        for (labels, expected) in [
            (r#"{app="shop", env="prod"}"#, r#"{"app":"shop","env":"prod"}"#),
            (r#"{a="x,\"y\"\\\n\u00e9}",b=""}"#, r#"{"a":"x,\"y\"\\\né}","b":""}"#),
            ("{}", ""),
            ("{broken", r#"{"labels":"{broken"}"#),
            (r#"{a="x" b}"#, r#"{"a":"x","labels":"{a=\"x\" b}"}"#),
        ] {
            assert_eq!(object_of_labels(labels), expected, "{labels}");
        }
    }
}
