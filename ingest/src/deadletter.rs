//! Dead letters: records that could not become events of their sender, kept as events of ours.
//!
//! Input: the record, or its beginning when it is too long, and what is wrong with it. Output: an
//! event of dataset `logwarden.deadletter` that holds the bytes as they came.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use logwarden_event::{Event, EventBuilder, Severity, Value};

use crate::normalize::Origin;

/// The dataset of dead letters.
pub const DEAD_LETTER_DATASET: &str = "logwarden.deadletter";

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// The line of the batch, or of the connection, from 1 on.
    pub(crate) line: u64,
    pub(crate) code: &'static str,
    pub(crate) reason: String,
    /// Bytes the record had; more than are kept when it was too long.
    pub(crate) size_bytes: usize,
}

/// Makes the event that keeps `record`.
pub(crate) fn make(record: &[u8], rejection: &Rejection, origin: &Origin) -> Event {
    let mut builder = EventBuilder::new(record);
    builder.severity(Severity::Warning).source(&origin.source).dataset(DEAD_LETTER_DATASET);
    // The record is searched as text, the reason as a field.
    if let Ok(text) = std::str::from_utf8(record) {
        builder.message(text);
    } else {
        builder.message(&String::from_utf8_lossy(record));
        builder.field("lw.raw_base64", Value::String(&STANDARD.encode(record)));
    }
    builder.field("lw.reason", Value::String(&rejection.reason));
    builder.field("lw.code", Value::String(rejection.code));
    builder.field("lw.line", Value::Integer(i128::from(rejection.line)));
    builder.field("lw.protocol", Value::String(origin.protocol));
    if let Some(peer) = origin.peer {
        builder.field("lw.peer", Value::String(&peer.to_string()));
    }
    if rejection.size_bytes > record.len() {
        builder.field("lw.truncated", Value::Bool(true));
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_keeps_the_bytes_and_says_why() {
        let mut origin = Origin::new("shop");
        origin.peer = Some("10.0.0.1".parse().expect("an address"));
        let rejection =
            Rejection { line: 17, code: "invalid_json", reason: "why".into(), size_bytes: 9 };
        let event = make(b"{\xFF", &rejection, &origin);
        assert_eq!(event.raw(), b"{\xFF");
        assert_eq!((event.source(), event.dataset()), ("shop", DEAD_LETTER_DATASET));
        let said: Vec<_> =
            event.fields().map(|field| format!("{}={}", field.path, field.value)).collect();
        let expected = [
            "lw.raw_base64=e/8=",
            "lw.reason=why",
            "lw.code=invalid_json",
            "lw.line=17",
            "lw.protocol=none",
            "lw.peer=10.0.0.1",
            "lw.truncated=true",
        ];
        assert_eq!(said, expected);
    }
}
