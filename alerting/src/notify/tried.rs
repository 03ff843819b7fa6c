//! Trying a notifier: what a test says, and sending one.
//!
//! In: a notifier's id. Out: the text, without secrets, and what the receiver said. A test is about no
//! alert and leaves no delivery.

use logwarden_event::NotificationId;

use super::{Named, NotifierState, Outgoing, TestAnswer};
use crate::error::AlertingError;
use crate::{Alerting, identity};

impl Alerting {
    /// What a test through a notifier says, as its receiver would get it, without secrets.
    ///
    /// # Errors
    ///
    /// [`AlertingError::NotFound`].
    pub fn test_text(&self, id: &str) -> Result<String, AlertingError> {
        self.tried(id, |named, outgoing| text_of(named, &outgoing))
    }

    /// Sends a test notification now; answers what was sent and what the receiver said.
    ///
    /// # Errors
    ///
    /// [`AlertingError::NotFound`].
    pub async fn test_notifier(&self, id: &str) -> Result<TestAnswer, AlertingError> {
        let (name, notifier, outgoing, text) = self.tried(id, |named, outgoing| {
            let text = text_of(named, &outgoing);
            (named.name.clone(), named.notifier.clone(), outgoing, text)
        })?;
        let outcome = notifier.send(&outgoing).await;
        if outcome.is_ok() {
            self.shared.set_notifier_state(&name, NotifierState::Ok);
        }
        Ok(match outcome {
            Ok(answer) => TestAnswer { ok: true, answer, text },
            Err(error) => TestAnswer { ok: false, answer: error.to_string(), text },
        })
    }

    fn tried<T>(
        &self,
        id: &str,
        work: impl FnOnce(&Named, Outgoing) -> T,
    ) -> Result<T, AlertingError> {
        let routing = self.shared.routing();
        let named = routing.notifiers().iter().find(|named| named.name == id);
        let named = named.ok_or(AlertingError::NotFound)?;
        let sent_at = self.shared.store.clock.now();
        let nanos = sent_at.nanos().to_le_bytes();
        let entropy = identity::hash(&[b"test", id.as_bytes(), &nanos]);
        let outgoing = Outgoing {
            id: NotificationId::from_parts(sent_at, entropy),
            event: String::from("notifier.test"),
            alert: None,
            trouble: None,
            also: Vec::new(),
            sent_at,
            public_url: routing.public_url.clone(),
            held_back: 0,
            notifier: named.name.clone(),
            acknowledge: None,
            page_late: false,
        };
        Ok(work(named, outgoing))
    }
}

fn text_of(named: &Named, outgoing: &Outgoing) -> String {
    named.notifier.text(outgoing).unwrap_or_else(|error| format!("nothing: {error}"))
}
