//! The main job from end to end: a real rsyslog, a real mail server, a real browser.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use logwarden_event::{Clock, SystemClock, Timestamp};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::harness::client::Client;
use crate::harness::node::{Node, Place};
use crate::harness::wait::{LONG, until};
use crate::hook::{Call, Manner, Receiver};
use crate::mail::{Mail, MailServer};
use crate::programs;
use crate::rsyslog::Rsyslog;
use crate::sshd::{self, Failure, Line};

const USER: &str = "ada";
const PASSWORD: &str = "correct horse battery staple";
const HOOK_SECRET: &str = "the receiver's secret";
/// One rule wakes people, so that alerts stay too few to be told of together.
const ROUTE: &str =
    "[[routes]]\nrules = [\"failed_login_spike\"]\nnotify = [\"oncall\", \"pager\"]\n";
/// Who sees a part of the events, and nothing so far.
const PART: &str =
    "[[roles]]\nname = \"nothing-yet\"\nbase = \"reader\"\nfilter = \"lw.source:nowhere\"\n";
/// What the bundled rule says: so many failures of one address within that time.
const SPIKE: (usize, Duration) = (10, Duration::from_secs(300));
/// Records that each of the JSON senders sends.
const RECORDS: u64 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_attack_is_taken_found_told_and_shown() {
    let needed = ["rsyslogd", "openssl"];
    if !programs::has("an attack from rsyslog to the mail", &needed) {
        return;
    }
    let scene = Scene::set_up().await;
    let rsyslog = Rsyslog::start(scene.place.root(), scene.node.tcp()).await;
    let attackers = scene.a_host_forwards_its_lines(&rsyslog).await;
    scene.services_send_json().await;
    scene.people_mistype(&rsyslog).await;
    scene.an_attack_is_told_at_once(&rsyslog).await;
    scene.an_attack_is_told_when_receivers_come_back(&rsyslog).await;
    scene.every_attacker_has_one_alert(&attackers).await;
    scene.the_dashboard_shows_it().await;
    scene.everything_was_told_once().await;
}

/// A node with an administrator, a token, somebody to tell, and a listener for hosts.
struct Scene {
    node: Node,
    place: Place,
    mail: MailServer,
    hook: Receiver,
    /// The token of a sender.
    token: String,
    analyst: Client,
}

impl Scene {
    async fn set_up() -> Self {
        let place = Place::new("");
        let node = place.start().await;
        let cookie = first_administrator(&node).await;
        let token = token_of(&node, &cookie, "ingest", "shop").await;
        let analyst = token_of(&node, &cookie, "analyst", "desk").await;
        assert_eq!(node.stop().await, Some(0));

        let mail = MailServer::start(place.root()).await;
        let hook = Receiver::start(Manner::Status(200)).await;
        let tables = format!(
            "{PART}[[listeners]]\nkind = \"auto\"\nallow = [\"127.0.0.0/8\"]\nsource = \"hosts\"\n{}{}{ROUTE}",
            mail.notifier("oncall"),
            hook.notifier("pager", place.root(), HOOK_SECRET),
        );
        place.configure(&tables);
        let node = place.start().await;
        // Only now its address is known, for the links in what it sends.
        place.configure(&format!("public_url = \"{}\"\n{tables}", node.http()));
        node.signal(Signal::HUP);
        until("the configuration is read again", LONG, async || {
            node.log().contains("notifiers and routes reloaded").then_some(())
        })
        .await;
        let analyst = Client::new(&node, &analyst);
        Self { place, node, mail, hook, token, analyst }
    }

