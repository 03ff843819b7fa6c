//! `logwarden serve`: everything in one process.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::cli::Failure;
use crate::config::{self, Overrides};
use crate::node::Node;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The configuration file.
    #[arg(long, env = "LOGWARDEN_CONFIG")]
    config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Where the API and the dashboard listen.
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Where the first listener takes records over TCP.
    #[arg(long, value_name = "ADDR")]
    tcp: Option<SocketAddr>,
    /// Allow plain HTTP and TCP off loopback.
    #[arg(long)]
    insecure_http: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let overrides = Overrides {
        data_dir: arguments.data_dir,
        http: arguments.http,
        tcp: arguments.tcp,
        insecure: arguments.insecure_http,
    };
    let config =
        config::load_checked(arguments.config.as_deref(), &overrides).map_err(Failure::Usage)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(anyhow::Error::from)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(anyhow::Error::from)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(anyhow::Error::from)?;

    let node = Node::start(config).await?;
    announce(&node);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = node.failed() => {
                node.stop().await;
                return Err(Failure::Environment(anyhow::anyhow!("a part of the server ended by itself; see the log")));
            }
            _ = hangup.recv() => {
                match config::load_checked(arguments.config.as_deref(), &overrides) {
                    Ok(config) => node.reload(config).await,
                    Err(error) => warn!("configuration was not reloaded: {error:#}"),
                }
            }
        }
    }
    info!("stopping");
    node.stop().await;
    Ok(())
}

/// Says where everything is, on standard output, one fact a line.
fn announce(node: &Node) {
    println!("http: {}", node.http_url());
    for address in node.tcp_addresses() {
        println!("tcp: {address}");
    }
    if let Some(link) = node.setup_link() {
        println!("set-up link: {link}");
        println!("(it works once: open it and create the administrator)");
    }
}
