//! Both stages over one event at a time: rules that look at an event, then windows over what they
//! found. Pure: the detector, rule tests and history all run this.
//!
//! Input: events in journal order. Output: [`Finding`]s. State: one [`Groups`] per rule that looks
//! over time or opens alerts; the parts in which a group changed are known, so that only they are written.
//! Bounded: [`GROUPS_PER_RULE_MAX`] groups per rule, the one unseen for longest is forgotten first.

mod judging;
mod snapshot;
mod timing;
mod values;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ::metrics::Counter;
use foldhash::quality::RandomState;
use logwarden_event::{Event, Timestamp};

use crate::identity::hash_text;
use crate::matcher::Matcher;
use crate::metrics;
use crate::rule::{Correlation, CorrelationKind, Edge, GroupPart, Logic, Rule, RuleSet};
use crate::trend::{Explained, Trends};
use crate::window::{Change, Condition, Episode, Group, Member, Outcome, Window};

use judging::{lateness_of, trends_of};
use values::{
    Origin, group_of_key, sample_of, subjects_of, tag_of, write_key, write_plain_key, write_values,
};

pub(crate) use snapshot::part_bit;

pub use snapshot::Part;
pub(crate) use timing::Timing;
pub use values::field_text;
pub(crate) use values::{key_of_first, key_of_values};

/// How late the events of a source may come, by its name.
pub type Lateness = HashMap<String, Duration>;

/// Groups one rule may keep state for.
pub const GROUPS_PER_RULE_MAX: usize = 20_000;
/// How long further matches of a plain rule count into the same detection.
pub const PLAIN_HOLD: Duration = Duration::from_secs(600);
/// How late an event may come where neither its rule nor its source says.
const LATENESS_DEFAULT: Duration = Duration::from_secs(120);

/// A group's fields with their values.
pub type GroupValues = Vec<(String, String)>;

/// What a rule found in one of its groups.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule's place in the set.
    pub rule: usize,
    /// Names the group.
    pub key: Arc<str>,
    /// The group's fields with their values.
    pub group: GroupValues,
    /// What was found.
    pub what: Found,
}

/// What was found.
#[derive(Debug, Clone)]
pub enum Found {
    /// A detection began.
    Began {
        /// Its episode.
        episode: Episode,
        /// Every event in it.
        members: Vec<Member>,
        /// Those that were in no detection before.
        fresh: Vec<Member>,
        /// Why, of a rule whose numbers alone do not say it.
        why: Option<Explained>,
    },
    /// A detection grew.
    Grew {
        /// Its episode.
        episode: Episode,
        /// Events that came into it.
        fresh: Vec<Member>,
        /// Episodes that became part of it: they were no detections of their own after all.
        absorbed: Vec<Episode>,
        /// What it was before, where it starts otherwise now.
        moved: Option<Episode>,
    },
    /// A detection is over.
    Ended {
        /// Its episode.
        episode: Episode,
    },
}

/// What came of one event.
#[derive(Debug, Default)]
pub struct Findings {
    /// In the order they were found.
    pub found: Vec<Finding>,
    /// Rules, by place, that had judged its time already, and when that was.
    pub late: Vec<(usize, i64)>,
}

/// A group that was forgotten, with the episodes that were not over.
type Evicted = (Arc<str>, Vec<Episode>);

/// The groups of one rule.
#[derive(Debug)]
struct Groups {
    window: Window,
    /// The rule says itself how late an event may come.
    has_own_lateness: bool,
    fingerprint: String,
    groups: HashMap<Arc<str>, Slot, RandomState>,
    by_age: BTreeSet<(i64, Arc<str>)>,
    /// The parts in which a group changed or was forgotten.
    dirty: u64,
}

/// A group with what its rule knows of it.
#[derive(Debug)]
struct Slot {
    group: Group,
    /// By which time it stands among the ages: it may have been seen since.
    age: i64,
    /// The bit of its part.
    part: u64,
}

