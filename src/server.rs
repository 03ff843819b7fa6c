//! The HTTP front: accepts connections, holds them to their limits, hands requests to the router.
//!
//! Order of the limits: number of connections, then the header of a proxy, then TLS, then size and
//! time of the header (security requirements R28, R29), then whatever the route asks for. The router
//! can be replaced while the server runs: it answers "recovering" until the store is open. Whoever is
//! refused while still writing can read why (`unread.rs`), also for what is no request (`turn.rs`).

mod head;
mod turn;
mod unread;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use logwarden_ingest::Proxies;
use logwarden_store::identity::ClientNames;
use logwarden_web::OverTls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, info, warn};

use self::turn::{Turn, Wire};
use self::unread::Watched;
use crate::config::{HttpConfig, TlsFiles};

/// Connections held open at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 2_048;
/// Bytes of names and values in one request's header.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Lines in one request's header.
const HEADERS_MAX: usize = 100;
const URL_TOO_LONG: &str = "the address is over 16 KiB; a long query is sent with POST";
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may take after the stop was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A bound listener that is not served yet.
pub(crate) struct Server {
    listener: TcpListener,
    proxies: Arc<Proxies>,
    files: Option<TlsFiles>,
    tls: Option<watch::Sender<TlsAcceptor>>,
}

impl Server {
    /// Binds the address of `config`.
    ///
    /// # Errors
    ///
    /// When the port is taken or the certificate cannot be read.
    pub(crate) async fn bind(config: &HttpConfig) -> anyhow::Result<Self> {
        let (address, files) = (config.listen, config.tls.clone());
        let networks = if config.proxy_protocol {
            config.trusted_proxies.as_slice()
        } else {
            Default::default()
        };
        let proxies = Arc::new(Proxies::new(networks));
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on `{address}`"))?;
        let tls = files.as_ref().map(acceptor).transpose()?.map(|tls| watch::channel(tls).0);
        Ok(Self { listener, proxies, files, tls })
    }

    /// The address in use, with the port the system chose.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Reads the certificate again for connections to come.
    pub(crate) fn reload_tls(&self) -> anyhow::Result<()> {
        if let (Some(files), Some(tls)) = (&self.files, &self.tls) {
            tls.send_replace(acceptor(files)?);
            info!("certificate reloaded");
        }
        Ok(())
    }

    /// Serves until `shutdown`, then lets requests under way finish.
    pub(crate) async fn serve(&self, router: watch::Receiver<Router>, shutdown: CancellationToken) {
        let connections = TaskTracker::new();
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let slot = tokio::select! {
                slot = Arc::clone(&slots).acquire_owned() => slot.expect("the semaphore is never closed"),
                () = shutdown.cancelled() => break,
            };
            let (stream, peer) = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of descriptors or a connection that is gone: neither is ours to end on.
                        warn!("failed to accept a connection: {error}");
                        tokio::task::yield_now().await;
                        continue;
                    }
                },
                () = shutdown.cancelled() => break,
            };
            let connection = Connection {
                peer,
                router: router.clone(),
                is_tls: self.tls.is_some(),
                shutdown: shutdown.clone(),
            };
            let tls = self.tls.as_ref().map(|tls| tls.borrow().clone());
            let proxies = Arc::clone(&self.proxies);
            connections.spawn(async move {
                connection.run(stream, &proxies, tls).await;
                drop(slot);
            });
        }
        connections.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait()).await.is_err() {
            warn!("{} connections were cut off at the stop", connections.len());
        }
    }
}

struct Connection {
    peer: SocketAddr,
    router: watch::Receiver<Router>,
    is_tls: bool,
    shutdown: CancellationToken,
}

