//! How many events have each value of a field, over all pieces: exact, without a text per number.
//!
//! Values that are the same text are the same value, whatever their types. Numbers and addresses are
//! kept as they are and compared with texts only at the end, and only when a field has both. Entries
//! are counted as memory when they are made and given back where two pieces had the same value.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use foldhash::quality::RandomState;
use logwarden_event::{Event, Value};
use logwarden_index::Counted;

use crate::cell::Cell;
use crate::error::QueryError;
use crate::filter::{Subject, Target, with_text};
use crate::scan::Memory;

/// Bytes that a number takes, counted.
const NUMBER_BYTES: usize = 32;
/// Bytes that a text takes beside itself, counted.
const TEXT_BYTES: usize = 48;

/// One for all tables, so that a text has the same hash in each.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// Values with their events.
#[derive(Default)]
pub(crate) struct ValueCounts {
    /// Events without a value.
    pub(crate) without: u64,
    integers: Numbers,
    addresses: Numbers,
    strings: Texts,
    /// Any other type, by its text, with the first value that had it.
    others: Texts,
    cells: Vec<Cell>,
}

impl ValueCounts {
    /// How many different values there are; those that are one text in two types may count twice.
    pub(crate) fn len(&self) -> usize {
        self.integers.len + self.addresses.len + self.strings.len() + self.others.len()
    }

    /// Adds events with this value.
    pub(crate) fn add(
        &mut self,
        value: Value<'_>,
        times: u64,
        memory: &Memory,
    ) -> Result<(), QueryError> {
        self.add_if(value, times, |size_bytes| memory.take(size_bytes))
    }

