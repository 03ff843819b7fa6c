//! A rule text over the past: the production engine over stored events, telling nobody.
//!
//! In: a text, beside all rules in use, then events in the order in which they happened, so that none is
//! late. Out: the detections that the text's rules would have begun. Nothing is written. At most [`DETECTIONS_MAX`] are kept;
//! further ones are only counted.

mod agreement;

use std::collections::HashMap;
use std::sync::Arc;

use logwarden_event::{Event, Timestamp};

use crate::engine::{Engine, Finding, Found, GroupValues};
use crate::rule::{Problem, RuleSet};
use crate::written::rules_beside;
use crate::{Alerting, AlertingError};

pub use agreement::{Span, agreeing};

/// Detections of which time and group are kept.
const DETECTIONS_MAX: usize = 100_000;

/// A detection that would have begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialDetection {
    /// When its condition held first, by the events' time.
    pub at: Timestamp,
    /// When it held last.
    pub until: Timestamp,
    /// The rule's id.
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// The group's fields with their values; empty: all events are one group.
    pub group: GroupValues,
}

/// A rule text on trial.
pub struct Trial {
    engine: Engine,
    is_wanted: Vec<bool>,
    found: HashMap<(usize, Arc<str>, u128), TrialDetection>,
    beyond: u64,
    /// When the newest event happened.
    last: Timestamp,
}

impl Trial {
    /// Looks at the next event, which happened no earlier than the one before.
    pub fn take(&mut self, event: &Event) {
        self.last = self.last.max(event.timestamp());
        let found = self.engine.replay(event).found;
        self.note(found);
        let found = self.engine.expire(event.timestamp());
        self.note(found);
    }

    /// The ids of the rules on trial that open alerts.
    pub fn rules(&self) -> Vec<String> {
        let rules = self.engine.rules().rules().iter().zip(&self.is_wanted);
        rules.filter(|(_, is_wanted)| **is_wanted).map(|(rule, _)| rule.id.clone()).collect()
    }

    /// How many detections it has found so far; some may still turn out to be one.
    pub fn found(&self) -> u64 {
        self.found.len() as u64 + self.beyond
    }

    fn note(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            if !self.is_wanted[finding.rule] {
                continue;
            }
            let (rule, key) = (finding.rule, finding.key);
            match finding.what {
                Found::Ended { episode } => {
                    if let Some(known) = self.found.get_mut(&(rule, key, episode.key)) {
                        known.until = known.until.max(Timestamp::from_nanos(episode.held_until));
                    }
                }
                Found::Began { episode, .. } => {
                    if self.found.len() >= DETECTIONS_MAX {
                        self.beyond += 1;
                        continue;
                    }
                    let of = &self.engine.rules().rules()[rule];
                    let detection = TrialDetection {
                        at: Timestamp::from_nanos(episode.started_at),
                        until: Timestamp::from_nanos(episode.held_until),
                        rule: of.id.clone(),
                        title: of.title.clone(),
                        group: finding.group,
                    };
                    self.found.insert((rule, key, episode.key), detection);
                }
                Found::Grew { episode, absorbed, .. } => {
                    for other in absorbed {
                        self.found.remove(&(rule, key.clone(), other.key));
                    }
                    if let Some(known) = self.found.get_mut(&(rule, key, episode.key)) {
                        known.until = known.until.max(Timestamp::from_nanos(episode.held_until));
                    }
                }
            }
        }
    }

    /// What would have been found, in the order of time, and how many more there were. `end`: there
    /// are no further events before; otherwise what waits for the watermark is judged up to the last one.
    pub fn into_detections(mut self, end: Option<Timestamp>) -> (Vec<TrialDetection>, u64) {
        let found = self.engine.finish(end.unwrap_or(self.last));
        self.note(found);
        let mut found: Vec<TrialDetection> = self.found.into_values().collect();
        found.sort_by(|one, other| one.at.cmp(&other.at).then_with(|| one.group.cmp(&other.group)));
        (found, self.beyond)
    }
}

