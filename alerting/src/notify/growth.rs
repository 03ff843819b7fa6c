//! Tells again of alerts that go on: seldom, and only those who were told at once when they were opened.
//!
//! In: what was last told of each alert, written in the transaction that opened it, and what the alert is now. Out:
//! `alert.updated` in the outbox, in the transaction that writes down what is told now. An alert is told of again
//! when it has [`GROWTH`] times the events, or, while nobody has acknowledged it, when its rule fired again and the
//! pause is over, which doubles each time. A restart neither loses nor repeats one. What a silence covers by now is
//! not told, and counts as told.

use std::time::Duration;

use logwarden_event::{AlertId, Timestamp};
use logwarden_store::{Statement, Step};

use crate::alert::lifecycle::{commit, timeline_entry};
use crate::alert::tables::{self, Columns, instant, integer, rows, text};
use crate::alert::wording::counted;
use crate::alert::{AlertSummary, TimelineKind};
use crate::error::AlertingError;
use crate::{Shared, metrics, silence};

/// What such a notification says.
pub(super) const EVENT: &str = "alert.updated";
/// An order of magnitude.
const GROWTH: u64 = 10;
/// Between two notifications about one alert that grows.
const GROWTH_PAUSE: Duration = Duration::from_secs(5 * 60);
/// Between two about one whose rule fires again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(30 * 60), Duration::from_secs(6 * 3_600));
/// Alerts told of again at one look, the longest untold first; further ones at the next.
const BATCH_MAX: usize = 100;

/// The statement that notes what is told of an alert at its opening.
pub(super) fn begun(summary: &AlertSummary, now: Timestamp) -> Statement {
    Statement {
        sql: "INSERT INTO alerting_told (alert_id, events, detections, round, told_ns, next_ns)
            VALUES (?1, ?2, ?3, 0, ?4, ?5) ON CONFLICT (alert_id) DO NOTHING",
        values: vec![
            text(summary.id.to_string()),
            integer(summary.events),
            integer(summary.detections),
            instant(now),
            instant(now.saturating_add(PAUSE.0)),
        ],
    }
}

/// The pause after so many notifications.
fn pause(round: u64) -> Duration {
    let doubled = 1u32.checked_shl(u32::try_from(round).unwrap_or(u32::MAX)).unwrap_or(u32::MAX);
    PAUSE.0.saturating_mul(doubled).min(PAUSE.1)
}

/// Tells of every alert that is due.
pub(crate) async fn tell(shared: &Shared) -> Result<(), AlertingError> {
    let now = shared.store.clock.now();
    let due = Statement {
        sql: "SELECT t.alert_id, t.round FROM alerting_told t
            JOIN alerting_alerts a ON a.id = t.alert_id
            WHERE a.state <> 'resolved' AND (
                (a.events >= t.events * ?1 AND t.told_ns <= ?2)
                OR (a.state = 'open' AND a.detections > t.detections AND t.next_ns <= ?3))
            ORDER BY t.told_ns LIMIT ?4",
        values: vec![
            integer(GROWTH),
            instant(now.saturating_sub(GROWTH_PAUSE)),
            instant(now),
            integer(BATCH_MAX),
        ],
    };
    let answers = shared.store.catalog.query(vec![due]).await?;
    let mut is_any_told = false;
    for row in rows(&answers, 0) {
        let mut columns = Columns::of(row);
        let (id, round) = (columns.id()?, columns.count()?);
        is_any_told |= tell_one(shared, id, round, now).await?;
    }
    if is_any_told {
        shared.wake_workers();
    }
    Ok(())
}

/// Tells of one alert; answers whether anybody is told.
async fn tell_one(
    shared: &Shared,
    id: AlertId,
    round: u64,
    now: Timestamp,
) -> Result<bool, AlertingError> {
    let catalog = &*shared.store.catalog;
    let _writing = shared.writing.lock().await;
    let Some(row) = tables::row_of(catalog, id).await? else { return Ok(false) };
    let summary = row.summary;
    let noted = Statement {
        sql: "UPDATE alerting_told SET events = ?3, detections = ?4, round = ?2 + 1, told_ns = ?5,
                next_ns = ?6 WHERE alert_id = ?1 AND round = ?2",
        values: vec![
            text(id.to_string()),
            integer(round),
            integer(summary.events),
            integer(summary.detections),
            instant(now),
            instant(now.saturating_add(pause(round.saturating_add(1)))),
        ],
    };
    let mut statements = vec![noted];
    let silences = silence::load(catalog, now).await?;
    let told = match silences.iter().any(|one| one.muted.covers(&summary)) {
        true => Vec::new(),
        false => tables::told_about(catalog, id).await?,
    };
    let again = shared.routing().statements_for_told(&told, &summary, EVENT, now);
    let is_told = !again.is_empty();
    if is_told {
        let (events, detections) = (summary.events, summary.detections);
        let (events, detections) = (counted(events, "event"), counted(detections, "detection"));
        let words = format!("told again: {events} in {detections} by now");
        statements.push(timeline_entry(id, TimelineKind::Notified, None, &words, now));
        ::metrics::counter!(metrics::UPDATES_TOTAL).increment(1);
    }
    statements.extend(again);
    commit(catalog, Step { statements, ..Step::default() }).await?;
    Ok(is_told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_six_hours() {
        let minutes: Vec<u64> = (0..6).map(|round| pause(round).as_secs() / 60).collect();
        assert_eq!(minutes, [30, 60, 120, 240, 360, 360]);
        assert_eq!(pause(u64::MAX), PAUSE.1);
    }
}
