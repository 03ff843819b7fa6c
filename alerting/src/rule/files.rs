//! The files in which rules and their lists stand.

use std::path::{Path, PathBuf};

use super::set::RULE_FILES_MAX;
use super::{Problem, RuleFile};

/// Reads the `.yml` and `.yaml` files, and the lists in `.txt` files, of these files and directories and those below them, in the
/// order of their names. What cannot be read is a problem.
pub fn read_rule_files(paths: &[PathBuf]) -> (Vec<RuleFile>, Vec<Problem>) {
    let mut names = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        collect(path, true, 0, &mut names, &mut problems);
    }
    let mut files = Vec::new();
    for path in names {
        match std::fs::read_to_string(&path) {
            Ok(text) => files.push(RuleFile { name: path.display().to_string(), text }),
            Err(error) => problems.push(unreadable(&path, &error.to_string())),
        }
    }
    (files, problems)
}

fn unreadable(path: &Path, reason: &str) -> Problem {
    let message = format!("cannot be read: {reason}");
    Problem { file: path.display().to_string(), line: 1, column: 1, message }
}

/// Directories inside directories; deeper ones are a problem, as a link back up would be.
const DIRECTORY_DEPTH_MAX: usize = 16;

fn collect(
    path: &Path,
    is_named: bool,
    depth: usize,
    names: &mut Vec<PathBuf>,
    problems: &mut Vec<Problem>,
) {
    if depth > DIRECTORY_DEPTH_MAX || names.len() >= RULE_FILES_MAX {
        problems.push(unreadable(path, "too many files or directories"));
        return;
    }
    if !path.is_dir() {
        let is_rule =
            path.extension().is_some_and(|end| end == "yml" || end == "yaml" || end == "txt");
        if is_rule || is_named {
            names.push(path.to_path_buf());
        }
        return;
    }
    let mut entries: Vec<PathBuf> = match std::fs::read_dir(path) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) => {
            problems.push(unreadable(path, &error.to_string()));
            return;
        }
    };
    entries.sort();
    for entry in entries {
        collect(&entry, false, depth + 1, names, problems);
    }
}

/// What stood in files that cannot be read now, or in those below such a directory, stays in force: a list that became empty
/// would find nothing, and rules that went away would be missed by nobody.
pub(crate) fn keep_unreadable(
    before: &[RuleFile],
    files: &mut Vec<RuleFile>,
    unreadable: &mut [Problem],
) {
    for problem in unreadable {
        let is_of_it = |file: &&RuleFile| Path::new(&file.name).starts_with(&problem.file);
        let kept: Vec<RuleFile> = before.iter().filter(is_of_it).cloned().collect();
        if !kept.is_empty() {
            problem.message.push_str("; what was read before stays in force");
            files.extend(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> RuleFile {
        RuleFile { name: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn what_cannot_be_read_any_more_stays_as_it_was_and_what_is_gone_goes() {
        let before = [
            file("rules/a.yml", "a"),
            file("rules/admins.txt", "root"),
            file("rules/away.yml", "away"),
            file("shared/b.yml", "b"),
            file("shared-too/c.yml", "c"),
        ];
        let mut files = vec![file("rules/a.yml", "new")];
        let mut problems = ["rules/admins.txt", "rules/never.yml", "shared"]
            .map(|path| unreadable(Path::new(path), "permission denied"));
        keep_unreadable(&before, &mut files, &mut problems);
        let kept = [file("rules/a.yml", "new"), before[1].clone(), before[3].clone()];
        assert_eq!(files, kept);
        let is_kept = problems.map(|problem| problem.message.ends_with("stays in force"));
        assert_eq!(is_kept, [true, false, true]);
    }
}
