//! All rules over one event: which of them look for it.
//!
//! Input: one event. Output: the places of the Sigma rules that match, in the order of the set. The
//! tests of all rules are told apart once (`matcher/predicates.rs`): equal ones are one predicate.
//! Per class of events an index (`matcher/index.rs`) finds in one pass over each value which
//! predicates hold. Only rules of which a witness was found are judged; a witness is one of a few
//! predicates without which the rule cannot hold. The rules' filters stay the definition: what is
//! found here is what [`logwarden_query::Filter::matches`] says, and a property test holds it to it.
//! An event that lacks every field in which a witness could be found is not looked at further.
//!
//! Nothing is allocated per event once the buffers have grown. Bounded: [`CLASSES_MAX`] names of
//! classes, [`INDEXES_MAX`] indexes; when there are more, all are forgotten and made again.

mod index;
mod literal;
mod pairs;
mod predicates;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use logwarden_event::parts::Packed;
use logwarden_event::{Event, Value};
use logwarden_query::Target;

use crate::rule::{Logic, RuleSet, RuleState};

use index::{Belonging, Entry, Index};
use predicates::{Node, PredicateId, Predicates, Way};

/// Classes remembered by name; when there are more, all are forgotten and worked out again.
const CLASSES_MAX: usize = 4_096;
/// Indexes kept, one for each set of rules that apply together.
const INDEXES_MAX: usize = 256;

/// The Sigma rules of a set, ready to be run.
#[derive(Debug)]
pub struct Matcher {
    rules: Arc<RuleSet>,
    predicates: Predicates,
    by_class: HashMap<Box<str>, Arc<Index>>,
    by_rules: HashMap<Box<[u32]>, Arc<Index>>,
    scratch: Scratch,
}

/// What is known of the event at hand. Numbers of rounds say what is of this event, so that nothing
/// is cleared between events.
#[derive(Debug, Default)]
struct Scratch {
    round: u32,
    /// By predicate: the round in which it was found to hold.
    holds: Vec<u32>,
    /// By predicate: the round in which it was judged by itself.
    judged: Vec<u32>,
    /// By target: the round in which it had a value, and which of its names that was.
    present: Vec<(u32, u16)>,
    /// By rule: the round in which it became a candidate.
    wanted: Vec<u32>,
    candidates: Vec<u32>,
    /// Which values belong to which targets, in the order of the values.
    places: Vec<Place>,
    text: String,
    lower: String,
}

/// A value that belongs to a target.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Which of the event's fields.
    field: u32,
    target: u32,
    /// Which of the target's names it goes by.
    rank: u16,
}

impl Matcher {
    /// Prepares the rules of a set; disabled ones never match.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let filters = rules.rules().iter().map(|rule| match &rule.logic {
            Logic::Match(selection) if rule.settings.state != RuleState::Disabled => {
                Some(&selection.filter)
            }
            _ => None,
        });
        let predicates = Predicates::of(filters);
        let scratch = Scratch {
            holds: vec![0; predicates.len()],
            judged: vec![0; predicates.len()],
            present: vec![(0, 0); predicates.targets().len()],
            wanted: vec![0; rules.rules().len()],
            ..Scratch::default()
        };
        Self { rules, predicates, by_class: HashMap::new(), by_rules: HashMap::new(), scratch }
    }

    /// Appends the places of the rules that match `event` to `hits`.
    pub fn match_event(&mut self, event: &Event, hits: &mut Vec<usize>) {
        let index = self.index_for(event);
        if index.rules().is_empty() {
            return;
        }
        let scratch = &mut self.scratch;
        scratch.begin();
        if !scratch.find_places(&index, event) && index.is_gated() {
            return;
        }
        let mut pass = Pass { predicates: &self.predicates, index: &index, event, scratch };
        pass.look_at_values();
        pass.scratch.candidates.extend_from_slice(index.always());
        let mut candidates = std::mem::take(&mut pass.scratch.candidates);
        candidates.sort_unstable();
        for rule in &candidates {
            if let Some(tree) = self.predicates.tree(*rule)
                && pass.holds(tree)
            {
                hits.push(*rule as usize);
            }
        }
        candidates.clear();
        self.scratch.candidates = candidates;
    }

    fn index_for(&mut self, event: &Event) -> Arc<Index> {
        let class = event.class();
        if let Some(known) = self.by_class.get(class.as_str()) {
            return known.clone();
        }
        let rules = self.rules.rules().iter().zip(0u32..);
        let applicable: Box<[u32]> = rules
            .filter(|(rule, _)| rule.settings.state != RuleState::Disabled)
            .filter(|(rule, _)| match &rule.logic {
                Logic::Match(selection) => selection.applies_to(class),
                Logic::Correlate(_) => false,
            })
            .map(|(_, place)| place)
            .collect();
        if self.by_class.len() >= CLASSES_MAX || self.by_rules.len() >= INDEXES_MAX {
            self.by_class.clear();
            self.by_rules.clear();
        }
        let index = match self.by_rules.get(&applicable) {
            Some(known) => known.clone(),
            None => {
                let made = Arc::new(Index::new(&self.predicates, &applicable));
                self.by_rules.insert(applicable, made.clone());
                made
            }
        };
        self.by_class.insert(class.as_str().into(), index.clone());
        index
    }
}

