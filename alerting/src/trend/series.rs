//! One group of a rule that waits for the watermark: its samples, what it remembers, its episode.
//!
//! Everything here goes by the time of events. What is kept is as much as later verdicts need; samples
//! beyond [`SAMPLES_MAX`] are merged or dropped, the oldest first, and counted.

use std::collections::HashSet;

use logwarden_event::{EventId, Timestamp};
use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::judge::Verdict;
use super::model::Model;
use super::{Told, Turn};
use crate::rule::{Judge, Measure, Quiet};
use crate::window::{Episode, Member};

/// Samples of one group.
pub(crate) const SAMPLES_MAX: usize = 4_096;
/// Values one group remembers; the one unseen for longest is forgotten.
pub(crate) const TERMS_MAX: usize = 10_000;

/// An event as these rules see it, or several of about the same time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// When it happened, in nanoseconds.
    pub at: i64,
    /// Its id.
    pub id: u128,
    /// What it counts as: a value's hash, a member rule's place.
    pub tag: u128,
    /// The number measured; of several their sum.
    pub value: f64,
    /// For how many events it stands.
    pub weight: u32,
    /// Bits that say more about it: the tactics of a detection.
    pub marks: u32,
    /// How long before `at` it happened: samples of a cell stand at its end.
    #[serde(default)]
    pub before: i64,
    /// It was handed out as part of an episode.
    pub is_counted: bool,
}

impl Sample {
    fn order(&self) -> (i64, u128, u128) {
        (self.at, self.id, self.tag)
    }

    /// When the event happened, and its id: not what order it came in.
    fn event(&self) -> (i64, u128) {
        (self.at.saturating_sub(self.before), self.id)
    }

    pub(super) fn member(&self) -> Member {
        let (at, id) = self.event();
        Member { at, id, weight: self.weight }
    }
}

/// An episode in the form that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    key: u128,
    started_at: i64,
    started_by: u128,
    held_until: i64,
    alert: u128,
    /// The value it is about, where a rule tells of each value by itself.
    #[serde(default)]
    value: Option<u128>,
    /// That value, as keys of groups say it; empty: it is about the group.
    #[serde(default)]
    words: Box<str>,
}

/// The state of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(super) samples: Vec<Sample>,
    /// The earliest event.
    first_at: i64,
    last_at: i64,
    /// When the newest event up to the instant that was judged last happened, if it is remembered.
    #[serde(default)]
    judged_at: Option<i64>,
    /// That event; 0: none.
    judged_id: u128,
    /// Up to this instant everything is judged.
    judged_until: i64,
    /// Events up to that instant, where the rule asks for so many.
    #[serde(default)]
    judged_events: u64,
    /// What was put into a cell last: the event and its tag.
    #[serde(skip)]
    last_taken: Option<(u128, u128)>,
    lateness_ns: i64,
    /// When an event of it was last observed.
    seen: i64,
    /// Whether the condition held at the instant that was judged last.
    pub(super) holds: bool,
    /// Those that are not over, the oldest first.
    #[serde(default)]
    episodes: Vec<Kept>,
    /// Values that were seen, with when last.
    pub(super) terms: Vec<(u128, i64)>,
    /// What the tags of samples that are not judged mean, by tag, where detections are about values.
    #[serde(default)]
    words: Vec<(u128, Box<str>)>,
    pub(super) model: Model,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            samples: Vec::new(),
            first_at: i64::MAX,
            last_at: i64::MIN,
            judged_at: None,
            judged_id: 0,
            judged_until: i64::MIN,
            judged_events: 0,
            last_taken: None,
            lateness_ns: 0,
            seen: i64::MIN,
            holds: false,
            episodes: Vec::new(),
            terms: Vec::new(),
            words: Vec::new(),
            model: Model::default(),
        }
    }
}

