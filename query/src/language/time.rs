//! Instants and durations as a person writes them.

use std::time::Duration;

use logwarden_event::Timestamp;

/// Why a text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no time, expected RFC 3339 such as `2026-11-22T04:22:59Z`, a date, Unix seconds or \
     milliseconds, or relative such as `now-15m`"
)]
pub struct TimeError {
    /// What stands there.
    pub text: String,
}

/// Unix times from here on are milliseconds; as seconds this is the year 5138.
const FIRST_MILLIS: u64 = 100_000_000_000;

/// Reads RFC 3339, a date (midnight UTC), Unix seconds or milliseconds, `now`, `now-15m` or
/// `now+1h`.
///
/// # Errors
///
/// [`TimeError`] when it is none of these.
pub fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, TimeError> {
    let text = text.trim();
    relative(text, now)
        .or_else(|| unix(text))
        .or_else(|| Timestamp::parse_rfc3339(text))
        .or_else(|| day(text))
        .ok_or_else(|| TimeError { text: text.to_owned() })
}

/// Midnight UTC of `2026-11-22`.
pub(super) fn day(text: &str) -> Option<Timestamp> {
    let is_date = text.len() == "2026-11-22".len() && text.is_ascii();
    if is_date { Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")) } else { None }
}

fn relative(text: &str, now: Timestamp) -> Option<Timestamp> {
    let offset = text.strip_prefix("now")?.trim();
    if offset.is_empty() {
        return Some(now);
    }
    let span = parse_duration(offset.get(1..)?.trim())?;
    match offset.as_bytes()[0] {
        b'-' => Some(now.saturating_sub(span)),
        b'+' => Some(now.saturating_add(span)),
        _ => None,
    }
}

fn unix(text: &str) -> Option<Timestamp> {
    let number: i64 = text.parse().ok()?;
    Some(if number.unsigned_abs() >= FIRST_MILLIS {
        Timestamp::from_millis(number)
    } else {
        Timestamp::from_secs(number)
    })
}

/// Reads a whole number and its unit: `ms`, `s`, `m`, `h`, `d` or `w`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        let now = Timestamp::from_secs(1_000_000);
        for (text, expected) in [
            ("now", "1970-01-12T13:46:40Z"),
            ("now-15m", "1970-01-12T13:31:40Z"),
            ("now + 1d", "1970-01-13T13:46:40Z"),
            ("1700000000", "2023-11-14T22:13:20Z"),
            ("1700000000123", "2023-11-14T22:13:20.123Z"),
            ("-9223372036854775808", "1677-09-21T00:12:43.145224192Z"),
            ("2026-11-22", "2026-11-22T00:00:00Z"),
            ("2026-11-22T04:22:59.5+01:00", "2026-11-22T03:22:59.500Z"),
        ] {
            assert_eq!(parse_time(text, now).map(|time| time.to_string()), Ok(expected.into()));
        }
        for text in ["", "nowhere", "now-", "now-15", "now-15y", "now15m", "yesterday", "nowé1m"] {
            assert!(parse_time(text, now).is_err(), "{text}");
        }
        assert_eq!(
            parse_time("now-99999999999999w", now),
            Err(TimeError { text: "now-99999999999999w".into() })
        );
    }
}
