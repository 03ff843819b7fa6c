//! Detections become alerts: joins what is open, opens what is not, and says it in statements.
//!
//! Input: findings in the order they were found. Output: the statements of one catalog step. The
//! alerts that change are kept in memory until the step is done; nothing is written here.

mod again;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use logwarden_event::{AlertId, Event, EventId, Timestamp, Value};
use logwarden_store::{Catalog, Record, Statement};

use super::entity::{Counted, count_entity, counted, entities_of, entity_of_group};
use super::kept::Kept;
use super::lifecycle::timeline_entry;
use super::tables::{self, AlertRow, Body, Told, integer, text};
use super::wording;
use super::writing::{evidence_of, insert, update};
use super::{
    AlertRule, AlertState, AlertSummary, EVIDENCE_EVENTS_MAX, Entity, EntityCount, Evidence,
    Resolution, TimelineKind, Why,
};
use crate::Shared;
use crate::engine::{Engine, Finding, Found, GroupValues};
use crate::error::AlertingError;
use crate::identity::alert_id;
use crate::notify::{Occasion, Quiet, Routing};
use crate::rule::{CorrelationKind, Judged, Logic, Rule, RuleSet};
use crate::trend::Explained;
use crate::window::{Episode, Member};
use again::Goes;

/// Alerts kept in memory; when there are more, those that did not change are read again later.
const LIVE_ALERTS_MAX: usize = 2_000;
/// Entities of one alert by which it is found.
const ENTITY_ROWS_MAX: usize = 200;
/// How often at most an alert's timeline says that events came.
const EVENTS_ENTRY_SECS: u64 = 60;

/// An alert that changes.
#[derive(Debug)]
struct Live {
    row: AlertRow,
    is_new: bool,
    is_dirty: bool,
    /// What people decided about it was read since the last step.
    is_current: bool,
    evidence: HashSet<u128>,
    evidence_known: usize,
    entity_rows: usize,
    new_evidence: Vec<Evidence>,
    new_entities: Vec<Entity>,
    entries: Vec<(TimelineKind, Timestamp, String)>,
    /// What was absent is back: the alert resolves when this is written.
    back_at: Option<Timestamp>,
    untold_events: u64,
    events_told_at: Timestamp,
    /// The event by which a sequence was complete, to be flagged if it is a success.
    decisive: Option<u128>,
    /// Fields whose values are counted.
    counted: Vec<Counted>,
}

/// An alert that was opened and is to be told to the journal.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    /// As it was opened.
    pub row: AlertRow,
    /// Names its group.
    pub group_key: String,
}

/// Where findings become alerts.
#[derive(Default)]
pub(crate) struct Desk {
    /// Events that alerts may show.
    kept: Kept,
    live: HashMap<AlertId, Live>,
    by_group: HashMap<(usize, Arc<str>), AlertId>,
    by_episode: HashMap<(usize, Arc<str>, u128), AlertId>,
    keys: HashMap<AlertId, (usize, Arc<str>)>,
    /// When the batch that is worked off was read from the journal.
    read_at: Option<Timestamp>,
    /// When the first event was received that was read since everything found was last written.
    fresh_from: Option<Timestamp>,
}

impl Desk {
    /// A batch was read from the journal: by then it was on disk.
    pub(crate) fn read_at(&mut self, now: Timestamp, records: &[Record]) {
        self.read_at = Some(now);
        self.fresh_from =
            self.fresh_from.or(records.first().map(|first| first.event.observed_at()));
    }

    /// Forgets alerts that can be read again, when there are many.
    pub(crate) fn make_room(&mut self) {
        if self.live.len() > LIVE_ALERTS_MAX {
            self.live.clear();
            self.by_group.clear();
            self.by_episode.clear();
            self.keys.clear();
        }
    }

    /// Takes a finding that was written before: its episode belongs to the alert it belonged to then.
    pub(crate) async fn recall(
        &mut self,
        catalog: &dyn Catalog,
        engine: &mut Engine,
        finding: Finding,
    ) -> Result<(), AlertingError> {
        let Found::Began { episode, .. } = finding.what else { return Ok(()) };
        let rules = engine.rules().clone();
        let rule = &rules.rules()[finding.rule];
        let opened = alert_id(&rule.id, &finding.key, EventId::from_u128(episode.key));
        let id = match tables::row_of(catalog, opened).await? {
            Some(_) => Some(opened),
            None => {
                let joined = tables::newest_of_group(catalog, &rule.id, &finding.key).await?;
                joined.first().map(|row| row.summary.id)
            }
        };
        if let Some(id) = id {
            engine.set_alert(finding.rule, &finding.key, episode.key, id.to_u128());
        }
        Ok(())
    }

