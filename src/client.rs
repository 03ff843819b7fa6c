//! The HTTP API from the terminal: where the server is, with which token, and its errors in words.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::Failure;

/// How a command finds its server.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Connection {
    /// Where the server is.
    #[arg(long, env = "LOGWARDEN_URL", default_value = "http://127.0.0.1:7514")]
    url: String,
    /// A file with a token that may do this.
    #[arg(long, env = "LOGWARDEN_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

/// A server and a token for it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorText,
}

#[derive(Deserialize)]
struct ErrorText {
    message: String,
    #[serde(default)]
    request_id: String,
    /// Where in the query, in characters from 0 on.
    position: Option<usize>,
    #[serde(default)]
    expected: Vec<String>,
}

impl ErrorText {
    fn in_words(&self) -> String {
        let mut words = self.message.clone();
        if let Some(position) = self.position {
            words.push_str(&format!(", at character {}", position + 1));
        }
        if !self.expected.is_empty() {
            words.push_str(&format!("; expected {}", self.expected.join(", ")));
        }
        words
    }
}

impl Client {
    /// Reads the token.
    pub(crate) fn open(connection: &Connection) -> Result<Self, Failure> {
        let token = match &connection.token_file {
            None => None,
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read the token file `{}`", file.display()))?;
                Some(text.trim().to_owned())
            }
        };
        let http = reqwest::Client::builder().build().context("cannot set up HTTP")?;
        Ok(Self { http, base: connection.url.trim_end_matches('/').to_owned(), token })
    }

    /// Asks for a JSON answer.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        let answer = self.send(path, query, "application/json").await?;
        answer.json().await.context("the server's answer is not JSON").map_err(Failure::from)
    }

    /// Asks how the server is; a server that is not ready answers that as well.
    pub(crate) async fn health(&self) -> Result<Value, Failure> {
        let answer = self.request("/api/v1/health", &[], "application/json").await?;
        let answer = match answer.status() {
            StatusCode::SERVICE_UNAVAILABLE => answer,
            _ => checked(answer).await?,
        };
        answer.json().await.context("the server's answer is not JSON").map_err(Failure::from)
    }

    /// Asks for something to be done that needs no more to be said.
    pub(crate) async fn post(&self, path: &str) -> Result<Value, Failure> {
        let request = self.http.post(self.url(path)?);
        let answer = checked(self.answer(request, "application/json").await?).await?;
        answer.json().await.context("the server's answer is not JSON").map_err(Failure::from)
    }

    /// Asks for something to be done, with what is to be known for it.
    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.http.post(self.url(path)?).json(body);
        let answer = checked(self.answer(request, "application/json").await?).await?;
        answer.json().await.context("the server's answer is not JSON").map_err(Failure::from)
    }

    /// Asks for a stream of server-sent events.
    pub(crate) async fn stream(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<reqwest::Response, Failure> {
        self.send(path, query, "text/event-stream").await
    }

    async fn send(
        &self,
        path: &str,
        query: &[(&str, String)],
        accept: &str,
    ) -> Result<reqwest::Response, Failure> {
        checked(self.request(path, query, accept).await?).await
    }

    async fn request(
        &self,
        path: &str,
        query: &[(&str, String)],
        accept: &str,
    ) -> Result<reqwest::Response, Failure> {
        let mut url = self.url(path)?;
        for (name, value) in query {
            url.query_pairs_mut().append_pair(name, value);
        }
        self.answer(self.http.get(url), accept).await
    }

    fn url(&self, path: &str) -> Result<url::Url, Failure> {
        url::Url::parse(&format!("{}{path}", self.base))
            .map_err(|error| Failure::Usage(anyhow!("`{}` is not a URL: {error}", self.base)))
    }

    async fn answer(
        &self,
        request: reqwest::RequestBuilder,
        accept: &str,
    ) -> Result<reqwest::Response, Failure> {
        let mut request = request.header("accept", accept);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await;
        Ok(answer.with_context(|| format!("cannot reach `{}`", self.base))?)
    }
}

/// An answer that is a success; any other in words.
async fn checked(answer: reqwest::Response) -> Result<reqwest::Response, Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let reason = match answer.json::<ErrorBody>().await {
        Ok(body) => {
            format!("{} ({status}, request {})", body.error.in_words(), body.error.request_id)
        }
        Err(_) => format!("the server answered {status}"),
    };
    Err(Failure::Bad(anyhow!(reason)))
}
