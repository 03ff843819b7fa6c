//! From a lookup to the rows of a split that may satisfy it, by the split's terms alone.

use std::io;
use std::ops::RangeBounds;

use tantivy::postings::SegmentPostings;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, SegmentReader, TERMINATED, Term};

use crate::eventstore::BlockInfo;
use crate::lookup::{EVENT_PARTS, Lookup, number};
use crate::rowset::RowSet;
use crate::schema::{ExactTerm, Schema, is_id, name_term, value_in, value_term, value_terms_of};

/// Rows that may satisfy a lookup: none that does is missing.
#[derive(Debug, Clone)]
pub(crate) struct Candidates {
    /// The rows.
    pub(crate) rows: RowSet,
    /// Whether each of them satisfies it.
    pub(crate) is_exact: bool,
}

/// What rows are looked up in.
pub(crate) struct Terms<'a> {
    /// The terms and their rows.
    pub(crate) reader: &'a SegmentReader,
    /// The tantivy fields.
    pub(crate) schema: &'a Schema,
    /// The blocks of events.
    pub(crate) blocks: &'a [BlockInfo],
}

impl Terms<'_> {
    /// The rows that may satisfy `lookup`.
    pub(crate) fn candidates(&self, lookup: &Lookup) -> tantivy::Result<Candidates> {
        match lookup {
            Lookup::All => Ok(self.exact(self.all())),
            Lookup::Nothing => Ok(self.exact(self.none())),
            Lookup::And(lookups) => self.and(lookups),
            Lookup::Or(lookups) => self.or(lookups),
            Lookup::Not(lookup) => self.not(lookup),
            Lookup::Word { field, word } => {
                let mut rows = self.rows_of(self.schema.message, word)?;
                if field.is_none() {
                    rows.unite(&self.rows_of(self.schema.others, word)?);
                }
                Ok(self.exact(rows))
            }
            Lookup::WordPrefix { field, prefix } => {
                let mut rows = self.rows_of_prefix(self.schema.message, prefix, |_| true)?;
                if field.is_none() {
                    rows.unite(&self.rows_of_prefix(self.schema.others, prefix, |_| true)?);
                }
                Ok(self.exact(rows))
            }
            Lookup::Value { field, value } if is_id(value) && !is_event_part(field) => {
                self.ids(field, self.rows_of(self.schema.others, value)?)
            }
            Lookup::Value { field, value } => {
                let ExactTerm { text, is_exact } = value_term(field, value);
                Ok(Candidates { rows: self.rows_of(self.schema.values, &text)?, is_exact })
            }
            Lookup::ValuePrefix { field, prefix } => self.value_prefix(field, prefix),
            Lookup::Number { field, from, to } => self.numbers(field, (*from, *to)),
            Lookup::Exists { field } => {
                let ExactTerm { text, is_exact } = name_term(field);
                Ok(Candidates { rows: self.rows_of(self.schema.fields, &text)?, is_exact })
            }
            Lookup::Seq { first, last } => Ok(self.seqs(*first, *last)),
        }
    }

    fn none(&self) -> RowSet {
        RowSet::empty(self.reader.max_doc())
    }

    fn all(&self) -> RowSet {
        RowSet::full(self.reader.max_doc())
    }

    fn exact(&self, rows: RowSet) -> Candidates {
        Candidates { rows, is_exact: true }
    }

    fn and(&self, lookups: &[Lookup]) -> tantivy::Result<Candidates> {
        let mut both = self.exact(self.all());
        for lookup in lookups {
            let next = self.candidates(lookup)?;
            both.rows.intersect(&next.rows);
            both.is_exact &= next.is_exact;
            if both.rows.is_empty() {
                return Ok(self.exact(both.rows));
            }
        }
        Ok(both)
    }

    fn or(&self, lookups: &[Lookup]) -> tantivy::Result<Candidates> {
        let mut any = self.exact(self.none());
        for lookup in lookups {
            let next = self.candidates(lookup)?;
            any.rows.unite(&next.rows);
            any.is_exact &= next.is_exact || next.rows.is_empty();
        }
        Ok(any)
    }

    /// Rows outside of a superset surely do not satisfy the lookup, those inside may or may not.
    fn not(&self, lookup: &Lookup) -> tantivy::Result<Candidates> {
        let mut inner = self.candidates(lookup)?;
        if inner.is_exact || inner.rows.is_empty() {
            inner.rows.complement();
            return Ok(self.exact(inner.rows));
        }
        Ok(Candidates { rows: self.all(), is_exact: false })
    }

    /// The values that begin so, and the ids that do and that stand in the same row as the field.
    fn value_prefix(&self, field: &str, prefix: &str) -> tantivy::Result<Candidates> {
        let ExactTerm { text, is_exact } = value_term(field, prefix);
        let rows = self.rows_of_prefix(self.schema.values, &text, |_| true)?;
        let mut found = Candidates { rows, is_exact };
        let could_begin_an_id = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if could_begin_an_id && !is_event_part(field) {
            let ids = self.rows_of_prefix(self.schema.others, prefix, is_id)?;
            let ids = self.ids(field, ids)?;
            found.rows.unite(&ids.rows);
            found.is_exact &= ids.is_exact;
        }
        Ok(found)
    }

    /// Of the rows in which an id stands somewhere, those that have the field at all.
    fn ids(&self, field: &str, mut rows: RowSet) -> tantivy::Result<Candidates> {
        if !rows.is_empty() {
            rows.intersect(&self.rows_of(self.schema.fields, &name_term(field).text)?);
        }
        Ok(Candidates { is_exact: rows.is_empty(), rows })
    }

    /// Looks at every value of the field: there are far fewer of them than rows.
    fn numbers(&self, field: &str, range: impl RangeBounds<f64>) -> tantivy::Result<Candidates> {
        let ExactTerm { text, mut is_exact } = value_terms_of(field);
        let rows = self.rows_of_prefix(self.schema.values, &text, |term| {
            let (value, is_whole) = value_in(term);
            is_exact &= is_whole;
            !is_whole || number(value).is_some_and(|number| range.contains(&number))
        })?;
        Ok(Candidates { rows, is_exact })
    }

    /// The rows of every block that holds one of these numbers.
    fn seqs(&self, first: u64, last: u64) -> Candidates {
        let mut found = self.exact(self.none());
        let ends = self.blocks.iter().skip(1).map(|block| block.first_row);
        let ends = ends.chain([self.reader.max_doc()]);
        for (block, end) in self.blocks.iter().zip(ends) {
            if block.seq_min <= last && first <= block.seq_max {
                (block.first_row..end).for_each(|row| found.rows.insert(row));
                found.is_exact &= first <= block.seq_min && block.seq_max <= last;
            }
        }
        found
    }

    fn rows_of(&self, field: Field, term: &str) -> tantivy::Result<RowSet> {
        let mut rows = self.none();
        let index = self.reader.inverted_index(field)?;
        let term = Term::from_field_text(field, term);
        if let Some(postings) = index.read_postings(&term, IndexRecordOption::Basic)? {
            insert_all(&mut rows, postings);
        }
        Ok(rows)
    }

    /// The rows of the terms that begin so and that `takes` wants.
    fn rows_of_prefix(
        &self,
        field: Field,
        prefix: &str,
        mut takes: impl FnMut(&str) -> bool,
    ) -> tantivy::Result<RowSet> {
        let mut rows = self.none();
        let index = self.reader.inverted_index(field)?;
        let mut terms = index.terms().range().ge(prefix).into_stream()?;
        while terms.advance() {
            if !terms.key().starts_with(prefix.as_bytes()) {
                break;
            }
            let term = std::str::from_utf8(terms.key()).map_err(io::Error::other)?;
            if takes(term) {
                let postings =
                    index.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
                insert_all(&mut rows, postings);
            }
        }
        Ok(rows)
    }
}

fn is_event_part(field: &str) -> bool {
    EVENT_PARTS.contains(&field)
}

fn insert_all(rows: &mut RowSet, mut postings: SegmentPostings) {
    let mut row = postings.doc();
    while row != TERMINATED {
        rows.insert(row);
        row = postings.advance();
    }
}
