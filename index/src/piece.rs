//! What can be searched: the head and every split are pieces.

use std::ops::ControlFlow;

use logwarden_event::{Event, TimeRange, Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::columns::texts::Texts;
use crate::error::IndexError;
use crate::lookup::Lookup;

/// How often a field occurs in a piece.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldStat {
    /// The dotted path; the standard name where there is one.
    pub name: String,
    /// The type of its values, as [`logwarden_event::Value::type_name`] gives it.
    pub type_name: String,
    /// Events that have a value of this type under this name.
    pub count: u64,
}

/// A split that cannot be read: what it holds is missing from every answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableSplit {
    /// The split.
    pub name: String,
    /// Why, in words.
    pub reason: String,
    /// Time of its oldest event.
    pub first: Timestamp,
    /// Time of its newest event.
    pub last: Timestamp,
    /// Events it holds.
    pub event_count: u64,
}

/// What a piece tells of the values of a field.
#[derive(Debug)]
pub enum Counted<'a> {
    /// So many events have this value and no other; with [`Value::Null`], no value.
    Value(Value<'a>, u64),
    /// Events that have these whole numbers and no other value, one each.
    Integers(&'a [i64]),
    /// So many events have this IPv4 address and no other value; where there are none the address is
    /// none either.
    Addresses(&'a [(u32, u32)]),
    /// Events that have these strings, of one piece, and no other value.
    Strings(StringCounts<'a>),
    /// An event that may have several values.
    Event(&'a Event),
}

/// What events are grouped by.
#[derive(Clone, Copy)]
pub enum GroupPart<'a> {
    /// The value of a field, or of `dataset`, `severity` or `lw.source`.
    Field(&'a str),
    /// A number for the time of the event; told with it is where else it holds.
    Time(&'a dyn Fn(Timestamp) -> (i64, TimeRange)),
}

/// What a piece tells of the events that are grouped.
#[derive(Debug)]
pub enum Grouped<'a> {
    /// So many events have these values and no other, by part; times are whole numbers.
    Values(&'a [Value<'a>], u64),
    /// An event that may have several values.
    Event(&'a Event),
}

/// Strings in ASCII, each different, with their events.
#[derive(Debug, Clone, Copy)]
pub struct StringCounts<'a> {
    pub(crate) texts: &'a Texts,
    pub(crate) counts: &'a [u64],
}

impl<'a> StringCounts<'a> {
    /// Each string with its events, at least one.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, u64)> + use<'a> {
        let texts = self.texts;
        let counts = self.counts.iter().copied().enumerate().filter(|(_, count)| *count > 0);
        // They are ASCII, so none is left out.
        counts.filter_map(|(place, count)| Some((str::from_utf8(texts.get(place)).ok()?, count)))
    }
}

/// A part of the index: the head or a split. Immutable; its calls may read from disk and block.
pub trait Piece: Send + Sync {
    /// What it is called in logs and answers.
    fn name(&self) -> String;

    /// Times of its oldest and its newest event, both inside.
    fn time_span(&self) -> (Timestamp, Timestamp);

    /// Events it holds.
    fn event_count(&self) -> u64;

    /// Visits the events inside `range` that may satisfy `lookup`, newest first by
    /// (timestamp, seq), until `visit` breaks. None that satisfies it is left out.
    ///
    /// # Errors
    ///
    /// [`IndexError::Split`] when the piece cannot be read; what was visited so far is valid.
    fn search(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        visit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), IndexError>;

    /// How many events inside `range` satisfy `lookup`; `None` when only reading the events would
    /// tell.
    ///
    /// # Errors
    ///
    /// [`IndexError::Split`] when the piece cannot be read.
    fn count(&self, lookup: &Lookup, range: TimeRange) -> Result<Option<u64>, IndexError>;

    /// Counts as [`Self::count`] does, and visits the events inside the range that `counted` wants then,
    /// a part of `range`, as [`Self::search`] does: what counting found out is not looked for again.
    ///
    /// # Errors
    ///
    /// As [`Self::search`].
    fn count_then_search(
        &self,
        lookup: &Lookup,
        range: TimeRange,
        counted: &mut dyn FnMut(Option<u64>) -> Option<TimeRange>,
        visit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        let count = self.count(lookup, range)?;
        counted(count).map_or(Ok(()), |wanted| self.search(lookup, wanted, visit))
    }

    /// The same for several ranges.
    ///
    /// # Errors
    ///
    /// [`IndexError::Split`] when the piece cannot be read.
    fn count_each(
        &self,
        lookup: &Lookup,
        ranges: &[TimeRange],
    ) -> Result<Option<Vec<u64>>, IndexError> {
        ranges.iter().map(|range| self.count(lookup, *range)).collect()
    }

    /// Tells the values of a field, or of `dataset`, `severity` or `lw.source`, of the events inside
    /// `range` that satisfy `lookup`, each event in one of what is visited, until `visit` breaks. A
    /// value may be visited more than once. `false`, with nothing visited: only reading the events
    /// would tell.
    ///
    /// # Errors
    ///
    /// [`IndexError::Split`] when the piece cannot be read; then what was visited is worth nothing.
    fn count_values(
        &self,
        _lookup: &Lookup,
        _range: TimeRange,
        _field: &str,
        _visit: &mut dyn FnMut(Counted<'_>) -> ControlFlow<()>,
    ) -> Result<bool, IndexError> {
        Ok(false)
    }

    /// Tells the combinations of values of the events inside `range` that satisfy `lookup`, as
    /// [`Self::count_values`] does the values of one field.
    ///
    /// # Errors
    ///
    /// As [`Self::count_values`].
    fn count_groups(
        &self,
        _lookup: &Lookup,
        _range: TimeRange,
        _parts: &[GroupPart<'_>],
        _visit: &mut dyn FnMut(Grouped<'_>) -> ControlFlow<()>,
    ) -> Result<bool, IndexError> {
        Ok(false)
    }

    /// Whether events inside `range` are lost, because a part of it is damaged.
    fn lacks(&self, _range: TimeRange) -> bool {
        false
    }

    /// The fields of its events, by name and type, in order; at most
    /// [`FIELDS_MAX`](crate::Config::FIELDS_MAX). The event's own parts (`message`, `dataset`,
    /// `severity`, …) are not among them.
    fn fields(&self) -> Vec<FieldStat>;
}
