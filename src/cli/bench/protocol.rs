//! How a batch of the load is put into the form of a protocol.
//!
//! Input: lines of JSON. Output: what goes over the wire, and how its acknowledgement looks. Each
//! record is inside as it stands, so that every protocol brings the same events.

use clap::ValueEnum;
use serde_json::{Value, json};

/// How records are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Protocol {
    /// A thousand lines of JSON in each request.
    Ndjson,
    /// Elasticsearch bulk.
    Elastic,
    /// Splunk HEC.
    Splunk,
    /// Loki push, JSON.
    Loki,
    /// OpenTelemetry over HTTP, Protocol Buffers.
    Otlp,
    /// Datadog.
    Datadog,
    /// JSON lines over TCP, with acknowledgements.
    Json,
    /// Syslog over TCP, RFC 5424 with counted octets.
    Syslog,
    /// GELF over TCP: objects that end in NUL.
    Gelf,
    /// Fluent forward, with acknowledgements.
    Forward,
    /// Beats.
    Beats,
    /// RELP.
    Relp,
}

/// One batch on the wire.
pub(super) enum Packed {
    /// A request; the answer to a good one holds this text.
    Post { path: &'static str, kind: &'static str, body: Vec<u8>, answer: &'static str },
    /// A connection, until this is heard; without it, until the other side has taken everything.
    Stream { bytes: Vec<u8>, answer: Vec<u8> },
}

impl Protocol {
    /// The batch in this protocol.
    pub(super) fn pack(self, batch: &[u8], token: &str) -> Packed {
        let text = String::from_utf8_lossy(batch);
        let lines = || text.lines();
        let count = u32::try_from(lines().count()).unwrap_or(u32::MAX);
        let post = |path, body: String, answer| Packed::Post {
            path,
            kind: "application/json",
            body: body.into_bytes(),
            answer,
        };
        match self {
            Self::Ndjson => post("/api/v1/ingest", text.into_owned(), "\"rejected\":0"),
            Self::Elastic => {
                let body = lines().map(|line| format!("{{\"create\":{{}}}}\n{line}\n")).collect();
                post("/bench/_bulk", body, "\"errors\":false")
            }
            Self::Splunk => {
                let body = lines().map(|line| format!("{{\"event\":{line}}}")).collect();
                post("/services/collector", body, "\"code\":0")
            }
            Self::Loki => post("/loki/api/v1/push", loki(lines()), ""),
            Self::Otlp => {
                let kind = "application/x-protobuf";
                Packed::Post { path: "/v1/logs", kind, body: otlp(lines()), answer: "" }
            }
            Self::Datadog => {
                let messages: Vec<_> = lines().map(|line| json!({ "message": line })).collect();
                post("/api/v2/logs", Value::Array(messages).to_string(), "{}")
            }
            Self::Json => {
                let bytes = format!("{}\n{text}", json!({ "auth": token, "ack": true }));
                stream(bytes, format!("{{\"ack\":{count}}}\n"))
            }
            Self::Syslog => {
                stream(lines().map(|line| counted(&message(line))).collect::<String>(), "")
            }
            Self::Gelf => stream(lines().map(|line| format!("{line}\0")).collect::<String>(), ""),
            Self::Forward => forward(lines(), count),
            Self::Beats => beats(lines(), count),
            Self::Relp => relp(lines(), count),
        }
    }
}

fn stream(bytes: impl Into<Vec<u8>>, answer: impl Into<Vec<u8>>) -> Packed {
    Packed::Stream { bytes: bytes.into(), answer: answer.into() }
}

/// The time of a record: the first text in it that is one.
pub(super) fn time_of(line: &str) -> Option<logwarden_event::Timestamp> {
    line.split('"').find_map(logwarden_event::Timestamp::parse_rfc3339)
}

fn loki<'l>(lines: impl Iterator<Item = &'l str>) -> String {
    let value = |line: &str| {
        let nanos = time_of(line).map_or(0, |at| at.nanos());
        json!([nanos.to_string(), line])
    };
    json!({"streams": [{"stream": {}, "values": lines.map(value).collect::<Vec<_>>()}]}).to_string()
}

/// A text or message of Protocol Buffers.
fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut part = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        part.push(length as u8 | 0x80);
        length >>= 7;
    }
    part.push(length as u8);
    part.extend_from_slice(bytes);
    part
}

/// One resource (1), one scope (2) in it, records (2) in that, each with its text (1) as body (5).
fn otlp<'l>(lines: impl Iterator<Item = &'l str>) -> Vec<u8> {
    let record = |line: &str| part(2, &part(5, &part(1, line.as_bytes())));
    let records: Vec<u8> = lines.flat_map(record).collect();
    part(1, &part(2, &records))
}

