//! What is usual for a group at such times, and whether a bucket is far from it.
//!
//! Each time of the season keeps its last few buckets; the middle one is expected, and the spread is
//! the median distance from it. Where a time has too few, those of the same hour count, then the last
//! ones of any time. What is far out is taken as no further than the allowed edge, so that an incident
//! does not become usual at once. After a bucket was told of, another one must be further out than it
//! for a fifth of the time seen so far: the longer a group is known, the rarer it is told of.

use serde::{Deserialize, Serialize};

use super::frame::WEEK_NS;
use super::series::nanos;
use crate::rule::{Direction, Judge, Season};

/// Buckets kept for one time of the season.
const SLOT_BUCKETS_MAX: usize = 8;
/// Buckets of any time.
const RECENT_BUCKETS_MAX: usize = 96;
/// Buckets from which something can be said.
const BUCKETS_MIN: usize = 4;
/// Buckets of any time from which something can be said.
const RECENT_MIN: usize = 12;
/// From the median distance to the standard deviation of a normal distribution.
const MAD_TO_SIGMA: f64 = 1.4826;
/// The part of the time seen so far in which nothing milder is told again.
const HOLD_SHARE: f64 = 0.2;
/// Remembered values lie within plus and minus this, so that distances between them are finite.
const VALUE_MAX: f64 = 1e37;
const HOUR_NS: i64 = 3_600 * 1_000_000_000;

/// What a group's buckets were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Model {
    /// By hour of the week, those that were seen.
    slots: Vec<(u16, Vec<f32>)>,
    recent: Vec<f32>,
    /// Buckets in a row that were far out.
    in_row: u32,
    buckets: u64,
    /// How far out the last bucket was that was told of, and which one that was.
    told: Option<(f64, u64)>,
    /// Whether the bucket before was told of: the incident goes on.
    is_told: bool,
}

/// A bucket that is far out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unusual {
    pub low: f64,
    pub high: f64,
    pub median: f64,
    /// How many buckets that is known from.
    pub buckets: usize,
    pub sensitivity: f64,
}

impl Model {
    /// Takes the bucket that begins at `from`, whose measure came to `value` and cannot come to less than `least`; answers what
    /// is unusual about it.
    pub(super) fn take(
        &mut self,
        judge: &Judge,
        bucket_ns: i64,
        (from, first_at): (i64, i64),
        (value, least): (f64, f64),
    ) -> Option<Unusual> {
        let Judge::Baseline {
            season, sensitivity, direction, min_expected, buckets, learn, ..
        } = judge
        else {
            return None;
        };
        let is_partial = from < first_at;
        self.buckets += 1;
        let hour = hour_of_week(from);
        let known = self.alike(*season, hour);
        let (median, spread) = middle(&known);
        let margin = (sensitivity * spread).min(VALUE_MAX);
        let (low, high) = ((median - margin).max(least), median + margin);
        let distance = (value - median) / spread;
        let is_far = !known.is_empty()
            && match direction {
                Direction::Up => distance > *sensitivity,
                Direction::Down => -distance > *sensitivity,
                Direction::Both => distance.abs() > *sensitivity,
            }
            && value.abs().max(median.abs()) >= *min_expected;
        self.in_row = if is_far { self.in_row + 1 } else { 0 };
        if !is_partial {
            let usual = if known.is_empty() { value } else { value.clamp(low, high) };
            self.remember(hour, usual);
        }
        let is_learning = from < first_at.saturating_add(nanos(*learn));
        let is_due = is_far && self.in_row >= *buckets && !is_learning;
        let hold = (HOLD_SHARE * self.buckets as f64) as u64;
        let hold = hold.min((WEEK_NS / bucket_ns.max(1)).unsigned_abs());
        let is_milder = self.told.is_some_and(|(before, at)| {
            !self.is_told && distance.abs() <= before && self.buckets - at <= hold
        });
        self.is_told = is_due && !is_milder;
        if !self.is_told {
            return None;
        }
        self.told = Some((distance.abs(), self.buckets));
        Some(Unusual { low, high, median, buckets: known.len(), sensitivity: *sensitivity })
    }

    fn remember(&mut self, hour: u16, value: f64) {
        let value = value.clamp(-VALUE_MAX, VALUE_MAX) as f32;
        let push = |values: &mut Vec<f32>, max: usize| {
            if values.len() >= max {
                values.remove(0);
            }
            values.push(value);
        };
        match self.slots.binary_search_by_key(&hour, |(hour, _)| *hour) {
            Ok(place) => push(&mut self.slots[place].1, SLOT_BUCKETS_MAX),
            Err(place) => self.slots.insert(place, (hour, vec![value])),
        }
        push(&mut self.recent, RECENT_BUCKETS_MAX);
    }

    /// The buckets of such times, or none when there are too few of any.
    fn alike(&self, season: Season, hour: u16) -> Vec<f32> {
        let of = |wanted: &dyn Fn(u16) -> bool| -> Vec<f32> {
            let slots = self.slots.iter().filter(|(hour, _)| wanted(*hour));
            slots.flat_map(|(_, values)| values.iter().copied()).collect()
        };
        if season == Season::HourOfWeek {
            let same = of(&|other| other == hour);
            if same.len() >= BUCKETS_MIN {
                return same;
            }
        }
        if season != Season::None {
            let same = of(&|other| other % 24 == hour % 24);
            if same.len() >= BUCKETS_MIN {
                return same;
            }
        }
        if self.recent.len() >= RECENT_MIN { self.recent.clone() } else { Vec::new() }
    }
}

/// The median, and the robust spread around it: never less than what chance alone does to a count.
fn middle(values: &[f32]) -> (f64, f64) {
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let place = values.len() / 2;
        match values.len() {
            0 => 0.0,
            len if len % 2 == 1 => values[place],
            _ => f64::midpoint(values[place - 1], values[place]),
        }
    };
    let mut all: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
    let center = median(&mut all);
    let mut distances: Vec<f64> = all.iter().map(|value| (value - center).abs()).collect();
    let chance = center.abs().sqrt().max(1.0);
    (center, (MAD_TO_SIGMA * median(&mut distances)).max(chance))
}

/// 0 to 167, from Thursday 00:00 UTC on, as the epoch began.
fn hour_of_week(at: i64) -> u16 {
    u16::try_from(at.div_euclid(HOUR_NS).rem_euclid(168)).unwrap_or(0)
}
