//! What is judged only when the watermark has passed: conditions that a further event can undo.
//!
//! Plain settings, read by `rule/correlation.rs` and `rule/detector.rs`, worked by `crate::trend`.

use std::time::Duration;

/// What is worked out of the events of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// How many there are.
    Count,
    /// How many different values the fields have.
    Distinct,
    /// The field's sum.
    Sum,
    /// The field's mean.
    Avg,
    /// The field's least value.
    Min,
    /// The field's greatest value.
    Max,
    /// The field's percentile of this rank, 0 to 100, by the nearest rank.
    Percentile(f64),
}

impl Measure {
    /// As a sentence says it of a field.
    pub fn text(self, field: &str) -> String {
        match self {
            Self::Count => String::from("number of events"),
            Self::Distinct => format!("number of different {field}"),
            Self::Sum => format!("sum of {field}"),
            Self::Avg => format!("mean of {field}"),
            Self::Min => format!("least {field}"),
            Self::Max => format!("greatest {field}"),
            Self::Percentile(50.0) => format!("median of {field}"),
            Self::Percentile(rank) => format!("{rank}th percentile of {field}"),
        }
    }

    /// Whether it needs a field with numbers.
    pub fn needs_number(self) -> bool {
        !matches!(self, Self::Count | Self::Distinct)
    }
}

/// Bounds of a number; all that are said must hold.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounds {
    /// More than this.
    pub gt: Option<f64>,
    /// At least this.
    pub gte: Option<f64>,
    /// Less than this.
    pub lt: Option<f64>,
    /// At most this.
    pub lte: Option<f64>,
    /// Exactly this.
    pub eq: Option<f64>,
    /// Anything but this.
    pub neq: Option<f64>,
}

impl Bounds {
    /// Whether `value` lies within.
    pub fn hold(&self, value: f64) -> bool {
        self.gt.is_none_or(|bound| value > bound)
            && self.gte.is_none_or(|bound| value >= bound)
            && self.lt.is_none_or(|bound| value < bound)
            && self.lte.is_none_or(|bound| value <= bound)
            && self.eq.is_none_or(|bound| value == bound)
            && self.neq.is_none_or(|bound| value != bound)
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As a sentence says it.
    pub fn text(&self) -> String {
        let parts = [
            ("more than", self.gt),
            ("at least", self.gte),
            ("less than", self.lt),
            ("at most", self.lte),
            ("exactly", self.eq),
            ("anything but", self.neq),
        ];
        let said = parts.iter().filter_map(|(words, bound)| Some(format!("{words} {}", (*bound)?)));
        said.collect::<Vec<_>>().join(" and ")
    }
}

/// What a spike is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The window before.
    Previous,
    /// The same window a week ago.
    WeekAgo,
    /// The mean window of this span before.
    Span(Duration),
}

/// Which way something leaves what is usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// More.
    Up,
    /// Less.
    Down,
    /// Either.
    Both,
}

/// Which times of the past are like now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Season {
    /// The same hour of the same weekday.
    HourOfWeek,
    /// The same hour of any day.
    HourOfDay,
    /// All.
    None,
}

/// A way in which a condition over rules can hold: places of the rules that a correlation names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// These matched, each once or more often; at least one.
    pub needed: Vec<u32>,
    /// These did not.
    pub absent: Vec<u32>,
}

/// When a value is rare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Few {
    /// At most so many others have it.
    Entities(u32),
    /// At most this share of the group's events has it, 0 to 1.
    Share(f64),
}

/// How it is decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Judge {
    /// The measure of the window lies within bounds.
    Within(Bounds),
    /// Rules matched together, and others did not.
    Temporal {
        /// The ways in which it can hold.
        branches: Vec<Branch>,
        /// Whether the rules of a branch must match in its order.
        is_ordered: bool,
        /// The condition as it was written.
        text: String,
    },
    /// The measure of the window is a multiple, or a fraction, of what it was.
    Spike {
        /// Of what.
        against: Against,
        /// How many times.
        factor: f64,
        /// Which way.
        direction: Direction,
        /// The least the window must have for a rise.
        min_current: f64,
        /// The least it is measured against.
        min_reference: f64,
        /// Whether a group that has no past yet can rise.
        new_alerts: bool,
    },
    /// Fewer events than this in the window, for a group that was seen.
    Flatline {
        /// Fewer than this.
        below: f64,
        /// A group unseen for so long is forgotten.
        seen_within: Duration,
    },
    /// The share of events that are the part lies within bounds.
    Ratio {
        /// Of the share, 0 to 1.
        bounds: Bounds,
        /// Events the window must have.
        min_events: f64,
    },
    /// The measure of a bucket is far from what is usual at such times.
    Baseline {
        /// Which times are alike.
        season: Season,
        /// Robust standard deviations from the median.
        sensitivity: f64,
        /// Which way.
        direction: Direction,
        /// The least that a bucket has or is expected to have.
        min_expected: f64,
        /// Buckets in a row.
        buckets: u32,
        /// How long nothing is said at first.
        learn: Duration,
        /// It is about something being absent, and a group unseen for so long is forgotten.
        absence: Option<Duration>,
    },
    /// A value that the group did not have.
    NewTerm {
        /// For how long values are remembered.
        history: Duration,
        /// How long nothing is said at first; `None`: about the first value.
        learn: Option<Duration>,
    },
    /// A value that few have.
    Rare {
        /// How few.
        few: Few,
        /// How long nothing is said at first.
        learn: Duration,
    },
    /// A value that differs from the group's last one.
    Change,
    /// Points of risk of detections about one entity.
    Risk {
        /// How many.
        score: f64,
        /// Rules that must have a part in it.
        rules_min: u32,
        /// Tactics of ATT&CK that must have a part in it.
        tactics_min: u32,
        /// After so long a detection's points count half.
        half_life: Option<Duration>,
    },
}

/// Something that waits for the watermark.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What is worked out.
    pub measure: Measure,
    /// How it is decided.
    pub judge: Judge,
}

impl Judged {
    /// Whether the fields to group by are those whose values are counted, in groups of the value looked at.
    pub fn counts_groups(&self) -> bool {
        matches!(self.judge, Judge::Rare { few: Few::Entities(_), .. })
    }

    /// Whether its alerts are about something being absent, and are over when it is back.
    pub fn is_absence(&self) -> bool {
        match &self.judge {
            Judge::Flatline { .. } | Judge::Baseline { absence: Some(_), .. } => true,
            Judge::Within(bounds) => self.holds_when_empty(bounds),
            _ => false,
        }
    }

    /// Whether a window without events lies within the bounds.
    pub fn holds_when_empty(&self, bounds: &Bounds) -> bool {
        matches!(self.measure, Measure::Count | Measure::Distinct | Measure::Sum)
            && bounds.hold(0.0)
    }
}
