//! Records of one program look alike: the same keys in the same order, with other values between them.
//!
//! A tree of what stood between the values of records that were read before. Where the next record has
//! the same bytes there, its keys need not be read again: their paths are known, and so is what is known
//! of their names. It only saves work: whatever is not foreseen is read as if there were no tree.
//!
//! Each thread has a tree of its own, of [`NODES_MAX`] nodes and about [`BYTES_MAX`] bytes at most. When it is full it is forgotten as
//! a whole, not more often than every [`RECORDS_BEFORE_FORGETTING`] records, so that a sender whose keys
//! are always new costs little.

use std::ops::Range;

use smallvec::SmallVec;

use super::super::names;
use super::super::reading::{Looked, Reading, Text};

/// Nodes of a tree at most.
const NODES_MAX: usize = 2_048;
/// Bytes of glue and paths at which a tree is full.
const BYTES_MAX: usize = 256 << 10;
/// What may follow one value.
const BRANCHES_MAX: usize = 8;
/// Bytes between two values at most: a few keys inside each other.
const GLUE_BYTES_MAX: usize = 256;
/// Records between two times that a full tree is forgotten.
const RECORDS_BEFORE_FORGETTING: u32 = 20_000;

/// The beginning of every record.
pub(super) const ROOT: u32 = 0;

/// A tree of skeletons.
#[derive(Debug)]
pub(super) struct Skeletons {
    nodes: Vec<Node>,
    /// Glue and paths of all nodes.
    bytes: Vec<u8>,
    /// Records that were read since the tree was empty.
    records: u32,
}

/// A value, or the end of the record, and how it is come to.
#[derive(Debug, Default)]
struct Node {
    /// Where in the bytes stands what lies between the value before and this one.
    glue: Range<usize>,
    value: Option<Foreseen>,
    /// What may come next, the last taken first.
    next: SmallVec<[u32; 4]>,
}

/// What is known of a value before it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Foreseen {
    /// Objects that are open around it.
    pub(super) depth: usize,
    /// What is known of its name.
    pub(super) looked: Looked,
    path: Path,
}

/// Where a path stands.
#[derive(Debug, Clone, Copy)]
enum Path {
    /// In the glue, so many bytes from its beginning: it is one key.
    InGlue { start: usize, len: usize },
    /// Behind the glue, so many bytes: keys inside each other.
    BehindGlue(usize),
}

/// A value of a record that was read key by key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// The end of the value before.
    pub(super) glue_start: usize,
    /// The first byte of the value.
    pub(super) start: usize,
    pub(super) path: Text,
    pub(super) depth: usize,
}

impl Default for Skeletons {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], bytes: Vec::new(), records: 0 }
    }
}

impl Skeletons {
    /// The node that `rest` leads to from a node, and the bytes until its value.
    pub(super) fn next(&mut self, node: u32, rest: &[u8]) -> Option<(u32, usize)> {
        let nodes = &mut self.nodes;
        let leads = |next: &u32| nodes[*next as usize].leads_to(&self.bytes, rest);
        let place = nodes[node as usize].next.iter().position(leads)?;
        let next = &mut nodes[node as usize].next;
        if place > 0 {
            next[..=place].rotate_right(1);
        }
        let node = next[0];
        Some((node, nodes[node as usize].glue.len()))
    }

    /// What is known of the value of a node; `None`: it is the end.
    pub(super) fn value(&self, node: u32) -> Option<Foreseen> {
        self.nodes[node as usize].value
    }

    /// The path of the value of a node, whose glue stands at `glue_start` of the record.
    pub(super) fn path(&self, node: u32, glue_start: usize, reading: &mut Reading<'_>) -> Text {
        let node = &self.nodes[node as usize];
        match node.value.map(|value| value.path) {
            Some(Path::InGlue { start, len }) => {
                Reading::of_record(glue_start + start, glue_start + start + len)
            }
            Some(Path::BehindGlue(len)) => {
                let path = str::from_utf8(&self.bytes[node.glue.end..node.glue.end + len]);
                reading.keep(path.expect("a path was text when it was learned"))
            }
            None => Text::default(),
        }
    }

    /// Learns how the values of a record follow each other, the last value ending at `end`; the record
    /// ends with the text.
    pub(super) fn learn(&mut self, steps: &[Step], last_end: usize, end: usize, of: &Reading<'_>) {
        self.records = self.records.saturating_add(1);
        if self.nodes.len() + steps.len() >= NODES_MAX || self.bytes.len() >= BYTES_MAX {
            if self.records < RECORDS_BEFORE_FORGETTING {
                return;
            }
            *self = Self::default();
        }
        let text = of.record();
        let mut node = ROOT;
        for step in steps {
            let glue = &text.as_bytes()[step.glue_start..step.start];
            match self.enter(node, glue, Some((step, of))) {
                Some(next) => node = next,
                None => return,
            }
        }
        self.enter(node, &text.as_bytes()[last_end..end], None);
    }

