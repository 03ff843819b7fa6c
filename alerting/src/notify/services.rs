//! What each service is sent, as its server sees it, over loopback.

use serde_json::{Value, json};
use tokio::net::{TcpListener, UdpSocket};

use super::delivery::{build, http_server, outgoing};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HOSTILE: &str = "412 <!channel> *a* @everyone |x=y\r\n<1>2";

/// Sends a notification of `event` through a service; answers the request's head and body.
async fn sent(kind: &str, more: Value, event: &str) -> (String, Value) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    let mut settings = json!({
        "url": format!("http://127.0.0.1:{port}/in"), "allow_http": true,
        "allow_networks": ["127.0.0.0/8"],
    });
    for (key, value) in more.as_object().expect("an object") {
        settings[key] = value.clone();
    }
    let notifier = build(kind, settings).expect("settings");
    let server = tokio::spawn(http_server(listener, OK));
    let mut message = outgoing(HOSTILE);
    message.event = event.to_owned();
    assert_eq!(notifier.send(&message).await, Ok(String::from("200 ok")), "{kind}");
    assert!(!notifier.target().contains("/in"), "{}", notifier.target());
    let (head, body) = server.await.expect("server");
    (head.to_lowercase(), serde_json::from_str(&body).expect("JSON"))
}

fn key_file(content: &str) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), content).expect("written");
    let reference = format!("file:{}", file.path().display());
    (file, reference)
}

#[tokio::test]
async fn chats_get_text_that_mentions_nobody() {
    let (head, body) = sent("slack", json!({}), "alert.opened").await;
    assert!(head.contains("idempotency-key: "), "{head}");
    let text = body.to_string();
    assert!(text.contains("&lt;!channel&gt;") && !text.contains("<!channel>"), "{text}");
    let (_, body) = sent("mattermost", json!({"channel": "ops"}), "alert.opened").await;
    assert_eq!(body["channel"], "ops");
    let title = body["attachments"][0]["title"].as_str().expect("a title");
    assert!(title.contains(r"\*a\*") && !title.contains("@everyone"), "{title}");
    let (_, body) = sent("discord", json!({}), "alert.opened").await;
    assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
    assert_eq!(body["embeds"][0]["url"], "https://logs.example/alerts/00000000000000000000000007");
    let (_, body) = sent("teams", json!({}), "alert.opened").await;
    let card = &body["attachments"][0]["content"];
    assert_eq!(card["type"], "AdaptiveCard");
    assert!(card["body"][0]["text"].as_str().expect("text").starts_with("critical"), "{card}");
    let (_, body) = sent("ntfy", json!({"topic": "t"}), "alert.opened").await;
    assert_eq!((&body["topic"], &body["priority"]), (&json!("t"), &json!(5)));
}

#[test]
fn chats_are_quiet_where_pagers_are_told_all() {
    let (_file, key) = key_file("k3y");
    // Alertmanager is neither.
    let others = all_services(&key).into_iter().filter(|(kind, ..)| *kind != "alertmanager");
    for (kind, own, pages) in others {
        let (notifier, is_chat) = (built(kind, own), !pages);
        let told = ["alert.opened", "alert.updated", "alert.resolved", "alert.acknowledged"];
        let told = told.map(|event| notifier.wants(event));
        assert_eq!(told, [true, true, true, !is_chat], "{kind}");
        assert_eq!(notifier.wants("alert.reopened"), !is_chat, "{kind}");
        assert_eq!(notifier.lists_alerts(), is_chat, "{kind}");
        assert_eq!(notifier.per_hour_max(), is_chat.then_some(30), "{kind}");
    }
}

#[test]
fn a_chat_is_told_of_several_alerts_in_one_message() {
    let mut several = outgoing("9 failures");
    let mut other = several.alert.clone().expect("an alert").summary;
    other.title = String::from("port scan");
    several.also = vec![other];
    let said = super::message::said(&several);
    assert_eq!(
        (said.title.as_str(), said.link.as_str()),
        ("2 alerts: 9 failures", "https://logs.example/alerts")
    );
    assert!(said.text.ends_with(" Also: port scan."), "{}", said.text);
}

