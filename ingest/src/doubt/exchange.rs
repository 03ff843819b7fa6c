//! A batch in one request, and whether its sender has heard the answer: OpenTelemetry, Loki and Splunk
//! with acknowledgements send the same request again when they have not.
//!
//! Input: a number for sender and body, the same in every life of the server: it stands beside the
//! records in the journal. Output: the last record of the batch when it is stored and its answer may
//! not have been heard. That is so of requests whose connection ended before they were answered, and
//! after a start of those that were stored last. The same batch is then taken for the repetition, once;
//! what was answered and is sent again is stored again.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::counter;

use super::{Doubts, RecordId};
use crate::metrics::REPEATS_TOTAL;
use crate::normalize::Origin;

/// What a batch is known by: who sends it over which channel, and what it holds. The hash of the sender
/// stands for itself, so that nobody finds a batch that is taken for another's.
pub(crate) fn batch_id(origin: &Origin, channel: &str, body: &[u8]) -> [u8; 16] {
    let hash = |what: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        what(&mut hasher);
        hasher.finish().to_be_bytes()
    };
    let Origin { source, protocol, peer, .. } = origin;
    let sender = hash(&|hasher| (source, protocol, peer, channel).hash(hasher));
    let mut id = [0; 16];
    id[..8].copy_from_slice(&sender);
    id[8..].copy_from_slice(&hash(&|hasher| hasher.write(body)));
    id
}

/// A batch that is being stored and answered; others that send the same wait for its end.
pub(crate) struct Exchange {
    doubts: Arc<Doubts>,
    id: RecordId,
    /// Its last record, once it is stored.
    stored: Option<u64>,
}

impl Doubts {
    /// Holds a batch; with the number of its last record when it is stored already. Waits while the
    /// same batch is held by another.
    pub(crate) async fn exchange(
        self: &Arc<Self>,
        protocol: &'static str,
        batch_id: [u8; 16],
    ) -> Exchange {
        let id = RecordId(self.hash(batch_id));
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if let Some(stored) = self.try_exchange(id) {
                counter!(REPEATS_TOTAL, "protocol" => protocol)
                    .increment(u64::from(stored.is_some()));
                return Exchange { doubts: Arc::clone(self), id, stored };
            }
            ended.await;
        }
    }

    fn try_exchange(&self, id: RecordId) -> Option<Option<u64>> {
        let now = self.clock.now();
        let mut state = self.state();
        if state.under_way.contains_key(&id) {
            return None;
        }
        state.under_way.insert(id, None);
        state.expire(now);
        Some(state.resolve(id))
    }
}

impl Exchange {
    /// The last record of the batch, once it is stored.
    pub(crate) const fn stored(&self) -> Option<u64> {
        self.stored
    }

    /// The batch is stored up to this record.
    pub(crate) fn keep(&mut self, last: u64) {
        self.stored = Some(last);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let now = self.doubts.clock.now();
        let mut state = self.doubts.state();
        state.release(&[self.id]);
        if let Some(last) = self.stored {
            state.add(self.id, last, now);
        }
        drop(state);
        self.doubts.ended.notify_waiters();
    }
}

/// Where the exchange of a request waits for what becomes of the answer: whoever gives that to the
/// connection says so, and when nobody did the batch is in doubt.
#[derive(Clone, Default)]
pub(crate) struct Answered(Arc<Mutex<Option<Exchange>>>);

impl Answered {
    /// The answer to this exchange comes next.
    pub(crate) fn awaits(&self, exchange: Exchange) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(exchange);
    }

    /// The answer is on its way to a peer who waits for it.
    pub(crate) fn is_given(&self) {
        let exchange = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut exchange) = exchange {
            exchange.stored = None;
        }
    }
}