    /// Takes a finding.
    pub(crate) async fn take(
        &mut self,
        shared: &Shared,
        engine: &mut Engine,
        versions: &HashMap<String, u32>,
        finding: Finding,
        now: Timestamp,
    ) -> Result<(), AlertingError> {
        let catalog = &*shared.store.catalog;
        if let Found::Began { members: shown, .. } | Found::Grew { fresh: shown, .. } =
            &finding.what
        {
            self.kept.bring(&*shared.store.journal, shared.searches(), shown).await;
        }
        let rules = engine.rules().clone();
        let rule = &rules.rules()[finding.rule];
        if let (Found::Began { episode, members, .. }, true) = (&finding.what, is_sequence(rule)) {
            // Of very many events only the first are brought, and the one that decides comes last.
            let decisive: Vec<Member> =
                members.iter().filter(|member| member.id == episode.started_by).copied().collect();
            self.kept.bring(&*shared.store.journal, shared.searches(), &decisive).await;
        }
        let place = (finding.rule, finding.key.clone());
        match finding.what {
            Found::Began { episode, members, fresh, why } => {
                let id = match self.live_alert(catalog, rule, &place).await? {
                    Some(id) => {
                        self.join(id, &fresh, now);
                        id
                    }
                    None => {
                        let version = versions.get(&rule.id).copied().unwrap_or(1);
                        let about = (version, finding.group);
                        let decided = (&episode, episode.started_by);
                        self.open(&rules, &place, about, decided, &members, now)
                    }
                };
                if let (Some(why), Some(live)) = (why, self.live.get_mut(&id)) {
                    live.explain(&why, &episode);
                }
                engine.set_alert(finding.rule, &finding.key, episode.key, id.to_u128());
                self.by_episode.insert((place.0, place.1, episode.key), id);
                self.refresh(&rules, rule, id);
            }
            Found::Grew { episode, fresh, absorbed, .. } => {
                let Some(id) = self.alert_of(&place, &episode) else { return Ok(()) };
                let same = |other: &&Episode| self.alert_of(&place, other) == Some(id);
                let fewer = absorbed.iter().filter(same).count() as u64;
                if !self.load(catalog, rule, id, &place).await? {
                    return Ok(());
                }
                self.merge(id, fewer);
                let grown = (&episode, &*fresh);
                let id = match self.unresolved(catalog, rule, (id, &place), grown).await? {
                    Goes::This(id) => {
                        self.add(id, &fresh, now);
                        id
                    }
                    Goes::New => {
                        let version = versions.get(&rule.id).copied().unwrap_or(1);
                        let about = (version, finding.group);
                        let members = engine.window_of(finding.rule, &finding.key, &fresh);
                        let explained =
                            self.live.get(&id).map(|old| old.row.body.explained.clone());
                        let begun = again::begun(&episode, &fresh);
                        // The event that came may be one that only follows, as another failure.
                        let decisive = engine.met_by(finding.rule, &finding.key, &fresh);
                        let decided = (&begun, decisive.unwrap_or(begun.started_by));
                        let id = self.open(&rules, &place, about, decided, &members, now);
                        if let (Some(explained), Some(live)) = (explained, self.live.get_mut(&id)) {
                            live.row.body.explained = explained;
                        }
                        id
                    }
                };
                if id.to_u128() != episode.alert {
                    engine.set_alert(finding.rule, &finding.key, episode.key, id.to_u128());
                    self.by_episode.insert((place.0, place.1, episode.key), id);
                }
                self.refresh(&rules, rule, id);
            }
            Found::Ended { episode } => {
                let Some(id) = self.alert_of(&place, &episode) else { return Ok(()) };
                let is_over = !engine.has_episode_of(finding.rule, &finding.key, id.to_u128());
                if is_over && self.load(catalog, rule, id, &place).await? {
                    self.end(id, &episode, is_absence(rule), now);
                }
            }
        }
        Ok(())
    }

