//! Wazuh 4: rules that count others (`frequency`) become correlations over what they count.
//!
//! A rule of Wazuh is a node of a tree: it is asked only after its parent (`if_sid`), so the tests of
//! all its parents are part of ours. Patterns follow Wazuh's own syntax page: `sregex` (`match`) and
//! `osregex` (`regex`, `field`) ignore case, `pcre2` is taken as it is where it can be.

use std::collections::{BTreeMap, HashMap};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{Draft, ImportedRule, listed, quoted, span};
use crate::rule::RuleFile;

/// Parents above each other that are followed.
const PARENTS_MAX: usize = 16;
/// Rules of one import.
const RULES_MAX: usize = 50_000;
/// Rules one correlation may count.
const MEMBERS_MAX: usize = 64;
/// What Wazuh takes where a rule has no `timeframe`, in seconds.
const TIMEFRAME_DEFAULT: u64 = 360;

/// What groups by a field, with our name for it.
const SAME: &[(&str, &str)] = &[
    ("same_source_ip", "source.ip"),
    ("same_srcip", "source.ip"),
    ("same_dstip", "destination.ip"),
    ("same_srcport", "source.port"),
    ("same_dstport", "destination.port"),
    ("same_user", "user.name"),
    ("same_srcuser", "user.name"),
    ("same_dstuser", "user.name"),
    ("same_id", "event.code"),
    ("same_url", "url.path"),
    ("same_location", "host.name"),
    ("same_agent", "host.name"),
    ("same_hostname", "host.name"),
    ("same_protocol", "network.transport"),
];

/// What is compared as text or as an address, with our name for it.
const FIELDS: &[(&str, &str)] = &[
    ("match", "message"),
    ("regex", "message"),
    ("user", "user.name"),
    ("srcuser", "user.name"),
    ("dstuser", "user.name"),
    ("srcip", "source.ip"),
    ("dstip", "destination.ip"),
    ("srcport", "source.port"),
    ("dstport", "destination.port"),
    ("id", "event.code"),
    ("url", "url.path"),
    ("hostname", "host.name"),
    ("program_name", "process.name"),
    ("action", "event.action"),
    ("protocol", "network.transport"),
];

/// A test of a rule as it stands in the file.
#[derive(Debug, Clone, Default)]
struct Part {
    element: String,
    attributes: BTreeMap<String, String>,
    text: String,
}

/// A rule as it stands in the file.
#[derive(Debug, Clone, Default)]
struct Theirs {
    file: String,
    attributes: BTreeMap<String, String>,
    groups: Vec<String>,
    parts: Vec<Part>,
    techniques: Vec<String>,
}

impl Theirs {
    fn id(&self) -> &str {
        self.attributes.get("id").map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.attributes.get(name)?.trim().parse().ok()
    }

    fn parts<'a>(&'a self, element: &'a str) -> impl Iterator<Item = &'a Part> {
        self.parts.iter().filter(move |part| part.element == element)
    }

    fn title(&self) -> String {
        let words: Vec<&str> = self.parts("description").map(|part| part.text.as_str()).collect();
        if words.is_empty() { format!("Wazuh rule {}", self.id()) } else { words.join(" ") }
    }
}

/// Reads rules of all files together: they refer to each other across files.
pub(super) fn read(files: &[&RuleFile]) -> Vec<Draft> {
    let (mut drafts, mut rules) = (Vec::new(), Vec::new());
    for file in files {
        if let Err(reason) = read_file(file, &mut rules) {
            drafts.push(Draft::refused(&file.name, &file.name, format!("not converted: {reason}")));
        }
    }
    rules.truncate(RULES_MAX);
    let by_id: HashMap<&str, &Theirs> = rules.iter().map(|rule| (rule.id(), rule)).collect();
    drafts.extend(rules.iter().map(|rule| convert(rule, &rules, &by_id)));
    drafts
}

