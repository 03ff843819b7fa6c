//! Lines that logging libraries write when they do not write JSON.
//!
//! Input: the usual patterns of Log4j, Logback, Spring Boot, Tomcat, Python, tracing, zap, Serilog, NLog and Monolog:
//! a time, a level, mostly a logger and a thread, then the text. Output: these, and the text as message.

use logwarden_event::Severity;

use super::line::{Line, is_digits, looks_like};
use super::{Context, Facts};
use crate::normalize::time;

const LOGGER_BYTES_MAX: usize = 200;

/// `TIME [THREAD] LEVEL LOGGER - TEXT` in its many orders.
pub(super) fn application<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    if !looks_like(text, "0000-00-00") && !looks_like(text, "00:00:00") && !is_day_first(text) {
        return None;
    }
    let first_line = text.split('\n').next().unwrap_or(text);
    let stamp_end = end_of_stamp(first_line)?;
    let stamp = &text[..stamp_end];
    let mut facts =
        Facts { time: time::from_text(stamp, context.zone, context.now), ..Facts::default() };
    if facts.time.is_none() && stamp.len() > 13 {
        return None;
    }
    let mut rest = text[stamp_end..].trim_start_matches([' ', '\t']);
    // zap puts tabs between everything.
    let is_zap = text[stamp_end..].starts_with('\t');
    // Python's usual format: ` - NAME - LEVEL - TEXT`.
    if let Some(parts) = rest.strip_prefix("- ") {
        let (name, after) = parts.split_once(" - ")?;
        let (level, after) = after.split_once(" - ")?;
        Severity::from_word(level)?;
        facts.text("log.logger", name);
        facts.level = level;
        facts.message = Some(after);
        python(&mut facts, name);
        return Some(facts);
    }
    // NLog's usual format: `|LEVEL|LOGGER|TEXT`.
    if !rest.starts_with("| ")
        && let Some((level, after)) = rest.strip_prefix('|').and_then(|rest| rest.split_once('|'))
    {
        Severity::from_word(level)?;
        let (name, said) = after.split_once('|')?;
        facts.level = level;
        facts.text("log.logger", name);
        facts.message = Some(said);
        return Some(facts);
    }
    // loguru's usual format: `| LEVEL    | NAME:FUNCTION:LINE - TEXT`.
    if let Some(parts) = rest.strip_prefix("| ") {
        let (level, after) = parts.split_once('|')?;
        Severity::from_word(level.trim())?;
        facts.level = level.trim();
        let after = after.trim_start();
        let (place, said) = after.split_once(" - ").unwrap_or(("", after));
        facts.text("log.logger", place.split(':').next().unwrap_or(place));
        facts.message = Some(said);
        facts.classes.push("python/application/");
        return Some(facts);
    }
    let mut thread = None;
    for _ in 0..2 {
        let Some((inner, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) else {
            continue;
        };
        if Severity::from_word(inner.trim()).is_some() && facts.level.is_empty() {
            facts.level = inner.trim();
        } else if thread.is_none() && inner.len() <= LOGGER_BYTES_MAX {
            thread = Some(inner);
        }
        rest = after.trim_start_matches([' ', '\t']);
    }
    if facts.level.is_empty() {
        let end = rest.find([' ', '\t', ':'])?;
        let level = &rest[..end];
        Severity::from_word(level)?;
        facts.level = level;
        rest = rest[end..].trim_start_matches([' ', '\t', ':']);
    }
    if let Some(thread) = thread {
        facts.text("process.thread.name", thread.trim());
    }
    facts.message = Some(if is_zap { zap(&mut facts, rest) } else { logger(&mut facts, rest) });
    Some(facts)
}

