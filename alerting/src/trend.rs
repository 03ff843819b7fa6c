//! Rules that wait for the watermark: what a further event could undo is judged only when no further
//! event can come.
//!
//! Input: samples (an event's time, id, number and tag) by group, in any order within the lateness.
//! Output: episodes, as windows give them, with a sentence that says why. A group is judged at every
//! instant at which its verdict could change, in the order of event time, up to the watermark: the
//! time at which events were observed, less the lateness. So the result is a function of the set of
//! events. An event that is older than what was judged is counted as late and left out.
//!
//! State is bounded: [`SERIES_MAX`] groups, in each [`series::SAMPLES_MAX`] samples.

#[cfg(test)]
mod evaluation;
mod judge;
mod model;
pub(crate) mod series;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::engine::part_bit;
use crate::rule::Judged;
use crate::window::{Episode, Member};

pub(crate) use series::{Sample, Series};

/// Groups of one rule; when there are more, the one unseen for longest is forgotten.
pub(crate) const SERIES_MAX: usize = 20_000;

/// Why a verdict is what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// A sentence without its full stop.
    pub text: String,
    /// The number that was found.
    pub observed: f64,
    /// The number it was compared with.
    pub threshold: f64,
    /// What is usual for the group, from and to, where the rule knows its past.
    pub usual: Option<[f64; 2]>,
}

/// What became of a group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Turn {
    /// An episode began.
    Began { episode: Episode, members: Vec<Member>, why: Explained },
    /// An episode grew by these events.
    Grew { episode: Episode, fresh: Vec<Member> },
    /// An episode is over.
    Ended { episode: Episode },
    /// The condition holds at this event, for whoever looks at the rule.
    Hit(Member),
}

/// The groups of one rule.
#[derive(Debug)]
pub(crate) struct Trends {
    judged: Judged,
    span_ns: i64,
    lateness_ns: i64,
    has_own_lateness: bool,
    /// The rule's measured field, for sentences.
    field: String,
    pub(crate) fingerprint: String,
    series: HashMap<Arc<str>, Series, RandomState>,
    /// When each group is to be judged next, by the time events are observed.
    due: BTreeSet<(i64, Arc<str>)>,
    by_age: BTreeSet<(i64, Arc<str>)>,
    /// The parts in which a group changed or was forgotten.
    pub(crate) dirty: u64,
    /// The earliest event of any group.
    first_at: i64,
}

/// How a rule's groups are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub judged: &'a Judged,
    pub span_ns: i64,
    pub field: &'a str,
    /// The earliest event of any group.
    pub first_at: i64,
}

impl Trends {
    /// Without state.
    pub(crate) fn new(
        judged: Judged,
        span_ns: i64,
        (lateness_ns, has_own_lateness): (i64, bool),
        field: String,
        fingerprint: String,
    ) -> Self {
        Self {
            judged,
            span_ns,
            lateness_ns,
            has_own_lateness,
            field,
            fingerprint,
            series: HashMap::default(),
            due: BTreeSet::new(),
            by_age: BTreeSet::new(),
            dirty: 0,
            first_at: i64::MAX,
        }
    }

    /// How late an event may come whose source is allowed so much.
    pub(crate) fn lateness_for(&self, of_source: Option<i64>) -> i64 {
        of_source.filter(|_| !self.has_own_lateness).unwrap_or(self.lateness_ns)
    }

    /// Takes a sample; answers false when it came too late.
    pub(crate) fn insert(
        &mut self,
        key: &Arc<str>,
        sample: Sample,
        observed: i64,
        lateness: Option<i64>,
    ) -> (bool, Option<(Arc<str>, Episode)>) {
        let mut evicted = None;
        if !self.series.contains_key(key) && self.series.len() >= SERIES_MAX {
            evicted = self.evict_oldest();
        }
        let lateness = self.lateness_for(lateness);
        self.first_at = self.first_at.min(sample.at);
        let frame = Frame {
            judged: &self.judged,
            span_ns: self.span_ns,
            field: &self.field,
            first_at: self.first_at,
        };
        let series = self.series.entry(key.clone()).or_default();
        unschedule(&mut self.due, &mut self.by_age, frame, series, key);
        let is_taken = series.insert(frame, sample, observed, lateness);
        schedule(&mut self.due, &mut self.by_age, frame, series, key);
        self.dirty |= part_bit(key);
        (is_taken, evicted)
    }

