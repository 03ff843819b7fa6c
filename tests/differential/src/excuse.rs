//! Rules in which the engines may differ, and why: the list of docs/DETECTION.md.

use rsigma_parser::value::StringPart;
use rsigma_parser::{Detection, DetectionItem, Modifier, SigmaRule, SigmaValue};

/// Why a rule may differ; `None`: it must not.
pub fn of(rule: &SigmaRule) -> Option<&'static str> {
    rule.detection.named.values().find_map(of_detection)
}

fn of_detection(detection: &Detection) -> Option<&'static str> {
    match detection {
        Detection::AllOf(items) => items.iter().find_map(of_item),
        Detection::AnyOf(parts) => parts.iter().find_map(of_detection),
        _ => None,
    }
}

fn of_item(item: &DetectionItem) -> Option<&'static str> {
    let has = |modifier| item.field.modifiers.contains(&modifier);
    if has(Modifier::Expand) {
        return Some("a list that is empty: the rule matches nothing here");
    }
    if has(Modifier::All) && item.field.name.as_deref().is_none_or(str::is_empty) {
        return Some("keywords of which all must be there: never found there");
    }
    let has_wildcard = |value: &SigmaValue| match value {
        SigmaValue::String(text) => {
            text.parts.iter().any(|part| matches!(part, StringPart::Special(_)))
        }
        _ => false,
    };
    let is_anchored = has(Modifier::StartsWith) || has(Modifier::EndsWith);
    (is_anchored && item.values.iter().any(has_wildcard))
        .then_some("a wildcard under startswith or endswith: anchored at the other end there")
}
