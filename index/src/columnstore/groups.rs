//! How many events have each combination of values, without putting events together.
//!
//! Every part of a group gives each row a number that stands for its value; the numbers of two parts
//! become one that stands for both. Values are made once for each combination, at the end.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::ops::ControlFlow;

use foldhash::quality::RandomState;
use logwarden_event::{TimeRange, Timestamp, Value};

use super::ColumnStore;
use super::layout::VERBATIM;
use super::tally::{Chosen, Source, Wanted, source_of};
use super::view::{BlockView, ColumnView, OpenColumns};
use crate::columns::block::Values;
use crate::columns::dictionary::Dictionary;
use crate::columns::rebuild::value;
use crate::columns::shape::Kind;
use crate::piece::{GroupPart, Grouped};

/// Numbers by what they stand for.
type Known<K> = HashMap<K, u32, RandomState>;

type Visit<'v> = dyn FnMut(Grouped<'_>) -> ControlFlow<()> + 'v;

impl ColumnStore {
    /// Visits the combinations of values of the events that are wanted.
    pub(crate) fn count_groups(
        &self,
        parts: &[GroupPart<'_>],
        wanted: &Wanted,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, String> {
        let mut groups = Groups {
            store: self,
            wanted,
            parts: parts.iter().map(|part| Numbered::new(self, part)).collect(),
            pairs: (1..parts.len()).map(|_| Pairs::default()).collect(),
            counts: Vec::new(),
        };
        for block in self.blocks_in(&wanted.rows) {
            if groups.read(block, visit)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        groups.tell(visit)
    }
}

struct Groups<'a> {
    store: &'a ColumnStore,
    wanted: &'a Wanted,
    parts: Vec<Numbered<'a>>,
    /// The combinations of the first two parts, those of these with the third, and so on.
    pairs: Vec<Pairs>,
    /// Events by combination.
    counts: Vec<u64>,
}

/// Numbers of two parts, and the number that stands for both.
#[derive(Default)]
struct Pairs {
    known: Known<u64>,
    keys: Vec<u64>,
}

impl Pairs {
    fn number(&mut self, one: u32, other: u32) -> u32 {
        let key = u64::from(one) << 32 | u64::from(other);
        *self.known.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.keys.len() as u32 - 1
        })
    }

    fn of(&self, number: u32) -> (u32, u32) {
        let key = self.keys[number as usize];
        ((key >> 32) as u32, key as u32)
    }
}

