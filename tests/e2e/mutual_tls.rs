//! Clients with certificates: those of the authority come in, at the API and as senders, as whom the
//! configuration says, until it revokes them; no restart is needed.

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

/// The configuration of a node that asks everybody for a certificate, with more at its end.
fn config(more: &str) -> String {
    let files = r#"{ cert = "server.pem", key = "server.key", client_ca = "ca.pem", client_crl = "crl.pem" }"#;
    format!(
        "[http]\ntls = {files}\n[[listeners]]\nkind = \"auto\"\ntcp = \"127.0.0.1:0\"\n\
         source = \"depot\"\ntls = {files}\n{more}"
    )
}

/// A place with an authority and certificates of it with these names.
fn place_with(config: &str, names: &[&str]) -> Place {
    let place = Place::new(config);
    let folder = place.root();
    make_certificates(folder);
    fs::write(folder.join("ca.cnf"), AUTHORITY).expect("written");
    fs::write(folder.join("index.txt"), "").expect("written");
    for file in ["serial", "crlnumber"] {
        fs::write(folder.join(file), "1000\n").expect("written");
    }
    for name in names {
        make_client(folder, name);
    }
    write_list(folder);
    place
}

/// Asks the API as the holder of a certificate, who shows nothing else.
async fn ask(
    node: &Node,
    folder: &Path,
    name: &str,
    request: impl Fn(&reqwest::Client, String) -> reqwest::RequestBuilder,
) -> (u16, String) {
    let base = node.http().replace("127.0.0.1", "localhost");
    let answer = request(&client(folder, Some(name)), base).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_stands_for_whom_the_configuration_says() {
    if !has("client certificates", &["openssl"]) {
        return;
    }
    let names = |role: &str| {
        config(&format!(
            "[[certificates]]\nname = \"an*\"\nrole = \"{role}\"\n\
             [[certificates]]\nname = \"carl\"\nsource = \"edge\"\n"
        ))
    };
    let place = place_with(&names("reader"), &["ana", "carl", "dora"]);
    let (folder, node) = (place.root(), place.start().await);
    let session = async |name: &str| {
        ask(&node, folder, name, |client, base| client.get(format!("{base}/api/v1/session"))).await
    };
    let ingest = async |name: &str| {
        let body = format!("{{\"message\":\"{name} over HTTP\"}}");
        let post = |client: &reqwest::Client, base: String| {
            client.post(format!("{base}/api/v1/ingest")).body(body.clone())
        };
        ask(&node, folder, name, post).await.0
    };
    let (status, who) = session("ana").await;
    assert!(status == 200 && who.contains(r#""name":"ana","role":"reader""#), "{who}");
    assert!(who.contains(r#""kind":"certificate""#), "{who}");
    assert_eq!(session("dora").await.0, 401, "nobody is configured for this name");
    assert_eq!((ingest("ana").await, ingest("carl").await, ingest("dora").await), (403, 200, 401));
    for name in ["ana", "carl", "dora"] {
        send(&node, folder, name, &format!("{{\"message\":\"{name} over TCP\"}}\n"));
    }
    let found = async || {
        let url = "api/v1/search?q=*&limit=10";
        let get = |client: &reqwest::Client, base: String| client.get(format!("{base}/{url}"));
        let (_, text) = ask(&node, folder, "ana", get).await;
        text.contains("dora over TCP").then_some(text)
    };
    let found: serde_json::Value =
        serde_json::from_str(&until("what was sent", LONG, found).await).expect("JSON");
    let hits = found["hits"].as_array().expect("hits").iter();
    let mut sent: Vec<String> = hits
        .map(|hit| format!("{}: {}", hit["source"].as_str().unwrap_or_default(), hit["message"]))
        .collect();
    sent.sort();
    let expected =
        [r#"depot: "dora over TCP""#, r#"edge: "carl over HTTP""#, r#"edge: "carl over TCP""#];
    assert_eq!(sent, expected, "a reader sends nothing, the others under their sources");
    // A browser shows a certificate by itself: another site's page makes it change nothing.
    let foreign = |client: &reqwest::Client, base: String| {
        let request = client.post(format!("{base}/api/v1/search"));
        request.header("sec-fetch-site", "cross-site").json(&serde_json::json!({ "q": "*" }))
    };
    assert_eq!(ask(&node, folder, "ana", foreign).await.0, 403);

    place.configure(&names("metrics"));
    node.signal(Signal::HUP);
    let changed = async || session("ana").await.1.contains(r#""role":"metrics""#).then_some(());
    until("the new role is in force", LONG, changed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_certificate_is_refused_without_a_restart() {
    if !has("client certificates", &["openssl"]) {
        return;
    }
    let place = place_with(&config(""), &["ana", "ben"]);
    let folder = place.root();
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
