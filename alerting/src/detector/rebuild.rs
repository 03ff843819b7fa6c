//! The state of rules whose windows are defined differently than before, worked out from what is stored.
//!
//! In: rules of which no state fits, and the place in the journal up to which events count. Out: their
//! state as if they had always been defined so, and the detections that are not over. What is over is not
//! told any more. Rules that learn for days (`baseline`, `new_term`, `rare`, `change`) get their memory
//! back and tell only of what comes; what a rule adds up of other rules' detections (`risk`) starts over.
//! Bounded: [`PAST_MAX_NS`] and [`EVENTS_MAX`] events for each rule; one that needs more starts over.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use logwarden_event::{Event, Position, TimeRange, Timestamp};
use logwarden_query::Engine as Searches;
use tracing::{info, warn};

use crate::Shared;
use crate::engine::{Engine, Finding, Found, Part};
use crate::error::AlertingError;
use crate::history;
use crate::late;
use crate::rule::{Judge, Logic, Rule};
use crate::window::Episode;

/// The longest past that is looked at.
const PAST_MAX_NS: i64 = 31 * 86_400 * 1_000_000_000;
/// How far ahead of our clock an event's time may be.
const AHEAD_NS: i64 = 86_400 * 1_000_000_000;
/// Events of one rule: about a second's work.
const EVENTS_MAX: usize = 200_000;
/// How long the newest events may take to be searchable.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);

/// A detection that is not over.
pub(super) struct Ongoing {
    pub finding: Finding,
    /// There is an alert about it.
    pub is_known: bool,
}

/// Takes the state that was kept; answers the places of rules whose windows are defined differently now.
pub(super) fn restore(engine: &mut Engine, parts: Vec<Part>) -> Vec<usize> {
    let (mut outgrown, mut fitting) = (BTreeSet::new(), BTreeSet::new());
    for part in parts {
        match engine.outgrown(&part) {
            Some(place) => _ = outgrown.insert((place, part.rule_id)),
            None if engine.restore(&part) == 0 => _ = fitting.insert(part.rule_id),
            None => {}
        }
    }
    for (place, _) in &outgrown {
        // What nothing fits any more goes with the next snapshot.
        engine.note_changed(*place);
    }
    outgrown.retain(|(_, rule_id)| !fitting.contains(rule_id));
    outgrown.into_iter().map(|(place, _)| place).collect()
}

/// Works out the state of the rules at these places from events before `position`.
pub(super) async fn rebuild(
    shared: &Shared,
    engine: &mut Engine,
    places: &[usize],
    position: Position,
) -> Vec<Ongoing> {
    let mut ongoing = Vec::new();
    let Some(searches) = shared.searches().filter(|_| !places.is_empty()) else { return ongoing };
    if let Some(index) = searches.index() {
        let mut visible = index.visible();
        let seen = visible.wait_for(|visible| *visible >= position);
        if tokio::time::timeout(VISIBLE_WITHIN, seen).await.is_err() {
            warn!("the newest events are not searchable yet: rules that changed leave them out");
        }
    }
    for place in places {
        match of_rule(shared, searches, engine, *place, position).await {
            Ok(found) => ongoing.extend(found),
            Err(error) => {
                let rule = &engine.rules().rules()[*place].id;
                warn!(rule, %error, "windows of a rule that changed start over");
            }
        }
    }
    ongoing
}

/// How far back events count for a rule, in nanoseconds; `None`: it starts over.
fn past_ns(rule: &Rule) -> Option<i64> {
    if let Some(reach) = late::reach_ns(rule) {
        return Some(reach.saturating_mul(2));
    }
    let Logic::Correlate(correlation) = &rule.logic else { return None };
    match &correlation.judged.as_ref()?.judge {
        Judge::Risk { .. } => None,
        _ => Some(PAST_MAX_NS),
    }
}

