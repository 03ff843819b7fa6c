//! Names of what a Windows event says, where its shipper hides them from rules.
//!
//! Input: the fields of an event as the sender named them. Output: the same values once more under
//! the names that rules use: without blanks (Defender's `New Value`), without what stands around a name
//! in lower case (`param1`) or the element of `UserData`, and those of `Data` with attributes. At most
//! [`NAMED_MAX`] of an event; what the sender named stays as it is.

use logwarden_event::FieldOptions;

use super::super::names;
use super::super::reading::{Entry, Held, Reading};
use crate::protocol::members::{members, string};

/// Names that are added to one event.
const NAMED_MAX: usize = 100;
/// What an event says, by the shipper that sent it.
const DATA: [&str; 3] = ["Event.EventData.", "winlog.event_data.", "EventData."];
/// What an event of a provider with elements of its own says, before the name of the element.
const USER_DATA: [&str; 3] = ["Event.UserData.", "winlog.user_data.", "UserData."];
/// What an item of a list of `Data` has its name and its value under.
const LISTED: [(&str, &str); 3] = [("@Name", "#text"), ("Name", "Value"), ("Name", "#text")];

/// Adds plain names for what is hidden.
pub(super) fn name_plainly(reading: &mut Reading<'_>) {
    let mut found: Vec<(String, Said)> = Vec::new();
    for entry in &reading.entries {
        if entry.is_dropped || entry.path.is_empty() || found.len() >= NAMED_MAX {
            continue;
        }
        if let Some(name) = plain_name(reading.str(entry.path)) {
            found.push((name, Said::Held(entry.value, entry.options)));
        } else if let Some((place, name, said)) = datum(reading, entry) {
            found.extend(shortened(&name).map(|name| (name, said.clone())));
            found.push((format!("{place}{name}"), said));
        }
    }
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
    let after = |places: [&str; 3]| places.iter().find_map(|place| path.strip_prefix(*place));
    if let Some(name) = after(USER_DATA) {
        let is_attribute = name.contains(['#', '@']);
        let name = name.rsplit('.').next()?;
        return (!is_attribute).then(|| name.replace(' ', ""));
    }
    shortened(after(DATA)?)
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
        let (name, value) = item_of(reading.str(item)).filter(|_| DATA.contains(&place))?;
        return Some((place, name, Said::Text(value)));
    }
    let place = path.strip_suffix("Data.#text").filter(|place| DATA.contains(place))?;
    if entry.options.is_inner {
        return None;
    }
    let names = ["Data.@Name", "Data.#attributes.Name"].map(|name| format!("{place}{name}"));
    let name = names.iter().find_map(|name| reading.sent_str(name)).unwrap_or("Data");
    Some((place, name.to_owned(), Said::Held(entry.value, entry.options)))
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
        string(value)
    };
    LISTED.iter().find_map(|(name, value)| {
        let (name, value) = (under(name)?, under(value)?);
        Some((name.into_owned(), value.into_owned()))
    })
}
