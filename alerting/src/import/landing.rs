//! Puts rules that were brought along among those written here, each as testing: it detects and shows, and tells
//! nobody until somebody enables it.
//!
//! Input: a text with Sigma rules, or a file of another product. Output: of each rule whether it was taken, what of
//! it was lost, or why it was refused. Rules are checked together and beside all others in use, so that some may
//! refer to each other; what has a fault is left out and the rest checked again. Each document is a file of its own.
//! At most [`DOCUMENTS_MAX`] documents, [`PASSES_MAX`] checks.

use std::sync::Arc;

use super::{Foreign, ImportedRule, import_rules};
use crate::rule::{Rule, RuleFile, RuleSet};
use crate::written::{self, set_beside};
use crate::{Alerting, AlertingError};

/// Documents of one import.
const DOCUMENTS_MAX: usize = 1_000;
/// Checks of one import: each leaves out what has a fault.
const PASSES_MAX: usize = 16;

/// One document on its way.
struct Brought {
    text: String,
    report: ImportedRule,
}

impl Alerting {
    /// Takes the rules of a file, `foreign` or Sigma; `is_trial`: only says what would become of them.
    ///
    /// # Errors
    ///
    /// [`AlertingError::Conflict`] when rules cannot be written here, [`AlertingError::Invalid`] when there are too
    /// many, [`AlertingError::Unwritable`] when a file cannot be written; those before it stay.
    pub async fn import(
        &self,
        foreign: Option<Foreign>,
        file: RuleFile,
        is_trial: bool,
    ) -> Result<Vec<ImportedRule>, AlertingError> {
        let dir = self.written_dir()?;
        let shared = Arc::clone(&self.shared);
        written::blocking(move || {
            let (brought, refused) = match foreign {
                Some(foreign) => of_foreign(foreign, &file),
                None => (of_sigma(&file), Vec::new()),
            };
            if brought.len() > DOCUMENTS_MAX {
                let message = format!("more than {DOCUMENTS_MAX} rules at once");
                return Err(AlertingError::Invalid(message));
            }
            let _writing =
                shared.rule_writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let mut brought = brought;
            leave_out_faults(&mut brought, |text| set_beside(&shared, None, text));
            for one in brought.iter_mut().filter(|_| !is_trial) {
                let Some(id) = one.report.made.first() else { continue };
                match written::new_path(&dir, id) {
                    Ok(path) => {
                        written::write_file(&dir, &path, &one.text).map_err(written::unwritable)?
                    }
                    Err(error) => one.report.refuse(error.to_string()),
                }
            }
            if !is_trial {
                shared.reload_rules();
            }
            let mut reports: Vec<ImportedRule> = Vec::new();
            for ImportedRule { file, name, made, lost } in brought.into_iter().map(|one| one.report)
            {
                // A rule of another product may have become several.
                let is_same = |known: &&mut ImportedRule| {
                    let have_both = !made.is_empty() && !known.made.is_empty();
                    foreign.is_some() && have_both && known.name == name && known.file == file
                };
                match reports.iter_mut().find(is_same) {
                    Some(known) => known.made.extend(made),
                    None => reports.push(ImportedRule { file, name, made, lost }),
                }
            }
            reports.extend(refused);
            Ok(reports)
        })
        .await
    }
}

impl ImportedRule {
    fn refuse(&mut self, reason: String) {
        self.made.clear();
        self.lost.insert(0, reason);
    }
}

/// The documents of a Sigma file.
fn of_sigma(file: &RuleFile) -> Vec<Brought> {
    let named = |(place, text): (usize, String)| {
        let title = text.lines().find_map(|line| line.strip_prefix("title:"));
        let title = title.map(|title| title.trim().trim_matches(['"', '\'']).to_owned());
        let name = title.unwrap_or_else(|| format!("document {}", place + 1));
        let (made, lost) = (Vec::new(), Vec::new());
        let report = ImportedRule { file: file.name.clone(), name, made, lost };
        Brought { text: as_testing(&text), report }
    };
    documents(&file.text).into_iter().enumerate().map(named).collect()
}

/// What a file of another product becomes, and what of it does not become anything.
fn of_foreign(foreign: Foreign, file: &RuleFile) -> (Vec<Brought>, Vec<ImportedRule>) {
    let imported = import_rules(foreign, std::slice::from_ref(file));
    let (converted, refused): (Vec<_>, Vec<_>) =
        imported.rules.into_iter().partition(|rule| !rule.made.is_empty());
    let brought = documents(&imported.text).into_iter().map(|text| {
        let (rules, _) = RuleSet::load(&[RuleFile { name: file.name.clone(), text: text.clone() }]);
        let ids: Vec<&str> = rules.rules().iter().map(|rule| rule.id.as_str()).collect();
        let id = text.lines().find_map(|line| line.strip_prefix("id:")).unwrap_or_default();
        let is_of =
            |made: &String| ids.contains(&made.as_str()) || made == id.trim().trim_matches('"');
        // What several share is part of the first that needs it.
        let report = converted.iter().find(|rule| rule.made.iter().any(is_of)).cloned();
        let own = ImportedRule {
            file: file.name.clone(),
            name: id.trim().to_owned(),
            made: Vec::new(),
            lost: Vec::new(),
        };
        let report = ImportedRule { made: Vec::new(), ..report.unwrap_or(own) };
        Brought { text: as_testing(&text), report }
    });
    (brought.collect(), refused)
}