/// The counters of a rule that were counted up so far: looking one up by name would cost more than a hit.
#[derive(Debug, Default)]
struct Counters(Vec<(&'static str, Counter)>);

/// Both stages, with their state.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    matcher: Matcher,
    lateness: Arc<Lateness>,
    groups: Vec<Option<Groups>>,
    /// The places of the rules that keep groups, and of some that did: most rules of a set never match.
    busy: BTreeSet<usize>,
    /// By rule: the fields that say who a match of a plain rule is about.
    subjects: Vec<Arc<[GroupPart]>>,
    counters: Vec<Counters>,
    /// By rule: how long events take in its windows.
    timings: Arc<[Timing]>,
    /// By rule: the groups of those that wait for the watermark.
    trends: Vec<Option<Trends>>,
    /// The places of those rules, each after the ones it looks at.
    judged: Vec<usize>,
    outlives_panics: bool,
    /// Those of them that were put out of use and are not told yet.
    broken: Vec<usize>,
    /// The places of those that know groups before any event of theirs.
    expecting: Vec<usize>,
    /// Up to when, by the time events are observed, they were judged.
    judged_before: i64,
    hits: Vec<usize>,
    /// Room for the key of a group.
    key: String,
}

/// When an event was observed, and how late its source may be, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    observed: i64,
    lateness: Option<i64>,
}

