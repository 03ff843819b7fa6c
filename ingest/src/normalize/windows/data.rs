//! Names of what a Windows event says, where its shipper hides them from rules.
//!
//! Input: the fields of an event as the sender named them. Output: the same values once more under
//! the names that rules use: without blanks (Defender's `New Value`), without the element of
//! `UserData` they stand in, and those of a list of `Data` with attributes. At most [`NAMED_MAX`] of
//! an event; what the sender named stays as it is.

use logwarden_event::FieldOptions;

use super::super::names;
use super::super::reading::{Held, Reading};
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
        let path = reading.str(entry.path);
        if let Some(name) = plain_name(path) {
            found.push((name, Said::Held(entry.value, entry.options)));
        } else if let (Some(name), Held::Json(item)) = (path.strip_suffix(".Data"), entry.value)
            && DATA.iter().any(|place| place.trim_end_matches('.') == name)
            && let Some((key, value)) = item_of(reading.str(item))
        {
            found.push((format!("{name}.{key}"), Said::Text(value)));
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
    let name = after(DATA)?;
    (name.contains(' ') && !name.contains('.')).then(|| name.replace(' ', ""))
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
