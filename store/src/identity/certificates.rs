//! Whom a client certificate stands for.
//!
//! In: the certificate that a client has shown and the TLS stack has verified. Out: the principal
//! that the configuration gives to one of its names. Its names are those for hosts and the URIs in
//! `subjectAltName`; the common name of its subject counts where it has none of them.

use serde::{Deserialize, Serialize};

use super::Identity;
use super::authorize::{Principal, PrincipalKind};
use super::roles::Roles;

/// Lines of the configuration.
const CERTIFICATES_MAX: usize = 1_000;
/// Names of one certificate that are looked at.
const NAMES_MAX: usize = 64;
/// What stands before a common name: its attribute's number (2.5.4.3), as DER has it.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
/// Tags of the kinds of text a common name is: UTF8String, PrintableString, IA5String.
const TEXT_TAGS: [u8; 3] = [0x0c, 0x13, 0x16];

/// Who certificates of a name are; the first that fits counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// A name in the certificate, case ignored; `*` at its beginning or end stands for any letters.
    pub name: String,
    /// Their role. Default: `ingest`.
    #[serde(default = "ingest")]
    pub role: String,
    /// The only source they may write as or see. Default: the name in the certificate for those who
    /// write, every source for those who read.
    #[serde(default)]
    pub source: Option<String>,
}

fn ingest() -> String {
    "ingest".to_owned()
}

impl CertificateConfig {
    /// Refuses lines that cannot be meant.
    ///
    /// # Errors
    ///
    /// What is wrong, beginning with its place.
    pub fn check(certificates: &[Self], roles: &Roles) -> Result<(), String> {
        if certificates.len() > CERTIFICATES_MAX {
            return Err(format!("certificates: at most {CERTIFICATES_MAX}"));
        }
        for (place, one) in certificates.iter().enumerate() {
            let inner = one.name.strip_prefix('*').unwrap_or(&one.name);
            let inner = inner.strip_suffix('*').unwrap_or(inner);
            if one.name.is_empty() || inner.contains('*') {
                let reason = "a name, with `*` at its beginning or end at most";
                return Err(format!("certificates[{place}].name: {reason}"));
            }
            if roles.get(&one.role).is_none() {
                return Err(format!("certificates[{place}].role: there is no role `{}`", one.role));
            }
        }
        Ok(())
    }

    fn fits(&self, name: &str) -> bool {
        let (wanted, name) = (self.name.to_lowercase(), name.to_lowercase());
        match (wanted.strip_prefix('*'), wanted.strip_suffix('*')) {
            (Some(rest), Some(_)) if rest.len() < 2 => true,
            (Some(rest), Some(_)) => name.contains(&rest[..rest.len() - 1]),
            (Some(end), None) => name.ends_with(end),
            (None, Some(beginning)) => name.starts_with(beginning),
            (None, None) => name == wanted,
        }
    }
}

/// The names of a verified client certificate; what the TLS stack hands to those who ask who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientNames(Vec<String>);

impl ClientNames {
    /// The names of a certificate that was verified, in DER.
    pub fn of(certificate: &[u8]) -> Self {
        let der = certificate.into();
        let Ok(certificate) = webpki::EndEntityCert::try_from(&der) else {
            return Self(Vec::new());
        };
        let alternative = certificate.valid_dns_names().chain(certificate.valid_uri_names());
        let mut names: Vec<String> = alternative.take(NAMES_MAX).map(str::to_owned).collect();
        if names.is_empty() {
            names.extend(common_name(certificate.subject()));
        }
        Self(names)
    }
}

/// The last common name in a subject: the most specific one.
fn common_name(subject: &[u8]) -> Option<String> {
    let at = subject.windows(COMMON_NAME.len()).rposition(|bytes| bytes == COMMON_NAME)?;
    let [tag, length, text @ ..] = &subject[at + COMMON_NAME.len()..] else { return None };
    // A longer one would have more bytes of length; it has at most 64 letters (RFC 5280).
    let text = text.get(..usize::from(*length)).filter(|_| *length < 0x80)?;
    let is_text = TEXT_TAGS.contains(tag);
    std::str::from_utf8(text).ok().filter(|text| is_text && !text.is_empty()).map(str::to_owned)
}

impl Identity {
    /// From now on certificates stand for these.
    pub fn set_certificates(&self, certificates: Vec<CertificateConfig>) {
        *self.certificates.write().expect("no holder of this lock panics") = certificates;
    }

    /// Whom a verified certificate stands for; `None`: nobody is configured for any of its names.
    pub fn authenticate_certificate(&self, names: &ClientNames) -> Option<Principal> {
        let certificates = self.certificates.read().expect("no holder of this lock panics");
        let (found, name) = certificates
            .iter()
            .find_map(|one| Some((one, names.0.iter().find(|name| one.fits(name))?)))?;
        let mut principal = self.principal(name, PrincipalKind::Certificate, &found.role)?;
        principal.source.clone_from(&found.source);
        Some(principal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str) -> CertificateConfig {
        CertificateConfig { name: name.to_owned(), role: ingest(), source: None }
    }

    #[test]
    fn a_name_fits_whole_or_up_to_its_star() {
        let check = |wanted: &str, name: &str, fits: bool| {
            assert_eq!(config(wanted).fits(name), fits, "{wanted} {name}");
        };
        check("edge1.example", "EDGE1.example", true);
        check("edge1.example", "edge1.example.evil", false);
        check("*.example", "edge1.example", true);
        check("*.example", "example", false);
        check("spiffe://prod/*", "spiffe://prod/edge", true);
        check("spiffe://prod/*", "spiffe://test/edge", false);
        check("*edge*", "my-edge-1", true);
        check("*", "anything", true);
    }

    #[test]
    fn lines_that_cannot_be_meant_are_refused() {
        let check = |name: &str, role: &str, expected: &str| {
            let line = CertificateConfig { role: role.to_owned(), ..config(name) };
            let checked = CertificateConfig::check(&[line], &Roles::default());
            assert_eq!(checked.err().unwrap_or_default(), expected, "{name}");
        };
        check("*.example", "reader", "");
        let star = "certificates[0].name: a name, with `*` at its beginning or end at most";
        check("a*b", "reader", star);
        check("", "reader", star);
        check("a", "nobody", "certificates[0].role: there is no role `nobody`");
    }

    #[test]
    fn the_common_name_is_read_where_it_is_one() {
        let subject = |tag: u8, text: &[u8]| {
            let length = u8::try_from(text.len()).expect("short");
            [b"\x31\x0e\x30\x0c".as_slice(), &COMMON_NAME, &[tag, length], text].concat()
        };
        assert_eq!(common_name(&subject(0x0c, b"edge1")).as_deref(), Some("edge1"));
        let two = [subject(0x13, b"outer"), subject(0x13, b"inner")].concat();
        assert_eq!(common_name(&two).as_deref(), Some("inner"));
        assert_eq!(common_name(&subject(0x1e, b"edge1")), None);
        assert_eq!(common_name(&subject(0x0c, b"edge1")[..8]), None);
        assert_eq!(common_name(b"\x31\x00"), None);
        assert_eq!(ClientNames::of(b"no certificate"), ClientNames(Vec::new()));
    }
}
