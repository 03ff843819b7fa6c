//! Times as senders write them, in text or as numbers.
//!
//! Input: a text or number, the source's zone and the present. Output: an instant, or nothing when
//! it is in none of the known forms. Pure: the present is handed in.

use chrono::{
    DateTime, Datelike, LocalResult, NaiveDate, NaiveDateTime, Offset as _, TimeDelta, TimeZone,
};
use chrono_tz::{OffsetName as _, Tz};
use logwarden_event::Timestamp;

const NANOS_PER_SEC: i64 = 1_000_000_000;
/// Numbers below are durations or counters, not times (1973-03-03 in seconds).
const UNIX_SECS_MIN: i128 = 100_000_000;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// Letters of zones and their offsets in minutes, as in PostgreSQL's default set.
const ABBREVIATIONS: &[(&str, i64)] = &[
    ("UTC", 0),
    ("GMT", 0),
    ("WET", 0),
    ("BST", 60),
    ("WEST", 60),
    ("CET", 60),
    ("MET", 60),
    ("CEST", 120),
    ("MEST", 120),
    ("EET", 120),
    ("SAST", 120),
    ("IST", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("EAT", 180),
    ("PKT", 300),
    ("HKT", 480),
    ("SGT", 480),
    ("AWST", 480),
    ("JST", 540),
    ("KST", 540),
    ("ACST", 570),
    ("AEST", 600),
    ("ACDT", 630),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("NST", -210),
    ("NDT", -150),
    ("BRT", -180),
    ("ART", -180),
    ("ADT", -180),
    ("AST", -240),
    ("EDT", -240),
    ("EST", -300),
    ("CDT", -300),
    ("CST", -360),
    ("MDT", -360),
    ("MST", -420),
    ("PDT", -420),
    ("PST", -480),
    ("AKDT", -480),
    ("AKST", -540),
    ("HST", -600),
];
/// A time without a year lies at most so far ahead (durability contract, "Time").
const YEARLESS_AHEAD_MAX: TimeDelta = TimeDelta::days(1);
/// 29 February comes back within eight years.
const YEARS_BACK_MAX: i32 = 8;

/// Longer texts are no times; JavaScript spells a zone's name out.
const TEXT_BYTES_MAX: usize = 100;

/// Reads a time written as text in any of the known forms.
pub(crate) fn from_text(text: &str, zone: Tz, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    // Java names the zone once more: `2026-01-02T04:04:05+01:00[Europe/Berlin]`.
    let text = match text.split_once('[') {
        Some((stamp, name)) if name.ends_with(']') => stamp,
        _ => text,
    };
    if let Some((at, rest)) = iso(text, zone)
        && (rest.is_empty() || repeats_zone(&text[..text.len() - rest.len()], rest))
    {
        return Some(at);
    }
    if let Some(at) = from_digits(text) {
        return Some(at);
    }
    with_month(text, zone, now)
        .or_else(|| others(text, zone))
        .or_else(|| with_month(&reordered(text)?, zone, now))
}

/// `Mmm dd [yyyy] hh:mm:ss[.fff] [yyyy]`, and a zone behind it.
fn with_month(text: &str, zone: Tz, now: Timestamp) -> Option<Timestamp> {
    let (at, rest) = rfc3164(text, zone, now)?;
    if rest.is_empty() {
        return Some(at);
    }
    let (local, rest) = rfc3164(text, Tz::UTC, now)?;
    let (offset_secs, rest) = offset(rest).or_else(|| abbreviation(rest, local.nanos(), zone))?;
    let nanos = local.nanos().checked_sub(offset_secs.checked_mul(NANOS_PER_SEC)?)?;
    rest.is_empty().then_some(Timestamp::from_nanos(nanos))
}

/// What Go says behind the offset that `stamp` ends with: ` CET`, and ` m=+0.001` of its own clock.
fn repeats_zone(stamp: &str, rest: &str) -> bool {
    let sign = stamp.len().checked_sub(5).map(|at| stamp.as_bytes()[at]);
    if !matches!(sign, Some(b'+' | b'-')) {
        return false;
    }
    let mut words = rest.strip_prefix(' ').unwrap_or_default().split(' ');
    let is_name = |word: &str| word.bytes().all(|byte| byte.is_ascii_uppercase());
    words.next().is_some_and(|word| (3..=5).contains(&word.len()) && is_name(word))
        && words.next().is_none_or(|word| word.starts_with("m=") && words.next().is_none())
}

/// `Www Mmm dd hh:mm:ss ZONE yyyy` (Java, `date`) and `Www Mmm dd yyyy hh:mm:ss ZONE (NAME)` (JavaScript) without
/// the day of the week, the year before the clock.
fn reordered(text: &str) -> Option<String> {
    let text = text.split(" (").next().unwrap_or(text);
    let words: Vec<&str> = text.split_ascii_whitespace().take(7).collect();
    match words[..] {
        [_, month, day, clock, zone, year] if clock.contains(':') => {
            Some(format!("{month} {day} {year} {clock} {zone}"))
        }
        [_, month, day, year, clock, zone] => Some(format!("{month} {day} {year} {clock} {zone}")),
        _ => None,
    }
}

/// Year, month, day, hour, minute, and second and nanosecond where there are any.
pub(crate) fn from_parts(parts: &[i64], zone: Tz) -> Option<Timestamp> {
    let ([year, month, day, hour, minute], rest) = parts.split_first_chunk()?;
    let (second, nanos) = match *rest {
        [] => (0, 0),
        [second] => (second, 0),
        [second, nanos] => (second, nanos),
        _ => return None,
    };
    let year = i32::try_from(*year).ok().filter(|year| (1970..2200).contains(year))?;
    let part = |part: i64| u32::try_from(part).ok();
    let date = NaiveDate::from_ymd_opt(year, part(*month)?, part(*day)?)?;
    let local = date.and_hms_nano_opt(part(*hour)?, part(*minute)?, part(second)?, part(nanos)?)?;
    zoned(local, zone)
}

/// Unix time in seconds, milliseconds, microseconds or nanoseconds, told apart by size.
pub(crate) fn from_integer(number: i128) -> Option<Timestamp> {
    let size = number.unsigned_abs();
    let nanos_per_unit: i128 = if size < 100_000_000_000 {
        if number < UNIX_SECS_MIN {
            return None;
        }
        1_000_000_000
    } else if size < 100_000_000_000_000 {
        1_000_000
    } else if size < 100_000_000_000_000_000 {
        1_000
    } else {
        1
    };
    let nanos = number.checked_mul(nanos_per_unit)?;
    (number > 0).then_some(())?;
    i64::try_from(nanos).ok().map(Timestamp::from_nanos)
}

/// Unix time with a fraction, to the microsecond: a double holds no more.
pub(crate) fn from_float(number: f64) -> Option<Timestamp> {
    let whole = from_integer(number.trunc() as i128)?;
    let unit_nanos = whole.nanos() as f64 / number.trunc();
    let micros = (number.fract() * unit_nanos / 1_000.0).round() as i64;
    Some(Timestamp::from_nanos(whole.nanos().checked_add(micros.checked_mul(1_000)?)?))
}

/// Unix time as text, such as `1700000000.123456`.
fn from_digits(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 20 || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let number: i128 = whole.parse().ok()?;
    let at = from_integer(number)?;
    if fraction.is_empty() {
        return Some(at);
    }
    let unit_nanos = i128::from(at.nanos()) / number;
    let digits = fraction.get(..9).unwrap_or(fraction);
    let scale = 10i128.pow(u32::try_from(digits.len()).ok()?);
    let nanos = digits.parse::<i128>().ok()? * unit_nanos / scale;
    at.nanos().checked_add(i64::try_from(nanos).ok()?).map(Timestamp::from_nanos)
}

/// RFC 3339 and its relatives: space for `T`, comma for the point, slashes for dashes, no zone.
/// Gives the instant and what follows it.
pub(crate) fn iso(text: &str, zone: Tz) -> Option<(Timestamp, &str)> {
    let bytes = text.as_bytes();
    let separator = *bytes.get(4)?;
    if !matches!(separator, b'-' | b'/') || *bytes.get(7)? != separator {
        return None;
    }
    if !matches!(*bytes.get(10)?, b'T' | b't' | b' ') {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(number(bytes.get(..4)?)?).ok()?,
        u32::try_from(number(bytes.get(5..7)?)?).ok()?,
        u32::try_from(number(bytes.get(8..10)?)?).ok()?,
    )?;
    let clock = text.get(11..)?;
    let (nanos_of_day, rest) = clock_time(clock)
        .or_else(|| (bytes[10] != b' ').then(|| clock_minutes(clock)).flatten())?;
    let days = i64::from(date.to_epoch_days());
    let local = days.checked_mul(86_400 * NANOS_PER_SEC)?.checked_add(nanos_of_day)?;
    match offset(rest).or_else(|| abbreviation(rest, local, zone)) {
        Some((offset_secs, rest)) => {
            Some((Timestamp::from_nanos(local.checked_sub(offset_secs * NANOS_PER_SEC)?), rest))
        }
        None => Some((in_zone(local, zone)?, rest)),
    }
}

/// The offset of a zone that is named by its letters, in seconds: by the zone of the source, when that is called so
/// then, for others are called alike; else as PostgreSQL has them.
fn abbreviation(text: &str, local_nanos: i64, zone: Tz) -> Option<(i64, &str)> {
    let text = text.strip_prefix(' ')?;
    let length = text.bytes().take_while(u8::is_ascii_uppercase).count();
    let (name, rest) = text.split_at(length);
    let ends = !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if !(3..=5).contains(&length) || !ends {
        return None;
    }
    let local = DateTime::from_timestamp_nanos(local_nanos).naive_utc();
    let own = match zone.from_local_datetime(&local) {
        LocalResult::Single(at) => vec![at],
        LocalResult::Ambiguous(first, last) => vec![first, last],
        LocalResult::None => Vec::new(),
    };
    let own = own.into_iter().find(|at| at.offset().abbreviation() == Some(name));
    if let Some(at) = own {
        return Some((i64::from(at.offset().fix().local_minus_utc()), rest));
    }
    let (_, minutes) = ABBREVIATIONS.iter().find(|(known, _)| *known == name)?;
    Some((minutes * 60, rest))
}

/// `hh:mm:ss` with an optional fraction, as nanoseconds of the day, and what follows it.
fn clock_time(text: &str) -> Option<(i64, &str)> {
    let bytes = text.as_bytes();
    if *bytes.get(2)? != b':' || *bytes.get(5)? != b':' {
        return None;
    }
    let hour = number(bytes.get(..2)?)?;
    let minute = number(bytes.get(3..5)?)?;
    let second = number(bytes.get(6..8)?)?;
    // 60 is a leap second and counts as the next one's first instant.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(8..)?;
    let (nanos, rest) = match rest.as_bytes() {
        [b'.' | b',', b'0'..=b'9', ..] => {
            let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
            (fraction_nanos(&rest[1..=digits]), &rest[1 + digits..])
        }
        _ => (0, rest),
    };
    Some((((hour * 60 + minute) * 60 + second) * NANOS_PER_SEC + nanos, rest))
}

/// `hh:mm` before a zone, as ISO 8601 allows.
fn clock_minutes(text: &str) -> Option<(i64, &str)> {
    let bytes = text.as_bytes();
    let (hour, minute) = (number(bytes.get(..2)?)?, number(bytes.get(3..5)?)?);
    let has_zone = matches!(bytes.get(5)?, b'Z' | b'z' | b'+' | b'-');
    if bytes[2] != b':' || hour > 23 || minute > 59 || !has_zone {
        return None;
    }
    Some(((hour * 60 + minute) * 60 * NANOS_PER_SEC, text.get(5..)?))
}

fn fraction_nanos(digits: &str) -> i64 {
    digits
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0, |nanos, digit| nanos * 10 + i64::from(digit - b'0'))
}

