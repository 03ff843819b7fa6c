//! The snippets of the manual that are the configuration of a program: rsyslog, syslog-ng, Log4j 2 and
//! Logback run with each as it stands, but for ports and token, and an event that they are handed must
//! arrive once by every way that the snippet has.

use std::any::Any;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::manual::{Snippet, free_port, pages, ports_in_place, snippets};
use super::real::class_path;
use crate::harness::client::Client;
use crate::harness::node::Place;
use crate::harness::wait::{LONG, until};
use crate::programs::{Running, has, repository, run};
use crate::rsyslog::Rsyslog;

/// Whose configuration a snippet is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Rsyslog,
    SyslogNg,
    Log4j,
    Logback,
}

impl Program {
    /// The one that a snippet is for.
    pub(super) fn of(snippet: &Snippet) -> Option<Self> {
        let is_of = |name| snippet.section.starts_with(name);
        match snippet.language.as_str() {
            "" if is_of("rsyslog") => Some(Self::Rsyslog),
            "" if is_of("syslog-ng") => Some(Self::SyslogNg),
            "xml" if snippet.text.contains("ch.qos.logback") => Some(Self::Logback),
            "xml" if is_of("Log4j 2") => Some(Self::Log4j),
            _ => None,
        }
    }

    /// Files without which it cannot be tried.
    fn files(self, snippet: &Snippet) -> Vec<String> {
        let modules = ["omrelp", "omelasticsearch"];
        match self {
            Self::Rsyslog => modules
                .into_iter()
                .filter(|module| snippet.text.contains(module))
                .map(|module| format!("/usr/lib/x86_64-linux-gnu/rsyslog/{module}.so"))
                .collect(),
            Self::SyslogNg => vec![".test-tools/syslog-ng/usr/sbin/syslog-ng".to_owned()],
            Self::Log4j => vec!["/usr/share/java/log4j-core.jar".to_owned()],
            Self::Logback => vec!["/usr/share/java/logback-classic.jar".to_owned()],
        }
    }

    /// By how many ways an event leaves.
    fn ways(self, configuration: &str) -> u64 {
        let way = match self {
            Self::Rsyslog => "action(",
            Self::SyslogNg => "destination ",
            Self::Log4j | Self::Logback => return 1,
        };
        configuration.matches(way).count() as u64
    }

    /// Starts it in a new folder and hands it an event; a daemon runs as long as what is given is held.
    async fn tell(
        self,
        folder: &Path,
        configuration: &str,
        text: &str,
        token: &str,
    ) -> Box<dyn Any> {
        match self {
            Self::Rsyslog => {
                let daemon = Rsyslog::start_with(folder, configuration).await;
                daemon.log(&[format!("Nov 22 04:22:59 web1 shop: {text}")]).await;
                Box::new(daemon)
            }
            Self::SyslogNg => Box::new(syslog_ng(folder, configuration, text).await),
            Self::Log4j => {
                let whole = format!(
                    "<Configuration status='ERROR'><Appenders>{configuration}</Appenders><Loggers>\
                     <Root level='debug'><AppenderRef ref='logwarden'/></Root></Loggers></Configuration>"
                );
                java("Log4j 2", folder, &whole, (text, token));
                Box::new(())
            }
            Self::Logback => {
                let whole = format!(
                    "<configuration>{configuration}<root level='debug'>\
                     <appender-ref ref='logwarden'/></root></configuration>"
                );
                java("Logback", folder, &whole, (text, token));
                Box::new(())
            }
        }
    }
}

