//! Late events: what a window left out, because its time was judged or its group forgotten, is looked for
//! again in what is stored, and the alert that is missing is opened after all, marked as late.
//!
//! Input: by rule the span of time in which events came too late. Output: findings for the detector. What is found is a function of the set of stored events: the rule is run
//! over them as a whole, without a watermark. Only rules whose windows end are run again: what remembers
//! for longer (`baseline`, `new_term`, `rare`, `change`, `risk`) cannot be judged from a part of the past.
//! Bounded: one span for each rule, of at most [`SPAN_MAX_NS`], and [`EVENTS_MAX`] events for each run;
//! what is beyond is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use logwarden_event::{TimeRange, Timestamp};
use logwarden_query::Engine as Searches;
use logwarden_store::{Catalog, Statement};
use tracing::info;

use crate::alert::tables::{self, Columns, integer, text};
use crate::engine::{Engine, Finding, Found};
use crate::error::AlertingError;
use crate::history;
use crate::metrics;
use crate::rule::{Against, Judge, Logic, Rule, RuleSet};
use crate::trend::Explained;
use crate::{Alerting, Shared};

/// The longest span that is looked at again.
const SPAN_MAX_NS: i64 = 31 * 86_400 * 1_000_000_000;
/// Events of one run.
const EVENTS_MAX: usize = 1_000_000;
/// Findings that wait for the detector.
const FOUND_MAX: usize = 1_000;

/// The time in which events came too late for a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: i64,
    to: i64,
    events: u64,
}

/// What the detector and the search for late events tell each other. Spans are kept in the catalog, written and
/// removed in the detector's transactions, so that a restart looks for what was not looked for yet.
#[derive(Debug, Default)]
pub(crate) struct Late {
    spans: Mutex<Spans>,
    found: Mutex<Vec<FoundLate>>,
}

#[derive(Debug, Default)]
struct Spans {
    /// To be looked at.
    waiting: BTreeMap<String, Span>,
    /// Being looked at.
    running: BTreeMap<String, Span>,
    /// Rules of which the catalog does not know yet what is known here.
    changed: BTreeSet<String>,
    /// Rules that were looked at, whose detections the detector has not taken yet.
    done: BTreeSet<String>,
}

impl Span {
    fn joined(self, other: Self) -> Self {
        let (from, to) = (self.from.min(other.from), self.to.max(other.to));
        Self { from, to, events: self.events.saturating_add(other.events) }
    }
}

/// A detection that was missing.
#[derive(Debug)]
pub(crate) struct FoundLate {
    /// The rules its place is of.
    pub rules: Arc<RuleSet>,
    pub finding: Finding,
}

impl Late {
    /// Reads what was not looked at before a restart.
    pub(crate) async fn load(catalog: &dyn Catalog) -> Result<Self, AlertingError> {
        let all = Statement {
            sql: "SELECT rule_id, from_ns, to_ns, events FROM alerting_late",
            values: Vec::new(),
        };
        let answers = catalog.query(vec![all]).await?;
        let late = Self::default();
        for row in tables::rows(&answers, 0) {
            let mut columns = Columns::of(row);
            let rule = columns.text()?.to_owned();
            let (from, to) = (columns.integer()?, columns.integer()?);
            late.spans().waiting.insert(rule, Span { from, to, events: columns.count()? });
        }
        Ok(late)
    }

