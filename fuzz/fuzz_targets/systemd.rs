//! Fuzz target `systemd`, see `src/targets.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: logwarden_fuzz::seed("systemd"),
    |bytes: &[u8]| logwarden_fuzz::run("systemd", bytes)
);