    /// Judges what no event observed from `before` on can change.
    pub(crate) fn judge_before(&mut self, before: i64) -> Vec<(Arc<str>, Turn)> {
        let mut turns = Vec::new();
        while let Some((due, key)) = self.due.first().cloned() {
            if due >= before {
                break;
            }
            let watermark =
                |series: &Series| before.saturating_sub(1).saturating_sub(series.lateness());
            self.judge(&key, watermark, &mut turns);
        }
        turns
    }

    /// Judges everything up to `to`, by the time of events: there are no more.
    pub(crate) fn judge_through(&mut self, to: i64) -> Vec<(Arc<str>, Turn)> {
        let mut keys: Vec<Arc<str>> = self.series.keys().cloned().collect();
        keys.sort();
        let mut turns = Vec::new();
        for key in keys {
            self.judge(&key, |_| to, &mut turns);
        }
        turns
    }

    fn judge(
        &mut self,
        key: &Arc<str>,
        watermark: impl Fn(&Series) -> i64,
        turns: &mut Vec<(Arc<str>, Turn)>,
    ) {
        let frame = Frame {
            judged: &self.judged,
            span_ns: self.span_ns,
            field: &self.field,
            first_at: self.first_at,
        };
        let Some(series) = self.series.get_mut(key) else {
            self.due.retain(|(_, known)| known != key);
            return;
        };
        unschedule(&mut self.due, &mut self.by_age, frame, series, key);
        let to = watermark(series);
        turns.extend(series.judge(frame, to).into_iter().map(|turn| (key.clone(), turn)));
        if series.is_over(frame, to) {
            if let Some(episode) = series.episode() {
                turns.push((key.clone(), Turn::Ended { episode }));
            }
            self.series.remove(key);
        } else {
            schedule(&mut self.due, &mut self.by_age, frame, series, key);
        }
        self.dirty |= part_bit(key);
    }

    fn evict_oldest(&mut self) -> Option<(Arc<str>, Episode)> {
        let (_, key) = self.by_age.pop_first()?;
        let series = self.series.remove(&key)?;
        self.due.retain(|(_, known)| *known != key);
        ::metrics::counter!(crate::metrics::GROUPS_EVICTED_TOTAL).increment(1);
        self.dirty |= part_bit(&key);
        series.episode().map(|episode| (key, episode))
    }

    /// Remembers which alert an episode belongs to.
    pub(crate) fn set_alert(&mut self, key: &Arc<str>, episode: u128, alert: u128) {
        if let Some(series) = self.series.get_mut(key) {
            series.set_alert(episode, alert);
            self.dirty |= part_bit(key);
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Series> {
        self.series.get(key)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Arc<str>, &Series)> {
        self.series.iter()
    }

    pub(crate) fn restore(&mut self, key: Arc<str>, series: Series) {
        self.first_at = self.first_at.min(series.first_at());
        let frame = Frame {
            judged: &self.judged,
            span_ns: self.span_ns,
            field: &self.field,
            first_at: self.first_at,
        };
        schedule(&mut self.due, &mut self.by_age, frame, &series, &key);
        self.series.insert(key, series);
    }
}

fn schedule(
    due: &mut BTreeSet<(i64, Arc<str>)>,
    by_age: &mut BTreeSet<(i64, Arc<str>)>,
    frame: Frame<'_>,
    series: &Series,
    key: &Arc<str>,
) {
    due.insert((series.due(frame), key.clone()));
    by_age.insert((series.last_at(), key.clone()));
}

fn unschedule(
    due: &mut BTreeSet<(i64, Arc<str>)>,
    by_age: &mut BTreeSet<(i64, Arc<str>)>,
    frame: Frame<'_>,
    series: &Series,
    key: &Arc<str>,
) {
    due.remove(&(series.due(frame), key.clone()));
    by_age.remove(&(series.last_at(), key.clone()));
}
