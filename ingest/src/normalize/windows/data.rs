//! Names of what a Windows event says, where its shipper hides them from rules.
//!
//! Input: the fields of an event as the sender named them. Output: the same values once more under
//! the names that rules use: without blanks (Defender's `New Value`), without what stands around a name
//! in lower case (`param1`) or the element of `UserData`, those of `Data` with attributes, and `Data`
//! itself where Winlogbeat counts what has no name. Each of Sysmon's hashes has a name of its own. At
//! most [`NAMED_MAX`] names of an event; what the sender named stays as it is.

use std::borrow::Cow;

use logwarden_event::FieldOptions;

use super::super::names;
use super::super::reading::{Entry, Held, Reading};
use super::xml;
use crate::protocol::members::{items, members, string};

/// Names that are added to one event.
const NAMED_MAX: usize = 100;
/// What an event says, by the shipper that sent it.
const DATA: [&str; 3] = ["Event.EventData.", "winlog.event_data.", "EventData."];
/// The same of Winlogbeat before version 7 and of the OpenTelemetry Collector, where nothing but its names is known to
/// rules.
const OLD_DATA: &str = "event_data.";
/// Where the collector lists `{"NAME":"VALUE"}`.
const PAIRS: &str = "event_data.data";
/// What Promtail and Alloy have as XML in a text.
const MARKUP: [&str; 2] = ["event_data", "user_data"];
/// What EvtxECmd puts all that an event says into, as a text of JSON.
const PAYLOAD: &str = "Payload";
/// What an event of a provider with elements of its own says, before the name of the element.
const USER_DATA: [&str; 4] = ["Event.UserData.", "winlog.user_data.", "UserData.", "user_data."];
/// What Winlogbeat calls an item without a name, before its number.
const COUNTED: &str = "winlog.event_data.param";
/// What rules call all items without a name together.
const UNNAMED: &str = "winlog.event_data.Data";
/// Where Sysmon's `SHA1=…,MD5=…` stands; that of a stream has the other name.
const HASHES: [&str; 8] = [
    "Event.EventData.Hashes",
    "Event.EventData.Hash",
    "winlog.event_data.Hashes",
    "winlog.event_data.Hash",
    "EventData.Hashes",
    "EventData.Hash",
    "Hashes",
    "Hash",
];
/// The hashes that Sysmon knows.
const HASH_KINDS: [&str; 4] = ["md5", "sha1", "sha256", "imphash"];
/// Sysmon's event of a process; those of other events are of a file.
const PROCESS_STARTED: i64 = 1;
/// What an item of a list of `Data` has its name and its value under.
const LISTED: [(&str, &str); 3] = [("@Name", "#text"), ("Name", "Value"), ("Name", "#text")];

/// Adds plain names for what is hidden.
pub(super) fn name_plainly(reading: &mut Reading<'_>) {
    open_markup(reading);
    let mut found: Vec<(String, Said)> = Vec::new();
    for entry in &reading.entries {
        if entry.is_dropped || entry.path.is_empty() || found.len() >= NAMED_MAX {
            continue;
        }
        let path = reading.str(entry.path);
        if let Some((place, name, said)) = datum(reading, entry) {
            found.extend(shortened(&name).map(|name| (name, said.clone())));
            found.push((format!("{place}{name}"), said));
        } else if let Some(name) = plain_name(path) {
            found.push((name, Said::Held(entry.value, entry.options)));
        }
        match (path.strip_prefix(OLD_DATA), entry.value) {
            (Some(_), Held::Json(item)) if path == PAIRS => {
                let pair = pair_of(reading.str(item));
                found.extend(pair.map(|(name, value)| (name, Said::Text(value))));
            }
            (Some(name), value) if !entry.options.is_inner => {
                found.push((name.replace(' ', ""), Said::Held(value, entry.options)));
            }
            _ => {}
        }
        if path.strip_prefix(COUNTED).is_some_and(|number| number.parse::<u16>().is_ok()) {
            found.push((UNNAMED.to_owned(), Said::Held(entry.value, entry.options)));
        }
    }
    found.extend(of_payload(reading).into_iter().take(NAMED_MAX));
    if found.is_empty() {
        return;
    }
    for (name, said) in found {
        let path = reading.keep(&name);
        let (value, options) = match said {
            Said::Held(value, options) => (value, options),
            Said::Text(text) => (Held::Text(reading.keep(&text)), FieldOptions::default()),
        };
        reading.push(path, value, options);
    }
    names::resolve(reading);
}

/// Adds each hash that Sysmon has of a process or file, in lower case as lists of indicators have them.
pub(super) fn name_hashes(reading: &mut Reading<'_>, id: i64) {
    let Some(hashes) = HASHES.iter().find_map(|path| reading.sent_str(path)) else { return };
    let owner = if id == PROCESS_STARTED { "process" } else { "file" };
    let hashes: Vec<_> = hashes
        .split(',')
        .filter_map(|hash| {
            let (kind, value) = hash.split_once('=')?;
            let kind = HASH_KINDS.iter().find(|known| known.eq_ignore_ascii_case(kind.trim()))?;
            Some((format!("{owner}.hash.{kind}"), value.trim().to_ascii_lowercase()))
        })
        .take(HASH_KINDS.len())
        .collect();
    for (name, value) in hashes {
        if reading.sent(&name).is_none() {
            let (path, value) = (reading.keep(&name), reading.keep(&value));
            reading.push(path, Held::Text(value), FieldOptions::default());
        }
    }
}