/// A syslog-ng that takes counted messages and hands each to all destinations.
async fn syslog_ng(folder: &Path, destinations: &str, text: &str) -> Running {
    let unpacked = repository().join(".test-tools/syslog-ng/usr");
    let mut modules = fs::read_dir(unpacked.join("lib/syslog-ng")).expect("its modules");
    let modules = modules.next().expect("a version").expect("a folder").path();
    let names =
        destinations.split("destination ").skip(1).filter_map(|rest| rest.split(' ').next());
    let logs: String =
        names.map(|name| format!("log {{ source(in); destination({name}); }};\n")).collect();
    let port = free_port();
    let configuration = format!(
        "@version: 3.35\noptions {{ keep-hostname(yes); stats-freq(0); }};\nsource in {{ \
         syslog(ip(\"127.0.0.1\") port({port}) transport(\"tcp\")); }};\n{destinations}\n{logs}"
    );
    let file = folder.join("syslog-ng.conf");
    fs::write(&file, configuration).expect("a configuration");
    let running = Command::new(unpacked.join("sbin/syslog-ng"))
        .args(["--foreground", "--no-caps", "--cfgfile"])
        .arg(&file)
        .arg("--module-path")
        .arg(&modules)
        .arg("--persist-file")
        .arg(folder.join("persist"))
        .arg("--pidfile")
        .arg(folder.join("pid"))
        .arg("--control")
        .arg(folder.join("control"))
        .env("LD_LIBRARY_PATH", modules.parent().expect("a folder"))
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(Running)
        .expect("syslog-ng starts");
    let mut stream = until("syslog-ng listens", LONG, async || {
        TcpStream::connect(("127.0.0.1", port)).await.ok()
    })
    .await;
    let message = format!("<12>1 2026-11-22T04:22:59Z web1 shop - - - {text}");
    let counted = format!("{} {message}", message.len());
    stream.write_all(counted.as_bytes()).await.expect("it reads");
    stream.shutdown().await.expect("it reads to the end");
    running
}

/// Logs one event with this configuration.
fn java(library: &str, folder: &Path, configuration: &str, (text, token): (&str, &str)) {
    let file = folder.join("configuration.xml");
    fs::write(&file, configuration).expect("a configuration");
    let mut command = Command::new("java");
    command
        .args(["-XX:TieredStopAtLevel=1", "-cp", &class_path()])
        .arg(repository().join("tests/e2e/clients/Snippet.java"))
        .arg(library)
        .arg(file)
        .arg(text)
        .env("LOGWARDEN_TOKEN", token);
    run(&mut command);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configurations_of_the_manual_do_what_they_say() {
    if !has("configurations of the manual", &["rsyslogd", "java"]) {
        return;
    }
    let port = free_port();
    let place = Place::new(&format!(
        "[[listeners]]\nkind = \"auto\"\n[[listeners]]\nkind = \"auto\"\ntcp = \"127.0.0.1:{port}\"\nudp = \"127.0.0.1:{port}\"\nallow = [\"127.0.0.0/8\"]\nsource = \"hosts\"\n"
    ));
    let (token, reader) = (place.token("ingest", "shop"), place.token("reader", "desk"));
    let node = place.start().await;
    let desk = Client::new(&node, &reader);
    let http = node.http().rsplit_once(':').expect("a port").1.to_owned();
    let (mut tried, mut found) = (0, 0);
    for snippet in pages().iter().flat_map(|page| snippets(page)) {
        let Some(program) = Program::of(&snippet).filter(|_| snippet.is_run) else { continue };
        let name = format!("{}, {} ({program:?})", snippet.page, snippet.section);
        found += 1;
        let is_missing = |file: &String| !repository().join(file).is_file();
        if let Some(file) = program.files(&snippet).into_iter().find(is_missing) {
            println!("NOT TRIED: {name}: scripts/test-tools.sh installs {file}");
            continue;
        }
        let text = format!("sent by configuration number{found} of the manual");
        let configuration = ports_in_place(&snippet.text, &http, &port.to_string());
        let literal = configuration.replace("\"LOGWARDEN_TOKEN\"", &format!("\"{token}\""));
        let folder = tempfile::tempdir().expect("a folder");
        let told = program.tell(folder.path(), &literal, &text, &token).await;
        let (query, ways) = (format!("\"{text}\""), program.ways(&literal));
        println!("{name}: {ways}");
        desk.wait_for(&query, ways).await;
        drop(told);
        assert_eq!(desk.count(&query).await, ways, "{name}");
        tried += 1;
    }
    assert!(found >= 9, "{found} configurations were found");
    println!("{tried} of {found} configurations do what they say");
}
