//! Sigma filters (specification 2.1.0): conditions that are added to rules which others wrote.
//!
//! Input: documents with the key `filter`. A filter names rules by id or name, or `any`; it is added
//! to those of them that look at the same logsource. It opens no alerts and is no rule itself.

use super::sigma::{Selection, read_selection};
use super::yaml::{Fault, Node};
use super::{Lists, Logic, Rule};
use crate::identity::hash_text;
use crate::rule::correlation::Reference;

/// A filter.
#[derive(Debug, Clone)]
pub(super) struct Restriction {
    /// The rules it is about; none: every rule of its logsource.
    rules: Vec<Reference>,
    selection: Selection,
    /// Changes when anything in the document does.
    fingerprint: String,
}

/// Reads the document of a filter.
///
/// # Errors
///
/// Every fault found, in the order of the file.
pub(super) fn read(document: &Node, lists: &Lists) -> Result<Restriction, Vec<Fault>> {
    let selection = read_selection(document, "filter", &["rules"], lists)?;
    let Some(node) = document.get("filter").and_then(|filter| filter.get("rules")) else {
        return Err(vec![Fault::new(document.at, "the filter does not say for which `rules`")]);
    };
    let mut rules = Vec::new();
    for item in node.items() {
        let text = item.text();
        let text = text.ok_or_else(|| vec![Fault::new(item.at, "must be a rule's id or name")])?;
        rules.push(Reference { text: text.to_owned(), at: item.at });
    }
    if node.text() == Some("any") {
        rules.clear();
    } else if rules.is_empty() {
        return Err(vec![Fault::new(node.at, "no rule is named; `any` means all")]);
    }
    let fingerprint = hash_text(&[&document.to_json().to_string()]);
    Ok(Restriction { rules, selection, fingerprint })
}

impl Restriction {
    /// Adds the condition to the rules it is about; answers the references that lead nowhere.
    pub(super) fn apply(&self, rules: &mut [Rule]) -> Vec<Fault> {
        let fault = |reference: &Reference| {
            let text = &reference.text;
            let message = match rules.iter().find(|rule| rule.is_called(text)) {
                None => format!("there is no rule `{text}`"),
                Some(Rule { logic: Logic::Correlate(_), .. }) => format!(
                    "`{text}` looks at other rules: a filter is added to rules over one event"
                ),
                Some(_) => return None,
            };
            Some(Fault::new(reference.at, message))
        };
        let faults = self.rules.iter().filter_map(fault).collect();
        for rule in rules {
            let is_named = self.rules.iter().any(|reference| rule.is_called(&reference.text));
            let Logic::Match(selection) = &mut rule.logic else { continue };
            if (is_named || self.rules.is_empty()) && self.is_about(selection) {
                let filter =
                    std::mem::replace(&mut selection.filter, logwarden_query::Filter::Nothing);
                selection.filter = filter.and(self.selection.filter.clone());
                selection.missing_lists.extend(self.selection.missing_lists.iter().cloned());
                rule.fingerprint = hash_text(&[&rule.fingerprint, &self.fingerprint]);
            }
        }
        faults
    }

    /// Whether everything the filter says of the logsource, the rule says too.
    fn is_about(&self, rule: &Selection) -> bool {
        let agrees = |own: &str, other: &str| own.is_empty() || own == other;
        agrees(&self.selection.product, &rule.product)
            && agrees(&self.selection.category, &rule.category)
            && agrees(&self.selection.service, &rule.service)
    }
}