/// Checks everything together; what has a fault says so and is left out, until nothing has.
fn leave_out_faults(brought: &mut [Brought], load: impl Fn(String) -> (RuleSet, String)) {
    let mut left: Vec<usize> = (0..brought.len()).collect();
    for _ in 0..PASSES_MAX {
        let mut text = String::new();
        // By document, the line at which it begins, from 1 on.
        let mut begins = Vec::new();
        for place in &left {
            begins.push(text.lines().count() + 1);
            text.push_str(&brought[*place].text);
            text.push_str("---\n");
        }
        let at = |line: usize| begins.partition_point(|begin| *begin <= line).saturating_sub(1);
        let (rules, name) = load(text);
        let mut faults: Vec<(usize, String)> = Vec::new();
        for problem in rules.problems().iter().filter(|problem| problem.file == name) {
            let place = at(problem.line);
            let line = problem.line.saturating_sub(begins.get(place).map_or(0, |begin| begin - 1));
            faults.push((place, format!("line {line}: {}", problem.message)));
        }
        if faults.is_empty() {
            // Selections that a detector has within are no rules of their own to people.
            let shown: Vec<String> = rules.summaries().into_iter().map(|rule| rule.id).collect();
            let is_shown = |rule: &&Rule| rule.file == name && shown.contains(&rule.id);
            for rule in rules.rules().iter().filter(is_shown) {
                if let Some(place) = left.get(at(rule.at.line)) {
                    brought[*place].report.made.push(rule.id.clone());
                }
            }
            for place in left {
                let report = &mut brought[place].report;
                if report.made.is_empty() {
                    report.refuse(String::from("there is no rule in it"));
                }
            }
            return;
        }
        for (place, reason) in &faults {
            if let Some(place) = left.get(*place) {
                brought[*place].report.lost.push(reason.clone());
            }
        }
        let mut number = 0;
        left.retain(|_| {
            number += 1;
            !faults.iter().any(|(place, _)| *place == number - 1)
        });
        if left.is_empty() {
            return;
        }
    }
    for place in left {
        brought[place].report.refuse(format!("faults were left after {PASSES_MAX} checks"));
    }
}

/// The documents of a text that say anything.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        match line.trim_end() {
            "---" | "..." => documents.push(String::new()),
            line => {
                if let Some(last) = documents.last_mut() {
                    last.push_str(line);
                    last.push('\n');
                }
            }
        }
    }
    let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    documents.retain(|document| document.lines().any(says));
    documents
}

/// A document with `state: testing` under its `logwarden:`; a filter has no state.
fn as_testing(document: &str) -> String {
    let lines: Vec<&str> = document.lines().collect();
    let is_key =
        |line: &str, key: &str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
    if lines.iter().any(|line| is_key(line, "filter")) {
        return document.to_owned();
    }
    let Some(at) = lines.iter().position(|line| is_key(line, "logwarden")) else {
        return format!("{document}logwarden:\n  state: testing\n");
    };
    let flow = lines[at]["logwarden:".len()..].trim();
    let mut out: Vec<String> = lines[..at].iter().map(|line| (*line).to_owned()).collect();
    if let Some(inner) = flow.strip_prefix('{').and_then(|flow| flow.strip_suffix('}')) {
        let is_kept =
            |part: &&str| !part.trim().is_empty() && !part.trim_start().starts_with("state:");
        let rest: Vec<&str> = parts(inner).into_iter().filter(is_kept).map(str::trim).collect();
        let rest: String = rest.iter().map(|part| format!(", {part}")).collect();
        out.push(format!("logwarden: {{ state: testing{rest} }}"));
        out.extend(lines[at + 1..].iter().map(|line| (*line).to_owned()));
    } else {
        let block = &lines[at + 1..];
        let indent = block
            .iter()
            .find(|line| !line.trim().is_empty())
            .map_or("  ", |line| &line[..line.len() - line.trim_start().len()]);
        out.push(lines[at].to_owned());
        out.push(format!("{indent}state: testing"));
        let is_state =
            |line: &str| line.strip_prefix(indent).is_some_and(|rest| rest.starts_with("state:"));
        let end = block.iter().position(|line| line.starts_with(|c: char| !c.is_whitespace()));
        let end = end.unwrap_or(block.len());
        let kept =
            block.iter().enumerate().filter(|(place, line)| *place >= end || !is_state(line));
        out.extend(kept.map(|(_, line)| (*line).to_owned()));
    }
    out.join("\n") + "\n"
}

