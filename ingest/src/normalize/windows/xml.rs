//! The XML of Windows, which some shippers send where others send JSON.
//!
//! Input: `<Event xmlns=…>…</Event>` as what was said (NXLog, the OpenTelemetry Collector) or in a field
//! (Fluent Bit), or what stands inside an element of it (Promtail). Output: texts and attributes under the
//! names that the JSON of EVTX files has for them, such as `Event.System.Provider.#attributes.Name`, each
//! `Data` under its own name; of a name that stands twice the first one counts. Elements are taken as
//! they come: nothing is checked, fetched or expanded besides the five entities of XML and numbers. What
//! lies beyond the bounds, or behind a cut, stays in the record, and the event is flagged.

use std::borrow::Cow;

use logwarden_event::FieldOptions;

use super::super::reading::{Held, Reading, Text};
use super::super::source::Vocabulary;
use super::super::text::sysmon::unescape;
use super::super::{names, standard};

/// Texts and attributes of one event.
const LEAVES_MAX: usize = 300;
/// Elements inside each other.
const DEPTH_MAX: usize = 16;
/// Bytes of one name.
const NAME_BYTES_MAX: usize = 256;
/// Where Fluent Bit has the whole event.
const FIELD: &str = "System";
/// The logsource of what Sysmon for Linux writes, which was read as such.
const SYSMON_FOR_LINUX: &str = "linux//sysmon";
/// What only an event of Windows has, besides its number.
const PROVIDER: &str = "Event.System.Provider.#attributes.Name";
const EVENT_ID: [&str; 2] = ["Event.System.EventID", "Event.System.EventID.#text"];
/// The text of an event as Windows shows it, where the sender had it rendered.
const RENDERED: &str = "Event.RenderingInfo.Message";
/// Begins the names of what Windows itself says of an event, of which numbers are numbers.
const SYSTEM: &str = "Event.System.";

/// Reads the event that is the message of the record or its [`FIELD`]. False, and nothing changed, when there is
/// none.
pub(super) fn take(reading: &mut Reading<'_>) -> bool {
    let Some(whole) = find(reading) else { return false };
    let leaves = Leaves::of(reading, whole, "");
    if !leaves.has(PROVIDER) || !EVENT_ID.iter().any(|path| leaves.has(path)) {
        return false;
    }
    let is_message = whole == reading.content && !reading.is_json;
    let before = reading.entries.len();
    leaves.add(reading);
    if is_message
        && let Some(entry) =
            reading.entries[before..].iter().find(|entry| reading.str(entry.path) == RENDERED)
        && let Held::Text(text) = entry.value
        && !text.is_empty()
    {
        reading.message = text;
    }
    reading.kind = Vocabulary::get().named("windows").or(reading.kind);
    names::resolve(reading);
    true
}

/// Adds what stands inside an element whose path is `root`.
pub(super) fn open(reading: &mut Reading<'_>, inner: Text, root: &str) {
    Leaves::of(reading, inner, root).add(reading);
}

fn find(reading: &Reading<'_>) -> Option<Text> {
    if begins_event(reading.str(reading.content)) {
        // What has been understood as another event already only brings its XML along.
        let is_known = reading.has_class(SYSMON_FOR_LINUX)
            || reading.is_json && reading.first(standard::EVENT_CODE).is_some();
        return (!is_known).then_some(reading.content);
    }
    let may_be_field = reading.is_json && reading.kind.is_some_and(|kind| kind.name == "windows");
    match may_be_field.then(|| reading.sent(FIELD))?? {
        Held::Text(text) if begins_event(reading.str(text)) => Some(text),
        _ => None,
    }
}

fn begins_event(text: &str) -> bool {
    if !text.starts_with('<') {
        return false;
    }
    let text = match text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) => rest.trim_ascii_start(),
        None => text,
    };
    text.strip_prefix("<Event")
        .is_some_and(|rest| rest.starts_with(|next: char| next == '>' || next.is_whitespace()))
}

/// What elements and attributes say.
#[derive(Default)]
struct Leaves {
    found: Vec<(String, Value, FieldOptions)>,
    /// There was more, or the text ended in the middle.
    is_cut: bool,
}

