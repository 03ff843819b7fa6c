//! Sends what lies in the outbox: one worker per notifier, so that a bad receiver delays nobody
//! else.
//!
//! At least once: a row is leased, sent, and marked after the receiver took it; a crash between
//! sends the same notification again, under the same id. What fails is tried again with growing
//! pauses for a day, then kept as failed. Every attempt that did not arrive stays visible.

use std::sync::Arc;
use std::time::Duration;

use logwarden_event::{AlertId, NotificationId, Timestamp};
use logwarden_store::{Statement, Step, StepOutcome, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Named, Outgoing, SendError};
use crate::alert::TimelineKind;
use crate::alert::lifecycle::{commit, timeline_entry};
use crate::alert::tables::{self, Columns, instant, integer, rows, text};
use crate::error::AlertingError;
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
/// The pause when the catalog does not answer.
const CATALOG_PAUSE: Duration = Duration::from_secs(1);
/// What the answer of a notification begins with that was held back.
const HELD_BACK: &str = "held back";

/// Takes a notifier's name and whether its last attempt failed.
pub(crate) type Report = Arc<dyn Fn(&str, bool) + Send + Sync>;

/// A row that is to be sent now.
struct Due {
    id: NotificationId,
    alert_id: AlertId,
    event: String,
    attempts: u32,
    created_at: Timestamp,
}

/// The worker of one notifier.
pub(crate) struct Worker {
    pub store: Store,
    pub named: Named,
    pub public_url: String,
    /// Says whether the last attempt failed.
    pub report: Report,
}

impl Worker {
    /// Sends until `shutdown`; `wake` changes when something was put into the outbox.
    pub(crate) async fn run(self, mut wake: watch::Receiver<u64>, shutdown: CancellationToken) {
        loop {
            wake.mark_unchanged();
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
            let Some(due) = self.next_due(now).await? else { break };
            if self.lease(&due, now).await? {
                self.deliver(due).await?;
            }
        }
        self.pause().await
    }

    async fn next_due(&self, now: Timestamp) -> Result<Option<Due>, AlertingError> {
        let statement = Statement {
            sql: "SELECT id, alert_id, event, attempts, created_ns FROM alerting_outbox
                WHERE notifier = ?1 AND state = 'pending' AND next_ns <= ?2
                    AND lease_until_ns <= ?2
                ORDER BY next_ns, id LIMIT 1",
            values: vec![text(self.named.name.clone()), instant(now)],
        };
        let answers = self.store.catalog.query(vec![statement]).await?;
        let Some(row) = rows(&answers, 0).first() else { return Ok(None) };
        let mut columns = Columns::of(row);
        Ok(Some(Due {
            id: columns.id()?,
            alert_id: columns.id()?,
            event: columns.text()?.to_owned(),
            attempts: u32::try_from(columns.integer()?).unwrap_or(u32::MAX),
            created_at: columns.instant()?,
        }))
    }

    /// Takes a row; false when another worker was faster. Repeating the step changes nothing more.
    async fn lease(&self, due: &Due, now: Timestamp) -> Result<bool, AlertingError> {
        let until = now.saturating_add(LEASE);
        let statement = Statement {
            sql: "UPDATE alerting_outbox SET lease_until_ns = ?3, last_ns = ?2, attempts = ?4
                WHERE id = ?1 AND state = 'pending'
                    AND (lease_until_ns <= ?2 OR lease_until_ns = ?3)",
            values: vec![
                text(due.id.to_string()),
                instant(now),
                instant(until),
                integer(due.attempts.saturating_add(1)),
            ],
        };
        let step = Step { statements: vec![statement], ..Step::default() };
        let mut outcome = self.store.catalog.step(step.clone()).await;
        if matches!(outcome, Err(logwarden_store::CatalogError::Unknown)) {
            outcome = self.store.catalog.step(step).await;
        }
        match outcome? {
            StepOutcome::Done { changed, .. } => Ok(changed.first() == Some(&1)),
            _ => Ok(false),
        }
    }

