//! `logwarden token`: tokens in a data directory, of a running server or a stopped one.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Subcommand;
use logwarden_event::{Clock, SystemClock};
use logwarden_store::identity::{Identity, IdentityError, NewToken, REFRESH_INTERVAL};
use logwarden_store::seal::Seal;

use crate::cli::Failure;
use crate::config;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token and print it, this once.
    Create {
        /// What its holder may do: ingest, reader, analyst, admin, metrics, or a role of the
        /// configuration file.
        #[arg(long)]
        role: String,
        /// What it is called.
        #[arg(long)]
        name: String,
        /// The source its records belong to; without it they belong to a source of the token's name.
        #[arg(long)]
        source: Option<String>,
        /// A query that narrows what it may see.
        #[arg(long)]
        filter: Option<String>,
        /// How long it is valid, such as `90d` or `12h`; a year when it is not said.
        #[arg(long)]
        expires: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// List the tokens.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Make a token worthless.
    Revoke {
        /// What it is called.
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Which data directory is meant.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    /// The data directory.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The configuration file that names it.
    #[arg(long)]
    config: Option<PathBuf>,
}

impl Place {
    /// Opens who is known there; an empty directory gets a catalog and nothing else.
    pub(crate) async fn open_identity(&self) -> Result<Arc<Identity>, Failure> {
        let config = config::load(self.config.as_deref()).map_err(Failure::Usage)?;
        let data_dir = self.data_dir.clone().unwrap_or_else(|| config.store.data_dir.clone());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let catalog = logwarden_store::open_catalog(&data_dir, Arc::clone(&clock))
            .with_context(|| format!("cannot open the data directory `{}`", data_dir.display()))?;
        let (key, before) = (config.store.master_key.as_ref(), &config.store.master_keys_before);
        let seal = Seal::master(&data_dir, key, before).context("cannot open what is sealed")?;
        let identity =
            Identity::open(catalog, clock, seal).await.context("cannot read who is known")?;
        if self.config.is_some() {
            identity.set_roles(config.roles);
            identity.set_breached_passwords(config.users.breached_passwords_file);
        }
        identity.leave_lines();
        Ok(identity)
    }
}

/// What whoever asked for something that is not done is told.
pub(crate) fn refuse(error: IdentityError) -> Failure {
    match error {
        IdentityError::NoRole(_) | IdentityError::RoleOfTokens(_) => Failure::Usage(error.into()),
        error => Failure::Bad(error.into()),
    }
}

/// Waits until a running server has seen what was changed in its data directory, so that a script
/// that goes on with a new token is not refused, and a revoked one counts no longer.
pub(crate) async fn until_seen() {
    tokio::time::sleep(REFRESH_INTERVAL + Duration::from_millis(100)).await;
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    match arguments.action {
        Action::Create { role, name, source, filter, expires, place } => {
            if let Some(filter) = &filter {
                let query = logwarden_query::parse_query(filter, SystemClock.now());
                let query = query.map_err(|error| {
                    Failure::Usage(anyhow!("the filter is not a query: {error}"))
                })?;
                if !query.pipes.is_empty() {
                    return Err(Failure::Usage(anyhow!("a filter has no pipes")));
                }
            }
            let lifetime = expires.as_deref().map(parse_lifetime).transpose()?;
            let expires_at = lifetime.map(|lifetime| SystemClock.now().saturating_add(lifetime));
            let identity = place.open_identity().await?;
            let token = identity
                .create_token(NewToken { name, role, source, filter, expires_at })
                .await
                .map_err(refuse)?;
            until_seen().await;
            let _ = writeln!(out, "{token}");
        }
        Action::List { place } => {
            for token in place.open_identity().await?.list_tokens() {
                let expires = token.expires_at;
                let state = if token.is_revoked { " revoked" } else { "" };
                let _ = writeln!(out, "{} {} expires {expires}{state}", token.name, token.role);
            }
        }
        Action::Revoke { name, place } => {
            let identity = place.open_identity().await?;
            identity.revoke_token(&name).await.map_err(refuse)?;
            until_seen().await;
        }
    }
    Ok(())
}

/// Reads `90d`, `12h`, `30m` or `45s`.
fn parse_lifetime(text: &str) -> Result<Duration, Failure> {
    let unit = text.chars().last().unwrap_or_default();
    let unit_secs = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => 0,
    };
    let count = text.strip_suffix(unit).and_then(|count| count.parse::<u64>().ok());
    match count.and_then(|count| count.checked_mul(unit_secs)) {
        Some(secs) if secs > 0 => Ok(Duration::from_secs(secs)),
        _ => Err(Failure::Usage(anyhow!("`{text}` is no span of time such as `90d` or `12h`"))),
    }
}
