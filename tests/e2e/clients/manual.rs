//! The snippets of the manual (`docs/send`), run as they stand: but for ports nothing in them is changed, and what each
//! says that it sends must be there. Configurations of programs run in [`daemons`](super::daemons). A section whose
//! snippet is run by nobody says so.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::daemons::Program;
use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::programs::{find, has, python, repository};

/// What a section says whose snippet is not run.
const NOT_RUN: &str = "written from the protocol, not run";
/// Pages whose shell snippet needs a daemon of the system; it runs among the shippers of Debian.
const OF_SYSTEM: [&str; 1] = ["journal.md"];
/// The port of HTTP in the manual, and the others.
const HTTP_PORT: &str = "7514";
const PORTS: [&str; 6] = ["5514", "5515", "5044", "2514", "12201", "24224"];

/// A fenced block of a page.
#[derive(Debug)]
pub(super) struct Snippet {
    pub(super) page: String,
    pub(super) section: String,
    pub(super) language: String,
    pub(super) text: String,
    pub(super) is_run: bool,
}

/// The pages of the manual, in order.
pub(super) fn pages() -> Vec<PathBuf> {
    let pages = fs::read_dir(repository().join("docs/send")).expect("the manual");
    let mut pages: Vec<_> = pages.map(|page| page.expect("a file").path()).collect();
    pages.sort();
    pages
}

/// All snippets of a page, in order.
pub(super) fn snippets(file: &Path) -> Vec<Snippet> {
    let text = fs::read_to_string(file).expect("a page");
    let page = file.file_name().expect("a file").to_string_lossy().into_owned();
    let (mut found, mut section, mut said) = (Vec::new(), String::new(), String::new());
    let mut open: Option<Snippet> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(snippet), None) => {
                snippet.text.push_str(line);
                snippet.text.push('\n');
            }
            (None, Some(language)) => {
                open = Some(Snippet {
                    page: page.clone(),
                    section: section.clone(),
                    language: language.to_owned(),
                    text: String::new(),
                    is_run: !said.to_ascii_lowercase().contains(NOT_RUN),
                });
            }
            (None, None) => match line.strip_prefix("## ") {
                Some(title) => (section, said) = (title.to_owned(), String::new()),
                None => said = format!("{said}{line} "),
            },
        }
    }
    found
}

/// What runs a snippet, and what stands before it.
fn runner(snippet: &Snippet) -> Option<(PathBuf, &'static [&'static str], &'static str)> {
    if OF_SYSTEM.contains(&snippet.page.as_str()) {
        return None;
    }
    Some(match snippet.language.as_str() {
        "python" => (python(), &[], ""),
        "js" => (find("node")?, &[], ""),
        "sh" => (find("bash")?, &["-eu"], ""),
        "php" => (find("php")?, &[], "<?php require '/usr/share/php/Monolog/autoload.php';\n"),
        "ruby" => (find("ruby")?, &[], ""),
        _ => return None,
    })
}

/// The texts that a snippet says it sends.
fn texts(snippet: &Snippet) -> Vec<&str> {
    let beginnings = snippet.text.match_indices("sent ").filter(|(at, _)| {
        let before = snippet.text[..*at].chars().next_back();
        matches!(before, Some('\'' | '"'))
    });
    beginnings
        .map(|(at, _)| {
            let rest = &snippet.text[at..];
            rest[..rest.find(['\'', '"', '%']).expect("a quote")].trim()
        })
        .collect()
}

/// A port that is free for both.
pub(super) fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = udp.local_addr().expect("bound").port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A snippet with other ports in place of those of the manual.
pub(super) fn ports_in_place(text: &str, http: &str, other: &str) -> String {
    // A port of the system's choice may look like one of the manual.
    let mut text = text.replace(HTTP_PORT, "{HTTP}");
    for port in PORTS {
        text = text.replace(port, "{OTHER}");
    }
    text.replace("{HTTP}", http).replace("{OTHER}", other)
}

/// Runs a snippet to its end; what it said when that is a bad one.
fn run(snippet: &Snippet, ports: (&str, &str), token: &str) -> Result<(), String> {
    let (program, arguments, before) = runner(snippet).expect("it was looked for");
    let text = ports_in_place(&snippet.text, ports.0, ports.1);
    // A file beside the modules: some clients look for theirs from where the program lies.
    let folder = tempfile::tempdir().expect("a folder");
    let modules = repository().join(".test-tools/node/node_modules");
    symlink(modules, folder.path().join("node_modules")).expect("a link");
    let file = folder.path().join("snippet");
    fs::write(&file, format!("{before}{text}")).expect("a file");
    let output = Command::new(program)
        .args(arguments)
        .arg(&file)
        .env("LOGWARDEN_TOKEN", token)
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_snippets_of_the_manual_do_what_they_say() {
    if !has("the manual", &["node", "bash", "curl", "logger"]) {
        return;
    }
    let port = free_port();
    let place = Place::new(&format!(
        "[http]\nallow = [\"127.0.0.0/8\"]\nsource = \"web\"\n[[listeners]]\nkind = \"auto\"\n[[listeners]]\nkind = \"auto\"\ntcp = \"127.0.0.1:{port}\"\nudp = \"127.0.0.1:{port}\"\nallow = [\"127.0.0.0/8\"]\nsource = \"hosts\"\n"
    ));
    let (token, reader) = (place.token("ingest", "shop"), place.token("reader", "desk"));
    let node = place.start().await;
    let desk = Client::new(&node, &reader);
    let http = node.http().rsplit_once(':').expect("a port").1.to_owned();
    let (mut tried, mut wrong) = (0, Vec::new());
    for snippet in pages().iter().flat_map(|page| snippets(page)) {
        let name = format!("{}, {} ({})", snippet.page, snippet.section, snippet.language);
        if !snippet.is_run || runner(&snippet).is_none() {
            continue;
        }
        let texts = texts(&snippet);
        if texts.is_empty() {
            wrong.push(format!("{name}: it says nothing that can be looked for"));
            continue;
        }
        let query = |text: &str| format!("\"{}\"", text.replace('"', "\\\""));
        let mut before = Vec::new();
        for text in &texts {
            before.push(desk.count(&query(text)).await);
        }
        match run(&snippet, (&http, &port.to_string()), &token) {
            Ok(()) => tried += 1,
            Err(said) if is_missing(&said) => {
                println!("NOT TRIED: {name}: {}", said.lines().last().unwrap_or_default());
                continue;
            }
            Err(said) => {
                wrong.push(format!("{name}: {said}"));
                continue;
            }
        }
        for (text, before) in texts.iter().zip(before) {
            desk.wait_for(&query(text), before + 1).await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{tried} snippets do what they say");
    assert!(tried >= 25, "{tried} snippets were run");
}

/// Whether a program ended for want of its client.
fn is_missing(said: &str) -> bool {
    ["No module named", "Cannot find module", "cannot load such file", "Failed opening required"]
        .iter()
        .any(|words| said.contains(words))
}

#[test]
fn a_snippet_that_nobody_runs_says_so() {
    for snippet in pages().iter().flat_map(|page| snippets(page)) {
        // Configuration of ours, and a daemon that runs among the shippers of Debian.
        let is_elsewhere = snippet.language == "toml"
            || OF_SYSTEM.contains(&snippet.page.as_str())
            || Program::of(&snippet).is_some();
        let is_run_here =
            ["python", "js", "sh", "php", "ruby"].contains(&snippet.language.as_str());
        assert!(!snippet.is_run || is_elsewhere || is_run_here, "{snippet:?} is not run");
    }
}