impl Engine {
    /// Starts without state.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self::with_lateness(rules, Arc::default())
    }

    /// Starts without state; the events of these sources may be late.
    pub fn with_lateness(rules: Arc<RuleSet>, lateness: Arc<Lateness>) -> Self {
        let groups = (0..rules.rules().len()).map(|place| groups_of(&rules, place)).collect();
        let trends: Vec<Option<Trends>> =
            (0..rules.rules().len()).map(|place| trends_of(&rules, place)).collect();
        let mut judged: Vec<usize> = (0..trends.len()).filter(|p| trends[*p].is_some()).collect();
        judged.sort_by_key(|place| rules.depth_of(*place));
        let expects = |place: &usize| trends[*place].as_ref().is_some_and(Trends::expects_groups);
        let expecting = judged.iter().copied().filter(expects).collect();
        Self {
            matcher: Matcher::new(rules.clone()),
            counters: rules.rules().iter().map(|_| Counters::default()).collect(),
            subjects: subjects_of(rules.rules()),
            timings: rules.rules().iter().map(|_| Timing::default()).collect(),
            rules,
            lateness,
            groups,
            busy: BTreeSet::new(),
            trends,
            expecting,
            judged,
            outlives_panics: false,
            broken: Vec::new(),
            judged_before: i64::MIN,
            hits: Vec::new(),
            key: String::new(),
        }
    }

    /// The rules it runs.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// How long events take in the windows of each rule, in the order of the rules.
    pub(crate) fn timings(&self) -> Arc<[Timing]> {
        Arc::clone(&self.timings)
    }

    /// Looks at one event, which has its place in the journal.
    pub fn process(&mut self, event: &Event) -> Findings {
        let mut findings = Findings::default();
        let observed = event.observed_at().nanos();
        self.judge_before(observed, &mut findings);
        self.take_event(event, observed, &mut findings);
        findings
    }

    /// The same as if each event was observed when it happened, in the order of their time: none is late.
    pub fn replay(&mut self, event: &Event) -> Findings {
        let mut findings = Findings::default();
        let observed = event.timestamp().nanos();
        self.judge_before(observed, &mut findings);
        self.take_event(event, observed, &mut findings);
        findings
    }

    /// The same as if all events were observed at one moment: nothing is judged before
    /// [`Engine::finish`], and nothing is forgotten.
    pub fn gather(&mut self, event: &Event) -> Findings {
        let mut findings = Findings::default();
        self.take_event(event, 0, &mut findings);
        findings
    }

    fn take_event(&mut self, event: &Event, observed: i64, findings: &mut Findings) {
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        self.matcher.match_event(event, &mut hits);
        let member = Member { at: event.timestamp().nanos(), id: event.id().to_u128(), weight: 1 };
        self.expect_since(member.at, observed);
        let arrival =
            Arrival { observed, lateness: self.lateness.get(event.source()).copied().map(nanos) };
        for place in &hits {
            self.take_hit(*place, Origin::Event(event), member, arrival, findings);
        }
        self.hits = hits;
    }

    /// The rules that match an event, without looking over time.
    pub fn matches(&mut self, event: &Event) -> Vec<usize> {
        let mut hits = Vec::new();
        self.matcher.match_event(event, &mut hits);
        hits
    }

    /// Forgets what is over at `now`, by the time events are observed. To be called only when every
    /// event observed before `now` was processed.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Finding> {
        let mut found = Vec::new();
        for rule in self.busy.iter().copied().collect::<Vec<_>>() {
            let Some(groups) = &mut self.groups[rule] else { continue };
            for (key, episode) in groups.expire(now.nanos()) {
                let group = group_of_key(&key);
                found.push(Finding { rule, key, group, what: Found::Ended { episode } });
            }
            if groups.groups.is_empty() {
                self.busy.remove(&rule);
            }
        }
        let mut findings = Findings { found, ..Findings::default() };
        self.expect_since(now.nanos(), now.nanos());
        self.judge_before(now.nanos(), &mut findings);
        findings.found
    }

    /// Remembers which alert an episode belongs to.
    pub fn set_alert(&mut self, rule: usize, key: &Arc<str>, episode: u128, alert: u128) {
        if let Some(groups) = &mut self.groups[rule]
            && let Some(slot) = groups.groups.get_mut(key)
        {
            slot.group.set_alert(episode, alert);
            groups.dirty |= slot.part;
        }
        if let Some(trends) = &mut self.trends[rule] {
            trends.set_alert(key, episode, alert);
        }
    }

    /// The events of the windows that end with these, as far as the group still has them.
    pub fn window_of(&self, rule: usize, key: &Arc<str>, fresh: &[Member]) -> Vec<Member> {
        let slot =
            self.groups[rule].as_ref().and_then(|groups| Some((groups, groups.groups.get(key)?)));
        let mut members = fresh.to_vec();
        if let (Some((groups, slot)), Some(last)) = (slot, fresh.last())
            && matches!(self.rules.rules()[rule].logic, Logic::Correlate(_))
        {
            members.extend(
                slot.group.members(last.at.saturating_sub(groups.window.timespan_ns), last.at),
            );
        }
        members.sort_unstable_by_key(|member| (member.at, member.id));
        members.dedup_by_key(|member| member.id);
        members
    }

    /// The newest event by which the condition can hold in the window that ends with the last of `fresh`.
    pub fn met_by(&self, rule: usize, key: &Arc<str>, fresh: &[Member]) -> Option<u128> {
        let groups = self.groups[rule].as_ref()?;
        let to = fresh.last()?.at;
        let from = to.saturating_sub(groups.window.timespan_ns);
        groups.groups.get(key)?.group.met_by(groups.window.condition, from, to)
    }

    /// Whether an episode of this group that is not over belongs to this alert.
    pub fn has_episode_of(&self, rule: usize, key: &Arc<str>, alert: u128) -> bool {
        let group = self.groups[rule].as_ref().and_then(|groups| groups.groups.get(key));
        let trend = self.trends[rule].as_ref().and_then(|trends| trends.get(key));
        group.is_some_and(|slot| slot.group.episodes().iter().any(|e| e.alert == alert))
            || trend.is_some_and(|series| series.episodes().any(|e| e.alert == alert))
    }

    /// A rule's match: into its own alerts, and into the correlations that look at it. A chain is
    /// as deep as correlations lie above each other, which loading bounds.
    fn take_hit(
        &mut self,
        place: usize,
        origin: Origin<'_>,
        member: Member,
        arrival: Arrival,
        findings: &mut Findings,
    ) {
        let rules = self.rules.clone();
        let rule = &rules.rules()[place];
        let mut key = std::mem::take(&mut self.key);
        if let (Logic::Match(_), Origin::Event(event)) = (&rule.logic, origin) {
            let begun = self.timings[place].begin();
            self.counters[place].of(metrics::HITS_TOTAL, &rule.id).increment(1);
            if rules.opens_alerts(place) {
                write_plain_key(&self.subjects[place], event, &mut key);
                let before = findings.found.len();
                self.insert(place, &key, member, member.id, arrival, findings);
                self.weigh(place, origin, before, arrival, findings);
            }
            self.timings[place].end(begun);
        }
        for edge in rules.edges_of(place) {
            let begun = self.timings[edge.correlation].begin();
            self.take_edge(edge, origin, member, arrival, &mut key, findings);
            self.timings[edge.correlation].end(begun);
        }
        self.key = key;
    }

    /// A match into one of the correlations that look at its rule; `key` is room for the name of the group.
    fn take_edge(
        &mut self,
        edge: &Edge,
        origin: Origin<'_>,
        member: Member,
        arrival: Arrival,
        key: &mut String,
        findings: &mut Findings,
    ) {
        let rules = self.rules.clone();
        let above = &rules.rules()[edge.correlation];
        let Logic::Correlate(correlation) = &above.logic else { return };
        let is_null = above.settings.missing_as_null;
        let counts_groups =
            correlation.judged.as_ref().is_some_and(|judged| judged.counts_groups());
        let has_key = write_key(&edge.group, is_null && !counts_groups, origin, key);
        if let Some(judged) = &correlation.judged {
            let sample = sample_of(judged, edge, origin, member, is_null && counts_groups);
            match sample.filter(|_| has_key) {
                Some(sample) => {
                    let words = || write_values(&correlation.fields, edge, origin);
                    let sample = (sample, &words as &dyn Fn() -> String);
                    self.insert_sample(edge.correlation, key, sample, arrival, findings);
                }
                None => self.count_missing(edge.correlation, above),
            }
            return;
        }
        let Some(tag) = tag_of(correlation, edge, origin, member).filter(|_| has_key) else {
            self.count_missing(edge.correlation, above);
            return;
        };
        let before = findings.found.len();
        let hits = self.insert(edge.correlation, key, member, tag, arrival, findings);
        if findings.found.len() == before && hits.is_empty() {
            return;
        }
        let values = group_of_key(key);
        let origin = Origin::Group(&values);
        self.weigh(edge.correlation, origin, before, arrival, findings);
        for hit in hits {
            self.take_hit(edge.correlation, origin, hit, arrival, findings);
        }
    }

    fn count_missing(&mut self, place: usize, rule: &Rule) {
        self.counters[place].of(metrics::MISSING_FIELD_TOTAL, &rule.id).increment(1);
    }

    fn insert(
        &mut self,
        place: usize,
        key: &str,
        member: Member,
        tag: u128,
        arrival: Arrival,
        findings: &mut Findings,
    ) -> Vec<Member> {
        let opens_alerts = self.rules.opens_alerts(place);
        let Some(groups) = &mut self.groups[place] else { return Vec::new() };
        let rule_id = || self.rules.rules()[place].id.clone();
        let window = groups.window_for(&arrival);
        if member.at < arrival.observed.saturating_sub(window.lateness_ns) {
            let rule = &self.rules.rules()[place].id;
            self.counters[place].of(metrics::LATE_TOTAL, rule).increment(1);
            if matches!(self.rules.rules()[place].logic, Logic::Correlate(_)) {
                findings.late.push((place, member.at));
            }
        }
        let point = (member.at, member.id, tag);
        let (outcome, evicted) = groups.insert(&window, key, point, arrival.observed);
        if groups.groups.len() == 1 {
            self.busy.insert(place);
        }
        if outcome.coarsened > 0 {
            let count = outcome.coarsened as u64;
            ::metrics::counter!(metrics::POINTS_COARSENED_TOTAL, "rule" => rule_id())
                .increment(count);
        }
        if opens_alerts {
            report(place, key, &outcome, evicted, findings);
        }
        outcome.hits
    }
}

