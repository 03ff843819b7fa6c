//! Tells people by mail, over SMTP.
//!
//! TLS is required unless the configuration says `none`. Values from records never decide a
//! header: the subject is cut and freed of controls, everything else is in the body.

mod pinned;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::ContentType;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::response::Response;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use logwarden_event::{AlertId, NotificationId};
use logwarden_store::SecretRef;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Notifier, NotifierKind, Outgoing, PER_HOUR_MAX_DEFAULT, SendError, heartbeat, message,
    read_settings, template,
};
use crate::alert::wording::visible;
use crate::alert::{Alert, DeliveryState};
use crate::error::AlertingError;
use crate::rule::Level;
use pinned::Pinned;

/// Characters of a subject before folding.
const SUBJECT_CHARS_MAX: usize = 78;
/// How long one exchange with the server may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Recipients of one notifier.
const RECIPIENTS_MAX: usize = 50;

/// The kind `email`.
pub(super) struct Email;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The server, `host:port`.
    smtp: String,
    /// How the connection is protected.
    #[serde(default)]
    tls: TlsMode,
    /// Certificates in PEM, instead of the system's: of the authority that signed the server's, or
    /// the server's own.
    ca: Option<PathBuf>,
    username: Option<String>,
    password: Option<SecretRef>,
    from: String,
    to: Vec<String>,
    /// Mails per hour; further ones are held back and counted in the next.
    #[serde(default = "default_per_hour_max")]
    per_hour_max: u32,
    /// A sign of life every so many minutes. Default: none.
    heartbeat_mins: Option<NonZeroU32>,
}

fn default_per_hour_max() -> u32 {
    PER_HOUR_MAX_DEFAULT
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TlsMode {
    /// From the first byte, usually port 465.
    Tls,
    /// Asked for before anything else is said, usually port 587; without it nothing is sent.
    #[default]
    Starttls,
    /// Not at all.
    None,
}

struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    /// Tried first: the server that the configuration knows by its own certificate.
    pinned: Option<Pinned>,
    server: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    per_hour_max: u32,
    heartbeat: Option<Duration>,
}