/// Takes apart what stands as XML in a text.
fn open_markup(reading: &mut Reading<'_>) {
    for name in MARKUP {
        let Some(Held::Text(markup)) = reading.sent(name) else { continue };
        if !reading.str(markup).trim_ascii_start().starts_with('<') {
            continue;
        }
        xml::open(reading, markup, name);
        // Elsewhere the source is not who wrote the event.
        if let Some(source @ Held::Text(_)) = reading.sent("source") {
            reading.add_missing("event.provider", source);
        }
    }
}

/// What stands under a name.
#[derive(Clone)]
enum Said {
    /// A value of the event.
    Held(Held, FieldOptions),
    /// The text of an item.
    Text(String),
}

/// The plain name of `path`, when it is hidden.
fn plain_name(path: &str) -> Option<String> {
    let after = |places: &[&str]| places.iter().find_map(|place| path.strip_prefix(*place));
    if let Some(name) = after(&USER_DATA) {
        let is_attribute = name.contains(['#', '@']) || name.contains("_attributes.");
        let name = name.rsplit('.').next()?;
        return (!is_attribute).then(|| name.replace(' ', ""));
    }
    shortened(after(&DATA)?)
}

/// A name of Windows as rules have it, when it is not one that they look for in its place: those are in
/// camel case.
fn shortened(name: &str) -> Option<String> {
    let is_hidden =
        name.contains(' ') || name.starts_with(|first: char| first.is_ascii_lowercase());
    (is_hidden && !name.contains('.')).then(|| name.replace(' ', ""))
}

/// An item of a list of `Data`, or the only one: where it stands, its name, and what it says. Items that
/// have no name are called `Data` together, as they are where nothing but their texts stands in the list.
fn datum<'r>(reading: &'r Reading<'_>, entry: &Entry) -> Option<(&'r str, String, Said)> {
    let path = reading.str(entry.path);
    if let (Some(place), Held::Json(item)) = (path.strip_suffix("Data"), entry.value) {
        let found = found_in(place)?;
        let (name, value) = item_of(reading.str(item))?;
        return Some((found, name, Said::Text(value)));
    }
    let place = path.strip_suffix("Data.#text")?;
    let found = found_in(place)?;
    if entry.options.is_inner {
        return None;
    }
    let names = ["Data.@Name", "Data.#attributes.Name"].map(|name| format!("{place}{name}"));
    let name = names.iter().find_map(|name| reading.sent_str(name)).unwrap_or("Data");
    Some((found, name.to_owned(), Said::Held(entry.value, entry.options)))
}

/// The items of EvtxECmd's payload, `{"EventData":{"Data":[{"@Name":…,"#text":…}]}}`; one alone is no list.
fn of_payload(reading: &Reading<'_>) -> Vec<(String, Said)> {
    let Some(payload) = reading.sent_str(PAYLOAD).filter(|text| text.starts_with('{')) else {
        return Vec::new();
    };
    let under = |outer: &str, wanted: &str| -> Option<String> {
        let found = members(outer).map_while(Result::ok).find(|(key, _)| key == wanted)?;
        Some(found.1.to_owned())
    };
    let data = under(payload, "EventData").and_then(|data| under(&data, "Data"));
    let Some(data) = data else { return Vec::new() };
    let listed: Vec<_> = match data.starts_with('[') {
        true => items(&data).map_while(Result::ok).collect(),
        false => vec![&*data],
    };
    let named = listed.into_iter().filter_map(item_of);
    named.map(|(name, value)| (name.replace(' ', ""), Said::Text(value))).collect()
}

/// Where rules find the items of the `Data` at this place: in it, and of an element of `UserData` by
/// their names alone.
fn found_in(place: &str) -> Option<&str> {
    if DATA.contains(&place) {
        return Some(place);
    }
    USER_DATA.iter().any(|outer| place.starts_with(outer)).then_some("")
}

/// Name and value of an item of a list of `Data`, which also has its name as `#attributes`.
fn item_of(item: &str) -> Option<(String, String)> {
    let mut known = Vec::new();
    for member in members(item) {
        let (key, value) = member.ok()?;
        if key == "#attributes" {
            let inner = members(value).filter_map(Result::ok);
            known.extend(inner.map(|(key, value)| (key.into_owned(), value)));
        } else {
            known.push((key.into_owned(), value));
        }
    }
    let under = |wanted: &str| {
        let (_, value) = known.iter().find(|(key, _)| key == wanted)?;
        scalar(value)
    };
    LISTED.iter().find_map(|(name, value)| {
        let (name, value) = (under(name)?, under(value)?);
        Some((name.into_owned(), value.into_owned()))
    })
}

/// The only member of an item: its name and what it says. What has no name is called `Data`.
fn pair_of(item: &str) -> Option<(String, String)> {
    let mut pair = members(item).map_while(Result::ok);
    let (name, value) = pair.next()?;
    let name = if name.is_empty() { "Data" } else { &*name };
    pair.next().is_none().then_some(())?;
    Some((name.replace(' ', ""), scalar(value)?.into_owned()))
}

/// What a value says that is a string, a number or a truth value, which are told as they were sent.
fn scalar(value: &str) -> Option<Cow<'_, str>> {
    let is_plain = value.starts_with(|first: char| matches!(first, '-' | '0'..='9' | 't' | 'f'));
    if is_plain { Some(Cow::Borrowed(value)) } else { string(value) }
}
