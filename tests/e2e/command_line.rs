//! The command line as an administrator types it: what it prints, and its exit codes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::node::{Node, Place};
use crate::harness::wait::{LONG, until};
use crate::programs::{Running, repository};

/// The exit codes of the manual.
const GOOD: i32 = 0;
const BAD: i32 = 1;
const USAGE: i32 = 2;
const ENVIRONMENT: i32 = 3;

/// Runs a command and gives what it printed on both outputs.
fn check(mut command: Command, code: i32) -> (String, String) {
    let output: Output = command.stdin(Stdio::null()).output().expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let (said, complained) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{said}{complained}");
    assert!(code == GOOD || !complained.is_empty(), "{command:?} does not say why");
    (said, complained)
}

/// A command for the data directory of `place`.
fn local(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    command.arg("--data-dir").arg(place.data_dir());
    command
}

/// A command for a running node, with a token.
fn remote(place: &Place, node: &Node, token: &str, arguments: &[&str]) -> Command {
    let file = place.file(&format!("token-{}", &token[token.len() - 8..]));
    fs::write(&file, format!("{token}\n")).expect("a token file");
    let mut command = place.command(arguments);
    command.env("LOGWARDEN_URL", node.http()).env("LOGWARDEN_TOKEN_FILE", file);
    command
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked_while_the_node_runs() {
    let place = Place::new("");
    // An empty directory gets a catalog, and the node that starts there later knows the tokens.
    let (early, reader) = (place.token("ingest", "early"), place.token("reader", "desk"));
    assert!(!place.data_dir().join("wal").exists(), "more than the catalog was made");
    let node = place.start().await;
    assert_eq!(Client::new(&node, &early).ingest("{}").await.status, 200);

    let create = ["token", "create", "--role", "ingest", "--name", "late", "--source", "edge"];
    let (said, _) = check(local(&place, &create), GOOD);
    assert_eq!((said.lines().count(), said.trim().contains(' ')), (1, false), "not alone: {said}");
    let late = Client::new(&node, said.trim());
    until("the new token is known", LONG, async || {
        (late.ingest("{\"from\":\"late\"}").await.status == 200).then_some(())
    })
    .await;
    Client::new(&node, &reader).wait_for("lw.source:edge", 1).await;

    let (_, complaint) = check(local(&place, &create), BAD);
    assert!(complaint.contains("late"), "{complaint}");
    check(local(&place, &["token", "create", "--role", "king", "--name", "x"]), USAGE);
    check(
        local(
            &place,
            &["token", "create", "--role", "ingest", "--name", "x", "--expires", "9 moons"],
        ),
        USAGE,
    );
    let narrowed = ["token", "create", "--role", "reader", "--name", "x", "--filter", "* | head 1"];
    let (_, complaint) = check(local(&place, &narrowed), USAGE);
    assert!(complaint.contains("pipes"), "{complaint}");
    check(local(&place, &["token", "revoke", "nobody"]), BAD);

    check(local(&place, &["token", "revoke", "late"]), GOOD);
    // Another process revoked it, so the node has to notice.
    until("the revoked token is refused", LONG, async || {
        (late.ingest("{}").await.refusal() == "401 unauthorized").then_some(())
    })
    .await;
    audited(&node, &place.token("admin", "auditor")).await;
    let (said, _) = check(local(&place, &["token", "list"]), GOOD);
    let line = |name: &str| said.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(line("late ").ends_with("revoked") && !line("early ").ends_with("revoked"), "{said}");
    assert!(!said.contains(&early), "the list shows tokens");
}

/// What the commands did is in the audit records, whether a node ran then or not, and what they did not do is not.
async fn audited(node: &Node, auditor: &str) {
    let auditor = Client::new(node, auditor);
    let done = async || {
        let query = "dataset:logwarden.audit AND lw.principal:\"command line\"";
        let found = auditor.search(query, 100).await;
        let mut said: Vec<String> =
            found["hits"].as_array().into_iter().flatten().map(done_by).collect();
        said.sort();
        (said.len() >= 5).then_some(said)
    };
    let lines = until("the audit records", LONG, done).await;
    let made = ["auditor", "desk", "early", "late"].map(|name| format!("token.create {name}"));
    assert_eq!(lines, [&made[..], &["token.revoke late".to_owned()]].concat());
}

fn done_by(hit: &Value) -> String {
    let field = |name: &str| hit["fields"][name].as_str().unwrap_or_default().to_owned();
    format!("{} {}", field("event.action"), field("lw.object"))
}

#[tokio::test]
async fn a_user_made_on_the_command_line_signs_in() {
    let place = Place::new("");
    fs::write(place.file("password"), "correct horse battery staple\n").expect("a password");
    fs::write(place.file("short"), "short\n").expect("a password");
    let create = |name, role, file| {
        local(&place, &["user", "create", name, "--role", role, "--password-file", file])
    };
    check(create("ada", "analyst", "password"), GOOD);
    check(create("ada", "analyst", "password"), BAD);
    check(create("bob", "analyst", "short"), BAD);
    check(create("bob", "king", "password"), USAGE);
    let (_, complaint) = check(create("bob", "ingest", "password"), USAGE);
    assert!(complaint.contains("role of tokens"), "{complaint}");
    check(create("bob", "analyst", "no-such-file"), ENVIRONMENT);

    let node = place.start().await;
    let sign_in = async |password: &str| {
        let request = Client::new(&node, "").request(Method::POST, "/api/v1/session");
        Client::send(request.json(&json!({ "name": "ada", "password": password }))).await
    };
    let answer = sign_in("correct horse battery staple").await;
    assert_eq!((answer.status, answer.json()["role"].clone()), (200, json!("analyst")));
    assert_eq!(sign_in("wrong").await.refusal(), "401 bad_credentials");
}

#[tokio::test]
async fn a_search_prints_every_format_and_no_control_character() {
    let place = Place::new("");
    let sender = place.token("ingest", "shop");
    let reader = place.token("reader", "desk");
    let node = place.start().await;
    let evil = json!({ "message": "\u{1b}[31mred\u{7}", "user.name": "=cmd()", "n": 1 });
    let lines = format!("{evil}\n{}\n", json!({ "message": "plain", "n": 2 }));
    assert_eq!(Client::new(&node, &sender).ingest(lines).await.status, 200);
    Client::new(&node, &reader).wait_for("n:*", 2).await;

    let search =
        |arguments: &[&str]| remote(&place, &node, &reader, &[&["search"][..], arguments].concat());
    let (table, _) = check(search(&["n:*"]), GOOD);
    assert!(table.contains("2 of 2 events") && table.contains("plain"), "{table}");
    let (text, _) = check(search(&["n:*", "--format", "json"]), GOOD);
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&answer["total"], &answer["complete"]), (&json!(2), &json!(true)));
    let (lines, _) = check(search(&["n:*", "--format", "ndjson", "--limit", "1"]), GOOD);
    let hit: Value = serde_json::from_str(lines.trim_end()).expect("one line of JSON");
    assert!(hit["id"].is_string(), "{hit}");
    let (csv, _) = check(search(&["n:*", "--format", "csv"]), GOOD);
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.contains("\"'=cmd()\""), "a formula stays one: {csv}");
    for (format, text) in [("table", &table), ("json", &text), ("ndjson", &lines), ("csv", &csv)] {
        let hidden = text.chars().filter(|c| c.is_control() && !"\r\n".contains(*c)).count();
        assert_eq!(hidden, 0, "{format} holds control characters: {text:?}");
    }
    let (raw, _) = check(search(&["n:1", "--raw"]), GOOD);
    assert!(raw.contains("\u{1b}[31mred"), "{raw:?}");

    let (groups, _) = check(search(&["n:* | stats count() by n", "--format", "ndjson"]), GOOD);
    assert_eq!(groups.lines().count(), 2, "{groups}");
    let (none, _) = check(search(&["n:*", "--from", "now-2h", "--to", "now-1h"]), GOOD);
    assert!(none.contains("0 of 0 events"), "{none}");
    let (_, complaint) = check(search(&["n:("]), BAD);
    assert!(complaint.contains("400"), "{complaint}");
    check(search(&["n:*", "--format", "xml"]), USAGE);
    check(search(&[]), USAGE);
    let mut stranger = search(&["n:*"]);
    check(
        {
            stranger.env_remove("LOGWARDEN_TOKEN_FILE");
            stranger
        },
        BAD,
    );
    let mut nowhere = search(&["n:*"]);
    // Port 9 is the discard service's, which nobody runs on loopback.
    check(
        {
            nowhere.env("LOGWARDEN_URL", "http://127.0.0.1:9");
            nowhere
        },
        ENVIRONMENT,
    );
}

