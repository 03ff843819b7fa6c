//! Syslog records: RFC 5424, RFC 3164 and what is sent in their name.
//!
//! Input: one message without its framing. Output: facility, severity, time, host, program, process
//! id, structured data and the message of a [`Reading`]. Taken too: RFC 3164 layout with an RFC 3339
//! time (rsyslog's forward format), a program without time and host (Python's SysLogHandler), and
//! lines of a log file, which have no priority, with either time. A message that is a JSON object is read as one.

use std::net::IpAddr;

use chrono_tz::Tz;
use logwarden_event::{FieldOptions, Severity, Timestamp};

use super::reading::{Held, Reading, Text};
use super::source::Vocabulary;
use super::text::devices;
use super::{json, names, standard, time};

/// Structured data parameters of one message.
const PARAMETERS_MAX: usize = 200;
/// A program's name: RFC 3164 allows 32 letters, real ones are longer.
const TAG_BYTES_MAX: usize = 64;
const HOST_BYTES_MAX: usize = 255;

/// The layout of RFC 3164, behind its priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Header<'t> {
    host: &'t str,
    tag: &'t str,
    pid: &'t str,
    message: &'t str,
}

/// Reads the record as syslog. False, and nothing changed, when it is none.
pub(crate) fn parse(reading: &mut Reading<'_>) -> bool {
    let record = reading.record();
    let Some((priority, rest)) = priority(record) else { return parse_line(reading, record) };
    reading.add("log.syslog.facility.code", Held::Signed(i64::from(priority / 8)));
    reading.add("log.syslog.severity.code", Held::Signed(i64::from(priority % 8)));
    reading.severity = Severity::from_syslog(priority % 8);
    let rest = rest.trim_end_matches(['\n', '\r', '\0']);
    match rest.strip_prefix("1 ") {
        Some(header) if rfc5424(reading, header).is_some() => {}
        _ => rfc3164(reading, rest),
    }
    if reading.first(standard::HOST_NAME).is_none()
        && let Some(peer) = reading.origin.peer
    {
        reading.add("host.ip", Held::Ip(peer));
    }
    classify(reading);
    json::take_inner(reading);
    true
}

/// A line of a log file: the layout of RFC 3164 without priority, of which only the time must be there; or with a
/// time of RFC 3339, see [`precise_line`].
fn parse_line(reading: &mut Reading<'_>, record: &str) -> bool {
    let line = record.trim_end_matches(['\n', '\r', '\0']);
    if let Some((at, header)) = precise_line(line, reading.origin.zone) {
        names::accept_time(reading, at, |at| at.to_string());
        take_header(reading, header);
        classify(reading);
        json::take_inner(reading);
        return true;
    }
    let Some((at, rest)) = time::rfc3164(line, reading.origin.zone, reading.now) else {
        return false;
    };
    let message = rest.trim_start();
    // Without a program nobody can tell the host from the first word.
    let header = host_and_tag(message)
        .filter(|header| !header.tag.is_empty())
        .unwrap_or(Header { message, ..Header::default() });
    names::accept_time(reading, at, |at| at.to_string());
    take_header(reading, header);
    classify(reading);
    json::take_inner(reading);
    true
}

/// `2026-01-02T03:04:05.678901+01:00 host tag[pid]: message`, as rsyslog writes its files unless told otherwise, and
/// syslog-ng and `journalctl -o short-iso` do. Applications begin their lines alike, so time, host and program must
/// all be there and be nothing else, and there must be a process, the digits of rsyslog or a program that is known.
fn precise_line(line: &str, zone: Tz) -> Option<(Timestamp, Header<'_>)> {
    if line.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let (at, rest) = time::iso(line, zone)?;
    let stamp = &line[..line.len() - rest.len()];
    let header = host_and_tag(rest.strip_prefix(' ')?)?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
    let is_word =
        |word: &str| Severity::from_word(word).is_some() || matches!(word, "stdout" | "stderr");
    let is_line = !header.host.is_empty()
        && header.host.bytes().all(is_name)
        && !header.tag.is_empty()
        && (!header.pid.is_empty() || has_micros(stamp) || is_known_program(header.tag))
        && ![header.host, header.tag].into_iter().any(is_word);
    is_line.then_some((at, header))
}

