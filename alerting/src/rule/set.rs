//! Rules loaded together: files in, rules and problems out, references between rules resolved.

use std::collections::HashMap;

use logwarden_query::Target;

use super::correlation::{Correlation, CorrelationKind, GroupField, Reference};
use super::lists::{Lists, list_name};
use super::names::target_of;
use super::sigma::Selection;
use super::yaml::{Fault, Key, Node, Place, parse};
use super::{
    Judge, Level, Logic, Problem, RULE_TYPES, Rule, RuleFile, RuleState, RuleSummary, StateBound,
    restriction, settings,
};
use crate::identity::hash_text;

/// Rules of one set; further ones are problems.
pub const RULES_MAX: usize = 20_000;
/// Files read from rule directories; further ones are problems.
pub const RULE_FILES_MAX: usize = 20_000;
/// Correlations over correlations.
pub(crate) const CHAIN_MAX: usize = 8;
/// How high rules about risk lie: above all they may look at, below those that look at them.
const RISK_HEIGHT: usize = 1_000;

/// Where a rule's matches go: to the correlation in this place, as its member of this number.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    /// The correlation's place in the set.
    pub correlation: usize,
    /// The rule's place among the correlation's rules.
    pub member: u32,
    /// How many these are.
    pub members: u32,
    /// The fields that the correlation groups by.
    pub group: Vec<GroupPart>,
    /// The fields that it counts or measures.
    pub measured: Vec<Target>,
}

/// A field that a correlation groups by, as one of its rules sees it.
#[derive(Debug, Clone)]
pub(crate) struct GroupPart {
    /// What the group calls it.
    pub name: String,
    /// What the rule calls it.
    pub called: String,
    /// Where an event has it.
    pub target: Target,
}

impl GroupPart {
    /// The fields that `correlation` groups by, as `member` sees them.
    pub(crate) fn all_of(correlation: &Correlation, member: &Rule) -> Vec<Self> {
        let part = |field: &GroupField| {
            let called = field.field_of(|reference| member.is_called(reference)).to_owned();
            Self { name: field.name.clone(), target: target_of(&called), called }
        };
        correlation.group_by.iter().map(part).collect()
    }
}

/// Rules that were loaded together. What one of them refers to is in the set.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    edges: Vec<Vec<Edge>>,
    alerting: Vec<bool>,
    problems: Vec<Problem>,
}

impl RuleSet {
    /// Loads rules; those with problems are left out.
    pub fn load(files: &[RuleFile]) -> (Self, Vec<Problem>) {
        let mut rules: Vec<Rule> = Vec::new();
        let mut problems = Vec::new();
        let mut restrictions = Vec::new();
        let lists = Lists::of(files);
        for file in files.iter().filter(|file| list_name(&file.name).is_none()) {
            let (documents, fault) = parse(&file.text);
            for document in &documents {
                if document.is_null() {
                    continue;
                }
                if is_restriction(document) {
                    match restriction::read(document, &lists) {
                        Ok(restriction) => restrictions.push((restriction, file.name.as_str())),
                        Err(faults) => {
                            problems.extend(faults.into_iter().map(|f| problem(&file.name, f)));
                        }
                    }
                    continue;
                }
                match read_rule(document, &file.name, &lists) {
                    Ok(rule) => push_with_inputs(rule, &mut rules),
                    Err(faults) => {
                        problems.extend(faults.into_iter().map(|fault| problem(&file.name, fault)));
                    }
                }
            }
            problems.extend(fault.map(|fault| problem(&file.name, fault)));
        }
        if rules.len() > RULES_MAX {
            let rule = &rules[RULES_MAX];
            let message =
                format!("more than {RULES_MAX} rules; this and further ones are left out");
            problems.push(problem(&rule.file, Fault::new(rule.at, message)));
            rules.truncate(RULES_MAX);
        }
        remove_duplicates(&mut rules, &mut problems);
        for (restriction, file) in restrictions {
            let faults = restriction.apply(&mut rules);
            problems.extend(faults.into_iter().map(|fault| problem(file, fault)));
        }
        add_parts(&mut rules);
        remove_unresolved(&mut rules, &mut problems);
        let edges = edges(&rules);
        let alerting = alerting(&rules, &edges);
        let set = Self { rules, edges, alerting, problems: problems.clone() };
        (set, problems)
    }

