//! Who did what: every sign-in, denial, search, export and change, as records of `logwarden.audit`.
//!
//! Two ways in. [`Audit::record`] is for what security rests on (sign-ins, denials, changes): it
//! waits until the journal has the entry, at most [`RECORD_WAIT_MAX`]. [`Audit::note`] is for reads:
//! entries go to a queue of [`QUEUE_ENTRIES_MAX`] and are appended in batches by [`Audit::run`].
//! An entry that the journal refuses, or for which the queue has no room, is counted as lost and
//! said in our log; it never stops an answer, because a full disk must not lock its operator out.
//! What strangers do (an unknown credential, attempts to sign in beyond the limit, a wrong set-up
//! code) is written at most [`STRANGERS_PER_SEC_MAX`] times a second; the next entry says how many
//! were left out.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use logwarden_event::{Event, EventBuilder, Severity, Timestamp, Value};
use logwarden_store::identity::{Principal, PrincipalKind};
use logwarden_store::{Append, AppendOutcome, Draft, RecordKind, Store};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::json::ObjectWriter;
use crate::metrics;

/// Entries that wait for the next batch; beyond it they are lost and counted.
const QUEUE_ENTRIES_MAX: usize = 4_096;
/// Entries in one batch.
const BATCH_ENTRIES_MAX: usize = 256;
/// How long an answer waits for its entry.
const RECORD_WAIT_MAX: Duration = Duration::from_secs(2);
/// Entries per second about strangers.
const STRANGERS_PER_SEC_MAX: u32 = 20;
/// Bytes of an object, such as a query, that are kept.
const OBJECT_BYTES_MAX: usize = 8_192;
/// Bytes of a name that are kept: anybody may try to sign in with any.
const NAME_BYTES_MAX: usize = 256;

/// The dataset of the entries.
pub const DATASET: &str = "logwarden.audit";

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused or failed.
    Failure,
}

/// Somebody who did something. A token may have the name of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// Their name; empty: nobody known.
    pub name: String,
    /// How they proved it; `None`: by a name alone, as who tries to sign in.
    pub kind: Option<PrincipalKind>,
}

impl From<&Principal> for Who {
    fn from(principal: &Principal) -> Self {
        Self { name: principal.name.clone(), kind: Some(principal.kind) }
    }
}

impl From<&str> for Who {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), kind: None }
    }
}

impl From<&String> for Who {
    fn from(name: &String) -> Self {
        Self::from(name.as_str())
    }
}

/// One thing that somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was done, such as `session.create`, `search`, `token.revoke`.
    pub action: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// Who; nobody known: without a name.
    pub principal: Who,
    /// To what: a name, an id, or the text of a query.
    pub object: String,
    /// From where.
    pub peer: Option<IpAddr>,
    /// How many events were given out, or entries left out.
    pub count: Option<u64>,
    /// In words; the rest of the sentence after the principal's name.
    pub message: String,
}

impl Entry {
    /// A success without peer and count.
    pub fn new(
        action: &'static str,
        principal: impl Into<Who>,
        object: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            action,
            outcome: Outcome::Success,
            principal: principal.into(),
            object: object.into(),
            peer: None,
            count: None,
            message: message.into(),
        }
    }

    /// The same with the address it came from.
    #[must_use]
    pub fn from_peer(mut self, peer: Option<IpAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// The same as a failure.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.outcome = Outcome::Failure;
        self
    }

    /// The same with a number of events.
    #[must_use]
    pub fn counting(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }
}

/// How often something was let through in the present second.
#[derive(Debug, Default)]
struct Throttle {
    second: i64,
    passed: u32,
    left_out: u64,
}

/// The way into the audit records.
pub struct Audit {
    store: Store,
    queue: mpsc::Sender<Entry>,
    waiting: tokio::sync::Mutex<mpsc::Receiver<Entry>>,
    strangers: Mutex<Throttle>,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").finish_non_exhaustive()
    }
}