/// Whether a time has six digits of a second and an offset, as rsyslog writes it.
fn has_micros(stamp: &str) -> bool {
    let is_of_second = |part: &str| part.len() == 6 && part.bytes().all(|b| b.is_ascii_digit());
    stamp.get(20..26).is_some_and(is_of_second)
        && matches!(stamp.as_bytes().get(26), Some(b'+' | b'-'))
}

fn is_known_program(tag: &str) -> bool {
    Vocabulary::get().of_program(program_of(tag)).is_some()
}

/// What a message of a JSON record says when it is a whole line of a log file: program and host, if
/// the record does not name them. Gives the line's own message.
pub(crate) fn read_message(reading: &mut Reading<'_>) -> Option<Text> {
    let whole = reading.message;
    let line = reading.str(whole);
    // A cheap look at what every such line has: a blank behind the month, or the letter behind the date.
    if line.len() < 20 || line.as_bytes()[3] != b' ' && line.as_bytes()[10] != b'T' {
        return None;
    }
    let zone = reading.origin.zone;
    let (at, header) = match precise_line(line, zone) {
        Some(found) => found,
        None => {
            let (at, rest) = time::rfc3164(line, zone, reading.now)?;
            (at, host_and_tag(rest.trim_start())?)
        }
    };
    if header.tag.is_empty() {
        return None;
    }
    let part = |part: &str| reading.part(whole, part);
    let (host, tag, pid) = (part(header.host), part(header.tag), header.pid.parse::<i64>().ok());
    let message = part(header.message.trim_end());
    if reading.timestamp.is_none() && reading.first(standard::TIME_SUSPECT).is_none() {
        names::accept_time(reading, at, |at| at.to_string());
    }
    reading.add_missing("host.name", Held::Text(host));
    reading.add_missing("process.name", Held::Text(tag));
    if let Some(pid) = pid {
        reading.add_missing("process.pid", Held::Signed(pid));
    }
    Some(message)
}

/// `<PRI>`, 0 to 191, and what follows it.
fn priority(record: &str) -> Option<(u8, &str)> {
    let rest = record.strip_prefix('<')?;
    let end = rest.as_bytes().iter().take(4).position(|byte| *byte == b'>')?;
    let digits = &rest[..end];
    let number: u8 =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    (number <= 191).then_some((number, &rest[end + 1..]))
}

/// The header after `<PRI>1 ` (RFC 5424, section 6). Nothing is added unless it is whole.
fn rfc5424(reading: &mut Reading<'_>, header: &str) -> Option<()> {
    let mut parts = header.splitn(6, ' ');
    let [stamp, host, app, procid, msgid, rest] = [(); 6].map(|()| parts.next());
    let (stamp, host, app, procid, msgid) = (stamp?, host?, app?, procid?, msgid?);
    let rest = rest?;
    let (parameters, message) = structured_data(rest)?;
    let given = |value: &'_ str| value != "-" && !value.is_empty();
    match time::iso(stamp, reading.origin.zone) {
        Some((at, "")) => names::accept_time(reading, at, |_| stamp.to_owned()),
        _ if given(stamp) => names::distrust(reading, stamp),
        _ => {}
    }
    if given(host) {
        add_slice(reading, "host.name", host);
    }
    if given(app) {
        add_slice(reading, "process.name", app);
    }
    if given(procid) {
        match procid.parse::<i64>() {
            Ok(pid) => reading.add("process.pid", Held::Signed(pid)),
            Err(_) => add_slice(reading, "log.syslog.procid", procid),
        }
    }
    if given(msgid) {
        add_slice(reading, "log.syslog.msgid", msgid);
    }
    for parameter in parameters {
        add_parameter(reading, &parameter);
    }
    let message = message.strip_prefix('\u{FEFF}').unwrap_or(message);
    // rsyslog puts a space before what RFC 3164 called the content.
    set_message(reading, message.trim_start_matches(' '));
    Some(())
}

/// One parameter of structured data; the value has its escapes.
struct Parameter<'t> {
    element: &'t str,
    name: &'t str,
    value: &'t str,
}