    /// Ships the lines of an attacked host, compares what is found with what the lines say, and
    /// gives the addresses that attack.
    async fn a_host_forwards_its_lines(&self, rsyslog: &Rsyslog) -> BTreeSet<String> {
        let (lines, origin) = sshd::attacked_host(SystemClock.now());
        let host = lines[0].text.split_whitespace().nth(3).expect("a host").to_owned();
        let texts: Vec<String> = lines.iter().map(|line| line.text.clone()).collect();
        let began = Instant::now();
        rsyslog.log(&texts).await;
        let count = u64::try_from(lines.len()).expect("a number");
        let query = format!("host.name:{host}");
        self.analyst.wait_for(&query, count).await;
        println!("{count} {origin} over rsyslog searchable after {:?}", began.elapsed());
        assert_eq!(self.analyst.count(&query).await, count, "a line is there twice");

        let address = sshd::busiest(&lines);
        let port = format!(" from {address} port ");
        let grepped = lines
            .iter()
            .filter(|line| line.text.contains("Failed password") && line.text.contains(&port));
        let grepped: Vec<&Line> = grepped.collect();
        let query =
            format!("event.outcome:failure AND source.ip:{address} AND \"Failed password\"");
        let found = self.analyst.search(&query, 10_000).await;
        let hits = found["hits"].as_array().expect("hits");
        assert_eq!(found["total"], grepped.len(), "`{query}` and grep differ");
        println!("`{query}` finds {}, as grep does", grepped.len());

        let mut told: Vec<(Timestamp, Failure)> = hits.iter().map(|hit| read(hit, &host)).collect();
        let failure = |line: &&Line| (line.at, line.failure().expect("a failure"));
        let mut said: Vec<(Timestamp, Failure)> = grepped.iter().map(failure).collect();
        told.sort();
        said.sort();
        assert_eq!(told, said, "fields and lines differ");
        sshd::spikes(&lines, SPIKE.0, SPIKE.1)
    }

    async fn services_send_json(&self) {
        let sender = Client::new(&self.node, &self.token);
        let plain = records("plain");
        let answer = sender.ingest(plain).await;
        self.is_searchable("plain", "NDJSON", &answer.json()["accepted"]).await;

        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(records("packed").as_bytes()).expect("memory");
        let packed = encoder.finish().expect("memory");
        let request = sender.request(Method::POST, "/api/v1/ingest").body(packed);
        let answer = Client::send(request.header("content-encoding", "gzip")).await;
        self.is_searchable("packed", "gzip NDJSON", &answer.json()["accepted"]).await;

        let stream = TcpStream::connect(self.node.tcp()).await.expect("it listens");
        let mut stream = BufReader::new(stream);
        let auth = json!({ "auth": self.token, "ack": true });
        let lines = format!("{auth}\n{}", records("streamed"));
        stream.write_all(lines.as_bytes()).await.expect("it reads");
        let mut acknowledged = Value::Null;
        while acknowledged != RECORDS {
            let mut line = String::new();
            let bytes = stream.read_line(&mut line).await.expect("an answer");
            assert_ne!(bytes, 0, "the connection was closed after {acknowledged}");
            acknowledged = serde_json::from_str::<Value>(&line).expect("JSON")["ack"].take();
        }
        self.is_searchable("streamed", "JSON lines over TCP", &acknowledged).await;
        let of_sender = self.analyst.count("lw.source:shop service.name:checkout").await;
        assert_eq!(of_sender, 3 * RECORDS);
    }

    /// Waits until all records of `run`, acknowledged just now, are found, and says how long it was.
    async fn is_searchable(&self, run: &str, form: &str, acknowledged: &Value) {
        assert_eq!(*acknowledged, RECORDS, "{form}");
        let query = format!("run:{run}");
        let lag = self.analyst.wait_for(&query, RECORDS).await;
        println!("{form}: searchable {lag:?} after its acknowledgement (promised: 1 s)");
        assert_eq!(self.analyst.count(&query).await, RECORDS);
    }

    async fn people_mistype(&self, rsyslog: &Rsyslog) {
        let now = SystemClock.now();
        let mut lines = Vec::new();
        for (user, address) in [("alice", "192.0.2.10"), ("bob", "192.0.2.11")] {
            for word in ["Failed", "Failed", "Accepted"] {
                let message = format!("{word} password for {user} from {address} port 40022 ssh2");
                lines.push(Line::of_sshd(now, 4_711, &message).text);
            }
        }
        rsyslog.log(&lines).await;
        self.analyst.wait_for("user.name:(alice OR bob) source.ip:192.0.2.0/24", 6).await;
    }

