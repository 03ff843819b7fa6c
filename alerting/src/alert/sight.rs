//! Alerts as somebody sees them who sees a part of the events.
//!
//! In: alerts, and what may be seen of events. Out: of each alert what its evidence tells of that
//! part; an alert of which no evidence is seen is not there. The evidence is read again as events, so
//! that row filters, hidden fields and records of our own are judged where searches are judged, by
//! [`Visibility`], and nowhere else. What an alert says of other events is gone: its title, numbers
//! and times are made of what is seen, and words that others wrote are left out.
//!
//! Evidence that retention has removed is not seen. An answer looks at [`CANDIDATES_MAX`] alerts. Silences
//! and deliveries are seen as the alerts are that they are about.

use std::collections::{HashMap, HashSet};

use logwarden_event::{AlertId, Event, EventId, Value};
use logwarden_query::{
    Control, Engine as Searches, Filter, Query, SearchRequest, SortKey, Target, Test, Visibility,
    time_range,
};
use logwarden_store::{Catalog, Statement};

use super::tables::{self, Columns, rows, text};
use super::wording::{add_to_series, shown, visible};
use super::writing::evidence_of;
use super::{
    Alert, AlertCounts, AlertKey, AlertOrder, AlertPage, AlertQuery, AlertSummary, Entity,
    EntityCount, Latency, SearchLink, TimelineKind,
};
use crate::Shared;
use crate::error::AlertingError;
use crate::rule::target_of;
use crate::silence::Silence;

/// Alerts that one answer to somebody who sees a part looks at; the page after goes on from there.
pub(crate) const CANDIDATES_MAX: usize = 200;
/// Events asked for in one search.
const EVENTS_ASKED_MAX: usize = 200;
/// Characters of a title.
const TITLE_CHARS_MAX: usize = 300;

/// On whose behalf alerts are read and handled.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// Their name, as in the timeline.
    pub name: String,
    /// What they may see of events.
    pub visibility: Visibility,
    /// Whether they see what receivers of notifications answer; others see the status alone (R55).
    pub sees_answers: bool,
    /// How the searches that this takes are stopped, and whom they count for.
    pub control: Control,
}

impl Viewer {
    /// Somebody who sees everything.
    pub fn of_everything(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            visibility: Visibility::everything(),
            sees_answers: true,
            control: Control::default(),
        }
    }
}

/// A page of the alerts that `viewer` sees, with the counts of the newest [`CANDIDATES_MAX`].
pub(crate) async fn page(
    shared: &Shared,
    query: &AlertQuery,
    viewer: &Viewer,
) -> Result<AlertPage, AlertingError> {
    let catalog = &*shared.store.catalog;
    // Title and entities say what the whole alert says: they are looked at when they are made anew.
    let (title, entity) = (query.text.as_deref().map(str::to_lowercase), &query.entity);
    // So do its numbers, and an order by them would tell of what is not seen.
    let order = match query.order.by {
        AlertKey::OpenedAt | AlertKey::Severity => query.order,
        AlertKey::Events | AlertKey::LastEventAt => AlertOrder::default(),
    };
    let wanted =
        AlertQuery { text: None, entity: None, order, limit: CANDIDATES_MAX, ..query.clone() };
    let found = tables::page(catalog, &wanted).await?;
    let ids: Vec<AlertId> = found.items.iter().map(|alert| alert.id).collect();
    let mut seen = seen_of(shared, &ids, viewer).await?;
    let mut items = Vec::new();
    for mut alert in found.items {
        let Some(events) = seen.remove(&alert.id) else { continue };
        narrow(&mut alert, &events);
        let is_named = title.as_ref().is_none_or(|part| alert.title.to_lowercase().contains(part));
        let is_about = entity.as_ref().is_none_or(|value| is_in(value, &events));
        let is_proven = query.event.is_none_or(|id| events.iter().any(|event| event.id() == id));
        if is_named && is_about && is_proven {
            items.push(alert);
        }
    }
    let limit = tables::page_limit(query);
    let mut next = found.next;
    if items.len() > limit {
        items.truncate(limit);
        next = items.last().map(|last| tables::cursor_after(last, order));
    }
    Ok(AlertPage { items, next, counts: counts(shared, viewer).await? })
}

