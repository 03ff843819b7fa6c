//! The first events in an order, and the cursor that goes on after them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use logwarden_event::{Event, Value};
use serde::{Deserialize, Serialize};

use crate::cell::Directed;
use crate::error::QueryError;
use crate::filter::{Subject, Target};
use crate::language::SortKey;
use crate::scan::Memory;

/// Between two times that the first events are told.
const TELL_PAUSE: Duration = Duration::from_millis(100);

/// An event's place in the order of a search: by its sort keys, then newest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct HitKey {
    keys: Vec<Directed>,
    timestamp: Reverse<i64>,
    seq: Reverse<u64>,
}

/// How hits are ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HitOrder {
    keys: Vec<(Target, bool)>,
}

impl HitOrder {
    /// By these keys; none: newest first.
    pub(crate) fn new(keys: &[SortKey]) -> Self {
        let mut keys: Vec<_> =
            keys.iter().map(|key| (Target::of_name(&key.name), key.is_descending)).collect();
        if keys.first() == Some(&(Target::Timestamp, true)) {
            // Newest first is how pieces come anyway.
            keys.clear();
        }
        Self { keys }
    }

    /// Whether it is the order in which pieces give their events.
    pub(crate) fn is_newest_first(&self) -> bool {
        self.keys.is_empty()
    }

    /// The place of an event: of several values the one that comes first.
    pub(crate) fn key(&self, event: &Event) -> HitKey {
        let rank = |(target, is_descending): &(Target, bool)| {
            if *target == Target::Severity {
                let rank = Value::Integer(event.severity().rank().into());
                return Directed::of(rank, *is_descending);
            }
            let mut first = Directed::Missing;
            event.any_value(target, &mut |value| {
                let rank = Directed::of(value, *is_descending);
                if rank < first {
                    first = rank;
                }
                false
            });
            first
        };
        HitKey {
            keys: self.keys.iter().map(rank).collect(),
            timestamp: Reverse(event.timestamp().nanos()),
            seq: Reverse(event.seq()),
        }
    }

    /// The cursor that goes on after `key`.
    pub(crate) fn cursor(&self, key: &HitKey) -> String {
        let text = serde_json::to_string(key).unwrap_or_default();
        text.bytes().fold(String::with_capacity(text.len() * 2), |mut hex, byte| {
            for digit in [byte >> 4, byte & 15] {
                hex.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
            hex
        })
    }

    /// Reads a cursor of the same order.
    pub(crate) fn parse_cursor(&self, cursor: &str) -> Result<HitKey, QueryError> {
        let invalid = || QueryError::Invalid("the cursor is not one of this search".to_owned());
        let digits: Option<Vec<u8>> =
            cursor.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
        let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or_else(invalid)?;
        let text: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect();
        let key: HitKey = serde_json::from_slice(&text).map_err(|_| invalid())?;
        if key.keys.len() == self.keys.len() { Ok(key) } else { Err(invalid()) }
    }
}

impl HitKey {
    /// Nanoseconds of the event's time.
    pub(crate) fn timestamp_nanos(&self) -> i64 {
        self.timestamp.0
    }
}

/// One event that was found.
#[derive(Debug, Clone)]
struct Hit {
    key: HitKey,
    event: Event,
}

impl PartialEq for Hit {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Hit {}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// The first so many events of all that were offered.
#[derive(Debug)]
pub(crate) struct FirstHits {
    limit: usize,
    after: Option<HitKey>,
    heap: BinaryHeap<Hit>,
    /// More were offered than fit.
    pub(crate) has_more: bool,
    /// They have changed since they were told.
    has_news: bool,
    told_at: Option<Instant>,
}

impl FirstHits {
    /// Keeps the first `limit` after a cursor.
    pub(crate) fn new(limit: usize, after: Option<HitKey>) -> Self {
        Self {
            limit,
            after,
            heap: BinaryHeap::new(),
            has_more: false,
            has_news: false,
            told_at: None,
        }
    }

    /// Whether an event at this place would still be kept.
    pub(crate) fn wants(&mut self, key: &HitKey) -> bool {
        if self.after.as_ref().is_some_and(|after| key <= after) {
            return false;
        }
        if self.heap.len() < self.limit {
            return true;
        }
        self.has_more = true;
        self.heap.peek().is_some_and(|last| *key < last.key)
    }

    /// Whether it is full and every event up to this time comes after what it holds, newest first.
    pub(crate) fn is_settled_before(&self, timestamp_nanos: i64) -> bool {
        self.heap.len() >= self.limit
            && self.heap.peek().is_none_or(|last| last.key.timestamp_nanos() > timestamp_nanos)
    }

    /// Offers an event.
    pub(crate) fn offer(
        &mut self,
        key: HitKey,
        event: &Event,
        memory: &Memory,
    ) -> Result<(), QueryError> {
        if !self.wants(&key) {
            return Ok(());
        }
        memory.take(event.size_bytes())?;
        self.heap.push(Hit { key, event: event.clone() });
        self.has_news = true;
        if self.heap.len() > self.limit
            && let Some(last) = self.heap.pop()
        {
            self.has_more = true;
            memory.give(last.event.size_bytes());
        }
        Ok(())
    }

    /// The events in order so far; none when they have not changed, or were told within
    /// [`TELL_PAUSE`]: they are many, and the next ones come with the next piece or the answer.
    pub(crate) fn news(&mut self) -> Vec<Event> {
        let now = Instant::now();
        let is_soon = self.told_at.is_some_and(|at| now.duration_since(at) < TELL_PAUSE);
        if !self.has_news || is_soon {
            return Vec::new();
        }
        (self.has_news, self.told_at) = (false, Some(now));
        let mut hits: Vec<&Hit> = self.heap.iter().collect();
        hits.sort();
        hits.into_iter().map(|hit| hit.event.clone()).collect()
    }

    /// The events in order, and the place of the last one when there are more.
    pub(crate) fn into_events(self) -> (Vec<Event>, Option<HitKey>) {
        let has_more = self.has_more;
        let hits = self.heap.into_sorted_vec();
        let last = hits.last().filter(|_| has_more).map(|hit| hit.key.clone());
        (hits.into_iter().map(|hit| hit.event).collect(), last)
    }
}
