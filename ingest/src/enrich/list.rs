//! Threat lists: plain text, CSV, STIX 2.1 bundles and MISP feed files.
//!
//! Input: a file. Output: its indicators, and how many lines or objects are none that is known here. Of
//! a STIX pattern only what is equal to one value is taken; revoked indicators are left out.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::indicators::Indicator;

/// Bytes of one file.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Indicators of one list; with more the file is not used.
const INDICATORS_MAX: usize = 1_000_000;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListKind {
    /// By the file's ending: `.csv`, `.json` (STIX or MISP, by its content), else plain.
    #[default]
    Auto,
    /// One a line; `#` and `;` begin comments.
    Plain,
    /// Columns; the first line may name them.
    Csv,
    /// A STIX 2.1 bundle.
    Stix,
    /// An event of a MISP feed.
    Misp,
}

/// One threat list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListConfig {
    /// What events call it (`threat.indicator.provider`); unique.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// How it is written. Default: by the file's ending.
    pub kind: ListKind,
    /// Of a CSV file: the column with the indicators, by its name or its number from 1 on. Default: the
    /// first in which an indicator stands, line by line.
    pub column: Option<String>,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub indicators: Vec<Indicator>,
    /// Lines or objects that are no indicator.
    pub left_out: u64,
}

impl Read {
    fn take(&mut self, text: &str, note: &str) -> bool {
        let found = Indicator::parse(text, note);
        let is_one = found.is_some();
        self.indicators.extend(found);
        is_one
    }

    fn count(&mut self, is_one: bool) {
        self.left_out += u64::from(!is_one);
    }
}

/// Reads a list of `size_bytes`.
///
/// # Errors
///
/// Why it cannot be used.
pub(super) fn read(path: &Path, size_bytes: u64, config: &ListConfig) -> Result<Read, String> {
    if size_bytes > FILE_BYTES_MAX {
        return Err(format!("it has more than {FILE_BYTES_MAX} bytes"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let read = match (config.kind, ending) {
        (ListKind::Csv, _) | (ListKind::Auto, "csv") => csv(&text, config.column.as_deref())?,
        (ListKind::Stix, _) => stix(&json(&text)?)?,
        (ListKind::Misp, _) => misp(&json(&text)?)?,
        (ListKind::Auto, "json") => {
            let document = json(&text)?;
            if document["type"] == "bundle" { stix(&document)? } else { misp(&document)? }
        }
        (ListKind::Plain | ListKind::Auto, _) => plain(&text),
    };
    if read.indicators.len() > INDICATORS_MAX {
        return Err(format!("it has more than {INDICATORS_MAX} indicators"));
    }
    Ok(read)
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))
}

fn plain(text: &str) -> Read {
    let mut read = Read::default();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) || line.starts_with("//") {
            continue;
        }
        let (value, note) = line.split_once([' ', '\t', '#', ';']).unwrap_or((line, ""));
        // Files of hosts have an address before the name.
        let name = note.split_whitespace().next().unwrap_or_default();
        let is_host_file = ["0.0.0.0", "127.0.0.1"].contains(&value) && !name.is_empty();
        let is_one = read.take(if is_host_file { name } else { value }, note);
        read.count(is_one);
    }
    read
}

fn csv(text: &str, column: Option<&str>) -> Result<Read, String> {
    let mut read = Read::default();
    let mut place: Option<usize> = column.and_then(|column| column.parse().ok());
    let mut is_first = true;
    for line in text.lines() {
        // Some lists have the names of their columns in a comment.
        let is_comment = line.starts_with('#');
        let cells = cells(line.trim_start_matches('#'));
        if let Some(name) = column.filter(|_| place.is_none()) {
            let same = |cell: &String| cell.trim().eq_ignore_ascii_case(name);
            place = cells.iter().position(same).map(|at| at + 1);
            is_first = false;
            continue;
        }
        if is_comment || line.trim().is_empty() {
            continue;
        }
        let note = |own: usize| {
            let others =
                cells.iter().enumerate().filter(|(at, cell)| *at != own && !cell.is_empty());
            others.map(|(_, cell)| cell.trim()).collect::<Vec<_>>().join(", ")
        };
        let is_one = match place {
            Some(place) => {
                let at = place.saturating_sub(1);
                cells.get(at).is_some_and(|cell| read.take(cell, &note(at)))
            }
            None => (0..cells.len()).any(|at| read.take(&cells[at], &note(at))),
        };
        // The first row may be names of columns.
        if !is_first || is_one {
            read.count(is_one);
        }
        is_first = false;
    }
    match (column, place) {
        (Some(name), None) => Err(format!("it has no column `{name}`")),
        _ => Ok(read),
    }
}

