//! Clients with certificates: those of the authority come in, at the API and as senders, until it
//! revokes them; no restart is needed.

use std::fs;
use std::path::Path;
use std::process::Command;

use reqwest::{Certificate, Identity};
use rustix::process::Signal;

use crate::certificates::make_certificates;
use crate::harness::node::{Node, Place};
use crate::harness::wait::{LONG, until};
use crate::programs::{find, has, run};

/// What `openssl ca` asks for.
const AUTHORITY: &str = "
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
default_days = 2
default_crl_days = 2
crlnumber = crlnumber
crl_extensions = list
x509_extensions = leaf
policy = any
[leaf]
basicConstraints = critical,CA:FALSE
[list]
authorityKeyIdentifier = keyid:always
[any]
commonName = supplied
";

/// Runs openssl in `folder`.
fn openssl(folder: &Path, arguments: &str) {
    let program = find("openssl").expect("openssl");
    run(Command::new(program).args(arguments.split(' ')).current_dir(folder));
}

/// Makes the certificate `name.pem` with its key, which the authority keeps a record of.
fn make_client(folder: &Path, name: &str) {
    let key = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("{key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
    let sign = "ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca.key";
    openssl(folder, &format!("{sign} -in {name}.csr -out {name}.pem"));
}

/// Writes the authority's list of revoked certificates.
fn write_list(folder: &Path) {
    openssl(folder, "ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -out crl.pem");
}

fn client(folder: &Path, name: Option<&str>) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read = |file: &str| fs::read(folder.join(file)).expect("a file");
    let authority = Certificate::from_pem(&read("ca.pem")).expect("an authority");
    let mut builder =
        reqwest::Client::builder().tls_certs_only([authority]).pool_max_idle_per_host(0);
    if let Some(name) = name {
        let both = [read(&format!("{name}.pem")), read(&format!("{name}.key"))].concat();
        builder = builder.identity(Identity::from_pem(&both).expect("a certificate"));
    }
    builder.build().expect("a client")
}

/// Whether the API lets them in.
async fn comes_in(node: &Node, folder: &Path, name: Option<&str>) -> bool {
    let url = format!("{}/livez", node.http().replace("127.0.0.1", "localhost"));
    client(folder, name).get(url).send().await.is_ok()
}

/// Sends a line to the first listener, with openssl's own client.
fn send(node: &Node, folder: &Path, name: &str, line: &str) {
    let program = find("openssl").expect("openssl");
    let mut command = Command::new(program);
    command.args(["s_client", "-quiet", "-no_ign_eof", "-CAfile", "ca.pem", "-connect"]);
    command.arg(node.tcp().to_string()).current_dir(folder);
    command.args(["-cert", &format!("{name}.pem"), "-key", &format!("{name}.key")]);
    fs::write(folder.join("line"), line).expect("written");
    command.stdin(fs::File::open(folder.join("line")).expect("a file"));
    // Refused or not, it ends; what arrived is looked for.
    command.output().expect("openssl runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_certificate_is_refused_without_a_restart() {
    if !has("client certificates", &["openssl"]) {
        return;
    }
    let files = r#"{ cert = "server.pem", key = "server.key", client_ca = "ca.pem", client_crl = "crl.pem" }"#;
    let place = Place::new(&format!(
        "[http]\ntls = {files}\n[[listeners]]\nkind = \"auto\"\ntcp = \"127.0.0.1:0\"\n\
         source = \"depot\"\ntls = {files}\n"
    ));
    let folder = place.root();
    make_certificates(folder);
    fs::write(folder.join("ca.cnf"), AUTHORITY).expect("written");
    fs::write(folder.join("index.txt"), "").expect("written");
    for file in ["serial", "crlnumber"] {
        fs::write(folder.join(file), "1000\n").expect("written");
    }
    for name in ["ana", "ben"] {
        make_client(folder, name);
    }
    write_list(folder);
    let node = place.start().await;
    let token = place.token("reader", "reader");
    assert!(!comes_in(&node, folder, None).await, "without a certificate");
    assert!(comes_in(&node, folder, Some("ana")).await);
    assert!(comes_in(&node, folder, Some("ben")).await);
    send(&node, folder, "ben", "{\"message\":\"ben before\"}\n");

    openssl(folder, "ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke ben.pem");
    write_list(folder);
    node.signal(Signal::HUP);
    let refused = async || (!comes_in(&node, folder, Some("ben")).await).then_some(());
    until("the revoked one is refused", LONG, refused).await;
    assert!(comes_in(&node, folder, Some("ana")).await, "the others still come in");
    send(&node, folder, "ben", "{\"message\":\"ben after\"}\n");
    send(&node, folder, "ana", "{\"message\":\"ana after\"}\n");

    let ask = async || {
        let url = format!("{}/api/v1/search?q=lw.source:depot", node.http());
        let request = client(folder, Some("ana")).get(url.replace("127.0.0.1", "localhost"));
        let answer = request.bearer_auth(&token).send().await.expect("an answer");
        let text = answer.text().await.expect("text");
        text.contains("ana after").then_some(text)
    };
    let found = until("what was sent", LONG, ask).await;
    assert!(found.contains("ben before") && !found.contains("ben after"), "{found}");
}