    /// The same; a value that is new is added when `room` gives the bytes it takes.
    pub(crate) fn add_if<E>(
        &mut self,
        value: Value<'_>,
        times: u64,
        room: impl FnOnce(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        match value {
            Value::Null => {
                self.without += times;
                Ok(())
            }
            Value::Integer(number) if i64::try_from(number).is_ok() => {
                self.integers.add(number as u64, times, room)
            }
            Value::Ip(IpAddr::V4(address)) => {
                self.addresses.add(u64::from(address.to_bits()), times, room)
            }
            Value::String(text) | Value::Json(text) => self.strings.add(text, times, room),
            value => {
                let mut done = Ok(());
                with_text(value, |text| {
                    done = self.others.add(text, times, room);
                    true
                });
                if self.others.len() > self.cells.len() {
                    self.cells.push(Cell::from(value));
                }
                done
            }
        }
    }

    /// Adds what a piece tells, but for events that must be looked at themselves; tells how many events
    /// that are.
    pub(crate) fn add_counted(
        &mut self,
        counted: Counted<'_>,
        memory: &Memory,
    ) -> Result<u64, QueryError> {
        let mut events = 0;
        let mut taken = Taken { memory, size_bytes: 0 };
        match counted {
            Counted::Value(value, times) => {
                events = times;
                self.add(value, times, memory)?;
            }
            Counted::Integers(numbers) => {
                events = numbers.len() as u64;
                for number in numbers {
                    self.integers.add(*number as u64, 1, |bytes| taken.take(bytes))?;
                }
            }
            Counted::Addresses(addresses) => {
                for (address, times) in addresses.iter().filter(|(_, times)| *times > 0) {
                    let times = u64::from(*times);
                    events += times;
                    self.addresses.add(u64::from(*address), times, |bytes| taken.take(bytes))?;
                }
            }
            Counted::Strings(strings) => {
                for (text, times) in strings.iter() {
                    events += times;
                    self.strings.add(text, times, |bytes| taken.take(bytes))?;
                }
            }
            Counted::Event(_) => {}
        }
        taken.settle()?;
        Ok(events)
    }

    /// Adds what another has; values that are new only up to `len_max` of them. True when some were
    /// left out.
    pub(crate) fn merge(&mut self, mut other: Self, len_max: usize, memory: &Memory) -> bool {
        if self.len() < other.len() {
            std::mem::swap(self, &mut other);
        }
        self.without += other.without;
        let (mut len, mut kept_bytes, mut all_bytes, mut is_cut) = (self.len(), 0, 0, false);
        let mut adopt = |size_bytes| {
            if len >= len_max {
                is_cut = true;
                return Err(());
            }
            len += 1;
            kept_bytes += size_bytes;
            Ok(())
        };
        let numbers =
            [(&mut self.integers, &other.integers), (&mut self.addresses, &other.addresses)];
        for (mine, theirs) in numbers {
            for (number, times) in theirs.entries() {
                all_bytes += NUMBER_BYTES;
                mine.add(number, times, &mut adopt).ok();
            }
        }
        for (text, hash, times) in other.strings.entries() {
            all_bytes += TEXT_BYTES + text.len();
            self.strings.add_hashed(text, hash, times, &mut adopt).ok();
        }
        for ((text, hash, times), cell) in other.others.entries().zip(&other.cells) {
            all_bytes += TEXT_BYTES + text.len();
            self.others.add_hashed(text, hash, times, &mut adopt).ok();
            if self.others.len() > self.cells.len() {
                self.cells.push(cell.clone());
            }
        }
        // What both had was counted twice.
        memory.give(all_bytes - kept_bytes);
        is_cut
    }

    /// Values with their events, in no order; the texts of equal values of two types are one.
    pub(crate) fn into_cells(mut self, is_wanted: impl Fn(u64) -> bool) -> Vec<(Cell, u64)> {
        self.unite_types();
        let wanted = |times: &u64| *times > 0 && is_wanted(*times);
        let integers = self
            .integers
            .entries()
            .map(|(number, times)| (Cell::Integer(i128::from(number as i64)), times));
        let addresses = self
            .addresses
            .entries()
            .map(|(address, times)| (Cell::Ip(Ipv4Addr::from_bits(address as u32).into()), times));
        let numbers = integers.chain(addresses).filter(|(_, times)| wanted(times));
        let strings = self.strings.entries().filter(|(.., times)| wanted(times));
        let strings = strings.map(|(text, _, times)| (Cell::String(text.to_owned()), times));
        let others = self.others.entries().zip(&self.cells);
        let others = others.filter(|((.., times), _)| wanted(times));
        let others = others.map(|((.., times), cell)| (cell.clone(), times));
        numbers.chain(strings).chain(others).collect()
    }

    /// How many events each value has, in no order, as [`Self::into_cells`] would tell.
    pub(crate) fn counts(&mut self) -> Vec<u64> {
        self.unite_types();
        let numbers = self.integers.entries().chain(self.addresses.entries());
        let texts = self.strings.entries().chain(self.others.entries());
        let counts = numbers.map(|(_, times)| times).chain(texts.map(|(.., times)| times));
        counts.filter(|times| *times > 0).collect()
    }

    /// The type of all values, `string` when they differ; `None` when there are none.
    pub(crate) fn type_name(&mut self) -> Option<&'static str> {
        self.unite_types();
        let kinds = [
            (self.integers.len, "integer"),
            (self.addresses.len, "ip"),
            (self.strings.len(), "string"),
        ];
        let kinds = kinds.into_iter().filter(|(len, _)| *len > 0).map(|(_, name)| name);
        let mut names = kinds.chain(self.cells.iter().map(|cell| cell.value().type_name()));
        let first = names.next()?;
        Some(if names.all(|name| name == first) { first } else { "string" })
    }

    /// Gives the events of a text to the number, the address or the other text that it is.
    fn unite_types(&mut self) {
        let kinds = [self.integers.len, self.addresses.len, self.strings.len(), self.others.len()];
        if kinds.iter().filter(|len| **len > 0).count() < 2 {
            return;
        }
        let others = std::mem::take(&mut self.others);
        let strings = std::mem::take(&mut self.strings);
        let cells = std::mem::take(&mut self.cells);
        for ((text, hash, times), cell) in others.entries().zip(cells) {
            if times > 0 && !self.add_to_number(text, times) {
                let added: Result<(), ()> = self.others.add_hashed(text, hash, times, |_| Ok(()));
                added.ok();
                self.cells.push(cell);
            }
        }
        for (text, hash, times) in strings.entries() {
            let is_known = || Err(());
            if times > 0
                && !self.add_to_number(text, times)
                && self.others.add_hashed(text, hash, times, |_| is_known()).is_err()
            {
                let added: Result<(), ()> = self.strings.add_hashed(text, hash, times, |_| Ok(()));
                added.ok();
            }
        }
    }