    /// The rules, in the order they were loaded.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What was wrong when they were loaded.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether the rule in this place opens alerts of its own: it is not disabled, and no
    /// correlation without `generate` looks at it.
    pub fn opens_alerts(&self, place: usize) -> bool {
        self.alerting[place]
    }

    /// Where the matches of the rule in this place go besides.
    pub(crate) fn edges_of(&self, place: usize) -> &[Edge] {
        &self.edges[place]
    }

    /// The set as it would be with this rule and those it looks at switched on, and no other.
    pub(crate) fn only(&self, place: usize) -> Self {
        let mut rules = self.rules.clone();
        for rule in &mut rules {
            rule.settings.state = RuleState::Disabled;
        }
        let mut needed = vec![place];
        while let Some(place) = needed.pop() {
            if rules[place].settings.state == RuleState::Enabled {
                continue;
            }
            rules[place].settings.state = RuleState::Enabled;
            if let Logic::Correlate(correlation) = &rules[place].logic {
                let below = correlation.rules.iter().filter_map(|reference| {
                    rules.iter().position(|rule| rule.is_called(&reference.text))
                });
                needed.extend(below);
            }
        }
        let edges = edges(&rules);
        let alerting = (0..rules.len()).map(|other| other == place).collect();
        Self { rules, edges, alerting, problems: Vec::new() }
    }

    /// What the windows of each rule may keep, roughly, the most first.
    pub fn state_bounds(&self) -> Vec<StateBound> {
        /// A group's key, maps and tree entries around its points.
        const GROUP_BYTES: u64 = 512;
        /// A point in memory.
        const POINT_BYTES: u64 = 80;
        /// A value that is remembered.
        const TERM_BYTES: u64 = 32;
        let groups = crate::engine::GROUPS_PER_RULE_MAX as u64;
        let group_bytes = |rule: &Rule| match &rule.logic {
            Logic::Match(_) => GROUP_BYTES + POINT_BYTES * 66,
            Logic::Correlate(Correlation { judged: Some(judged), .. }) => {
                let is_new = matches!(judged.judge, Judge::NewTerm { .. });
                let terms = if is_new { crate::trend::series::TERMS_MAX as u64 } else { 0 };
                let points = crate::trend::series::SAMPLES_MAX as u64;
                GROUP_BYTES + POINT_BYTES * points + TERM_BYTES * terms
            }
            Logic::Correlate(correlation) => {
                GROUP_BYTES + POINT_BYTES * (4 * correlation.count_min + 1_024)
            }
        };
        let bound = |rule: &Rule| {
            let group_bytes = group_bytes(rule);
            let rule = rule.short_name().to_owned();
            StateBound { rule, group_bytes, bytes_max: groups * group_bytes }
        };
        let mut bounds: Vec<StateBound> = self.rules.iter().map(bound).collect();
        bounds.sort_by_key(|bound| std::cmp::Reverse(bound.bytes_max));
        bounds
    }

    /// How many correlations lie below the rule in this place.
    pub(crate) fn depth_of(&self, place: usize) -> usize {
        height(&self.rules, &self.rules[place], 0)
    }

    /// The rule that an id or name means.
    pub fn find(&self, reference: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.is_called(reference))
    }

    /// The rules as lists show them.
    pub fn summaries(&self) -> Vec<RuleSummary> {
        let summary = |rule: &Rule| RuleSummary {
            id: rule.id.clone(),
            name: rule.short_name().to_owned(),
            title: rule.title.clone(),
            kind: rule.kind,
            type_name: rule.type_name(),
            attack: rule.attack.clone(),
            level: rule.level,
            state: rule.settings.state,
            risk: rule.settings.risk,
            file: rule.file.clone(),
            problems: self.problems.iter().filter(|p| p.file == rule.file).cloned().collect(),
        };
        self.rules.iter().filter(|rule| rule.kind != INPUT_KIND).map(summary).collect()
    }
}

fn problem(file: &str, fault: Fault) -> Problem {
    let Place { line, column } = fault.at;
    Problem { file: file.to_owned(), line, column, message: fault.message }
}