/// `Z`, `UTC`, `+02:00`, `+0200` or `+02`, after an optional space; `GMT+0200` too.
fn offset(text: &str) -> Option<(i64, &str)> {
    let mut trimmed = text.strip_prefix(' ').unwrap_or(text);
    if let Some(rest) = trimmed.strip_prefix(['Z', 'z']) {
        return Some((0, rest));
    }
    if let Some(rest) = trimmed.strip_prefix("UTC").or_else(|| trimmed.strip_prefix("GMT")) {
        if !rest.starts_with(['+', '-']) {
            return Some((0, rest));
        }
        trimmed = rest;
    }
    let sign = match trimmed.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let bytes = &trimmed.as_bytes()[1..];
    let hours = number(bytes.get(..2)?)?;
    let (minutes, taken) = match bytes.get(2) {
        Some(b':') => (number(bytes.get(3..5)?)?, 6),
        Some(byte) if byte.is_ascii_digit() => (number(bytes.get(2..4)?)?, 5),
        _ => (0, 3),
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    Some((sign * (hours * 60 + minutes) * 60, trimmed.get(taken..)?))
}

/// The instant of a local time; of two the earlier one, and one that the clocks skipped counts as
/// if they had not.
fn in_zone(local_nanos: i64, zone: Tz) -> Option<Timestamp> {
    if zone == Tz::UTC {
        return Some(Timestamp::from_nanos(local_nanos));
    }
    let local = DateTime::from_timestamp_nanos(local_nanos).naive_utc();
    zoned(local, zone)
}

fn zoned(local: NaiveDateTime, zone: Tz) -> Option<Timestamp> {
    let at = match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at,
        LocalResult::None => {
            let before = local.checked_sub_signed(TimeDelta::hours(3))?;
            let at = zone.from_local_datetime(&before).earliest()?;
            at.checked_add_signed(TimeDelta::hours(3))?
        }
    };
    at.timestamp_nanos_opt().map(Timestamp::from_nanos)
}