fn report(
    rule: usize,
    key: &str,
    outcome: &Outcome,
    evicted: Option<Evicted>,
    findings: &mut Findings,
) {
    let mut report = |key: &Arc<str>, what: Found| {
        let group = group_of_key(key);
        findings.found.push(Finding { rule, key: key.clone(), group, what });
    };
    if let Some((key, episodes)) = evicted {
        for episode in episodes {
            report(&key, Found::Ended { episode });
        }
    }
    let is_quiet = matches!(outcome.change, Change::Known | Change::Waiting);
    if is_quiet && outcome.ended.is_empty() {
        return;
    }
    let key = Arc::from(key);
    for episode in &outcome.ended {
        report(&key, Found::Ended { episode: *episode });
    }
    match &outcome.change {
        Change::Known | Change::Waiting => {}
        Change::Began { episode, members, fresh } => {
            let (members, fresh) = (members.clone(), fresh.clone());
            report(&key, Found::Began { episode: *episode, members, fresh, why: None });
        }
        Change::Grew { episode, fresh, absorbed, moved } => {
            let (fresh, absorbed) = (fresh.clone(), absorbed.clone());
            report(&key, Found::Grew { episode: *episode, fresh, absorbed, moved: *moved });
        }
    }
}

impl Groups {
    /// The window for an event: how late it may come is the rule's to say, then its source's.
    fn window_for(&self, arrival: &Arrival) -> Window {
        match arrival.lateness {
            Some(lateness_ns) if !self.has_own_lateness => Window { lateness_ns, ..self.window },
            _ => self.window,
        }
    }

