//! Telling people: who can be told, and how that goes.

/// Whether a notifier gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifierState {
    /// Its last attempt succeeded, or there was none.
    Ok,
    /// Its last attempt failed.
    Failing,
}

impl NotifierState {
    /// The word used in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
        }
    }
}

/// A notifier as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifierSummary {
    /// What routes call it.
    pub id: String,
    /// The same, for people.
    pub name: String,
    /// `email` or `webhook`.
    pub kind: &'static str,
    /// Where it sends to, without secrets.
    pub target: String,
    /// Whether it gets through.
    pub state: NotifierState,
}

/// What a receiver said to a test notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestAnswer {
    /// Whether it was taken.
    pub ok: bool,
    /// Its words, or why there are none.
    pub answer: String,
}