    fn alert_of(&self, place: &(usize, Arc<str>), episode: &Episode) -> Option<AlertId> {
        let known = self.by_episode.get(&(place.0, place.1.clone(), episode.key)).copied();
        known.or((episode.alert != 0).then(|| AlertId::from_u128(episode.alert)))
    }

    /// The open or acknowledged alert of a rule and group.
    async fn live_alert(
        &mut self,
        catalog: &dyn Catalog,
        rule: &Rule,
        place: &(usize, Arc<str>),
    ) -> Result<Option<AlertId>, AlertingError> {
        if let Some(id) = self.by_group.get(place)
            && self.live.get(id).is_some_and(|live| live.is_new)
        {
            return Ok(Some(*id));
        }
        let newest = tables::newest_of_group(catalog, &rule.id, &place.1).await?;
        let Some(row) = newest.into_iter().next() else { return Ok(None) };
        if row.summary.state == AlertState::Resolved {
            return Ok(None);
        }
        let id = row.summary.id;
        self.load(catalog, rule, id, place).await?;
        Ok(Some(id))
    }

    /// Brings an alert onto the desk; false when there is none of this id.
    async fn load(
        &mut self,
        catalog: &dyn Catalog,
        rule: &Rule,
        id: AlertId,
        place: &(usize, Arc<str>),
    ) -> Result<bool, AlertingError> {
        if self.live.contains_key(&id) {
            return Ok(true);
        }
        let Some(row) = tables::row_of(catalog, id).await? else { return Ok(false) };
        let count = |sql: &'static str| Statement { sql, values: vec![text(id.to_string())] };
        let answers = catalog
            .query(vec![
                count("SELECT COUNT(*) FROM alerting_evidence WHERE alert_id = ?1"),
                count("SELECT COUNT(*) FROM alerting_alert_entities WHERE alert_id = ?1"),
            ])
            .await?;
        let number = |place: usize| -> Result<usize, AlertingError> {
            match tables::rows(&answers, place).first() {
                Some(row) => Ok(usize::try_from(tables::Columns::of(row).count()?).unwrap_or(0)),
                None => Ok(0),
            }
        };
        let subject = row.body.entity.clone();
        let live = Live {
            row,
            is_new: false,
            is_dirty: false,
            is_current: true,
            evidence: HashSet::new(),
            evidence_known: number(0)?,
            entity_rows: number(1)?,
            new_evidence: Vec::new(),
            new_entities: Vec::new(),
            entries: Vec::new(),
            back_at: None,
            untold_events: 0,
            events_told_at: Timestamp::MIN,
            decisive: None,
            counted: counted(rule, subject.as_ref()),
        };
        self.live.insert(id, live);
        self.keys.insert(id, place.clone());
        Ok(true)
    }

    fn open(
        &mut self,
        rules: &RuleSet,
        place: &(usize, Arc<str>),
        (version, group): (u32, GroupValues),
        (episode, decisive): (&Episode, u128),
        members: &[Member],
        now: Timestamp,
    ) -> AlertId {
        let rule = &rules.rules()[place.0];
        let first = EventId::from_u128(episode.key);
        let id = alert_id(&rule.id, &place.1, first);
        let started = EventId::from_u128(episode.started_by).observed_at();
        // Ids know the millisecond.
        let is_fresh = self.fresh_from.is_some_and(|from| started.millis() >= from.millis());
        let decided_by = self.decided_by(rule, decisive);
        let entity = entity_of_group(rule, &group);
        let row = AlertRow {
            summary: AlertSummary {
                id,
                title: rule.title.clone(),
                severity: rule.level,
                state: AlertState::Open,
                rule: alert_rule(rule, version),
                entity: entity.clone(),
                group: group.clone(),
                opened_at: now,
                updated_at: now,
                first_event_at: Timestamp::MAX,
                last_event_at: Timestamp::MIN,
                ended_at: None,
                detections: 1,
                events: 0,
                assignee: None,
                resolution: None,
            },
            body: Body {
                rule: alert_rule(rule, version),
                entity: entity.clone(),
                why: Why {
                    text: String::new(),
                    observed: 0,
                    threshold: 0,
                    usual: None,
                    window_secs: 0,
                    series: Vec::new(),
                },
                entities: Vec::new(),
                what_to_do: rule.settings.what_to_do.clone(),
                search_query: wording::search_query(rules, rule, &group),
                group,
                decided_by,
                explained: None,
                received_ms: Some(millis_between(episode.started_at, started.nanos())),
                durable_ms: self.read_at.map(|at| millis_between(started.nanos(), at.nanos())),
                evaluated_ms: Some(millis_between(started.nanos(), now.nanos())),
                waited: !is_fresh,
            },
        };
        let live = Live {
            row,
            is_new: true,
            is_dirty: true,
            is_current: true,
            evidence: HashSet::new(),
            evidence_known: 0,
            entity_rows: 0,
            new_evidence: Vec::new(),
            new_entities: Vec::new(),
            entries: vec![(TimelineKind::Opened, now, String::from("opened"))],
            back_at: None,
            untold_events: 0,
            events_told_at: now,
            decisive: is_sequence(rule).then_some(decisive),
            counted: counted(rule, entity.as_ref()),
        };
        self.live.insert(id, live);
        self.keys.insert(id, place.clone());
        self.by_group.insert(place.clone(), id);
        self.count_fields(rules, rule, id, members);
        if let Some(live) = self.live.get_mut(&id) {
            live.name_entity(rule);
        }
        id
    }

