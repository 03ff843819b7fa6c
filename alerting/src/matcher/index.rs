//! What the rules of one class look for, found in one pass over each value.
//!
//! Input: the predicates and the rules that apply. Output: by field name the targets it belongs to,
//! by target one table of whole values and one Aho-Corasick automaton of everything else.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use logwarden_event::parts::Name;
use logwarden_event::{STANDARD_FIELDS, Value, standard_field};
use logwarden_query::Target;

use super::literal::Anchor;
use super::pairs::Pairs;
use super::predicates::{Node, PredicateId, Predicates, Sought};

/// Bytes of all patterns of an automaton up to which it is a table of every state and byte: twice as
/// fast, at about 256 bytes for each byte of the patterns.
const DFA_BYTES_MAX: usize = 8 * 1024;

/// What is told when a literal is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub predicate: PredicateId,
    /// The predicate's test must be asked too.
    pub is_hint: bool,
    anchor: Anchor,
}

/// What is looked for in the values of one target.
#[derive(Debug, Default)]
pub(super) struct Literals {
    /// Holds when there is a value.
    pub present: Option<PredicateId>,
    whole: HashMap<Box<str>, Vec<Entry>, Hashing>,
    /// Bit `n` is set when a whole value has `n` bytes; bit 63 for all longer ones.
    whole_lengths: u64,
    automaton: Option<AhoCorasick>,
    /// Tells of most values that the automaton finds nothing in them.
    pairs: Option<Pairs>,
    /// Whether a text is sought that can stand in a number, and in an address.
    is_in_numbers: bool,
    is_in_addresses: bool,
    /// Bytes of the shortest pattern of the automaton.
    part_bytes_min: usize,
    /// By number of the pattern.
    entries: Vec<Vec<Entry>>,
}

/// A target that a field belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Belonging {
    pub target: u32,
    /// Which of the target's names the field goes by.
    pub rank: u16,
    /// Whether a rule can only hold when the target has a value.
    pub is_gate: bool,
}

/// The index of one class.
#[derive(Debug)]
pub(super) struct Index {
    rules: Box<[u32]>,
    always: Box<[u32]>,
    applies: Box<[bool]>,
    /// By letters: the targets that a field of this name belongs to, and which of their names it is.
    names: HashMap<Box<[u8]>, Vec<Belonging>, Hashing>,
    names_marked: Marks,
    /// The same of all standard fields, one after the other.
    standard: Box<[Belonging]>,
    /// By place among the standard fields: where its own begin; one more says where the last end.
    standard_starts: Box<[u32]>,
    by_target: Vec<Option<Box<Literals>>>,
    /// Whether nothing can hold of an event that has none of the gates.
    is_gated: bool,
    /// Targets that are no fields.
    attributes: Vec<(u32, Target)>,
    record: Option<u32>,
}

/// The keys are those of rules; what an event brings is only looked up, so nobody can crowd a table.
type Hashing = BuildHasherDefault<Fnv>;