impl Series {
    /// Takes a sample; answers false when its time was judged already.
    pub(super) fn insert(
        &mut self,
        frame: &Frame,
        mut sample: Sample,
        observed: i64,
        lateness: i64,
    ) -> bool {
        self.seen = self.seen.max(observed);
        if sample.at <= self.judged_until {
            return false;
        }
        self.lateness_ns = self.lateness_ns.max(lateness);
        let grain = frame.grain_ns();
        let happened = sample.at;
        self.first_at = self.first_at.min(happened);
        if grain > 1 {
            // All samples of a cell stand at its end, so that none counts before it happened.
            sample.at = (happened.div_euclid(grain) + 1).saturating_mul(grain) - 1;
            sample.before = sample.at.saturating_sub(happened);
        }
        self.last_at = self.last_at.max(sample.at);
        if grain > 1 {
            // An event that several of the rules match counts once.
            let same_event = (sample.id, sample.tag);
            if self.last_taken.replace(same_event) == Some(same_event) {
                return true;
            }
            let same = |known: &&mut Sample| {
                known.at == sample.at && known.tag == sample.tag && known.at > self.judged_until
            };
            if let Some(known) = self.samples.iter_mut().rev().take(256).find(same) {
                known.weight = known.weight.saturating_add(sample.weight);
                known.value += sample.value;
                if sample.event() < known.event() {
                    (known.before, known.id) = (sample.before, sample.id);
                }
                return true;
            }
        }
        match self.samples.binary_search_by_key(&sample.order(), Sample::order) {
            Ok(_) => true,
            Err(place) => {
                self.samples.insert(place, sample);
                self.coarsen(frame);
                true
            }
        }
    }

    /// Whether it holds this sample.
    pub(super) fn has(&self, sample: &Sample) -> bool {
        self.samples.binary_search_by_key(&sample.order(), Sample::order).is_ok()
    }

    /// Takes a sample back; false when its time was judged already.
    pub(super) fn withdraw(&mut self, sample: &Sample) -> bool {
        if sample.at <= self.judged_until {
            return false;
        }
        self.samples.retain(|known| known.order() != sample.order());
        true
    }

    /// Remembers what the tag of a sample means until it is judged.
    pub(super) fn note_words(&mut self, tag: u128, words: &dyn Fn() -> String) {
        if let Err(place) = self.words.binary_search_by_key(&tag, |(known, _)| *known) {
            self.words.insert(place, (tag, words().into()));
        }
    }

    /// Judges every instant up to `to` at which the verdict may change. A group of which nothing came for as long as it is
    /// remembered begins anew, by the time of its events, unless it `stays` known.
    pub(super) fn judge(&mut self, frame: &Frame, to: i64, stays: bool) -> Vec<Told> {
        let mut turns = Vec::new();
        loop {
            let next = self.next_instant(frame);
            let forgotten = self.forgotten_at(frame).filter(|at| !stays && *at <= to);
            if let Some(at) = forgotten.filter(|at| next.is_none_or(|next| next >= *at)) {
                self.begin_anew(at, &mut turns);
                continue;
            }
            let Some(instant) = next.filter(|instant| *instant <= to) else { break };
            self.note_judged(frame, instant);
            let mut verdicts = self.verdicts(frame, instant);
            if self.is_quiet(frame, instant) {
                verdicts.clear();
            }
            if self.holds && verdicts.is_empty() {
                self.held_until(instant.saturating_sub(1));
            }
            self.judged_until = instant;
            self.turn(frame, instant, verdicts, &mut turns);
            self.forget(frame, instant);
        }
        if !self.words.is_empty() {
            let judged = self.judged();
            let waiting: HashSet<u128> = self.samples[judged..].iter().map(|s| s.tag).collect();
            self.words.retain(|(tag, _)| waiting.contains(tag));
        }
        turns
    }

    /// How many samples are judged; the others come after them.
    fn judged(&self) -> usize {
        self.samples.partition_point(|sample| sample.at <= self.judged_until)
    }

    /// When it is forgotten, if nothing comes before that.
    fn forgotten_at(&self, frame: &Frame) -> Option<i64> {
        let at = self.judged_at?.saturating_add(frame.memory_ns()).saturating_add(1);
        self.samples.get(self.judged()).is_none_or(|next| next.at >= at).then_some(at)
    }

