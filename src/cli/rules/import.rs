//! `logwarden rules import`: rules of other products as ours, with a report of what is not in them.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use logwarden_alerting::{Foreign, Imported, RuleFile, import_rules};

use super::print;
use crate::cli::Failure;
use crate::cli::terminal::{counted, printable};

/// Files of one import.
const FILES_MAX: usize = 20_000;

/// Whose rules, and where they are.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whose rules they are.
    #[arg(value_enum)]
    from: From,
    /// Files and directories.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Write the rules to this file instead of to standard output; it must not exist.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum From {
    /// ElastAlert2: one rule in each YAML file.
    #[value(name = "elastalert")]
    ElastAlert,
    /// Wazuh 4: rules that count others (`frequency`), in XML files.
    Wazuh,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (foreign, endings) = match arguments.from {
        From::ElastAlert => (Foreign::ElastAlert, &["yml", "yaml"][..]),
        From::Wazuh => (Foreign::Wazuh, &["xml"][..]),
    };
    let mut files = Vec::new();
    for path in &arguments.paths {
        read(path, endings, &mut files)?;
    }
    let imported = import_rules(foreign, &files);
    let _ = std::io::stderr().write_all(report(&imported).as_bytes());
    match &arguments.out {
        None => print(&imported.text),
        Some(path) => {
            let file = std::fs::File::create_new(path);
            file.and_then(|mut file| file.write_all(imported.text.as_bytes()))
                .with_context(|| format!("cannot write `{}`", path.display()))?;
        }
    }
    let refused = imported.rules.iter().filter(|rule| rule.made.is_empty()).count();
    match refused {
        0 => Ok(()),
        _ => Err(Failure::Bad(anyhow!("not converted: {}", counted(refused, "rule")))),
    }
}

fn read(path: &Path, endings: &[&str], files: &mut Vec<RuleFile>) -> Result<(), Failure> {
    let name = path.display();
    if path.is_dir() {
        let entries = std::fs::read_dir(path).with_context(|| format!("cannot read `{name}`"))?;
        let mut inner = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("cannot read `{name}`"))?;
        inner.sort();
        for path in inner {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if path.is_dir() || endings.contains(&ending) {
                read(&path, endings, files)?;
            }
        }
        return Ok(());
    }
    if files.len() >= FILES_MAX {
        return Err(Failure::Usage(anyhow!("more than {FILES_MAX} files")));
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{name}`"))?;
    files.push(RuleFile { name: name.to_string(), text });
    Ok(())
}

fn report(imported: &Imported) -> String {
    let mut out = String::new();
    for rule in &imported.rules {
        let made = match rule.made.as_slice() {
            [] => String::from("NOT CONVERTED"),
            made => format!("became {}", made.join(", ")),
        };
        out += &format!("{}\n", printable(&format!("{}: {}: {made}", rule.file, rule.name)));
        for lost in &rule.lost {
            out += &format!("    {}\n", printable(lost));
        }
    }
    let converted = imported.rules.iter().filter(|rule| !rule.made.is_empty()).count();
    let whole = imported.rules.iter().filter(|rule| !rule.made.is_empty() && rule.lost.is_empty());
    out + &format!(
        "{converted} of {} converted, {} of them without loss\n",
        counted(imported.rules.len(), "rule"),
        whole.count()
    )
}
