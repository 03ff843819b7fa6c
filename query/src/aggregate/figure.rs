//! Figures of a group: counts, sums, extremes, percentiles, how many different values.

use std::net::Ipv4Addr;

use logwarden_event::{Event, Value};
use logwarden_index::Counted;

use crate::cell::{Cell, Rank};
use crate::error::QueryError;
use crate::filter::{Subject, Target, number_of};
use crate::language::Function;
use crate::scan::Memory;
use crate::values::ValueCounts;

/// A figure in the making.
pub(super) enum Figure {
    /// Events, or those with a value.
    Count(u64),
    /// The different values.
    Distinct(ValueCounts),
    /// The sum of whole numbers, that of others, and how many.
    Sum { whole: i128, fraction: f64, is_whole: bool, count: u64 },
    /// The least or the greatest.
    Extreme { best: Option<(Rank, Cell)>, is_greatest: bool },
    /// Every number, for a percentile.
    Values(Vec<f64>),
}

impl Figure {
    /// One of no values.
    pub(super) fn new(function: Function) -> Self {
        match function {
            Function::Count => Self::Count(0),
            Function::CountDistinct => Self::Distinct(ValueCounts::default()),
            Function::Sum | Function::Avg => {
                Self::Sum { whole: 0, fraction: 0.0, is_whole: true, count: 0 }
            }
            Function::Min => Self::Extreme { best: None, is_greatest: false },
            Function::Max => Self::Extreme { best: None, is_greatest: true },
            Function::Percentile(_) => Self::Values(Vec::new()),
        }
    }

    /// Adds the values of an event; without a `target`, the event itself.
    pub(super) fn add(
        &mut self,
        event: &Event,
        target: Option<&Target>,
        memory: &Memory,
    ) -> Result<(), QueryError> {
        let Some(target) = target else {
            if let Self::Count(count) = self {
                *count += 1;
            }
            return Ok(());
        };
        let mut result = Ok(());
        let is_count = matches!(self, Self::Count(_));
        event.any_value(target, &mut |value| {
            if value == Value::Null {
                return false;
            }
            result = self.add_value(value, 1, memory);
            // An event with a value counts once, however many it has.
            is_count || result.is_err()
        });
        result
    }

    /// Adds a value that so many events have; null is none.
    pub(super) fn add_value(
        &mut self,
        value: Value<'_>,
        times: u64,
        memory: &Memory,
    ) -> Result<(), QueryError> {
        if value == Value::Null {
            return Ok(());
        }
        match self {
            Self::Count(count) => *count += times,
            Self::Distinct(values) => values.add(value, times, memory)?,
            Self::Sum { whole, fraction, is_whole, count } => match value {
                Value::Integer(number) => {
                    *whole = whole.saturating_add(number.saturating_mul(i128::from(times)));
                    *count += times;
                }
                value => {
                    if let Some(number) = number_of(value) {
                        *fraction += number * times as f64;
                        *is_whole = false;
                        *count += times;
                    }
                }
            },
            Self::Extreme { best, is_greatest } => {
                if let Some(rank) = Rank::of(value)
                    && best.as_ref().is_none_or(|(best, _)| (rank > *best) == *is_greatest)
                {
                    *best = Some((rank, Cell::from(value)));
                }
            }
            Self::Values(values) => {
                if let Some(number) = number_of(value) {
                    let times = usize::try_from(times).unwrap_or(usize::MAX);
                    memory.take(size_of::<f64>().saturating_mul(times))?;
                    values.extend(std::iter::repeat_n(number, times));
                }
            }
        }
        Ok(())
    }

    /// Adds what a piece tells of values.
    pub(super) fn add_counted(
        &mut self,
        counted: Counted<'_>,
        memory: &Memory,
    ) -> Result<(), QueryError> {
        if let Self::Distinct(values) = self {
            return values.add_counted(counted, memory).map(drop);
        }
        match counted {
            Counted::Value(value, times) => self.add_value(value, times, memory),
            Counted::Integers(numbers) => self.add_integers(numbers, memory),
            Counted::Addresses(addresses) => addresses
                .iter()
                .filter(|(_, times)| *times > 0)
                .map(|(address, times)| (Ipv4Addr::from_bits(*address).into(), *times))
                .try_for_each(|(ip, times)| self.add_value(Value::Ip(ip), times.into(), memory)),
            Counted::Strings(strings) => strings
                .iter()
                .try_for_each(|(text, times)| self.add_value(Value::String(text), times, memory)),
            Counted::Event(_) => Ok(()),
        }
    }

