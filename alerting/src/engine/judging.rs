//! The rules that wait for the watermark, among the others: when they are judged, what they are fed,
//! and what comes of their verdicts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use logwarden_event::Timestamp;
use tracing::error;

use super::values::{Origin, group_of_key, write_key};
use super::{Arrival, Engine, Finding, Findings, Found, LATENESS_DEFAULT, fingerprint, nanos};
use crate::identity::hash;
use crate::metrics;
use crate::rule::{CHAIN_MAX, CorrelationKind, GroupPart, Logic, Rule, RuleSet, RuleState};
use crate::trend::{Sample, Trends, Turn};
use crate::window::Episode;

impl Engine {
    /// Judges what waits for the watermark up to `to`, by the time of events: there are no more.
    pub fn finish(&mut self, to: Timestamp) -> Vec<Finding> {
        let mut findings = Findings::default();
        for place in self.judged.clone() {
            let turns = self.judge(place, |trends| trends.judge_through(to.nanos()));
            self.take_turns(place, turns, &mut findings);
        }
        findings.found
    }

    /// Something happened at `at`: groups that are expected may be silent from then on.
    pub(super) fn expect_since(&mut self, at: i64, observed: i64) {
        for place in &self.expecting {
            if let Some(trends) = &mut self.trends[*place] {
                trends.expect_since(at, observed);
            }
        }
    }

    /// Events observed at the same time may still come in any order: nothing is judged between them.
    pub(super) fn judge_before(&mut self, before: i64, findings: &mut Findings) {
        if before <= self.judged_before || self.judged.is_empty() {
            return;
        }
        self.judged_before = before;
        for at in 0..self.judged.len() {
            let place = self.judged[at];
            let turns = self.judge(place, |trends| trends.judge_before(before));
            self.take_turns(place, turns, findings);
        }
    }

    /// From now on a rule that panics while it is judged is put out of use: on a stream it would again, and cost other rules
    /// the events that come meanwhile. Whoever asks for an answer about a rule gets the panic.
    pub(crate) fn outlive_panics(&mut self) {
        self.outlives_panics = true;
    }

    /// Judges one rule.
    fn judge(
        &mut self,
        place: usize,
        how: impl FnOnce(&mut Trends) -> Vec<(Arc<str>, Turn)>,
    ) -> Vec<(Arc<str>, Turn)> {
        let Some(trends) = &mut self.trends[place] else { return Vec::new() };
        if !self.outlives_panics {
            return how(trends);
        }
        catch_unwind(AssertUnwindSafe(|| how(trends))).unwrap_or_else(|_| {
            let rule = &self.rules.rules()[place].id;
            error!(rule, "judging a rule panicked; it is out of use until rules are read again");
            self.trends[place] = None;
            self.broken.push(place);
            Vec::new()
        })
    }

