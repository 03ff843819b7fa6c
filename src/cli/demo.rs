//! `logwarden demo`: a server that ships itself realistic logs with attacks in them, through the
//! real doors, until it is stopped.

mod inbox;
mod traffic;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use logwarden_event::{Clock, SystemClock, Timestamp};
use logwarden_store::identity::{NewToken, Role};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use self::inbox::Inbox;
use self::traffic::{Attack, Shipped, Traffic};
use crate::cli::Failure;
use crate::config;
use crate::node::Node;

const USER: &str = "demo";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Ordinary events per second.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=5_000))]
    rate: u32,
    /// What happens besides.
    #[arg(long, value_enum, default_value_t = Attack::All)]
    attack: Attack,
    /// Ship to this server instead of starting one.
    #[arg(long, value_name = "URL", requires = "token_file")]
    to: Option<String>,
    /// A file with a token of role `ingest` for that server.
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// The port of the dashboard, on loopback; 0 for one of the system's choice.
    #[arg(long)]
    port: Option<u16>,
    /// Where the demo's own server keeps its data, and its receivers the mails and webhooks.
    #[arg(long, default_value = "logwarden-demo")]
    dir: PathBuf,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut traffic = Traffic::new(SystemClock.now().nanos().unsigned_abs(), arguments.attack);
    match (&arguments.to, &arguments.token_file) {
        (Some(url), Some(file)) => {
            let token = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the token file `{}`", file.display()))?;
            let mut shipper = Shipper::new(url, token.trim(), None);
            println!("shipping to {url}; stop with Ctrl-C");
            until_interrupted(shipper.ship(&mut traffic, arguments.rate)).await
        }
        _ => run_embedded(&arguments, &mut traffic).await,
    }
}

async fn run_embedded(arguments: &Arguments, traffic: &mut Traffic) -> Result<(), Failure> {
    let inbox = Inbox::open(&arguments.dir.join("inbox")).await?;
    let mut config = config::for_demo(&arguments.dir.join("data"), inbox_addresses(&inbox))?;
    if let Some(port) = arguments.port {
        config.http.listen.set_port(port);
    }
    let node = Node::start(config).await?;
    let password = prepare_user(&node).await?;
    // A token per run: only its hash is kept, so an earlier run's cannot be read back.
    let name = format!("demo-{}", SystemClock.now().millis());
    let expires_at = Some(SystemClock.now().saturating_add(Duration::from_secs(30 * 86_400)));
    let token = node
        .identity()
        .create_token(NewToken {
            name,
            role: Role::Ingest.to_string(),
            source: Some("shop".into()),
            filter: None,
            expires_at,
        })
        .await
        .context("cannot make a token")?;

    println!("dashboard: {}", node.http_url());
    println!("sign in as: {USER}, password: {password}");
    println!("mails and webhooks arrive in: {}", inbox.folder.display());
    println!("stop with Ctrl-C");
    let mut shipper = Shipper::new(node.http_url(), &token, node.tcp_addresses().first().copied());
    let ended = until_interrupted(shipper.ship(traffic, arguments.rate)).await;
    node.stop().await;
    ended
}

fn inbox_addresses(inbox: &Inbox) -> config::DemoInbox {
    config::DemoInbox { smtp: inbox.smtp, webhook: inbox.webhook }
}

/// Gives the demo's user a new password.
async fn prepare_user(node: &Node) -> anyhow::Result<String> {
    let identity = node.identity();
    let password = random_password()?;
    // The account of an earlier run is the last administrator, who stays; its password is not known any more.
    if identity.list_users().iter().any(|user| user.name == USER) {
        identity.set_password(USER, &password).await.context("cannot give the user a password")?;
    } else {
        identity
            .create_user(USER, Role::Admin.as_str(), &password)
            .await
            .context("cannot make the user")?;
    }
    Ok(password)
}

fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0u8; 12];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn until_interrupted(work: impl Future<Output = anyhow::Result<()>>) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(anyhow::Error::from)?;
    tokio::select! {
        ended = work => Ok(ended?),
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// Sends records through the doors they are meant for.
struct Shipper {
    http: reqwest::Client,
    url: String,
    token: String,
    /// Without it syslog lines travel as the message of a JSON record.
    tcp: Option<std::net::SocketAddr>,
    stream: Option<TcpStream>,
}

impl Shipper {
    fn new(url: &str, token: &str, tcp: Option<std::net::SocketAddr>) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: format!("{}/api/v1/ingest", url.trim_end_matches('/')),
            token: token.to_owned(),
            tcp,
            stream: None,
        }
    }

    async fn ship(&mut self, traffic: &mut Traffic, rate: u32) -> anyhow::Result<()> {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            let now = Timestamp::from_millis(SystemClock.now().millis());
            let (mut json, mut syslog) = (String::new(), String::new());
            for record in traffic.next_second(now, rate) {
                match record {
                    Shipped::Json(line) => json = json + &line + "\n",
                    Shipped::Syslog(line) if self.tcp.is_some() => syslog = syslog + &line + "\n",
                    Shipped::Syslog(line) => json = json + &as_json(&line) + "\n",
                }
            }
            self.post(json).await?;
            self.send(&syslog).await?;
        }
    }

    async fn post(&self, lines: String) -> anyhow::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let request = self.http.post(&self.url).bearer_auth(&self.token).body(lines);
        let answer = request.send().await.context("cannot reach the server")?;
        if !answer.status().is_success() {
            eprintln!(
                "the server answered {}: {}",
                answer.status(),
                answer.text().await.unwrap_or_default()
            );
        }
        Ok(())
    }

    async fn send(&mut self, lines: &str) -> anyhow::Result<()> {
        let Some(address) = self.tcp.filter(|_| !lines.is_empty()) else { return Ok(()) };
        if self.stream.is_none() {
            self.stream =
                Some(TcpStream::connect(address).await.context("cannot reach the TCP port")?);
        }
        let stream = self.stream.as_mut().expect("it was opened above");
        stream.write_all(lines.as_bytes()).await.context("the TCP connection was lost")
    }
}

/// A syslog line for a server that is only reached over HTTP.
fn as_json(line: &str) -> String {
    let message = line.split_once("]: ").map_or(line, |(_, message)| message);
    serde_json::json!({ "program": "sshd", "host": "bastion-1", "message": message }).to_string()
}
