//! The rules that wait for the watermark, among the others: when they are judged, what they are fed,
//! and what comes of their verdicts.

use std::sync::Arc;

use logwarden_event::Timestamp;

use super::values::{Origin, group_of_key, group_values, key_of_group};
use super::{
    Arrival, Engine, Finding, Findings, Found, GroupValues, LATENESS_DEFAULT, fingerprint, nanos,
};
use crate::identity::hash;
use crate::metrics;
use crate::rule::{CorrelationKind, Judge, Logic, Rule, RuleSet, RuleState};
use crate::trend::{Sample, Trends, Turn};
use crate::window::Episode;

impl Engine {
    /// Judges what waits for the watermark up to `to`, by the time of events: there are no more.
    pub fn finish(&mut self, to: Timestamp) -> Vec<Finding> {
        let mut findings = Findings::default();
        for place in self.judged.clone() {
            let turns = self.trends[place].as_mut().map(|trends| trends.judge_through(to.nanos()));
            self.take_turns(place, turns.unwrap_or_default(), &mut findings);
        }
        findings.found
    }

    /// Events observed at the same time may still come in any order: nothing is judged between them.
    pub(super) fn judge_before(&mut self, before: i64, findings: &mut Findings) {
        if before <= self.judged_before || self.judged.is_empty() {
            return;
        }
        self.judged_before = before;
        for at in 0..self.judged.len() {
            let place = self.judged[at];
            let turns = self.trends[place].as_mut().map(|trends| trends.judge_before(before));
            self.take_turns(place, turns.unwrap_or_default(), findings);
        }
    }

    fn take_turns(&mut self, rule: usize, turns: Vec<(Arc<str>, Turn)>, findings: &mut Findings) {
        let opens_alerts = self.rules.opens_alerts(rule);
        for (key, turn) in turns {
            let group = group_of_key(&key);
            let what = match turn {
                Turn::Hit(member) => {
                    let arrival = Arrival { observed: self.judged_before, lateness: None };
                    self.take_hit(rule, Origin::Group(&group), member, arrival, findings);
                    continue;
                }
                Turn::Began { episode, members, why } => {
                    let fresh = members.clone();
                    self.add_risk(rule, Origin::Group(&group), &episode, findings);
                    Found::Began { episode, members, fresh, why: Some(why) }
                }
                Turn::Grew { episode, fresh } => {
                    Found::Grew { episode, fresh, absorbed: Vec::new() }
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
        group: GroupValues,
        sample: Sample,
        arrival: Arrival,
        findings: &mut Findings,
    ) {
        let Some(trends) = &mut self.trends[place] else { return };
        let key: Arc<str> = Arc::from(key_of_group(&group));
        // What it belongs to may be forgotten already.
        let is_late =
            sample.at < arrival.observed.saturating_sub(trends.lateness_for(arrival.lateness));
        let (is_taken, evicted) = trends.insert(&key, sample, arrival.observed, arrival.lateness);
        if !is_taken {
            let rule = &self.rules.rules()[place].id;
            self.counters[place].of(metrics::LATE_TOTAL, rule).increment(1);
        }
        if !is_taken || is_late {
            findings.late.push((place, sample.at));
        }
        if let Some((key, episode)) = evicted.filter(|_| self.rules.opens_alerts(place)) {
            let group = group_of_key(&key);
            findings.found.push(Finding {
                rule: place,
                key,
                group,
                what: Found::Ended { episode },
            });
        }
    }

    /// A detection of a rule that is worth points of risk counts for whom it is about.
    pub(super) fn add_risk(
        &mut self,
        place: usize,
        origin: Origin<'_>,
        episode: &Episode,
        findings: &mut Findings,
    ) {
        let rules = self.rules.clone();
        let rule = &rules.rules()[place];
        let Some(points) = rule.settings.risk.filter(|_| rules.opens_alerts(place)) else { return };
        for at in 0..self.judged.len() {
            let risk = self.judged[at];
            let Logic::Correlate(correlation) = &rules.rules()[risk].logic else { continue };
            if correlation.kind != CorrelationKind::Risk || risk == place {
                continue;
            }
            let Some(group) = group_values(&rules.rules()[risk], correlation, rule, origin) else {
                continue;
            };
            let sample = Sample {
                at: episode.started_at,
                id: episode.started_by,
                tag: hash(&[rule.id.as_bytes()]),
                value: points as f64,
                weight: 1,
                marks: tactics(rule),
                is_counted: false,
            };
            let arrival = Arrival { observed: self.judged_before, lateness: None };
            self.insert_sample(risk, group, sample, arrival, findings);
        }
    }
}

/// The episode that began among these.
pub(super) fn began(found: &[Finding]) -> Option<Episode> {
    found.iter().find_map(|finding| match &finding.what {
        Found::Began { episode, .. } => Some(*episode),
        _ => None,
    })
}

pub(super) fn trends_of(rules: &RuleSet, place: usize) -> Option<Trends> {
    let rule = &rules.rules()[place];
    let Logic::Correlate(correlation) = &rule.logic else { return None };
    let judged =
        correlation.judged.clone().filter(|_| rule.settings.state != RuleState::Disabled)?;
    let lateness_ns = nanos(rule.settings.lateness.unwrap_or(LATENESS_DEFAULT));
    let lateness = (lateness_ns, rule.settings.lateness.is_some());
    let field = match &judged.judge {
        Judge::NewTerm { .. } if correlation.fields.is_empty() => String::from("value"),
        _ => correlation.fields.join(" and "),
    };
    Some(Trends::new(
        judged,
        nanos(correlation.timespan),
        lateness,
        field,
        fingerprint(rules, place),
    ))
}

/// One bit for each tactic of ATT&CK that a rule names.
fn tactics(rule: &Rule) -> u32 {
    let of = |tag: &String| {
        let is_tactic = !tag.starts_with(['T', 'G', 'S']) || tag.starts_with("TA");
        is_tactic.then(|| 1u32 << (hash(&[tag.to_lowercase().replace('_', "-").as_bytes()]) % 32))
    };
    rule.attack.iter().filter_map(of).fold(0, |marks, bit| marks | bit)
}
