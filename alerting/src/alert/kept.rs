//! Events that alerts show: those that windows keep, the newest in memory.
//!
//! Input: events as windows keep them. Output: an event by its id. What is no longer in memory, after a
//! restart or a flood, is found again where it is durable: in the journal, and when that has let go of it,
//! among the indexed events. Bounded: [`KEPT_BYTES_MAX`]; the oldest go first.

use std::collections::{HashMap, VecDeque};

use logwarden_event::{Event, EventId};
use logwarden_query::{
    Control, Engine as Searches, Filter, Query, SearchRequest, SortKey, Target, Test, Visibility,
    time_range,
};
use logwarden_store::{Chunk, Journal};
use tracing::warn;

use super::EVIDENCE_EVENTS_MAX;
use crate::metrics;
use crate::window::Member;

/// Bytes of events kept in memory.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The events, by id.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    events: HashMap<u128, Event>,
    /// In the order they came, each with the time until which a window may ask for it.
    order: VecDeque<(u128, i64)>,
    bytes: usize,
}

impl Kept {
    /// Keeps an event that a window may ask for until then, by the time events are observed.
    pub(crate) fn keep(&mut self, event: Event, until: i64) {
        let id = event.id().to_u128();
        if self.events.contains_key(&id) {
            return;
        }
        self.bytes += event.size_bytes();
        self.events.insert(id, event);
        self.order.push_back((id, until));
        while self.bytes > KEPT_BYTES_MAX {
            let Some((oldest, _)) = self.order.pop_front() else { return };
            self.forget(oldest);
        }
    }

    /// Forgets events that no window will ask for any more.
    pub(crate) fn forget_before(&mut self, now: i64) {
        let mut order = std::mem::take(&mut self.order);
        order.retain(|(id, until)| {
            let is_wanted = *until >= now;
            if !is_wanted {
                self.forget(*id);
            }
            is_wanted
        });
        self.order = order;
    }

    /// The event of this id, when it is in memory.
    pub(crate) fn get(&self, id: u128) -> Option<&Event> {
        self.events.get(&id)
    }

    /// Finds again what of these is not in memory, at most as many as an alert keeps.
    pub(crate) async fn bring(
        &mut self,
        journal: &dyn Journal,
        searches: Option<&Searches>,
        members: &[Member],
    ) {
        let missing = members.iter().filter(|member| !self.events.contains_key(&member.id));
        let missing: Vec<EventId> =
            missing.take(EVIDENCE_EVENTS_MAX).map(|member| EventId::from_u128(member.id)).collect();
        let mut older = Vec::new();
        for id in missing {
            match journal.read(id.position(), 1).await {
                Ok(Chunk::Records { records, .. }) if records[0].event.id() == id => {
                    self.keep(records[0].event.clone(), i64::MIN);
                }
                Ok(_) => older.push(id),
                Err(error) => {
                    warn!(%error, %id, "journal does not give an event that an alert should show");
                    older.push(id);
                }
            }
        }
        let found = match searches {
            Some(searches) if !older.is_empty() => indexed(searches, &older).await,
            _ => Vec::new(),
        };
        let lost = older.len().saturating_sub(found.len()) as u64;
        if lost > 0 {
            ::metrics::counter!(metrics::EVIDENCE_LOST_TOTAL).increment(lost);
        }
        for event in found {
            self.keep(event, i64::MIN);
        }
    }

    fn forget(&mut self, id: u128) {
        if let Some(event) = self.events.remove(&id) {
            self.bytes -= event.size_bytes();
        }
    }
}

/// Those of the events that the index has.
pub(crate) async fn indexed(searches: &Searches, ids: &[EventId]) -> Vec<Event> {
    let seq = |id: &EventId| {
        let text = id.position().seq.to_string();
        Filter::is(Target::Seq, Test::Equals { text, cased: false })
    };
    let request = SearchRequest {
        query: Query { filter: Filter::Or(ids.iter().map(seq).collect()), pipes: Vec::new() },
        range: time_range(None, None),
        limit: ids.len(),
        sort: vec![SortKey::parse("lw.seq")],
        cursor: None,
        visibility: Visibility::everything(),
    };
    match searches.search(request, Control::default()).await {
        Ok(answer) => answer.hits.into_iter().filter(|event| ids.contains(&event.id())).collect(),
        Err(error) => {
            warn!(%error, "events that an alert should show could not be searched for");
            Vec::new()
        }
    }
}
