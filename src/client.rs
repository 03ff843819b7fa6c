//! The HTTP API from the terminal: where the server is, with which token, and its errors in words.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
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
        let mut url = url::Url::parse(&format!("{}{path}", self.base))
            .map_err(|error| Failure::Usage(anyhow!("`{}` is not a URL: {error}", self.base)))?;
        url.query_pairs_mut()
            .extend_pairs(query.iter().map(|(name, value)| (*name, value.as_str())));
        let mut request = self.http.get(url).header("accept", accept);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let answer =
            request.send().await.with_context(|| format!("cannot reach `{}`", self.base))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let reason = match answer.json::<ErrorBody>().await {
            Ok(body) => {
                format!("{} ({status}, request {})", body.error.message, body.error.request_id)
            }
            Err(_) => format!("the server answered {status}"),
        };
        Err(Failure::Bad(anyhow!(reason)))
    }
}
