//! The tests of all rules, told apart: equal ones are one predicate, whoever asks.
//!
//! Input: the rules' filters. Output: numbered predicates, each rule's condition over these numbers,
//! and for each predicate the rules of which it is a witness. A rule's witnesses are the cheapest set
//! of predicates of which at least one holds whenever the rule does.

use std::collections::HashMap;

use logwarden_query::{Filter, Predicate, Target, Test};

use super::literal::{Anchor, Judgement, Literal, judgement};

/// A predicate's number.
pub(super) type PredicateId = u32;

/// How a predicate is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The pass over the values has marked it when it holds.
    Found,
    /// It holds when this target has no value.
    Absent(u32),
    /// Its test is asked about the values of this target.
    Itself(u32),
    /// The predicate is asked about the event.
    Whole,
}

/// A rule's condition.
#[derive(Debug)]
pub(super) enum Node {
    /// Always or never.
    Constant(bool),
    /// All of them.
    And(Box<[Node]>),
    /// Any of them.
    Or(Box<[Node]>),
    /// Not this.
    Not(Box<Node>),
    /// This predicate.
    Is(PredicateId),
}

/// What the pass over the values looks for on behalf of a predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sought {
    /// This literal; `true`: it is only a hint.
    Literal(Literal, bool),
    /// Any value.
    Present,
    /// Nothing.
    Nothing,
}

#[derive(Debug)]
struct Known {
    predicate: Predicate,
    target: u32,
    way: Way,
    sought: Sought,
}

/// All predicates, and what the rules say about them.
#[derive(Debug, Default)]
pub(super) struct Predicates {
    known: Vec<Known>,
    targets: Vec<Target>,
    trees: Vec<Option<Node>>,
    witnessed: Vec<Vec<u32>>,
    /// Rules that have no witness.
    always: Vec<u32>,
}

/// Tells equal predicates apart while they are collected.
#[derive(Default)]
struct Collecting {
    predicates: Predicates,
    targets: HashMap<Target, u32>,
    by_literal: HashMap<(u32, Literal), PredicateId>,
    /// The others by how they print; there are few.
    by_text: HashMap<(u32, String), PredicateId>,
}

impl Predicates {
    /// Collects the predicates of rules, in their order; `None`: the rule looks at no event.
    pub(super) fn of<'a>(filters: impl Iterator<Item = Option<&'a Filter>>) -> Self {
        let mut collecting = Collecting::default();
        for (filter, rule) in filters.zip(0u32..) {
            let tree = filter.map(|filter| collecting.node(filter));
            let predicates = &mut collecting.predicates;
            if let Some(tree) = &tree {
                match predicates.witnesses(tree) {
                    Some((_, witnesses)) => {
                        for witness in witnesses {
                            let rules = &mut predicates.witnessed[witness as usize];
                            if rules.last() != Some(&rule) {
                                rules.push(rule);
                            }
                        }
                    }
                    None => predicates.always.push(rule),
                }
            }
            predicates.trees.push(tree);
        }
        collecting.predicates
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The condition of the rule in this place.
    pub(super) fn tree(&self, rule: u32) -> Option<&Node> {
        self.trees.get(rule as usize)?.as_ref()
    }

    /// Rules that must be judged whenever they apply.
    pub(super) fn always(&self) -> &[u32] {
        &self.always
    }

    /// The rules that may hold because this predicate does.
    pub(super) fn witnessed(&self, id: PredicateId) -> &[u32] {
        &self.witnessed[id as usize]
    }

    pub(super) fn predicate(&self, id: PredicateId) -> &Predicate {
        &self.known[id as usize].predicate
    }

    pub(super) fn test(&self, id: PredicateId) -> &Test {
        &self.known[id as usize].predicate.test
    }

    pub(super) fn way(&self, id: PredicateId) -> Way {
        self.known[id as usize].way
    }

    /// What is to be looked for, and in which target.
    pub(super) fn sought(&self, id: PredicateId) -> (u32, &Sought) {
        let known = &self.known[id as usize];
        (known.target, &known.sought)
    }

    /// The cheapest predicates of which one holds whenever the condition does, and how often one of
    /// them is expected to hold; `None` when there are no such.
    fn witnesses(&self, node: &Node) -> Option<(f64, Vec<PredicateId>)> {
        match node {
            Node::Constant(false) => Some((0.0, Vec::new())),
            Node::Constant(true) | Node::Not(_) => None,
            Node::Is(id) => Some((self.frequency(*id)?, vec![*id])),
            Node::And(nodes) => nodes
                .iter()
                .filter_map(|node| self.witnesses(node))
                .min_by(|one, other| one.0.total_cmp(&other.0)),
            Node::Or(nodes) => {
                nodes.iter().try_fold((0.0, Vec::new()), |(frequency, mut ids), node| {
                    let (more, others) = self.witnesses(node)?;
                    ids.extend(others);
                    Some((frequency + more, ids))
                })
            }
        }
    }

    /// How often a predicate is expected to hold, in no unit: short literals are found everywhere,
    /// and a number is mostly one of a few. `None`: the pass over the values cannot find it.
    fn frequency(&self, id: PredicateId) -> Option<f64> {
        let known = &self.known[id as usize];
        let Sought::Literal(literal, _) = &known.sought else {
            return (known.sought == Sought::Present).then_some(
                match &self.targets[known.target as usize] {
                    // The server's own records are few.
                    Target::Field(name) if name.starts_with("lw.") => 1e-3,
                    _ => 1e6,
                },
            );
        };
        let is_number = literal.text.bytes().all(|byte| byte.is_ascii_digit());
        let length = literal.text.len().max(1) as f64;
        Some(match literal.anchor {
            Anchor::Whole if is_number => 50.0 / length,
            Anchor::Whole => 4.0 / length,
            Anchor::Start | Anchor::End => 8.0 / length,
            Anchor::Inside => 30.0 / length.powi(2),
        })
    }
}

