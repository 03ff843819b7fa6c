//! From a record to an event: pure, and without a map or a tree per record.
//!
//! Input: the bytes a sender shipped, where they came from, and the present. Output: an [`Event`]
//! that holds them byte for byte, with standard names, time, severity, dataset and class. An
//! envelope is taken off first (JSON, syslog or plain text), names are resolved, then each of
//! [`PARSERS`] looks for what it knows. No record is refused: what cannot be understood is kept
//! and found as text.

pub(crate) mod json;
pub(crate) mod reading;
pub(crate) mod scan;
pub(crate) mod secret;
pub(crate) mod time;

mod authentication;
mod flatted;
mod journal;
mod logsource;
mod names;
mod pam;
mod source;
mod sshd;
mod standard;
mod syslog;
mod text;
mod trace;
mod windows;
mod words;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono_tz::Tz;
use logwarden_event::{Event, STANDARD_FIELDS, Timestamp};

use crate::enrich::Enrichment;
use reading::{Held, Reading};
use scan::Malformed;
use secret::Masked;

/// Every parser, in the order in which they look at a record.
static PARSERS: &[&dyn Parser] = &[
    &sshd::Sshd,
    &pam::Pam,
    &text::Lines,
    &windows::Windows,
    &source::Sources,
    &logsource::Logsource,
    &authentication::Authentication,
];

/// Understands one kind of record, after its envelope was taken off.
trait Parser: Sync {
    /// The name, for the list of parsers.
    fn name(&self) -> &'static str;

    /// Adds what it understands; false when the record is not its own.
    fn parse(&self, reading: &mut Reading<'_>) -> bool;
}

/// The names of the parsers, in the order in which they look at a record.
pub fn parser_names() -> impl Iterator<Item = &'static str> {
    PARSERS.iter().map(|parser| parser.name())
}

/// Where a record came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The configured sender, from its credential or listener, never from the record.
    pub source: String,
    /// The address of the sender's connection.
    pub peer: Option<IpAddr>,
    /// The protocol, such as `http_json`.
    pub protocol: &'static str,
    /// The zone of times that name none.
    pub zone: Tz,
    /// What looks like a secret is replaced before anything is kept.
    pub mask_secrets: bool,
    /// The sender may send again what it has not heard of, so that its events say by which protocol
    /// and from where they came.
    pub comes_again: bool,
}

impl Origin {
    /// Records of `source` with times in UTC, from nowhere in particular.
    pub fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            peer: None,
            protocol: "none",
            zone: Tz::UTC,
            mask_secrets: false,
            comes_again: false,
        }
    }
}

/// Makes events of records. Holds nothing, so it is free to clone; what each thread remembers of the
/// records it read changes nothing but the time it takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Normalizer;

impl Normalizer {
    /// Makes an event of any record: JSON where it is an object, syslog where it begins as such,
    /// else text.
    pub fn normalize(&self, record: &[u8], origin: &Origin, now: Timestamp) -> Event {
        self.normalize_wrapped(&Wrapped::bare(record), origin, now)
            .expect("only an envelope can be malformed here, and there is none")
    }

