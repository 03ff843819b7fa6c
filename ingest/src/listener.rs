//! Listening: accept, TLS, connection limits, ordered stop.
//!
//! Input: the configured addresses. Output: connections handed to the protocol that their first bytes
//! are of. Whoever speaks none of ours is told so where that can be read, and closed.

use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::BytesMut;
use logwarden_store::identity::ClientNames;
use metrics::counter;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::Proxies;
use crate::config::{ListenerConfig, ListenerKind, TlsConfig};
use crate::metrics::{CONNECTIONS_REFUSED_TOTAL, CONNECTIONS_TOTAL};
use crate::pipeline::Pipeline;
use crate::protocol;
use crate::protocol::source_if_allowed;
use crate::protocol::stream::{Connection, Reading, Stream};
use crate::protocol::syslog::is_http;

/// First bytes needed to tell protocols apart: a count of octets, its space and the next byte.
const FIRST_BYTES: usize = 12;
/// A pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// How long open connections may take to finish what they have read, once we stop.
const STOP_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

/// Why a listener cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken or not ours.
    #[error("`{address}` cannot be listened on: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("`{path}`: {problem}")]
    Tls {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// One bound TCP address.
pub(crate) struct Listener {
    config: Arc<ListenerConfig>,
    proxies: Arc<Proxies>,
    socket: TcpListener,
    tls: Option<Arc<Certificates>>,
}

/// The certificates of a listener, which can be read again.
pub(crate) struct Certificates {
    files: TlsConfig,
    kind: ListenerKind,
    current: RwLock<Arc<ServerConfig>>,
}

impl Certificates {
    fn open(files: &TlsConfig, kind: ListenerKind) -> Result<Self, ListenError> {
        let current = RwLock::new(Arc::new(server_config(files, kind)?));
        Ok(Self { files: files.clone(), kind, current })
    }

    /// Reads the files again; what was read before stays when they cannot be used.
    pub(crate) fn reload(&self) -> Result<(), ListenError> {
        let fresh = Arc::new(server_config(&self.files, self.kind)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl crate::Config {
    /// Reads the certificates of all listeners, as a start would.
    ///
    /// # Errors
    ///
    /// [`ListenError`] with the first file that cannot be used.
    pub fn check_certificates(&self) -> Result<(), ListenError> {
        let mut listeners = self.listeners.iter();
        listeners.try_for_each(|listener| match &listener.tls {
            Some(files) => server_config(files, listener.kind).map(drop),
            None => Ok(()),
        })
    }
}

fn server_config(files: &TlsConfig, kind: ListenerKind) -> Result<ServerConfig, ListenError> {
    let chain = certificates(&files.cert)?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| tls_error(&files.key, error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| tls_error(&files.cert, error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| tls_error(path, error))?;
            }
            let revoked = files.client_crl.as_deref().map(revocations).transpose()?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .with_crls(revoked.unwrap_or_default())
                .enforce_revocation_expiration()
                .build()
                .map_err(|error| tls_error(path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config =
        builder.with_single_cert(chain, key).map_err(|error| tls_error(&files.key, error))?;
    if kind == ListenerKind::Otlp {
        // Clients of gRPC go when it is not agreed on.
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ListenError> {
    let file = std::fs::File::open(path).map_err(|error| tls_error(path, error))?;
    CertificateDer::pem_reader_iter(BufReader::new(file))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| tls_error(path, error))
}

fn revocations(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, ListenError> {
    CertificateRevocationListDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| tls_error(path, error))
}

fn tls_error(path: &Path, problem: impl std::fmt::Display) -> ListenError {
    ListenError::Tls { path: path.display().to_string(), problem: problem.to_string() }
}

impl Listener {
    /// Binds the TCP address of `config`.
    pub(crate) async fn bind(
        config: &Arc<ListenerConfig>,
        address: SocketAddr,
    ) -> Result<Self, ListenError> {
        let tls = config.tls.as_ref().map(|files| Certificates::open(files, config.kind));
        let tls = tls.transpose()?.map(Arc::new);
        let socket = TcpListener::bind(address)
            .await
            .map_err(|error| ListenError::Bind { address, error })?;
        let proxies = Arc::new(Proxies::new(&config.trusted_proxies));
        Ok(Self { config: Arc::clone(config), proxies, socket, tls })
    }

    /// The address it is bound to.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Its certificates, when it has any.
    pub(crate) fn certificates(&self) -> Option<Arc<Certificates>> {
        self.tls.clone()
    }

    /// Accepts connections until `shutdown`, then lets them finish what they have read.
    pub(crate) async fn run(self, pipeline: Arc<Pipeline>, shutdown: CancellationToken) {
        let mut connections = JoinSet::new();
        self.accept(&pipeline, &shutdown, &mut connections).await;
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WAIT, ended).await.is_err() {
            warn!(connections = connections.len(), "connections did not end in time");
        }
    }

    async fn accept(
        &self,
        pipeline: &Arc<Pipeline>,
        shutdown: &CancellationToken,
        connections: &mut JoinSet<()>,
    ) {
        let places = Arc::new(Semaphore::new(pipeline.limits().connections_max));
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(error = %error, "connection cannot be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                counter!(CONNECTIONS_REFUSED_TOTAL, "reason" => "connections_max").increment(1);
                continue;
            };
            counter!(CONNECTIONS_TOTAL).increment(1);
            while connections.try_join_next().is_some() {}
            let (listener, tls) = (Arc::clone(&self.config), self.tls.clone());
            let proxies = Arc::clone(&self.proxies);
            let (pipeline, shutdown) = (Arc::clone(pipeline), shutdown.clone());
            connections.spawn(async move {
                let mut socket = socket;
                let sender = tokio::select! {
                    () = shutdown.cancelled() => None,
                    sender = proxies.sender_of(&mut socket, peer) => sender,
                };
                let Some(peer) = sender else { return };
                let meeting = Meeting { socket, peer, listener, tls, pipeline, shutdown };
                meeting.serve(place).await;
            });
        }
    }
}

/// A connection before anything is known of it.
struct Meeting {
    socket: TcpStream,
    peer: SocketAddr,
    listener: Arc<ListenerConfig>,
    tls: Option<Arc<Certificates>>,
    pipeline: Arc<Pipeline>,
    shutdown: CancellationToken,
}

impl Meeting {
    async fn serve(self, _place: OwnedSemaphorePermit) {
        let timeout = self.pipeline.limits().first_bytes_timeout;
        // Acknowledgements are short and waited for.
        let _ = self.socket.set_nodelay(true);
        let mut certified = None;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(self.socket),
            Some(certificates) => {
                let acceptor = TlsAcceptor::from(certificates.current());
                match tokio::time::timeout(timeout, acceptor.accept(self.socket)).await {
                    Ok(Ok(stream)) => {
                        certified = certified_source(&self.pipeline, &self.listener, &stream);
                        Box::new(stream)
                    }
                    Ok(Err(error)) => {
                        debug!(peer = %self.peer, error = %error, "handshake failed: {error}");
                        counter!(CONNECTIONS_REFUSED_TOTAL, "reason" => "handshake").increment(1);
                        return;
                    }
                    Err(_) => {
                        counter!(CONNECTIONS_REFUSED_TOTAL, "reason" => "handshake").increment(1);
                        return;
                    }
                }
            }
        };
        serve(Connection {
            stream,
            buffer: BytesMut::new(),
            ended: None,
            listener: self.listener,
            peer: self.peer,
            certified,
            pipeline: self.pipeline,
            shutdown: self.shutdown,
        })
        .await;
    }
}

/// The source that the client certificate of a connection stands for: as the configuration says of
/// its name, else that of the listener.
fn certified_source(
    pipeline: &Pipeline,
    listener: &ListenerConfig,
    stream: &TlsStream<TcpStream>,
) -> Option<String> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    match pipeline.identity.authenticate_certificate(&ClientNames::of(certificate)) {
        Some(principal) => source_if_allowed(&principal),
        None => listener.source.clone(),
    }
}

/// Tells the protocol by the first bytes and serves the connection until its end.
pub(crate) async fn serve(mut connection: Connection) {
    if let Some(protocol) = protocol::speaking_first(&connection.listener) {
        return protocol.serve(connection).await;
    }
    // A syslog sender may connect long before its first record, and would lose it if it were closed;
    // who still has to show a token is not waited for.
    let limits = connection.pipeline.limits();
    let is_admitted = connection.admitted_source().is_some();
    let timeout = if is_admitted { limits.idle_timeout } else { limits.first_bytes_timeout };
    let first = async {
        while !is_enough(&connection.buffer) {
            match connection.read().await {
                Reading::More => {}
                Reading::End => break,
                Reading::Gone => return false,
            }
        }
        !connection.buffer.is_empty()
    };
    if !tokio::time::timeout(timeout, first).await.unwrap_or(false) {
        counter!(CONNECTIONS_REFUSED_TOTAL, "reason" => "no_first_bytes").increment(1);
        return;
    }
    match protocol::recognise(connection.listener.kind, &connection.buffer) {
        Some(protocol) => protocol.serve(connection).await,
        None => refuse(connection).await,
    }
}

/// Whether so few bytes tell the protocol: a count of octets is told from other numbers by what
/// follows it.
fn is_enough(first: &[u8]) -> bool {
    let first = first.trim_ascii_start();
    let digits = first.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match digits {
        // A request of HTTP, or some other word.
        0 if first.first().is_some_and(u8::is_ascii_uppercase) => {
            first.len() >= 4 || first.contains(&b'\n')
        }
        0 => !first.is_empty(),
        _ => first.len() >= FIRST_BYTES.min(digits + 2),
    }
}

async fn refuse(mut connection: Connection) {
    let first = &connection.buffer;
    let reason = match first.first() {
        Some(0x16) => "tls",
        Some(0x00) => "pickle",
        _ if is_http(first) => "http",
        _ => "unknown_protocol",
    };
    counter!(CONNECTIONS_REFUSED_TOTAL, "reason" => reason).increment(1);
    debug!(peer = %connection.peer, reason, "connection speaks no protocol of this listener");
    match reason {
        // These peers cannot read text.
        "tls" | "pickle" => {}
        "http" => {
            let text = "this port takes JSON lines and syslog; HTTP has its own\n";
            let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close";
            let length = text.len();
            connection
                .refuse(&format!("{head}\r\nContent-Length: {length}\r\n\r\n{}", text.trim_end()))
                .await;
        }
        _ => {
            connection.refuse("logwarden: these bytes begin no protocol of this port").await;
        }
    }
}

/// Binds the UDP address of a listener.
pub(crate) async fn bind_udp(address: SocketAddr) -> Result<UdpSocket, ListenError> {
    UdpSocket::bind(address).await.map_err(|error| ListenError::Bind { address, error })
}