impl Collecting {
    /// The recursion is as deep as the filter, whose builders bound it.
    fn node(&mut self, filter: &Filter) -> Node {
        match filter {
            Filter::All => Node::Constant(true),
            Filter::Nothing => Node::Constant(false),
            Filter::And(filters) => Node::And(self.nodes(filters)),
            Filter::Or(filters) => Node::Or(self.nodes(filters)),
            Filter::Not(filter) => Node::Not(Box::new(self.node(filter))),
            Filter::Is(predicate) => Node::Is(self.id_of(predicate)),
        }
    }

    /// What is only read comes before what must be worked out.
    fn nodes(&mut self, filters: &[Filter]) -> Box<[Node]> {
        let mut nodes: Vec<Node> = filters.iter().map(|filter| self.node(filter)).collect();
        nodes.sort_by_key(|node| match node {
            Node::Constant(_) => 0,
            Node::Is(id) => match self.predicates.way(*id) {
                Way::Found | Way::Absent(_) => 1,
                Way::Itself(_) | Way::Whole => 3,
            },
            Node::And(_) | Node::Or(_) | Node::Not(_) => 2,
        });
        nodes.into()
    }

    fn id_of(&mut self, predicate: &Predicate) -> PredicateId {
        let target = match self.targets.get(&predicate.target) {
            Some(target) => *target,
            None => {
                let target = next_id(self.predicates.targets.len());
                self.predicates.targets.push(predicate.target.clone());
                self.targets.insert(predicate.target.clone(), target);
                target
            }
        };
        let judgement = judgement(&predicate.test);
        let next = next_id(self.predicates.known.len());
        let id = match &judgement {
            Judgement::Literal(literal) => {
                *self.by_literal.entry((target, literal.clone())).or_insert(next)
            }
            _ => {
                let text = format!("{:?}", predicate.test);
                *self.by_text.entry((target, text)).or_insert(next)
            }
        };
        if id == next {
            let is_field = matches!(predicate.target, Target::Field(_) | Target::FirstOf(_));
            let (way, sought) = match judgement {
                Judgement::Literal(literal) => (Way::Found, Sought::Literal(literal, false)),
                Judgement::Hint(literal) => (Way::Found, Sought::Literal(literal, true)),
                Judgement::Present => (Way::Found, Sought::Present),
                Judgement::Absent => (Way::Absent(target), Sought::Nothing),
                Judgement::Itself if is_field => (Way::Itself(target), Sought::Nothing),
                Judgement::Itself | Judgement::Whole => (Way::Whole, Sought::Nothing),
            };
            self.predicates.known.push(Known { predicate: predicate.clone(), target, way, sought });
            self.predicates.witnessed.push(Vec::new());
        }
        id
    }
}

fn next_id(count: usize) -> u32 {
    u32::try_from(count).expect("rules and their values are bounded far below")
}
