//! Secrets of every kind are given to a server; none of them stands in anything it says: logs, answers,
//! pages, metrics, audit records, mails, webhooks, its command line and its data directory.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::client::Client;
use crate::harness::node::{Node, Place};
use crate::harness::wait::{LONG, until};
use crate::hook::{Manner, Receiver};
use crate::mail::{self, MailServer};
use crate::programs::{python, run};

const HOOK_SECRET: &str = "zq9-signs-webhooks";
const VAULT_TOKEN: &str = "hvs.zq9-opens-vault";
const OIDC_SECRET: &str = "zq9-client-of-the-provider";
const SHARED_KEY: &str = "zq9-shared-by-forwarders";
const HOOK_PATH: &str = "zq9-path-of-a-webhook";
const PASSWORD: &str = "zq9 several words nobody says";
const WRONG: &str = "zq9-wrong-credential";
const MASTER_KEY: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";

/// Everything that must not be told, by what it is, and everything that was told, by where.
#[derive(Default)]
struct Heard {
    canaries: BTreeMap<&'static str, String>,
    told: Vec<(String, String)>,
}

impl Heard {
    fn must_not_hear(&mut self, what: &'static str, canary: &str) {
        assert!(canary.len() > 8, "{what} is too short to be looked for");
        self.canaries.insert(what, canary.to_owned());
    }

    fn hear(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.told.push((place.into(), text.into()));
    }

    /// Which canaries stand where.
    fn found(&self) -> Vec<String> {
        let places = |(what, canary): (&&'static str, &String)| {
            let told = self.told.iter().filter(|(_, text)| text.contains(canary.as_str()));
            told.map(|(place, _)| format!("the {what} in {place}")).collect::<Vec<_>>()
        };
        self.canaries.iter().flat_map(places).collect()
    }
}

/// A Vault that gives one secret to who has the token; the tokens it was shown.
async fn vault() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let shown: Arc<Mutex<Vec<String>>> = Arc::default();
    let answer = async |State(shown): State<Arc<Mutex<Vec<String>>>>, headers: HeaderMap| {
        let token = headers.get("x-vault-token").and_then(|token| token.to_str().ok());
        shown.lock().expect("not poisoned").push(token.unwrap_or_default().to_owned());
        axum::Json(json!({ "data": { "data": { "hook": HOOK_SECRET }, "metadata": {} } }))
    };
    let router = Router::new().route("/v1/secret/data/logwarden", get(answer));
    let router = router.with_state(Arc::clone(&shown));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, shown)
}

fn config(place: &Path, mail: &MailServer, hook: &Receiver) -> String {
    let mail = mail.notifier("mail").replace("\"file:", "\"exec:/bin/cat ");
    let hook = hook.notifier("hook", place, "not used");
    let file = format!("file:{}/hook.secret", place.display());
    let hook = hook.replace(&file, "vault:secret/data/logwarden#hook");
    format!(
        r#"
        {mail}{hook}
        [[notifiers]]
        name = "chat"
        kind = "slack"
        url = "https://127.0.0.1:9/services/{HOOK_PATH}"
        allow_networks = ["127.0.0.0/8"]
        [storage]
        master_key = "env:ZQ9_MASTER_KEY"
        [[listeners]]
        kind = "forward"
        tcp = "127.0.0.1:0"
        source = "containers"
        shared_key = "env:ZQ9_SHARED_KEY"
        [[oidc]]
        name = "corp"
        issuer = "https://127.0.0.1:9"
        client_id = "logwarden"
        client_secret = "env:ZQ9_OIDC_SECRET"
        "#
    )
}

fn with_secrets(command: &mut Command, vault: SocketAddr) -> &mut Command {
    command
        .env("ZQ9_MASTER_KEY", MASTER_KEY)
        .env("ZQ9_SHARED_KEY", SHARED_KEY)
        .env("ZQ9_OIDC_SECRET", OIDC_SECRET)
        .env("VAULT_ADDR", format!("http://{vault}"))
        .env("VAULT_TOKEN", VAULT_TOKEN)
}