impl Scratch {
    fn begin(&mut self) {
        self.places.clear();
        self.candidates.clear();
        match self.round.checked_add(1) {
            Some(round) => self.round = round,
            None => {
                self.round = 1;
                self.holds.fill(0);
                self.judged.fill(0);
                self.wanted.fill(0);
                self.present.fill((0, 0));
            }
        }
    }

    /// Finds out which fields belong to which targets, and by which name each target has values;
    /// answers whether a gate has one.
    fn find_places(&mut self, index: &Index, event: &Event) -> bool {
        let mut has_gate = false;
        let parts = event.parts();
        for (entry, field) in parts.fields.iter().zip(0u32..) {
            if entry.value == Packed::Null {
                continue;
            }
            for name in [Some(entry.name), entry.alias].into_iter().flatten() {
                for &Belonging { target, rank, is_gate } in index.targets_of(name, parts.buffer) {
                    self.places.push(Place { field, target, rank });
                    self.note(target, rank);
                    has_gate |= is_gate;
                }
            }
        }
        has_gate
    }

    /// A target has a value by its name of this rank; the first name that has one counts.
    fn note(&mut self, target: u32, rank: u16) {
        let present = &mut self.present[target as usize];
        if present.0 != self.round || rank < present.1 {
            *present = (self.round, rank);
        }
    }

    fn is_current(&self, place: &Place) -> bool {
        self.present[place.target as usize] == (self.round, place.rank)
    }
}

/// Where the text of a value in lower case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lowered {
    /// It was not needed yet.
    NotYet,
    /// The value's own text is in lower case.
    AsItIs,
    /// In the buffer.
    Held,
}

/// One event under way.
struct Pass<'a> {
    predicates: &'a Predicates,
    index: &'a Index,
    event: &'a Event,
    scratch: &'a mut Scratch,
}

