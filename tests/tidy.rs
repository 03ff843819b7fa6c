//! House rules that the compiler does not hold: arrows between crates, what a file begins with, words that stay out.
//!
//! Each rule is a test and lists every place that breaks it. The rules read the working tree without what is built or
//! downloaded into it. The ratchets only ever get tighter.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest source file, in lines.
const FILE_LINES_MAX: usize = 700;
/// Longest function, in lines from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 100;
/// Longest README, in lines: what is longer belongs into the manual.
const README_LINES_MAX: usize = 80;
/// Shortest first line of a module's documentation, in characters.
const MODULE_DOC_CHARS_MIN: usize = 20;

/// Where nothing of ours lies.
const FOREIGN_FOLDERS: &[&str] =
    &[".git", ".test-tools", "__pycache__", "dist", "logwarden-data", "node_modules", "target"];

/// Which crate may use which. The root uses all.
const ARROWS: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("store", &["event"]),
    ("ingest", &["event", "store"]),
    ("index", &["event", "store"]),
    ("query", &["event", "store", "index"]),
    ("alerting", &["event", "store", "query"]),
    ("web", &["event", "store", "query", "alerting"]),
];

/// The only test code that may let real time pass: one polling loop with a deadline, one load with a pace.
const MAY_SLEEP: &[&str] = &["tests/harness/wait.rs"];

#[test]
fn crates_only_use_the_floors_below() {
    let mut broken = Vec::new();
    for (name, may_use) in ARROWS {
        let manifest = format!("{name}/Cargo.toml");
        let table: toml::Table =
            read(&manifest).parse().unwrap_or_else(|error| panic!("`{manifest}`: {error}"));
        for used in own_crates_used(&table) {
            if !may_use.contains(&used.as_str()) {
                broken.push(format!("{manifest}: `{name}` may not use `{used}`"));
            }
        }
    }
    report("an arrow that the house does not have", &broken);
}

#[test]
fn every_crate_of_the_workspace_has_its_floor() {
    let root: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let members: BTreeSet<&str> = root["workspace"]["members"]
        .as_array()
        .expect("members is a list")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    let floors: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(members, floors, "a crate without a line in ARROWS");
}

#[test]
fn every_rust_file_says_what_it_is_for() {
    let mut broken = Vec::new();
    for (path, text) in sources(&["rs"]) {
        let first = text.lines().next().unwrap_or_default();
        let said = first.strip_prefix("//! ").unwrap_or_default();
        if said.chars().count() < MODULE_DOC_CHARS_MIN {
            broken.push(format!("{path}: begins with `{first}`"));
        }
    }
    report("a file whose first line does not say in a `//!` what it is for", &broken);
}

#[test]
fn every_dashboard_file_says_what_it_is_for() {
    let mut broken = Vec::new();
    for (path, text) in sources(&["svelte", "ts", "mjs"]) {
        let first = text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
        let opening = if path.ends_with(".svelte") { ["<!--", "<!--"] } else { ["//", "/*"] };
        if !opening.iter().any(|mark| first.starts_with(mark)) {
            broken.push(format!("{path}: begins with `{first}`"));
        }
    }
    report("a file that does not begin with a comment", &broken);
}

#[test]
fn nothing_is_named_after_nothing() {
    let meaningless = ["common", "helper", "helpers", "misc", "util", "utils"];
    let mut broken = Vec::new();
    for path in files() {
        let names = Path::new(&path).with_extension("");
        if names.iter().any(|name| meaningless.iter().any(|word| name.eq_ignore_ascii_case(word))) {
            broken.push(path.clone());
        }
    }
    for (path, text) in sources(&["rs"]) {
        for (number, line) in code_of(&text).lines().enumerate() {
            let mut words = line.split_whitespace().skip_while(|word| *word != "mod").skip(1);
            let module = words.next().unwrap_or_default().trim_end_matches([';', '{']);
            if meaningless.contains(&module) {
                broken.push(format!("{path}:{}: module `{module}`", number + 1));
            }
        }
    }
    report("a name that says nothing: a helper lives beside its user", &broken);
}

#[test]
fn every_rust_file_is_part_of_a_crate() {
    let all = sources(&["rs"]);
    let mut broken = Vec::new();
    for (path, _) in &all {
        let name = Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_root = matches!(name.as_str(), "lib" | "main" | "build")
            || path == "tests/tidy.rs"
            || is_a_target_of_its_own(path);
        let module = if name == "mod" { folder_name(path) } else { name };
        let crate_folder = path.split('/').next().unwrap_or_default();
        let is_declared = all.iter().any(|(other, text)| {
            other != path
                && other.split('/').next() == Some(crate_folder)
                && text.lines().any(|line| line.trim().ends_with(&format!("mod {module};")))
        });
        if !is_root && !is_declared {
            broken.push(path.clone());
        }
    }
    report("a file that no `mod` line names", &broken);
}

