//! What all requests have in common: who asks, over which time, and how they can stop it.

use logwarden_event::{Event, TimeRange, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How a request is watched and stopped.
#[derive(Debug, Clone, Default)]
pub struct Control {
    /// Ends the request with [`QueryError::Cancelled`](crate::QueryError::Cancelled).
    pub cancel: CancellationToken,
    /// Where to tell how far it is. What does not fit is left out: nobody waits for it.
    pub progress: Option<mpsc::Sender<Progress>>,
    /// On whose behalf; at most so many requests of one principal run at the same time.
    pub principal: String,
}

/// How far a search is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Pieces read so far.
    pub splits: Splits,
    /// Events found so far.
    pub total: u64,
    /// The first events so far, in order; empty when they have not changed, or were told a tenth of a
    /// second ago.
    pub hits: Vec<Event>,
}

/// How many pieces were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Splits {
    /// Read to the end.
    pub read: usize,
    /// To be read: those whose time lies in the range.
    pub of: usize,
}

/// How much of what should be read an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Pieces.
    pub splits: Splits,
    /// Everything was read.
    pub complete: bool,
    /// The pieces that could not be read, by name.
    pub unreadable: Vec<String>,
    /// First and last instant of each piece that was not read, or only in part.
    pub unread: Vec<(Timestamp, Timestamp)>,
}

/// The range `[from, to)` of a request; what is not said is open.
pub fn time_range(from: Option<Timestamp>, to: Option<Timestamp>) -> TimeRange {
    TimeRange { start: from.unwrap_or(Timestamp::MIN), end: to.unwrap_or(Timestamp::MAX) }
}
