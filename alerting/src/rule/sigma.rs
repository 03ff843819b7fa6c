//! Sigma rules (specification 2.1.0): a logsource and a detection over one event.

use logwarden_event::{Class, Event, Logsource};
use logwarden_query::Filter;

use super::yaml::{Fault, Node};
use super::{Logic, RuleType, detection};

/// The kind told by `detection:`.
pub(super) struct Sigma;

/// Which events a rule is about.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The logsource's product, or empty.
    pub product: String,
    /// The logsource's category, or empty.
    pub category: String,
    /// The logsource's service, or empty.
    pub service: String,
    /// What must hold besides.
    pub filter: Filter,
}

impl Selection {
    /// Whether the rule applies to events of this class.
    pub fn applies_to(&self, class: Class<'_>) -> bool {
        class.is_covered_by(&Logsource {
            product: &self.product,
            category: &self.category,
            service: &self.service,
        })
    }

    /// Whether `event` is one of those the rule is about.
    pub fn matches(&self, event: &Event) -> bool {
        self.applies_to(event.class()) && self.filter.matches(event)
    }
}

impl RuleType for Sigma {
    fn name(&self) -> &'static str {
        "sigma"
    }

    fn key(&self) -> &'static str {
        "detection"
    }

    fn read(&self, document: &Node) -> Result<Logic, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut selection = Selection {
            product: String::new(),
            category: String::new(),
            service: String::new(),
            filter: Filter::Nothing,
        };
        match document.get("logsource").map(|node| (node, node.entries())) {
            None => faults.push(Fault::new(document.at, "the rule has no `logsource`")),
            Some((node, None)) if !node.is_null() => {
                faults.push(Fault::new(node.at, "`logsource` must be a mapping"));
            }
            Some((_, entries)) => {
                for (key, value) in entries.unwrap_or_default() {
                    let dimension = match key.text.as_str() {
                        "product" => &mut selection.product,
                        "category" => &mut selection.category,
                        "service" => &mut selection.service,
                        _ => continue,
                    };
                    match value.text() {
                        Some(text) => *dimension = text.to_lowercase(),
                        None => faults.push(Fault::new(value.at, "must be a text")),
                    }
                }
            }
        }
        if let Some(node) = document.get("detection") {
            match detection::read(node) {
                Ok(filter) => selection.filter = filter,
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() { Ok(Logic::Match(selection)) } else { Err(faults) }
    }
}
