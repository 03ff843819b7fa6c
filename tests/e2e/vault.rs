//! A secret of Vault over TLS: read from a server of the authority that is named, and from no other.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use crate::certificates::make_certificates;
use crate::harness::node::Place;

const TOKEN: &str = "hvs.over-tls";
const MASTER_KEY: &str = "5ea1ed5ea1ed5ea1ed5ea1ed5ea1ed5ea1ed5ea1ed5ea1ed5ea1ed5ea1ed5ea1";

/// A Vault with the certificate in `folder`; the requests it could read.
fn vault(folder: &Path) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).expect("a certificate");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let config = Arc::new(config.expect("they belong together"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let shown = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who does not trust the certificate goes before a request.
            if let Ok(request) = answer(stream, Arc::clone(&config)) {
                shown.lock().expect("not poisoned").push(request);
            }
        }
    });
    (address, asked)
}

fn answer(mut stream: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<String> {
    let mut session = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = Stream::new(&mut session, &mut stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte)?;
        request.extend(byte);
    }
    let body = format!(r#"{{"data":{{"data":{{"key":"{MASTER_KEY}"}},"metadata":{{}}}}}}"#);
    write!(tls, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    tls.conn.send_close_notify();
    tls.flush()?;
    Ok(String::from_utf8_lossy(&request).into_owned())
}

/// A command that needs the master key of the configuration.
fn make_token(place: &Place, name: &str, vault: SocketAddr, ca: Option<&str>) -> Output {
    let create = ["token", "create", "--role", "reader", "--name", name];
    let mut command = place.command(&create);
    command.args(["--config", "logwarden.toml", "--data-dir", "data"]);
    command.env("VAULT_ADDR", format!("https://{vault}")).env("VAULT_TOKEN", TOKEN);
    if let Some(ca) = ca {
        command.env("VAULT_CACERT", place.file(ca));
    }
    command.output().expect("the binary starts")
}

#[test]
fn a_secret_comes_from_a_vault_of_the_named_authority_alone() {
    let place = Place::new("");
    make_certificates(place.root());
    let (vault, asked) = vault(place.root());
    place.configure("[storage]\nmaster_key = \"vault:secret/data/logwarden#key\"\n");

    let made = make_token(&place, "desk", vault, Some("ca.pem"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(String::from_utf8_lossy(&made.stdout).starts_with("lw_"), "no token");
    let requests = std::mem::take(&mut *asked.lock().expect("not poisoned"));
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert!(request.starts_with("GET /v1/secret/data/logwarden HTTP/1.0\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nX-Vault-Token: {TOKEN}\r\n")), "{request}");

    // The authorities of the system do not know this one, and neither does a certificate that signs nobody.
    for ca in [None, Some("server.pem")] {
        let refused = make_token(&place, "other", vault, ca);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "{ca:?} was trusted");
        assert!(said.contains("Vault does not answer"), "{ca:?}: {said}");
        assert!(!said.contains(TOKEN) && !said.contains(MASTER_KEY), "{ca:?}: {said}");
    }
    assert!(asked.lock().expect("not poisoned").is_empty(), "the token was shown to a stranger");
}
