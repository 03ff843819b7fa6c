//! Real clients ship the same events: of Python, as PyPI and Python itself have them, of JavaScript, as
//! npm has them, and those that Debian has.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use super::Doors;
use super::events::{Event, Says, check, events};
use crate::harness::client::Client;
use crate::programs::{find, has, python, repository, run};

/// What each client of Python says.
fn clients_of_python() -> [(&'static str, Says); 14] {
    let level = Says { level: true, ..Says::default() };
    let number = Says { number: "n", ..level };
    let all = Says { order: "order.id", ..number };
    let gelf = Says { number: "_n", ..level };
    [
        ("HTTPHandler", level),
        ("SysLogHandler over TCP", level),
        ("SysLogHandler over UDP", level),
        ("elasticsearch", all),
        ("opensearch-py", all),
        ("splunk-handler", Says::default()),
        ("python-logging-loki", level),
        ("OpenTelemetry over HTTP", all),
        ("OpenTelemetry over gRPC", all),
        ("graypy over UDP", gelf),
        ("graypy over TCP", gelf),
        ("fluent-logger", all),
        ("python-logstash-async, Beats", level),
        ("python-logstash-async, TCP", level),
    ]
}

/// What each client of JavaScript says.
fn clients_of_javascript() -> [(&'static str, Says); 24] {
    let level = Says { level: true, ..Says::default() };
    let all = Says { number: "n", order: "order.id", ..level };
    // It gives away what stands beside the text.
    let text = Says { level: false, ..all };
    let gelf = Says { number: "_n", order: "_order_id", ..level };
    [
        ("winston, Http", all),
        ("winston, Http in batches", all),
        // The number stands in the line, and as text beside it.
        ("winston-loki, JSON", Says { number: "", ..all }),
        ("winston-loki, Protocol Buffers", all),
        ("winston-elasticsearch", Says { number: "fields.n", order: "fields.order.id", ..level }),
        ("winston-syslog over TCP", all),
        ("winston-syslog over UDP", all),
        ("pino-loki", all),
        ("pino-elasticsearch", all),
        ("pino-socket over TCP", all),
        ("pino-socket over UDP", all),
        ("bunyan", all),
        ("@fluent-org/logger, Message", all),
        ("@fluent-org/logger, Forward", all),
        ("@fluent-org/logger, PackedForward", all),
        ("@fluent-org/logger, CompressedPackedForward", all),
        ("gelf-pro over UDP", gelf),
        ("gelf-pro over TCP", gelf),
        ("OpenTelemetry, JSON", all),
        ("OpenTelemetry, Protocol Buffers", all),
        ("OpenTelemetry, gRPC", all),
        ("splunk-logging", text),
        ("@elastic/elasticsearch", all),
        ("@opensearch-project/opensearch", all),
    ]
}

/// What each shipper of Debian says, and a file without which it cannot be tried.
fn shippers() -> [(&'static str, Says, &'static str); 12] {
    let level = Says { level: true, ..Says::default() };
    // A line break becomes a number.
    let numbered = Says { line_break: Some("#012"), ..level };
    let lines = Says { only_lines: true, ..level };
    let (logger, rsyslog) = ("/usr/bin/logger", "/usr/sbin/rsyslogd");
    let syslog_ng = ".test-tools/syslog-ng/usr/sbin/syslog-ng";
    [
        ("logger over TCP, counted", level, logger),
        ("logger over UDP, RFC 5424", level, logger),
        ("logger over UDP, RFC 3164", level, logger),
        ("rsyslog over TCP", numbered, rsyslog),
        ("rsyslog over TCP, counted", numbered, rsyslog),
        ("rsyslog over UDP", numbered, rsyslog),
        ("rsyslog, omrelp", numbered, "/usr/lib/x86_64-linux-gnu/rsyslog/omrelp.so"),
        (
            "rsyslog, omelasticsearch",
            numbered,
            "/usr/lib/x86_64-linux-gnu/rsyslog/omelasticsearch.so",
        ),
        ("syslog-ng, syslog()", level, syslog_ng),
        ("syslog-ng, network()", lines, syslog_ng),
        ("syslog-ng, http()", level, syslog_ng),
        ("systemd-journal-upload", level, "/lib/systemd/systemd-journal-upload"),
    ]
}

/// What the logging libraries of Java, PHP and Ruby say, with the file that each is.
fn libraries() -> [(&'static str, Says, &'static str); 10] {
    let level = Says { level: true, ..Says::default() };
    let lines = Says { only_lines: true, ..level };
    let (log4j, logback) =
        ("/usr/share/java/log4j-core.jar", "/usr/share/java/logback-classic.jar");
    let monolog = "/usr/share/php/Monolog/autoload.php";
    [
        ("Log4j 2, syslog over TCP", lines, log4j),
        ("Log4j 2, syslog over UDP", level, log4j),
        ("Log4j 2, GELF over TCP", level, log4j),
        ("Log4j 2, GELF over UDP", level, log4j),
        ("Log4j 2, JSON over TCP", level, log4j),
        ("Log4j 2, Http", level, log4j),
        ("Logback, SyslogAppender", level, logback),
        ("Monolog, SyslogUdpHandler", lines, monolog),
        (
            "Monolog, SocketHandler",
            Says { number: "context.n", order: "context.order.id", ..level },
            monolog,
        ),
        // It shifts levels down.
        (
            "gelf for Ruby",
            Says { number: "_n", order: "_order.id", ..Says::default() },
            "/usr/bin/ruby",
        ),
    ]
}

/// Those whose file is there; says which are not.
fn that_are_here(all: &[(&'static str, Says, &'static str)]) -> Vec<(&'static str, Says)> {
    let is_here = |file: &str| repository().join(file).is_file();
    for (client, _, file) in all.iter().filter(|(.., file)| !is_here(file)) {
        println!("NOT TRIED: {client}: scripts/test-tools.sh installs {file} where Debian has it");
    }
    all.iter()
        .filter(|(.., file)| is_here(file))
        .map(|(client, says, _)| (*client, *says))
        .collect()
}

/// Where what Log4j 2 and Logback need is.
pub(super) fn class_path() -> String {
    let jars = [
        "log4j-api",
        "log4j-core",
        "logback-classic",
        "logback-core",
        "slf4j-api",
        "jackson-core",
        "jackson-databind",
        "jackson-annotations",
    ];
    jars.map(|jar| format!("/usr/share/java/{jar}.jar")).join(":")
}

/// Runs one client to its end; `command` has everything but the name of the client and where to send.
fn ship(mut command: Command, doors: &Doors, client: &str, known: &[Event]) -> Result<(), String> {
    let known: Vec<_> = known
        .iter()
        .map(|event| json!({"text": event.text, "level": event.level, "extra": event.extra}))
        .collect();
    let ports = [doors.http, doors.tcp, doors.udp].map(|address| address.port().to_string());
    let mut child = command
        .arg(client)
        .args(ports)
        .arg(&doors.token)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let input = serde_json::to_vec(&known).expect("JSON");
    child.stdin.take().expect("piped").write_all(&input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{client}: {said}")) }
}

/// Lets each of the clients send its own events, and looks what became of them.
async fn try_all(clients: &[(&'static str, Says)], command: impl Fn(&str) -> Command) {
    let (_place, node, doors, reader) = super::node().await;
    let desk = Client::new(&node, &reader);
    let mut wrong = Vec::new();
    for (number, (client, says)) in (0..).zip(clients) {
        let mark = format!("real{number:03}");
        let mut known = events(&mark);
        if says.only_lines {
            known.retain(Event::is_one_line);
        }
        if let Err(failed) = ship(command(client), &doors, client, &known) {
            wrong.push(failed);
            continue;
        }
        desk.wait_for(&mark, known.len() as u64).await;
        let found = check(&desk, &mark, &known, *says).await;
        wrong.extend(found.into_iter().map(|what| format!("{client}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_clients_of_python_are_taken_as_they_are() {
    let modules = "import fluent, graypy, elasticsearch, opensearchpy, grpc, logstash_async";
    let has_modules = has("clients of Python", &[])
        && Command::new(python())
            .args(["-c", modules])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    if !has_modules {
        println!("NOT TRIED: clients of Python: scripts/test-tools.sh installs them");
        return;
    }
    let command = |_: &str| {
        let mut command = Command::new(python());
        command.arg(repository().join("tests/e2e/clients/real.py"));
        command
    };
    try_all(&clients_of_python(), command).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_clients_of_javascript_are_taken_as_they_are() {
    let folder = repository().join(".test-tools/node");
    let (Some(node), true) = (find("node"), folder.join("node_modules/winston").is_dir()) else {
        println!("NOT TRIED: clients of JavaScript: scripts/test-tools.sh installs them");
        return;
    };
    let command = |_: &str| {
        let mut command = Command::new(&node);
        command.arg(repository().join("tests/e2e/clients/real.mjs")).arg(&folder);
        command
    };
    try_all(&clients_of_javascript(), command).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shippers_of_debian_are_taken_as_they_are() {
    if !has("shippers of Debian", &[]) {
        return;
    }
    let command = |_: &str| {
        let mut command = Command::new(python());
        command.arg(repository().join("tests/e2e/clients/shippers.py"));
        command
    };
    try_all(&that_are_here(&shippers()), command).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logging_libraries_of_debian_are_taken_as_they_are() {
    let folder = repository().join("tests/e2e/clients");
    let classes = tempfile::tempdir().expect("a folder");
    let clients = that_are_here(&libraries());
    if clients.iter().any(|(client, _)| client.starts_with("Log")) {
        let mut compiler = Command::new("javac");
        compiler.args(["-cp", &class_path(), "-d"]).arg(classes.path());
        run(compiler.arg(folder.join("Shop.java")));
    }
    let command = |client: &str| {
        let (program, script) = match client {
            "gelf for Ruby" => ("ruby", "real.rb"),
            _ if client.starts_with("Monolog") => ("php", "real.php"),
            _ => {
                let path = format!("{}:{}", classes.path().display(), class_path());
                let mut command = Command::new("java");
                command.args(["-XX:TieredStopAtLevel=1", "-cp", &path, "Shop"]);
                return command;
            }
        };
        let mut command = Command::new(program);
        command.arg(folder.join(script));
        command
    };
    try_all(&clients, command).await;
}
