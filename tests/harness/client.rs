//! The HTTP API as a sender or an analyst uses it.

use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::node::Node;
use super::wait::{LONG, until};

/// No answer takes this long, not even on a machine that does much else.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Somebody with a token.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|_| panic!("{} without JSON: {}", self.status, self.text))
    }

    /// Status and the code of the error in the body, such as `401 unauthorized`.
    pub(crate) fn refusal(&self) -> String {
        let kind = self.headers.get("content-type").and_then(|kind| kind.to_str().ok());
        assert!(kind.is_some_and(|kind| kind.starts_with("application/json")), "{self:?}");
        format!("{} {}", self.status, self.json()["error"]["code"].as_str().unwrap_or_default())
    }
}

impl Client {
    /// A client of `node`; with an empty token it shows none.
    pub(crate) fn new(node: &Node, token: &str) -> Self {
        Self::of_url(node.http(), token)
    }

    /// A client of whatever listens there, such as at `http://127.0.0.1:40001`.
    pub(crate) fn of_url(base: &str, token: &str) -> Self {
        // The first one of a process decides; they are all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build().expect("a client");
        Self { http, base: base.to_owned(), token: token.to_owned() }
    }

    /// The same token at another node, or at the one that was started again.
    pub(crate) fn at(&self, node: &Node) -> Self {
        Self { base: node.http().to_owned(), ..self.clone() }
    }

    /// A request to be filled and sent with [`Client::send`].
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    /// Sends a request and reads the answer; an error when the connection breaks before its end.
    pub(crate) async fn try_send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Answer { status, headers, text: answer.text().await? })
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn send(request: RequestBuilder) -> Answer {
        Self::try_send(request).await.expect("an answer")
    }

    /// Asks for something.
    pub(crate) async fn try_get(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let url = format!("{}{path}", self.base);
        let url = url::Url::parse_with_params(&url, query).expect("a URL");
        let mut request = self.http.get(url);
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        Self::try_send(request).await
    }

    /// Asks for something that is there.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let answer = self.try_get(path, query).await.expect("an answer");
        assert_eq!(answer.status, 200, "{path} {query:?}: {}", answer.text);
        answer.json()
    }

    /// Posts records.
    pub(crate) async fn ingest(&self, records: impl Into<reqwest::Body>) -> Answer {
        Self::send(self.request(Method::POST, "/api/v1/ingest").body(records)).await
    }

    /// What a query finds, at most `limit` events; complete, or the test fails.
    pub(crate) async fn search(&self, query: &str, limit: usize) -> Value {
        let limit = limit.to_string();
        let found = self.get("/api/v1/search", &[("q", query), ("limit", &limit)]).await;
        assert_eq!(found["complete"], true, "`{query}` was not read to the end: {found}");
        found
    }

    /// How many events a query finds.
    pub(crate) async fn count(&self, query: &str) -> u64 {
        self.search(query, 0).await["total"].as_u64().expect("a total")
    }

    /// Waits until a query finds at least `count` events, and says how long that took.
    pub(crate) async fn wait_for(&self, query: &str, count: u64) -> Duration {
        let began = Instant::now();
        let what = format!("{count} events for `{query}`");
        until(&what, LONG, async || (self.count(query).await >= count).then_some(())).await;
        began.elapsed()
    }
}