/// What [`RuleSummary::kind`] would be of a selection inside a detector; lists leave it out.
const INPUT_KIND: &str = "input";

/// Adds a rule, and rules of the selections it brings, which it then looks at.
fn push_with_inputs(mut rule: Rule, rules: &mut Vec<Rule>) {
    let mut inputs = Vec::new();
    if let Logic::Correlate(correlation) = &mut rule.logic {
        inputs = std::mem::take(&mut correlation.inputs);
    }
    let inputs: Vec<Rule> = inputs.into_iter().map(|input| look_at(&mut rule, input)).collect();
    rules.push(rule);
    rules.extend(inputs);
}

/// Makes a rule of a selection, which `rule` looks at from now on.
fn look_at(rule: &mut Rule, selection: Selection) -> Rule {
    let mut id = format!("{}#0", rule.id);
    if let Logic::Correlate(correlation) = &mut rule.logic {
        let own = correlation.rules.iter().filter(|one| one.text.starts_with(&id[..id.len() - 1]));
        id = format!("{}#{}", rule.id, own.count());
        correlation.rules.push(Reference { text: id.clone(), at: rule.at });
    }
    Rule {
        id,
        name: None,
        title: rule.title.clone(),
        description: String::new(),
        level: rule.level,
        attack: Vec::new(),
        settings: settings::Settings::default(),
        logic: Logic::Match(selection),
        kind: INPUT_KIND,
        file: rule.file.clone(),
        at: rule.at,
        fingerprint: rule.fingerprint.clone(),
    }
}

/// Gives each ratio the events of its rules that are the part, after filters were added to these.
fn add_parts(rules: &mut Vec<Rule>) {
    for place in 0..rules.len() {
        let Logic::Correlate(Correlation { part: Some(part), rules: wholes, .. }) =
            &rules[place].logic
        else {
            continue;
        };
        let part_of = |reference: &Reference| {
            let whole = rules.iter().find(|rule| rule.is_called(&reference.text))?;
            let Logic::Match(selection) = &whole.logic else { return None };
            let filter = selection.filter.clone().and((**part).clone());
            Some((Selection { filter, ..selection.clone() }, whole.settings.state))
        };
        let parts: Vec<_> = wholes.iter().filter_map(part_of).collect();
        for (selection, state) in parts {
            let mut input = look_at(&mut rules[place], selection);
            if state == RuleState::Disabled {
                input.settings.state = state;
            }
            rules.push(input);
        }
    }
}

fn is_restriction(document: &Node) -> bool {
    document.get("filter").is_some()
        && !RULE_TYPES.iter().any(|kind| document.get(kind.key()).is_some())
}

fn read_rule(document: &Node, file: &str, lists: &Lists) -> Result<Rule, Vec<Fault>> {
    if document.entries().is_none() {
        return Err(vec![Fault::new(document.at, "a rule is a mapping")]);
    }
    let kind = RULE_TYPES.iter().find(|kind| document.get(kind.key()).is_some());
    let Some(kind) = kind else {
        return Err(vec![unknown_kind(document)]);
    };
    let mut faults = Vec::new();
    let of_other = |key: &&Key| key.text != kind.key() && is_top_key(&key.text);
    let keys = document.entries().unwrap_or_default().iter().map(|(key, _)| key);
    faults.extend(keys.filter(of_other).map(|key| {
        let message =
            format!("`{}` and `{}` are two rules: each has a document", kind.key(), key.text);
        Fault::new(key.at, message)
    }));
    let mut text = |key: &str| match document.get(key) {
        None => None,
        Some(node) if node.is_null() => None,
        Some(node) => {
            let found = node.text().map(str::to_owned);
            if found.is_none() {
                faults.push(Fault::new(node.at, format!("`{key}` must be a text")));
            }
            found
        }
    };
    let [id, name, title, description] =
        [text("id"), text("name"), text("title"), text("description")];
    let level = text("level");
    let title = title.or_else(|| name.clone()).unwrap_or_default();
    if title.is_empty() {
        faults.push(Fault::new(document.at, "the rule has no `title`"));
    }
    let level = match level.as_deref().map(|name| (name, Level::from_name(name))) {
        None => Level::default(),
        Some((_, Some(level))) => level,
        Some((name, None)) => {
            let at = document.get("level").map_or(document.at, |node| node.at);
            faults.push(Fault::new(at, format!("unknown level `{name}`")));
            Level::default()
        }
    };
    let settings = match document.get("logwarden").map(settings::read) {
        None => settings::Settings::default(),
        Some(Ok(settings)) => settings,
        Some(Err(found)) => {
            faults.extend(found);
            settings::Settings::default()
        }
    };
    lists.set_own(settings.lists.clone());
    let logic = kind.read(document, lists).map_err(|found| faults.extend(found));
    let mut settings = settings;
    if let Ok(Logic::Correlate(Correlation { lateness: Some(lateness), .. })) = &logic {
        if settings.lateness.is_some() {
            faults.push(Fault::new(
                document.at,
                "`lateness` stands under `detector` and `logwarden`",
            ));
        }
        settings.lateness = Some(*lateness);
    }
    let (Ok(logic), true) = (logic, faults.is_empty()) else { return Err(faults) };
    Ok(Rule {
        id: id.or_else(|| name.clone()).unwrap_or_else(|| slug(&title)),
        name,
        title,
        description: description.unwrap_or_default(),
        level,
        attack: read_attack(document),
        settings,
        logic,
        kind: kind.name(),
        file: file.to_owned(),
        at: document.at,
        fingerprint: hash_text(&[&document.to_json().to_string()]),
    })
}

