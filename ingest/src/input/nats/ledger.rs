//! Which messages of a stream are durable and may come again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A batch under way: its key in the journal, and its messages by their numbers in the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) nonce: [u8; 16],
    pub(super) numbers: Vec<u64>,
}

/// Runs of numbers that are kept; of more the lowest go. Only messages that other consumers' subjects
/// leave out make a gap.
const RUNS_MAX: usize = 10_000;

/// What is known of a stream.
///
/// That the server has confirmed an acknowledgement is no reason to forget the message: a server that is
/// killed forgets acknowledgements it has confirmed and sends the messages again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// When the stream was made: another one counts its messages anew.
    created: String,
    pub(super) pending: Option<Pending>,
    /// What is durable, as first and last numbers of runs.
    stored: BTreeMap<u64, u64>,
}

impl Ledger {
    /// A connection to a stream was made.
    pub(super) fn meet(&mut self, created: &str) {
        if self.created != created {
            self.stored.clear();
            created.clone_into(&mut self.created);
        }
    }

    /// These are durable.
    pub(super) fn keep(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            let run = self.stored.range(..=number).next_back().map(|(first, last)| (*first, *last));
            let (first, mut last) = match run {
                Some((_, last)) if number <= last => continue,
                Some((first, last)) if last + 1 == number => (first, number),
                _ => (number, number),
            };
            if let Some(end) = number.checked_add(1).and_then(|next| self.stored.remove(&next)) {
                last = end;
            }
            self.stored.insert(first, last);
        }
        while self.stored.len() > RUNS_MAX {
            self.stored.pop_first();
        }
    }

    /// Whether a message is durable.
    pub(super) fn has(&self, number: u64) -> bool {
        self.stored.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }
}
