//! From a lookup to the rows of a split that may satisfy it.
//!
//! Shapes say which slots a condition is about; their columns say which rows pass. Words of messages
//! that are not cut into pieces are found by the word index.

use std::ops::Range;

use logwarden_event::{standard_field, words};

use crate::columns::block::address_of;
use crate::columns::shape::{Kind, Piece, ShapeValue, Stretch};
use crate::columnstore::search::{Places, TextTest};
use crate::columnstore::{ColumnStore, StoredShape};
use crate::lookup::{EVENT_PARTS, Lookup, TextCondition};
use crate::rowset::RowSet;
use crate::wordindex::WordIndex;

/// Rows that may satisfy a lookup: none that does is missing.
#[derive(Debug, Clone)]
pub(crate) struct Candidates {
    /// The rows.
    pub(crate) rows: RowSet,
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
}

impl Finder<'_> {
    /// The rows that may satisfy `lookup`.
    pub(crate) fn candidates(&self, lookup: &Lookup) -> Result<Candidates, String> {
        match lookup {
            Lookup::All => Ok(self.exact(self.all())),
            Lookup::Nothing => Ok(self.exact(self.none())),
            Lookup::And(lookups) => self.and(lookups),
            Lookup::Or(lookups) => self.or(lookups),
            Lookup::Not(lookup) => self.not(lookup),
            Lookup::Word { field, word } => {
                if !self.may_have([word.as_str()])? {
                    return Ok(self.exact(self.none()));
                }
                self.words(*field, &TextTest::Word(word))
            }
            Lookup::WordPrefix { field, prefix } => {
                self.words(*field, &TextTest::WordPrefix(prefix))
            }
            Lookup::Value { field, value } => {
                let is_part = EVENT_PARTS.contains(&field.as_str());
                // In other scripts lower case depends on what stands around a word.
                if !is_part && value.is_ascii() && !self.may_have_value(value)? {
                    return Ok(self.exact(self.none()));
                }
                self.values(field, &TextTest::Is(value))
            }
            Lookup::ValuePrefix { field, prefix } => {
                self.values(field, &TextTest::BeginsWith(prefix))
            }
            Lookup::Number { field, from, to } => self.values(field, &TextTest::Number(*from, *to)),
            Lookup::Exists { field } => self.exists(field),
            Lookup::Text { field, condition } => self.texts(field.as_deref(), condition, None),
            Lookup::Seq { first, last } => self.seqs(*first, *last),
        }
    }

    fn none(&self) -> RowSet {
        RowSet::empty(self.row_count)
    }

    fn all(&self) -> RowSet {
        RowSet::full(self.row_count)
    }

    fn exact(&self, rows: RowSet) -> Candidates {
        Candidates { rows, is_exact: true }
    }

    /// Conditions on whole texts come last: they look only at the rows that are left.
    fn and(&self, lookups: &[Lookup]) -> Result<Candidates, String> {
        let mut both = self.exact(self.all());
        let is_text = |lookup: &&Lookup| matches!(lookup, Lookup::Text { .. });
        let others = lookups.iter().filter(|lookup| !is_text(lookup));
        for lookup in others.chain(lookups.iter().filter(is_text)) {
            let next = match lookup {
                Lookup::Text { field, condition } => {
                    self.texts(field.as_deref(), condition, Some(&both.rows))?
                }
                other => self.candidates(other)?,
            };
            both.rows.intersect(&next.rows);
            both.is_exact &= next.is_exact;
            if both.rows.is_empty() {
                return Ok(self.exact(both.rows));
            }
        }
        Ok(both)
    }

    fn or(&self, lookups: &[Lookup]) -> Result<Candidates, String> {
        let mut any = self.exact(self.none());
        for lookup in lookups {
            let next = self.candidates(lookup)?;
            any.rows.unite(&next.rows);
            any.is_exact &= next.is_exact || next.rows.is_empty();
        }
        Ok(any)
    }

    /// Rows outside of a superset surely do not satisfy the lookup, those inside may or may not.
    fn not(&self, lookup: &Lookup) -> Result<Candidates, String> {
        let mut inner = self.candidates(lookup)?;
        if inner.is_exact || inner.rows.is_empty() {
            inner.rows.complement();
            return Ok(self.exact(inner.rows));
        }
        Ok(Candidates { rows: self.all(), is_exact: false })
    }

    /// Whether all these words may be in the split. Numbers are not in the filter.
    fn may_have<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Result<bool, String> {
        for word in words {
            let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number && !self.store.may_have_word(word)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a value in ASCII may be in the split.
    fn may_have_value(&self, value: &str) -> Result<bool, String> {
        if address_of(value.as_bytes()).is_some() {
            return self.store.may_have_word(value);
        }
        for word in words(value) {
            if !self.may_have([&*word])? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn shapes(&self) -> impl Iterator<Item = (u32, &StoredShape)> {
        (0u32..).zip(self.store.shapes())
    }

    /// Rows with a word in the message or, without a `field`, anywhere.
    fn words(&self, field: Option<&str>, test: &TextTest<'_>) -> Result<Candidates, String> {
        let mut places = Places::default();
        for (number, stored) in self.shapes() {
            let shape = &stored.shape;
            if !shape.is_indexed {
                places.add_pieces((number, stored), shape.pieces_of(shape.message), test);
            }
            if field.is_some() {
                continue;
            }
            for field in &shape.fields {
                match (shape.slot_of(field), field.value) {
                    (Some(slot), _) => places.add_slot(number, stored, slot),
                    (None, ShapeValue::Text(_)) if shape.is_unclear(field) => {
                        places.unsure.push(number)
                    }
                    (None, ShapeValue::Text(stretch)) => {
                        places.add_pieces((number, stored), shape.pieces_of(stretch), test);
                    }
                    _ => {}
                }
            }
        }
        let mut found = self.passing(&places, test)?;
        if let Some(index) = self.words {
            index.insert(test, &mut found.rows)?;
        }
        if field.is_none() {
            self.add_verbatim(&mut found)?;
        }
        Ok(found)
    }

    /// Rows in which a value of a field passes.
    fn values(&self, field: &str, test: &TextTest<'_>) -> Result<Candidates, String> {
        let mut places = Places::default();
        let standard = standard_field(field);
        for (number, stored) in self.shapes() {
            let shape = &stored.shape;
            if let Some(text) = stored.event_part(field) {
                if !text.is_empty() && test.passes(&text) {
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
        let mut found = self.passing(&places, test)?;
        self.add_verbatim(&mut found)?;
        Ok(found)
    }

    /// Rows of which a text passes a condition of the caller's; those not `within` may be missing.
    fn texts(
        &self,
        field: Option<&str>,
        condition: &TextCondition,
        within: Option<&RowSet>,
    ) -> Result<Candidates, String> {
        let test = TextTest::Passes(condition);
        if let Some(field) = field.filter(|field| *field != "message") {
            return self.values(field, &test);
        }
        let mut places = Places::default();
        let mut stretches = Vec::new();
        for (number, stored) in self.shapes() {
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
        let mut found = self.passing(&places, &test)?;
        self.add_stretches(&stretches, condition, within, &mut found.rows)?;
        self.add_verbatim(&mut found)?;
        Ok(found)
    }

    /// Texts of several pieces: those that cannot contain what every passing one contains are not put
    /// together. No word lies in two pieces, so neither does the part.
    fn add_stretches(
        &self,
        stretches: &[(u32, Stretch)],
        condition: &TextCondition,
        within: Option<&RowSet>,
        rows: &mut RowSet,
    ) -> Result<(), String> {
        let mut may_pass = None;
        if let Some(part) = condition.part() {
            let test = TextTest::Contains(part);
            let mut places = Places::default();
            for (number, stretch) in stretches {
                let stored = &self.store.shapes()[*number as usize];
                let shape = &stored.shape;
                if shape.is_indexed || !shape.is_clear(*stretch) {
                    places.whole.push(*number);
                } else {
                    places.add_pieces((*number, stored), shape.pieces_of(*stretch), &test);
                }
            }
            let mut found = self.passing(&places, &test)?.rows;
            within.into_iter().for_each(|within| found.intersect(within));
            may_pass = Some(found);
        }
        let within = may_pass.as_ref().or(within);
        for stretch in stretches {
            self.store.insert_stretch(*stretch, condition, (&self.range, within), rows)?;
        }
        Ok(())
    }

    fn exists(&self, field: &str) -> Result<Candidates, String> {
        let mut found = self.exact(self.none());
        let standard = standard_field(field);
        let has_it = |stored: &StoredShape| match stored.event_part(field) {
            Some(text) => !text.is_empty(),
            None => stored.shape.fields.iter().any(|named| {
                named.kind != Kind::Null && stored.shape.is_named(named, field, standard)
            }),
        };
        let codes: Vec<u32> = self
            .shapes()
            .filter(|(_, stored)| has_it(stored))
            .map(|(number, _)| number + 1)
            .collect();
        self.store.insert_shapes(&codes, &self.range, &mut found.rows)?;
        self.add_verbatim(&mut found)?;
        Ok(found)
    }

    fn passing(&self, places: &Places, test: &TextTest<'_>) -> Result<Candidates, String> {
        let mut rows = self.none();
        self.store.insert_passing(places, test, &self.range, &mut rows)?;
        Ok(Candidates { rows, is_exact: places.unsure.is_empty() })
    }

    fn add_verbatim(&self, found: &mut Candidates) -> Result<(), String> {
        found.is_exact &= !self.store.has_verbatim();
        self.store.insert_verbatim(&self.range, &mut found.rows)
    }

    fn seqs(&self, first: u64, last: u64) -> Result<Candidates, String> {
        let mut rows = self.none();
        for block in self.store.blocks_in(&self.range) {
            let info = &self.store.blocks()[block];
            if info.seq_min > last || first > info.seq_max {
                continue;
            }
            let wanted = first..=last;
            for (seq, row) in self.store.seqs(block)?.iter().zip(info.first_row..) {
                if wanted.contains(&(*seq as u64)) {
                    rows.insert(row);
                }
            }
        }
        Ok(self.exact(rows))
    }
}
