//! Rules that people write in the dashboard: files of our own directory, one per saved text.
//!
//! A text is taken only when it loads together with all other rules without a problem, and is on
//! the disk before the answer. Files of other directories and bundled ones are shown, never changed.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use crate::coverage::{NamedField, named_fields, place};
use crate::notify::Routing;
use crate::rule::{Problem, RuleFile, RuleSet, RuleSummary, read_rule_files};
use crate::{Alerting, AlertingError, Shared, read};

/// Files that can be written here; further ones are refused.
const WRITTEN_FILES_MAX: usize = 2_000;
/// Characters of a file's name, without its ending.
const FILE_NAME_CHARS_MAX: usize = 80;
/// What problems call the directory.
const SHOWN_AS: &str = "written";

/// A rule with the text it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    /// What lists show of it.
    pub summary: RuleSummary,
    /// What it looks for, in words.
    pub description: String,
    /// The text: of a written file all of it, of another one the rule's own document.
    pub text: String,
    /// Whether the text can be replaced here.
    pub is_written: bool,
}

/// A text that was loaded beside all other rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedText {
    /// The rules in it that can be used.
    pub rules: Vec<RuleSummary>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// The fields that its rules name.
    pub fields: Vec<NamedField>,
}

/// Why a text was not taken.
#[derive(Debug, thiserror::Error)]
pub enum WriteRuleError {
    /// What is wrong with it, at least one thing.
    #[error("the text has {} problems", .0.len())]
    Problems(Vec<Problem>),
    /// As with every other change.
    #[error(transparent)]
    Alerting(#[from] AlertingError),
}

impl Alerting {
    /// One rule with its text.
    ///
    /// # Errors
    ///
    /// [`AlertingError::NotFound`].
    pub fn rule(&self, id: &str) -> Result<RuleText, AlertingError> {
        let settings = read(&self.shared.settings);
        let rule = settings.rules.find(id).ok_or(AlertingError::NotFound)?;
        let file = settings.files.iter().find(|file| file.name == rule.file);
        let file = file.ok_or(AlertingError::NotFound)?;
        let is_written = is_written(&rule.file);
        let text =
            if is_written { file.text.clone() } else { document_at(&file.text, rule.at.line) };
        let summaries = settings.rules.summaries();
        let summary = summaries.into_iter().find(|one| one.id == rule.id);
        Ok(RuleText {
            summary: summary.ok_or(AlertingError::NotFound)?,
            description: rule.description.clone(),
            text,
            is_written,
        })
    }

    /// What is wrong with a text when it is loaded beside all other rules, the rules in it and the
    /// fields that they name. `replaced`: the text is that of this rule's file.
    ///
    /// # Errors
    ///
    /// [`AlertingError`] when the work was cut short.
    pub async fn check_rule_text(
        &self,
        replaced: Option<&str>,
        text: String,
    ) -> Result<CheckedText, AlertingError> {
        let file = match replaced {
            Some(id) => self.written_file(id).ok(),
            None => None,
        };
        let shared = Arc::clone(&self.shared);
        blocking(move || Ok(load_beside(&shared, file.as_deref(), text))).await
    }

    /// Takes a text with at least one rule; `replaced` names a rule whose file it replaces. Answers
    /// the first rule's id. The rules in it are in use when this returns.
    ///
    /// # Errors
    ///
    /// [`WriteRuleError::Problems`] for a text with faults, [`AlertingError::NotFound`] and
    /// [`AlertingError::Conflict`] when the replaced rule is not a written one.
    pub async fn write_rule(
        &self,
        replaced: Option<&str>,
        text: String,
    ) -> Result<String, WriteRuleError> {
        let dir = self.written_dir()?;
        let replaced = replaced.map(|id| self.written_file(id)).transpose()?;
        let shared = Arc::clone(&self.shared);
        let written = blocking(move || {
            let _writing = shared.rule_writing.lock().unwrap_or_else(PoisonError::into_inner);
            let CheckedText { rules, problems, .. } =
                load_beside(&shared, replaced.as_deref(), text.clone());
            if !problems.is_empty() {
                return Ok(Err(problems));
            }
            let Some(first) = rules.first() else {
                return Err(AlertingError::Invalid("there is no rule in the text".to_owned()));
            };
            let path = match &replaced {
                Some(name) => dir.join(file_part(name)),
                None => new_path(&dir, &first.id)?,
            };
            write_file(&dir, &path, &text).map_err(unwritable)?;
            shared.reload_rules();
            Ok(Ok(first.id.clone()))
        });
        written.await?.map_err(WriteRuleError::Problems)
    }

