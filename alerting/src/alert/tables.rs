//! Where alerts are kept: the tables of this crate and how their rows become plain types.
//!
//! Two writers share a row: the detector owns counts, times of events, title and `body`; people own
//! state, assignee and resolution. No statement of one sets a column of the other.

use logwarden_event::{AlertId, NotificationId, Timestamp};
use logwarden_store::{Catalog, Migration, Row, SqlValue, Statement};
use serde::{Deserialize, Serialize};

use super::{
    ALERTS_PAGE_MAX, Alert, AlertCounts, AlertKey, AlertOrder, AlertPage, AlertQuery, AlertRule,
    AlertState, AlertSummary, Delivery, DeliveryState, Entity, EntityCount, Evidence, Latency,
    RelatedAlert, Resolution, SearchLink, TimelineEntry, TimelineKind, Why,
};
use crate::error::AlertingError;
use crate::rule::Level;

/// This crate's name in the catalog.
pub(crate) const ROOM: &str = "alerting";

/// The tables, in the order they were added.
pub(crate) const MIGRATIONS: &[Migration] = &[
    "CREATE TABLE alerting_alerts (
        id TEXT PRIMARY KEY, rule_id TEXT NOT NULL, rule_name TEXT NOT NULL,
        group_key TEXT NOT NULL, title TEXT NOT NULL, title_lower TEXT NOT NULL,
        severity TEXT NOT NULL, state TEXT NOT NULL, assignee TEXT, resolution TEXT,
        opened_ns BIGINT NOT NULL, updated_ns BIGINT NOT NULL, first_event_ns BIGINT NOT NULL,
        last_event_ns BIGINT NOT NULL, ended_ns BIGINT, detections BIGINT NOT NULL,
        events BIGINT NOT NULL, body TEXT NOT NULL, in_journal INTEGER NOT NULL)",
    "CREATE UNIQUE INDEX alerting_alerts_live ON alerting_alerts (rule_id, group_key)
        WHERE state <> 'resolved'",
    "CREATE INDEX alerting_alerts_opened ON alerting_alerts (opened_ns, id)",
    "CREATE INDEX alerting_alerts_group ON alerting_alerts (rule_id, group_key, opened_ns)",
    "CREATE TABLE alerting_alert_entities (
        alert_id TEXT NOT NULL, kind TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (alert_id, field, value))",
    "CREATE INDEX alerting_alert_entities_value ON alerting_alert_entities (value)",
    "CREATE TABLE alerting_evidence (
        alert_id TEXT NOT NULL, event_id TEXT NOT NULL, at_ns BIGINT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (alert_id, event_id))",
    "CREATE TABLE alerting_timeline (
        alert_id TEXT NOT NULL, id TEXT NOT NULL, at_ns BIGINT NOT NULL, kind TEXT NOT NULL,
        actor TEXT, text TEXT NOT NULL, PRIMARY KEY (alert_id, id))",
    "CREATE TABLE alerting_outbox (
        id TEXT PRIMARY KEY, alert_id TEXT NOT NULL, notifier TEXT NOT NULL, kind TEXT NOT NULL,
        event TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
        created_ns BIGINT NOT NULL, next_ns BIGINT NOT NULL, last_ns BIGINT,
        sent_ns BIGINT, lease_until_ns BIGINT NOT NULL, answer TEXT NOT NULL)",
    "CREATE INDEX alerting_outbox_due ON alerting_outbox (notifier, state, next_ns)",
    "CREATE INDEX alerting_outbox_alert ON alerting_outbox (alert_id)",
    "CREATE INDEX alerting_outbox_created ON alerting_outbox (created_ns, id)",
    "CREATE TABLE alerting_groups (
        rule_id TEXT NOT NULL, group_key TEXT NOT NULL, fingerprint TEXT NOT NULL,
        state BLOB NOT NULL, PRIMARY KEY (rule_id, group_key))",
    "CREATE TABLE alerting_pending (
        event_id TEXT PRIMARY KEY, keep_until_ns BIGINT NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE alerting_rules (
        rule_id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, version INTEGER NOT NULL)",
    "ALTER TABLE alerting_outbox ADD COLUMN title TEXT",
    "CREATE TABLE alerting_links (
        hash TEXT PRIMARY KEY, alert_id TEXT NOT NULL, notification_id TEXT NOT NULL,
        recipient TEXT NOT NULL, expires_ns BIGINT NOT NULL, used_ns BIGINT)",
    "CREATE INDEX alerting_links_expiry ON alerting_links (expires_ns)",
    "ALTER TABLE alerting_outbox ADD COLUMN first_ns BIGINT",
    "ALTER TABLE alerting_outbox ADD COLUMN group_key TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE alerting_outbox ADD COLUMN route TEXT NOT NULL DEFAULT ''",
    "CREATE TABLE alerting_escalations (
        alert_id TEXT NOT NULL, step INTEGER NOT NULL, round INTEGER NOT NULL,
        after_secs BIGINT NOT NULL, due_ns BIGINT NOT NULL, notify TEXT NOT NULL,
        route TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (alert_id, step))",
    "CREATE INDEX alerting_escalations_due ON alerting_escalations (state, due_ns)",
    "CREATE TABLE alerting_settings (
        name TEXT PRIMARY KEY, version BIGINT NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE alerting_told (
        alert_id TEXT PRIMARY KEY, events BIGINT NOT NULL, detections BIGINT NOT NULL,
        round BIGINT NOT NULL, told_ns BIGINT NOT NULL, next_ns BIGINT NOT NULL)",
    "CREATE TABLE alerting_duties (
        rota TEXT PRIMARY KEY, person TEXT NOT NULL, notify TEXT NOT NULL,
        since_ns BIGINT NOT NULL)",
    "DROP TABLE alerting_pending",
    "UPDATE alerting_outbox SET state = 'limited'
        WHERE state = 'failed' AND answer LIKE 'held back%'",
    "DROP TABLE alerting_groups",
    "CREATE TABLE alerting_parts (
        rule_id TEXT NOT NULL, number BIGINT NOT NULL, fingerprint TEXT NOT NULL,
        state BLOB NOT NULL, PRIMARY KEY (rule_id, number))",
    "CREATE TABLE alerting_late (
        rule_id TEXT PRIMARY KEY, from_ns BIGINT NOT NULL, to_ns BIGINT NOT NULL,
        events BIGINT NOT NULL)",
];