async fn of_rule(
    shared: &Shared,
    searches: &Searches,
    engine: &mut Engine,
    place: usize,
    position: Position,
) -> Result<Vec<Ongoing>, AlertingError> {
    let rules = engine.rules().clone();
    let rule = &rules.rules()[place];
    let Some(past) = past_ns(rule) else { return Ok(Vec::new()) };
    let now = shared.store.clock.now();
    let range = TimeRange {
        start: Timestamp::from_nanos(now.nanos().saturating_sub(past.min(PAST_MAX_NS))),
        end: Timestamp::from_nanos(now.nanos().saturating_add(AHEAD_NS)),
    };
    let mut alone = Engine::with_lateness(Arc::new(rules.only(place)), shared.lateness());
    let mut findings = Vec::new();
    let look = |event: &Event| {
        if event.seq() < position.seq {
            findings.extend(alone.process(event).found.into_iter().filter(|f| f.rule == place));
        }
    };
    let events = history::each_event(searches, (&rules, place), range, EVENTS_MAX, look).await?;
    let Some(events) = events else {
        return Err(AlertingError::Invalid(format!("over {EVENTS_MAX} events count for it")));
    };
    for part in alone.take_changed_parts() {
        engine.restore(&part);
    }
    info!(rule = rule.id, events, "windows of a rule that changed are worked out from history");
    let Some(reach) = late::reach_ns(rule) else { return Ok(Vec::new()) };
    let catalog = &*shared.store.catalog;
    let mut known: HashMap<(Arc<str>, u128), bool> = HashMap::new();
    let mut ongoing = Vec::new();
    // What is judged behind the watermark is known to hold up to there alone.
    let is_judged = matches!(&rule.logic, Logic::Correlate(one) if one.judged.is_some());
    let since = now.nanos().saturating_sub(if is_judged { reach } else { 0 });
    for finding in not_over(findings, since) {
        let Some(episode) = episode(&finding) else { continue };
        let detection = (finding.key.clone(), episode.key);
        let is_known = match known.get(&detection) {
            Some(is_known) => *is_known,
            None => late::is_known(catalog, rule, &finding.key, episode.started_at, reach).await?,
        };
        known.insert(detection, is_known);
        ongoing.push(Ongoing { finding, is_known });
    }
    Ok(ongoing)
}

fn episode(finding: &Finding) -> Option<&Episode> {
    match &finding.what {
        Found::Began { episode, .. } | Found::Grew { episode, .. } => Some(episode),
        Found::Ended { .. } => None,
    }
}

