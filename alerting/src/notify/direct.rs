//! Tells of what no alert can tell of: troubles of the server that keep events from becoming alerts.
//!
//! In: the troubles there are now, each time that changes. Out: for each one message to everybody whom routes name for
//! its rule (to every notifier when that is nobody), and one to those who took it when it is over. Neither the journal
//! nor the catalog need to take anything: nothing is written down, and silences, ceilings and digests do not count.
//! What a receiver does not take is tried again until the trouble is over. A restart forgets what was told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use logwarden_event::{NotificationId, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::route::Asked;
use super::{Named, Outgoing};
use crate::rule::Level;
use crate::{Shared, identity, metrics};

/// What such a message says.
const BEGAN: &str = "server.trouble";
/// What it says when that is over.
const OVER: &str = "server.recovered";
/// Between two attempts.
const RETRY: Duration = Duration::from_secs(30);

/// A trouble of the server that no alert can tell of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trouble {
    /// What kind it is: the name of the rule that would open an alert.
    pub rule: String,
    /// What has it.
    pub about: String,
    /// When it began, by our clock.
    pub began_at: Timestamp,
    /// In words.
    pub text: String,
}

/// What is to be told, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Message {
    notifier: String,
    trouble: Trouble,
    is_over: bool,
}

/// Tells until `shutdown`.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut troubles: watch::Receiver<Vec<Trouble>>,
    shutdown: CancellationToken,
) {
    // What was taken, of troubles that are not over; what is on its way.
    let mut told: BTreeSet<Message> = BTreeSet::new();
    let mut sending: BTreeSet<Message> = BTreeSet::new();
    let mut tried: BTreeMap<Message, tokio::time::Instant> = BTreeMap::new();
    let mut attempts: JoinSet<(Message, bool)> = JoinSet::new();
    loop {
        let now = troubles.borrow_and_update().clone();
        let due = due(&shared, &now, &told);
        tried.retain(|message, _| due.contains(message));
        for message in due {
            let is_due = tried.get(&message).is_none_or(|at| at.elapsed() >= RETRY);
            if is_due && sending.insert(message.clone()) {
                tried.insert(message.clone(), tokio::time::Instant::now());
                attempts.spawn(send(shared.clone(), message));
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = troubles.changed() => if changed.is_err() { return },
            Some(done) = attempts.join_next() => {
                if let Ok((message, is_taken)) = done {
                    sending.remove(&message);
                    if is_taken && message.is_over {
                        told.retain(|known| !message.ends(known));
                    } else if is_taken {
                        told.insert(message);
                    }
                }
            }
            () = tokio::time::sleep(RETRY), if !tried.is_empty() => {}
        }
    }
}

impl Message {
    /// Whether it says that what `other` tells of is over.
    fn ends(&self, other: &Self) -> bool {
        self.is_over && (&self.notifier, &self.trouble) == (&other.notifier, &other.trouble)
    }
}

/// What nobody has taken yet: of each trouble that it began, of each that was told that it is over.
fn due(shared: &Shared, now: &[Trouble], told: &BTreeSet<Message>) -> Vec<Message> {
    let began = now.iter().flat_map(|trouble| {
        let named = named(shared, trouble).into_iter();
        named.map(|named| Message {
            notifier: named.name,
            trouble: trouble.clone(),
            is_over: false,
        })
    });
    let over = told.iter().filter(|message| !now.contains(&message.trouble));
    let over = over.map(|message| Message { is_over: true, ..message.clone() });
    began.filter(|message| !told.contains(message)).chain(over).collect()
}

fn named(shared: &Shared, trouble: &Trouble) -> Vec<Named> {
    let (routing, rules) = (shared.routing(), shared.rules());
    let rule = rules.find(&trouble.rule);
    let severity = rule.map_or(Level::Critical, |rule| rule.level);
    let now = shared.store.clock.now();
    let answer = routing.asked(Asked { rule, severity, group: &[], now });
    let is_told = |named: &&Named| answer.told.iter().any(|(name, _)| *name == named.name);
    let told: Vec<Named> = routing.notifiers().iter().filter(is_told).cloned().collect();
    if told.is_empty() { routing.notifiers().to_vec() } else { told }
}

/// One attempt; answers whether it was taken.
async fn send(shared: Arc<Shared>, message: Message) -> (Message, bool) {
    let routing = shared.routing();
    let known = routing.notifiers().iter().find(|named| named.name == message.notifier);
    // A notifier that is gone has nothing to be told.
    let Some(named) = known.cloned() else { return (message, true) };
    let Message { trouble, is_over, .. } = &message;
    let parts = [&trouble.rule, &trouble.about, &named.name].map(|part| part.as_bytes());
    let entropy = identity::hash(&[&parts[..], &[&[u8::from(*is_over)]]].concat());
    let outgoing = Outgoing {
        id: NotificationId::from_parts(trouble.began_at, entropy),
        event: String::from(if *is_over { OVER } else { BEGAN }),
        alert: None,
        trouble: Some(trouble.clone()),
        also: Vec::new(),
        sent_at: shared.store.clock.now(),
        public_url: routing.public_url.clone(),
        held_back: 0,
        notifier: named.name.clone(),
        acknowledge: None,
        page_late: false,
    };
    let outcome = named.notifier.send(&outgoing).await;
    if let Err(error) = &outcome {
        warn!(notifier = %named.name, trouble = %trouble.text, %error, "trouble is not told yet");
    }
    let result = if outcome.is_ok() { "taken" } else { "failed" };
    ::metrics::counter!(metrics::TROUBLES_TOLD_TOTAL, "notifier" => named.name, "result" => result)
        .increment(1);
    (message, outcome.is_ok())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use logwarden_query::Mask;
    use logwarden_store::Store;

    use super::*;
    use crate::notify::{Notifier, Routing, SendError};
    use crate::{Alerting, Config};

    /// Hears what it is told, unless it is deaf.
    #[derive(Default)]
    struct Listener {
        is_deaf: AtomicBool,
        heard: Mutex<Vec<String>>,
    }

    #[async_trait::async_trait]
    impl Notifier for Listener {
        fn target(&self) -> String {
            String::from("here")
        }

        fn wants(&self, _event: &str) -> bool {
            false
        }

        fn per_hour_max(&self) -> Option<u32> {
            Some(0)
        }

        fn lists_alerts(&self) -> bool {
            true
        }

        fn heartbeat(&self) -> Option<Duration> {
            None
        }

        fn text(&self, message: &Outgoing) -> Result<String, SendError> {
            Ok(message.event.clone())
        }

        async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
            if self.is_deaf.load(Ordering::Relaxed) {
                return Err(SendError(String::from("deaf")));
            }
            let trouble = message.trouble.as_ref().expect("a trouble");
            let heard = format!("{} {} {}", message.event, trouble.rule, message.id);
            self.heard.lock().expect("not poisoned").push(heard);
            Ok(String::from("heard"))
        }
    }

    impl Listener {
        fn heard(&self) -> Vec<String> {
            let heard = self.heard.lock().expect("not poisoned");
            let words =
                heard.iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
            words.collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_trouble_is_told_until_it_is_taken_and_once_more_when_it_is_over() {
        let (store, _) = Store::simulated(1);
        let alerting = Alerting::open(store, Config::default()).await.expect("opened");
        let listeners = [Arc::new(Listener::default()), Arc::new(Listener::default())];
        let named = |(place, listener): (usize, &Arc<Listener>)| Named {
            name: place.to_string(),
            kind: "webhook",
            notifier: listener.clone(),
            mask: Mask::default(),
        };
        let routing = Routing::of(listeners.iter().enumerate().map(named).collect());
        crate::write(&alerting.shared.settings).routing = Arc::new(routing);
        let stop = CancellationToken::new();
        let troubles = alerting.shared.troubles.subscribe();
        let running = tokio::spawn(run(alerting.shared.clone(), troubles, stop.clone()));
        let pass = async |secs| tokio::time::sleep(Duration::from_secs(secs)).await;

        listeners[1].is_deaf.store(true, Ordering::Relaxed);
        let trouble = Trouble {
            rule: String::from("journal_failed"),
            about: String::from("journal"),
            began_at: Timestamp::from_secs(1_780_000_000),
            text: String::from("the journal cannot be written"),
        };
        for _ in 0..20 {
            alerting.tell_directly(vec![trouble.clone()]);
            pass(5).await;
        }
        assert_eq!(listeners[0].heard(), ["server.trouble journal_failed"], "once");
        assert_eq!(listeners[1].heard(), [""; 0]);
        listeners[1].is_deaf.store(false, Ordering::Relaxed);
        pass(70).await;
        assert_eq!(listeners[1].heard(), ["server.trouble journal_failed"]);
        alerting.tell_directly(Vec::new());
        pass(5).await;
        for listener in &listeners {
            assert_eq!(
                listener.heard(),
                ["server.trouble journal_failed", "server.recovered journal_failed"]
            );
            let heard = listener.heard.lock().expect("not poisoned").clone();
            assert_ne!(heard[0].rsplit(' ').next(), heard[1].rsplit(' ').next(), "two messages");
        }
        stop.cancel();
        running.await.expect("no panic");
    }
}