/// What the detector keeps of an alert besides the columns lists are made by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Body {
    /// The rule as it was when the alert was opened.
    pub rule: AlertRule,
    /// Who or what it is about.
    pub entity: Option<Entity>,
    /// The group's fields and values.
    pub group: Vec<(String, String)>,
    /// Why it was opened.
    pub why: Why,
    /// Who and what is in it, with counts.
    pub entities: Vec<EntityCount>,
    /// What to do.
    pub what_to_do: String,
    /// What the event says by which a sequence was complete: who got in, not who was tried.
    #[serde(default)]
    pub decided_by: Vec<(String, String)>,
    /// Why it was opened, where the numbers alone do not say it.
    #[serde(default)]
    pub explained: Option<Told>,
    /// Selects its events in the query language.
    pub search_query: String,
    /// From the sender's time to our receiving the event that fired.
    pub received_ms: Option<i64>,
    /// From then to its being read from the journal.
    #[serde(default)]
    pub durable_ms: Option<i64>,
    /// From our receiving it to the transaction.
    pub evaluated_ms: Option<i64>,
    /// The event that fired had not just come: the rule waits, or the alert was found in what is stored.
    #[serde(default)]
    pub waited: bool,
}

/// Why a rule fired that looks at more than numbers of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// A sentence without its full stop.
    pub text: String,
    /// What was found, rounded.
    pub observed: u64,
    /// What it was compared with, rounded.
    pub threshold: u64,
    /// What is usual for the group, from and to, where the rule knows its past.
    #[serde(default)]
    pub usual: Option<[f64; 2]>,
}

/// Text that may be missing.
pub(crate) fn text_or_null(text: Option<&str>) -> SqlValue {
    text.map_or(SqlValue::Null, |text| SqlValue::Text(text.to_owned()))
}

/// A text value.
pub(crate) fn text(text: impl Into<String>) -> SqlValue {
    SqlValue::Text(text.into())
}