fn read_file(file: &RuleFile, rules: &mut Vec<Theirs>) -> Result<(), String> {
    let mut reader = Reader::from_str(&file.text);
    reader.config_mut().allow_unmatched_ends = false;
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut groups: Vec<String> = Vec::new();
    let mut rule: Option<Theirs> = None;
    let mut open: Vec<Part> = Vec::new();
    loop {
        let place = reader.buffer_position();
        let event = reader.read_event().map_err(|error| format!("at byte {place}: {error}"))?;
        match event {
            Event::Start(start) => begin(&start, file, &mut groups, &mut rule, &mut open)?,
            Event::Empty(start) => {
                begin(&start, file, &mut groups, &mut rule, &mut open)?;
                end(&mut rule, &mut open, rules, &mut variables);
            }
            Event::End(_) => end(&mut rule, &mut open, rules, &mut variables),
            Event::Text(text) => {
                if let (Some(part), Ok(text)) = (open.last_mut(), text.decode()) {
                    part.text.push_str(&text);
                }
            }
            Event::GeneralRef(entity) => {
                let known = entity.decode().ok().and_then(|name| character(&name));
                if let (Some(part), Some(c)) = (open.last_mut(), known) {
                    part.text.push(c);
                }
            }
            Event::CData(data) => {
                if let (Some(part), Ok(text)) = (open.last_mut(), data.decode()) {
                    part.text.push_str(&text);
                }
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// The character that a reference stands for.
fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

fn begin(
    start: &BytesStart<'_>,
    file: &RuleFile,
    groups: &mut Vec<String>,
    rule: &mut Option<Theirs>,
    open: &mut Vec<Part>,
) -> Result<(), String> {
    let mut attributes = BTreeMap::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = String::from_utf8_lossy(&attribute.value).into_owned();
        attributes.insert(String::from_utf8_lossy(attribute.key.as_ref()).into_owned(), value);
    }
    let element = String::from_utf8_lossy(start.name().as_ref()).into_owned();
    if element == "rule" && rule.is_none() {
        let groups = groups.clone();
        *rule = Some(Theirs {
            file: file.name.clone(),
            attributes: attributes.clone(),
            groups,
            ..Theirs::default()
        });
    } else if element == "group" && rule.is_none() {
        *groups = names(attributes.get("name").map_or("", String::as_str));
    }
    open.push(Part { element, attributes, text: String::new() });
    Ok(())
}

fn end(
    rule: &mut Option<Theirs>,
    open: &mut Vec<Part>,
    rules: &mut Vec<Theirs>,
    variables: &mut Vec<(String, String)>,
) {
    let Some(mut part) = open.pop() else { return };
    let inside = open.last().map(|part| part.element.clone()).unwrap_or_default();
    part.text = part.text.trim().to_owned();
    for (name, value) in variables.iter() {
        part.text = part.text.replace(&format!("${name}"), value);
    }
    match (part.element.as_str(), rule.as_mut()) {
        ("rule", Some(_)) => rules.extend(rule.take()),
        ("var", None) => {
            if let Some(name) = part.attributes.get("name") {
                variables.push((name.clone(), part.text));
            }
        }
        ("id", Some(rule)) if inside == "mitre" => rule.techniques.push(part.text),
        ("group", Some(rule)) => rule.groups.extend(names(&part.text)),
        (_, Some(rule)) if inside == "rule" => rule.parts.push(part),
        _ => {}
    }
}

fn names(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn convert(rule: &Theirs, rules: &[Theirs], by_id: &HashMap<&str, &Theirs>) -> Draft {
    match documents(rule, rules, by_id) {
        Err(reason) => Draft::refused(&rule.file, rule.id(), format!("not converted: {reason}")),
        Ok((documents, lost)) => {
            let (file, name) = (rule.file.clone(), rule.id().to_owned());
            Draft { report: ImportedRule { file, name, made: Vec::new(), lost }, documents }
        }
    }
}

/// Documents with their ids.
type Documents = Vec<(String, String)>;

fn documents(
    rule: &Theirs,
    rules: &[Theirs],
    by_id: &HashMap<&str, &Theirs>,
) -> Result<(Documents, Vec<String>), String> {
    let frequency = rule.number("frequency").ok_or("it counts nothing (no `frequency`)")?;
    let members = members(rule, rules, by_id)?;
    let mut lost = Vec::new();
    let mut documents = Vec::new();
    let mut own = Vec::new();
    for part in &rule.parts {
        if FIELDS.iter().any(|(element, _)| *element == part.element) || part.element == "field" {
            own.push(part);
        }
    }
    for member in members {
        let extra: &[&Part] = &own;
        let (id, text) = base(rule, member, extra, by_id, &mut lost)?;
        if !documents.iter().any(|(known, _)| *known == id) {
            documents.push((id, text));
        }
    }
    let ids: Vec<String> = documents.iter().map(|(id, _)| id.clone()).collect();
    let (group_by, distinct) = groups(rule, &mut lost);
    let timeframe = rule.number("timeframe").unwrap_or(TIMEFRAME_DEFAULT);
    let kind = if distinct.is_some() { "value_count" } else { "event_count" };
    let condition = match &distinct {
        Some(field) => format!("{{ field: {}, gte: {frequency} }}", quoted(field)),
        None => format!("{{ gte: {frequency} }}"),
    };
    let mut text = head(rule);
    text += &format!("correlation:\n  type: {kind}\n  rules: {}\n", listed(&ids));
    if !group_by.is_empty() {
        text += &format!("  group-by: {}\n", listed(&group_by));
    }
    text += &format!("  timespan: {}\n  condition: {condition}\n", span(timeframe));
    if let Some(ignore) = rule.number("ignore").filter(|secs| *secs > 0) {
        text += &format!("logwarden: {{ suppress: {} }}\n", span(ignore));
    }
    documents.push((our_id(rule.id()), text));
    Ok((documents, lost))
}

fn our_id(id: &str) -> String {
    format!("wazuh-{id}")
}

/// Title, id, level and tags.
fn head(rule: &Theirs) -> String {
    let level = match rule.number("level").unwrap_or(3) {
        0..=3 => "informational",
        4..=6 => "low",
        7..=10 => "medium",
        11..=13 => "high",
        _ => "critical",
    };
    let mut text = format!("title: {}\nid: {}\n", quoted(&rule.title()), our_id(rule.id()));
    let tags: Vec<String> =
        rule.techniques.iter().map(|id| format!("attack.{}", id.to_lowercase())).collect();
    if !tags.is_empty() {
        text += &format!("tags: {}\n", listed(&tags));
    }
    text + &format!("level: {level}\n")
}

/// The rules whose matches it counts.
fn members<'a>(
    rule: &Theirs,
    rules: &'a [Theirs],
    by_id: &HashMap<&str, &'a Theirs>,
) -> Result<Vec<&'a Theirs>, String> {
    let mut members = Vec::new();
    for part in rule.parts("if_matched_sid") {
        for id in part.text.split([',', ' ']).filter(|id| !id.is_empty()) {
            let member = by_id.get(id).copied();
            members.push(member.ok_or_else(|| format!("rule `{id}` is in none of these files"))?);
        }
    }
    for part in rule.parts("if_matched_group") {
        let group = part.text.trim_end_matches(',');
        let of_group = |one: &&Theirs| {
            one.id() != rule.id()
                && one.number("frequency").is_none()
                && one.groups.iter().any(|known| known == group)
        };
        members.extend(rules.iter().filter(of_group));
    }
    match members.len() {
        0 => Err("it counts matches of no rule in these files".into()),
        count if count > MEMBERS_MAX => {
            Err(format!("it counts {count} rules, at most {MEMBERS_MAX} can be"))
        }
        _ => Ok(members),
    }
}

/// The fields it groups by, and the field whose different values it counts.
fn groups(rule: &Theirs, lost: &mut Vec<String>) -> (Vec<String>, Option<String>) {
    let (mut group_by, mut distinct) = (Vec::new(), None);
    for part in &rule.parts {
        let element = part.element.as_str();
        if let Some((_, field)) = SAME.iter().find(|(name, _)| *name == element) {
            group_by.push((*field).to_owned());
            continue;
        }
        let other =
            element.strip_prefix("different_").or_else(|| element.strip_prefix("not_same_"));
        let named = other.map(|rest| format!("same_{rest}"));
        let field = match element {
            "same_field" => {
                group_by.push(part.text.clone());
                continue;
            }
            "different_field" | "not_same_field" => Some(part.text.clone()),
            _ => named
                .and_then(|name| Some(SAME.iter().find(|(known, _)| *known == name)?.1.to_owned())),
        };
        match field {
            Some(field) if distinct.is_none() => distinct = Some(field),
            Some(field) => {
                lost.push(format!("`{element}`: only one field's values are counted, not {field}"))
            }
            None => {
                let is_known = FIELDS.iter().any(|(name, _)| *name == element)
                    || ["if_matched_sid", "if_matched_group", "description", "field", "mitre"]
                        .contains(&element);
                if !is_known {
                    lost.push(format!("`{element}` is left out"));
                }
            }
        }
    }
    group_by.dedup();
    (group_by, distinct)
}

/// The rule over one event that is counted: its tests, those of its parents, those of the counting rule.
fn base(
    counting: &Theirs,
    member: &Theirs,
    extra: &[&Part],
    by_id: &HashMap<&str, &Theirs>,
    lost: &mut Vec<String>,
) -> Result<(String, String), String> {
    if member.number("frequency").is_some() {
        return Err(format!("it counts rule `{}`, which counts itself", member.id()));
    }
    let mut chain = vec![member];
    while let Some(sid) = chain.last().and_then(|rule| rule.parts("if_sid").next()) {
        let ids: Vec<&str> = sid.text.split([',', ' ']).filter(|id| !id.is_empty()).collect();
        let [id] = ids.as_slice() else {
            lost.push(format!("rule `{}` has one of several parents: none is asked", member.id()));
            break;
        };
        let Some(parent) = by_id.get(id).copied() else {
            lost.push(format!("the tests of rule `{id}`, which is in none of these files"));
            break;
        };
        if chain.len() >= PARENTS_MAX {
            return Err(format!("rule `{}` has too many parents", member.id()));
        }
        chain.push(parent);
    }
    let mut tests = Vec::new();
    for rule in &chain {
        for part in &rule.parts {
            test_of(part, rule.id(), &mut tests, lost)?;
        }
    }
    for part in extra {
        test_of(part, counting.id(), &mut tests, lost)?;
    }
    if tests.is_empty() {
        return Err(format!("nothing of rule `{}` can be said here", member.id()));
    }
    let id = match extra {
        [] => our_id(member.id()),
        _ => format!("{}-for-{}", our_id(member.id()), counting.id()),
    };
    let mut text = head(member).replace(&our_id(member.id()), &id);
    text += "logsource: {}\ndetection:\n";
    let mut condition = Vec::new();
    for (place, (line, is_negated)) in tests.iter().enumerate() {
        text += &format!("  test_{place}: {{ {line} }}\n");
        condition.push(format!("{}test_{place}", if *is_negated { "not " } else { "" }));
    }
    text += &format!("  condition: {}\n", condition.join(" and "));
    Ok((id, text))
}

/// The line of a selection and whether it must not hold.
fn test_of(
    part: &Part,
    rule: &str,
    tests: &mut Vec<(String, bool)>,
    lost: &mut Vec<String>,
) -> Result<(), String> {
    const SILENT: &[&str] = &[
        "description",
        "if_sid",
        "mitre",
        "options",
        "info",
        "if_matched_sid",
        "if_matched_group",
    ];
    let element = part.element.as_str();
    let known = FIELDS.iter().find(|(name, _)| *name == element).map(|(_, field)| *field);
    let field = match (known, part.attributes.get("name")) {
        (Some(field), _) => field,
        (None, Some(name)) if element == "field" => name.as_str(),
        _ if element == "decoded_as" && part.text == "sshd" => {
            tests.push((String::from("event.dataset|startswith: sshd"), false));
            return Ok(());
        }
        _ => {
            let is_counting = element.starts_with("same_")
                || element.starts_with("different_")
                || element.starts_with("not_same_");
            if !SILENT.contains(&element) && !is_counting {
                lost.push(format!("`{element}` of rule `{rule}`"));
            }
            return Ok(());
        }
    };
    let is_negated = part.attributes.get("negate").is_some_and(|value| value == "yes");
    let kind = part.attributes.get("type").map_or("", String::as_str);
    let is_address = matches!(element, "srcip" | "dstip");
    let line = match kind {
        _ if is_address => {
            let (text, not) = match part.text.strip_prefix('!') {
                Some(rest) => (rest, true),
                None => (part.text.as_str(), false),
            };
            tests.push((format!("{field}|cidr: {}", quoted(&network(text))), is_negated != not));
            return Ok(());
        }
        "pcre2" => format!("{field}|re: {}", quoted(&part.text)),
        "osregex" => format!("{field}|re|i: {}", quoted(&osregex(&part.text))),
        "osmatch" => sregex(field, &part.text),
        _ if matches!(element, "match" | "user" | "id" | "url" | "hostname" | "program_name") => {
            sregex(field, &part.text)
        }
        _ => format!("{field}|re|i: {}", quoted(&osregex(&part.text))),
    };
    tests.push((line, is_negated));
    Ok(())
}

/// An address or a network; one address is a network of its own.
fn network(text: &str) -> String {
    if text.contains('/') {
        text.to_owned()
    } else {
        format!("{text}/{}", if text.contains(':') { 128 } else { 32 })
    }
}

/// `a|^b|c$` as an expression that ignores case: nothing else means anything in it.
fn sregex(field: &str, pattern: &str) -> String {
    let choice = |text: &str| {
        let (start, text) = text.strip_prefix('^').map_or(("", text), |text| ("^", text));
        let (end, text) = text.strip_suffix('$').map_or(("", text), |text| ("$", text));
        format!("{start}{}{end}", regex_literal(text))
    };
    let choices: Vec<String> = pattern.split('|').map(choice).collect();
    format!("{field}|re|i: {}", quoted(&choices.join("|")))
}

/// A text in which nothing means anything to an expression.
fn regex_literal(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if !(c.is_alphanumeric() || c == ' ' || c == '_' || !c.is_ascii()) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Wazuh's own expressions: `\.` is any character, and `+` and `*` mean something only after a class.
fn osregex(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let class = match chars.next() {
                    Some('.') => ".",
                    Some('w') => "[A-Za-z0-9@_-]",
                    Some('W') => "[^A-Za-z0-9@_-]",
                    Some('d') => "[0-9]",
                    Some('D') => "[^0-9]",
                    Some('s') => " ",
                    Some('S') => "[^ ]",
                    Some('t') => "\\t",
                    Some('p') => "[()*+,.:;<=>?\\[\\]!\"'#$%&|{}-]",
                    Some(other) => {
                        out.push_str(&regex_literal(&other.to_string()));
                        continue;
                    }
                    None => "\\\\",
                };
                out.push_str(class);
                if let Some(times) = chars.next_if(|next| matches!(next, '+' | '*')) {
                    out.push(times);
                }
            }
            '^' | '$' | '|' | '(' | ')' => out.push(c),
            other => out.push_str(&regex_literal(&other.to_string())),
        }
    }
    out
}
