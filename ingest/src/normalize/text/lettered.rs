//! Lines of the loggers of Go, of Kubernetes' components and of Ruby.
//!
//! Input: `2026/01/02 03:04:05 INFO TEXT` (Go's `log` and the default of `slog`),
//! `E0102 03:04:05.678901    7 file.go:3] TEXT` (klog, glog), `E, [2026-01-02T03:04:05.678901 #7] ERROR -- NAME: TEXT`
//! (Ruby). Output: time, level, process and the text as message.

use logwarden_event::{Severity, Timestamp};

use super::line::{Line, is_digits, looks_like};
use super::{Context, Facts};
use crate::normalize::time;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `TIME [LEVEL ]TEXT` of Go, whose level is in capitals.
pub(super) fn go<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    if !looks_like(text, "0000/00/00 00:00:00") {
        return None;
    }
    let fraction = text[19..].bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (stamp, rest) = text.split_at(19 + fraction);
    let mut line = Line::new(rest.strip_prefix(' ')?);
    let mut facts = Facts {
        time: Some(time::from_text(stamp, context.zone, context.now)?),
        message: Some(line.rest),
        ..Facts::default()
    };
    let word = line.word().unwrap_or_default();
    let name = word.split(['+', '-']).next().unwrap_or(word);
    if name.bytes().all(|byte| byte.is_ascii_uppercase()) && Severity::from_word(name).is_some() {
        facts.level = word;
        facts.message = Some(line.rest);
    }
    Some(facts)
}

/// `LMMDD TIME PROCESS FILE:LINE] TEXT` of Kubernetes' components.
pub(super) fn klog<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    if !looks_like(text.get(1..)?, "0000 00:00:00.") {
        return None;
    }
    let mut line = Line::new(text);
    let (letter_and_day, clock) = (line.word()?, line.short_word(20)?);
    let process = line.word()?;
    let place = line.until("] ")?;
    let (_, number) = place.rsplit_once(':')?;
    if !is_digits(process) || !is_digits(number) || place.contains(' ') {
        return None;
    }
    let mut facts = Facts { message: Some(line.rest), ..Facts::default() };
    facts.time = Some(of_day(&letter_and_day[1..], clock, context)?);
    facts.severity = Some(match letter_and_day.as_bytes()[0] {
        b'I' => Severity::Info,
        b'W' => Severity::Warning,
        b'E' => Severity::Error,
        _ => Severity::Critical,
    });
    facts.integer("process.pid", process);
    facts.text("klog.caller", place);
    Some(facts)
}

/// The instant of `MMDD` and a clock, without a year.
fn of_day(day: &str, clock: &str, context: &Context) -> Option<Timestamp> {
    let month = MONTHS.get(day.get(..2)?.parse::<usize>().ok()?.checked_sub(1)?)?;
    let stamp = format!("{month} {} {clock}", day.get(2..)?);
    time::from_text(&stamp, context.zone, context.now)
}

/// `L, [TIME #PROCESS] LEVEL -- NAME: TEXT` of Ruby's logger.
pub(super) fn ruby<'t>(text: &'t str, context: &Context) -> Option<Facts<'t>> {
    let mut line = Line::new(text.get(1..)?);
    line.tag(", ")?;
    let header = line.bracketed()?;
    let (stamp, process) = header.split_once('#')?;
    let level = line.until(" -- ")?;
    Severity::from_word(level).or_else(|| (level == "ANY").then_some(Severity::Info))?;
    let (name, said) = line.rest.split_once(':')?;
    let mut facts = Facts { level, message: Some(said.trim_start()), ..Facts::default() };
    facts.time = Some(time::from_text(stamp, context.zone, context.now)?);
    facts.integer("process.pid", process.trim());
    facts.text("log.logger", name);
    Some(facts)
}
