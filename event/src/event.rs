//! One normalized event: a record's bytes, what was understood of it, and its compact binary form.
//!
//! An event owns one buffer: the record exactly as it was received, followed by the texts that do
//! not stand in the record letter for letter. Fields are (name, value) pairs that point into it, so
//! that most values cost no copy. [`Event::encode`] writes the form the journal keeps (version 1,
//! see `docs/JOURNAL.md`); [`Event::decode`] reads it back.
//!
//! An array is one field per item, marked; objects inside arrays appear once as [`Value::Json`] and
//! once more leaf by leaf, marked as inner, so that they can be searched.

mod buffer;
mod packed;
pub mod parts;

use smallvec::SmallVec;

use crate::class::Class;
use crate::field::{STANDARD_FIELDS, Value, standard_field};
use crate::id::{EventId, Position};
use crate::severity::Severity;
use crate::time::Timestamp;

use buffer::Buffer;
use packed::{ENTRY_BYTES_MAX, Reader, decode_entry, encode_entry, encode_span};
use parts::{Entry, Name, Packed, Span};

const FORMAT_VERSION: u8 = 1;
const FLAG_TIME_OBSERVED: u8 = 1;
/// Bytes of the binary form before the fields.
const HEAD_BYTES: usize = 3 + 8 + 2 * 4 + 4 * 8 + 4;
/// Room for texts that do not stand in the record, and for fields, where nobody said how much.
const EXTRA_BYTES: usize = 128;
const FIELDS: usize = 16;

/// What a field is besides its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FieldOptions {
    /// One item of an array; the items of one array follow each other.
    pub is_array_item: bool,
    /// A leaf of an object that is shown whole elsewhere: searched, not shown.
    pub is_inner: bool,
}

/// One field of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field<'a> {
    /// The dotted path: the standard name where there is one, else the sender's.
    pub path: &'a str,
    /// What the sender called it, where that differs.
    pub alias: Option<&'a str>,
    /// The value.
    pub value: Value<'a>,
    /// What it is besides.
    pub options: FieldOptions,
}

/// One normalized happening; immutable once it is in the journal.
#[derive(Debug, Clone)]
pub struct Event {
    id: EventId,
    observed_at: Timestamp,
    timestamp: Timestamp,
    time_is_observed: bool,
    severity: Severity,
    buffer: Buffer,
    raw_len: u32,
    source: Span,
    dataset: Span,
    class: Span,
    message: Span,
    fields: SmallVec<[Entry; 0]>,
}

/// Why bytes are not an event. Such a record is damaged or of a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A newer release wrote it.
    #[error("event has format {found}, this release reads up to {FORMAT_VERSION}")]
    Version {
        /// The version that stands there.
        found: u8,
    },
    /// It ends early or points outside itself.
    #[error("event is malformed at byte {offset}: {what}")]
    Malformed {
        /// Where reading stopped.
        offset: usize,
        /// What was expected there.
        what: &'static str,
    },
}

impl Event {
    /// The id; the default until the journal has given the event a position.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// The number in the journal's lane.
    pub fn seq(&self) -> u64 {
        self.id.position().seq
    }

    /// When it happened, by the sender's word where that can be believed.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// When we received it, by our clock; never goes backwards within a lane.
    pub fn observed_at(&self) -> Timestamp {
        self.observed_at
    }

    /// How bad the sender says it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The record exactly as received.
    pub fn raw(&self) -> &[u8] {
        &self.buffer.bytes()[..self.raw_len as usize]
    }

    /// The configured sender, from its credential or listener.
    pub fn source(&self) -> &str {
        self.text(self.source)
    }

    /// The kind of log, such as `sshd.auth`.
    pub fn dataset(&self) -> &str {
        self.text(self.dataset)
    }