#[test]
fn files_and_functions_fit_into_a_head() {
    let mut broken = Vec::new();
    for (path, text) in sources(&["rs", "svelte", "ts", "mjs", "py", "sh"]) {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{path}: {lines} lines, at most {FILE_LINES_MAX}"));
        }
        if !path.ends_with(".rs") {
            continue;
        }
        for (name, line, length) in functions(&code_of(&text)) {
            if length > FUNCTION_LINES_MAX {
                broken.push(format!(
                    "{path}:{line}: `{name}` has {length} lines, at most {FUNCTION_LINES_MAX}"
                ));
            }
        }
    }
    report("too long", &broken);
}

#[test]
fn unfinished_and_silenced_code_stays_out() {
    let words = [
        "todo!",
        "unimplemented!",
        "dbg!",
        "#[ignore",
        "#[allow(",
        "#![allow(",
        "#[expect(warnings",
    ];
    let mut broken = Vec::new();
    for (path, text) in sources(&["rs"]) {
        for (number, line) in code_of(&text).lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{path}:{}: `{word}`", number + 1));
            }
        }
    }
    report("a word that stays out of the repository", &broken);
}

#[test]
fn tests_do_not_sleep() {
    let mut broken = Vec::new();
    let all = sources(&["rs"]);
    let modules: BTreeSet<(String, String)> =
        all.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    for (path, text) in &all {
        let code = code_of(text);
        let stem = Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_test_code = path.split('/').any(|folder| folder == "tests")
            || modules.contains(&(crate_of(path), stem));
        let tests_begin = if is_test_code { 0 } else { test_module_line(&code) };
        // With the clock of tokio stopped a sleep takes no time; neighbours share what waits.
        let stops = |text: &str| text.contains("start_paused") || text.contains("time::pause()");
        let folder = Path::new(path).parent();
        let paused = stops(&code)
            || all.iter().any(|(other, text)| Path::new(other).parent() == folder && stops(text));
        for (number, line) in code.lines().enumerate().skip(tests_begin) {
            let sleeps =
                line.contains("thread::sleep") || (line.contains("time::sleep") && !paused);
            if sleeps && !MAY_SLEEP.contains(&path.as_str()) {
                broken.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    report("a test that sleeps: poll with a deadline, or stop the clock", &broken);
}

#[test]
fn no_file_knows_the_machine_it_was_made_on() {
    let root = root();
    let mut places = vec![format!("{}/", root.display())];
    if let Some(parent) = root.parent().filter(|parent| parent.parent().is_some()) {
        places.push(format!("{}/", parent.display()));
    }
    let home = std::env::var("HOME").unwrap_or_default();
    if home.len() > 1 {
        places.extend(
            [".cargo", ".rustup", ".npm", ".cache"].map(|folder| format!("{home}/{folder}")),
        );
    }
    let mut broken = Vec::new();
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            for place in places.iter().filter(|place| line.contains(place.as_str())) {
                broken.push(format!("{path}:{}: `{place}`", number + 1));
            }
        }
    }
    report("a path of one machine", &broken);
}

#[test]
fn no_file_names_a_host_to_download_from() {
    // Put together here, so that this file names none.
    let hosts = [
        ["registry.", "npmjs"].concat(),
        ["registry.", "yarnpkg"].concat(),
        ["static.", "crates.io"].concat(),
        ["index.", "crates.io"].concat(),
        ["files.", "pythonhosted"].concat(),
        ["arti", "factory"].concat(),
        ["verda", "ccio"].concat(),
    ];
    let mut broken = Vec::new();
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            for host in hosts.iter().filter(|host| line.contains(host.as_str())) {
                broken.push(format!("{path}:{}: `{host}`", number + 1));
            }
        }
    }
    report("a registry's host: where packages come from is the builder's choice", &broken);
}