/// Whether this key tells the kind of a document.
fn is_top_key(key: &str) -> bool {
    key == "filter" || RULE_TYPES.iter().any(|kind| kind.key() == key)
}

fn unknown_kind(document: &Node) -> Fault {
    Fault::new(
        document.at,
        "none of `detection`, `correlation`, `detector` and `filter` is there: this is no rule",
    )
}

fn slug(title: &str) -> String {
    logwarden_event::words(title).collect::<Vec<_>>().join("-")
}

fn read_attack(document: &Node) -> Vec<String> {
    let tags = document.get("tags").map_or(&[][..], Node::items);
    tags.iter()
        .filter_map(|tag| tag.text()?.strip_prefix("attack."))
        .map(|tag| {
            let is_number = tag.starts_with(['t', 'T', 'g', 'G', 's', 'S'])
                && tag[1..].starts_with(|c: char| c.is_ascii_digit());
            if is_number { tag.to_uppercase() } else { tag.to_owned() }
        })
        .collect()
}

fn remove_duplicates(rules: &mut Vec<Rule>, problems: &mut Vec<Problem>) {
    let mut known: HashMap<String, String> = HashMap::new();
    rules.retain(|rule| {
        let names = [Some(rule.id.as_str()), rule.name.as_deref()];
        let taken = names.into_iter().flatten().find_map(|name| {
            known.get(name).map(|file| format!("`{name}` is taken by a rule in {file}"))
        });
        if let Some(message) = taken {
            problems.push(problem(&rule.file, Fault::new(rule.at, message)));
            return false;
        }
        for name in names.into_iter().flatten() {
            known.insert(name.to_owned(), rule.file.clone());
        }
        true
    });
}

/// Removes correlations that refer to what is not there, to themselves or through too many others,
/// until all that remain can be resolved.
fn remove_unresolved(rules: &mut Vec<Rule>, problems: &mut Vec<Problem>) {
    loop {
        let faults: Vec<(usize, Fault)> = (0..rules.len())
            .filter_map(|place| check_references(rules, place).err().map(|fault| (place, fault)))
            .collect();
        if faults.is_empty() {
            return;
        }
        for (place, fault) in faults.into_iter().rev() {
            problems.push(problem(&rules.remove(place).file, fault));
        }
    }
}