    /// The logsource tuples.
    pub fn class(&self) -> Class<'_> {
        Class::new(self.text(self.class))
    }

    /// What happened, in words; empty when the sender gave none.
    pub fn message(&self) -> &str {
        self.text(self.message)
    }

    /// Every field, in the order they were found.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter().map(|entry| self.field(entry))
    }

    /// The value of the field in this place of [`Event::fields`].
    pub fn value_at(&self, place: usize) -> Option<Value<'_>> {
        self.fields.get(place).map(|entry| self.value(entry.value))
    }

    /// The values of the field that is called `path`, by either of its names.
    pub fn values<'a>(&'a self, path: &'a str) -> impl Iterator<Item = Value<'a>> {
        let place = standard_field(path);
        self.fields
            .iter()
            .filter(move |entry| {
                self.is_named(entry.name, place, path)
                    || entry.alias.is_some_and(|alias| self.is_named(alias, place, path))
            })
            .map(|entry| self.value(entry.value))
    }

    /// The first value of the field that is called `path`, by either of its names.
    pub fn value_of<'a>(&'a self, path: &'a str) -> Option<Value<'a>> {
        self.values(path).next()
    }

    /// Bytes this event keeps in memory, roughly.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.buffer.bytes().len() + self.fields.len() * size_of::<Entry>()
    }

    /// Gives the event its place and time in the journal.
    pub fn stamp(&mut self, position: Position, observed_at: Timestamp) {
        self.id = EventId::at(position, observed_at);
        self.observed_at = observed_at;
        if self.time_is_observed {
            self.timestamp = observed_at;
        }
    }

    /// Bytes that [`Event::encode`] takes at most, told without looking at the fields.
    pub fn encoded_bytes_max(&self) -> usize {
        HEAD_BYTES + (self.fields.len() + 1) * ENTRY_BYTES_MAX + self.buffer.bytes().len()
    }

    /// Appends the binary form to `out`. Position and `observed_at` are not in it: the journal's
    /// record header has them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let buffer = self.buffer.bytes();
        out.push(FORMAT_VERSION);
        out.push(if self.time_is_observed { FLAG_TIME_OBSERVED } else { 0 });
        out.push(self.severity.rank());
        out.extend_from_slice(&self.timestamp.nanos().to_le_bytes());
        out.extend_from_slice(&self.raw_len.to_le_bytes());
        out.extend_from_slice(&(buffer.len() as u32).to_le_bytes());
        for span in [self.source, self.dataset, self.class, self.message] {
            encode_span(span, out);
        }
        out.extend_from_slice(&(self.fields.len() as u32).to_le_bytes());
        for entry in &self.fields {
            encode_entry(entry, out);
        }
        out.extend_from_slice(buffer);
    }

    /// Reads the binary form.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when a newer release wrote it or it is damaged.
    pub fn decode(
        payload: &[u8],
        position: Position,
        observed_at: Timestamp,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader { bytes: payload, offset: 0 };
        let version = reader.u8()?;
        if version != FORMAT_VERSION {
            return Err(DecodeError::Version { found: version });
        }
        let time_is_observed = reader.u8()? & FLAG_TIME_OBSERVED != 0;
        let severity = Severity::from_rank(reader.u8()?).ok_or(reader.malformed("severity"))?;
        let timestamp = Timestamp::from_nanos(i64::from_le_bytes(reader.array()?));
        let raw_len = reader.u32()?;
        let buffer_len = reader.u32()?;
        let [source, dataset, class, message] =
            [reader.span()?, reader.span()?, reader.span()?, reader.span()?];
        let count = reader.u32()? as usize;
        // A field takes at least four bytes, so a damaged count cannot ask for much memory.
        if count > payload.len() / 4 {
            return Err(reader.malformed("number of fields"));
        }
        let mut fields = SmallVec::with_capacity(count);
        for _ in 0..count {
            fields.push(decode_entry(&mut reader)?);
        }
        if payload.len() - reader.offset != buffer_len as usize || raw_len > buffer_len {
            return Err(reader.malformed("length of the buffer"));
        }
        let buffer = Buffer::from(payload[reader.offset..].to_vec());
        let mut event = Self {
            id: EventId::default(),
            observed_at,
            timestamp,
            time_is_observed,
            severity,
            buffer,
            raw_len,
            source,
            dataset,
            class,
            message,
            fields,
        };
        event.check_spans()?;
        event.stamp(position, observed_at);
        Ok(event)
    }

    /// Every span must be text inside the buffer, so that reading them later cannot fail.
    fn check_spans(&self) -> Result<(), DecodeError> {
        let names = |entry: &Entry| [Some(entry.name), entry.alias];
        let spans = self.fields.iter().flat_map(|entry| {
            let value = match entry.value {
                Packed::String(span) | Packed::Json(span) => Some(span),
                _ => None,
            };
            names(entry)
                .into_iter()
                .filter_map(|name| match name {
                    Some(Name::Text(span)) => Some(span),
                    _ => None,
                })
                .chain(value)
        });
        for span in [self.source, self.dataset, self.class, self.message].into_iter().chain(spans) {
            if self.buffer.text(span).is_none() {
                return Err(DecodeError::Malformed {
                    offset: span.start as usize,
                    what: "text inside the buffer",
                });
            }
        }
        Ok(())
    }

    fn is_named(&self, name: Name, place: Option<u16>, path: &str) -> bool {
        match name {
            Name::Standard(standard) => Some(standard) == place,
            Name::Text(span) => self.text(span) == path,
        }
    }

    fn field(&self, entry: &Entry) -> Field<'_> {
        Field {
            path: self.name(entry.name),
            alias: entry.alias.map(|alias| self.name(alias)),
            value: self.value(entry.value),
            options: entry.options,
        }
    }

    fn name(&self, name: Name) -> &str {
        match name {
            Name::Standard(place) => STANDARD_FIELDS[usize::from(place)].name,
            Name::Text(span) => self.text(span),
        }
    }

    fn value(&self, packed: Packed) -> Value<'_> {
        match packed {
            Packed::Null => Value::Null,
            Packed::Bool(value) => Value::Bool(value),
            Packed::Integer(value) => Value::Integer(i128::from(value)),
            Packed::Unsigned(value) => Value::Integer(i128::from(value)),
            Packed::Float(value) => Value::Float(value),
            Packed::String(span) => Value::String(self.text(span)),
            Packed::Ip(value) => Value::Ip(value),
            Packed::Timestamp(value) => Value::Timestamp(value),
            Packed::Json(span) => Value::Json(self.text(span)),
        }
    }

    fn text(&self, span: Span) -> &str {
        self.buffer.text(span).expect("spans are checked when an event is built or decoded")
    }
}