/// What the command line says, to standard output and error.
fn said(place: &Place, vault: SocketAddr, line: &str) -> String {
    let arguments: Vec<&str> = line.split(' ').collect();
    let output = with_secrets(&mut place.command(&arguments), vault).output();
    let output = output.expect("the binary starts");
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

/// Signs in and sets up a second factor; gives the cookie and the factor's secret.
async fn sign_in(stranger: &Client) -> (String, String) {
    let body = json!({ "name": "ana", "password": PASSWORD });
    let answer = Client::send(stranger.request(Method::POST, "/api/v1/session").json(&body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let cookie = answer.headers[SET_COOKIE].to_str().expect("text").split(';').next();
    let cookie = cookie.expect("a cookie").to_owned();
    let path = "/api/v1/me/second-factor";
    let as_ana = |method: Method| {
        let request = stranger.request(method, path).header(COOKIE, &cookie);
        request.header("sec-fetch-site", "same-origin")
    };
    let begun = Client::send(as_ana(Method::POST).json(&json!({}))).await.json();
    let secret = begun["secret"].as_str().expect("a secret").to_owned();
    let code = "import base64,hashlib,hmac,struct,sys,time\n\
        key=base64.b32decode(sys.argv[1])\n\
        mac=hmac.new(key,struct.pack('>Q',int(time.time())//30),hashlib.sha1).digest()\n\
        at=mac[-1]&15\n\
        print('%06d'%((struct.unpack('>I',mac[at:at+4])[0]&0x7fffffff)%1000000))";
    let output = run(Command::new(python()).args(["-c", code, &secret]));
    let code = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let body = json!({ "secret": secret, "code": code, "current": PASSWORD });
    let set = Client::send(as_ana(Method::PUT).json(&body)).await;
    assert_eq!(set.status, 200, "{}", set.text);
    (cookie, secret)
}

/// Every page and every path that GET reads, as an administrator and as a stranger.
async fn read_everything(node: &Node, admin: &Client, stranger: &Client, heard: &mut Heard) {
    let document = admin.get("/api/v1/openapi.json", &[]).await;
    let paths = document["paths"].as_object().expect("paths").keys();
    let read = paths.filter(|path| !path.ends_with("/tail")).map(|path| {
        path.replace("{id}", "hook").replace("{name}", "corp").replace("{token}", WRONG)
    });
    let mut paths: Vec<String> = read.collect();
    paths.extend(["/", "/login", "/me", "/admin/users"].map(str::to_owned));
    let page = stranger.try_get("/login", &[]).await.expect("a page").text;
    let files = page.split('"').filter(|part| part.starts_with("/assets/"));
    paths.extend(files.map(str::to_owned));
    for path in paths {
        for (who, client) in [("admin", admin), ("stranger", stranger)] {
            let answer = client.try_get(&path, &[]).await.expect("an answer");
            // A link shows its own path in no answer, and is none.
            heard.hear(
                format!("GET {path} as {who}"),
                format!("{:?}{}", answer.headers, answer.text),
            );
        }
    }
    for path in [format!("/api/v1/search?q=*&token={WRONG}"), format!("/a/{WRONG}")] {
        let answer = Client::send(stranger.request(Method::GET, &path)).await;
        heard.hear(path.split('?').next().unwrap_or_default().replace(WRONG, "…"), answer.text);
    }
    let wrong = stranger.request(Method::GET, "/api/v1/alerts");
    let wrong = Client::send(wrong.header(AUTHORIZATION, format!("Bearer lw_{WRONG}"))).await;
    heard.hear("a wrong token", wrong.text);
    let body = json!({ "name": "ana", "password": WRONG });
    let wrong = Client::send(stranger.request(Method::POST, "/api/v1/session").json(&body)).await;
    assert_eq!((wrong.status, node.http().is_empty()), (401, false));
    heard.hear("a wrong password", wrong.text);
}

/// The text of every file below a folder, whatever it holds.
fn files(folder: &Path, heard: &mut Heard) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, heard);
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            heard.hear(path.display().to_string(), String::from_utf8_lossy(&bytes));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_stands_in_anything_the_server_says() {
    let (vault, shown) = vault().await;
    let place = Place::new("");
    let mail = MailServer::start(place.root()).await;
    let hook = Receiver::start(Manner::Status(200)).await;
    place.configure(&config(place.root(), &mail, &hook));
    fs::write(place.file("password"), PASSWORD).expect("written");
    let create = "user create ana --role admin --password-file password --config logwarden.toml --data-dir data";
    let mut heard = Heard::default();
    heard.hear("user create", said(&place, vault, create));
    let token = "token create --role admin --name root --config logwarden.toml --data-dir data";
    let token = said(&place, vault, token).trim().to_owned();
    let mut command = place.command(&["serve", "--http", "127.0.0.1:0", "--tcp", "127.0.0.1:0"]);
    command.args(["--config", "logwarden.toml", "--data-dir", "data"]);
    with_secrets(&mut command, vault);
    let node = place.start_with(command).await;
    let (admin, stranger) = (Client::new(&node, &token), Client::new(&node, ""));
    let (cookie, factor) = sign_in(&stranger).await;
    let session = cookie.split_once('=').expect("a value").1;
    for (what, canary) in [
        ("webhook secret", HOOK_SECRET),
        ("token of Vault", VAULT_TOKEN),
        ("secret of the provider's client", OIDC_SECRET),
        ("shared key", SHARED_KEY),
        ("path of a webhook", HOOK_PATH),
        ("password", PASSWORD),
        ("password of the mail server", mail::PASSWORD),
        ("wrong credential", WRONG),
        ("master key", MASTER_KEY),
        ("token", &token),
        ("session", session),
        ("second factor", &factor),
    ] {
        heard.must_not_hear(what, canary);
    }
    for name in ["mail", "hook", "chat"] {
        let path = format!("/api/v1/notifiers/{name}/test");
        let tested = Client::send(admin.request(Method::POST, &path).json(&json!({}))).await;
        assert_eq!(tested.json()["ok"], name != "chat", "{name}: {}", tested.text);
        heard.hear(format!("test of {name}"), tested.text);
    }
    assert!(hook.taken()[0].is_signed_with(HOOK_SECRET), "the secret is that of Vault");
    assert!(shown.lock().expect("not poisoned").iter().all(|token| token == VAULT_TOKEN));
    heard.hear("the webhook", hook.taken()[0].json().to_string());
    heard.hear("the mail", format!("{:?}", mail.mails()));

    read_everything(&node, &admin, &stranger, &mut heard).await;
    let audit = async || {
        let found = admin.search("dataset:logwarden.audit", 1_000).await;
        (found.to_string().contains("could not sign in")).then_some(found)
    };
    let audit: Value = until("the audit records", LONG, audit).await;
    heard.hear("the audit records", audit.to_string());
    for line in [
        "config show --config logwarden.toml",
        "config check --config logwarden.toml",
        "token list --config logwarden.toml --data-dir data",
    ] {
        heard.hear(line, said(&place, vault, line));
    }
    heard.hear("the log", node.log());
    node.stop().await;
    files(&place.data_dir(), &mut heard);
    assert!(heard.told.len() > 100, "{} places looked at", heard.told.len());
    assert_eq!(heard.found(), Vec::<String>::new());
    // What is told is found: this is no secret.
    heard.must_not_hear("name of the audit records", "logwarden.audit");
    assert_ne!(heard.found(), Vec::<String>::new());
}
