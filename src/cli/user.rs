//! `logwarden user`: local accounts.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;

use crate::cli::Failure;
use crate::cli::token::{Place, refuse, until_seen};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a local account. Without `--password-file` the password is the first line of standard input.
    Create {
        /// The user's name.
        name: String,
        /// What the user may do: reader, analyst, admin, or a role of the configuration file.
        #[arg(long)]
        role: String,
        /// A file whose first line is the password, at least 12 characters.
        #[arg(long)]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Action::Create { name, role, password_file, place } = arguments.action;
    let mut password = String::new();
    match &password_file {
        Some(file) => {
            password = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the password file `{}`", file.display()))?;
        }
        None => {
            let _ = writeln!(
                std::io::stderr(),
                "password (it is shown while you type; better use --password-file):"
            );
            std::io::stdin().lock().read_line(&mut password).context("cannot read the password")?;
        }
    }
    let password = password.lines().next().unwrap_or_default();
    let identity = place.open_identity().await?;
    identity.create_user(&name, &role, password).await.map_err(refuse)?;
    until_seen().await;
    Ok(())
}
