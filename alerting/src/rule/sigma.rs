//! Sigma rules (specification 2.1.0): a logsource and a detection over one event.

use logwarden_event::{Class, Event, Logsource};
use logwarden_query::Filter;

use super::yaml::{Fault, Node};
use super::{Lists, Logic, RuleType, detection};

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
    /// Lists it needs and which are empty; until they are not, it matches nothing.
    pub missing_lists: Vec<String>,
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

    fn read(&self, document: &Node, lists: &Lists) -> Result<Logic, Vec<Fault>> {
        read_selection(document, "detection", &["timeframe"], lists).map(Logic::Match)
    }
}

/// Reads `logsource` and, under `key`, selections with their condition.
///
/// # Errors
///
/// Every fault found, in the order of the file.
pub(super) fn read_selection(
    document: &Node,
    key: &str,
    but: &[&str],
    lists: &Lists,
) -> Result<Selection, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut selection = Selection {
        product: String::new(),
        category: String::new(),
        service: String::new(),
        filter: Filter::Nothing,
        missing_lists: Vec::new(),
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
    if let Some(node) = document.get(key) {
        lists.begin();
        match detection::read(node, but, lists) {
            Ok(filter) => selection.filter = filter,
            Err(found) => faults.extend(found),
        }
        selection.missing_lists = lists.missing();
        if !selection.missing_lists.is_empty() {
            // A list that is left out of a `not` would make the rule match more, not less.
            selection.filter = Filter::Nothing;
        }
    }
    if faults.is_empty() { Ok(selection) } else { Err(faults) }
}