enum Value {
    /// It stands so in the text.
    Part(Text),
    /// It was put together.
    Made(String),
    Number(i64),
}

/// An element that has not ended.
struct Element<'t> {
    /// Bytes of the path around it.
    outer: usize,
    text: Cow<'t, str>,
    has_elements: bool,
    has_attributes: bool,
    /// An item of a list, which has no name.
    is_item: bool,
    /// Its name is that of a `Data`.
    is_named: bool,
}

impl Leaves {
    /// Reads `whole`, which stands in the element whose path is `root`.
    fn of(reading: &Reading<'_>, whole: Text, root: &str) -> Self {
        let mut leaves = Self::default();
        let mut path = root.to_owned();
        let mut open: Vec<Element<'_>> = Vec::new();
        let mut steps = Steps { rest: reading.str(whole) };
        for step in steps.by_ref() {
            match step {
                Step::Begin { name, attributes, is_empty } => {
                    let is_full = open.len() >= DEPTH_MAX || leaves.found.len() >= LEAVES_MAX;
                    if is_full || name.len() > NAME_BYTES_MAX {
                        leaves.is_cut = true;
                        break;
                    }
                    if let Some(outer) = open.last_mut() {
                        outer.has_elements = true;
                    }
                    let element = leaves.begin(reading, whole, &mut path, (name, attributes));
                    if is_empty {
                        leaves.end(reading, whole, &mut path, element);
                    } else {
                        open.push(element);
                    }
                }
                Step::Text(text, is_verbatim) => {
                    if let Some(element) = open.last_mut() {
                        element.append(text, is_verbatim);
                    }
                }
                Step::End => {
                    let Some(element) = open.pop() else { break };
                    leaves.end(reading, whole, &mut path, element);
                    if open.is_empty() && root.is_empty() {
                        return leaves;
                    }
                }
            }
        }
        leaves.is_cut |= !open.is_empty() || !steps.rest.is_empty();
        // Of what was cut its beginning counts.
        while let Some(element) = open.pop() {
            leaves.end(reading, whole, &mut path, element);
        }
        leaves
    }

    fn begin<'t>(
        &mut self,
        reading: &Reading<'_>,
        whole: Text,
        path: &mut String,
        (name, said): (&str, &'t str),
    ) -> Element<'t> {
        let outer = path.len();
        let name = name.rsplit(':').next().unwrap_or(name);
        let own = attributes(said)
            .find(|(key, value)| {
                name == "Data" && *key == "Name" && (1..=NAME_BYTES_MAX).contains(&value.len())
            })
            .map(|(_, value)| value);
        if !path.is_empty() {
            path.push('.');
        }
        match own {
            Some(own) => unescape(own, path),
            None => path.push_str(name),
        }
        let mut has_attributes = false;
        if own.is_none() {
            for (key, value) in attributes(said) {
                if key.starts_with("xmlns") || value.is_empty() {
                    continue;
                }
                if self.found.len() >= LEAVES_MAX || key.len() > NAME_BYTES_MAX {
                    self.is_cut = true;
                    break;
                }
                has_attributes = true;
                let value = value_of(reading, whole, with_entities(value));
                let options = FieldOptions::default();
                self.found.push((format!("{path}.#attributes.{key}"), value, options));
            }
        }
        Element {
            outer,
            text: Cow::Borrowed(""),
            has_elements: false,
            has_attributes,
            is_item: name == "Data" && own.is_none(),
            is_named: own.is_some(),
        }
    }

    fn end(&mut self, reading: &Reading<'_>, whole: Text, path: &mut String, element: Element<'_>) {
        let is_known = element.is_named && self.has(path);
        let says = !element.text.is_empty()
            || !element.has_attributes && (element.is_named || !path.starts_with(SYSTEM));
        if says && !element.has_elements && !is_known {
            let number = || element.text.trim().parse().ok();
            let value = match path.starts_with(SYSTEM).then(number).flatten() {
                Some(number) => Value::Number(number),
                None => value_of(reading, whole, element.text),
            };
            let behind = if element.has_attributes { ".#text" } else { "" };
            let options =
                FieldOptions { is_array_item: element.is_item, ..FieldOptions::default() };
            self.found.push((format!("{path}{behind}"), value, options));
        }
        path.truncate(element.outer);
    }

    fn has(&self, wanted: &str) -> bool {
        self.found.iter().any(|(path, ..)| path == wanted)
    }

    fn add(self, reading: &mut Reading<'_>) {
        for (path, value, options) in self.found {
            let path = reading.keep(&path);
            let value = match value {
                Value::Part(text) => Held::Text(text),
                Value::Made(text) => Held::Text(reading.keep(&text)),
                Value::Number(number) => Held::Signed(number),
            };
            reading.push(path, value, options);
        }
        if self.is_cut {
            reading.flag("lw.truncated");
        }
    }
}