    /// What the event by which a sequence was complete says of those the rule counts.
    fn decided_by(&self, rule: &Rule, decisive: u128) -> Vec<(String, String)> {
        let event = self.kept.get(decisive).filter(|_| is_sequence(rule));
        let entities = event
            .into_iter()
            .flat_map(|event| entities_of(event, &counted(rule, None)).collect::<Vec<_>>());
        entities.map(|EntityCount { entity, .. }| (entity.field, entity.value)).collect()
    }

    /// A detection joins an alert that is not resolved.
    fn join(&mut self, id: AlertId, fresh: &[Member], now: Timestamp) {
        if let Some(live) = self.live.get_mut(&id) {
            live.row.summary.detections += 1;
            live.back_at = None;
            live.row.summary.ended_at = None;
            live.is_dirty = true;
            let events: u64 = fresh.iter().map(|member| u64::from(member.weight)).sum();
            let words = format!("detected again, +{}", wording::counted(events, "event"));
            live.entries.push((TimelineKind::Events, now, words));
        }
        self.add(id, fresh, now);
    }

    /// Detections turned out to be one, because of an event that came later.
    fn merge(&mut self, id: AlertId, fewer: u64) {
        if let Some(live) = self.live.get_mut(&id).filter(|_| fewer > 0) {
            live.row.summary.detections = live.row.summary.detections.saturating_sub(fewer).max(1);
            live.is_dirty = true;
        }
    }

    /// Events come into an alert.
    fn add(&mut self, id: AlertId, members: &[Member], now: Timestamp) {
        let Some(live) = self.live.get_mut(&id) else { return };
        if members.is_empty() {
            return;
        }
        live.add(members, &self.kept);
        live.row.summary.ended_at = None;
        live.row.summary.updated_at = now;
        live.is_dirty = true;
        live.untold_events += members.iter().map(|m| u64::from(m.weight)).sum::<u64>();
        let is_due = now.since(live.events_told_at).as_secs() >= EVENTS_ENTRY_SECS;
        if is_due && !live.is_new {
            let words =
                format!("+{}", wording::counted(std::mem::take(&mut live.untold_events), "event"));
            live.entries.push((TimelineKind::Events, now, words));
            live.events_told_at = now;
        }
    }

    /// The first events of a new alert.
    fn count_fields(&mut self, rules: &RuleSet, rule: &Rule, id: AlertId, members: &[Member]) {
        let Some(live) = self.live.get_mut(&id) else { return };
        live.add(members, &self.kept);
        live.row.summary.title =
            wording::refresh(rules, rule, live.row.summary.events, &mut live.row.body);
    }

    fn refresh(&mut self, rules: &RuleSet, rule: &Rule, id: AlertId) {
        if let Some(live) = self.live.get_mut(&id) {
            live.row.summary.title =
                wording::refresh(rules, rule, live.row.summary.events, &mut live.row.body);
        }
    }

