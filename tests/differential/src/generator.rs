//! Events made of what rules look for, so that many rules match, nearly match or must not match.
//!
//! Input: a parsed rule and a seed. Output: flat fields under the names of the rule. Values are taken
//! from the rule's own detections, at times spoiled by one character, left out or written in another
//! case; nothing else is random, so a seed gives the same events everywhere.

use rsigma_parser::value::{SpecialChar, StringPart};
use rsigma_parser::{Detection, DetectionItem, Modifier, SigmaRule, SigmaValue};
use serde_json::{Map, Value, json};

/// A small generator of numbers (xorshift64*), the same on every machine.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// Starts with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }
}

/// Fields of an event for which `rule` was made, or nearly so.
pub fn fields_for(rule: &SigmaRule, chance: &mut Chance) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut named: Vec<_> = rule.detection.named.iter().collect();
    named.sort_by_key(|(name, _)| name.as_str());
    for (name, detection) in named {
        let share = if name.starts_with("filter") { 25 } else { 92 };
        if chance.percent(share) {
            take(detection, chance, &mut fields);
        }
    }
    if chance.percent(30) {
        fields.insert("Note".into(), json!("nothing to be seen here"));
    }
    fields
}

fn take(detection: &Detection, chance: &mut Chance, fields: &mut Map<String, Value>) {
    match detection {
        Detection::AllOf(items) => {
            for item in items {
                if chance.percent(96) {
                    take_item(item, chance, fields);
                }
            }
        }
        Detection::AnyOf(parts) if !parts.is_empty() => {
            take(&parts[chance.below(parts.len())], chance, fields);
        }
        Detection::Keywords(values) if !values.is_empty() => {
            let text = text_of(&values[chance.below(values.len())], &[], chance);
            fields.insert("message".into(), json!(format!("before {text} after")));
        }
        _ => {}
    }
}

fn take_item(item: &DetectionItem, chance: &mut Chance, fields: &mut Map<String, Value>) {
    let Some(name) = item.field.name.as_deref() else {
        let parts: Vec<String> =
            item.values.iter().map(|value| text_of(value, &item.field.modifiers, chance)).collect();
        fields.insert("message".into(), json!(parts.join(" ")));
        return;
    };
    let modifiers = &item.field.modifiers;
    if item.values.is_empty() {
        return;
    }
    let has = |modifier| modifiers.contains(&modifier);
    if has(Modifier::All) {
        let parts: Vec<String> =
            item.values.iter().map(|value| text_of(value, modifiers, chance)).collect();
        let text = spoiled(parts.join(" "), chance);
        fields.insert(name.to_owned(), json!(text));
        return;
    }
    let value = &item.values[chance.below(item.values.len())];
    let made = match value {
        SigmaValue::Null => return,
        SigmaValue::Bool(value) if has(Modifier::Exists) => {
            if !*value {
                return;
            }
            json!("there")
        }
        SigmaValue::Bool(value) => json!(value),
        SigmaValue::Integer(value) if chance.percent(60) => json!(value),
        SigmaValue::Float(value) => json!(value),
        other => json!(spoiled(text_of(other, modifiers, chance), chance)),
    };
    fields.insert(name.to_owned(), made);
}

/// A text that the value matches, as far as its modifiers are understood here.
fn text_of(value: &SigmaValue, modifiers: &[Modifier], chance: &mut Chance) -> String {
    let has = |modifier| modifiers.contains(&modifier);
    let text = match value {
        SigmaValue::String(text) if has(Modifier::Re) => literal_of(&text.original),
        SigmaValue::String(text) if has(Modifier::Cidr) => {
            text.original.split('/').next().unwrap_or_default().to_owned()
        }
        SigmaValue::String(text) => {
            let mut out = String::new();
            for part in &text.parts {
                match part {
                    StringPart::Plain(plain) => out.push_str(plain),
                    StringPart::Special(SpecialChar::WildcardSingle) => out.push('q'),
                    StringPart::Special(SpecialChar::WildcardMulti) => {
                        out.push_str(["", "x", "any thing"][chance.below(3)]);
                    }
                }
            }
            out
        }
        SigmaValue::Integer(number) => number.to_string(),
        SigmaValue::Float(number) => number.to_string(),
        SigmaValue::Bool(value) => value.to_string(),
        SigmaValue::Null => String::new(),
    };
    let around = |before: &str, after: &str| format!("{before}{text}{after}");
    if has(Modifier::Contains) || has(Modifier::Re) {
        around(["", "pre "][chance.below(2)], ["", " post"][chance.below(2)])
    } else if has(Modifier::StartsWith) {
        around("", ["", "\\rest"][chance.below(2)])
    } else if has(Modifier::EndsWith) {
        around(["", "C:\\some\\place"][chance.below(2)], "")
    } else {
        text
    }
}

/// A regular expression without what makes it one; often enough it matches itself.
fn literal_of(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push('7'),
                Some('w') => out.push('w'),
                Some('s') => out.push(' '),
                Some(other) => out.push(other),
                None => {}
            },
            '[' => {
                let first = chars.peek().copied().unwrap_or('a');
                for inner in chars.by_ref() {
                    if inner == ']' {
                        break;
                    }
                }
                out.push(if first == '^' { 'z' } else { first });
            }
            '{' => {
                for inner in chars.by_ref() {
                    if inner == '}' {
                        break;
                    }
                }
            }
            '(' | ')' | '*' | '+' | '?' | '^' | '$' | '|' => {}
            '.' => out.push('x'),
            other => out.push(other),
        }
    }
    out
}

fn spoiled(text: String, chance: &mut Chance) -> String {
    match chance.below(12) {
        0 => text.to_uppercase(),
        1 => text.to_lowercase(),
        2 if !text.is_empty() => {
            let chars: Vec<char> = text.chars().collect();
            let gone = chance.below(chars.len());
            let kept = chars.iter().enumerate().filter(|(place, _)| *place != gone);
            kept.map(|(_, c)| *c).collect()
        }
        3 => format!("{text} "),
        _ => text,
    }
}
