//! Mails and webhooks as receivers see them, over loopback.

use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use logwarden_event::{AlertId, EventId, NotificationId, Timestamp, is_hidden};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::{NOTIFIERS, Notifier, Outgoing};
use crate::alert::{
    Alert, AlertRule, AlertState, AlertSummary, Delivery, DeliveryState, Entity, EntityCount,
    Evidence, Latency, SearchLink, Why,
};
use crate::error::AlertingError;
use crate::rule::Level;

fn alert(title: &str) -> Alert {
    let at = Timestamp::from_secs(1_767_225_600);
    let entity = Entity { kind: "ip".into(), field: "source.ip".into(), value: "10.2.0.9".into() };
    Alert {
        summary: AlertSummary {
            id: AlertId::from_u128(7),
            title: title.to_owned(),
            severity: Level::Critical,
            state: AlertState::Open,
            rule: AlertRule {
                id: "rule-1".into(),
                name: "spike".into(),
                title: "Failed-login spike".into(),
                kind: "event_count".into(),
                version: 3,
                attack: vec!["T1110".into()],
                runbook: None,
                labels: [(String::from("team"), String::from("infra"))].into(),
            },
            entity: Some(entity.clone()),
            group: vec![("source.ip".into(), "10.2.0.9".into())],
            opened_at: at,
            updated_at: at,
            first_event_at: at,
            last_event_at: at,
            ended_at: None,
            detections: 1,
            events: 412,
            assignee: None,
            resolution: None,
        },
        why: Why {
            text: "412 events, the threshold is 50 in 5 min.".into(),
            observed: 412,
            threshold: 50,
            usual: Some([0.0, 4.0]),
            window_secs: 300,
            series: Vec::new(),
        },
        evidence: vec![Evidence {
            event_id: EventId::from_u128(1),
            timestamp_ns: at.nanos(),
            message: "bad \u{1b}[31m <script>alert(1)</script>\r\nBcc: evil@example.org".into(),
            fields: vec![("user.name".into(), json!("<b>root</b>"))],
            flag: None,
        }],
        entities: vec![EntityCount { entity, count: 412, is_subject: true }],
        related: Vec::new(),
        what_to_do: "1. Block the address.".into(),
        timeline: Vec::new(),
        notifications: Vec::new(),
        search: SearchLink { query: "source.ip:10.2.0.9".into(), from: at, to: at },
        latency: Latency::default(),
    }
}

pub(super) fn outgoing(title: &str) -> Outgoing {
    Outgoing {
        id: NotificationId::from_u128(99),
        event: "alert.opened".into(),
        alert: Some(alert(title)),
        trouble: None,
        also: Vec::new(),
        sent_at: Timestamp::from_secs(1_767_225_610),
        public_url: "https://logs.example".into(),
        held_back: 2,
        notifier: "oncall".into(),
        acknowledge: Some("s3cr3t-token".into()),
        page_late: false,
    }
}

pub(super) fn build(kind: &str, settings: Value) -> Result<Arc<dyn Notifier>, AlertingError> {
    let settings: Map<String, Value> = settings.as_object().expect("an object").clone();
    let kind = NOTIFIERS.iter().find(|known| known.name() == kind).expect("a known kind");
    kind.build("notifiers[0]", &settings, Path::new(""))
}

/// Answers one SMTP session; hands back the commands and the message.
async fn smtp_server(listener: TcpListener) -> (Vec<String>, String) {
    let (stream, _) = listener.accept().await.expect("a connection");
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test\r\n").await.expect("written");
    let (mut commands, mut message) = (Vec::new(), String::new());
    while let Ok(Some(line)) = lines.next_line().await {
        commands.push(line.clone());
        let answer = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => "250-test\r\n250 8BITMIME\r\n",
            "DATA" => {
                write.write_all(b"354 go\r\n").await.expect("written");
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                    message.push_str(&line);
                    message.push('\n');
                }
                "250 2.0.0 queued as 42\r\n"
            }
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        write.write_all(answer.as_bytes()).await.expect("written");
    }
    (commands, message)
}

