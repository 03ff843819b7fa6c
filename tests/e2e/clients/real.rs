//! Real clients of Python, as PyPI and Python itself have them, ship the same events.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use super::Doors;
use super::events::{Event, Says, check, events};
use crate::harness::client::Client;
use crate::programs::{has, python, repository};

/// What each client says.
fn clients() -> [(&'static str, Says); 14] {
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

/// Runs one client to its end.
fn ship(doors: &Doors, client: &str, known: &[Event]) {
    let known: Vec<_> = known
        .iter()
        .map(|event| json!({"text": event.text, "level": event.level, "extra": event.extra}))
        .collect();
    let ports = [doors.http, doors.tcp, doors.udp].map(|address| address.port().to_string());
    let mut child = Command::new(python())
        .arg(repository().join("tests/e2e/clients/real.py"))
        .arg(client)
        .args(ports)
        .arg(&doors.token)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let input = serde_json::to_vec(&known).expect("JSON");
    child.stdin.take().expect("piped").write_all(&input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{client}: {said}");
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
    let (_place, node, doors, reader) = super::node().await;
    let desk = Client::new(&node, &reader);
    let mut wrong = Vec::new();
    for (number, (client, says)) in (0..).zip(clients()) {
        let mark = format!("real{number:03}");
        let known = events(&mark);
        ship(&doors, client, &known);
        desk.wait_for(&mark, known.len() as u64).await;
        let found = check(&desk, &mark, &known, says).await;
        wrong.extend(found.into_iter().map(|what| format!("{client}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