/// `Mmm dd hh:mm:ss` (RFC 3164, section 4.1.2), also with a year before or after the clock time and
/// a fraction. Without a year: the latest one that puts it at most a day ahead of `now`. Gives the
/// instant and what follows it.
pub(crate) fn rfc3164(text: &str, zone: Tz, now: Timestamp) -> Option<(Timestamp, &str)> {
    let month = month(text)?;
    let rest = text.get(3..)?.strip_prefix(' ')?.trim_start_matches(' ');
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=2).contains(&digits) {
        return None;
    }
    let day = u32::try_from(number(&rest.as_bytes()[..digits])?).ok()?;
    let mut rest = rest[digits..].strip_prefix(' ')?.trim_start_matches(' ');
    let mut year = None;
    if let Some((given, after)) = year_of(rest) {
        year = Some(given);
        rest = after.strip_prefix(' ')?;
    }
    let (nanos, mut rest) = clock_time(rest)?;
    if year.is_none()
        && let Some((given, after)) = rest.strip_prefix(' ').and_then(year_of)
        && (after.is_empty() || after.starts_with(' '))
    {
        (year, rest) = (Some(given), after);
    }
    let instant = |year: i32| {
        let date = NaiveDate::from_ymd_opt(year, month, day)?;
        let local = date.and_hms_opt(0, 0, 0)?.checked_add_signed(TimeDelta::nanoseconds(nanos))?;
        zoned(local, zone)
    };
    if let Some(year) = year {
        return Some((instant(year)?, rest));
    }
    let latest = now.to_datetime().checked_add_signed(YEARLESS_AHEAD_MAX)?.timestamp_nanos_opt()?;
    let this_year = now.to_datetime().year();
    let at = (this_year - YEARS_BACK_MAX..=this_year + 1)
        .rev()
        .filter_map(instant)
        .find(|at| at.nanos() <= latest)?;
    Some((at, rest))
}

