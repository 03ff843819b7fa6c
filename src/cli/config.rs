//! `logwarden config`: what a configuration file says, and whether a server would start with it, without
//! starting anything.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Subcommand;
use logwarden_event::SystemClock;
use logwarden_store::seal::{KeyError, Seal};
use logwarden_web::Providers;

use crate::cli::Failure;
use crate::config::{self, Config, Overrides};
use crate::server;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say whether a server would start with the file, with the certificates, keys and secrets that it
    /// names; exit code 1 when not. Ports are not tried, and nothing is made or changed.
    Check {
        /// The configuration file.
        #[arg(long, env = "LOGWARDEN_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Print what the file says, secrets masked.
    Show {
        /// The configuration file.
        #[arg(long, env = "LOGWARDEN_CONFIG")]
        config: Option<PathBuf>,
    },
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    match arguments.action {
        Action::Check { config } => {
            let config = config::load_checked(config.as_deref(), &Overrides::default())
                .map_err(Failure::Bad)?;
            check_start(config).map_err(Failure::Bad)?;
            let _ = writeln!(out, "configuration is good");
        }
        Action::Show { config } => {
            let text = config::show(config.as_deref()).map_err(Failure::Bad)?;
            let _ = write!(out, "{text}");
        }
    }
    Ok(())
}

/// Reads what a start would read besides the file itself.
fn check_start(config: Config) -> anyhow::Result<()> {
    server::check(&config.http).context("http.tls")?;
    config.ingest.check_certificates().context("listeners")?;
    let store = config.store;
    store.check_data_dir().context("data_dir")?;
    match Seal::master_again(&store.data_dir, store.master_key.as_ref(), &store.master_keys_before)
    {
        // A start makes it.
        Err(KeyError::File(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
        seal => drop(seal.context("storage")?),
    }
    for secret in store.s3.iter().flat_map(|s3| [&s3.access_key, &s3.secret_key]) {
        secret.resolve().context("storage.s3")?;
    }
    Providers::new(config.providers, Arc::new(SystemClock)).context("oidc")?;
    Ok(())
}