#[tokio::test]
async fn a_mail_has_its_headers_and_hostile_values_stay_text() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let mailer = build(
        "email",
        json!({"smtp": address.to_string(), "tls": "none", "from": "Logwarden <lw@example.org>", "to": ["oncall@example.org"]}),
    )
    .expect("settings");
    let server = tokio::spawn(smtp_server(listener));
    let title = format!("Spike from 10.2.0.9\r\nBcc: evil@example.org {}", "x".repeat(100));
    let answer = mailer.send(&outgoing(&title)).await.expect("sent");
    assert!(answer.starts_with("250"), "{answer}");
    drop(mailer);
    let (commands, message) = server.await.expect("server");
    let recipients: Vec<&String> = commands.iter().filter(|c| c.starts_with("RCPT")).collect();
    assert_eq!(recipients, ["RCPT TO:<oncall@example.org>"]);
    let (headers, body) = message.split_once("\n\n").expect("headers and body");
    for wanted in [
        "Message-ID: <00000000000000000000000007.00000000000000000000000033@example.org>",
        "References: <00000000000000000000000007@example.org>",
        "Auto-Submitted: auto-generated",
        "X-Logwarden-Severity: critical",
    ] {
        assert!(headers.contains(wanted), "{wanted} in {headers}");
    }
    assert!(!headers.to_lowercase().contains("\nbcc:"), "{headers}");
    assert!(headers.contains("Subject: [CRIT] Spike from 10.2.0.9"), "{headers}");
    assert!(!body.contains('\u{1b}') && !body.contains("\nBcc:"), "{body}");
    assert!(body.contains("&lt;script&gt;") && body.contains("412 events"), "{body}");
    assert!(body.contains("2 notifications before this one were held back"), "{body}");
    assert!(body.contains("https://logs.example/a/s3cr3t-token"), "the link that acknowledges");
}

#[test]
fn a_mail_shows_hostile_values_and_nothing_else_happens() {
    let values: Vec<String> =
        serde_json::from_str(include_str!("../../../tests/fixtures/hostile.json")).expect("texts");
    for value in values {
        let mut outgoing = outgoing("t");
        let alert = outgoing.alert.as_mut().expect("an alert");
        alert.summary.title = value.clone();
        alert.summary.rule.title = value.clone();
        alert.why.text = value.clone();
        alert.what_to_do = value.clone();
        alert.evidence[0].message = value.clone();
        alert.evidence[0].fields = vec![("user.name".into(), json!(value))];
        alert.entities[0].entity.value = value.clone();
        let facts = super::message::facts(
            &outgoing,
            outgoing.alert.as_ref().expect("one"),
            "oncall@example.org",
        );
        let (text, html) = super::template::render_alert(&facts).expect("rendered");
        is_inert(&text, &html);
        if value.starts_with("{{") {
            for part in [&text, &html] {
                assert!(part.contains("{{ 7 * 7 }}") && !part.contains("49"), "{part}");
            }
        }
    }
}

fn is_inert(text: &str, html: &str) {
    for part in [text, html] {
        let unseen = part.chars().find(|c| *c != '\n' && is_hidden(*c));
        assert_eq!(unseen, None, "{part}");
        assert!(!part.contains("\nBcc:"), "{part}");
    }
    let tags = html.split('<').skip(1);
    let tags: Vec<&str> = tags.filter_map(|rest| rest.split(['>', ' ']).next()).collect();
    let known = [
        "!DOCTYPE", "html", "head", "meta", "title", "body", "p", "span", "h1", "h2", "ul", "li",
        "a", "br", "strong", "code",
    ];
    let other = tags.iter().find(|tag| !known.contains(&tag.trim_start_matches('/')));
    assert_eq!(other, None, "{html}");
    let html = html.replace("&#x2f;", "/");
    let links = html.split("href=\"").skip(1);
    assert!(links.into_iter().all(|link| link.starts_with("https://logs.example/")), "{html}");
    for act in ["onmouseover=\"", "onfocus=\"", "onerror=\""] {
        assert!(!html.contains(act), "{html}");
    }
}

#[tokio::test]
async fn a_later_mail_keeps_the_subject_and_several_alerts_are_listed() {
    let receive = async |outgoing: Outgoing| {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let settings = json!({"smtp": address.to_string(), "tls": "none", "from": "lw@example.org", "to": ["oncall@example.org"]});
        let mailer = build("email", settings).expect("settings");
        let server = tokio::spawn(smtp_server(listener));
        mailer.send(&outgoing).await.expect("sent");
        drop(mailer);
        server.await.expect("server").1
    };
    let mut resolved = outgoing("412 failures");
    resolved.event = "alert.resolved".into();
    let first = Delivery {
        id: NotificationId::from_u128(50),
        alert_id: AlertId::from_u128(7),
        event: "alert.opened".into(),
        notifier: "oncall".into(),
        kind: "email".into(),
        state: DeliveryState::Sent,
        attempts: 1,
        last_attempt_at: None,
        next_attempt_at: None,
        answer: "250 ok".into(),
        title: Some("10 failures".into()),
        route: None,
        created_at: Timestamp::from_secs(1_767_225_600),
        sent_at: Some(Timestamp::from_secs(1_767_225_601)),
    };
    resolved.alert.as_mut().expect("an alert").notifications.push(first);
    let message = receive(resolved).await;
    assert!(message.contains("Subject: Re: [CRIT] 10 failures"), "{message}");
    let first_id = "<00000000000000000000000007.0000000000000000000000001J@example.org>";
    assert!(message.contains(&format!("In-Reply-To: {first_id}")), "{message}");

    let mut several = outgoing("412 failures");
    several.also = vec![alert("9 failures <b>").summary];
    let message = receive(several).await;
    assert!(message.contains("Subject: [CRIT] 2 alerts: 412 failures"), "{message}");
    let message = message.replace("=\n", "");
    assert!(message.contains("9 failures &lt;b&gt;"), "{message}");
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let mailer = build(
        "email",
        json!({"smtp": address.to_string(), "ca": concat!(env!("CARGO_MANIFEST_DIR"), "/src/notify/test-ca.pem"), "from": "lw@example.org", "to": ["oncall@example.org"]}),
    )
    .expect("settings");
    let server = tokio::spawn(smtp_server(listener));
    assert!(mailer.send(&outgoing("t")).await.is_err());
    drop(mailer);
    let (commands, message) = server.await.expect("server");
    assert!(!commands.iter().any(|c| c.starts_with("MAIL")) && message.is_empty(), "{commands:?}");
}