impl<'t> Element<'t> {
    fn append(&mut self, text: &'t str, is_verbatim: bool) {
        let text = if is_verbatim { Cow::Borrowed(text) } else { with_entities(text) };
        if self.text.is_empty() {
            self.text = text;
        } else {
            self.text.to_mut().push_str(&text);
        }
    }
}

fn with_entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    unescape(text, &mut out);
    Cow::Owned(out)
}

fn value_of(reading: &Reading<'_>, whole: Text, text: Cow<'_, str>) -> Value {
    match text {
        // An empty text may be a constant, which is no part of the event.
        Cow::Borrowed("") => Value::Part(Text::default()),
        Cow::Borrowed(part) => Value::Part(reading.part(whole, part)),
        Cow::Owned(made) => Value::Made(made),
    }
}

/// One piece of XML.
enum Step<'t> {
    Begin {
        name: &'t str,
        attributes: &'t str,
        is_empty: bool,
    },
    End,
    /// A text, and whether what looks like an entity in it is none.
    Text(&'t str, bool),
}

/// Goes through XML; what is none ends it.
struct Steps<'t> {
    rest: &'t str,
}

impl<'t> Iterator for Steps<'t> {
    type Item = Step<'t>;

    fn next(&mut self) -> Option<Step<'t>> {
        loop {
            let Some(tag) = self.rest.strip_prefix('<') else {
                let (text, rest) =
                    self.rest.split_at(self.rest.find('<').unwrap_or(self.rest.len()));
                self.rest = rest;
                return (!text.is_empty()).then_some(Step::Text(text, false));
            };
            if let Some(comment) = tag.strip_prefix("!--") {
                self.rest = comment.split_once("-->")?.1;
            } else if let Some(verbatim) = tag.strip_prefix("![CDATA[") {
                let (text, rest) = verbatim.split_once("]]>").unwrap_or((verbatim, ""));
                self.rest = rest;
                return Some(Step::Text(text, true));
            } else if let Some(instruction) = tag.strip_prefix('?') {
                self.rest = instruction.split_once("?>")?.1;
            } else {
                let end = end_of_tag(tag)?;
                let (inner, rest) = (&tag[..end], &tag[end + 1..]);
                self.rest = rest;
                if inner.starts_with('/') {
                    return Some(Step::End);
                }
                let (inner, is_empty) = match inner.strip_suffix('/') {
                    Some(inner) => (inner, true),
                    None => (inner, false),
                };
                let name = &inner[..inner.find(char::is_whitespace).unwrap_or(inner.len())];
                if !name.starts_with(|first: char| first.is_alphabetic() || first == '_') {
                    return None;
                }
                return Some(Step::Begin { name, attributes: &inner[name.len()..], is_empty });
            }
        }
    }
}

/// The `>` that stands in no quotes.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    tag.bytes().position(|byte| match quote {
        Some(open) => {
            if byte == open {
                quote = None;
            }
            false
        }
        None => {
            if matches!(byte, b'"' | b'\'') {
                quote = Some(byte);
            }
            byte == b'>'
        }
    })
}

/// Names and values, with their entities.
fn attributes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_ascii_start();
        let quote = after.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        let (value, behind) = after[1..].split_once(quote)?;
        rest = behind;
        Some((key.trim(), value))
    })
}