/// One alert as `viewer` sees it.
pub(crate) async fn one(
    shared: &Shared,
    id: AlertId,
    viewer: &Viewer,
) -> Result<Alert, AlertingError> {
    let mut alert = tables::load(&*shared.store.catalog, id).await?;
    let events = seen_of(shared, &[id], viewer).await?.remove(&id);
    let events = events.ok_or(AlertingError::NotFound)?;
    narrow(&mut alert.summary, &events);
    let summary = &alert.summary;
    let flags: HashMap<EventId, String> = alert
        .evidence
        .into_iter()
        .filter_map(|evidence| Some((evidence.event_id, evidence.flag?)))
        .collect();
    alert.evidence = events
        .iter()
        .map(|event| {
            let mut evidence = evidence_of(event);
            evidence.flag = flags.get(&event.id()).cloned();
            evidence
        })
        .collect();
    alert.why.text = format!("You see {} of its events.", summary.events);
    alert.why.observed = summary.events;
    alert.why.usual = None;
    alert.why.series.clear();
    for event in &events {
        add_to_series(&mut alert.why.series, event.timestamp().nanos(), 1);
    }
    alert.entities = alert
        .entities
        .into_iter()
        .filter_map(|known| {
            let has = |event: &&Event| is_of(&known.entity, event);
            let count = events.iter().filter(has).count() as u64;
            (count > 0).then_some(EntityCount { count, ..known })
        })
        .collect();
    alert.related.clear();
    alert.notifications.clear();
    alert.timeline.retain(|entry| entry.actor.is_some());
    let is_own = |actor: &Option<String>| actor.as_ref() == Some(&viewer.name);
    alert.timeline.retain(|entry| entry.kind != TimelineKind::Note || is_own(&entry.actor));
    for entry in alert.timeline.iter_mut().filter(|entry| !is_own(&entry.actor)) {
        entry.text = entry.kind.name().to_owned();
    }
    alert.search = search_for(&alert.summary, &events);
    alert.latency = Latency::default();
    Ok(alert)
}

/// Of `silences` those that `viewer` sees: those of a rule alone, and those about something that one of the
/// newest [`CANDIDATES_MAX`] alerts shows them. The words of others are left out.
pub(crate) async fn silences(
    shared: &Shared,
    silences: Vec<Silence>,
    viewer: &Viewer,
) -> Result<Vec<Silence>, AlertingError> {
    let alerts = newest(shared, viewer).await?;
    let mut shown = Vec::new();
    for mut silence in silences {
        let is_seen = alerts.iter().any(|alert| silence.muted.covers(alert));
        if silence.muted.entity.is_none() || is_seen {
            if silence.author != viewer.name {
                silence.reason.clear();
            }
            shown.push(silence);
        }
    }
    Ok(shown)
}

/// Which of these alerts `viewer` sees something of.
pub(crate) async fn visible_of(
    shared: &Shared,
    alerts: &[AlertId],
    viewer: &Viewer,
) -> Result<HashSet<AlertId>, AlertingError> {
    Ok(seen_of(shared, alerts, viewer).await?.into_keys().collect())
}

/// The newest alerts that `viewer` sees, as they see them.
pub(crate) async fn newest(
    shared: &Shared,
    viewer: &Viewer,
) -> Result<Vec<AlertSummary>, AlertingError> {
    Ok(newest_of(shared, viewer).await?.0)
}

/// The same, and whether there are older ones that were not looked at.
async fn newest_of(
    shared: &Shared,
    viewer: &Viewer,
) -> Result<(Vec<AlertSummary>, bool), AlertingError> {
    let query = AlertQuery { limit: CANDIDATES_MAX, ..AlertQuery::default() };
    let page = tables::page(&*shared.store.catalog, &query).await?;
    let (found, has_more) = (page.items, page.next.is_some());
    let ids: Vec<AlertId> = found.iter().map(|alert| alert.id).collect();
    let seen = seen_of(shared, &ids, viewer).await?;
    let narrowed = found.into_iter().filter_map(|mut alert| {
        let events = seen.get(&alert.id)?;
        narrow(&mut alert, events);
        Some(alert)
    });
    Ok((narrowed.collect(), has_more))
}

/// How many of the newest alerts `viewer` sees, by state.
async fn counts(shared: &Shared, viewer: &Viewer) -> Result<AlertCounts, AlertingError> {
    let mut counts = AlertCounts::default();
    let (alerts, is_partial) = newest_of(shared, viewer).await?;
    for alert in alerts {
        counts.add(alert.state, alert.severity, 1);
    }
    Ok(AlertCounts { is_partial, ..counts })
}

/// Of each alert the evidence that `viewer` sees, oldest first; none of which they see nothing.
async fn seen_of(
    shared: &Shared,
    alerts: &[AlertId],
    viewer: &Viewer,
) -> Result<HashMap<AlertId, Vec<Event>>, AlertingError> {
    let searches = shared.searches().ok_or_else(|| unread("there is no index"))?;
    let evidence = evidence_ids(&*shared.store.catalog, alerts).await?;
    let mut asked: Vec<EventId> = evidence.iter().flatten().copied().collect();
    asked.sort_unstable_by_key(|id| id.to_u128());
    asked.dedup();
    let mut events: HashMap<EventId, Event> = HashMap::new();
    for ids in asked.chunks(EVENTS_ASKED_MAX) {
        events.extend(seen_events(searches, ids, viewer).await?);
    }
    let seen = alerts.iter().zip(evidence).filter_map(|(alert, ids)| {
        let events: Vec<Event> = ids.iter().filter_map(|id| events.get(id)).cloned().collect();
        (!events.is_empty()).then_some((*alert, events))
    });
    Ok(seen.collect())
}