/// FNV-1a over eight bytes at a time, with a final mix.
#[derive(Debug, Default)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        const PRIME: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
            self.0 = (self.0 ^ word).wrapping_mul(PRIME).rotate_left(23);
        }
        let mut last = [0; 8];
        last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        let word = u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56);
        self.0 = (self.0 ^ word).wrapping_mul(PRIME).rotate_left(23);
    }

    fn finish(&self) -> u64 {
        (self.0 ^ (self.0 >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    }
}

/// Which names may be among some: most names of an event are of no rule, and cost a look at four of
/// their bytes.
#[derive(Debug)]
struct Marks(Box<[u64; Marks::WORDS]>);

impl Marks {
    const WORDS: usize = 64;

    fn none() -> Self {
        Self(Box::new([0; Self::WORDS]))
    }

    fn place(bytes: &[u8]) -> (usize, u64) {
        let at = |place: usize| u32::from(bytes.get(place).copied().unwrap_or_default());
        let last = bytes.len().saturating_sub(1);
        let text = at(0) | at(bytes.len() / 2) << 8 | at(last) << 16 | at(last / 4) << 24;
        let mixed = (text ^ (bytes.len() as u32) << 4).wrapping_mul(0x9E37_79B1) >> 20;
        ((mixed >> 6) as usize, 1 << (mixed & 63))
    }

    fn add(&mut self, name: &[u8]) {
        let (word, bit) = Self::place(name);
        self.0[word] |= bit;
    }

    fn may_have(&self, name: &[u8]) -> bool {
        let (word, bit) = Self::place(name);
        self.0[word] & bit != 0
    }
}

impl Index {
    /// Makes the index of the rules in these places.
    pub(super) fn new(predicates: &Predicates, rules: &[u32]) -> Self {
        let last = rules.last().map_or(0, |last| *last as usize + 1);
        let mut applies = vec![false; last];
        let mut is_used = vec![false; predicates.len()];
        for rule in rules {
            applies[*rule as usize] = true;
            if let Some(tree) = predicates.tree(*rule) {
                use_predicates(tree, &mut is_used);
            }
        }
        let mut building: Vec<Option<Building>> =
            predicates.targets().iter().map(|_| None).collect();
        let mut gates = vec![false; predicates.targets().len()];
        for (id, _) in (0u32..).zip(&is_used).filter(|(_, is_used)| **is_used) {
            let (target, sought) = predicates.sought(id);
            building[target as usize].get_or_insert_default().take(id, sought);
            let is_witness = |rule: &u32| applies.get(*rule as usize).is_some_and(|is| *is);
            gates[target as usize] |= predicates.witnessed(id).iter().any(is_witness);
        }
        let mut index = Self {
            rules: rules.into(),
            always: predicates.always().iter().copied().filter(|r| rules.contains(r)).collect(),
            applies: applies.into(),
            names: HashMap::default(),
            names_marked: Marks::none(),
            standard: Box::default(),
            standard_starts: Box::default(),
            by_target: Vec::new(),
            is_gated: false,
            attributes: Vec::new(),
            record: None,
        };
        let mut standard = vec![Vec::new(); STANDARD_FIELDS.len()];
        for ((target, building), place) in predicates.targets().iter().zip(building).zip(0u32..) {
            if building.is_some() {
                index.add_target(place, target, gates[place as usize], &mut standard);
            }
            index.by_target.push(building.map(|building| Box::new(building.finish())));
        }
        let ends = standard.iter().scan(0, |end, of_field: &Vec<Belonging>| {
            *end += of_field.len() as u32;
            Some(*end)
        });
        index.standard_starts = std::iter::once(0).chain(ends).collect();
        index.standard = standard.concat().into();
        // What is no field has a value more often than not.
        index.is_gated = index.always.is_empty() && index.attributes.is_empty();
        index
    }

    fn add_target(
        &mut self,
        place: u32,
        target: &Target,
        is_gate: bool,
        standard_fields: &mut [Vec<Belonging>],
    ) {
        let names = match target {
            Target::Field(name) => std::slice::from_ref(name),
            Target::FirstOf(names) => names.as_slice(),
            other => {
                self.attributes.push((place, other.clone()));
                if *other == Target::Record {
                    self.record = Some(place);
                }
                return;
            }
        };
        for (name, rank) in names.iter().zip(0u16..) {
            self.names_marked.add(name.as_bytes());
            let belonging = Belonging { target: place, rank, is_gate };
            self.names.entry(name.as_bytes().into()).or_default().push(belonging);
            if let Some(standard) = standard_field(name) {
                standard_fields[usize::from(standard)].push(belonging);
            }
        }
    }

    pub(super) fn rules(&self) -> &[u32] {
        &self.rules
    }

    /// Rules that are judged on every event.
    pub(super) fn always(&self) -> &[u32] {
        &self.always
    }

    pub(super) fn applies(&self, rule: u32) -> bool {
        self.applies.get(rule as usize).copied().unwrap_or(false)
    }

    /// The targets that a field of this name of the event belongs to, and which of their names it is.
    pub(super) fn targets_of(&self, name: Name, buffer: &[u8]) -> &[Belonging] {
        match name {
            Name::Standard(place) => {
                let place = usize::from(place);
                let [start, end] = [place, place + 1].map(|at| self.standard_starts[at] as usize);
                &self.standard[start..end]
            }
            Name::Text(span) => {
                let start = span.start as usize;
                let letters = &buffer[start..start + span.len as usize];
                if !self.names_marked.may_have(letters) {
                    return &[];
                }
                self.names.get(letters).map_or(&[], Vec::as_slice)
            }
        }
    }

    /// Whether no rule can hold of an event of which no gate has a value.
    pub(super) fn is_gated(&self) -> bool {
        self.is_gated
    }

    /// The targets that are no fields, among them the whole record.
    pub(super) fn attributes(&self) -> &[(u32, Target)] {
        &self.attributes
    }

    /// The target that every value belongs to, when a rule looks for words anywhere.
    pub(super) fn record(&self) -> Option<u32> {
        self.record
    }

    pub(super) fn literals(&self, target: u32) -> Option<&Literals> {
        self.by_target[target as usize].as_deref()
    }
}

/// The bit that stands for texts of so many bytes.
fn length_bit(bytes: usize) -> u64 {
    1 << bytes.min(63)
}

fn use_predicates(node: &Node, is_used: &mut [bool]) {
    match node {
        Node::Constant(_) => {}
        Node::And(nodes) | Node::Or(nodes) => {
            nodes.iter().for_each(|node| use_predicates(node, is_used));
        }
        Node::Not(node) => use_predicates(node, is_used),
        Node::Is(id) => is_used[*id as usize] = true,
    }
}

/// The literals of one target while they are collected.
#[derive(Default)]
struct Building {
    literals: Literals,
    patterns: HashMap<String, usize>,
    texts: Vec<String>,
}

impl Building {
    fn take(&mut self, predicate: PredicateId, sought: &Sought) {
        let (literal, is_hint) = match sought {
            Sought::Literal(literal, is_hint) => (literal, *is_hint),
            Sought::Present => {
                self.literals.present = Some(predicate);
                return;
            }
            Sought::Nothing => return,
        };
        let entry = Entry { predicate, is_hint, anchor: literal.anchor };
        let is_of = |other: &[u8]| {
            let mut bytes = literal.text.bytes();
            bytes.all(|byte| byte.is_ascii_digit() || other.contains(&byte))
        };
        let is_empty = literal.text.is_empty();
        self.literals.is_in_numbers |= !is_empty && is_of(b"-");
        self.literals.is_in_addresses |= !is_empty && is_of(b"abcdef.:");
        if literal.anchor == Anchor::Whole {
            self.literals.whole_lengths |= length_bit(literal.text.len());
            self.literals.whole.entry(literal.text.as_str().into()).or_default().push(entry);
            return;
        }
        let next = self.texts.len();
        let pattern = *self.patterns.entry(literal.text.clone()).or_insert(next);
        if pattern == next {
            self.texts.push(literal.text.clone());
            self.literals.entries.push(Vec::new());
        }
        self.literals.entries[pattern].push(entry);
    }

    fn finish(mut self) -> Literals {
        if !self.texts.is_empty() {
            let bytes: usize = self.texts.iter().map(String::len).sum();
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .kind((bytes <= DFA_BYTES_MAX).then_some(AhoCorasickKind::DFA))
                .build(&self.texts);
            self.literals.automaton =
                Some(automaton.expect("rules and their values are bounded far below its limits"));
            self.literals.part_bytes_min = self.texts.iter().map(String::len).min().unwrap_or(0);
            self.literals.pairs = Some(Pairs::of(&self.texts));
        }
        self.literals
    }
}

impl Literals {
    /// False only when nothing is found in a value: told without its text in lower case.
    pub(super) fn may_find(&self, value: Value<'_>) -> bool {
        if self.whole.is_empty() && self.automaton.is_none() {
            return false;
        }
        match value {
            Value::String(text) | Value::Json(text) if text.is_ascii() => {
                let is_whole = self.whole_lengths & length_bit(text.len()) != 0;
                let is_long = self.automaton.is_some() && text.len() >= self.part_bytes_min;
                let pairs = self.pairs.as_ref();
                is_whole || is_long && pairs.is_none_or(|pairs| pairs.may_stand_in(text))
            }
            Value::Integer(_) => self.is_in_numbers,
            Value::Ip(_) => self.is_in_addresses,
            _ => true,
        }
    }

    /// Tells every literal that stands in a value given in lower case.
    pub(super) fn find(&self, lower: &str, found: &mut dyn FnMut(&Entry)) {
        if self.whole_lengths & length_bit(lower.len()) != 0
            && let Some(entries) = self.whole.get(lower)
        {
            entries.iter().for_each(&mut *found);
        }
        let automaton = self.automaton.as_ref().filter(|_| lower.len() >= self.part_bytes_min);
        let Some(automaton) = automaton else { return };
        for hit in automaton.find_overlapping_iter(lower) {
            for entry in &self.entries[hit.pattern().as_usize()] {
                let is_there = match entry.anchor {
                    Anchor::Start => hit.start() == 0,
                    Anchor::End => hit.end() == lower.len(),
                    Anchor::Inside | Anchor::Whole => true,
                };
                if is_there {
                    found(entry);
                }
            }
        }
    }
}