#[test]
fn the_dashboard_never_makes_markup_of_data() {
    let words =
        ["{@html", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("];
    let mut broken = Vec::new();
    for (path, text) in sources(&["svelte", "ts"]) {
        for (number, line) in text.lines().enumerate().filter(|_| path.starts_with("web/ui/src")) {
            for word in words.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{path}:{}: `{word}`", number + 1));
            }
        }
    }
    report("markup made of text", &broken);
}

#[test]
fn the_changelog_has_a_place_for_the_next_change() {
    let changelog = read("CHANGELOG.md");
    assert!(
        changelog.lines().any(|line| line.starts_with("## ") && line.contains("Unreleased")),
        "CHANGELOG.md has no section `## Unreleased`"
    );
}

#[test]
fn the_readme_is_read_in_a_minute() {
    let lines = read("README.md").lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines, at most {README_LINES_MAX}");
}

fn report(what: &str, broken: &[String]) {
    let mut list = String::new();
    for place in broken {
        let _ = write!(list, "\n  {place}");
    }
    assert!(broken.is_empty(), "{what}:{list}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("`{path}`: {error}"))
}

/// Every file of the repository, relative to its root, in order.
fn files() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if FOREIGN_FOLDERS.contains(&name.as_str()) {
                continue;
            }
            if is_folder {
                folders.push(entry.path());
            } else if let Ok(path) = entry.path().strip_prefix(root()) {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// Files that are text, with their text.
fn texts() -> Vec<(String, String)> {
    files()
        .into_iter()
        .filter_map(|path| fs::read_to_string(root().join(&path)).ok().map(|text| (path, text)))
        .collect()
}

/// Files with one of these endings, with their text.
fn sources(endings: &[&str]) -> Vec<(String, String)> {
    let has_ending = |path: &str| {
        Path::new(path)
            .extension()
            .is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted))
    };
    texts().into_iter().filter(|(path, _)| has_ending(path)).collect()
}

fn folder_name(path: &str) -> String {
    let folder = Path::new(path).parent().and_then(Path::file_name).unwrap_or_default();
    folder.to_string_lossy().into_owned()
}

/// Files directly in `tests/`, `benches/`, `examples/` or `fuzz_targets/` of a crate are targets by themselves.
fn is_a_target_of_its_own(path: &str) -> bool {
    let folder = folder_name(path);
    path.matches('/').count() >= 2
        && ["tests", "benches", "examples", "fuzz_targets"].contains(&folder.as_str())
}

/// Our own crates that a manifest names, without their common prefix.
fn own_crates_used(manifest: &toml::Table) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut tables = vec![manifest];
    while let Some(table) = tables.pop() {
        for (key, value) in table {
            let Some(inner) = value.as_table() else { continue };
            if key.ends_with("dependencies") {
                used.extend(
                    inner
                        .keys()
                        .filter_map(|name| name.strip_prefix("logwarden-").map(str::to_owned)),
                );
            } else if key == "target" || key.starts_with("cfg(") {
                tables.push(inner);
            }
        }
    }
    used
}

/// Modules in files of their own that only tests have, each with its crate.
fn test_modules(path: &str, text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let names = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]").filter_map(|pair| {
        let words = pair[1].trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        words.strip_prefix("mod ")?.strip_suffix(';')
    });
    names.map(|name| (crate_of(path), name.to_owned())).collect()
}

/// The folder of the crate that a file belongs to; `src` for the root's.
fn crate_of(path: &str) -> String {
    path.split('/').next().unwrap_or_default().to_owned()
}

/// The line from which on a file with tests in it is test code; past its end when there is none.
fn test_module_line(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let begins = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{');
    lines.windows(2).position(begins).unwrap_or(usize::MAX)
}

/// Functions with a body: name, line of the `fn`, lines up to the closing brace. Takes text from [`code_of`].
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let mut words = line.split_whitespace().skip_while(|word| *word != "fn");
        let Some(signature) = words.nth(1) else { continue };
        let name = signature.split(['(', '<']).next().unwrap_or_default().to_owned();
        let mut depth = 0_usize;
        let mut opened = false;
        'body: for (offset, line) in lines[start..].iter().enumerate() {
            for symbol in line.chars() {
                match symbol {
                    '{' => {
                        opened = true;
                        depth += 1;
                    }
                    '}' => depth = depth.saturating_sub(1),
                    ';' if !opened => break 'body,
                    _ => {}
                }
            }
            if opened && depth == 0 {
                found.push((name, start + 1, offset + 1));
                break;
            }
        }
    }
    found
}

/// The text with comments, strings and character literals blanked, so that only code is left; lines stay lines.
fn code_of(text: &str) -> String {
    let symbols: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < symbols.len() {
        let length =
            literal_length(&symbols[at..], at.checked_sub(1).map(|before| symbols[before]));
        if length == 0 {
            code.push(symbols[at]);
            at += 1;
            continue;
        }
        let end = (at + length).min(symbols.len());
        code.extend(symbols[at..end].iter().map(|symbol| if *symbol == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    code
}

/// How many characters the comment or literal that begins here has; 0 when none begins.
fn literal_length(rest: &[char], before: Option<char>) -> usize {
    let next = rest.get(1).copied();
    match rest[0] {
        '/' if next == Some('/') => {
            rest.iter().position(|symbol| *symbol == '\n').unwrap_or(rest.len())
        }
        '/' if next == Some('*') => block_comment_length(rest),
        '"' => quoted_length(rest),
        'r' if !before.is_some_and(|symbol| symbol.is_alphanumeric() && symbol != 'b') => {
            raw_length(rest)
        }
        // A lifetime has no closing quote one character further.
        '\'' if next == Some('\\') => rest
            .iter()
            .skip(3)
            .position(|symbol| *symbol == '\'')
            .map_or(0, |position| position + 4),
        '\'' if rest.get(2) == Some(&'\'') => 3,
        _ => 0,
    }
}

fn block_comment_length(rest: &[char]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted_length(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_length(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|symbol| **symbol == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = &rest[hashes + 2..];
    let end = body.windows(closing.len()).position(|window| window == closing.as_slice());
    end.map_or(rest.len(), |position| hashes + 2 + position + closing.len())
}