    async fn deliver(&self, due: Due) -> Result<(), AlertingError> {
        let (sent_lately, held_back) = self.traffic().await?;
        let is_over = |limit: u32| sent_lately >= u64::from(limit);
        if let Some(limit) = self.named.notifier.per_hour_max().filter(|limit| is_over(*limit)) {
            ::metrics::counter!(metrics::NOTIFICATIONS_HELD_TOTAL, "notifier" => self.named.name.clone())
                .increment(1);
            let answer = format!("{HELD_BACK}: more than {limit} notifications in one hour");
            return self.give_up(&due, &answer).await;
        }
        let alert = match tables::load(&*self.store.catalog, due.alert_id).await {
            Ok(alert) => Some(alert),
            Err(AlertingError::NotFound) => {
                return self.give_up(&due, "the alert does not exist any more").await;
            }
            Err(error) => return Err(error),
        };
        let outgoing = Outgoing {
            id: due.id,
            event: due.event.clone(),
            alert,
            sent_at: self.store.clock.now(),
            public_url: self.public_url.clone(),
            held_back,
            notifier: self.named.name.clone(),
        };
        let outcome = self.named.notifier.send(&outgoing).await;
        (self.report)(&self.named.name, outcome.is_err());
        match outcome {
            Ok(answer) => self.mark_sent(&due, &answer).await,
            Err(error) => self.mark_failed(&due, &error).await,
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
                WHERE notifier = ?1 AND state = 'failed' AND answer LIKE 'held back%'
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

    async fn mark_sent(&self, due: &Due, answer: &str) -> Result<(), AlertingError> {
        let now = self.store.clock.now();
        let name = self.named.name.clone();
        ::metrics::counter!(metrics::NOTIFICATIONS_SENT_TOTAL, "notifier" => name).increment(1);
        let update = Statement {
            sql: "UPDATE alerting_outbox SET state = 'sent', sent_ns = ?2, lease_until_ns = 0,
                    answer = ?3 WHERE id = ?1",
            values: vec![text(due.id.to_string()), instant(now), text(answer)],
        };
        let words = format!("{} {}: {answer}", self.named.kind, self.named.name);
        let entry = timeline_entry(due.alert_id, TimelineKind::Notified, None, &words, now);
        self.commit(vec![update, entry]).await
    }

    async fn mark_failed(&self, due: &Due, error: &SendError) -> Result<(), AlertingError> {
        let now = self.store.clock.now();
        let name = self.named.name.clone();
        ::metrics::counter!(metrics::NOTIFICATION_ATTEMPTS_FAILED_TOTAL, "notifier" => name)
            .increment(1);
        warn!(notifier = %self.named.name, notification = %due.id, %error, "notification failed");
        if now.since(due.created_at) >= GIVE_UP_AFTER {
            return self.give_up(due, &error.0).await;
        }
        let next = now.saturating_add(backoff(due.attempts, due.id));
        let update = Statement {
            sql: "UPDATE alerting_outbox SET next_ns = ?2, lease_until_ns = 0, answer = ?3
                WHERE id = ?1",
            values: vec![text(due.id.to_string()), instant(next), text(error.0.clone())],
        };
        let mut statements = vec![update];
        if due.attempts == 0 {
            let words = format!("{} {}: {error}; trying again", self.named.kind, self.named.name);
            let entry = timeline_entry(due.alert_id, TimelineKind::Failed, None, &words, now);
            statements.push(entry);
        }
        self.commit(statements).await
    }

    async fn give_up(&self, due: &Due, answer: &str) -> Result<(), AlertingError> {
        let now = self.store.clock.now();
        let name = self.named.name.clone();
        ::metrics::counter!(metrics::NOTIFICATIONS_FAILED_TOTAL, "notifier" => name).increment(1);
        let update = Statement {
            sql: "UPDATE alerting_outbox SET state = 'failed', lease_until_ns = 0, answer = ?2
                WHERE id = ?1",
            values: vec![text(due.id.to_string()), text(answer)],
        };
        let words = format!("{} {}: {answer}; not sent", self.named.kind, self.named.name);
        let entry = timeline_entry(due.alert_id, TimelineKind::Failed, None, &words, now);
        self.commit(vec![update, entry]).await
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
            pause = pause.min(due.since(now).max(Duration::from_millis(50)));
        }
        Ok(pause)
    }
}

/// The pause after this many earlier attempts: it doubles up to a bound, and lies between half of
/// that and all of it, by the notification's id, so that many of them do not come at once.
fn backoff(attempts: u32, id: NotificationId) -> Duration {
    let whole = BACKOFF_MIN.saturating_mul(1 << attempts.min(20)).min(BACKOFF_MAX);
    let share =
        crate::identity::hash(&[&id.to_u128().to_le_bytes(), &attempts.to_le_bytes()]) % 512;
    whole / 2 + (whole / 2) * u32::try_from(share).unwrap_or(0) / 512
}