    async fn an_attack_is_told_at_once(&self, rsyslog: &Rsyslog) {
        let address = "203.0.113.66";
        let began = attack(rsyslog, address).await;
        let alert = self.alert_about(address).await;
        let (call, mail) = (self.webhook_of(&alert).await, self.mail_of(&alert).await);
        let mailed = mail.fact("received_unix_ms").as_i64().expect("a time");
        println!(
            "an attack was told by webhook after {:?} and by mail after {} ms (promised: 5 s)",
            call.received_at.since(began),
            mailed - began.millis()
        );
        self.webhook_says_all(&call, &alert, address);
        self.mail_says_all(&mail, &alert, address);
    }

    async fn an_attack_is_told_when_receivers_come_back(&self, rsyslog: &Rsyslog) {
        let address = "203.0.113.67";
        self.hook.answer(Manner::Status(500));
        self.mail.refuse(true);
        attack(rsyslog, address).await;
        let alert = self.alert_about(address).await;
        until("both were tried in vain", LONG, async || {
            let alert = self.analyst.get(&format!("/api/v1/alerts/{alert}"), &[]).await;
            let notifications = alert["notifications"].as_array().expect("notifications").clone();
            let failing = |one: &Value| one["attempts"].as_u64() > Some(0) && one["answer"] != "";
            (notifications.len() == 2 && notifications.iter().all(failing)).then_some(())
        })
        .await;
        assert!(self.hook.taken().iter().all(|call| call.json()["alert"]["id"] != alert));
        self.hook.answer(Manner::Status(200));
        self.mail.refuse(false);
        self.mail_of(&alert).await;
        let taken = self.webhook_of(&alert).await;
        let calls = self.hook.calls();
        let tries = calls.iter().filter(|call| call.json()["alert"]["id"] == alert.as_str());
        let ids: BTreeSet<String> = tries.map(Call::id).collect();
        assert_eq!(ids, BTreeSet::from([taken.id()]), "another try had another id");
    }

    async fn every_attacker_has_one_alert(&self, attackers: &BTreeSet<String>) {
        let query = [("rule", "failed_login_spike"), ("limit", "1000")];
        let list = self.analyst.get("/api/v1/alerts", &query).await;
        let items = list["items"].as_array().expect("items");
        let mut about: Vec<&str> =
            items.iter().filter_map(|item| item["group"]["source.ip"].as_str()).collect();
        about.sort_unstable();
        let live = ["203.0.113.66", "203.0.113.67"];
        let mut expected: Vec<&str> = attackers.iter().map(String::as_str).chain(live).collect();
        expected.sort_unstable();
        assert_eq!(about, expected, "one alert per attacking address, none for others");
        println!("{} attacking addresses, one alert each", expected.len());
        for address in ["192.0.2.10", "192.0.2.11"] {
            let list = self.analyst.get("/api/v1/alerts", &[("entity", address)]).await;
            assert_eq!(list["items"], json!([]), "an alert for two typing errors");
        }
    }

    async fn the_dashboard_shows_it(&self) {
        let ui = programs::repository().join("web/ui");
        if !ui.join("node_modules/playwright-core").is_dir()
            || !programs::has("the dashboard in a browser", &["node", "chromium"])
        {
            println!("NOT TRIED: the dashboard in a browser: `make ui` installs what it needs");
            return;
        }
        let mut command = Command::new(programs::find("node").expect("it is there"));
        command
            .arg("test/dashboard.mjs")
            .arg(to_see())
            .current_dir(ui)
            .env("CHROMIUM", programs::find("chromium").expect("it is there"))
            .env("LOGWARDEN_URL", self.node.http())
            .env("LOGWARDEN_USER", USER)
            .env("LOGWARDEN_PASSWORD", PASSWORD);
        let walk = tokio::task::spawn_blocking(move || programs::run(&mut command));
        let output = walk.await.expect("the walk ended well");
        let said = String::from_utf8_lossy(&output.stdout);
        let summary = said.lines().last().unwrap_or_default();
        println!("dashboard: {summary}; screenshots in {}", to_see().display());
    }

