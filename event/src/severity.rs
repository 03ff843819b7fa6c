//! One scale of severity for events, and the maps onto it.

use std::fmt;

/// How bad a sender says an event is: the eight of RFC 5424, section 6.2.1, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Severity {
    /// Only of use to those who debug; trace levels land here too.
    Debug,
    /// Normal, and what an event has when nothing is said.
    #[default]
    Info,
    /// Normal but significant.
    Notice,
    /// May become an error.
    Warning,
    /// Something failed.
    Error,
    /// A whole part failed.
    Critical,
    /// Action must be taken at once.
    Alert,
    /// The system is unusable.
    Emergency,
}

impl Severity {
    /// All of them, mildest first.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The word used in the API, the query language and the dashboard.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }

    /// The severity with this rank, 0 (debug) to 7 (emergency).
    pub fn from_rank(rank: u8) -> Option<Self> {
        Self::ALL.get(usize::from(rank)).copied()
    }

    /// 0 (debug) to 7 (emergency).
    pub const fn rank(self) -> u8 {
        self as u8
    }

    /// From a syslog number, 0 (emergency) to 7 (debug) (RFC 5424, table 2).
    pub fn from_syslog(number: u8) -> Option<Self> {
        7u8.checked_sub(number).and_then(Self::from_rank)
    }

    /// From an OpenTelemetry severity number, 1 to 24 (logs data model, "Field: SeverityNumber").
    pub fn from_otel(number: u8) -> Option<Self> {
        match number {
            1..=8 => Some(Self::Debug),
            9 => Some(Self::Info),
            10..=12 => Some(Self::Notice),
            13..=16 => Some(Self::Warning),
            17..=20 => Some(Self::Error),
            21..=22 => Some(Self::Critical),
            23 => Some(Self::Alert),
            24 => Some(Self::Emergency),
            _ => None,
        }
    }

    /// From a word in any case, in the spellings of the logging libraries in use.
    pub fn from_word(word: &str) -> Option<Self> {
        const WORDS: &[(&str, Severity)] = &[
            ("debug", Severity::Debug),
            ("trace", Severity::Debug),
            ("verbose", Severity::Debug),
            ("silly", Severity::Debug),
            ("fine", Severity::Debug),
            ("finer", Severity::Debug),
            ("finest", Severity::Debug),
            ("config", Severity::Debug),
            ("dbg", Severity::Debug),
            ("info", Severity::Info),
            ("information", Severity::Info),
            ("informational", Severity::Info),
            ("http", Severity::Info),
            ("log", Severity::Info),
            ("inf", Severity::Info),
            ("notice", Severity::Notice),
            ("success", Severity::Notice),
            ("warning", Severity::Warning),
            ("warn", Severity::Warning),
            ("wrn", Severity::Warning),
            ("error", Severity::Error),
            ("err", Severity::Error),
            ("severe", Severity::Error),
            ("failure", Severity::Error),
            ("critical", Severity::Critical),
            ("crit", Severity::Critical),
            ("fatal", Severity::Critical),
            ("ftl", Severity::Critical),
            ("dpanic", Severity::Critical),
            ("panic", Severity::Alert),
            ("alert", Severity::Alert),
            ("emergency", Severity::Emergency),
            ("emerg", Severity::Emergency),
        ];
        WORDS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word))
            .map(|(_, severity)| *severity)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scale_lands_where_a_person_expects() {
        assert_eq!(Severity::from_syslog(3), Some(Severity::Error));
        assert_eq!(Severity::from_syslog(8), None);
        assert_eq!(Severity::from_otel(17), Some(Severity::Error));
        assert_eq!(Severity::from_word("WARN"), Some(Severity::Warning));
        assert_eq!(Severity::from_word("purple"), None);
        for severity in Severity::ALL {
            assert_eq!(Severity::from_word(severity.name()), Some(severity));
            assert_eq!(Severity::from_rank(severity.rank()), Some(severity));
        }
    }
}
