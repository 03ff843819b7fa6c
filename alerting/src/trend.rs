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
mod frame;
mod judge;
mod model;
pub(crate) mod series;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::engine::{key_of_first, key_of_values, part_bit};
use crate::rule::{Correlation, Judge, Judged};
use crate::window::{Episode, Member};

use frame::Frame;
use series::nanos;
pub(crate) use series::{Sample, Series};

/// Groups of one rule; when there are more, the one unseen for longest is forgotten.
pub(crate) const SERIES_MAX: usize = 20_000;

/// No group has this key.
const SINCE: &str = "";

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
    /// The condition holds at this event, for whoever looks at the rule, and how late events of the group may be, in
    /// nanoseconds.
    Hit(Member, i64),
}

/// A turn, and what in the group it is about.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    /// The value, as keys of groups say it; empty: the whole group.
    pub words: Box<str>,
    /// What became of it.
    pub turn: Turn,
}

impl Told {
    /// With the key of what it is about: that of the group and the value.
    fn with_key(self, group: &Arc<str>) -> (Arc<str>, Turn) {
        let key = match (&*self.words, group.strip_suffix(']')) {
            ("", _) | (_, None) => group.clone(),
            (words, Some("[")) => Arc::from(format!("[{words}]")),
            (words, Some(fields)) => Arc::from(format!("{fields},{words}]")),
        };
        (key, self.turn)
    }
}

/// The groups of one rule.
#[derive(Debug)]
pub(crate) struct Trends {
    frame: Frame,
    /// How many fields make up a group.
    group_fields: usize,
    /// The groups that are known before any event of theirs, in order.
    expected: Vec<Arc<str>>,
    /// Since when they are known.
    expected_from: i64,
    /// Stands under [`SINCE`] for when the first event of any group happened, which outlives its group.
    since: Series,
    lateness_ns: i64,
    has_own_lateness: bool,
    pub(crate) fingerprint: String,
    series: HashMap<Arc<str>, Slot, RandomState>,
    /// When each group is to be judged next, by the time events are observed.
    due: BTreeSet<(i64, Arc<str>)>,
    by_age: BTreeSet<(i64, Arc<str>)>,
    /// The parts in which a group changed or was forgotten.
    pub(crate) dirty: u64,
}

/// A group with its places among the others.
#[derive(Debug)]
struct Slot {
    series: Series,
    /// When it is to be judged next.
    due: i64,
    /// By which time it stands among the ages: it may have been seen since.
    age: i64,
}

impl Trends {
    /// Without state.
    pub(crate) fn new(
        correlation: &Correlation,
        judged: Judged,
        (lateness_ns, has_own_lateness): (i64, bool),
        fingerprint: String,
    ) -> Self {
        let field = match &judged.judge {
            Judge::NewTerm { .. } if correlation.fields.is_empty() => String::from("value"),
            _ => correlation.fields.join(" and "),
        };
        let key = |values: &Vec<String>| {
            let names = correlation.group_by.iter().map(|field| field.name.as_str());
            Arc::from(key_of_values(names.zip(values.iter().map(String::as_str))))
        };
        let mut expected: Vec<Arc<str>> = correlation.expected.iter().map(key).collect();
        expected.sort_unstable();
        let (span_ns, quiet) = (nanos(correlation.timespan), correlation.quiet);
        Self {
            frame: Frame { judged, span_ns, field, quiet, first_at: i64::MAX },
            group_fields: correlation.group_by.len(),
            expected,
            expected_from: i64::MAX,
            since: Series::default(),
            lateness_ns,
            has_own_lateness,
            fingerprint,
            series: HashMap::default(),
            due: BTreeSet::new(),
            by_age: BTreeSet::new(),
            dirty: 0,
        }
    }

