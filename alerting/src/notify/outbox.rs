//! Sends what lies in the outbox: one worker per notifier, so that a bad receiver delays nobody
//! else.
//!
//! Many alerts at once become one message where the notifier lists them ([`GROUP_MIN`]), and such a
//! notifier sends at most [`PER_MINUTE_MAX`] messages a minute; what waits meanwhile is sent after.
//!
//! At least once: a row is leased, sent, and marked after the receiver took it; a crash between
//! sends the same notification again, under the same id. What fails is tried again with growing
//! pauses for a day, then kept as failed and told through the other notifiers. Every attempt that did
//! not arrive stays visible.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use logwarden_event::{AlertId, NotificationId, Timestamp};
use logwarden_store::{Catalog, CatalogError, Row, Statement, Step, StepOutcome, Store};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::breaker::{Breaker, FAILURES_MAX};
use super::plan::{Pending, insert};
use super::{Named, NotifierState, Outgoing, SendError};
use super::{handover, hidden};
use crate::Shared;
use crate::alert::lifecycle::{commit, timeline_entry};
use crate::alert::link;
use crate::alert::tables::{self, AlertRow, Columns, instant, integer, rows, text};
use crate::alert::{AlertState, DeliveryState, TimelineKind, usual};
use crate::error::AlertingError;
use crate::identity;
use crate::metrics;

/// How long a row belongs to the worker that took it; longer than any sending takes.
const LEASE: Duration = Duration::from_secs(120);
/// The pause after the first failure; it doubles from there.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// The longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(15 * 60);
/// How long a notification is tried.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// The longest sleep of a worker: a clock may jump.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// The shortest sleep.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// What a notification says about another notifier that did not get through.
const FAILED_EVENT: &str = "notifier.failed";
/// The pause when the catalog does not answer.
const CATALOG_PAUSE: Duration = Duration::from_secs(1);
/// Alerts waiting to be told of that become one message.
const GROUP_MIN: usize = 10;
/// Alerts in one message; more become several.
const GROUP_MAX: usize = 50;
/// Messages a minute through a notifier that lists alerts.
const PER_MINUTE_MAX: usize = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// Alerts in one digest; more become several.
const DIGEST_MAX: usize = 500;
/// After a message about a group, alerts that join it wait so long for the next one.
const GROUP_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// What a notification says about a new alert.
const OPENED: &str = "alert.opened";
/// What the answer of a notification begins with that waits until its receiver is tried again.
const WAITING: &str = "waiting";

/// Takes a notifier's name and whether it gets through.
pub(crate) type Report = Arc<dyn Fn(&str, NotifierState) + Send + Sync>;

/// Frees what a process was sending that is gone. Whoever opens a data directory is alone in it, so
/// nobody sends these rows, and to wait for their leases would keep people waiting for minutes. Where the
/// disk has no room for it they wait all the same.
pub(crate) async fn free_leases(catalog: &dyn Catalog) -> Result<(), AlertingError> {
    let statement = Statement {
        sql: "UPDATE alerting_outbox SET lease_until_ns = 0
            WHERE state = 'pending' AND lease_until_ns > 0",
        values: Vec::new(),
    };
    match commit(catalog, Step { statements: vec![statement], ..Step::default() }).await {
        Err(AlertingError::Catalog(CatalogError::Full)) => {
            warn!("no room is left; what was being sent waits until its lease is over");
            Ok(())
        }
        freed => freed,
    }
}

/// A row that is to be sent now.
struct Due {
    id: NotificationId,
    alert_id: AlertId,
    event: String,
    attempts: u32,
    created_at: Timestamp,
    /// What is told of in one message; empty: each alert in its own.
    group: String,
}