    /// A detection is over. What is back resolves by itself.
    fn end(&mut self, id: AlertId, episode: &Episode, is_back: bool, now: Timestamp) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let at = Timestamp::from_nanos(episode.held_until);
        live.row.summary.ended_at = Some(at);
        live.is_dirty = true;
        if live.untold_events > 0 && !live.is_new {
            let words =
                format!("+{}", wording::counted(std::mem::take(&mut live.untold_events), "event"));
            live.entries.push((TimelineKind::Events, at, words));
        }
        live.entries.push((TimelineKind::Ended, at, String::from("the condition no longer holds")));
        live.back_at = is_back.then_some(now);
    }

    /// The statements that write everything that changed, and the alerts that are new. Repeating
    /// the statements changes nothing more.
    pub(crate) fn statements(
        &mut self,
        rules: &RuleSet,
        routing: &Routing,
        suppressed: &HashMap<AlertId, Quiet>,
        now: Timestamp,
    ) -> (Vec<Statement>, Vec<Opened>) {
        self.fresh_from = None;
        let mut statements = Vec::new();
        let mut opened = Vec::new();
        let mut ids: Vec<AlertId> =
            self.live.iter().filter(|(_, live)| live.is_dirty).map(|(id, _)| *id).collect();
        ids.sort();
        for id in ids {
            let (Some(live), Some((place, key))) = (self.live.get_mut(&id), self.keys.get(&id))
            else {
                continue;
            };
            if live.is_new {
                statements.push(insert(&live.row, key));
                let rule = &rules.rules()[*place];
                let occasion = Occasion { quiet: suppressed.get(&id), now };
                let told = routing.for_alert(rule, &live.row.summary, occasion);
                statements.extend(told.statements(&live.row.summary, now));
                ::metrics::counter!(crate::metrics::ALERTS_TOTAL, "severity" => rule.level.name())
                    .increment(1);
                opened.push(Opened { row: live.row.clone(), group_key: key.to_string() });
            } else {
                statements.push(update(&live.row));
            }
            statements.extend(live.take_additions(id));
        }
        (statements, opened)
    }

    /// The alerts that are new with their rules and groups, to look whether anybody is to be told.
    pub(crate) fn new_alerts(&self) -> Vec<(&AlertSummary, usize, Arc<str>)> {
        let new = self.live.iter().filter(|(_, live)| live.is_new && live.is_dirty);
        new.filter_map(|(id, live)| {
            let (place, key) = self.keys.get(id)?;
            Some((&live.row.summary, *place, key.clone()))
        })
        .collect()
    }

    /// The step with [`Desk::statements`] is done.
    pub(crate) fn written(&mut self) {
        for live in self.live.values_mut() {
            live.is_dirty = false;
            live.is_new = false;
            live.is_current = false;
        }
        self.by_group.clear();
    }
}

impl Live {
    /// Keeps the sentence that says why; an absence has no events, only its time.
    fn explain(&mut self, why: &Explained, episode: &Episode) {
        let rounded = |number: f64| number.max(0.0).round() as u64;
        self.row.body.explained = Some(Told {
            text: why.text.clone(),
            observed: rounded(why.observed),
            threshold: rounded(why.threshold),
            usual: why.usual,
        });
        let at = Timestamp::from_nanos(episode.started_at);
        let summary = &mut self.row.summary;
        if summary.events == 0 {
            (summary.first_event_at, summary.last_event_at) = (at, at);
        }
    }

    /// Says who or what a new alert is about: what its events have in the field that the rule names, where
    /// the group does not have it. By that it is found, whatever its events say.
    fn name_entity(&mut self, rule: &Rule) {
        let body = &mut self.row.body;
        if let Some(field) = rule.settings.entity.as_deref()
            && body.entity.as_ref().is_none_or(|entity| entity.field != field)
            && let Some(known) = body.entities.iter().find(|known| known.entity.field == field)
        {
            body.entity = Some(known.entity.clone());
            self.row.summary.entity = body.entity.clone();
        }
        if let Some(entity) = body.entity.clone()
            && !body.entities.iter().any(|known| known.entity == entity)
        {
            self.new_entities.push(entity.clone());
            let count = self.row.summary.events;
            body.entities.push(EntityCount { entity, count, is_subject: true });
        }
    }

