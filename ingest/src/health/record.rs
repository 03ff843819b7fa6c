//! What is told of a source: one event of dataset `logwarden.source` each, once.
//!
//! Its source is the one it is about and its class names the service `source` of this product, so
//! that a Sigma rule with `logsource: {product: logwarden, service: source}` finds it.

use std::collections::BTreeSet;
use std::time::Duration;

use logwarden_event::{Class, Event, EventBuilder, FieldOptions, Severity, Timestamp, Value};
use logwarden_store::{Append, AppendOutcome, Draft, IdempotencyKey, RecordKind, Store};
use sha2::{Digest as _, Sha256};

use super::fields::Drift;

/// The dataset of what is told of sources.
pub const SOURCE_DATASET: &str = "logwarden.source";
const CLASS: &str = "logwarden//source";

/// Something that happened to a source.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    source: String,
    action: &'static str,
    severity: Severity,
    /// What tells it from others of the same action.
    mark: i64,
    quiet: Option<Duration>,
    drift: Drift,
}

impl Finding {
    pub(super) fn silent(source: &str, last_at: Option<i64>, quiet: Duration) -> Self {
        let mark = last_at.unwrap_or_default();
        let drift = Drift::default();
        let (source, severity) = (source.to_owned(), Severity::Warning);
        Self { source, action: "source.silent", severity, mark, quiet: Some(quiet), drift }
    }

    pub(super) fn returned(source: &str, last_at: Option<i64>, quiet: Duration) -> Self {
        let silent = Self::silent(source, last_at, quiet);
        Self { action: "source.returned", severity: Severity::Notice, ..silent }
    }

    pub(super) fn drifted(source: &str, now: Timestamp, drift: Drift) -> Self {
        let (source, severity) = (source.to_owned(), Severity::Notice);
        Self { source, action: "source.drifted", severity, mark: now.nanos(), quiet: None, drift }
    }

    /// The message of the event.
    pub(super) fn text(&self) -> String {
        let source = &self.source;
        let secs = self.quiet.unwrap_or_default().as_secs();
        match self.action {
            "source.silent" => format!("source `{source}` has sent nothing for {secs} s"),
            "source.returned" => format!("source `{source}` sends again after {secs} s"),
            _ => format!("source `{source}` sends other fields than before"),
        }
    }

    fn event(&self) -> Event {
        let text = self.text();
        let mut event = EventBuilder::new(text.as_bytes());
        event.source(&self.source).dataset(SOURCE_DATASET).message(&text).severity(self.severity);
        event.class(Class::new(CLASS));
        event.field("event.action", Value::String(self.action));
        event.field("lw.source_name", Value::String(&self.source));
        if let Some(quiet) = self.quiet {
            event.field("lw.quiet_secs", Value::Integer(i128::from(quiet.as_secs())));
        }
        let Drift { new, gone, back, retyped } = &self.drift;
        list(&mut event, "lw.fields_new", new);
        list(&mut event, "lw.fields_gone", gone);
        list(&mut event, "lw.fields_back", back);
        list(&mut event, "lw.fields_retyped", retyped);
        event.build()
    }

    /// Makes it durable, once however often it is tried.
    pub(super) async fn append(&self, store: &Store) -> Result<(), String> {
        let mut hasher = Sha256::new();
        for part in [self.source.as_bytes(), b"\0\0source\0", self.action.as_bytes()] {
            hasher.update(part);
        }
        hasher.update(self.mark.to_be_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hasher.finalize()[..16]);
        // The rules look at events of senders; this one is for them.
        let draft = Draft { kind: RecordKind::Event, event: self.event() };
        let append = Append {
            drafts: vec![draft],
            idempotency: Some(IdempotencyKey { key, body: key }),
            ..Append::default()
        };
        match store.journal.append(append).await {
            Ok(AppendOutcome::Appended(_) | AppendOutcome::Duplicate(_)) => Ok(()),
            Ok(outcome) => Err(format!("the journal answered {outcome:?}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn list(event: &mut EventBuilder<'_>, path: &str, names: &BTreeSet<String>) {
    let options = FieldOptions { is_array_item: true, ..FieldOptions::default() };
    for name in names {
        event.field_with(path, None, Value::String(name), options);
    }
}
