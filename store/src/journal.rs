//! The journal: the ordered, durable log in which ingest appends and everybody else reads.

pub mod batch;
pub(crate) mod cache;
pub(crate) mod damage;
pub(crate) mod format;
pub(crate) mod idempotency;
pub(crate) mod local;
mod queue;
mod reader;
pub(crate) mod recovery;
pub(crate) mod segment;
mod shared;
pub(crate) mod space;
mod upkeep;
pub(crate) mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use logwarden_event::{Event, Position, Timestamp};

use crate::config::Durability;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// An event of a sender.
    Event,
    /// A record that could not become an event of its sender; an event of dataset
    /// `logwarden.deadletter`.
    DeadLetter,
    /// An alert was opened; an event of dataset `logwarden.alert`.
    AlertFired,
    /// An audit record or one of our own findings; an event of a dataset `logwarden.*`.
    Audit,
}

impl RecordKind {
    /// Whether the server says it of itself, without a sender.
    pub(crate) const fn is_own(self) -> bool {
        matches!(self, Self::AlertFired | Self::Audit)
    }
}

/// A record on its way in.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What it is.
    pub kind: RecordKind,
    /// The event; the journal stamps it.
    pub event: Event,
}

/// What a sender's idempotency key and body come down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    /// 128-bit hash of the key within its source.
    pub key: [u8; 16],
    /// 128-bit hash of the body.
    pub body: [u8; 16],
}

/// A batch: all of it becomes durable, contiguous, or nothing does.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// At most 10,000 records and 16 MiB of payload plus what normalization added.
    pub drafts: Vec<Draft>,
    /// With it, the same batch sent again is stored once.
    pub idempotency: Option<IdempotencyKey>,
    /// What readers know the batch by when it has no key: a hash of the sender's choice.
    pub batch_id: Option<[u8; 16]>,
    /// Kept with the key and handed back to whoever sends the batch again; at most 1 MiB.
    pub receipt: Bytes,
}

/// Where a batch went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Position of the first record.
    pub first: Position,
    /// Records in the batch.
    pub records: u64,
    /// What [`Append::receipt`] held.
    pub receipt: Bytes,
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Durable.
    Appended(Receipt),
    /// The same key and body were appended before: the first answer again.
    Duplicate(Receipt),
    /// The same key was used with another body. Nothing was stored.
    KeyConflict,
    /// Another writer owns the lane. Nothing was stored.
    Fenced,
    /// No room. Nothing was stored.
    Full(Fullness),
    /// It may be durable or not; only sending it again with the same key tells.
    Unknown,
}

/// How full the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fullness {
    /// Getting full (429) or full (507).
    pub is_full: bool,
    /// When to try again.
    pub retry_after_secs: u64,
}

/// One durable record.
#[derive(Debug, Clone)]
pub struct Record {
    /// What it is.
    pub kind: RecordKind,
    /// The event, with its id and `observed_at`.
    pub event: Event,
    /// The hash of its batch's key, else [`Append::batch_id`].
    pub batch_id: Option<[u8; 16]>,
}

/// An answer to a read.
#[derive(Debug, Clone)]
pub enum Chunk {
    /// Records in order, contiguous from the position asked for; `next` follows the last one.
    Records {
        /// At least one.
        records: Arc<[Record]>,
        /// Where to read on.
        next: Position,
    },
    /// What lay here was trimmed or lost.
    Gap {
        /// The first position missing.
        from: Position,
        /// The next position that can be read.
        to: Position,
    },
}

/// Why the journal cannot serve.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// A disk failed in a way that the journal cannot go on from; reading may still work.
    #[error("journal failed: {0}")]
    Failed(String),
    /// The batch breaks a bound; the caller must cut it.
    #[error("batch has {found} {what}, the limit is {limit}")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The journal is shutting down.
    #[error("journal is closed")]
    Closed,
}

/// The ordered, durable log of records. One instance writes one lane and reads all.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Makes a batch durable, or answers why not. A sender is told so only after this returned
    /// [`AppendOutcome::Appended`] or [`AppendOutcome::Duplicate`].
    async fn append(&self, mut batch: Append) -> Result<AppendOutcome, JournalError> {
        self.offer(&mut batch).await
    }

    /// [`Journal::append`] for those who try again: drafts that were refused, or may not be durable,
    /// are in `batch` afterwards. After an error there may be none: it will not be taken later either.
    async fn offer(&self, batch: &mut Append) -> Result<AppendOutcome, JournalError>;

    /// Reads what is durable from `from` on, at most `records_max` records (at least one); waits
    /// while there are none. The newest batches come from memory.
    async fn read(&self, from: Position, records_max: usize) -> Result<Chunk, JournalError>;

    /// The position after the last durable record of `lane`.
    fn end(&self, lane: u32) -> Position;

    /// The first position of `lane` that can still be read.
    fn start(&self, lane: u32) -> Position;

    /// Who this journal is; a checkpoint made with another one must not be used.
    fn identity(&self) -> [u8; 16];

    /// Says that `consumer` needs everything from `position` on. Until the first call of a
    /// registered consumer nothing of its lane is trimmed.
    fn hold(&self, consumer: &str, position: Position);

    /// Removes whole segments that no consumer holds; keeps one extra.
    async fn trim(&self) -> Result<(), JournalError>;

    /// Somebody has taken note of what was lost: the journal is no longer degraded.
    async fn acknowledge_damage(&self) -> Result<(), JournalError>;

    /// Free room and state, for health.
    fn health(&self) -> JournalHealth;

    /// Refuses new batches, finishes those under way and closes the files.
    async fn close(&self);
}

/// How the journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalState {
    /// Takes batches.
    Ready,
    /// Recovered with damage that nobody has acknowledged yet; takes batches.
    Degraded,
    /// Little room: refuses batches with [`AppendOutcome::Full`].
    DiskFull,
    /// Writing failed; reading may work.
    Failed,
}

/// How the journal is, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalHealth {
    /// State.
    pub state: JournalState,
    /// Bytes free on its volume.
    pub free_bytes: u64,
    /// Bytes of its volume; 0 before the first look.
    pub volume_bytes: u64,
    /// Bytes that may still come before batches are refused; [`u64::MAX`] where the oldest go instead.
    pub room_bytes: u64,
    /// Bytes of its segments.
    pub used_bytes: u64,
    /// When a batch counts as durable.
    pub durability: Durability,
    /// When the last batch became durable.
    pub last_append_at: Option<Timestamp>,
}