#[tokio::test]
async fn pagers_acknowledge_and_resolve_under_the_same_key() {
    let (_file, key) = key_file("k3y");
    let settings = || json!({"routing_key": key});
    for (event, action) in [
        ("alert.opened", "trigger"),
        ("alert.acknowledged", "acknowledge"),
        ("alert.resolved", "resolve"),
    ] {
        let (_, body) = sent("pagerduty", settings(), event).await;
        assert_eq!((&body["event_action"], &body["routing_key"]), (&json!(action), &json!("k3y")));
        assert_eq!(body["dedup_key"], "00000000000000000000000007");
    }
    let settings = || json!({"api_key": key});
    let (head, body) = sent("opsgenie", settings(), "alert.opened").await;
    assert!(head.contains("authorization: geniekey k3y"), "{head}");
    assert_eq!(
        (&body["priority"], &body["alias"]),
        (&json!("P1"), &json!("00000000000000000000000007"))
    );
    let (head, _) = sent("opsgenie", settings(), "alert.resolved").await;
    let path = "post /in/00000000000000000000000007/close?identifiertype=alias ";
    assert!(head.starts_with(path), "{head}");
    let (head, body) =
        sent("alertmanager", json!({"labels": {"team": "a"}}), "alert.resolved").await;
    assert!(head.starts_with("post /in/api/v2/alerts "), "{head}");
    assert_eq!(body[0]["labels"]["source_ip"], "10.2.0.9");
    assert!(body[0]["endsAt"].is_string() && body[0]["labels"]["team"] == "a", "{body}");
    let (head, body) = sent("telegram", json!({"token": key, "chat": "7"}), "alert.opened").await;
    assert!(head.starts_with("post /in/botk3y/sendmessage "), "{head}");
    assert!(body.get("parse_mode").is_none() && body["chat_id"] == "7", "{body}");
}

#[tokio::test]
async fn a_template_of_ones_own_fills_in_facts() {
    let template = json!({"template": "{{ severity }}: {{ fields['source.ip'] }}"});
    let (_, body) = sent("mattermost", template, "alert.opened").await;
    assert_eq!(body["attachments"][0]["text"], r"critical\: 10.2.0.9");
    let refused = build("slack", json!({"url": "https://h.example/x", "template": "{{ a"}));
    assert!(refused.is_err());
    let refused = build("slack", json!({"url": "https://h.example/x", "chanel": "a"}));
    assert!(refused.is_err());
}

#[tokio::test]
async fn an_address_may_be_a_secret() {
    let (_file, reference) = key_file("https://hooks.example/T0/secret\n");
    let notifier = build("slack", json!({"url": reference})).expect("settings");
    assert_eq!(notifier.target(), "https://hooks.example/…");
    assert!(build("slack", json!({"url": "env:LOGWARDEN_NOT_SET_ANYWHERE"})).is_err());
}

#[tokio::test]
async fn syslog_gets_one_line_whatever_the_values_say() {
    let receiver = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let to = receiver.local_addr().expect("bound").to_string();
    let settings = json!({"to": to, "transport": "udp", "allow_networks": ["127.0.0.0/8"]});
    let notifier = build("syslog", settings).expect("settings");
    notifier.send(&outgoing(HOSTILE)).await.expect("sent");
    let mut buffer = [0; 4096];
    let length = receiver.recv(&mut buffer).await.expect("a datagram");
    let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(line.starts_with("<82>1 ") && line.contains("CEF:0|Logwarden|Logwarden|"), "{line}");
    assert!(line.contains("src=10.2.0.9") && !line.contains(['\r', '\n']), "{line}");
    assert!(line.contains("\\|x=y"), "{line}");
    let inside = build("syslog", json!({"to": "127.0.0.1:514"})).expect("settings");
    assert!(inside.send(&outgoing("t")).await.is_err(), "not public");
}