/// The worker of one notifier.
pub(crate) struct Worker {
    pub store: Store,
    pub shared: Arc<Shared>,
    pub named: Named,
    pub public_url: String,
    /// Those who are told when this one fails for good.
    pub others: Vec<Named>,
    /// Says whether it gets through.
    pub report: Report,
    pub breaker: Mutex<Breaker>,
    /// Lets the other workers look into the outbox.
    pub wake_others: Arc<dyn Fn() + Send + Sync>,
    /// Whether a sign of life would be true.
    pub is_well: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Worker {
    /// Sends until `shutdown`; `wake` changes when something was put into the outbox.
    pub(crate) async fn run(self, mut wake: watch::Receiver<u64>, shutdown: CancellationToken) {
        let mut next_heartbeat = self.named.notifier.heartbeat().map(|_| Instant::now());
        loop {
            wake.mark_unchanged();
            if next_heartbeat.is_some_and(|at| at <= Instant::now()) {
                self.give_sign_of_life().await;
                next_heartbeat =
                    self.named.notifier.heartbeat().map(|every| Instant::now() + every);
            }
            let pause = tokio::select! {
                () = shutdown.cancelled() => return,
                sent = self.send_due() => match sent {
                    Ok(pause) => pause,
                    Err(error) => {
                        warn!(notifier = %self.named.name, %error, "outbox cannot be read");
                        CATALOG_PAUSE
                    }
                },
            };
            let until_heartbeat = next_heartbeat.map_or(pause, |at| at - Instant::now());
            let pause = pause.min(until_heartbeat);
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = wake.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Sends everything that is due; answers how long there will be nothing to do.
    pub(crate) async fn send_due(&self) -> Result<Duration, AlertingError> {
        loop {
            let now = self.store.clock.now();
            if let Some(until) = self.breaker().paused_until(now) {
                self.put_off(until).await?;
                return Ok(until.since(now).clamp(PAUSE_MIN, SLEEP_MAX));
            }
            if let Some(pause) = self.until_room(now).await? {
                return Ok(pause);
            }
            let mut due = self.due(now).await?;
            if let Some((event, key)) =
                due.first().map(|due| (due.event.clone(), due.group.clone()))
                && !key.is_empty()
                && self.lists(&event)
            {
                if event == OPENED && self.is_told_lately(&key, now).await? {
                    continue;
                }
                due = self.of_group(&event, &key, now).await?;
            }
            let lists = due.first().is_some_and(|due| self.lists(&due.event));
            let group = self.leased(grouped(due, lists), now).await?;
            match group {
                None => return self.pause().await,
                Some(group) if group.is_empty() => {}
                Some(group) => self.deliver(group).await?,
            }
        }
    }

    /// Whether many alerts of one occasion become one message. Of what is handed over they always do.
    fn lists(&self, event: &str) -> bool {
        self.named.notifier.lists_alerts() || event == handover::EVENT
    }

    /// How long to wait because a minute's messages were sent; `None`: not at all.
    async fn until_room(&self, now: Timestamp) -> Result<Option<Duration>, AlertingError> {
        if !self.named.notifier.lists_alerts() {
            return Ok(None);
        }
        // Rows that were told of in one message were marked at one instant.
        let statement = Statement {
            sql: "SELECT DISTINCT sent_ns FROM alerting_outbox
                WHERE notifier = ?1 AND state = 'sent' AND sent_ns > ?2
                ORDER BY sent_ns DESC LIMIT ?3",
            values: vec![
                text(self.named.name.clone()),
                instant(now.saturating_sub(MINUTE)),
                integer(PER_MINUTE_MAX),
            ],
        };
        let answers = self.store.catalog.query(vec![statement]).await?;
        let Some(oldest) = rows(&answers, 0).get(PER_MINUTE_MAX - 1) else { return Ok(None) };
        let room_at = Columns::of(oldest).instant()?.saturating_add(MINUTE);
        Ok(Some(room_at.since(now).max(PAUSE_MIN)))
    }

    async fn due(&self, now: Timestamp) -> Result<Vec<Due>, AlertingError> {
        let statement = Statement {
            sql: "SELECT id, alert_id, event, attempts, created_ns, group_key FROM alerting_outbox
                WHERE notifier = ?1 AND state = 'pending' AND next_ns <= ?2
                    AND lease_until_ns <= ?2
                ORDER BY next_ns, id LIMIT ?3",
            values: vec![text(self.named.name.clone()), instant(now), integer(GROUP_MAX)],
        };
        let answers = self.store.catalog.query(vec![statement]).await?;
        rows(&answers, 0).iter().map(due_row).collect()
    }

    /// Everything that waits and belongs to a group of which something is due.
    async fn of_group(
        &self,
        event: &str,
        group: &str,
        now: Timestamp,
    ) -> Result<Vec<Due>, AlertingError> {
        let most = if event == OPENED { GROUP_MAX } else { DIGEST_MAX };
        let statement = Statement {
            sql: "SELECT id, alert_id, event, attempts, created_ns, group_key FROM alerting_outbox
                WHERE notifier = ?1 AND state = 'pending' AND lease_until_ns <= ?2
                    AND group_key = ?3 AND event = ?4
                ORDER BY next_ns, id LIMIT ?5",
            values: vec![
                text(self.named.name.clone()),
                instant(now),
                text(group),
                text(event),
                integer(most),
            ],
        };
        let answers = self.store.catalog.query(vec![statement]).await?;
        rows(&answers, 0).iter().map(due_row).collect()
    }

    /// Whether a message about the group was sent a short while ago; what waits then waits longer.
    async fn is_told_lately(&self, group: &str, now: Timestamp) -> Result<bool, AlertingError> {
        let name = text(self.named.name.clone());
        let sent = Statement {
            sql: "SELECT MAX(sent_ns) FROM alerting_outbox
                WHERE notifier = ?1 AND group_key = ?2 AND state = 'sent'",
            values: vec![name.clone(), text(group)],
        };
        let answers = self.store.catalog.query(vec![sent]).await?;
        let sent = rows(&answers, 0).first().map(|row| Columns::of(row).optional_instant());
        let next = match sent.transpose()?.flatten() {
            Some(sent) if sent <= now => sent.saturating_add(GROUP_INTERVAL),
            _ => return Ok(false),
        };
        if next <= now {
            return Ok(false);
        }
        let put_off = Statement {
            sql: "UPDATE alerting_outbox SET next_ns = ?3 WHERE notifier = ?1 AND group_key = ?2
                AND state = 'pending' AND event = 'alert.opened' AND next_ns < ?3",
            values: vec![name, text(group), instant(next)],
        };
        self.commit(vec![put_off]).await?;
        Ok(true)
    }

    /// Takes rows and notes the alerts' titles as they are at the first attempt; hands back those
    /// that no other worker took before, and `None` when there were none to take. Repeating the step
    /// changes nothing more.
    async fn leased(
        &self,
        group: Vec<Due>,
        now: Timestamp,
    ) -> Result<Option<Vec<Due>>, AlertingError> {
        if group.is_empty() {
            return Ok(None);
        }
        let until = now.saturating_add(LEASE);
        let lease = |due: &Due| Statement {
            sql: "UPDATE alerting_outbox SET lease_until_ns = ?3, last_ns = ?2, attempts = ?4,
                    first_ns = COALESCE(first_ns, ?2),
                    title = COALESCE(title, (SELECT title FROM alerting_alerts
                        WHERE alerting_alerts.id = alerting_outbox.alert_id))
                WHERE id = ?1 AND state = 'pending'
                    AND (lease_until_ns <= ?2 OR lease_until_ns = ?3)",
            values: vec![
                text(due.id.to_string()),
                instant(now),
                instant(until),
                integer(due.attempts.saturating_add(1)),
            ],
        };
        let step = Step { statements: group.iter().map(lease).collect(), ..Step::default() };
        let mut outcome = self.store.catalog.step(step.clone()).await;
        if matches!(outcome, Err(CatalogError::Unknown)) {
            outcome = self.store.catalog.step(step).await;
        }
        let StepOutcome::Done { changed, .. } = outcome? else { return Ok(Some(Vec::new())) };
        let taken = group.into_iter().zip(changed).filter(|(_, changed)| *changed == 1);
        Ok(Some(taken.map(|(due, _)| due).collect()))
    }

    /// Sends one message about these rows: one, or several of alerts that were opened.
    async fn deliver(&self, group: Vec<Due>) -> Result<(), AlertingError> {
        let (sent_lately, held_back) = self.traffic().await?;
        let is_over = |limit: u32| sent_lately >= u64::from(limit);
        if let Some(limit) = self.named.notifier.per_hour_max().filter(|limit| is_over(*limit)) {
            let answer = format!("held back: more than {limit} notifications in one hour");
            return self.hold_back(&group, &answer).await;
        }
        let mask = &self.named.mask;
        let mut alerts = Vec::new();
        let mut told = Vec::new();
        for due in group {
            match tables::row_of(&*self.store.catalog, due.alert_id).await? {
                Some(AlertRow { summary, body }) => {
                    alerts.push((due.id, hidden::masked_summary(mask, summary, &body.entities)));
                }
                None => {
                    self.give_up(&[due], "the alert does not exist any more").await?;
                    continue;
                }
            }
            told.push(due);
        }
        // The worst of them stands first, with everything that is known about it.
        alerts.sort_by_key(|(_, summary)| std::cmp::Reverse(summary.severity));
        let Some((id, first)) = alerts.first() else { return Ok(()) };
        let event = told.first().map(|due| due.event.clone()).unwrap_or_default();
        let acknowledge = match self.named.notifier.acknowledges() {
            // Of several alerts it could only acknowledge one.
            Some(recipient)
                if first.state == AlertState::Open
                    && !["alert.digest", handover::EVENT].contains(&event.as_str()) =>
            {
                let about = (first.id, *id);
                let now = self.store.clock.now();
                Some(link::issue(&*self.store.catalog, about, &recipient, now).await?)
            }
            _ => None,
        };
        let mut alert = tables::load(&*self.store.catalog, first.id).await?;
        usual::tell(self.shared.searches(), &mut alert).await;
        let outgoing = Outgoing {
            id: *id,
            event,
            trouble: None,
            alert: Some(hidden::masked(mask, alert)),
            also: alerts.iter().skip(1).map(|(_, summary)| summary.clone()).collect(),
            sent_at: self.store.clock.now(),
            public_url: self.public_url.clone(),
            held_back,
            notifier: self.named.name.clone(),
            acknowledge,
            page_late: self
                .shared
                .rules()
                .find(&first.rule.id)
                .is_some_and(|rule| rule.settings.page_late),
        };
        // Asked for once more, it is sent.
        let is_first = told.iter().all(|due| due.attempts == 0);
        if let Some(age) = outgoing.late_age().filter(|_| is_first && self.named.notifier.pages()) {
            let answer = format!("not paged: these events are {age}");
            let noted =
                |due| self.not_sent(due, DeliveryState::Silenced, &answer, outgoing.sent_at);
            return self.commit(told.iter().flat_map(noted).collect()).await;
        }
        let outcome = self.named.notifier.send(&outgoing).await;
        self.note(outcome.is_ok()).await?;
        match outcome {
            Ok(answer) => self.mark_sent(&told, &answer).await,
            Err(error) => self.mark_failed(&told, &error).await,
        }
    }

    fn breaker(&self) -> Breaker {
        *self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of how an attempt ended. When a receiver is back, what waits for it is due at once.
    async fn note(&self, is_ok: bool) -> Result<(), AlertingError> {
        let now = self.store.clock.now();
        let (is_back, paused_until) = {
            let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
            if is_ok { (breaker.succeed(), None) } else { (false, breaker.fail(now)) }
        };
        let state = match (is_ok, paused_until) {
            (true, _) => NotifierState::Ok,
            (false, None) => NotifierState::Failing,
            (false, Some(until)) => NotifierState::Paused(until),
        };
        (self.report)(&self.named.name, state);
        let name = &self.named.name;
        let paused = if paused_until.is_some() { 1.0 } else { 0.0 };
        ::metrics::gauge!(metrics::NOTIFIER_PAUSED, "notifier" => name.clone()).set(paused);
        if let Some(until) = paused_until {
            warn!(notifier = %name, %until, "receiver fails again and again and is left alone");
            ::metrics::counter!(metrics::NOTIFIER_PAUSES_TOTAL, "notifier" => name.clone())
                .increment(1);
        }
        if !is_back {
            return Ok(());
        }
        let statement = Statement {
            sql: "UPDATE alerting_outbox SET next_ns = ?2
                WHERE notifier = ?1 AND state = 'pending' AND next_ns > ?2
                    AND (attempts > 0 OR answer LIKE 'waiting%')",
            values: vec![text(name.clone()), instant(now)],
        };
        self.commit(vec![statement]).await
    }

    /// Says of what is due that it waits until the receiver is tried again.
    async fn put_off(&self, until: Timestamp) -> Result<(), AlertingError> {
        let statement = |sql: &'static str| Statement {
            sql,
            values: vec![text(self.named.name.clone()), instant(until)],
        };
        let count = statement(
            "SELECT COUNT(*) FROM alerting_outbox
                WHERE notifier = ?1 AND state = 'pending' AND next_ns < ?2",
        );
        let answers = self.store.catalog.query(vec![count]).await?;
        let waiting = rows(&answers, 0).first().map_or(Ok(0), |row| Columns::of(row).count())?;
        if waiting == 0 {
            return Ok(());
        }
        let mut put_off = statement(
            "UPDATE alerting_outbox SET next_ns = ?2,
                    answer = CASE WHEN attempts = 0 THEN ?3 ELSE answer END
                WHERE notifier = ?1 AND state = 'pending' AND next_ns < ?2",
        );
        put_off.values.push(text(format!(
            "{WAITING}: the receiver failed {FAILURES_MAX} times in a row and is tried again then"
        )));
        self.commit(vec![put_off]).await
    }

    /// Sends what says that notifications arrive, so that their silence is noticed. It is not kept:
    /// the next one comes anyway.
    pub(crate) async fn give_sign_of_life(&self) {
        if !(self.is_well)() {
            warn!(notifier = %self.named.name, "sign of life is withheld: alerts would come late");
            ::metrics::counter!(metrics::SIGNS_WITHHELD_TOTAL).increment(1);
            return;
        }
        let sent_at = self.store.clock.now();
        let name = self.named.name.as_bytes();
        let entropy = identity::hash(&[b"heartbeat", name, &sent_at.nanos().to_le_bytes()]);
        let outgoing = Outgoing {
            id: NotificationId::from_parts(sent_at, entropy),
            event: String::from("notifier.heartbeat"),
            alert: None,
            trouble: None,
            also: Vec::new(),
            sent_at,
            public_url: self.public_url.clone(),
            held_back: 0,
            notifier: self.named.name.clone(),
            acknowledge: None,
            page_late: false,
        };
        let outcome = self.named.notifier.send(&outgoing).await;
        if let Err(error) = self.note(outcome.is_ok()).await {
            warn!(notifier = %self.named.name, %error, "outbox cannot be read");
        }
        if let Err(error) = outcome {
            warn!(notifier = %self.named.name, %error, "sign of life failed");
        }
    }

    /// Notifications sent within the last hour, and those held back since the last one sent.
    async fn traffic(&self) -> Result<(u64, u64), AlertingError> {
        let hour_ago = self.store.clock.now().saturating_sub(Duration::from_secs(3_600));
        let name = text(self.named.name.clone());
        let sent = Statement {
            sql: "SELECT COUNT(*) FROM alerting_outbox
                WHERE notifier = ?1 AND state = 'sent' AND sent_ns > ?2",
            values: vec![name.clone(), instant(hour_ago)],
        };
        let held = Statement {
            sql: "SELECT COUNT(*) FROM alerting_outbox
                WHERE notifier = ?1 AND state = 'limited'
                    AND last_ns >= COALESCE((SELECT MAX(sent_ns) FROM alerting_outbox
                        WHERE notifier = ?1 AND state = 'sent'), 0)",
            values: vec![name],
        };
        let answers = self.store.catalog.query(vec![sent, held]).await?;
        let count = |place: usize| match rows(&answers, place).first() {
            Some(row) => Columns::of(row).count(),
            None => Ok(0),
        };
        Ok((count(0)?, count(1)?))
    }

    async fn mark_sent(&self, told: &[Due], answer: &str) -> Result<(), AlertingError> {
        let now = self.store.clock.now();
        let name = self.named.name.clone();
        ::metrics::counter!(metrics::NOTIFICATIONS_SENT_TOTAL, "notifier" => name)
            .increment(told.len() as u64);
        let status = status_of(answer).unwrap_or("taken");
        let words = match told.len() {
            1 => format!("{} {}: {status}", self.named.kind, self.named.name),
            n => format!("{} {}, with {} more: {status}", self.named.kind, self.named.name, n - 1),
        };
        let mark = |due: &Due| {
            let update = Statement {
                sql: "UPDATE alerting_outbox SET state = 'sent', sent_ns = ?2, lease_until_ns = 0,
                        answer = ?3 WHERE id = ?1",
                values: vec![text(due.id.to_string()), instant(now), text(answer)],
            };
            [update, timeline_entry(due.alert_id, TimelineKind::Notified, None, &words, now)]
        };
        self.commit(told.iter().flat_map(mark).collect()).await
    }

    async fn mark_failed(&self, told: &[Due], error: &SendError) -> Result<(), AlertingError> {
        let now = self.store.clock.now();
        let name = self.named.name.clone();
        ::metrics::counter!(metrics::NOTIFICATION_ATTEMPTS_FAILED_TOTAL, "notifier" => name)
            .increment(1);
        let mut statements = Vec::new();
        for due in told {
            let id = due.id;
            warn!(notifier = %self.named.name, notification = %id, %error, "notification failed");
            if now.since(due.created_at) >= GIVE_UP_AFTER {
                statements.extend(self.given_up(due, &error.0, now));
                statements.extend(self.told_to_others(due, now).await?);
                continue;
            }
            let next = now.saturating_add(backoff(due.attempts, due.id));
            statements.push(Statement {
                sql: "UPDATE alerting_outbox SET next_ns = ?2, lease_until_ns = 0, answer = ?3
                    WHERE id = ?1",
                values: vec![text(due.id.to_string()), instant(next), text(error.0.clone())],
            });
            if due.attempts == 0 {
                let (kind, name) = (self.named.kind, &self.named.name);
                let status = status_of(&error.0).unwrap_or("not taken");
                let words = format!("{kind} {name}: {status}; trying again");
                let entry = timeline_entry(due.alert_id, TimelineKind::Failed, None, &words, now);
                statements.push(entry);
            }
        }
        self.commit(statements).await?;
        (self.wake_others)();
        Ok(())
    }

    async fn give_up(&self, group: &[Due], answer: &str) -> Result<(), AlertingError> {
        let now = self.store.clock.now();
        self.commit(group.iter().flat_map(|due| self.given_up(due, answer, now)).collect()).await
    }

    fn given_up(&self, due: &Due, answer: &str, now: Timestamp) -> [Statement; 2] {
        let name = self.named.name.clone();
        ::metrics::counter!(metrics::NOTIFICATIONS_FAILED_TOTAL, "notifier" => name).increment(1);
        self.not_sent(due, DeliveryState::Failed, answer, now)
    }

    /// Notes that these are not sent, because the receiver had enough.
    async fn hold_back(&self, group: &[Due], answer: &str) -> Result<(), AlertingError> {
        ::metrics::counter!(metrics::NOTIFICATIONS_HELD_TOTAL, "notifier" => self.named.name.clone())
            .increment(group.len() as u64);
        let now = self.store.clock.now();
        let held = |due| self.not_sent(due, DeliveryState::Limited, answer, now);
        self.commit(group.iter().flat_map(held).collect()).await
    }

    fn not_sent(
        &self,
        due: &Due,
        state: DeliveryState,
        answer: &str,
        now: Timestamp,
    ) -> [Statement; 2] {
        let update = Statement {
            sql: "UPDATE alerting_outbox SET state = ?3, lease_until_ns = 0, answer = ?2
                WHERE id = ?1",
            values: vec![text(due.id.to_string()), text(answer), text(state.name())],
        };
        let (kind, why) = match state {
            DeliveryState::Failed => {
                (TimelineKind::Failed, status_of(answer).unwrap_or("not taken"))
            }
            _ => (TimelineKind::Notified, answer),
        };
        let words = format!("{} {}: {why}; not sent", self.named.kind, self.named.name);
        [update, timeline_entry(due.alert_id, kind, None, &words, now)]
    }

    /// The statements that put into the outbox of every other notifier that this one did not get
    /// through. What says so itself is not told again: two dead notifiers would do so for ever.
    async fn told_to_others(
        &self,
        due: &Due,
        now: Timestamp,
    ) -> Result<Vec<Statement>, AlertingError> {
        if due.event == FAILED_EVENT {
            return Ok(Vec::new());
        }
        let row = tables::row_of(&*self.store.catalog, due.alert_id).await?;
        let Some(AlertRow { summary, .. }) = row else { return Ok(Vec::new()) };
        let occasion = format!("{FAILED_EVENT} {}", due.id);
        let others = self.others.iter().filter(|other| other.notifier.wants(FAILED_EVENT));
        let pending = Pending::now(FAILED_EVENT, &occasion, now);
        Ok(others.map(|other| insert(&summary, other, &pending)).collect())
    }

    async fn commit(&self, statements: Vec<Statement>) -> Result<(), AlertingError> {
        commit(&*self.store.catalog, Step { statements, ..Step::default() }).await
    }

    /// How long until the next row is due.
    async fn pause(&self) -> Result<Duration, AlertingError> {
        let statement = Statement {
            sql: "SELECT next_ns, lease_until_ns FROM alerting_outbox
                WHERE notifier = ?1 AND state = 'pending' ORDER BY next_ns LIMIT 50",
            values: vec![text(self.named.name.clone())],
        };
        let answers = self.store.catalog.query(vec![statement]).await?;
        let now = self.store.clock.now();
        let mut pause = SLEEP_MAX;
        for row in rows(&answers, 0) {
            let mut columns = Columns::of(row);
            let due = columns.instant()?.max(columns.instant()?);
            pause = pause.min(due.since(now).max(PAUSE_MIN));
        }
        Ok(pause)
    }
}

fn due_row(row: &Row) -> Result<Due, AlertingError> {
    let mut columns = Columns::of(row);
    Ok(Due {
        id: columns.id()?,
        alert_id: columns.id()?,
        event: columns.text()?.to_owned(),
        attempts: u32::try_from(columns.integer()?).unwrap_or(u32::MAX),
        created_at: columns.instant()?,
        group: columns.text()?.to_owned(),
    })
}

/// The status by which a receiver's words begin: all of them that everybody may read who sees the alert.
fn status_of(answer: &str) -> Option<&str> {
    let status = answer.split([' ', '-']).next()?;
    (status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit())).then_some(status)
}

/// What becomes one message of rows that are due, the oldest first: those of one group, or several
/// alerts that were opened where there are many, if they may be listed; else the oldest row alone.
fn grouped(due: Vec<Due>, lists_alerts: bool) -> Vec<Due> {
    if let Some((event, group)) = due.first().map(|due| (due.event.clone(), due.group.clone()))
        && lists_alerts
        && !group.is_empty()
    {
        let is_of_group = |due: &Due| due.group == group && due.event == event;
        return due.into_iter().filter(is_of_group).collect();
    }
    let is_opened = |due: &Due| due.event == OPENED && due.group.is_empty();
    if lists_alerts && due.iter().filter(|due| is_opened(due)).count() >= GROUP_MIN {
        return due.into_iter().filter(is_opened).collect();
    }
    due.into_iter().take(1).collect()
}

/// The pause after this many earlier attempts: it doubles up to a bound, and lies between half of
/// that and all of it, by the notification's id, so that many of them do not come at once.
fn backoff(attempts: u32, id: NotificationId) -> Duration {
    let whole = BACKOFF_MIN.saturating_mul(1 << attempts.min(20)).min(BACKOFF_MAX);
    let share = identity::hash(&[&id.to_u128().to_le_bytes(), &attempts.to_le_bytes()]) % 512;
    whole / 2 + (whole / 2) * u32::try_from(share).unwrap_or(0) / 512
}
