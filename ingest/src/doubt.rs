//! Records that may come again: they are stored, but their sender may not have heard so.
//!
//! Senders of Beats, RELP and JSON lines that ask for answers send what was not answered once more, over
//! a new connection. Input: the records of such connections, one [`Session`] each. Output: which of them
//! are stored already. When a session breaks, its newest records are in doubt: one that comes over
//! another connection of the same peer, equal byte for byte or, of Beats, as JSON member for member, is
//! taken for the repetition, once. What one session sends twice is stored twice, and so is what a peer sends
//! again after it has taken its leave. Requests that come again as a whole are looked after in [`exchange`].
//!
//! Nothing is written for it: at the start the newest records of the journal are in doubt. At most
//! [`RECORDS_MAX`] are, for [`PATIENCE`]: of more the oldest are forgotten, which counts.

mod digest;
mod exchange;

use std::collections::VecDeque;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::quality::RandomState;
use foldhash::{HashMap, HashMapExt as _};
use logwarden_event::{Clock, Timestamp};
use logwarden_store::Record;
use metrics::counter;
use tokio::sync::Notify;

use crate::metrics::{DOUBTS_FORGOTTEN_TOTAL, REPEATS_TOTAL};
use crate::normalize::Origin;
use crate::normalize::secret::without_secrets;
use digest::Digest;
pub(crate) use exchange::{Answered, batch_id};

/// Records that are in doubt at once, about 10 MB.
const RECORDS_MAX: usize = 100_000;
/// How long they are: a rsyslog that waits longest tries again after half an hour.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Protocols whose senders send again what was not answered, and how many records such a sender has
/// under way at most: two batches of Filebeat, four windows of librelp, and what one of ours likes.
const PROTOCOLS: [(&str, usize); 3] = [("beats", 4_096), ("relp", 512), ("tcp_json", 4_096)];
/// The one whose senders write a record anew each time, its members in another order.
const WRITTEN_ANEW: &str = "beats";
/// How long before the end of the journal a batch was stored of which nobody may have heard: it is
/// answered at once, or when it can be searched, which is waited for a second.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Who sends: source, protocol and address, hashed by a key of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SenderId(u64);

/// Sender and record, or a batch, hashed by a key of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RecordId(u64);

/// What a record is known by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name {
    id: RecordId,
    /// The same without secrets, which is all that the journal holds of those that are masked.
    masked: Option<RecordId>,
}

/// The records of all senders that are in doubt, or about to be.
pub(crate) struct Doubts {
    hasher: RandomState,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Something under way has ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    /// How often a record is in doubt, each time by its number; of a batch that of its last record.
    doubtful: HashMap<RecordId, VecDeque<u64>>,
    /// The same, oldest first; some are not in doubt any more.
    order: VecDeque<(RecordId, u64, Timestamp)>,
    number: u64,
    /// Who stores a record, or has not been seen to live since: a session by its number. Others wait,
    /// so that there is one at most; a batch is stored by nobody in particular.
    under_way: HashMap<RecordId, Option<u64>>,
    sessions: u64,
}

impl State {
    fn doubt(&mut self, ids: impl IntoIterator<Item = RecordId>, now: Timestamp) {
        for id in ids {
            self.number += 1;
            self.add(id, self.number, now);
        }
    }

    fn add(&mut self, id: RecordId, number: u64, now: Timestamp) {
        self.doubtful.entry(id).or_default().push_back(number);
        self.order.push_back((id, number, now));
        let excess = self.order.len().saturating_sub(RECORDS_MAX);
        let forgotten = (0..excess).filter(|_| self.forget_oldest()).count();
        counter!(DOUBTS_FORGOTTEN_TOTAL).increment(forgotten as u64);
    }

    /// True when it was in doubt still.
    fn forget_oldest(&mut self) -> bool {
        let Some((id, number, _)) = self.order.pop_front() else { return false };
        let is_oldest = self.doubtful.get(&id).and_then(VecDeque::front) == Some(&number);
        is_oldest && self.resolve(id).is_some()
    }

    /// Whether a record was in doubt; once less it is then.
    fn resolve_name(&mut self, name: Name) -> bool {
        let number = self.resolve(name.id);
        number.or_else(|| self.resolve(name.masked?)).is_some()
    }