    fn insert(
        &mut self,
        window: &Window,
        key: &str,
        point: (i64, u128, u128),
        observed: i64,
    ) -> (Outcome, Option<Evicted>) {
        if let Some(slot) = self.groups.get_mut(key) {
            self.dirty |= slot.part;
            return (slot.group.insert(window, point, observed), None);
        }
        let is_full = self.groups.len() >= GROUPS_PER_RULE_MAX;
        let evicted = if is_full { self.evict_oldest() } else { None };
        let mut group = Group::default();
        let outcome = group.insert(window, point, observed);
        let slot = Slot { age: group.last_observed(), part: part_bit(key), group };
        self.dirty |= slot.part;
        let key: Arc<str> = Arc::from(key);
        self.by_age.insert((slot.age, key.clone()));
        self.groups.insert(key, slot);
        (outcome, evicted)
    }

    /// The group that was not seen for longest, when that was before this; it stands by its true age.
    fn oldest_before(&mut self, before: i64) -> Option<Arc<str>> {
        loop {
            let (age, key) = self.by_age.first().filter(|(age, _)| *age < before)?.clone();
            let Some(slot) = self.groups.get_mut(&key) else {
                self.by_age.pop_first();
                continue;
            };
            if slot.group.last_observed() == age {
                return Some(key);
            }
            self.by_age.pop_first();
            slot.age = slot.group.last_observed();
            self.by_age.insert((slot.age, key));
        }
    }

    fn evict_oldest(&mut self) -> Option<Evicted> {
        let key = self.oldest_before(i64::MAX)?;
        let slot = self.remove(&key)?;
        ::metrics::counter!(metrics::GROUPS_EVICTED_TOTAL).increment(1);
        Some((key, slot.group.episodes().to_vec()))
    }

    fn remove(&mut self, key: &Arc<str>) -> Option<Slot> {
        let slot = self.groups.remove(key)?;
        self.by_age.remove(&(slot.age, key.clone()));
        self.dirty |= slot.part;
        Some(slot)
    }

