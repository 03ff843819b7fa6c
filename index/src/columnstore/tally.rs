//! How many events have each value of a field, without putting events together.
//!
//! A shape says where the field's value is: in no slot, in one, or in several. Texts that repeat are
//! counted by their code; where every row counts, the dictionary has counted them already.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{ControlFlow, Range};

use foldhash::quality::RandomState;
use logwarden_event::{Value, standard_field};

use super::layout::VERBATIM;
use super::view::{BlockView, ColumnView, OpenColumns};
use super::{ColumnStore, StoredShape};
use crate::columns::block::Values;
use crate::columns::rebuild::value;
use crate::columns::shape::Kind;
use crate::piece::Counted;
use crate::rowset::RowSet;

/// The events that count.
pub(crate) struct Wanted {
    /// Rows that may count.
    pub(crate) rows: Range<u32>,
    /// Those of them that do; `None`: all.
    pub(crate) found: Option<RowSet>,
    /// The lane of the events.
    pub(crate) lane: u32,
}

impl Wanted {
    fn has(&self, row: u32) -> bool {
        self.rows.contains(&row) && self.found.as_ref().is_none_or(|found| found.contains(row))
    }

    fn has_all_of(&self, rows: &Range<u32>) -> bool {
        self.found.is_none() && self.rows.start <= rows.start && rows.end <= self.rows.end
    }
}

/// Where the value of a field is in the events of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
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
    ) -> Result<(), String> {
        if wanted.rows.is_empty() {
            return Ok(());
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
                addresses: HashMap::default(),
                visit,
            };
            if tally.read()?.is_break() {
                return Ok(());
            }
            codes = tally.codes;
            for (address, count) in tally.addresses {
                let address = Value::Ip(std::net::Ipv4Addr::from_bits(address).into());
                if visit(Counted::Value(address, count)).is_break() {
                    return Ok(());
                }
            }
        }
        for ((column, kind), counts) in codes {
            let dictionary = self.dictionary(column)?;
            for (code, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                let text = value(kind, dictionary.texts.get(code))?;
                if visit(Counted::Value(text, count)).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
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
    addresses: HashMap<u32, u64, RandomState>,
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
            let is_whole = self.wanted.has_all_of(&rows);
            let mut view = None;
            let mut columns = OpenColumns::default();
            for (place, group) in layout.groups.iter().enumerate() {
                let source = match group.shape {
                    VERBATIM => &Source::Event,
                    shape => &self.sources[shape as usize - 1],
                };
                let has = |row: &u16| is_whole || self.wanted.has(rows.start + u32::from(*row));
                let found = layout.rows_of(group).iter().zip(0u32..).filter(|(row, _)| has(row));
                match source {
                    Source::Nowhere => without += found.count() as u64,
                    Source::Constant(text) => {
                        *constants.entry(text).or_default() += found.count() as u64
                    }
                    Source::Slot { column, kind, .. }
                        if self.counted.contains(&(*column, *kind)) => {}
                    Source::Slot { column, before, kind } => {
                        let found: Vec<u32> = found.map(|(_, k)| k).collect();
                        if found.is_empty() {
                            continue;
                        }
                        let column_view = columns.open(self.store, *column, block, &layout)?;
                        let (start, count) = column_view.starts[place];
                        let places =
                            found.into_iter().map(|k| (start + k * count + before) as usize);
                        if self.slot((*column, *kind), column_view, places)?.is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                    Source::Event => {
                        for (row, _) in found {
                            let view = match &mut view {
                                Some(view) => view,
                                None => view.insert(BlockView::new(self.store, block)?),
                            };
                            let event = view.event(self.wanted.lane, usize::from(*row))?;
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

    fn slot(
        &mut self,
        (column, kind): (u32, Kind),
        view: &ColumnView,
        places: impl Iterator<Item = usize>,
    ) -> Result<ControlFlow<()>, String> {
        if let Values::Codes(codes) = &*view.values {
            let counts = self.codes.entry((column, kind)).or_default();
            counts.resize(view.dictionary.texts.len(), 0);
            for place in places {
                let code = codes.get(place) as usize;
                *counts.get_mut(code).ok_or("a code is not in its dictionary")? += 1;
            }
            return Ok(ControlFlow::Continue(()));
        }
        if let (Values::Addresses(addresses), Kind::Ip) = (&*view.values, kind) {
            places.for_each(|place| *self.addresses.entry(addresses[place]).or_default() += 1);
            return Ok(ControlFlow::Continue(()));
        }
        let mut buffer = Vec::new();
        for place in places {
            let counted = match &*view.values {
                Values::Ints(numbers) if kind == Kind::Integer => {
                    Value::Integer(numbers[place].into())
                }
                values => value(kind, values.text(place, &view.dictionary, &mut buffer)?)?,
            };
            if (self.visit)(Counted::Value(counted, 1)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn source_of(stored: &StoredShape, field: &str) -> Source {
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