    fn spans(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many events of a rule came too late, which happened between these instants.
    pub(crate) fn note(&self, rule_id: &str, (from, to): (i64, i64), events: u64) {
        let mut spans = self.spans();
        let one = Span { from, to, events };
        let known = spans.waiting.get(rule_id).copied();
        spans.waiting.insert(rule_id.to_owned(), known.map_or(one, |known| known.joined(one)));
        spans.changed.insert(rule_id.to_owned());
    }

    /// The detections that are to be written. What was looked at is forgotten in the same transaction.
    pub(crate) fn take_found(&self) -> Vec<FoundLate> {
        let found = std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner));
        let mut spans = self.spans();
        for rule in std::mem::take(&mut spans.done) {
            spans.running.remove(&rule);
            spans.changed.insert(rule);
        }
        found
    }

    /// The statements that bring the catalog up to date.
    pub(crate) fn take_changed(&self) -> Vec<Statement> {
        let mut spans = self.spans();
        let changed = std::mem::take(&mut spans.changed);
        let statement = |rule: String| {
            let all = [spans.waiting.get(&rule), spans.running.get(&rule)];
            match all.into_iter().flatten().copied().reduce(Span::joined) {
                Some(span) => Statement {
                    sql: "INSERT INTO alerting_late (rule_id, from_ns, to_ns, events)
                        VALUES (?1, ?2, ?3, ?4) ON CONFLICT (rule_id) DO UPDATE
                        SET from_ns = excluded.from_ns, to_ns = excluded.to_ns,
                            events = excluded.events",
                    values: vec![
                        text(rule),
                        integer(span.from),
                        integer(span.to),
                        integer(span.events),
                    ],
                },
                None => Statement {
                    sql: "DELETE FROM alerting_late WHERE rule_id = ?1",
                    values: vec![text(rule)],
                },
            }
        };
        changed.into_iter().map(statement).collect()
    }

    fn take_spans(&self) -> BTreeMap<String, Span> {
        let mut spans = self.spans();
        let waiting = std::mem::take(&mut spans.waiting);
        for (rule, span) in &waiting {
            let before = spans.running.remove(rule);
            spans.running.insert(rule.clone(), before.map_or(*span, |known| known.joined(*span)));
        }
        waiting
    }

    /// A rule was looked at; its detections wait for the detector.
    fn finish(&self, rule_id: &str) {
        self.spans().done.insert(rule_id.to_owned());
    }

    /// These were not looked at after all.
    fn put_back(&self, rest: impl IntoIterator<Item = (String, Span)>) {
        let mut spans = self.spans();
        for (rule, span) in rest {
            spans.running.remove(&rule);
            let known = spans.waiting.get(&rule).copied();
            spans.waiting.insert(rule, known.map_or(span, |known| known.joined(span)));
        }
    }
}

/// How far before and after an event a rule's windows reach; `None`: it cannot be run over a part.
pub(crate) fn reach_ns(rule: &Rule) -> Option<i64> {
    let Logic::Correlate(correlation) = &rule.logic else { return None };
    let span = i64::try_from(correlation.timespan.as_nanos()).ok()?;
    let Some(judged) = &correlation.judged else { return Some(span) };
    match &judged.judge {
        Judge::Within(_) | Judge::Ratio { .. } | Judge::Flatline { .. } => Some(span),
        Judge::Temporal { .. } | Judge::Spike { against: Against::Previous, .. } => {
            span.checked_mul(2)
        }
        Judge::Spike { against: Against::Span(past), .. } => {
            span.checked_add(i64::try_from(past.as_nanos()).ok()?)
        }
        _ => None,
    }
}

impl Alerting {
    /// Runs the rules that missed late events over what is stored; answers how many detections were
    /// missing. They are written when the detector is idle. What fails is tried again next time.
    ///
    /// # Errors
    ///
    /// [`AlertingError`] when the catalog or what is stored cannot be read.
    pub async fn look_again(&self, searches: &Searches) -> Result<usize, AlertingError> {
        let (shared, rules) = (&self.shared, self.shared.rules());
        let mut missing = 0;
        let mut spans = shared.late.take_spans().into_iter();
        while let Some((rule_id, span)) = spans.next() {
            let place = rules.rules().iter().position(|rule| rule.id == rule_id);
            let reach = place.and_then(|place| {
                let reach = reach_ns(&rules.rules()[place]);
                Some((place, reach.filter(|_| rules.opens_alerts(place))?))
            });
            let Some((place, reach)) = reach else {
                ::metrics::counter!(metrics::LATE_NOT_LOOKED_FOR_TOTAL).increment(span.events);
                shared.late.finish(&rule_id);
                continue;
            };
            match again(shared, searches, (&rules, place), span, reach).await {
                Ok(found) => missing += found,
                Err(error) => {
                    shared.late.put_back(std::iter::once((rule_id, span)).chain(spans));
                    return Err(error);
                }
            }
            shared.late.finish(&rule_id);
        }
        Ok(missing)
    }
}

