//! An event taken apart, for those who keep events in another form and must give back the same ones.
//!
//! [`Event::parts`] shows the buffer and everything that points into it; [`Event::from_parts`] puts
//! an event together again and refuses spans that are no text of the buffer.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::buffer::Buffer;
use super::{DecodeError, Event, FieldOptions};
use crate::id::{EventId, Position};
use crate::severity::Severity;
use crate::time::Timestamp;

/// Bytes `start .. start + len` of an event's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// How many bytes.
    pub len: u32,
}

/// A field's name: a standard one by its place in the list, any other by its letters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Name {
    /// A place in [`STANDARD_FIELDS`](crate::STANDARD_FIELDS).
    Standard(u16),
    /// Letters in the buffer.
    Text(Span),
}

/// A value; texts lie in the buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Packed {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A whole number above `i64::MAX`.
    Unsigned(u64),
    /// A finite number.
    Float(f64),
    /// Text.
    String(Span),
    /// An address.
    Ip(IpAddr),
    /// An instant.
    Timestamp(Timestamp),
    /// What is shown as it was sent.
    Json(Span),
}

/// One field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// The standard name where there is one, else the sender's.
    pub name: Name,
    /// What the sender called it, where that differs.
    pub alias: Option<Name>,
    /// The value.
    pub value: Packed,
    /// What it is besides.
    pub options: FieldOptions,
}

/// Everything an event consists of but its position and `observed_at`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts<'a> {
    /// When it happened; `None` when that is `observed_at`.
    pub timestamp: Option<Timestamp>,
    /// How bad it is.
    pub severity: Severity,
    /// The record, then the texts that do not stand in it.
    pub buffer: &'a [u8],
    /// Bytes of the record.
    pub raw_len: u32,
    /// The configured sender.
    pub source: Span,
    /// The kind of log.
    pub dataset: Span,
    /// The logsource tuples.
    pub class: Span,
    /// What happened, in words.
    pub message: Span,
    /// The fields.
    pub fields: &'a [Entry],
}

impl Event {
    /// The event taken apart.
    pub fn parts(&self) -> Parts<'_> {
        Parts {
            timestamp: (!self.time_is_observed).then_some(self.timestamp),
            severity: self.severity,
            buffer: self.buffer.bytes(),
            raw_len: self.raw_len,
            source: self.source,
            dataset: self.dataset,
            class: self.class,
            message: self.message,
            fields: &self.fields,
        }
    }

    /// Puts an event together.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] when a span is no text of the buffer, or the record is longer than
    /// the buffer.
    pub fn from_parts(
        parts: &Parts<'_>,
        position: Position,
        observed_at: Timestamp,
    ) -> Result<Self, DecodeError> {
        if parts.raw_len as usize > parts.buffer.len() {
            return Err(DecodeError::Malformed { offset: 0, what: "length of the record" });
        }
        let mut event = Self {
            id: EventId::default(),
            observed_at,
            timestamp: parts.timestamp.unwrap_or_default(),
            time_is_observed: parts.timestamp.is_none(),
            severity: parts.severity,
            buffer: Buffer::from(parts.buffer.to_vec()),
            raw_len: parts.raw_len,
            source: parts.source,
            dataset: parts.dataset,
            class: parts.class,
            message: parts.message,
            fields: SmallVec::from_slice(parts.fields),
        };
        event.check_spans()?;
        event.stamp(position, observed_at);
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventBuilder, Value};

    #[test]
    fn an_event_taken_apart_is_put_together_again_and_a_wrong_span_is_refused() {
        let mut builder = EventBuilder::new(b"a record");
        builder.message("other text").field("a.b", Value::String("c"));
        let mut event = builder.build();
        let at = Position { lane: 0, seq: 7 };
        event.stamp(at, Timestamp::from_secs(9));
        let parts = event.parts();
        let again = Event::from_parts(&parts, at, event.observed_at()).expect("its own parts");
        assert_eq!((again.parts(), again.id()), (parts, event.id()));
        let outside = Span { start: 3, len: 999 };
        assert!(
            Event::from_parts(&Parts { message: outside, ..parts }, at, Timestamp::MAX).is_err()
        );
        assert!(Event::from_parts(&Parts { raw_len: 999, ..parts }, at, Timestamp::MAX).is_err());
    }
}
