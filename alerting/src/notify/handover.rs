//! Tells whoever comes on duty what is open of what those before them were told.
//!
//! In: who was on duty of each rota, kept in the catalog, and who is now. Out: one `rota.handover` message for each
//! notifier of the new person, in the transaction that writes down who is on duty; a restart neither loses nor
//! repeats one. A rota that is seen for the first time hands nothing over, and neither does one of which nothing is
//! open.

use logwarden_event::{AlertId, Timestamp};
use logwarden_store::{Statement, Step};

use super::plan::{Pending, insert};
use super::rota::Rota;
use crate::alert::lifecycle::{commit, timeline_entry};
use crate::alert::tables::{self, Columns, instant, integer, rows, text};
use crate::alert::{AlertSummary, TimelineKind};
use crate::config::PersonConfig;
use crate::error::AlertingError;
use crate::{Shared, metrics};

/// What such a notification says.
pub(super) const EVENT: &str = "rota.handover";
/// Alerts handed over in one message, the newest; older ones are in the list of alerts.
const HANDED_MAX: usize = 50;

/// Looks at every rota.
pub(crate) async fn tell(shared: &Shared) -> Result<(), AlertingError> {
    let routing = shared.routing();
    if routing.rotas().is_empty() {
        return Ok(());
    }
    let all =
        Statement { sql: "SELECT rota, person, notify FROM alerting_duties", values: Vec::new() };
    let answers = shared.store.catalog.query(vec![all]).await?;
    let mut known: Vec<(String, PersonConfig)> = Vec::new();
    for row in rows(&answers, 0) {
        let mut columns = Columns::of(row);
        let rota = columns.text()?.to_owned();
        let name = columns.text()?.to_owned();
        known.push((rota, PersonConfig { name, notify: columns.json()? }));
    }
    let now = shared.store.clock.now();
    for rota in routing.rotas() {
        let person = rota.on_duty(now);
        let before = known.iter().find(|(name, _)| *name == rota.name).map(|(_, before)| before);
        if before != Some(person) {
            hand_over(shared, rota, before, person, now).await?;
        }
    }
    Ok(())
}

async fn hand_over(
    shared: &Shared,
    rota: &Rota,
    before: Option<&PersonConfig>,
    person: &PersonConfig,
    now: Timestamp,
) -> Result<(), AlertingError> {
    let catalog = &*shared.store.catalog;
    let _writing = shared.writing.lock().await;
    let mut statements = vec![Statement {
        sql: "INSERT INTO alerting_duties (rota, person, notify, since_ns) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (rota) DO UPDATE SET person = excluded.person, notify = excluded.notify,
                since_ns = excluded.since_ns",
        values: vec![
            text(rota.name.clone()),
            text(person.name.clone()),
            text(serde_json::to_string(&person.notify).unwrap_or_default()),
            instant(now),
        ],
    }];
    // The same person with other notifiers takes nothing over.
    let before = before.filter(|before| before.name != person.name);
    let open = match before {
        Some(before) => still_open(shared, before).await?,
        None => Vec::new(),
    };
    let routing = shared.routing();
    let told = routing.notifiers().iter().filter(|named| person.notify.contains(&named.name));
    let told: Vec<_> = told.filter(|named| named.notifier.wants(EVENT)).collect();
    let occasion = format!("{EVENT} {} {}", rota.name, now.nanos());
    let pending = Pending { group: &occasion, ..Pending::now(EVENT, &occasion, now) };
    for summary in &open {
        statements.extend(told.iter().map(|named| insert(summary, named, &pending)));
        let words = format!("{} is on duty now and takes it over", person.name);
        statements.push(timeline_entry(summary.id, TimelineKind::Notified, None, &words, now));
    }
    commit(catalog, Step { statements, ..Step::default() }).await?;
    if !open.is_empty() {
        ::metrics::counter!(metrics::HANDOVERS_TOTAL).increment(1);
        shared.wake_workers();
    }
    Ok(())
}

/// What somebody was told of and is not resolved, the newest.
async fn still_open(
    shared: &Shared,
    person: &PersonConfig,
) -> Result<Vec<AlertSummary>, AlertingError> {
    let statement = Statement {
        sql: "SELECT a.id FROM alerting_alerts a
            WHERE a.state <> 'resolved' AND EXISTS (SELECT 1 FROM alerting_outbox o
                WHERE o.alert_id = a.id AND o.state <> 'silenced' AND ?1 LIKE '%\"' || o.notifier || '\"%' AND o.event IN
                    ('alert.opened', 'alert.digest', 'alert.escalated', 'rota.handover'))
            ORDER BY a.opened_ns DESC LIMIT ?2",
        values: vec![
            text(serde_json::to_string(&person.notify).unwrap_or_default()),
            integer(HANDED_MAX),
        ],
    };
    let catalog = &*shared.store.catalog;
    let answers = catalog.query(vec![statement]).await?;
    let mut open = Vec::new();
    for row in rows(&answers, 0) {
        let id: AlertId = Columns::of(row).id()?;
        open.extend(tables::row_of(catalog, id).await?.map(|row| row.summary));
    }
    Ok(open)
}