/// A count or a number of nanoseconds.
pub(crate) fn integer(number: impl TryInto<i64>) -> SqlValue {
    SqlValue::Integer(number.try_into().unwrap_or(i64::MAX))
}

/// An instant.
pub(crate) fn instant(at: Timestamp) -> SqlValue {
    SqlValue::Integer(at.nanos())
}

/// Reads the columns of a row one after the other.
pub(crate) struct Columns<'a>(std::slice::Iter<'a, SqlValue>);

impl<'a> Columns<'a> {
    /// Starts at the first column.
    pub(crate) fn of(row: &'a Row) -> Self {
        Self(row.0.iter())
    }

    /// The next column as text.
    pub(crate) fn text(&mut self) -> Result<&'a str, AlertingError> {
        match self.0.next() {
            Some(SqlValue::Text(text)) => Ok(text),
            other => Err(AlertingError::damaged(format!("expected text, found {other:?}"))),
        }
    }

    /// The next column as text that may be missing.
    pub(crate) fn optional_text(&mut self) -> Result<Option<&'a str>, AlertingError> {
        match self.0.next() {
            Some(SqlValue::Text(text)) => Ok(Some(text)),
            Some(SqlValue::Null) => Ok(None),
            other => Err(AlertingError::damaged(format!("expected text, found {other:?}"))),
        }
    }

    /// The next column as a number.
    pub(crate) fn integer(&mut self) -> Result<i64, AlertingError> {
        match self.0.next() {
            Some(SqlValue::Integer(number)) => Ok(*number),
            other => Err(AlertingError::damaged(format!("expected a number, found {other:?}"))),
        }
    }

    /// The next column as a count.
    pub(crate) fn count(&mut self) -> Result<u64, AlertingError> {
        Ok(u64::try_from(self.integer()?).unwrap_or(0))
    }

    /// The next column as an instant.
    pub(crate) fn instant(&mut self) -> Result<Timestamp, AlertingError> {
        Ok(Timestamp::from_nanos(self.integer()?))
    }

    /// The next column as an instant that may be missing.
    pub(crate) fn optional_instant(&mut self) -> Result<Option<Timestamp>, AlertingError> {
        match self.0.next() {
            Some(SqlValue::Integer(nanos)) => Ok(Some(Timestamp::from_nanos(*nanos))),
            Some(SqlValue::Null) => Ok(None),
            other => Err(AlertingError::damaged(format!("expected an instant, found {other:?}"))),
        }
    }

    /// The next column as an id.
    pub(crate) fn id<T: std::str::FromStr>(&mut self) -> Result<T, AlertingError> {
        let text = self.text()?;
        text.parse().map_err(|_| AlertingError::damaged(format!("`{text}` is no id")))
    }

    /// The next column as one of a few words.
    pub(crate) fn word<T>(&mut self, read: fn(&str) -> Option<T>) -> Result<T, AlertingError> {
        let text = self.text()?;
        read(text).ok_or_else(|| AlertingError::damaged(format!("`{text}` is not expected here")))
    }

    /// The next column as JSON of ours.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, AlertingError> {
        serde_json::from_str(self.text()?)
            .map_err(|error| AlertingError::damaged(error.to_string()))
    }
}

/// An alert's row, with what lists do not show.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AlertRow {
    /// As lists show it.
    pub summary: AlertSummary,
    /// The rest of what the detector keeps.
    pub body: Body,
}

fn alert_row(row: &Row) -> Result<AlertRow, AlertingError> {
    let mut columns = Columns::of(row);
    let id = columns.id()?;
    let title = columns.text()?.to_owned();
    let severity = columns.word(Level::from_name)?;
    let state = columns.word(AlertState::from_name)?;
    let assignee = columns.optional_text()?.map(str::to_owned);
    let resolution = columns.optional_text()?.and_then(Resolution::from_name);
    let [opened_at, updated_at] = [columns.instant()?, columns.instant()?];
    let [first_event_at, last_event_at] = [columns.instant()?, columns.instant()?];
    let ended_at = columns.optional_instant()?;
    let [detections, events] = [columns.count()?, columns.count()?];
    let body: Body = columns.json()?;
    let summary = AlertSummary {
        id,
        title,
        severity,
        state,
        rule: body.rule.clone(),
        entity: body.entity.clone(),
        group: body.group.clone(),
        opened_at,
        updated_at,
        first_event_at,
        last_event_at,
        ended_at,
        detections,
        events,
        assignee,
        resolution,
    };
    Ok(AlertRow { summary, body })
}

