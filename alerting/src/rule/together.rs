//! Conditions of temporal correlations in words (Sigma 2.2): `rule_a and (rule_b or rule_c) and not rule_d`.
//!
//! Input: the text and the rules that the correlation names. Output: the ways in which it can hold, at most
//! [`BRANCHES_MAX`]. Each needs a rule that matches: where nothing happens there is no time to speak of.

use super::condition::{Tree, read_tree};
use super::correlation::Reference;
use super::judged::Branch;
use super::yaml::{Fault, Node, Place};

/// Ways in which one condition can hold.
const BRANCHES_MAX: usize = 64;

/// Reads a condition.
pub(super) fn read_branches(node: &Node, rules: &[Reference]) -> Result<Vec<Branch>, Fault> {
    let text = node.text().unwrap_or_default();
    let names: Vec<&str> = rules.iter().map(|rule| rule.text.as_str()).collect();
    let tree = read_tree(text, &names, "member rule").map_err(|(offset, message)| {
        let at = Place { line: node.at.line, column: node.at.column + offset };
        Fault::new(at, message)
    })?;
    let branches = branches(&tree, false);
    let branches = branches.ok_or_else(|| {
        Fault::new(node.at, format!("the condition can hold in more than {BRANCHES_MAX} ways"))
    })?;
    let mut possible = Vec::new();
    for branch in branches {
        // What must be there and must not be there is never so.
        if branch.needed.iter().any(|rule| branch.absent.contains(rule)) {
            continue;
        }
        if branch.needed.is_empty() {
            let message = "the condition holds where no rule matches; say which one must";
            return Err(Fault::new(node.at, message));
        }
        if !possible.contains(&branch) {
            possible.push(branch);
        }
    }
    if possible.is_empty() {
        return Err(Fault::new(node.at, "the condition can never hold"));
    }
    Ok(possible)
}

/// `None`: there are too many.
fn branches(tree: &Tree, is_negated: bool) -> Option<Vec<Branch>> {
    match (tree, is_negated) {
        (Tree::Is(place), _) => {
            let rule = vec![u32::try_from(*place).ok()?];
            let (needed, absent) = if is_negated { (Vec::new(), rule) } else { (rule, Vec::new()) };
            Some(vec![Branch { needed, absent }])
        }
        (Tree::Not(inner), _) => branches(inner, !is_negated),
        (Tree::And(trees), false) | (Tree::Or(trees), true) => {
            let mut all = vec![Branch { needed: Vec::new(), absent: Vec::new() }];
            for tree in trees {
                let more = branches(tree, is_negated)?;
                if all.len() * more.len() > BRANCHES_MAX {
                    return None;
                }
                let both = |one: &Branch| more.iter().map(|other| joined(one, other)).collect();
                all = all.iter().flat_map::<Vec<Branch>, _>(both).collect();
            }
            Some(all)
        }
        (Tree::Or(trees), false) | (Tree::And(trees), true) => {
            let mut all = Vec::new();
            for tree in trees {
                all.extend(branches(tree, is_negated)?);
            }
            (all.len() <= BRANCHES_MAX).then_some(all)
        }
    }
}

/// Both of them, each rule once, in the order they are named.
fn joined(one: &Branch, other: &Branch) -> Branch {
    let join = |first: &[u32], second: &[u32]| {
        let mut all: Vec<u32> = first.to_vec();
        all.extend(second.iter().filter(|rule| !first.contains(rule)));
        all
    };
    Branch { needed: join(&one.needed, &other.needed), absent: join(&one.absent, &other.absent) }
}