    /// The rules that were put out of use since the last call.
    pub(crate) fn take_broken(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.broken)
    }

    fn take_turns(&mut self, rule: usize, turns: Vec<(Arc<str>, Turn)>, findings: &mut Findings) {
        let opens_alerts = self.rules.opens_alerts(rule);
        for (key, turn) in turns {
            let group = group_of_key(&key);
            let what = match turn {
                Turn::Hit(member, lateness) => {
                    let lateness = Some(lateness);
                    let arrival = Arrival { observed: self.judged_before, lateness };
                    self.take_hit(rule, Origin::Group(&group), member, arrival, findings);
                    continue;
                }
                Turn::Began { episode, members, why } => {
                    let fresh = members.clone();
                    let arrival = Arrival { observed: self.judged_before, lateness: None };
                    let origin = Origin::Group(&group);
                    self.add_risk(rule, origin, (None, Some(&episode)), arrival, findings);
                    Found::Began { episode, members, fresh, why: Some(why) }
                }
                Turn::Grew { episode, fresh } => {
                    Found::Grew { episode, fresh, absorbed: Vec::new(), moved: None }
                }
                Turn::Ended { episode } => Found::Ended { episode },
            };
            if opens_alerts {
                findings.found.push(Finding { rule, key, group, what });
            }
        }
    }

    pub(super) fn insert_sample(
        &mut self,
        place: usize,
        key: &str,
        (sample, words): (Sample, &dyn Fn() -> String),
        arrival: Arrival,
        findings: &mut Findings,
    ) {
        let Some(trends) = &mut self.trends[place] else { return };
        // What it belongs to may be forgotten already.
        let is_late =
            sample.at < arrival.observed.saturating_sub(trends.lateness_for(arrival.lateness));
        let (is_taken, evicted) =
            trends.insert(key, (sample, words), arrival.observed, arrival.lateness);
        if !is_taken {
            let rule = &self.rules.rules()[place].id;
            self.counters[place].of(metrics::LATE_TOTAL, rule).increment(1);
        }
        if !is_taken || is_late {
            findings.late.push((place, sample.at));
        }
        self.take_turns(place, evicted, findings);
    }

    /// A detection of a rule that is worth points of risk counts for whom it is about, when it starts.
    /// A start that moved, and that of a detection which turned out to be part of another, counts no
    /// longer: so the points are those of the detections as they are in the end. `from`: the place of
    /// the first finding that was not weighed.
    pub(super) fn weigh(
        &mut self,
        place: usize,
        origin: Origin<'_>,
        from: usize,
        arrival: Arrival,
        findings: &mut Findings,
    ) {
        if self.rules.rules()[place].settings.risk.is_none() {
            return;
        }
        let mut starts: Vec<(Option<Episode>, Option<Episode>)> = Vec::new();
        for finding in findings.found[from..].iter().filter(|finding| finding.rule == place) {
            match &finding.what {
                Found::Began { episode, .. } => starts.push((None, Some(*episode))),
                Found::Grew { episode, absorbed, moved, .. } => {
                    starts.extend(absorbed.iter().map(|other| (Some(*other), None)));
                    starts.extend(moved.map(|before| (Some(before), Some(*episode))));
                }
                Found::Ended { .. } => {}
            }
        }
        for (before, now) in starts {
            self.add_risk(place, origin, (before.as_ref(), now.as_ref()), arrival, findings);
        }
    }

    /// Takes the points of a start away and counts those of another. What looks at a rule about risk
    /// does not count for it.
    fn add_risk(
        &mut self,
        place: usize,
        origin: Origin<'_>,
        (before, now): (Option<&Episode>, Option<&Episode>),
        arrival: Arrival,
        findings: &mut Findings,
    ) {
        let rules = self.rules.clone();
        let rule = &rules.rules()[place];
        let Some(points) = rule.settings.risk.filter(|_| rules.opens_alerts(place)) else { return };
        let mut key = String::new();
        for at in 0..self.judged.len() {
            let risk = self.judged[at];
            let Logic::Correlate(correlation) = &rules.rules()[risk].logic else { continue };
            let is_above = rules.depth_of(place) >= rules.depth_of(risk);
            if correlation.kind != CorrelationKind::Risk || is_above {
                continue;
            }
            let sample = |episode: &Episode| Sample {
                at: episode.started_at,
                id: episode.started_by,
                tag: hash(&[rule.id.as_bytes()]),
                value: points as f64,
                weight: 1,
                marks: tactics(rule),
                before: 0,
                is_counted: false,
            };
            let missing_as_null = rules.rules()[risk].settings.missing_as_null;
            let parts = GroupPart::all_of(correlation, rule);
            let has_key = write_key(&parts, missing_as_null, origin, &mut key);
            if let (Some(before), Some(trends)) = (before, &mut self.trends[risk]) {
                let is_known = trends.withdraw(has_key.then_some(key.as_str()), &sample(before));
                if !is_known {
                    findings.late.push((risk, before.started_at));
                }
            }
            if let Some(now) = now.filter(|_| has_key) {
                // No detection can start or move later than its own rule lets events be late.
                let own = rule.settings.lateness.unwrap_or(LATENESS_DEFAULT);
                let lateness = arrival.lateness.into_iter().chain([nanos(own)]).max();
                let arrival = Arrival { lateness, ..arrival };
                let sample = (sample(now), &String::new as &dyn Fn() -> String);
                self.insert_sample(risk, &key, sample, arrival, findings);
            }
        }
    }
}

/// How late a rule lets its events be, in nanoseconds: no less than those that it looks at do.
pub(super) fn lateness_of(rules: &RuleSet, rule: &Rule, below: usize) -> i64 {
    let own = nanos(rule.settings.lateness.unwrap_or(LATENESS_DEFAULT));
    match &rule.logic {
        Logic::Correlate(correlation) if below <= CHAIN_MAX => {
            let members = correlation.rules.iter().filter_map(|member| rules.find(&member.text));
            members.map(|member| lateness_of(rules, member, below + 1)).fold(own, i64::max)
        }
        _ => own,
    }
}

pub(super) fn trends_of(rules: &RuleSet, place: usize) -> Option<Trends> {
    let rule = &rules.rules()[place];
    let Logic::Correlate(correlation) = &rule.logic else { return None };
    let judged =
        correlation.judged.clone().filter(|_| rule.settings.state != RuleState::Disabled)?;
    let lateness = (lateness_of(rules, rule, 0), rule.settings.lateness.is_some());
    Some(Trends::new(correlation, judged, lateness, fingerprint(rules, place)))
}

/// The tactics of ATT&CK for enterprises, with their ids.
const TACTICS: [(&str, &str); 14] = [
    ("reconnaissance", "ta0043"),
    ("resource-development", "ta0042"),
    ("initial-access", "ta0001"),
    ("execution", "ta0002"),
    ("persistence", "ta0003"),
    ("privilege-escalation", "ta0004"),
    ("defense-evasion", "ta0005"),
    ("credential-access", "ta0006"),
    ("discovery", "ta0007"),
    ("lateral-movement", "ta0008"),
    ("collection", "ta0009"),
    ("exfiltration", "ta0010"),
    ("command-and-control", "ta0011"),
    ("impact", "ta0040"),
];

/// One bit for each tactic of ATT&CK that a rule names; tactics of other matrices share the bits above.
fn tactics(rule: &Rule) -> u32 {
    let of = |tag: &String| {
        let is_tactic = !tag.starts_with(['T', 'G', 'S']) || tag.starts_with("TA");
        let name = tag.to_lowercase().replace('_', "-");
        let known = TACTICS.iter().position(|(known, id)| name == *known || name == *id);
        let bit = || match known {
            Some(place) => place as u32,
            None => 14 + (hash(&[name.as_bytes()]) % 18) as u32,
        };
        is_tactic.then(|| 1u32 << bit())
    };
    rule.attack.iter().filter_map(of).fold(0, |marks, bit| marks | bit)
}