/// The page of a list that is ordered by `$key`, the largest first.
macro_rules! select_page {
    ($from:literal, $key:literal) => {
        concat!(
            "SELECT id, title, severity, state, assignee, resolution, opened_ns, updated_ns,
                first_event_ns, last_event_ns, ended_ns, detections, events, body
            FROM ",
            $from,
            " WHERE (?1 = '' OR ?1 LIKE '%,' || state || ',%')
                AND (?2 = '' OR ?2 LIKE '%,' || severity || ',%')
                AND (?3 IS NULL OR rule_id = ?3 OR rule_name = ?3)
                AND (?4 IS NULL OR EXISTS (SELECT 1 FROM alerting_alert_entities e
                    WHERE e.alert_id = alerting_alerts.id AND e.value = ?4))
                AND (?5 IS NULL OR assignee = ?5)
                AND (?6 IS NULL OR title_lower LIKE ?6 ESCAPE '\\')
                AND (?7 IS NULL OR EXISTS (SELECT 1 FROM alerting_evidence v
                    WHERE v.alert_id = alerting_alerts.id AND v.event_id = ?7))
                AND (",
            $key,
            " < ?8 OR (",
            $key,
            " = ?8 AND id < ?9)) ORDER BY ",
            $key,
            " DESC, id DESC LIMIT ?10"
        )
    };
}

/// By the index, which other orders do not have.
const SELECT_PAGE: &str = select_page!("alerting_alerts", "opened_ns");
const SELECT_PAGE_ORDERED: &str = select_page!(
    "(SELECT *, ?12 * CASE ?11
        WHEN 'severity' THEN CASE severity WHEN 'critical' THEN 4 WHEN 'high' THEN 3
            WHEN 'medium' THEN 2 WHEN 'low' THEN 1 ELSE 0 END
        WHEN 'events' THEN events
        WHEN 'last_event_at' THEN last_event_ns
        ELSE opened_ns END AS sort_key
        FROM alerting_alerts) AS alerting_alerts",
    "sort_key"
);

/// Answers a list of alerts in its order.
pub(crate) async fn page(
    catalog: &dyn Catalog,
    query: &AlertQuery,
) -> Result<AlertPage, AlertingError> {
    let limit = page_limit(query);
    let (before_ns, before_id) = match &query.cursor {
        Some(cursor) => read_cursor(cursor)?,
        None => (i64::MAX, String::from("~")),
    };
    let event = query.event.map(|id| id.to_string());
    let states = query.states.iter().map(|state| state.name());
    let severities = query.severities.iter().map(|level| level.name());
    let mut page = Statement {
        sql: SELECT_PAGE,
        values: vec![
            text(word_list(states)),
            text(word_list(severities)),
            text_or_null(query.rule.as_deref()),
            text_or_null(query.entity.as_deref()),
            text_or_null(query.assignee.as_deref()),
            query.text.as_deref().map_or(SqlValue::Null, |part| text(like_pattern(part))),
            text_or_null(event.as_deref()),
            integer(before_ns),
            text(before_id),
            integer(limit + 1),
        ],
    };
    if query.order != AlertOrder::default() {
        page.sql = SELECT_PAGE_ORDERED;
        let name = AlertOrder::KEYS.iter().find(|(_, by)| *by == query.order.by);
        page.values.push(text(name.map_or("", |(name, _)| *name)));
        page.values.push(integer(sign(query.order)));
    }
    let counts = Statement {
        sql: "SELECT state, severity, COUNT(*) FROM alerting_alerts GROUP BY state, severity",
        values: Vec::new(),
    };
    let answers = catalog.query(vec![page, counts]).await?;
    let mut items = Vec::new();
    for row in rows(&answers, 0) {
        items.push(alert_row(row)?.summary);
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(|last| cursor_after(last, query.order));
    Ok(AlertPage { items, next, counts: read_counts(rows(&answers, 1))? })
}

/// How many alerts a page of a list holds at most.
pub(crate) fn page_limit(query: &AlertQuery) -> usize {
    if query.limit == 0 { 100 } else { query.limit.min(ALERTS_PAGE_MAX) }
}

/// Asks for the page after this alert.
pub(crate) fn cursor_after(last: &AlertSummary, order: AlertOrder) -> String {
    let key = match order.by {
        AlertKey::OpenedAt => last.opened_at.nanos(),
        AlertKey::Severity => last.severity as i64,
        AlertKey::Events => i64::try_from(last.events).unwrap_or(i64::MAX),
        AlertKey::LastEventAt => last.last_event_at.nanos(),
    };
    format!("{}.{}", key.saturating_mul(sign(order)), last.id)
}

/// Keys are compared as if the largest always came first.
fn sign(order: AlertOrder) -> i64 {
    if order.is_ascending { -1 } else { 1 }
}

/// The rows of the answer in this place; none when there is none.
pub(crate) fn rows(answers: &[Vec<Row>], place: usize) -> &[Row] {
    answers.get(place).map_or(&[], Vec::as_slice)
}

fn read_cursor(cursor: &str) -> Result<(i64, String), AlertingError> {
    let (nanos, id) = cursor.split_once('.').ok_or(AlertingError::Cursor)?;
    Ok((nanos.parse().map_err(|_| AlertingError::Cursor)?, id.to_owned()))
}

fn word_list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut list = String::new();
    for word in words {
        list.push(',');
        list.push_str(word);
    }
    if !list.is_empty() {
        list.push(',');
    }
    list
}

