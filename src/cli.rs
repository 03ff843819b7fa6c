//! The command line: one file per command, one place that turns what became of it into an exit code.

mod bench;
mod config;
mod deadletters;
mod demo;
mod random;
mod rules;
mod search;
mod serve;
mod status;
mod tail;
mod terminal;
mod token;
mod user;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::telemetry;

/// A centralized security log aggregator.
#[derive(Debug, Parser)]
#[command(name = "logwarden", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// What the process says about itself: `error`, `warn`, `info`, `debug`, or a filter per module.
    #[arg(
        long,
        env = "LOGWARDEN_LOG",
        default_value = "info",
        global = true,
        hide_default_value = true
    )]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process.
    Serve(serve::Arguments),
    /// Run a server that ships itself realistic logs with attacks in them.
    Demo(demo::Arguments),
    /// Make, list and revoke tokens.
    Token(token::Arguments),
    /// Make local accounts.
    User(user::Arguments),
    /// Search from the terminal.
    Search(search::Arguments),
    /// Follow events as they come.
    Tail(tail::Arguments),
    /// Check and test rule files.
    Rules(rules::Arguments),
    /// Look at records that could not become events, and try them again.
    #[command(name = "deadletters")]
    DeadLetters(deadletters::Arguments),
    /// Say how a running server is.
    Status(status::Arguments),
    /// Check and show the configuration.
    Config(config::Arguments),
    /// Measure this program as a server of its own.
    Bench(bench::Arguments),
}

/// Why a command ended badly, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The thing that was checked is bad, or the server refused (exit code 1).
    #[error("{0:#}")]
    Bad(anyhow::Error),
    /// The command was used wrongly (exit code 2).
    #[error("{0:#}")]
    Usage(anyhow::Error),
    /// A port, a disk, a permission, the network (exit code 3).
    #[error("{0:#}")]
    Environment(anyhow::Error),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Bad(_) => 1,
            Self::Usage(_) => 2,
            Self::Environment(_) => 3,
        }
    }
}

/// What is not said to be anything else lies in the environment.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Environment(error)
    }
}

/// Runs a command to its end.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    // A crash must not leave secrets in a core file (R58).
    let no_core = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, no_core);
    let _ = rustls::crypto::ring::default_provider().install_default();
    telemetry::start_log(&arguments.log);

    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::Environment(error.into())),
    };
    let outcome = runtime.block_on(async {
        match arguments.command {
            Command::Serve(arguments) => serve::run(arguments).await,
            Command::Demo(arguments) => demo::run(arguments).await,
            Command::Token(arguments) => token::run(arguments).await,
            Command::User(arguments) => user::run(arguments).await,
            Command::Search(arguments) => search::run(arguments).await,
            Command::Tail(arguments) => tail::run(arguments).await,
            Command::Rules(arguments) => rules::run(arguments).await,
            Command::DeadLetters(arguments) => deadletters::run(arguments).await,
            Command::Status(arguments) => status::run(arguments).await,
            Command::Config(arguments) => config::run(arguments),
            Command::Bench(arguments) => bench::run(arguments).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "logwarden: {failure}");
    ExitCode::from(failure.exit_code())
}