/// The parts of what stands between braces, cut at its own commas.
fn parts(inner: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quote) = (Vec::new(), 0, 0u32, None);
    for (place, c) in inner.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&inner[from..place]);
                from = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[from..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_settings_becomes_testing() {
        for (document, expected) in [
            ("title: a\n", "title: a\nlogwarden:\n  state: testing\n"),
            (
                "logwarden: { suppress: 1h, state: enabled, lists: { a: [x, 'y,z'] } }\nlevel: low\n",
                "logwarden: { state: testing, suppress: 1h, lists: { a: [x, 'y,z'] } }\nlevel: low\n",
            ),
            (
                "logwarden:\n    state: enabled\n    suppress: 1h\nlevel: low\n",
                "logwarden:\n    state: testing\n    suppress: 1h\nlevel: low\n",
            ),
            ("filter:\n  rules: any\n", "filter:\n  rules: any\n"),
        ] {
            assert_eq!(as_testing(document), expected);
        }
    }

    async fn brought(foreign: Option<Foreign>, text: &str) -> (Vec<ImportedRule>, Arc<Alerting>) {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _) = logwarden_store::Store::simulated(7);
        let mut config = crate::Config::default();
        config.rules.written = Some(dir.path().join("rules"));
        let alerting = Alerting::open(store, config).await.expect("opened");
        let file = || RuleFile { name: String::from("theirs"), text: text.to_owned() };
        let trial = alerting.import(foreign, file(), true).await.expect("tried");
        let rules = alerting.rules().len();
        let taken = alerting.import(foreign, file(), false).await.expect("taken");
        assert_eq!(trial, taken, "a trial says what becomes of them");
        let made: usize = taken.iter().map(|rule| rule.made.len()).sum();
        assert_eq!(alerting.rules().len(), rules + made);
        (taken, alerting)
    }

    #[tokio::test]
    async fn sigma_lands_as_testing_rules_that_refer_to_each_other_too() {
        let rule = |name: &str, condition: &str| {
            format!(
                "title: {name}\nid: id-{name}\nname: {name}\nlogsource: {{}}\ndetection:\n  a: {{ k: v }}\n  condition: {condition}\n"
            )
        };
        let of = |rules: &str, title: &str| {
            format!(
                "title: {title}\nid: id-{title}\ncorrelation:\n  type: event_count\n  rules: [{rules}]\n  timespan: 1m\n  condition: {{ gte: 2 }}\n"
            )
        };
        let parts =
            [of("good", "counts"), rule("good", "a"), rule("bad", "b"), of("bad", "orphan")];
        let (taken, alerting) = brought(None, &parts.join("---\n")).await;
        let made: Vec<(&str, &[String])> =
            taken.iter().map(|rule| (rule.name.as_str(), rule.made.as_slice())).collect();
        let ids = |id: &str| vec![id.to_owned()];
        assert_eq!(
            made,
            [
                ("counts", ids("id-counts").as_slice()),
                ("good", ids("id-good").as_slice()),
                ("bad", &[]),
                ("orphan", &[]),
            ]
        );
        assert!(taken[2].lost[0].starts_with("line 7: "), "{:?}", taken[2].lost);
        assert!(taken[3].lost[0].contains("bad"), "{:?}", taken[3].lost);
        let states = alerting.rules().into_iter().filter(|rule| rule.id.starts_with("id-"));
        let states: Vec<&str> = states.map(|rule| rule.state.name()).collect();
        assert_eq!(states, ["testing", "testing"]);
        let again = RuleFile { name: String::from("again"), text: parts[1].clone() };
        let again = alerting.import(None, again, false).await.expect("answered");
        assert!(again[0].made.is_empty() && !again[0].lost.is_empty(), "{again:?}");
    }

    #[tokio::test]
    async fn another_products_rules_land_with_what_was_lost() {
        let rule = "name: Guessing\ntype: frequency\nindex: logs-*\nnum_events: 5\ntimeframe: {minutes: 5}\nquery_key: user.name\nfilter:\n- term: {event.outcome: failure}\nalert: [email]\nalert_subject: x\n";
        let (taken, alerting) = brought(Some(Foreign::ElastAlert), rule).await;
        assert_eq!((taken.len(), taken[0].made.len()), (1, 1), "{taken:?}");
        assert!(!taken[0].lost.is_empty(), "who is told is said by routes: {taken:?}");
        let rules = alerting.rules();
        let rule = rules.iter().find(|rule| rule.id == taken[0].made[0]).expect("in use");
        assert_eq!(rule.state.name(), "testing");
        let (refused, _) = brought(Some(Foreign::Wazuh), "<group><rule id=\"1\"").await;
        assert!(refused.iter().all(|rule| rule.made.is_empty()), "{refused:?}");
    }
}