/// Every service that is sent text, with settings of its own, and whether it wakes people.
fn all_services(key: &str) -> [(&'static str, Value, bool); 9] {
    [
        ("slack", json!({}), false),
        ("mattermost", json!({}), false),
        ("discord", json!({}), false),
        ("teams", json!({}), false),
        ("ntfy", json!({"topic": "t"}), false),
        ("telegram", json!({"token": key, "chat": "1"}), false),
        ("alertmanager", json!({}), false),
        ("pagerduty", json!({"routing_key": key}), true),
        ("opsgenie", json!({"api_key": key}), true),
    ]
}

fn built(kind: &str, mut settings: Value) -> std::sync::Arc<dyn super::Notifier> {
    settings["url"] = json!("https://192.0.2.1/in");
    build(kind, settings).expect(kind)
}

/// What a receiver shows, without what escapes and what divides lines.
fn read(text: &str) -> String {
    text.replace("\\n", "\n").replace(['\\', '\u{200B}'], "")
}

#[test]
fn every_service_is_told_the_same() {
    let (_file, key) = key_file("k3y");
    let mut message = outgoing("412 failures");
    let alert = message.alert.as_mut().expect("an alert");
    alert.what_to_do = String::from("1. Block the address.\n2. Look at the session.");
    alert.summary.rule.runbook = Some(String::from("https://wiki.example/ssh"));
    alert.evidence[0].flag = Some(String::from("first_success"));
    alert.related.push(crate::alert::RelatedAlert {
        id: logwarden_event::AlertId::from_u128(8),
        title: String::from("Port scan"),
        severity: crate::rule::Level::Medium,
        state: crate::alert::AlertState::Open,
        opened_at: message.sent_at,
    });
    for (kind, settings, _) in all_services(&key) {
        let text = read(&built(kind, settings).text(&message).expect(kind));
        for fact in [
            "412 failures",
            "412 events, the threshold is 50 in 5 min.",
            "2 notifications before this were held back.",
            "A login from this address SUCCEEDED at 2026-01-01 00:00:00 UTC",
            "Open since 2026-01-01 00:00:00 UTC",
            "2. Look at the session.",
            "source.ip",
            "10.2.0.9",
            "Bcc: evil@example.org",
            "MEDIUM Port scan",
            "Sent to oncall.",
            "https://logs.example/alerts/00000000000000000000000007",
            "https://wiki.example/ssh",
        ] {
            assert!(text.contains(fact), "{kind}: {fact} in {text}");
        }
        assert!(!text.contains("address.u{a}"), "{kind}: {text}");
    }
}

#[test]
fn nothing_outgrows_what_a_receiver_takes_and_the_reason_stays() {
    let (_file, key) = key_file("k3y");
    let mut message = outgoing(&"*".repeat(300));
    let alert = message.alert.as_mut().expect("an alert");
    alert.why.text = format!("Reason {}", "_".repeat(5_000));
    alert.what_to_do = vec!["(block) the [address] ".repeat(30); 50].join("\n");
    alert.evidence = vec![alert.evidence[0].clone(); 100];
    for evidence in &mut alert.evidence {
        evidence.message = "🛑*".repeat(1_000);
    }
    for (kind, settings, _) in all_services(&key) {
        let text = built(kind, settings).text(&message).expect(kind);
        let body: Value = serde_json::from_str(&text).expect("JSON");
        let of = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (shown, size, most) = match kind {
            "slack" => (of("/attachments/0/text"), 0, 8_000),
            "mattermost" => (of("/attachments/0/text"), 0, 16_383),
            "discord" => {
                (of("/embeds/0/description"), of("/embeds/0/title").chars().count(), 5_500)
            }
            "teams" => (text.as_str(), 0, 28_000),
            "ntfy" => {
                (of("/message"), of("/message").len() - of("/message").chars().count(), 4_095)
            }
            "telegram" => (of("/text"), 0, 4_096),
            "opsgenie" => (of("/description"), of("/message").chars().count(), 15_130),
            _ => (text.as_str(), 0, 500_000),
        };
        let size = size + shown.chars().count();
        assert!(size <= most, "{kind}: {size}");
        assert!(shown.contains("Reason") && read(shown).contains("(block)"), "{kind}: {shown}");
    }
}

#[test]
fn slack_reads_no_markup() {
    let message = outgoing("*bold* <@U1> `code` https://evil.example");
    let text = built("slack", json!({})).text(&message).expect("text");
    let body: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&body["mrkdwn"], &body["parse"]), (&json!(false), &json!("none")));
    assert_eq!(body["attachments"][0]["mrkdwn_in"], json!([]));
    assert!(text.contains("&lt;@U1&gt;") && !text.contains("<@U1>"), "{text}");
}

#[test]
fn what_came_late_is_said_and_wakes_nobody() {
    let (_file, key) = key_file("k3y");
    let mut message = outgoing("412 failures");
    assert_eq!(message.late_age(), None);
    message.sent_at = message.sent_at.saturating_add(std::time::Duration::from_secs(5 * 3_600));
    // Seen late, but it came in time.
    assert_eq!(message.late_age(), None);
    let alert = message.alert.as_mut().expect("an alert");
    alert.latency.received_ms = Some(5 * 3_600_000);
    assert_eq!(message.late_age().as_deref(), Some("5 h old"));
    for (kind, settings, pages) in all_services(&key) {
        let notifier = built(kind, settings);
        assert_eq!(notifier.pages(), pages, "{kind}");
        let text = read(&notifier.text(&message).expect(kind));
        assert!(text.contains("These events are 5 h old."), "{kind}: {text}");
        assert!(kind != "ntfy" || text.contains("\"priority\": 3"), "{text}");
    }
    message.page_late = true;
    assert_eq!(message.late_age(), None);
    message.page_late = false;
    message.event = String::from("alert.resolved");
    assert_eq!(message.late_age(), None);
}