    /// Adds these numbers, of which each is that of one event.
    fn add_integers(&mut self, numbers: &[i64], memory: &Memory) -> Result<(), QueryError> {
        match self {
            Self::Count(count) => *count += numbers.len() as u64,
            Self::Sum { whole, count, .. } => {
                let sum: i128 = numbers.iter().map(|number| i128::from(*number)).sum();
                *whole = whole.saturating_add(sum);
                *count += numbers.len() as u64;
            }
            Self::Extreme { is_greatest, .. } => {
                let numbers = numbers.iter().copied();
                let best = if *is_greatest { numbers.max() } else { numbers.min() };
                if let Some(best) = best {
                    self.add_value(Value::Integer(best.into()), 1, memory)?;
                }
            }
            Self::Values(values) => {
                memory.take(size_of_val(numbers))?;
                values.extend(numbers.iter().map(|number| *number as f64));
            }
            Self::Distinct(_) => {}
        }
        Ok(())
    }

    /// Adds what the same figure of another piece holds.
    pub(super) fn merge(&mut self, other: Self, memory: &Memory) {
        match (self, other) {
            (Self::Count(count), Self::Count(other)) => *count += other,
            (Self::Distinct(values), Self::Distinct(other)) => {
                values.merge(other, usize::MAX, memory);
            }
            (
                Self::Sum { whole, fraction, is_whole, count },
                Self::Sum {
                    whole: other_whole,
                    fraction: other_fraction,
                    is_whole: other_is_whole,
                    count: other_count,
                },
            ) => {
                *whole = whole.saturating_add(other_whole);
                *fraction += other_fraction;
                *is_whole &= other_is_whole;
                *count += other_count;
            }
            (Self::Extreme { best, is_greatest }, Self::Extreme { best: Some(other), .. })
                if best.as_ref().is_none_or(|(best, _)| (other.0 > *best) == *is_greatest) =>
            {
                *best = Some(other);
            }
            (Self::Values(values), Self::Values(other)) => values.extend(other),
            // The same figure of two pieces has the same form.
            _ => {}
        }
    }

    /// What it is at the end.
    pub(super) fn into_cell(self, function: Function) -> Cell {
        match self {
            Self::Count(count) => Cell::Integer(count.into()),
            Self::Distinct(mut values) => Cell::Integer(values.counts().len() as i128),
            Self::Sum { count: 0, .. } => match function {
                Function::Sum => Cell::Integer(0),
                _ => Cell::Null,
            },
            Self::Sum { whole, fraction, count, .. } if function == Function::Avg => {
                Cell::Float((whole as f64 + fraction) / count as f64)
            }
            Self::Sum { whole, is_whole: true, .. } => Cell::Integer(whole),
            Self::Sum { whole, fraction, .. } => Cell::Float(whole as f64 + fraction),
            Self::Extreme { best, .. } => best.map_or(Cell::Null, |(_, cell)| cell),
            Self::Values(values) => match function {
                Function::Percentile(percent) => percentile(values, percent),
                _ => Cell::Null,
            },
        }
    }
}

/// The value that `percent` of all do not exceed (nearest rank).
fn percentile(mut values: Vec<f64>, percent: f64) -> Cell {
    if values.is_empty() {
        return Cell::Null;
    }
    let rank = (percent / 100.0 * values.len() as f64).ceil() as usize;
    let mut place = rank.saturating_sub(1).min(values.len() - 1);
    if values.len() > BUCKETED_MIN {
        // Values with the same upper bits lie side by side in order: only those around the one that
        // is wanted must be compared.
        let bucket = |value: &f64| (order_bits(*value) >> 48) as usize;
        let mut counts = vec![0usize; 1 << 16];
        values.iter().for_each(|value| counts[bucket(value)] += 1);
        let mut counts = counts.into_iter().enumerate();
        let around = counts.find_map(|(number, count)| {
            let is_here = place < count;
            place -= if is_here { 0 } else { count };
            is_here.then_some(number)
        });
        values.retain(|value| Some(bucket(value)) == around);
    }
    let (_, value, _) = values.select_nth_unstable_by(place, f64::total_cmp);
    Cell::Float(*value)
}

/// So few values are compared at once.
const BUCKETED_MIN: usize = 4_096;

/// Bits that are in the order of [`f64::total_cmp`].
fn order_bits(value: f64) -> u64 {
    let bits = value.to_bits();
    let is_negative = (bits as i64 >> 63) as u64;
    bits ^ (is_negative | 1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_same_among_few_and_among_many() {
        let numbers = (0..2 * BUCKETED_MIN as i64).map(|number| number * 7_919 % 5_000 - 2_500);
        let mut values: Vec<f64> =
            numbers.map(|number| number as f64 / 8.0).chain([f64::MAX, f64::MIN, 0.0]).collect();
        for percent in [0.0, 0.01, 1.0, 33.0, 50.0, 99.9, 100.0] {
            let told = percentile(values.clone(), percent);
            values.sort_by(f64::total_cmp);
            let rank = (percent / 100.0 * values.len() as f64).ceil() as usize;
            assert_eq!(told, Cell::Float(values[rank.max(1) - 1]), "{percent}");
            values.reverse();
        }
    }
}