fn check_references(rules: &[Rule], place: usize) -> Result<(), Fault> {
    let Logic::Correlate(correlation) = &rules[place].logic else { return Ok(()) };
    for (alias, _) in correlation.group_by.iter().flat_map(|field| &field.aliases) {
        let member = rules.iter().find(|rule| rule.is_called(&alias.text));
        let is_member = |rule: &Rule| correlation.rules.iter().any(|one| rule.is_called(&one.text));
        if !member.is_some_and(is_member) {
            let message = format!("`{}` is none of the rules of this correlation", alias.text);
            return Err(Fault::new(alias.at, message));
        }
    }
    for reference in &correlation.rules {
        let Some(member) = rules.iter().find(|rule| rule.is_called(&reference.text)) else {
            let message = format!("there is no rule `{}`", reference.text);
            return Err(Fault::new(reference.at, message));
        };
        let is_part = correlation.part.is_some() && matches!(member.logic, Logic::Correlate(_));
        if is_part {
            let message =
                format!("`{}` is no rule over one event: no event of it is `part`", reference.text);
            return Err(Fault::new(reference.at, message));
        }
        if depth(rules, member, 1).is_none() {
            let message =
                format!("`{}` leads back here or through too many correlations", reference.text);
            return Err(Fault::new(reference.at, message));
        }
        let Logic::Correlate(inner) = &member.logic else { continue };
        for field in &correlation.group_by {
            let name = field.field_of(|reference| member.is_called(reference));
            if !inner.group_by.iter().any(|known| known.name == name) {
                let message = format!(
                    "`{}` does not group by `{name}`, so its detections have no such value",
                    reference.text
                );
                return Err(Fault::new(reference.at, message));
            }
        }
        if !correlation.fields.is_empty() {
            let message = "a correlation's detections have no fields that could be counted";
            return Err(Fault::new(reference.at, message));
        }
    }
    Ok(())
}

/// How many correlations lie above each other from `rule` down; `None` when it is too many.
fn depth(rules: &[Rule], rule: &Rule, above: usize) -> Option<usize> {
    let Logic::Correlate(correlation) = &rule.logic else { return Some(above) };
    if above >= CHAIN_MAX {
        return None;
    }
    let mut deepest = above;
    for reference in &correlation.rules {
        if let Some(member) = rules.iter().find(|rule| rule.is_called(&reference.text)) {
            deepest = deepest.max(depth(rules, member, above + 1)?);
        }
    }
    Some(deepest)
}

/// How many correlations lie below `rule`. Risk lies above all: it looks at their detections.
fn height(rules: &[Rule], rule: &Rule, below: usize) -> usize {
    match &rule.logic {
        Logic::Match(_) => 0,
        Logic::Correlate(_) if below > CHAIN_MAX => CHAIN_MAX,
        Logic::Correlate(correlation) if correlation.kind == CorrelationKind::Risk => RISK_HEIGHT,
        Logic::Correlate(correlation) => {
            let members = correlation
                .rules
                .iter()
                .filter_map(|reference| rules.iter().find(|rule| rule.is_called(&reference.text)));
            members.map(|rule| height(rules, rule, below + 1)).max().unwrap_or(0) + 1
        }
    }
}

fn edges(rules: &[Rule]) -> Vec<Vec<Edge>> {
    let mut edges = vec![Vec::new(); rules.len()];
    for (place, rule) in rules.iter().enumerate() {
        let Logic::Correlate(correlation) = &rule.logic else { continue };
        if rule.settings.state == RuleState::Disabled {
            continue;
        }
        for (reference, member) in correlation.rules.iter().zip(0u32..) {
            if let Some(source) = rules.iter().position(|rule| rule.is_called(&reference.text)) {
                let group = GroupPart::all_of(correlation, &rules[source]);
                let measured = correlation.fields.iter().map(|name| target_of(name)).collect();
                let members = u32::try_from(correlation.rules.len()).unwrap_or(u32::MAX);
                edges[source].push(Edge { correlation: place, member, members, group, measured });
            }
        }
    }
    edges
}

fn alerting(rules: &[Rule], edges: &[Vec<Edge>]) -> Vec<bool> {
    let generates = |edge: &Edge| match &rules[edge.correlation].logic {
        Logic::Correlate(correlation) => correlation.generate,
        Logic::Match(_) => false,
    };
    rules
        .iter()
        .zip(edges)
        .map(|(rule, edges)| {
            rule.settings.state != RuleState::Disabled
                && rule.kind != INPUT_KIND
                && (edges.is_empty() || edges.iter().any(generates))
        })
        .collect()
}