impl Audit {
    /// Writes to the journal of `store`; [`Audit::run`] must run for what is noted to arrive.
    pub fn new(store: Store) -> Arc<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE_ENTRIES_MAX);
        Arc::new(Self { store, queue, waiting: waiting.into(), strangers: Mutex::default() })
    }

    /// The present, by the store's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.store.clock.now()
    }

    /// Hands an entry to the next batch.
    pub fn note(&self, entry: Entry) {
        if self.queue.try_send(entry).is_err() {
            lost(1, "its queue is full");
        }
    }

    /// Notes what anybody can do without a credential (guess one, or be turned away), unless there
    /// were too many in this second.
    pub fn note_stranger(&self, mut entry: Entry) {
        let second = self.store.clock.now().secs();
        let mut throttle = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if throttle.second != second {
            (throttle.second, throttle.passed) = (second, 0);
        }
        if throttle.passed >= STRANGERS_PER_SEC_MAX {
            throttle.left_out += 1;
            return;
        }
        throttle.passed += 1;
        let left_out = std::mem::take(&mut throttle.left_out);
        drop(throttle);
        if left_out > 0 {
            entry.count = Some(left_out);
            entry.message.push_str(&format!("; {left_out} more before it were left out here"));
        }
        self.note(entry);
    }

    /// Appends an entry and returns when the journal has it.
    pub async fn record(&self, entry: Entry) {
        let appended = self.append(vec![entry]);
        if tokio::time::timeout(RECORD_WAIT_MAX, appended).await.is_err() {
            lost(1, "the journal did not answer in time");
        }
    }

    /// Appends what is noted, batch by batch, until `shutdown`; then the rest.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut waiting = self.waiting.lock().await;
        let mut batch = Vec::with_capacity(BATCH_ENTRIES_MAX);
        loop {
            tokio::select! {
                biased;
                taken = waiting.recv_many(&mut batch, BATCH_ENTRIES_MAX) => if taken == 0 { return },
                () = shutdown.cancelled() => break,
            }
            self.append(std::mem::take(&mut batch)).await;
        }
        while let Ok(entry) = waiting.try_recv() {
            batch.push(entry);
        }
        for batch in batch.chunks(BATCH_ENTRIES_MAX) {
            self.append(batch.to_vec()).await;
        }
    }

    async fn append(&self, entries: Vec<Entry>) {
        let now = self.store.clock.now();
        let count = entries.len() as u64;
        let drafts = entries
            .iter()
            .map(|entry| Draft { kind: RecordKind::Audit, event: event_of(entry, now) });
        let batch = Append { drafts: drafts.collect(), ..Append::default() };
        match self.store.journal.append(batch).await {
            Ok(AppendOutcome::Appended(_) | AppendOutcome::Duplicate(_)) => {
                ::metrics::counter!(metrics::AUDIT_ENTRIES_TOTAL).increment(count);
            }
            Ok(AppendOutcome::Full(_)) => lost(count, "the journal has no room"),
            Ok(_) => lost(count, "the journal did not take them"),
            Err(error) => lost(count, &error.to_string()),
        }
    }
}

fn lost(count: u64, reason: &str) {
    ::metrics::counter!(metrics::AUDIT_LOST_TOTAL).increment(count);
    tracing::error!(audit.lost = count, "{count} audit entries were lost: {reason}");
}

fn event_of(entry: &Entry, now: Timestamp) -> Event {
    let object = beginning(&entry.object, OBJECT_BYTES_MAX);
    let principal = beginning(&entry.principal.name, NAME_BYTES_MAX);
    let kind = entry.principal.kind.map(PrincipalKind::name);
    let outcome = match entry.outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
    };
    let who = if principal.is_empty() { "somebody" } else { principal };
    let message = format!("{who} {}", entry.message);
    let mut raw = Vec::with_capacity(256);
    let mut record = ObjectWriter::begin(&mut raw);
    record.member("timestamp", now.to_string());
    record.member("event.action", entry.action);
    record.member("event.outcome", outcome);
    record.member("lw.principal", principal);
    if let Some(kind) = kind {
        record.member("lw.principal_kind", kind);
    }
    record.member("lw.object", object);
    if let Some(peer) = entry.peer {
        record.member("source.ip", peer);
    }
    if let Some(count) = entry.count {
        record.member("lw.count", count);
    }
    record.member("message", &message);
    record.end();

    let mut event = EventBuilder::new(&raw);
    event.timestamp(Some(now)).source("logwarden").dataset(DATASET).message(&message);
    event.severity(match entry.outcome {
        Outcome::Success => Severity::Info,
        Outcome::Failure => Severity::Warning,
    });
    event.field("event.action", Value::String(entry.action));
    event.field("event.outcome", Value::String(outcome));
    if !principal.is_empty() {
        event.field("lw.principal", Value::String(principal));
    }
    if let Some(kind) = kind {
        event.field("lw.principal_kind", Value::String(kind));
    }
    if !object.is_empty() {
        event.field("lw.object", Value::String(object));
    }
    if let Some(peer) = entry.peer {
        event.field("source.ip", Value::Ip(peer));
    }
    if let Some(count) = entry.count {
        event.field("lw.count", Value::Integer(i128::from(count)));
    }
    event.build()
}

/// The first bytes of a text, at most so many, in whole characters.
fn beginning(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use logwarden_store::identity::Role;

    use super::*;

    #[test]
    fn an_entry_becomes_an_event_that_can_be_asked_for() {
        let entry = Entry::new("search", "ana", "user.name:root", "searched")
            .from_peer(Some([10, 0, 0, 1].into()))
            .counting(3);
        let event = event_of(&entry, Timestamp::from_secs(1));
        assert_eq!(event.dataset(), DATASET);
        assert_eq!(event.message(), "ana searched");
        assert_eq!(event.value_of("event.outcome"), Some(Value::String("success")));
        assert_eq!(event.value_of("lw.object"), Some(Value::String("user.name:root")));
        assert_eq!(event.value_of("source.ip"), Some(Value::Ip([10, 0, 0, 1].into())));
        assert_eq!(event.value_of("lw.count"), Some(Value::Integer(3)));
        assert_eq!(
            String::from_utf8_lossy(event.raw()),
            r#"{"timestamp":"1970-01-01T00:00:01Z","event.action":"search","event.outcome":"success","lw.principal":"ana","lw.object":"user.name:root","source.ip":"10.0.0.1","lw.count":3,"message":"ana searched"}"#
        );
        assert_eq!(event.value_of("lw.principal_kind"), None, "it was not proven");
        let token = Principal::unbound("ana", PrincipalKind::Token, Role::Reader);
        let entry = Entry::new("search", &token, "*", "searched");
        let event = event_of(&entry, Timestamp::from_secs(1));
        assert_eq!(event.value_of("lw.principal"), Some(Value::String("ana")));
        assert_eq!(event.value_of("lw.principal_kind"), Some(Value::String("token")));
    }
}
