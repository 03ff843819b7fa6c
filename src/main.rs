//! Logwarden.
fn main() {}