/// Builds an event from a record.
///
/// Texts handed in that are slices of the record given to [`EventBuilder::new`] (by address) are
/// pointed at, all others are copied.
#[derive(Debug)]
pub struct EventBuilder<'r> {
    record: &'r [u8],
    /// The record, where it is text.
    text: Option<&'r str>,
    extra: String,
    timestamp: Option<Timestamp>,
    severity: Severity,
    source: Span,
    dataset: Span,
    class: Span,
    message: Span,
    fields: SmallVec<[Entry; 0]>,
}

impl<'r> EventBuilder<'r> {
    /// Starts with the record's bytes, at most 4 GiB less what is added.
    pub fn new(record: &'r [u8]) -> Self {
        let text = std::str::from_utf8(record).ok();
        Self { text, ..Self::with_room(record, FIELDS, EXTRA_BYTES) }
    }

    /// Starts with a record that is text, and room for so many fields and so many bytes that do not
    /// stand in it.
    pub fn of_text(text: &'r str, fields: usize, extra_bytes: usize) -> Self {
        Self { text: Some(text), ..Self::with_room(text.as_bytes(), fields, extra_bytes) }
    }

    fn with_room(record: &'r [u8], fields: usize, extra_bytes: usize) -> Self {
        Self {
            record,
            text: None,
            extra: String::with_capacity(extra_bytes),
            timestamp: None,
            severity: Severity::default(),
            source: Span::default(),
            dataset: Span::default(),
            class: Span::default(),
            message: Span::default(),
            fields: SmallVec::with_capacity(fields),
        }
    }

    /// When it happened; without it the event takes its `observed_at`.
    pub fn timestamp(&mut self, timestamp: Option<Timestamp>) -> &mut Self {
        self.timestamp = timestamp;
        self
    }

    /// How bad it is.
    pub fn severity(&mut self, severity: Severity) -> &mut Self {
        self.severity = severity;
        self
    }

    /// The configured sender.
    pub fn source(&mut self, source: &str) -> &mut Self {
        self.source = self.keep(source);
        self
    }