impl Connection {
    async fn run(mut self, mut stream: TcpStream, proxies: &Proxies, tls: Option<TlsAcceptor>) {
        let sender = tokio::select! {
            () = self.shutdown.cancelled() => None,
            sender = proxies.sender_of(&mut stream, self.peer) => sender,
        };
        let Some(sender) = sender else { return };
        self.peer = sender;
        // Answers are small and whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else { return self.serve(stream, None).await };
        match tokio::time::timeout(TLS_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let names = shown.map(|certificate| ClientNames::of(certificate));
                self.serve(stream, names).await;
            }
            Ok(Err(error)) => debug!(peer = %self.peer, "TLS handshake failed: {error}"),
            Err(_) => debug!(peer = %self.peer, "TLS handshake took too long"),
        }
    }

    async fn serve(
        self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        names: Option<ClientNames>,
    ) {
        let Self { peer, router, is_tls, shutdown } = self;
        let turn = Turn::default();
        let (rests_tx, rests) = mpsc::unbounded_channel();
        let begin = turn.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            begin.begin();
            let turn = begin.clone();
            let router = router.borrow().clone();
            let request = Watched::of(request, &rests_tx);
            let request = admit(request, peer, is_tls).map(|mut request| {
                if let Some(names) = &names {
                    request.extensions_mut().insert(names.clone());
                }
                request
            });
            let mut answer = Box::pin(async move {
                match request {
                    Ok(request) => router.oneshot(request).await,
                    Err(refusal) => Ok(*refusal),
                }
            });
            // Begun at once: hyper looks whether the peer has ended its side before it asks for the
            // answer, and would not hear a sender that goes as soon as it has sent, as graypy does.
            let begun = answer.as_mut().poll(&mut task::Context::from_waker(Waker::noop()));
            async move {
                let answer = match begun {
                    Poll::Ready(answer) => answer,
                    Poll::Pending => answer.await,
                };
                answer.map(|answer| turn.end_with(answer))
            }
        });
        let wire = Wire::new(&mut stream, turn.clone());
        let ended = {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_headers(HEADERS_MAX)
                .serve_connection(TokioIo::new(wire), service);
            let (mut connection, mut discarding) =
                (pin!(connection), pin!(unread::discard_rests(rests)));
            let mut is_stopping = false;
            loop {
                tokio::select! {
                    ended = connection.as_mut() => break ended,
                    never = discarding.as_mut() => match never {},
                    () = shutdown.cancelled(), if !is_stopping => {
                        is_stopping = true;
                        connection.as_mut().graceful_shutdown();
                    }
                }
            }
        };
        if let Err(error) = ended {
            debug!(%peer, "connection ended: {error}");
        }
        if let Some(status) = turn.refused()
            && let Err(error) = refuse(&mut stream, status, is_tls).await
        {
            debug!(%peer, "refusal was not written: {error}");
        }
    }
}

/// Writes to a connection that no request can come over any more why, and lets its sender read it.
async fn refuse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    status: StatusCode,
    is_tls: bool,
) -> anyhow::Result<()> {
    let (code, message) = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("header_too_large", "the header is over 16 KiB, or has more than 100 lines")
        }
        StatusCode::URI_TOO_LONG => ("url_too_long", URL_TOO_LONG),
        _ => ("bad_request", "this is no request of HTTP/1.1"),
    };
    let (head, body) = logwarden_web::refusal(status, code, message, is_tls).into_parts();
    let body = axum::body::to_bytes(body, HEADER_BYTES_MAX).await?;
    let mut answer = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in &head.headers {
        answer.extend_from_slice(name.as_str().as_bytes());
        answer.extend_from_slice(b": ");
        answer.extend_from_slice(value.as_bytes());
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    answer.extend_from_slice(&body);
    tokio::time::timeout(HEADER_TIMEOUT, async {
        stream.write_all(&answer).await?;
        stream.shutdown().await
    })
    .await??;
    unread::discard_all(stream).await;
    Ok(())
}