/// `-` or elements `[id name="value" …]`, and the message behind them (RFC 5424, section 6.3).
fn structured_data(text: &str) -> Option<(Vec<Parameter<'_>>, &str)> {
    if let Some(rest) = text.strip_prefix('-') {
        return (rest.is_empty() || rest.starts_with(' '))
            .then(|| (Vec::new(), rest.strip_prefix(' ').unwrap_or(rest)));
    }
    let mut parameters = Vec::new();
    let mut rest = text;
    while let Some(element) = rest.strip_prefix('[') {
        let end = element.find([' ', ']'])?;
        let id = &element[..end];
        rest = &element[end..];
        loop {
            if let Some(after) = rest.strip_prefix(']') {
                rest = after;
                break;
            }
            let parameter = rest.trim_start_matches(' ');
            let (name, after) = parameter.split_once("=\"")?;
            let end = closing_quote(after)?;
            if parameters.len() < PARAMETERS_MAX {
                parameters.push(Parameter { element: id, name, value: &after[..end] });
            }
            rest = &after[end + 1..];
        }
    }
    (rest.len() < text.len()).then(|| (parameters, rest.strip_prefix(' ').unwrap_or(rest)))
}

/// The first quote that no backslash stands before.
fn closing_quote(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &text.as_bytes()[at..])?;
        if text.as_bytes()[at] == b'"' {
            return Some(at);
        }
        at += 2;
        if at > text.len() {
            return None;
        }
    }
}

/// Kept as `log.syslog.structured_data.ID.NAME`.
fn add_parameter(reading: &mut Reading<'_>, parameter: &Parameter<'_>) {
    let path = reading.keep_with(|scratch| {
        for part in ["log.syslog.structured_data.", parameter.element, ".", parameter.name] {
            scratch.push_str(part);
        }
    });
    let value = if parameter.value.contains('\\') {
        reading.keep_with(|scratch| {
            let mut rest = parameter.value;
            while let Some(at) = rest.find('\\') {
                scratch.push_str(&rest[..at]);
                // Only `"`, `\` and `]` are escaped; before anything else the backslash stays.
                if !rest[at + 1..].starts_with(['"', '\\', ']']) {
                    scratch.push('\\');
                }
                let after = &rest[at + 1..];
                let next = after.chars().next().map_or(0, char::len_utf8);
                scratch.push_str(&after[..next]);
                rest = &after[next..];
            }
            scratch.push_str(rest);
        })
    } else {
        slice(reading, parameter.value)
    };
    reading.push(path, Held::Text(value), FieldOptions::default());
}

/// What follows `<PRI>`: with or without time, host and program.
fn rfc3164(reading: &mut Reading<'_>, text: &str) {
    let text = text.strip_prefix(' ').unwrap_or(text);
    let (zone, now) = (reading.origin.zone, reading.now);
    if let Some(device) = devices::header(text, zone, now) {
        if let Some(at) = device.time {
            names::accept_time(reading, at, |at| at.to_string());
        }
        let (host, message) = (device.host, device.message);
        take_header(reading, Header { host, message, ..Header::default() });
        return;
    }
    let read = time::rfc3164(text, zone, now).or_else(|| time::iso(text, zone));
    let header = match read {
        Some((at, rest)) => {
            let original = &text[..text.len() - rest.len()];
            names::accept_time(reading, at, |_| original.to_owned());
            // Cisco ends its time with a colon.
            let rest = rest.strip_prefix(':').unwrap_or(rest).trim_start_matches(' ');
            host_and_tag(rest)
        }
        None => {
            let (tag, pid, message) = tag(text).unwrap_or(("", "", text));
            Some(Header { host: "", tag, pid, message })
        }
    };
    take_header(reading, header.unwrap_or_default());
}