    /// The kind of log.
    pub fn dataset(&mut self, dataset: &str) -> &mut Self {
        self.dataset = self.keep(dataset);
        self
    }

    /// The logsource tuples.
    pub fn class(&mut self, class: Class<'_>) -> &mut Self {
        self.class = self.keep(class.as_str());
        self
    }

    /// What happened, in words.
    pub fn message(&mut self, message: &str) -> &mut Self {
        self.message = self.keep(message);
        self
    }

    /// The message so far.
    pub fn current_message(&self) -> &str {
        self.text(self.message)
    }

    /// Adds a field under one name.
    pub fn field(&mut self, path: &str, value: Value<'_>) -> &mut Self {
        self.field_with(path, None, value, FieldOptions::default())
    }

    /// Adds a field under its standard name and the sender's.
    pub fn field_with(
        &mut self,
        path: &str,
        alias: Option<&str>,
        value: Value<'_>,
        options: FieldOptions,
    ) -> &mut Self {
        let name = self.keep_name(path);
        let alias = alias.filter(|alias| *alias != path);
        self.push(name, alias, value, options)
    }

    /// Adds a field whose texts stand in the record, or were kept by [`EventBuilder::keep`].
    pub fn entry(&mut self, entry: Entry) -> &mut Self {
        self.fields.push(entry);
        self
    }

    /// An alias is kept letter for letter: it is hardly ever a standard name itself, and asking costs
    /// more than the letters.
    fn push(
        &mut self,
        name: Name,
        alias: Option<&str>,
        value: Value<'_>,
        options: FieldOptions,
    ) -> &mut Self {
        let alias = alias.map(|alias| Name::Text(self.keep(alias)));
        let value = self.pack(value);
        self.fields.push(Entry { name, alias, value, options });
        self
    }

    /// Whether a field of this name was added, by either of its names.
    pub fn has_field(&self, path: &str) -> bool {
        let place = standard_field(path);
        self.fields.iter().any(|entry| {
            [Some(entry.name), entry.alias].into_iter().flatten().any(|name| match name {
                Name::Standard(standard) => Some(standard) == place,
                Name::Text(span) => self.text(span) == path,
            })
        })
    }

    /// The first value added under this name, when it is text.
    pub fn string_field(&self, path: &str) -> Option<&str> {
        let place = standard_field(path);
        self.fields.iter().find_map(|entry| {
            let is_named =
                [Some(entry.name), entry.alias].into_iter().flatten().any(|name| match name {
                    Name::Standard(standard) => Some(standard) == place,
                    Name::Text(span) => self.text(span) == path,
                });
            match entry.value {
                Packed::String(span) if is_named => Some(self.text(span)),
                _ => None,
            }
        })
    }

    /// Number of fields so far.
    pub fn field_count(&self) -> usize {
        self.fields.len()
    }

    /// Finishes the event; the journal gives it id and `observed_at` later.
    pub fn build(self) -> Event {
        let buffer_len = self.record.len() + self.extra.len();
        let buffer = match self.text {
            Some(text) => {
                let mut buffer = String::with_capacity(buffer_len);
                buffer.push_str(text);
                buffer.push_str(&self.extra);
                Buffer::Text(buffer.into())
            }
            None => {
                let mut buffer = Vec::with_capacity(buffer_len);
                buffer.extend_from_slice(self.record);
                buffer.extend_from_slice(self.extra.as_bytes());
                Buffer::Bytes(buffer.into())
            }
        };
        Event {
            id: EventId::default(),
            observed_at: Timestamp::default(),
            timestamp: self.timestamp.unwrap_or_default(),
            time_is_observed: self.timestamp.is_none(),
            severity: self.severity,
            buffer,
            raw_len: u32::try_from(self.record.len()).expect("a record is far below 4 GiB"),
            source: self.source,
            dataset: self.dataset,
            class: self.class,
            message: self.message,
            fields: self.fields,
        }
    }

    /// A name: a standard one where it is one, else its letters.
    pub fn keep_name(&mut self, name: &str) -> Name {
        standard_field(name).map_or_else(|| Name::Text(self.keep(name)), Name::Standard)
    }