    /// Stops the node, so that nothing is under way, and counts what everybody got.
    async fn everything_was_told_once(self) {
        let query = [("rule", "failed_login_spike"), ("state", "open,acknowledged")];
        let list = self.analyst.get("/api/v1/alerts", &query).await;
        let alerts = list["items"].as_array().expect("items").clone();
        assert_eq!(self.node.stop().await, Some(0));
        let taken = self.hook.taken();
        let ids: BTreeSet<String> = taken.iter().map(Call::id).collect();
        assert_eq!(ids.len(), taken.len(), "a notification was taken twice");
        let opened = taken.iter().filter(|call| call.json()["type"] == "alert.opened").count();
        assert_eq!(opened, alerts.len(), "one webhook for each alert");
        let mails = self.mail.mails();
        let wanted: BTreeSet<&str> =
            alerts.iter().map(|alert| alert["id"].as_str().expect("an id")).collect();
        let about: Vec<String> =
            mails.iter().map(|mail| mail.header("x-logwarden-alert")).collect();
        let (about, tests): (Vec<_>, Vec<_>) =
            about.iter().map(String::as_str).partition(|id| wanted.contains(id));
        assert_eq!(about.len(), wanted.len(), "one mail each");
        assert_eq!(about.into_iter().collect::<BTreeSet<_>>(), wanted, "about each alert");
        assert!(tests.len() <= 5, "besides, the dashboard sends a test now and then: {tests:?}");
        println!("{} alerts, each told once by mail and once by webhook", alerts.len());
    }

    /// The id of the alert of the bundled rule about this address, once it is open.
    async fn alert_about(&self, address: &str) -> String {
        let query = [("rule", "failed_login_spike"), ("entity", address)];
        let what = format!("an alert about {address}");
        let list = until(&what, LONG, async || {
            let list = self.analyst.get("/api/v1/alerts", &query).await;
            (list["items"] != json!([])).then_some(list)
        })
        .await;
        let items = list["items"].as_array().expect("items");
        assert_eq!(items.len(), 1, "one alert, not one per event");
        items[0]["id"].as_str().expect("an id").to_owned()
    }

    async fn webhook_of(&self, alert: &str) -> Call {
        until("the webhook", LONG, async || {
            let is_it = |call: &Call| {
                let body = call.json();
                body["type"] == "alert.opened" && body["alert"]["id"] == alert
            };
            self.hook.taken().into_iter().find(is_it)
        })
        .await
    }

    async fn mail_of(&self, alert: &str) -> Mail {
        until("the mail", LONG, async || {
            self.mail.mails().into_iter().find(|mail| mail.header("x-logwarden-alert") == alert)
        })
        .await
    }

    fn webhook_says_all(&self, call: &Call, alert: &str, address: &str) {
        assert!(call.is_signed_with(HOOK_SECRET), "the signature is wrong");
        assert!(!call.is_signed_with("another secret"), "any secret fits");
        assert_eq!(call.header("content-type"), "application/json");
        let body = call.json();
        assert_eq!((&body["version"], &body["type"]), (&json!("1"), &json!("alert.opened")));
        assert_eq!(body["alert"]["url"], format!("{}/alerts/{alert}", self.node.http()));
        assert_eq!(
            (&body["alert"]["severity"], &body["alert"]["state"]),
            (&json!("high"), &json!("open"))
        );
        assert_eq!(body["why"]["group"]["source.ip"], address);
        assert!(body["why"]["observed"].as_u64() >= Some(10), "{}", body["why"]);
        let evidence = body["evidence"].as_array().expect("evidence");
        assert!(!evidence.is_empty());
        for event in evidence {
            let message = event["message"].as_str().expect("a message");
            assert!(message.contains("Failed password") && message.contains(address), "{event}");
        }
    }