    /// Makes an event of a record inside what its sender's protocol puts around it.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the content has to be a JSON object and is none, or the envelope is none.
    pub(crate) fn normalize_wrapped(
        &self,
        wrapped: &Wrapped<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Event, Malformed> {
        self.normalize_with(None, wrapped, origin, now)
    }

    /// The same with what is known besides the record.
    ///
    /// # Errors
    ///
    /// As [`Normalizer::normalize_wrapped`].
    pub(crate) fn normalize_with(
        &self,
        known: Option<&Enrichment>,
        wrapped: &Wrapped<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Event, Malformed> {
        if !origin.mask_secrets {
            return self.normalize_plain(known, wrapped, None, origin, now);
        }
        let is_bare = std::ptr::eq(wrapped.record, wrapped.content);
        let record = if is_bare || origin.comes_again {
            secret::mask(wrapped.record)
        } else {
            secret::mask_with(wrapped.record, &[wrapped.content, wrapped.envelope.as_bytes()])
        };
        let content = if is_bare { None } else { secret::mask(wrapped.content) };
        let envelope = secret::mask(wrapped.envelope.as_bytes());
        let bytes = |masked: &'_ Option<Masked>, plain: &'_ [u8]| {
            masked.as_ref().map_or_else(|| plain.to_vec(), |masked| masked.bytes.clone())
        };
        // In a record of several lines a secret may stand otherwise than in what is understood of it.
        let inner = if is_bare { &record } else { &content };
        let understood = Masked::both(inner.as_ref(), envelope.as_ref());
        let Some(listed) = understood.as_ref().or(record.as_ref()) else {
            return self.normalize_plain(known, wrapped, None, origin, now);
        };
        let kept = bytes(&record, wrapped.record);
        let said = if is_bare { Vec::new() } else { bytes(&content, wrapped.content) };
        let around = bytes(&envelope, wrapped.envelope.as_bytes());
        let masked = Wrapped {
            record: &kept,
            content: if is_bare { &kept } else { &said },
            envelope: std::str::from_utf8(&around).expect("masks stand between letters"),
            ..*wrapped
        };
        self.normalize_plain(known, &masked, Some(listed), origin, now)
    }

    /// `masked`: what was replaced in the record.
    fn normalize_plain(
        &self,
        known: Option<&Enrichment>,
        wrapped: &Wrapped<'_>,
        masked: Option<&Masked>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Event, Malformed> {
        let text = text_of(wrapped.content);
        if let Some(object) = flatted::object_of(&text) {
            let wrapped = Wrapped { content: object.as_bytes(), ..*wrapped };
            let reading = open(&wrapped, (&object, now), origin)?;
            return Ok(finish(reading, known, wrapped.record, masked));
        }
        let reading = open(wrapped, (&text, now), origin)?;
        Ok(finish(reading, known, wrapped.record, masked))
    }

    /// What finds the standard fields of a record as it would be read now: the name of the source file that names the
    /// field, or of the parser that adds it. What has its name by general knowledge alone is not there.
    pub fn found_by(
        &self,
        record: &[u8],
        origin: &Origin,
        now: Timestamp,
    ) -> BTreeMap<&'static str, &'static str> {
        let mut found = BTreeMap::new();
        let text = text_of(record);
        let text = flatted::object_of(&text).map_or(text, Cow::Owned);
        let record = text.as_bytes();
        let Ok(mut reading) = open(&Wrapped::bare(record), (&text, now), origin) else {
            return found;
        };
        open_message(&mut reading);
        for parser in PARSERS {
            let before = reading.entries.len();
            parser.parse(&mut reading);
            let by = match (parser.name(), reading.kind) {
                // These two do what the source file says.
                ("text" | "sources", Some(kind)) => kind.name,
                (name, _) => name,
            };
            let added = reading.entries.iter().skip(before).filter_map(Reading::standard_of);
            found.extend(added.map(|place| (STANDARD_FIELDS[usize::from(place)].name, by)));
        }
        found.extend(source::named_by_file(&reading));
        found
    }
}

/// A record inside what its sender's protocol puts around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wrapped<'w> {
    /// The bytes that are kept.
    pub(crate) record: &'w [u8],
    /// What is to be understood: a part of the record, or what it says once its quoting is taken
    /// off.
    pub(crate) content: &'w [u8],
    /// The content has to be one JSON object.
    pub(crate) must_be_json: bool,
    /// A JSON object whose members become fields beside those of the content; empty for none.
    pub(crate) envelope: &'w str,
    /// When it happened by the word of the protocol, which counts more than that of the content.
    pub(crate) time: Option<Timestamp>,
    /// Of how many records it was joined; 0 and 1: it came as one.
    pub(crate) joined: u32,
    /// Its last line has not ended.
    pub(crate) is_partial: bool,
}

impl<'w> Wrapped<'w> {
    /// A record with nothing around it.
    pub(crate) const fn bare(record: &'w [u8]) -> Self {
        Self {
            record,
            content: record,
            must_be_json: false,
            envelope: "",
            time: None,
            joined: 0,
            is_partial: false,
        }
    }
}

/// The record as text: itself, or with replacements where it is no UTF-8. Records are nearly always
/// text, so that is tried by itself.
pub(crate) fn text_of(record: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(record).map_or_else(|_| String::from_utf8_lossy(record), Cow::Borrowed)
}

/// `text` is `content` itself unless bytes had to be replaced.
fn start<'a>(content: &[u8], text: &'a str, origin: &'a Origin, now: Timestamp) -> Reading<'a> {
    let mut reading = Reading::new(text, origin, now);
    if text.as_ptr() != content.as_ptr() {
        reading.flag("lw.invalid_utf8");
    }
    if [SYSLOG_UDP, GELF_UDP].contains(&origin.protocol) {
        reading.add_text("lw.protocol", origin.protocol);
    } else if origin.comes_again {
        reading.add_text("lw.protocol", origin.protocol);
        if let Some(peer) = origin.peer {
            reading.add_text("lw.peer", &peer.to_string());
        }
    }
    reading
}

/// Events of these protocols carry their name: datagrams get lost and their sender can be forged.
pub(crate) const SYSLOG_UDP: &str = "syslog_udp";
pub(crate) const GELF_UDP: &str = "gelf_udp";

/// Takes the envelope off a record and resolves the names of what is in it.
fn open<'a>(
    wrapped: &Wrapped<'_>,
    (text, now): (&'a str, Timestamp),
    origin: &'a Origin,
) -> Result<Reading<'a>, Malformed> {
    if wrapped.must_be_json {
        return open_json(wrapped, (text, now), origin);
    }
    if text.trim_ascii_start().starts_with('{')
        && let Ok(reading) = open_json(wrapped, (text, now), origin)
    {
        return Ok(reading);
    }
    let mut reading = start(wrapped.content, text, origin, now);
    if !syslog::parse(&mut reading) {
        reading.message = Reading::of_record(0, text.trim_ascii_end().len());
    }
    open_envelope(&mut reading, wrapped)?;
    names::resolve(&mut reading);
    Ok(reading)
}

fn open_json<'a>(
    wrapped: &Wrapped<'_>,
    (text, now): (&'a str, Timestamp),
    origin: &'a Origin,
) -> Result<Reading<'a>, Malformed> {
    let mut reading = start(wrapped.content, text, origin, now);
    json::flatten(&mut reading, 0, text.len())?;
    reading.is_json = true;
    open_envelope(&mut reading, wrapped)?;
    names::resolve(&mut reading);
    Ok(reading)
}

