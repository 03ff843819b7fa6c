//! Logsources that the standard fields alone tell: web servers, name servers, processes.
//!
//! Input: the standard fields of a JSON record. Output: logsource tuples. What only records of one
//! product have is in its source file; this is for those of whom there is none, or which ship under
//! standard names alone.

use super::reading::{Held, Reading};
use super::{Parser, standard};

/// Classifies records by their standard fields.
pub(crate) struct Logsource;

const WEB: &str = "/webserver/";

impl Parser for Logsource {
    fn name(&self) -> &'static str {
        "logsource"
    }

    fn parse(&self, reading: &mut Reading<'_>) -> bool {
        if !reading.is_json {
            return false;
        }
        let has = |place| reading.first(place).is_some();
        let is_web = reading.has_class(WEB)
            || !reading.has_classes()
                && has(standard::HTTP_STATUS)
                && (has(standard::URL_PATH)
                    || has(standard::URL_ORIGINAL)
                    || has(standard::URL_QUERY));
        let is_numbered = has(standard::EVENT_CODE);
        let is_dns = has(standard::DNS_QUESTION) && !is_numbered;
        let is_process = has(standard::PROCESS_EXECUTABLE)
            && has(standard::PROCESS_COMMAND_LINE)
            && !is_numbered
            // The journal says of every program how it was started.
            && reading.kind.is_none();
        if is_web {
            reading.add_class(WEB);
            split_target(reading);
        }
        if is_dns {
            reading.add_class("/dns/");
        }
        if is_process {
            reading.add_class(process_class(reading));
        }
        is_web || is_dns || is_process
    }
}

/// Gives path and query of what was asked for their names, where the sender gave it in one.
fn split_target(reading: &mut Reading<'_>) {
    let Some(target) = reading.first_text(standard::URL_ORIGINAL) else { return };
    let text = reading.str(target);
    let path = match text.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            &rest[rest.find(['/', '?']).unwrap_or(rest.len())..]
        }
        _ => text,
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let part = |part: &str| (!part.is_empty()).then(|| Held::Text(reading.part(target, part)));
    for (name, part) in [("url.path", part(path)), ("url.query", part(query))] {
        if let Some(part) = part {
            reading.add_missing(name, part);
        }
    }
}

/// A process without its event log: the system says which, else the form of its path.
fn process_class(reading: &Reading<'_>) -> &'static str {
    let system = ["host.os.type", "host.os.family", "host.os.platform"]
        .into_iter()
        .find_map(|path| reading.sent_str(path));
    match system.map(str::to_ascii_lowercase).as_deref() {
        Some("windows") => return "windows/process_creation/",
        Some("macos" | "darwin") => return "macos/process_creation/",
        Some("linux" | "debian" | "ubuntu" | "redhat" | "centos") => {
            return "linux/process_creation/";
        }
        _ => {}
    }
    let path = reading.first_text(standard::PROCESS_EXECUTABLE);
    if path.is_some_and(|path| reading.str(path).starts_with('/')) {
        "linux/process_creation/"
    } else {
        "windows/process_creation/"
    }
}
