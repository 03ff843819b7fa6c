//! Faults against the real binary: kills, power cuts, full disks, damage, hostile input, dead receivers.
//!
//! Every story has a data directory of its own, asks what a sender or an analyst can ask, and
//! prints what it measured. What needs root says so and passes without.

#[path = "../harness/mod.rs"]
mod harness;
#[path = "../harness/hook.rs"]
mod hook;

mod clients;
mod damage;
mod full;
mod hostile;
mod kill;
mod load;
mod power;
mod receivers;
mod told;
mod volume;
mod wire;
