//! Certificates for loopback, made by openssl as an administrator makes them.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::programs::{find, run};

/// A certificate with a new key.
const NEW: [&str; 9] = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "2",
];
const NAMES: [&str; 2] = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];

/// Makes an authority (`ca.pem`) and a certificate of it for loopback (`server.pem`, `server.key`)
/// in `folder`; those that are there are replaced.
pub(crate) fn make_certificates(folder: &Path) {
    let openssl = find("openssl").expect("openssl");
    let make = |arguments: &[&str]| {
        run(Command::new(&openssl).args(arguments).current_dir(folder));
    };
    let authority = ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test authority"];
    make(&[&NEW[..], &authority].concat());
    let server = ["-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=localhost"];
    let signed = ["-CA", "ca.pem", "-CAkey", "ca.key"];
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
    make(&[&NEW[..], &server, &signed, &NAMES, &leaf].concat());
}

/// Makes a certificate for loopback that nobody else signed, which openssl marks as an authority's,
/// and names it as `ca.pem` too.
pub(crate) fn make_own_certificate(folder: &Path) {
    let openssl = find("openssl").expect("openssl");
    let server = ["-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=localhost"];
    run(Command::new(openssl).args([&NEW[..], &server, &NAMES].concat()).current_dir(folder));
    fs::copy(folder.join("server.pem"), folder.join("ca.pem")).expect("a copy");
}
