//! Which messages of a stream are durable and may come again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A batch under way: its key in the journal, and its messages by their numbers in the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) nonce: [u8; 16],
    pub(super) numbers: Vec<u64>,
}

/// What is known of a stream. At most as many messages are unconfirmed as the server leaves
/// unacknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// When the stream was made: another one counts its messages anew.
    created: String,
    pub(super) pending: Option<Pending>,
    /// Durable, and perhaps not acknowledged.
    pub(super) unconfirmed: BTreeSet<u64>,
}

impl Ledger {
    /// A connection was made; the server has every acknowledgement up to `ack_floor`.
    pub(super) fn meet(&mut self, created: &str, ack_floor: u64) {
        if self.created != created {
            self.unconfirmed.clear();
            created.clone_into(&mut self.created);
        }
        self.unconfirmed.retain(|number| *number > ack_floor);
    }

    /// The server has confirmed that these are acknowledged.
    pub(super) fn confirm(&mut self, numbers: impl Iterator<Item = u64>) {
        for number in numbers {
            self.unconfirmed.remove(&number);
        }
    }
}