impl Groups<'_> {
    fn read(&mut self, block: usize, visit: &mut Visit<'_>) -> Result<ControlFlow<()>, String> {
        let layout = self.store.layout(block)?;
        let rows = self.store.rows_of(block);
        let mut view = None;
        let mut columns = OpenColumns::default();
        let (mut numbers, mut next) = (Vec::new(), Vec::new());
        for (place, group) in layout.groups.iter().enumerate() {
            let chosen = self.wanted.chosen(&rows, &layout, group);
            if chosen.len() == 0 {
                continue;
            }
            let of_group = layout.rows_of(group);
            let shape = match group.shape {
                VERBATIM => None,
                shape => Some(shape - 1),
            };
            let must_see = |part: &Numbered<'_>| shape.is_none_or(|shape| part.must_see(shape));
            if self.parts.iter().any(must_see) {
                for place in chosen.places() {
                    let view = match &mut view {
                        Some(view) => view,
                        None => view.insert(BlockView::new(self.store, block)?),
                    };
                    let row = usize::from(of_group[place as usize]);
                    let event = view.event(self.wanted.lane, row)?;
                    if visit(Grouped::Event(&event)).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                continue;
            }
            let shape = shape.unwrap_or_default();
            for (number, part) in self.parts.iter_mut().enumerate() {
                next.clear();
                match &mut part.of {
                    Of::Time(time) => {
                        let times = self.store.times(block)?;
                        for place in chosen.places() {
                            let at = times.get(usize::from(of_group[place as usize]));
                            let at = *at.ok_or("a block has too few times")?;
                            next.push(part.ids.of_number(time_of(time, at)));
                        }
                    }
                    Of::Field(sources) => match &sources[shape as usize] {
                        Source::Constant(text) => {
                            let id = part.ids.of_text(Kind::String, text.as_bytes());
                            next.resize(chosen.len(), id);
                        }
                        Source::Slot { column, before, kind } => {
                            let view = columns.open(self.store, *column, block, &layout)?;
                            let (start, step) = view.starts[place];
                            let at = (start + before, step);
                            part.ids.of_slot((*column, *kind), view, (at, &chosen), &mut next)?;
                        }
                        Source::Nowhere | Source::Event => next.resize(chosen.len(), 0),
                    },
                }
                if number == 0 {
                    std::mem::swap(&mut numbers, &mut next);
                    continue;
                }
                let pairs = &mut self.pairs[number - 1];
                for (number, other) in numbers.iter_mut().zip(&next) {
                    *number = pairs.number(*number, *other);
                }
            }
            for number in &numbers {
                let number = *number as usize;
                if number >= self.counts.len() {
                    self.counts.resize((number + 1).next_power_of_two(), 0);
                }
                self.counts[number] += 1;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn tell(&self, visit: &mut Visit<'_>) -> Result<ControlFlow<()>, String> {
        let numbered = (0u32..).zip(&self.counts).filter(|(_, count)| **count > 0);
        let dictionaries: Vec<_> = self
            .parts
            .iter()
            .map(|part| part.ids.dictionaries(self.store))
            .collect::<Result<_, _>>()?;
        let mut numbers = vec![0; self.parts.len()];
        for (number, count) in numbered {
            let mut left = number;
            for (place, pairs) in self.pairs.iter().enumerate().rev() {
                (left, numbers[place + 1]) = pairs.of(left);
            }
            numbers[0] = left;
            let parts = self.parts.iter().zip(&dictionaries).zip(&numbers);
            let values: Vec<Value<'_>> = parts
                .map(|((part, dictionaries), number)| part.ids.value(*number, dictionaries))
                .collect::<Result<_, _>>()?;
            if visit(Grouped::Values(&values, *count)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// A part of a group, and the numbers of its values.
struct Numbered<'a> {
    of: Of<'a>,
    ids: Ids,
}

enum Of<'a> {
    /// By shape, where the value is.
    Field(Vec<Source>),
    Time(Time<'a>),
}

/// A number for times, and where the last one that was told holds.
struct Time<'a> {
    number: &'a dyn Fn(Timestamp) -> (i64, TimeRange),
    last: (i64, TimeRange),
}

fn time_of(time: &mut Time<'_>, at: i64) -> i64 {
    let at = Timestamp::from_nanos(at);
    if !time.last.1.contains(at) {
        time.last = (time.number)(at);
    }
    time.last.0
}

impl<'a> Numbered<'a> {
    fn new(store: &ColumnStore, part: &GroupPart<'a>) -> Self {
        let of = match part {
            GroupPart::Field(name) => {
                Of::Field(store.shapes().iter().map(|stored| source_of(stored, name)).collect())
            }
            GroupPart::Time(number) => {
                let nowhere = TimeRange { start: Timestamp::MIN, end: Timestamp::MIN };
                Of::Time(Time { number: *number, last: (0, nowhere) })
            }
        };
        Self { of, ids: Ids::new() }
    }

    /// Whether only the events of a shape tell their values.
    fn must_see(&self, shape: u32) -> bool {
        matches!(&self.of, Of::Field(sources) if sources[shape as usize] == Source::Event)
    }
}

/// What numbers stand for; 0 is no value.
struct Ids {
    held: Vec<Held>,
    /// By code, numbers; 0 where there is none yet.
    codes: BTreeMap<(u32, Kind), Vec<u32>>,
    addresses: Known<u32>,
    numbers: Known<i64>,
    texts: BTreeMap<Kind, Known<Box<[u8]>>>,
}

enum Held {
    Nothing,
    Code { column: u32, kind: Kind, code: u32 },
    Address(u32),
    Number(i64),
    Text(Kind, Box<[u8]>),
}

impl Ids {
    fn new() -> Self {
        Self {
            held: vec![Held::Nothing],
            codes: BTreeMap::new(),
            addresses: Known::default(),
            numbers: Known::default(),
            texts: BTreeMap::new(),
        }
    }

    fn of_number(&mut self, number: i64) -> u32 {
        *self.numbers.entry(number).or_insert_with(|| hold(&mut self.held, Held::Number(number)))
    }

    fn of_text(&mut self, kind: Kind, text: &[u8]) -> u32 {
        let known = self.texts.entry(kind).or_default();
        if let Some(id) = known.get(text) {
            return *id;
        }
        let id = hold(&mut self.held, Held::Text(kind, text.into()));
        known.insert(text.into(), id);
        id
    }

    /// Appends the numbers of texts in a slot.
    fn of_slot(
        &mut self,
        (column, kind): (u32, Kind),
        view: &ColumnView,
        ((start, step), chosen): ((u32, u32), &Chosen),
        out: &mut Vec<u32>,
    ) -> Result<(), String> {
        let mut places = chosen.places().map(|place| (start + place * step) as usize);
        match (&*view.values, kind) {
            (Values::Codes(codes), _) => {
                let ids = self.codes.entry((column, kind)).or_default();
                ids.resize(view.dictionary.texts.len(), 0);
                for place in places {
                    let code = codes.get(place);
                    let id = ids.get_mut(code as usize).ok_or("a code is not in its dictionary")?;
                    if *id == 0 {
                        *id = hold(&mut self.held, Held::Code { column, kind, code });
                    }
                    out.push(*id);
                }
            }
            (Values::Addresses(addresses), Kind::Ip) => out.extend(places.map(|place| {
                let address = addresses[place];
                let new = || hold(&mut self.held, Held::Address(address));
                *self.addresses.entry(address).or_insert_with(new)
            })),
            (Values::Ints(numbers), Kind::Integer) => {
                out.extend(places.map(|place| self.of_number(numbers[place])));
            }
            (values, kind) => {
                let mut buffer = Vec::new();
                places.try_for_each(|place| {
                    let text = values.text(place, &view.dictionary, &mut buffer)?;
                    out.push(self.of_text(kind, text));
                    Ok::<(), String>(())
                })?;
            }
        }
        Ok(())
    }

    fn dictionaries(&self, store: &ColumnStore) -> Result<Dictionaries, String> {
        let columns = self.codes.keys().map(|(column, _)| *column);
        columns.map(|column| Ok((column, store.dictionary(column)?))).collect()
    }

    fn value<'v>(&'v self, id: u32, dictionaries: &'v Dictionaries) -> Result<Value<'v>, String> {
        Ok(match &self.held[id as usize] {
            Held::Nothing => Value::Null,
            Held::Address(address) => Value::Ip(Ipv4Addr::from_bits(*address).into()),
            Held::Number(number) => Value::Integer((*number).into()),
            Held::Text(kind, text) => value(*kind, text)?,
            Held::Code { column, kind, code } => {
                let dictionary = dictionaries.get(column).ok_or("a column lacks its dictionary")?;
                value(*kind, dictionary.texts.get(*code as usize))?
            }
        })
    }
}

type Dictionaries = BTreeMap<u32, std::sync::Arc<Dictionary>>;

fn hold(held: &mut Vec<Held>, one: Held) -> u32 {
    held.push(one);
    held.len() as u32 - 1
}