    fn enter(
        &mut self,
        node: u32,
        glue: &[u8],
        step: Option<(&Step, &Reading<'_>)>,
    ) -> Option<u32> {
        if glue.len() > GLUE_BYTES_MAX || self.bytes.len() >= BYTES_MAX {
            return None;
        }
        let next = &self.nodes[node as usize].next;
        let known = next.iter().find(|next| {
            let next = &self.nodes[**next as usize];
            next.value.is_some() == step.is_some() && self.bytes[next.glue.clone()] == *glue
        });
        if let Some(known) = known {
            return Some(*known);
        }
        if next.len() >= BRANCHES_MAX {
            return None;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(glue);
        let place = start..self.bytes.len();
        let value = step.map(|(step, of)| {
            let path = of.str(step.path);
            let path = match of.range_of(step.path) {
                Some(range) if range.start >= step.glue_start && range.end <= step.start => {
                    Path::InGlue { start: range.start - step.glue_start, len: path.len() }
                }
                _ => {
                    self.bytes.extend_from_slice(path.as_bytes());
                    Path::BehindGlue(path.len())
                }
            };
            Foreseen { depth: step.depth, looked: names::look_up(of.str(step.path)), path }
        });
        let number = self.nodes.len() as u32;
        self.nodes.push(Node { glue: place, value, next: SmallVec::new() });
        self.nodes[node as usize].next.push(number);
        Some(number)
    }
}

impl Node {
    /// Whether its value, or the end, is what comes next. An object is no value, its own values are,
    /// unless it has none.
    fn leads_to(&self, bytes: &[u8], rest: &[u8]) -> bool {
        let glue = &bytes[self.glue.clone()];
        if self.value.is_none() {
            return rest == glue;
        }
        let value = rest.strip_prefix(glue);
        value.is_some_and(|value| !value.starts_with(b"{") || value.starts_with(b"{}"))
    }
}

#[cfg(test)]
mod tests {
    use logwarden_event::Timestamp;
    use proptest::prelude::*;

    use super::super::{Flattener, SKELETONS, Scanner, flatten};
    use super::*;
    use crate::normalize::Origin;

    /// Values of JSON, of few keys, so that many records look alike.
    fn values() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("1".to_owned()),
            Just("\"x\"".to_owned()),
            Just("\"\\u0041\\ud800\"".to_owned()),
            Just("1e999".to_owned()),
            Just("null".to_owned()),
            Just("{}".to_owned()),
            Just("[]".to_owned()),
            Just("tru".to_owned()),
        ];
        leaf.prop_recursive(3, 12, 3, |value| {
            let key =
                prop_oneof![Just("a"), Just("b"), Just("level"), Just("\\u0061"), Just("c.d")];
            let glue = prop_oneof![3 => Just(":"), 1 => Just(" : ")];
            let members = proptest::collection::vec((key, glue, value.clone()), 0..4);
            prop_oneof![
                3 => members.prop_map(|members| {
                    let member = |(key, glue, value)| format!("\"{key}\"{glue}{value}");
                    let members: Vec<String> = members.into_iter().map(member).collect();
                    format!("{{{}}}", members.join(","))
                }),
                1 => proptest::collection::vec(value, 0..3)
                    .prop_map(|items| format!("[{}]", items.join(", "))),
            ]
        })
    }

    /// Everything that flattening makes of a record.
    fn flattened(record: &str) -> String {
        let origin = Origin::new("test");
        let mut reading = Reading::new(record, &origin, Timestamp::default());
        let read = flatten(&mut reading, 0, record.len());
        format!("{read:?} {:?}", reading.build(record.as_bytes()).parts())
    }

    proptest! {
        #[test]
        fn what_was_read_before_changes_nothing(records in proptest::collection::vec(values(), 1..12)) {
            let alone = |record: &String| {
                SKELETONS.take();
                flattened(record)
            };
            let expected: Vec<String> = records.iter().map(alone).collect();
            SKELETONS.take();
            for _ in 0..2 {
                for (record, expected) in records.iter().zip(&expected) {
                    prop_assert_eq!(&flattened(record), expected, "{}", record);
                }
            }
        }
    }

    #[test]
    fn a_record_like_one_before_is_foreseen() {
        let record =
            |n: u32| format!(r#"{{"time":"t{n}","user":{{"id":{n},"roles":["a","b"]}},"x":{{}}}}"#);
        let follows = |record: &str| {
            let origin = Origin::new("test");
            let mut reading = Reading::new(record, &origin, Timestamp::default());
            let flattener = Flattener::new(&mut reading, Scanner::new(record), false);
            SKELETONS.with_borrow_mut(|skeletons| flattener.follow(skeletons))
        };
        assert!(!follows(&record(1)));
        flattened(&record(1));
        assert!(follows(&record(2)));
        assert!(!follows(&record(3).replace("roles", "groups")));
        assert!(!follows(&format!("{} ", record(4))), "the record ends later");
    }
}
