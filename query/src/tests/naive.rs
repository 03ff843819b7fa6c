//! A piece that looks at each of its events.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use logwarden_event::{Event, TimeRange, Timestamp};
use logwarden_index::{FieldStat, IndexError, Lookup, Piece};

/// Events in memory. Every second piece cannot count, every third gives more than asked for, so that
/// all ways of the engine are taken.
pub(super) struct NaivePiece {
    place: usize,
    events: Vec<Event>,
}

impl NaivePiece {
    pub(super) fn new(place: usize, mut events: Vec<Event>) -> Arc<Self> {
        events.sort_by_key(|event| Reverse((event.timestamp(), event.seq())));
        Arc::new(Self { place, events })
    }
}

impl Piece for NaivePiece {
    fn name(&self) -> String {
        format!("naive-{}", self.place)
    }

    fn time_span(&self) -> (Timestamp, Timestamp) {
        let time = |event: Option<&Event>| event.map_or(Timestamp::MIN, Event::timestamp);
        (time(self.events.last()), time(self.events.first()))
    }

    fn event_count(&self) -> u64 {
        self.events.len() as u64
    }

    fn search(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        visit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        let gives_more = self.place % 3 == 2;
        for event in &self.events {
            let is_found = gives_more || lookup.matches(event);
            if range.contains(event.timestamp()) && is_found && visit(event).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn count(&self, lookup: &Lookup, range: TimeRange) -> Result<Option<u64>, IndexError> {
        let found = |event: &&Event| range.contains(event.timestamp()) && lookup.matches(event);
        let count = self.events.iter().filter(found).count() as u64;
        Ok(self.place.is_multiple_of(2).then_some(count))
    }

    fn fields(&self) -> Vec<FieldStat> {
        let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for field in self.events.iter().flat_map(Event::fields) {
            *counts.entry((field.path, field.value.type_name())).or_default() += 1;
        }
        let stat = |((name, type_name), count): ((&str, &str), u64)| FieldStat {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            count,
        };
        counts.into_iter().map(stat).collect()
    }
}

/// A piece with events of this time that cannot be read.
pub(super) struct DamagedPiece {
    pub(super) span: (Timestamp, Timestamp),
}

impl Piece for DamagedPiece {
    fn name(&self) -> String {
        "damaged".to_owned()
    }

    fn time_span(&self) -> (Timestamp, Timestamp) {
        self.span
    }

    fn event_count(&self) -> u64 {
        1
    }

    fn search(
        &self,
        _lookup: &Lookup,
        _range: TimeRange,
        _visit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        Err(IndexError::Split { name: self.name(), reason: "a bit is wrong".to_owned() })
    }

    fn count(&self, _lookup: &Lookup, _range: TimeRange) -> Result<Option<u64>, IndexError> {
        Ok(None)
    }

    fn fields(&self) -> Vec<FieldStat> {
        Vec::new()
    }
}