impl Pass<'_> {
    /// Marks what is found in the values.
    fn look_at_values(&mut self) {
        let event = self.event;
        if self.index.record().is_some() {
            let mut next = 0;
            for (field, position) in event.fields().zip(0u32..) {
                next = self.look_at_field(position, field.value, next);
            }
        } else {
            let mut next = 0;
            while let Some(place) = self.scratch.places.get(next)
                && let Some(value) = event.value_at(place.field as usize)
            {
                next = self.look_at_field(place.field, value, next);
            }
        }
        for (target, part) in self.index.attributes() {
            let mut look = |value: Value<'_>| {
                self.scratch.note(*target, 0);
                self.look_at(*target, value, &mut Lowered::NotYet);
            };
            let mut text = |text: &str| {
                if !text.is_empty() {
                    look(Value::String(text));
                }
            };
            match part {
                Target::Record | Target::Message => text(event.message()),
                Target::Severity => text(event.severity().name()),
                Target::Dataset => text(event.dataset()),
                Target::Source => text(event.source()),
                Target::Class => event.class().as_str().split(';').for_each(text),
                Target::Timestamp => look(Value::Timestamp(event.timestamp())),
                Target::ObservedAt => look(Value::Timestamp(event.observed_at())),
                Target::Seq => look(Value::Integer(event.seq().into())),
                Target::Field(_) | Target::FirstOf(_) => {}
            }
        }
    }

    /// Marks what is found in the value of a field, whose places begin at `next`; answers where those of
    /// the next field begin.
    fn look_at_field(&mut self, field: u32, value: Value<'_>, mut next: usize) -> usize {
        let mut lowered = Lowered::NotYet;
        while let Some(place) = self.scratch.places.get(next).copied()
            && place.field == field
        {
            next += 1;
            if self.scratch.is_current(&place) {
                self.look_at(place.target, value, &mut lowered);
            }
        }
        if let Some(record) = self.index.record().filter(|_| value != Value::Null) {
            self.scratch.note(record, 0);
            self.look_at(record, value, &mut lowered);
        }
        next
    }

    /// Marks what is found in one value of a target.
    fn look_at(&mut self, target: u32, value: Value<'_>, lowered: &mut Lowered) {
        let index = self.index;
        let Some(literals) = index.literals(target) else { return };
        if let Some(predicate) = literals.present {
            self.mark(predicate);
        }
        if !literals.may_find(value) {
            return;
        }
        if *lowered == Lowered::NotYet {
            *lowered = match value {
                Value::String(text) | Value::Json(text) if is_lower(text) => Lowered::AsItIs,
                _ => {
                    lower_into(value, &mut self.scratch.text, &mut self.scratch.lower);
                    Lowered::Held
                }
            };
        }
        let lower = std::mem::take(&mut self.scratch.lower);
        let text = match (*lowered, value) {
            (Lowered::AsItIs, Value::String(text) | Value::Json(text)) => text,
            _ => lower.as_str(),
        };
        literals.find(text, &mut |entry: &Entry| {
            if self.scratch.holds[entry.predicate as usize] == self.scratch.round {
                return;
            }
            if !entry.is_hint || self.predicates.test(entry.predicate).passes(value) {
                self.mark(entry.predicate);
            }
        });
        self.scratch.lower = lower;
    }

    fn mark(&mut self, predicate: PredicateId) {
        let scratch = &mut *self.scratch;
        let holds = &mut scratch.holds[predicate as usize];
        if *holds == scratch.round {
            return;
        }
        *holds = scratch.round;
        for rule in self.predicates.witnessed(predicate) {
            let wanted = &mut scratch.wanted[*rule as usize];
            if *wanted != scratch.round && self.index.applies(*rule) {
                *wanted = scratch.round;
                scratch.candidates.push(*rule);
            }
        }
    }

    fn holds(&mut self, node: &Node) -> bool {
        match node {
            Node::Constant(value) => *value,
            Node::And(nodes) => nodes.iter().all(|node| self.holds(node)),
            Node::Or(nodes) => nodes.iter().any(|node| self.holds(node)),
            Node::Not(node) => !self.holds(node),
            Node::Is(predicate) => self.is_true(*predicate),
        }
    }

    fn is_true(&mut self, predicate: PredicateId) -> bool {
        let (place, round) = (predicate as usize, self.scratch.round);
        match self.predicates.way(predicate) {
            Way::Found => self.scratch.holds[place] == round,
            Way::Absent(target) => self.scratch.present[target as usize].0 != round,
            Way::Itself(target) => {
                if self.scratch.judged[place] != round {
                    self.scratch.judged[place] = round;
                    if self.passes(predicate, target) {
                        self.scratch.holds[place] = round;
                    }
                }
                self.scratch.holds[place] == round
            }
            Way::Whole => {
                if self.scratch.judged[place] != round {
                    self.scratch.judged[place] = round;
                    if self.predicates.predicate(predicate).matches(self.event) {
                        self.scratch.holds[place] = round;
                    }
                }
                self.scratch.holds[place] == round
            }
        }
    }

    /// Whether any of the target's values passes; they were found before.
    fn passes(&self, predicate: PredicateId, target: u32) -> bool {
        if self.scratch.present[target as usize].0 != self.scratch.round {
            return false;
        }
        let test = self.predicates.test(predicate);
        let is_its = |place: &&Place| place.target == target && self.scratch.is_current(place);
        self.scratch.places.iter().filter(is_its).any(|place| {
            self.event.value_at(place.field as usize).is_some_and(|value| test.passes(value))
        })
    }
}

/// Whether there is nothing to lower.
fn is_lower(text: &str) -> bool {
    text.as_bytes().chunks(16).all(|bytes| {
        let is_other = |byte: &u8| byte.is_ascii_uppercase() | !byte.is_ascii();
        !bytes.iter().fold(false, |found, byte| found | is_other(byte))
    })
}

/// Puts the value's text in lower case into `lower`, by the definition filters use.
fn lower_into(value: Value<'_>, buffer: &mut String, lower: &mut String) {
    buffer.clear();
    lower.clear();
    let text = match value {
        Value::String(text) | Value::Json(text) => text,
        other => {
            // Writing into a string cannot fail.
            let _ = write!(buffer, "{other}");
            buffer.as_str()
        }
    };
    if text.is_ascii() {
        lower.push_str(text);
        lower.make_ascii_lowercase();
    } else if text.contains('Σ') {
        // What it becomes depends on the letters around it.
        lower.push_str(&text.to_lowercase());
    } else {
        lower.extend(text.chars().flat_map(char::to_lowercase));
    }
}