fn message(line: &str) -> String {
    let at = time_of(line).map_or_else(|| "-".to_owned(), |at| at.to_string());
    format!("<14>1 {at} bench bench - - - {line}")
}

fn counted(message: &str) -> String {
    format!("{} {message}", message.len())
}

/// `[tag, packed entries, {chunk}]`, each entry with the record under `log`.
fn forward<'l>(lines: impl Iterator<Item = &'l str>, count: u32) -> Packed {
    let text = |text: &str| {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        [&[0xDB][..], &length, text.as_bytes()].concat()
    };
    let entry = |line: &str| [&[0x92, 0x00, 0x81][..], &text("log"), &text(line)].concat();
    let entries: Vec<u8> = lines.flat_map(entry).collect();
    let length = u32::try_from(entries.len()).unwrap_or(u32::MAX).to_be_bytes();
    // No two batches say the same, and so no two chunks.
    let chunk = text(&format!("{count}-{:08x}", hash_of(&entries)));
    let bytes =
        [&[0x93][..], &text("bench"), &[0xC6], &length, &entries, &[0x81], &text("chunk"), &chunk];
    stream(bytes.concat(), chunk)
}

/// Tells batches apart, no more (FNV-1a).
fn hash_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

fn beats<'l>(lines: impl Iterator<Item = &'l str>, count: u32) -> Packed {
    let mut bytes = [&b"2W"[..], &count.to_be_bytes()].concat();
    for (sequence, line) in (1u32..).zip(lines) {
        let length = u32::try_from(line.len()).unwrap_or(u32::MAX).to_be_bytes();
        bytes.extend([&b"2J"[..], &sequence.to_be_bytes(), &length, line.as_bytes()].concat());
    }
    stream(bytes, [&b"2A"[..], &count.to_be_bytes()].concat())
}

fn relp<'l>(lines: impl Iterator<Item = &'l str>, count: u32) -> Packed {
    let offers = "relp_version=0\ncommands=syslog";
    let mut bytes = format!("1 open {} {offers}\n", offers.len());
    for (number, line) in (2..).zip(lines) {
        let message = message(line);
        bytes.push_str(&format!("{number} syslog {} {message}\n", message.len()));
    }
    stream(bytes, format!("\n{} rsp 6 200 OK\n", count + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: &str = "{\"t\":\"2026-01-01T00:00:02Z\"}\n{\"b\":2}\n";

    fn shown(protocol: Protocol) -> (String, String) {
        match protocol.pack(BATCH.as_bytes(), "lw_t") {
            Packed::Post { path, body, .. } => {
                (path.to_owned(), String::from_utf8_lossy(&body).into_owned())
            }
            Packed::Stream { bytes, answer } => (
                String::from_utf8_lossy(&answer).into_owned(),
                String::from_utf8_lossy(&bytes).into_owned(),
            ),
        }
    }

    #[test]
    fn every_protocol_brings_every_record() {
        for protocol in Protocol::value_variants() {
            let (_, sent) = shown(*protocol);
            for record in BATCH.lines() {
                let quoted = Value::from(record).to_string();
                assert!(sent.contains(record) || sent.contains(&quoted), "{protocol:?}: {sent}");
            }
        }
    }

    #[test]
    fn what_stands_around_records_is_what_clients_send() {
        let check = |protocol, expected: &str, sent: &str| {
            assert_eq!(shown(protocol), (expected.to_owned(), sent.to_owned()));
        };
        let [first, second] = [&BATCH[..28], "{\"b\":2}"];
        check(
            Protocol::Elastic,
            "/bench/_bulk",
            &format!("{{\"create\":{{}}}}\n{first}\n{{\"create\":{{}}}}\n{second}\n"),
        );
        check(
            Protocol::Json,
            "{\"ack\":2}\n",
            &format!("{{\"ack\":true,\"auth\":\"lw_t\"}}\n{BATCH}"),
        );
        check(Protocol::Gelf, "", &format!("{first}\0{second}\0"));
        check(
            Protocol::Syslog,
            "",
            &format!(
                "73 <14>1 2026-01-01T00:00:02Z bench bench - - - {first}33 <14>1 - bench bench - - - {second}"
            ),
        );
        let (answer, sent) = shown(Protocol::Beats);
        assert_eq!((answer.as_str(), &sent[..8]), ("2A\0\0\0\u{2}", "2W\0\0\0\u{2}2J"));
        assert!(shown(Protocol::Relp).0.starts_with("\n3 rsp "));
    }
}
