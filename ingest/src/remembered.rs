//! Which documents with an id of their own are stored, or about to be: a client that never heard our
//! answer sends them again, in other company than before.
//!
//! Input: source, index, id and bytes of documents. Output: which of them are new. Nothing is written
//! for it: at the start the end of the journal is read once. The same id with other bytes is another
//! document, so that nobody's id keeps an event out. The newest [`DOCUMENTS_MAX`] are remembered; of
//! more the oldest are forgotten, which counts.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use logwarden_event::Event;
use metrics::counter;
use tokio::sync::Notify;

use crate::metrics::{DOCUMENTS_FORGOTTEN_TOTAL, DOCUMENTS_KNOWN_TOTAL};

/// Documents that are remembered, about 6 MB.
const DOCUMENTS_MAX: usize = 100_000;

/// Source, index, id and bytes of a document, hashed by a key of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DocumentId(u64);

/// What is known of one document of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: it is to be stored.
    New,
    /// It is stored, as the record of this number.
    Stored(u64),
    /// It is the same as the document at this place of the batch.
    Again(usize),
}

/// The documents that are stored, or about to be.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    hasher: RandomState,
    state: Mutex<State>,
    /// Something under way has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    stored: HashMap<DocumentId, u64>,
    /// Oldest first.
    order: VecDeque<DocumentId>,
    under_way: HashSet<DocumentId>,
}

impl State {
    fn keep(&mut self, id: DocumentId, seq: u64) {
        if self.stored.insert(id, seq).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > DOCUMENTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.stored.remove(&oldest);
            counter!(DOCUMENTS_FORGOTTEN_TOTAL).increment(1);
        }
    }
}

impl Remembered {
    /// What tells this document from others; `record` is what its event is
    /// [known by](crate::recall::known_by).
    pub(crate) fn id(&self, source: &str, index: &str, id: &str, record: &[u8]) -> DocumentId {
        let mut hasher = self.hasher.build_hasher();
        for part in [source.as_bytes(), index.as_bytes(), id.as_bytes(), record] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        DocumentId(hasher.finish())
    }

    /// Says of each document whether it is new, and holds those that are until they are stored or
    /// given up. Waits while another batch holds one of them.
    pub(crate) async fn hold(&self, ids: &[DocumentId]) -> (Vec<Known>, Hold<'_>) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if let Some(known) = self.try_hold(ids) {
                let held = ids.iter().zip(&known).filter(|(_, known)| **known == Known::New);
                let ids = held.map(|(id, _)| *id).collect();
                return (known, Hold { remembered: self, ids });
            }
            ended.await;
        }
    }

    fn try_hold(&self, ids: &[DocumentId]) -> Option<Vec<Known>> {
        let mut state = self.state();
        if ids.iter().any(|id| state.under_way.contains(id)) {
            return None;
        }
        let mut places = HashMap::new();
        let known: Vec<_> = (0..)
            .zip(ids)
            .map(|(place, id)| match (state.stored.get(id), places.get(id)) {
                (Some(seq), _) => Known::Stored(*seq),
                (None, Some(first)) => Known::Again(*first),
                (None, None) => {
                    places.insert(*id, place);
                    Known::New
                }
            })
            .collect();
        state.under_way.extend(places.into_keys());
        let old = known.iter().filter(|known| **known != Known::New).count();
        counter!(DOCUMENTS_KNOWN_TOTAL).increment(old as u64);
        Some(known)
    }

    /// Takes a record of the journal's end.
    pub(crate) fn recall(&self, event: &Event, record: &[u8], seq: u64) {
        let text = |name| event.value_of(name).map(|value| value.to_string());
        if let Some(id) = text("_id") {
            let index = text("_index").unwrap_or_default();
            let id = self.id(event.source(), &index, &id, record);
            self.state().keep(id, seq);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// New documents of one batch; given up when dropped.
#[derive(Debug)]
pub(crate) struct Hold<'r> {
    remembered: &'r Remembered,
    ids: Vec<DocumentId>,
}

impl Hold<'_> {
    /// They are stored, as the records of these numbers.
    pub(crate) fn stored(self, seqs: impl IntoIterator<Item = u64>) {
        let mut state = self.remembered.state();
        for (id, seq) in self.ids.iter().zip(seqs) {
            state.keep(*id, seq);
        }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut state = self.remembered.state();
        for id in &self.ids {
            state.under_way.remove(id);
        }
        drop(state);
        self.remembered.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(remembered: &Remembered, names: &[&str]) -> Vec<DocumentId> {
        names.iter().map(|name| remembered.id("shop", "logs", name, b"{}")).collect()
    }

    #[tokio::test]
    async fn what_is_stored_is_known_and_what_is_given_up_is_not() {
        let remembered = Remembered::default();
        let first = ids(&remembered, &["a", "b", "a"]);
        let (known, hold) = remembered.hold(&first).await;
        assert_eq!(known, [Known::New, Known::New, Known::Again(0)]);
        hold.stored([7, 8]);
        let second = ids(&remembered, &["c", "b"]);
        let (known, hold) = remembered.hold(&second).await;
        assert_eq!(known, [Known::New, Known::Stored(8)]);
        drop(hold);
        assert_eq!(remembered.hold(&second).await.0, known, "`c` was given up");
        let other = remembered.id("shop", "logs", "b", b"{\"other\":1}");
        assert_eq!(remembered.hold(&[other]).await.0, [Known::New]);
    }

    #[tokio::test]
    async fn a_batch_waits_for_another_that_holds_its_document() {
        let remembered = Remembered::default();
        let (a, both) = (ids(&remembered, &["a"]), ids(&remembered, &["b", "a"]));
        let (_, hold) = remembered.hold(&a).await;
        let waiting = remembered.hold(&both);
        tokio::pin!(waiting);
        let none = tokio::select! {
            biased;
            _ = &mut waiting => false,
            () = tokio::task::yield_now() => true,
        };
        assert!(none, "it did not wait");
        hold.stored([3]);
        assert_eq!(waiting.await.0, [Known::New, Known::Stored(3)]);
    }

    #[tokio::test]
    async fn the_oldest_is_forgotten_first() {
        let remembered = Remembered::default();
        let names: Vec<_> = (0..=DOCUMENTS_MAX).map(|number| number.to_string()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let all = ids(&remembered, &names);
        remembered.hold(&all).await.1.stored(0..);
        let (known, _hold) = remembered.hold(&[all[0], all[1]]).await;
        assert_eq!(known, [Known::New, Known::Stored(1)]);
    }
}
