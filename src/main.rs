//! Logwarden: takes the logs of all services, keeps them, searches them, wakes the right person.
//!
//! Input: a command line. Output: an exit code, 0 to 3 (see `cli`). What runs is in `node`.

mod cli;
mod client;
mod config;
mod node;
mod replays;
mod retro;
mod selftest;
mod server;
mod sources;
mod telemetry;
mod troubles;

use std::process::ExitCode;

use clap::Parser;

/// Events are made on one thread and freed on another, many at a time: the system's allocator takes a
/// tenth of the CPU for that and gives little back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run(cli::Arguments::parse())
}