/// Answers one HTTP request; hands back its head and body.
pub(super) async fn http_server(listener: TcpListener, answer: &'static str) -> (String, String) {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        let read = stream.read(&mut chunk).await.expect("readable");
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .expect("a length");
            if body.len() >= length {
                stream.write_all(answer.as_bytes()).await.expect("written");
                return (head.to_owned(), body.to_owned());
            }
        }
    }
}

fn hook(url: &str, more: Value) -> Result<Arc<dyn Notifier>, AlertingError> {
    let mut settings = json!({"url": url, "allow_http": true});
    for (key, value) in more.as_object().expect("an object") {
        settings[key] = value.clone();
    }
    build("webhook", settings)
}

#[tokio::test]
async fn a_webhook_is_signed_and_names_its_notification() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = format!("http://localhost:{}/hook", listener.local_addr().expect("bound").port());
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "s3cret\n").expect("written");
    let reference = format!("file:{}", secret.path().display());
    let loopback = json!({"allow_networks": ["127.0.0.0/8", "::1/128"], "secret": reference});
    let hook = hook(&url, loopback).expect("settings");
    let server = tokio::spawn(http_server(listener, "HTTP/1.1 204 No Content\r\n\r\n"));
    assert_eq!(hook.send(&outgoing("t")).await, Ok(String::from("204")));
    let (head, body) = server.await.expect("server");
    let head = head.to_lowercase();
    assert!(head.contains("idempotency-key: 00000000000000000000000033"), "{head}");
    let signature = head
        .lines()
        .find_map(|line| line.strip_prefix("x-logwarden-signature: t=1767225610,v1="))
        .expect("a signature");
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").expect("any key");
    mac.update(format!("1767225610.{body}").as_bytes());
    let expected: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(signature, expected);
    let json: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(json["alert"]["dedup_key"], "rule-1/source.ip=10.2.0.9");
    assert_eq!(json["alert"]["labels"], json!({"team": "infra"}));
    assert_eq!(json["alert"]["url"], "https://logs.example/alerts/00000000000000000000000007");
    assert_eq!(json["evidence"][0]["fields"]["user.name"], "<b>root</b>");
    assert!(!hook.target().contains("hook"), "the path may be a password: {}", hook.target());
}

#[tokio::test]
async fn a_webhook_never_reaches_inside() {
    for url in [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://2130706433:1/",
        "http://0x7f.1:1/",
        "http://[::1]:1/",
        "http://[::ffff:127.0.0.1]:1/",
        "http://10.0.0.1/",
        "http://0/",
    ] {
        let refused = hook(url, json!({})).expect("settings").send(&outgoing("t")).await;
        let error = refused.expect_err(url).to_string();
        assert!(error.contains("is not public"), "{url}: {error}");
    }
    let metadata = hook("http://169.254.169.254/", json!({"allow_networks": ["0.0.0.0/0"]}));
    let error = metadata.expect("settings").send(&outgoing("t")).await.expect_err("metadata");
    assert!(error.to_string().contains("credentials"), "{error}");
    assert!(build("webhook", json!({"url": "http://example.org/"})).is_err(), "not https");
    assert!(build("webhook", json!({"url": "https://u:p@example.org/"})).is_err(), "a password");
    assert!(build("webhook", json!({"url": "https://example.org/", "sekret": 1})).is_err());
}

#[tokio::test]
async fn a_redirect_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let hook = hook(&format!("http://{address}/"), json!({"allow_networks": ["127.0.0.0/8"]}))
        .expect("settings");
    let answer =
        "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n";
    let server = tokio::spawn(http_server(listener, answer));
    let error = hook.send(&outgoing("t")).await.expect_err("not followed");
    assert!(error.to_string().starts_with("302"), "{error}");
    server.await.expect("server");
}
