//! What is known of one record while it is being understood: a small arena of fields.
//!
//! Texts lie in the record or, when they do not stand there letter for letter, in one scratch
//! string; fields are pairs of such places, so that no field costs an allocation. Envelopes
//! (JSON, syslog) add what the sender said; [`super::names`] finds the standard names; parsers read
//! and add; [`Reading::build`] makes the event.

use std::net::IpAddr;

use logwarden_event::parts::{self, Name, Packed, Span};
use logwarden_event::{
    Class, Event, EventBuilder, FieldOptions, STANDARD_FIELDS, Severity, Timestamp, is_own_name,
    standard_field,
};

use super::Origin;
use super::names::table::Slot;
use super::source::Source;

/// Fields of one event; what lies beyond becomes `lw.overflow` (security requirement).
pub(crate) const FIELDS_MAX: usize = 1_000;
/// Classes of one event; a parser adds a handful.
const CLASSES_MAX: usize = 16;
/// Room for source, dataset and classes of an event.
const NAMES_BYTES: usize = 128;
/// Stands where a field has no standard name.
const NOT_STANDARD: u16 = u16::MAX;

/// A text of the arena: bytes of the record, or beyond its end, of the scratch string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Text {
    start: u32,
    len: u32,
}

impl Text {
    pub(crate) const fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// One value of the arena.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Held {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(Text),
    Json(Text),
    Ip(IpAddr),
}

/// Whether a name was looked for among those we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Looked {
    /// Not yet.
    #[default]
    No,
    /// We do not know it.
    Unknown,
    /// We know what stands behind its wrapper of so many bytes.
    Known { skip: u8, slot: u16 },
}

/// One field: the sender's name, the standard one where there is one, and the value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// The sender's path; empty when a parser of ours found the field.
    pub(crate) path: Text,
    pub(crate) looked: Looked,
    standard: u16,
    pub(crate) value: Held,
    pub(crate) options: FieldOptions,
    /// It is not part of the event: a key that came again, or a time that was used.
    pub(crate) is_dropped: bool,
}

impl Entry {
    /// Takes its standard name away; the sender's stays.
    pub(crate) fn forget_standard(&mut self) {
        self.standard = NOT_STANDARD;
    }
}

/// A field whose name we know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    index: u32,
    /// Bytes of the wrapper before the name.
    pub(crate) skip: u8,
    pub(crate) slot: &'static Slot,
}

impl Known {
    pub(crate) fn new(index: usize, skip: u8, slot: &'static Slot) -> Self {
        Self { index: bound(index), skip, slot }
    }

    /// The place of the field.
    pub(crate) const fn index(&self) -> usize {
        self.index as usize
    }
}