fn like_pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in part.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

fn read_counts(rows: &[Row]) -> Result<AlertCounts, AlertingError> {
    let mut counts = AlertCounts::default();
    for row in rows {
        let mut columns = Columns::of(row);
        let (state, level) =
            (columns.word(AlertState::from_name)?, columns.word(Level::from_name)?);
        counts.add(state, level, columns.count()?);
    }
    Ok(counts)
}

const SELECT_ONE: &str = "SELECT id, title, severity, state, assignee, resolution, opened_ns,
        updated_ns, first_event_ns, last_event_ns, ended_ns, detections, events, body
    FROM alerting_alerts WHERE id = ?1";

/// The alerts of a rule and group, newest first: the live one, if any, is among the first two.
pub(crate) async fn newest_of_group(
    catalog: &dyn Catalog,
    rule_id: &str,
    group_key: &str,
) -> Result<Vec<AlertRow>, AlertingError> {
    let statement = Statement {
        sql: "SELECT id, title, severity, state, assignee, resolution, opened_ns, updated_ns,
                first_event_ns, last_event_ns, ended_ns, detections, events, body
            FROM alerting_alerts WHERE rule_id = ?1 AND group_key = ?2
            ORDER BY CASE WHEN state = 'resolved' THEN 1 ELSE 0 END, opened_ns DESC LIMIT 2",
        values: vec![text(rule_id), text(group_key)],
    };
    let answers = catalog.query(vec![statement]).await?;
    rows(&answers, 0).iter().map(alert_row).collect()
}

/// The row of one alert.
pub(crate) async fn row_of(
    catalog: &dyn Catalog,
    id: AlertId,
) -> Result<Option<AlertRow>, AlertingError> {
    let statement = Statement { sql: SELECT_ONE, values: vec![text(id.to_string())] };
    let answers = catalog.query(vec![statement]).await?;
    rows(&answers, 0).first().map(alert_row).transpose()
}

