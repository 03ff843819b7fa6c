//! How bad senders say it is, in words and in the numbers of their libraries.

use logwarden_event::Severity;

use super::super::reading::{Held, Reading};
use super::table::Scale;

/// The severity a value says on its scale.
pub(crate) fn severity_of(reading: &Reading<'_>, scale: Scale, value: &Held) -> Option<Severity> {
    let number = match value {
        Held::Text(text) => {
            let word = uncoloured(reading.str(*text));
            // What is written whatever is to be logged, such as audits.
            if scale == Scale::Windows && word.eq_ignore_ascii_case("logalways") {
                return Some(Severity::Info);
            }
            if let Some(severity) = Severity::from_word(without_offset(word)) {
                let is_outcome = matches!(severity, Severity::Notice)
                    && !word.eq_ignore_ascii_case("notice")
                    || word.eq_ignore_ascii_case("failure");
                return (scale != Scale::WordOnly || !is_outcome).then_some(severity);
            }
            word.parse().ok()?
        }
        Held::Signed(number) => *number,
        _ => return None,
    };
    match scale {
        Scale::WordOnly => None,
        Scale::Syslog => Severity::from_syslog(u8::try_from(number).ok()?),
        Scale::OpenTelemetry => Severity::from_otel(u8::try_from(number).ok()?),
        Scale::Python => python(number),
        Scale::Windows => windows(number),
        Scale::Nxlog => nxlog(number),
        Scale::Any => match number {
            0..=7 => Severity::from_syslog(u8::try_from(number).ok()?),
            8..=69 => pino(number),
            _ => monolog(number),
        },
    }
}

/// The word without the colours of a terminal around it, with which winston and others are often set up.
fn uncoloured(word: &str) -> &str {
    let Some(coloured) = word.strip_prefix("\u{1b}[") else { return word };
    let is_colour = |codes: &str| codes.bytes().all(|byte| byte.is_ascii_digit() || byte == b';');
    match coloured.split_once('m') {
        Some((codes, rest)) if is_colour(codes) => {
            rest.split('\u{1b}').next().unwrap_or(rest).trim()
        }
        _ => word,
    }
}

/// The level of Go's slog without its distance from it: `INFO+2`, `DEBUG-4`.
fn without_offset(word: &str) -> &str {
    let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_offset = name.len() < word.len() && name.ends_with(['+', '-']);
    if is_offset { &name[..name.len() - 1] } else { word }
}

/// pino and bunyan: 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal.
const fn pino(number: i64) -> Option<Severity> {
    match number {
        8..30 => Some(Severity::Debug),
        30..35 => Some(Severity::Info),
        35..40 => Some(Severity::Notice),
        40..50 => Some(Severity::Warning),
        50..60 => Some(Severity::Error),
        60..70 => Some(Severity::Critical),
        _ => None,
    }
}

/// Python's `levelno`: 10 debug, 20 info, 30 warning, 40 error, 50 critical.
const fn python(number: i64) -> Option<Severity> {
    match number {
        1..20 => Some(Severity::Debug),
        20..30 => Some(Severity::Info),
        30..40 => Some(Severity::Warning),
        40..50 => Some(Severity::Error),
        50..60 => Some(Severity::Critical),
        _ => None,
    }
}

/// Windows: 0 always logged, 1 critical, 2 error, 3 warning, 4 information, 5 verbose.
const fn windows(number: i64) -> Option<Severity> {
    match number {
        0 | 4 => Some(Severity::Info),
        1 => Some(Severity::Critical),
        2 => Some(Severity::Error),
        3 => Some(Severity::Warning),
        5 => Some(Severity::Debug),
        _ => None,
    }
}

/// NXLog: 1 debug, 2 info, 3 warning, 4 error, 5 critical.
const fn nxlog(number: i64) -> Option<Severity> {
    match number {
        1 => Some(Severity::Debug),
        2 => Some(Severity::Info),
        3 => Some(Severity::Warning),
        4 => Some(Severity::Error),
        5 => Some(Severity::Critical),
        _ => None,
    }
}

/// Monolog: 100 debug, 200 info, 250 notice, 300 warning, 400 error, 500 critical, 550 alert, 600
/// emergency.
const fn monolog(number: i64) -> Option<Severity> {
    match number {
        100 => Some(Severity::Debug),
        200 => Some(Severity::Info),
        250 => Some(Severity::Notice),
        300 => Some(Severity::Warning),
        400 => Some(Severity::Error),
        500 => Some(Severity::Critical),
        550 => Some(Severity::Alert),
        600 => Some(Severity::Emergency),
        _ => None,
    }
}