    /// Forgets what was before `at`, as if the group had never been seen.
    fn begin_anew(&mut self, at: i64, turns: &mut Vec<Told>) {
        if self.holds {
            self.held_until(at.saturating_sub(1));
        }
        for kept in &mut self.episodes {
            kept.held_until = kept.held_until.min(at.saturating_sub(1));
        }
        let episodes = self.episodes.drain(..);
        turns.extend(episodes.map(|kept| kept.told(|episode| Turn::Ended { episode })));
        self.judged_until = self.judged_until.max(at.saturating_sub(1));
        self.samples.drain(..self.judged());
        let next = self.samples.first().map_or(i64::MAX, |sample| sample.at);
        let first = self.samples.iter().take_while(|sample| sample.at == next);
        self.first_at = first.map(|sample| sample.event().0).min().unwrap_or(i64::MAX);
        (self.judged_at, self.judged_id, self.judged_events) = (None, 0, 0);
        self.holds = false;
        self.terms.clear();
        self.model = Model::default();
    }

    /// Remembers the newest event up to an instant, and how many there were.
    fn note_judged(&mut self, frame: &Frame, instant: i64) {
        let known = self.samples.partition_point(|sample| sample.at <= instant);
        let last = self.samples[..known].last().map(|sample| sample.at);
        let at_last = self.samples[..known].iter().rev().take_while(|s| Some(s.at) == last);
        if let Some((_, id)) = at_last.map(Sample::event).max() {
            (self.judged_at, self.judged_id) = (last, id);
        }
        if frame.quiet.events_min > 0 {
            let fresh = self.range(self.judged_until.saturating_add(1), instant);
            let events = self.samples[fresh].iter().map(|sample| u64::from(sample.weight));
            self.judged_events = self.judged_events.saturating_add(events.sum());
        }
    }

    /// Whether the rule says nothing yet, whatever it finds.
    fn is_quiet(&self, frame: &Frame, instant: i64) -> bool {
        let Quiet { learn, events_min } = frame.quiet;
        let is_learning = instant < frame.learned_at();
        let events = || match frame.counts_all_events() {
            true => self.judged_events,
            false => {
                let within = &self.samples[self.window(frame, instant)];
                within.iter().map(|sample| u64::from(sample.weight)).sum()
            }
        };
        (!learn.is_zero() && is_learning) || (events_min > 0 && events() < events_min)
    }

    /// What held at the instant that was judged last held until here, whatever was expected of it then.
    fn held_until(&mut self, until: i64) {
        let last = self.judged_until;
        for kept in self.episodes.iter_mut().filter(|kept| kept.held_until >= last) {
            kept.held_until = until;
        }
    }

    /// The events at `instant`, at which the condition holds. Where it begins to hold without one, its beginning counts once.
    fn hits_at(&self, frame: &Frame, instant: i64, by: u128, begins: bool) -> Vec<Member> {
        let own = Member { at: instant, id: by, weight: 1 };
        if frame.is_single() {
            return vec![own];
        }
        // Those of the part of a share are among all of it.
        let is_of_part =
            |s: &Sample| matches!(frame.judged.judge, Judge::Ratio { .. }) && s.tag != 0;
        let here = self.samples[self.range(instant, instant)].iter().filter(|s| !is_of_part(s));
        let mut hits: Vec<Member> = here.map(Sample::member).collect();
        hits.sort_unstable_by_key(|member| member.id);
        hits.dedup_by_key(|member| member.id);
        if hits.is_empty() && begins {
            hits.push(own);
        }
        hits
    }

    fn turn(&mut self, frame: &Frame, instant: i64, verdicts: Vec<Verdict>, turns: &mut Vec<Told>) {
        let hold = frame.hold_ns();
        let goes_on = self.holds && !verdicts.is_empty();
        for kept in self
            .episodes
            .extract_if(.., |kept| instant.saturating_sub(kept.held_until) > hold && !goes_on)
        {
            turns.push(kept.told(|episode| Turn::Ended { episode }));
        }
        self.holds = !verdicts.is_empty() && !frame.holds_only_then();
        for verdict in verdicts {
            self.take_verdict(frame, instant, verdict, turns);
        }
    }