    /// The number of what was in doubt; once less it is then.
    fn resolve(&mut self, id: RecordId) -> Option<u64> {
        let numbers = self.doubtful.get_mut(&id)?;
        let number = numbers.pop_front();
        if numbers.is_empty() {
            self.doubtful.remove(&id);
        }
        number
    }

    fn expire(&mut self, now: Timestamp) {
        while self.order.front().is_some_and(|(_, _, since)| now.since(*since) >= PATIENCE) {
            self.forget_oldest();
        }
    }

    fn release(&mut self, ids: &[RecordId]) {
        for id in ids {
            self.under_way.remove(id);
        }
    }
}

impl Doubts {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let (hasher, ended) = (RandomState::default(), Notify::new());
        Self { hasher, clock, state: Mutex::default(), ended }
    }

    /// A connection over which records of `origin` come.
    pub(crate) fn session(self: &Arc<Self>, origin: &Origin) -> Session {
        let (protocol, peer) = (origin.protocol, origin.peer);
        let mut state = self.state();
        state.sessions += 1;
        Session {
            number: state.sessions,
            sender: self.sender(&origin.source, protocol, peer),
            newest_max: newest_max(protocol),
            protocol,
            masks: origin.mask_secrets,
            doubts: Arc::clone(self),
            newest: VecDeque::new(),
            under_way: Vec::new(),
            storing: Vec::new(),
            is_heard: true,
            has_left: false,
        }
    }

    fn sender(&self, source: &str, protocol: &str, peer: Option<IpAddr>) -> SenderId {
        SenderId(self.hash((source, protocol, peer)))
    }

    fn id(&self, sender: SenderId, protocol: &str, record: &[u8]) -> RecordId {
        if protocol == WRITTEN_ANEW {
            return RecordId(self.hash((sender, Digest(&self.hasher).of(record))));
        }
        RecordId(self.hash((sender, record.trim_ascii())))
    }

    fn hash(&self, what: impl Hash) -> u64 {
        std::hash::BuildHasher::hash_one(&self.hasher, what)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the records of the journal's end: whoever sent them may not have heard of them.
    pub(crate) fn recalling(&self) -> Recalling<'_> {
        Recalling { doubts: self, newest: HashMap::new(), batches: VecDeque::new() }
    }
}

/// The newest records of each sender that the journal holds, and its newest batches.
pub(crate) struct Recalling<'d> {
    doubts: &'d Doubts,
    newest: HashMap<SenderId, VecDeque<RecordId>>,
    /// Each with its last record and when that was stored, oldest first.
    batches: VecDeque<(RecordId, u64, Timestamp)>,
}

impl Recalling<'_> {
    /// Takes the next one, with its number; `raw` is what its record is known by.
    pub(crate) fn take(&mut self, record: &Record, raw: &[u8], seq: u64) {
        let event = &record.event;
        self.take_batch(record.batch_id, seq, event.observed_at());
        let text = |name| event.value_of(name).map(|value| value.to_string());
        let protocol = text("lw.protocol").unwrap_or_default();
        let newest_max = newest_max(&protocol);
        if newest_max == 0 {
            return;
        }
        let peer = text("lw.peer").and_then(|peer| peer.parse().ok());
        let sender = self.doubts.sender(event.source(), &protocol, peer);
        let joined = text("lw.joined").and_then(|count| count.parse().ok()).unwrap_or(1);
        let ids = self.newest.entry(sender).or_default();
        for record in digest::records(raw, joined) {
            ids.push_back(self.doubts.id(sender, &protocol, record));
            if ids.len() > newest_max {
                ids.pop_front();
            }
        }
    }

    fn take_batch(&mut self, batch_id: Option<[u8; 16]>, seq: u64, stored_at: Timestamp) {
        while self.batches.front().is_some_and(|(.., at)| stored_at.since(*at) > ANSWER_MAX) {
            self.batches.pop_front();
        }
        let Some(batch_id) = batch_id else { return };
        let id = RecordId(self.doubts.hash(batch_id));
        match self.batches.back_mut() {
            Some(last) if last.0 == id => *last = (id, seq, stored_at),
            _ => self.batches.push_back((id, seq, stored_at)),
        }
    }

    /// All of them are in doubt.
    pub(crate) fn doubt(self) {
        let now = self.doubts.clock.now();
        let mut state = self.doubts.state();
        for (id, seq, _) in self.batches {
            state.add(id, seq, now);
        }
        for ids in self.newest.into_values() {
            state.doubt(ids, now);
        }
    }
}