/// Where the time ends: behind the clock, and its zone if there is one.
fn end_of_stamp(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let clock = match line {
        line if looks_like(line, "00:00:00") => 0,
        line if is_day_first(line) => 12,
        _ => 11,
    };
    if !looks_like(line.get(clock..)?, "00:00:00") {
        return None;
    }
    let is_stamp =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b':' | b'+' | b'-');
    let mut end = clock + 8;
    while bytes.get(end).is_some_and(|byte| is_stamp(*byte)) {
        end += 1;
    }
    // Serilog puts a space before the offset.
    let is_offset = |rest: &str| looks_like(rest, " +00:00 ") || looks_like(rest, " -00:00 ");
    if line.get(end..).is_some_and(is_offset) {
        return Some(end + 7);
    }
    Some(end + usize::from(bytes.get(end) == Some(&b'Z')))
}

/// `02-Jan-2026 `, as Tomcat begins.
fn is_day_first(line: &str) -> bool {
    let month = line.get(3..6).is_some_and(|m| m.bytes().all(|b| b.is_ascii_alphabetic()));
    month && looks_like(line, "00-") && line.get(6..).is_some_and(|rest| looks_like(rest, "-0000 "))
}

/// `LOGGER - TEXT`, `LOGGER: TEXT` or Spring Boot's `PID --- [THREAD] LOGGER : TEXT`; gives the text.
fn logger<'t>(facts: &mut Facts<'t>, text: &'t str) -> &'t str {
    let mut text = text;
    if let Some((pid, rest)) = text.split_once(" --- [")
        && is_digits(pid)
        && rest.contains(']')
    {
        facts.integer("process.pid", pid);
        facts.classes.extend(["jvm/application/", "spring/application/"]);
        text = spring(facts, &text[text.len() - rest.len() - 1..]);
    } else if let Some((thread, rest)) = text.strip_prefix('[').and_then(|r| r.split_once("] ")) {
        facts.text("process.thread.name", thread.trim());
        text = rest;
    }
    for end in [" -- ", " - ", " : ", ": "] {
        if let Some((name, rest)) = text.split_once(end)
            && is_logger(name.trim_end())
        {
            facts.text("log.logger", name.trim_end());
            return rest;
        }
    }
    text
}

/// `[THREAD]`, since Spring Boot 3 also `[SERVICE] [THREAD]` and `[TRACE-SPAN]` behind it, before that
/// `[SERVICE,TRACE,SPAN] [THREAD]`; gives what follows.
fn spring<'t>(facts: &mut Facts<'t>, text: &'t str) -> &'t str {
    let (mut parts, mut text) = (smallvec::SmallVec::<[&str; 3]>::new(), text);
    while parts.len() < 3
        && let Some((inner, rest)) = text.strip_prefix('[').and_then(|r| r.split_once(']'))
    {
        parts.push(inner.trim());
        text = rest.trim_start();
    }
    let is_hex = |id: &str| id.len() >= 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = parts.last().and_then(|part| part.split_once('-'));
    let found = found.filter(|(trace, span)| is_hex(trace) && is_hex(span));
    if let Some((trace, span)) = found {
        facts.text("trace.id", trace);
        facts.text("span.id", span);
        parts.pop();
    }
    if let [service, thread, ..] = parts[..] {
        let mut service = service.split(',');
        facts.text("service.name", service.next().unwrap_or_default());
        facts.text("trace.id", service.next().unwrap_or_default());
        facts.text("span.id", service.next().unwrap_or_default());
        facts.text("process.thread.name", thread);
    } else if let Some(thread) = parts.first() {
        facts.text("process.thread.name", thread);
    }
    text
}

/// Python's two forms, of which loggers of Django have names of theirs.
fn python(facts: &mut Facts<'_>, logger: &str) {
    facts.classes.push("python/application/");
    if logger == "django" || logger.starts_with("django.") {
        facts.classes.push("django/application/");
    }
}

/// A name with dots or colons inside it, as loggers have.
fn is_logger(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LOGGER_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:$-/[]<>".contains(&b))
}