    fn take_verdict(
        &mut self,
        frame: &Frame,
        instant: i64,
        verdict: Verdict,
        turns: &mut Vec<Told>,
    ) {
        let range = match frame.is_single() {
            true => self.range(instant, instant),
            false => self.window(frame, instant),
        };
        let (mut members, mut fresh) = (Vec::new(), Vec::new());
        for sample in &mut self.samples[range] {
            if verdict.value.is_some_and(|value| value != sample.tag) {
                continue;
            }
            members.push(sample.member());
            if !std::mem::replace(&mut sample.is_counted, true) {
                fresh.push(sample.member());
            }
        }
        // A window without an event has none to be called by: its detections are told apart by their time.
        let of_time = || EventId::from_parts(Timestamp::from_nanos(instant), 0).to_u128();
        let newest = || if self.judged_id == 0 { of_time() } else { self.judged_id };
        let by = verdict.by.unwrap_or_else(newest);
        // What holds now holds until the next instant.
        let until = self.next_instant(frame).map_or(instant, |next| next.saturating_sub(1));
        let until = if frame.holds_only_then() { instant } else { until.max(instant) };
        let known = self.episodes.iter().position(|kept| kept.value == verdict.value);
        let known = known.filter(|_| !frame.begins_each_time());
        let place = known.unwrap_or(self.episodes.len());
        if known.is_none() {
            let words = verdict.value.and_then(|value| {
                let place = self.words.binary_search_by_key(&value, |(tag, _)| *tag).ok()?;
                Some(self.words[place].1.clone())
            });
            self.episodes.push(Kept {
                key: members.first().map_or_else(of_time, |member| member.id),
                started_at: instant,
                started_by: by,
                held_until: until,
                alert: 0,
                value: verdict.value,
                words: words.unwrap_or_default(),
            });
        }
        let hits = self.hits_at(frame, instant, by, known.is_none());
        let lateness = self.lateness_ns;
        let kept = &mut self.episodes[place];
        kept.held_until = until;
        turns.extend(hits.into_iter().map(|hit| kept.told(|_| Turn::Hit(hit, lateness))));
        if known.is_none() {
            turns.push(kept.told(|episode| Turn::Began { episode, members, why: verdict.why }));
        } else if !fresh.is_empty() {
            turns.push(kept.told(|episode| Turn::Grew { episode, fresh }));
        }
    }

    /// The next instant at which the verdict may change.
    fn next_instant(&self, frame: &Frame) -> Option<i64> {
        let after = self.judged_until;
        let of_samples = frame.offsets().into_iter().flatten().filter_map(|offset| {
            let place = self.samples.partition_point(|s| s.at.saturating_add(offset) <= after);
            self.samples.get(place).map(|sample| sample.at.saturating_add(offset))
        });
        let full = frame.full_after().map(|span| self.first_at.saturating_add(span));
        let held = self.episodes.iter().map(|kept| kept.held_until).min();
        let over = held
            .filter(|_| !self.holds)
            .map(|until| until.saturating_add(frame.hold_ns()).saturating_add(1));
        let bucket = frame.bucket_ns().map(|bucket| {
            let last = after.max(self.first_at.saturating_sub(1));
            let begun = last.saturating_add(1).div_euclid(bucket);
            begun.saturating_add(1).saturating_mul(bucket).saturating_sub(1)
        });
        let learned = frame.tells_when_learned().then(|| frame.learned_at());
        let others = [full, over, bucket, learned].into_iter().flatten();
        of_samples.chain(others).filter(|at| *at > after).min()
    }

    /// When it is to be judged next, by the time events are observed.
    pub(super) fn due(&self, frame: &Frame) -> i64 {
        let over = self.last_at.saturating_add(frame.memory_ns()).saturating_add(1);
        let next = [self.next_instant(frame), self.forgotten_at(frame)].into_iter().flatten();
        next.fold(over, i64::min).saturating_add(self.lateness_ns)
    }

    /// It is known since `at`, whether or not there is an event of it.
    pub(super) fn known_since(&mut self, (at, observed): (i64, i64), lateness_ns: i64) {
        if self.judged_until == i64::MIN {
            self.first_at = self.first_at.min(at);
        }
        self.last_at = self.last_at.max(at);
        self.seen = self.seen.max(observed);
        self.lateness_ns = self.lateness_ns.max(lateness_ns);
    }

    /// It is not forgotten at `now`.
    pub(super) fn stay(&mut self, now: i64) {
        self.last_at = self.last_at.max(now);
        self.judged_at = None;
    }