/// Answers all there is to know about one alert.
pub(crate) async fn load(catalog: &dyn Catalog, id: AlertId) -> Result<Alert, AlertingError> {
    let by_id = |sql: &'static str| Statement { sql, values: vec![text(id.to_string())] };
    let answers = catalog
        .query(vec![
            by_id(SELECT_ONE),
            by_id(
                "SELECT body FROM alerting_evidence WHERE alert_id = ?1
                ORDER BY at_ns, event_id",
            ),
            by_id(
                "SELECT id, at_ns, kind, actor, text FROM alerting_timeline
                WHERE alert_id = ?1 ORDER BY at_ns, id",
            ),
            by_id(
                "SELECT id, alert_id, event, notifier, kind, state, attempts, last_ns, next_ns,
                    answer, title, route, created_ns, sent_ns, first_ns
                FROM alerting_outbox WHERE alert_id = ?1
                ORDER BY created_ns, id",
            ),
            by_id(
                "SELECT DISTINCT a.id, a.title, a.severity, a.state, a.opened_ns
                FROM alerting_alert_entities mine
                JOIN alerting_alert_entities other ON other.value = mine.value
                JOIN alerting_alerts a ON a.id = other.alert_id
                JOIN alerting_alerts me ON me.id = mine.alert_id
                WHERE mine.alert_id = ?1 AND other.alert_id <> ?1
                    AND a.opened_ns > me.opened_ns - 604800000000000
                ORDER BY a.opened_ns DESC LIMIT 20",
            ),
        ])
        .await?;
    let row = rows(&answers, 0).first().ok_or(AlertingError::NotFound)?;
    let AlertRow { summary, body } = alert_row(row)?;
    let mut evidence: Vec<Evidence> = Vec::new();
    for row in rows(&answers, 1) {
        evidence.push(Columns::of(row).json()?);
    }
    let timeline: Vec<TimelineEntry> =
        rows(&answers, 2).iter().map(timeline_row).collect::<Result<_, _>>()?;
    let mut notifications = Vec::new();
    let [mut first_tried_ns, mut first_sent_ns]: [Option<i64>; 2] = [None, None];
    for row in rows(&answers, 3) {
        notifications.push(delivery_row(row)?);
        let earliest = |known: &mut Option<i64>, found: Option<&SqlValue>| {
            if let Some(SqlValue::Integer(found)) = found {
                *known = Some(known.map_or(*found, |known| known.min(*found)));
            }
        };
        let mut last = row.0.iter().rev();
        earliest(&mut first_tried_ns, last.next());
        earliest(&mut first_sent_ns, last.next());
    }
    let related = rows(&answers, 4).iter().map(related_row).collect::<Result<_, _>>()?;
    // The alert's transaction ended `evaluated_ms` after we received its first event.
    let since_received = |at: Option<i64>| {
        let after_opening = (at? - summary.opened_at.nanos()) / 1_000_000;
        Some(after_opening + body.evaluated_ms?)
    };
    let (notified_ms, delivered_ms) =
        (since_received(first_tried_ns), since_received(first_sent_ns));
    Ok(Alert {
        search: search_link(&summary, &body),
        latency: Latency {
            received_ms: body.received_ms,
            durable_ms: body.durable_ms,
            evaluated_ms: body.evaluated_ms,
            notified_ms,
            delivered_ms,
        },
        summary,
        why: body.why,
        evidence,
        entities: body.entities,
        related,
        what_to_do: body.what_to_do,
        timeline,
        notifications,
    })
}

/// The search that shows an alert's events.
pub(crate) fn search_link(summary: &AlertSummary, body: &Body) -> SearchLink {
    SearchLink {
        query: body.search_query.clone(),
        from: summary.first_event_at,
        to: Timestamp::from_millis(summary.last_event_at.millis().saturating_add(1)),
    }
}

fn timeline_row(row: &Row) -> Result<TimelineEntry, AlertingError> {
    let mut columns = Columns::of(row);
    Ok(TimelineEntry {
        id: columns.text()?.to_owned(),
        at: columns.instant()?,
        kind: columns.word(TimelineKind::from_name)?,
        actor: columns.optional_text()?.map(str::to_owned),
        text: columns.text()?.to_owned(),
    })
}

fn delivery_row(row: &Row) -> Result<Delivery, AlertingError> {
    let mut columns = Columns::of(row);
    let id: NotificationId = columns.id()?;
    let alert_id = columns.id()?;
    let event = columns.text()?.to_owned();
    let notifier = columns.text()?.to_owned();
    let kind = columns.text()?.to_owned();
    let state = columns.word(DeliveryState::from_name)?;
    let attempts = u32::try_from(columns.integer()?).unwrap_or(0);
    let last_attempt_at = columns.optional_instant()?;
    let next_attempt_at = columns.optional_instant()?.filter(|_| state == DeliveryState::Pending);
    let answer = columns.text()?.to_owned();
    let title = columns.optional_text()?.map(str::to_owned);
    let route = Some(columns.text()?).filter(|route| !route.is_empty()).map(str::to_owned);
    let (created_at, sent_at) = (columns.instant()?, columns.optional_instant()?);
    Ok(Delivery {
        id,
        alert_id,
        event,
        notifier,
        kind,
        state,
        attempts,
        last_attempt_at,
        next_attempt_at,
        answer,
        title,
        route,
        created_at,
        sent_at,
    })
}