    fn expire(&mut self, now: i64) -> Vec<(Arc<str>, Episode)> {
        // Nothing is looked at sooner than the rule's own memory after its last point was observed.
        let before = now.saturating_sub(self.window.memory_ns());
        let due: Vec<Arc<str>> = self
            .by_age
            .iter()
            .take_while(|(age, _)| *age < before)
            .map(|(_, key)| key.clone())
            .collect();
        let mut ended = Vec::new();
        for key in due {
            let Some(slot) = self.groups.get_mut(&key) else { continue };
            let seen = slot.group.last_observed();
            if seen != slot.age {
                self.by_age.remove(&(slot.age, key.clone()));
                self.by_age.insert((seen, key.clone()));
                slot.age = seen;
            }
            if seen >= before {
                continue;
            }
            let over = slot.group.expire(now);
            if over.is_empty() && !slot.group.is_empty() {
                continue;
            }
            ended.extend(over.into_iter().map(|episode| (key.clone(), episode)));
            if slot.group.is_empty() {
                self.remove(&key);
            } else {
                self.dirty |= slot.part;
            }
        }
        ended
    }
}

fn groups_of(rules: &RuleSet, place: usize) -> Option<Groups> {
    let rule = &rules.rules()[place];
    let lateness_ns = lateness_of(rules, rule, 0);
    let (timespan, condition) = match &rule.logic {
        Logic::Match(_) if !rules.opens_alerts(place) => return None,
        // What it counts holds for one span, and is over after another.
        Logic::Match(_) => (PLAIN_HOLD / 2, Condition::Count(1)),
        Logic::Correlate(correlation) if correlation.judged.is_some() => return None,
        Logic::Correlate(correlation) => (correlation.timespan, condition_of(correlation)),
    };
    let window = Window {
        timespan_ns: nanos(timespan),
        lateness_ns,
        condition,
        reports_hits: !rules.edges_of(place).is_empty(),
    };
    Some(Groups {
        window,
        has_own_lateness: rule.settings.lateness.is_some(),
        fingerprint: fingerprint(rules, place),
        groups: HashMap::default(),
        by_age: BTreeSet::new(),
        dirty: 0,
    })
}

impl Counters {
    fn of(&mut self, name: &'static str, rule: &str) -> &Counter {
        let known = self.0.iter().position(|(known, _)| *known == name);
        let place = known.unwrap_or_else(|| {
            self.0.push((name, ::metrics::counter!(name, "rule" => rule.to_owned())));
            self.0.len() - 1
        });
        &self.0[place].1
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

fn condition_of(correlation: &Correlation) -> Condition {
    let count = usize::try_from(correlation.count_min).unwrap_or(usize::MAX);
    match correlation.kind {
        CorrelationKind::ValueCount | CorrelationKind::Temporal => Condition::Distinct(count),
        CorrelationKind::TemporalOrdered => Condition::Ordered(correlation.rules.len()),
        // The other kinds wait for the watermark.
        _ => Condition::Count(count),
    }
}

/// Changes when what makes up the rule's groups and points does.
fn fingerprint(rules: &RuleSet, place: usize) -> String {
    let rule = &rules.rules()[place];
    let own = match &rule.logic {
        Logic::Match(_) => format!("{:?}", rule.settings.entity),
        Logic::Correlate(correlation) => {
            let members = correlation.rules.iter().filter_map(|reference| {
                rules.rules().iter().position(|rule| rule.is_called(&reference.text))
            });
            let below: Vec<String> = members
                .map(|member| match &rules.rules()[member].logic {
                    Logic::Match(_) => rules.rules()[member].fingerprint.clone(),
                    Logic::Correlate(_) => fingerprint(rules, member),
                })
                .collect();
            let Correlation { kind, group_by, timespan, count_min, fields, judged, .. } =
                correlation;
            let judged = judged.as_ref().map(|judged| format!("{judged:?}")).unwrap_or_default();
            format!("{kind:?} {group_by:?} {timespan:?} {count_min} {fields:?} {below:?}{judged}")
        }
    };
    hash_text(&[&own, &format!("{:?}", rule.settings.lateness)])
}
