//! Tells others when nobody acknowledges an alert in time.
//!
//! In: the steps that were written in the transaction that opened the alert, each with the instant
//! at which it is due by our clock. Out: notifications in the outbox, in the transaction that ends
//! the step; a restart neither loses nor repeats one. Who is on duty is asked when a step is due.

use std::sync::Arc;
use std::time::Duration;

use logwarden_event::{AlertId, Timestamp};
use logwarden_store::{Statement, Step};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::plan::{Pending, insert};
use crate::alert::lifecycle::{commit, timeline_entry};
use crate::alert::tables::{self, Columns, instant, integer, rows, text};
use crate::alert::{AlertState, AlertSummary, TimelineKind};
use crate::config::EscalationConfig;
use crate::error::AlertingError;
use crate::{Shared, metrics};

/// What such a notification says.
const EVENT: &str = "alert.escalated";
/// The longest sleep: a clock may jump.
const SLEEP_MAX: Duration = Duration::from_secs(15);
/// The shortest sleep.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The pause when the catalog does not answer.
const CATALOG_PAUSE: Duration = Duration::from_secs(1);
/// Steps worked off at once.
const BATCH_MAX: usize = 100;

/// The statements that put off the steps of a new alert until they are due.
pub(super) fn planned(
    summary: &AlertSummary,
    route: &str,
    steps: &[EscalationConfig],
    now: Timestamp,
) -> Vec<Statement> {
    let plan = |(step, config): (usize, &EscalationConfig)| {
        let after = Duration::from_secs(60 * u64::from(config.after_mins.get()));
        Statement {
            sql: "INSERT INTO alerting_escalations
                    (alert_id, step, round, after_secs, due_ns, notify, route, state)
                VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, 'waiting') ON CONFLICT (alert_id, step) DO NOTHING",
            values: vec![
                text(summary.id.to_string()),
                integer(step + 1),
                integer(after.as_secs()),
                instant(now.saturating_add(after)),
                text(serde_json::to_string(&config.notify).unwrap_or_default()),
                text(route),
            ],
        }
    };
    steps.iter().enumerate().map(plan).collect()
}

/// The statement by which somebody's act ends the steps of an alert, or begins them anew.
pub(crate) fn after_act(id: AlertId, state: AlertState, now: Timestamp) -> Statement {
    let (sql, values) = match state {
        AlertState::Open => (
            "UPDATE alerting_escalations SET state = 'waiting', round = round + 1,
                    due_ns = ?2 + after_secs * 1000000000
                WHERE alert_id = ?1 AND state <> 'waiting'",
            vec![text(id.to_string()), instant(now)],
        ),
        AlertState::Acknowledged | AlertState::Resolved => (
            "UPDATE alerting_escalations SET state = 'off'
                WHERE alert_id = ?1 AND state = 'waiting'",
            vec![text(id.to_string())],
        ),
    };
    Statement { sql, values }
}

struct Due {
    alert_id: AlertId,
    step: u64,
    round: u64,
    after: Duration,
    notify: Vec<String>,
    route: String,
}

/// Works off what is due until `shutdown`; `wake` changes when alerts were opened.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut wake: watch::Receiver<u64>,
    shutdown: CancellationToken,
) {
    loop {
        wake.mark_unchanged();
        let pause = escalate_due(&shared).await.unwrap_or_else(|error| {
            warn!(%error, "escalations cannot be worked off");
            CATALOG_PAUSE
        });
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = wake.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Works off what is due; answers how long there will be nothing to do.
pub(crate) async fn escalate_due(shared: &Shared) -> Result<Duration, AlertingError> {
    loop {
        let now = shared.store.clock.now();
        let statement = Statement {
            sql: "SELECT alert_id, step, round, after_secs, notify, route, due_ns
                FROM alerting_escalations WHERE state = 'waiting' ORDER BY due_ns LIMIT ?1",
            values: vec![integer(BATCH_MAX)],
        };
        let answers = shared.store.catalog.query(vec![statement]).await?;
        let found = rows(&answers, 0);
        let mut is_any_due = false;
        for row in found {
            let mut columns = Columns::of(row);
            let due = Due {
                alert_id: columns.id()?,
                step: columns.count()?,
                round: columns.count()?,
                after: Duration::from_secs(columns.count()?),
                notify: columns.json()?,
                route: columns.text()?.to_owned(),
            };
            let due_at = columns.instant()?;
            if due_at > now {
                let pause = due_at.since(now).clamp(PAUSE_MIN, SLEEP_MAX);
                return if is_any_due { Ok(PAUSE_MIN) } else { Ok(pause) };
            }
            is_any_due = true;
            escalate(shared, &due, now).await?;
        }
        if !is_any_due {
            return Ok(SLEEP_MAX);
        }
    }
}

async fn escalate(shared: &Shared, due: &Due, now: Timestamp) -> Result<(), AlertingError> {
    let id = due.alert_id;
    let _writing = shared.writing.lock().await;
    let row = tables::row_of(&*shared.store.catalog, id).await?;
    let open = row.map(|row| row.summary).filter(|summary| summary.state == AlertState::Open);
    let ended = |state: &str| Statement {
        sql: "UPDATE alerting_escalations SET state = ?4
            WHERE alert_id = ?1 AND step = ?2 AND round = ?3 AND state = 'waiting'",
        values: vec![text(id.to_string()), integer(due.step), integer(due.round), text(state)],
    };
    let Some(summary) = open else {
        let step = Step { statements: vec![ended("off")], ..Step::default() };
        return commit(&*shared.store.catalog, step).await;
    };
    let routing = shared.routing();
    let told = routing.named_by(&due.notify, now);
    let names: Vec<String> = told
        .iter()
        .map(|(named, why)| match why {
            Some(why) => format!("{} ({why})", named.name),
            None => named.name.clone(),
        })
        .collect();
    let occasion = format!("{EVENT} {}.{}", due.round, due.step);
    let mut statements = vec![ended("done")];
    let pending = Pending { route: &due.route, ..Pending::now(EVENT, &occasion, now) };
    let wanted = told.iter().filter(|(named, _)| named.notifier.wants(EVENT));
    statements.extend(wanted.map(|(named, _)| insert(&summary, named, &pending)));
    let who =
        if names.is_empty() { String::from("nobody is left to tell") } else { names.join(", ") };
    let minutes = due.after.as_secs() / 60;
    let words = format!("not acknowledged for {minutes} min: {who}");
    statements.push(timeline_entry(id, TimelineKind::Escalated, None, &words, now));
    commit(&*shared.store.catalog, Step { statements, ..Step::default() }).await?;
    ::metrics::counter!(metrics::ESCALATIONS_TOTAL).increment(1);
    shared.wake_workers();
    Ok(())
}