/// `host tag[pid]: message`, `host message` or `tag: message`.
fn host_and_tag(text: &str) -> Option<Header<'_>> {
    // A sender that leaves out the host begins with its tag.
    if let Some((tag, pid, message)) = tag(text)
        && !tag.is_empty()
        && text.as_bytes().get(tag.len()).is_some_and(|byte| matches!(byte, b'[' | b':'))
        && !looks_like_address(tag)
    {
        return Some(Header { host: "", tag, pid, message });
    }
    let (host, rest) = text.split_once(' ')?;
    if host.is_empty() || host.len() > HOST_BYTES_MAX {
        return None;
    }
    let rest = rest.trim_start_matches(' ');
    let (tag, pid, message) = tag(rest).unwrap_or(("", "", rest));
    Some(Header { host, tag, pid, message })
}

fn looks_like_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// `tag[pid]: message`, `tag: message` or, as old daemons write, `tag version: message`.
fn tag(text: &str) -> Option<(&str, &str, &str)> {
    let end =
        text.bytes().take(TAG_BYTES_MAX + 1).position(|byte| matches!(byte, b'[' | b':' | b' '))?;
    let tag = &text[..end];
    if tag.is_empty()
        // The beginning of a message in one of these formats.
        || matches!(tag, "CEF" | "LEEF")
        || tag.bytes().any(|byte| {
            !byte.is_ascii_graphic() || matches!(byte, b'"' | b'{' | b'<' | b'=' | b',')
        })
    {
        return None;
    }
    let rest = &text[end..];
    if let Some(rest) = rest.strip_prefix(':') {
        return Some((tag, "", rest.strip_prefix(' ').unwrap_or(rest)));
    }
    if let Some(rest) = rest.strip_prefix('[') {
        let (pid, rest) = rest.split_once(']')?;
        if pid.len() > 20 || pid.contains(' ') {
            return None;
        }
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        return Some((tag, pid, rest.strip_prefix(' ').unwrap_or(rest)));
    }
    // `syslogd 1.4.1: restart.`
    let (version, message) = rest.strip_prefix(' ')?.split_once(": ")?;
    let is_version = version.len() < 16
        && version.starts_with(|c: char| c.is_ascii_digit())
        && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    is_version.then_some((tag, "", message))
}

fn take_header(reading: &mut Reading<'_>, header: Header<'_>) {
    if !header.host.is_empty() {
        add_slice(reading, "host.name", header.host);
    }
    if !header.tag.is_empty() {
        add_slice(reading, "process.name", header.tag);
    }
    match header.pid.parse::<i64>() {
        Ok(pid) => reading.add("process.pid", Held::Signed(pid)),
        Err(_) if !header.pid.is_empty() => add_slice(reading, "log.syslog.procid", header.pid),
        Err(_) => {}
    }
    set_message(reading, header.message);
}

fn slice(reading: &Reading<'_>, part: &str) -> Text {
    let record = Reading::of_record(0, reading.record().len());
    reading.part(record, part)
}

fn add_slice(reading: &mut Reading<'_>, name: &'static str, part: &str) {
    let text = slice(reading, part);
    reading.add(name, Held::Text(text));
}

fn set_message(reading: &mut Reading<'_>, message: &str) {
    if !message.is_empty() {
        reading.message = slice(reading, message.trim_end_matches([' ', '\n', '\r', '\0']));
    }
}

/// Finds out which program it is, and with it the kind of log.
fn classify(reading: &mut Reading<'_>) {
    name_kind(reading);
    if reading.kind.is_none() {
        let dataset = reading.keep("syslog");
        reading.set_dataset(dataset);
        reading.add_class("linux//syslog");
    }
}

/// Takes the kind of log from the program.
pub(crate) fn name_kind(reading: &mut Reading<'_>) {
    let Some(tag) = reading.first_text(standard::PROCESS_NAME) else { return };
    let tag = reading.str(tag);
    // `/kernel` is another system's than `kernel`.
    let kind = Vocabulary::get().of_program(tag);
    let kind = kind.or_else(|| Vocabulary::get().of_program(program_of(tag)));
    if kind.is_some() {
        reading.kind = kind;
    }
}

/// The program of a tag: `su(pam_unix)` and `/usr/sbin/CRON` are `su` and `CRON`.
pub(crate) fn program_of(tag: &str) -> &str {
    let base = tag.rsplit('/').next().unwrap_or(tag);
    base.split('(').next().unwrap_or(base)
}
