//! A receiver of webhooks that answers as it is told and remembers every request.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use logwarden_event::{Clock, SystemClock, Timestamp};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How the receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// With this status.
    Status(u16),
    /// Not at all, while the connection stays open.
    Silent,
    /// Of every ten requests four fail with 500, one gets no answer, and five are taken.
    Flaky,
}

impl Manner {
    /// What becomes of the request of this number, counted from 0.
    fn of(self, number: usize) -> Self {
        match (self, number % 10) {
            (Self::Flaky, 0 | 3 | 5 | 8) => Self::Status(500),
            (Self::Flaky, 6) => Self::Silent,
            (Self::Flaky, _) => Self::Status(200),
            (fixed, _) => fixed,
        }
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// When its body was there.
    pub(crate) received_at: Timestamp,
    /// Whether it was answered with success.
    pub(crate) was_taken: bool,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    /// A header; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The id under which the notification is sent again and again.
    pub(crate) fn id(&self) -> String {
        let id = self.header("idempotency-key").to_owned();
        assert_eq!(self.json()["notification_id"], id.as_str(), "two ids in one request");
        id
    }

    /// Whether whoever sent it knows `secret`, as the manual says to check it.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let signature = self.header("x-logwarden-signature");
        let Some((time, mac)) =
            signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1="))
        else {
            return false;
        };
        let sent: i64 = time.parse().expect("seconds");
        assert!((self.received_at.secs() - sent).abs() <= 300, "signed at another time: {time}");
        let mut signing = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
        signing.update(format!("{time}.").as_bytes());
        signing.update(&self.body);
        let expected = signing.finalize().into_bytes();
        expected.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == mac
    }
}

struct Shared {
    manner: Manner,
    calls: Vec<Call>,
}

/// A running receiver.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// Starts one.
    pub(crate) async fn start(manner: Manner) -> Self {
        let shared = Arc::new(Mutex::new(Shared { manner, calls: Vec::new() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self { address, shared, serving }
    }

    /// The table of a configuration file that sends webhooks here, signed with a secret that it
    /// puts into a file in `folder`.
    pub(crate) fn notifier(&self, name: &str, folder: &Path, secret: &str) -> String {
        let file = folder.join(format!("{name}.secret"));
        fs::write(&file, secret).expect("a secret");
        format!(
            r#"
[[notifiers]]
name = "{name}"
kind = "webhook"
url = "http://{}/hook"
secret = "file:{}"
allow_http = true
allow_networks = ["127.0.0.0/8"]
"#,
            self.address,
            file.display()
        )
    }

    /// Answers otherwise from now on.
    pub(crate) fn answer(&self, manner: Manner) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).manner = manner;
    }

    /// Every request so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()
    }

    /// The requests that were answered with success.
    pub(crate) fn taken(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.was_taken).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(
    State(shared): State<Arc<Mutex<Shared>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let manner = {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let manner = shared.manner.of(shared.calls.len());
        let was_taken = matches!(manner, Manner::Status(200..=299));
        let received_at = SystemClock.now();
        shared.calls.push(Call { received_at, was_taken, headers, body });
        manner
    };
    match manner {
        Manner::Status(status) => StatusCode::from_u16(status).expect("a status"),
        Manner::Silent | Manner::Flaky => std::future::pending().await,
    }
}