#[tokio::test]
async fn a_tail_prints_what_matches_as_it_comes() {
    let place = Place::new("");
    let sender = place.token("ingest", "shop");
    let reader = place.token("reader", "desk");
    let node = place.start().await;
    let sender = Client::new(&node, &sender);
    let file = place.file("tail.txt");
    let mut command = remote(&place, &node, &reader, &["tail", "message:bell"]);
    let _running = command
        .stdout(File::create(&file).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .map(Running)
        .expect("the binary starts");
    let mut sent = 0;
    let printed = until("a line of the tail", LONG, async || {
        // It only shows what comes after it began, so it is sent again until then.
        sent += 1;
        let lines = format!(
            "{}\n{}\n",
            json!({ "message": format!("bell \u{1b}[2J {sent}") }),
            json!({ "message": "quiet" })
        );
        assert_eq!(sender.ingest(lines).await.status, 200);
        let text = fs::read_to_string(&file).expect("its output");
        text.ends_with('\n').then_some(text)
    })
    .await;
    assert!(printed.lines().all(|line| line.contains("bell \\u{1b}[2J")), "{printed:?}");
}

#[test]
fn rules_are_checked_and_tested_without_a_node() {
    let place = Place::new("");
    let bundled = repository().join("alerting/rules");
    let bundled = bundled.to_str().expect("a path of text");
    let (said, _) = check(place.command(&["rules", "check", bundled]), GOOD);
    assert!(said.contains(" 0 problems"), "{said}");
    let (said, _) = check(place.command(&["rules", "test", "--format", "table"]), GOOD);
    assert!(said.contains(" 0 failed") && said.contains("passed"), "{said}");
    let (said, _) = check(place.command(&["rules", "test", "--format", "junit"]), GOOD);
    assert!(said.contains("failures=\"0\""), "{said}");

    let failure = |second: u32| {
        json!({ "time": format!("2026-01-01T00:00:{second:02}Z"), "message": "no",
            "event": { "category": "authentication", "outcome": "failure" },
            "user": { "name": "root" }, "source": { "ip": "203.0.113.5" } })
        .to_string()
            + "\n"
    };
    let first = json!({ "time": "2026-01-01T00:00:00Z", "message": "first" });
    let events = format!("{first}\n") + &(1..=12).map(failure).collect::<String>();
    fs::write(place.file("events.ndjson"), events).expect("a file");
    let (said, _) = check(
        place.command(&["rules", "test", "--rules", bundled, "--events", "events.ndjson"]),
        GOOD,
    );
    let matches: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // The tenth failure, at line 10 counted from zero.
    let spike = json!({ "rule_id": "5a2f8f2e-6b63-4f0e-9a55-1f6c0e0b7a10", "event_index": 10 });
    assert_eq!(matches, [spike], "{said}");
    let rule = "title: r\nid: r\nlogsource: { product: windows }\n\
                detection: { s: { EventID: 104, SubjectUserName: bob }, condition: s }\n";
    fs::write(place.file("cleared.yml"), rule).expect("a file");
    let cleared = json!({ "Event": { "System": { "EventID": 104, "Channel": "System" },
        "UserData": { "LogFileCleared": { "SubjectUserName": "bob" } } } });
    fs::write(place.file("event.json"), format!("{cleared:#}\n{cleared:#}\n")).expect("a file");
    let (said, _) = check(
        place.command(&["rules", "test", "--rules", "cleared.yml", "--events", "event.json"]),
        GOOD,
    );
    let hit = |index: u32| format!("{{\"rule_id\":\"r\",\"event_index\":{index}}}\n");
    assert_eq!(said, hit(0) + &hit(1));

    write_rule(&place.file("wrong.yml"), "condition: sel and nothing", 1);
    let (said, _) = check(place.command(&["rules", "check", "wrong.yml"]), BAD);
    let place_of_it = said.lines().next().unwrap_or_default();
    assert!(place_of_it.starts_with("wrong.yml:7:"), "{said}");
    write_rule(&place.file("untrue.yml"), "condition: sel", 2);
    let (said, _) = check(place.command(&["rules", "test", "--rules", "untrue.yml"]), BAD);
    assert!(said.contains("\"passed\":false"), "{said}");
    check(place.command(&["rules", "check", "no-such-file.yml"]), ENVIRONMENT);
    check(place.command(&["rules", "check"]), USAGE);
}

/// A rule with one test, which expects so many matches and has one.
fn write_rule(file: &Path, condition: &str, expected: u32) {
    let text = format!(
        "title: t\nid: t\nlogsource: {{}}\ndetection:\n  sel:\n    user.name: root\n  {condition}\nlevel: low\nlogwarden:\n  tests:\n    - name: one\n      events: [ {{ user.name: root }} ]\n      expect: {expected}\n"
    );
    fs::write(file, text).expect("a rule");
}

#[tokio::test]
async fn a_configuration_is_checked_shown_and_refused() {
    let place = Place::new("");
    let config = |action: &str| place.command(&["config", action, "--config", "logwarden.toml"]);
    place.configure(
        "public_url = \"https://logs.example\"\n[[notifiers]]\nname = \"pager\"\nkind = \"webhook\"\nurl = \"https://pager.example/hook\"\nsecret = \"env:HOOK_SECRET\"\n",
    );
    let mut with_secret = config("check");
    check(
        {
            with_secret.env("HOOK_SECRET", "s3cret");
            with_secret
        },
        GOOD,
    );
    let mut with_secret = config("show");
    let (said, _) = check(
        {
            with_secret.env("HOOK_SECRET", "s3cret");
            with_secret
        },
        GOOD,
    );
    assert!(said.contains("https://pager.example/"), "{said}");
    assert!(!said.contains("HOOK_SECRET") && !said.contains("s3cret"), "{said}");

    place.configure("[http]\nlisten = \"127.0.0.1:0\"\nlitsen = 1\n");
    let (_, complaint) = check(config("check"), BAD);
    assert!(complaint.contains("line 3") && complaint.contains("litsen"), "{complaint}");
    let serve = ["serve", "--config", "logwarden.toml"];
    let (_, complaint) = check(place.command(&serve), USAGE);
    assert!(complaint.contains("litsen"), "{complaint}");
    place.configure("[http]\nlisten = \"0.0.0.0:0\"\n");
    let (_, complaint) = check(config("check"), BAD);
    assert!(complaint.contains("http.listen") && complaint.contains("insecure"), "{complaint}");
    let tls = "tls = { cert = \"none.pem\", key = \"none.key\" }\n";
    for (text, named) in [
        (format!("[http]\n{tls}"), "none.pem"),
        (format!("[[listeners]]\nkind = \"json\"\ntcp = \"127.0.0.1:0\"\n{tls}"), "none.pem"),
        ("[storage]\nmaster_key = \"file:none.key\"\n".to_owned(), "none.key"),
        ("[storage]\nmaster_key = \"env:LW_SHORT_KEY\"\n".to_owned(), "64 hexadecimal digits"),
        ("[storage.s3]\nbucket = \"b\"\naccess_key = \"env:LW_NONE\"\nsecret_key = \"env:LW_NONE\"\n".to_owned(), "LW_NONE"),
        ("[[oidc]]\nname = \"corp\"\nclient_id = \"lw\"\nissuer = \"https://id.example\"\nclient_secret = \"env:LW_NONE\"\n".to_owned(), "LW_NONE"),
    ] {
        place.configure(&text);
        let mut asked = config("check");
        asked.env("LW_SHORT_KEY", "00ff");
        let (_, complaint) = check(asked, BAD);
        assert!(complaint.contains(named), "{text}: {complaint}");
    }

    place.configure("");
    let node = place.start().await;
    let taken = node.http().trim_start_matches("http://");
    let other = place.file("other");
    let other = other.to_str().expect("a path of text");
    let (_, complaint) = check(
        place.command(&["serve", "--http", taken, "--tcp", "127.0.0.1:0", "--data-dir", other]),
        ENVIRONMENT,
    );
    assert!(complaint.contains(taken), "the port is not named: {complaint}");
    let second = ["serve", "--http", "127.0.0.1:0", "--tcp", "127.0.0.1:0"];
    let (_, complaint) = check(local(&place, &second), ENVIRONMENT);
    assert!(complaint.contains("data"), "the directory is not named: {complaint}");
}

#[tokio::test]
async fn status_says_how_the_node_is() {
    let place = Place::new("");
    let reader = place.token("reader", "desk");
    let node = place.start().await;
    let status = |arguments: &[&str]| remote(&place, &node, &reader, arguments);
    let (said, _) = check(status(&["status"]), GOOD);
    assert!(said.starts_with("status: ready\n") && said.contains("journal: "), "{said}");
    let (said, _) = check(status(&["status", "--json"]), GOOD);
    let health: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(health["status"], "ready");
    let mut stranger = status(&["status"]);
    let (said, _) = check(
        {
            stranger.env_remove("LOGWARDEN_TOKEN_FILE");
            stranger
        },
        GOOD,
    );
    assert_eq!(said, "status: ready\n", "details without a token");
    let address = node.http().to_owned();
    assert_eq!(node.stop().await, Some(0));
    let mut gone = place.command(&["status"]);
    check(
        {
            gone.env("LOGWARDEN_URL", address);
            gone
        },
        ENVIRONMENT,
    );
}

#[tokio::test]
async fn the_demo_shows_an_attack_and_what_was_told() {
    let place = Place::new("");
    let demo = Demo::start(&place).await;
    let (visitor, cookie) = demo.visit().await;

    let alerts = "/api/v1/alerts?rule=failed_login_spike";
    until("an alert about the attack", LONG, async || {
        let request = visitor.request(Method::GET, alerts).header("cookie", &cookie);
        let answer = Client::send(request).await;
        (answer.status == 200 && answer.json()["items"] != json!([])).then_some(())
    })
    .await;
    let inbox = place.root().join(demo.fact("mails and webhooks arrive in: "));
    until("a mail and a webhook in its folder", LONG, async || {
        let files = fs::read_dir(&inbox).ok()?.flatten();
        (files.count() >= 2).then_some(())
    })
    .await;
    demo.stop().await;
    // What it showed stays for the next time, whose password is another one.
    let again = Demo::start(&place).await;
    let (visitor, cookie) = again.visit().await;
    let list = Client::send(visitor.request(Method::GET, alerts).header("cookie", &cookie)).await;
    assert_ne!(list.json()["items"], json!([]));
    again.stop().await;
}

/// A demo in its own process, which has said where it is.
struct Demo {
    running: Running,
    said: String,
    log: PathBuf,
}

impl Demo {
    async fn start(place: &Place) -> Self {
        let (said, log) = (place.file("demo.txt"), place.file("demo.log"));
        let mut command = place.command(&["demo", "--port", "0", "--attack", "bruteforce"]);
        let running = command
            .args(["--rate", "30", "--dir", "demo"])
            .stdout(File::create(&said).expect("a file"))
            .stderr(File::create(&log).expect("a file"))
            .spawn()
            .map(Running)
            .expect("the binary starts");
        let said = until("the demo says how to stop it", LONG, async || {
            let text = fs::read_to_string(&said).expect("its output");
            text.contains("stop with").then_some(text)
        })
        .await;
        Self { running, said, log }
    }

    fn fact(&self, name: &str) -> String {
        let line = self.said.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no `{name}`: {}", self.said)).trim().to_owned()
    }

    /// Signs in with what the demo says.
    async fn visit(&self) -> (Client, String) {
        let password = self.said.split_once("password: ").expect("a password").1.lines().next();
        let visitor = Client::of_url(&self.fact("dashboard: "), "");
        let body = json!({ "name": "demo", "password": password });
        let request = visitor.request(Method::POST, "/api/v1/session").json(&body);
        let answer = Client::send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let cookie = answer.headers["set-cookie"].to_str().expect("ASCII").to_owned();
        (visitor, cookie)
    }

    async fn stop(mut self) {
        let pid = i32::try_from(self.running.0.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), Signal::INT).expect("it runs");
        let ended =
            until("the demo ends", LONG, async || self.running.0.try_wait().expect("a child"))
                .await;
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        assert_eq!(ended.code(), Some(GOOD), "{log}");
    }
}
