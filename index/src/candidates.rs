//! From a lookup to the rows of a split that may satisfy it, as the spots where they stand in columns.
//!
//! Shapes say which slots a condition is about; their columns say which rows pass. Words of messages
//! that are not cut into pieces are found by the word index. What holds for every row of a shape, or
//! for none, is said of the shape, so that most conditions touch the rows of few shapes or of none.
//! Events that are kept verbatim are few: the whole condition is tried on each.

mod phrase;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use logwarden_event::standard_field;

use crate::columns::shape::{Kind, Piece, ShapeValue, Stretch};
use crate::columnstore::search::{Places, Probe, TextTest};
use crate::columnstore::{BlockView, ColumnStore, StoredShape};
use crate::lookup::{EVENT_PARTS, Lookup, TextCondition};
use crate::metrics::POISON_EVENTS_TOTAL;
use crate::rowset::RowSet;
use crate::wordindex::WordIndex;

/// Rows that may satisfy a lookup: none that does is missing.
#[derive(Debug, Clone)]
pub(crate) struct Candidates {
    /// Their spots.
    pub(crate) spots: RowSet,
    /// Whether each of them satisfies it.
    pub(crate) is_exact: bool,
}

/// What rows are looked up in.
pub(crate) struct Finder<'a> {
    /// The columns.
    pub(crate) store: &'a ColumnStore,
    /// Words of messages that have no pieces; `None` when there is no such message.
    pub(crate) words: Option<&'a WordIndex>,
    /// The rows that are asked for; others may be missing.
    pub(crate) range: Range<u32>,
    /// Rows of the split.
    pub(crate) row_count: u32,
    /// The lane of its events.
    pub(crate) lane: u32,
}

/// Some of the shapes, by number.
type ShapeSet = Vec<bool>;

/// What a lookup finds among the rows of some shapes. Verbatim rows may be in it or not.
struct Found {
    /// Shapes of which every row is found.
    whole: ShapeSet,
    /// Shapes of which some rows may be found.
    part: ShapeSet,
    /// The spots of those rows. None of a whole shape is among them.
    spots: RowSet,
    /// Whether every row that is found satisfies the lookup.
    is_exact: bool,
}

