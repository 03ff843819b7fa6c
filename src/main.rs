//! Logwarden: takes the logs of all services, keeps them, searches them, wakes the right person.
//!
//! Input: a command line. Output: an exit code, 0 to 3 (see `cli`). What runs is in `node`.

mod cli;
mod client;
mod config;
mod node;
mod replays;
mod selftest;
mod server;
mod sources;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::run(cli::Arguments::parse())
}