/// The events that prove each of these alerts, oldest first.
async fn evidence_ids(
    catalog: &dyn Catalog,
    alerts: &[AlertId],
) -> Result<Vec<Vec<EventId>>, AlertingError> {
    let of_alert = |id: &AlertId| Statement {
        sql: "SELECT event_id FROM alerting_evidence WHERE alert_id = ?1 ORDER BY at_ns, event_id",
        values: vec![text(id.to_string())],
    };
    let answers = catalog.query(alerts.iter().map(of_alert).collect()).await?;
    let ids = |place| rows(&answers, place).iter().map(|row| Columns::of(row).id()).collect();
    (0..alerts.len()).map(ids).collect()
}

/// Those of the events that `viewer` sees, as they see them.
async fn seen_events(
    searches: &Searches,
    ids: &[EventId],
    viewer: &Viewer,
) -> Result<Vec<(EventId, Event)>, AlertingError> {
    let request = SearchRequest {
        query: Query { filter: Filter::Or(ids.iter().map(seq_of).collect()), pipes: Vec::new() },
        range: time_range(None, None),
        limit: ids.len(),
        sort: vec![SortKey::parse("lw.seq")],
        cursor: None,
        visibility: viewer.visibility.clone(),
    };
    let answer = searches.search(request, viewer.control.clone()).await;
    let answer = answer.map_err(|error| unread(&error.to_string()))?;
    if !answer.coverage.complete {
        return Err(unread("a part of the index cannot be read"));
    }
    let found = answer.hits.into_iter().map(|event| (event.id(), event));
    Ok(found.filter(|(id, _)| ids.contains(id)).collect())
}

fn seq_of(id: &EventId) -> Filter {
    let text = id.position().seq.to_string();
    Filter::is(Target::Seq, Test::Equals { text, cased: false })
}

fn unread(reason: &str) -> AlertingError {
    AlertingError::Evidence(reason.to_owned())
}

/// Makes what an alert says of its events anew from those that are seen.
fn narrow(summary: &mut AlertSummary, events: &[Event]) {
    let seen_in = |field: &str, value: &str| {
        let entity =
            Entity { kind: String::new(), field: field.to_owned(), value: value.to_owned() };
        events.iter().any(|event| is_of(&entity, event))
    };
    summary.group.retain(|(field, value)| seen_in(field, value));
    summary.entity = summary.entity.take().filter(|entity| seen_in(&entity.field, &entity.value));
    summary.events = events.len() as u64;
    summary.detections = 1;
    let times = || events.iter().map(Event::timestamp);
    summary.first_event_at = times().min().unwrap_or(summary.opened_at);
    summary.last_event_at = times().max().unwrap_or(summary.opened_at);
    summary.updated_at = summary.opened_at;
    summary.ended_at = None;
    let noun = if events.len() == 1 { "event" } else { "events" };
    let mut title = format!("{}: {} {noun}", summary.rule.title, events.len());
    for (field, value) in &summary.group {
        title.push_str(&format!(", {field} {}", shown(value)));
    }
    summary.title = visible(&title, TITLE_CHARS_MAX);
}

/// Whether an event has the value of an entity, in its field or under another name.
fn is_of(entity: &Entity, event: &Event) -> bool {
    let test = Test::Equals { text: entity.value.clone(), cased: false };
    Filter::is(target_of(&entity.field), test).matches(event) || has(event, &entity.value)
}

fn is_in(value: &str, events: &[Event]) -> bool {
    events.iter().any(|event| has(event, value))
}

fn has(event: &Event, value: &str) -> bool {
    let is_it = |found: Value<'_>| found.to_string().eq_ignore_ascii_case(value);
    event.fields().any(|field| is_it(field.value))
}

/// The search that shows the events that are seen.
fn search_for(summary: &AlertSummary, events: &[Event]) -> SearchLink {
    let filters = events.iter().map(|event| seq_of(&event.id())).collect();
    SearchLink {
        query: Filter::Or(filters).to_query_text().unwrap_or_else(|| String::from("*")),
        from: summary.first_event_at,
        to: logwarden_event::Timestamp::from_millis(
            summary.last_event_at.millis().saturating_add(1),
        ),
    }
}
