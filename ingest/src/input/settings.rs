//! The settings of inputs, table `[[inputs]]`.

use std::path::PathBuf;

use logwarden_event::is_own_name;
use logwarden_store::SecretRef;
use serde::Deserialize;

/// What an input reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    /// Files on this machine.
    File,
    /// A stream of NATS JetStream.
    Nats,
}

impl InputKind {
    /// The name, as in metrics and in the protocol of events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Nats => "nats",
        }
    }
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputConfig {
    /// What it is called; how far it came is kept under this name.
    pub name: String,
    /// What it reads from.
    pub kind: InputKind,
    /// The source its records belong to.
    pub source: String,
    /// A file, a folder (every file in it that is not hidden), or a path with `*` and `?` in its last
    /// part. Kind `file`.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// The server, such as `nats://127.0.0.1:4222`. Kind `nats`.
    #[serde(default)]
    pub url: Option<String>,
    /// The stream. Kind `nats`.
    #[serde(default)]
    pub stream: Option<String>,
    /// Only messages of these subjects. Kind `nats`; default: all of the stream.
    #[serde(default)]
    pub subject: Option<String>,
    /// The name of the durable consumer. Kind `nats`; default: `logwarden-NAME`.
    #[serde(default)]
    pub consumer: Option<String>,
    /// Who we are to the server, with `password`. Kind `nats`.
    #[serde(default)]
    pub username: Option<String>,
    /// The password of `username`.
    #[serde(default)]
    pub password: Option<SecretRef>,
    /// A token instead of both. Kind `nats`.
    #[serde(default)]
    pub token: Option<SecretRef>,
    /// Allows a server off loopback: the connection has no TLS. Default: false.
    #[serde(default)]
    pub insecure: bool,
}

impl InputConfig {
    /// The key that cannot work, and why.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let is_name = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if !is_name(&self.name) {
            return Err(("name", "a name has letters, digits, `-` and `_`"));
        }
        if self.source.is_empty() || is_own_name(&self.source) {
            return Err(("source", "a source has a name that does not begin with `logwarden`"));
        }
        match self.kind {
            InputKind::File => {
                if self.path.is_none() {
                    return Err(("path", "an input of kind `file` needs a `path`"));
                }
                let nats = [&self.url, &self.stream, &self.subject, &self.consumer, &self.username];
                if nats.iter().any(|key| key.is_some()) {
                    return Err(("kind", "only an input of kind `nats` has a server"));
                }
            }
            InputKind::Nats => {
                if self.path.is_some() {
                    return Err(("path", "only an input of kind `file` has a `path`"));
                }
                let Some(address) = self.address() else {
                    return Err(("url", "an address such as `nats://127.0.0.1:4222` is needed"));
                };
                if !is_loopback(address) && !self.insecure {
                    return Err(("url", "off loopback it needs `insecure = true`: it has no TLS"));
                }
                if !self.stream.as_deref().is_some_and(is_name) {
                    return Err(("stream", "the name of a stream is needed"));
                }
                if !self.consumer.as_deref().is_none_or(is_name) {
                    return Err(("consumer", "a name has letters, digits, `-` and `_`"));
                }
                let is_subject = |subject: &str| {
                    !subject.is_empty() && subject.bytes().all(|byte| byte.is_ascii_graphic())
                };
                if !self.subject.as_deref().is_none_or(is_subject) {
                    return Err(("subject", "a subject has no blanks"));
                }
                let secrets = [("password", &self.password), ("token", &self.token)];
                for (key, secret) in secrets {
                    if secret.as_ref().is_some_and(|secret| secret.resolve().is_err()) {
                        return Err((key, "the secret cannot be read, or is empty"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Host and port of the server.
    pub(crate) fn address(&self) -> Option<&str> {
        let address = self.url.as_deref()?.strip_prefix("nats://")?.trim_end_matches('/');
        let (host, port) = address.rsplit_once(':')?;
        (!host.is_empty() && !host.contains('@') && port.parse::<u16>().is_ok()).then_some(address)
    }

    /// The name of the durable consumer.
    pub(crate) fn consumer(&self) -> String {
        self.consumer.clone().unwrap_or_else(|| format!("logwarden-{}", self.name))
    }
}

fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: serde_json::Value, expected: &str) {
        let config: Result<InputConfig, _> = serde_json::from_value(settings.clone());
        let said = match config.map(|config| config.check()) {
            Err(error) => error.to_string(),
            Ok(Err((key, problem))) => format!("{key}: {problem}"),
            Ok(Ok(())) => "good".to_owned(),
        };
        assert!(said.contains(expected), "{settings} gave: {said}");
    }

    #[test]
    fn an_input_says_where_it_reads_from() {
        let file =
            |path| serde_json::json!({"name": "a", "kind": "file", "source": "s", "path": path});
        check(file(Some("/var/log/*.log")), "good");
        check(file(None), "path: an input of kind `file` needs");
        let nats = |url: &str, insecure: bool| {
            serde_json::json!({"name": "a", "kind": "nats", "source": "s", "url": url,
                "stream": "LOGS", "subject": "logs.>", "insecure": insecure})
        };
        check(nats("nats://127.0.0.1:4222", false), "good");
        check(nats("nats://[::1]:4222", false), "good");
        check(nats("nats://10.0.0.1:4222", false), "url: off loopback");
        check(nats("nats://10.0.0.1:4222", true), "good");
        check(nats("http://127.0.0.1:4222", false), "url: an address such as");
        check(serde_json::json!({"name": "a", "kind": "kafka", "source": "s"}), "kafka");
        check(serde_json::json!({"name": "a b", "kind": "file", "source": "s"}), "name: a name");
        check(serde_json::json!({"name": "a", "kind": "file", "source": "logwarden"}), "source: ");
    }
}