    /// Removes the file in which a written rule stands.
    ///
    /// # Errors
    ///
    /// [`AlertingError::NotFound`], and [`AlertingError::Conflict`] when it is not a written one or
    /// other rules refer to it.
    pub async fn remove_rule(&self, id: &str) -> Result<(), AlertingError> {
        let dir = self.written_dir()?;
        let name = self.written_file(id)?;
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let _writing = shared.rule_writing.lock().unwrap_or_else(PoisonError::into_inner);
            let before = read(&shared.settings).problems.len();
            let (_, problems) = load_without(&shared, &name);
            if let Some(problem) = problems.iter().find(|_| problems.len() > before) {
                let message = format!("another rule refers to it: {problem}");
                return Err(AlertingError::Conflict(message));
            }
            std::fs::remove_file(dir.join(file_part(&name))).map_err(unwritable)?;
            File::open(&dir).and_then(|dir| dir.sync_all()).map_err(unwritable)?;
            shared.reload_rules();
            Ok(())
        })
        .await
    }

    pub(crate) fn written_dir(&self) -> Result<PathBuf, AlertingError> {
        let dir = read(&self.shared.settings).config.rules.written.clone();
        dir.ok_or_else(|| AlertingError::Conflict("rules cannot be written here".to_owned()))
    }

    /// The written file in which a rule stands.
    fn written_file(&self, id: &str) -> Result<String, AlertingError> {
        let rules = self.shared.rules();
        let rule = rules.find(id).ok_or(AlertingError::NotFound)?;
        if is_written(&rule.file) {
            return Ok(rule.file.clone());
        }
        let message = "this rule stands in a file that is not written here; copy it instead";
        Err(AlertingError::Conflict(message.to_owned()))
    }
}

/// The files of the directory, by the names that problems call them.
pub(crate) fn written_files(dir: &Path) -> (Vec<RuleFile>, Vec<Problem>) {
    if !dir.is_dir() {
        return (Vec::new(), Vec::new());
    }
    let (mut files, mut problems) = read_rule_files(&[dir.to_path_buf()]);
    for name in files.iter_mut().map(|file| &mut file.name) {
        *name = shown_name(Path::new(name.as_str()));
    }
    for name in problems.iter_mut().map(|problem| &mut problem.file) {
        *name = shown_name(Path::new(name.as_str()));
    }
    (files, problems)
}

fn shown_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("{SHOWN_AS}/{name}")
}

fn is_written(file: &str) -> bool {
    file.split_once('/').is_some_and(|(dir, _)| dir == SHOWN_AS)
}

fn file_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The rules and problems of a text, loaded with all files but the one it replaces.
fn load_beside(shared: &Shared, replaced: Option<&str>, text: String) -> CheckedText {
    let (rules, name) = set_beside(shared, replaced, text.clone());
    let fields = named_fields(&rules, &name, &text);
    let mut problems = rules.problems().to_vec();
    problems.retain(|problem| problem.file == name);
    problems.extend(unknown_notifiers(&rules, &name, &text, &shared.routing()));
    let mut summaries = rules.summaries();
    summaries.retain(|rule| rule.file == name);
    CheckedText { rules: summaries, problems, fields }
}

/// Whom the rules of a file name and nobody knows: nobody would be told. In files that are not written here
/// the routes take such alerts.
fn unknown_notifiers(rules: &RuleSet, file: &str, text: &str, routing: &Routing) -> Vec<Problem> {
    let of_file = rules.rules().iter().filter(|rule| rule.file == file);
    let named: BTreeSet<&String> =
        of_file.flat_map(|rule| rule.settings.notify.iter().flatten()).collect();
    let unknown = named.into_iter().filter(|name| !routing.has(name));
    let problem = |name: &String| {
        let (line, column) = place(text, name).unwrap_or((1, 1));
        let message = format!("`notify` names `{name}`, which is no notifier and no rota");
        Problem { file: file.to_owned(), line, column, message }
    };
    unknown.map(problem).collect()
}

/// All rules with a text in place of the one it replaces, and what problems call it.
pub(crate) fn set_beside(
    shared: &Shared,
    replaced: Option<&str>,
    text: String,
) -> (RuleSet, String) {
    let name = replaced.map_or_else(|| format!("{SHOWN_AS}/rule.yml"), str::to_owned);
    let mut files = read(&shared.settings).files.clone();
    files.retain(|file| file.name != name);
    files.push(RuleFile { name: name.clone(), text });
    (RuleSet::load(&files).0, name)
}

/// The same, for a trial. A text of a file that is not written here may be tried too.
pub(crate) async fn rules_beside(
    alerting: &Alerting,
    replaced: Option<&str>,
    text: String,
) -> Result<(RuleSet, String), AlertingError> {
    let rules = alerting.shared.rules();
    let file = replaced.and_then(|id| rules.find(id)).map(|rule| rule.file.clone());
    let shared = Arc::clone(&alerting.shared);
    blocking(move || Ok(set_beside(&shared, file.as_deref(), text))).await
}

fn load_without(shared: &Shared, name: &str) -> (RuleSet, Vec<Problem>) {
    let mut files = read(&shared.settings).files.clone();
    files.retain(|file| file.name != name);
    RuleSet::load(&files)
}

