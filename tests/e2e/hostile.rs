//! Sixty values that have made a browser, a spreadsheet, a terminal, a mail program or a template do something,
//! in every field of records and in what people write: they are read everywhere, and nothing else happens.

use std::path::Path;
use std::process::Command;

use logwarden_event::is_hidden;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::client::Client;
use crate::harness::node::{Node, Place};
use crate::harness::wait::{LONG, until};
use crate::mail::MailServer;
use crate::programs;

const USER: &str = "ada";
const PASSWORD: &str = "correct horse battery staple";
/// Finds every record that is shipped here.
const ALL: &str = "event.kind:hostile";
const FIELDS: [&str; 6] =
    ["user.name", "host.name", "event.action", "url.path", "http.user_agent", "service.name"];

/// One alert for each value.
const RULE: &str = r#"
title: "Hostile <b>value</b> {{ 7 * 7 }} \e[31m"
id: 5a2f8f2e-6b63-4f0e-9a55-1f6c0e0b7c01
name: hostile
logsource: {}
detection: { value: { event.kind: hostile }, condition: value }
level: high
logwarden: { entity: user.name, title: "Value {user.name}", what_to_do: "<script>alert(99)</script>" }
"#;

fn values() -> Vec<String> {
    serde_json::from_str(include_str!("../fixtures/hostile.json")).expect("a list of texts")
}

fn record(value: &str) -> String {
    let mut record = Map::new();
    record.insert("event.kind".into(), "hostile".into());
    record.insert("message".into(), value.into());
    for field in FIELDS {
        record.insert(field.into(), value.into());
    }
    record.insert(format!("name {value}"), "of a field".into());
    record.insert("list".into(), json!([value, { "deep": value }]));
    Value::Object(record).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hostile_values_are_read_and_do_nothing() {
    if !programs::has("hostile values in a mail", &["openssl"]) {
        return;
    }
    let place = Place::new("");
    let mail = MailServer::start(place.root()).await;
    std::fs::create_dir(place.file("rules")).expect("a folder");
    std::fs::write(place.file("rules/hostile.yml"), RULE).expect("written");
    place.configure(&format!(
        "public_url = \"https://logs.example\"\n[rules]\nbundled = false\ndirs = [\"rules\"]\n{}",
        mail.notifier("oncall")
    ));
    let node = place.start().await;
    first_administrator(&node).await;
    let client = Client::new(&node, &place.token("admin", "desk"));
    let values = values();
    assert_eq!(values.len(), 60);
    let records: Vec<String> = values.iter().map(|value| record(value)).collect();
    let taken = client.ingest(records.join("\n")).await.json();
    assert_eq!(taken["accepted"], 60, "{taken}");
    client.wait_for(ALL, 60).await;

    exports_hold_them(&client, &values).await;
    the_terminal_shows_them(&place, &node);
    people_write_them(&client, &values).await;
    mails_hold_them(&client, &mail, &values).await;
    the_dashboard_shows_them(&node).await;
    assert_eq!(node.stop().await, Some(0));
}

async fn first_administrator(node: &Node) {
    let body = json!({ "code": node.setup_code().await, "name": USER, "password": PASSWORD });
    let open = Client::new(node, "");
    let answer = Client::send(open.request(Method::POST, "/api/v1/setup").json(&body)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}

/// NDJSON gives back what was sent; CSV has as many cells as it should, and none that is computed.
async fn exports_hold_them(client: &Client, values: &[String]) {
    let export = async |body: Value| {
        let request = client.request(Method::POST, "/api/v1/export").json(&body);
        let answer = Client::send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    };
    let lines = export(json!({ "q": ALL, "format": "ndjson" })).await;
    let mut given: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|event| event["message"].as_str().expect("a text").to_owned())
        .collect();
    let mut sent = values.to_vec();
    given.sort();
    sent.sort();
    assert_eq!(given, sent);

    let fields = ["message", "user.name", "url.path"];
    let table = export(json!({ "q": ALL, "format": "csv", "fields": fields })).await;
    let rows = csv_rows(&table);
    assert_eq!(rows.len(), 61, "a value made a row");
    for row in &rows[1..] {
        assert_eq!(row.len(), fields.len(), "a value made a cell: {row:?}");
        for cell in row {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "computed: {cell:?}");
        }
    }
    for value in values {
        let is_it =
            |cell: &str| cell == value || cell.strip_prefix('\'').is_some_and(|rest| rest == value);
        assert!(rows.iter().any(|row| is_it(&row[0])), "{value:?} is not in the table");
    }
}

/// The cells of a CSV file (RFC 4180).
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (is_quoted, c) {
            (true, '"') if chars.peek() == Some(&'"') => cell.extend(chars.next()),
            (_, '"') => is_quoted = !is_quoted,
            (false, ',') => row.push(std::mem::take(&mut cell)),
            (false, '\r') => {}
            (false, '\n') => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            _ => cell.push(c),
        }
    }
    rows
}

