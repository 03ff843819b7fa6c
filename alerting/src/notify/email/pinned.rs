//! A mail server known by its own certificate instead of an authority's.
//!
//! `openssl req -x509` marks the certificate it makes as an authority's, and as a server's own a
//! path validation refuses it (RFC 5280, section 4.2.1.9). Where the operator names just that
//! certificate there is no path to validate: the server has to show it byte for byte. That the
//! server holds its key, and that it is valid for the server's name, is checked as ever.

use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};

type SmtpError = lettre::transport::smtp::Error;

/// Where mails go, and the certificate that must be met there.
pub(super) struct Pinned {
    certificate: CertificateDer<'static>,
    address: (String, u16),
    parameters: TlsParameters,
    /// TLS begins with the first byte, not with STARTTLS.
    is_wrapped: bool,
    credentials: Option<Credentials>,
    timeout: Duration,
}

impl Pinned {
    /// The server at `address`, if one of the certificates in `pem` is for its name.
    pub(super) fn named_in(
        pem: &[u8],
        address: (&str, u16),
        is_wrapped: bool,
        credentials: Option<Credentials>,
        timeout: Duration,
    ) -> Option<Self> {
        let (host, port) = address;
        let name = ServerName::try_from(host.to_owned()).ok()?;
        let is_for_name = |certificate: &CertificateDer<'static>| {
            ParsedCertificate::try_from(certificate)
                .is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
        };
        let certificate =
            CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).find(is_for_name)?;
        // Leaves out the path alone: name and signature are verified all the same.
        let parameters = TlsParameters::builder(host.to_owned())
            .dangerous_accept_invalid_certs(true)
            .build_rustls()
            .ok()?;
        let address = (host.to_owned(), port);
        Some(Self { certificate, address, parameters, is_wrapped, credentials, timeout })
    }

    /// Sends the message; `None` when the server shows another certificate: nothing was said to it
    /// then but its greeting answered.
    pub(super) async fn send(&self, message: &Message) -> Result<Option<Response>, SmtpError> {
        let hello = ClientId::default();
        let at_once = self.is_wrapped.then(|| self.parameters.clone());
        let (host, port) = &self.address;
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            (host.as_str(), *port),
            Some(self.timeout),
            &hello,
            at_once,
            None,
        )
        .await?;
        if !self.is_wrapped {
            connection.starttls(self.parameters.clone(), &hello).await?;
        }
        if connection.peer_certificate()? != self.certificate.as_ref() {
            connection.abort().await;
            return Ok(None);
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        let response = connection.send(message.envelope(), &message.formatted()).await?;
        // The server has taken the message; whether it also says goodbye changes nothing.
        let _ = connection.quit().await;
        Ok(Some(response))
    }
}