/// The cells of a line, with commas or semicolons between, in quotes or not.
fn cells(line: &str) -> Vec<String> {
    let comma = if line.contains(',') { ',' } else { ';' };
    let (mut cells, mut cell, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => is_quoted = !is_quoted,
            c if c == comma && !is_quoted => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    cells.push(cell);
    cells
}

fn stix(document: &Value) -> Result<Read, String> {
    let objects = document["objects"].as_array().ok_or("it is no STIX bundle: no `objects`")?;
    let mut read = Read::default();
    for object in objects.iter().filter(|object| object["type"] == "indicator") {
        if object["revoked"] == true {
            read.count(false);
            continue;
        }
        let note = object["name"].as_str().or(object["description"].as_str()).unwrap_or_default();
        let pattern = object["pattern"].as_str().unwrap_or_default();
        let is_stix = object["pattern_type"].as_str().is_none_or(|kind| kind == "stix");
        let mut is_one = false;
        if is_stix {
            for value in equal_values(pattern) {
                is_one |= read.take(&value, note);
            }
        }
        read.count(is_one);
    }
    Ok(read)
}

/// The values of `path = 'value'` in a pattern that only says `OR` besides.
fn equal_values(pattern: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut outside = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '\'' {
            outside.push(c);
            continue;
        }
        let mut value = String::new();
        while let Some(c) = chars.next() {
            match c {
                '\\' => value.extend(chars.next()),
                '\'' => break,
                c => value.push(c),
            }
        }
        let before = outside.trim_end();
        // `file:hashes.'SHA-256'` is a part of a path.
        if before.ends_with('=') && !before.ends_with("!=") {
            values.push(value);
        }
        outside.push('_');
    }
    let is_more = outside
        .split_whitespace()
        .any(|word| ["AND", "NOT", "FOLLOWEDBY", "LIKE", "MATCHES"].contains(&word));
    if is_more { Vec::new() } else { values }
}

fn misp(document: &Value) -> Result<Read, String> {
    let event = document.get("Event").or_else(|| document["response"][0].get("Event"));
    let event = event.ok_or("it is no event of MISP: no `Event`")?;
    let note = event["info"].as_str().unwrap_or_default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut attributes = list(&event["Attribute"]);
    for object in list(&event["Object"]) {
        attributes.extend(list(&object["Attribute"]));
    }
    let mut read = Read::default();
    for attribute in attributes {
        // Without this word of theirs an attribute is only context.
        if attribute["to_ids"] == false || attribute["deleted"] == true {
            read.count(false);
            continue;
        }
        let kind = attribute["type"].as_str().unwrap_or_default();
        let value = attribute["value"].as_str().unwrap_or_default();
        let comment = attribute["comment"].as_str().filter(|text| !text.is_empty());
        // `filename|sha256` and `ip-dst|port` have two values.
        let mut is_one = false;
        for (kind, value) in kind.split('|').zip(value.split('|')) {
            let is_known = [
                "ip-src", "ip-dst", "domain", "hostname", "url", "md5", "sha1", "sha256", "sha512",
                "ip",
            ]
            .contains(&kind);
            is_one |= is_known && read.take(value, comment.unwrap_or(note));
        }
        read.count(is_one);
    }
    Ok(read)
}