impl NotifierKind for Email {
    fn name(&self) -> &'static str {
        "email"
    }

    fn build(
        &self,
        path: &str,
        settings: &Map<String, Value>,
        base: &Path,
    ) -> Result<Arc<dyn Notifier>, AlertingError> {
        let mut settings: Settings = read_settings(path, settings)?;
        settings.ca = settings.ca.map(|ca| base.join(ca));
        let fault =
            |key: &str, message: String| AlertingError::config(format!("{path}.{key}"), message);
        let mailbox = |key: &str, text: &str| {
            text.parse::<Mailbox>().map_err(|_| fault(key, format!("`{text}` is no mail address")))
        };
        let (host, port) = settings
            .smtp
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
            .filter(|(host, _)| !host.is_empty())
            .ok_or_else(|| fault("smtp", String::from("must be `host:port`")))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let from = mailbox("from", &settings.from)?;
        let to = settings.to.iter().map(|to| mailbox("to", to)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() || to.len() > RECIPIENTS_MAX {
            return Err(fault(
                "to",
                format!("between 1 and {RECIPIENTS_MAX} addresses are needed"),
            ));
        }
        let tls = match settings.tls {
            TlsMode::None if settings.ca.is_some() => {
                return Err(fault("ca", String::from("has no effect without TLS")));
            }
            TlsMode::None => Tls::None,
            TlsMode::Tls => Tls::Wrapper(tls_parameters(path, host, settings.ca.as_ref())?),
            TlsMode::Starttls => Tls::Required(tls_parameters(path, host, settings.ca.as_ref())?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(SEND_TIMEOUT));
        let credentials = match (settings.username, settings.password) {
            (Some(username), Some(password)) => {
                let password = password
                    .relative_to(base)
                    .resolve()
                    .map_err(|error| fault("password", error.to_string()))?;
                Some(Credentials::new(username, password.expose().clone()))
            }
            (None, None) => None,
            _ => return Err(fault("username", String::from("needs `password`, and it needs it"))),
        };
        if let Some(credentials) = &credentials {
            builder = builder.credentials(credentials.clone());
        }
        let pinned = settings.ca.as_ref().and_then(|ca| std::fs::read(ca).ok()).and_then(|pem| {
            let is_wrapped = settings.tls == TlsMode::Tls;
            Pinned::named_in(&pem, (host, port), is_wrapped, credentials, SEND_TIMEOUT)
        });
        Ok(Arc::new(Mailer {
            transport: builder.build(),
            pinned,
            server: settings.smtp.clone(),
            from,
            to,
            per_hour_max: settings.per_hour_max,
            heartbeat: heartbeat(settings.heartbeat_mins),
        }))
    }
}

fn tls_parameters(
    path: &str,
    host: &str,
    ca: Option<&PathBuf>,
) -> Result<TlsParameters, AlertingError> {
    let fault =
        |key: &str, message: String| AlertingError::config(format!("{path}.{key}"), message);
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(ca) = ca {
        let unreadable = |reason: String| fault("ca", format!("`{}`: {reason}", ca.display()));
        let pem = std::fs::read(ca).map_err(|error| unreadable(error.to_string()))?;
        let certificate =
            Certificate::from_pem(&pem).map_err(|error| unreadable(error.to_string()))?;
        builder =
            builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| fault("tls", error.to_string()))
}

#[async_trait]
impl Notifier for Mailer {
    fn target(&self) -> String {
        let to: Vec<&str> = self.to.iter().map(|to| to.email.as_ref()).collect();
        format!("{} via {}", to.join(", "), self.server)
    }

    fn wants(&self, event: &str) -> bool {
        matches!(
            event,
            "alert.opened"
                | "alert.digest"
                | "alert.escalated"
                | "alert.updated"
                | "alert.resolved"
                | "rota.handover"
                | "notifier.failed"
                | "notifier.test"
        )
    }

    fn per_hour_max(&self) -> Option<u32> {
        Some(self.per_hour_max)
    }

    fn lists_alerts(&self) -> bool {
        true
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.heartbeat
    }

    fn acknowledges(&self) -> Option<String> {
        let to: Vec<&str> = self.to.iter().map(|to| to.email.as_ref()).collect();
        Some(to.join(", "))
    }

    fn text(&self, outgoing: &Outgoing) -> Result<String, SendError> {
        Ok(String::from_utf8_lossy(&self.message(outgoing)?.formatted()).replace("\r\n", "\n"))
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<String, SendError> {
        let message = self.message(outgoing)?;
        let response = tokio::time::timeout(SEND_TIMEOUT, self.hand_over(message))
            .await
            .map_err(|_| SendError(format!("no answer within {} s", SEND_TIMEOUT.as_secs())))?
            .map_err(|error| SendError(visible(&error_chain(&error), 500)))?;
        let words: Vec<&str> = response.message().collect();
        Ok(visible(&format!("{} {}", response.code(), words.join(" ")), 500))
    }
}

/// An error with what it came from: lettre's own text leaves that out.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl Mailer {
    async fn hand_over(
        &self,
        message: Message,
    ) -> Result<Response, lettre::transport::smtp::Error> {
        if let Some(pinned) = &self.pinned
            && let Some(response) = pinned.send(&message).await?
        {
            return Ok(response);
        }
        self.transport.send(message).await
    }

    fn message(&self, outgoing: &Outgoing) -> Result<Message, SendError> {
        let host = self.from.email.domain();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("List-Id", &format!("Logwarden alerts <logwarden.{host}>")));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let failed = |error: lettre::error::Error| SendError(format!("mail: {error}"));
        let Some(alert) = &outgoing.alert else {
            let (subject, text) = plain(outgoing);
            let notifier = visible(&outgoing.notifier, 100);
            let text =
                format!("{text}\nSent by notifier \"{notifier}\".\n{}\n", outgoing.public_url);
            let id = format!("<{}@{host}>", outgoing.id);
            return builder.message_id(Some(id)).subject(subject).body(text).map_err(failed);
        };
        let summary = &alert.summary;
        // One message that never was sent stands for the alert: mail programs thread by it.
        let thread = format!("<{}@{host}>", summary.id);
        let first = self.first_message_of(alert, outgoing, host);
        let references = first.as_ref().map_or(thread.clone(), |first| format!("{thread} {first}"));
        builder = builder
            .message_id(Some(message_id(summary.id, outgoing.id, host)))
            .in_reply_to(first.unwrap_or(thread))
            .references(references)
            .raw_header(header("X-Logwarden-Alert", &summary.id.to_string()))
            .raw_header(header("X-Logwarden-Rule", &summary.rule.id))
            .raw_header(header("X-Logwarden-Severity", summary.severity.name()))
            .raw_header(header("X-Logwarden-State", summary.state.name()))
            .subject(subject(outgoing, alert));
        let recipients: Vec<&str> = self.to.iter().map(|to| to.email.as_ref()).collect();
        let facts = message::facts(outgoing, alert, &recipients.join(", "));
        let (text, html) = template::render_alert(&facts)?;
        let body = MultiPart::alternative_plain_html(text, html);
        let evidence = message::evidence_lines(alert);
        let kind = ContentType::parse("application/x-ndjson")
            .map_err(|error| SendError(format!("mail: {error}")))?;
        let attached = Attachment::new(String::from("evidence.ndjson")).body(evidence, kind);
        let whole = MultiPart::mixed().multipart(body).singlepart(attached);
        builder.multipart(whole).map_err(failed)
    }

    /// The id of the mail that told about the alert's opening, when this is a later one.
    fn first_message_of(&self, alert: &Alert, outgoing: &Outgoing, host: &str) -> Option<String> {
        alert
            .notifications
            .iter()
            .find(|delivery| {
                delivery.notifier == outgoing.notifier && delivery.event == "alert.opened"
            })
            .filter(|delivery| {
                !matches!(delivery.state, DeliveryState::Limited | DeliveryState::Silenced)
            })
            .filter(|delivery| delivery.id != outgoing.id)
            .map(|delivery| message_id(delivery.alert_id, delivery.id, host))
    }
}