/// Runs one rule over the time around its late events.
async fn again(
    shared: &Shared,
    searches: &Searches,
    (rules, place): (&Arc<RuleSet>, usize),
    span: Span,
    reach: i64,
) -> Result<usize, AlertingError> {
    let from = span.from.max(span.to.saturating_sub(SPAN_MAX_NS));
    let (first, last) =
        (from.saturating_sub(2 * reach), span.to.saturating_add(2 * reach).saturating_add(1));
    let last = last.min(shared.store.clock.now().nanos());
    let range = TimeRange { start: Timestamp::from_nanos(first), end: Timestamp::from_nanos(last) };
    let mut engine = Engine::new(Arc::new(rules.only(place)));
    let mut found = Vec::new();
    let look = |event: &_| note(&mut found, engine.gather(event).found);
    let events = history::each_event(searches, (rules, place), range, EVENTS_MAX, look).await?;
    let Some(events) = events else {
        ::metrics::counter!(metrics::LATE_NOT_LOOKED_FOR_TOTAL).increment(span.events);
        return Ok(0);
    };
    note(&mut found, engine.finish(Timestamp::from_nanos(last.saturating_sub(1))));
    let mut missing = 0;
    for mut finding in found {
        let Found::Began { episode, members, why, .. } = &mut finding.what else { continue };
        let is_near = (from.saturating_sub(reach)..=span.to.saturating_add(reach))
            .contains(&episode.started_at);
        let at = episode.started_at;
        if finding.rule != place
            || !is_near
            || is_known(&*shared.store.catalog, &rules.rules()[place], &finding.key, at, reach)
                .await?
        {
            continue;
        }
        let why = why.get_or_insert_with(|| Explained {
            text: format!("{} events of its window are stored", members.len()),
            observed: members.len() as f64,
            threshold: count_min(&rules.rules()[place]),
            usual: None,
        });
        why.text += &format!(" (found late: {} events came after their time)", span.events);
        let mut waiting = shared.late.found.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= FOUND_MAX {
            ::metrics::counter!(metrics::LATE_NOT_LOOKED_FOR_TOTAL).increment(1);
            continue;
        }
        waiting.push(FoundLate { rules: rules.clone(), finding });
        missing += 1;
    }
    info!(rule = rules.rules()[place].id, events, missing, "late events were looked at again");
    Ok(missing)
}

/// Keeps what began and did not become part of something else.
fn note(found: &mut Vec<Finding>, findings: Vec<Finding>) {
    for finding in findings {
        match &finding.what {
            Found::Began { .. } => found.push(finding),
            Found::Grew { absorbed, .. } => found.retain(|known| match &known.what {
                Found::Began { episode, .. } => {
                    known.key != finding.key
                        || known.rule != finding.rule
                        || absorbed.iter().all(|other| other.key != episode.key)
                }
                _ => true,
            }),
            Found::Ended { .. } => {}
        }
    }
}

fn count_min(rule: &Rule) -> f64 {
    match &rule.logic {
        Logic::Correlate(correlation) => correlation.count_min as f64,
        Logic::Match(_) => 1.0,
    }
}

