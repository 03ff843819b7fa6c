//! How many events have each value of a field, without putting events together.
//!
//! A shape says where the field's value is: in no slot, in one, or in several. Texts that repeat are
//! counted by their code; where every row counts, the dictionary has counted them already.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};

use logwarden_event::{Value, standard_field};

use super::layout::{Group, Layout, VERBATIM};
use super::view::{BlockView, ColumnView, OpenColumns};
use super::{ColumnStore, StoredShape};
use crate::columns::block::Values;
use crate::columns::rebuild::value;
use crate::columns::shape::Kind;
use crate::piece::{Counted, StringCounts};
use crate::rowset::RowSet;

/// The events that count.
pub(crate) struct Wanted {
    /// Rows that may count.
    pub(crate) rows: Range<u32>,
    /// The spots of those of them that do; `None`: all.
    pub(crate) found: Option<RowSet>,
    /// The lane of the events.
    pub(crate) lane: u32,
}

/// Which rows of a group count, by their place in it.
pub(super) enum Chosen {
    /// So many, which are all.
    All(u32),
    /// These, ascending.
    Some(Vec<u32>),
}

impl Chosen {
    /// How many.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::All(len) => *len as usize,
            Self::Some(places) => places.len(),
        }
    }

    /// Their places.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> {
        let (all, some) = match self {
            Self::All(len) => (0..*len, [].as_slice()),
            Self::Some(places) => (0..0, places.as_slice()),
        };
        all.chain(some.iter().copied())
    }
}

impl Wanted {
    fn has_all_of(&self, rows: &Range<u32>) -> bool {
        self.found.is_none() && self.covers(rows)
    }

    fn covers(&self, rows: &Range<u32>) -> bool {
        self.rows.start <= rows.start && rows.end <= self.rows.end
    }

    /// Which rows of a group of a block with these rows count.
    pub(super) fn chosen(&self, rows: &Range<u32>, layout: &Layout, group: &Group) -> Chosen {
        let of_group = layout.spots_of(group);
        let spots = rows.start + of_group.start..rows.start + of_group.end;
        let is_whole = self.covers(rows);
        let start = spots.start;
        match &self.found {
            None if is_whole => Chosen::All(group.len),
            Some(found) if is_whole => match found.count(spots.clone()) {
                0 => Chosen::Some(Vec::new()),
                count if count == u64::from(group.len) => Chosen::All(group.len),
                _ => Chosen::Some(found.rows(spots).map(|spot| spot - start).collect()),
            },
            found => {
                let is_in = |(row, spot): (&u16, u32)| {
                    self.rows.contains(&(rows.start + u32::from(*row)))
                        && found.as_ref().is_none_or(|found| found.contains(spot))
                };
                let by_spot = layout.rows_of(group).iter().zip(spots);
                let chosen = by_spot.filter(|(row, spot)| is_in((row, *spot)));
                Chosen::Some(chosen.map(|(_, spot)| spot - start).collect())
            }
        }
    }
}

/// Events by IPv4 address.
#[derive(Default)]
struct Addresses {
    /// Address and events, none where nothing is; open addressed, at most half full.
    slots: Vec<(u32, u32)>,
    len: usize,
}

impl Addresses {
    fn add(&mut self, address: u32, times: u32) {
        if self.slots.len() < 2 * (self.len + 1) {
            let more = vec![(0, 0); (self.slots.len() * 2).max(1 << 10)];
            self.len = 0;
            for (address, times) in std::mem::replace(&mut self.slots, more) {
                if times > 0 {
                    self.add(address, times);
                }
            }
        }
        // The upper bits of the product are the mixed ones.
        let shift = 32 - self.slots.len().trailing_zeros();
        let mut slot = (address.wrapping_mul(0x9E37_79B1) >> shift) as usize;
        loop {
            match &mut self.slots[slot] {
                (_, 0) => break,
                (known, events) if *known == address => {
                    *events += times;
                    return;
                }
                _ => slot = (slot + 1) & (self.slots.len() - 1),
            }
        }
        self.slots[slot] = (address, times);
        self.len += 1;
    }
}