    /// Whether there are groups that are known before any event of theirs.
    pub(crate) fn expects_groups(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Events are looked at since `at`, of whatever group: from then on the expected ones may be silent.
    pub(crate) fn expect_since(&mut self, at: i64, observed: i64) {
        if at >= self.expected_from {
            return;
        }
        self.expected_from = at;
        for key in self.expected.clone() {
            let mut series = self.remove(&key).unwrap_or_default();
            series.known_since((at, observed), self.lateness_ns);
            self.dirty |= part_bit(&key);
            self.keep(key, series);
        }
    }

    /// How late an event may come whose source is allowed so much.
    pub(crate) fn lateness_for(&self, of_source: Option<i64>) -> i64 {
        of_source.filter(|_| !self.has_own_lateness).unwrap_or(self.lateness_ns)
    }

    /// Takes a sample, whose value reads as `words` say; answers false when it came too late.
    pub(crate) fn insert(
        &mut self,
        key: &str,
        (sample, words): (Sample, &dyn Fn() -> String),
        observed: i64,
        lateness: Option<i64>,
    ) -> (bool, Vec<(Arc<str>, Turn)>) {
        let mut evicted = Vec::new();
        if !self.series.contains_key(key) && self.series.len() >= SERIES_MAX {
            evicted = self.evict_oldest();
        }
        let lateness = self.lateness_for(lateness);
        self.note_first(sample.at, observed);
        self.dirty |= part_bit(key);
        let insert = |series: &mut Series| {
            let is_taken = series.insert(&self.frame, sample, observed, lateness);
            if is_taken && self.frame.is_about_values() {
                series.note_words(sample.tag, words);
            }
            is_taken
        };
        let Some(slot) = self.series.get_mut(key) else {
            let mut series = Series::default();
            let is_taken = insert(&mut series);
            self.keep(Arc::from(key), series);
            return (is_taken, evicted);
        };
        let is_taken = insert(&mut slot.series);
        let due = slot.series.due(&self.frame);
        if due != slot.due {
            let key: Arc<str> = Arc::from(key);
            self.due.remove(&(slot.due, key.clone()));
            self.due.insert((due, key));
            slot.due = due;
        }
        (is_taken, evicted)
    }

    fn note_first(&mut self, at: i64, observed: i64) {
        if at >= self.frame.first_at {
            return;
        }
        self.frame.first_at = at;
        if self.frame.learns_by_rule() {
            self.since.known_since((at, observed), self.lateness_ns);
            self.dirty |= part_bit(SINCE);
        }
    }

    /// Takes a sample back, from this group if it is there, else from whichever has it. False when it was
    /// judged already.
    pub(crate) fn withdraw(&mut self, key: Option<&str>, sample: &Sample) -> bool {
        let has_it = |slot: &Slot| slot.series.has(sample);
        let likely = key.and_then(|key| self.series.get_key_value(key));
        let holder = likely
            .filter(|(_, slot)| has_it(slot))
            .or_else(|| self.series.iter().find(|(_, slot)| has_it(slot)));
        let Some((key, _)) = holder else { return true };
        let key = key.clone();
        let Some(mut series) = self.remove(&key) else { return true };
        let is_taken = series.withdraw(sample);
        self.keep(key, series);
        is_taken
    }

    fn keep(&mut self, key: Arc<str>, series: Series) {
        let slot = Slot { due: series.due(&self.frame), age: series.last_at(), series };
        self.due.insert((slot.due, key.clone()));
        self.by_age.insert((slot.age, key.clone()));
        self.series.insert(key, slot);
    }

    fn remove(&mut self, key: &Arc<str>) -> Option<Series> {
        let slot = self.series.remove(key)?;
        self.due.remove(&(slot.due, key.clone()));
        self.by_age.remove(&(slot.age, key.clone()));
        self.dirty |= part_bit(key);
        Some(slot.series)
    }

    /// Judges what no event observed from `before` on can change.
    pub(crate) fn judge_before(&mut self, before: i64) -> Vec<(Arc<str>, Turn)> {
        let mut turns = Vec::new();
        while self.due.first().is_some_and(|(due, _)| *due < before)
            && let Some((_, key)) = self.due.pop_first()
        {
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
        let Some(mut series) = self.remove(key) else { return };
        let to = watermark(&series);
        let stays = self.expected.binary_search(key).is_ok();
        let told = series.judge(&self.frame, to, stays);
        turns.extend(told.into_iter().map(|told| told.with_key(key)));
        if stays {
            series.stay(to);
        }
        if series.is_over(&self.frame, to) {
            turns.extend(series.into_ended().into_iter().map(|told| told.with_key(key)));
        } else {
            self.keep(key.clone(), series);
        }
    }

    /// Forgets the group that was unseen for longest; it stands by its true age.
    fn evict_oldest(&mut self) -> Vec<(Arc<str>, Turn)> {
        while let Some((age, key)) = self.by_age.pop_first() {
            let Some(slot) = self.series.get_mut(&key) else { continue };
            let seen = slot.series.last_at();
            if seen != age {
                slot.age = seen;
                self.by_age.insert((seen, key));
                continue;
            }
            let Some(series) = self.remove(&key) else { continue };
            ::metrics::counter!(crate::metrics::GROUPS_EVICTED_TOTAL).increment(1);
            return series.into_ended().into_iter().map(|told| told.with_key(&key)).collect();
        }
        Vec::new()
    }

    /// Remembers which alert an episode belongs to.
    pub(crate) fn set_alert(&mut self, key: &Arc<str>, episode: u128, alert: u128) {
        let key = self.group_of(key);
        if let Some(slot) = self.series.get_mut(&*key) {
            slot.series.set_alert(episode, alert);
            self.dirty |= part_bit(&key);
        }
    }

    /// The group that a turn's key is about.
    pub(crate) fn get(&self, key: &str) -> Option<&Series> {
        self.series.get(&*self.group_of(key)).map(|slot| &slot.series)
    }

    /// The key of the group inside that of a value of it.
    fn group_of<'a>(&self, key: &'a str) -> Cow<'a, str> {
        match self.frame.is_about_values() {
            true => Cow::Owned(key_of_first(self.group_fields, key)),
            false => Cow::Borrowed(key),
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Series)> {
        let since = self.frame.learns_by_rule().then_some((SINCE, &self.since));
        self.series.iter().map(|(key, slot)| (&**key, &slot.series)).chain(since)
    }

    pub(crate) fn restore(&mut self, key: Arc<str>, series: Series) {
        self.frame.first_at = self.frame.first_at.min(series.first_at());
        if &*key == SINCE {
            self.since = series;
        } else {
            self.keep(key, series);
        }
    }
}