/// Whether there is an alert of the rule and group about that time.
pub(crate) async fn is_known(
    catalog: &dyn Catalog,
    rule: &Rule,
    key: &str,
    at: i64,
    reach: i64,
) -> Result<bool, AlertingError> {
    let statement = Statement {
        sql: "SELECT COUNT(*) FROM alerting_alerts WHERE rule_id = ?1 AND group_key = ?2
            AND first_event_ns <= ?3 AND last_event_ns >= ?4",
        values: vec![
            text(rule.id.as_str()),
            text(key),
            integer(at.saturating_add(reach)),
            integer(at.saturating_sub(reach)),
        ],
    };
    let answers = catalog.query(vec![statement]).await?;
    match tables::rows(&answers, 0).first() {
        Some(row) => Ok(Columns::of(row).count()? > 0),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use logwarden_store::{Append, Draft, RecordKind, Simulation, Store};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::AlertQuery;
    use crate::detector::Detector;
    use crate::rule::RuleFile;
    use crate::sample::event_of_json;

    const RULES: &str = "title: Sent\nname: sent\nlogsource: {}\ndetection: { s: { k: sent }, condition: s }\n---\n\
        title: Much\nid: much\ncorrelation:\n  type: value_sum\n  rules: [sent]\n  group-by: [u]\n  \
        timespan: 60s\n  condition: { field: n, gte: 100 }\n---\n\
        title: Twice\nid: twice\ncorrelation:\n  type: event_count\n  rules: [sent]\n  group-by: [u]\n  \
        timespan: 60s\n  condition: { gte: 2 }\n";

    struct World {
        store: Store,
        simulation: Simulation,
        alerting: Arc<Alerting>,
        detector: Detector,
        searches: Arc<Searches>,
        visible: tokio::sync::watch::Receiver<logwarden_event::Position>,
    }

    impl World {
        async fn new(stop: &CancellationToken) -> Self {
            let (store, simulation) = Store::simulated(11);
            let (searches, index) = Searches::over_store(store.clone()).await.expect("opened");
            let visible = index.visible();
            tokio::spawn(index.run(stop.clone()));
            let alerting =
                Alerting::open(store.clone(), crate::Config::default()).await.expect("opened");
            let file = RuleFile { name: "r.yml".into(), text: RULES.into() };
            let (rules, problems) = RuleSet::load(&[file]);
            assert_eq!(problems, []);
            crate::write(&alerting.shared.settings).rules = Arc::new(rules);
            let detector = Detector::open(alerting.shared.clone()).await.expect("opened");
            Self { store, simulation, alerting, detector, searches, visible }
        }

        async fn send(&mut self, at: i64, number: u32) {
            let record = format!(r#"{{"time":{at},"k":"sent","u":"ana","n":{number}}}"#);
            let event = event_of_json(record.as_bytes());
            let drafts = vec![Draft { kind: RecordKind::Event, event }];
            let append = Append { drafts, ..Append::default() };
            self.store.journal.append(append).await.expect("appended");
            self.detector.catch_up().await.expect("caught up");
        }

        /// The rules of which a process started now would know that something came late.
        async fn kept(&self) -> Vec<String> {
            let late = Late::load(&*self.store.catalog).await.expect("read");
            late.take_spans().into_keys().collect()
        }

        async fn alerts(&mut self) -> Vec<crate::Alert> {
            self.detector.catch_up().await.expect("caught up");
            let viewer = crate::Viewer::of_everything("ana");
            let page = self.alerting.alerts(&AlertQuery::default(), &viewer).await.expect("a page");
            let mut alerts = Vec::new();
            for summary in page.items {
                alerts.push(self.alerting.alert(summary.id, &viewer).await.expect("it is there"));
            }
            alerts
        }
    }

    #[tokio::test]
    async fn an_alert_that_a_late_event_was_missing_for_is_opened_once_and_marked() {
        let stop = CancellationToken::new();
        let mut world = World::new(&stop).await;
        let start = world.store.clock.now().secs();
        world.send(start, 60).await;
        world.simulation.advance(Duration::from_secs(3_600));
        // What comes now judges all that is older than two minutes.
        world.send(start + 3_600, 1).await;
        world.send(start + 20, 50).await;
        assert_eq!(world.alerts().await.len(), 0);
        assert_eq!(world.kept().await, ["much", "twice"], "a restart would look for them");
        let end = world.store.journal.end(0).seq;
        world.visible.wait_for(|visible| visible.seq >= end).await.expect("the index runs");
        assert_eq!(world.alerting.look_again(&world.searches).await.expect("looked"), 2);
        assert_eq!(world.kept().await, ["much", "twice"], "nothing of it is written yet");
        let alerts = world.alerts().await;
        assert_eq!(alerts.len(), 2, "of the sum and of the count");
        for alert in alerts {
            assert!(alert.why.text.contains("found late: 1 events came after"), "{:?}", alert.why);
            assert_eq!((alert.evidence.len(), alert.summary.events), (2, 2));
        }
        assert_eq!(world.kept().await, [""; 0]);
        // Nothing is left to look for, and what is known is not found again.
        assert_eq!(world.alerting.look_again(&world.searches).await.expect("looked"), 0);
        let late = (start + 20) * 1_000_000_000;
        world.alerting.shared.late.note("much", (late, late), 1);
        assert_eq!(world.alerting.look_again(&world.searches).await.expect("looked"), 0);
        assert_eq!(world.alerts().await.len(), 2);
        stop.cancel();
    }
}
