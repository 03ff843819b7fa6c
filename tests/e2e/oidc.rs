//! A provider of identities as it is (npm's oidc-provider): people sign in with theirs, programs bring
//! its tokens, and nothing else opens the door.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use url::Url;

use crate::harness::client::Client;
use crate::harness::node::{Node, Place};
use crate::harness::wait::{LONG, until};
use crate::programs::{Running, find, repository, run};

/// Steps between the login page and the page that was asked for.
const STEPS_MAX: usize = 20;
/// Everything that may be wrong with a program's token.
const WRONG: [&str; 14] = [
    "expired",
    "no end",
    "not yet",
    "made later",
    "audience",
    "no audience",
    "issuer",
    "program",
    "none",
    "none ",
    "noneX",
    "another key",
    "public key as secret",
    "key of its own",
];

/// A provider that runs.
struct Provider {
    issuer: String,
    http: reqwest::Client,
    _running: Running,
}

/// A browser: cookies per place, and no redirect followed by itself.
struct Browser {
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

impl Provider {
    /// Starts it; `None`, said aloud, where it is not installed.
    fn start() -> Option<Self> {
        let folder = repository().join(".test-tools/node");
        let is_there = folder.join("node_modules/oidc-provider").is_dir();
        let Some(node) = find("node").filter(|_| is_there) else {
            println!("NOT TRIED: signing in at a provider: scripts/test-tools.sh installs it");
            return None;
        };
        let script = repository().join("tests/e2e/oidc/provider.mjs");
        let child = Command::new(node).arg(script).arg(folder).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("node starts");
        let mut issuer = String::new();
        let said = child.stdout.take().expect("its output");
        BufReader::new(said).read_line(&mut issuer).expect("it says where it is");
        let http = browser().http;
        Some(Self { issuer: issuer.trim().to_owned(), http, _running: Running(child) })
    }

    fn config(&self) -> String {
        format!(
            r#"
            [[roles]]
            name = "shop"
            base = "reader"
            filter = "lw.source:shop"
            mask = ["user"]
            [[oidc]]
            name = "corp"
            issuer = "{}"
            client_id = "logwarden"
            client_secret = "file:client.secret"
            allow_http = true
            roles = [{{ group = "soc", role = "analyst" }}, {{ group = "shop-team", role = "shop" }}]
            audience = "https://logs.example"
            programs = [{{ client = "shipper", role = "admin", source = "depot" }}]
            "#,
            self.issuer
        )
    }

    /// Tells it something, or has it make something.
    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let url = format!("{}/test/{path}", self.issuer);
        let url = Url::parse_with_params(&url, parameters).expect("a URL");
        let answer = self.http.get(url).send().await.expect("it answers");
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.expect("text")
    }

