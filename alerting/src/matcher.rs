//! All rules over one event: which of them look for it.
//!
//! Input: one event. Output: the places of the Sigma rules that match, in the order of the set.
//! Rules are compiled once; which of them apply to a class is worked out when the class is first
//! met. Within a class the rules are tried one after the other.

use std::collections::HashMap;
use std::sync::Arc;

use logwarden_event::Event;

use crate::rule::{Logic, RuleSet, RuleState};

/// Classes remembered; when there are more, all are forgotten and worked out again.
const CLASSES_MAX: usize = 4_096;

/// The Sigma rules of a set, ready to be run.
#[derive(Debug)]
pub struct Matcher {
    rules: Arc<RuleSet>,
    by_class: HashMap<Box<str>, Arc<[usize]>>,
}

impl Matcher {
    /// Prepares the rules of a set; disabled ones never match.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self { rules, by_class: HashMap::new() }
    }

    /// Appends the places of the rules that match `event` to `hits`.
    pub fn match_event(&mut self, event: &Event, hits: &mut Vec<usize>) {
        let applicable = self.applicable(event);
        let rules = self.rules.rules();
        hits.extend(applicable.iter().copied().filter(|place| match &rules[*place].logic {
            Logic::Match(selection) => selection.filter.matches(event),
            Logic::Correlate(_) => false,
        }));
    }

    fn applicable(&mut self, event: &Event) -> Arc<[usize]> {
        let class = event.class();
        if let Some(known) = self.by_class.get(class.as_str()) {
            return known.clone();
        }
        if self.by_class.len() >= CLASSES_MAX {
            self.by_class.clear();
        }
        let rules = self.rules.rules().iter().enumerate();
        let applicable: Arc<[usize]> = rules
            .filter(|(_, rule)| rule.settings.state != RuleState::Disabled)
            .filter(|(_, rule)| match &rule.logic {
                Logic::Match(selection) => selection.applies_to(class),
                Logic::Correlate(_) => false,
            })
            .map(|(place, _)| place)
            .collect();
        self.by_class.insert(class.as_str().into(), applicable.clone());
        applicable
    }
}