fn the_terminal_shows_them(place: &Place, node: &Node) {
    let token = place.file("token");
    std::fs::write(&token, place.token("reader", "terminal")).expect("written");
    for format in ["table", "json", "ndjson", "csv"] {
        let output = place
            .command(&["search", ALL, "--limit", "100", "--format", format])
            .env("LOGWARDEN_URL", node.http())
            .env("LOGWARDEN_TOKEN_FILE", &token)
            .output()
            .expect("the binary starts");
        let said = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && said.lines().count() >= 60, "{format}: {said}");
        let acts = said.chars().find(|c| *c != '\n' && is_hidden(*c));
        // CSV ends its lines as RFC 4180 says.
        let acts = acts.filter(|c| format != "csv" || *c != '\r');
        assert_eq!(acts, None, "{format}: {said}");
    }
}

/// Notes, reasons and names are taken as they are.
async fn people_write_them(client: &Client, values: &[String]) {
    let alerts = until("an alert for each value", LONG, async || {
        let list = client.get("/api/v1/alerts", &[("limit", "100")]).await;
        let items = list["items"].as_array().expect("a list").clone();
        (items.len() == values.len()).then_some(items)
    })
    .await;
    let post = async |path: &str, body: Value| {
        let answer = Client::send(client.request(Method::POST, path).json(&body)).await;
        assert!(matches!(answer.status, 200 | 201), "{path} {body}: {}", answer.text);
    };
    for (alert, value) in alerts.iter().zip(values) {
        let path = format!("/api/v1/alerts/{}/notes", alert["id"].as_str().expect("an id"));
        post(&path, json!({ "text": format!("note {value}") })).await;
    }
    for value in values {
        let silence =
            json!({ "entity": value, "reason": format!("reason {value}"), "lasts": "1h" });
        post("/api/v1/silences", silence).await;
        let saved =
            json!({ "name": format!("saved {value}"), "content": { "q": value }, "shared": true });
        post("/api/v1/saved-searches", saved).await;
    }
}

async fn mails_hold_them(client: &Client, mail: &MailServer, values: &[String]) {
    until("everything was told", LONG, async || {
        let pending = [("state", "pending")];
        let list = client.get("/api/v1/deliveries", &pending).await;
        (list["items"] == json!([]) && !mail.mails().is_empty()).then_some(())
    })
    .await;
    let mails = mail.mails();
    let all: String = mails.iter().map(|mail| mail.part("text/plain")).collect();
    // Ten alerts within a minute become one mail, which names the first of them.
    let told = values.iter().filter(|value| all.contains(value.as_str())).count();
    assert!(told >= 10, "{told} values are in the mails");
    for mail in &mails {
        assert_eq!(mail.header("bcc"), "", "a value made a header");
        assert!(mail.header("subject").len() < 400);
        for part in ["text/plain", "text/html"].map(|kind| mail.part(kind)) {
            let acts = part.chars().find(|c| !matches!(c, '\n' | '\r' | '\t') && is_hidden(*c));
            assert_eq!(acts, None, "{part}");
            assert!(!part.contains("\nBcc:"), "{part}");
        }
        let html = mail.part("text/html").to_lowercase();
        for tag in ["<script", "<img", "<svg", "<iframe", "<form", "<object", "<link", "<math"] {
            assert!(!html.contains(tag), "{tag} in {html}");
        }
        let links = html.split("href=\"").skip(1);
        for link in links {
            assert!(link.starts_with("https:"), "{link}");
            assert!(!link.starts_with("https://evil"), "{link}");
        }
    }
    println!("{} mails tell of {told} values", mails.len());
}

async fn the_dashboard_shows_them(node: &Node) {
    let ui = programs::repository().join("web/ui");
    if !ui.join("node_modules/playwright-core").is_dir()
        || !programs::has("hostile values in a browser", &["node", "chromium"])
    {
        println!("NOT TRIED: hostile values in a browser: `make ui` installs what it needs");
        return;
    }
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("to-see-hostile");
    let mut command = Command::new(programs::find("node").expect("it is there"));
    command
        .arg("test/hostile.mjs")
        .arg(&shots)
        .current_dir(ui)
        .env("CHROMIUM", programs::find("chromium").expect("it is there"))
        .env("LOGWARDEN_VALUES", programs::repository().join("tests/fixtures/hostile.json"))
        .env("LOGWARDEN_URL", node.http())
        .env("LOGWARDEN_USER", USER)
        .env("LOGWARDEN_PASSWORD", PASSWORD);
    let walk = tokio::task::spawn_blocking(move || programs::run(&mut command));
    let output = walk.await.expect("the walk ended well");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("dashboard: {}", said.lines().last().unwrap_or_default());
}