/// One record while it is being understood.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    /// The record as text; invalid UTF-8 was replaced.
    text: &'a str,
    scratch: String,
    pub(crate) entries: Vec<Entry>,
    /// Standard names that some field has or had, one bit each.
    present: u128,
    pub(crate) origin: &'a Origin,
    pub(crate) now: Timestamp,
    pub(crate) timestamp: Option<Timestamp>,
    /// The protocol said when it happened: what the record says about it is a field like others.
    pub(crate) time_is_given: bool,
    pub(crate) severity: Option<Severity>,
    pub(crate) message: Text,
    /// Fields from here on may say what happened: those before are of an envelope that was opened.
    pub(crate) message_from: usize,
    /// What the program itself said: the message, or the end of it when it is a whole syslog line.
    pub(crate) content: Text,
    dataset: Text,
    classes: Vec<&'static str>,
    /// Fields that may say what was done.
    pub(crate) actions: Vec<usize>,
    /// Fields that may say how it ended.
    pub(crate) outcomes: Vec<usize>,
    /// Fields whose names we know.
    pub(crate) known: Vec<Known>,
    /// Whose record it is, as far as a source file tells.
    pub(crate) kind: Option<&'static Source>,
    /// The record began as JSON.
    pub(crate) is_json: bool,
    /// The message was a JSON object, and was read as one.
    pub(crate) has_inner: bool,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(text: &'a str, origin: &'a Origin, now: Timestamp) -> Self {
        Self {
            text,
            scratch: String::with_capacity(256),
            entries: Vec::with_capacity(32),
            present: 0,
            origin,
            now,
            timestamp: None,
            time_is_given: false,
            severity: None,
            message: Text::default(),
            message_from: 0,
            content: Text::default(),
            dataset: Text::default(),
            classes: Vec::new(),
            actions: Vec::new(),
            outcomes: Vec::new(),
            known: Vec::with_capacity(32),
            kind: None,
            is_json: false,
            has_inner: false,
        }
    }

    /// The record.
    pub(crate) const fn record(&self) -> &'a str {
        self.text
    }

    /// What `text` says.
    #[inline]
    pub(crate) fn str(&self, text: Text) -> &str {
        let (start, end) = (text.start as usize, (text.start + text.len) as usize);
        match start.checked_sub(self.text.len()) {
            Some(start) => &self.scratch[start..end - self.text.len()],
            None => &self.text[start..end],
        }
    }

    /// Bytes `start..end` of the record.
    pub(crate) fn of_record(start: usize, end: usize) -> Text {
        Text { start: bound(start), len: bound(end - start) }
    }

    /// Where `text` stands in the record, if it does.
    pub(crate) fn range_of(&self, text: Text) -> Option<std::ops::Range<usize>> {
        let (start, end) = (text.start as usize, (text.start + text.len) as usize);
        (end <= self.text.len()).then_some(start..end)
    }

    /// `part`, which must be a slice of what `whole` says.
    pub(crate) fn part(&self, whole: Text, part: &str) -> Text {
        let offset = part.as_ptr() as usize - self.str(whole).as_ptr() as usize;
        Text { start: whole.start + bound(offset), len: bound(part.len()) }
    }

    /// Keeps a text that stands nowhere in the record.
    pub(crate) fn keep(&mut self, text: &str) -> Text {
        self.keep_with(|scratch| scratch.push_str(text))
    }

    /// Keeps what `write` appends.
    pub(crate) fn keep_with(&mut self, write: impl FnOnce(&mut String)) -> Text {
        let start = self.scratch.len();
        write(&mut self.scratch);
        Text { start: bound(self.text.len() + start), len: bound(self.scratch.len() - start) }
    }

    /// Keeps `prefix` followed by what `end` says.
    pub(crate) fn join(&mut self, prefix: &str, end: Text) -> Text {
        let start = self.scratch.len();
        self.scratch.push_str(prefix);
        let (first, last) = (end.start as usize, (end.start + end.len) as usize);
        match first.checked_sub(self.text.len()) {
            None => self.scratch.push_str(&self.text[first..last]),
            Some(first) => {
                let end = self.scratch[first..last - self.text.len()].to_owned();
                self.scratch.push_str(&end);
            }
        }
        Text { start: bound(self.text.len() + start), len: bound(self.scratch.len() - start) }
    }

    /// Adds a field as the sender named it.
    #[inline]
    pub(crate) fn push(&mut self, path: Text, value: Held, options: FieldOptions) {
        self.entries.push(Entry {
            path,
            looked: Looked::No,
            standard: NOT_STANDARD,
            value,
            options,
            is_dropped: false,
        });
    }

    /// Adds a field that a parser found, under its standard name.
    pub(crate) fn add(&mut self, name: &'static str, value: Held) {
        let Some(standard) = standard_field(name) else {
            debug_assert!(false, "`{name}` is a standard field");
            return;
        };
        let options = FieldOptions::default();
        let path = Text::default();
        self.present |= 1 << standard;
        let looked = Looked::Unknown;
        self.entries.push(Entry { path, looked, standard, value, options, is_dropped: false });
    }

    /// Adds a text that a parser found, under its standard name; an empty one is not added.
    pub(crate) fn add_text(&mut self, name: &'static str, text: &str) {
        if !text.is_empty() {
            let text = self.keep(text);
            self.add(name, Held::Text(text));
        }
    }

    /// Adds a constant or a part of the record under a standard name, unless there is one already.
    pub(crate) fn add_missing(&mut self, name: &'static str, value: Held) {
        if standard_field(name).is_some_and(|place| self.first(place).is_none()) {
            self.add(name, value);
        }
    }

    /// Gives the field at `index` its standard name.
    pub(crate) fn set_standard(&mut self, index: usize, place: u16) {
        self.present |= 1 << place;
        self.entries[index].standard = place;
    }

    /// Takes the standard name at `place` from all that have it; what the sender said stays under its own name.
    pub(crate) fn release(&mut self, place: u16) {
        for entry in self.entries.iter_mut().filter(|entry| entry.standard == place) {
            entry.forget_standard();
            entry.is_dropped |= entry.path.is_empty();
        }
    }

    /// The sender's path of the first value under the standard name.
    pub(crate) fn path_of(&self, place: u16) -> Option<&str> {
        self.live().find(|entry| entry.standard == place).map(|entry| self.str(entry.path))
    }

    /// The place of the standard name of `entry`.
    pub(crate) fn standard_of(entry: &Entry) -> Option<u16> {
        (entry.standard != NOT_STANDARD).then_some(entry.standard)
    }

    /// Whether some field has the standard name, or had it.
    pub(crate) fn may_have(&self, place: u16) -> bool {
        self.present & (1 << place) != 0
    }

    /// The first value under the standard name.
    pub(crate) fn first(&self, place: u16) -> Option<Held> {
        if !self.may_have(place) {
            return None;
        }
        self.live().find(|entry| entry.standard == place).map(|entry| entry.value)
    }

    /// The first value under the standard name, when it is text.
    pub(crate) fn first_text(&self, place: u16) -> Option<Text> {
        match self.first(place) {
            Some(Held::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The first value the sender gave under exactly this path.
    pub(crate) fn sent(&self, path: &str) -> Option<Held> {
        self.live().find(|entry| self.str(entry.path) == path).map(|entry| entry.value)
    }

    /// The text the sender gave under exactly this path.
    pub(crate) fn sent_str(&self, path: &str) -> Option<&str> {
        match self.sent(path) {
            Some(Held::Text(text)) => Some(self.str(text)),
            _ => None,
        }
    }

    /// The texts under the standard name.
    pub(crate) fn standard_texts(&self, place: u16) -> impl Iterator<Item = &str> {
        self.live().filter_map(move |entry| match entry.value {
            Held::Text(text) if entry.standard == place => Some(self.str(text)),
            _ => None,
        })
    }

    fn live(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.is_dropped && !entry.options.is_inner)
    }

    /// Adds a logsource tuple, once.
    pub(crate) fn add_class(&mut self, tuple: &'static str) {
        if self.classes.len() < CLASSES_MAX && !self.classes.contains(&tuple) {
            self.classes.push(tuple);
        }
    }

    /// Whether a parser added this logsource tuple.
    pub(crate) fn has_class(&self, tuple: &str) -> bool {
        self.classes.contains(&tuple)
    }

    /// Whether a parser added any logsource tuple.
    pub(crate) fn has_classes(&self) -> bool {
        !self.classes.is_empty()
    }

    /// Takes back a logsource tuple that a better one replaces.
    pub(crate) fn retract_class(&mut self, tuple: &str) {
        self.classes.retain(|known| *known != tuple);
    }

    /// Where the arena ends, to [`Reading::rewind`] to.
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.entries.len(), self.scratch.len())
    }

    /// Forgets what was added since [`Reading::mark`].
    pub(crate) fn rewind(&mut self, (entries, scratch): (usize, usize)) {
        self.entries.truncate(entries);
        self.scratch.truncate(scratch);
    }

    /// The dataset, when one was found.
    pub(crate) fn dataset(&self) -> &str {
        self.str(self.dataset)
    }

    /// Names the dataset; names of our own are not for senders.
    pub(crate) fn set_dataset(&mut self, dataset: Text) {
        let name = self.str(dataset);
        if !name.is_empty() && name.len() <= 256 && !is_own_name(name) {
            self.dataset = dataset;
        }
    }

    /// Sets a flag such as `lw.time_suspect`, once.
    pub(crate) fn flag(&mut self, name: &'static str) {
        self.add_missing(name, Held::Bool(true));
    }

    /// Makes the event of `record`, whose text this reading is of.
    pub(crate) fn build(self, record: &[u8]) -> Event {
        let extra_bytes = self.scratch.len() + NAMES_BYTES;
        // The record is nearly always what was read, which is known to be text.
        let is_text = std::ptr::eq(record, self.text.as_bytes());
        let text = if is_text { Some(self.text) } else { std::str::from_utf8(record).ok() };
        let mut builder = match text {
            Some(text) => EventBuilder::of_text(text, self.entries.len(), extra_bytes),
            None => EventBuilder::new(record),
        };
        builder.timestamp(self.timestamp);
        builder.severity(self.severity.unwrap_or_default());
        builder.source(&self.origin.source);
        builder.dataset(match self.dataset() {
            // Names of our own are not for senders, whatever their source is called.
            "" if is_own_name(&self.origin.source) => "",
            "" => &self.origin.source,
            dataset => dataset,
        });
        if !self.classes.is_empty() {
            builder.class(Class::new(&self.classes.join(";")));
        }
        builder.message(self.str(self.message));
        for entry in self.entries.iter().filter(|entry| !entry.is_dropped) {
            self.build_field(&mut builder, entry, is_text);
        }
        builder.build()
    }

    /// Adds a field; `is_text`: the record is the text that was read.
    fn build_field(&self, builder: &mut EventBuilder<'_>, entry: &Entry, is_text: bool) {
        let sent = self.str(entry.path);
        let (name, alias) = if let Some(place) = Self::standard_of(entry) {
            let is_other = !sent.is_empty() && sent != STANDARD_FIELDS[usize::from(place)].name;
            let alias = is_other.then(|| Name::Text(self.place(builder, entry.path, is_text)));
            (Name::Standard(place), alias)
        } else if sent == "lw" || sent.starts_with("lw.") {
            // What we say about an event must not be sayable by its sender.
            (builder.keep_name(&format!("sent.{sent}")), None)
        } else if entry.looked == Looked::Unknown {
            (Name::Text(self.place(builder, entry.path, is_text)), None)
        } else {
            (builder.keep_name(sent), None)
        };
        let value = match entry.value {
            Held::Null => Packed::Null,
            Held::Bool(value) => Packed::Bool(value),
            Held::Signed(value) => Packed::Integer(value),
            Held::Unsigned(value) => {
                i64::try_from(value).map_or(Packed::Unsigned(value), Packed::Integer)
            }
            Held::Float(value) => Packed::Float(value),
            Held::Text(text) => Packed::String(self.place(builder, text, is_text)),
            Held::Json(text) => Packed::Json(self.place(builder, text, is_text)),
            Held::Ip(value) => Packed::Ip(value.to_canonical()),
        };
        builder.entry(parts::Entry { name, alias, value, options: entry.options });
    }

    /// Where a text stands in the event: where it stands here, unless it is not of the record.
    fn place(&self, builder: &mut EventBuilder<'_>, text: Text, is_text: bool) -> Span {
        match self.range_of(text) {
            Some(_) if is_text && !text.is_empty() => Span { start: text.start, len: text.len },
            _ => builder.keep(self.str(text)),
        }
    }
}

fn bound(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a record and its scratch are far below 4 GiB")
}