    /// Whether there is nothing left to remember at `now`.
    pub(super) fn is_over(&self, frame: &Frame, now: i64) -> bool {
        now > self.last_at.saturating_add(frame.memory_ns())
    }

    fn forget(&mut self, frame: &Frame, now: i64) {
        let needed = now.saturating_sub(frame.reach_ns());
        let old = self.samples.partition_point(|sample| sample.at < needed);
        // A flat line needs no more of a busy group than what is below it.
        let spare = match &frame.judged.judge {
            Judge::Flatline { below, .. } if self.episodes.is_empty() => {
                let judged = self.samples.partition_point(|sample| sample.at <= now);
                judged.saturating_sub(below.ceil() as usize + 1)
            }
            _ => 0,
        };
        self.samples.drain(..old.max(spare.min(self.samples.len())));
        let history = frame.history_ns();
        self.terms.retain(|(_, seen)| *seen >= now.saturating_sub(history));
    }

    fn coarsen(&mut self, frame: &Frame) {
        if self.samples.len() <= SAMPLES_MAX {
            return;
        }
        let before = self.samples.len();
        let judged = self.samples.partition_point(|sample| sample.at <= self.judged_until);
        let can_merge =
            matches!(frame.judged.measure, Measure::Count | Measure::Sum | Measure::Avg);
        if can_merge && judged > before / 2 {
            let older: Vec<Sample> = self.samples.drain(..judged / 2 * 2).collect();
            let merged = older.chunks(2).map(|pair| Sample {
                weight: pair.iter().fold(0, |sum, sample| sum + sample.weight),
                value: pair.iter().map(|s| s.value).sum::<f64>().clamp(f64::MIN, f64::MAX),
                is_counted: pair.iter().all(|sample| sample.is_counted),
                ..pair[pair.len() - 1]
            });
            let merged: Vec<Sample> = merged.collect();
            self.samples.splice(..0, merged);
        } else {
            self.samples.remove(0);
        }
        let gone = before.saturating_sub(self.samples.len()) as u64;
        ::metrics::counter!(crate::metrics::POINTS_COARSENED_TOTAL, "rule" => "judged")
            .increment(gone);
    }

    /// The places of the samples in the window that ends at `instant`.
    pub(super) fn window(&self, frame: &Frame, instant: i64) -> std::ops::Range<usize> {
        self.range(frame.start_of(frame.span_ns, instant), instant)
    }

    /// The places of the samples in a closed span.
    pub(super) fn range(&self, from: i64, to: i64) -> std::ops::Range<usize> {
        let first = self.samples.partition_point(|sample| sample.at < from);
        let after = self.samples.partition_point(|sample| sample.at <= to);
        first..after.max(first)
    }

    pub(super) fn set_alert(&mut self, episode: u128, alert: u128) {
        for kept in self.episodes.iter_mut().filter(|kept| kept.key == episode) {
            kept.alert = alert;
        }
    }

    /// The episodes that are not over.
    pub(crate) fn episodes(&self) -> impl Iterator<Item = Episode> {
        self.episodes.iter().map(Kept::episode)
    }

    /// What is to be told when the group is forgotten.
    pub(super) fn into_ended(self) -> Vec<Told> {
        self.episodes.iter().map(|kept| kept.told(|episode| Turn::Ended { episode })).collect()
    }

    /// Appends the form that is kept.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("a series has a form in JSON");
    }

    /// Reads that form; `None` when it is damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// When an event of it was last observed.
    pub(crate) fn seen(&self) -> i64 {
        self.seen
    }

    pub(super) fn first_at(&self) -> i64 {
        self.first_at
    }

    pub(super) fn last_at(&self) -> i64 {
        self.last_at
    }

    pub(super) fn lateness(&self) -> i64 {
        self.lateness_ns
    }
}

impl Kept {
    fn told(&self, turn: impl FnOnce(Episode) -> Turn) -> Told {
        Told { words: self.words.clone(), turn: turn(self.episode()) }
    }

    fn episode(&self) -> Episode {
        Episode {
            key: self.key,
            started_at: self.started_at,
            started_by: self.started_by,
            held_until: self.held_until,
            close_at: i64::MAX,
            alert: self.alert,
        }
    }
}

pub(super) fn nanos(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
