//! Certificates for loopback, made by openssl as an administrator makes them.

use std::path::Path;
use std::process::Command;

use super::programs::{find, run};

/// Makes an authority (`ca.pem`) and a certificate of it for loopback (`server.pem`, `server.key`)
/// in `folder`; those that are there are replaced.
pub(crate) fn make_certificates(folder: &Path) {
    let openssl = find("openssl").expect("openssl");
    let make = |arguments: &[&str]| {
        run(Command::new(&openssl).args(arguments).current_dir(folder));
    };
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let authority = ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test authority"];
    make(&[&["req", "-x509"][..], &curve, &authority].concat());
    let server = ["-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=localhost"];
    let signed = ["-CA", "ca.pem", "-CAkey", "ca.key"];
    let names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
    make(&[&["req", "-x509"][..], &curve, &server, &signed, &names, &leaf].concat());
}