impl Alerting {
    /// Puts a text on trial; `replaced`: it is that of this rule's file.
    ///
    /// # Errors
    ///
    /// [`AlertingError`] when the work was cut short; the inner error is what is wrong with it.
    pub async fn trial(
        &self,
        replaced: Option<&str>,
        text: String,
    ) -> Result<Result<Trial, Vec<Problem>>, AlertingError> {
        let lateness = self.shared.lateness();
        let (rules, name) = rules_beside(self, replaced, text).await?;
        let problems: Vec<Problem> =
            rules.problems().iter().filter(|problem| problem.file == name).cloned().collect();
        if !problems.is_empty() {
            return Ok(Err(problems));
        }
        let is_wanted = wanted(&rules, &name);
        let engine = Engine::with_lateness(Arc::new(rules), lateness);
        Ok(Ok(Trial { engine, is_wanted, found: HashMap::new(), beyond: 0, last: Timestamp::MIN }))
    }
}

/// By place: whether it is a rule of this file that opens alerts.
fn wanted(rules: &RuleSet, name: &str) -> Vec<bool> {
    let places = rules.rules().iter().enumerate();
    places.map(|(place, rule)| rule.file == name && rules.opens_alerts(place)).collect()
}

#[cfg(test)]
mod tests {
    use logwarden_event::{EventBuilder, Position, Value};

    use super::*;

    const RULE: &str = "title: Root login\nid: root-login\nlogsource: {}\ndetection:\n  \
                        a: { user.name: root }\n  condition: a\n";

    fn event(seq: u64, secs: i64, user: &str, address: [u8; 4]) -> Event {
        let mut builder = EventBuilder::new(b"{}");
        let at = Timestamp::from_secs(secs);
        builder.timestamp(Some(at)).source("s");
        builder.field("user.name", Value::String(user));
        builder.field("source.ip", Value::Ip(address.into()));
        let mut event = builder.build();
        event.stamp(Position { lane: 0, seq }, at);
        event
    }

    async fn alerting() -> Arc<Alerting> {
        let (store, _) = logwarden_store::Store::simulated(7);
        Alerting::open(store, crate::Config::default()).await.expect("opened")
    }

    #[tokio::test]
    async fn a_trial_finds_what_the_text_would_have_and_nothing_of_other_rules() {
        let trial = alerting().await.trial(None, RULE.to_owned()).await.expect("done");
        let mut trial = trial.expect("no problems");
        trial.take(&event(1, 1_000, "root", [10, 0, 0, 1]));
        trial.take(&event(2, 1_001, "root", [10, 0, 0, 1]));
        trial.take(&event(3, 1_002, "ana", [10, 0, 0, 2]));
        trial.take(&event(4, 1_003, "root", [10, 0, 0, 3]));
        let (found, beyond) = trial.into_detections(None);
        let groups: Vec<&str> = found.iter().map(|one| one.group[0].1.as_str()).collect();
        assert_eq!((groups, beyond), (vec!["10.0.0.1", "10.0.0.3"], 0));
        assert_eq!(found[0].at, Timestamp::from_secs(1_000));
    }

    #[tokio::test]
    async fn what_came_late_counts_and_what_is_due_at_the_end_is_judged() {
        let rule = |rest: &str| {
            format!(
                "{RULE}---\ntitle: t\nid: t\ndetector:\n  input: {{ rules: [root-login] }}\n  {rest}\n"
            )
        };
        let found = |text: String, end: Option<i64>| async move {
            let trial = alerting().await.trial(None, text).await.expect("done");
            let mut trial = trial.expect("no problems");
            for (seq, secs) in [(9, 1_000), (4, 1_001), (2, 5_000)] {
                let mut event = event(seq, secs, "root", [10, 0, 0, 1]);
                // All were received long after they happened, in another order.
                event.stamp(Position { lane: 0, seq }, Timestamp::from_secs(90_000 + seq as i64));
                trial.take(&event);
            }
            let (found, _) = trial.into_detections(end.map(Timestamp::from_secs));
            let of_detector = found.iter().filter(|one| one.title == "t");
            of_detector.map(|one| one.at.secs()).collect::<Vec<_>>()
        };
        let spike = "type: spike\n  window: 60s\n  factor: 2\n  new_key: alert\n  min_current: 2";
        assert_eq!(found(rule(spike), None).await, [1_001]);
        let silence = "type: flatline\n  window: 10m";
        assert_eq!(found(rule(silence), None).await, [1_601]);
        assert_eq!(found(rule(silence), Some(5_600)).await, [1_601]);
        assert_eq!(found(rule(silence), Some(5_601)).await, [1_601, 5_600]);
    }

    #[tokio::test]
    async fn a_text_with_faults_has_no_trial() {
        let wrong = RULE.replace("condition: a", "condition: b");
        let trial = alerting().await.trial(None, wrong).await.expect("done");
        assert_eq!(trial.err().expect("problems")[0].line, 6);
    }
}
