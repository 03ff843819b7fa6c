//! Events that alerts show, found again where they are durable: in the journal, and when that has let go of
//! them, among the indexed events. Windows keep only ids.
//!
//! Input: what was found. Output: an event by its id. Those that were read stay in memory for what comes next
//! to the same alert. Bounded: [`KEPT_BYTES_MAX`], the oldest go first; [`BROUGHT_MAX`] for each finding.

use std::collections::{HashMap, VecDeque};

use logwarden_event::{Event, EventId};
use logwarden_query::{
    Control, Engine as Searches, Filter, Query, SearchRequest, SortKey, Target, Test, Visibility,
    time_range,
};
use logwarden_store::{Chunk, Journal};
use tracing::warn;

use crate::metrics;
use crate::window::Member;

/// Bytes of events kept in memory.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Events of one finding that are looked at; the fields of others are not counted.
const BROUGHT_MAX: usize = 1_000;

/// The events, by id.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    events: HashMap<u128, Event>,
    /// In the order they came.
    order: VecDeque<u128>,
    bytes: usize,
}

impl Kept {
    fn keep(&mut self, event: Event) {
        let id = event.id().to_u128();
        self.bytes += event.size_bytes();
        self.events.insert(id, event);
        self.order.push_back(id);
        while self.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.forget(oldest);
        }
    }

    /// The event of this id, when it is in memory.
    pub(crate) fn get(&self, id: u128) -> Option<&Event> {
        self.events.get(&id)
    }

    /// Reads what of these is not in memory. One by one in the order of the journal, which has those that
    /// came last in memory and reads others by the block.
    pub(crate) async fn bring(
        &mut self,
        journal: &dyn Journal,
        searches: Option<&Searches>,
        members: &[Member],
    ) {
        let missing = members.iter().filter(|member| !self.events.contains_key(&member.id));
        let mut missing: Vec<EventId> =
            missing.take(BROUGHT_MAX).map(|member| EventId::from_u128(member.id)).collect();
        missing.sort_unstable_by_key(|id| id.position());
        missing.dedup();
        let mut older = Vec::new();
        for id in missing {
            match journal.read(id.position(), 1).await {
                Ok(Chunk::Records { records, .. }) if records[0].event.id() == id => {
                    self.keep(records[0].event.clone());
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
            self.keep(event);
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
