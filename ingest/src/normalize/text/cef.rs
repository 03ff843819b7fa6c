//! CEF and LEEF: what firewalls, proxies and other products write for a SIEM.
//!
//! Input: `CEF:0|Vendor|Product|Version|Id|Name|Severity|key=value …` (ArcSight's Common Event Format
//! 25) and `LEEF:1.0|Vendor|Product|Version|Id|key=value<TAB>…` or `LEEF:2.0|…|DELIMITER|…` (QRadar's
//! Log Event Extended Format). Output: the device, the event and every extension under its own name.
//! A value of CEF ends where the next `key=` begins; `\=`, `\|` and `\\` are escapes.

use logwarden_event::Severity;

use super::{Context, Fact, Facts};
use crate::normalize::time;

/// Reads CEF.
pub(super) fn cef<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let rest = text.strip_prefix("CEF:")?;
    let (version, mut rest) = rest.split_once('|')?;
    if version.len() > 8 {
        return None;
    }
    let mut header = [""; 6];
    for part in &mut header {
        (*part, rest) = part_of_header(rest)?;
    }
    let [vendor, product, device_version, id, name, severity] = header;
    let mut facts = Facts::default();
    add_device(&mut facts, [vendor, product, device_version, id]);
    facts.escaped("rule.name", name);
    facts.message = Some(name);
    facts.severity = level_of(severity);
    facts.integer("event.severity", severity);
    let mut left = rest.trim_end();
    let mut end = "";
    while let Some((key, value, after)) = extension(left) {
        left = after;
        match key {
            "rt" | "start" if facts.time.is_none() => add_time(&mut facts, value, context),
            "end" => end = value,
            _ => {}
        }
        add_pair(&mut facts, key, value);
    }
    if facts.time.is_none() && !end.is_empty() {
        add_time(&mut facts, end, context);
    }
    Some(facts)
}

/// Takes the time, or remembers that it cannot be read.
fn add_time<'t>(facts: &mut Facts<'t>, value: &'t str, context: &Context) {
    facts.time = time::from_text(value, context.zone, context.now);
    facts.doubted = if facts.time.is_some() { "" } else { value };
}

/// Reads LEEF.
pub(super) fn leef<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let rest = text.strip_prefix("LEEF:")?;
    let (version, mut rest) = rest.split_once('|')?;
    let mut header = [""; 4];
    for part in &mut header {
        (*part, rest) = part_of_header(rest)?;
    }
    let mut facts = Facts::default();
    add_device(&mut facts, header);
    let mut delimiter = '\t';
    if version.starts_with('2') {
        let (given, after) = rest.split_once('|')?;
        rest = after;
        delimiter = delimiter_of(given).unwrap_or('\t');
    }
    for pair in rest.trim_end_matches(['\r', '\n']).split(delimiter) {
        let Some((key, value)) = pair.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim_end());
        if key == "devTime" {
            facts.time = time::from_text(value, context.zone, context.now);
        }
        add_pair(&mut facts, key, value);
    }
    Some(facts)
}

/// 0 to 10, or the words for it.
fn level_of(severity: &str) -> Option<Severity> {
    match severity {
        "0" | "1" | "2" | "3" | "Low" | "Unknown" => Some(Severity::Info),
        "4" | "5" | "6" | "Medium" => Some(Severity::Warning),
        "7" | "8" | "High" => Some(Severity::Error),
        "9" | "10" | "Very-High" => Some(Severity::Critical),
        _ => None,
    }
}

fn add_device<'t>(facts: &mut Facts<'t>, [vendor, product, version, id]: [&'t str; 4]) {
    facts.escaped("observer.vendor", vendor);
    facts.escaped("observer.product", product);
    facts.escaped("observer.version", version);
    facts.escaped("event.code", id);
}

/// Up to the next bar that no backslash stands before.
fn part_of_header(text: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'|', b'\\', text.as_bytes().get(at..)?)?;
        if text.as_bytes()[at] == b'|' {
            return Some((&text[..at], &text[at + 1..]));
        }
        at += 2;
    }
}

/// The first `key=value` of the extension, and what follows it.
fn extension(text: &str) -> Option<(&str, &str, &str)> {
    let (key, rest) = text.trim_start().split_once('=')?;
    // Before a key may stand what is left of a value that had a bare `=`.
    let key = key.rsplit(' ').next().unwrap_or(key);
    let mut search = 0;
    while let Some(at) = memchr::memchr(b'=', rest.as_bytes().get(search..)?) {
        let equals = search + at;
        let before = &rest[..equals];
        if !before.ends_with('\\')
            && let Some(space) = before.rfind(' ')
            && is_key(&before[space + 1..])
        {
            return Some((key, before[..space].trim_end(), &rest[space + 1..]));
        }
        search = equals + 1;
    }
    Some((key, rest, ""))
}

fn is_key(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-[]".contains(&byte))
}

fn delimiter_of(text: &str) -> Option<char> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix('x'));
    match hex {
        Some(hex) => u32::from_str_radix(hex, 16).ok().and_then(char::from_u32),
        None => text.chars().next(),
    }
}

fn add_pair<'t>(facts: &mut Facts<'t>, key: &'t str, value: &'t str) {
    if is_key(key) && !value.is_empty() {
        facts.sent(key, Fact::Escaped(value));
    }
}