/// Adds what was said around the record.
fn open_envelope(reading: &mut Reading<'_>, wrapped: &Wrapped<'_>) -> Result<(), Malformed> {
    if wrapped.joined > 1 {
        reading.add("lw.joined", Held::Signed(wrapped.joined.into()));
    }
    if wrapped.is_partial {
        reading.flag("lw.partial");
    }
    if !wrapped.envelope.is_empty() {
        json::flatten_beside(reading, wrapped.envelope)?;
    }
    if let Some(at) = wrapped.time {
        reading.time_is_given = true;
        names::accept_time(reading, at, |at| at.to_string());
    }
    Ok(())
}

/// A message of a container runtime or a journal may be a record of its own.
fn open_message(reading: &mut Reading<'_>) {
    journal::spell_message(reading);
    let line = if reading.is_json && !json::take_inner(reading) {
        syslog::read_message(reading)
    } else {
        None
    };
    reading.content = line.unwrap_or(reading.message);
    if line.is_some() || reading.kind.is_some_and(|kind| kind.name == "journald") {
        syslog::name_kind(reading);
    }
}

fn finish(
    mut reading: Reading<'_>,
    known: Option<&Enrichment>,
    record: &[u8],
    masked: Option<&Masked>,
) -> Event {
    open_message(&mut reading);
    for parser in PARSERS {
        parser.parse(&mut reading);
    }
    trace::describe(&mut reading);
    words::settle(&mut reading);
    if let Some(known) = known {
        known.apply(&mut reading);
    }
    match masked {
        Some(masked) => secret::list_masked(&mut reading, masked),
        None => secret::list(&mut reading),
    }
    reading.build(record)
}

#[cfg(test)]
mod tests;
