//! The HTTP front: accepts connections, holds them to their limits, hands requests to the router.
//!
//! Order of the limits: number of connections, then the header of a proxy, then TLS, then size and
//! time of the header (security requirements R28, R29), then whatever the route asks for. The router
//! can be replaced while the server runs: it answers "recovering" until the store is open.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use logwarden_ingest::Proxies;
use logwarden_store::identity::ClientNames;
use logwarden_web::OverTls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, info, warn};

use crate::config::{HttpConfig, TlsFiles};

/// Connections held open at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 2_048;
/// Bytes of names and values in one request's header.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Lines in one request's header.
const HEADERS_MAX: usize = 100;
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

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin, names: Option<ClientNames>) {
        let Self { peer, router, is_tls, shutdown } = self;
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let router = router.borrow().clone();
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
                match begun {
                    Poll::Ready(answer) => answer,
                    Poll::Pending => answer.await,
                }
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%peer, "connection ended: {error}");
        }
    }
}

/// Checks the header's size and framing, and notes where the request came from.
fn admit(
    request: Request<hyper::body::Incoming>,
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
        let message = "the address is over 16 KiB; a long query is sent with POST";
        return refusal(StatusCode::BAD_REQUEST, "url_too_long", message);
    }
    if bytes + url_bytes > HEADER_BYTES_MAX {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return refusal(status, "header_too_large", "the header is over 16 KiB");
    }
    // RFC 9112, section 6.3: both together are how requests are smuggled.
    if headers.contains_key(header::TRANSFER_ENCODING)
        && headers.contains_key(header::CONTENT_LENGTH)
    {
        let message = "Content-Length and Transfer-Encoding exclude each other";
        return refusal(StatusCode::BAD_REQUEST, "ambiguous_length", message);
    }
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    if is_tls {
        request.extensions_mut().insert(OverTls);
    }
    Ok(request)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

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
}