/// Records of one sender that may be in doubt.
fn newest_max(protocol: &str) -> usize {
    PROTOCOLS.iter().find(|(name, _)| *name == protocol).map_or(0, |(_, newest_max)| *newest_max)
}

/// The records of one connection.
///
/// They are [held](Self::hold) while they are stored, then [kept](Self::keep). Others who send the same
/// wait until the session is [seen to live](Self::live) or ends.
pub(crate) struct Session {
    number: u64,
    doubts: Arc<Doubts>,
    sender: SenderId,
    protocol: &'static str,
    /// Secrets in its records are masked.
    masks: bool,
    newest_max: usize,
    /// Stored records, oldest first.
    newest: VecDeque<RecordId>,
    /// Records of which others wait to hear.
    under_way: Vec<RecordId>,
    /// The records of the message that is being stored.
    storing: Vec<RecordId>,
    /// The peer was there when it was answered last.
    pub(crate) is_heard: bool,
    has_left: bool,
}

/// Names the records of one sender.
pub(crate) struct Names {
    doubts: Arc<Doubts>,
    sender: SenderId,
    protocol: &'static str,
    masks: bool,
}

impl Names {
    /// What tells each record from others.
    pub(crate) fn of<'r>(&self, records: impl Iterator<Item = &'r [u8]>) -> Vec<Name> {
        records.map(|record| self.name(record)).collect()
    }

    fn name(&self, record: &[u8]) -> Name {
        let id = |record: &[u8]| self.doubts.id(self.sender, self.protocol, record);
        let masked = if self.masks { without_secrets(record) } else { None };
        Name { id: id(record), masked: masked.map(|masked| id(&masked)) }
    }
}

impl Session {
    /// What names its records, which takes a while when they are many.
    pub(crate) fn names(&self) -> Names {
        let Self { sender, protocol, masks, .. } = *self;
        Names { doubts: Arc::clone(&self.doubts), sender, protocol, masks }
    }

    /// Says of each record whether it is stored already, and holds them all. Waits while another
    /// session has one of them under way; who waits holds nothing.
    pub(crate) async fn hold(&mut self, names: Vec<Name>) -> Vec<bool> {
        let doubts = Arc::clone(&self.doubts);
        loop {
            let mut ended = std::pin::pin!(doubts.ended.notified());
            ended.as_mut().enable();
            if let Some(repeats) = self.try_hold(&names) {
                self.storing = names.iter().map(|name| name.id).collect();
                return repeats;
            }
            self.live();
            ended.await;
        }
    }

    fn try_hold(&mut self, names: &[Name]) -> Option<Vec<bool>> {
        let now = self.doubts.clock.now();
        let mut state = self.doubts.state();
        // Its own do not count.
        let is_others = |name: &Name| {
            state.under_way.get(&name.id).is_some_and(|one| *one != Some(self.number))
        };
        if names.iter().any(is_others) {
            return None;
        }
        state.expire(now);
        let known: Vec<_> = names.iter().map(|name| state.resolve_name(*name)).collect();
        let count = known.iter().filter(|is_known| **is_known).count();
        counter!(REPEATS_TOTAL, "protocol" => self.protocol).increment(count as u64);
        state.under_way.extend(names.iter().map(|name| (name.id, Some(self.number))));
        self.under_way.extend(names.iter().map(|name| name.id));
        Some(known)
    }

    /// What is held is stored.
    pub(crate) fn keep(&mut self) {
        self.newest.extend(self.storing.drain(..));
        let excess = self.newest.len().saturating_sub(self.newest_max);
        self.newest.drain(..excess);
    }

    /// The peer is there and waits: others need not wait for this session.
    pub(crate) fn live(&mut self) {
        if !self.under_way.is_empty() {
            self.doubts.state().release(&self.under_way);
            self.under_way.clear();
            self.doubts.ended.notify_waiters();
        }
    }

    /// The peer has heard everything and goes.
    pub(crate) fn leave(&mut self) {
        self.has_left = true;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let now = self.doubts.clock.now();
        let mut state = self.doubts.state();
        state.release(&self.under_way);
        if !self.has_left {
            state.doubt(self.newest.drain(..), now);
        }
        drop(state);
        self.doubts.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