/// Without the detections that ended, or held for the last time before `since`.
fn not_over(findings: Vec<Finding>, since: i64) -> Vec<Finding> {
    let mut held: HashMap<(Arc<str>, u128), i64> = HashMap::new();
    for finding in &findings {
        let (key, until) = match &finding.what {
            Found::Began { episode, .. } | Found::Grew { episode, .. } => {
                (episode.key, episode.held_until)
            }
            Found::Ended { episode } => (episode.key, i64::MIN),
        };
        held.insert((finding.key.clone(), key), until);
    }
    let goes_on = |finding: &Finding| {
        let episode = episode(finding)?;
        held.get(&(finding.key.clone(), episode.key)).filter(|until| **until >= since)
    };
    findings.into_iter().filter(|finding| goes_on(finding).is_some()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use logwarden_store::{Append, Draft, RecordKind, Simulation, Store};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::detector::Detector;
    use crate::rule::{RuleFile, RuleSet};
    use crate::sample::event_of_json;
    use crate::{AlertQuery, Alerting, Viewer};

    struct World {
        store: Store,
        simulation: Simulation,
        alerting: Arc<Alerting>,
        detector: Option<Detector>,
        visible: tokio::sync::watch::Receiver<Position>,
    }

    impl World {
        async fn new(stop: &CancellationToken) -> Self {
            let (store, simulation) = Store::simulated(5);
            let (searches, index) = Searches::over_store(store.clone()).await.expect("opened");
            let visible = index.visible();
            tokio::spawn(index.run(stop.clone()));
            let alerting = Alerting::open(store.clone(), crate::Config::default()).await;
            let alerting = alerting.expect("opened");
            alerting.search_in(searches);
            Self { store, simulation, alerting, detector: None, visible }
        }

        /// The detector starts over with this rule, as after an edit.
        async fn edit(&mut self, correlation: &str) {
            let text = format!(
                "title: Sent\nname: sent\nlogsource: {{}}\ndetection: {{ s: {{ k: sent }}, condition: s }}\n---\n\
                title: Much\nid: much\ncorrelation:\n  rules: [sent]\n  group-by: [u]\n{correlation}\n"
            );
            let (rules, problems) = RuleSet::load(&[RuleFile { name: "r.yml".into(), text }]);
            assert_eq!(problems, []);
            crate::write(&self.alerting.shared.settings).rules = Arc::new(rules);
            let end = self.store.journal.end(0).seq;
            self.visible.wait_for(|visible| visible.seq >= end).await.expect("the index runs");
            let detector = Detector::open(self.alerting.shared.clone()).await.expect("opened");
            self.detector = Some(detector);
            self.work().await;
        }

        async fn work(&mut self) {
            let detector = self.detector.as_mut().expect("it follows");
            detector.catch_up().await.expect("caught up");
            // The second time nothing came between, and what changed is kept.
            detector.catch_up().await.expect("caught up");
        }

        async fn send(&mut self, user: &str, events: i64) {
            let now = self.store.clock.now().secs();
            let event = |n| {
                event_of_json(
                    format!(r#"{{"time":{},"k":"sent","u":"{user}"}}"#, now + n).as_bytes(),
                )
            };
            let draft = |n| Draft { kind: RecordKind::Event, event: event(n) };
            let append = Append { drafts: (0..events).map(draft).collect(), ..Append::default() };
            self.store.journal.append(append).await.expect("appended");
            self.work().await;
        }

        /// By their groups: how many events are in the alerts.
        async fn alerts(&self) -> Vec<(String, u64)> {
            let viewer = Viewer::of_everything("ana");
            let page = self.alerting.alerts(&AlertQuery::default(), &viewer).await.expect("a page");
            let mut alerts: Vec<(String, u64)> =
                page.items.iter().map(|alert| (alert.group[0].1.clone(), alert.events)).collect();
            alerts.sort();
            alerts
        }
    }

    const FIVE: &str = "  type: event_count\n  timespan: 60s\n  condition: { gte: 5 }";
    const FOUR: &str = "  type: event_count\n  timespan: 90s\n  condition: { gte: 4 }";

    #[tokio::test]
    async fn a_rule_that_is_edited_counts_what_came_before_and_tells_nothing_twice() {
        let stop = CancellationToken::new();
        let mut world = World::new(&stop).await;
        world.edit(FIVE).await;
        for (user, events) in [("ana", 3), ("bea", 4), ("cleo", 6)] {
            world.send(user, events).await;
        }
        assert_eq!(world.alerts().await, [("cleo".into(), 6)]);
        world.edit(FOUR).await;
        assert_eq!(world.alerts().await, [("bea".into(), 4), ("cleo".into(), 6)], "bea reached it");
        world.send("ana", 1).await;
        world.send("cleo", 2).await;
        let all = [("ana".into(), 4), ("bea".into(), 4), ("cleo".into(), 8)];
        assert_eq!(world.alerts().await, all, "three of ana's came before the edit");
        // Once more, in another form: what is known stays known over a start that changes nothing.
        for _ in 0..2 {
            world
                .edit("  type: value_sum\n  timespan: 80s\n  condition: { field: n, gte: 1 }")
                .await;
            world.edit(FIVE).await;
            assert_eq!(world.alerts().await, all);
        }
        stop.cancel();
    }

    #[tokio::test]
    async fn what_is_over_is_not_told_after_an_edit() {
        let stop = CancellationToken::new();
        let mut world = World::new(&stop).await;
        world.edit(FIVE).await;
        world.send("bea", 4).await;
        world.simulation.advance(Duration::from_secs(400));
        let half = "  type: event_count\n  timespan: 300s\n  condition: { gte: 4 }";
        world.edit(half).await;
        assert_eq!(world.alerts().await, []);
        stop.cancel();
    }

    #[tokio::test]
    async fn an_edit_that_is_taken_back_leaves_no_state_of_before() {
        let stop = CancellationToken::new();
        let mut world = World::new(&stop).await;
        world.edit(FIVE).await;
        world.send("ana", 3).await;
        world.simulation.advance(Duration::from_secs(50));
        world.send("bea", 3).await;
        world.edit("  type: event_count\n  timespan: 20s\n  condition: { gte: 9 }").await;
        world.edit(FIVE).await;
        world.send("bea", 2).await;
        world.send("ana", 2).await;
        assert_eq!(world.alerts().await, [("ana".into(), 5), ("bea".into(), 5)]);
        stop.cancel();
    }

    #[tokio::test]
    async fn a_rule_that_learned_keeps_what_it_knew_when_it_is_edited() {
        let stop = CancellationToken::new();
        let mut world = World::new(&stop).await;
        let text = |history: &str| {
            format!("  type: event_count\n  timespan: {history}\n  condition: {{ gte: 2 }}")
        };
        world.edit(&text("60s")).await;
        world.send("ana", 1).await;
        world.edit(&text("70s")).await;
        world.edit(&text("70s")).await;
        world.send("ana", 1).await;
        assert_eq!(world.alerts().await, [("ana".into(), 2)]);
        stop.cancel();
    }
}