    fn add(&mut self, members: &[Member], kept: &Kept) {
        let summary = &mut self.row.summary;
        for member in members {
            let weight = u64::from(member.weight);
            summary.events += weight;
            let at = Timestamp::from_nanos(member.at);
            summary.first_event_at = summary.first_event_at.min(at);
            summary.last_event_at = summary.last_event_at.max(at);
            wording::add_to_series(&mut self.row.body.why.series, member.at, weight);
            let Some(event) = kept.get(member.id) else { continue };
            let is_decisive = self.decisive == Some(member.id);
            let has_room = self.evidence_known < EVIDENCE_EVENTS_MAX || is_decisive;
            if has_room && self.evidence.insert(member.id) {
                self.evidence_known += 1;
                let mut evidence = evidence_of(event);
                if is_decisive && is_success(event) {
                    evidence.flag = Some(String::from("first_success"));
                }
                self.new_evidence.push(evidence);
            }
            for entity in entities_of(event, &self.counted) {
                count_entity(&mut self.row.body.entities, entity, weight, |known| {
                    if known.is_subject && self.entity_rows < ENTITY_ROWS_MAX {
                        self.entity_rows += 1;
                        self.new_entities.push(known.entity.clone());
                    }
                });
            }
        }
        self.row.body.entities.sort_by_key(|known| std::cmp::Reverse(known.count));
    }

    fn take_additions(&mut self, id: AlertId) -> Vec<Statement> {
        let id_text = id.to_string();
        let mut statements = Vec::new();
        for evidence in self.new_evidence.drain(..) {
            statements.push(Statement {
                sql: "INSERT INTO alerting_evidence (alert_id, event_id, at_ns, body)
                    VALUES (?1, ?2, ?3, ?4) ON CONFLICT (alert_id, event_id) DO NOTHING",
                values: vec![
                    text(id_text.clone()),
                    text(evidence.event_id.to_string()),
                    integer(evidence.timestamp_ns),
                    text(serde_json::to_string(&evidence).unwrap_or_default()),
                ],
            });
        }
        for entity in self.new_entities.drain(..) {
            statements.push(Statement {
                sql: "INSERT INTO alerting_alert_entities (alert_id, kind, field, value)
                    VALUES (?1, ?2, ?3, ?4) ON CONFLICT (alert_id, field, value) DO NOTHING",
                values: vec![
                    text(id_text.clone()),
                    text(entity.kind),
                    text(entity.field),
                    text(entity.value),
                ],
            });
        }
        if let Some(at) = self.back_at.take() {
            statements.push(Statement {
                sql:
                    "UPDATE alerting_alerts SET state = 'resolved', resolution = ?2, updated_ns = ?3
                    WHERE id = ?1 AND state <> 'resolved'",
                values: vec![
                    text(id_text.clone()),
                    text(Resolution::Other.name()),
                    tables::instant(at),
                ],
            });
            self.entries.push((TimelineKind::Resolved, at, String::from("it is back")));
        }
        for (kind, at, words) in self.entries.drain(..) {
            statements.push(timeline_entry(id, kind, None, &words, at));
        }
        statements
    }
}

/// Whether the rule looks for something that is not there.
fn is_absence(rule: &Rule) -> bool {
    matches!(&rule.logic, Logic::Correlate(correlation)
        if correlation.judged.as_ref().is_some_and(Judged::is_absence))
}

fn is_sequence(rule: &Rule) -> bool {
    matches!(&rule.logic, Logic::Correlate(correlation)
        if correlation.kind == CorrelationKind::TemporalOrdered)
}

fn is_success(event: &Event) -> bool {
    event.values("event.outcome").any(|value| value == Value::String("success"))
}

fn alert_rule(rule: &Rule, version: u32) -> AlertRule {
    AlertRule {
        id: rule.id.clone(),
        name: rule.short_name().to_owned(),
        title: rule.title.clone(),
        kind: rule.type_name().to_owned(),
        version,
        attack: rule.attack.clone(),
        runbook: rule.settings.runbook.clone(),
        labels: rule.settings.labels.clone(),
    }
}

fn millis_between(earlier: i64, later: i64) -> i64 {
    (later.saturating_sub(earlier)).max(0) / 1_000_000
}