    /// Where a text stands: in the record, or among the texts beside it, to which it is added.
    pub fn keep(&mut self, text: &str) -> Span {
        let record = self.record.as_ptr_range();
        let given = text.as_bytes().as_ptr_range();
        let start = if !text.is_empty() && record.start <= given.start && given.end <= record.end {
            given.start as usize - record.start as usize
        } else {
            let start = self.record.len() + self.extra.len();
            self.extra.push_str(text);
            start
        };
        Span {
            start: u32::try_from(start).expect("an event is far below 4 GiB"),
            len: u32::try_from(text.len()).expect("an event is far below 4 GiB"),
        }
    }

    fn text(&self, span: Span) -> &str {
        let (start, end) = (span.start as usize, (span.start + span.len) as usize);
        match (start.checked_sub(self.record.len()), self.text) {
            (Some(extra), _) => &self.extra[extra..end - self.record.len()],
            (None, Some(text)) => &text[start..end],
            (None, None) => {
                std::str::from_utf8(&self.record[start..end]).expect("spans were made from text")
            }
        }
    }

    fn pack(&mut self, value: Value<'_>) -> Packed {
        match value {
            Value::Null => Packed::Null,
            Value::Bool(value) => Packed::Bool(value),
            Value::Integer(value) => match (i64::try_from(value), u64::try_from(value)) {
                (Ok(value), _) => Packed::Integer(value),
                (_, Ok(value)) => Packed::Unsigned(value),
                _ => Packed::String(self.keep(&value.to_string())),
            },
            Value::Float(value) => Packed::Float(value),
            Value::String(value) => Packed::String(self.keep(value)),
            Value::Ip(value) => Packed::Ip(value.to_canonical()),
            Value::Timestamp(value) => Packed::Timestamp(value),
            Value::Json(value) => Packed::Json(self.keep(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT: Position = Position { lane: 0, seq: 7 };

    fn round_trip(event: &Event) -> Event {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        assert!(bytes.len() <= event.encoded_bytes_max());
        Event::decode(&bytes, AT, Timestamp::from_secs(9)).expect("own encoding")
    }

    #[test]
    fn an_event_comes_back_with_its_record_and_both_names() {
        let record = br#"{"src":{"ip":"10.2.0.9"},"n":18446744073709551615}"#;
        let text = std::str::from_utf8(record).expect("ASCII");
        let mut builder = EventBuilder::new(record);
        builder.source("shop").dataset("shop.auth").message(&text[2..5]).severity(Severity::Error);
        builder.class(Class::new("/authentication/"));
        let ip = Value::Ip("10.2.0.9".parse().expect("an address"));
        builder.field_with("source.ip", Some("src.ip"), ip, FieldOptions::default());
        builder.field("n", Value::Integer(i128::from(u64::MAX)));
        let event = round_trip(&builder.build());

        assert_eq!(event.raw(), record);
        assert_eq!(event.message(), "src");
        assert_eq!(event.values("src.ip").collect::<Vec<_>>(), [ip]);
        assert_eq!(event.values("source.ip").collect::<Vec<_>>(), [ip]);
        assert_eq!(event.value_of("n"), Some(Value::Integer(i128::from(u64::MAX))));
        assert_eq!(event.timestamp(), Timestamp::from_secs(9), "no time of its own");
        assert_eq!(event.seq(), 7);
        assert_eq!((event.source(), event.dataset()), ("shop", "shop.auth"));
    }

    proptest! {
        #[test]
        fn decoding_survives_every_byte_string(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut versioned = vec![FORMAT_VERSION];
            versioned.extend(&bytes);
            for candidate in [bytes, versioned] {
                let _ = Event::decode(&candidate, AT, Timestamp::default());
            }
        }

        #[test]
        fn a_flipped_byte_never_panics(place in 0usize..200, value in any::<u8>()) {
            let mut builder = EventBuilder::new(b"some record");
            builder.message("other text").field("a.b", Value::String("c")).field("event.action", Value::Null);
            let mut bytes = Vec::new();
            builder.build().encode(&mut bytes);
            let place = place % bytes.len();
            bytes[place] = value;
            if let Ok(event) = Event::decode(&bytes, AT, Timestamp::default()) {
                let _ = event.fields().map(|field| field.value.to_string()).collect::<Vec<_>>();
            }
        }
    }
}
