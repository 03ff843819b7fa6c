//! What goes on after somebody resolved the alert about it.
//!
//! In: a detection that grew, and the alert it belongs to. Out: the alert its events go into. An event at
//! which the condition holds and that we received after the alert was resolved opens a new one; what came
//! before, or only follows, stays with the alert it belongs to.

use std::sync::Arc;

use logwarden_event::{AlertId, EventId, Timestamp};
use logwarden_store::{Catalog, Statement};

use super::Desk;
use crate::alert::AlertState;
use crate::alert::tables::{self, Columns, text};
use crate::error::AlertingError;
use crate::rule::Rule;
use crate::window::{Episode, Member};

/// Where the events of a detection go.
pub(super) enum Goes {
    /// Into this alert.
    This(AlertId),
    /// Into one that is to be opened.
    New,
}

impl Desk {
    /// Where the events go by which a detection of alert `id` grew.
    pub(super) async fn unresolved(
        &mut self,
        catalog: &dyn Catalog,
        rule: &Rule,
        (id, place): (AlertId, &(usize, Arc<str>)),
        (episode, fresh): (&Episode, &[Member]),
    ) -> Result<Goes, AlertingError> {
        if !self.is_resolved(catalog, id).await? {
            return Ok(Goes::This(id));
        }
        if let Some(other) = self.live_alert(catalog, rule, place).await? {
            return Ok(Goes::This(other));
        }
        let newest = tables::newest_of_group(catalog, &rule.id, &place.1).await?;
        let newest = newest.first().map_or(id, |row| row.summary.id);
        let resolved_at = resolved_at(catalog, newest).await?;
        let is_match = |member: &&Member| {
            (episode.started_at..=episode.held_until).contains(&member.at)
                && EventId::from_u128(member.id).observed_at() > resolved_at
        };
        Ok(if fresh.iter().any(|member| is_match(&member)) { Goes::New } else { Goes::This(id) })
    }

    /// Whether somebody resolved an alert on the desk.
    async fn is_resolved(
        &mut self,
        catalog: &dyn Catalog,
        id: AlertId,
    ) -> Result<bool, AlertingError> {
        let Some(live) = self.live.get_mut(&id) else { return Ok(false) };
        if !live.is_current {
            let statement = Statement {
                sql: "SELECT state FROM alerting_alerts WHERE id = ?1",
                values: vec![text(id.to_string())],
            };
            let answers = catalog.query(vec![statement]).await?;
            if let Some(row) = tables::rows(&answers, 0).first() {
                let state = AlertState::from_name(Columns::of(row).text()?);
                live.row.summary.state = state.unwrap_or(live.row.summary.state);
            }
            live.is_current = true;
        }
        Ok(live.row.summary.state == AlertState::Resolved)
    }
}

/// When an alert was resolved last.
async fn resolved_at(catalog: &dyn Catalog, id: AlertId) -> Result<Timestamp, AlertingError> {
    let statement = Statement {
        sql: "SELECT at_ns FROM alerting_timeline WHERE alert_id = ?1 AND kind = 'resolved'
            ORDER BY at_ns DESC LIMIT 1",
        values: vec![text(id.to_string())],
    };
    let answers = catalog.query(vec![statement]).await?;
    match tables::rows(&answers, 0).first() {
        Some(row) => Columns::of(row).instant(),
        None => Ok(Timestamp::MIN),
    }
}

/// The detection as it begins anew with these events.
pub(super) fn begun(episode: &Episode, fresh: &[Member]) -> Episode {
    match fresh.iter().find(|member| member.at >= episode.started_at) {
        Some(first) => {
            Episode { key: first.id, started_at: first.at, started_by: first.id, ..*episode }
        }
        None => *episode,
    }
}
