//! Sysmon for Linux, which writes its events to syslog as the XML of Windows.
//!
//! Input: `<Event><System>…</System><EventData><Data Name="…">…</Data>…</EventData></Event>` on one
//! line. Output: what stands in `System`, and each `Data` under its name; of a name that stands twice
//! the first one counts, so that nobody's command line says what process it was. This is no reader of
//! XML: elements are looked for by their names, in order, and of entities the five of XML and numbers
//! are known. Nothing is expanded any further.

use super::line::{Line, is_digits};
use super::{Context, Fact, Facts, Path};
use crate::normalize::time;

/// Elements of `System` that hold a text, in their order.
const SYSTEM: [&str; 4] = ["EventID", "EventRecordID", "Channel", "Computer"];
const DATA: &str = "<Data Name=\"";
/// Bytes of the name of an entity.
const ENTITY_BYTES_MAX: usize = 8;

/// Number, category, type, and logsource of the events.
const EVENTS: &[(&str, &str, &str, &str)] = &[
    ("1", "process", "start", "linux/process_creation/"),
    ("3", "network", "connection", "linux/network_connection/"),
    ("4", "", "", "linux/sysmon_status/"),
    ("5", "process", "end", "linux/process_termination/"),
    ("9", "file", "access", "linux/raw_access_read/"),
    ("11", "file", "creation", "linux/file_event/"),
    ("16", "", "", "linux/sysmon_status/"),
    ("23", "file", "deletion", "linux/file_delete/"),
];

/// Reads an event of Sysmon for Linux.
pub(super) fn sysmon<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text);
    line.tag("<Event")?;
    line.until("<System>")?;
    let mut system = Line::new(line.until("</System>")?);
    let mut facts = Facts::default();
    system.until("<Provider Name=\"Linux-Sysmon\"")?;
    facts.word("event.provider", "Linux-Sysmon");
    facts.classes.push("linux//sysmon");
    for wanted in SYSTEM {
        let Some((name, value)) = element(system.rest, wanted) else { continue };
        add(&mut facts, name, value);
    }
    if system.until("<TimeCreated SystemTime=\"").is_some() {
        let stamp = system.until("\"")?;
        facts.time = time::from_text(stamp, context.zone, context.now);
    }
    while line.until(DATA).is_some() {
        let name = line.until("\"")?;
        // `<Data Name="…"/>` says nothing.
        if line.tag(">").is_some() {
            let value = line.until("</Data>")?;
            add(&mut facts, name, value);
        }
    }
    Some(facts)
}

/// Name and text of an element without attributes.
fn element<'t>(text: &'t str, wanted: &str) -> Option<(&'t str, &'t str)> {
    let at = text
        .match_indices(wanted)
        .map(|(at, _)| at)
        .find(|at| text[..*at].ends_with('<') && text[at + wanted.len()..].starts_with('>'))?;
    let (name, rest) = text[at..].split_at(wanted.len());
    Some((name, rest[1..].split_once('<')?.0))
}

fn add<'t>(facts: &mut Facts<'t>, name: &'t str, value: &'t str) {
    let is_known =
        facts.fields.iter().any(|(path, _)| matches!(path, Path::Sent(known) if *known == name));
    if is_known || name.is_empty() || matches!(value, "" | "-") {
        return;
    }
    let fact = match value.parse() {
        Ok(number) if is_digits(value) => Fact::Integer(number),
        _ => Fact::Xml(value),
    };
    facts.sent(name, fact);
    if let ("EventID", Some((_, category, kind, class))) =
        (name, EVENTS.iter().find(|(id, ..)| *id == value))
    {
        facts.word("event.category", category);
        facts.word("event.type", kind);
        facts.classes.push(class);
    }
}

/// Writes `text` with characters in place of entities; what is no entity stays.
pub(crate) fn unescape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = rest[1..].split_once(';').filter(|(name, _)| name.len() <= ENTITY_BYTES_MAX);
        let meant = found.and_then(|(name, after)| Some((character(name)?, after)));
        let (letter, after) = meant.unwrap_or(('&', &rest[1..]));
        out.push(letter);
        rest = after;
    }
    out.push_str(rest);
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let digits = entity.strip_prefix('#')?;
            let number = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => digits.parse(),
            };
            number.ok().and_then(char::from_u32)
        }
    }
}