    fn mail_says_all(&self, mail: &Mail, alert: &str, address: &str) {
        assert_eq!(
            (mail.fact("encrypted"), mail.fact("user")),
            (&json!(true), &json!("logwarden"))
        );
        assert_eq!(mail.fact("to"), &json!(["oncall@example.org"]));
        assert_eq!(mail.fact("defects"), &json!([]), "{}", mail.fact("raw_head"));
        let subject = mail.header("subject");
        assert!(subject.starts_with("[HIGH] Failed-login spike"), "{subject}");
        assert!(subject.contains(address) && subject.chars().count() <= 78, "{subject}");
        for (name, part) in [
            ("message-id", "@example.org>"),
            ("references", alert),
            ("in-reply-to", alert),
            ("auto-submitted", "auto-generated"),
            ("x-logwarden-rule", "5a2f8f2e"),
            ("x-logwarden-severity", "high"),
            ("x-logwarden-state", "open"),
            ("list-id", "logwarden"),
        ] {
            let value = mail.header(name);
            assert!(value.contains(part), "{name}: {value}");
        }
        let link = format!("{}/alerts/{alert}", self.node.http());
        let evidence = format!("Failed password for root from {address} port");
        for kind in ["text/plain", "text/html"] {
            // The only thing that HTML writes otherwise here.
            let text = mail.part(kind).replace("&#x2f;", "/");
            for part in [link.as_str(), &evidence, "Evidence", "What to do"] {
                assert!(text.contains(part), "{kind} lacks `{part}`: {text}");
            }
        }
        let html = mail.part("text/html").to_ascii_lowercase();
        for part in ["<script", "<img", "<link", "src="] {
            assert!(!html.contains(part), "the HTML has `{part}`");
        }
        // For a person to look at, as the screenshots are.
        let to_see = to_see();
        std::fs::create_dir_all(&to_see).expect("a folder");
        for (kind, name) in [("text/plain", "mail.txt"), ("text/html", "mail.html")] {
            std::fs::write(to_see.join(name), mail.part(kind)).expect("a file");
        }
    }
}

/// Where what people would see is put: screenshots and a mail.
fn to_see() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("to-see")
}

/// Makes the first administrator with the code of the one-time link, and gives their cookie.
async fn first_administrator(node: &Node) -> String {
    let open = Client::new(node, "");
    let body = json!({ "code": node.setup_code().await, "name": USER, "password": PASSWORD });
    let set_up = || open.request(Method::POST, "/api/v1/setup").json(&body);
    let answer = Client::send(set_up()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let cookie = answer.headers["set-cookie"].to_str().expect("ASCII");
    let again = Client::send(set_up()).await;
    assert_eq!(again.refusal(), "409 setup_done", "the link works twice");
    cookie.split(';').next().expect("a value").to_owned()
}

/// Makes a token as the administrator does in the dashboard.
async fn token_of(node: &Node, cookie: &str, role: &str, name: &str) -> String {
    let request = Client::new(node, "").request(Method::POST, "/api/v1/tokens");
    let request = request.header("cookie", cookie).header("origin", node.http());
    let answer = Client::send(request.json(&json!({ "role": role, "name": name }))).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["token"].as_str().expect("a token").to_owned()
}

/// Twelve failures of one address, now; gives the moment before.
async fn attack(rsyslog: &Rsyslog, address: &str) -> Timestamp {
    let now = SystemClock.now();
    let line = |attempt: u64| {
        let port = 50_000 + attempt;
        let message = format!("Failed password for root from {address} port {port} ssh2");
        Line::of_sshd(now, 2_000 + attempt, &message).text
    };
    rsyslog.log(&(0..12).map(line).collect::<Vec<_>>()).await;
    now
}

/// What a service writes that logs with winston.
fn records(run: &str) -> String {
    let now = SystemClock.now();
    let record = |number: u64| {
        json!({ "timestamp": now.to_string(), "level": "info", "service": "checkout",
            "message": format!("order {number} placed"), "run": run, "user": "amara",
            "client_ip": "198.51.100.7" })
        .to_string()
            + "\n"
    };
    (0..RECORDS).map(record).collect()
}

/// A hit as the failed attempt its fields speak of.
fn read(hit: &Value, host: &str) -> (Timestamp, Failure) {
    let fields = &hit["fields"];
    let text =
        |name: &str| fields[name].as_str().unwrap_or_else(|| panic!("{name}: {hit}")).to_owned();
    let number = |name: &str| fields[name].as_u64().unwrap_or_else(|| panic!("{name}: {hit}"));
    assert_eq!(
        (text("event.outcome"), text("event.action")),
        ("failure".into(), "ssh_login".into())
    );
    assert_eq!(text("host.name"), host);
    let at = Timestamp::parse_rfc3339(hit["timestamp"].as_str().expect("a time")).expect("a time");
    let failure = Failure {
        address: text("source.ip"),
        port: number("source.port"),
        user: text("user.name"),
        pid: number("process.pid"),
    };
    (at, failure)
}