    /// A token for the program `shipper`, as the provider gives it to those who know its secret.
    async fn token(&self) -> String {
        let body = "grant_type=client_credentials&scope=api&resource=https%3A%2F%2Flogs.example";
        let request = self.http.post(format!("{}/token", self.issuer));
        let request = request.basic_auth("shipper", Some("a+secret+of+the+shipper"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body).send().await.expect("it answers");
        let answer: Value = answer.json().await.expect("JSON");
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

fn browser() -> Browser {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().redirect(Policy::none()).build().expect("a client");
    Browser { http, cookies: BTreeMap::new() }
}

impl Browser {
    /// Opens a page and gives where it leads: its address, or that of the page it is.
    async fn open(&mut self, url: &Url) -> Option<Url> {
        let place = url.authority().to_owned();
        let mine = self.cookies.iter().filter_map(|(name, value)| {
            let (owner, name) = name.split_once(' ')?;
            (owner == place).then(|| format!("{name}={value}"))
        });
        let mine: Vec<String> = mine.collect();
        let request = self.http.get(url.clone()).header(COOKIE, mine.join("; "));
        let answer = request.send().await.expect("it answers");
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let text = cookie.to_str().expect("text").split(';').next().expect("a pair").to_owned();
            let (name, value) = text.split_once('=').expect("a pair");
            self.cookies.insert(format!("{place} {name}"), value.to_owned());
        }
        let next = answer.headers().get(LOCATION)?;
        Some(url.join(next.to_str().expect("text")).expect("an address"))
    }

    /// Goes on until a page of the dashboard; gives every address on the way.
    async fn follow(&mut self, from: &str) -> Vec<Url> {
        let mut way = vec![Url::parse(from).expect("an address")];
        while let Some(next) = self.open(&way[way.len() - 1]).await {
            let is_page = !next.path().starts_with("/api/") && next.port() == way[0].port();
            way.push(next);
            if is_page {
                return way;
            }
            assert!(way.len() < STEPS_MAX, "{way:?}");
        }
        panic!("it leads nowhere: {way:?}");
    }

    /// Who the dashboard says it is.
    async fn who(&self, node: &Node) -> Value {
        let place = Url::parse(node.http()).expect("an address").authority().to_owned();
        let session = self.cookies.get(&format!("{place} __Host-session"));
        let cookie = format!("__Host-session={}", session.map_or("", String::as_str));
        let request = self.http.get(format!("{}/api/v1/session", node.http()));
        let answer = Client::send(request.header(COOKIE, cookie)).await;
        if answer.status == 200 { answer.json() } else { json!(answer.status) }
    }
}

/// A node that knows the provider, and the other way round.
async fn node(provider: &Provider) -> (Place, Node) {
    let place = Place::new(&provider.config());
    std::fs::write(place.file("client.secret"), "a secret of the client\n").expect("written");
    let node = place.start().await;
    let back = format!("{}/api/v1/oidc/corp/callback", node.http());
    provider.ask("redirect", &[("url", &back)]).await;
    (place, node)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_sign_in_at_their_provider_and_their_groups_decide() {
    let Some(provider) = Provider::start() else { return };
    let (_place, node) = node(&provider).await;
    let door = format!("{}/api/v1/oidc/corp/begin?next=%2Falerts%3Fstate%3Dopen", node.http());
    let list = Client::new(&node, "").get("/api/v1/oidc", &[]).await;
    assert_eq!(list["items"], json!([{ "name": "corp" }]));

    let mut ana = browser();
    let way = ana.follow(&door).await;
    let page = way.last().expect("a page");
    assert_eq!((page.path(), page.query()), ("/alerts", Some("state=open")), "{way:?}");
    let asked: BTreeMap<_, _> = way[1].query_pairs().collect();
    assert_eq!((&*asked["response_type"], &*asked["code_challenge_method"]), ("code", "S256"));
    assert!(asked["scope"].split(' ').any(|scope| scope == "openid"), "{asked:?}");
    assert!(asked["nonce"].len() >= 16 && asked["state"].len() >= 16, "{asked:?}");
    let who = ana.who(&node).await;
    assert_eq!((&who["name"], &who["role"]), (&json!("ana"), &json!("analyst")), "{who}");

    // The address of the way back opens nothing twice, and nothing in another browser.
    let back = way.iter().find(|url| url.path().ends_with("/callback")).expect("the way back");
    for mut again in [browser(), ana] {
        again.cookies.retain(|name, _| !name.ends_with("session"));
        let page = again.follow(back.as_str()).await;
        assert_eq!(page.last().expect("a page").query(), Some("problem=expired"));
        assert_eq!(again.who(&node).await, 401);
    }

    provider.ask("as", &[("user", "ben")]).await;
    let mut ben = browser();
    ben.follow(&door).await;
    let who = ben.who(&node).await;
    assert_eq!((&who["role"], &who["role_name"]), (&json!("reader"), &json!("shop")), "{who}");
    assert_eq!(who["sees_everything"], false);

    for (user, problem) in [("eve", "problem=no-role"), ("nobody", "problem=denied")] {
        provider.ask("as", &[("user", user)]).await;
        let mut stranger = browser();
        let way = stranger.follow(&door).await;
        assert_eq!(way.last().expect("a page").query(), Some(problem), "{way:?}");
        assert_eq!(stranger.who(&node).await, 401);
    }

    // New keys: the next to sign in has a token that the keys known so far did not make.
    provider.ask("rotate", &[]).await;
    provider.ask("as", &[("user", "ana")]).await;
    until("the new keys count", LONG, async || {
        let mut again = browser();
        again.follow(&door).await;
        (again.who(&node).await["name"] == "ana").then_some(())
    })
    .await;
    assert!(!node.log().contains("a secret of the client"), "{}", node.log());
    in_a_real_browser(&provider, &node).await;
}

/// The same with Chromium: the door, the provider, the page that was asked for, and out again.
async fn in_a_real_browser(provider: &Provider, node: &Node) {
    let ui = repository().join("web/ui");
    let chromium = find("chromium").filter(|_| ui.join("node_modules/playwright-core").is_dir());
    let (Some(chromium), Some(program)) = (chromium, find("node")) else {
        println!("NOT TRIED: a provider in a browser: `make ui` installs what it needs");
        return;
    };
    let mut command = Command::new(program);
    command
        .arg("test/oidc.mjs")
        .arg(std::env::temp_dir().join("logwarden-oidc"))
        .current_dir(ui)
        .env("CHROMIUM", chromium)
        .env("LOGWARDEN_URL", node.http())
        .env("LOGWARDEN_PROVIDER", &provider.issuer);
    let walk = tokio::task::spawn_blocking(move || run(&mut command));
    let output = walk.await.expect("the walk ended well");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("a provider in a browser: {}", said.lines().last().unwrap_or_default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_bring_the_providers_tokens_and_no_others() {
    let Some(provider) = Provider::start() else { return };
    let (_place, node) = node(&provider).await;
    let as_program = |token: &str| Client::new(&node, token);
    let status = async |token: &str| {
        let answer = as_program(token).try_get("/api/v1/session", &[]).await.expect("an answer");
        (answer.status, answer.text)
    };
    let token = provider.token().await;
    let (good, who) = status(&token).await;
    assert_eq!(good, 200, "{who}");
    let who: Value = serde_json::from_str(&who).expect("JSON");
    assert_eq!(
        (&who["name"], &who["role"], &who["kind"]),
        (&json!("shipper"), &json!("admin"), &json!("token"))
    );
    let sent = as_program(&token).ingest(r#"{"message":"from the depot"}"#).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    as_program(&token).wait_for("lw.source:depot depot", 1).await;

    assert_eq!(status(&provider.ask("forge", &[("kind", "good")]).await).await.0, 200);
    for kind in WRONG {
        let forged = provider.ask("forge", &[("kind", kind)]).await;
        let (refused, text) = status(&forged).await;
        assert_eq!(refused, 401, "{kind}: {text}");
        let sent = as_program(&forged).ingest(r#"{"message":"forged"}"#).await;
        assert_eq!(sent.status, 401, "{kind}: {}", sent.text);
    }

    // With new keys a new token counts, and those of the old key do not any more.
    let old = provider.ask("forge", &[("kind", "good")]).await;
    provider.ask("rotate", &[]).await;
    let fresh = provider.token().await;
    let counts = async || (status(&fresh).await.0 == 200).then_some(());
    until("the new key counts", LONG, counts).await;
    assert_eq!(status(&old).await.0, 401);
}
