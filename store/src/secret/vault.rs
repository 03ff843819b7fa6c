//! Secrets in HashiCorp Vault, over its HTTP API.
//!
//! In: the path of a secret as the API has it (`secret/data/logwarden` in version 2 of the KV engine)
//! and one of its keys. Where Vault is, is said as to its own programs: `VAULT_ADDR`, `VAULT_TOKEN`
//! (none behind an agent that adds its own), `VAULT_CACERT`, `VAULT_NAMESPACE`. Out: the key's value.
//! Plain HTTP goes to loopback alone; nothing is redirected; an answer has [`TIMEOUT`] and at most
//! [`ANSWER_BYTES_MAX`]. No reason holds any part of an answer.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde_json::Value;
use url::{Host, Url};

use super::Secret;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The value of one key.
///
/// # Errors
///
/// Why there is none.
pub(super) fn value(path: &str, key: &str) -> Result<String, String> {
    Vault::of(|name| std::env::var(name).ok())?.value(path, key)
}

struct Vault {
    address: Url,
    token: Option<Secret<String>>,
    namespace: Option<String>,
    ca: Option<PathBuf>,
}

impl Vault {
    fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let given = |name: &str| variable(name).filter(|text| !text.is_empty());
        let text = given("VAULT_ADDR").ok_or("`VAULT_ADDR` is not set")?;
        let address: Url = text.parse().map_err(|_| "`VAULT_ADDR` is no address")?;
        let is_loopback = match address.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err("`VAULT_ADDR` is no address".to_owned()),
        };
        if address.scheme() != "https" && !(address.scheme() == "http" && is_loopback) {
            return Err("`VAULT_ADDR`: `https://` is needed off loopback".to_owned());
        }
        let namespace = given("VAULT_NAMESPACE");
        let token = given("VAULT_TOKEN");
        if [&namespace, &token].into_iter().flatten().any(|text| text.contains(['\r', '\n'])) {
            return Err("`VAULT_TOKEN` and `VAULT_NAMESPACE` have one line".to_owned());
        }
        let ca = given("VAULT_CACERT").map(PathBuf::from);
        Ok(Self { address, token: token.map(Secret::new), namespace, ca })
    }

    fn value(&self, path: &str, key: &str) -> Result<String, String> {
        let answer = self.get(path).map_err(|error| format!("Vault does not answer: {error}"))?;
        let (head, body) = split(&answer).ok_or("Vault's answer is no HTTP")?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if status != "200" {
            return Err(format!("Vault answers {}", status.chars().take(3).collect::<String>()));
        }
        let body: Value =
            serde_json::from_slice(body).map_err(|_| "Vault's answer is no JSON".to_owned())?;
        // Version 2 of the engine has one `data` more than version 1.
        let found = body["data"]["data"].get(key).or_else(|| body["data"].get(key));
        let text = found.and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| format!("it has no text under `{key}`"))
    }

    /// The whole answer to a request for a path.
    fn get(&self, path: &str) -> std::io::Result<Vec<u8>> {
        let deadline = Instant::now() + TIMEOUT;
        let host = self.address.host_str().unwrap_or_default();
        let port = self.address.port_or_known_default().unwrap_or(443);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let mut stream = connect(bare, port)?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut url = self.address.clone();
        url.set_path(&format!("/v1/{path}"));
        // To HTTP/1.0 a server answers in one piece and closes.
        let mut request = format!("GET {} HTTP/1.0\r\nHost: {host}:{port}\r\n", url.path());
        if let Some(token) = &self.token {
            request.push_str(&format!("X-Vault-Token: {}\r\n", token.expose()));
        }
        if let Some(namespace) = &self.namespace {
            request.push_str(&format!("X-Vault-Namespace: {namespace}\r\n"));
        }
        request.push_str("X-Vault-Request: true\r\nAccept: application/json\r\n\r\n");
        if self.address.scheme() == "http" {
            stream.write_all(request.as_bytes())?;
            return read_all(&mut Bounded { stream: &mut stream, deadline });
        }
        let name = ServerName::try_from(bare.to_owned()).map_err(std::io::Error::other)?;
        let config = Arc::new(self.tls().map_err(std::io::Error::other)?);
        let mut session =
            rustls::ClientConnection::new(config, name).map_err(std::io::Error::other)?;
        let mut stream = Bounded { stream: &mut stream, deadline };
        let mut tls = rustls::Stream::new(&mut session, &mut stream);
        tls.write_all(request.as_bytes())?;
        read_all(&mut tls)
    }

    fn tls(&self) -> Result<rustls::ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?;
        let Some(file) = &self.ca else {
            return Ok(builder.with_platform_verifier()?.with_no_client_auth());
        };
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(file)? {
            roots.add(certificate?)?;
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut failure = std::io::Error::other("its name leads nowhere");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A connection of which nothing is read after a time.
struct Bounded<'s> {
    stream: &'s mut TcpStream,
    deadline: Instant,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

fn read_all(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let ended = stream.take(ANSWER_BYTES_MAX as u64 + 1).read_to_end(&mut answer);
    if answer.len() > ANSWER_BYTES_MAX {
        return Err(std::io::Error::other("its answer is too long"));
    }
    match ended {
        // Some close a TLS connection without a word; what is cut off is no JSON.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(answer),
        ended => ended.map(|_| answer),
    }
}

/// The head of an answer and its body.
fn split(answer: &[u8]) -> Option<(&str, &[u8])> {
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head =
        std::str::from_utf8(&answer[..at]).ok().filter(|head| head.starts_with("HTTP/1."))?;
    Some((head, &answer[at + 4..]))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What is read of a Vault that answers like this, and what it was asked.
    fn asked(answer: &'static str, path: &str, key: &str) -> (Result<String, String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            let mut request = Vec::new();
            let mut buffer = [0; 1024];
            while !request.ends_with(b"\r\n\r\n") {
                let read = stream.read(&mut buffer).expect("open");
                request.extend_from_slice(&buffer[..read]);
            }
            stream.write_all(answer.as_bytes()).expect("open");
            String::from_utf8(request).expect("text")
        });
        let vault = Vault::of(|name| match name {
            "VAULT_ADDR" => Some(address.clone()),
            "VAULT_TOKEN" => Some("hvs.token".to_owned()),
            "VAULT_NAMESPACE" => Some("team".to_owned()),
            _ => None,
        });
        let value = vault.expect("an address").value(path, key);
        (value, serving.join().expect("served"))
    }

    #[test]
    fn both_versions_of_the_engine_give_the_value_of_a_key() {
        let two = "HTTP/1.1 200 OK\r\nServer: vault\r\n\r\n{\"data\":{\"data\":{\"smtp\":\"s3cret\"},\"metadata\":{}}}";
        let (value, request) = asked(two, "secret/data/log warden", "smtp");
        assert_eq!(value, Ok("s3cret".to_owned()));
        assert!(request.starts_with("GET /v1/secret/data/log%20warden HTTP/1.0\r\n"), "{request}");
        assert!(request.contains("X-Vault-Token: hvs.token\r\nX-Vault-Namespace: team\r\n"));
        let one = "HTTP/1.0 200 OK\r\n\r\n{\"data\":{\"smtp\":\"s3cret\"}}";
        assert_eq!(asked(one, "kv/logwarden", "smtp").0, Ok("s3cret".to_owned()));
    }

    #[test]
    fn no_reason_repeats_the_answer() {
        let check = |answer, expected: &str| {
            let (value, _) = asked(answer, "secret/data/x", "smtp");
            assert_eq!(value, Err(expected.to_owned()), "{answer}");
        };
        check("HTTP/1.1 403 Forbidden\r\n\r\n{\"errors\":[\"s3cret\"]}", "Vault answers 403");
        check("HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "Vault answers 302");
        check("HTTP/1.1 200 OK\r\n\r\ns3cret", "Vault's answer is no JSON");
        let other = "HTTP/1.1 200 OK\r\n\r\n{\"data\":{\"data\":{\"other\":\"s3cret\"}}}";
        check(other, "it has no text under `smtp`");
        check("220 s3cret ESMTP\r\n\r\n", "Vault's answer is no HTTP");
    }

    #[test]
    fn a_token_travels_over_tls_or_loopback_only() {
        let of = |address: &str| {
            let address = address.to_owned();
            Vault::of(move |name| (name == "VAULT_ADDR").then(|| address.clone())).err()
        };
        assert_eq!(of("https://vault.example:8200"), None);
        assert_eq!(of("http://localhost:8200"), None);
        let refused = Some("`VAULT_ADDR`: `https://` is needed off loopback".to_owned());
        assert_eq!(of("http://vault.example:8200"), refused);
        assert_eq!(of("ftp://127.0.0.1"), refused);
        assert_eq!(of("nonsense"), Some("`VAULT_ADDR` is no address".to_owned()));
    }
}
