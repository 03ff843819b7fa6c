//! `logwarden config`: what a configuration file says, without starting anything.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::Failure;
use crate::config::{self, Overrides};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say whether the file would be taken; exit code 1 when not.
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
            config::load_checked(config.as_deref(), &Overrides::default()).map_err(Failure::Bad)?;
            let _ = writeln!(out, "configuration is good");
        }
        Action::Show { config } => {
            let text = config::show(config.as_deref()).map_err(Failure::Bad)?;
            let _ = write!(out, "{text}");
        }
    }
    Ok(())
}