impl Finder<'_> {
    /// The rows that may satisfy `lookup`.
    pub(crate) fn candidates(&self, lookup: &Lookup) -> Result<Candidates, String> {
        let found = self.find(lookup, &self.every_shape(), None)?;
        let is_all = found.whole.iter().all(|is_whole| *is_whole);
        let mut spots = if is_all { self.all() } else { found.spots };
        if !is_all {
            self.insert_whole(&found.whole, &mut spots)?;
        }
        let mut is_exact = found.is_exact || spots.is_empty();
        for block in self.store.blocks_in(&self.range) {
            if self.store.has_verbatim(block) {
                is_exact &= self.try_verbatim(lookup, block, &mut spots)?;
            }
        }
        Ok(Candidates { spots, is_exact })
    }

    /// How many rows satisfy `lookup`, when shapes and dictionaries have counted them. All rows must be
    /// asked for, and none may be verbatim.
    pub(crate) fn count(&self, lookup: &Lookup) -> Result<Option<u64>, String> {
        let mut blocks = self.store.blocks_in(&self.range);
        let is_counted = self.range == (0..self.row_count)
            && !blocks.any(|block| self.store.has_verbatim(block));
        if is_counted { self.count_by_dictionaries(lookup) } else { Ok(None) }
    }

    fn count_by_dictionaries(&self, lookup: &Lookup) -> Result<Option<u64>, String> {
        let mut among = self.every_shape();
        let mut left = None;
        let lookups = match lookup {
            Lookup::And(lookups) => lookups.as_slice(),
            one => std::slice::from_ref(one),
        };
        for lookup in lookups {
            match self.is_about_shapes(lookup) {
                true => among = self.find(lookup, &among, None)?.whole,
                false if left.is_some() => return Ok(None),
                false => left = Some(lookup),
            }
        }
        let Some(lookup) = left else { return Ok(Some(self.rows_of(&among))) };
        let is_counted = match lookup {
            Lookup::Text { field, .. } => !is_of_pieces(field.as_deref()),
            Lookup::And(_)
            | Lookup::Or(_)
            | Lookup::Not(_)
            | Lookup::Phrase { .. }
            | Lookup::Seq { .. } => false,
            _ => true,
        };
        if !is_counted {
            return Ok(None);
        }
        let Some((places, probe)) = self.places(lookup, &among)? else { return Ok(Some(0)) };
        if !places.unsure.is_empty() || self.words.is_some() && is_about_words(lookup) {
            return Ok(None);
        }
        let mut whole = self.no_shape();
        places.whole.iter().for_each(|shape| whole[*shape as usize] = true);
        let counted = self.store.count_passing(&places, &probe, (&whole, &among))?;
        Ok(counted.map(|counted| counted + self.rows_of(&whole)))
    }

    /// What `lookup` finds among the rows of some shapes, of texts only `within` these rows.
    fn find(
        &self,
        lookup: &Lookup,
        among: &ShapeSet,
        within: Option<&RowSet>,
    ) -> Result<Found, String> {
        match lookup {
            Lookup::All => Ok(Found { whole: among.clone(), ..self.nothing() }),
            Lookup::Nothing => Ok(self.nothing()),
            Lookup::And(lookups) => self.and(lookups, among),
            Lookup::Or(lookups) => self.or(lookups, among),
            Lookup::Not(lookup) => self.not(lookup, among),
            Lookup::Exists { field } => Ok(self.exists(field, among)),
            Lookup::Seq { first, last } => self.seqs(*first, *last, among),
            Lookup::Phrase { field, words } => self.phrase(*field, words, among, within),
            Lookup::Text { field, condition } if is_of_pieces(field.as_deref()) => {
                self.texts(field.as_deref(), condition, among, within)
            }
            leaf => match self.places(leaf, among)? {
                Some((places, probe)) => self.passing(&places, &probe, is_about_words(leaf), among),
                None => Ok(self.nothing()),
            },
        }
    }

    /// The texts that a condition is about; `None`: none of them can pass.
    fn places<'l>(
        &self,
        lookup: &'l Lookup,
        among: &ShapeSet,
    ) -> Result<Option<(Places, Probe<'l>)>, String> {
        let test = match lookup {
            Lookup::Word { word, .. } => TextTest::Word(word),
            Lookup::WordPrefix { prefix, .. } => TextTest::WordPrefix(prefix),
            Lookup::Value { value, .. } => TextTest::Is(value),
            Lookup::ValuePrefix { prefix, .. } => TextTest::BeginsWith(prefix),
            Lookup::Number { from, to, .. } => TextTest::Number(*from, *to),
            Lookup::Text { condition, .. } => TextTest::Passes(condition),
            _ => return Ok(None),
        };
        // Parts of the event are not in the filter.
        let probe = match self.is_about_shapes(lookup) {
            true => Probe::unfiltered(test),
            false => match Probe::new(self.store, test) {
                Some(probe) => probe,
                None => return Ok(None),
            },
        };
        let test = &probe.test;
        let places = match lookup {
            Lookup::Word { field, .. } | Lookup::WordPrefix { field, .. } => {
                self.store.word_places(field.is_some()).places(test, among)
            }
            Lookup::Value { field, .. }
            | Lookup::ValuePrefix { field, .. }
            | Lookup::Number { field, .. }
            | Lookup::Text { field: Some(field), .. }
                if !(is_of_pieces(Some(field)) && matches!(lookup, Lookup::Text { .. })) =>
            {
                self.value_places(field, test, among)
            }
            _ => return Ok(None),
        };
        Ok(Some((places, probe)))
    }

    fn every_shape(&self) -> ShapeSet {
        vec![true; self.store.shapes().len()]
    }

    fn no_shape(&self) -> ShapeSet {
        vec![false; self.store.shapes().len()]
    }

    fn nothing(&self) -> Found {
        let none = self.no_shape();
        Found { whole: none.clone(), part: none, spots: self.none(), is_exact: true }
    }

    fn none(&self) -> RowSet {
        RowSet::empty(self.row_count)
    }

    fn all(&self) -> RowSet {
        RowSet::full(self.row_count)
    }

    /// Rows of some shapes in the whole split.
    fn rows_of(&self, shapes: &ShapeSet) -> u64 {
        let counts = self.store.shapes().iter().zip(shapes);
        counts.filter(|(_, is_it)| **is_it).map(|(stored, _)| u64::from(stored.rows)).sum()
    }

    /// Adds every row of some shapes.
    fn insert_whole(&self, shapes: &ShapeSet, spots: &mut RowSet) -> Result<(), String> {
        let codes = (1u32..).zip(shapes).filter(|(_, is_it)| **is_it).map(|(code, _)| code);
        self.store.insert_shapes(&codes.collect::<Vec<_>>(), &self.range, spots)
    }

    /// The spots of some shapes.
    fn whole_spots(&self, shapes: &ShapeSet) -> Result<RowSet, String> {
        let mut spots = self.none();
        self.insert_whole(shapes, &mut spots)?;
        Ok(spots)
    }

    /// Whether a lookup is answered by shapes alone.
    pub(crate) fn is_about_shapes(&self, lookup: &Lookup) -> bool {
        match lookup {
            Lookup::All | Lookup::Nothing | Lookup::Exists { .. } => true,
            Lookup::And(lookups) | Lookup::Or(lookups) => {
                lookups.iter().all(|lookup| self.is_about_shapes(lookup))
            }
            Lookup::Not(lookup) => self.is_about_shapes(lookup),
            Lookup::Value { field, .. }
            | Lookup::ValuePrefix { field, .. }
            | Lookup::Text { field: Some(field), .. } => EVENT_PARTS.contains(&field.as_str()),
            _ => false,
        }
    }

    /// What shapes answer comes first, conditions on whole texts last: they look only at what is left.
    fn and(&self, lookups: &[Lookup], among: &ShapeSet) -> Result<Found, String> {
        let mut both = Found { whole: among.clone(), ..self.nothing() };
        let mut ordered: Vec<&Lookup> = lookups.iter().collect();
        ordered.sort_by_key(|lookup| match lookup {
            lookup if self.is_about_shapes(lookup) => 0,
            Lookup::Text { .. } => 2,
            _ => 1,
        });
        for lookup in ordered {
            let left = union(&both.whole, &both.part);
            let has_whole = both.whole.contains(&true);
            let within = Some(&both.spots).filter(|_| !has_whole);
            let next = self.find(lookup, &left, within)?;
            both = self.both(both, next)?;
            if !both.whole.contains(&true) && both.spots.is_empty() {
                return Ok(self.nothing());
            }
        }
        Ok(both)
    }

    /// What two have in common.
    fn both(&self, mut one: Found, mut other: Found) -> Result<Found, String> {
        let whole = common(&one.whole, &other.whole);
        let one_needs = common(&one.whole, &other.part);
        let other_needs = common(&other.whole, &one.part);
        let either = common(&union(&one.whole, &one.part), &union(&other.whole, &other.part));
        let part = without(&either, &whole);
        if one_needs == other.part && other_needs == one.part {
            // Every row that one of them knows has a shape of which the other has all.
            one.spots.unite(&other.spots);
        } else {
            self.insert_whole(&one_needs, &mut one.spots)?;
            self.insert_whole(&other_needs, &mut other.spots)?;
            one.spots.intersect(&other.spots);
        }
        Ok(Found { whole, part, spots: one.spots, is_exact: one.is_exact && other.is_exact })
    }

    fn or(&self, lookups: &[Lookup], among: &ShapeSet) -> Result<Found, String> {
        let mut any = self.nothing();
        for lookup in lookups {
            let next = self.find(lookup, &without(among, &any.whole), None)?;
            let now_whole = common(&any.part, &next.whole);
            if now_whole.contains(&true) {
                any.spots.subtract(&self.whole_spots(&now_whole)?);
            }
            any.spots.unite(&next.spots);
            any.whole = union(&any.whole, &next.whole);
            any.part = without(&union(&any.part, &next.part), &any.whole);
            any.is_exact &= next.is_exact;
        }
        Ok(any)
    }

    /// Rows outside of a superset surely do not satisfy the lookup, those inside may or may not.
    fn not(&self, lookup: &Lookup, among: &ShapeSet) -> Result<Found, String> {
        let inner = self.find(lookup, among, None)?;
        if !inner.is_exact {
            return Ok(Found { whole: among.clone(), is_exact: false, ..self.nothing() });
        }
        let mut spots = self.whole_spots(&inner.part)?;
        spots.subtract(&inner.spots);
        let whole = without(&without(among, &inner.whole), &inner.part);
        Ok(Found { whole, part: inner.part, spots, is_exact: true })
    }

    /// Tries the lookup on the verbatim events of a block; false when one of them breaks the code.
    fn try_verbatim(
        &self,
        lookup: &Lookup,
        block: usize,
        spots: &mut RowSet,
    ) -> Result<bool, String> {
        let mut view = BlockView::new(self.store, block)?;
        let first = self.store.rows_of(block).start;
        let mut are_sure = true;
        let layout = Arc::clone(&view.layout);
        let (start, places) = layout.verbatim();
        for (place, spot) in places.iter().copied().zip(first + start..) {
            if !self.range.contains(&(first + u32::from(place))) {
                continue;
            }
            let event = view.event(self.lane, usize::from(place))?;
            match catch_unwind(AssertUnwindSafe(|| lookup.matches(&event))) {
                Ok(true) => spots.insert(spot),
                Ok(false) => spots.remove(spot),
                Err(_) => {
                    ::metrics::counter!(POISON_EVENTS_TOTAL).increment(1);
                    spots.insert(spot);
                    are_sure = false;
                }
            }
        }
        Ok(are_sure)
    }

    fn shapes<'s>(
        &'s self,
        among: &'s ShapeSet,
    ) -> impl Iterator<Item = (u32, &'s StoredShape)> + 's {
        let shapes = (0u32..).zip(self.store.shapes());
        shapes.filter(|(number, _)| among[*number as usize])
    }

    /// Where values of a field stand.
    fn value_places(&self, field: &str, test: &TextTest<'_>, among: &ShapeSet) -> Places {
        let mut places = Places::default();
        let standard = standard_field(field);
        for (number, stored) in self.shapes(among) {
            let shape = &stored.shape;
            if let Some(text) = stored.event_part(field) {
                if !text.is_empty() && test.passes(text) {
                    places.whole.push(number);
                }
                continue;
            }
            for named in shape.fields.iter().filter(|named| shape.is_named(named, field, standard))
            {
                match (shape.slot_of(named), named.value) {
                    (Some(slot), _) => places.add_slot(number, stored, slot),
                    (None, ShapeValue::Text(stretch)) => match shape.constant(stretch) {
                        Some(text) if test.passes(&text) => places.whole.push(number),
                        Some(_) => {}
                        None => places.unsure.push(number),
                    },
                    _ => {}
                }
            }
        }
        places
    }

    /// Rows of which the message or, without a `field`, any text passes a condition of the caller's.
    fn texts(
        &self,
        field: Option<&str>,
        condition: &TextCondition,
        among: &ShapeSet,
        within: Option<&RowSet>,
    ) -> Result<Found, String> {
        let probe = Probe::unfiltered(TextTest::Passes(condition));
        let mut places = Places::default();
        let mut stretches = Vec::new();
        for (number, stored) in self.shapes(among) {
            let shape = &stored.shape;
            let mut add = |stretch: Stretch| {
                let pieces: Vec<Piece> = shape.pieces_of(stretch).collect();
                match (shape.constant(stretch), pieces.as_slice()) {
                    (Some(text), _) if condition.passes(&text) => places.whole.push(number),
                    (Some(_), _) => {}
                    (None, [Piece::Slot(slot)]) => places.add_slot(number, stored, *slot),
                    (None, pieces) if pieces.iter().any(Piece::is_made) => {
                        places.unsure.push(number)
                    }
                    (None, _) => stretches.push((number, stretch)),
                }
            };
            if shape.message.start != shape.message.end {
                add(shape.message);
            }
            if field.is_some() {
                continue;
            }
            for field in &shape.fields {
                if let (None, ShapeValue::Text(stretch)) = (shape.slot_of(field), field.value) {
                    add(stretch);
                }
            }
            for slot in shape.fields.iter().filter_map(|field| shape.slot_of(field)) {
                places.add_slot(number, stored, slot);
            }
        }
        let mut found = self.passing(&places, &probe, false, among)?;
        stretches.retain(|(number, _)| !found.whole[*number as usize]);
        self.add_stretches(&stretches, condition, within, &mut found.spots)?;
        stretches.iter().for_each(|(number, _)| found.part[*number as usize] = true);
        Ok(found)
    }

    /// Texts of several pieces: those that cannot contain what every passing one contains are not put
    /// together. No word lies in two pieces, so neither does the part.
    fn add_stretches(
        &self,
        stretches: &[(u32, Stretch)],
        condition: &TextCondition,
        within: Option<&RowSet>,
        spots: &mut RowSet,
    ) -> Result<(), String> {
        let mut may_pass = None;
        if let Some(part) = condition.part() {
            let probe = Probe::unfiltered(TextTest::Contains(part));
            let mut places = Places::default();
            for (number, stretch) in stretches {
                let stored = &self.store.shapes()[*number as usize];
                let shape = &stored.shape;
                if shape.is_indexed || !shape.is_clear(*stretch) {
                    places.whole.push(*number);
                } else {
                    let pieces = shape.pieces_of(*stretch);
                    places.add_pieces((*number, stored), pieces, &probe.test);
                }
            }
            let Found { whole, mut spots, .. } =
                self.passing(&places, &probe, false, &self.every_shape())?;
            self.insert_whole(&whole, &mut spots)?;
            within.into_iter().for_each(|within| spots.intersect(within));
            may_pass = Some(spots);
        }
        let within = may_pass.as_ref().or(within);
        for stretch in stretches {
            self.store.insert_stretch(*stretch, condition, (&self.range, within), spots)?;
        }
        Ok(())
    }

    fn exists(&self, field: &str, among: &ShapeSet) -> Found {
        let standard = standard_field(field);
        let has_it = |stored: &StoredShape| match stored.event_part(field) {
            Some(text) => !text.is_empty(),
            None => stored.shape.fields.iter().any(|named| {
                named.kind != Kind::Null && stored.shape.is_named(named, field, standard)
            }),
        };
        let mut found = self.nothing();
        for (number, stored) in self.shapes(among) {
            found.whole[number as usize] = has_it(stored);
        }
        found
    }

    /// The rows of these places that pass; the word index knows more of them when it is asked.
    fn passing(
        &self,
        places: &Places,
        probe: &Probe<'_>,
        has_words: bool,
        among: &ShapeSet,
    ) -> Result<Found, String> {
        let mut found = self.nothing();
        found.is_exact = places.unsure.is_empty();
        for shape in places.whole.iter().chain(&places.unsure) {
            found.whole[*shape as usize] = true;
        }
        let (asked, into) = ((&self.range, &*found.whole), (&mut found.spots, &mut *found.part));
        self.store.insert_passing(places, probe, asked, into)?;
        if let Some(index) = self.words.filter(|_| has_words) {
            let mut rows = self.none();
            index.insert(&probe.test, &mut rows)?;
            let indexed = self.store.shapes().iter().zip(among).zip(&found.whole);
            let indexed: ShapeSet = indexed
                .map(|((stored, is_asked), is_whole)| {
                    *is_asked && !is_whole && stored.shape.is_indexed
                })
                .collect();
            // Rows of other shapes are already found, or not asked for.
            if !rows.is_empty() {
                let mut spots = self.store.spots_of(&rows, &self.range)?;
                spots.intersect(&self.whole_spots(&indexed)?);
                found.spots.unite(&spots);
                found.part = union(&found.part, &indexed);
            }
        }
        Ok(found)
    }

    fn seqs(&self, first: u64, last: u64, among: &ShapeSet) -> Result<Found, String> {
        let mut spots = self.none();
        for block in self.store.blocks_in(&self.range) {
            let info = &self.store.blocks()[block];
            if info.seq_min > last || first > info.seq_max {
                continue;
            }
            if first <= info.seq_min && info.seq_max <= last {
                spots.insert_range(self.store.rows_of(block));
                continue;
            }
            let (seqs, layout) = (self.store.seqs(block)?, self.store.layout(block)?);
            let by_spot = layout.rows_by_spot();
            let seq = |spot: usize| seqs.get(usize::from(by_spot[spot])).map(|seq| *seq as u64);
            let is_in = |spot| seq(spot).is_some_and(|seq| (first..=last).contains(&seq));
            spots.insert_bits(info.first_row, by_spot.len(), is_in);
        }
        if among.contains(&false) && !spots.is_empty() {
            spots.intersect(&self.whole_spots(among)?);
        }
        Ok(Found { part: among.clone(), spots, ..self.nothing() })
    }
}

/// Whether a condition is about texts that may be made of several pieces.
fn is_of_pieces(field: Option<&str>) -> bool {
    field.is_none_or(|field| field == "message")
}

/// Whether the word index is asked, too.
fn is_about_words(lookup: &Lookup) -> bool {
    matches!(lookup, Lookup::Word { .. } | Lookup::WordPrefix { .. })
}

fn union(one: &ShapeSet, other: &ShapeSet) -> ShapeSet {
    one.iter().zip(other).map(|(one, other)| *one || *other).collect()
}

fn common(one: &ShapeSet, other: &ShapeSet) -> ShapeSet {
    one.iter().zip(other).map(|(one, other)| *one && *other).collect()
}

fn without(one: &ShapeSet, other: &ShapeSet) -> ShapeSet {
    one.iter().zip(other).map(|(one, other)| *one && !*other).collect()
}