fn year_of(text: &str) -> Option<(i32, &str)> {
    let year = i32::try_from(number(text.as_bytes().get(..4)?)?).ok()?;
    let rest = &text[4..];
    let is_whole = !rest.starts_with(|c: char| c.is_ascii_digit() || c == ':');
    ((1970..2200).contains(&year) && is_whole).then_some((year, rest))
}

fn month(text: &str) -> Option<u32> {
    let name = text.get(..3)?;
    let index = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    u32::try_from(index + 1).ok()
}

/// What web servers and mail write: `10/Oct/2000:13:55:36 -0700`, RFC 2822, `Sun Dec 04 04:47:44 2005`.
fn others(text: &str, zone: Tz) -> Option<Timestamp> {
    let nanos = |at: DateTime<chrono::FixedOffset>| at.timestamp_nanos_opt();
    if let Ok(at) = DateTime::parse_from_str(text, "%d/%b/%Y:%H:%M:%S %z") {
        return nanos(at).map(Timestamp::from_nanos);
    }
    if let Ok(at) = DateTime::parse_from_rfc2822(text) {
        return nanos(at).map(Timestamp::from_nanos);
    }
    if let Ok(at) = DateTime::parse_from_str(text, "%Y%m%dT%H%M%S%.f%z") {
        return nanos(at).map(Timestamp::from_nanos);
    }
    let (text, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(local) => (local, Tz::UTC),
        None => (text, zone),
    };
    [
        "%a %b %d %H:%M:%S%.f %Y",
        "%d/%b/%Y %H:%M:%S%.f",
        "%d/%b/%Y:%H:%M:%S%.f",
        "%d %b %Y %H:%M:%S%.f",
        "%d-%b-%Y %H:%M:%S%.f",
        "%d.%m.%Y %H:%M:%S%.f",
        "%Y%m%dT%H%M%S%.f",
    ]
    .iter()
    .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    .and_then(|local| zoned(local, zone))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0i64, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-03-01T12:00:00Z").expect("a time")
    }

    fn check(text: &str, zone: Tz, expected: &str) {
        let said = from_text(text, zone, now()).map_or("none".into(), |at| at.to_string());
        assert_eq!(said, expected, "{text}");
    }

    #[test]
    fn every_spelling_of_an_instant_is_read() {
        for (text, expected) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05.123456789+02:00", "2026-01-02T01:04:05.123456789Z"),
            ("2026-01-02 03:04:05,678", "2026-01-02T03:04:05.678Z"),
            ("2026-01-02 03:04:05.5 -0330", "2026-01-02T06:34:05.500Z"),
            ("2026-01-02 03:04:05 UTC", "2026-01-02T03:04:05Z"),
            ("2026/01/02 03:04:05", "2026-01-02T03:04:05Z"),
            ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00Z"),
            ("1700000000", "2023-11-14T22:13:20Z"),
            ("1700000000.123456", "2023-11-14T22:13:20.123456Z"),
            ("1700000000123", "2023-11-14T22:13:20.123Z"),
            ("1700000000123456789", "2023-11-14T22:13:20.123456789Z"),
            ("10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z"),
            ("Sun Dec 04 04:47:44 2005", "2005-12-04T04:47:44Z"),
            ("Tue, 01 Jul 2003 10:52:37 +0200", "2003-07-01T08:52:37Z"),
            ("Dec 10 2023 06:55:46", "2023-12-10T06:55:46Z"),
            ("Dec 10 06:55:46 2023", "2023-12-10T06:55:46Z"),
            ("2026-12-03T04:10Z", "2026-12-03T04:10:00Z"),
            ("2026-12-03T04:10+01:00", "2026-12-03T03:10:00Z"),
            ("20261203T041011Z", "2026-12-03T04:10:11Z"),
            ("20261203T051011.5+0100", "2026-12-03T04:10:11.500Z"),
            ("2026-12-03 05:10:11.5 +0100 CET m=+0.001", "2026-12-03T04:10:11.500Z"),
            ("2026-12-03 04:10:11 +0000 UTC", "2026-12-03T04:10:11Z"),
            ("Thu Dec  3 05:10:11 CET 2026", "2026-12-03T04:10:11Z"),
            (
                "Thu Dec 03 2026 05:10:11 GMT+0100 (Central European Standard Time)",
                "2026-12-03T04:10:11Z",
            ),
            ("Dec 03 2026 04:10:11.500 UTC", "2026-12-03T04:10:11.500Z"),
            ("Dec 03 2026 05:10:11 CET", "2026-12-03T04:10:11Z"),
            ("03-Dec-2026 04:10:11.500", "2026-12-03T04:10:11.500Z"),
            ("2026-12-03 04:10:11 XYZ", "none"),
            ("2026-12-03T05:10:11.5+01:00[Europe/Berlin]", "2026-12-03T04:10:11.500Z"),
            ("03.12.2026 04:10:11", "2026-12-03T04:10:11Z"),
            ("2026-12-03 04:10", "none"),
            ("2026-12-03 04:10:11 at last", "none"),
            ("Thu Dec  3 05:10:11 XYZ 2026", "none"),
            ("yesterday", "none"),
            ("2026-02-30T00:00:00Z", "none"),
            ("2026-01-02T24:04:05Z", "none"),
            ("12", "none"),
            ("", "none"),
        ] {
            check(text, Tz::UTC, expected);
        }
    }

    #[test]
    fn a_time_without_zone_is_in_the_zone_of_its_source() {
        check("2026-01-02 03:04:05", Tz::Europe__Berlin, "2026-01-02T02:04:05Z");
        check("2026-07-02 03:04:05", Tz::Europe__Berlin, "2026-07-02T01:04:05Z");
        // 02:30 is skipped in spring and comes twice in autumn.
        check("2026-03-29 02:30:00", Tz::Europe__Berlin, "2026-03-29T01:30:00Z");
        check("2026-10-25 02:30:00", Tz::Europe__Berlin, "2026-10-25T00:30:00Z");
    }

    #[test]
    fn a_zone_is_known_by_its_letters() {
        check("2026-01-02 03:04:05 EST", Tz::UTC, "2026-01-02T08:04:05Z");
        check("2026-01-02 03:04:05.5 CET", Tz::UTC, "2026-01-02T02:04:05.500Z");
        check("2026-07-02 03:04:05 CEST", Tz::Europe__Berlin, "2026-07-02T01:04:05Z");
        check("2026-10-25 02:30:00 CET", Tz::Europe__Berlin, "2026-10-25T01:30:00Z");
        check("2026-01-02 03:04:05 CST", Tz::UTC, "2026-01-02T09:04:05Z");
        check("2026-01-02 03:04:05 CST", Tz::Asia__Shanghai, "2026-01-01T19:04:05Z");
        check("2026-01-02 03:04:05 IST", Tz::Asia__Kolkata, "2026-01-01T21:34:05Z");
        check("2026-01-02 03:04:05 XYZ", Tz::UTC, "none");
        check("2026-01-02 03:04:05 ESTX", Tz::UTC, "none");
    }

    #[test]
    fn a_time_without_year_gets_the_latest_that_is_at_most_a_day_ahead() {
        check("Mar  1 11:00:00", Tz::UTC, "2026-03-01T11:00:00Z");
        check("Mar  2 11:59:59", Tz::UTC, "2026-03-02T11:59:59Z");
        check("Mar  2 12:00:01", Tz::UTC, "2025-03-02T12:00:01Z");
        check("Dec 31 23:59:59", Tz::UTC, "2025-12-31T23:59:59Z");
        check("Feb 29 00:00:00", Tz::UTC, "2024-02-29T00:00:00Z");
        let new_year = Timestamp::parse_rfc3339("2025-12-31T23:59:00Z").expect("a time");
        let read = rfc3164("Jan  1 00:00:30 host", Tz::UTC, new_year);
        let (at, rest) = read.expect("a time");
        assert_eq!((at.to_string().as_str(), rest), ("2026-01-01T00:00:30Z", " host"));
    }

    #[test]
    fn numbers_are_told_apart_by_size() {
        let shown = |number| from_integer(number).map(|at| at.to_string());
        assert_eq!(shown(1_700_000_000), Some("2023-11-14T22:13:20Z".into()));
        assert_eq!(shown(1_700_000_000_000_000), Some("2023-11-14T22:13:20Z".into()));
        assert_eq!(shown(42), None);
        assert_eq!(shown(-1_700_000_000), None);
        assert_eq!(shown(i128::MAX), None);
        let float = from_float(1_700_000_000.25).map(|at| at.to_string());
        assert_eq!(float, Some("2023-11-14T22:13:20.250Z".into()));
        let millis = from_float(1_700_000_000_123.5).map(|at| at.to_string());
        assert_eq!(millis, Some("2023-11-14T22:13:20.123500Z".into()));
        assert_eq!(from_float(f64::MAX), None);
    }

    proptest! {
        #[test]
        fn every_text_is_survived(text in "[0-9TZ:.,+\\-/ a-zA-Zé]{0,40}", number in any::<i64>()) {
            let _ = from_text(&text, Tz::Europe__Berlin, now());
            let _ = from_text(&text, Tz::UTC, Timestamp::from_nanos(number));
            let _ = from_integer(i128::from(number));
            let _ = from_float(number as f64);
        }
    }
}