fn related_row(row: &Row) -> Result<RelatedAlert, AlertingError> {
    let mut columns = Columns::of(row);
    Ok(RelatedAlert {
        id: columns.id()?,
        title: columns.text()?.to_owned(),
        severity: columns.word(Level::from_name)?,
        state: columns.word(AlertState::from_name)?,
        opened_at: columns.instant()?,
    })
}

/// The notifiers that a notification about the alert's opening went to or will go to, or would have gone
/// to but for a limit.
pub(crate) async fn told_about(
    catalog: &dyn Catalog,
    id: AlertId,
) -> Result<Vec<String>, AlertingError> {
    let statement = Statement {
        sql: "SELECT DISTINCT notifier FROM alerting_outbox
            WHERE alert_id = ?1 AND event IN ('alert.opened', 'alert.escalated')
                AND state <> 'silenced'
            ORDER BY notifier",
        values: vec![text(id.to_string())],
    };
    let answers = catalog.query(vec![statement]).await?;
    rows(&answers, 0).iter().map(|row| Ok(Columns::of(row).text()?.to_owned())).collect()
}

/// Which deliveries a list is to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryQuery {
    /// Only this one.
    pub id: Option<NotificationId>,
    /// Only about this alert.
    pub alert_id: Option<AlertId>,
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// At most so many; 0: 100. Never more than [`ALERTS_PAGE_MAX`].
    pub limit: usize,
    /// What [`DeliveryPage::next`] held.
    pub cursor: Option<String>,
}

/// One page of deliveries, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryPage {
    /// The deliveries.
    pub items: Vec<Delivery>,
    /// Asks for the next page, if there is one.
    pub next: Option<String>,
}

/// Answers a list of deliveries, newest first.
pub(crate) async fn deliveries(
    catalog: &dyn Catalog,
    query: &DeliveryQuery,
) -> Result<DeliveryPage, AlertingError> {
    let limit = if query.limit == 0 { 100 } else { query.limit.min(ALERTS_PAGE_MAX) };
    let (before_ns, before_id) = match &query.cursor {
        Some(cursor) => read_cursor(cursor)?,
        None => (i64::MAX, String::from("~")),
    };
    let alert_id = query.alert_id.map(|id| id.to_string());
    let statement = Statement {
        sql: "SELECT id, alert_id, event, notifier, kind, state, attempts, last_ns, next_ns,
                answer, COALESCE(title, (SELECT a.title FROM alerting_alerts a
                    WHERE a.id = alerting_outbox.alert_id)), route, created_ns, sent_ns
            FROM alerting_outbox
            WHERE (?1 IS NULL OR alert_id = ?1) AND (?2 IS NULL OR state = ?2)
                AND (?6 IS NULL OR id = ?6)
                AND (created_ns < ?3 OR (created_ns = ?3 AND id < ?4))
            ORDER BY created_ns DESC, id DESC LIMIT ?5",
        values: vec![
            text_or_null(alert_id.as_deref()),
            text_or_null(query.state.map(DeliveryState::name)),
            integer(before_ns),
            text(before_id),
            integer(limit + 1),
            text_or_null(query.id.map(|id| id.to_string()).as_deref()),
        ],
    };
    let answers = catalog.query(vec![statement]).await?;
    let found = rows(&answers, 0);
    let items =
        found.iter().take(limit).map(delivery_row).collect::<Result<Vec<_>, AlertingError>>()?;
    let last = items.last().filter(|_| found.len() > limit);
    let next = last.map(|last| format!("{}.{}", last.created_at.nanos(), last.id));
    Ok(DeliveryPage { items, next })
}