/// zap's `LOGGER<TAB>CALLER<TAB>TEXT<TAB>{JSON}`; gives the text.
fn zap<'t>(facts: &mut Facts<'t>, text: &'t str) -> &'t str {
    let mut parts: smallvec::SmallVec<[&str; 4]> = text.splitn(4, '\t').collect();
    if parts.last().is_some_and(|last| last.starts_with('{')) && parts.len() > 1 {
        parts.pop();
    }
    let message = parts.pop().unwrap_or(text);
    let is_caller = |part: &str| part.rsplit_once(':').is_some_and(|(_, line)| is_digits(line));
    for part in parts {
        facts.text(if is_caller(part) { "zap.caller" } else { "log.logger" }, part);
    }
    message
}

/// `LEVEL TEXT` and its relatives, without a time: `WARNING:root:text`, `[ERROR] text`.
pub(super) fn level_first<'t>(text: &'t str, _context: &Context) -> Option<Facts<'t>> {
    let mut facts = Facts::default();
    if let Some(rest) = text.strip_prefix('[') {
        let (level, rest) = rest.split_once(']')?;
        Severity::from_word(level.trim())?;
        facts.level = level.trim();
        facts.message = Some(rest.trim_start());
        return Some(facts);
    }
    let (level, rest) = text.split_once(':')?;
    // Prose such as `Error: …` is left as it is; loggers write their levels in capitals.
    if level.len() < 4 || !level.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    Severity::from_word(level)?;
    facts.level = level;
    match rest.split_once(':') {
        Some((name, after)) if is_logger(name) => {
            facts.text("log.logger", name);
            facts.message = Some(after);
            python(&mut facts, name);
        }
        _ => facts.message = Some(rest.trim_start()),
    }
    Some(facts)
}

/// Monolog's `[TIME] CHANNEL.LEVEL: TEXT {CONTEXT} [EXTRA]`.
pub(super) fn monolog<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text);
    let stamp = line.bracketed()?;
    if !looks_like(stamp, "0000-00-00") {
        return None;
    }
    let (name, rest) = line.rest.split_once(": ")?;
    let (channel, level) = name.rsplit_once('.')?;
    Severity::from_word(level)?;
    let mut facts = Facts { level, ..Facts::default() };
    facts.time = Some(time::from_text(stamp, context.zone, context.now)?);
    facts.text("log.logger", channel);
    facts.message = Some(rest);
    Some(facts)
}

/// `[TIME] LEVEL TEXT` of Kafka and others, and `[TIME] [PROCESS] [LEVEL] TEXT` of gunicorn.
pub(super) fn bracketed<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text);
    let stamp = line.bracketed()?;
    if !looks_like(stamp, "0000-00-00") && !is_day_first(stamp) {
        return None;
    }
    let at = time::from_text(stamp, context.zone, context.now)?;
    let mut facts = Facts { time: Some(at), ..Facts::default() };
    for _ in 0..3 {
        let mut rest = line;
        let Some(inner) = rest.bracketed() else { break };
        let is_level = Severity::from_word(inner.trim()).is_some();
        if is_level && facts.level.is_empty() {
            facts.level = inner.trim();
        } else if is_digits(inner) && facts.level.is_empty() {
            facts.integer("process.pid", inner);
        } else {
            break;
        }
        line = rest;
    }
    if facts.level.is_empty() {
        let level = line.word()?.trim_end_matches(':');
        Severity::from_word(level)?;
        facts.level = level;
    }
    // What stands in brackets here is not always a thread.
    let is_thread = line.rest.starts_with('[');
    facts.message = Some(if is_thread { line.rest } else { logger(&mut facts, line.rest) });
    Some(facts)
}

/// Serilog's `[03:04:05 INF] text` and `[2026-01-02 03:04:05.678 +00:00 INF] text`.
pub(super) fn serilog<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text);
    let header = line.bracketed()?;
    let (stamp, level) = header.rsplit_once(' ')?;
    if level.len() != 3 || !stamp.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Severity::from_word(level)?;
    let mut facts = Facts { level, ..Facts::default() };
    facts.time = time::from_text(stamp, context.zone, context.now);
    facts.message = Some(line.rest);
    Some(facts)
}