/// Checks the header's size, and notes where the request came from.
fn admit(
    request: Request<Watched>,
    peer: SocketAddr,
    is_tls: bool,
) -> Result<Request<Body>, Box<Response<Body>>> {
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let url_bytes = request.uri().to_string().len();
    let refusal = |status, code, message| {
        Err(Box::new(logwarden_web::refusal(status, code, message, is_tls)))
    };
    // A query that is too long is a bad request, not a bad header.
    if url_bytes > HEADER_BYTES_MAX {
        return refusal(StatusCode::BAD_REQUEST, "url_too_long", URL_TOO_LONG);
    }
    if bytes + url_bytes > HEADER_BYTES_MAX {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return refusal(status, "header_too_large", "the header is over 16 KiB");
    }
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    if is_tls {
        request.extensions_mut().insert(OverTls);
    }
    Ok(request)
}

/// Whether the front could be served: its certificate, key, authority and list can be used.
///
/// # Errors
///
/// What of them cannot be read or used.
pub(crate) fn check(config: &HttpConfig) -> anyhow::Result<()> {
    config.tls.as_ref().map(acceptor).transpose().map(drop)
}

/// TLS 1.2 and 1.3 by rustls; clients must show a certificate when an authority for them is named.
fn acceptor(files: &TlsFiles) -> anyhow::Result<TlsAcceptor> {
    let certificates = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read the certificate `{}`", files.cert.display()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("cannot read the key `{}`", files.key.display()))?;
    let builder = rustls::ServerConfig::builder();
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(file)
                .with_context(|| format!("cannot read the authority `{}`", file.display()))?
            {
                roots.add(certificate?)?;
            }
            let mut revoked = Vec::new();
            if let Some(file) = &files.client_crl {
                let lists = CertificateRevocationListDer::pem_file_iter(file);
                revoked = lists
                    .and_then(Iterator::collect)
                    .with_context(|| format!("cannot read the list `{}`", file.display()))?;
            }
            let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots))
                .with_crls(revoked)
                .enforce_revocation_expiration();
            let verifier = verifier.build().with_context(|| {
                format!("cannot use the authority `{}` and its list", file.display())
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .with_context(|| format!("`{}` is not the key of the certificate", files.key.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use axum::http::header;

    use super::*;

    /// What the router sees as the peer, or nothing when the connection was closed.
    async fn peer_seen(config: &HttpConfig, text: &str) -> String {
        let server = Server::bind(config).await.expect("a free port");
        let address = server.address().expect("it is bound");
        let peer = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string();
        let (_keep, router) = watch::channel(Router::new().fallback(peer));
        let shutdown = CancellationToken::new();
        let serving = server.serve(router, shutdown.clone());
        let asking = async {
            let mut stream = TcpStream::connect(address).await.expect("open");
            stream.write_all(text.as_bytes()).await.expect("open");
            let mut said = String::new();
            // A connection that is refused may be reset with what it did not read.
            let _ = stream.read_to_string(&mut said).await;
            shutdown.cancel();
            said
        };
        let (said, ()) = tokio::join!(asking, serving);
        said.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or(said)
    }

    #[tokio::test]
    async fn a_trusted_proxy_says_who_asks() {
        let proxied = HttpConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            trusted_proxies: vec!["127.0.0.0/8".parse().expect("a network")],
            proxy_protocol: true,
            ..HttpConfig::default()
        };
        let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let header = "PROXY TCP4 192.0.2.7 127.0.0.1 258 514\r\n";
        assert_eq!(peer_seen(&proxied, &format!("{header}{request}")).await, "192.0.2.7");
        assert_eq!(peer_seen(&proxied, request).await, "", "it must say it");
        let plain = HttpConfig { proxy_protocol: false, ..proxied };
        assert_eq!(peer_seen(&plain, request).await, "127.0.0.1");
        let strangers = vec!["10.0.0.0/8".parse().expect("a network")];
        let stranger = HttpConfig { trusted_proxies: strangers, proxy_protocol: true, ..plain };
        assert_eq!(peer_seen(&stranger, request).await, "127.0.0.1");
    }

    /// Says these things one after the other over one connection, each whole before its answer is
    /// read; what came back until the connection ended.
    async fn say(router: Router, requests: &[Vec<u8>]) -> String {
        let here =
            HttpConfig { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..HttpConfig::default() };
        let server = Server::bind(&here).await.expect("a free port");
        let address = server.address().expect("it is bound");
        let (_keep, router) = watch::channel(router);
        let shutdown = CancellationToken::new();
        let serving = server.serve(router, shutdown.clone());
        let talking = async {
            let mut stream = TcpStream::connect(address).await.expect("open");
            let mut said = Vec::new();
            for request in requests {
                stream.write_all(request).await.expect("all of it can be written");
                let before = said.len();
                let is_whole = |said: &[u8]| said[before..].ends_with(b"}}");
                while !is_whole(&said) && stream.read_buf(&mut said).await.expect("no reset") > 0 {}
            }
            shutdown.cancel();
            String::from_utf8(said).expect("text")
        };
        tokio::join!(talking, serving).0
    }

    /// Answers like a door that does not read what it refuses.
    fn refusing() -> Router {
        Router::new().fallback(async || {
            let (status, code) = (StatusCode::UNAUTHORIZED, "unauthorized");
            let mut refusal = logwarden_web::refusal(status, code, "not you", false);
            refusal.headers_mut().remove(header::CONNECTION);
            refusal
        })
    }

    #[tokio::test]
    async fn who_writes_all_before_reading_reads_why_it_was_refused_and_can_go_on() {
        // More than the system keeps of what nobody reads.
        let body = vec![b'x'; 32 << 20];
        let head = |line: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n");
        let measured = head(&format!("Content-Length: {}", body.len())).into_bytes();
        let chunk = format!("{:x}\r\n", body.len()).into_bytes();
        let chunked = head("Transfer-Encoding: chunked").into_bytes();
        let requests = [
            [&measured[..], &body].concat(),
            [&chunked[..], &chunk, &body, b"\r\n0\r\n\r\n"].concat(),
            head("Content-Length: 0").into_bytes(),
        ];
        let said = say(refusing(), &requests).await;
        assert_eq!(said.matches("HTTP/1.1 401 ").count(), 3, "{said}");
    }

    #[tokio::test]
    async fn who_waits_for_leave_to_write_is_not_told_to_begin() {
        let head =
            "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
        let said = say(refusing(), &[head.as_bytes().to_vec()]).await;
        assert!(said.starts_with("HTTP/1.1 401 ") && !said.contains(" 100 "), "{said}");
    }

    #[tokio::test]
    async fn what_is_no_request_is_answered_like_any_other_that_is_refused() {
        let sound = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(16 << 20));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: 1\r\n".repeat(101));
        let far = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(70_000));
        let two = "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab";
        for (bytes, status, code) in [
            (long.as_bytes(), 431, "header_too_large"),
            (many.as_bytes(), 431, "header_too_large"),
            (far.as_bytes(), 414, "url_too_long"),
            (two.as_bytes(), 400, "bad_request"),
            (b"nonsense\r\n\r\n", 400, "bad_request"),
            (b"GET / HTTP/1.1\r\nHost\r\n\r\n", 400, "bad_request"),
        ] {
            // As the first thing, and after a request that was one.
            for requests in [vec![bytes.to_vec()], vec![sound.clone(), bytes.to_vec()]] {
                let before = requests.len() - 1;
                let said = say(refusing(), &requests).await;
                assert_eq!(said.matches("HTTP/1.1 401 ").count(), before, "{said}");
                let (_, refusal) = said.split_once(&format!("HTTP/1.1 {status} ")).expect(&said);
                for text in [
                    "\r\nx-content-type-options: nosniff\r\n",
                    "\r\nx-request-id: ",
                    "\r\nconnection: close\r\n",
                    &format!("{{\"error\":{{\"code\":\"{code}\""),
                ] {
                    assert!(refusal.contains(text), "{text} in {refusal}");
                }
            }
        }
    }
}