/// Subject and text of a mail that is about no alert.
fn plain(outgoing: &Outgoing) -> (String, String) {
    let (subject, text) = match (&outgoing.trouble, outgoing.event.as_str()) {
        (Some(_), event) => {
            let said = message::said(outgoing);
            let word = if event == "server.recovered" { "OK" } else { "CRIT" };
            let text = format!("{}\n{}", said.text, said.what_to_do);
            return (cut(format!("[{word}] {}", said.title)), text);
        }
        (None, "notifier.heartbeat") => {
            ("[OK] Logwarden is watching", "Logwarden runs, and its mails arrive.")
        }
        (None, _) => ("[TEST] Logwarden notification", "If you read this, mails arrive."),
    };
    (subject.to_owned(), text.to_owned())
}

/// The id of a mail: the alert's and the notification's, so that both are seen in a mail server's
/// log and an attempt repeated has the same.
fn message_id(alert: AlertId, notification: NotificationId, host: &str) -> String {
    format!("<{alert}.{notification}@{host}>")
}

/// A header of ours; only visible ASCII without line ends comes through.
fn header(name: &'static str, value: &str) -> HeaderValue {
    let value: String = value.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

/// The subject stays what it was when the alert's first mail was tried, whatever came since: mail
/// programs put mails of one subject together.
fn subject(outgoing: &Outgoing, alert: &Alert) -> String {
    let first = alert.notifications.iter().find(|delivery| {
        delivery.notifier == outgoing.notifier && delivery.event == "alert.opened"
    });
    let title = first.and_then(|first| first.title.as_deref()).unwrap_or(&alert.summary.title);
    let several = match (outgoing.event.as_str(), outgoing.also.len()) {
        ("alert.digest", others) => format!("Digest of {}: ", others + 1),
        ("rota.handover", others) => format!("You are on duty, {} open: ", others + 1),
        (_, 0) => String::new(),
        (_, others) => format!("{} alerts: ", others + 1),
    };
    let word = match alert.summary.severity {
        Level::Informational => "INFO",
        Level::Low => "LOW",
        Level::Medium => "MED",
        Level::High => "HIGH",
        Level::Critical => "CRIT",
    };
    let is_first =
        matches!(outgoing.event.as_str(), "alert.opened" | "alert.digest" | "rota.handover");
    let prefix = if is_first { "" } else { "Re: " };
    cut(format!("{prefix}[{word}] {several}{}", visible(title, 300)))
}

/// A subject that is not too long.
fn cut(whole: String) -> String {
    if whole.chars().count() <= SUBJECT_CHARS_MAX {
        return whole;
    }
    let mut cut: String = whole.chars().take(SUBJECT_CHARS_MAX - 1).collect();
    cut.push('…');
    cut
}
