//! What is told of a trouble: one event of dataset `logwarden.health`, once.
//!
//! Its class names the service `health` of this product. What began is critical, because of our own records the
//! detector looks at those alone; how bad it is for people, the rules say.

use logwarden_event::{Class, Event, EventBuilder, Severity, Timestamp, Value};
use logwarden_store::{Append, AppendOutcome, Draft, IdempotencyKey, RecordKind, Store};
use sha2::{Digest as _, Sha256};

use super::Kind;

const DATASET: &str = "logwarden.health";
const CLASS: &str = "logwarden//health";

/// A trouble that began, is over, or was an instant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub kind: Kind,
    /// What has it: a notifier's name, a file's, or a part of the server.
    pub about: String,
    /// In words.
    pub text: String,
    pub is_over: bool,
    /// When it began, by our clock.
    pub at: Timestamp,
}

impl Finding {
    pub(super) fn event(&self) -> Event {
        let phase = if self.is_over { "over" } else { "began" };
        let severity = if self.is_over { Severity::Notice } else { Severity::Critical };
        let mut event = EventBuilder::new(self.text.as_bytes());
        event.source("logwarden").dataset(DATASET).class(Class::new(CLASS));
        event.message(&self.text).severity(severity);
        event.field("event.action", Value::String(self.kind.action()));
        event.field("lw.trouble.phase", Value::String(phase));
        event.field("lw.trouble.about", Value::String(&self.about));
        // By this field an alert is not told through the notifier it is about.
        if self.kind == Kind::NotifierFailing {
            event.field("lw.notifier", Value::String(&self.about));
        }
        event.build()
    }

    /// Makes it durable, once however often it is tried.
    pub(super) async fn append(&self, store: &Store) -> Result<(), String> {
        let mut hasher = Sha256::new();
        for part in [self.kind.action().as_bytes(), b"\0\0trouble\0", self.about.as_bytes()] {
            hasher.update(part);
        }
        hasher.update(self.at.nanos().to_be_bytes());
        hasher.update([u8::from(self.is_over)]);
        let mut key = [0; 16];
        key.copy_from_slice(&hasher.finalize()[..16]);
        let append = Append {
            drafts: vec![Draft { kind: RecordKind::Audit, event: self.event() }],
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
