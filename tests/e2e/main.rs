//! Stories against the real binary on loopback: what a person, a sender and a receiver see.

#[path = "../harness/mod.rs"]
mod harness;