/// Where the value of a field is in the events of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// There is none.
    Nowhere,
    /// It is the same in all.
    Constant(String),
    /// In one slot.
    Slot { column: u32, before: u32, kind: Kind },
    /// In several, or in a text of several pieces.
    Event,
}

/// Counts of codes, by column and kind.
type CodeCounts = BTreeMap<(u32, Kind), Vec<u64>>;

type Visit<'v> = dyn FnMut(Counted<'_>) -> ControlFlow<()> + 'v;

impl ColumnStore {
    /// Visits the values of a field of the events that are wanted.
    pub(crate) fn count_values(
        &self,
        field: &str,
        wanted: &Wanted,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, String> {
        if wanted.rows.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let sources: Vec<Source> =
            self.shapes().iter().map(|stored| source_of(stored, field)).collect();
        let all = 0..self.rows_of(self.blocks().len() - 1).end;
        let counted = match wanted.has_all_of(&all) {
            true => self.columns_counted_already(&sources),
            false => BTreeSet::new(),
        };
        let mut codes = CodeCounts::new();
        for (column, kind) in &counted {
            let dictionary = self.dictionary(*column)?;
            let counts = dictionary.counts.iter().map(|count| u64::from(*count)).collect();
            codes.insert((*column, *kind), counts);
        }
        let is_left = |source: &Source| match source {
            Source::Slot { column, kind, .. } => !counted.contains(&(*column, *kind)),
            _ => true,
        };
        let rows_left = || {
            self.shapes()
                .iter()
                .zip(&sources)
                .any(|(stored, source)| stored.rows > 0 && is_left(source))
        };
        let has_verbatim = (0..self.blocks().len()).any(|block| self.has_verbatim(block));
        if counted.is_empty() || has_verbatim || rows_left() {
            let mut tally = Tally {
                store: self,
                wanted,
                sources: &sources,
                counted: &counted,
                codes,
                addresses: Addresses::default(),
                visit,
            };
            if tally.read()?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            codes = tally.codes;
            let addresses = tally.addresses.slots;
            if !addresses.is_empty() && visit(Counted::Addresses(&addresses)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        for ((column, kind), counts) in codes {
            let dictionary = self.dictionary(column)?;
            if let (Kind::String, texts) = (kind, &dictionary.texts)
                && texts.are_ascii()
            {
                let counts = &counts;
                if visit(Counted::Strings(StringCounts { texts, counts })).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                continue;
            }
            for (code, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                let text = value(kind, dictionary.texts.get(code))?;
                if visit(Counted::Value(text, count)).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Columns of which each text is the one value of one event.
    fn columns_counted_already(&self, sources: &[Source]) -> BTreeSet<(u32, Kind)> {
        let asked: BTreeSet<(u32, Kind)> = sources
            .iter()
            .filter_map(|source| match source {
                Source::Slot { column, kind, .. } => Some((*column, *kind)),
                _ => None,
            })
            .collect();
        let is_counted = |(column, kind): &(u32, Kind)| {
            let are_all = self.shapes_of(*column).iter().all(|(shape, slots)| {
                let is_it = matches!(&sources[*shape as usize],
                    Source::Slot { column: other, kind: other_kind, .. }
                        if other == column && other_kind == kind);
                is_it && *slots == 1
            });
            are_all && self.is_all_coded(*column)
        };
        asked.into_iter().filter(is_counted).collect()
    }
}

struct Tally<'a, 'v> {
    store: &'a ColumnStore,
    wanted: &'a Wanted,
    sources: &'a [Source],
    counted: &'a BTreeSet<(u32, Kind)>,
    codes: CodeCounts,
    /// Events by address, where addresses are in no dictionary: they repeat all the same.
    addresses: Addresses,
    visit: &'a mut Visit<'v>,
}

impl Tally<'_, '_> {
    /// Goes through the blocks.
    fn read(&mut self) -> Result<ControlFlow<()>, String> {
        let mut without = 0;
        let mut constants: BTreeMap<&str, u64> = BTreeMap::new();
        for block in self.store.blocks_in(&self.wanted.rows) {
            let layout = self.store.layout(block)?;
            let rows = self.store.rows_of(block);
            let mut view = None;
            let mut columns = OpenColumns::default();
            for (place, group) in layout.groups.iter().enumerate() {
                let source = match group.shape {
                    VERBATIM => &Source::Event,
                    shape => &self.sources[shape as usize - 1],
                };
                if let Source::Slot { column, kind, .. } = source
                    && self.counted.contains(&(*column, *kind))
                {
                    continue;
                }
                let chosen = self.wanted.chosen(&rows, &layout, group);
                if chosen.len() == 0 {
                    continue;
                }
                match source {
                    Source::Nowhere => without += chosen.len() as u64,
                    Source::Constant(text) => {
                        *constants.entry(text).or_default() += chosen.len() as u64
                    }
                    Source::Slot { column, before, kind } => {
                        let column_view = columns.open(self.store, *column, block, &layout)?;
                        let (start, count) = column_view.starts[place];
                        let first = (start + before) as usize;
                        let texts = (first, count as usize, &chosen);
                        if self.slot((*column, *kind), column_view, texts)?.is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                    Source::Event => {
                        for place in chosen.places() {
                            let view = match &mut view {
                                Some(view) => view,
                                None => view.insert(BlockView::new(self.store, block)?),
                            };
                            let row = layout.rows_of(group)[place as usize];
                            let event = view.event(self.wanted.lane, usize::from(row))?;
                            if (self.visit)(Counted::Event(&event)).is_break() {
                                return Ok(ControlFlow::Break(()));
                            }
                        }
                    }
                }
            }
        }
        let constants = constants.into_iter().map(|(text, count)| (Value::String(text), count));
        for (value, count) in constants.chain([(Value::Null, without)]) {
            if count > 0 && (self.visit)(Counted::Value(value, count)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Counts texts of a column in a block: `first` is that of the first row of the group, so many
    /// further is that of the next.
    fn slot(
        &mut self,
        (column, kind): (u32, Kind),
        view: &ColumnView,
        (first, step, chosen): (usize, usize, &Chosen),
    ) -> Result<ControlFlow<()>, String> {
        let places = || chosen.places().map(|place| first + place as usize * step);
        match (&*view.values, kind) {
            (Values::Codes(codes), _) => {
                let counts = self.codes.entry((column, kind)).or_default();
                counts.resize(view.dictionary.texts.len(), 0);
                for place in places() {
                    let code = codes.get(place) as usize;
                    *counts.get_mut(code).ok_or("a code is not in its dictionary")? += 1;
                }
                return Ok(ControlFlow::Continue(()));
            }
            (Values::Addresses(addresses), Kind::Ip) => {
                places().for_each(|place| self.addresses.add(addresses[place], 1));
                return Ok(ControlFlow::Continue(()));
            }
            (Values::Ints(numbers), Kind::Integer) => {
                if let (1, Chosen::All(len)) = (step, chosen) {
                    let numbers = &numbers[first..first + *len as usize];
                    return Ok((self.visit)(Counted::Integers(numbers)));
                }
                let numbers: Vec<i64> = places().map(|place| numbers[place]).collect();
                return Ok((self.visit)(Counted::Integers(&numbers)));
            }
            _ => {}
        }
        let mut buffer = Vec::new();
        for place in places() {
            let text = view.values.text(place, &view.dictionary, &mut buffer)?;
            if (self.visit)(Counted::Value(value(kind, text)?, 1)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Where the value of a field is in the events of a shape.
pub(super) fn source_of(stored: &StoredShape, field: &str) -> Source {
    let shape = &stored.shape;
    if let Some(text) = stored.event_part(field) {
        return match text {
            "" => Source::Nowhere,
            text => Source::Constant(text.to_owned()),
        };
    }
    let standard = standard_field(field);
    let mut source = Source::Nowhere;
    for named in shape.fields.iter().filter(|named| shape.is_named(named, field, standard)) {
        if named.kind == Kind::Null {
            continue;
        }
        source = match (shape.slot_of(named), source) {
            (Some(slot), Source::Nowhere) => {
                let (column, before) = stored.slots[usize::from(slot)];
                Source::Slot { column, before, kind: named.kind }
            }
            _ => return Source::Event,
        };
    }
    source
}