/// The document that begins at a line (from 1 on), up to the next `---`.
fn document_at(text: &str, line: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let is_end = |line: &&str| line.trim_end() == "---";
    let at = line.saturating_sub(1).min(lines.len());
    let first = lines[..at].iter().rposition(is_end).map_or(0, |before| before + 1);
    let last = lines[at..].iter().position(is_end).map_or(lines.len(), |after| at + after);
    let mut document = lines[first..last].join("\n");
    document.push('\n');
    document
}

pub(crate) fn new_path(dir: &Path, id: &str) -> Result<PathBuf, AlertingError> {
    let kept = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let name = id.chars().map(|letter| if kept(letter) { letter } else { '-' });
    let name: String = name.take(FILE_NAME_CHARS_MAX).collect();
    let path = dir.join(format!("{name}.yml"));
    if path.exists() {
        return Err(AlertingError::Conflict(format!("there is a file for `{name}` already")));
    }
    let known = std::fs::read_dir(dir).map_or(0, Iterator::count);
    if known >= WRITTEN_FILES_MAX {
        let message = format!("{WRITTEN_FILES_MAX} rules are written here already");
        return Err(AlertingError::Conflict(message));
    }
    Ok(path)
}

/// Replaces a file as a whole: after a crash it is the old one or the new one.
pub(crate) fn write_file(dir: &Path, path: &Path, text: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let part = path.with_extension("part");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    File::open(dir)?.sync_all()
}

pub(crate) fn unwritable(error: io::Error) -> AlertingError {
    AlertingError::Unwritable(error.to_string())
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AlertingError> + Send + 'static,
) -> Result<T, AlertingError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| AlertingError::Invalid(error.to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "title: Root login\nid: root-login\nlogsource: {}\ndetection:\n  \
                        a: { user.name: root }\n  condition: a\n";

    async fn alerting(dir: &Path) -> Arc<Alerting> {
        let (store, _) = logwarden_store::Store::simulated(7);
        let mut config = crate::Config::default();
        config.rules.written = Some(dir.join("rules"));
        Alerting::open(store, config).await.expect("opened")
    }

    fn own_dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("lw-written-{name}-{}", std::process::id()));
        if dir.exists() {
            std::fs::remove_dir_all(&dir).expect("removed");
        }
        dir
    }

    #[tokio::test]
    async fn a_written_rule_is_in_use_at_once_and_can_be_replaced_and_removed() {
        let dir = own_dir("use");
        let alerting = alerting(&dir).await;
        let id = alerting.write_rule(None, RULE.to_owned()).await.expect("written");
        assert_eq!(id, "root-login");
        let shown = alerting.rule(&id).expect("known");
        assert_eq!((shown.text.as_str(), shown.is_written), (RULE, true));
        assert_eq!(shown.summary.file, "written/root-login.yml");
        let again = alerting.write_rule(None, RULE.to_owned()).await;
        assert!(matches!(again, Err(WriteRuleError::Problems(_))), "{again:?}");
        let other = RULE.replace("Root login", "Login as root");
        alerting.write_rule(Some(&id), other).await.expect("replaced");
        assert_eq!(alerting.rule(&id).expect("known").summary.title, "Login as root");
        alerting.remove_rule(&id).await.expect("removed");
        assert!(matches!(alerting.rule(&id), Err(AlertingError::NotFound)));
        std::fs::remove_dir_all(&dir).expect("removed");
    }

    #[tokio::test]
    async fn a_rule_tells_nobody_who_is_not_known() {
        let dir = own_dir("unknown-notifier");
        let alerting = alerting(&dir).await;
        let text = "title: T\nid: t\nlogsource: {}\ndetection: { a: { k: v }, condition: a }\n\
                    level: high\nlogwarden:\n  notify: [nope, 'rota:none']\n";
        let checked = alerting.check_rule_text(None, text.to_owned()).await.expect("checked");
        let at: Vec<_> = checked.problems.iter().map(|one| (one.line, one.column)).collect();
        assert_eq!(at, [(7, 12), (7, 19)], "{:?}", checked.problems);
        let refused = alerting.write_rule(None, text.to_owned()).await;
        assert!(matches!(refused, Err(WriteRuleError::Problems(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn a_text_with_faults_is_not_taken_and_bundled_rules_stay_as_they_are() {
        let dir = own_dir("faults");
        let alerting = alerting(&dir).await;
        let wrong = RULE.replace("condition: a", "condition: b");
        match alerting.write_rule(None, wrong).await {
            Err(WriteRuleError::Problems(problems)) => assert_eq!(problems[0].line, 6),
            other => panic!("{other:?}"),
        }
        let bundled = alerting.rules()[0].id.clone();
        let shown = alerting.rule(&bundled).expect("known");
        assert!(!shown.is_written);
        assert!(shown.text.contains("title:") && !shown.text.contains("---"), "{}", shown.text);
        let refused = alerting.write_rule(Some(&bundled), RULE.to_owned()).await;
        let is_conflict =
            matches!(refused, Err(WriteRuleError::Alerting(AlertingError::Conflict(_))));
        assert!(is_conflict, "{refused:?}");
        assert!(!dir.exists());
    }
}