    /// Adds events to the number or the address that is written as this text, when there is one.
    fn add_to_number(&mut self, text: &str, times: u64) -> bool {
        let number = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
        let address = text.parse::<Ipv4Addr>().ok().filter(|address| address.to_string() == text);
        let known = |_| Err(());
        number.is_some_and(|number| self.integers.add(number as u64, times, known).is_ok())
            || address.is_some_and(|address| {
                self.addresses.add(u64::from(address.to_bits()), times, known).is_ok()
            })
    }
}

/// Takes memory in larger amounts than those it is asked for.
struct Taken<'m> {
    memory: &'m Memory,
    size_bytes: usize,
}

impl Taken<'_> {
    /// What is asked for before it is taken.
    const BYTES_MAX: usize = 64 << 10;

    fn take(&mut self, size_bytes: usize) -> Result<(), QueryError> {
        self.size_bytes += size_bytes;
        if self.size_bytes < Self::BYTES_MAX { Ok(()) } else { self.settle() }
    }

    fn settle(&mut self) -> Result<(), QueryError> {
        self.memory.take(std::mem::take(&mut self.size_bytes))
    }
}

/// Hands the different values of an event to `found`; tells how many there are.
pub(crate) fn each_value(
    event: &Event,
    target: &Target,
    found: &mut dyn FnMut(Value<'_>),
) -> usize {
    let mut values = 0;
    event.any_value(target, &mut |value| {
        values += usize::from(value != Value::Null);
        values > 1
    });
    let are_several = values > 1;
    let mut seen: Vec<String> = Vec::new();
    event.any_value(target, &mut |value| {
        if value == Value::Null {
            return false;
        }
        if are_several {
            let text = value.to_string();
            if seen.contains(&text) {
                return false;
            }
            seen.push(text);
        }
        found(value);
        false
    });
    if are_several { seen.len() } else { values }
}

/// Events by number; open addressed, at most half full.
#[derive(Default)]
struct Numbers {
    /// Number and events; none of these where nothing is.
    slots: Vec<(u64, u64)>,
    len: usize,
}

impl Numbers {
    /// Adds events; a number that is new is added when there is `room`.
    fn add<E>(
        &mut self,
        number: u64,
        times: u64,
        room: impl FnOnce(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.slots.len() < 2 * (self.len + 1) {
            self.grow();
        }
        let slot = self.slot_of(number);
        if self.slots[slot].1 == 0 {
            room(NUMBER_BYTES)?;
            self.slots[slot].0 = number;
            self.len += 1;
        }
        self.slots[slot].1 += times;
        Ok(())
    }

    fn slot_of(&self, number: u64) -> usize {
        let mask = self.slots.len() - 1;
        // The upper half of the product is the mixed one.
        let mixed = (number ^ number >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut slot = (mixed >> 32) as usize & mask;
        while self.slots[slot].1 != 0 && self.slots[slot].0 != number {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let more = vec![(0, 0); (self.slots.len() * 2).max(64)];
        for (number, times) in std::mem::replace(&mut self.slots, more) {
            if times > 0 {
                let slot = self.slot_of(number);
                self.slots[slot] = (number, times);
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = (u64, u64)> {
        self.slots.iter().copied().filter(|(_, times)| *times > 0)
    }
}

/// Events by text; the texts stand side by side.
#[derive(Default)]
struct Texts {
    bytes: String,
    entries: Vec<TextEntry>,
    /// Entries plus one by hash, open addressed, at most half full.
    slots: Vec<u32>,
}

struct TextEntry {
    hash: u64,
    end: usize,
    times: u64,
}

impl Texts {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn add<E>(
        &mut self,
        text: &str,
        times: u64,
        room: impl FnOnce(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.add_hashed(text, HASHER.hash_one(text.as_bytes()), times, room)
    }

    /// Adds events; a text that is new is added when there is `room`.
    fn add_hashed<E>(
        &mut self,
        text: &str,
        hash: u64,
        times: u64,
        room: impl FnOnce(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.slots.len() < 2 * (self.len() + 1) {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while let Some(place) = self.slots[slot].checked_sub(1) {
            let place = place as usize;
            if self.entries[place].hash == hash && self.text(place) == text {
                self.entries[place].times += times;
                return Ok(());
            }
            slot = (slot + 1) & mask;
        }
        room(TEXT_BYTES + text.len())?;
        self.bytes.push_str(text);
        self.entries.push(TextEntry { hash, end: self.bytes.len(), times });
        self.slots[slot] = u32::try_from(self.len()).expect("memory ends long before");
        Ok(())
    }

    fn text(&self, place: usize) -> &str {
        let start = place.checked_sub(1).map_or(0, |before| self.entries[before].end);
        &self.bytes[start..self.entries[place].end]
    }

    fn grow(&mut self) {
        self.slots = vec![0; (self.slots.len() * 2).max(64)];
        let mask = self.slots.len() - 1;
        for (entry, code) in self.entries.iter().zip(1..) {
            let mut slot = entry.hash as usize & mask;
            while self.slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = code;
        }
    }

    /// Each text with its hash and its events.
    fn entries(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        let entries = self.entries.iter().enumerate();
        entries.map(|(place, entry)| (self.text(place), entry.hash, entry.times))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arbitrary;

    fn naive(values: &[(Cell, u64)]) -> Vec<(String, u64)> {
        let mut sums = std::collections::BTreeMap::new();
        for (cell, times) in values.iter().filter(|(cell, _)| *cell != Cell::Null) {
            *sums.entry(cell.to_string()).or_default() += times;
        }
        sums.into_iter().collect()
    }

    fn cell() -> impl Strategy<Value = Cell> {
        prop_oneof![
            Just(Cell::Null),
            (-3i128..3).prop_map(Cell::Integer),
            any::<i128>().prop_map(Cell::Integer),
            (-3i8..3).prop_map(|number| Cell::Float(f64::from(number) / 2.0)),
            any::<bool>().prop_map(Cell::Bool),
            (0u32..4).prop_map(|n| Cell::Ip(Ipv4Addr::from_bits(n).into())),
            "-?[0-3]|0\\.0\\.0\\.[0-3]|0\\.5|true|[ab]{0,3}".prop_map(Cell::String),
        ]
    }

    proptest! {
        #[test]
        fn the_same_text_is_one_value_and_nothing_is_lost(
            pieces in prop::collection::vec(prop::collection::vec((cell(), 1u64..9), 0..40), 0..4)
        ) {
            let memory = arbitrary::memory();
            let mut all = ValueCounts::default();
            for values in &pieces {
                let mut counts = ValueCounts::default();
                for (cell, times) in values {
                    counts.add(cell.value(), *times, &memory).expect("room");
                }
                all.merge(counts, usize::MAX, &memory);
            }
            let values = pieces.concat();
            let without: u64 =
                values.iter().filter(|(cell, _)| *cell == Cell::Null).map(|(_, times)| times).sum();
            prop_assert_eq!(all.without, without);
            let mut counts = all.counts();
            let told = all.into_cells(|_| true);
            let mut told: Vec<(String, u64)> =
                told.into_iter().map(|(cell, times)| (cell.to_string(), times)).collect();
            told.sort();
            prop_assert_eq!(&told, &naive(&values));
            counts.sort_unstable();
            let mut times: Vec<u64> = told.into_iter().map(|(_, times)| times).collect();
            times.sort_unstable();
            prop_assert_eq!(counts, times);
        }
    }
}
