//! Logsources that the standard fields alone tell: web servers, name servers, processes, their files and
//! connections; and applications, by the stack traces they write.
//!
//! Input: the standard fields of a JSON record, the message of any. Output: logsource tuples. What only
//! records of one product have is in its source file; this is for those of whom there is none, or which
//! ship under standard names alone.

use super::reading::{Held, Reading};
use super::{Parser, standard};

/// Classifies records by their standard fields.
pub(crate) struct Logsource;

const WEB: &str = "/webserver/";

/// What stands in a stack trace, all of it, and whose it is then. Several may be right.
const TRACES: &[(&[&str], &str)] = &[
    (&["\tat ", ".java:"], "jvm/application/"),
    (&["\tat org.springframework.", ".java:"], "spring/application/"),
    (&["\tat org.apache.velocity.", ".java:"], "velocity/application/"),
    (&["Traceback (most recent call last)"], "python/application/"),
    (&["Traceback (most recent call last)", "/django/"], "django/application/"),
    (&["    at ", ".js:"], "nodejs/application/"),
    (&["    at ", "node:"], "nodejs/application/"),
    (&[".rb:", ":in ", "action_controller/"], "ruby_on_rails/application/"),
    (&[".rb:", ":in ", "app/controllers/"], "ruby_on_rails/application/"),
];
/// Bytes of a trace that are looked at.
const TRACE_BYTES_MAX: usize = 16 << 10;

impl Parser for Logsource {
    fn name(&self) -> &'static str {
        "logsource"
    }

    fn parse(&self, reading: &mut Reading<'_>) -> bool {
        let is_traced = name_application(reading);
        if !reading.is_json {
            return is_traced;
        }
        split_request(reading);
        let has = |place| reading.first(place).is_some();
        let is_web = reading.has_class(WEB)
            || !reading.has_classes()
                && has(standard::HTTP_STATUS)
                && (has(standard::URL_PATH)
                    || has(standard::URL_ORIGINAL)
                    || has(standard::URL_QUERY));
        let is_http = has(standard::HTTP_METHOD);
        let is_numbered = has(standard::EVENT_CODE);
        let is_dns = has(standard::DNS_QUESTION) && !is_numbered;
        let is_process = has(standard::PROCESS_EXECUTABLE)
            && has(standard::PROCESS_COMMAND_LINE)
            && !is_numbered
            // The journal says of every program how it was started.
            && reading.kind.is_none();
        if is_web {
            reading.add_class(WEB);
        }
        if is_web || is_http {
            split_target(reading);
        }
        if is_dns {
            reading.add_class("/dns/");
        }
        if is_process {
            reading.add_class(process_class(reading));
        }
        let is_deed = name_deed(reading);
        is_traced || is_web || is_dns || is_process || is_deed
    }
}

/// Adds whose stack trace the record holds.
fn name_application(reading: &mut Reading<'_>) -> bool {
    let mut found = false;
    let stack = reading.first_text(standard::STACK_TRACE);
    for text in [Some(reading.message), stack].into_iter().flatten() {
        let text = reading.str(text);
        let text = &text.as_bytes()[..text.len().min(TRACE_BYTES_MAX)];
        if memchr::memchr(b'\n', text).is_none() {
            continue;
        }
        let has = |part: &&str| memchr::memmem::find(text, part.as_bytes()).is_some();
        let theirs = TRACES.iter().filter(|(parts, _)| parts.iter().all(has));
        let classes: Vec<_> = theirs.map(|(_, class)| *class).collect();
        found |= !classes.is_empty();
        classes.into_iter().for_each(|class| reading.add_class(class));
    }
    found
}

/// A file that was written or a connection that was made, as agents tell under standard names alone.
fn name_deed(reading: &mut Reading<'_>) -> bool {
    let has = |place| reading.first(place).is_some();
    let category = reading.first_text(standard::EVENT_CATEGORY).map(|text| reading.str(text));
    let is_gone = reading.sent_str("event.type") == Some("deletion");
    let class = match (system(reading), category) {
        _ if reading.kind.is_some() => return false,
        (Some(System::Linux), Some("file")) if has(standard::FILE_PATH) && !is_gone => {
            "linux/file_event/"
        }
        (Some(System::Macos), Some("file")) if has(standard::FILE_PATH) && !is_gone => {
            "macos/file_event/"
        }
        (Some(System::Linux), Some("network"))
            if has(standard::DESTINATION_IP) && has(standard::PROCESS_EXECUTABLE) =>
        {
            "linux/network_connection/"
        }
        _ => return false,
    };
    reading.add_class(class);
    true
}

/// Gives the parts of `GET /a HTTP/1.1` their names, where the sender gave it in one.
fn split_request(reading: &mut Reading<'_>) {
    if reading.first(standard::HTTP_METHOD).is_some() {
        return;
    }
    let Some(Held::Text(request)) = reading.sent("request") else { return };
    let text = reading.str(request);
    let parts = text.split_once(' ').and_then(|(method, rest)| {
        let (target, version) = rest.rsplit_once(" HTTP/")?;
        let is_method = (1..=16).contains(&method.len())
            && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        (is_method && !target.is_empty()).then_some((method, target, version))
    });
    let Some((method, target, version)) = parts else { return };
    let part = |part: &str| Held::Text(reading.part(request, part));
    let parts = [
        ("http.request.method", part(method)),
        ("url.original", part(target)),
        ("http.version", part(version)),
    ];
    for (name, value) in parts {
        reading.add_missing(name, value);
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

/// An operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Windows,
    Macos,
    Linux,
}

/// The system that the record names.
fn system(reading: &Reading<'_>) -> Option<System> {
    let system = ["host.os.type", "host.os.family", "host.os.platform"]
        .into_iter()
        .find_map(|path| reading.sent_str(path))?;
    match &*system.to_ascii_lowercase() {
        "windows" => Some(System::Windows),
        "macos" | "darwin" => Some(System::Macos),
        "linux" | "debian" | "ubuntu" | "redhat" | "centos" => Some(System::Linux),
        _ => None,
    }
}

/// A process without its event log: the system says which, else the form of its path.
fn process_class(reading: &Reading<'_>) -> &'static str {
    match system(reading) {
        Some(System::Windows) => return "windows/process_creation/",
        Some(System::Macos) => return "macos/process_creation/",
        Some(System::Linux) => return "linux/process_creation/",
        None => {}
    }
    let path = reading.first_text(standard::PROCESS_EXECUTABLE);
    if path.is_some_and(|path| reading.str(path).starts_with('/')) {
        "linux/process_creation/"
    } else {
        "windows/process_creation/"
    }
}
